#include "host-server/market/books/books.h"

#include "common/base/id.h"
#include "host-server/market/books/deliveries.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/books/receipts.h"
#include "host-server/market/books/refunds.h"

#include <openssl/sha.h>

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
  BookPayment payment = { g_strdup (id), amount, 0, 0 };
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

/* A dispute is opened and ended once, in whatever order that becomes known. What it takes is at most what was
 * left of its payment when it was lost. */
typedef struct
{
  char *payment;
  gint64 amount; /* 0: not said, so all of its payment */
  gint64 refunded_before;
  gboolean is_ended, is_lost;
} Dispute;

static void
dispute_free (gpointer data)
{
  g_free (((Dispute *)data)->payment);
  g_free (data);
}

static void
note_dispute (Books *books, GHashTable *disputes, const char *kind, const char *id, const char *payment_id,
              gint64 amount)
{
  Dispute *dispute = g_hash_table_lookup (disputes, id);
  if (dispute == NULL)
    {
      dispute = g_new0 (Dispute, 1);
      dispute->payment = g_strdup (payment_id);
      g_hash_table_insert (disputes, g_strdup (id), dispute);
    }
  else if (dispute->is_ended)
    return;
  const BookPayment *payment = find_payment (books, payment_id);
  if (amount > 0)
    dispute->amount = amount;
  dispute->refunded_before = payment != NULL ? payment->refunded_minor : 0;
  dispute->is_ended = !g_str_equal (kind, "dispute");
  dispute->is_lost = g_str_equal (kind, "dispute-lost");
}

static void
sum_disputes (Books *books, GHashTable *disputes)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, disputes);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const Dispute *dispute = value;
      BookPayment *payment = find_payment (books, dispute->payment);
      gint64 most
          = payment != NULL ? payment->amount_minor - dispute->refunded_before - payment->lost_minor : 0;
      gint64 amount = dispute->amount > 0 ? MIN (dispute->amount, MAX (most, 0)) : MAX (most, 0);
      books->sums.n_open_disputes += !dispute->is_ended;
      books->sums.n_ended_disputes += dispute->is_ended;
      if (!dispute->is_ended)
        books->sums.disputed += amount;
      else if (dispute->is_lost && payment != NULL)
        {
          payment->lost_minor += amount;
          books->sums.lost += amount;
          books->sums.n_lost_in_vain += amount == 0;
        }
    }
}

gboolean
books_load (Db *db, const char *purchase, Books *books, GError **error)
{
  return books_load_until (db, purchase, G_MAXINT64, books, error);
}

gboolean
books_load_until (Db *db, const char *purchase, gint64 last_seq, Books *books, GError **error)
{
  books_clear (books);
  *books = (Books){ .payments = g_array_new (FALSE, FALSE, sizeof (BookPayment)) };
  g_array_set_clear_func (books->payments, book_payment_clear);
  g_autoptr (GArray) early = g_array_new (FALSE, FALSE, sizeof (Early));
  g_array_set_clear_func (early, early_clear);
  g_autoptr (GHashTable) disputes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, dispute_free);

  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT kind, id, payment, amount_minor FROM ledger WHERE purchase = ? AND seq <= ?"
                  " ORDER BY seq",
                  "si", purchase, last_seq);
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
          if (find_payment (books, payment) == NULL)
            add_refund (books, early, payment, 0);
          note_dispute (books, disputes, kind, id, payment, amount);
        }
    }
  sum_disputes (books, disputes);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* A running total is what it adds to the refunds of its payment that the ledger has. The row gets the total
 * for its id, so that every report of the same total is the same row, and one that comes late is none. */
static gboolean
resolve_total (Turn *turn, MoneyEvent *event, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (turn->db,
                  "SELECT COALESCE (SUM (amount_minor), 0) FROM ledger WHERE purchase = ?"
                  " AND payment = ? AND kind = 'refund'",
                  "ss", event->order, event->payment);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  event->refund = g_strdup_printf ("%s.refunded.%" G_GINT64_FORMAT, event->payment, event->amount_minor);
  event->amount_minor -= db_get_int (query, 0);
  event->is_total = FALSE;
  return TRUE;
}

/* The order that a payment is of, as the ledger has it. */
static gboolean
resolve_order (Turn *turn, const Provider *provider, MoneyEvent *event, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (turn->db, "SELECT purchase FROM ledger WHERE provider = ? AND id = ? AND kind = 'payment'",
                  "ss", provider->name, event->payment);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  if (is_found)
    event->order = db_dup_text (query, 0);
  return TRUE;
}

/* Writes the event's row. *@outcome is BOOKS_APPLIED if it is new, BOOKS_KNOWN if the same is there already.
 */
