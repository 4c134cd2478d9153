#include "host-client/core/desk-private.h"

#include <string.h>

#include "common/base/log.h"
#include "host-client/core/jid.h"

#include <host/plugin.h>

#define MAX_ITEMS 256 /* on the desk, beyond which no plugin adds one */

static void
desk_plugin_free (gpointer data)
{
  DeskPlugin *plugin = data;
  plugin_free (plugin->plugin);
  dialogue_free (plugin->dialogue);
  g_free (plugin->id);
  g_free (plugin);
}

/* Every plugin gets its copy into a queue of its own: nothing here waits for one. */
static void
on_copy (const ChatCopy *copy, gpointer data)
{
  Desk *desk = data;
  PluginMessage message = { .is_sent = copy->is_sent,
                            .is_late = copy->is_delayed,
                            .peer = copy->peer,
                            .text = copy->body,
                            .time_s = copy->stamp_us / G_USEC_PER_SEC };
  GHashTableIter iter;
  gpointer value;
  if (desk->is_writing)
    return;
  g_hash_table_iter_init (&iter, desk->plugins);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((DeskPlugin *)value)->plugin != NULL)
      plugin_show_message (((DeskPlugin *)value)->plugin, &message);
}

Desk *
desk_new (const DeskOptions *options)
{
  Desk *desk = g_new0 (Desk, 1);
  desk->options = *options;
  desk->plugins = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, desk_plugin_free);
  desk->items = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, desk_item_free);
  if (options->chat != NULL)
    chat_watch_copies (options->chat, on_copy, desk);
  return desk;
}

void
desk_free (Desk *desk)
{
  if (desk == NULL)
    return;
  if (desk->options.chat != NULL)
    chat_watch_copies (desk->options.chat, NULL, NULL);
  if (desk->has_watch)
    market_unwatch (desk->options.market, desk);
  g_hash_table_unref (desk->items);
  g_hash_table_unref (desk->plugins);
  g_free (desk->open_chat);
  plugin_host_free (desk->host);
  g_free (desk);
}

void
desk_set_events (Desk *desk, const DeskEvents *events, gpointer data)
{
  desk->events = *events;
  desk->data = data;
}

PluginHost *
desk_need_host (Desk *desk, GError **error)
{
  if (desk->host != NULL)
    return desk->host;
  PluginHostOptions options = {
    .folder = desk->options.folder,
    .clock = desk->options.clock,
    .uid_base = desk->options.uid_base,
  };
  desk->host = plugin_host_new (&options, error);
  return desk->host;
}

/* ---- the plugin's events ---- */

static void
on_plugin_state (Plugin *process, const PluginReport *report, gpointer data)
{
  DeskPlugin *plugin = data;
  if (report->state != PLUGIN_STATE_STARTING)
    plugin_host_note_state (plugin->desk->host, plugin_peek_info (process),
                            session_peek_account (plugin->desk->options.session), report);
  dialogue_note_report (plugin->dialogue, report);
}

static void
on_plugin_log (Plugin *process, GLogLevelFlags level, const char *line, gpointer data)
{
  DeskPlugin *plugin = data;
  log_info ("plugin", "plugin=%s %s", plugin->id, line);
}

static void
on_plugin_notify (Plugin *process, const char *title, const char *text, gpointer data)
{
  DeskPlugin *plugin = data;
  if (plugin->desk->events.notify != NULL)
    plugin->desk->events.notify (plugin, title, text, plugin->desk->data);
}

static gboolean
may_write_to (DeskPlugin *plugin, const char *peer)
{
  Desk *desk = plugin->desk;
  if (g_strcmp0 (peer, desk->open_chat) == 0)
    return TRUE;
  g_auto (GStrv) allowed
      = plugin_host_list_peers (desk->host, plugin->id, session_peek_account (desk->options.session));
  return g_strv_contains ((const char *const *)allowed, peer);
}

static PluginSendOutcome
on_plugin_send (Plugin *process, const char *to, const char *text, gpointer data)
{
  DeskPlugin *plugin = data;
  Desk *desk = plugin->desk;
  g_autofree char *peer = jid_prepare_bare (to != NULL ? to : desk->open_chat != NULL ? desk->open_chat : "");
  g_autoptr (GError) error = NULL;
  if (peer == NULL || desk->options.chat == NULL || !may_write_to (plugin, peer))
    return PLUGIN_SEND_DENIED;
  desk->is_writing = TRUE;
  g_autofree char *id = chat_send (desk->options.chat, peer, text, &error);
  desk->is_writing = FALSE;
  if (id == NULL)
    {
      log_warning ("plugin", "plugin=%s cannot send: %s", plugin->id, error->message);
      return PLUGIN_SEND_BUSY;
    }
  if (desk->events.sent != NULL)
    desk->events.sent (plugin, peer, text, desk->data);
  return PLUGIN_SEND_DONE;
}

