#include "host-server/market/books/reconcile.h"

#include "host-server/market/books/purchases.h"
#include "host-server/market/books/restored.h"
#include "host-server/store/counters.h"

#include <gio/gio.h>
#include <string.h>

typedef struct
{
  const Desk *desk;
  Db *db;
  gint64 now_us;
  ReconcileFound found;
  gpointer data;
  ReconcileCount *count;
} Check;

G_GNUC_PRINTF (4, 5)
static void
report (Check *check, const char *kind, const char *subject, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *what = g_strdup_vprintf (format, args);
  va_end (args);
  check->count->differences++;
  check->found (kind, subject, what, check->data);
}

static gboolean
end (GError *local, GError **error)
{
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* Whether @take_query has a row; FALSE also on a fault, which is kept in @error. */
static gboolean
exists (DbQuery *take_query, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  gboolean is_found;
  return *error == NULL && turn_find (query, &is_found, error) && is_found;
}

/* What must be there for an order in a phase, by the phase's word: those of later versions are looked at by
 * the rules that hold for all. */
typedef enum
{
  NEEDS_NOTHING = 0,
  NEEDS_ASKING = 1 << 0,   /* a time at which the provider is asked */
  NEEDS_CHECKOUT = 1 << 1, /* a job that makes the checkout */
  NEEDS_ISSUE = 1 << 2,    /* a job that obtains the serial */
  NEEDS_SERIAL = 1 << 3,   /* one was bound, or the item credited */
  NEEDS_PAYMENT = 1 << 4,  /* the price is or was held */
  NEEDS_NO_MONEY = 1 << 5, /* nothing of it is held */
  NEEDS_LESS = 1 << 6,     /* less than the price is held */
  NEEDS_REFUND = 1 << 7,   /* a refund for all that is held */
  NEEDS_LOST_DISPUTE = 1 << 8,
  IS_OPEN = 1 << 9, /* the one open order of user and plugin */
  IS_ENDED = 1 << 10,
  NEEDS_RESERVE = 1 << 11, /* a job that sets its serial aside, or makes the checkout after that */
} Needs;

static const struct
{
  const char *phase;
  guint needs;
} rules[] = {
  { "created", NEEDS_CHECKOUT | NEEDS_LESS | IS_OPEN },
  { "reserving", NEEDS_RESERVE | NEEDS_LESS | IS_OPEN },
  { "awaiting-payment", NEEDS_ASKING | NEEDS_LESS | IS_OPEN },
  { "declined", NEEDS_NO_MONEY | IS_ENDED },
  { "refused", NEEDS_NO_MONEY | IS_ENDED },
  { "expired", NEEDS_NO_MONEY | IS_ENDED },
  { "paid", NEEDS_ISSUE | NEEDS_PAYMENT | IS_OPEN },
  { "issuing", NEEDS_ISSUE | NEEDS_PAYMENT | IS_OPEN },
  { "fulfilled", NEEDS_SERIAL | NEEDS_PAYMENT | IS_ENDED },
  { "refund-due", NEEDS_REFUND | IS_ENDED },
  { "refunding", NEEDS_REFUND | IS_ENDED },
  { "refunded", NEEDS_NO_MONEY | IS_ENDED },
  { "charged-back", NEEDS_LOST_DISPUTE | IS_ENDED },
  { "review", NEEDS_NOTHING },
  { "closed", NEEDS_NOTHING },
};

static gboolean
find_rule (const char *phase, guint *needs)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (g_str_equal (rules[i].phase, phase))
      {
        *needs = rules[i].needs;
        return TRUE;
      }
  return FALSE;
}

typedef struct
{
  const char *id, *account, *provider, *phase, *payment, *line, *plugin, *item;
  gint64 price, poll_us;
  gboolean is_open;
} OrderRow;

