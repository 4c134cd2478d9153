/* What vendors read of their applications' calls: lines that functions logged, and why calls failed. They are
 * written in batches, and of each application the last few are kept. */
#include "common/base/log.h"
#include "host-server/functions/room.h"

#include <string.h>

#define MAX_PENDING 1000 /* lines in memory; those beyond are counted */
#define MAX_TEXT    500

typedef struct
{
  char *application, *function, *user, *text;
  const char *level;
  gint64 at_us;
} Line;

struct Journal
{
  Functions *functions;
  GPtrArray *pending; /* of Line */
  guint n_dropped;
  gboolean is_writing;
};

typedef struct
{
  Journal *journal;
  GPtrArray *lines;
  guint n_kept;
} Batch;

static void
line_free (gpointer data)
{
  Line *line = data;
  g_free (line->application);
  g_free (line->function);
  g_free (line->user);
  g_free (line->text);
  g_free (line);
}

Journal *
journal_new (Functions *functions)
{
  Journal *journal = g_new0 (Journal, 1);
  journal->functions = functions;
  journal->pending = g_ptr_array_new_with_free_func (line_free);
  return journal;
}

void
journal_free (Journal *journal)
{
  g_ptr_array_unref (journal->pending);
  g_free (journal);
}

static gboolean
trim (Db *db, const char *application, guint n_kept, GError **error)
{
  return db_run (db, error,
                 "DELETE FROM function_log WHERE application = ? AND id <= (SELECT id FROM function_log"
                 " WHERE application = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                 "ssi", application, application, (gint64)n_kept);
}

static gboolean
write_lines (Db *db, gpointer data, GError **error)
{
  const Batch *batch = data;
  g_autoptr (GHashTable) applications = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < batch->lines->len; i++)
    {
      const Line *line = g_ptr_array_index (batch->lines, i);
      g_hash_table_add (applications, line->application);
      if (!db_run (db, error,
                   "INSERT INTO function_log (application, at_us, level, function, user, text)"
                   " VALUES (?, ?, ?, ?, ?, ?)",
                   "sissss", line->application, line->at_us, line->level, line->function, line->user,
                   line->text))
        return FALSE;
    }
  GHashTableIter iter;
  gpointer application;
  g_hash_table_iter_init (&iter, applications);
  while (g_hash_table_iter_next (&iter, &application, NULL))
    if (!trim (db, application, batch->n_kept, error))
      return FALSE;
  return TRUE;
}

static void write_pending (Journal *journal);

static void
lines_written (gpointer data, const GError *error)
{
  Batch *batch = data;
  Journal *journal = batch->journal;
  if (error != NULL)
    log_error ("functions", "cannot keep what functions log: %s", error->message);
  g_ptr_array_unref (batch->lines);
  g_free (batch);
  journal->is_writing = FALSE;
  if (journal->pending->len > 0 && !journal->functions->is_closing)
    write_pending (journal);
}

static void
write_pending (Journal *journal)
{
  Batch *batch = g_new (Batch, 1);
  *batch = (Batch){ journal, journal->pending, journal->functions->settings.log_lines };
  if (journal->n_dropped > 0)
    log_warning ("functions", "lines of functions' logs were dropped n=%u", journal->n_dropped);
  journal->n_dropped = 0;
  journal->pending = g_ptr_array_new_with_free_func (line_free);
  journal->is_writing = TRUE;
  store_write (journal->functions->server->store, STORE_CHAT, write_lines, lines_written, batch);
}

void
journal_add (Journal *journal, const FunctionCall *call, const char *level, const char *text)
{
  if (journal->functions->settings.log_lines == 0 || journal->functions->is_closing)
    return;
  if (journal->pending->len >= MAX_PENDING)
    {
      journal->n_dropped++;
      return;
    }
  Line *line = g_new (Line, 1);
  *line = (Line){ .application = g_strdup (call->application),
                  .function = g_strdup (call->function),
                  .user = g_strdup (call->user),
                  .text = g_utf8_make_valid (text, (gssize)MIN (strlen (text), MAX_TEXT)),
                  .level = level,
                  .at_us = clock_get_wall_us (journal->functions->server->clock) };
  g_ptr_array_add (journal->pending, line);
  if (!journal->is_writing)
    write_pending (journal);
}
