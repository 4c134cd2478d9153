#include "host-server/market/books/issue-case.h"

#include "host-server/market/books/entitlements.h"

#include <gio/gio.h>
#include <string.h>

char *
issue_subject (const char *line, guint generation)
{
  return g_strdup_printf ("%s.%u", line, generation);
}

static const char *const purposes[] = {
  [ISSUE_FOR_ORDER] = "first",
  [ISSUE_FOR_REPLACEMENT] = "replacement",
  [ISSUE_FOR_REISSUE] = "reissue",
};

const char *
issue_purpose_to_text (IssuePurpose purpose)
{
  return purposes[purpose];
}

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

GPtrArray *
issue_cases_load (Turn *turn, const char *line, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func ((GDestroyNotify)issue_case_free);
  g_autoptr (GPtrArray) subjects = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT generation FROM generation WHERE line = ?", "s", line);
    while (db_next (query, &local))
      g_ptr_array_add (subjects, issue_subject (line, (guint)db_get_int (query, 0)));
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

/* The generation that is set aside for @line; NULL without @error if there is none. */
IssueCase *
issue_case_load_held (Turn *turn, const char *line, GError **error)
{
  g_autofree char *subject = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query = db_query (
        turn->db, "SELECT generation FROM generation WHERE line = ? AND state = 'held'", "s", line);
    if (!turn_find (query, &is_found, error) || !is_found)
      return NULL;
    subject = issue_subject (line, (guint)db_get_int (query, 0));
  }
  return issue_case_load (turn->db, subject, error);
}

gboolean
issue_case_save (Turn *turn, IssueCase *item, const char *reason, GError **error)
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
gboolean
issue_case_keep_serial (Turn *turn, const IssueCase *item, const Secret *serial, gint64 expires_us,
                        GError **error)
{
  g_autoptr (GBytes) sealed = entitlement_seal (turn->desk, item->account, item->plugin, serial);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  return db_run (turn->db, error,
                 "UPDATE generation SET sealed = ?, expires_us = ?, reissue_us = ? WHERE line = ? AND"
                 " generation = ?",
                 "biisi", bytes, length, expires_us, choose_reissue (turn->now_us, expires_us), item->line,
                 (gint64)item->generation);
}

void
issue_case_step (Turn *turn, IssueCase *item, IssueEvent event)
{
  IssueState from = item->state;
  if (!issue_step (from, event, &item->state))
    turn_log (turn, LOG_LEVEL_WARNING, "refused issue=%s.%u: %s in %s", item->line, item->generation,
              issue_event_to_text (event), issue_state_to_text (from));
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
