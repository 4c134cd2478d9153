/* login, send, listen, roster. */
#include "host-client/cli/commands.h"

#include <string.h>

#include "host-client/cli/market-view.h"
#include "host-client/core/jid.h"

/* ---- login ---- */

static void
print_online (App *app)
{
  const char *jid = session_peek_jid (client_peek_session (app->client));
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s}", "event", "online", "jid", jid));
  else
    output_line ("online as %s", jid);
}

static void
start_login (App *app)
{
  print_online (app);
  app_finish (app, EXIT_DONE);
}

const Command command_login = {
  .kind = COMMAND_LOGIN,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_login,
};

/* ---- send ---- */

#define SEND_DEADLINE_S 60

typedef struct
{
  App *app;
  char *id, *peer;
  guint deadline;
} Sending;

static void
sending_free (gpointer data)
{
  Sending *sending = data;
  if (sending->deadline != 0)
    g_source_remove (sending->deadline);
  /* The exit code says it was not sent: then it must not go out later. */
  if (sending->id != NULL && sending->app->exit_code != EXIT_DONE)
    chat_withdraw (client_peek_chat (sending->app->client), sending->id);
  g_free (sending->id);
  g_free (sending->peer);
  g_free (sending);
}

static void
on_sent (const char *id, gpointer data)
{
  Sending *sending = data;
  if (g_strcmp0 (id, sending->id) != 0)
    return;
  if (sending->app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s}", "event", "sent", "to", sending->peer, "id", id));
  app_finish (sending->app, EXIT_DONE);
}

static void
on_bounced (const char *id, const char *peer, const StanzaError *error, gpointer data)
{
  Sending *sending = data;
  if (g_strcmp0 (id, sending->id) == 0)
    app_fail (sending->app, EXIT_REFUSED, "%s cannot be reached: %s", peer, error->condition);
}

static gboolean
on_send_deadline (gpointer data)
{
  Sending *sending = data;
  sending->deadline = 0;
  app_fail (sending->app, EXIT_NO_CONNECTION, "the server did not confirm the message in time");
  return G_SOURCE_REMOVE;
}

static void
start_send (App *app)
{
  static const ChatEvents events = { .sent = on_sent, .bounced = on_bounced };
  Chat *chat = client_peek_chat (app->client);
  g_autofree char *peer = jid_prepare (app->arguments->words[0]);
  if (peer == NULL)
    {
      app_fail (app, EXIT_USAGE, "'%s' is not an address", app->arguments->words[0]);
      return;
    }
  Sending *sending = g_new0 (Sending, 1);
  sending->app = app;
  sending->peer = g_steal_pointer (&peer);
  app->state = sending;
  app->free_state = sending_free;
  chat_set_events (chat, &events, sending);
  sending->deadline = g_timeout_add_seconds (SEND_DEADLINE_S, on_send_deadline, sending);
  g_autoptr (GError) error = NULL;
  sending->id = chat_send (chat, sending->peer, app->arguments->words[1], &error);
  if (sending->id == NULL)
    app_fail (app, EXIT_REFUSED, "cannot send: %s", error->message);
}

const Command command_send = {
  .kind = COMMAND_SEND,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .survives_loss = TRUE,
  .start = start_send,
};

/* ---- listen ---- */

static void
on_received (const ChatMessage *message, gpointer data)
{
  App *app = data;
  g_autofree char *time = clock_dup_rfc3339 (message->stamp_us);
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s, s:s, s:s, s:b}", "event", "message", "from", message->from,
                            "peer", message->peer, "body", message->body, "time", time, "delayed",
                            message->is_delayed));
  else
    output_line ("%s <%s> %s", time, message->peer, message->body);
}

static void
on_asked (const char *jid, const char *words, gpointer data)
{
  App *app = data;
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s}", "event", "subscription-request", "from", jid));
  else
    output_line ("%s asks to see when you are there", jid);
}

static void
on_notified (DeskPlugin *plugin, const char *title, const char *text, gpointer data)
{
  App *app = data;
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s, s:s}", "event", "notification", "plugin",
                            desk_plugin_peek_id (plugin), "title", title, "text", text));
  else
    output_line ("[%s] %s: %s", desk_plugin_peek_name (plugin), title, text);
}

static void
on_plugin_sent (DeskPlugin *plugin, const char *peer, const char *text, gpointer data)
{
  App *app = data;
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s, s:s}", "event", "plugin-sent", "plugin",
                            desk_plugin_peek_id (plugin), "to", peer, "body", text));
  else
    output_line ("[%s] to <%s> %s", desk_plugin_peek_name (plugin), peer, text);
}

/* Nobody is here to be asked. */
static void
on_plugin_ask (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  dialogue_answer (desk_plugin_peek_dialogue (plugin), FALSE);
}