/* What refund rows that are under way will give back. */
static gint64
sum_refunds (Check *check, const char *purchase, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      check->db,
      "SELECT COALESCE (SUM (amount_minor), 0) FROM refund WHERE purchase = ? AND state IN ('due', 'sent')",
      "s", purchase);
  return turn_find (query, &is_found, error) ? db_get_int (query, 0) : 0;
}

static gboolean
has_job (Check *check, const char *kind, const char *subject, GError **error)
{
  g_autofree char *key = g_strconcat (kind, ":", subject, NULL);
  return exists (db_query (check->db, "SELECT 1 FROM job WHERE key = ?", "s", key), error);
}

static gboolean
has_issue_job (Check *check, const char *line, GError **error)
{
  g_autofree char *from = g_strconcat ("issue:", line, ".", NULL);
  g_autofree char *to = g_strconcat ("issue:", line, "/", NULL); /* '/' follows '.' */
  return exists (db_query (check->db, "SELECT 1 FROM job WHERE key >= ? AND key < ?", "ss", from, to), error);
}

static gboolean
has_credit (Check *check, const OrderRow *order, GError **error)
{
  return exists (db_query (check->db, "SELECT 1 FROM item_line WHERE line = ?", "s", order->line), error);
}

static gboolean
has_serial (Check *check, const OrderRow *order, GError **error)
{
  return exists (db_query (check->db, "SELECT 1 FROM issued_serial WHERE line = ?", "s", order->line), error)
         /* a renewal may have brought the serial that was there */
         || exists (db_query (check->db,
                              "SELECT 1 FROM purchase_line l JOIN entitlement e ON e.account = l.account AND"
                              " e.plugin = l.plugin WHERE l.id = ? AND l.is_renewal = 1",
                              "s", order->line),
                    error);
}

static void
check_money (Check *check, const OrderRow *order, guint needs, const LedgerSums *sums, GError **error)
{
  gint64 held = ledger_sums_get_held (sums);
  if (sums->refunded > sums->paid)
    report (check, "refunds-beyond-payments", order->id,
            "%" G_GINT64_FORMAT " was refunded and %" G_GINT64_FORMAT " paid", sums->refunded, sums->paid);
  if (sums->lost > 0 && sums->paid - sums->lost < order->price && (needs & (NEEDS_SERIAL | NEEDS_ISSUE)) != 0)
    report (check, "charged-back-not-taken", order->id, "a dispute was lost and the order is %s",
            order->phase);
  if (sums->n_open_disputes > 0) /* the provider moves the money */
    return;
  if ((needs & NEEDS_LOST_DISPUTE) != 0 && sums->lost == 0)
    report (check, "charged-back-without-dispute", order->id, "the ledger has no lost dispute");
  if ((needs & NEEDS_LESS) != 0 && order->price > 0 && held >= order->price)
    report (check, "paid-not-taken", order->id,
            "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " is paid, it is %s", held, order->price,
            order->phase);
  if ((needs & NEEDS_NO_MONEY) != 0 && held > 0)
    report (check, "money-kept", order->id, "%" G_GINT64_FORMAT " is held, it is %s", held, order->phase);
  if ((needs & NEEDS_PAYMENT) != 0 && sums->paid < order->price)
    report (check, "unpaid", order->id, "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " was paid, it is %s",
            sums->paid, order->price, order->phase);
  if ((needs & NEEDS_PAYMENT) != 0 && sums->paid > 0 && held <= 0)
    report (check, "given-back-not-taken", order->id, "all the money was given back, it is %s", order->phase);

  gint64 owed = (needs & (NEEDS_REFUND | NEEDS_LOST_DISPUTE)) != 0 ? held
                : (needs & NEEDS_PAYMENT) != 0                     ? held - order->price
                                                                   : 0;
  if (owed > 0)
    {
      gint64 planned = sum_refunds (check, order->id, error);
      if (planned < owed)
        report (check, "refund-missing", order->id,
                "%" G_GINT64_FORMAT " is to be given back, refunds of %" G_GINT64_FORMAT " are under way",
                owed, planned);
    }
  if ((needs & NEEDS_REFUND) != 0 && held <= 0)
    report (check, "refunded-not-taken", order->id, "nothing is held any more, it is %s", order->phase);
}

