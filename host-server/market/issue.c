#include "host-server/market/issue.h"

#include "host-server/market/crash.h"
#include "host-server/market/entitlements.h"
#include "host-server/market/plugins.h"
#include "host-server/market/pool.h"

#include <gio/gio.h>
#include <string.h>

static char *
subject_of (const char *line, guint generation)
{
  return g_strdup_printf ("%s.%u", line, generation);
}

static const char *const purposes[] = {
  [ISSUE_FOR_ORDER] = "first",
  [ISSUE_FOR_REPLACEMENT] = "replacement",
  [ISSUE_FOR_REISSUE] = "reissue",
};

static IssuePurpose
purpose_from_text (const char *text)
{
  for (guint i = 0; i < G_N_ELEMENTS (purposes); i++)
    if (g_strcmp0 (text, purposes[i]) == 0)
      return (IssuePurpose)i;
  return ISSUE_FOR_REISSUE; /* a word of a later version: the one that ends nothing */
}

void
issue_case_free (IssueCase *item)
{
  if (item == NULL)
    return;
  g_free (item->line);
  g_free (item->source);
  g_free (item->purchase);
  g_free (item->account);
  g_free (item->term);
  g_free (item->plugin);
  g_free (item->vendor);
  g_free (item->fallback);
  g_free (item->module);
  g_free (item->base);
  g_free (item);
}

IssueCase *
issue_case_load (Db *db, const char *subject, GError **error)
{
  const char *dot = strrchr (subject, '.');
  if (dot == NULL)
    return NULL;
  g_autofree char *line = g_strndup (subject, (gsize)(dot - subject));
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT g.version, g.state, g.source, g.is_fallback, g.counter, g.paid_us, g.deadline_us, l.purchase, "
      "l.account,"
      " l.term, l.plugin, p.vendor, p.fallback, p.module, p.base, p.fault IS NOT NULL, g.purpose"
      " FROM generation g"
      " JOIN purchase_line l ON l.id = g.line JOIN plugin p ON p.id = l.plugin WHERE g.line = ? AND "
      "g.generation = ?",
      "si", line, g_ascii_strtoll (dot + 1, NULL, 10));
  if (!turn_find (query, &is_found, error) || !is_found)
    return NULL;

  IssueCase *item = g_new0 (IssueCase, 1);
  item->line = g_steal_pointer (&line);
  item->generation = (guint)g_ascii_strtoull (dot + 1, NULL, 10);
  item->version = db_get_int (query, 0);
  if (!issue_state_from_text (db_get_text (query, 1), &item->state))
    item->state = ISSUE_ABANDONED; /* a word of a later version: nothing is done with it */
  item->source = db_dup_text (query, 2);
  item->is_fallback = db_get_int (query, 3) != 0;
  item->counter = (guint)db_get_int (query, 4);
  item->paid_us = db_get_int (query, 5);
  item->deadline_us = db_get_int (query, 6);
  item->purchase = db_dup_text (query, 7);
  item->account = db_dup_text (query, 8);
  item->term = db_dup_text (query, 9);
  item->plugin = db_dup_text (query, 10);
  item->vendor = db_dup_text (query, 11);
  item->fallback = db_dup_text (query, 12);
  item->module = db_dup_text (query, 13);
  item->base = db_dup_text (query, 14);
  item->has_fault = db_get_int (query, 15) != 0;
  item->purpose = purpose_from_text (db_get_text (query, 16));
  return item;
}

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
        purposes[purpose], purchase->plugin);
    if (!turn_find (query, &is_made, error))
      return FALSE;
    g_assert (is_made); /* the line refers to its plugin */
    generation = db_get_int (query, 0);
  }
  g_autofree char *subject = subject_of (purchase->line, (guint)generation);
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

gboolean
issue_find_replacement (Turn *turn, const char *line, gboolean *is_there, gboolean *is_running,
                        GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "SELECT COUNT (CASE WHEN purpose = 'replacement' THEN 1 END), COUNT (CASE WHEN state IN ('queued',"
      " 'calling', 'unknown', 'failed-retry', 'voiding', 'certainly-not') THEN 1 END) FROM generation"
      " WHERE line = ?",
      "s", line);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *is_there = is_found && db_get_int (query, 0) > 0;
  *is_running = is_found && db_get_int (query, 1) > 0;
  return TRUE;
}

gboolean
issue_find_serial (Db *db, const char *line, gboolean *is_there, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT g.source = 'plugin-server' AND EXISTS (SELECT 1 FROM entitlement_line e WHERE e.line = g.line"
      " AND e.state = 'ended') FROM generation g WHERE g.line = ? AND g.state = 'issued'"
      " AND g.sealed IS NOT NULL ORDER BY g.generation DESC LIMIT 1",
      "s", line);
  if (!turn_find (query, is_there, error))
    return FALSE;
  *is_there = *is_there && db_get_int (query, 0) == 0; /* the vendor was asked to void it */
  return TRUE;
}

