#include "host-server/market/books.h"

#include "common/base/id.h"
#include "host-server/market/purchases.h"
#include "host-server/market/refunds.h"

static const char *const ledger_kinds[] = {
  [MONEY_PAYMENT] = "payment",
  [MONEY_DECLINED] = NULL,
  [MONEY_EXPIRED] = NULL,
  [MONEY_REFUND] = "refund",
  [MONEY_DISPUTE] = "dispute",
  [MONEY_DISPUTE_WON] = "dispute-won",
  [MONEY_DISPUTE_LOST] = "dispute-lost",
  [MONEY_OTHER] = NULL,
};

static void
book_payment_clear (gpointer data)
{
  BookPayment *payment = data;
  g_free (payment->id);
}

void
books_clear (Books *books)
{
  g_clear_pointer (&books->payments, g_array_unref);
}

static BookPayment *
find_payment (Books *books, const char *id)
{
  for (guint i = 0; i < books->payments->len; i++)
    {
      BookPayment *payment = &g_array_index (books->payments, BookPayment, i);
      if (g_str_equal (payment->id, id))
        return payment;
    }
  return NULL;
}

/* What belongs to a payment, in the order it became known. A refund or dispute that came first stands in
 * @early until its payment is there. */
typedef struct
{
  char *payment;
  gint64 refunded;
} Early;

static void
early_clear (gpointer data)
{
  g_free (((Early *)data)->payment);
}

static void
add_refund (Books *books, GArray *early, const char *payment_id, gint64 amount)
{
  BookPayment *payment = find_payment (books, payment_id);
  if (payment != NULL)
    {
      payment->refunded_minor += amount;
      books->sums.refunded += amount;
      return;
    }
  Early entry = { g_strdup (payment_id), amount };
  g_array_append_val (early, entry);
}

static void
add_payment (Books *books, GArray *early, const char *id, gint64 amount)
{
  BookPayment payment = { g_strdup (id), amount, 0 };
  for (guint i = 0; i < early->len; i++)
    {
      const Early *entry = &g_array_index (early, Early, i);
      if (!g_str_equal (entry->payment, id))
        continue;
      payment.refunded_minor += entry->refunded;
      books->sums.is_reversed = TRUE;
    }
  books->sums.paid += amount;
  books->sums.refunded += payment.refunded_minor;
  g_array_append_val (books->payments, payment);
}

gboolean
books_load (Db *db, const char *purchase, Books *books, GError **error)
{
  books_clear (books);
  *books = (Books){ .payments = g_array_new (FALSE, FALSE, sizeof (BookPayment)) };
  g_array_set_clear_func (books->payments, book_payment_clear);
  g_autoptr (GArray) early = g_array_new (FALSE, FALSE, sizeof (Early));
  g_array_set_clear_func (early, early_clear);
  g_autoptr (GHashTable) disputes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT kind, id, payment, amount_minor FROM ledger WHERE purchase = ? ORDER BY seq",
                  "s", purchase);
  while (db_next (query, &local))
    {
      const char *kind = db_get_text (query, 0), *id = db_get_text (query, 1),
                 *payment = db_get_text (query, 2);
      gint64 amount = db_get_int (query, 3);
      if (g_str_equal (kind, "payment"))
        add_payment (books, early, id, amount);
      else if (g_str_equal (kind, "refund"))
        add_refund (books, early, payment, amount);
      else
        {
          /* won and lost end a dispute, in whatever order they came */
          if (g_str_equal (kind, "dispute") && find_payment (books, payment) == NULL)
            add_refund (books, early, payment, 0);
          const char *known = g_hash_table_lookup (disputes, id);
          if (known == NULL || g_str_equal (known, "dispute"))
            g_hash_table_insert (
                disputes, g_strdup (id),
                (gpointer)(g_str_equal (kind, "dispute") ? "dispute" : g_intern_string (kind)));
        }
    }
  GHashTableIter iter;
  gpointer kind;
  g_hash_table_iter_init (&iter, disputes);
  while (g_hash_table_iter_next (&iter, NULL, &kind))
    {
      books->sums.n_open_disputes += g_str_equal (kind, "dispute");
      books->sums.n_lost_disputes += g_str_equal (kind, "dispute-lost");
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* Writes the event's row. *@outcome is BOOKS_APPLIED if it is new, BOOKS_KNOWN if the same is there already.
 */
static gboolean
record (Turn *turn, const Provider *provider, const MoneyEvent *event, const char *source,
        BooksOutcome *outcome, const char **reason, GError **error)
{
  const char *kind = ledger_kinds[event->kind];
  const char *id = event->kind == MONEY_PAYMENT  ? event->payment
                   : event->kind == MONEY_REFUND ? event->refund
                                                 : event->dispute;
  if (!db_run (turn->db, error,
               "INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us)"
               " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (provider, id, kind) DO NOTHING",
               "sssssisi", provider->name, id, kind, event->order, event->payment, event->amount_minor,
               source, turn->now_us))
    return FALSE;
  *outcome = BOOKS_APPLIED;
  if (db_get_changes (turn->db) == 1)
    return TRUE;

  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "SELECT purchase, payment, amount_minor FROM ledger WHERE provider = ? AND id = ? AND kind = ?", "sss",
      provider->name, id, kind);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  gboolean is_same = is_found && g_str_equal (db_get_text (query, 0), event->order)
                     && g_str_equal (db_get_text (query, 1), event->payment)
                     && db_get_int (query, 2) == event->amount_minor;
  *outcome = is_same ? BOOKS_KNOWN : BOOKS_MISMATCH;
  *reason = "the ledger has this id with another order, payment or amount";
  return TRUE;
}

