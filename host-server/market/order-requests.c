#include "host-server/core/service.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/room.h"
#include "host-server/market/sales.h"

/* protocol.md section 3, orders: the native protocol of sales.h. */

typedef struct
{
  ServiceRequest *request;
  OrderRequest wanted;
} Ask;

static void
ask_free (Ask *ask)
{
  service_request_unref (ask->request);
  order_request_clear (&ask->wanted);
  g_free (ask);
}

static char *
write_view (const Purchase *purchase)
{
  g_autoptr (OrderView) view = purchase_to_view (purchase);
  GString *xml = g_string_new (NULL);
  order_view_write (view, xml);
  return g_string_free (xml, FALSE);
}

static void
reply_with (ServiceRequest *request, const Purchase *purchase)
{
  g_autofree char *xml = write_view (purchase);
  service_request_reply (request, xml);
}

static void
refuse_buy (ServiceRequest *request, BuyOutcome outcome)
{
  StanzaError error = STANZA_ERROR_SERVICE_UNAVAILABLE;
  const char *application = NULL;
  switch (outcome)
    {
    case BUY_NO_PLUGIN:
      error = STANZA_ERROR_ITEM_NOT_FOUND;
      break;
    case BUY_NOT_LICENSED:
      error = STANZA_ERROR_FORBIDDEN;
      break;
    case BUY_OWNED:
      error = STANZA_ERROR_CONFLICT;
      application = "<already-owned xmlns='" NS_MARKET "'/>";
      break;
    case BUY_OUT_OF_STOCK:
      error = STANZA_ERROR_RESOURCE_CONSTRAINT;
      application = "<out-of-stock xmlns='" NS_MARKET "'/>";
      break;
    case BUY_TOO_MANY:
      error = STANZA_ERROR_RESOURCE_CONSTRAINT;
      break;
    case BUY_CLOSED:
    case BUY_UNAVAILABLE:
    default:
      break;
    }
  service_request_refuse (request, error, sale_explain (outcome), application);
}

static void
bought (Market *market, const Sale *sale, const GError *error, gpointer data)
{
  Ask *ask = data;
  if (error != NULL)
    service_request_fail (ask->request, "market", error);
  else if (sale->purchase == NULL)
    refuse_buy (ask->request, sale->outcome);
  else
    {
      reply_with (ask->request, sale->purchase);
      crash_point (ORDER_ANSWERED);
    }
  ask_free (ask);
}

static void
declined (Market *market, DeclineOutcome outcome, const Purchase *purchase, const GError *error,
          gpointer data)
{
  Ask *ask = data;
  g_autofree char *xml = purchase != NULL ? write_view (purchase) : NULL;
  if (error != NULL)
    service_request_fail (ask->request, "market", error);
  else if (outcome == DECLINE_UNKNOWN)
    service_request_refuse (ask->request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  else if (outcome == DECLINE_PAID)
    service_request_refuse (ask->request, STANZA_ERROR_UNEXPECTED_REQUEST, "it is paid already", xml);
  else
    service_request_reply (ask->request, xml);
  ask_free (ask);
}

static Ask *
ask_new (ServiceRequest *request, gboolean is_set)
{
  g_autoptr (GError) error = NULL;
  Ask *ask = g_new0 (Ask, 1);
  if (!order_request_read (service_request_get_tree (request), is_set, &ask->wanted, &error))
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      g_free (ask);
      return NULL;
    }
  ask->request = service_request_ref (request);
  return ask;
}

static void
handle_set (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  Ask *ask = ask_new (request, TRUE);
  if (ask == NULL)
    return;
  if (ask->wanted.kind == ORDER_REQUEST_DECLINE)
    {
      sale_decline (market, service_request_get_account (request), ask->wanted.id, declined, ask);
      return;
    }
  SaleRequest sale = {
    .account = service_request_get_account (request),
    .user = jid_get_bare (service_request_get_sender (request)),
    .plugin = ask->wanted.plugin,
    .item = ask->wanted.item,
    .request = ask->wanted.request,
  };
  sale_buy (market, &sale, bought, ask);
}

static void
handle_get (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  Ask *ask = ask_new (request, FALSE);
  if (ask == NULL)
    return;
  g_autoptr (GError) error = NULL;
  g_autoptr (Purchase) purchase = purchase_load (market_peek_reader (market), ask->wanted.id, &error);
  if (error != NULL)
    service_request_fail (request, "market", error);
  else if (purchase == NULL || !g_str_equal (purchase->account, service_request_get_account (request)))
    service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  else
    reply_with (request, purchase);
  ask_free (ask);
}

static void
handle_history (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (Orders) orders = orders_read (service_request_get_tree (request), &error);
  if (orders == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  g_ptr_array_set_size (orders->orders, 0);
  gboolean is_known;
  if (!purchases_page (market_peek_reader (market), service_request_get_account (request), orders, &is_known,
                       &error))
    {
      service_request_fail (request, "market", error);
      return;
    }
  if (!is_known)
    {
      service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
      return;
    }
  g_autoptr (GString) xml = g_string_new (NULL);
  orders_write_result (orders, xml);
  service_request_reply (request, xml->str);
}

void
order_requests_init (Market *market)
{
  Services *services = market->server->services;
  services_add (services, SERVICE_MARKET, STANZA_TYPE_SET, "order", NS_MARKET, SERVICE_DEFAULT, handle_set,
                market);
  services_add (services, SERVICE_MARKET, STANZA_TYPE_GET, "order", NS_MARKET, SERVICE_DEFAULT, handle_get,
                market);
  services_add (services, SERVICE_MARKET, STANZA_TYPE_GET, "orders", NS_MARKET, SERVICE_DEFAULT,
                handle_history, market);
}
