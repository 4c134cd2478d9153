#include "billing-stub/ledger.h"

#include "billing-stub/ledger-schema.h"
#include "common/base/db.h"
#include "common/base/id.h"
#include "common/net/webhook.h"

#include <stdlib.h>
#include <string.h>

struct Ledger
{
  Db *db;
  const Clock *clock;
  char *merchant;
  Faults *faults;
  guint n_events; /* since the start, for FAULT_REORDER */
};

Ledger *
ledger_open (const char *folder, const Clock *clock, const char *merchant, Faults *faults, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "ledger.db", NULL);
  g_autoptr (Db) db = db_open (path, DB_OPEN_NORMAL, error);
  if (db == NULL || !db_migrate (db, schema, G_N_ELEMENTS (schema), error)
      || !db_run (db, error, "UPDATE events SET status = 'waiting' WHERE status = 'sending'", ""))
    return NULL;
  Ledger *ledger = g_new0 (Ledger, 1);
  ledger->db = g_steal_pointer (&db);
  ledger->clock = clock;
  ledger->merchant = g_strdup (merchant);
  ledger->faults = faults;
  return ledger;
}

void
ledger_close (Ledger *ledger)
{
  if (ledger == NULL)
    return;
  db_close (ledger->db);
  g_free (ledger->merchant);
  g_free (ledger);
}

void
checkout_free (Checkout *checkout)
{
  if (checkout == NULL)
    return;
  g_free (checkout->id);
  g_free (checkout->order);
  g_free (checkout->description);
  g_free (checkout->buyer);
  g_free (checkout->callback);
  g_free (checkout->currency);
  g_free (checkout->token);
  g_free (checkout);
}

const char *
checkout_status_get_name (CheckoutStatus status)
{
  static const char *const names[] = { [CHECKOUT_OPEN] = "open",
                                       [CHECKOUT_PAID] = "paid",
                                       [CHECKOUT_DECLINED] = "declined",
                                       [CHECKOUT_EXPIRED] = "expired" };
  return names[status];
}

void
ledger_event_free (LedgerEvent *event)
{
  if (event == NULL)
    return;
  g_free (event->id);
  g_free (event->callback);
  g_free (event->body);
  g_free (event);
}

static char *
new_id (const char *prefix)
{
  g_autofree char *random = id_new_random (16);
  return g_strconcat (prefix, random, NULL);
}

/* Ends the transaction that its caller began: what was not done is undone. */
static LedgerOutcome
conclude (Ledger *ledger, LedgerOutcome outcome, GError **error)
{
  if (outcome == LEDGER_DONE && db_commit (ledger->db, error))
    return LEDGER_DONE;
  db_rollback (ledger->db);
  return outcome == LEDGER_DONE ? LEDGER_FAILED : outcome;
}

/* --- events */

/* What an event is about; NULL where it is not about such a thing. */
typedef struct
{
  const char *type, *payment, *refund, *dispute;
  gint64 amount;
} News;

static char *
dup_event_body (Ledger *ledger, const Checkout *checkout, const News *news)
{
  gboolean is_other_currency = faults_take (ledger->faults, FAULT_CURRENCY);
  gboolean is_other_merchant = faults_take (ledger->faults, FAULT_MERCHANT);
  gboolean is_live = !faults_take (ledger->faults, FAULT_TEST_MODE);
  const char *currency = !is_other_currency                        ? checkout->currency
                         : strcmp (checkout->currency, "XTS") == 0 ? "XXX"
                                                                   : "XTS";
  g_autofree char *timestamp = clock_dup_rfc3339 (clock_get_wall_us (ledger->clock));
  json_t *body = json_pack (
      "{s:s, s:s, s:{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:I, s:s, s:b}}", "type", news->type, "timestamp",
      timestamp, "data", "merchant", is_other_merchant ? "somebody-else" : ledger->merchant, "order",
      checkout->order, "checkout", checkout->id, "payment", news->payment, "refund", news->refund, "dispute",
      news->dispute, "amount", (json_int_t)news->amount, "currency", currency, "live", is_live);
  char *text = json_dumps (body, JSON_COMPACT), *copy = g_strdup (text);
  free (text);
  json_decref (body);
  return copy;
}

