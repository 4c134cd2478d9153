/* Plugins in the interactive client: their commands, the dialogue about their serials, their ends. */
#include <string.h>

#include "host-client/cli/market-view.h"
#include "host-client/cli/shell.h"

#define ERRANDS_MAX 20

/* A plugin's command that waits for its plugin to be ready, or for its answer. */
typedef struct
{
  Shell *shell;
  char *plugin, *command, *input;
  char *peer; /* send the answer there; NULL: show it */
  gboolean is_again;
} Errand;

static void
errand_free (gpointer data)
{
  Errand *errand = data;
  g_free (errand->plugin);
  g_free (errand->command);
  g_free (errand->input);
  g_free (errand->peer);
  g_free (errand);
}

/* Those that wait for @plugin are run, or dropped. */
static void
settle_errands (Shell *shell, DeskPlugin *plugin, gboolean is_ready)
{
  g_autoptr (GQueue) waiting = g_steal_pointer (&shell->errands);
  shell->errands = g_queue_new ();
  Errand *errand;
  while ((errand = g_queue_pop_head (waiting)) != NULL)
    {
      if (strcmp (errand->plugin, desk_plugin_peek_id (plugin)) != 0)
        g_queue_push_tail (shell->errands, errand);
      else if (is_ready)
        desk_run (plugin, errand->command, errand->input, errand);
      else
        errand_free (errand);
    }
}

/* ---- the desk's events ---- */

static void
on_answered (Shell *shell, gboolean is_yes, gpointer data)
{
  DeskPlugin *plugin = desk_need_plugin (client_peek_desk (shell->app->client), data, TRUE, NULL);
  dialogue_answer (desk_plugin_peek_dialogue (plugin), is_yes);
}

static void
on_ask (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  g_autofree char *question = market_view_question (desk_plugin_peek_name (plugin), view);
  shell_ask (data, question, on_answered, g_strdup (desk_plugin_peek_id (plugin)));
}

static void
on_show (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  g_autofree char *text = market_view_progress (desk_plugin_peek_name (plugin), view);
  shell_print (data, "%s", text);
}

static void
on_end (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  Shell *shell = data;
  const char *id = desk_plugin_peek_id (plugin);
  gboolean is_ready = view->state == PURCHASE_RUNNING && desk_plugin_peek_plugin (plugin) != NULL;
  g_autofree char *text = market_view_end (desk_plugin_peek_name (plugin), view);
  if (view->state == PURCHASE_RUNNING)
    shell_print (shell, "%s", text);
  else if (view->has_failed)
    shell_warn (shell, "%s; /use %s starts it again", text, id);
  else
    shell_print (shell, "%s", text);
  settle_errands (shell, plugin, is_ready);
}

static void
on_notify (DeskPlugin *plugin, const char *title, const char *text, gpointer data)
{
  shell_print (data, "[%s] %s%s%s", desk_plugin_peek_name (plugin), title, title[0] != '\0' ? ": " : "",
               text);
}

static void
on_result (DeskPlugin *plugin, PluginResult result, const char *text, gpointer tag, gpointer data)
{
  Shell *shell = data;
  Errand *errand = tag;
  gboolean is_refused = result == PLUGIN_RESULT_EXPIRED || result == PLUGIN_RESULT_BAD_SERIAL;
  if (is_refused && !errand->is_again)
    {
      /* The dialogue about its serial begins; the command is run when that ends well. */
      errand->is_again = TRUE;
      g_queue_push_tail (shell->errands, errand);
      return;
    }
  if (result == PLUGIN_RESULT_OK && errand->peer != NULL)
    shell_send (shell, errand->peer, text);
  else if (result == PLUGIN_RESULT_OK)
    shell_print (shell, "[%s] %s", desk_plugin_peek_name (plugin), text);
  else if (result == PLUGIN_RESULT_FAILED)
    shell_warn (shell, "[%s] %s", desk_plugin_peek_name (plugin), text);
  errand_free (errand);
}

static void
on_sent (DeskPlugin *plugin, const char *peer, const char *text, gpointer data)
{
  Shell *shell = data;
  g_autofree char *label = g_strcmp0 (peer, shell->peer) == 0
                               ? g_strdup_printf ("me [%s]", desk_plugin_peek_name (plugin))
                               : g_strdup_printf ("me [%s] to %s", desk_plugin_peek_name (plugin),
                                                  shell_peek_label (shell, peer));
  shell_print_chat (shell, clock_get_wall_us (shell->app->clock), label, text, TRUE);
}

/* ---- items ---- */

typedef struct
{
  DeskItem *item; /* as long as the desk */
} ItemQuestion;

static void
on_item_answered (Shell *shell, gboolean is_yes, gpointer data)
{
  dialogue_answer (desk_item_peek_dialogue (((ItemQuestion *)data)->item), is_yes);
}

