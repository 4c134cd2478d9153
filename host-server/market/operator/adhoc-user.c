#include "common/base/text.h"
#include "common/protocol/charge.h"
#include "host-server/core/adhoc.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/term.h"
#include "host-server/market/catalog.h"
#include "host-server/market/room.h"
#include "host-server/market/sales.h"

#include <string.h>

/* What every user does with a standard client: catalog, buy, my-plugins, orders, decline (protocol.md section
 * 3). What is decided is decided where the native protocol has it decided; here it is shown to people. */

#define MAX_CHOICES 200 /* plugins to pick from a list; beyond that one writes the id */

/* A stage that waits for the store or the provider. */
typedef struct
{
  Market *market;
  AdhocCall *call;
} Wait;

static Wait *
wait_new (Market *market, AdhocCall *call)
{
  Wait *wait = g_new (Wait, 1);
  *wait = (Wait){ market, call };
  return wait;
}

/* catalog */

static Catalog *
read_catalog (Market *market, const char *account, const char *query, GError **error)
{
  const GPtrArray *plugins = catalog_get_plugins (market, error);
  g_autoptr (GHashTable) owned = plugins != NULL ? catalog_load_owned (market, account, error) : NULL;
  if (owned == NULL)
    return NULL;
  Catalog *catalog = catalog_new ();
  catalog->query = g_strdup (query);
  catalog_fill (catalog, plugins, owned);
  return catalog;
}

static void
show_catalog (AdhocCall *call, const Catalog *catalog)
{
  Form *form = form_new ("Plugins on sale");
  form_add_column (form, "Plugin");
  form_add_column (form, "Name");
  form_add_column (form, "Price");
  form_add_column (form, "For");
  form_add_column (form, "Yours");
  form_add_column (form, "Vendor");
  form_add_column (form, "Version");
  form_add_column (form, "What it is");
  for (guint i = 0; i < catalog->entries->len; i++)
    {
      const CatalogEntry *entry = g_ptr_array_index (catalog->entries, i);
      g_autofree char *price = charge_dup_price (entry->price_minor, entry->currency);
      g_autofree char *term = term_to_words (entry->term != NULL ? entry->term : "");
      form_add_row (form);
      form_add_cell (form, entry->id);
      form_add_cell (form, entry->name);
      form_add_cell (form, price);
      form_add_cell (form, term);
      form_add_cell (form, entry->is_owned ? "yes" : "no");
      form_add_cell (form, entry->vendor);
      form_add_cell (form, entry->version);
      form_add_cell (form, entry->summary);
    }
  if (catalog->paging.count > catalog->entries->len)
    adhoc_call_note (call, ADHOC_WARN, "%" G_GINT64_FORMAT " plugins were found; these are the first %u",
                     catalog->paging.count, catalog->entries->len);
  if (catalog->entries->len == 0)
    adhoc_call_note (call, ADHOC_INFO, "No plugin was found.");
  adhoc_call_done (call, form);
}

/* What fits is shown at once; for more one searches. */
static void
catalog_begin (AdhocCall *call, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Catalog) catalog = read_catalog (data, adhoc_call_get_account (call), NULL, &error);
  if (catalog == NULL)
    {
      adhoc_call_fail (call, "market", error);
      return;
    }
  if (catalog->paging.count <= catalog->entries->len)
    {
      show_catalog (call, catalog);
      return;
    }
  Form *form = form_new ("Plugins on sale");
  g_autofree char *text = g_strdup_printf ("There are %" G_GINT64_FORMAT " plugins. What do you look for?",
                                           catalog->paging.count);
  form_add_instructions (form, text);
  form_field_set_limit (form_add (form, FORM_TEXT, "query", "Search for"), CATALOG_MAX_QUERY);
  adhoc_call_ask (call, form);
}

static void
catalog_search (AdhocCall *call, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Catalog) catalog
      = read_catalog (data, adhoc_call_get_account (call), adhoc_call_get (call, "query"), &error);
  if (catalog == NULL)
    adhoc_call_fail (call, "market", error);
  else
    show_catalog (call, catalog);
}