/* Where an event begins: whether its address still wants any. */
static const char *
first_status (Ledger *ledger, const Checkout *checkout, gboolean is_dropped, GError **error)
{
  if (is_dropped)
    return "dropped";
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (ledger->db, "SELECT 1 FROM disabled_callbacks WHERE callback = ?", "s", checkout->callback);
  gboolean is_disabled = db_next (query, &local);
  if (local == NULL)
    return is_disabled ? "disabled" : "waiting";
  g_propagate_error (error, local);
  return NULL;
}

static gboolean
tell (Ledger *ledger, const Checkout *checkout, const News *news, GError **error)
{
  gint64 now_us = clock_get_wall_us (ledger->clock);
  gint64 late_ms = faults_get (ledger->faults, FAULT_DELAY);
  if (ledger->n_events++ % 2 == 0)
    late_ms += faults_get (ledger->faults, FAULT_REORDER);
  g_autofree char *body = dup_event_body (ledger, checkout, news);
  gboolean is_dropped = faults_take (ledger->faults, FAULT_DROP);
  const char *status = first_status (ledger, checkout, is_dropped, error);
  if (status == NULL)
    return FALSE;
  gint64 n_more = is_dropped ? 0 : faults_get (ledger->faults, FAULT_RENUMBER);
  for (gint64 i = 0; i <= n_more; i++)
    {
      g_autofree char *id = webhook_new_id ();
      if (!db_run (
              ledger->db, error,
              "INSERT INTO events (id, callback, body, attempt, due_us, status) VALUES (?, ?, ?, 0, ?, ?)",
              "sssis", id, checkout->callback, body, now_us + late_ms * 1000, status))
        return FALSE;
    }
  return TRUE;
}

GPtrArray *
ledger_take_due (Ledger *ledger, guint n_most, gint64 *next_us, GError **error)
{
  *next_us = G_MAXINT64;
  gint64 now_us = clock_get_wall_us (ledger->clock);
  g_autoptr (GPtrArray) due = g_ptr_array_new_with_free_func ((GDestroyNotify)ledger_event_free);
  GError *local = NULL;
  {
    g_autoptr (DbQuery) query = db_query (ledger->db,
                                          "SELECT id, callback, body, attempt, due_us FROM events"
                                          " WHERE status = 'waiting' ORDER BY due_us, number LIMIT ?",
                                          "i", (gint64)n_most + 1);
    while (db_next (query, &local))
      {
        gint64 due_us = db_get_int (query, 4);
        if (due_us > now_us || due->len == n_most)
          {
            *next_us = due_us;
            break;
          }
        LedgerEvent *event = g_new0 (LedgerEvent, 1);
        event->id = db_dup_text (query, 0);
        event->callback = db_dup_text (query, 1);
        event->body = db_dup_text (query, 2);
        event->attempt = (guint)db_get_int (query, 3);
        g_ptr_array_add (due, event);
      }
  }
  for (guint i = 0; local == NULL && i < due->len; i++)
    db_run (ledger->db, &local, "UPDATE events SET status = 'sending' WHERE id = ?", "s",
            ((LedgerEvent *)due->pdata[i])->id);
  if (local == NULL)
    return g_steal_pointer (&due);
  g_propagate_error (error, local);
  return NULL;
}