static void
check_order (Check *check, const OrderRow *order, GError **error)
{
  guint needs;
  g_auto (Books) books = { 0 };
  if (!books_load (check->db, order->id, &books, error))
    return;
  if (!find_rule (order->phase, &needs))
    {
      report (check, "unknown-state", order->id, "'%s' is no state of an order", order->phase);
      return;
    }
  Phase phase = PHASE_REVIEW;
  phase_from_text (order->phase, &phase);
  const char *payment = payment_state_to_text (payment_derive (phase, order->price, &books.sums));
  if (!g_str_equal (payment, order->payment))
    report (check, "payment-differs", order->id, "it says %s, the ledger %s", order->payment, payment);
  check_money (check, order, needs, &books.sums, error);

  if ((needs & NEEDS_ASKING) != 0 && order->poll_us == 0 && !has_job (check, "checkout", order->id, error))
    report (check, "not-asked", order->id, "it is %s, and nobody asks the provider", order->phase);
  if ((needs & NEEDS_RESERVE) != 0 && !has_job (check, "checkout", order->id, error)
      && !has_issue_job (check, order->line, error))
    report (check, "no-job", order->id, "it is %s, and no job goes on with it", order->phase);
  if ((needs & NEEDS_CHECKOUT) != 0 && order->price > 0 && !has_job (check, "checkout", order->id, error))
    report (check, "no-job", order->id, "it is %s, and no job makes the checkout", order->phase);
  if ((needs & NEEDS_ISSUE) != 0 && !has_issue_job (check, order->line, error))
    report (check, "no-job", order->id, "it is %s, and no job obtains the serial", order->phase);
  if ((needs & NEEDS_SERIAL) != 0 && order->item[0] == '\0' && !has_serial (check, order, error))
    report (check, "no-serial", order->id, "it is fulfilled, and no serial was bound to its line");
  if ((needs & NEEDS_SERIAL) != 0 && order->item[0] != '\0' && !has_credit (check, order, error))
    report (check, "no-credit", order->id, "it is fulfilled, and nothing was credited for its line");
  if ((needs & IS_OPEN) != 0 && !order->is_open)
    report (check, "not-open", order->id, "it is %s, and a second order could be opened", order->phase);
  if ((needs & IS_ENDED) != 0 && order->is_open)
    report (check, "still-open", order->id, "it is %s, and the user cannot order again", order->phase);
}

/* Every order with its ledger. */
static gboolean
check_orders (Check *check, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (check->db,
                  "SELECT p.id, p.account, p.provider, p.phase, p.payment, l.id, l.plugin, p.price_minor, "
                  "p.poll_us, l.is_open, l.item"
                  " FROM purchase p LEFT JOIN purchase_line l ON l.purchase = p.id ORDER BY p.id",
                  "");
  while (local == NULL && db_next (query, &local))
    {
      OrderRow order = { .id = db_get_text (query, 0),
                         .account = db_get_text (query, 1),
                         .provider = db_get_text (query, 2),
                         .phase = db_get_text (query, 3),
                         .payment = db_get_text (query, 4),
                         .line = db_get_text (query, 5),
                         .plugin = db_get_text (query, 6),
                         .price = db_get_int (query, 7),
                         .poll_us = db_get_int (query, 8),
                         .is_open = db_get_int (query, 9) != 0,
                         .item = db_get_text (query, 10) };
      check->count->orders++;
      if (order.line == NULL)
        report (check, "no-line", order.id, "it has no line: nothing was ordered");
      else
        check_order (check, &order, &local);
    }
  return end (local, error);
}

/* Rows of (subject, what): each is a difference. */
static gboolean
report_rows (Check *check, const char *kind, DbQuery *take_query, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  GError *local = NULL;
  while (db_next (query, &local))
    {
      const char *subject = db_get_text (query, 0), *what = db_get_text (query, 1);
      report (check, kind, subject != NULL ? subject : "-", "%s", what != NULL ? what : "-");
    }
  return end (local, error);
}