static gboolean
record (Turn *turn, const Provider *provider, const MoneyEvent *event, const Evidence *evidence,
        BooksOutcome *outcome, const char **reason, GError **error)
{
  const char *kind = ledger_kinds[event->kind];
  const char *id = event->kind == MONEY_PAYMENT  ? event->payment
                   : event->kind == MONEY_REFUND ? event->refund
                                                 : event->dispute;
  if (!db_run (turn->db, error,
               "INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us,"
               " webhook_id, body_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
               " ON CONFLICT (provider, id, kind) DO NOTHING",
               "sssssisisb", provider->name, id, kind, event->order, event->payment, event->amount_minor,
               evidence->source, turn->now_us, evidence->webhook_id, (const void *)evidence->digest,
               (gsize)EVIDENCE_DIGEST_BYTES))
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
  /* A report knows a dispute's payment, not always its amount. */
  gboolean has_amount = event->kind == MONEY_PAYMENT || event->kind == MONEY_REFUND;
  gboolean is_same = is_found && g_str_equal (db_get_text (query, 0), event->order)
                     && g_str_equal (db_get_text (query, 1), event->payment)
                     && (!has_amount || db_get_int (query, 2) == event->amount_minor);
  *outcome = is_same ? BOOKS_KNOWN : BOOKS_MISMATCH;
  *reason = "the ledger has this id with another order, payment or amount";
  return TRUE;
}

/* The provider knows of the checkout before our own request's answer was committed. */
static gboolean
learn_checkout (Turn *turn, Purchase *purchase, const MoneyEvent *event, GError **error)
{
  if (event->checkout == NULL)
    return TRUE;
  if (purchase->checkout == NULL)
    purchase->checkout = g_strdup (event->checkout);
  return !purchase_is_opening (purchase) || purchase_apply (turn, purchase, EVENT_CHECKOUT_MADE, NULL, error);
}

gboolean
books_apply (Turn *turn, const Provider *provider, const MoneyEvent *said, const Evidence *evidence,
             BooksOutcome *outcome, const char **reason, GError **error)
{
  *reason = "";
  *outcome = BOOKS_IGNORED;
  if (said->kind == MONEY_OTHER || provider_is_check_order (said->order))
    return TRUE;
  g_autoptr (MoneyEvent) event = money_event_copy (said);
  *outcome = BOOKS_OTHER_MODE;
  if (event->is_live != provider->is_live)
    return TRUE;
  *outcome = BOOKS_MISMATCH;
  *reason = "another merchant";
  if (event->merchant != NULL && !g_str_equal (event->merchant, provider->merchant))
    return TRUE;
  if (event->order == NULL && !resolve_order (turn, provider, event, error))
    return FALSE;

  GError *local = NULL;
  g_autoptr (Purchase) purchase
      = event->order != NULL ? purchase_load (turn->db, event->order, &local) : NULL;
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  *outcome = BOOKS_NO_ORDER;
  *reason = "no such order";
  if (purchase == NULL)
    return delivery_find_stray_refund (turn, provider, event, outcome, error);
  *outcome = BOOKS_MISMATCH;
  *reason = "the order was not sold through this provider";
  if (!g_str_equal (purchase->provider, provider->name))
    return TRUE;
  *reason = "another currency";
  if (event->currency != NULL && !g_str_equal (event->currency, purchase->currency))
    return TRUE;
  *reason = "another checkout";
  if (purchase->checkout != NULL && event->checkout != NULL
      && !g_str_equal (purchase->checkout, event->checkout))
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

  *outcome = BOOKS_KNOWN;
  if (event->is_total && !resolve_total (turn, event, error))
    return FALSE;
  if (event->kind == MONEY_REFUND && event->amount_minor <= 0)
    return TRUE;
  if (!record (turn, provider, event, evidence, outcome, reason, error))
    return FALSE;
  if (*outcome != BOOKS_APPLIED)
    return TRUE;
  turn_log (turn, LOG_LEVEL_INFO, "%s recorded order=%s payment=%s amount=%" G_GINT64_FORMAT " by=%s",
            ledger_kinds[event->kind], purchase->id, event->payment, event->amount_minor, evidence->source);
  return learn_checkout (turn, purchase, event, error)
         && (event->kind != MONEY_REFUND || refund_confirm (turn, provider->name, event->refund, error))
         && purchase_judge (turn, purchase, error) && purchase_save (turn, purchase, error)
         && receipts_note_money (turn, purchase->line, ledger_kinds[event->kind], error);
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
  char *id, *provider, *webhook_id;
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
  g_free (item->webhook_id);
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
  guint8 digest[EVIDENCE_DIGEST_BYTES];
  SHA256 (body, length, digest);
  Evidence evidence = { "callback", item->webhook_id, digest };

  if (event != NULL && !books_apply (turn, provider, event, &evidence, &outcome, &reason, error))
    return FALSE;
  if (outcome == BOOKS_APPLIED || outcome == BOOKS_KNOWN)
    {
      turn_log (turn, LOG_LEVEL_INFO, "delivery matched unmatched=%s payment=%s", item->id,
                event->payment != NULL ? event->payment : "-");
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
    g_autoptr (DbQuery) query
        = db_query (turn->db,
                    "SELECT id, provider, webhook_id, body, attempt, is_alarmed, first_seen_us "
                    "FROM unmatched WHERE retry_us > 0 AND retry_us <= ?"
                    " ORDER BY retry_us LIMIT 100",
                    "i", turn->now_us);
    while (db_next (query, &local))
      {
        gsize length;
        const void *body = db_get_blob (query, 3, &length);
        Unmatched item
            = { db_dup_text (query, 0),     db_dup_text (query, 1),       db_dup_text (query, 2),
                g_bytes_new (body, length), (guint)db_get_int (query, 4), db_get_int (query, 5) != 0,
                db_get_int (query, 6) };
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