/* buy */

static void
add_plugin_choice (FormField *field, const Plugin *plugin, gboolean is_owned)
{
  g_autofree char *price = charge_dup_price (plugin->price_minor, plugin->currency);
  g_autofree char *label
      = g_strdup_printf ("%s, %s%s", plugin->name, price, is_owned ? " (yours already)" : "");
  form_field_add_option (field, plugin->id, label);
}

/* "5 of Coins, 2.00 EUR", under "game/coins". */
static void
add_item_choice (FormField *field, const Plugin *plugin, const Item *item)
{
  g_autofree char *id = g_strconcat (item->application, "/", item->id, NULL);
  g_autofree char *price = charge_dup_price (item->price_minor, item->currency);
  g_autofree char *quantity = charge_dup_quantity (item->amount, item->name);
  g_autofree char *label = g_strdup_printf ("%s: %s, %s", plugin->name, quantity, price);
  form_field_add_option (field, id, label);
}

/* What is sold inside the applications that are in @owned. */
static GPtrArray *
load_items_for (Market *market, const GPtrArray *plugins, GHashTable *owned, GError **error)
{
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func ((GDestroyNotify)item_free);
  for (guint i = 0; i < plugins->len && items->len <= MAX_CHOICES; i++)
    {
      const Plugin *plugin = g_ptr_array_index (plugins, i);
      if (plugin->is_retired || plugin->n_items == 0 || !g_hash_table_contains (owned, plugin->id))
        continue;
      g_autoptr (GPtrArray) found = items_load (market_peek_reader (market), plugin->id, error);
      if (found == NULL)
        return NULL;
      for (guint k = found->len; k-- > 0;)
        if (((const Item *)g_ptr_array_index (found, k))->is_retired)
          g_ptr_array_remove_index (found, k);
      g_ptr_array_extend_and_steal (items, g_steal_pointer (&found));
    }
  return g_steal_pointer (&items);
}

static void
buy_choose (AdhocCall *call, gpointer data)
{
  Market *market = data;
  g_autoptr (GError) error = NULL;
  const GPtrArray *plugins = catalog_get_plugins (market, &error);
  g_autoptr (GHashTable) owned
      = plugins != NULL ? catalog_load_owned (market, adhoc_call_get_account (call), &error) : NULL;
  g_autoptr (GPtrArray) items = owned != NULL ? load_items_for (market, plugins, owned, &error) : NULL;
  if (items == NULL)
    {
      adhoc_call_fail (call, "market", error);
      return;
    }
  guint n_on_sale = items->len;
  for (guint i = 0; i < plugins->len; i++)
    n_on_sale += !((const Plugin *)g_ptr_array_index (plugins, i))->is_retired;
  if (n_on_sale == 0)
    {
      adhoc_call_note (call, ADHOC_ERROR, "Nothing is on sale.");
      adhoc_call_done (call, NULL);
      return;
    }
  Form *form = form_new ("Buy a plugin");
  FormField *field = form_add (form, n_on_sale <= MAX_CHOICES ? FORM_CHOICE : FORM_TEXT, "plugin", "Plugin");
  form_field_require (field);
  if (n_on_sale > MAX_CHOICES)
    {
      form_add_instructions (form,
                             "Write the plugin's name as the command 'catalog' shows it; of what is sold "
                             "inside it: game/coins.");
      form_field_set_pattern (field, "[a-z0-9][a-z0-9.-]{0,63}(/[a-z0-9][a-z0-9.-]{0,63})?");
    }
  for (guint i = 0; i < plugins->len && n_on_sale <= MAX_CHOICES; i++)
    {
      const Plugin *plugin = g_ptr_array_index (plugins, i);
      if (!plugin->is_retired)
        add_plugin_choice (field, plugin, g_hash_table_contains (owned, plugin->id));
    }
  for (guint i = 0; i < items->len && n_on_sale <= MAX_CHOICES; i++)
    {
      const Item *item = g_ptr_array_index (items, i);
      add_item_choice (field, catalog_find (market, item->application), item);
    }
  adhoc_call_ask (call, form);
}

