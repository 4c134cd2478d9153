#include "host-client/cli/line.h"

#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#define HISTORY_LINES 1000

struct Line
{
  LineEvents events;
  gpointer data;
  char *history_path;
  guint watch;
  gboolean skips_history, is_inside;
  char **candidates; /* of the completion under way */
};

/* COMPAT: readline keeps its state in globals, and its callbacks get no user data. */
static Line *the_line;

static void
on_entry (char *text)
{
  Line *line = the_line;
  if (text == NULL)
    {
      line->events.ended (line->data);
      return;
    }
  if (text[0] != '\0' && !line->skips_history)
    add_history (text);
  line->skips_history = FALSE;
  line->events.entered (text, line->data);
  free (text);
}

static gboolean
on_input (gint fd, GIOCondition condition, gpointer data)
{
  Line *line = data;
  if (!(condition & G_IO_IN))
    {
      line->watch = 0;
      line->events.ended (line->data);
      return G_SOURCE_REMOVE;
    }
  line->is_inside = TRUE;
  rl_callback_read_char ();
  line->is_inside = FALSE;
  return G_SOURCE_CONTINUE;
}

static char *
next_candidate (const char *text, int state)
{
  Line *line = the_line;
  static int index;
  if (state == 0)
    index = 0;
  while (line->candidates != NULL && line->candidates[index] != NULL)
    {
      const char *candidate = line->candidates[index++];
      if (strncmp (candidate, text, strlen (text)) == 0)
        return strdup (candidate);
    }
  return NULL;
}

static char **
on_complete (const char *text, int start, int end)
{
  Line *line = the_line;
  rl_attempted_completion_over = 1; /* never file names */
  g_strfreev (line->candidates);
  line->candidates = line->events.complete (rl_line_buffer, (gsize)start, line->data);
  return line->candidates != NULL ? rl_completion_matches (text, next_candidate) : NULL;
}

Line *
line_open (const char *history_path, const char *prompt, const LineEvents *events, gpointer data)
{
  g_assert (the_line == NULL);
  Line *line = g_new0 (Line, 1);
  line->events = *events;
  line->data = data;
  line->history_path = g_strdup (history_path);
  the_line = line;

  rl_readline_name = "host-client";
  rl_catch_signals = 0;
  rl_completer_word_break_characters = (char *)" ";
  rl_attempted_completion_function = on_complete;
  using_history ();
  stifle_history (HISTORY_LINES);
  read_history (line->history_path);
  rl_callback_handler_install (prompt, on_entry);
  line->watch = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, line);
  return line;
}

void
line_close (Line *line)
{
  if (line == NULL)
    return;
  if (line->watch != 0)
    g_source_remove (line->watch);
  rl_clear_visible_line ();
  rl_callback_handler_remove ();
  mode_t before = umask (0077);
  write_history (line->history_path);
  umask (before);
  the_line = NULL;
  g_strfreev (line->candidates);
  g_free (line->history_path);
  g_free (line);
}

void
line_print (Line *line, const char *text)
{
  /* While readline hands out an entry, the prompt is not there. */
  if (!line->is_inside)
    rl_clear_visible_line ();
  fputs (text, stdout);
  putchar ('\n');
  fflush (stdout);
  if (!line->is_inside)
    {
      rl_on_new_line ();
      rl_redisplay ();
    }
}

void
line_set_prompt (Line *line, const char *prompt)
{
  rl_set_prompt (prompt);
  if (!line->is_inside)
    {
      rl_clear_visible_line ();
      rl_on_new_line ();
      rl_redisplay ();
    }
}

void
line_skip_history (Line *line)
{
  line->skips_history = TRUE;
}
