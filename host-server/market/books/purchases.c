#include "host-server/market/books/purchases.h"

#include "common/base/id.h"
#include "host-server/market/books/goods.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/books/jobs.h"
#include "host-server/market/books/refunds.h"
#include "host-server/market/books/term.h"

#include <gio/gio.h>
#include <string.h>

Purchase *
purchase_new (void)
{
  return g_new0 (Purchase, 1);
}

void
purchase_free (Purchase *purchase)
{
  if (purchase == NULL)
    return;
  g_free (purchase->id);
  g_free (purchase->account);
  g_free (purchase->user);
  g_free (purchase->provider);
  g_free (purchase->currency);
  g_free (purchase->checkout);
  g_free (purchase->charge_url);
  g_free (purchase->reason);
  g_free (purchase->closed_as);
  g_free (purchase->line);
  g_free (purchase->plugin);
  g_free (purchase->item);
  g_free (purchase->term);
  g_free (purchase);
}

#define COLUMNS                                                                                              \
  "p.id, p.version, p.account, p.user, p.provider, p.phase, p.price_minor, p.currency, p.checkout, "         \
  "p.checkout_try,"                                                                                          \
  " p.charge_url, p.expires_us, p.is_decline_wanted, p.is_declined_by_user, p.paid_us, p.poll_us, p.polls, " \
  "p.reason,"                                                                                                \
  " p.created_us, l.id, l.plugin, l.term, l.is_renewal, l.is_reserve, p.closed_as, l.item, l.amount"         \
  " FROM purchase p JOIN "                                                                                   \
  "purchase_line l ON l.purchase "                                                                           \
  "= p.id "

static Purchase *
read_row (DbQuery *query)
{
  Purchase *purchase = purchase_new ();
  purchase->id = db_dup_text (query, 0);
  purchase->version = db_get_int (query, 1);
  purchase->account = db_dup_text (query, 2);
  purchase->user = db_dup_text (query, 3);
  purchase->provider = db_dup_text (query, 4);
  if (!phase_from_text (db_get_text (query, 5), &purchase->phase))
    purchase->phase = PHASE_REVIEW; /* a word of a later version: no arrow leaves it */
  purchase->price_minor = db_get_int (query, 6);
  purchase->currency = db_dup_text (query, 7);
  purchase->checkout = db_dup_text (query, 8);
  purchase->checkout_try = (guint)db_get_int (query, 9);
  purchase->charge_url = db_dup_text (query, 10);
  purchase->expires_us = db_get_int (query, 11);
  purchase->is_decline_wanted = db_get_int (query, 12) != 0;
  purchase->is_declined_by_user = db_get_int (query, 13) != 0;
  purchase->paid_us = db_get_int (query, 14);
  purchase->poll_us = db_get_int (query, 15);
  purchase->polls = (guint)db_get_int (query, 16);
  purchase->reason = db_dup_text (query, 17);
  purchase->created_us = db_get_int (query, 18);
  purchase->line = db_dup_text (query, 19);
  purchase->plugin = db_dup_text (query, 20);
  purchase->term = db_dup_text (query, 21);
  purchase->is_renewal = db_get_int (query, 22) != 0;
  purchase->is_reserve = db_get_int (query, 23) != 0;
  purchase->closed_as = db_dup_text (query, 24);
  purchase->item = db_dup_text (query, 25);
  purchase->amount = db_get_int (query, 26);
  purchase->loaded_shown = purchase_get_shown (purchase);
  return purchase;
}

OrderState
purchase_get_shown (const Purchase *purchase)
{
  OrderState shown;
  if (purchase->phase == PHASE_CLOSED && order_state_from_text (purchase->closed_as, &shown))
    return shown;
  return phase_get_shown (purchase->phase);
}

gboolean
purchase_is_opening (const Purchase *purchase)
{
  return purchase->phase == PHASE_CREATED || purchase->phase == PHASE_RESERVING;
}

Purchase *
purchase_load (Db *db, const char *id, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (db, "SELECT " COLUMNS "WHERE p.id = ?", "s", id);
  return turn_find (query, &is_found, error) && is_found ? read_row (query) : NULL;
}

static PaymentState
derive_payment (const Purchase *purchase, const LedgerSums *sums)
{
  static const LedgerSums nothing;
  return payment_derive (purchase->phase, purchase->price_minor, sums != NULL ? sums : &nothing);
}

