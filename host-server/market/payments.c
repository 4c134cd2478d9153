#include "host-server/core/http.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/money-json.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/notices.h"
#include "host-server/market/room.h"

#include <string.h>

/* The market's calls to billing providers: checkouts are made, cancelled and asked after, refunds sent and
 * followed. Each call is idempotent by its key, so a job that is run twice does what it would have done once.
 */

typedef struct
{
  Market *market;
  Job *job; /* NULL for a question that no job stands behind */
  Provider *provider;
  char *subject; /* the order or refund */

  /* The answer, kept for the writer thread. */
  ProviderOutcome outcome;
  char *reason;
  gint64 retry_after_s;
  char *checkout;
  char *url;
  gint64 expires_us; /* of a checkout made; 0: as asked */
  CheckoutStatus status;
  GPtrArray *events; /* of MoneyEvent */
  char *refund;
  ProviderRefundStatus refund_status;
  gint64 refunded_minor; /* of the payment in all; 0: the refund counts by itself */

  gboolean is_decided; /* of a checkout: it is there, or will not be */
} Call;

static void
call_free (gpointer data)
{
  Call *call = data;
  job_free (call->job);
  g_free (call->subject);
  g_free (call->reason);
  g_free (call->checkout);
  g_free (call->url);
  if (call->events != NULL)
    g_ptr_array_unref (call->events);
  g_free (call->refund);
  g_free (call);
}

static Call *
call_new (Market *market, const Job *job, const char *subject)
{
  Call *call = g_new0 (Call, 1);
  call->market = market;
  call->job = job != NULL ? job_copy (job) : NULL;
  call->subject = g_strdup (subject);
  return call;
}

static gpointer
copy_event (gconstpointer event, gpointer unused)
{
  return money_event_copy (event);
}

/* Keeps the answer. */
static void
take_reply (Call *call, const ProviderReply *reply)
{
  market_end_call (call->market, call);
  call->outcome = reply->outcome;
  call->reason = g_strdup (reply->reason);
  call->retry_after_s = reply->retry_after_s;
  call->checkout = g_strdup (reply->checkout);
  call->url = g_strdup (reply->url);
  call->expires_us = reply->expires_us;
  call->status = reply->status;
  call->refund = g_strdup (reply->refund);
  call->refund_status = reply->refund_status;
  call->refunded_minor = reply->refunded_minor;
  if (reply->events != NULL)
    call->events = g_ptr_array_copy ((GPtrArray *)reply->events, copy_event, NULL);
  if (call->events != NULL)
    g_ptr_array_set_free_func (call->events, (GDestroyNotify)money_event_free);
  gauges_note_provider (call->market, call->provider, reply->outcome);
  if (reply->outcome == PROVIDER_FAULT)
    log_error ("market", "provider %s: %s; its configuration must be looked at", call->provider->name,
               reply->reason);
}

static void
stored (Market *market, gpointer data, const GError *error)
{
  Call *call = data;
  if (error != NULL) /* the lease ends and the job is claimed again */
    log_error ("market", "the provider's answer could not be stored for %s: %s", call->subject,
               error->message);
  call_free (call);
}

/* Ends a job that has nothing to work on. */
static gboolean
drop_work (Turn *turn, gpointer data, GError **error)
{
  Call *call = data;
  gboolean is_held;
  turn_log (turn, LOG_LEVEL_ERROR, "%s %s: there is nothing to do it with",
            job_kind_to_text (call->job->kind), call->subject);
  return job_finish (turn, call->job, &is_held, error);
}

static gint64
choose_pause (const Turn *turn, const Call *call)
{
  /* Quick at first, since a user waits; then every half minute. */
  static const gint64 pauses_us[] = { 0, 500000, 1000000, 2000000, 5000000, 10000000 };
  gint64 pause = settings_get_pause (pauses_us, G_N_ELEMENTS (pauses_us), call->job->attempt + 1);
  return MAX (pause < 0 ? 30 * G_USEC_PER_SEC : pause, call->retry_after_s * G_USEC_PER_SEC);
}

