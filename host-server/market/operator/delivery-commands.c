#include "host-server/market/books/deliveries.h"
#include "host-server/market/books/money-json.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/books/row.h"
#include "host-server/market/rows.h"

#include <string.h>

/* hostctl webhook log|show|replay|close|refund. */

#define LOG_LIMIT 1000

static char *
refuse_unknown (const char *id, gboolean is_ambiguous)
{
  return is_ambiguous
             ? g_strdup_printf ("two providers have a delivery '%s': say PROVIDER/%s", id, id)
             : g_strdup_printf ("there is no delivery '%s' (kept for 90 days; forged ones are counted, "
                                "not kept)",
                                id);
}

/* webhook log */

typedef struct
{
  const Market *market;
  GPtrArray *rows; /* of json_t, with their times in @times */
  GArray *times;
} Log;

static void
add_line (DeliveryRecord *record, gpointer data)
{
  Log *log = data;
  g_autoptr (MoneyEvent) event = delivery_read_event (&log->market->desk, record, NULL);
  g_ptr_array_add (
      log->rows, json_pack ("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", record->webhook_id,
                            "provider", record->provider, "received", row_time (record->received_us),
                            "outcome", row_text (record->outcome), "what",
                            row_text (event != NULL ? money_event_kind_to_text (event->kind) : NULL), "order",
                            row_text (event != NULL ? event->order : NULL), "kept", row_text (record->kept),
                            "state", row_text (record->state), "key", row_text (record->secret)));
  g_array_append_val (log->times, record->received_us);
}

static int
compare_newest (gconstpointer a, gconstpointer b, gpointer data)
{
  const GArray *times = data;
  gint64 one = g_array_index (times, gint64, *(const guint *)a),
         other = g_array_index (times, gint64, *(const guint *)b);
  return one < other ? 1 : one > other ? -1 : 0;
}

static gboolean
log_rows (Market *market, Db *db, const ControlCall *call, json_t *rows, char **refusal, GError **error)
{
  static const char *const words[]
      = { "applied", "known",  "unmatched", "mismatch", "other-mode", "ignored", "poison",
          "waiting", "review", "refunding", "matched",  "closed",     NULL };
  const char *since = control_call_get_text (call, "--since");
  const char *outcome = control_call_get_text (call, "--outcome");
  gint64 since_us = 0;
  if (since != NULL && !row_parse_since (since, clock_get_wall_us (market->desk.clock), &since_us))
    {
      *refusal = g_strdup_printf ("'%s' is no time: RFC 3339, or a while ago as 90m, 24h, 7d", since);
      return TRUE;
    }
  if (outcome != NULL && !g_strv_contains (words, outcome))
    {
      g_autofree char *list = g_strjoinv (", ", (char **)words);
      *refusal = g_strdup_printf ("'%s' is none of: %s", outcome, list);
      return TRUE;
    }

  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify)json_decref);
  Log log = { market, found, times };
  if (!deliveries_list (db, control_call_get_text (call, "PROVIDER"), since_us, outcome, LOG_LIMIT, add_line,
                        &log, error))
    return FALSE;
  g_autofree guint *order = g_new (guint, found->len + 1);
  for (guint i = 0; i < found->len; i++)
    order[i] = i;
  g_qsort_with_data (order, (int)found->len, sizeof *order, compare_newest, times);
  for (guint i = 0; i < found->len && i < LOG_LIMIT; i++)
    json_array_append (rows, g_ptr_array_index (found, order[i]));
  return TRUE;
}

static void
show_log (ControlCall *call, gpointer data)
{
  rows_read (data, call, log_rows);
}

/* webhook show */

static json_t *
headers_json (const char *headers)
{
  json_t *object = json_object ();
  g_auto (GStrv) lines = g_strsplit (headers != NULL ? headers : "", "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      char *colon = strstr (*line, ": ");
      if (colon == NULL)
        continue;
      *colon = '\0';
      g_autofree char *value = g_utf8_make_valid (colon + 2, -1);
      json_object_set_new (object, *line, json_string (value));
    }
  return object;
}

static json_t *
event_json (const MoneyEvent *event)
{
  if (event == NULL)
    return json_null ();
  return json_pack ("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:b}", "kind",
                    money_event_kind_to_text (event->kind), "merchant", row_text (event->merchant), "order",
                    row_text (event->order), "checkout", row_text (event->checkout), "payment",
                    row_text (event->payment), "refund", row_text (event->refund), "dispute",
                    row_text (event->dispute), "amount", (json_int_t)event->amount_minor, "currency",
                    row_text (event->currency), "live", event->is_live);
}

