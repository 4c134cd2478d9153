#include "host-server/market/refunds.h"

#include "common/base/id.h"
#include "host-server/market/jobs.h"

/* What refund rows that the ledger does not have yet will take from @payment. */
static gboolean
sum_planned (Turn *turn, const char *purchase, const char *payment, gint64 *planned, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (turn->db,
                  "SELECT COALESCE (SUM (amount_minor), 0) FROM refund WHERE purchase = ? AND payment = ?"
                  " AND state IN ('due', 'sent')",
                  "ss", purchase, payment);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *planned = db_get_int (query, 0);
  return TRUE;
}

static gboolean
add_row (Turn *turn, const Purchase *purchase, const char *payment, gint64 amount, GError **error)
{
  g_autofree char *id = id_new_sortable ("r_", turn->desk->clock);
  turn_log (turn, LOG_LEVEL_INFO, "refund due refund=%s order=%s payment=%s amount=%" G_GINT64_FORMAT, id,
            purchase->id, payment, amount);
  return db_run (turn->db, error,
                 "INSERT INTO refund (id, version, purchase, payment, amount_minor, reason, state, "
                 "created_us, changed_us)"
                 " VALUES (?, 1, ?, ?, ?, ?, 'due', ?, ?)",
                 "sssisii", id, purchase->id, payment, amount, purchase->reason, turn->now_us, turn->now_us)
         && job_add (turn, JOB_REFUND, id, turn->now_us, error);
}

gboolean
refunds_settle (Turn *turn, Purchase *purchase, const Books *books, GError **error)
{
  gint64 held = books->sums.paid - books->sums.refunded;
  gint64 keepable = order_get_keepable (purchase->phase, purchase->price_minor, &books->sums);
  if (held <= keepable)
    return TRUE;

  g_autofree gint64 *room = g_new0 (gint64, books->payments->len);
  gint64 outstanding = held - keepable;
  for (guint i = 0; i < books->payments->len; i++)
    {
      const BookPayment *payment = &g_array_index (books->payments, BookPayment, i);
      gint64 planned;
      if (!sum_planned (turn, purchase->id, payment->id, &planned, error))
        return FALSE;
      outstanding -= planned;
      room[i] = payment->amount_minor - payment->refunded_minor - planned;
    }
  for (guint i = books->payments->len; i-- > 0 && outstanding > 0;)
    {
      const BookPayment *payment = &g_array_index (books->payments, BookPayment, i);
      gint64 amount = MIN (room[i], outstanding);
      if (amount <= 0)
        continue;
      if (!add_row (turn, purchase, payment->id, amount, error))
        return FALSE;
      outstanding -= amount;
    }
  return TRUE;
}

gboolean
refund_confirm (Turn *turn, const char *provider, const char *provider_refund, GError **error)
{
  g_autofree char *id = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query = db_query (
        turn->db,
        "SELECT r.id FROM ledger g JOIN refund r ON r.purchase = g.purchase WHERE g.provider = ? AND g.id = ?"
        " AND g.kind = 'refund' AND r.provider_refund = ? AND r.state = 'sent'",
        "sss", provider, provider_refund, provider_refund);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    if (!is_found)
      return TRUE;
    id = db_dup_text (query, 0);
  }
  return db_run (turn->db, error,
                 "UPDATE refund SET state = 'confirmed', version = version + 1, changed_us = ? WHERE id = ?",
                 "is", turn->now_us, id)
         && job_drop (turn, JOB_REFUND, id, error);
}
