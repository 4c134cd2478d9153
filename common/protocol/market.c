#include "common/protocol/market.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <string.h>

#define MAX_INT (G_GINT64_CONSTANT (1) << 53)

static void
append_int (GString *out, const char *name, gint64 value)
{
  g_string_append_printf (out, " %s='%" G_GINT64_FORMAT "'", name, value);
}

void
paging_init (Paging *paging)
{
  memset (paging, 0, sizeof *paging);
  paging->max = paging->index = paging->first_index = paging->count = -1;
}

void
paging_clear (Paging *paging)
{
  g_free (paging->after);
  g_free (paging->before);
  g_free (paging->first);
  g_free (paging->last);
  paging_init (paging);
}

static void
append_text_element (GString *out, const char *name, const char *text)
{
  if (text == NULL)
    return;
  g_string_append_printf (out, "<%s>", name);
  text_append_xml (out, text);
  g_string_append_printf (out, "</%s>", name);
}

static void
append_int_element (GString *out, const char *name, gint64 value)
{
  if (value >= 0)
    g_string_append_printf (out, "<%s>%" G_GINT64_FORMAT "</%s>", name, value, name);
}

void
paging_write_request (const Paging *paging, GString *out)
{
  if (!paging->is_present)
    return;
  g_string_append (out, "<set xmlns='" NS_RSM "'>");
  append_int_element (out, "max", paging->max);
  append_int_element (out, "index", paging->index);
  append_text_element (out, "after", paging->after);
  append_text_element (out, "before", paging->before);
  g_string_append (out, "</set>");
}

void
paging_write_result (const Paging *paging, GString *out)
{
  g_string_append (out, "<set xmlns='" NS_RSM "'>");
  if (paging->first != NULL)
    {
      g_string_append (out, "<first");
      if (paging->first_index >= 0)
        append_int (out, "index", paging->first_index);
      g_string_append_c (out, '>');
      text_append_xml (out, paging->first);
      g_string_append (out, "</first>");
    }
  append_text_element (out, "last", paging->last);
  append_int_element (out, "count", paging->count);
  g_string_append (out, "</set>");
}

static gint64
read_int_text (TreeReader *reader, xmpp_stanza_t *element, const char *name)
{
  g_autofree char *text = tree_dup_text (reader, element, 32);
  guint64 number = 0;
  if (reader->error == NULL
      && (text == NULL || !g_ascii_string_to_unsigned (text, 10, 0, MAX_INT, &number, NULL)))
    tree_fail (reader, "<set/>: <%s/> is not a number", name);
  return reader->error == NULL ? (gint64) number : -1;
}

static void
set_text (TreeReader *reader, xmpp_stanza_t *element, char **text)
{
  g_free (*text);
  *text = tree_dup_text (reader, element, TREE_MAX_TEXT);
  if (*text == NULL && reader->error == NULL)
    *text = g_strdup ("");
}

static void
paging_read (TreeReader *reader, xmpp_stanza_t *parent, Paging *paging)
{
  xmpp_stanza_t *set = reader->error == NULL ? tree_find (parent, "set", NS_RSM) : NULL;
  if (set == NULL)
    return;
  paging->is_present = TRUE;
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (set); child != NULL; child = xmpp_stanza_get_next (child))
    {
      const char *name = xmpp_stanza_get_name (child);
      if (g_strcmp0 (name, "max") == 0)
        paging->max = read_int_text (reader, child, name);
      else if (g_strcmp0 (name, "index") == 0)
        paging->index = read_int_text (reader, child, name);
      else if (g_strcmp0 (name, "count") == 0)
        paging->count = read_int_text (reader, child, name);
      else if (g_strcmp0 (name, "after") == 0)
        set_text (reader, child, &paging->after);
      else if (g_strcmp0 (name, "before") == 0)
        set_text (reader, child, &paging->before);
      else if (g_strcmp0 (name, "last") == 0)
        set_text (reader, child, &paging->last);
      else if (g_strcmp0 (name, "first") == 0)
        {
          set_text (reader, child, &paging->first);
          paging->first_index = tree_get_int (reader, child, "index", MAX_INT, -1);
        }
    }
}