/* The row of the ledger that stands for @event, whoever reported it first; null if there is none. */
static json_t *
ledger_json (Db *db, const char *provider, const MoneyEvent *event, GError **error)
{
  g_autofree char *id = event != NULL ? money_event_dup_ledger_id (event) : NULL;
  if (id == NULL)
    return json_null ();
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT seq, purchase, amount_minor, source, recorded_us FROM ledger WHERE provider = ? AND"
                  " id = ? AND kind = ?",
                  "sss", provider, id, money_event_kind_to_text (event->kind));
  if (!turn_find (query, &is_found, error) || !is_found)
    return json_null ();
  return json_pack ("{s:I, s:s, s:I, s:s, s:o}", "row", (json_int_t)db_get_int (query, 0), "order",
                    db_get_text (query, 1), "amount", (json_int_t)db_get_int (query, 2), "by",
                    db_get_text (query, 3), "recorded", row_time (db_get_int (query, 4)));
}

static json_t *
order_json (Db *db, const MoneyEvent *event, GError **error)
{
  g_autoptr (Purchase) purchase
      = event != NULL && event->order != NULL ? purchase_load (db, event->order, error) : NULL;
  return row_text (purchase != NULL ? phase_to_text (purchase->phase) : NULL);
}

static gboolean
show_rows (Market *market, Db *db, const ControlCall *call, json_t *rows, char **refusal, GError **error)
{
  const char *id = control_call_get_text (call, "ID");
  gboolean is_ambiguous;
  GError *local = NULL;
  g_autoptr (DeliveryRecord) record = delivery_find (&market->desk, db, id, &is_ambiguous, &local);
  if (record == NULL)
    {
      if (local != NULL)
        g_propagate_error (error, local);
      else
        *refusal = refuse_unknown (id, is_ambiguous);
      return *refusal != NULL;
    }

  gsize length;
  const char *body = g_bytes_get_data (record->body, &length);
  g_autofree char *text = g_utf8_make_valid (body, (gssize)length);
  g_autofree char *hash = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *)body, length);
  g_autoptr (GError) unreadable = NULL;
  g_autoptr (MoneyEvent) event = delivery_read_event (&market->desk, record, &unreadable);
  json_t *ledger = ledger_json (db, record->provider, event, &local);
  json_t *order = local == NULL ? order_json (db, event, &local) : NULL;
  json_array_append_new (
      rows,
      json_pack ("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o*, s:o}",
                 "id", record->webhook_id, "provider", record->provider, "received",
                 row_time (record->received_us), "outcome", row_text (record->outcome), "kept",
                 row_text (record->kept), "state", row_text (record->state), "reason",
                 row_text (record->reason), "note", row_text (record->note), "refund",
                 row_text (record->refund), "key", row_text (record->secret), "headers",
                 headers_json (record->headers), "sha256", hash, "body", text, "event", event_json (event),
                 "ledger", ledger, "order-state", order, "unreadable",
                 row_text (unreadable != NULL ? unreadable->message : NULL)));
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static void
show_delivery (ControlCall *call, gpointer data)
{
  rows_read (data, call, show_rows);
}

/* webhook replay, close, refund */

typedef struct
{
  Market *market;
  ControlCall *call;
  DeliveryRecord *record; /* as the turn read it */
  gboolean is_ambiguous;
  DeliveryReplay replay;
  gboolean is_done;

  MoneyEvent *event; /* of a refund */
  char *refusal;
  ProviderOutcome outcome;
  char *refund, *note;
} Work;

static Work *
work_new (Market *market, ControlCall *call)
{
  Work *work = g_new0 (Work, 1);
  work->market = market;
  work->call = call;
  return work;
}

static void
work_free (gpointer data)
{
  Work *work = data;
  delivery_record_free (work->record);
  delivery_replay_clear (&work->replay);
  money_event_free (work->event);
  g_free (work->refusal);
  g_free (work->refund);
  g_free (work->note);
  g_free (work);
}

/* The server stops before the provider's answer: the same command later is the same refund. */
static void
work_cancel (gpointer data)
{
  Work *work = data;
  control_call_refuse (work->call, "the server stops; run it again, it is the same refund");
  work_free (work);
}

/* FALSE also if there is none, and then without @error. */
static gboolean
find (Turn *turn, Work *work, GError **error)
{
  g_clear_pointer (&work->record, delivery_record_free);
  work->record = delivery_find (turn->desk, turn->db, control_call_get_text (work->call, "ID"),
                                &work->is_ambiguous, error);
  return work->record != NULL;
}