gboolean
purchase_insert (Turn *turn, Purchase *purchase, const char *request, GError **error)
{
  purchase->version = 1;
  return db_run (turn->db, error,
                 "INSERT INTO purchase (id, version, account, user, provider, phase, payment, price_minor, "
                 "currency,"
                 " checkout_try, expires_us, is_decline_wanted, is_declined_by_user, paid_us, poll_us, "
                 "polls, reason,"
                 " created_us, changed_us) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, 0, 0, 0, '', ?, ?)",
                 "ssssssisiii", purchase->id, purchase->account, purchase->user, purchase->provider,
                 phase_to_text (purchase->phase), payment_state_to_text (derive_payment (purchase, NULL)),
                 purchase->price_minor, purchase->currency, purchase->expires_us, purchase->created_us,
                 turn->now_us)
         && db_run (turn->db, error,
                    "INSERT INTO purchase_line (id, purchase, account, plugin, term, price_minor, "
                    "is_renewal, is_open, is_reserve, item, amount)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
                    "sssssiiisi", purchase->line, purchase->id, purchase->account, purchase->plugin,
                    purchase->term, purchase->price_minor, (gint64)purchase->is_renewal,
                    (gint64)purchase->is_reserve, purchase->item, purchase->amount)
         && db_run (turn->db, error,
                    "INSERT INTO purchase_request (account, request, purchase) VALUES (?, ?, ?)", "sss",
                    purchase->account, request, purchase->id);
}

static gboolean
set_open (Turn *turn, const Purchase *purchase, gboolean is_open, GError **error)
{
  return db_run (turn->db, error, "UPDATE purchase_line SET is_open = ? WHERE id = ?", "is", (gint64)is_open,
                 purchase->line);
}

/* The ledger's sums, read once a turn. */
static gboolean
need_sums (Turn *turn, Purchase *purchase, GError **error)
{
  if (purchase->has_sums)
    return TRUE;
  g_auto (Books) books = { 0 };
  if (!books_load (turn->db, purchase->id, &books, error))
    return FALSE;
  purchase->sums = books.sums;
  purchase->has_sums = TRUE;
  return TRUE;
}

/* The line counts; while its money is in dispute it is set aside at once. */
static gboolean
grant (Turn *turn, Purchase *purchase, GError **error)
{
  if (!need_sums (turn, purchase, error))
    return FALSE;
  return goods_of (purchase)->grant (turn, purchase,
                                     order_is_withheld (purchase->price_minor, &purchase->sums), error);
}

/* An excess whose refund was refused while the serial was made: what was bought came first. */
static gboolean
find_refused_excess (Turn *turn, Purchase *purchase, GError **error)
{
  if (ledger_sums_get_held (&purchase->sums) <= purchase->price_minor)
    return TRUE;
  g_autoptr (DbQuery) query = db_query (
      turn->db, "SELECT 1 FROM refund WHERE purchase = ? AND state = 'rejected' LIMIT 1", "s", purchase->id);
  return turn_find (query, &purchase->has_refused_excess, error);
}

/* What a closed order shows is what it showed before it needed a person, if that was an end. */
static const char *
choose_closed_as (Phase from)
{
  OrderState shown = phase_get_shown (from);
  gboolean is_end = shown != ORDER_AWAITING_PAYMENT && shown != ORDER_PAID && shown != ORDER_REFUNDING;
  return order_state_to_text (is_end ? shown : ORDER_REVIEW);
}

