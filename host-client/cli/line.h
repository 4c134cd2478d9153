/* The line the user types on, at the bottom of the terminal, while other things are printed above it:
 * readline, driven by the main loop. There is one terminal, so there is one Line. */
#pragma once

#include <glib.h>

typedef struct Line Line;

typedef struct
{
  void (*entered) (const char *text, gpointer data);
  void (*ended) (gpointer data); /* end of input: Ctrl-D on an empty line */
  /* What the word that starts at byte @start of @line may become: NULL-terminated, taken; NULL: nothing. */
  char **(*complete) (const char *line, gsize start, gpointer data);
} LineEvents;

/* @history_path is read now and written at line_close(), with mode 0600. */
Line *line_open (const char *history_path, const char *prompt, const LineEvents *events, gpointer data);
/* Gives the terminal back as it was. */
void line_close (Line *line);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Line, line_close)

/* Prints @text (whole lines, clean, without the last newline) above the prompt; what is half typed stays. */
void line_print (Line *line, const char *text);
void line_set_prompt (Line *line, const char *prompt);
/* The next entry is an answer, not worth remembering. */
void line_skip_history (Line *line);
