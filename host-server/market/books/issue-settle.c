#include "host-server/market/books/issue.h"

#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/books/pool.h"

/* What follows from how a source was asked: a serial is delivered or set aside, the same question is put
 * again, the next source takes over, or nothing is left. */

/* No source is left for this generation. */
static gboolean
end_unissued (Turn *turn, IssueCase *item, Purchase *purchase, const char *reason, GError **error)
{
  if (item->purpose == ISSUE_FOR_ORDER)
    return purchase_apply (turn, purchase, EVENT_UNISSUABLE, reason, error)
           && purchase_save (turn, purchase, error);
  /* The vendor owes a serial that it cannot make. After a refused one the user may buy again; one that ended
   * early is still what was paid for. A person settles the rest. */
  if (item->purpose == ISSUE_FOR_REPLACEMENT && !entitlement_end_line (turn, item->line, error))
    return FALSE;
  return purchase_apply (turn, purchase, EVENT_DOUBTFUL, reason, error)
         && purchase_save (turn, purchase, error);
}

/* This source certainly made nothing: on to the fallback, or to the end. The job is @job's claim, still held.
 */
static gboolean
leave_source (Turn *turn, const Job *job, IssueCase *item, Purchase *purchase, const char *reason,
              GError **error)
{
  gboolean is_held;
  gboolean has_next = !item->is_fallback && item->fallback[0] != '\0';
  issue_case_step (turn, item, has_next ? ISSUE_EVENT_NEXT_SOURCE : ISSUE_EVENT_NO_SOURCE);
  turn_log (turn, LOG_LEVEL_ERROR, "source gave up order=%s plugin=%s source=%s: %s", item->purchase,
            item->plugin, item->source, reason);
  if (!has_next)
    return job_finish (turn, job, &is_held, error) && issue_case_save (turn, item, reason, error)
           && end_unissued (turn, item, purchase, reason, error);
  g_free (item->source);
  item->source = g_strdup (item->fallback);
  item->is_fallback = TRUE;
  return issue_case_save (turn, item, reason, error) && job_restart (turn, job, 0, &is_held, error);
}

/* The serial is with its generation: the order is fulfilled, or its entitlement gets the newer one. */
static gboolean
deliver (Turn *turn, const IssueCase *item, Purchase *purchase, GError **error)
{
  if (item->purpose == ISSUE_FOR_ORDER)
    return purchase_apply (turn, purchase, EVENT_ISSUED, NULL, error)
           && purchase_save (turn, purchase, error);

  gboolean counts;
  {
    g_autoptr (DbQuery) query = db_query (
        turn->db, "SELECT 1 FROM entitlement_line WHERE line = ? AND state <> 'ended'", "s", item->line);
    if (!turn_find (query, &counts, error))
      return FALSE;
  }
  if (!counts)
    return issue_burn (turn, item->line, error); /* it ended while this was made */
  return entitlement_settle (turn, item->account, item->plugin, error);
}

/* Set aside until the order is paid for, or declined meanwhile. */
static gboolean
hold (Turn *turn, const Job *job, IssueCase *item, Purchase *purchase, const IssueResult *result,
      GError **error)
{
  gboolean is_held;
  issue_case_step (turn, item, ISSUE_EVENT_HOLD);
  if (!issue_case_save (turn, item, "", error)
      || !issue_case_keep_serial (turn, item, result->serial, result->expires_us, error)
      || !job_finish (turn, job, &is_held, error)
      || (item->has_fault && !plugin_clear_fault (turn, item->plugin, error)))
    return FALSE;
  Event event = purchase->is_decline_wanted ? EVENT_DECLINED : EVENT_RESERVED;
  purchase->is_declined_by_user = purchase->is_decline_wanted;
  return purchase_apply (turn, purchase, event, purchase->is_decline_wanted ? "by the user" : NULL, error)
         && purchase_save (turn, purchase, error);
}