void
catalog_entry_free (CatalogEntry *entry)
{
  if (entry == NULL)
    return;
  g_free (entry->id);
  g_free (entry->name);
  g_free (entry->vendor);
  g_free (entry->version);
  g_free (entry->currency);
  g_free (entry->term);
  g_free (entry->summary);
  g_free (entry->package);
  g_free (entry->sha256);
  g_free (entry->permissions);
  g_free (entry);
}

static void
free_catalog_entry (gpointer entry)
{
  catalog_entry_free (entry);
}

Catalog *
catalog_new (void)
{
  Catalog *catalog = g_new0 (Catalog, 1);
  catalog->entries = g_ptr_array_new_with_free_func (free_catalog_entry);
  paging_init (&catalog->paging);
  return catalog;
}

void
catalog_free (Catalog *catalog)
{
  if (catalog == NULL)
    return;
  g_free (catalog->query);
  g_ptr_array_unref (catalog->entries);
  paging_clear (&catalog->paging);
  g_free (catalog);
}

void
catalog_write_request (const Catalog *catalog, GString *out)
{
  g_string_append (out, "<catalog xmlns='" NS_MARKET "'");
  text_append_xml_attribute (out, "query", catalog->query);
  g_string_append_c (out, '>');
  paging_write_request (&catalog->paging, out);
  g_string_append (out, "</catalog>");
}

void
catalog_write_result (const Catalog *catalog, GString *out)
{
  g_string_append (out, "<catalog xmlns='" NS_MARKET "'>");
  for (guint i = 0; i < catalog->entries->len; i++)
    {
      const CatalogEntry *entry = g_ptr_array_index (catalog->entries, i);
      g_string_append (out, "<plugin");
      text_append_xml_attribute (out, "id", entry->id);
      text_append_xml_attribute (out, "name", entry->name);
      text_append_xml_attribute (out, "vendor", entry->vendor);
      text_append_xml_attribute (out, "version", entry->version);
      append_int (out, "price", entry->price_minor);
      text_append_xml_attribute (out, "currency", entry->currency);
      text_append_xml_attribute (out, "term", entry->term);
      text_append_xml_attribute (out, "summary", entry->summary);
      text_append_xml_attribute (out, "owned", entry->is_owned ? "true" : "false");
      if (entry->n_items > 0)
        append_int (out, "items", entry->n_items);
      if (entry->package != NULL)
        {
          text_append_xml_attribute (out, "package", entry->package);
          text_append_xml_attribute (out, "sha256", entry->sha256);
          append_int (out, "size", entry->size);
          text_append_xml_attribute (out, "permissions", entry->permissions);
        }
      g_string_append (out, "/>");
    }
  paging_write_result (&catalog->paging, out);
  g_string_append (out, "</catalog>");
}

static CatalogEntry *
read_catalog_entry (TreeReader *reader, xmpp_stanza_t *element)
{
  CatalogEntry *entry = g_new0 (CatalogEntry, 1);
  entry->id = g_strdup (tree_need_id (reader, element, "id"));
  entry->name = g_strdup (tree_get (reader, element, "name"));
  entry->vendor = g_strdup (tree_get (reader, element, "vendor"));
  entry->version = g_strdup (tree_get (reader, element, "version"));
  entry->price_minor = tree_get_int (reader, element, "price", MAX_INT, 0);
  entry->currency = g_strdup (tree_get (reader, element, "currency"));
  entry->term = g_strdup (tree_get (reader, element, "term"));
  entry->summary = g_strdup (tree_get (reader, element, "summary"));
  entry->is_owned = tree_get_bool (reader, element, "owned");
  entry->package = g_strdup (tree_get (reader, element, "package"));
  entry->sha256 = g_strdup (tree_get (reader, element, "sha256"));
  entry->size = tree_get_int (reader, element, "size", MAX_INT, 0);
  entry->permissions = g_strdup (tree_get (reader, element, "permissions"));
  entry->n_items = tree_get_int (reader, element, "items", MAX_INT, 0);
  return entry;
}