/* The provider knows of the checkout before our own request's answer was committed. */
static gboolean
learn_checkout (Turn *turn, Purchase *purchase, const MoneyEvent *event, GError **error)
{
  if (purchase->checkout == NULL)
    purchase->checkout = g_strdup (event->checkout);
  return purchase->phase != PHASE_CREATED
         || purchase_apply (turn, purchase, EVENT_CHECKOUT_MADE, NULL, error);
}

gboolean
books_apply (Turn *turn, const Provider *provider, const MoneyEvent *event, const char *source,
             BooksOutcome *outcome, const char **reason, GError **error)
{
  *reason = "";
  *outcome = BOOKS_IGNORED;
  if (event->kind == MONEY_OTHER)
    return TRUE;
  *outcome = BOOKS_OTHER_MODE;
  if (event->is_live != provider->is_live)
    return TRUE;
  *outcome = BOOKS_MISMATCH;
  *reason = "another merchant";
  if (!g_str_equal (event->merchant, provider->merchant))
    return TRUE;

  GError *local = NULL;
  g_autoptr (Purchase) purchase = purchase_load (turn->db, event->order, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  *outcome = BOOKS_NO_ORDER;
  *reason = "no such order";
  if (purchase == NULL)
    return TRUE;
  *outcome = BOOKS_MISMATCH;
  *reason = "the order was not sold through this provider";
  if (!g_str_equal (purchase->provider, provider->name))
    return TRUE;
  *reason = "another currency";
  if (event->currency != NULL && !g_str_equal (event->currency, purchase->currency))
    return TRUE;
  *reason = "another checkout";
  if (purchase->checkout != NULL && !g_str_equal (purchase->checkout, event->checkout))
    {
      /* Of a checkout whose answer was lost, so that another was made: nobody was shown it, and it is over. */
      if (event->kind == MONEY_DECLINED || event->kind == MONEY_EXPIRED)
        *outcome = BOOKS_KNOWN;
      return TRUE;
    }
  *reason = "";

  if (event->kind == MONEY_DECLINED || event->kind == MONEY_EXPIRED)
    {
      *outcome = BOOKS_APPLIED;
      if (!learn_checkout (turn, purchase, event, error))
        return FALSE;
      if (purchase->phase != PHASE_AWAITING_PAYMENT)
        *outcome = BOOKS_KNOWN;
      else if (event->kind == MONEY_EXPIRED)
        /* Only an answer to our own question ends it: after the grace time, unpaid (money.md). */
        purchase->poll_us = MAX (turn->now_us, purchase->expires_us + turn->desk->settings.expiry_grace_us);
      else if (!purchase_apply (turn, purchase, EVENT_DECLINED, "at the provider", error)
               || !purchase_judge (turn, purchase, error))
        return FALSE;
      return purchase_save (turn, purchase, error);
    }

  if (!record (turn, provider, event, source, outcome, reason, error))
    return FALSE;
  if (*outcome != BOOKS_APPLIED)
    return TRUE;
  turn_log (turn, LOG_LEVEL_INFO, "%s recorded order=%s payment=%s amount=%" G_GINT64_FORMAT " by=%s",
            ledger_kinds[event->kind], purchase->id, event->payment, event->amount_minor, source);
  return learn_checkout (turn, purchase, event, error)
         && (event->kind != MONEY_REFUND || refund_confirm (turn, provider->name, event->refund, error))
         && purchase_judge (turn, purchase, error) && purchase_save (turn, purchase, error);
}

const char *
books_outcome_to_text (BooksOutcome outcome)
{
  static const char *const texts[] = {
    [BOOKS_APPLIED] = "applied",   [BOOKS_KNOWN] = "known",           [BOOKS_NO_ORDER] = "unmatched",
    [BOOKS_MISMATCH] = "mismatch", [BOOKS_OTHER_MODE] = "other-mode", [BOOKS_IGNORED] = "ignored",
  };
  return texts[outcome];
}

gboolean
books_keep_unmatched (Turn *turn, const char *provider, const char *webhook_id, const char *reason,
                      const void *body, gsize length, gboolean is_retried, GError **error)
{
  const MarketSettings *settings = &turn->desk->settings;
  g_autofree char *id = id_new_sortable ("u_", turn->desk->clock);
  gint64 pause = settings_get_pause (settings->unmatched_retry_us, settings->n_unmatched_retry, 0);
  is_retried = is_retried && pause >= 0;
  turn_log (turn, is_retried ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
            "delivery kept unmatched=%s provider=%s: %s", id, provider, reason);
  if (is_retried)
    turn_wake (turn, turn->now_us + pause);
  return db_run (
      turn->db, error,
      "INSERT INTO unmatched (id, provider, webhook_id, state, reason, body, attempt, retry_us, is_alarmed,"
      " first_seen_us) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?) ON CONFLICT (provider, webhook_id) DO NOTHING",
      "sssssbiii", id, provider, webhook_id, is_retried ? "waiting" : "review", reason, body, length,
      is_retried ? turn->now_us + pause : (gint64)0, (gint64)!is_retried, turn->now_us);
}

typedef struct
{
  char *id, *provider;
  GBytes *body;
  guint attempt;
  gboolean is_alarmed;
  gint64 first_seen_us;
} Unmatched;

static void
unmatched_clear (gpointer data)
{
  Unmatched *item = data;
  g_free (item->id);
  g_free (item->provider);
  g_bytes_unref (item->body);
}

static gboolean
retry_one (Turn *turn, const Unmatched *item, GError **error)
{
  const MarketSettings *settings = &turn->desk->settings;
  Provider *provider = desk_find_provider (turn->desk, item->provider);
  gsize length;
  const void *body = g_bytes_get_data (item->body, &length);
  g_autoptr (MoneyEvent) event = provider != NULL ? provider->type->read_event (body, length, NULL) : NULL;
  BooksOutcome outcome = BOOKS_NO_ORDER;
  const char *reason = "its provider is not configured any more";

  if (event != NULL && !books_apply (turn, provider, event, "callback", &outcome, &reason, error))
    return FALSE;
  if (outcome == BOOKS_APPLIED || outcome == BOOKS_KNOWN)
    {
      turn_log (turn, LOG_LEVEL_INFO, "delivery matched unmatched=%s order=%s", item->id, event->order);
      return db_run (turn->db, error, "UPDATE unmatched SET state = 'matched', retry_us = 0 WHERE id = ?",
                     "s", item->id);
    }
  gint64 pause = outcome == BOOKS_NO_ORDER ? settings_get_pause (
                     settings->unmatched_retry_us, settings->n_unmatched_retry, item->attempt + 1)
                                           : -1;
  gboolean is_late = turn->now_us - item->first_seen_us >= settings->unmatched_alarm_us;
  gboolean is_over = pause < 0 && (is_late || outcome != BOOKS_NO_ORDER);
  if (pause < 0)
    pause = settings->sweep_us;
  if ((is_late || is_over) && !item->is_alarmed)
    turn_log (turn, LOG_LEVEL_ERROR, "delivery still unmatched=%s provider=%s: %s; a person must look",
              item->id, item->provider, reason);
  if (!is_over)
    turn_wake (turn, turn->now_us + pause);
  return db_run (turn->db, error,
                 "UPDATE unmatched SET state = ?, reason = ?, attempt = attempt + 1, retry_us = ?, "
                 "is_alarmed = ? WHERE id = ?",
                 "ssiis", is_over ? "review" : "waiting", reason, is_over ? (gint64)0 : turn->now_us + pause,
                 (gint64)(item->is_alarmed || is_late || is_over), item->id);
}

gboolean
books_retry_unmatched (Turn *turn, GError **error)
{
  GError *local = NULL;
  g_autoptr (GArray) items = g_array_new (FALSE, FALSE, sizeof (Unmatched));
  g_array_set_clear_func (items, unmatched_clear);
  {
    g_autoptr (DbQuery) query = db_query (turn->db,
                                          "SELECT id, provider, body, attempt, is_alarmed, first_seen_us "
                                          "FROM unmatched WHERE retry_us > 0 AND retry_us <= ?"
                                          " ORDER BY retry_us LIMIT 100",
                                          "i", turn->now_us);
    while (db_next (query, &local))
      {
        gsize length;
        const void *body = db_get_blob (query, 2, &length);
        Unmatched item
            = { db_dup_text (query, 0),       db_dup_text (query, 1),     g_bytes_new (body, length),
                (guint)db_get_int (query, 3), db_get_int (query, 4) != 0, db_get_int (query, 5) };
        g_array_append_val (items, item);
      }
  }
  for (guint i = 0; i < items->len && local == NULL; i++)
    retry_one (turn, &g_array_index (items, Unmatched, i), &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}
