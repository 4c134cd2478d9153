#include "host-server/market/books/desk.h"

#include "host-server/market/books/jobs.h"

#include <stdarg.h>

Provider *
desk_find_provider (const Desk *desk, const char *name)
{
  for (guint i = 0; i < desk->providers->len; i++)
    {
      Provider *provider = g_ptr_array_index (desk->providers, i);
      if (name[0] == '\0' || g_str_equal (provider->name, name))
        return provider;
    }
  return NULL;
}

typedef struct
{
  LogLevel level;
  char *text;
} Line;

static void
line_free (gpointer data)
{
  Line *line = data;
  g_free (line->text);
  g_free (line);
}

static void
order_note_free (gpointer data)
{
  OrderNote *note = data;
  g_free (note->account);
  order_view_free (note->view);
  g_free (note);
}

void
turn_begin (Turn *turn, const Desk *desk, Db *db)
{
  turn_clear (turn);
  turn->desk = desk;
  turn->db = db;
  turn->now_us = clock_get_wall_us (desk->clock);
  turn->orders = g_ptr_array_new_with_free_func (order_note_free);
  turn->accounts = g_ptr_array_new_with_free_func (g_free);
  turn->jobs = g_ptr_array_new_with_free_func ((GDestroyNotify)job_free);
  turn->lines = g_ptr_array_new_with_free_func (line_free);
  turn->wake_us = 0;
}

void
turn_clear (Turn *turn)
{
  g_clear_pointer (&turn->orders, g_ptr_array_unref);
  g_clear_pointer (&turn->accounts, g_ptr_array_unref);
  g_clear_pointer (&turn->jobs, g_ptr_array_unref);
  g_clear_pointer (&turn->lines, g_ptr_array_unref);
}

void
turn_log (Turn *turn, LogLevel level, const char *format, ...)
{
  Line *line = g_new (Line, 1);
  line->level = level;
  va_list args;
  va_start (args, format);
  line->text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (turn->lines, line);
}

void
turn_write_log (Turn *turn)
{
  for (guint i = 0; i < turn->lines->len; i++)
    {
      const Line *line = g_ptr_array_index (turn->lines, i);
      log_event (line->level, "market", "%s", line->text);
    }
}

void
turn_wake (Turn *turn, gint64 due_us)
{
  if (turn->wake_us == 0 || due_us < turn->wake_us)
    turn->wake_us = due_us;
}

void
turn_note_account (Turn *turn, const char *account)
{
  for (guint i = 0; i < turn->accounts->len; i++)
    if (g_str_equal (g_ptr_array_index (turn->accounts, i), account))
      return;
  g_ptr_array_add (turn->accounts, g_strdup (account));
}

gboolean
turn_find (DbQuery *query, gboolean *is_found, GError **error)
{
  GError *local = NULL;
  *is_found = db_next (query, &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gint64
settings_get_pause (const gint64 *list, gsize n, guint attempt)
{
  return attempt < n ? list[attempt] : -1;
}