typedef struct
{
  Desk *desk;
  char *plugin;
  guint call;
} OpenCall;

static void
on_function_answer (const FunctionAnswer *answer, gpointer data)
{
  static const guint results[] = { [FUNCTION_DONE] = HOST_OK,
                                   [FUNCTION_BAD_INPUT] = HOST_BAD_INPUT,
                                   [FUNCTION_DENIED] = HOST_DENIED,
                                   [FUNCTION_LATER] = HOST_RETRY,
                                   [FUNCTION_FAILED] = HOST_INTERNAL };
  OpenCall *open = data;
  PluginCallOutcome outcome = { results[answer->outcome], answer->reason, answer->value };
  DeskPlugin *plugin = g_hash_table_lookup (open->desk->plugins, open->plugin);
  if (plugin != NULL && plugin->plugin != NULL)
    plugin_answer_call (plugin->plugin, open->call, &outcome);
  g_free (open->plugin);
  g_free (open);
}

/* A plugin calls what its own vendor runs under its own name. */
static void
on_plugin_call (Plugin *process, guint call, const char *function, GBytes *argument, gpointer data)
{
  static const PluginCallOutcome none = { HOST_RETRY, "there are no functions here", NULL };
  DeskPlugin *plugin = data;
  Desk *desk = plugin->desk;
  if (desk->options.functions == NULL)
    {
      plugin_answer_call (process, call, &none);
      return;
    }
  OpenCall *open = g_new (OpenCall, 1);
  *open = (OpenCall){ desk, g_strdup (plugin->id), call };
  functions_call (desk->options.functions, plugin->id, function, argument, on_function_answer, open);
}

/* A plugin may have the user asked about what is sold inside itself, and inside nothing else. */
static void
on_plugin_wish (Plugin *process, const char *item, gpointer data)
{
  DeskPlugin *plugin = data;
  if (g_hash_table_size (plugin->desk->items) < MAX_ITEMS)
    desk_item_wish (desk_need_item (plugin->desk, plugin->id, item));
  else
    plugin_answer_wish (process, item, HOST_PURCHASE_FAILED, "too many different things were asked for");
}

/* ---- the dialogue's events ---- */

static void
on_start (Dialogue *dialogue, const PluginLicence *licence, gpointer data)
{
  DeskPlugin *plugin = data;
  plugin_start (plugin->plugin, licence);
}

static void
on_ask (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  DeskPlugin *plugin = data;
  if (plugin->desk->events.ask != NULL)
    plugin->desk->events.ask (plugin, view, plugin->desk->data);
}

static void
on_show (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  DeskPlugin *plugin = data;
  if (plugin->desk->events.show != NULL)
    plugin->desk->events.show (plugin, view, plugin->desk->data);
}

static void
on_end (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  DeskPlugin *plugin = data;
  if (plugin->desk->events.end != NULL)
    plugin->desk->events.end (plugin, view, plugin->desk->data);
}

/* ---- plugins ---- */

DeskPlugin *
desk_need_plugin (Desk *desk, const char *id, gboolean may_be_absent, GError **error)
{
  static const PluginEvents plugin_events = { .state = on_plugin_state,
                                              .log = on_plugin_log,
                                              .notify = on_plugin_notify,
                                              .send = on_plugin_send,
                                              .call = on_plugin_call,
                                              .wish = on_plugin_wish };
  static const DialogueEvents with_plugin = { on_start, on_ask, on_show, on_end };
  static const DialogueEvents without_plugin = { NULL, on_ask, on_show, on_end };

  DeskPlugin *plugin = g_hash_table_lookup (desk->plugins, id);
  if (plugin != NULL && (plugin->plugin != NULL || may_be_absent))
    return plugin;

  g_autoptr (GError) failure = NULL;
  DeskPlugin *new_plugin = g_new0 (DeskPlugin, 1);
  new_plugin->desk = desk;
  new_plugin->id = g_strdup (id);
  if (desk_need_host (desk, &failure) != NULL)
    new_plugin->plugin = plugin_new (desk->host, id, session_peek_account (desk->options.session),
                                     &plugin_events, new_plugin, &failure);
  if (new_plugin->plugin == NULL && !may_be_absent)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      desk_plugin_free (new_plugin);
      return NULL;
    }
  new_plugin->dialogue
      = dialogue_new (desk->options.market, desk->options.session, desk->options.db, id, NULL,
                      new_plugin->plugin != NULL ? &with_plugin : &without_plugin, new_plugin);
  g_hash_table_replace (desk->plugins, new_plugin->id, new_plugin);
  return new_plugin;
}

