/* The interactive client. */
#pragma once

#include "host-client/cli/app.h"
#include "host-client/cli/line.h"

typedef struct Shell Shell;

/* What the user is asked: the next line is the answer. */
typedef struct
{
  char *text;
  void (*answered) (Shell *shell, gboolean is_yes, gpointer data);
  gpointer data; /* g_free()d with the question */
} Question;

struct Shell
{
  App *app;
  Line *line;
  gboolean has_colours;
  char *peer;        /* of the open chat; NULL: none */
  GQueue *questions; /* of Question; the head is being asked */
  GQueue *errands;   /* of plugin commands that wait until their plugin is ready; shell-plugins.c */
  GHashTable *there; /* JIDs of contacts last shown as there */
};

/* Questions that may wait; beyond it the answer is no. */
#define QUESTIONS_MAX 20

/* One line (or more) above the prompt; the arguments need not be clean. */
void shell_print (Shell *shell, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* The same, marked as something that went wrong. */
void shell_warn (Shell *shell, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* "14:05 bob: text", with the label in colour; @is_own: what the user wrote. */
void shell_print_chat (Shell *shell, gint64 stamp_us, const char *label, const char *body, gboolean is_own);
/* Takes @data. */
void shell_ask (Shell *shell, const char *text, void (*answered) (Shell *, gboolean, gpointer),
                gpointer data);
/* Opens the chat with @peer (prepared; NULL closes it). */
void shell_open_chat (Shell *shell, const char *peer);
/* Sends into a chat and shows it. */
void shell_send (Shell *shell, const char *peer, const char *body);
/* A contact's name, else the JID. */
const char *shell_peek_label (Shell *shell, const char *jid);

/* shell-commands.c */
void shell_obey (Shell *shell, const char *text);
char **shell_complete (Shell *shell, const char *line, gsize start);
/* shell-plugins.c */
void shell_plugins_init (Shell *shell);
void shell_plugins_clear (Shell *shell);
/* Whether the first word, without its slash, was a plugin's command. */
gboolean shell_plugins_obey (Shell *shell, const char *name, const char *input);
void shell_plugins_list (Shell *shell);
void shell_plugins_use (Shell *shell, const char *id);
void shell_plugins_stop (Shell *shell, const char *id);
void shell_plugins_buy (Shell *shell, const char *id);
void shell_plugins_decline (Shell *shell, const char *id);
/* What is sold inside the plugin. */
void shell_plugins_list_items (Shell *shell, const char *id);
void shell_plugins_buy_item (Shell *shell, const char *id, const char *item);
void shell_plugins_decline_item (Shell *shell, const char *id, const char *item);
/* Purchases that were under way when the client was closed. */
void shell_plugins_resume (Shell *shell);
void shell_plugins_add_names (Shell *shell, GStrvBuilder *names, gboolean are_commands);
