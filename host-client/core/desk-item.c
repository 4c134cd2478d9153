/* Buying inside a plugin. Whoever wants it, the user is asked here, with what the market says of the item
 * now; what a plugin asks for is only ever a wish. */
#include "host-client/core/desk-private.h"

#include <host/plugin.h>

struct DeskItem
{
  Desk *desk;
  char *plugin;
  char *id;
  char *key;
  char *name; /* for people */
  Dialogue *dialogue;
  gboolean is_wish;    /* its plugin wanted it last */
  gboolean is_awaited; /* its plugin waits to be told */
  gboolean is_dead;
  guint pending; /* replies that will come */
};

static void
free_now (DeskItem *item)
{
  g_free (item->plugin);
  g_free (item->id);
  g_free (item->key);
  g_free (item->name);
  g_free (item);
}

void
desk_item_free (gpointer data)
{
  DeskItem *item = data;
  dialogue_free (item->dialogue);
  item->is_dead = TRUE;
  if (item->pending == 0)
    free_now (item);
}

/* ---- the dialogue's events ---- */

static void
set_name (DeskItem *item, const char *name)
{
  DeskPlugin *plugin = g_hash_table_lookup (item->desk->plugins, item->plugin);
  char *text
      = g_strdup_printf ("%s of %s", name, plugin != NULL ? desk_plugin_peek_name (plugin) : item->plugin);
  g_free (item->name);
  item->name = text;
}

static void
on_items (Reply *reply, gpointer data)
{
  DeskItem *item = data;
  const Items *items = reply->kind == REPLY_RESULT ? reply->value : NULL;
  const ItemEntry *entry = items != NULL ? items_find (items, item->id) : NULL;
  DialogueView view;
  item->pending--;
  if (item->is_dead)
    {
      if (item->pending == 0)
        free_now (item);
      return;
    }
  dialogue_get_view (item->dialogue, &view);
  if (view.state != PURCHASE_ASKING) /* it was bought meanwhile */
    return;
  if (item->desk->events.ask_item == NULL)
    dialogue_refuse (item->dialogue, "nobody is there to be asked");
  else if (entry != NULL && !items->is_licensed)
    dialogue_refuse (item->dialogue, "you are not licensed for its application");
  else if (entry != NULL)
    {
      set_name (item, entry->name);
      item->desk->events.ask_item (item, entry, item->desk->data);
    }
  else
    dialogue_refuse (item->dialogue, items != NULL || reply->kind == REPLY_ERROR
                                         ? "it is not sold"
                                         : "the market cannot be asked now");
}

static void
on_ask (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  DeskItem *item = data;
  if (item->desk->events.ask_item == NULL)
    {
      dialogue_refuse (dialogue, "nobody is there to be asked");
      return;
    }
  item->pending++;
  market_list_items (item->desk->options.market, item->plugin, on_items, item);
}

static void
on_show (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  DeskItem *item = data;
  if (item->desk->events.show_item != NULL)
    item->desk->events.show_item (item, view, item->desk->data);
}

static void
tell_plugin (DeskItem *item, const DialogueView *view)
{
  DeskPlugin *plugin = g_hash_table_lookup (item->desk->plugins, item->plugin);
  gboolean is_declined = view->has_said_no || (view->order != NULL && view->order->state == ORDER_DECLINED);
  guint outcome = view->state == PURCHASE_RUNNING ? HOST_PURCHASE_BOUGHT
                  : is_declined                   ? HOST_PURCHASE_DECLINED
                                                  : HOST_PURCHASE_FAILED;
  const char *reason = view->text[0] != '\0' ? view->text
                       : view->order != NULL ? order_state_to_text (view->order->state)
                                             : "";
  item->is_awaited = FALSE;
  if (plugin != NULL && plugin->plugin != NULL)
    plugin_answer_wish (plugin->plugin, item->id, outcome, outcome == HOST_PURCHASE_FAILED ? reason : "");
}

static void
on_end (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  DeskItem *item = data;
  gboolean was_awaited = item->is_awaited;
  if (item->desk->events.end_item != NULL)
    item->desk->events.end_item (item, view, item->desk->data);
  if (was_awaited)
    tell_plugin (item, view);
}

/* ---- items ---- */

DeskItem *
desk_need_item (Desk *desk, const char *plugin, const char *id)
{
  static const DialogueEvents events = { .ask = on_ask, .show = on_show, .end = on_end };
  g_autofree char *key = g_strconcat (plugin, "/", id, NULL);
  DeskItem *item = g_hash_table_lookup (desk->items, key);
  if (item != NULL)
    return item;
  item = g_new0 (DeskItem, 1);
  item->desk = desk;
  item->plugin = g_strdup (plugin);
  item->id = g_strdup (id);
  item->key = g_steal_pointer (&key);
  set_name (item, id);
  item->dialogue = dialogue_new (desk->options.market, desk->options.session, desk->options.db, plugin, id,
                                 &events, item);
  g_hash_table_insert (desk->items, item->key, item);
  return item;
}

void
desk_item_want (DeskItem *item)
{
  item->is_wish = FALSE;
  dialogue_use (item->dialogue);
}

void
desk_item_wish (DeskItem *item)
{
  item->is_wish = item->is_awaited = TRUE;
  dialogue_use (item->dialogue);
}

gboolean
desk_item_is_wish (const DeskItem *item)
{
  return item->is_wish;
}

const char *
desk_item_peek_plugin (const DeskItem *item)
{
  return item->plugin;
}

const char *
desk_item_peek_id (const DeskItem *item)
{
  return item->id;
}

const char *
desk_item_peek_name (const DeskItem *item)
{
  return item->name;
}

Dialogue *
desk_item_peek_dialogue (DeskItem *item)
{
  return item->dialogue;
}