Catalog *
catalog_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (Catalog) catalog = catalog_new ();

  tree_expect (&reader, element, "catalog", NS_MARKET);
  catalog->query = g_strdup (tree_get (&reader, element, "query"));
  if (catalog->query != NULL && strlen (catalog->query) > CATALOG_MAX_QUERY)
    tree_fail (&reader, "<catalog/>: 'query' is longer than %d bytes", CATALOG_MAX_QUERY);
  paging_read (&reader, element, &catalog->paging);
  for (xmpp_stanza_t *child = reader.error == NULL ? xmpp_stanza_get_children (element) : NULL; child != NULL;
       child = xmpp_stanza_get_next (child))
    if (g_strcmp0 (xmpp_stanza_get_name (child), "plugin") == 0)
      g_ptr_array_add (catalog->entries, read_catalog_entry (&reader, child));
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&catalog) : NULL;
}

void
item_entry_free (ItemEntry *entry)
{
  if (entry == NULL)
    return;
  g_free (entry->id);
  g_free (entry->name);
  g_free (entry->currency);
  g_free (entry);
}

static void
free_item_entry (gpointer entry)
{
  item_entry_free (entry);
}

Items *
items_new (const char *application)
{
  Items *items = g_new0 (Items, 1);
  items->application = g_strdup (application);
  items->entries = g_ptr_array_new_with_free_func (free_item_entry);
  return items;
}

void
items_free (Items *items)
{
  if (items == NULL)
    return;
  g_free (items->application);
  g_ptr_array_unref (items->entries);
  g_free (items);
}

void
items_write_request (const char *application, GString *out)
{
  g_string_append (out, "<items xmlns='" NS_MARKET "'");
  text_append_xml_attribute (out, "application", application);
  g_string_append (out, "/>");
}

void
items_write_result (const Items *items, GString *out)
{
  g_string_append (out, "<items xmlns='" NS_MARKET "'");
  text_append_xml_attribute (out, "application", items->application);
  text_append_xml_attribute (out, "licensed", items->is_licensed ? "true" : "false");
  g_string_append_c (out, '>');
  for (guint i = 0; i < items->entries->len; i++)
    {
      const ItemEntry *entry = g_ptr_array_index (items->entries, i);
      g_string_append (out, "<item");
      text_append_xml_attribute (out, "id", entry->id);
      text_append_xml_attribute (out, "name", entry->name);
      append_int (out, "price", entry->price_minor);
      text_append_xml_attribute (out, "currency", entry->currency);
      append_int (out, "amount", entry->amount);
      append_int (out, "counter", entry->counter);
      g_string_append (out, "/>");
    }
  g_string_append (out, "</items>");
}

static ItemEntry *
read_item_entry (TreeReader *reader, xmpp_stanza_t *element)
{
  ItemEntry *entry = g_new0 (ItemEntry, 1);
  entry->id = g_strdup (tree_need_id (reader, element, "id"));
  entry->name = g_strdup (tree_need (reader, element, "name"));
  entry->price_minor = tree_get_int (reader, element, "price", MAX_INT, 0);
  entry->currency = g_strdup (tree_get (reader, element, "currency"));
  entry->amount = tree_get_int (reader, element, "amount", MAX_INT, 1);
  entry->counter = tree_get_int (reader, element, "counter", MAX_INT, 0);
  return entry;
}

Items *
items_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (Items) items = items_new (NULL);

  tree_expect (&reader, element, "items", NS_MARKET);
  items->application = g_strdup (tree_need_id (&reader, element, "application"));
  items->is_licensed = tree_get_bool (&reader, element, "licensed");
  for (xmpp_stanza_t *child = reader.error == NULL ? xmpp_stanza_get_children (element) : NULL; child != NULL;
       child = xmpp_stanza_get_next (child))
    if (g_strcmp0 (xmpp_stanza_get_name (child), "item") == 0)
      g_ptr_array_add (items->entries, read_item_entry (&reader, child));
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&items) : NULL;
}