/* Ends the call if the write failed or there is no such delivery. */
static gboolean
end_early (Work *work, const GError *error)
{
  if (error == NULL && work->record != NULL)
    return FALSE;
  g_autofree char *reason
      = error == NULL ? refuse_unknown (control_call_get_text (work->call, "ID"), work->is_ambiguous) : NULL;
  control_call_refuse (work->call, "%s", error != NULL ? error->message : reason);
  work_free (work);
  return TRUE;
}

static gboolean
replay_work (Turn *turn, gpointer data, GError **error)
{
  Work *work = data;
  GError *local = NULL;
  if (!find (turn, work, &local))
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local == NULL;
    }
  return delivery_replay (turn, work->record, &work->replay, error);
}

static void
replay_done (Market *market, gpointer data, const GError *error)
{
  Work *work = data;
  if (end_early (work, error))
    return;
  const DeliveryReplay *replay = &work->replay;
  if (replay->is_closed)
    control_call_refuse (work->call, "'%s' is %s: %s", work->record->webhook_id, work->record->state,
                         work->record->note != NULL ? work->record->note : "its money is being given back");
  else
    control_call_done_with (
        work->call, json_pack ("{s:s, s:s, s:s, s:b, s:o, s:o}", "id", work->record->webhook_id, "provider",
                               work->record->provider, "outcome",
                               replay->is_poison ? "poison" : books_outcome_to_text (replay->books),
                               "changed", !replay->is_poison && replay->books == BOOKS_APPLIED, "order",
                               row_text (replay->order), "reason", row_text (replay->reason)));
  work_free (work);
}

static void
replay (ControlCall *call, gpointer data)
{
  market_write (data, replay_work, replay_done, work_new (data, call));
}

static gboolean
close_work (Turn *turn, gpointer data, GError **error)
{
  Work *work = data;
  GError *local = NULL;
  if (!find (turn, work, &local))
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local == NULL;
    }
  const char *note = control_call_get_text (work->call, "--note");
  work->is_done = FALSE;
  return work->record->kept == NULL
         || delivery_close (turn, work->record->kept, note != NULL ? note : "", &work->is_done, error);
}

static void
close_done (Market *market, gpointer data, const GError *error)
{
  Work *work = data;
  if (end_early (work, error))
    return;
  if (work->is_done)
    control_call_done_with (work->call, json_pack ("{s:s, s:s, s:s}", "id", work->record->webhook_id, "kept",
                                                   work->record->kept, "state", "closed"));
  else
    control_call_refuse (work->call, "'%s' does not wait for anybody", work->record->webhook_id);
  work_free (work);
}

static void
close_delivery (ControlCall *call, gpointer data)
{
  market_write (data, close_work, close_done, work_new (data, call));
}

/* Why the payment of @work must not be given back by us; NULL if it may. */
static char *
find_objection (Turn *turn, Work *work, const Provider *provider, GError **error)
{
  const MoneyEvent *event = work->event;
  if (work->record->kept == NULL)
    return g_strdup ("it does not wait for anybody");
  if (provider == NULL || event == NULL)
    return g_strdup ("it cannot be read");
  if (event->kind != MONEY_PAYMENT)
    return g_strdup_printf ("it is no payment but: %s", money_event_kind_to_text (event->kind));
  if (event->is_live != provider->is_live
      || (event->merchant != NULL && !g_str_equal (event->merchant, provider->merchant)))
    return g_strdup ("the payment is not of this merchant and mode");
  gboolean is_booked;
  g_autoptr (DbQuery) query
      = db_query (turn->db, "SELECT purchase FROM ledger WHERE provider = ? AND id = ? AND kind = 'payment'",
                  "ss", provider->name, event->payment);
  if (!turn_find (query, &is_booked, error) || !is_booked)
    return NULL;
  return g_strdup_printf ("the ledger has this payment with order %s: refund that one",
                          db_get_text (query, 0));
}