static gboolean
load (Turn *turn, const char *id, Purchase **purchase, GError **error)
{
  GError *local = NULL;
  *purchase = purchase_load (turn->db, id, &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* Create a checkout. */

/* The order ends with what the buyer can still pay. */
static gboolean
take_end (Turn *turn, const Call *call, Purchase *purchase, GError **error)
{
  if (call->expires_us == 0)
    return TRUE;
  purchase->expires_us = call->expires_us;
  return db_run (turn->db, error, "UPDATE purchase SET expires_us = ? WHERE id = ?", "is", call->expires_us,
                 purchase->id);
}

static gboolean
take_checkout (Turn *turn, Call *call, Purchase *purchase, GError **error)
{
  if (purchase->checkout == NULL)
    purchase->checkout = g_strdup (call->checkout);
  else if (!g_str_equal (purchase->checkout, call->checkout))
    {
      /* A payment of another checkout was reported before this answer came. */
      turn_log (turn, LOG_LEVEL_ERROR, "a second checkout exists order=%s", purchase->id);
      return TRUE;
    }
  purchase->charge_url = g_strdup (call->url);
  if (!take_end (turn, call, purchase, error))
    return FALSE;
  if (purchase_is_opening (purchase) && !purchase_apply (turn, purchase, EVENT_CHECKOUT_MADE, NULL, error))
    return FALSE;
  if (!purchase->is_decline_wanted || purchase->phase != PHASE_AWAITING_PAYMENT)
    return TRUE;
  purchase->is_declined_by_user = TRUE;
  return purchase_apply (turn, purchase, EVENT_DECLINED, "by the user", error)
         && purchase_judge (turn, purchase, error);
}

static gboolean
checkout_work (Turn *turn, gpointer data, GError **error)
{
  Call *call = data;
  g_autoptr (Purchase) purchase = NULL;
  gboolean is_held;
  if (!load (turn, call->subject, &purchase, error))
    return FALSE;

  gboolean is_made = call->outcome == PROVIDER_OK;
  gboolean is_refused = call->outcome == PROVIDER_REFUSED || call->outcome == PROVIDER_CONFLICT;
  gboolean is_over = turn->now_us >= purchase->expires_us;
  if (is_made || is_refused || is_over || !purchase_is_opening (purchase))
    {
      if (!job_finish (turn, call->job, &is_held, error))
        return FALSE;
      call->is_decided = is_held;
      if (!is_held)
        return TRUE;
      if (is_made && !take_checkout (turn, call, purchase, error))
        return FALSE;
      if (!is_made && purchase_is_opening (purchase)
          && !purchase_apply (turn, purchase, EVENT_CHECKOUT_REFUSED, call->reason, error))
        return FALSE;
      return purchase_save (turn, purchase, error);
    }

  if (!job_retry (turn, call->job, choose_pause (turn, call), &is_held, error))
    return FALSE;
  if (!is_held)
    return TRUE;
  turn_log (turn, LOG_LEVEL_WARNING, "checkout not made order=%s attempt=%u: %s", purchase->id,
            call->job->attempt, call->reason);
  /* A provider may repeat a failure under its key for ever: a definite one, seen twice, gets a new key. */
  if (call->outcome == PROVIDER_BROKEN && call->job->attempt % 2 == 1)
    purchase->checkout_try++;
  return purchase_save (turn, purchase, error);
}

static void
checkout_stored (Market *market, gpointer data, const GError *error)
{
  Call *call = data;
  if (error == NULL && call->is_decided)
    {
      /* Who waits is answered with the charge; if nobody does, it is late and comes as a push. */
      g_autoptr (Purchase) purchase = waiters_wake (market, call->subject)
                                          ? NULL
                                          : purchase_load (market_peek_reader (market), call->subject, NULL);
      if (purchase != NULL && purchase->phase == PHASE_AWAITING_PAYMENT)
        {
          g_autoptr (OrderView) view = purchase_to_view (purchase);
          OrderNote note = { purchase->account, view };
          serials_push_order (market, &note);
          notices_tell_charge (market, purchase);
        }
    }
  stored (market, data, error);
}

static void
got_checkout (const ProviderReply *reply, gpointer data)
{
  Call *call = data;
  crash_point (CHECKOUT_CALLED);
  take_reply (call, reply);
  market_write_step (call->market, CHECKOUT, checkout_work, checkout_stored, call);
}

/* The order @job is about, as committed, and its provider; NULL if there is nothing to do, and then the job
 * ends. */
static Purchase *
find_purchase (Market *market, const Job *job, Provider **provider)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Purchase) purchase = purchase_load (market_peek_reader (market), job->subject, &error);
  *provider = purchase != NULL ? desk_find_provider (&market->desk, purchase->provider) : NULL;
  if (*provider != NULL)
    return g_steal_pointer (&purchase);
  if (error != NULL)
    log_error ("market", "order %s cannot be read: %s", job->subject, error->message);
  else if (purchase == NULL)
    market_write (market, drop_work, stored, call_new (market, job, job->subject));
  else /* its provider is not configured any more: it waits until the lease ends, and is asked again */
    log_error ("market", "order %s was sold through '%s', which is not configured", purchase->id,
               purchase->provider);
  return NULL;
}