const ItemEntry *
items_find (const Items *items, const char *id)
{
  for (guint i = 0; i < items->entries->len; i++)
    {
      const ItemEntry *entry = g_ptr_array_index (items->entries, i);
      if (g_strcmp0 (entry->id, id) == 0)
        return entry;
    }
  return NULL;
}

static const char *const order_states[] = { "awaiting-payment", "paid",      "fulfilled", "declined", "expired",
                                            "refused",          "refunding", "refunded",  "review" };

const char *
order_state_to_text (OrderState state)
{
  return order_states[state];
}

gboolean
order_state_from_text (const char *text, OrderState *state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (order_states); i++)
    if (g_strcmp0 (text, order_states[i]) == 0)
      {
        *state = (OrderState) i;
        return TRUE;
      }
  return FALSE;
}

void
order_view_free (OrderView *order)
{
  if (order == NULL)
    return;
  g_free (order->id);
  g_free (order->plugin);
  g_free (order->item);
  g_free (order->currency);
  g_free (order->charge_url);
  g_free (order);
}

/* What an order is about: a plugin, or an item of an application. */
static void
append_wanted (GString *out, const char *plugin, const char *item)
{
  text_append_xml_attribute (out, item != NULL ? "application" : "plugin", plugin);
  text_append_xml_attribute (out, "item", item);
}

static void
read_wanted (TreeReader *reader, xmpp_stanza_t *element, char **plugin, char **item)
{
  const char *application = tree_get (reader, element, "application");
  if ((tree_get (reader, element, "item") == NULL) != (application == NULL))
    tree_fail (reader, "<order/>: 'application' and 'item' belong together");
  if (application != NULL && tree_get (reader, element, "plugin") != NULL)
    tree_fail (reader, "<order/>: it is for a 'plugin' or for an 'item', not for both");
  *item = application != NULL ? g_strdup (tree_need_id (reader, element, "item")) : NULL;
  *plugin = application != NULL ? g_strdup (tree_need_id (reader, element, "application"))
                                : g_strdup (tree_get (reader, element, "plugin"));
}

static void
append_order (const OrderView *order, const char *ns, GString *out)
{
  g_string_append (out, "<order");
  text_append_xml_attribute (out, "xmlns", ns);
  text_append_xml_attribute (out, "id", order->id);
  append_wanted (out, order->plugin, order->item);
  text_append_xml_attribute (out, "state", order_state_to_text (order->state));
  if (order->price_minor >= 0)
    append_int (out, "price", order->price_minor);
  text_append_xml_attribute (out, "currency", order->currency);
  if (order->expires_us != 0)
    {
      g_autofree char *expires = clock_dup_rfc3339 (order->expires_us);
      text_append_xml_attribute (out, "expires", expires);
    }
  if (order->charge_url != NULL)
    {
      g_string_append (out, "><charge");
      text_append_xml_attribute (out, "url", order->charge_url);
      g_string_append (out, "/></order>");
    }
  else
    g_string_append (out, "/>");
}

void
order_view_write (const OrderView *order, GString *out)
{
  append_order (order, NS_MARKET, out);
}

OrderView *
order_view_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (OrderView) order = g_new0 (OrderView, 1);

  tree_expect (&reader, element, "order", NS_MARKET);
  order->price_minor = -1;
  order->id = g_strdup (tree_need (&reader, element, "id"));
  const char *state = tree_need (&reader, element, "state");
  if (state != NULL && !order_state_from_text (state, &order->state))
    tree_fail (&reader, "<order/>: unknown state '%s'", state);
  read_wanted (&reader, element, &order->plugin, &order->item);
  order->price_minor = tree_get_int (&reader, element, "price", MAX_INT, -1);
  order->currency = g_strdup (tree_get (&reader, element, "currency"));
  order->expires_us = tree_get_time_us (&reader, element, "expires");
  xmpp_stanza_t *charge = reader.error == NULL ? tree_find (element, "charge", NS_MARKET) : NULL;
  if (charge != NULL)
    order->charge_url = g_strdup (tree_need (&reader, charge, "url"));
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&order) : NULL;
}