/* *@plugin is what @request points to. */
static SaleRequest
read_sale (const AdhocCall *call, char **plugin)
{
  *plugin = g_strdup (adhoc_call_get (call, "plugin"));
  char *slash = strchr (*plugin, '/');
  if (slash != NULL)
    *slash = '\0';
  return (SaleRequest){
    .account = adhoc_call_get_account (call),
    .user = jid_get_bare (adhoc_call_get_sender (call)),
    .plugin = *plugin,
    .item = slash != NULL ? slash + 1 : NULL,
    .request = adhoc_call_get_session (call), /* so that one session is one order, whatever is repeated */
    .is_by_command = TRUE,
    .quote = adhoc_call_get (call, "quote"),
  };
}

static void
refuse_sale (AdhocCall *call, const Sale *sale)
{
  if (sale->is_repriced)
    adhoc_call_note (call, ADHOC_ERROR,
                     "The price has changed meanwhile, and nothing was ordered. Please begin again.");
  else
    adhoc_call_note (call, ADHOC_ERROR, "Not ordered: %s.", sale_explain (sale->outcome));
  adhoc_call_done (call, NULL);
}

/* Who is paid: the provider's name and the host it is called at. */
static char *
describe_provider (Market *market, const Purchase *purchase)
{
  const Provider *provider
      = purchase->provider[0] != '\0' ? desk_find_provider (&market->desk, purchase->provider) : NULL;
  g_autofree char *host = provider != NULL ? charge_dup_host (http_base_peek_url (provider->base)) : NULL;
  return host != NULL ? g_strdup_printf ("%s (%s)", purchase->provider, host) : NULL;
}

static void
show_plugin (Form *form, const Plugin *plugin)
{
  g_autofree char *name = g_strdup_printf ("%s %s, by %s", plugin->name, plugin->version, plugin->vendor);
  form_add_shown (form, "name", name);
  if (plugin->summary[0] != '\0')
    form_add_shown (form, "summary", plugin->summary);
}

static Form *
make_confirmation (Market *market, const Sale *sale)
{
  const Purchase *purchase = sale->purchase;
  const Plugin *plugin = catalog_find (market, purchase->plugin);
  gboolean is_item = purchase->item[0] != '\0';
  g_autofree char *price = charge_dup_price (purchase->price_minor, purchase->currency);
  g_autofree char *term = is_item ? g_strdup_printf ("adds %" G_GINT64_FORMAT, purchase->amount)
                                  : term_to_words (purchase->term);
  g_autofree char *quote = sale_dup_quote (purchase->price_minor, purchase->currency);
  g_autofree char *provider = describe_provider (market, purchase);
  g_autofree char *what = catalog_dup_name (market, purchase->plugin, purchase->item);
  g_autofree char *title = g_strconcat (purchase->is_renewal ? "Renew " : "Buy ", what, NULL);
  Form *form = form_new (title);
  if (sale->outcome == BUY_KNOWN)
    form_add_instructions (form, "You have an open order for this. Completing shows it again.");
  else if (purchase->price_minor == 0)
    form_add_instructions (form, "Completing orders it. It is free: nothing is to be paid.");
  else
    form_add_instructions (form, "Completing orders it, and gives you the address of the charging page. You "
                                 "pay there, or decline.");
  if (is_item)
    form_add_shown (form, "name", what);
  else if (plugin != NULL)
    show_plugin (form, plugin);
  gboolean is_for_a_time = !is_item && purchase->term[0] != '\0';
  g_autofree char *cost = g_strdup_printf ("Price: %s, %s%s", price, is_for_a_time ? "for " : "", term);
  form_add_shown (form, "price", cost);
  if (provider != NULL)
    {
      g_autofree char *payee = g_strdup_printf ("Paid at: %s", provider);
      form_add_shown (form, "provider", payee);
    }
  form_field_add_value (form_add (form, FORM_HIDDEN, "quote", NULL), quote);
  return form;
}