static gboolean
take_serial (Turn *turn, const Job *job, IssueCase *item, Purchase *purchase, const IssueResult *result,
             GError **error)
{
  gboolean is_taken = FALSE, is_held;
  gboolean is_reserved = purchase->phase == PHASE_RESERVING;
  /* A pool's key that is only set aside may go back to the pool: it is nobody's yet. */
  gboolean is_bound = !is_reserved || !g_str_equal (item->source, SOURCE_POOL);
  if (is_bound
      && !serial_bind (turn, item->account, item->plugin, item->line, item->generation, result->serial,
                       &is_taken, error))
    return FALSE;
  if (!is_taken && is_reserved)
    return hold (turn, job, item, purchase, result, error);
  if (!is_taken)
    {
      issue_case_step (turn, item, ISSUE_EVENT_SERIAL);
      return issue_case_save (turn, item, "", error)
             && issue_case_keep_serial (turn, item, result->serial, result->expires_us, error)
             && job_finish (turn, job, &is_held, error)
             && (!item->has_fault || plugin_clear_fault (turn, item->plugin, error))
             && deliver (turn, item, purchase, error);
    }

  turn_log (turn, LOG_LEVEL_WARNING, "serial is another user's order=%s plugin=%s source=%s counter=%u",
            item->purchase, item->plugin, item->source, item->counter);
  if (g_str_equal (item->source, SOURCE_KEYGEN) && item->counter < ISSUE_MAX_COUNTER)
    {
      item->counter++;
      return issue_case_save (turn, item, "serial already used", error)
             && job_restart (turn, job, 0, &is_held, error);
    }
  if (g_str_equal (item->source, SOURCE_POOL)) /* the pool's next key */
    return pool_burn (turn, item->line, error) && job_restart (turn, job, 0, &is_held, error);
  g_autofree char *subject = issue_subject (item->line, item->generation);
  if (g_str_equal (item->source, SOURCE_PLUGIN_SERVER)
      && !job_add (turn, JOB_VOID, subject, turn->now_us, error))
    return FALSE;
  issue_case_step (turn, item, ISSUE_EVENT_GIVE_UP);
  return leave_source (turn, job, item, purchase, "its serials are already used", error);
}

/* The next pause of this source, or -1 when it is to be left. Where nobody else can help, or only the source
 * itself can give certainty, it is waited for until the deadline. */
static gint64
choose_pause (Turn *turn, const Job *job, const IssueCase *item, const IssueResult *result)
{
  const MarketSettings *settings = &turn->desk->settings;
  gint64 pause = settings_get_pause (settings->keygen_retry_us, settings->n_keygen_retry, job->attempt + 1);
  if (pause < 0)
    {
      gboolean has_next = !item->is_fallback && item->fallback[0] != '\0';
      gboolean waits = result->kind == ISSUE_FAULT || item->state == ISSUE_VOIDING
                       || (!has_next && result->kind != ISSUE_FAILED);
      if (!waits)
        return -1;
      gint64 last = settings->n_keygen_retry > 0 ? settings->keygen_retry_us[settings->n_keygen_retry - 1]
                                                 : G_USEC_PER_SEC;
      pause = MAX (last, 100 * 1000);
      for (guint i = (guint)settings->n_keygen_retry; i <= job->attempt && pause < 300 * G_USEC_PER_SEC; i++)
        pause *= 2;
      pause = MIN (pause, 300 * G_USEC_PER_SEC);
    }
  pause = MAX (pause, result->retry_after_s * G_USEC_PER_SEC);
  /* The last try is at the deadline itself. */
  if (turn->now_us >= item->deadline_us)
    return -1;
  return MIN (pause, item->deadline_us - turn->now_us);
}

static gboolean
retry_later (Turn *turn, const Job *job, IssueCase *item, Purchase *purchase, const IssueResult *result,
             GError **error)
{
  gboolean is_held;
  gboolean is_doubtful = result->kind == ISSUE_IN_DOUBT || result->kind == ISSUE_FAULT;
  gint64 pause = choose_pause (turn, job, item, result);

  if (result->kind == ISSUE_FAULT && !item->has_fault
      && !plugin_set_fault (turn, item->plugin, result->reason, error))
    return FALSE;
  if (item->state != ISSUE_VOIDING)
    issue_case_step (turn, item, is_doubtful ? ISSUE_EVENT_IN_DOUBT : ISSUE_EVENT_TRY_AGAIN);
  if (pause >= 0)
    {
      turn_log (turn, LOG_LEVEL_WARNING, "issue failed order=%s plugin=%s source=%s attempt=%u: %s",
                item->purchase, item->plugin, item->source, job->attempt, result->reason);
      return issue_case_save (turn, item, result->reason, error)
             && job_retry (turn, job, pause, &is_held, error);
    }

  if (turn->now_us >= item->deadline_us && (is_doubtful || item->state == ISSUE_VOIDING))
    /* No certainty in time, so no other source may be asked. The order's end abandons this generation, and
     * goes on asking the plugin server to void it. */
    return issue_case_save (turn, item, result->reason, error) && job_finish (turn, job, &is_held, error)
           && end_unissued (turn, item, purchase, result->reason, error);

  if (is_doubtful)
    {
      issue_case_step (turn, item, ISSUE_EVENT_VOID);
      return issue_case_save (turn, item, result->reason, error)
             && job_restart (turn, job, 0, &is_held, error);
    }
  issue_case_step (turn, item, ISSUE_EVENT_CALL); /* its last call failed, and that was all */
  issue_case_step (turn, item, ISSUE_EVENT_GIVE_UP);
  return leave_source (turn, job, item, purchase, result->reason, error);
}

