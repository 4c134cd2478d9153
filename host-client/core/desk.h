/* The plugins this account works with: each with its process (plugin.h) and its dialogue about the serial
 * (dialogue.h), put together here; and the items that are bought inside them, each with a dialogue of its
 * own. */
#pragma once

#include "host-client/core/chat.h"
#include "host-client/core/dialogue.h"
#include "host-client/core/function.h"

typedef struct Desk Desk;
typedef struct DeskPlugin DeskPlugin;
typedef struct DeskItem DeskItem;

/* Callbacks may be NULL. Strings live until they return. */
typedef struct
{
  void (*ask) (DeskPlugin *plugin, const DialogueView *view, gpointer data);
  void (*show) (DeskPlugin *plugin, const DialogueView *view, gpointer data);
  void (*end) (DeskPlugin *plugin, const DialogueView *view, gpointer data);
  void (*notify) (DeskPlugin *plugin, const char *title, const char *text, gpointer data);
  /* The answer to desk_run(). */
  void (*result) (DeskPlugin *plugin, PluginResult result, const char *text, gpointer tag, gpointer data);
  /* The plugin has written to @peer in the user's name. */
  void (*sent) (DeskPlugin *plugin, const char *peer, const char *text, gpointer data);
  /* Ask the user whether to buy an item, as it is sold now: dialogue_answer(). NULL: nobody can be asked. */
  void (*ask_item) (DeskItem *item, const ItemEntry *entry, gpointer data);
  void (*show_item) (DeskItem *item, const DialogueView *view, gpointer data);
  void (*end_item) (DeskItem *item, const DialogueView *view, gpointer data);
} DeskEvents;

typedef struct
{
  const char *folder; /* the client's folder: plugins are installed there for all accounts */
  Market *market;
  Session *session;
  Chat *chat;
  Functions *functions;
  Db *db;
  const Clock *clock;
  guint32 uid_base; /* as PluginHostOptions */
} DeskOptions;

/* Starts nothing. What @options points to outlives the desk. */
Desk *desk_new (const DeskOptions *options);
void desk_free (Desk *desk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Desk, desk_free)
void desk_set_events (Desk *desk, const DeskEvents *events, gpointer data);

/* The host of plugins, its supervisor started at the first call; NULL with a PLUGIN_ERROR. Lent. */
PluginHost *desk_need_host (Desk *desk, GError **error);

/* The plugin @id on the desk, put there if need be. One that is not installed can be bought but not used:
 * NULL with PLUGIN_ERROR_NOT_INSTALLED unless @may_be_absent. Lent. */
DeskPlugin *desk_need_plugin (Desk *desk, const char *id, gboolean may_be_absent, GError **error);
/* The installed plugin that has the command @name; NULL: none has. Lent. */
DeskPlugin *desk_find_command (Desk *desk, const char *name);
/* Those on the desk: an array of DeskPlugin, lent; the caller unrefs the array. */
GPtrArray *desk_list (Desk *desk);

const char *desk_plugin_peek_id (const DeskPlugin *plugin);
/* For people. */
const char *desk_plugin_peek_name (const DeskPlugin *plugin);
Dialogue *desk_plugin_peek_dialogue (DeskPlugin *plugin);
/* NULL: not installed. */
Plugin *desk_plugin_peek_plugin (DeskPlugin *plugin);

/* Runs a command; the plugin must be RUNNING. `result` comes with @tag, exactly once. */
void desk_run (DeskPlugin *plugin, const char *command, const char *input, gpointer tag);
/* Ends its process; it stays on the desk. */
void desk_stop (DeskPlugin *plugin);

/* The chat that the user has open, to which plugins with messages=send may write; NULL: none. */
void desk_set_open_chat (Desk *desk, const char *peer);
/* Starts the plugins that were granted the user's messages and have what they need for it (a serial that is
 * active, or none to judge), each time the market is found. Nobody is asked anything; one that was started
 * before stays as it is. */
void desk_start_watchers (Desk *desk);

/* What is sold as @item inside @plugin, put on the desk if need be. Lent. */
DeskItem *desk_need_item (Desk *desk, const char *plugin, const char *item);
/* The user wants it, and is asked: `ask_item`. One whose order is under way goes on with that. */
void desk_item_want (DeskItem *item);
/* Whether it was its plugin that wanted the user to be asked. */
gboolean desk_item_is_wish (const DeskItem *item);
const char *desk_item_peek_plugin (const DeskItem *item);
const char *desk_item_peek_id (const DeskItem *item);
/* For people: "Coins of Dice". */
const char *desk_item_peek_name (const DeskItem *item);
Dialogue *desk_item_peek_dialogue (DeskItem *item);