gboolean
ledger_settle_event (Ledger *ledger, const LedgerEvent *event, EventResult result, gint64 retry_us,
                     GError **error)
{
  static const char *const status[] = { [EVENT_DELIVERED] = "delivered",
                                        [EVENT_RETRY] = "waiting",
                                        [EVENT_GIVEN_UP] = "failed",
                                        [EVENT_DISABLED] = "disabled" };
  if (!db_run (ledger->db, error,
               "UPDATE events SET status = ?, due_us = ?, attempt = attempt + 1 WHERE id = ?", "sis",
               status[result], retry_us, event->id))
    return FALSE;
  return result != EVENT_DISABLED
         || (db_run (ledger->db, error, "INSERT INTO disabled_callbacks VALUES (?, ?) ON CONFLICT DO NOTHING",
                     "si", event->callback, clock_get_wall_us (ledger->clock))
             && db_run (ledger->db, error,
                        "UPDATE events SET status = 'disabled' WHERE status = 'waiting' AND callback IN"
                        " (SELECT callback FROM disabled_callbacks)",
                        ""));
}

/* --- checkouts */

/* Whether @key was used before: *@id is what for, and DONE or KEY_REUSED says whether by the same request. */
static LedgerOutcome
find_key (Ledger *ledger, const char *sql, const char *key, const char *request, char **id, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (ledger->db, sql, "s", key);
  if (!db_next (query, &local))
    {
      if (local == NULL)
        return LEDGER_NOT_FOUND;
      g_propagate_error (error, local);
      return LEDGER_FAILED;
    }
  if (strcmp (db_get_text (query, 1), request) != 0)
    return LEDGER_KEY_REUSED;
  *id = db_dup_text (query, 0);
  return LEDGER_DONE;
}

LedgerOutcome
ledger_create (Ledger *ledger, const char *key, const char *request, const Checkout *wanted, char **id,
               GError **error)
{
  LedgerOutcome known = find_key (ledger, "SELECT id, request FROM checkouts WHERE idempotency_key = ?", key,
                                  request, id, error);
  if (known != LEDGER_NOT_FOUND)
    return known;
  gint64 now_us = clock_get_wall_us (ledger->clock);
  if (wanted->expires_us <= now_us)
    return LEDGER_REFUSED;
  g_autofree char *fresh = new_id ("co_"), *token = id_new_random (16);
  if (!db_run (ledger->db, error,
               "INSERT INTO checkouts (id, idempotency_key, request, merchant_order, amount, currency, "
               "description,"
               " buyer, callback, token, expires_us, status, touched_us)"
               " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
               "ssssisssssii", fresh, key, request, wanted->order, wanted->amount, wanted->currency,
               wanted->description, wanted->buyer, wanted->callback, token, wanted->expires_us, now_us))
    return LEDGER_FAILED;
  *id = g_steal_pointer (&fresh);
  return LEDGER_DONE;
}

Checkout *
ledger_find (Ledger *ledger, const char *id, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      ledger->db,
      "SELECT id, merchant_order, description, buyer, callback, currency, token, amount, expires_us, status,"
      " (SELECT COALESCE (SUM (amount), 0) FROM payments WHERE checkout = checkouts.id)"
      " FROM checkouts WHERE id = ?",
      "s", id);
  if (!db_next (query, error))
    return NULL;
  Checkout *checkout = g_new0 (Checkout, 1);
  checkout->id = db_dup_text (query, 0);
  checkout->order = db_dup_text (query, 1);
  checkout->description = db_dup_text (query, 2);
  checkout->buyer = db_dup_text (query, 3);
  checkout->callback = db_dup_text (query, 4);
  checkout->currency = db_dup_text (query, 5);
  checkout->token = db_dup_text (query, 6);
  checkout->amount = db_get_int (query, 7);
  checkout->expires_us = db_get_int (query, 8);
  checkout->status = (CheckoutStatus)db_get_int (query, 9);
  checkout->paid = db_get_int (query, 10);
  return checkout;
}