void
payments_find_callback (Market *market, Provider *provider)
{
  /* Without a public URL callbacks come to where we listen: both on one machine. */
  if (provider->callback_url == NULL && http_peek_address (market->server->http) != NULL)
    provider->callback_url = g_strconcat ("http://", http_peek_address (market->server->http), "/v1/billing/",
                                          provider->name, NULL);
}

void
payments_run_checkout (Market *market, const Job *job)
{
  Provider *provider;
  g_autoptr (Purchase) purchase = find_purchase (market, job, &provider);
  if (purchase == NULL)
    return;

  g_autofree char *name = catalog_dup_name (market, purchase->plugin, purchase->item);
  g_autofree char *key = purchase->checkout_try == 0
                             ? g_strdup (purchase->id)
                             : g_strdup_printf ("%s.%u", purchase->id, purchase->checkout_try);
  g_autofree char *party = g_strconcat ("provider:", provider->name, NULL);
  g_autofree char *buyer = pairwise_name (market->desk.keys.pairwise, party, purchase->account);
  CheckoutRequest request = {
    .key = key,
    .order = purchase->id,
    .amount_minor = purchase->price_minor,
    .currency = purchase->currency,
    .description = name,
    .buyer = buyer,
    .created_us = purchase->created_us,
    .expires_us = purchase->expires_us,
  };
  payments_find_callback (market, provider);
  Call *call = call_new (market, job, job->subject);
  call->provider = provider;
  market_begin_call (market, call, call_free);
  crash_point (CHECKOUT_SENDING);
  provider->type->create_checkout (provider, &request, got_checkout, call);
}

/* Reports of a checkout: after a cancel, and when asked. */

