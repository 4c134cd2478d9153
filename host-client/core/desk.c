#include "host-client/core/desk.h"

#include <string.h>

#include "common/base/log.h"

struct Desk
{
  DeskOptions options;
  DeskEvents events;
  gpointer data;
  PluginHost *host;
  GHashTable *plugins; /* id -> DeskPlugin */
};

struct DeskPlugin
{
  Desk *desk;
  char *id;
  Plugin *plugin; /* NULL: not installed */
  Dialogue *dialogue;
};

static void
desk_plugin_free (gpointer data)
{
  DeskPlugin *plugin = data;
  plugin_free (plugin->plugin);
  dialogue_free (plugin->dialogue);
  g_free (plugin->id);
  g_free (plugin);
}

Desk *
desk_new (const DeskOptions *options)
{
  Desk *desk = g_new0 (Desk, 1);
  desk->options = *options;
  desk->plugins = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, desk_plugin_free);
  return desk;
}

void
desk_free (Desk *desk)
{
  if (desk == NULL)
    return;
  g_hash_table_unref (desk->plugins);
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
  static const PluginEvents plugin_events
      = { .state = on_plugin_state, .log = on_plugin_log, .notify = on_plugin_notify };
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
      = dialogue_new (desk->options.market, desk->options.session, desk->options.db, id,
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