static void
on_ask_item (DeskItem *item, const ItemEntry *entry, gpointer data)
{
  ItemQuestion *question = g_new (ItemQuestion, 1);
  question->item = item;
  g_autofree char *text = market_view_item_question (desk_item_peek_plugin (item), entry);
  g_autofree char *wish = g_strdup_printf ("%s asks: %s", desk_item_peek_plugin (item), text);
  shell_ask (data, desk_item_is_wish (item) ? wish : text, on_item_answered, question);
}

static void
on_show_item (DeskItem *item, const DialogueView *view, gpointer data)
{
  g_autofree char *text = market_view_progress (desk_item_peek_name (item), view);
  shell_print (data, "%s", text);
}

static void
on_end_item (DeskItem *item, const DialogueView *view, gpointer data)
{
  g_autofree char *text = market_view_end (desk_item_peek_name (item), view);
  shell_print (data, "%s", text);
}

void
shell_plugins_init (Shell *shell)
{
  static const DeskEvents events = { .ask = on_ask,
                                     .show = on_show,
                                     .end = on_end,
                                     .notify = on_notify,
                                     .result = on_result,
                                     .sent = on_sent,
                                     .ask_item = on_ask_item,
                                     .show_item = on_show_item,
                                     .end_item = on_end_item };
  shell->errands = g_queue_new ();
  desk_set_events (client_peek_desk (shell->app->client), &events, shell);
}

static void
drop_result (DeskPlugin *plugin, PluginResult result, const char *text, gpointer tag, gpointer data)
{
  errand_free (tag);
}

void
shell_plugins_clear (Shell *shell)
{
  static const DeskEvents silence = { .result = drop_result };
  desk_set_events (client_peek_desk (shell->app->client), &silence, NULL);
  g_queue_free_full (shell->errands, errand_free);
}

/* ---- what the user wants ---- */

static DeskPlugin *
need_plugin (Shell *shell, const char *id, gboolean may_be_absent)
{
  g_autoptr (GError) error = NULL;
  DeskPlugin *plugin = desk_need_plugin (client_peek_desk (shell->app->client), id, may_be_absent, &error);
  if (plugin == NULL)
    shell_warn (shell, "%s", error->message);
  return plugin;
}

gboolean
shell_plugins_obey (Shell *shell, const char *name, const char *input)
{
  gboolean is_sent = g_str_has_suffix (name, "!");
  g_autofree char *command = is_sent ? g_strndup (name, strlen (name) - 1) : g_strdup (name);
  DeskPlugin *plugin
      = command[0] != '\0' ? desk_find_command (client_peek_desk (shell->app->client), command) : NULL;
  if (plugin == NULL)
    return FALSE;
  if (is_sent && shell->peer == NULL)
    {
      shell_warn (shell, "there is no open chat to send the answer to: /chat JID");
      return TRUE;
    }
  if (g_queue_get_length (shell->errands) >= ERRANDS_MAX)
    {
      shell_warn (shell, "too many commands wait for their plugins");
      return TRUE;
    }
  Errand *errand = g_new0 (Errand, 1);
  errand->shell = shell;
  errand->plugin = g_strdup (desk_plugin_peek_id (plugin));
  errand->command = g_steal_pointer (&command);
  errand->input = g_strdup (input);
  errand->peer = is_sent ? g_strdup (shell->peer) : NULL;

  DialogueView view;
  dialogue_get_view (desk_plugin_peek_dialogue (plugin), &view);
  if (view.state == PURCHASE_RUNNING)
    {
      desk_run (plugin, errand->command, errand->input, errand);
      return TRUE;
    }
  g_queue_push_tail (shell->errands, errand);
  dialogue_use (desk_plugin_peek_dialogue (plugin));
  return TRUE;
}

void
shell_plugins_list (Shell *shell)
{
  g_autoptr (GError) error = NULL;
  Desk *desk = client_peek_desk (shell->app->client);
  PluginHost *host = desk_need_host (desk, &error);
  if (host == NULL)
    {
      shell_warn (shell, "plugins cannot run here: %s", error->message);
      return;
    }
  const SerialBook *serials = market_peek_serials (client_peek_market (shell->app->client));
  g_autoptr (GPtrArray) installed
      = plugin_host_list_states (host, session_peek_account (client_peek_session (shell->app->client)));
  for (guint i = 0; i < installed->len; i++)
    {
      const PluginStatus *status = g_ptr_array_index (installed, i);
      const PluginInfo *info = status->info;
      const SerialEntry *entry = serial_book_find (serials, status->id);
      g_autoptr (GString) commands = g_string_new (NULL);
      if (status->reason[0] != '\0')
        g_string_append_printf (commands, " (%s)", status->reason);
      for (gsize k = 0; info != NULL && k < info->n_commands; k++)
        g_string_append_printf (commands, "  /%s %s", info->commands[k].name, info->commands[k].help);
      shell_print (shell, "  %s  %s %s  serial: %s  %s%s", status->id, info != NULL ? info->name : "?",
                   info != NULL ? info->version : "?",
                   entry != NULL ? serial_state_to_text (entry->state) : "none",
                   plugin_status_name (status->kind), commands->str);
    }
  if (installed->len == 0)
    shell_print (shell, "  none: host-client plugin install FILE");
}