/* The rows of @sql for @id, each as an object of @keys; a column whose key is "amount" is a number. */
static json_t *
list_rows (Ledger *ledger, const char *sql, const char *id, const char *const *keys, GError **error)
{
  json_t *rows = json_array ();
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (ledger->db, sql, "s", id);
  while (db_next (query, &local))
    {
      json_t *row = json_object ();
      for (int i = 0; keys[i] != NULL; i++)
        json_object_set_new (row, keys[i],
                             strcmp (keys[i], "amount") == 0 ? json_integer (db_get_int (query, i))
                                                             : json_string (db_get_text (query, i)));
      json_array_append_new (rows, row);
    }
  if (local == NULL)
    return rows;
  g_propagate_error (error, local);
  json_decref (rows);
  return NULL;
}

json_t *
ledger_describe (Ledger *ledger, const Checkout *checkout, GError **error)
{
  static const char *const payment_keys[] = { "payment", "amount", NULL };
  static const char *const refund_keys[] = { "refund", "amount", "status", NULL };
  static const char *const dispute_keys[] = { "dispute", "status", NULL };
  json_t *payments
      = list_rows (ledger, "SELECT id, amount FROM payments WHERE checkout = ? ORDER BY created_us, id",
                   checkout->id, payment_keys, error);
  size_t i;
  json_t *payment;
  gboolean is_whole = payments != NULL;
  json_array_foreach (payments, i, payment)
  {
    const char *id = json_string_value (json_object_get (payment, "payment"));
    json_t *refunds
        = list_rows (ledger, "SELECT id, amount, status FROM refunds WHERE payment = ? ORDER BY id", id,
                     refund_keys, is_whole ? error : NULL);
    json_t *disputes = list_rows (ledger, "SELECT id, status FROM disputes WHERE payment = ?", id,
                                  dispute_keys, is_whole && refunds != NULL ? error : NULL);
    is_whole = is_whole && refunds != NULL && disputes != NULL;
    json_object_set_new (payment, "refunds", refunds);
    json_object_set_new (payment, "disputes", disputes);
  }
  if (!is_whole)
    {
      json_decref (payments);
      return NULL;
    }
  return json_pack ("{s:s, s:s, s:s, s:I, s:s, s:o}", "checkout", checkout->id, "order", checkout->order,
                    "status", checkout_status_get_name (checkout->status), "amount",
                    (json_int_t)checkout->amount, "currency", checkout->currency, "payments", payments);
}

GStrv
ledger_list_since (Ledger *ledger, gint64 since_us, guint n_most, gint64 *last_us, GError **error)
{
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      ledger->db,
      "SELECT id, touched_us FROM checkouts WHERE touched_us >= ? ORDER BY touched_us, id LIMIT ?", "ii",
      since_us, (gint64)n_most);
  while (db_next (query, &local))
    {
      g_strv_builder_add (ids, db_get_text (query, 0));
      *last_us = db_get_int (query, 1);
    }
  if (local == NULL)
    return g_strv_builder_end (ids);
  g_propagate_error (error, local);
  return NULL;
}

static gboolean
set_status (Ledger *ledger, Checkout *checkout, CheckoutStatus status, GError **error)
{
  checkout->status = status;
  return db_run (ledger->db, error, "UPDATE checkouts SET status = ?, touched_us = ? WHERE id = ?", "iis",
                 (gint64)status, clock_get_wall_us (ledger->clock), checkout->id);
}

/* A change to one checkout, inside a transaction. */
typedef LedgerOutcome (*CheckoutChange) (Ledger *ledger, Checkout *checkout, GError **error);

static LedgerOutcome
change (Ledger *ledger, const char *id, CheckoutChange func, GError **error)
{
  if (!ledger_expire (ledger, error) || !db_begin (ledger->db, error))
    return LEDGER_FAILED;
  GError *local = NULL;
  g_autoptr (Checkout) checkout = ledger_find (ledger, id, &local);
  LedgerOutcome outcome = local != NULL ? LEDGER_FAILED : LEDGER_NOT_FOUND;
  if (checkout != NULL)
    outcome = func (ledger, checkout, &local);
  if (local != NULL)
    g_propagate_error (error, local);
  return conclude (ledger, outcome, local == NULL ? error : NULL);
}