/* Everything in the report that the ledger does not have yet. */
static gboolean
apply_report (Turn *turn, const Call *call, GError **error)
{
  for (guint i = 0; call->events != NULL && i < call->events->len; i++)
    {
      const MoneyEvent *event = g_ptr_array_index (call->events, i);
      BooksOutcome outcome;
      const char *reason;
      if (!books_apply (turn, call->provider, event, &(Evidence){ "poll" }, &outcome, &reason, error))
        return FALSE;
      if (outcome != BOOKS_MISMATCH && outcome != BOOKS_NO_ORDER)
        continue;
      /* A person's matter, once: the provider's own id stands in for a delivery's. */
      g_autofree char *id = g_strconcat (event->is_total ? "poll-total:" : "poll:",
                                         event->refund != NULL    ? event->refund
                                         : event->dispute != NULL ? event->dispute
                                                                  : event->payment,
                                         NULL);
      g_autofree char *text = money_event_dup_json (event);
      if (!books_keep_unmatched (turn, call->provider->name, id, reason, text, strlen (text), FALSE, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
cancel_work (Turn *turn, gpointer data, GError **error)
{
  Call *call = data;
  gboolean is_held;
  if (call->outcome != PROVIDER_OK && call->outcome != PROVIDER_CONFLICT && call->outcome != PROVIDER_REFUSED)
    {
      gint64 pause = settings_get_pause (turn->desk->settings.refund_retry_us,
                                         turn->desk->settings.n_refund_retry, call->job->attempt + 1);
      if (pause >= 0)
        return job_retry (turn, call->job, MAX (pause, call->retry_after_s * G_USEC_PER_SEC), &is_held,
                          error);
      turn_log (turn, LOG_LEVEL_ERROR, "the checkout of order %s could not be cancelled: %s", call->subject,
                call->reason);
    }
  return job_finish (turn, call->job, &is_held, error) && (!is_held || apply_report (turn, call, error));
}

static void
got_cancel (const ProviderReply *reply, gpointer data)
{
  Call *call = data;
  crash_point (CANCEL_CALLED);
  take_reply (call, reply);
  market_write_step (call->market, CANCEL, cancel_work, stored, call);
}

void
payments_run_cancel (Market *market, const Job *job)
{
  Provider *provider;
  g_autoptr (Purchase) purchase = find_purchase (market, job, &provider);
  if (purchase == NULL)
    return;
  Call *call = call_new (market, job, job->subject);
  call->provider = provider;
  if (purchase->checkout == NULL)
    {
      market_write (market, drop_work, stored, call);
      return;
    }
  market_begin_call (market, call, call_free);
  crash_point (CANCEL_SENDING);
  provider->type->cancel_checkout (provider, purchase->checkout, got_cancel, call);
}

static gboolean
poll_work (Turn *turn, gpointer data, GError **error)
{
  Call *call = data;
  g_autoptr (Purchase) purchase = NULL;
  if (call->outcome != PROVIDER_OK)
    {
      turn_log (turn, LOG_LEVEL_WARNING, "checkout could not be asked after order=%s: %s", call->subject,
                call->reason);
      return TRUE; /* it stays as it is; the next poll is already due */
    }
  if (!apply_report (turn, call, error) || !load (turn, call->subject, &purchase, error))
    return FALSE;
  gint64 end_us = purchase != NULL ? purchase->expires_us + turn->desk->settings.expiry_grace_us : 0;
  if (purchase != NULL && purchase->phase != PHASE_AWAITING_PAYMENT && purchase->poll_us > 0
      && turn->now_us >= end_us)
    {
      purchase->poll_us = 0; /* that was the last look */
      return purchase_save (turn, purchase, error);
    }
  if (purchase == NULL || purchase->phase != PHASE_AWAITING_PAYMENT || call->status == CHECKOUT_PAID
      || call->status == CHECKOUT_PENDING)
    return TRUE;

  if (call->status != CHECKOUT_DECLINED && turn->now_us < end_us)
    return TRUE;
  Event event = call->status == CHECKOUT_DECLINED ? EVENT_DECLINED : EVENT_EXPIRED;
  return purchase_apply (turn, purchase, event,
                         event == EVENT_DECLINED ? "at the provider" : "not paid in time", error)
         && purchase_judge (turn, purchase, error) && purchase_save (turn, purchase, error);
}

static void
got_report (const ProviderReply *reply, gpointer data)
{
  Call *call = data;
  crash_point (POLL_CALLED);
  take_reply (call, reply);
  market_write_step (call->market, POLL, poll_work, stored, call);
}

void
payments_poll (Market *market, const char *purchase, const char *provider_name, const char *checkout)
{
  Provider *provider = desk_find_provider (&market->desk, provider_name);
  if (provider == NULL)
    return;
  Call *call = call_new (market, NULL, purchase);
  call->provider = provider;
  market_begin_call (market, call, call_free);
  crash_point (POLL_SENDING);
  provider->type->get_checkout (provider, checkout, got_report, call);
}

/* Refunds. */

typedef struct
{
  char *purchase, *payment, *reason, *state, *provider_refund, *provider, *currency;
  gint64 amount_minor;
} RefundRow;

static void
refund_row_free (RefundRow *row)
{
  if (row == NULL)
    return;
  g_free (row->purchase);
  g_free (row->payment);
  g_free (row->reason);
  g_free (row->state);
  g_free (row->provider_refund);
  g_free (row->provider);
  g_free (row->currency);
  g_free (row);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RefundRow, refund_row_free)

static RefundRow *
refund_row_load (Db *db, const char *id, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (db,
                                        "SELECT r.purchase, r.payment, r.reason, r.state, r.provider_refund, "
                                        "r.amount_minor, p.provider, p.currency"
                                        " FROM refund r JOIN purchase p ON p.id = r.purchase WHERE r.id = ?",
                                        "s", id);
  if (!turn_find (query, &is_found, error) || !is_found)
    return NULL;
  RefundRow *row = g_new0 (RefundRow, 1);
  row->purchase = db_dup_text (query, 0);
  row->payment = db_dup_text (query, 1);
  row->reason = db_dup_text (query, 2);
  row->state = db_dup_text (query, 3);
  row->provider_refund = db_dup_text (query, 4);
  row->amount_minor = db_get_int (query, 5);
  row->provider = db_dup_text (query, 6);
  row->currency = db_dup_text (query, 7);
  return row;
}

static gboolean
set_refund (Turn *turn, const char *id, const char *state, const char *provider_refund, GError **error)
{
  return db_run (
      turn->db, error,
      "UPDATE refund SET state = ?, provider_refund = COALESCE (?, provider_refund), version = version + 1,"
      " changed_us = ? WHERE id = ?",
      "ssis", state, provider_refund, turn->now_us, id);
}

/* The money is back: the ledger's row is the same that a callback would write. */
static gboolean
refund_done (Turn *turn, const Call *call, const RefundRow *row, Purchase *purchase, GError **error)
{
  MoneyEvent event = {
    .kind = MONEY_REFUND,
    .merchant = call->provider->merchant,
    .order = row->purchase,
    .checkout = purchase->checkout,
    .payment = row->payment,
    .is_total = call->refunded_minor > 0,
    .refund = call->refunded_minor > 0 ? NULL : call->refund,
    .amount_minor = call->refunded_minor > 0 ? call->refunded_minor : row->amount_minor,
    .currency = row->currency,
    .is_live = call->provider->is_live,
  };
  BooksOutcome outcome;
  const char *reason;
  if (!set_refund (turn, call->subject, "confirmed", call->refund, error)
      || !books_apply (turn, call->provider, &event, &(Evidence){ "refund" }, &outcome, &reason, error))
    return FALSE;
  if (outcome == BOOKS_MISMATCH)
    turn_log (turn, LOG_LEVEL_ERROR, "refund=%s order=%s: %s", call->subject, row->purchase, reason);
  return TRUE;
}

/* The provider will not. If it had given the money back by itself, nothing is owed any more. */
static gboolean
refund_refused (Turn *turn, const Call *call, const RefundRow *row, Purchase *purchase, GError **error)
{
  g_auto (Books) books = { 0 };
  if (!set_refund (turn, call->subject, "rejected", call->refund, error)
      || !books_load (turn->db, row->purchase, &books, error))
    return FALSE;
  gint64 held = ledger_sums_get_held (&books.sums);
  turn_log (turn, LOG_LEVEL_ERROR, "refund refused refund=%s order=%s: %s", call->subject, row->purchase,
            call->reason);
  if (held <= order_get_keepable (purchase->phase, purchase->price_minor, &books.sums))
    return TRUE;
  if (purchase->phase == PHASE_PAID || purchase->phase == PHASE_ISSUING)
    return TRUE; /* what was bought comes first, then the person */
  return purchase_apply (turn, purchase, EVENT_DOUBTFUL, "the provider refused a refund", error)
         && purchase_save (turn, purchase, error);
}

static gboolean
mark_sent (Turn *turn, const Call *call, Purchase *purchase, GError **error)
{
  if (!set_refund (turn, call->subject, "sent", call->refund, error))
    return FALSE;
  return purchase->phase != PHASE_REFUND_DUE
         || (purchase_apply (turn, purchase, EVENT_REFUND_SENT, NULL, error)
             && purchase_save (turn, purchase, error));
}

static gboolean
refund_work (Turn *turn, gpointer data, GError **error)
{
  Call *call = data;
  gboolean is_held;
  const MarketSettings *settings = &turn->desk->settings;
  g_autoptr (Purchase) purchase = NULL;
  g_autoptr (GError) local = NULL;
  g_autoptr (RefundRow) row = refund_row_load (turn->db, call->subject, &local);
  if (row == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (!load (turn, row->purchase, &purchase, error))
    return FALSE;

  gboolean is_answered = call->outcome == PROVIDER_OK;
  gboolean is_final = (is_answered && call->refund_status != PROVIDER_REFUND_PENDING)
                      || call->outcome == PROVIDER_REFUSED || call->outcome == PROVIDER_CONFLICT;
  if (is_final)
    {
      if (!job_finish (turn, call->job, &is_held, error))
        return FALSE;
      if (!is_held)
        return TRUE;
      if (is_answered && call->refund_status == PROVIDER_REFUND_DONE)
        return refund_done (turn, call, row, purchase, error);
      return refund_refused (turn, call, row, purchase, error);
    }

  /* Under way, or in doubt: the same key again, or the same question. */
  gint64 pause = is_answered ? settings_get_pause (settings->poll_us, settings->n_poll,
                                                   MIN (call->job->attempt, (guint)settings->n_poll - 1))
                             : settings_get_pause (settings->refund_retry_us, settings->n_refund_retry,
                                                   call->job->attempt + 1);
  gboolean is_hopeless = pause < 0;
  if (is_hopeless)
    pause = G_GINT64_CONSTANT (24) * 3600 * G_USEC_PER_SEC;
  if (!job_retry (turn, call->job, MAX (pause, call->retry_after_s * G_USEC_PER_SEC), &is_held, error))
    return FALSE;
  if (!is_held)
    return TRUE;
  turn_log (turn, is_hopeless ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
            "refund not confirmed refund=%s order=%s: %s", call->subject, row->purchase,
            is_answered ? "pending" : call->reason);
  return is_answered ? mark_sent (turn, call, purchase, error)
                     : set_refund (turn, call->subject, "sent", NULL, error);
}

static void
got_refund (const ProviderReply *reply, gpointer data)
{
  Call *call = data;
  crash_point (REFUND_CALLED);
  take_reply (call, reply);
  market_write_step (call->market, REFUND, refund_work, stored, call);
}

static gboolean
wait_work (Turn *turn, gpointer data, GError **error)
{
  Call *call = data;
  gboolean is_held;
  const MarketSettings *settings = &turn->desk->settings;
  gint64 pause = settings_get_pause (settings->poll_us, settings->n_poll,
                                     MIN (call->job->attempt, (guint)settings->n_poll - 1));
  return job_retry (turn, call->job, MAX (pause, 100 * 1000), &is_held, error);
}

/* While a dispute is open the provider moves the money. */
static gboolean
find_is_disputed (Market *market, const char *purchase)
{
  g_auto (Books) books = { 0 };
  return books_load (market_peek_reader (market), purchase, &books, NULL) && books.sums.n_open_disputes > 0;
}

void
payments_run_refund (Market *market, const Job *job)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RefundRow) row = refund_row_load (market_peek_reader (market), job->subject, &error);
  Provider *provider = row != NULL ? desk_find_provider (&market->desk, row->provider) : NULL;
  if (provider == NULL)
    {
      log_error ("market", "refund %s cannot be sent: %s", job->subject,
                 error != NULL ? error->message : "its provider is not configured");
      return;
    }
  Call *call = call_new (market, job, job->subject);
  call->provider = provider;
  if (find_is_disputed (market, row->purchase))
    {
      market_write (market, wait_work, stored, call);
      return;
    }
  market_begin_call (market, call, call_free);
  crash_point (REFUND_SENDING);
  if (row->provider_refund != NULL)
    {
      provider->type->get_refund (provider, row->provider_refund, got_refund, call);
      return;
    }
  RefundRequest request = {
    .key = job->subject,
    .payment = row->payment,
    .amount_minor = row->amount_minor,
    .currency = row->currency,
    .reason = row->reason,
  };
  provider->type->create_refund (provider, &request, got_refund, call);
}
