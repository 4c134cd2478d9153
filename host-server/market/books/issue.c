#include "host-server/market/books/issue.h"

#include "host-server/market/books/crash.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/books/pool.h"

#include <gio/gio.h>
#include <string.h>

/* The call begins right after the commit, so the row is `calling` from the start. @paid_us is what sources
 * see as the time of the payment. */
static gboolean
start_generation (Turn *turn, const Purchase *purchase, IssuePurpose purpose, gint64 paid_us,
                  gint64 deadline_us, GError **error)
{
  gint64 generation;
  IssueState state = ISSUE_QUEUED;
  issue_step (state, ISSUE_EVENT_CALL, &state);
  {
    gboolean is_made;
    g_autoptr (DbQuery) query = db_query (
        turn->db,
        "INSERT INTO generation (line, generation, version, state, source, is_fallback, counter, paid_us,"
        " deadline_us, reason, purpose) SELECT ?, (SELECT COALESCE (MAX (generation) + 1, 0) FROM generation"
        " WHERE line = ?), 1, ?, source, 0, 0, ?, ?, '', ? FROM plugin WHERE id = ? RETURNING generation",
        "sssiiss", purchase->line, purchase->line, issue_state_to_text (state), paid_us, deadline_us,
        issue_purpose_to_text (purpose), purchase->plugin);
    if (!turn_find (query, &is_made, error))
      return FALSE;
    g_assert (is_made); /* the line refers to its plugin */
    generation = db_get_int (query, 0);
  }
  g_autofree char *subject = issue_subject (purchase->line, (guint)generation);
  return job_add (turn, JOB_ISSUE, subject, turn->now_us, error);
}

static gint64
get_deadline (const Turn *turn)
{
  return turn->now_us + turn->desk->settings.issue_deadline_us;
}

gboolean
issue_reserve (Turn *turn, Purchase *purchase, GError **error)
{
  return start_generation (turn, purchase, ISSUE_FOR_ORDER, turn->now_us,
                           turn->now_us + turn->desk->settings.reserve_wait_us, error);
}

gboolean
issue_replace (Turn *turn, Purchase *purchase, GError **error)
{
  return issue_burn (turn, purchase->line, error)
         && start_generation (turn, purchase, ISSUE_FOR_REPLACEMENT, purchase->paid_us, get_deadline (turn),
                              error);
}

/* What was set aside for a line that will not be paid for. A pool's key was never shown to anybody. */
static gboolean
let_go (Turn *turn, const IssueCase *item, GError **error)
{
  return db_run (turn->db, error, "UPDATE generation SET sealed = NULL WHERE line = ? AND generation = ?",
                 "si", item->line, (gint64)item->generation)
         && (!g_str_equal (item->source, SOURCE_POOL) || pool_release (turn, item->line, error));
}

gboolean
issue_abandon (Turn *turn, const char *line, GError **error)
{
  g_autoptr (GPtrArray) items = issue_cases_load (turn, line, error);
  if (items == NULL)
    return FALSE;
  for (guint i = 0; i < items->len; i++)
    {
      IssueCase *item = g_ptr_array_index (items, i);
      IssueState next;
      if (!issue_step (item->state, ISSUE_EVENT_ABANDON, &next))
        continue;
      gboolean was_held = item->state == ISSUE_HELD;
      item->state = next;
      g_autofree char *subject = issue_subject (line, item->generation);
      if (!issue_case_save (turn, item, "there is no order for it any more", error)
          || (was_held && !let_go (turn, item, error)) || !job_drop (turn, JOB_ISSUE, subject, error)
          || (g_str_equal (item->source, SOURCE_PLUGIN_SERVER)
              && !job_add (turn, JOB_VOID, subject, turn->now_us, error)))
        return FALSE;
    }
  return TRUE;
}