static gboolean
check_refunds (Check *check, GError **error)
{
  return report_rows (
             check, "refund-without-job",
             db_query (check->db,
                       "SELECT r.id, 'refund of order ' || r.purchase || ' is ' || r.state || ', and no job"
                       " sends or follows it' FROM refund r WHERE r.state IN ('due', 'sent')"
                       " AND NOT EXISTS (SELECT 1 FROM job WHERE key = 'refund:' || r.id)",
                       ""),
             error)
         && report_rows (
             check, "refund-without-ledger",
             db_query (
                 check->db,
                 "SELECT r.id, 'refund of order ' || r.purchase || ' is confirmed, and the ledger"
                 " does not have it' FROM refund r JOIN purchase p ON p.id = r.purchase"
                 " WHERE r.state = 'confirmed' AND NOT EXISTS (SELECT 1 FROM ledger g WHERE"
                 " g.provider = p.provider AND g.id = r.provider_refund AND g.kind = 'refund')"
                 /* a provider of running totals has them under other ids */
                 " AND (SELECT COALESCE (SUM (amount_minor), 0) FROM ledger g WHERE g.purchase = r.purchase"
                 " AND g.payment = r.payment AND g.kind = 'refund') < (SELECT SUM (amount_minor) FROM refund "
                 "o"
                 " WHERE o.purchase = r.purchase AND o.payment = r.payment AND o.state = 'confirmed')",
                 ""),
             error)
         && report_rows (
             check, "refund-differs",
             db_query (check->db,
                       "SELECT r.id, 'refund of order ' || r.purchase || ' is of ' || r.amount_minor ||"
                       " ', the ledger has ' || g.amount_minor || ' for order ' || g.purchase"
                       " FROM refund r JOIN purchase p ON p.id = r.purchase JOIN ledger g ON"
                       " g.provider = p.provider AND g.id = r.provider_refund AND g.kind = 'refund'"
                       " WHERE r.state = 'confirmed' AND (g.amount_minor <> r.amount_minor OR g.purchase"
                       " <> r.purchase)",
                       ""),
             error)
         && report_rows (
             check, "refund-without-payment",
             db_query (check->db,
                       "SELECT r.id, 'payment ' || r.payment || ' of order ' || r.purchase ||"
                       " ' is not in the ledger' FROM refund r WHERE NOT EXISTS (SELECT 1 FROM ledger g"
                       " WHERE g.purchase = r.purchase AND g.id = r.payment AND g.kind = 'payment')",
                       ""),
             error)
         && report_rows (
             check, "ledger-differs",
             db_query (check->db,
                       "SELECT g.id, g.kind || ' of provider ' || g.provider || ' stands with order ' ||"
                       " g.purchase || CASE WHEN p.id IS NULL THEN ', which does not exist' ELSE"
                       " ', which was sold through ' || p.provider END FROM ledger g LEFT JOIN purchase p"
                       " ON p.id = g.purchase WHERE p.id IS NULL OR p.provider <> g.provider",
                       ""),
             error);
}

/* The serial of a running entitlement: it opens, and it is the user's own. */
static void
check_sealed (Check *check, DbQuery *query, GError **error)
{
  const char *account = db_get_text (query, 0), *plugin = db_get_text (query, 1);
  g_autofree char *subject = g_strconcat (account, " ", plugin, NULL);
  g_autofree char *label = g_strconcat ("serial ", account, " ", plugin, NULL);
  gsize length;
  const void *sealed = db_get_blob (query, 2, &length);
  g_autoptr (Secret) serial = store_unseal (check->desk->store, label, sealed, length);
  if (serial == NULL)
    {
      report (check, "serial-unreadable", subject, "the stored serial cannot be opened");
      return;
    }
  guint8 digest[SERIAL_DIGEST_BYTES];
  market_keys_digest_serial (&check->desk->keys, plugin, serial, digest);
  g_autoptr (DbQuery) bound
      = db_query (check->db, "SELECT account, line FROM issued_serial WHERE plugin = ? AND digest = ?", "sb",
                  plugin, (const void *)digest, sizeof digest);
  gboolean is_found;
  if (!turn_find (bound, &is_found, error))
    return;
  if (!is_found)
    report (check, "serial-not-issued", subject, "its serial was never issued");
  else if (!g_str_equal (db_get_text (bound, 0), account))
    report (check, "serial-shared", subject, "its serial belongs to account %s by line %s",
            db_get_text (bound, 0), db_get_text (bound, 1));
}