static void
buy_tried (Market *market, const Sale *sale, const GError *error, gpointer data)
{
  AdhocCall *call = data;
  if (error != NULL)
    adhoc_call_fail (call, "market", error);
  else if (sale->purchase == NULL)
    refuse_sale (call, sale);
  else
    adhoc_call_ask (call, make_confirmation (market, sale));
}

static void
buy_confirm (AdhocCall *call, gpointer data)
{
  g_autofree char *plugin = NULL;
  SaleRequest request = read_sale (call, &plugin);
  sale_try (data, &request, buy_tried, call);
}

/* An order as people are shown it. */
static Form *
make_order (const Purchase *purchase)
{
  g_autoptr (OrderView) view = purchase_to_view (purchase);
  g_autofree char *price = charge_dup_price (view->price_minor, view->currency);
  g_autofree char *expires = view->expires_us != 0 ? clock_dup_rfc3339 (view->expires_us) : NULL;
  Form *form = form_new ("Order");
  form_field_add_value (form_add (form, FORM_TEXT, "order", "Order"), view->id);
  form_field_add_value (form_add (form, FORM_TEXT, "plugin", "Plugin"), view->plugin);
  if (view->item != NULL)
    form_field_add_value (form_add (form, FORM_TEXT, "item", "Item"), view->item);
  form_field_add_value (form_add (form, FORM_TEXT, "state", "State"), order_state_to_text (view->state));
  form_field_add_value (form_add (form, FORM_TEXT, "price", "Price"), price);
  if (expires != NULL)
    form_field_add_value (form_add (form, FORM_TEXT, "expires", "To be paid before"), expires);
  if (view->charge_url != NULL)
    form_field_add_value (form_add (form, FORM_TEXT, "charge", "Charging page"), view->charge_url);
  return form;
}

static void
add_charge (AdhocCall *call, const Purchase *purchase)
{
  g_autofree char *host = charge_dup_host (purchase->charge_url);
  g_autofree char *price = charge_dup_price (purchase->price_minor, purchase->currency);
  g_autoptr (GString) xml = g_string_new ("<x xmlns='jabber:x:oob'><url>");
  text_append_xml (xml, purchase->charge_url);
  g_string_append (xml, "</url><desc>Charging page</desc></x>");
  adhoc_call_add_payload (call, xml->str);
  adhoc_call_note (call, ADHOC_INFO, "Pay %s at %s: %s\nA message tells you when it is yours.", price,
                   host != NULL ? host : "the provider", purchase->charge_url);
}

static void
note_order (AdhocCall *call, const Purchase *purchase)
{
  OrderState shown = purchase_get_shown (purchase);
  switch (shown)
    {
    case ORDER_AWAITING_PAYMENT:
      if (purchase->charge_url != NULL)
        add_charge (call, purchase);
      else
        adhoc_call_note (call, ADHOC_INFO,
                         "The provider has not answered yet. A message brings the charging page's address.");
      break;
    case ORDER_PAID:
      adhoc_call_note (call, ADHOC_INFO, "It is being prepared. A message tells you when it is yours.");
      break;
    case ORDER_FULFILLED:
      adhoc_call_note (call, ADHOC_INFO, "It is yours.%s",
                       purchase->item[0] == '\0' ? " The command 'my-plugins' shows its serial." : "");
      break;
    case ORDER_DECLINED:
    case ORDER_EXPIRED:
    case ORDER_REFUSED:
    case ORDER_REFUNDING:
    case ORDER_REFUNDED:
    case ORDER_REVIEW:
    default:
      adhoc_call_note (call, ADHOC_ERROR, "The order has come to nothing: %s (%s).",
                       order_state_to_text (shown), purchase->reason);
      break;
    }
}

