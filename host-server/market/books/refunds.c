#include "host-server/market/books/refunds.h"

#include "common/base/id.h"
#include "host-server/market/books/jobs.h"

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
add_row (Turn *turn, const Purchase *purchase, const char *payment, gint64 amount, const char *reason,
         GError **error)
{
  g_autofree char *id = id_new_sortable ("r_", turn->desk->clock);
  turn_log (turn, LOG_LEVEL_INFO, "refund due refund=%s order=%s payment=%s amount=%" G_GINT64_FORMAT, id,
            purchase->id, payment, amount);
  return db_run (turn->db, error,
                 "INSERT INTO refund (id, version, purchase, payment, amount_minor, reason, state, "
                 "created_us, changed_us)"
                 " VALUES (?, 1, ?, ?, ?, ?, 'due', ?, ?)",
                 "sssisii", id, purchase->id, payment, amount, reason, turn->now_us, turn->now_us)
         && job_add (turn, JOB_REFUND, id, turn->now_us, error);
}

/* What is left of one payment. */
static gboolean
find_room (Turn *turn, const Purchase *purchase, const BookPayment *payment, gint64 *room, GError **error)
{
  gint64 planned;
  if (!sum_planned (turn, purchase->id, payment->id, &planned, error))
    return FALSE;
  *room = payment->amount_minor - payment->refunded_minor - payment->lost_minor - planned;
  return TRUE;
}

gboolean
refunds_get_free (Turn *turn, const Purchase *purchase, const Books *books, gint64 *free_minor,
                  GError **error)
{
  *free_minor = 0;
  for (guint i = 0; i < books->payments->len; i++)
    {
      gint64 room;
      if (!find_room (turn, purchase, &g_array_index (books->payments, BookPayment, i), &room, error))
        return FALSE;
      *free_minor += room;
    }
  return TRUE;
}

gboolean
refunds_add (Turn *turn, const Purchase *purchase, const Books *books, gint64 amount_minor,
             const char *reason, GError **error)
{
  for (guint i = books->payments->len; i-- > 0 && amount_minor > 0;)
    {
      const BookPayment *payment = &g_array_index (books->payments, BookPayment, i);
      gint64 room;
      if (!find_room (turn, purchase, payment, &room, error))
        return FALSE;
      gint64 amount = MIN (room, amount_minor);
      if (amount <= 0)
        continue;
      if (!add_row (turn, purchase, payment->id, amount, reason, error))
        return FALSE;
      amount_minor -= amount;
    }
  return TRUE;
}

/* The newest row that is older than a lost dispute and that the provider is not known to have; NULL without
 * @error if there is none. */
static char *
find_overtaken (Turn *turn, const Purchase *purchase, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "SELECT id FROM refund WHERE purchase = ? AND state IN ('due', 'sent') AND provider_refund IS NULL"
      " AND created_us <= (SELECT MAX (recorded_us) FROM ledger WHERE purchase = ? AND kind = 'dispute-lost')"
      " ORDER BY id DESC LIMIT 1",
      "ss", purchase->id, purchase->id);
  return turn_find (query, &is_found, error) && is_found ? db_dup_text (query, 0) : NULL;
}

/* What a lost dispute took must not go back besides: rows that would leave less than we may keep are dropped.
 * One that was sent may have been heard after all; then the provider reports a refund, and a person sees that
 * the money went back twice. */
static gboolean
drop_overtaken (Turn *turn, const Purchase *purchase, const Books *books, gint64 beyond, GError **error)
{
  for (;;)
    {
      GError *local = NULL;
      gint64 planned = 0;
      for (guint i = 0; i < books->payments->len; i++)
        {
          gint64 of_payment;
          if (!sum_planned (turn, purchase->id, g_array_index (books->payments, BookPayment, i).id,
                            &of_payment, error))
            return FALSE;
          planned += of_payment;
        }
      g_autofree char *id = planned > beyond ? find_overtaken (turn, purchase, &local) : NULL;
      if (id == NULL)
        {
          if (local != NULL)
            g_propagate_error (error, local);
          return local == NULL;
        }
      turn_log (turn, LOG_LEVEL_WARNING, "refund dropped, a dispute took the money refund=%s order=%s", id,
                purchase->id);
      if (!db_run (turn->db, error,
                   "UPDATE refund SET state = 'dropped', version = version + 1, changed_us = ? WHERE id = ?",
                   "is", turn->now_us, id)
          || !job_drop (turn, JOB_REFUND, id, error))
        return FALSE;
    }
}

gboolean
refunds_settle (Turn *turn, Purchase *purchase, const Books *books, GError **error)
{
  gint64 keepable = order_get_keepable (purchase->phase, purchase->price_minor, &books->sums);
  gint64 held = ledger_sums_get_held (&books->sums); /* less than nothing, if it went back twice */
  gint64 free_minor;
  gint64 beyond = held > keepable ? held - keepable : 0;
  if (books->sums.lost > 0 && !drop_overtaken (turn, purchase, books, beyond, error))
    return FALSE;
  if (held <= keepable)
    return TRUE;
  return refunds_get_free (turn, purchase, books, &free_minor, error)
         && refunds_add (turn, purchase, books, free_minor - keepable, purchase->reason, error);
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