static gboolean
check_serials (Check *check, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      check->db, "SELECT account, plugin, sealed FROM entitlement WHERE state IN ('active', 'suspended')",
      "");
  while (local == NULL && db_next (query, &local))
    check_sealed (check, query, &local);
  return end (local, error);
}

static gboolean
check_entitlements (Check *check, GError **error)
{
  return report_rows (
             check, "entitlement-without-line",
             db_query (check->db,
                       "SELECT e.account || ' ' || e.plugin, 'its line ' || e.line || ' does not exist, or is"
                       " another''s' FROM entitlement e LEFT JOIN purchase_line l ON l.id = e.line"
                       " WHERE l.id IS NULL OR l.account <> e.account OR l.plugin <> e.plugin",
                       ""),
             error)
         && report_rows (
             check, "entitlement-without-payment",
             db_query (check->db,
                       "SELECT e.account || ' ' || e.plugin, 'it is active, and its order ' || p.id ||"
                       " ' is ' || p.phase FROM entitlement e JOIN purchase_line l ON l.id = e.line JOIN"
                       " purchase p ON p.id = l.purchase WHERE e.state = 'active' AND p.phase NOT IN"
                       " ('fulfilled', 'review', 'closed') AND NOT EXISTS (SELECT 1 FROM purchase q JOIN"
                       " purchase_line m ON m.purchase = q.id WHERE q.account = e.account AND m.plugin ="
                       " e.plugin AND m.item = '' AND q.phase IN ('fulfilled', 'review', 'closed'))",
                       ""),
             error)
         && report_rows (
             check, "line-without-payment",
             db_query (
                 check->db,
                 "SELECT e.line, 'it counts for ' || e.account || ' ' || e.plugin || ', and its order '"
                 " || p.id || ' is ' || p.phase FROM entitlement_line e JOIN purchase_line l ON l.id ="
                 " e.line JOIN purchase p ON p.id = l.purchase WHERE e.state <> 'ended' AND p.phase NOT IN"
                 " ('fulfilled', 'review', 'closed')",
                 ""),
             error)
         && report_rows (
             check, "entitlement-differs",
             db_query (
                 check->db,
                 "SELECT e.account || ' ' || e.plugin, 'it is ' || e.state || ', and no line counts for"
                 " it' FROM entitlement e WHERE e.state IN ('active', 'suspended') AND NOT EXISTS"
                 " (SELECT 1 FROM entitlement_line l WHERE l.account = e.account AND l.plugin = e.plugin"
                 " AND l.state <> 'ended')",
                 ""),
             error)
         && check_serials (check, error)
         && report_rows (
             check, "serial-without-line",
             db_query (check->db,
                       "SELECT s.plugin || ' ' || s.line, 'a serial was issued for a line that does not"
                       " exist, or is another''s' FROM issued_serial s LEFT JOIN purchase_line l ON l.id ="
                       " s.line WHERE l.id IS NULL OR l.account <> s.account OR l.plugin <> s.plugin",
                       ""),
             error)
         && report_rows (
             check, "two-serials",
             db_query (check->db,
                       "SELECT line || '.' || generation, COUNT (*) || ' serials were issued for it' FROM"
                       " issued_serial GROUP BY line, generation HAVING COUNT (*) > 1",
                       ""),
             error);
}

