#include "common/protocol/receipt-stanza.h"
#include "host-server/core/control.h"
#include "host-server/core/service.h"
#include "host-server/core/signer.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/receipts.h"
#include "host-server/market/room.h"

/* Who asks for receipts: buyers over XMPP (protocol.md section 3), the operator by hostctl. And the one thing
 * that receipts learn from the clients: that a serial has arrived. */

typedef struct
{
  ServiceRequest *request; /* or */
  ControlCall *call;
  char *order;
  ReceiptQuestion question;
  ReceiptsOutcome outcome;
  GPtrArray *documents;
} Ask;

static void
ask_free (Ask *ask)
{
  service_request_unref (ask->request);
  g_clear_pointer (&ask->documents, g_ptr_array_unref);
  g_free (ask->order);
  g_free (ask);
}

static gboolean
ask_work (Turn *turn, gpointer data, GError **error)
{
  Ask *ask = data;
  g_clear_pointer (&ask->documents, g_ptr_array_unref);
  return receipts_read (turn, &ask->question, &ask->outcome, &ask->documents, error);
}

static void
answer_user (Market *market, gpointer data, const GError *error)
{
  Ask *ask = data;
  crash_point (RECEIPT_SIGNED);
  if (error != NULL)
    service_request_fail (ask->request, "market", error);
  else if (ask->outcome == RECEIPTS_NO_ORDER)
    service_request_refuse (ask->request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  else if (ask->outcome == RECEIPTS_NONE)
    service_request_refuse (ask->request, STANZA_ERROR_ITEM_NOT_FOUND, "the order has no receipt (yet)",
                            "<no-receipt xmlns='" NS_MARKET "'/>");
  else
    {
      g_autoptr (GString) xml = g_string_new (NULL);
      receipt_document_write (g_ptr_array_index (ask->documents, 0), ask->order, xml);
      service_request_reply (ask->request, xml->str);
    }
  ask_free (ask);
}

static void
handle_receipt (ServiceRequest *request, gpointer data)
{
  g_autoptr (GError) error = NULL;
  char *order = receipt_request_read (service_request_get_tree (request), &error);
  if (order == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  Ask *ask = g_new0 (Ask, 1);
  ask->request = service_request_ref (request);
  ask->order = order;
  ask->question = (ReceiptQuestion){ order, service_request_get_account (request), RECEIPT_FOR_BUYER, FALSE };
  market_write (data, ask_work, answer_user, ask);
}

static void
handle_keys (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  g_autoptr (GString) xml = g_string_new (NULL);
  receipt_keys_write (signer_peek_jwks (market->server->signer), xml);
  service_request_reply (request, xml->str);
}

static void
answer_operator (Market *market, gpointer data, const GError *error)
{
  Ask *ask = data;
  if (error != NULL)
    control_call_refuse (ask->call, "cannot read the receipts of '%s': %s", ask->order, error->message);
  else if (ask->outcome == RECEIPTS_NO_ORDER)
    control_call_refuse (ask->call, "there is no order '%s'", ask->order);
  else if (ask->outcome == RECEIPTS_NONE)
    control_call_refuse (ask->call, "order '%s' has no receipt: it was not fulfilled", ask->order);
  else
    {
      for (guint i = 0; i < ask->documents->len; i++)
        control_call_take_row (ask->call, receipt_document_to_json (g_ptr_array_index (ask->documents, i)));
      control_call_done (ask->call);
    }
  ask_free (ask);
}

static void
show_receipt (ControlCall *call, gpointer data)
{
  const char *party_text = control_call_get_text (call, "--for");
  ReceiptParty party = RECEIPT_FOR_BUYER;
  if (party_text != NULL && !receipt_party_from_text (party_text, &party))
    {
      control_call_refuse (call, "--for is buyer, vendor or provider, not '%s'", party_text);
      return;
    }
  Ask *ask = g_new0 (Ask, 1);
  ask->call = call;
  ask->order = g_strdup (control_call_get_text (call, "ORDER"));
  ask->question = (ReceiptQuestion){ ask->order, NULL, party, control_call_has_flag (call, "--all") };
  market_write (data, ask_work, answer_operator, ask);
}

/* --- delivery */

#define MAX_ACKNOWLEDGED 64 /* pushes noted by one write */

typedef struct
{
  char *account;
  gint64 since, ver;
} Acknowledged;

static void
acknowledged_free (gpointer data)
{
  Acknowledged *push = data;
  g_free (push->account);
  g_free (push);
}

static gboolean
acknowledged_work (Turn *turn, gpointer data, GError **error)
{
  const GPtrArray *pushes = data;
  for (guint i = 0; i < pushes->len; i++)
    {
      const Acknowledged *push = g_ptr_array_index (pushes, i);
      if (!receipts_note_delivery (turn, push->account, push->since, push->ver, error))
        return FALSE;
    }
  return TRUE;
}

static void
acknowledged_done (Market *market, gpointer data, const GError *error)
{
  GPtrArray *pushes = data;
  crash_point (DELIVERY_COMMITTED);
  if (error != NULL) /* their receipts go on saying that nobody acknowledged them */
    log_error ("market", "%u deliveries could not be noted: %s", pushes->len, error->message);
  g_ptr_array_unref (pushes);
}

static void
write_acknowledged (Market *market)
{
  if (market->acknowledging != NULL)
    g_source_destroy (market->acknowledging);
  g_clear_pointer (&market->acknowledging, g_source_unref);
  if (market->acknowledged != NULL)
    market_write (market, acknowledged_work, acknowledged_done, g_steal_pointer (&market->acknowledged));
}

static gboolean
on_idle (gpointer data)
{
  write_acknowledged (data);
  return G_SOURCE_REMOVE;
}

void
receipts_note_push (Market *market, const char *account, gint64 since, gint64 ver)
{
  if (market->is_closing)
    return;
  if (market->acknowledged == NULL)
    market->acknowledged = g_ptr_array_new_with_free_func (acknowledged_free);
  Acknowledged *push = g_new (Acknowledged, 1);
  *push = (Acknowledged){ g_strdup (account), since, ver };
  g_ptr_array_add (market->acknowledged, push);
  if (market->acknowledged->len >= MAX_ACKNOWLEDGED)
    write_acknowledged (market);
  else if (market->acknowledging == NULL)
    {
      /* When there is nothing else to do: at once on a quiet server, and many in one write on a busy one. */
      market->acknowledging = g_idle_source_new ();
      g_source_set_priority (market->acknowledging, G_PRIORITY_LOW);
      g_source_set_callback (market->acknowledging, on_idle, market, NULL);
      g_source_attach (market->acknowledging, g_main_context_get_thread_default ());
    }
}

void
receipts_stop (Market *market)
{
  write_acknowledged (market);
}

void
receipts_init (Market *market)
{
  static const ControlArgument arguments[]
      = { { "ORDER", CONTROL_TEXT }, { "--for", CONTROL_VALUE }, { "--all", CONTROL_FLAG }, { NULL } };
  const ControlCommand command
      = { .name = "order receipt",
          .arguments = arguments,
          .is_list = TRUE,
          .is_document = TRUE,
          .help = "an order's receipt with what the buyer (or --for vendor, provider) may know",
          .handle = show_receipt,
          .data = market };
  controls_add (market->server->controls, &command);

  Services *services = market->server->services;
  services_add (services, SERVICE_MARKET, STANZA_TYPE_GET, "receipt", NS_MARKET, SERVICE_DEFAULT,
                handle_receipt, market);
  services_add (services, SERVICE_MARKET, STANZA_TYPE_GET, "keys", NS_MARKET, SERVICE_DEFAULT, handle_keys,
                market);
}
