/* plugin list, check, install FILE, remove, rollback, use; `install ID` is in package-command.c. */
#include "host-client/cli/commands.h"

#include <string.h>

#include "host-client/cli/consent.h"
#include "host-client/cli/market-view.h"
#include "host-client/cli/plugin-commands.h"
#include "host-client/core/jid.h"
#include "host-client/core/plugin-check.h"

PluginHost *
plugin_commands_new_host (App *app, GError **error)
{
  PluginHostOptions options = { .folder = folder_peek_path (app->folder), .clock = app->clock };
  if (!folder_get_uid_base (app->folder, &options.uid_base, error))
    return NULL;
  return plugin_host_new (&options, error);
}

/* ---- list ---- */

static void
print_status (App *app, const PluginStatus *status)
{
  const PluginInfo *info = status->info; /* NULL: its files cannot be read */
  const char *kind = info == NULL ? "unknown" : info->kind == PLUGIN_KIND_LEGACY ? "legacy" : "native";
  if (app->arguments->is_json)
    {
      json_t *commands = json_array ();
      for (gsize i = 0; info != NULL && i < info->n_commands; i++)
        json_array_append_new (commands, json_string (info->commands[i].name));
      output_json (json_pack ("{s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "id", status->id, "name",
                              info != NULL ? info->name : status->id, "version",
                              info != NULL ? info->version : "", "kind", kind, "commands", commands, "state",
                              plugin_status_name (status->kind), "reason", status->reason));
      return;
    }
  g_autoptr (GString) line = g_string_new (NULL);
  g_string_append_printf (line, "%s  %s %s  %s  %s", status->id, info != NULL ? info->name : "?",
                          info != NULL ? info->version : "?", kind, plugin_status_name (status->kind));
  if (status->reason[0] != '\0')
    g_string_append_printf (line, " (%s)", status->reason);
  for (gsize i = 0; info != NULL && i < info->n_commands; i++)
    g_string_append_printf (line, " /%s", info->commands[i].name);
  output_line ("%s", line->str);
}

static void
start_list (App *app)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginHost) host = plugin_commands_new_host (app, &error);
  if (host == NULL)
    {
      app_fail (app, EXIT_PLUGIN_FAILED, "%s", error->message);
      return;
    }
  g_autofree char *account = app_dup_account (app);
  g_autoptr (GPtrArray) states = plugin_host_list_states (host, account);
  for (guint i = 0; i < states->len; i++)
    print_status (app, g_ptr_array_index (states, i));
  app_finish (app, EXIT_DONE);
}

const Command command_plugin_list = {
  .kind = COMMAND_PLUGIN,
  .is_offline = TRUE,
  .start = start_list,
};

/* ---- check ---- */

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  App *app = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) findings = plugin_check_finish (result, &error);
  guint n_errors = 0;
  if (findings == NULL)
    {
      app_fail (app, EXIT_PLUGIN_FAILED, "%s", error->message);
      return;
    }
  for (guint i = 0; i < findings->len; i++)
    {
      const PluginFinding *finding = g_ptr_array_index (findings, i);
      const char *level = finding->is_error ? "error" : "warning";
      n_errors += finding->is_error;
      if (app->arguments->is_json)
        output_json (
            json_pack ("{s:s, s:s, s:s}", "event", "finding", "level", level, "text", finding->text));
      else
        output_line ("%s: %s", level, finding->text);
    }
  if (n_errors > 0)
    app_fail (app, EXIT_PLUGIN_FAILED, n_errors == 1 ? "%u error" : "%u errors", n_errors);
  else
    {
      if (!app->arguments->is_json)
        output_line ("%s is right", app->arguments->words[1]);
      app_finish (app, EXIT_DONE);
    }
}

static void
start_check (App *app)
{
  g_autoptr (GError) error = NULL;
  app->state = plugin_commands_new_host (app, &error);
  app->free_state = (GDestroyNotify)plugin_host_free;
  if (app->state == NULL)
    app_fail (app, EXIT_PLUGIN_FAILED, "%s", error->message);
  else
    plugin_check_async (app->state, app->arguments->words[1], on_checked, app);
}

const Command command_plugin_check = {
  .kind = COMMAND_PLUGIN,
  .is_offline = TRUE,
  .start = start_check,
};

/* ---- install ---- */

void
plugin_commands_say (App *app, const char *event, const PluginInfo *info)
{
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s, s:s}", "event", event, "id", info->id, "name", info->name,
                            "version", info->version));
  else
    output_line ("%s %s %s", event, info->name, info->version);
}

static void
on_installed (GObject *source, GAsyncResult *result, gpointer data)
{
  App *app = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = plugin_host_install_finish (app->state, result, &error);
  if (info == NULL)
    {
      app_fail (app, EXIT_PLUGIN_FAILED, "cannot install: %s", error->message);
      return;
    }
  plugin_commands_say (app, "installed", info);
  app_finish (app, EXIT_DONE);
}

