#include "host-server/core/service.h"
#include "host-server/market/buy.h"
#include "host-server/market/crash.h"
#include "host-server/market/plugins.h"
#include "host-server/market/room.h"
#include "host-server/modules/modules.h"

/* protocol.md section 3, orders. Every request is answered within 5 s: what a slow provider still owes comes
 * with the order's push. */
#define CHECKOUT_WAIT_MS 4000

typedef struct
{
  Market *market;
  ServiceRequest *request;
  OrderRequest wanted;
  gboolean is_source_up;
  BuyOutcome bought;
  DeclineOutcome declined;
  Purchase *purchase;
} Ask;

static void
ask_free (Ask *ask)
{
  service_request_unref (ask->request);
  order_request_clear (&ask->wanted);
  purchase_free (ask->purchase);
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

/* Answers with the order as it is committed now. */
static void
reply_current (Market *market, gpointer data, gboolean is_timed_out)
{
  Ask *ask = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (Purchase) purchase = purchase_load (market_peek_reader (market), ask->purchase->id, &error);
  if (purchase != NULL)
    reply_with (ask->request, purchase);
  else
    service_request_fail (ask->request, "market", error);
  ask_free (ask);
}

static void
refuse_buy (ServiceRequest *request, BuyOutcome outcome)
{
  switch (outcome)
    {
    case BUY_NO_PLUGIN:
      service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, "no such plugin is on sale", NULL);
      return;
    case BUY_OWNED:
      service_request_refuse (request, STANZA_ERROR_CONFLICT, "it is yours already",
                              "<already-owned xmlns='" NS_MARKET "'/>");
      return;
    case BUY_OUT_OF_STOCK:
      service_request_refuse (request, STANZA_ERROR_RESOURCE_CONSTRAINT, "out of stock",
                              "<out-of-stock xmlns='" NS_MARKET "'/>");
      return;
    case BUY_TOO_MANY:
      service_request_refuse (request, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many open orders", NULL);
      return;
    case BUY_CLOSED:
      service_request_refuse (request, STANZA_ERROR_SERVICE_UNAVAILABLE,
                              "nothing is sold at the moment; what you have is not touched", NULL);
      return;
    case BUY_UNAVAILABLE:
    default:
      service_request_refuse (request, STANZA_ERROR_SERVICE_UNAVAILABLE, "it cannot be sold at the moment",
                              NULL);
      return;
    }
}

static gboolean
buy_work (Turn *turn, gpointer data, GError **error)
{
  Ask *ask = data;
  g_clear_pointer (&ask->purchase, purchase_free);
  BuyRequest request = {
    .account = service_request_get_account (ask->request),
    .user = jid_get_bare (service_request_get_sender (ask->request)),
    .plugin = ask->wanted.plugin,
    .request = ask->wanted.request,
    .is_source_up = ask->is_source_up,
  };
  return buy (turn, &request, &ask->bought, &ask->purchase, error);
}

static void
buy_done (Market *market, gpointer data, const GError *error)
{
  Ask *ask = data;
  crash_point ("order-created-committed");
  if (error != NULL)
    service_request_fail (ask->request, "market", error);
  else if (ask->purchase == NULL)
    refuse_buy (ask->request, ask->bought);
  else if (ask->purchase->phase == PHASE_CREATED)
    {
      waiters_add (market, ask->purchase->id, CHECKOUT_WAIT_MS, reply_current, ask);
      return;
    }
  else
    reply_with (ask->request, ask->purchase);
  ask_free (ask);
}

static gboolean
decline_work (Turn *turn, gpointer data, GError **error)
{
  Ask *ask = data;
  g_clear_pointer (&ask->purchase, purchase_free);
  return decline (turn, service_request_get_account (ask->request), ask->wanted.id, &ask->declined,
                  &ask->purchase, error);
}

static void
decline_done (Market *market, gpointer data, const GError *error)
{
  Ask *ask = data;
  crash_point ("decline-committed");
  g_autofree char *xml = ask->purchase != NULL ? write_view (ask->purchase) : NULL;
  if (error != NULL)
    service_request_fail (ask->request, "market", error);
  else if (ask->declined == DECLINE_UNKNOWN)
    service_request_refuse (ask->request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  else if (ask->declined == DECLINE_PENDING)
    {
      waiters_add (market, ask->purchase->id, CHECKOUT_WAIT_MS, reply_current, ask);
      return;
    }
  else if (ask->declined == DECLINE_PAID)
    service_request_refuse (ask->request, STANZA_ERROR_UNEXPECTED_REQUEST, "it is paid already", xml);
  else
    service_request_reply (ask->request, xml);
  ask_free (ask);
}

/* Whether the plugin's source can be expected to work; a plugin that cannot be read is refused by the turn.
 */
static gboolean
find_is_source_up (Market *market, const char *id)
{
  const Plugin *plugin = catalog_find (market, id);
  if (plugin == NULL || !g_str_equal (plugin->source, SOURCE_KEYGEN))
    return TRUE;
  return market->server->modules != NULL
         && modules_get_state (market->server->modules, plugin->module) == MODULES_STATE_READY;
}

static Ask *
ask_new (Market *market, ServiceRequest *request, gboolean is_set)
{
  g_autoptr (GError) error = NULL;
  Ask *ask = g_new0 (Ask, 1);
  if (!order_request_read (service_request_get_tree (request), is_set, &ask->wanted, &error))
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      g_free (ask);
      return NULL;
    }
  ask->market = market;
  ask->request = service_request_ref (request);
  return ask;
}

static void
handle_set (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  Ask *ask = ask_new (market, request, TRUE);
  if (ask == NULL)
    return;
  if (ask->wanted.kind == ORDER_REQUEST_DECLINE)
    {
      market_write (market, decline_work, decline_done, ask);
      return;
    }
  ask->is_source_up = find_is_source_up (market, ask->wanted.plugin);
  market_write (market, buy_work, buy_done, ask);
}

static void
handle_get (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  Ask *ask = ask_new (market, request, FALSE);
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