void
order_request_clear (OrderRequest *request)
{
  g_clear_pointer (&request->plugin, g_free);
  g_clear_pointer (&request->item, g_free);
  g_clear_pointer (&request->request, g_free);
  g_clear_pointer (&request->id, g_free);
}

void
order_request_write (const OrderRequest *request, GString *out)
{
  g_string_append (out, "<order xmlns='" NS_MARKET "'");
  append_wanted (out, request->plugin, request->item);
  text_append_xml_attribute (out, "request", request->request);
  text_append_xml_attribute (out, "id", request->id);
  if (request->kind == ORDER_REQUEST_DECLINE)
    g_string_append (out, " action='decline'");
  g_string_append (out, "/>");
}

gboolean
order_request_read (xmpp_stanza_t *element, gboolean is_set, OrderRequest *request, GError **error)
{
  TreeReader reader = { NULL };

  memset (request, 0, sizeof *request);
  tree_expect (&reader, element, "order", NS_MARKET);
  const char *id = tree_get (&reader, element, "id");
  const char *action = tree_get (&reader, element, "action");
  if (id != NULL)
    {
      request->id = g_strdup (tree_need (&reader, element, "id"));
      request->kind = is_set ? ORDER_REQUEST_DECLINE : ORDER_REQUEST_GET;
      if (is_set && g_strcmp0 (action, "decline") != 0)
        tree_fail (&reader, "<order/>: action='decline' is the only action");
    }
  else if (reader.error == NULL)
    {
      request->kind = ORDER_REQUEST_BUY;
      if (!is_set)
        tree_fail (&reader, "<order/>: 'id' is missing");
      read_wanted (&reader, element, &request->plugin, &request->item);
      if (request->item == NULL)
        tree_need_id (&reader, element, "plugin");
      request->request = g_strdup (tree_need (&reader, element, "request"));
      if (request->request != NULL && strlen (request->request) > ORDER_MAX_REQUEST_ID)
        tree_fail (&reader, "<order/>: 'request' is longer than %d bytes", ORDER_MAX_REQUEST_ID);
    }
  if (tree_reader_finish (&reader, error))
    return TRUE;
  order_request_clear (request);
  return FALSE;
}

static void
free_order_view (gpointer order)
{
  order_view_free (order);
}

Orders *
orders_new (void)
{
  Orders *orders = g_new0 (Orders, 1);
  orders->orders = g_ptr_array_new_with_free_func (free_order_view);
  paging_init (&orders->paging);
  return orders;
}

void
orders_free (Orders *orders)
{
  if (orders == NULL)
    return;
  g_ptr_array_unref (orders->orders);
  paging_clear (&orders->paging);
  g_free (orders);
}

void
orders_write_request (const Orders *orders, GString *out)
{
  g_string_append (out, "<orders xmlns='" NS_MARKET "'>");
  paging_write_request (&orders->paging, out);
  g_string_append (out, "</orders>");
}

void
orders_write_result (const Orders *orders, GString *out)
{
  g_string_append (out, "<orders xmlns='" NS_MARKET "'>");
  for (guint i = 0; i < orders->orders->len; i++)
    append_order (g_ptr_array_index (orders->orders, i), NULL, out);
  paging_write_result (&orders->paging, out);
  g_string_append (out, "</orders>");
}

Orders *
orders_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (Orders) orders = orders_new ();

  tree_expect (&reader, element, "orders", NS_MARKET);
  paging_read (&reader, element, &orders->paging);
  for (xmpp_stanza_t *child = reader.error == NULL ? xmpp_stanza_get_children (element) : NULL; child != NULL;
       child = xmpp_stanza_get_next (child))
    if (g_strcmp0 (xmpp_stanza_get_name (child), "order") == 0)
      {
        OrderView *order = order_view_read (child, error);
        if (order == NULL)
          return NULL;
        g_ptr_array_add (orders->orders, order);
      }
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&orders) : NULL;
}