static LedgerOutcome
pay (Ledger *ledger, Checkout *checkout, GError **error)
{
  gboolean is_closed = checkout->status == CHECKOUT_DECLINED || checkout->status == CHECKOUT_EXPIRED;
  if (checkout->status == CHECKOUT_PAID || (is_closed && !faults_take (ledger->faults, FAULT_LATE)))
    return LEDGER_CLOSED;
  gint64 amount = checkout->amount - checkout->paid;
  if (checkout->paid == 0)
    amount = MAX (1, amount - faults_get (ledger->faults, FAULT_UNDERPAY)
                         + faults_get (ledger->faults, FAULT_OVERPAY));
  g_autofree char *payment = new_id ("pay_");
  if (!db_run (ledger->db, error,
               "INSERT INTO payments (id, checkout, amount, created_us) VALUES (?, ?, ?, ?)", "ssii", payment,
               checkout->id, amount, clock_get_wall_us (ledger->clock)))
    return LEDGER_FAILED;
  checkout->paid += amount;
  CheckoutStatus status = checkout->paid >= checkout->amount ? CHECKOUT_PAID : checkout->status;
  News news = { .type = "checkout.paid", .payment = payment, .amount = amount };
  return set_status (ledger, checkout, status, error) && tell (ledger, checkout, &news, error)
             ? LEDGER_DONE
             : LEDGER_FAILED;
}

static LedgerOutcome
decline (Ledger *ledger, Checkout *checkout, GError **error)
{
  if (checkout->status == CHECKOUT_DECLINED)
    return LEDGER_DONE;
  if (checkout->status != CHECKOUT_OPEN)
    return LEDGER_CLOSED;
  News news = { .type = "checkout.declined", .amount = checkout->amount };
  return set_status (ledger, checkout, CHECKOUT_DECLINED, error) && tell (ledger, checkout, &news, error)
             ? LEDGER_DONE
             : LEDGER_FAILED;
}

/* The merchant knows what it cancelled: no event. */
static LedgerOutcome
cancel (Ledger *ledger, Checkout *checkout, GError **error)
{
  if (checkout->status == CHECKOUT_PAID)
    return LEDGER_CLOSED;
  if (checkout->status != CHECKOUT_OPEN)
    return LEDGER_DONE;
  return set_status (ledger, checkout, CHECKOUT_DECLINED, error) ? LEDGER_DONE : LEDGER_FAILED;
}

LedgerOutcome
ledger_pay (Ledger *ledger, const char *id, GError **error)
{
  return change (ledger, id, pay, error);
}

LedgerOutcome
ledger_decline (Ledger *ledger, const char *id, GError **error)
{
  return change (ledger, id, decline, error);
}

LedgerOutcome
ledger_cancel (Ledger *ledger, const char *id, GError **error)
{
  return change (ledger, id, cancel, error);
}

/* The ids that @sql finds for the time now. */
static GStrv
list_due (Ledger *ledger, const char *sql, GError **error)
{
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (ledger->db, sql, "i", clock_get_wall_us (ledger->clock));
  while (db_next (query, &local))
    g_strv_builder_add (ids, db_get_text (query, 0));
  if (local == NULL)
    return g_strv_builder_end (ids);
  g_propagate_error (error, local);
  return NULL;
}

static LedgerOutcome
expire_one (Ledger *ledger, const char *id, GError **error)
{
  GError *local = NULL;
  g_autoptr (Checkout) checkout = ledger_find (ledger, id, &local);
  if (checkout == NULL)
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local != NULL ? LEDGER_FAILED : LEDGER_DONE;
    }
  News news = { .type = "checkout.expired", .amount = checkout->amount };
  return set_status (ledger, checkout, CHECKOUT_EXPIRED, error) && tell (ledger, checkout, &news, error)
             ? LEDGER_DONE
             : LEDGER_FAILED;
}

