/* What can be typed behind a slash: one table. */
#include <string.h>

#include "common/protocol/charge.h"
#include "host-client/cli/market-view.h"
#include "host-client/cli/receipt-view.h"
#include "host-client/cli/shell.h"
#include "host-client/core/jid.h"

typedef enum
{
  WORD_NONE,
  WORD_CONTACT,
  WORD_PLUGIN,
  WORD_ROSTER,
} WordKind;

typedef struct
{
  const char *name, *usage, *help;
  WordKind first; /* what the first word is, for completion */
  void (*run) (Shell *shell, const char *rest);
} ShellCommand;

static const ShellCommand *list_commands (void);
static const char *const roster_words[] = { "add", "remove", "accept", "deny", NULL };

/* Splits off the first word; the rest begins at a word or is "". */
static char *
take_word (const char **rest)
{
  const char *end = *rest + strcspn (*rest, " ");
  char *word = g_strndup (*rest, end - *rest);
  *rest = end + strspn (end, " ");
  return word;
}

/* NULL, and said why, if @word is not an address. A contact's name does too. */
static char *
need_jid (Shell *shell, const char *word)
{
  g_autoptr (GPtrArray) items = roster_list (client_peek_roster (shell->app->client));
  for (guint i = 0; i < items->len; i++)
    {
      const RosterItem *item = g_ptr_array_index (items, i);
      if (item->name[0] != '\0' && strcmp (item->name, word) == 0)
        return g_strdup (item->jid);
    }
  char *jid = jid_prepare_bare (word);
  if (jid == NULL)
    shell_warn (shell, word[0] != '\0' ? "'%s' is not an address" : "whom?%s", word);
  return jid;
}

static void
run_help (Shell *shell, const char *rest)
{
  for (const ShellCommand *command = list_commands (); command->name != NULL; command++)
    shell_print (shell, "  /%s %s%s%s", command->name, command->usage, command->usage[0] != '\0' ? "  " : "",
                 command->help);
  shell_print (
      shell, "  Anything without a slash goes into the open chat. A plugin's command, /weather Lisbon, shows "
             "its answer; /weather! Lisbon sends it into the open chat.");
}

static void
run_chat (Shell *shell, const char *rest)
{
  if (rest[0] == '\0')
    {
      shell_open_chat (shell, NULL);
      return;
    }
  g_autofree char *word = take_word (&rest);
  g_autofree char *jid = need_jid (shell, word);
  if (jid != NULL)
    shell_open_chat (shell, jid);
}

static void
run_msg (Shell *shell, const char *rest)
{
  g_autofree char *word = take_word (&rest);
  g_autofree char *jid = need_jid (shell, word);
  if (jid == NULL)
    return;
  if (rest[0] == '\0')
    {
      shell_open_chat (shell, jid);
      return;
    }
  shell_send (shell, jid, rest);
}

static void
run_history (Shell *shell, const char *rest)
{
  g_autofree char *word = take_word (&rest);
  g_autofree char *jid = word[0] != '\0' ? need_jid (shell, word) : g_strdup (shell->peer);
  if (word[0] != '\0' && jid == NULL)
    return;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) lines = history_read_last (client_peek_db (shell->app->client), jid, 20, &error);
  if (lines == NULL)
    {
      shell_warn (shell, "cannot read the history: %s", error->message);
      return;
    }
  for (guint i = 0; i < lines->len; i++)
    {
      const HistoryLine *line = g_ptr_array_index (lines, i);
      gboolean is_own = line->direction == HISTORY_SENT;
      g_autofree char *label = is_own && jid == NULL
                                   ? g_strdup_printf ("me to %s", shell_peek_label (shell, line->peer))
                                   : g_strdup (is_own ? "me" : shell_peek_label (shell, line->peer));
      shell_print_chat (shell, line->stamp_us, label, line->body, is_own);
    }
}

static void
print_roster (Shell *shell)
{
  Roster *roster = client_peek_roster (shell->app->client);
  g_autoptr (GPtrArray) items = roster_list (roster);
  g_autoptr (GPtrArray) asking = roster_list_asking (roster);
  for (guint i = 0; i < items->len; i++)
    {
      const RosterItem *item = g_ptr_array_index (items, i);
      const Presence *presence = roster_item_peek_presence (item);
      const char *show = presence == NULL ? "not there" : presence->show != NULL ? presence->show : "there";
      shell_print (shell, "  %s <%s>  %s%s%s%s  (%s%s)", roster_item_peek_label (item), item->jid, show,
                   presence != NULL && presence->status != NULL ? ": " : "",
                   presence != NULL && presence->status != NULL ? presence->status : "", "",
                   item->subscription, item->is_asked ? ", asked" : "");
    }
  for (guint i = 0; i < asking->len; i++)
    shell_print (shell, "  %s asks to see when you are there", (const char *)g_ptr_array_index (asking, i));
  if (items->len == 0 && asking->len == 0)
    shell_print (shell, "  nobody yet: /roster add JID");
}

