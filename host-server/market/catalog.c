#include "host-server/market/catalog.h"

#include "host-server/core/account-token.h"
#include "host-server/core/applications.h"
#include "host-server/core/hooks.h"
#include "host-server/core/service.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/room.h"
#include "host-server/store/counters.h"
#include "host-server/store/packages.h"

#include <string.h>

static gboolean
holds (const char *text, const char *folded_query)
{
  g_autofree char *folded = g_utf8_casefold (text, -1);
  return strstr (folded, folded_query) != NULL;
}

static gboolean
is_match (const Plugin *plugin, const char *folded_query)
{
  return folded_query == NULL || holds (plugin->id, folded_query) || holds (plugin->name, folded_query)
         || holds (plugin->vendor, folded_query) || holds (plugin->summary, folded_query);
}

static CatalogEntry *
make_entry (const Plugin *plugin, gboolean is_owned)
{
  CatalogEntry *entry = g_new0 (CatalogEntry, 1);
  entry->id = g_strdup (plugin->id);
  entry->name = g_strdup (plugin->name);
  entry->vendor = g_strdup (plugin->vendor);
  entry->version = g_strdup (plugin->version);
  entry->price_minor = plugin->price_minor;
  entry->currency = g_strdup (plugin->currency);
  entry->term = plugin->term[0] != '\0' ? g_strdup (plugin->term) : NULL;
  entry->summary = g_strdup (plugin->summary);
  entry->is_owned = is_owned;
  entry->n_items = plugin->n_items;
  return entry;
}

gboolean
catalog_fill (Catalog *catalog, const GPtrArray *plugins, GHashTable *owned)
{
  Paging *paging = &catalog->paging;
  g_autofree char *query = catalog->query != NULL ? g_utf8_casefold (catalog->query, -1) : NULL;
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  for (guint i = 0; i < plugins->len; i++)
    {
      Plugin *plugin = g_ptr_array_index (plugins, i);
      if (!plugin->is_retired && is_match (plugin, query))
        g_ptr_array_add (found, plugin);
    }

  gint64 max = paging->max < 0 || paging->max > MARKET_MAX_PAGE ? MARKET_MAX_PAGE : paging->max;
  gint64 start = MAX (paging->index, 0), end = found->len;
  const char *edge = paging->after != NULL ? paging->after : paging->before;
  if (edge != NULL && edge[0] != '\0')
    {
      guint at = 0;
      while (at < found->len && !g_str_equal (((Plugin *)g_ptr_array_index (found, at))->id, edge))
        at++;
      if (at == found->len)
        return FALSE;
      if (paging->after != NULL)
        start = (gint64)at + 1;
      else
        end = at;
    }
  if (paging->after == NULL && paging->before != NULL)
    start = MAX (end - max, 0);
  end = MIN (end, start + max);

  for (gint64 i = start; i < end; i++)
    {
      const Plugin *plugin = g_ptr_array_index (found, i);
      g_ptr_array_add (catalog->entries, make_entry (plugin, g_hash_table_contains (owned, plugin->id)));
    }
  paging->count = found->len;
  if (start < end)
    {
      paging->first = g_strdup (((Plugin *)g_ptr_array_index (found, start))->id);
      paging->first_index = start;
      paging->last = g_strdup (((Plugin *)g_ptr_array_index (found, end - 1))->id);
    }
  return TRUE;
}

const GPtrArray *
catalog_get_plugins (Market *market, GError **error)
{
  if (market->catalog == NULL)
    market->catalog = plugins_load_all (market_peek_reader (market), error);
  return market->catalog;
}

const Plugin *
catalog_find (Market *market, const char *id)
{
  const GPtrArray *plugins = catalog_get_plugins (market, NULL);
  guint low = 0, high = plugins != NULL ? plugins->len : 0;
  while (low < high)
    {
      guint middle = (low + high) / 2;
      const Plugin *plugin = g_ptr_array_index (plugins, middle);
      int order = strcmp (id, plugin->id);
      if (order == 0)
        return plugin;
      if (order < 0)
        high = middle;
      else
        low = middle + 1;
    }
  return NULL;
}

GHashTable *
catalog_load_owned (Market *market, const char *account, GError **error)
{
  GError *local = NULL;
  g_autoptr (GHashTable) owned = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (DbQuery) query = db_query (
      market_peek_reader (market),
      "SELECT plugin FROM entitlement WHERE account = ? AND state IN ('active', 'suspended')", "s", account);
  while (db_next (query, &local))
    g_hash_table_add (owned, db_dup_text (query, 0));
  if (local == NULL)
    return g_steal_pointer (&owned);
  g_propagate_error (error, local);
  return NULL;
}

