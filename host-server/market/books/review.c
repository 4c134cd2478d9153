#include "host-server/market/books/review.h"

#include "host-server/market/books/goods.h"
#include "host-server/market/books/refunds.h"

static const struct
{
  const char *text;
  Event event;
} resolutions[N_RESOLUTIONS] = {
  [RESOLVE_AS_PAID] = { "paid", EVENT_APPROVED },
  [RESOLVE_AS_FULFILLED] = { "fulfilled", EVENT_CONFIRMED },
  [RESOLVE_AS_REFUND] = { "refund", EVENT_REFUND_WANTED },
  [RESOLVE_AS_CLOSED] = { "closed", EVENT_CLOSED },
};

const char *
resolution_to_text (Resolution resolution)
{
  return resolutions[resolution].text;
}

gboolean
resolution_from_text (const char *text, Resolution *resolution)
{
  for (guint i = 0; i < N_RESOLUTIONS; i++)
    if (g_strcmp0 (text, resolutions[i].text) == 0)
      {
        *resolution = (Resolution)i;
        return TRUE;
      }
  return FALSE;
}

const char *
resolve_outcome_to_text (ResolveOutcome outcome)
{
  static const char *const texts[N_RESOLVE_OUTCOMES] = {
    [RESOLVE_DONE] = "done",
    [RESOLVE_NO_ORDER] = "there is no such order",
    [RESOLVE_NOT_IN_REVIEW] = "the order is not in review",
    [RESOLVE_NO_MONEY] = "the money that is held does not suffice for that",
    [RESOLVE_NO_SERIAL] = "no serial was issued that the user could keep, and no item credited",
    [RESOLVE_ANOTHER_OPEN] = "the user has another open order for the same",
  };
  return texts[outcome];
}

const char *
order_refund_outcome_to_text (OrderRefundOutcome outcome)
{
  static const char *const texts[N_ORDER_REFUND_OUTCOMES] = {
    [ORDER_REFUND_DONE] = "done",
    [ORDER_REFUND_NO_ORDER] = "there is no such order",
    [ORDER_REFUND_NO_MONEY] = "nothing is held that does not go back already",
    [ORDER_REFUND_TOO_MUCH] = "that is more than is held",
    [ORDER_REFUND_DISPUTED] = "a dispute is open: the provider decides where the money goes",
    [ORDER_REFUND_NOT_NOW] = "its state does not allow a refund",
  };
  return texts[outcome];
}

/* NULL without @error if there is none. */
static Purchase *
load (Turn *turn, const char *order, Books *books, GError **error)
{
  g_autoptr (Purchase) purchase = purchase_load (turn->db, order, error);
  return purchase != NULL && books_load (turn->db, order, books, error) ? g_steal_pointer (&purchase) : NULL;
}

/* What speaks against it; RESOLVE_DONE if nothing does. */
static gboolean
judge (Turn *turn, const Purchase *purchase, const LedgerSums *sums, Resolution as, ResolveOutcome *outcome,
       GError **error)
{
  gboolean is_there;
  *outcome = RESOLVE_NOT_IN_REVIEW;
  if (purchase->phase != PHASE_REVIEW)
    return TRUE;
  gint64 needed = purchase->price_minor; /* RESOLVE_AS_PAID */
  if (as == RESOLVE_AS_CLOSED)
    needed = G_MININT64;
  else if (as == RESOLVE_AS_REFUND)
    needed = 1;
  else if (as == RESOLVE_AS_FULFILLED) /* a part may have gone back meanwhile */
    needed = MIN (needed, 1);
  *outcome = RESOLVE_NO_MONEY;
  if (ledger_sums_get_held (sums) < needed)
    return TRUE;
  *outcome = RESOLVE_DONE;
  if (as == RESOLVE_AS_FULFILLED)
    {
      if (!goods_of (purchase)->can_be_kept (turn, purchase, &is_there, error))
        return FALSE;
      *outcome = is_there ? RESOLVE_DONE : RESOLVE_NO_SERIAL;
    }
  if (as == RESOLVE_AS_PAID)
    {
      if (!purchase_find_other_open (turn, purchase, &is_there, error))
        return FALSE;
      *outcome = is_there ? RESOLVE_ANOTHER_OPEN : RESOLVE_DONE;
    }
  return TRUE;
}

gboolean
order_resolve (Turn *turn, const char *order, Resolution as, const char *note, ResolveOutcome *outcome,
               GError **error)
{
  GError *local = NULL;
  g_auto (Books) books = { 0 };
  *outcome = RESOLVE_NO_ORDER;
  g_autoptr (Purchase) purchase = load (turn, order, &books, &local);
  if (purchase == NULL)
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local == NULL;
    }
  if (!judge (turn, purchase, &books.sums, as, outcome, error))
    return FALSE;
  if (*outcome != RESOLVE_DONE)
    return TRUE;
  g_autofree char *reason
      = note != NULL ? g_strdup (note) : g_strconcat ("resolved as ", resolutions[as].text, NULL);
  return purchase_apply (turn, purchase, resolutions[as].event, reason, error)
         && purchase_save (turn, purchase, error);
}

gboolean
order_refund (Turn *turn, const char *order, gint64 amount_minor, const char *note,
              OrderRefundOutcome *outcome, GError **error)
{
  GError *local = NULL;
  g_auto (Books) books = { 0 };
  *outcome = ORDER_REFUND_NO_ORDER;
  g_autoptr (Purchase) purchase = load (turn, order, &books, &local);
  if (purchase == NULL)
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local == NULL;
    }
  gint64 free_minor;
  if (!refunds_get_free (turn, purchase, &books, &free_minor, error))
    return FALSE;

  Phase unused_phase;
  Effects unused_effects;
  gboolean is_all = amount_minor == 0 || amount_minor == free_minor;
  if (books.sums.n_open_disputes > 0)
    *outcome = ORDER_REFUND_DISPUTED;
  else if (is_all ? !order_step (purchase->phase, EVENT_REFUND_WANTED, &unused_phase, &unused_effects)
                  : purchase->phase != PHASE_FULFILLED)
    *outcome = ORDER_REFUND_NOT_NOW;
  else if (free_minor <= 0)
    *outcome = ORDER_REFUND_NO_MONEY;
  else if (amount_minor > free_minor)
    *outcome = ORDER_REFUND_TOO_MUCH;
  else
    *outcome = ORDER_REFUND_DONE;
  if (*outcome != ORDER_REFUND_DONE)
    return TRUE;

  const char *reason = note != NULL ? note : "by the host";
  if (is_all)
    return purchase_apply (turn, purchase, EVENT_REFUND_WANTED, reason, error)
           && purchase_save (turn, purchase, error);
  return refunds_add (turn, purchase, &books, amount_minor, reason, error);
}
