#include "host-server/market/books/jobs.h"

static const char *const kinds[N_JOB_KINDS] = {
  [JOB_CHECKOUT] = "checkout", [JOB_CANCEL] = "cancel", [JOB_REFUND] = "refund",
  [JOB_ISSUE] = "issue",       [JOB_VOID] = "void",
};

void
job_free (Job *job)
{
  if (job == NULL)
    return;
  g_free (job->subject);
  g_free (job);
}

Job *
job_copy (const Job *job)
{
  Job *copy = g_memdup2 (job, sizeof *job);
  copy->subject = g_strdup (job->subject);
  return copy;
}

const char *
job_kind_to_text (JobKind kind)
{
  return kinds[kind];
}

static gboolean
job_kind_from_text (const char *text, JobKind *kind)
{
  for (guint i = 0; i < N_JOB_KINDS; i++)
    if (g_strcmp0 (text, kinds[i]) == 0)
      {
        *kind = (JobKind)i;
        return TRUE;
      }
  return FALSE;
}

/* The longest a run can take: an issue in doubt asks before it sends again. */
static gint64
lease_end (const Turn *turn, JobKind kind)
{
  const MarketSettings *settings = &turn->desk->settings;
  return turn->now_us + settings->vendor_timeout_us * (kind == JOB_ISSUE ? 2 : 1) + settings->lease_margin_us;
}

static void
take_claimed (Turn *turn, gint64 id, JobKind kind, const char *subject, guint attempt, gint64 fence)
{
  Job *job = g_new0 (Job, 1);
  job->id = id;
  job->kind = kind;
  job->subject = g_strdup (subject);
  job->attempt = attempt;
  job->fence = fence;
  g_ptr_array_add (turn->jobs, job);
}

gboolean
job_add (Turn *turn, JobKind kind, const char *subject, gint64 not_before_us, GError **error)
{
  gboolean is_due = not_before_us <= turn->now_us, is_added;
  g_autofree char *key = g_strconcat (kinds[kind], ":", subject, NULL);
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "INSERT INTO job (kind, key, subject, attempt, not_before_us, owner, lease_until_us, fence, created_us)"
      " VALUES (?, ?, ?, 0, ?, ?, ?, 1, ?) ON CONFLICT (key) DO NOTHING RETURNING id",
      "sssisii", kinds[kind], key, subject, not_before_us, is_due ? turn->desk->owner : "",
      is_due ? lease_end (turn, kind) : (gint64)0, turn->now_us);
  if (!turn_find (query, &is_added, error))
    return FALSE;
  if (!is_added)
    return TRUE;
  if (is_due)
    take_claimed (turn, db_get_int (query, 0), kind, subject, 0, 1);
  else
    turn_wake (turn, not_before_us);
  return TRUE;
}

gboolean
job_drop (Turn *turn, JobKind kind, const char *subject, GError **error)
{
  g_autofree char *key = g_strconcat (kinds[kind], ":", subject, NULL);
  return db_run (turn->db, error, "DELETE FROM job WHERE key = ?", "s", key);
}

/* When a job can be claimed: in its time, and after the lease of a holder that may have been lost. As the
 * index has it. */
#define NEXT_US "(CASE WHEN not_before_us > lease_until_us THEN not_before_us ELSE lease_until_us + 1 END)"

gboolean
jobs_claim_due (Turn *turn, guint limit, GError **error)
{
  GError *local = NULL;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint64));
  {
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT id FROM job WHERE " NEXT_US " <= ? ORDER BY " NEXT_US " LIMIT ?", "ii",
                    turn->now_us, (gint64)limit);
    while (db_next (query, &local))
      {
        gint64 id = db_get_int (query, 0);
        g_array_append_val (ids, id);
      }
  }
  for (guint i = 0; i < ids->len && local == NULL; i++)
    {
      gint64 id = g_array_index (ids, gint64, i);
      g_autoptr (DbQuery) query
          = db_query (turn->db, "SELECT kind, subject, attempt, fence FROM job WHERE id = ?", "i", id);
      gboolean is_found;
      JobKind kind;
      if (!turn_find (query, &is_found, &local) || !is_found
          || !job_kind_from_text (db_get_text (query, 0), &kind))
        continue;
      gint64 fence = db_get_int (query, 3) + 1;
      if (db_run (turn->db, &local, "UPDATE job SET owner = ?, lease_until_us = ?, fence = ? WHERE id = ?",
                  "siii", turn->desk->owner, lease_end (turn, kind), fence, id))
        take_claimed (turn, id, kind, db_get_text (query, 1), (guint)db_get_int (query, 2), fence);
    }
  if (local == NULL)
    {
      g_autoptr (DbQuery) query
          = db_query (turn->db, "SELECT " NEXT_US " FROM job ORDER BY " NEXT_US " LIMIT 1", "");
      gboolean is_found;
      if (turn_find (query, &is_found, &local) && is_found)
        turn_wake (turn, db_get_int (query, 0));
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
jobs_take_over (Turn *turn, GError **error)
{
  return db_run (turn->db, error, "UPDATE job SET owner = '', lease_until_us = 0", "");
}

gboolean
job_finish (Turn *turn, const Job *job, gboolean *is_held, GError **error)
{
  if (!db_run (turn->db, error, "DELETE FROM job WHERE id = ? AND fence = ?", "ii", job->id, job->fence))
    return FALSE;
  *is_held = db_get_changes (turn->db) == 1;
  return TRUE;
}

static gboolean
run_again (Turn *turn, const Job *job, guint attempt, gint64 pause_us, gboolean *is_held, GError **error)
{
  gboolean is_due = pause_us <= 0;
  gint64 fence = job->fence + (is_due ? 1 : 0);
  if (!db_run (turn->db, error,
               "UPDATE job SET attempt = ?, not_before_us = ?, owner = ?, lease_until_us = ?, fence = ?"
               " WHERE id = ? AND fence = ?",
               "iisiiii", (gint64)attempt, turn->now_us + MAX (pause_us, 0), is_due ? turn->desk->owner : "",
               is_due ? lease_end (turn, job->kind) : (gint64)0, fence, job->id, job->fence))
    return FALSE;
  *is_held = db_get_changes (turn->db) == 1;
  if (*is_held && is_due)
    take_claimed (turn, job->id, job->kind, job->subject, attempt, fence);
  else if (*is_held)
    turn_wake (turn, turn->now_us + pause_us);
  return TRUE;
}

gboolean
job_retry (Turn *turn, const Job *job, gint64 pause_us, gboolean *is_held, GError **error)
{
  return run_again (turn, job, job->attempt + 1, pause_us, is_held, error);
}

gboolean
job_restart (Turn *turn, const Job *job, gint64 pause_us, gboolean *is_held, GError **error)
{
  return run_again (turn, job, 0, pause_us, is_held, error);
}