gboolean
issue_find_vendor_ended (Turn *turn, const char *line, guint generation, gboolean *is_ended, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (turn->db,
                  "SELECT 1 FROM generation g WHERE g.line = ? AND g.generation = ? AND g.expires_us > 0"
                  " AND g.expires_us <= ? AND NOT EXISTS (SELECT 1 FROM generation n WHERE n.line = g.line"
                  " AND n.generation > g.generation)",
                  "sii", line, (gint64)generation, turn->now_us);
  return turn_find (query, is_ended, error);
}

static gboolean
save_case (Turn *turn, IssueCase *item, const char *reason, GError **error)
{
  if (!db_run (turn->db, error,
               "UPDATE generation SET version = version + 1, state = ?, source = ?, is_fallback = ?, counter "
               "= ?, reason = ?"
               " WHERE line = ? AND generation = ? AND version = ?",
               "ssiissii", issue_state_to_text (item->state), item->source, (gint64)item->is_fallback,
               (gint64)item->counter, reason, item->line, (gint64)item->generation, item->version))
    return FALSE;
  item->version++;
  if (db_get_changes (turn->db) == 1)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "generation %s.%u changed under its transaction",
               item->line, item->generation);
  return FALSE;
}

/* Ahead of the vendor's end, so that the next serial is there when it comes. */
static gint64
choose_reissue (gint64 now_us, gint64 expires_us)
{
  gint64 day_us = G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC;
  return expires_us > now_us ? expires_us - MIN (day_us, (expires_us - now_us) / 10) : 0;
}

/* Keeps the serial with its generation, which is to be saved besides. */
static gboolean
save_serial (Turn *turn, const IssueCase *item, const IssueResult *result, GError **error)
{
  g_autoptr (GBytes) sealed = entitlement_seal (turn->desk, item->account, item->plugin, result->serial);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  return db_run (turn->db, error,
                 "UPDATE generation SET sealed = ?, expires_us = ?, reissue_us = ? WHERE line = ? AND"
                 " generation = ?",
                 "biisi", bytes, length, result->expires_us,
                 choose_reissue (turn->now_us, result->expires_us), item->line, (gint64)item->generation);
}

static void
step (Turn *turn, IssueCase *item, IssueEvent event)
{
  IssueState from = item->state;
  if (!issue_step (from, event, &item->state))
    turn_log (turn, LOG_LEVEL_WARNING, "refused issue=%s.%u: %s in %s", item->line, item->generation,
              issue_event_to_text (event), issue_state_to_text (from));
}