static void
start_install (App *app)
{
  g_autoptr (GError) error = NULL;
  const char *path = app->arguments->words[1];
  g_autoptr (PluginInfo) info = plugin_info_read (path, &error);
  if (info != NULL)
    app->state = plugin_commands_new_host (app, &error);
  app->free_state = (GDestroyNotify)plugin_host_free;
  if (app->state == NULL)
    app_fail (app, EXIT_PLUGIN_FAILED, "%s", error->message);
  else if (!consent_ask (app, app->state, info))
    app_fail (app, EXIT_REFUSED, "not installed: %s",
              app_has_terminal () ? "you did not agree" : "--yes agrees to what it asks for");
  else
    plugin_host_install_async (app->state, path, NULL, on_installed, app);
}

const Command command_plugin_install = {
  .kind = COMMAND_PLUGIN,
  .is_offline = TRUE,
  .start = start_install,
};

/* ---- allow, forbid ---- */

static void
start_allow (App *app)
{
  g_autoptr (GError) error = NULL;
  char **words = app->arguments->words;
  gboolean is_allowed = strcmp (words[0], "allow") == 0;
  g_autofree char *account = app_dup_account (app);
  g_autofree char *peer = jid_prepare_bare (words[2]);
  g_autoptr (PluginHost) host = plugin_commands_new_host (app, &error);
  if (host == NULL)
    app_fail (app, EXIT_PLUGIN_FAILED, "%s", error->message);
  else if (account == NULL)
    app_fail (app, EXIT_USAGE, "which account? use --account JID");
  else if (peer == NULL)
    app_fail (app, EXIT_USAGE, "'%s' is not an address", words[2]);
  else if (!plugin_host_allow (host, words[1], account, peer, is_allowed, &error))
    app_fail (app, EXIT_REFUSED, "%s", error->message);
  else
    {
      if (app->arguments->is_json)
        output_json (json_pack ("{s:s, s:s, s:s}", "event", is_allowed ? "allowed" : "forbidden", "plugin",
                                words[1], "peer", peer));
      else
        output_line ("%s %s write to %s", words[1], is_allowed ? "may" : "may no longer", peer);
      app_finish (app, EXIT_DONE);
    }
}

const Command command_plugin_allow = {
  .kind = COMMAND_PLUGIN,
  .is_offline = TRUE,
  .start = start_allow,
};

/* ---- remove, rollback ---- */

static void
start_remove (App *app)
{
  const char *id = app->arguments->words[1];
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginHost) host = plugin_commands_new_host (app, &error);
  if (host == NULL || !plugin_host_remove (host, id, &error))
    {
      app_fail (app, host == NULL ? EXIT_PLUGIN_FAILED : EXIT_REFUSED, "%s", error->message);
      return;
    }
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s}", "event", "removed", "id", id));
  else
    output_line ("removed %s", id);
  app_finish (app, EXIT_DONE);
}

const Command command_plugin_remove = {
  .kind = COMMAND_PLUGIN,
  .is_offline = TRUE,
  .start = start_remove,
};

static void
start_rollback (App *app)
{
  const char *id = app->arguments->words[1];
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginHost) host = plugin_commands_new_host (app, &error);
  g_autoptr (PluginInfo) info = host != NULL ? plugin_host_find_previous (host, id, &error) : NULL;
  if (info == NULL)
    app_fail (app, host == NULL ? EXIT_PLUGIN_FAILED : EXIT_REFUSED, "%s", error->message);
  else if (!consent_ask (app, host, info))
    app_fail (app, EXIT_REFUSED, "not rolled back: %s",
              app_has_terminal () ? "you did not agree" : "--yes agrees to what it asks for");
  else if (!plugin_host_roll_back (host, id, &error))
    app_fail (app, EXIT_REFUSED, "%s", error->message);
  else
    {
      plugin_commands_say (app, "rolled-back", info);
      app_finish (app, EXIT_DONE);
    }
}

const Command command_plugin_rollback = {
  .kind = COMMAND_PLUGIN,
  .is_offline = TRUE,
  .start = start_rollback,
};

/* ---- use ---- */

typedef struct
{
  App *app;
  DeskPlugin *plugin;
  char *to; /* prepared; NULL: nobody */
  char *message_id;
  gboolean has_run;
} Use;

static void
use_free (gpointer data)
{
  Use *use = data;
  static const DeskEvents silence = { 0 };
  desk_set_events (client_peek_desk (use->app->client), &silence, NULL);
  if (use->message_id != NULL && use->app->exit_code != EXIT_DONE)
    chat_withdraw (client_peek_chat (use->app->client), use->message_id);
  g_free (use->message_id);
  g_free (use->to);
  g_free (use);
}

static void
on_use_sent (const char *id, gpointer data)
{
  Use *use = data;
  if (g_strcmp0 (id, use->message_id) != 0)
    return;
  if (use->app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s}", "event", "sent", "to", use->to, "id", id));
  app_finish (use->app, EXIT_DONE);
}