gboolean
issue_burn (Turn *turn, const char *line, GError **error)
{
  g_autoptr (GPtrArray) items = issue_cases_load (turn, line, error);
  if (items == NULL || !pool_burn (turn, line, error))
    return FALSE;
  for (guint i = 0; i < items->len; i++)
    {
      const IssueCase *item = g_ptr_array_index (items, i);
      g_autofree char *subject = issue_subject (line, item->generation);
      if (item->state == ISSUE_ISSUED && g_str_equal (item->source, SOURCE_PLUGIN_SERVER)
          && !job_add (turn, JOB_VOID, subject, turn->now_us, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
issue_burn_all (Turn *turn, const char *account, const char *plugin, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT line FROM entitlement_line WHERE account = ? AND plugin = ?", "ss",
                    account, plugin);
    while (db_next (query, &local))
      g_ptr_array_add (lines, db_dup_text (query, 0));
  }
  for (guint i = 0; i < lines->len && local == NULL; i++)
    if (issue_abandon (turn, g_ptr_array_index (lines, i), &local))
      issue_burn (turn, g_ptr_array_index (lines, i), &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* A pool's key becomes the user's for ever only now. *@is_good is FALSE if it cannot be: it is burned then.
 */
static gboolean
take_held_key (Turn *turn, const IssueCase *item, gboolean *is_good, GError **error)
{
  g_autoptr (Secret) serial = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT sealed FROM generation WHERE line = ? AND generation = ?", "si",
                    item->line, (gint64)item->generation);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    gsize length = 0;
    const void *sealed = is_found ? db_get_blob (query, 0, &length) : NULL;
    serial = sealed != NULL ? entitlement_unseal (turn->desk, item->account, item->plugin, sealed, length)
                            : NULL;
  }
  gboolean is_taken = TRUE;
  if (!pool_deliver (turn, item->line, error)
      || (serial != NULL
          && !serial_bind (turn, item->account, item->plugin, item->line, item->generation, serial, &is_taken,
                           error)))
    return FALSE;
  *is_good = !is_taken;
  return *is_good || pool_burn (turn, item->line, error);
}

gboolean
issue_start (Turn *turn, Purchase *purchase, GError **error)
{
  GError *local = NULL;
  g_autoptr (IssueCase) held
      = purchase->is_reserve ? issue_case_load_held (turn, purchase->line, &local) : NULL;
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (!purchase_apply (turn, purchase, EVENT_ISSUE_STARTED, NULL, error))
    return FALSE;

  gboolean is_good = held != NULL;
  if (held != NULL && g_str_equal (held->source, SOURCE_POOL) && !take_held_key (turn, held, &is_good, error))
    return FALSE;
  if (held != NULL)
    {
      issue_case_step (turn, held, is_good ? ISSUE_EVENT_DELIVER : ISSUE_EVENT_ABANDON);
      if (!issue_case_save (turn, held, "", error))
        return FALSE;
    }
  if (is_good)
    return purchase_apply (turn, purchase, EVENT_ISSUED, NULL, error);
  return start_generation (turn, purchase, ISSUE_FOR_ORDER, purchase->paid_us, get_deadline (turn), error);
}

gboolean
issue_reissue (Turn *turn, Purchase *purchase, GError **error)
{
  turn_log (turn, LOG_LEVEL_INFO,
            "serial ends before its entitlement, another is asked for order=%s plugin=%s", purchase->id,
            purchase->plugin);
  return start_generation (turn, purchase, ISSUE_FOR_REISSUE, turn->now_us, get_deadline (turn), error);
}

gboolean
issue_due_reissues (Turn *turn, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query = db_query (
        turn->db,
        "SELECT l.purchase FROM entitlement e JOIN purchase_line l ON l.id = e.line"
        " WHERE e.state = 'active' AND e.reissue_us > 0 AND e.reissue_us <= ? AND NOT EXISTS (SELECT 1"
        " FROM generation g WHERE g.line = e.line AND g.generation > e.generation) LIMIT 100",
        "i", turn->now_us);
    while (db_next (query, &local))
      g_ptr_array_add (ids, db_dup_text (query, 0));
  }
  for (guint i = 0; i < ids->len && local == NULL; i++)
    {
      g_autoptr (Purchase) purchase = purchase_load (turn->db, g_ptr_array_index (ids, i), &local);
      if (purchase != NULL)
        issue_reissue (turn, purchase, &local);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}