static GPtrArray *
load_generations (Turn *turn, const char *line, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func ((GDestroyNotify)issue_case_free);
  g_autoptr (GPtrArray) subjects = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT generation FROM generation WHERE line = ?", "s", line);
    while (db_next (query, &local))
      g_ptr_array_add (subjects, subject_of (line, (guint)db_get_int (query, 0)));
  }
  for (guint i = 0; i < subjects->len && local == NULL; i++)
    {
      IssueCase *item = issue_case_load (turn->db, g_ptr_array_index (subjects, i), &local);
      if (item != NULL)
        g_ptr_array_add (items, item);
    }
  if (local == NULL)
    return g_steal_pointer (&items);
  g_propagate_error (error, local);
  return NULL;
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
  g_autoptr (GPtrArray) items = load_generations (turn, line, error);
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
      g_autofree char *subject = subject_of (line, item->generation);
      if (!save_case (turn, item, "there is no order for it any more", error)
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
  g_autoptr (GPtrArray) items = load_generations (turn, line, error);
  if (items == NULL || !pool_burn (turn, line, error))
    return FALSE;
  for (guint i = 0; i < items->len; i++)
    {
      const IssueCase *item = g_ptr_array_index (items, i);
      g_autofree char *subject = subject_of (line, item->generation);
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
  step (turn, item, has_next ? ISSUE_EVENT_NEXT_SOURCE : ISSUE_EVENT_NO_SOURCE);
  turn_log (turn, LOG_LEVEL_ERROR, "source gave up order=%s plugin=%s source=%s: %s", item->purchase,
            item->plugin, item->source, reason);
  if (!has_next)
    return job_finish (turn, job, &is_held, error) && save_case (turn, item, reason, error)
           && end_unissued (turn, item, purchase, reason, error);
  g_free (item->source);
  item->source = g_strdup (item->fallback);
  item->is_fallback = TRUE;
  return save_case (turn, item, reason, error) && job_restart (turn, job, 0, &is_held, error);
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
  step (turn, item, ISSUE_EVENT_HOLD);
  if (!save_case (turn, item, "", error) || !save_serial (turn, item, result, error)
      || !job_finish (turn, job, &is_held, error)
      || (item->has_fault && !plugin_clear_fault (turn, item->plugin, error)))
    return FALSE;
  Event event = purchase->is_decline_wanted ? EVENT_DECLINED : EVENT_RESERVED;
  purchase->is_declined_by_user = purchase->is_decline_wanted;
  return purchase_apply (turn, purchase, event, purchase->is_decline_wanted ? "by the user" : NULL, error)
         && purchase_save (turn, purchase, error);
}

/* The generation that is set aside for @line; NULL without @error if there is none. */
static IssueCase *
find_held (Turn *turn, const char *line, GError **error)
{
  g_autofree char *subject = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query = db_query (
        turn->db, "SELECT generation FROM generation WHERE line = ? AND state = 'held'", "s", line);
    if (!turn_find (query, &is_found, error) || !is_found)
      return NULL;
    subject = subject_of (line, (guint)db_get_int (query, 0));
  }
  return issue_case_load (turn->db, subject, error);
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
  g_autoptr (IssueCase) held = purchase->is_reserve ? find_held (turn, purchase->line, &local) : NULL;
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
      step (turn, held, is_good ? ISSUE_EVENT_DELIVER : ISSUE_EVENT_ABANDON);
      if (!save_case (turn, held, "", error))
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
      step (turn, item, ISSUE_EVENT_SERIAL);
      return save_case (turn, item, "", error) && save_serial (turn, item, result, error)
             && job_finish (turn, job, &is_held, error)
             && (!item->has_fault || plugin_clear_fault (turn, item->plugin, error))
             && deliver (turn, item, purchase, error);
    }

  turn_log (turn, LOG_LEVEL_WARNING, "serial is another user's order=%s plugin=%s source=%s counter=%u",
            item->purchase, item->plugin, item->source, item->counter);
  if (g_str_equal (item->source, SOURCE_KEYGEN) && item->counter < ISSUE_MAX_COUNTER)
    {
      item->counter++;
      return save_case (turn, item, "serial already used", error)
             && job_restart (turn, job, 0, &is_held, error);
    }
  if (g_str_equal (item->source, SOURCE_POOL)) /* the pool's next key */
    return pool_burn (turn, item->line, error) && job_restart (turn, job, 0, &is_held, error);
  g_autofree char *subject = subject_of (item->line, item->generation);
  if (g_str_equal (item->source, SOURCE_PLUGIN_SERVER)
      && !job_add (turn, JOB_VOID, subject, turn->now_us, error))
    return FALSE;
  step (turn, item, ISSUE_EVENT_GIVE_UP);
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
    step (turn, item, is_doubtful ? ISSUE_EVENT_IN_DOUBT : ISSUE_EVENT_TRY_AGAIN);
  if (pause >= 0)
    {
      turn_log (turn, LOG_LEVEL_WARNING, "issue failed order=%s plugin=%s source=%s attempt=%u: %s",
                item->purchase, item->plugin, item->source, job->attempt, result->reason);
      return save_case (turn, item, result->reason, error) && job_retry (turn, job, pause, &is_held, error);
    }

  if (turn->now_us >= item->deadline_us && (is_doubtful || item->state == ISSUE_VOIDING))
    /* No certainty in time, so no other source may be asked. The order's end abandons this generation, and
     * goes on asking the plugin server to void it. */
    return save_case (turn, item, result->reason, error) && job_finish (turn, job, &is_held, error)
           && end_unissued (turn, item, purchase, result->reason, error);

  if (is_doubtful)
    {
      step (turn, item, ISSUE_EVENT_VOID);
      return save_case (turn, item, result->reason, error) && job_restart (turn, job, 0, &is_held, error);
    }
  step (turn, item, ISSUE_EVENT_CALL); /* its last call failed, and that was all */
  step (turn, item, ISSUE_EVENT_GIVE_UP);
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
    step (turn, item, ISSUE_EVENT_CALL); /* this was the call */
  switch (result->kind)
    {
    case ISSUE_GOT_SERIAL:
      return take_serial (turn, job, item, purchase, result, error);
    case ISSUE_IS_VOID:
      step (turn, item, ISSUE_EVENT_VOIDED);
      return leave_source (turn, job, item, purchase, "no answer in time", error);
    case ISSUE_REFUSED:
      step (turn, item, ISSUE_EVENT_GIVE_UP);
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
  IssueResult result = { .kind = key != NULL ? ISSUE_GOT_SERIAL : is_frozen ? ISSUE_UNAVAILABLE : ISSUE_REFUSED,
                         .serial = key,
                         .reason = is_frozen ? "the pool is frozen" : "the pool is empty",
                         .retry_after_s = -1 };
  return settle_case (turn, job, item, purchase, &result, error);
}