static void
buy_bought (Market *market, const Sale *sale, const GError *error, gpointer data)
{
  AdhocCall *call = data;
  if (error != NULL)
    adhoc_call_fail (call, "market", error);
  else if (sale->purchase == NULL || sale->is_repriced)
    refuse_sale (call, sale);
  else
    {
      note_order (call, sale->purchase);
      adhoc_call_done (call, make_order (sale->purchase));
    }
}

static void
buy_complete (AdhocCall *call, gpointer data)
{
  g_autofree char *plugin = NULL;
  SaleRequest request = read_sale (call, &plugin);
  sale_buy (data, &request, buy_bought, call);
}

/* my-plugins */

static void
show_plugins (AdhocCall *call, const Serials *serials)
{
  Form *form = form_new ("Your plugins");
  form_add_column (form, "Plugin");
  form_add_column (form, "Name");
  form_add_column (form, "State");
  form_add_column (form, "Serial");
  form_add_column (form, "Until");
  for (guint i = 0; i < serials->entries->len; i++)
    {
      const SerialEntry *entry = g_ptr_array_index (serials->entries, i);
      g_autofree char *expires = entry->expires_us != 0 ? clock_dup_rfc3339 (entry->expires_us) : NULL;
      form_add_row (form);
      form_add_cell (form, entry->plugin);
      form_add_cell (form, entry->name);
      form_add_cell (form, serial_state_to_text (entry->state));
      form_add_cell (form, entry->serial != NULL ? secret_peek_text (entry->serial) : NULL);
      form_add_cell (form, expires != NULL ? expires : "for ever");
    }
  if (serials->entries->len == 0)
    adhoc_call_note (call, ADHOC_INFO, "You have no plugins. The command 'buy' gets you one.");
  adhoc_call_done (call, form);
}

static gboolean
expire_work (Turn *turn, gpointer data, GError **error)
{
  const Wait *wait = data;
  return entitlements_expire (turn, adhoc_call_get_account (wait->call), error);
}

static void plugins_read (Market *market, AdhocCall *call, gboolean is_expired_first);

static void
plugins_expired (Market *market, gpointer data, const GError *error)
{
  g_autofree Wait *wait = data;
  if (error != NULL)
    adhoc_call_fail (wait->call, "market", error);
  else
    plugins_read (market, wait->call, TRUE);
}

/* What is past its time is expired before it is shown. */
static void
plugins_read (Market *market, AdhocCall *call, gboolean is_expired_first)
{
  g_autoptr (GError) error = NULL;
  gint64 ver, next_expiry_us;
  g_autoptr (Serials) serials
      = entitlements_read (&market->desk, market_peek_reader (market), adhoc_call_get_account (call), 0, &ver,
                           &next_expiry_us, &error);
  if (serials == NULL)
    adhoc_call_fail (call, "market", error);
  else if (!is_expired_first && next_expiry_us != 0
           && clock_get_wall_us (market->desk.clock) >= next_expiry_us)
    market_write (market, expire_work, plugins_expired, wait_new (market, call));
  else
    show_plugins (call, serials);
}

static void
my_plugins (AdhocCall *call, gpointer data)
{
  plugins_read (data, call, FALSE);
}

/* orders, decline */

static Orders *
read_orders (Market *market, const char *account, GError **error)
{
  g_autoptr (Orders) orders = orders_new ();
  gboolean is_known;
  if (!purchases_page (market_peek_reader (market), account, orders, &is_known, error))
    return NULL;
  return g_steal_pointer (&orders);
}

