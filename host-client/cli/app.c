#include "host-client/cli/app.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-client/cli/password.h"
#include "host-client/core/jid.h"

void
app_finish (App *app, ExitCode code)
{
  if (app->is_finished)
    return;
  app->is_finished = TRUE;
  app->exit_code = code;
  Session *session = app->client != NULL ? client_peek_session (app->client) : NULL;
  if (session != NULL && session_peek_report (session)->state != SESSION_OFFLINE)
    session_close (session); /* on_state() ends the loop */
  else
    g_main_loop_quit (app->loop);
}

void
app_fail (App *app, ExitCode code, const char *format, ...)
{
  if (app->is_finished)
    return;
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  output_error ("%s", text);
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:i}", "event", "error", "text", text, "code", (int)code));
  app_finish (app, code);
}

char *
app_dup_reply_text (const Reply *reply, ExitCode *code)
{
  *code = EXIT_REFUSED;
  switch (reply->kind)
    {
    case REPLY_ERROR:
      {
        const StanzaError *error = reply->error;
        const char *condition = error->application != NULL ? error->application : error->condition;
        return error->text != NULL ? g_strdup_printf ("%s (%s)", error->text, condition)
                                   : g_strdup (condition);
      }
    case REPLY_UNREADABLE:
      return g_strdup ("the answer makes no sense");
    case REPLY_TIMEOUT:
      *code = EXIT_NO_CONNECTION;
      return g_strdup ("no answer in time");
    case REPLY_LOST:
      *code = EXIT_NO_CONNECTION;
      return g_strdup ("the connection was lost");
    case REPLY_RESULT:
      break;
    }
  *code = EXIT_DONE;
  return g_strdup ("done");
}

gboolean
app_has_terminal (void)
{
  return isatty (STDIN_FILENO) && isatty (STDOUT_FILENO);
}

gboolean
app_ask (const char *question)
{
  if (!app_has_terminal ())
    return FALSE;
  g_autofree char *clean = output_dup_clean (question, TRUE);
  printf ("%s [y/N] ", clean);
  fflush (stdout);
  char line[16];
  return fgets (line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

/* ---- the session ---- */

static char *
dup_shown_fingerprint (const char *hex)
{
  g_autoptr (GString) out = g_string_new (NULL);
  for (const char *p = hex; p[0] != '\0' && p[1] != '\0'; p += 2)
    g_string_append_printf (out, "%s%c%c", out->len > 0 ? ":" : "", g_ascii_toupper (p[0]),
                            g_ascii_toupper (p[1]));
  return g_strdup (out->str);
}

char *
app_dup_certificate_text (App *app, const SessionReport *report)
{
  g_autofree char *shown = dup_shown_fingerprint (report->fingerprint);
  return g_strdup_printf ("the certificate of %s cannot be trusted: %s\n  SHA-256 fingerprint: %s",
                          session_peek_domain (client_peek_session (app->client)), report->detail, shown);
}

static void
on_certificate (App *app, const SessionReport *report)
{
  Session *session = client_peek_session (app->client);
  const char *domain = session_peek_domain (session);
  g_autofree char *fingerprint = g_strdup (report->fingerprint);
  g_autofree char *text = app_dup_certificate_text (app, report);
  /* A pin that was given is the user's word; another certificate is not a question but an alarm. */
  if (app->arguments->pin == NULL && !app->arguments->is_json)
    {
      g_autofree char *question
          = g_strdup_printf ("%s\nCompare it with what the server's operator says. Trust it "
                             "from now on?",
                             text);
      g_autoptr (GError) error = NULL;
      if (app_ask (question))
        {
          if (!folder_set_pin (app->folder, domain, fingerprint, &error))
            output_error ("%s", error->message);
          session_trust (session, fingerprint);
          return;
        }
    }
  output_error ("%s\n  to trust it: --pin %s", text, fingerprint);
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s, s:s}", "event", "certificate", "domain", domain, "fingerprint",
                            fingerprint, "text",
                            app->arguments->pin != NULL ? "not the pinned one" : "not verified"));
  app_finish (app, EXIT_NO_CONNECTION);
}

static void
on_offline (App *app, const SessionReport *report)
{
  g_autofree char *detail = g_strdup (report->detail);
  if (app->command->offline != NULL && app->command->offline (app, report))
    return;
  switch (report->end)
    {
    case CONNECTION_END_CERTIFICATE:
      on_certificate (app, report);
      return;
    case CONNECTION_END_NOT_AUTHORIZED:
      app_fail (app, EXIT_NOT_AUTHENTICATED, "%s", detail);
      return;
    case CONNECTION_END_CLOSED:
      app_finish (app, EXIT_NO_CONNECTION);
      return;
    default:
      app_fail (app, EXIT_NO_CONNECTION, "cannot connect: %s", detail);
    }
}

static void
on_state (const SessionReport *report, gpointer data)
{
  App *app = data;
  if (app->is_finished)
    {
      if (report->state == SESSION_OFFLINE)
        g_main_loop_quit (app->loop);
      return;
    }
  if (report->state == SESSION_OFFLINE)
    on_offline (app, report);
  else if (report->state == SESSION_WAITING && app->is_started)
    {
      if (!app->command->survives_loss)
        app_fail (app, EXIT_NO_CONNECTION, "%s", report->detail);
      else if (app->command->lost != NULL)
        app->command->lost (app);
    }
}

