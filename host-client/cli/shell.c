#include "host-client/cli/shell.h"

#include <string.h>
#include <unistd.h>

#include "host-client/cli/commands.h"

#define COLOUR_NONE  "\033[0m"
#define COLOUR_DIM   "\033[2m"
#define COLOUR_PEER  "\033[1;36m"
#define COLOUR_OWN   "\033[1;32m"
#define COLOUR_ALARM "\033[1;31m"

/* ---- printing ---- */

/* Clean, and further lines set in, so that none can pass for another message. */
static char *
dup_indented (const char *text, const char *separator)
{
  g_autofree char *clean = output_dup_clean (text, TRUE);
  g_auto (GStrv) lines = g_strsplit (clean, "\n", -1);
  return g_strjoinv (separator, lines);
}

static void
print_coloured (Shell *shell, const char *colour, const char *text)
{
  g_autofree char *clean = output_dup_clean (text, TRUE);
  g_autofree char *whole = shell->has_colours && colour != NULL
                               ? g_strconcat (colour, clean, COLOUR_NONE, NULL)
                               : g_strdup (clean);
  line_print (shell->line, whole);
}

void
shell_print (Shell *shell, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  print_coloured (shell, NULL, text);
}

void
shell_warn (Shell *shell, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  print_coloured (shell, COLOUR_ALARM, text);
}

void
shell_print_chat (Shell *shell, gint64 stamp_us, const char *label, const char *body, gboolean is_own)
{
  g_autoptr (GDateTime) utc = g_date_time_new_from_unix_utc (stamp_us / G_USEC_PER_SEC);
  g_autoptr (GDateTime) local = utc != NULL ? g_date_time_to_local (utc) : NULL;
  g_autofree char *time = local != NULL ? g_date_time_format (local, "%H:%M") : g_strdup ("--:--");
  g_autofree char *clean_label = output_dup_clean (label, FALSE);
  g_autofree char *indented = dup_indented (body, "\n      ");
  gboolean has_colours = shell->has_colours;
  g_autofree char *whole = g_strconcat (has_colours ? COLOUR_DIM : "", time, has_colours ? COLOUR_NONE : "",
                                        " ", has_colours ? (is_own ? COLOUR_OWN : COLOUR_PEER) : "",
                                        clean_label, has_colours ? COLOUR_NONE : "", ": ", indented, NULL);
  line_print (shell->line, whole);
}

const char *
shell_peek_label (Shell *shell, const char *jid)
{
  const RosterItem *item = roster_find (client_peek_roster (shell->app->client), jid);
  return item != NULL ? roster_item_peek_label (item) : jid;
}

/* ---- the prompt and questions ---- */

static void
question_free (gpointer data)
{
  Question *question = data;
  g_free (question->text);
  g_free (question->data);
  g_free (question);
}

static void
update_prompt (Shell *shell)
{
  const Question *question = g_queue_peek_head (shell->questions);
  g_autofree char *prompt = NULL;
  if (question != NULL)
    prompt = g_strdup ("[y/N] ");
  else if (shell->peer != NULL)
    {
      g_autofree char *label = output_dup_clean (shell_peek_label (shell, shell->peer), FALSE);
      prompt = g_strdup_printf ("%s> ", label);
    }
  else
    prompt = g_strdup ("> ");
  line_set_prompt (shell->line, prompt);
}

static void
show_question (Shell *shell)
{
  const Question *question = g_queue_peek_head (shell->questions);
  if (question != NULL)
    {
      shell_print (shell, "%s", question->text);
      line_skip_history (shell->line);
    }
  update_prompt (shell);
}

void
shell_ask (Shell *shell, const char *text, void (*answered) (Shell *, gboolean, gpointer), gpointer data)
{
  Question *question = g_new0 (Question, 1);
  question->text = g_strdup (text);
  question->answered = answered;
  question->data = data;
  if (g_queue_get_length (shell->questions) >= QUESTIONS_MAX)
    {
      answered (shell, FALSE, data);
      question_free (question);
      return;
    }
  g_queue_push_tail (shell->questions, question);
  if (g_queue_get_length (shell->questions) == 1)
    show_question (shell);
}