/* Runs @func on each of @ids in a transaction of its own. */
static gboolean
for_each (Ledger *ledger, GStrv ids, LedgerOutcome (*func) (Ledger *, const char *, GError **),
          GError **error)
{
  for (char **id = ids; *id != NULL; id++)
    if (!db_begin (ledger->db, error) || conclude (ledger, func (ledger, *id, error), error) != LEDGER_DONE)
      return FALSE;
  return TRUE;
}

gboolean
ledger_expire (Ledger *ledger, GError **error)
{
  g_auto (GStrv) ids
      = list_due (ledger, "SELECT id FROM checkouts WHERE status = 0 AND expires_us <= ? LIMIT 100", error);
  return ids != NULL && for_each (ledger, ids, expire_one, error);
}

/* --- refunds and disputes */

/* The checkout of a payment; NULL without @error: there is no such payment. */
static Checkout *
find_by_payment (Ledger *ledger, const char *payment, gint64 *amount, gint64 *refunded, GError **error)
{
  g_autofree char *id = NULL;
  {
    g_autoptr (DbQuery) query
        = db_query (ledger->db,
                    "SELECT checkout, amount, (SELECT COALESCE (SUM (amount), 0) FROM refunds"
                    " WHERE payment = payments.id AND status <> 'refused') FROM payments WHERE id = ?",
                    "s", payment);
    if (!db_next (query, error))
      return NULL;
    id = db_dup_text (query, 0);
    *amount = db_get_int (query, 1);
    *refunded = db_get_int (query, 2);
  }
  return ledger_find (ledger, id, error);
}

static gboolean
touch (Ledger *ledger, const Checkout *checkout, GError **error)
{
  return db_run (ledger->db, error, "UPDATE checkouts SET touched_us = ? WHERE id = ?", "is",
                 clock_get_wall_us (ledger->clock), checkout->id);
}

static LedgerOutcome
refund (Ledger *ledger, const char *key, const char *request, const char *payment, gint64 amount,
        const char *currency, const char *reason, char **id, GError **error)
{
  GError *local = NULL;
  gint64 paid = 0, refunded = 0;
  g_autoptr (Checkout) checkout = find_by_payment (ledger, payment, &paid, &refunded, &local);
  if (checkout == NULL)
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local != NULL ? LEDGER_FAILED : LEDGER_NOT_FOUND;
    }
  if (strcmp (currency, checkout->currency) != 0 || amount > paid - refunded)
    return LEDGER_REFUSED;
  gint64 pending_ms = faults_get (ledger->faults, FAULT_PENDING_REFUND);
  const char *status = faults_take (ledger->faults, FAULT_REFUSE_REFUND) ? "refused"
                       : pending_ms > 0                                  ? "pending"
                                                                         : "done";
  g_autofree char *fresh = new_id ("re_");
  News news = { .type = "payment.refunded", .payment = payment, .refund = fresh, .amount = amount };
  if (!db_run (ledger->db, error,
               "INSERT INTO refunds (id, idempotency_key, request, payment, amount, currency, reason, "
               "status, due_us)"
               " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
               "ssssisssi", fresh, key, request, payment, amount, currency, reason, status,
               clock_get_wall_us (ledger->clock) + pending_ms * 1000)
      || !touch (ledger, checkout, error)
      || (strcmp (status, "done") == 0 && !tell (ledger, checkout, &news, error)))
    return LEDGER_FAILED;
  *id = g_steal_pointer (&fresh);
  return LEDGER_DONE;
}

LedgerOutcome
ledger_refund (Ledger *ledger, const char *key, const char *request, const char *payment, gint64 amount,
               const char *currency, const char *reason, char **id, GError **error)
{
  LedgerOutcome known = find_key (ledger, "SELECT id, request FROM refunds WHERE idempotency_key = ?", key,
                                  request, id, error);
  if (known != LEDGER_NOT_FOUND)
    return known;
  if (!db_begin (ledger->db, error))
    return LEDGER_FAILED;
  return conclude (ledger, refund (ledger, key, request, payment, amount, currency, reason, id, error),
                   error);
}