/* Nobody has more of an item than was credited for all that they bought. */
static gboolean
check_counters (Check *check, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      check->db,
      "SELECT l.account, l.plugin, l.item, SUM (i.credited) FROM item_line i JOIN purchase_line l ON"
      " l.id = i.line GROUP BY l.account, l.plugin, l.item",
      "");
  while (local == NULL && db_next (query, &local))
    {
      Counter counter = { db_get_text (query, 0), db_get_text (query, 1), db_get_text (query, 2) };
      gint64 credited = db_get_int (query, 3), value;
      g_autofree char *subject = g_strjoin (" ", counter.account, counter.application, counter.item, NULL);
      if (counter_read (check->db, &counter, &value, &local) && value > credited)
        report (check, "counter-differs", subject,
                "it is %" G_GINT64_FORMAT ", and %" G_GINT64_FORMAT " was credited", value, credited);
    }
  return end (local, error);
}

static gboolean
count_used (Check *check, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      check->db, "SELECT COUNT (*) FROM item_line WHERE state IN ('disputed', 'ended') AND credited > 0", "");
  if (!turn_find (query, &is_found, error))
    return FALSE;
  check->count->used = db_get_int (query, 0);
  return TRUE;
}

static gboolean
check_items (Check *check, GError **error)
{
  return report_rows (
             check, "credit-differs",
             db_query (check->db,
                       "SELECT i.line, 'it counts, and ' || i.credited || ' of ' || l.amount || ' was "
                       "credited' FROM"
                       " item_line i JOIN purchase_line l ON l.id = i.line WHERE i.state = 'counted' AND"
                       " i.credited <> l.amount",
                       ""),
             error)
         && report_rows (
             check, "credit-without-payment",
             db_query (
                 check->db,
                 "SELECT i.line, 'it is ' || i.state || ', and its order ' || p.id || ' is ' || p.phase FROM"
                 " item_line i JOIN purchase_line l ON l.id = i.line JOIN purchase p ON p.id = l.purchase "
                 "WHERE"
                 " i.state IN ('counted', 'disputed') AND p.phase NOT IN ('fulfilled', 'review', 'closed')",
                 ""),
             error)
         && check_counters (check, error) && count_used (check, error);
}

static gboolean
check_generations (Check *check, GError **error)
{
  return report_rows (
             check, "issue-without-serial",
             db_query (check->db,
                       "SELECT g.line || '.' || g.generation, 'it is issued, and no serial was bound' FROM"
                       " generation g WHERE g.state = 'issued' AND NOT EXISTS (SELECT 1 FROM issued_serial s"
                       " WHERE s.line = g.line) AND NOT EXISTS (SELECT 1 FROM"
                       " purchase_line l WHERE l.id = g.line AND l.is_renewal = 1)",
                       ""),
             error)
         && report_rows (
             check, "issue-without-job",
             db_query (check->db,
                       "SELECT g.line || '.' || g.generation, 'it is ' || g.state || ', and no job goes on"
                       " with it' FROM generation g WHERE g.state IN ('queued', 'calling', 'unknown',"
                       " 'failed-retry', 'voiding', 'certainly-not') AND NOT EXISTS (SELECT 1 FROM job"
                       " WHERE key = 'issue:' || g.line || '.' || g.generation)",
                       ""),
             error);
}