static void
on_roster_reply (Reply *reply, gpointer data)
{
  Shell *shell = data;
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (reply, &code);
  if (reply->kind != REPLY_RESULT && !shell->app->is_finished)
    shell_warn (shell, "the contact list was not changed: %s", text);
}

static void
run_roster (Shell *shell, const char *rest)
{
  Roster *roster = client_peek_roster (shell->app->client);
  if (rest[0] == '\0')
    {
      print_roster (shell);
      return;
    }
  g_autofree char *verb = take_word (&rest);
  if (!g_strv_contains (roster_words, verb))
    {
      shell_warn (shell, "/roster add|remove|accept|deny JID");
      return;
    }
  g_autofree char *word = take_word (&rest);
  g_autofree char *jid = need_jid (shell, word);
  if (jid == NULL)
    return;
  if (strcmp (verb, "add") == 0)
    roster_add (roster, jid, rest[0] != '\0' ? rest : NULL, on_roster_reply, shell);
  else if (strcmp (verb, "remove") == 0)
    roster_remove (roster, jid, on_roster_reply, shell);
  else if (strcmp (verb, "accept") == 0)
    roster_accept (roster, jid);
  else
    roster_deny (roster, jid);
}

static void
run_plugins (Shell *shell, const char *rest)
{
  shell_plugins_list (shell);
}

static void
with_plugin (Shell *shell, const char *rest, void (*run) (Shell *, const char *))
{
  g_autofree char *id = take_word (&rest);
  if (id[0] == '\0')
    shell_warn (shell, "which plugin? /plugins shows them");
  else
    run (shell, id);
}

static void
run_use (Shell *shell, const char *rest)
{
  with_plugin (shell, rest, shell_plugins_use);
}

static void
run_stop (Shell *shell, const char *rest)
{
  with_plugin (shell, rest, shell_plugins_stop);
}

/* PLUGIN, or PLUGIN ITEM for what is bought inside it. */
static void
with_wanted (Shell *shell, const char *rest, void (*run) (Shell *, const char *),
             void (*run_item) (Shell *, const char *, const char *))
{
  g_autofree char *id = take_word (&rest);
  g_autofree char *item = take_word (&rest);
  if (item[0] == '\0')
    with_plugin (shell, id, run);
  else
    run_item (shell, id, item);
}

static void
run_buy (Shell *shell, const char *rest)
{
  with_wanted (shell, rest, shell_plugins_buy, shell_plugins_buy_item);
}

static void
run_decline (Shell *shell, const char *rest)
{
  with_wanted (shell, rest, shell_plugins_decline, shell_plugins_decline_item);
}

static void
run_items (Shell *shell, const char *rest)
{
  with_plugin (shell, rest, shell_plugins_list_items);
}

static void
on_catalog (Reply *reply, gpointer data)
{
  Shell *shell = data;
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (reply, &code);
  if (shell->app->is_finished)
    return;
  const Catalog *page = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (page == NULL)
    {
      shell_warn (shell, "no catalog: %s", text);
      return;
    }
  for (guint i = 0; i < page->entries->len; i++)
    {
      const CatalogEntry *entry = g_ptr_array_index (page->entries, i);
      g_autofree char *price = charge_dup_price (entry->price_minor, entry->currency);
      shell_print (shell, "  %s  %s  %s%s  %s", entry->id, entry->name, price,
                   entry->is_owned ? ", yours" : "", entry->summary != NULL ? entry->summary : "");
    }
  if (page->entries->len == 0)
    shell_print (shell, "  nothing found");
}

static void
run_catalog (Shell *shell, const char *rest)
{
  market_catalog (client_peek_market (shell->app->client), rest[0] != '\0' ? rest : NULL, NULL, on_catalog,
                  shell);
}

static void
run_serials (Shell *shell, const char *rest)
{
  g_autoptr (GPtrArray) entries
      = serial_book_list (market_peek_serials (client_peek_market (shell->app->client)));
  for (guint i = 0; i < entries->len; i++)
    {
      g_autofree char *text = market_view_serial_text (g_ptr_array_index (entries, i), FALSE);
      shell_print (shell, "  %s", text);
    }
  if (entries->len == 0)
    shell_print (shell, "  none yet: /catalog shows what there is");
}

static void
on_orders (Reply *reply, gpointer data)
{
  Shell *shell = data;
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (reply, &code);
  if (shell->app->is_finished)
    return;
  const Orders *page = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (page == NULL)
    {
      shell_warn (shell, "no orders: %s", text);
      return;
    }
  for (guint i = 0; i < page->orders->len; i++)
    {
      g_autofree char *line = market_view_order_text (g_ptr_array_index (page->orders, i));
      shell_print (shell, "  %s", line);
    }
  if (page->orders->len == 0)
    shell_print (shell, "  none yet");
}

static void
run_orders (Shell *shell, const char *rest)
{
  market_list_orders (client_peek_market (shell->app->client), NULL, on_orders, shell);
}