json_t *
ledger_describe_refund (Ledger *ledger, const char *id, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      ledger->db, "SELECT id, payment, amount, currency, status FROM refunds WHERE id = ?", "s", id);
  if (!db_next (query, error))
    return NULL;
  return json_pack ("{s:s, s:s, s:I, s:s, s:s}", "refund", db_get_text (query, 0), "payment",
                    db_get_text (query, 1), "amount", (json_int_t)db_get_int (query, 2), "currency",
                    db_get_text (query, 3), "status", db_get_text (query, 4));
}

static LedgerOutcome
settle_one (Ledger *ledger, const char *id, GError **error)
{
  json_t *row = ledger_describe_refund (ledger, id, error);
  if (row == NULL)
    return LEDGER_FAILED;
  gint64 paid, refunded;
  const char *payment = json_string_value (json_object_get (row, "payment"));
  g_autoptr (Checkout) checkout = find_by_payment (ledger, payment, &paid, &refunded, error);
  News news = { .type = "payment.refunded",
                .payment = payment,
                .refund = id,
                .amount = json_integer_value (json_object_get (row, "amount")) };
  gboolean is_done = checkout != NULL
                     && db_run (ledger->db, error, "UPDATE refunds SET status = 'done' WHERE id = ?", "s", id)
                     && touch (ledger, checkout, error) && tell (ledger, checkout, &news, error);
  json_decref (row);
  return is_done ? LEDGER_DONE : LEDGER_FAILED;
}

gboolean
ledger_settle_refunds (Ledger *ledger, GError **error)
{
  g_auto (GStrv) ids
      = list_due (ledger, "SELECT id FROM refunds WHERE status = 'pending' AND due_us <= ? LIMIT 100", error);
  return ids != NULL && for_each (ledger, ids, settle_one, error);
}

static LedgerOutcome
dispute (Ledger *ledger, const char *payment, const char *action, GError **error)
{
  GError *local = NULL;
  gint64 paid = 0, refunded = 0;
  g_autoptr (Checkout) checkout = find_by_payment (ledger, payment, &paid, &refunded, &local);
  if (local != NULL)
    g_propagate_error (error, local);
  if (checkout == NULL)
    return local != NULL ? LEDGER_FAILED : LEDGER_NOT_FOUND;

  gboolean opens = strcmp (action, "open") == 0;
  g_autofree char *fresh = new_id ("dp_");
  if (!db_run (ledger->db, error,
               opens ? "INSERT INTO disputes (id, payment, status) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
                     : "UPDATE disputes SET status = ?3 WHERE payment = ?2 AND status = 'open' AND ?1 <> ''",
               "sss", fresh, payment, action))
    return LEDGER_FAILED;
  if (db_get_changes (ledger->db) != 1)
    return LEDGER_CLOSED;
  g_autofree char *id = NULL;
  {
    g_autoptr (DbQuery) query
        = db_query (ledger->db, "SELECT id FROM disputes WHERE payment = ?", "s", payment);
    if (!db_next (query, error))
      return LEDGER_FAILED;
    id = db_dup_text (query, 0);
  }
  g_autofree char *type
      = opens ? g_strdup ("payment.disputed") : g_strconcat ("payment.dispute_", action, NULL);
  News news = { .type = type, .payment = payment, .dispute = id, .amount = paid };
  return touch (ledger, checkout, error) && tell (ledger, checkout, &news, error) ? LEDGER_DONE
                                                                                  : LEDGER_FAILED;
}

LedgerOutcome
ledger_dispute (Ledger *ledger, const char *payment, const char *action, GError **error)
{
  if (!db_begin (ledger->db, error))
    return LEDGER_FAILED;
  return conclude (ledger, dispute (ledger, payment, action, error), error);
}