static gboolean
check_pool (Check *check, GError **error)
{
  return report_rows (
             check, "key-without-line",
             db_query (
                 check->db,
                 "SELECT k.plugin || ' ' || k.id, 'it is ' || k.state || ' for line ' || COALESCE"
                 " (k.line, '-') || ', which does not exist, or is another plugin''s' FROM pool_key k"
                 " LEFT JOIN purchase_line l ON l.id = k.line WHERE k.state IN ('reserved', 'delivered')"
                 " AND (l.id IS NULL OR l.plugin <> k.plugin)",
                 ""),
             error)
         && report_rows (
             check, "key-differs",
             db_query (check->db,
                       "SELECT k.plugin || ' ' || k.id, 'it is delivered to line ' || k.line || '.' ||"
                       " k.generation || CASE WHEN s.line IS NULL THEN ', and was never issued' ELSE"
                       " ', and was issued to ' || s.line || '.' || s.generation END FROM pool_key k LEFT"
                       " JOIN issued_serial s ON s.plugin = k.plugin AND s.digest = k.digest WHERE k.state ="
                       " 'delivered' AND (s.line IS NULL OR s.line <> k.line OR s.generation <>"
                       " k.generation)",
                       ""),
             error)
         && report_rows (
             check, "key-free-but-issued",
             db_query (check->db,
                       "SELECT k.plugin || ' ' || k.id, 'it is ' || k.state || ', and was issued to ' ||"
                       " s.line FROM pool_key k JOIN issued_serial s ON s.plugin = k.plugin AND s.digest ="
                       " k.digest WHERE k.state IN ('free', 'frozen')",
                       ""),
             error);
}

static gboolean
check_jobs (Check *check, GError **error)
{
  return report_rows (
      check, "job-without-subject",
      db_query (check->db,
                "SELECT key, 'what it works on does not exist' FROM job WHERE (kind IN ('checkout',"
                " 'cancel') AND NOT EXISTS (SELECT 1 FROM purchase p WHERE p.id = subject)) OR"
                " (kind = 'refund' AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.id = subject)) OR"
                " (kind IN ('issue', 'void') AND NOT EXISTS (SELECT 1 FROM generation g WHERE"
                " g.line = RTRIM (RTRIM (subject, '0123456789'), '.') AND g.line || '.' || g.generation"
                " = subject))",
                ""),
      error);
}

static gboolean
check_unmatched (Check *check, GError **error)
{
  return report_rows (
      check, "unmatched",
      db_query (check->db,
                "SELECT id, provider || ' ' || webhook_id || ' is ' || state || ': ' || reason FROM"
                " unmatched WHERE state IN ('review', 'refunding') OR (state = 'waiting' AND"
                " first_seen_us <= ?)",
                "i", check->now_us - check->desk->settings.unmatched_alarm_us),
      error);
}

gboolean
reconcile_check (const Desk *desk, Db *db, ReconcileFound found, gpointer data, ReconcileCount *count,
                 GError **error)
{
  Check check = { desk, db, clock_get_wall_us (desk->clock), found, data, count };
  *count = (ReconcileCount){ 0 };
  return check_orders (&check, error) && check_refunds (&check, error) && check_entitlements (&check, error)
         && check_items (&check, error) && check_generations (&check, error) && check_pool (&check, error)
         && check_jobs (&check, error) && check_unmatched (&check, error);
}

#define DAY_US (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)

gboolean
reconcile_find_since (Db *db, gint64 now_us, gint64 *since_us, GError **error)
{
  gboolean is_found;
  Restored restored;
  if (!restored_read (db, &restored, error))
    return FALSE;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT (SELECT MIN (created_us) FROM purchase WHERE " PURCHASE_UNSETTLED
                  "), (SELECT MIN (created_us) FROM purchase WHERE poll_us > 0),"
                  " (SELECT MAX (started_us) FROM reconciliation WHERE is_from_provider = 1),"
                  " (SELECT created_us FROM purchase ORDER BY id LIMIT 1)",
                  "");
  if (!turn_find (query, &is_found, error))
    return FALSE;
  gint64 last_us = db_get_int (query, 2), first_us = db_get_int (query, 3);
  gint64 from_us = last_us != 0 ? last_us - DAY_US : first_us;
  for (int column = 0; column < 2; column++)
    if (db_get_int (query, column) != 0)
      from_us = MIN (from_us != 0 ? from_us : now_us, db_get_int (query, column));
  if (!restored.is_open)
    from_us = MIN (from_us != 0 ? from_us : now_us, restored.backup_us - DAY_US);
  *since_us = from_us;
  return TRUE;
}