gboolean
purchase_apply (Turn *turn, Purchase *purchase, Event event, const char *reason, GError **error)
{
  Phase from = purchase->phase;
  Effects effects;
  if (!order_step (from, event, &purchase->phase, &effects))
    {
      turn_log (turn, LOG_LEVEL_WARNING, "refused order=%s: %s in %s", purchase->id, event_to_text (event),
                phase_to_text (from));
      return TRUE;
    }
  g_free (purchase->reason);
  purchase->reason = g_strdup (reason != NULL ? reason : event_to_text (event));
  turn_log (turn, event == EVENT_DOUBTFUL || event == EVENT_UNISSUABLE ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
            "order=%s plugin=%s %s -> %s (%s)", purchase->id, purchase->plugin, phase_to_text (from),
            phase_to_text (purchase->phase), purchase->reason);

  const MarketSettings *settings = &turn->desk->settings;
  const Goods *goods = goods_of (purchase);
  if (effects & EFFECT_POLL)
    {
      gint64 pause = settings_get_pause (settings->poll_us, settings->n_poll, 0);
      purchase->poll_us
          = MIN (turn->now_us + MAX (pause, 0), purchase->expires_us + settings->expiry_grace_us);
    }
  if (effects & EFFECT_STOP_POLL)
    purchase->poll_us = 0;
  /* Declined on its page, and perhaps paid there after all: one more look, when it cannot be paid any more.
   */
  if (event == EVENT_DECLINED && !purchase->is_declined_by_user && purchase->checkout != NULL)
    purchase->poll_us = MAX (turn->now_us, purchase->expires_us + settings->expiry_grace_us);
  if (effects & EFFECT_SETTLE)
    purchase->wants_settling = TRUE;
  if (effects & EFFECT_START_ISSUE)
    purchase->paid_us = turn->now_us;
  if (purchase->phase == PHASE_REVIEW)
    {
      g_free (purchase->closed_as);
      purchase->closed_as = g_strdup (choose_closed_as (from));
    }

  if (((effects & EFFECT_OPEN) && !set_open (turn, purchase, TRUE, error))
      || ((effects & EFFECT_CLOSE) && !set_open (turn, purchase, FALSE, error))
      || ((effects & EFFECT_CANCEL) && purchase->is_declined_by_user
          && !job_add (turn, JOB_CANCEL, purchase->id, turn->now_us, error))
      || ((effects & EFFECT_ABANDON_ISSUE) && !goods->abandon (turn, purchase, error))
      || ((effects & (EFFECT_GRANT | EFFECT_RESTORE)) && !grant (turn, purchase, error))
      || ((effects & EFFECT_GRANT) && !find_refused_excess (turn, purchase, error))
      || ((effects & EFFECT_REVOKE) && !goods->end (turn, purchase, error))
      || ((effects & EFFECT_START_RESERVE) && !issue_reserve (turn, purchase, error))
      || ((effects & EFFECT_START_CHECKOUT)
          && !job_add (turn, JOB_CHECKOUT, purchase->id, turn->now_us, error))
      || ((effects & EFFECT_START_ISSUE) && !goods->start (turn, purchase, error)))
    return FALSE;
  return TRUE;
}

gboolean
purchase_find_other_open (Turn *turn, const Purchase *purchase, gboolean *is_there, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (turn->db,
                  "SELECT 1 FROM purchase_line WHERE account = ? AND plugin = ? AND item = ?"
                  " AND is_open = 1 AND id <> ?",
                  "ssss", purchase->account, purchase->plugin, purchase->item, purchase->line);
  return turn_find (query, is_there, error);
}

/* Whether late money can still buy what it was for. */
static gboolean
find_can_honour (Turn *turn, const Purchase *purchase, gboolean *can_honour, GError **error)
{
  gboolean is_open;
  if (!purchase_find_other_open (turn, purchase, &is_open, error)
      || !goods_of (purchase)->can_be_had (turn, purchase, can_honour, error))
    return FALSE;
  *can_honour = *can_honour && !is_open;
  return TRUE;
}

gboolean
purchase_judge (Turn *turn, Purchase *purchase, GError **error)
{
  g_auto (Books) books = { 0 };
  if (!books_load (turn->db, purchase->id, &books, error))
    return FALSE;

  MoneyCase money = {
    .price = purchase->price_minor,
    .sums = books.sums,
    .late = turn->desk->settings.late,
  };
  purchase->sums = books.sums;
  purchase->has_sums = TRUE;
  if (purchase->phase == PHASE_EXPIRED && !find_can_honour (turn, purchase, &money.can_honour, error))
    return FALSE;

  /* Each arrow leads on in the table, which has no circle of money events: a few steps at most. */
  Event event;
  for (money.phase = purchase->phase; order_judge_money (&money, &event); money.phase = purchase->phase)
    {
      if (!purchase_apply (turn, purchase, event, NULL, error))
        return FALSE;
      if (purchase->phase == money.phase)
        break;
    }
  purchase->wants_settling = FALSE;
  if (books.sums.n_open_disputes + books.sums.n_ended_disputes > 0
      && !goods_of (purchase)->withhold (turn, purchase,
                                         order_is_withheld (purchase->price_minor, &books.sums), error))
    return FALSE;
  return refunds_settle (turn, purchase, &books, error);
}

OrderView *
purchase_to_view (const Purchase *purchase)
{
  OrderView *view = g_new0 (OrderView, 1);
  view->id = g_strdup (purchase->id);
  view->plugin = g_strdup (purchase->plugin);
  view->item = purchase->item[0] != '\0' ? g_strdup (purchase->item) : NULL;
  view->state = purchase_get_shown (purchase);
  view->price_minor = purchase->price_minor;
  view->currency = g_strdup (purchase->currency);
  if (view->state == ORDER_AWAITING_PAYMENT)
    {
      view->expires_us = purchase->expires_us;
      view->charge_url = g_strdup (purchase->charge_url);
    }
  return view;
}