static void
on_plugin_end (DeskPlugin *plugin, const DialogueView *view, gpointer data)
{
  App *app = data;
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:b, s:s}", "event", "plugin", "plugin", desk_plugin_peek_id (plugin),
                            "running", view->state == PURCHASE_RUNNING, "reason",
                            view->text != NULL ? view->text : ""));
  else
    {
      g_autofree char *text = market_view_end (desk_plugin_peek_name (plugin), view);
      output_line ("%s", text);
    }
}

static gboolean
on_listened (gpointer data)
{
  app_finish (data, EXIT_DONE);
  return G_SOURCE_REMOVE;
}

static void
start_listen (App *app)
{
  static const ChatEvents chat_events = { .received = on_received };
  static const RosterEvents roster_events = { .asked = on_asked };
  static const DeskEvents desk_events
      = { .ask = on_plugin_ask, .end = on_plugin_end, .notify = on_notified, .sent = on_plugin_sent };
  desk_set_events (client_peek_desk (app->client), &desk_events, app);
  desk_start_watchers (client_peek_desk (app->client));
  chat_set_events (client_peek_chat (app->client), &chat_events, app);
  roster_set_events (client_peek_roster (app->client), &roster_events, app);
  if (app->arguments->listen_s > 0)
    g_timeout_add ((guint)(app->arguments->listen_s * 1000), on_listened, app);
  roster_set_available (client_peek_roster (app->client), TRUE);
  print_online (app);
}

static void
on_listen_lost (App *app)
{
  const char *detail = session_peek_report (client_peek_session (app->client))->detail;
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s}", "event", "offline", "text", detail));
  else
    output_line ("offline: %s", detail);
}

const Command command_listen = {
  .kind = COMMAND_LISTEN,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .is_lasting = TRUE,
  .survives_loss = TRUE,
  .start = start_listen,
  .returned = print_online,
  .lost = on_listen_lost,
};

/* ---- roster ---- */

static void
print_item (App *app, const RosterItem *item)
{
  if (app->arguments->is_json)
    {
      json_t *groups = json_array ();
      for (char **group = item->groups; *group != NULL; group++)
        json_array_append_new (groups, json_string (*group));
      output_json (json_pack ("{s:s, s:s, s:s, s:b, s:o}", "jid", item->jid, "name", item->name,
                              "subscription", item->subscription, "asked", item->is_asked, "groups", groups));
      return;
    }
  output_line ("%s%s%s%s  %s%s", item->jid, item->name[0] != '\0' ? " (" : "", item->name,
               item->name[0] != '\0' ? ")" : "", item->subscription, item->is_asked ? ", asked" : "");
}

static void
on_roster_loaded (gpointer data)
{
  App *app = data;
  g_autoptr (GPtrArray) items = roster_list (client_peek_roster (app->client));
  for (guint i = 0; i < items->len; i++)
    print_item (app, g_ptr_array_index (items, i));
  app_finish (app, EXIT_DONE);
}

static void
on_roster_pinged (Reply *reply, gpointer data)
{
  App *app = data;
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (reply, &code);
  if (reply->kind == REPLY_RESULT || reply->kind == REPLY_ERROR)
    app_finish (app, EXIT_DONE);
  else
    app_fail (app, code, "%s", text);
}

/* The change is made; the presence that was sent with it is confirmed by a ping. */
static void
on_roster_changed (Reply *reply, gpointer data)
{
  App *app = data;
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (reply, &code);
  if (reply->kind == REPLY_RESULT)
    session_ping (client_peek_session (app->client), on_roster_pinged, app);
  else
    app_fail (app, code, "%s", text);
}

static void
start_roster (App *app)
{
  static const RosterEvents events = { .loaded = on_roster_loaded };
  Roster *roster = client_peek_roster (app->client);
  char **words = app->arguments->words;
  if (strcmp (words[0], "list") == 0)
    {
      roster_set_events (roster, &events, app);
      return;
    }
  g_autofree char *jid = jid_prepare_bare (words[1]);
  if (jid == NULL)
    app_fail (app, EXIT_USAGE, "'%s' is not an address", words[1]);
  else if (strcmp (words[0], "add") == 0)
    roster_add (roster, jid, words[2], on_roster_changed, app);
  else if (strcmp (words[0], "remove") == 0)
    roster_remove (roster, jid, on_roster_changed, app);
  else
    {
      if (strcmp (words[0], "accept") == 0)
        roster_accept (roster, jid);
      else
        roster_deny (roster, jid);
      session_ping (client_peek_session (app->client), on_roster_pinged, app);
    }
}

const Command command_roster = {
  .kind = COMMAND_ROSTER,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_roster,
};
