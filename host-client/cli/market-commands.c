/* catalog, serials, buy, item, order, decline. */
#include "common/protocol/charge.h"
#include "host-client/cli/commands.h"

#include <string.h>

#include "host-client/cli/market-view.h"

/* ---- catalog ---- */

static void
print_entry (App *app, const CatalogEntry *entry)
{
  if (app->arguments->is_json)
    {
      json_t *object = json_pack ("{s:s, s:s, s:s, s:s, s:I, s:b}", "id", entry->id, "name",
                                  entry->name != NULL ? entry->name : entry->id, "vendor",
                                  entry->vendor != NULL ? entry->vendor : "", "version",
                                  entry->version != NULL ? entry->version : "", "price",
                                  (json_int_t)entry->price_minor, "owned", entry->is_owned);
      if (entry->currency != NULL)
        json_object_set_new (object, "currency", json_string (entry->currency));
      if (entry->term != NULL)
        json_object_set_new (object, "term", json_string (entry->term));
      if (entry->summary != NULL)
        json_object_set_new (object, "summary", json_string (entry->summary));
      if (entry->n_items > 0)
        json_object_set_new (object, "items", json_integer (entry->n_items));
      if (entry->package != NULL)
        json_object_update_new (object, json_pack ("{s:s, s:s*, s:I, s:s*}", "package", entry->package,
                                                   "sha256", entry->sha256, "size", (json_int_t)entry->size,
                                                   "permissions", entry->permissions));
      output_json (object);
      return;
    }
  g_autofree char *price = charge_dup_price (entry->price_minor, entry->currency);
  output_line ("%s  %s %s by %s  %s%s%s%s%s%s", entry->id, entry->name, entry->version, entry->vendor, price,
               entry->term != NULL ? " for " : "", entry->term != NULL ? entry->term : "",
               entry->is_owned ? "  owned" : "", entry->summary != NULL ? "  " : "",
               entry->summary != NULL ? entry->summary : "");
}

static void
fail_with_reply (App *app, const Reply *reply)
{
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (reply, &code);
  app_fail (app, code, "%s", text);
}

static void
on_catalog (Reply *reply, gpointer data)
{
  App *app = data;
  const Catalog *page = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (page == NULL)
    {
      fail_with_reply (app, reply);
      return;
    }
  for (guint i = 0; i < page->entries->len; i++)
    print_entry (app, g_ptr_array_index (page->entries, i));
  if (page->entries->len == MARKET_MAX_PAGE && page->paging.last != NULL)
    market_catalog (client_peek_market (app->client), app->arguments->words[0], page->paging.last, on_catalog,
                    app);
  else
    app_finish (app, EXIT_DONE);
}

static void
start_catalog (App *app)
{
  market_catalog (client_peek_market (app->client), app->arguments->words[0], NULL, on_catalog, app);
}

const Command command_catalog = {
  .kind = COMMAND_CATALOG,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_catalog,
};

/* ---- serials ---- */

static void
print_serials (App *app)
{
  g_autoptr (GPtrArray) entries = serial_book_list (market_peek_serials (client_peek_market (app->client)));
  for (guint i = 0; i < entries->len; i++)
    {
      const SerialEntry *entry = g_ptr_array_index (entries, i);
      gboolean reveals = app->arguments->has_reveal;
      if (app->arguments->is_json)
        output_json (market_view_serial_json (entry, reveals));
      else
        {
          g_autofree char *text = market_view_serial_text (entry, reveals);
          output_line ("%s", text);
        }
    }
  app_finish (app, EXIT_DONE);
}

static void
on_serials_state (MarketState state, gpointer data)
{
  App *app = data;
  if (state == MARKET_READY)
    print_serials (app);
  else if (state == MARKET_ABSENT)
    app_fail (app, EXIT_REFUSED, "this server has no plugin market");
}

static void
start_serials (App *app)
{
  static const MarketEvents events = { .state = on_serials_state };
  Market *market = client_peek_market (app->client);
  market_watch (market, &events, app);
  on_serials_state (market_get_state (market), app);
}

const Command command_serials = {
  .kind = COMMAND_SERIALS,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_serials,
};

/* ---- buy ---- */

static void
on_buy_ask (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  dialogue_answer (dialogue, TRUE); /* that was asked before */
}

/* For people: the plugin, or the item and where it is. */
static char *
dup_wanted (const Dialogue *dialogue)
{
  const char *plugin = dialogue_peek_plugin (dialogue), *item = dialogue_peek_item (dialogue);
  return item != NULL ? g_strdup_printf ("%s of %s", item, plugin) : g_strdup (plugin);
}

static void
on_buy_show (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  App *app = data;
  if (app->arguments->is_json)
    {
      output_json (market_view_dialogue_json (dialogue_peek_plugin (dialogue), view));
      return;
    }
  g_autofree char *name = dup_wanted (dialogue);
  g_autofree char *text = market_view_progress (name, view);
  output_line ("%s", text);
}

static void
on_buy_end (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  App *app = data;
  if (app->arguments->is_json)
    output_json (market_view_dialogue_json (dialogue_peek_plugin (dialogue), view));
  else
    {
      g_autofree char *name = dup_wanted (dialogue);
      g_autofree char *text = market_view_end (name, view);
      output_line ("%s", text);
    }
  app_finish (app, view->state == PURCHASE_RUNNING ? EXIT_DONE : EXIT_REFUSED);
}

static const CatalogEntry *
find_entry (const Catalog *page, const char *plugin)
{
  for (guint i = 0; i < page->entries->len; i++)
    {
      const CatalogEntry *entry = g_ptr_array_index (page->entries, i);
      if (strcmp (entry->id, plugin) == 0)
        return entry;
    }
  return NULL;
}