static void
answer_question (Shell *shell, const char *text)
{
  Question *question = g_queue_pop_head (shell->questions);
  gboolean is_yes = g_ascii_strcasecmp (text, "y") == 0 || g_ascii_strcasecmp (text, "yes") == 0;
  show_question (shell);
  question->answered (shell, is_yes, question->data);
  question_free (question);
}

void
shell_open_chat (Shell *shell, const char *peer)
{
  char *copy = g_strdup (peer);
  g_free (shell->peer);
  shell->peer = copy;
  desk_set_open_chat (client_peek_desk (shell->app->client), peer);
  update_prompt (shell);
}

/* ---- what is typed ---- */

void
shell_send (Shell *shell, const char *peer, const char *body)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = chat_send (client_peek_chat (shell->app->client), peer, body, &error);
  if (id == NULL)
    {
      shell_warn (shell, "cannot send: %s", error->message);
      return;
    }
  gboolean is_online = session_is_online (client_peek_session (shell->app->client));
  shell_print_chat (shell, clock_get_wall_us (shell->app->clock), "me", body, TRUE);
  if (!is_online)
    shell_print (shell, "(offline: it will be sent when the connection is back)");
}

static void
on_entered (const char *text, gpointer data)
{
  Shell *shell = data;
  g_autofree char *line = g_strstrip (g_strdup (text));
  if (!g_utf8_validate (line, -1, NULL))
    shell_warn (shell, "that is not UTF-8");
  else if (!g_queue_is_empty (shell->questions))
    answer_question (shell, line);
  else if (line[0] == '/')
    shell_obey (shell, line + 1);
  else if (line[0] != '\0' && shell->peer == NULL)
    shell_print (shell, "nobody to send that to: open a chat with /chat JID (/help shows more)");
  else if (line[0] != '\0')
    shell_send (shell, shell->peer, line);
}

static void
on_ended (gpointer data)
{
  Shell *shell = data;
  app_finish (shell->app, EXIT_DONE);
}

static char **
on_complete (const char *line, gsize start, gpointer data)
{
  return shell_complete (data, line, start);
}

/* ---- what happens ---- */

static void
on_received (const ChatMessage *message, gpointer data)
{
  Shell *shell = data;
  shell_print_chat (shell, message->stamp_us, shell_peek_label (shell, message->peer), message->body, FALSE);
}

static void
on_bounced (const char *id, const char *peer, const StanzaError *error, gpointer data)
{
  shell_warn (data, "a message to %s came back: %s", peer, error->condition);
}

static void
on_presence (const RosterItem *item, const Presence *presence, gpointer data)
{
  Shell *shell = data;
  if (item == NULL)
    return;
  const Presence *best = roster_item_peek_presence (item);
  gboolean was_there = g_hash_table_contains (shell->there, item->jid);
  if (best != NULL && !was_there)
    {
      g_hash_table_add (shell->there, g_strdup (item->jid));
      shell_print (shell, "* %s is there", roster_item_peek_label (item));
    }
  else if (best == NULL && was_there)
    {
      g_hash_table_remove (shell->there, item->jid);
      shell_print (shell, "* %s has left", roster_item_peek_label (item));
    }
}

static void
on_asked (const char *jid, const char *words, gpointer data)
{
  shell_print (data, "* %s asks to see when you are there: /roster accept %s, or deny", jid, jid);
}