void
shell_plugins_use (Shell *shell, const char *id)
{
  DeskPlugin *plugin = need_plugin (shell, id, FALSE);
  if (plugin != NULL)
    dialogue_use (desk_plugin_peek_dialogue (plugin));
}

void
shell_plugins_stop (Shell *shell, const char *id)
{
  DeskPlugin *plugin = need_plugin (shell, id, FALSE);
  if (plugin == NULL)
    return;
  desk_stop (plugin);
  shell_print (shell, "%s is stopped", desk_plugin_peek_name (plugin));
}

static void
on_buy_answered (Shell *shell, gboolean is_yes, gpointer data)
{
  if (is_yes)
    dialogue_buy (desk_plugin_peek_dialogue (
        desk_need_plugin (client_peek_desk (shell->app->client), data, TRUE, NULL)));
}

void
shell_plugins_buy (Shell *shell, const char *id)
{
  DeskPlugin *plugin = need_plugin (shell, id, TRUE);
  if (plugin == NULL)
    return;
  g_autofree char *question = g_strdup_printf ("Register %s?", desk_plugin_peek_name (plugin));
  shell_ask (shell, question, on_buy_answered, g_strdup (id));
}

void
shell_plugins_buy_item (Shell *shell, const char *id, const char *item)
{
  desk_item_want (desk_need_item (client_peek_desk (shell->app->client), id, item));
}

static void
decline (Shell *shell, Dialogue *dialogue, const char *name)
{
  DialogueView view;
  dialogue_get_view (dialogue, &view);
  if (view.state == PURCHASE_PAYING)
    dialogue_decline (dialogue);
  else
    shell_print (shell, "there is no unpaid order for %s", name);
}

void
shell_plugins_decline (Shell *shell, const char *id)
{
  DeskPlugin *plugin = need_plugin (shell, id, TRUE);
  if (plugin != NULL)
    decline (shell, desk_plugin_peek_dialogue (plugin), id);
}

void
shell_plugins_decline_item (Shell *shell, const char *id, const char *item)
{
  decline (shell, desk_item_peek_dialogue (desk_need_item (client_peek_desk (shell->app->client), id, item)),
           item);
}

static void
on_items (Reply *reply, gpointer data)
{
  Shell *shell = data;
  const Items *items = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (items == NULL)
    {
      ExitCode code;
      g_autofree char *text = app_dup_reply_text (reply, &code);
      shell_warn (shell, "%s", text);
      return;
    }
  for (guint i = 0; i < items->entries->len; i++)
    {
      g_autofree char *text = market_view_item_text (g_ptr_array_index (items->entries, i));
      shell_print (shell, "  %s", text);
    }
  if (items->entries->len == 0)
    shell_print (shell, "nothing is sold inside %s", items->application);
}

void
shell_plugins_list_items (Shell *shell, const char *id)
{
  market_list_items (client_peek_market (shell->app->client), id, on_items, shell);
}

static void
resume (const char *id, const char *item, gpointer data)
{
  Shell *shell = data;
  DeskPlugin *plugin = item == NULL ? need_plugin (shell, id, TRUE) : NULL;
  if (item != NULL)
    shell_plugins_buy_item (shell, id, item);
  else if (plugin != NULL)
    dialogue_use (desk_plugin_peek_dialogue (plugin));
}

void
shell_plugins_resume (Shell *shell)
{
  g_autoptr (GError) error = NULL;
  if (!dialogue_list_open (client_peek_db (shell->app->client), resume, shell, &error))
    shell_warn (shell, "cannot read open purchases: %s", error->message);
}

void
shell_plugins_add_names (Shell *shell, GStrvBuilder *names, gboolean are_commands)
{
  PluginHost *host = desk_need_host (client_peek_desk (shell->app->client), NULL);
  if (host == NULL)
    return;
  g_autoptr (GPtrArray) installed = plugin_host_list (host);
  for (guint i = 0; i < installed->len; i++)
    {
      const PluginInfo *info = g_ptr_array_index (installed, i);
      if (!are_commands)
        g_strv_builder_add (names, info->id);
      for (gsize k = 0; are_commands && k < info->n_commands; k++)
        {
          g_autofree char *name = g_strconcat ("/", info->commands[k].name, NULL);
          g_strv_builder_add (names, name);
        }
    }
}