static gboolean
begin_refund_work (Turn *turn, gpointer data, GError **error)
{
  Work *work = data;
  GError *local = NULL;
  g_clear_pointer (&work->refusal, g_free);
  g_clear_pointer (&work->event, money_event_free);
  if (find (turn, work, &local))
    {
      work->event = delivery_read_event (turn->desk, work->record, NULL);
      work->refusal
          = find_objection (turn, work, desk_find_provider (turn->desk, work->record->provider), &local);
    }
  if (local == NULL && work->record != NULL && work->refusal == NULL)
    {
      if (delivery_begin_refund (turn, work->record->kept, work->event->payment, &work->is_done, &local)
          && !work->is_done)
        work->refusal = g_strdup ("it does not wait for anybody");
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
end_refund_work (Turn *turn, gpointer data, GError **error)
{
  Work *work = data;
  return delivery_end_refund (turn, work->record->kept, work->refund, work->note, error);
}

static void
end_refund_done (Market *market, gpointer data, const GError *error)
{
  Work *work = data;
  if (error != NULL)
    control_call_refuse (work->call,
                         "the provider's answer could not be stored: %s; run it again, it is the same "
                         "refund",
                         error->message);
  else if (work->refund == NULL)
    control_call_refuse (work->call, "%s", work->note);
  else
    control_call_done_with (work->call,
                            json_pack ("{s:s, s:s, s:s, s:I, s:o, s:s}", "id", work->record->webhook_id,
                                       "payment", work->event->payment, "refund", work->refund, "amount",
                                       (json_int_t)work->event->amount_minor, "currency",
                                       row_text (work->event->currency), "state", "closed"));
  work_free (work);
}

static void
got_refund (const ProviderReply *reply, gpointer data)
{
  Work *work = data;
  market_end_call (work->market, work);
  gboolean is_refused = reply->outcome == PROVIDER_REFUSED || reply->outcome == PROVIDER_CONFLICT
                        || (reply->outcome == PROVIDER_OK && reply->refund_status == PROVIDER_REFUND_REFUSED);
  if (reply->outcome != PROVIDER_OK && !is_refused)
    {
      control_call_refuse (work->call,
                           "it is not certain whether it was refunded: %s; run it again, it is the same "
                           "refund",
                           reply->reason);
      work_free (work);
      return;
    }
  const char *why = control_call_get_text (work->call, "--note");
  if (is_refused)
    work->note = g_strdup_printf ("the provider refused the refund: %s", reply->reason);
  else
    {
      work->refund = g_strdup (reply->refund);
      work->note = g_strdup_printf ("refunded%s%s", why != NULL ? ": " : "", why != NULL ? why : "");
    }
  market_write (work->market, end_refund_work, end_refund_done, work);
}

static void
begin_refund_done (Market *market, gpointer data, const GError *error)
{
  Work *work = data;
  if (end_early (work, error))
    return;
  Provider *provider = desk_find_provider (&market->desk, work->record->provider);
  if (work->refusal != NULL || market->is_closing)
    {
      control_call_refuse (work->call, "cannot refund '%s': %s", work->record->webhook_id,
                           work->refusal != NULL ? work->refusal : "the server stops");
      work_free (work);
      return;
    }
  RefundRequest request = {
    .key = work->record->kept,
    .payment = work->event->payment,
    .amount_minor = work->event->amount_minor,
    .currency = work->event->currency,
    .reason = "no such order",
  };
  market_begin_call (market, work, work_cancel);
  provider->type->create_refund (provider, &request, got_refund, work);
}

static void
refund (ControlCall *call, gpointer data)
{
  market_write (data, begin_refund_work, begin_refund_done, work_new (data, call));
}

void
delivery_commands_init (Market *market)
{
  static const ControlArgument log[] = {
    { "PROVIDER", CONTROL_TEXT, TRUE }, { "--since", CONTROL_VALUE }, { "--outcome", CONTROL_VALUE }, { NULL }
  };
  static const ControlArgument id[] = { { "ID", CONTROL_TEXT }, { NULL } };
  static const ControlArgument id_note[] = { { "ID", CONTROL_TEXT }, { "--note", CONTROL_VALUE }, { NULL } };
  const ControlCommand commands[] = {
    { "webhook log", log, NULL, TRUE,
      "authentic deliveries and what they meant, newest first; forged ones are "
      "counted, not kept",
      show_log, market },
    { "webhook show", id, NULL, FALSE, "a delivery with its headers, its body and what it did", show_delivery,
      market },
    { "webhook replay", id, NULL, FALSE, "take a kept delivery again, as if it had just arrived", replay,
      market },
    { "webhook close", id_note, NULL, FALSE, "an unmatched delivery is dealt with: report it no more",
      close_delivery, market },
    { "webhook refund", id_note, NULL, FALSE, "give an unmatched payment back, whole, and close it", refund,
      market },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (market->server->controls, &commands[i]);
}