static void
on_use_bounced (const char *id, const char *peer, const StanzaError *error, gpointer data)
{
  Use *use = data;
  if (g_strcmp0 (id, use->message_id) == 0)
    app_fail (use->app, EXIT_REFUSED, "%s cannot be reached: %s", peer, error->condition);
}

static void
on_use_result (DeskPlugin *plugin, PluginResult result, const char *text, gpointer tag, gpointer data)
{
  Use *use = data;
  App *app = use->app;
  if (result == PLUGIN_RESULT_EXPIRED || result == PLUGIN_RESULT_BAD_SERIAL)
    return; /* its state says so too, and the dialogue goes on from there */
  if (result != PLUGIN_RESULT_OK)
    {
      app_fail (app, EXIT_PLUGIN_FAILED, "%s: %s", desk_plugin_peek_name (plugin),
                text != NULL && text[0] != '\0' ? text : "it gave no answer");
      return;
    }
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s, s:s}", "event", "result", "plugin", desk_plugin_peek_id (plugin),
                            "command", app->arguments->words[2], "text", text));
  else
    output_line ("%s", text);
  if (use->to == NULL)
    {
      app_finish (app, EXIT_DONE);
      return;
    }
  g_autoptr (GError) error = NULL;
  use->message_id = chat_send (client_peek_chat (app->client), use->to, text, &error);
  if (use->message_id == NULL)
    app_fail (app, EXIT_REFUSED, "cannot send: %s", error->message);
}

static void
on_use_ask (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  Use *use = data;
  const Arguments *arguments = use->app->arguments;
  if (arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s}", "event", "ask", "plugin", desk_plugin_peek_id (plugin),
                            "reason", market_view_reason (view->reason)));
  g_autofree char *question = market_view_question (desk_plugin_peek_name (plugin), view);
  if (!arguments->is_json && arguments->has_yes)
    output_line ("%s yes", question);
  dialogue_answer (desk_plugin_peek_dialogue (plugin), arguments->has_yes || app_ask (question));
}

static void
on_use_show (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  Use *use = data;
  if (use->app->arguments->is_json)
    {
      output_json (market_view_dialogue_json (desk_plugin_peek_id (plugin), view));
      return;
    }
  g_autofree char *text = market_view_progress (desk_plugin_peek_name (plugin), view);
  output_line ("%s", text);
}

static void
on_use_end (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  Use *use = data;
  App *app = use->app;
  char **words = app->arguments->words;
  if (app->arguments->is_json)
    output_json (market_view_dialogue_json (desk_plugin_peek_id (plugin), view));
  if (view->state == PURCHASE_OFF)
    {
      g_autofree char *text = market_view_end (desk_plugin_peek_name (plugin), view);
      app_fail (app, view->has_failed ? EXIT_PLUGIN_FAILED : EXIT_REFUSED, "%s", text);
      return;
    }
  if (app->arguments->n_words == 2)
    {
      if (!app->arguments->is_json)
        output_line ("%s is ready", desk_plugin_peek_name (plugin));
      app_finish (app, EXIT_DONE);
      return;
    }
  g_autofree char *input = g_strjoinv (" ", words + 3);
  desk_run (plugin, words[2], input, NULL);
}

static void
begin_use (Use *use)
{
  App *app = use->app;
  g_autoptr (GError) error = NULL;
  if (use->has_run)
    return;
  use->has_run = TRUE;
  use->plugin = desk_need_plugin (client_peek_desk (app->client), app->arguments->words[1], FALSE, &error);
  if (use->plugin == NULL)
    {
      gboolean is_absent = g_error_matches (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED);
      app_fail (app, is_absent ? EXIT_REFUSED : EXIT_PLUGIN_FAILED, "%s", error->message);
      return;
    }
  dialogue_use (desk_plugin_peek_dialogue (use->plugin));
}

static void
on_use_market (MarketState state, gpointer data)
{
  if (state != MARKET_UNKNOWN)
    begin_use (data);
}

static void
start_use (App *app)
{
  static const DeskEvents desk_events
      = { .ask = on_use_ask, .show = on_use_show, .end = on_use_end, .result = on_use_result };
  static const ChatEvents chat_events = { .sent = on_use_sent, .bounced = on_use_bounced };
  static const MarketEvents market_events = { .state = on_use_market };
  Market *market = client_peek_market (app->client);
  Use *use = g_new0 (Use, 1);
  use->app = app;
  app->state = use;
  app->free_state = use_free;
  if (app->arguments->to != NULL && (use->to = jid_prepare (app->arguments->to)) == NULL)
    {
      app_fail (app, EXIT_USAGE, "'%s' is not an address", app->arguments->to);
      return;
    }
  desk_set_events (client_peek_desk (app->client), &desk_events, use);
  chat_set_events (client_peek_chat (app->client), &chat_events, use);
  /* The plugin gets the serial that is current, not the one of the last login. */
  market_watch (market, &market_events, use);
  on_use_market (market_get_state (market), use);
}

const Command command_plugin_use = {
  .kind = COMMAND_PLUGIN,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .survives_loss = TRUE,
  .start = start_use,
};