/* What @job is about, if its claim still stands; reads only. *@item and *@purchase are NULL if it does not,
 * and then there is nothing to decide. */
static gboolean
open_case (Turn *turn, const Job *job, IssueCase **item, Purchase **purchase, GError **error)
{
  GError *local = NULL;
  gboolean is_held;
  *item = NULL;
  *purchase = NULL;
  {
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT 1 FROM job WHERE id = ? AND fence = ?", "ii", job->id, job->fence);
    if (!turn_find (query, &is_held, error))
      return FALSE;
  }
  if (!is_held)
    return TRUE;
  g_autoptr (IssueCase) found = issue_case_load (turn->db, job->subject, &local);
  if (found != NULL)
    *purchase = purchase_load (turn->db, found->purchase, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (*purchase == NULL)
    return job_finish (turn, job, &is_held, error);
  *item = g_steal_pointer (&found);
  return TRUE;
}

static gboolean
settle_case (Turn *turn, const Job *job, IssueCase *item, Purchase *purchase, const IssueResult *result,
             GError **error)
{
  if (item->state != ISSUE_CALLING && item->state != ISSUE_VOIDING)
    issue_case_step (turn, item, ISSUE_EVENT_CALL); /* this was the call */
  switch (result->kind)
    {
    case ISSUE_GOT_SERIAL:
      return take_serial (turn, job, item, purchase, result, error);
    case ISSUE_IS_VOID:
      issue_case_step (turn, item, ISSUE_EVENT_VOIDED);
      return leave_source (turn, job, item, purchase, "no answer in time", error);
    case ISSUE_REFUSED:
      issue_case_step (turn, item, ISSUE_EVENT_GIVE_UP);
      return leave_source (turn, job, item, purchase, result->reason, error);
    default:
      return retry_later (turn, job, item, purchase, result, error);
    }
}

/* An answer that came too late for its claim. If nobody waits for that request any more, it is surplus. */
static gboolean
void_surplus (Turn *turn, const Job *job, const IssueResult *result, GError **error)
{
  if (result->kind != ISSUE_GOT_SERIAL || !result->is_of_plugin_server)
    return TRUE;
  GError *local = NULL;
  g_autoptr (IssueCase) item = issue_case_load (turn->db, job->subject, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (item == NULL
      || (g_str_equal (item->source, SOURCE_PLUGIN_SERVER) && item->state != ISSUE_ABANDONED
          && item->state != ISSUE_FAILED_FINAL))
    return TRUE;
  turn_log (turn, LOG_LEVEL_WARNING, "surplus serial, asking to void it order=%s request=%s", item->purchase,
            job->subject);
  return job_add (turn, JOB_VOID, job->subject, turn->now_us, error);
}

gboolean
issue_settle (Turn *turn, const Job *job, const IssueResult *result, GError **error)
{
  g_autoptr (IssueCase) item = NULL;
  g_autoptr (Purchase) purchase = NULL;
  if (!open_case (turn, job, &item, &purchase, error))
    return FALSE;
  return item != NULL ? settle_case (turn, job, item, purchase, result, error)
                      : void_surplus (turn, job, result, error);
}

gboolean
issue_from_pool (Turn *turn, const Job *job, GError **error)
{
  g_autoptr (IssueCase) item = NULL;
  g_autoptr (Purchase) purchase = NULL;
  g_autoptr (Secret) key = NULL;
  if (!open_case (turn, job, &item, &purchase, error))
    return FALSE;
  if (item == NULL)
    return TRUE;
  PoolUse use = purchase->phase == PHASE_RESERVING ? POOL_RESERVE : POOL_DELIVER;
  if (!pool_take (turn, item->plugin, item->line, item->generation, use, &key, error))
    return FALSE;
  gboolean is_frozen = FALSE;
  if (key == NULL && !pool_is_frozen (turn->db, item->plugin, &is_frozen, error))
    return FALSE;
  IssueResult result = { .kind = key != NULL ? ISSUE_GOT_SERIAL
                                 : is_frozen ? ISSUE_UNAVAILABLE
                                             : ISSUE_REFUSED,
                         .serial = key,
                         .reason = is_frozen ? "the pool is frozen" : "the pool is empty",
                         .retry_after_s = -1 };
  return settle_case (turn, job, item, purchase, &result, error);
}