gboolean
purchase_save (Turn *turn, Purchase *purchase, GError **error)
{
  if (purchase->wants_settling && !purchase_judge (turn, purchase, error))
    return FALSE;
  if (purchase->has_refused_excess && purchase->phase == PHASE_FULFILLED
      && !purchase_apply (turn, purchase, EVENT_DOUBTFUL, "the provider refused a refund", error))
    return FALSE;

  if (!need_sums (turn, purchase, error))
    return FALSE;
  if (!db_run (
          turn->db, error,
          "UPDATE purchase SET version = version + 1, phase = ?, payment = ?, checkout = ?, checkout_try = ?,"
          " charge_url = ?, is_decline_wanted = ?, is_declined_by_user = ?, paid_us = ?, poll_us = ?, polls "
          "= ?,"
          " reason = ?, closed_as = ?, changed_us = ? WHERE id = ? AND version = ?",
          "sssisiiiiissisi", phase_to_text (purchase->phase),
          payment_state_to_text (derive_payment (purchase, &purchase->sums)), purchase->checkout,
          (gint64)purchase->checkout_try, purchase->charge_url, (gint64)purchase->is_decline_wanted,
          (gint64)purchase->is_declined_by_user, purchase->paid_us, purchase->poll_us,
          (gint64)purchase->polls, purchase->reason, purchase->closed_as, turn->now_us, purchase->id,
          purchase->version))
    return FALSE;
  if (db_get_changes (turn->db) != 1)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "order %s changed under its transaction",
                   purchase->id);
      return FALSE;
    }
  purchase->version++;
  if (purchase->poll_us > 0)
    turn_wake (turn, purchase->poll_us);

  OrderState shown = purchase_get_shown (purchase);
  if (shown != purchase->loaded_shown)
    {
      OrderNote *note = g_new0 (OrderNote, 1);
      note->account = g_strdup (purchase->account);
      note->view = purchase_to_view (purchase);
      g_ptr_array_add (turn->orders, note);
      purchase->loaded_shown = shown;
    }
  return TRUE;
}

static gboolean
find_place (Db *db, const char *account, const char *id, gint64 *n_newer, gboolean *is_known, GError **error)
{
  g_autoptr (DbQuery) query = db_query (db,
                                        "SELECT (SELECT COUNT (*) FROM purchase WHERE account = ? AND id > "
                                        "?) FROM purchase WHERE account = ? AND id = ?",
                                        "ssss", account, id, account, id);
  if (!turn_find (query, is_known, error))
    return FALSE;
  *n_newer = *is_known ? db_get_int (query, 0) : 0;
  return TRUE;
}

gboolean
purchases_page (Db *db, const char *account, Orders *orders, gboolean *is_known, GError **error)
{
  Paging *paging = &orders->paging;
  gint64 max = paging->max < 0 || paging->max > MARKET_MAX_PAGE ? MARKET_MAX_PAGE : paging->max;
  gint64 start = MAX (paging->index, 0), n_newer = 0;
  *is_known = TRUE;

  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (db, "SELECT COUNT (*) FROM purchase WHERE account = ?", "s", account);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    paging->count = db_get_int (query, 0);
  }
  if (paging->after != NULL)
    {
      if (!find_place (db, account, paging->after, &n_newer, is_known, error))
        return FALSE;
      start = n_newer + 1;
    }
  else if (paging->before != NULL)
    {
      n_newer = paging->count;
      if (paging->before[0] != '\0' && !find_place (db, account, paging->before, &n_newer, is_known, error))
        return FALSE;
      start = MAX (n_newer - max, 0);
      max = MIN (max, n_newer);
    }
  if (!*is_known)
    return TRUE;

  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT " COLUMNS "WHERE p.account = ? ORDER BY p.id DESC LIMIT ? OFFSET ?", "sii",
                  account, max, start);
  while (db_next (query, &local))
    {
      g_autoptr (Purchase) purchase = read_row (query);
      g_ptr_array_add (orders->orders, purchase_to_view (purchase));
    }
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (orders->orders->len > 0)
    {
      const OrderView *first = g_ptr_array_index (orders->orders, 0);
      const OrderView *last = g_ptr_array_index (orders->orders, orders->orders->len - 1);
      paging->first = g_strdup (first->id);
      paging->first_index = start;
      paging->last = g_strdup (last->id);
    }
  return TRUE;
}