static void
show_orders (AdhocCall *call, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Orders) orders = read_orders (data, adhoc_call_get_account (call), &error);
  if (orders == NULL)
    {
      adhoc_call_fail (call, "market", error);
      return;
    }
  Form *form = form_new ("Your orders");
  form_add_column (form, "Order");
  form_add_column (form, "Plugin");
  form_add_column (form, "State");
  form_add_column (form, "Price");
  form_add_column (form, "Charging page");
  form_add_column (form, "Item");
  for (guint i = 0; i < orders->orders->len; i++)
    {
      const OrderView *order = g_ptr_array_index (orders->orders, i);
      g_autofree char *price = charge_dup_price (order->price_minor, order->currency);
      form_add_row (form);
      form_add_cell (form, order->id);
      form_add_cell (form, order->plugin);
      form_add_cell (form, order_state_to_text (order->state));
      form_add_cell (form, price);
      form_add_cell (form, order->charge_url);
      form_add_cell (form, order->item);
    }
  if (orders->orders->len == 0)
    adhoc_call_note (call, ADHOC_INFO, "You have no orders.");
  if (orders->paging.count > orders->orders->len)
    adhoc_call_note (call, ADHOC_WARN, "You have %" G_GINT64_FORMAT " orders; these are the newest %u",
                     orders->paging.count, orders->orders->len);
  adhoc_call_done (call, form);
}

static void
decline_choose (AdhocCall *call, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Orders) orders = read_orders (data, adhoc_call_get_account (call), &error);
  if (orders == NULL)
    {
      adhoc_call_fail (call, "market", error);
      return;
    }
  Form *form = form_new ("Decline an order");
  FormField *field = form_add (form, FORM_CHOICE, "order", "Order");
  form_field_require (field);
  guint n_open = 0;
  for (guint i = 0; i < orders->orders->len; i++)
    {
      const OrderView *order = g_ptr_array_index (orders->orders, i);
      if (order->state != ORDER_AWAITING_PAYMENT)
        continue;
      g_autofree char *price = charge_dup_price (order->price_minor, order->currency);
      g_autofree char *name = catalog_dup_name (data, order->plugin, order->item);
      g_autofree char *label = g_strdup_printf ("%s, %s (%s)", name, price, order->id);
      form_field_add_option (field, order->id, label);
      n_open++;
    }
  if (n_open > 0)
    {
      adhoc_call_ask (call, form);
      return;
    }
  form_free (form);
  adhoc_call_note (call, ADHOC_INFO, "You have no order that waits to be paid.");
  adhoc_call_done (call, NULL);
}

static void
declined (Market *market, DeclineOutcome outcome, const Purchase *purchase, const GError *error,
          gpointer data)
{
  AdhocCall *call = data;
  if (error != NULL)
    {
      adhoc_call_fail (call, "market", error);
      return;
    }
  switch (outcome)
    {
    case DECLINE_DONE:
      adhoc_call_note (call, ADHOC_INFO, "Nothing is to be paid for it any more.");
      break;
    case DECLINE_PENDING:
      adhoc_call_note (call, ADHOC_INFO, "It is declined as soon as the provider has answered.");
      break;
    case DECLINE_PAID:
      adhoc_call_note (call, ADHOC_ERROR, "It is too late to decline: it is paid already.");
      break;
    case DECLINE_UNKNOWN:
    default:
      adhoc_call_note (call, ADHOC_ERROR, "There is no such order.");
      break;
    }
  adhoc_call_done (call, purchase != NULL ? make_order (purchase) : NULL);
}

static void
decline_complete (AdhocCall *call, gpointer data)
{
  sale_decline (data, adhoc_call_get_account (call), adhoc_call_get (call, "order"), declined, call);
}

void
adhoc_user_init (Market *market)
{
  static const AdhocCommand commands[] = {
    { "catalog", "Plugins on sale", NULL, { catalog_begin, catalog_search } },
    { "buy", "Buy a plugin", NULL, { buy_choose, buy_confirm, buy_complete } },
    { "my-plugins", "Your plugins and their serials", NULL, { my_plugins } },
    { "orders", "Your orders", NULL, { show_orders } },
    { "decline", "Decline an order", NULL, { decline_choose, decline_complete } },
  };
  services_add_feature (market->server->services, SERVICE_MARKET, "jabber:x:oob");
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    adhoc_add (market->server->adhoc, SERVICE_MARKET, &commands[i], market);
}