static void
on_online (gpointer data)
{
  App *app = data;
  const char *domain = session_peek_domain (client_peek_session (app->client));
  g_autoptr (GError) error = NULL;
  if (app->is_finished)
    return;
  if (!app->is_started && app->arguments->pin != NULL
      && !folder_set_pin (app->folder, domain, app->arguments->pin, &error))
    output_error ("%s", error->message);
  gboolean is_first = !app->is_started;
  app->is_started = TRUE;
  if (is_first)
    app->command->start (app);
  else if (app->command->returned != NULL)
    app->command->returned (app);
}

static gboolean
on_signal (gpointer data)
{
  App *app = data;
  /* The second one does not wait for the server's goodbye. */
  if (app->is_finished)
    g_main_loop_quit (app->loop);
  else
    app_finish (app, app->command->kind == COMMAND_LISTEN || app->command->kind == COMMAND_INTERACTIVE
                         ? EXIT_DONE
                         : EXIT_REFUSED);
  return G_SOURCE_CONTINUE;
}

/* ---- starting ---- */

/* The account that was named, or the only one there is. */
static char *
dup_account (const Arguments *arguments, const Folder *folder, GError **error)
{
  if (arguments->account != NULL)
    {
      char *account = jid_prepare_bare (arguments->account);
      g_autofree char *local = account != NULL ? jid_dup_local (account) : NULL;
      if (local == NULL)
        {
          g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "'%s' is not an account: NAME@DOMAIN",
                       arguments->account);
          g_clear_pointer (&account, g_free);
        }
      return account;
    }
  g_autofree char *path = g_build_filename (folder_peek_path (folder), "accounts", NULL);
  g_autoptr (GDir) accounts = g_dir_open (path, 0, NULL);
  g_autofree char *only = accounts != NULL ? g_strdup (g_dir_read_name (accounts)) : NULL;
  if (only == NULL || g_dir_read_name (accounts) != NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "which account? use --account JID");
      return NULL;
    }
  return g_steal_pointer (&only);
}

static Secret *
get_password (const Arguments *arguments, const char *account, GError **error)
{
  if (arguments->password_fd >= 0)
    return password_read_fd (arguments->password_fd, error);
  Secret *password = password_look_up (account);
  return password != NULL ? password : password_ask (account, error);
}

static gboolean
make_client (App *app, GError **error)
{
  const Arguments *arguments = app->arguments;
  g_autofree char *account = dup_account (arguments, app->folder, error);
  if (account == NULL)
    return FALSE;
  g_autoptr (Endpoint) server = NULL;
  if (arguments->server != NULL
      && (server = endpoint_parse (arguments->server, arguments->is_direct_tls)) == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "'%s' is not HOST:PORT",
                   arguments->server);
      return FALSE;
    }
  g_autoptr (Secret) password = get_password (arguments, account, error);
  if (password == NULL)
    return FALSE;
  if (arguments->has_remember && !password_remember (account, password))
    output_error ("there is no keyring to keep the password in");

  ClientOptions options = {
    .folder = app->folder,
    .account = account,
    .password = password,
    .server = server,
    .pin = arguments->pin,
    .retry = app->command->retry,
    .is_lasting = app->command->is_lasting,
    .clock = app->clock,
  };
  app->client = client_new (&options, error);
  return app->client != NULL;
}

static int
exit_code_of (const GError *error)
{
  if (error->domain == G_OPTION_ERROR)
    return EXIT_USAGE;
  return error->domain == PASSWORD_ERROR ? EXIT_NOT_AUTHENTICATED : EXIT_REFUSED;
}

static gboolean
start_offline_command (gpointer data)
{
  App *app = data;
  app->is_started = TRUE;
  app->command->start (app);
  return G_SOURCE_REMOVE;
}

static gboolean
app_init (App *app, GError **error)
{
  static const SessionWatch watch = { .state = on_state, .online = on_online };
  app->folder = folder_open (app->arguments->config, error);
  if (app->folder == NULL)
    return FALSE;
  if (app->command->is_offline)
    {
      g_idle_add (start_offline_command, app);
      return TRUE;
    }
  if (!make_client (app, error))
    return FALSE;
  Session *session = client_peek_session (app->client);
  if (app->command->open != NULL)
    app->command->open (app);
  session_watch (session, &watch, app);
  session_open (session);
  return TRUE;
}

int
app_run (const Arguments *arguments, const Command *command)
{
  g_autoptr (Clock) clock = clock_new_system ();
  g_autoptr (GError) error = NULL;
  App app = { .arguments = arguments, .command = command, .clock = clock };
  app.loop = g_main_loop_new (NULL, FALSE);
  guint interrupt = g_unix_signal_add (SIGINT, on_signal, &app),
        end = g_unix_signal_add (SIGTERM, on_signal, &app);
  if (app_init (&app, &error))
    {
      if (!app.is_finished)
        g_main_loop_run (app.loop);
    }
  else
    {
      output_error ("%s", error->message);
      app.exit_code = exit_code_of (error);
    }
  if (app.free_state != NULL)
    app.free_state (app.state);
  client_free (app.client);
  folder_free (app.folder);
  g_source_remove (interrupt);
  g_source_remove (end);
  g_main_loop_unref (app.loop);
  return app.exit_code;
}

char *
app_dup_account (App *app)
{
  return dup_account (app->arguments, app->folder, NULL);
}