static void
on_buy_catalog (Reply *reply, gpointer data)
{
  App *app = data;
  const char *plugin = app->arguments->words[0];
  const Catalog *page = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (page == NULL)
    {
      fail_with_reply (app, reply);
      return;
    }
  const CatalogEntry *entry = find_entry (page, plugin);
  if (entry == NULL && page->entries->len == MARKET_MAX_PAGE && page->paging.last != NULL)
    {
      market_catalog (client_peek_market (app->client), NULL, page->paging.last, on_buy_catalog, app);
      return;
    }
  if (entry == NULL)
    {
      app_fail (app, EXIT_REFUSED, "the market has no plugin '%s'", plugin);
      return;
    }
  g_autofree char *price = charge_dup_price (entry->price_minor, entry->currency);
  g_autofree char *question
      = g_strdup_printf ("Register %s %s by %s for %s?", entry->name, entry->version, entry->vendor, price);
  if (app_ask (question))
    dialogue_buy (app->state);
  else
    app_fail (app, EXIT_REFUSED, "not registered (without a terminal, --yes is needed)");
}

/* Buying needs no plugin on this device: the dialogue is without one, and having the serial, or the item, is
 * its end. */
static void
open_buying (App *app, const char *plugin, const char *item)
{
  static const DialogueEvents events = { .ask = on_buy_ask, .show = on_buy_show, .end = on_buy_end };
  app->state = dialogue_new (client_peek_market (app->client), client_peek_session (app->client),
                             client_peek_db (app->client), plugin, item, &events, app);
  app->free_state = (GDestroyNotify)dialogue_free;
}

static void
start_buy (App *app)
{
  open_buying (app, app->arguments->words[0], NULL);
  if (app->arguments->has_yes)
    dialogue_buy (app->state);
  else
    market_catalog (client_peek_market (app->client), NULL, NULL, on_buy_catalog, app);
}

const Command command_buy = {
  .kind = COMMAND_BUY,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .survives_loss = TRUE,
  .start = start_buy,
};

/* ---- item ---- */

static void
on_items (Reply *reply, gpointer data)
{
  App *app = data;
  const Items *items = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (items == NULL)
    {
      fail_with_reply (app, reply);
      return;
    }
  for (guint i = 0; i < items->entries->len; i++)
    {
      const ItemEntry *entry = g_ptr_array_index (items->entries, i);
      g_autofree char *text = market_view_item_text (entry);
      if (app->arguments->is_json)
        output_json (market_view_item_json (items->application, entry));
      else
        output_line ("%s", text);
    }
  app_finish (app, EXIT_DONE);
}

static void
on_buy_items (Reply *reply, gpointer data)
{
  App *app = data;
  const char *item = app->arguments->words[2];
  const Items *items = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (items == NULL)
    {
      fail_with_reply (app, reply);
      return;
    }
  const ItemEntry *entry = items_find (items, item);
  if (entry == NULL)
    {
      app_fail (app, EXIT_REFUSED, "'%s' sells no item '%s'", items->application, item);
      return;
    }
  if (!items->is_licensed)
    {
      app_fail (app, EXIT_REFUSED, "you are not licensed for '%s'", items->application);
      return;
    }
  g_autofree char *question = market_view_item_question (items->application, entry);
  if (app_ask (question))
    dialogue_buy (app->state);
  else
    app_fail (app, EXIT_REFUSED, "not bought (without a terminal, --yes is needed)");
}

static void
start_item (App *app)
{
  char **words = app->arguments->words;
  Market *market = client_peek_market (app->client);
  if (strcmp (words[0], "list") == 0)
    {
      market_list_items (market, words[1], on_items, app);
      return;
    }
  open_buying (app, words[1], words[2]);
  if (app->arguments->has_yes)
    dialogue_buy (app->state);
  else
    market_list_items (market, words[1], on_buy_items, app);
}

const Command command_item = {
  .kind = COMMAND_ITEM,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .survives_loss = TRUE,
  .start = start_item,
};

/* ---- order, decline ---- */

static void
print_order (App *app, const OrderView *order)
{
  if (app->arguments->is_json)
    {
      output_json (market_view_order_json (order));
      return;
    }
  g_autofree char *text = market_view_order_text (order);
  output_line ("%s", text);
}

static void
on_order (const OrderView *order, const Reply *reply, gpointer data)
{
  App *app = data;
  if (order != NULL)
    print_order (app, order);
  if (reply->kind == REPLY_RESULT && order != NULL)
    app_finish (app, EXIT_DONE);
  else
    fail_with_reply (app, reply);
}

static void
on_orders (Reply *reply, gpointer data)
{
  App *app = data;
  const Orders *page = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (page == NULL)
    {
      fail_with_reply (app, reply);
      return;
    }
  for (guint i = 0; i < page->orders->len; i++)
    print_order (app, g_ptr_array_index (page->orders, i));
  if (page->orders->len == MARKET_MAX_PAGE && page->paging.last != NULL)
    market_list_orders (client_peek_market (app->client), page->paging.last, on_orders, app);
  else
    app_finish (app, EXIT_DONE);
}

static void
start_order (App *app)
{
  Market *market = client_peek_market (app->client);
  if (app->arguments->n_words == 0)
    market_list_orders (market, NULL, on_orders, app);
  else
    market_get_order (market, app->arguments->words[0], on_order, app);
}

const Command command_order = {
  .kind = COMMAND_ORDER,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_order,
};

static void
start_decline (App *app)
{
  market_decline (client_peek_market (app->client), app->arguments->words[0], on_order, app);
}

const Command command_decline = {
  .kind = COMMAND_DECLINE,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_decline,
};