static gboolean
has_command (Plugin *plugin, const char *name)
{
  gsize n;
  const PluginCommand *commands = plugin_peek_commands (plugin, &n);
  for (gsize i = 0; i < n; i++)
    if (strcmp (commands[i].name, name) == 0)
      return TRUE;
  return FALSE;
}

DeskPlugin *
desk_find_command (Desk *desk, const char *name)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, desk->plugins);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      DeskPlugin *plugin = value;
      if (plugin->plugin != NULL && has_command (plugin->plugin, name))
        return plugin;
    }
  if (desk_need_host (desk, NULL) == NULL)
    return NULL;
  g_autoptr (GPtrArray) installed = plugin_host_list (desk->host);
  for (guint i = 0; i < installed->len; i++)
    {
      const PluginInfo *info = g_ptr_array_index (installed, i);
      for (gsize k = 0; k < info->n_commands; k++)
        if (strcmp (info->commands[k].name, name) == 0)
          return desk_need_plugin (desk, info->id, FALSE, NULL);
    }
  return NULL;
}

GPtrArray *
desk_list (Desk *desk)
{
  GPtrArray *plugins = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer plugin;
  g_hash_table_iter_init (&iter, desk->plugins);
  while (g_hash_table_iter_next (&iter, NULL, &plugin))
    g_ptr_array_add (plugins, plugin);
  return plugins;
}

const char *
desk_plugin_peek_id (const DeskPlugin *plugin)
{
  return plugin->id;
}

const char *
desk_plugin_peek_name (const DeskPlugin *plugin)
{
  if (plugin->plugin != NULL)
    return plugin_peek_info (plugin->plugin)->name;
  const SerialEntry *entry
      = serial_book_find (market_peek_serials (plugin->desk->options.market), plugin->id);
  return entry != NULL && entry->name != NULL ? entry->name : plugin->id;
}

Dialogue *
desk_plugin_peek_dialogue (DeskPlugin *plugin)
{
  return plugin->dialogue;
}

Plugin *
desk_plugin_peek_plugin (DeskPlugin *plugin)
{
  return plugin->plugin;
}

typedef struct
{
  DeskPlugin *plugin;
  gpointer tag;
} Run;

static void
on_result (Plugin *process, PluginResult result, const char *text, gpointer data)
{
  g_autofree Run *run = data;
  Desk *desk = run->plugin->desk;
  if (desk->events.result != NULL)
    desk->events.result (run->plugin, result, text, run->tag, desk->data);
}

void
desk_run (DeskPlugin *plugin, const char *command, const char *input, gpointer tag)
{
  Run *run = g_new (Run, 1);
  *run = (Run){ plugin, tag };
  plugin_run_command (plugin->plugin, command, input, on_result, run);
}

void
desk_stop (DeskPlugin *plugin)
{
  if (plugin->plugin != NULL)
    plugin_stop (plugin->plugin);
}

void
desk_set_open_chat (Desk *desk, const char *peer)
{
  char *copy = peer != NULL ? jid_dup_bare (peer) : NULL;
  g_free (desk->open_chat);
  desk->open_chat = copy;
}

static gboolean
is_ready_to_watch (Desk *desk, const char *id)
{
  const SerialEntry *entry = serial_book_find (market_peek_serials (desk->options.market), id);
  return !plugin_host_needs_serial (desk->host, id)
         || (entry != NULL && entry->state == SERIAL_ACTIVE && entry->serial != NULL);
}

static void
start_watchers (Desk *desk)
{
  if (desk_need_host (desk, NULL) == NULL)
    return;
  g_autoptr (GPtrArray) installed = plugin_host_list (desk->host);
  for (guint i = 0; i < installed->len; i++)
    {
      const PluginInfo *info = g_ptr_array_index (installed, i);
      if (info->messages == PLUGIN_MESSAGES_NONE || !is_ready_to_watch (desk, info->id))
        continue;
      DeskPlugin *plugin = desk_need_plugin (desk, info->id, FALSE, NULL);
      if (plugin != NULL && plugin_peek_report (plugin->plugin)->state == PLUGIN_STATE_OFF)
        dialogue_use (plugin->dialogue);
    }
}

static void
on_market_state (MarketState state, gpointer data)
{
  if (state != MARKET_UNKNOWN)
    start_watchers (data);
}

void
desk_start_watchers (Desk *desk)
{
  static const MarketEvents events = { .state = on_market_state };
  if (!desk->has_watch)
    market_watch (desk->options.market, &events, desk);
  desk->has_watch = TRUE;
  on_market_state (market_get_state (desk->options.market), desk);
}