static void
on_state (const SessionReport *report, gpointer data)
{
  Shell *shell = data;
  switch (report->state)
    {
    case SESSION_LOOKING_UP:
      shell_print (shell, "looking for the server …");
      break;
    case SESSION_CONNECTING:
      shell_print (shell, "connecting …");
      break;
    case SESSION_LOGGING_IN:
      shell_print (shell, "encrypted, logging in …");
      break;
    case SESSION_ONLINE:
      shell_print (shell, "online as %s", session_peek_jid (client_peek_session (shell->app->client)));
      break;
    case SESSION_WAITING:
      g_hash_table_remove_all (shell->there);
      shell_warn (shell, "offline: %s; next attempt in %u s", report->detail,
                  (report->retry_ms + 999) / 1000);
      break;
    case SESSION_OFFLINE:
      g_hash_table_remove_all (shell->there);
      break;
    }
}

static void
on_trusted (Shell *shell, gboolean is_yes, gpointer data)
{
  const char *fingerprint = data;
  Session *session = client_peek_session (shell->app->client);
  g_autoptr (GError) error = NULL;
  if (!is_yes)
    {
      app_finish (shell->app, EXIT_NO_CONNECTION);
      return;
    }
  if (!folder_set_pin (shell->app->folder, session_peek_domain (session), fingerprint, &error))
    shell_warn (shell, "%s", error->message);
  session_trust (session, fingerprint);
}

/* ---- the command ---- */

static void
shell_free (gpointer data)
{
  Shell *shell = data;
  shell_plugins_clear (shell);
  line_close (shell->line);
  g_queue_free_full (shell->questions, question_free);
  g_hash_table_unref (shell->there);
  g_free (shell->peer);
  g_free (shell);
}

static gboolean
handle_offline (App *app, const SessionReport *report)
{
  Shell *shell = app->state;
  if (report->end == CONNECTION_END_CERTIFICATE && app->arguments->pin == NULL)
    {
      g_autofree char *text = app_dup_certificate_text (app, report);
      g_autofree char *question = g_strdup_printf (
          "%s\nCompare it with what the server's operator says. Trust it from now on?", text);
      shell_ask (shell, question, on_trusted, g_strdup (report->fingerprint));
      return TRUE;
    }
  if (report->end != CONNECTION_END_REPLACED)
    return FALSE;
  shell_warn (shell, "offline: %s; /reconnect takes it back", report->detail);
  return TRUE;
}

static void
open_shell (App *app)
{
  static const LineEvents line_events = { on_entered, on_ended, on_complete };
  static const ChatEvents chat_events = { .received = on_received, .bounced = on_bounced };
  static const RosterEvents roster_events = { .presence = on_presence, .asked = on_asked };
  static const SessionWatch watch = { .state = on_state };

  Shell *shell = g_new0 (Shell, 1);
  shell->app = app;
  shell->questions = g_queue_new ();
  shell->there = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  shell->has_colours
      = isatty (STDOUT_FILENO) && g_getenv ("NO_COLOR") == NULL && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
  app->state = shell;
  app->free_state = shell_free;

  Session *session = client_peek_session (app->client);
  g_autofree char *path = g_build_filename (folder_peek_path (app->folder), "accounts",
                                            session_peek_account (session), "typed", NULL);
  shell->line = line_open (path, "> ", &line_events, shell);
  chat_set_events (client_peek_chat (app->client), &chat_events, shell);
  roster_set_events (client_peek_roster (app->client), &roster_events, shell);
  roster_set_available (client_peek_roster (app->client), TRUE);
  session_watch (session, &watch, shell);
  shell_plugins_init (shell);
}

static void
start_shell (App *app)
{
  Shell *shell = app->state;
  shell_print (shell, "/help shows what you can do");
  shell_plugins_resume (shell);
  desk_start_watchers (client_peek_desk (app->client));
}

const Command command_interactive = {
  .kind = COMMAND_INTERACTIVE,
  .retry = SESSION_RETRY_ALWAYS,
  .is_lasting = TRUE,
  .survives_loss = TRUE,
  .open = open_shell,
  .start = start_shell,
  .offline = handle_offline,
};