/* Where the package of an entry is and what it asks for, if there is one and anybody could fetch it. */
static gboolean
add_package (Market *market, CatalogEntry *entry, const char *url, GError **error)
{
  GError *local = NULL;
  g_autoptr (PackageRow) row = packages_find_offered (market_peek_reader (market), entry->id, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (row == NULL)
    return TRUE;
  entry->package = g_strdup_printf ("%s/v1/plugins/%s/%s/%s-%s.stoa", url, entry->id, row->version, entry->id,
                                    row->version);
  entry->sha256 = g_steal_pointer (&row->sha256);
  entry->size = row->size;
  entry->permissions = g_steal_pointer (&row->permissions);
  return TRUE;
}

static gboolean
add_packages (Market *market, Catalog *catalog, GError **error)
{
  g_autofree char *url = account_token_dup_issuer (market->server);
  for (guint i = 0; url != NULL && i < catalog->entries->len; i++)
    if (!add_package (market, g_ptr_array_index (catalog->entries, i), url, error))
      return FALSE;
  return TRUE;
}

static gboolean
is_owner (const char *account, const char *plugin, gpointer data)
{
  g_autoptr (DbQuery) query
      = db_query (market_peek_reader (data),
                  "SELECT 1 FROM entitlement WHERE account = ? AND plugin = ? AND state = 'active'", "ss", account,
                  plugin);
  return db_next (query, NULL);
}

static void
handle_catalog (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (Catalog) catalog = catalog_read (service_request_get_tree (request), &error);
  if (catalog == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  const GPtrArray *plugins = catalog_get_plugins (market, &error);
  g_autoptr (GHashTable) owned
      = plugins != NULL ? catalog_load_owned (market, service_request_get_account (request), &error) : NULL;
  if (owned == NULL)
    {
      service_request_fail (request, "market", error);
      return;
    }
  g_ptr_array_set_size (catalog->entries, 0);
  if (!catalog_fill (catalog, plugins, owned))
    {
      service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
      return;
    }
  if (!add_packages (market, catalog, &error))
    {
      service_request_fail (request, "market", error);
      return;
    }
  g_autoptr (GString) xml = g_string_new (NULL);
  catalog_write_result (catalog, xml);
  service_request_reply (request, xml->str);
}

/* What can be bought inside an application, and what the user has of it. */

char *
catalog_dup_name (Market *market, const char *plugin_id, const char *item_id)
{
  const Plugin *plugin = catalog_find (market, plugin_id);
  const char *name = plugin != NULL ? plugin->name : plugin_id;
  if (item_id == NULL || item_id[0] == '\0')
    return g_strdup (name);
  g_autoptr (Item) item = item_load (market_peek_reader (market), plugin_id, item_id, NULL);
  return g_strdup_printf ("%s: %s", name, item != NULL ? item->name : item_id);
}

static gboolean
add_item (Market *market, Items *items, const Item *item, const char *account, GError **error)
{
  Counter counter = { account, item->application, item->id };
  g_autoptr (ItemEntry) entry = g_new0 (ItemEntry, 1);
  if (!counter_read (market_peek_reader (market), &counter, &entry->counter, error))
    return FALSE;
  entry->id = g_strdup (item->id);
  entry->name = g_strdup (item->name);
  entry->price_minor = item->price_minor;
  entry->currency = g_strdup (item->currency);
  entry->amount = item->amount;
  g_ptr_array_add (items->entries, g_steal_pointer (&entry));
  return TRUE;
}

static gboolean
fill_items (Market *market, Items *items, const char *account, GError **error)
{
  g_autoptr (GPtrArray) found = items_load (market_peek_reader (market), items->application, error);
  ApplicationLicence licence;
  if (found == NULL
      || !applications_find_licence (market->server->applications, account, items->application, &licence,
                                     error))
    return FALSE;
  items->is_licensed = licence.is_licensed;
  for (guint i = 0; i < found->len; i++)
    {
      const Item *item = g_ptr_array_index (found, i);
      if (!item->is_retired && !add_item (market, items, item, account, error))
        return FALSE;
    }
  return TRUE;
}

static void
handle_items (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (Items) items = items_read (service_request_get_tree (request), &error);
  if (items == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  const Plugin *plugin = catalog_find (market, items->application);
  g_ptr_array_set_size (items->entries, 0);
  if (plugin == NULL || plugin->is_retired)
    service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  else if (!fill_items (market, items, service_request_get_account (request), &error))
    service_request_fail (request, "market", error);
  else
    {
      g_autoptr (GString) xml = g_string_new (NULL);
      items_write_result (items, xml);
      service_request_reply (request, xml->str);
    }
}

void
catalog_init (Market *market)
{
  hooks_set_owner (market->server->hooks, is_owner, market);
  services_add_feature (market->server->services, SERVICE_MARKET, NS_MARKET);
  services_add (market->server->services, SERVICE_MARKET, STANZA_TYPE_GET, "catalog", NS_MARKET,
                SERVICE_DEFAULT, handle_catalog, market);
  services_add (market->server->services, SERVICE_MARKET, STANZA_TYPE_GET, "items", NS_MARKET,
                SERVICE_DEFAULT, handle_items, market);
}
