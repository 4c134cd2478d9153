#include "host-client/core/history.h"

gboolean
history_add (Db *db, const HistoryEntry *entry, HistoryOutcome *outcome, gint64 *known_us, GError **error)
{
  if (!db_run (db, error,
               "INSERT INTO messages (peer, direction, origin, body, stamp_us, stored_us)"
               " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
               "sissii", entry->peer, (gint64)entry->direction, entry->origin, entry->body, entry->stamp_us,
               entry->now_us))
    return FALSE;
  *outcome = db_get_changes (db) > 0 ? HISTORY_STORED : HISTORY_KNOWN;
  if (*outcome == HISTORY_STORED)
    return TRUE;

  g_autoptr (DbQuery) query
      = db_query (db, "SELECT stored_us FROM messages WHERE peer = ? AND direction = ? AND origin = ?", "sis",
                  entry->peer, (gint64)entry->direction, entry->origin);
  g_autoptr (GError) failure = NULL;
  *known_us = db_next (query, &failure) ? db_get_int (query, 0) : 0;
  if (failure == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

static void
line_free (gpointer data)
{
  HistoryLine *line = data;
  g_free (line->peer);
  g_free (line->body);
  g_free (line);
}

GPtrArray *
history_read_last (Db *db, const char *peer, guint limit, GError **error)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (line_free);
  g_autoptr (DbQuery) query = db_query (db,
                                        "SELECT peer, direction, body, stamp_us FROM messages"
                                        " WHERE peer = ? OR ? IS NULL ORDER BY id DESC LIMIT ?",
                                        "ssi", peer, peer, (gint64)limit);
  g_autoptr (GError) failure = NULL;
  while (db_next (query, &failure))
    {
      HistoryLine *line = g_new0 (HistoryLine, 1);
      line->peer = db_dup_text (query, 0);
      line->direction = (HistoryDirection)db_get_int (query, 1);
      line->body = db_dup_text (query, 2);
      line->stamp_us = db_get_int (query, 3);
      g_ptr_array_insert (lines, 0, line);
    }
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return NULL;
    }
  return g_steal_pointer (&lines);
}

gboolean
history_trim (Db *db, GError **error)
{
  return db_run (db, error, "DELETE FROM messages WHERE id <= (SELECT MAX(id) FROM messages) - ?", "i",
                 (gint64)HISTORY_MAX);
}