static void
on_receipt (const ReceiptCheck *check, const Reply *reply, gpointer data)
{
  Shell *shell = data;
  ExitCode code;
  g_autofree char *fault = app_dup_reply_text (reply, &code);
  g_autofree char *text = check != NULL ? receipt_view_text (check) : NULL;
  if (shell->app->is_finished)
    return;
  if (check == NULL)
    shell_warn (shell, "no receipt: %s", fault);
  else if (check->receipt == NULL)
    shell_warn (shell, "%s", text);
  else
    {
      g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
      for (guint i = 0; lines[i] != NULL; i++)
        shell_print (shell, "  %s", lines[i]);
    }
}

static void
run_receipt (Shell *shell, const char *rest)
{
  if (rest[0] == '\0')
    shell_warn (shell, "of which order? /orders shows them");
  else
    receipt_check (client_peek_session (shell->app->client), client_peek_market (shell->app->client), rest,
                   on_receipt, shell);
}

static void
run_reconnect (Shell *shell, const char *rest)
{
  Session *session = client_peek_session (shell->app->client);
  if (session_is_online (session))
    shell_print (shell, "you are online");
  else if (session_peek_report (session)->state == SESSION_WAITING)
    session_hurry (session);
  else
    session_open (session);
}

static void
run_quit (Shell *shell, const char *rest)
{
  app_finish (shell->app, EXIT_DONE);
}

static const ShellCommand *
list_commands (void)
{
  static const ShellCommand commands[] = {
    { "help", "", "this list", WORD_NONE, run_help },
    { "roster", "[add|remove|accept|deny JID]", "your contacts", WORD_ROSTER, run_roster },
    { "chat", "[JID]", "open a chat, or close it", WORD_CONTACT, run_chat },
    { "msg", "JID [TEXT]", "send one message, or open the chat", WORD_CONTACT, run_msg },
    { "history", "[JID]", "what was said last", WORD_CONTACT, run_history },
    { "plugins", "", "installed plugins and their commands", WORD_NONE, run_plugins },
    { "use", "PLUGIN", "start a plugin, or start it again", WORD_PLUGIN, run_use },
    { "stop", "PLUGIN", "stop it", WORD_PLUGIN, run_stop },
    { "catalog", "[WORDS]", "plugins that can be had", WORD_NONE, run_catalog },
    { "items", "PLUGIN", "what can be bought inside it", WORD_PLUGIN, run_items },
    { "buy", "PLUGIN [ITEM]", "register a plugin, or buy something inside it", WORD_PLUGIN, run_buy },
    { "decline", "PLUGIN [ITEM]", "give up an unpaid order", WORD_PLUGIN, run_decline },
    { "serials", "", "your serials, masked", WORD_NONE, run_serials },
    { "orders", "", "your orders", WORD_NONE, run_orders },
    { "receipt", "ORDER", "the signed receipt of an order, verified", WORD_NONE, run_receipt },
    { "reconnect", "", "try now", WORD_NONE, run_reconnect },
    { "quit", "", "log out and leave", WORD_NONE, run_quit },
    { NULL },
  };
  return commands;
}

void
shell_obey (Shell *shell, const char *text)
{
  const char *rest = text;
  g_autofree char *name = take_word (&rest);
  for (const ShellCommand *command = list_commands (); command->name != NULL; command++)
    if (strcmp (command->name, name) == 0)
      {
        command->run (shell, rest);
        return;
      }
  if (!shell_plugins_obey (shell, name, rest))
    shell_warn (shell, "there is no /%s; /help shows what there is", name);
}

/* ---- completion ---- */

static void
add_contacts (Shell *shell, GStrvBuilder *names)
{
  g_autoptr (GPtrArray) items = roster_list (client_peek_roster (shell->app->client));
  for (guint i = 0; i < items->len; i++)
    g_strv_builder_add (names, ((const RosterItem *)g_ptr_array_index (items, i))->jid);
}

static WordKind
word_kind (const char *line, gsize start)
{
  g_auto (GStrv) words = g_strsplit (line, " ", 3);
  const char *name = words[0] != NULL && words[0][0] == '/' ? words[0] + 1 : "";
  for (const ShellCommand *command = list_commands (); command->name != NULL; command++)
    if (strcmp (command->name, name) == 0)
      {
        gboolean is_first = start == strlen (words[0]) + 1;
        if (command->first == WORD_ROSTER && !is_first && g_strv_contains (roster_words, words[1]))
          return WORD_CONTACT;
        return is_first ? command->first : WORD_NONE;
      }
  return WORD_NONE;
}

char **
shell_complete (Shell *shell, const char *line, gsize start)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  if (start == 0 && line[0] == '/')
    {
      for (const ShellCommand *command = list_commands (); command->name != NULL; command++)
        {
          g_autofree char *name = g_strconcat ("/", command->name, NULL);
          g_strv_builder_add (names, name);
        }
      shell_plugins_add_names (shell, names, TRUE);
      return g_strv_builder_end (names);
    }
  switch (word_kind (line, start))
    {
    case WORD_NONE:
      return NULL;
    case WORD_CONTACT:
      add_contacts (shell, names);
      break;
    case WORD_PLUGIN:
      shell_plugins_add_names (shell, names, FALSE);
      break;
    case WORD_ROSTER:
      g_strv_builder_addv (names, (const char **)roster_words);
      break;
    }
  return g_strv_builder_end (names);
}
