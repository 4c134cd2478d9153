#include "host-server/market/books/plugins.h"

#include "common/base/text.h"
#include "common/net/http-client.h"
#include "host-server/market/books/term.h"

#include <gio/gio.h>
#include <string.h>

void
plugin_free (Plugin *plugin)
{
  if (plugin == NULL)
    return;
  g_free (plugin->id);
  g_free (plugin->vendor);
  g_free (plugin->name);
  g_free (plugin->version);
  g_free (plugin->summary);
  g_free (plugin->currency);
  g_free (plugin->term);
  g_free (plugin->billing);
  g_free (plugin->source);
  g_free (plugin->fallback);
  g_free (plugin->module);
  g_free (plugin->base);
  g_free (plugin->package);
  g_free (plugin->fault);
  g_free (plugin->functions);
  if (plugin->items != NULL)
    g_ptr_array_unref (plugin->items);
  g_free (plugin);
}

/* What a key's value must be. */
typedef enum
{
  WORD_TEXT, /* 1 to 200 bytes, XML characters */
  WORD_ID,
  WORD_PRICE,
  WORD_CURRENCY,
  WORD_TERM,
  WORD_SOURCE,
  WORD_POLICY,
  WORD_URL,
  WORD_PATH, /* inside a folder: relative, without ".." */
  WORD_AMOUNT,
} Word;

static const struct
{
  const char *group, *key;
  Word word;
  gboolean is_required;
  glong field; /* offset of the text in Plugin; -1: not kept as text */
} manifest_keys[] = {
  { "Plugin", "id", WORD_ID, TRUE, G_STRUCT_OFFSET (Plugin, id) },
  { "Plugin", "name", WORD_TEXT, TRUE, G_STRUCT_OFFSET (Plugin, name) },
  { "Plugin", "vendor", WORD_ID, TRUE, G_STRUCT_OFFSET (Plugin, vendor) },
  { "Plugin", "version", WORD_TEXT, TRUE, G_STRUCT_OFFSET (Plugin, version) },
  { "Plugin", "summary", WORD_TEXT, FALSE, G_STRUCT_OFFSET (Plugin, summary) },
  { "Plugin", "price", WORD_PRICE, TRUE, -1 },
  { "Plugin", "currency", WORD_CURRENCY, FALSE, G_STRUCT_OFFSET (Plugin, currency) },
  { "Plugin", "term", WORD_TERM, FALSE, G_STRUCT_OFFSET (Plugin, term) },
  { "Plugin", "billing", WORD_TEXT, FALSE, G_STRUCT_OFFSET (Plugin, billing) },
  { "Serial", "source", WORD_SOURCE, TRUE, G_STRUCT_OFFSET (Plugin, source) },
  { "Serial", "fallback", WORD_SOURCE, FALSE, G_STRUCT_OFFSET (Plugin, fallback) },
  { "Serial", "module", WORD_PATH, FALSE, G_STRUCT_OFFSET (Plugin, module) },
  { "Serial", "policy", WORD_POLICY, FALSE, -1 },
  { "PluginServer", "base", WORD_URL, FALSE, G_STRUCT_OFFSET (Plugin, base) },
  { "Package", "file", WORD_PATH, FALSE, G_STRUCT_OFFSET (Plugin, package) },
};

/* Of each [Item ID]. */
#define ITEM_GROUP "Item "
static const char *const item_keys[] = { "name", "price", "currency", "amount", NULL };

static gboolean
parse_price (const char *text, gint64 *price)
{
  return g_ascii_string_to_signed (text, 10, 0, PROVIDER_MAX_AMOUNT, price, NULL);
}

static gboolean
parse_amount (const char *text, gint64 *amount)
{
  return g_ascii_string_to_signed (text, 10, 1, ITEM_MAX_AMOUNT, amount, NULL);
}

static const char *
find_problem (Word word, const char *value)
{
  gint64 unused;
  switch (word)
    {
    case WORD_TEXT:
      return strlen (value) > 200 || !text_is_xml (value, strlen (value))
                 ? "must be at most 200 bytes of text"
                 : NULL;
    case WORD_ID:
      return text_is_market_id (value) ? NULL : "must match [a-z0-9][a-z0-9.-]{0,63}";
    case WORD_PRICE:
      return parse_price (value, &unused) ? NULL : "must be a whole number of minor units, 0 or more";
    case WORD_CURRENCY:
      return strlen (value) == 3 && g_ascii_isupper (value[0]) && g_ascii_isupper (value[1])
                     && g_ascii_isupper (value[2])
                 ? NULL
                 : "must be an ISO 4217 code";
    case WORD_TERM:
      return term_is_valid (value) ? NULL : "must be one unit of an ISO 8601 duration, as P1Y or P3M";
    case WORD_SOURCE:
      return g_str_equal (value, SOURCE_KEYGEN) || g_str_equal (value, SOURCE_PLUGIN_SERVER)
                     || g_str_equal (value, SOURCE_POOL)
                 ? NULL
                 : "must be keygen, plugin-server or pool";
    case WORD_POLICY:
      return g_str_equal (value, POLICY_ON_PAYMENT) || g_str_equal (value, POLICY_RESERVE)
                 ? NULL
                 : "must be on-payment or reserve";
    case WORD_AMOUNT:
      return parse_amount (value, &unused) ? NULL : "must be a whole number from 1 to 1000000";
    case WORD_URL:
      return http_url_is_acceptable (value) ? NULL : "must be an https URL, or http on loopback";
    case WORD_PATH:
    default:
      return value[0] == '/' || strstr (value, "..") != NULL || strlen (value) > 200
                 ? "must be a path inside its folder"
                 : NULL;
    }
}

static gboolean
is_known_key (const char *group, const char *key)
{
  if (g_str_has_prefix (group, ITEM_GROUP))
    return g_strv_contains (item_keys, key);
  for (gsize i = 0; i < G_N_ELEMENTS (manifest_keys); i++)
    if (g_str_equal (manifest_keys[i].group, group)
        && (key == NULL || g_str_equal (manifest_keys[i].key, key)))
      return TRUE;
  return FALSE;
}

/* The group as a key file of its own, for the room that knows it. */
static char *
dup_group (GKeyFile *file, const char *group)
{
  if (!g_key_file_has_group (file, group))
    return g_strdup ("");
  g_autoptr (GKeyFile) part = g_key_file_new ();
  g_auto (GStrv) names = g_key_file_get_keys (file, group, NULL, NULL);
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autofree char *value = g_key_file_get_value (file, group, names[i], NULL);
      g_key_file_set_value (part, group, names[i], value);
    }
  return g_key_file_to_data (part, NULL, NULL);
}

static gboolean
refuse_unknown (GKeyFile *file, GError **error)
{
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  for (gsize i = 0; groups[i] != NULL; i++)
    {
      g_auto (GStrv) names = g_key_file_get_keys (file, groups[i], NULL, NULL);
      if (g_str_equal (groups[i], FUNCTIONS_GROUP))
        continue;
      for (gsize k = 0; names != NULL && names[k] != NULL; k++)
        if (!is_known_key (groups[i], names[k]))
          {
            g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[%s] %s: unknown key", groups[i],
                         names[k]);
            return FALSE;
          }
    }
  return TRUE;
}

static gboolean
needs_of_source (const Plugin *plugin, const char *source, GError **error)
{
  const char *missing = NULL;
  if (g_str_equal (source, SOURCE_KEYGEN) && plugin->module[0] == '\0')
    missing = "[Serial] module: missing, the source is a keygen";
  if (g_str_equal (source, SOURCE_PLUGIN_SERVER) && plugin->base[0] == '\0')
    missing = "[PluginServer] base: missing, the source is a plugin server";
  if (missing != NULL)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, missing);
  return missing == NULL;
}

/* The value of a key that is as it must be: "" if it is not given and need not be; NULL with @error. */
static char *
read_value (GKeyFile *file, const char *group, const char *key, Word word, gboolean is_required,
            GError **error)
{
  g_autofree char *value = g_key_file_get_string (file, group, key, NULL);
  gboolean is_given = value != NULL && value[0] != '\0';
  const char *problem = is_given ? find_problem (word, value) : is_required ? "missing" : NULL;
  if (problem == NULL)
    return is_given ? g_steal_pointer (&value) : g_strdup ("");
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[%s] %s: %s", group, key, problem);
  return NULL;
}

static Item *
read_item (GKeyFile *file, const char *group, const Plugin *plugin, GError **error)
{
  g_autoptr (Item) item = g_new0 (Item, 1);
  item->application = g_strdup (plugin->id);
  item->id = g_strdup (group + strlen (ITEM_GROUP));
  if (!text_is_market_id (item->id))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[%s]: its id %s", group,
                   find_problem (WORD_ID, item->id));
      return NULL;
    }
  g_autofree char *price = NULL, *currency = NULL, *amount = NULL;
  if ((item->name = read_value (file, group, "name", WORD_TEXT, TRUE, error)) == NULL
      || (price = read_value (file, group, "price", WORD_PRICE, TRUE, error)) == NULL
      || (currency = read_value (file, group, "currency", WORD_CURRENCY, FALSE, error)) == NULL
      || (amount = read_value (file, group, "amount", WORD_AMOUNT, FALSE, error)) == NULL)
    return NULL;
  parse_price (price, &item->price_minor);
  item->amount = 1;
  if (amount[0] != '\0')
    parse_amount (amount, &item->amount);
  item->currency = g_strdup (currency[0] != '\0' ? currency : plugin->currency);
  if (item->price_minor > 0 && item->currency[0] == '\0')
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[%s] currency: missing, it has a price",
                   group);
      return NULL;
    }
  return g_steal_pointer (&item);
}

static gboolean
read_items (GKeyFile *file, Plugin *plugin, GError **error)
{
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  plugin->items = g_ptr_array_new_with_free_func ((GDestroyNotify)item_free);
  for (gsize i = 0; groups[i] != NULL; i++)
    {
      if (!g_str_has_prefix (groups[i], ITEM_GROUP))
        continue;
      Item *item = read_item (file, groups[i], plugin, error);
      if (item == NULL)
        return FALSE;
      g_ptr_array_add (plugin->items, item);
    }
  plugin->n_items = plugin->items->len;
  const char *problem = plugin->n_items > ITEMS_MAX ? "there are more than 64 items"
                        : plugin->n_items > 0 && plugin->functions[0] == '\0'
                            ? "needs [" FUNCTIONS_GROUP "] with user_data, where its counter is kept"
                            : NULL;
  if (problem != NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[" ITEM_GROUP "%s]: %s",
                 ((Item *)g_ptr_array_index (plugin->items, plugin->n_items - 1))->id, problem);
  return problem == NULL;
}

Plugin *
plugin_parse_manifest (const char *text, gsize length, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  if (!g_key_file_load_from_data (file, text, length, G_KEY_FILE_NONE, error)
      || !refuse_unknown (file, error))
    return NULL;

  g_autoptr (Plugin) plugin = g_new0 (Plugin, 1);
  for (gsize i = 0; i < G_N_ELEMENTS (manifest_keys); i++)
    {
      const char *group = manifest_keys[i].group, *key = manifest_keys[i].key;
      g_autofree char *value
          = read_value (file, group, key, manifest_keys[i].word, manifest_keys[i].is_required, error);
      if (value == NULL)
        return NULL;
      if (manifest_keys[i].word == WORD_PRICE)
        parse_price (value, &plugin->price_minor);
      if (manifest_keys[i].word == WORD_POLICY)
        plugin->is_reserve = g_strcmp0 (value, POLICY_RESERVE) == 0;
      if (manifest_keys[i].field >= 0)
        G_STRUCT_MEMBER (char *, plugin, manifest_keys[i].field) = g_steal_pointer (&value);
    }
  if (plugin->price_minor > 0 && plugin->currency[0] == '\0')
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[Plugin] currency: missing, it has a price");
      return NULL;
    }
  if (g_str_equal (plugin->source, plugin->fallback))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[Serial] fallback: must be another source");
      return NULL;
    }
  plugin->functions = dup_group (file, FUNCTIONS_GROUP);
  if (!read_items (file, plugin, error))
    return NULL;
  if (!needs_of_source (plugin, plugin->source, error) || !needs_of_source (plugin, plugin->fallback, error))
    return NULL;
  return g_steal_pointer (&plugin);
}

static gboolean
find_vendor (Turn *turn, const Plugin *plugin, PluginOutcome *outcome, GError **error)
{
  gboolean is_found;
  {
    g_autoptr (DbQuery) query = db_query (turn->db, "SELECT 1 FROM vendor WHERE id = ?", "s", plugin->vendor);
    if (!turn_find (query, &is_found, error))
      return FALSE;
  }
  *outcome = is_found ? PLUGIN_STORED : PLUGIN_NO_VENDOR;
  g_autoptr (DbQuery) query = db_query (turn->db, "SELECT vendor FROM plugin WHERE id = ?", "s", plugin->id);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  if (is_found && !g_str_equal (db_get_text (query, 0), plugin->vendor))
    *outcome = PLUGIN_OTHER_VENDOR;
  return TRUE;
}

gboolean
plugin_store (Turn *turn, const Plugin *plugin, PluginOutcome *outcome, GError **error)
{
  if (!find_vendor (turn, plugin, outcome, error))
    return FALSE;
  if (*outcome != PLUGIN_STORED)
    return TRUE;
  turn_log (turn, LOG_LEVEL_INFO, "plugin on sale plugin=%s version=%s source=%s", plugin->id,
            plugin->version, plugin->source);
  return db_run (
             turn->db, error,
             "INSERT INTO plugin (id, vendor, name, version, summary, price_minor, currency, term, billing, "
             "source,"
             " fallback, module, base, package, policy, is_retired, created_us, changed_us)"
             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT (id) DO UPDATE SET"
             " name = excluded.name, version = excluded.version, summary = excluded.summary,"
             " price_minor = excluded.price_minor, currency = excluded.currency, term = excluded.term,"
             " billing = excluded.billing, source = excluded.source, fallback = excluded.fallback,"
             " module = excluded.module, base = excluded.base, package = excluded.package, policy = "
             "excluded.policy,"
             " is_retired = 0,"
             " fault = NULL, changed_us = excluded.changed_us",
             "sssssisssssssssii", plugin->id, plugin->vendor, plugin->name, plugin->version, plugin->summary,
             plugin->price_minor, plugin->currency, plugin->term, plugin->billing, plugin->source,
             plugin->fallback, plugin->module, plugin->base, plugin->package,
             plugin->is_reserve ? POLICY_RESERVE : POLICY_ON_PAYMENT, turn->now_us, turn->now_us)
         && items_store (turn, plugin->id, plugin->items, error);
}

gboolean
plugin_retire (Turn *turn, const char *id, gboolean *is_found, GError **error)
{
  if (!db_run (turn->db, error, "UPDATE plugin SET is_retired = 1, changed_us = ? WHERE id = ?", "is",
               turn->now_us, id))
    return FALSE;
  *is_found = db_get_changes (turn->db) == 1;
  return TRUE;
}

gboolean
plugin_set_fault (Turn *turn, const char *id, const char *reason, GError **error)
{
  turn_log (turn, LOG_LEVEL_ERROR, "source is misconfigured, no new sales plugin=%s: %s", id, reason);
  return db_run (turn->db, error, "UPDATE plugin SET fault = ?, changed_us = ? WHERE id = ?", "sis", reason,
                 turn->now_us, id);
}

gboolean
plugin_clear_fault (Turn *turn, const char *id, GError **error)
{
  turn_log (turn, LOG_LEVEL_INFO, "source works again plugin=%s", id);
  return db_run (turn->db, error, "UPDATE plugin SET fault = NULL, changed_us = ? WHERE id = ?", "is",
                 turn->now_us, id);
}

#define COLUMNS                                                                                              \
  "id, vendor, name, version, summary, price_minor, currency, term, billing, source, fallback, module, "     \
  "base, package,"                                                                                           \
  " is_retired, fault, policy, (SELECT COUNT (*) FROM item i WHERE i.application = plugin.id AND"            \
  " i.is_retired = 0) FROM plugin "

static Plugin *
read_row (DbQuery *query)
{
  Plugin *plugin = g_new0 (Plugin, 1);
  plugin->id = db_dup_text (query, 0);
  plugin->vendor = db_dup_text (query, 1);
  plugin->name = db_dup_text (query, 2);
  plugin->version = db_dup_text (query, 3);
  plugin->summary = db_dup_text (query, 4);
  plugin->price_minor = db_get_int (query, 5);
  plugin->currency = db_dup_text (query, 6);
  plugin->term = db_dup_text (query, 7);
  plugin->billing = db_dup_text (query, 8);
  plugin->source = db_dup_text (query, 9);
  plugin->fallback = db_dup_text (query, 10);
  plugin->module = db_dup_text (query, 11);
  plugin->base = db_dup_text (query, 12);
  plugin->package = db_dup_text (query, 13);
  plugin->is_retired = db_get_int (query, 14) != 0;
  plugin->fault = db_dup_text (query, 15);
  plugin->is_reserve = g_strcmp0 (db_get_text (query, 16), POLICY_RESERVE) == 0;
  plugin->n_items = (guint)db_get_int (query, 17);
  return plugin;
}

Plugin *
plugin_load (Db *db, const char *id, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (db, "SELECT " COLUMNS "WHERE id = ?", "s", id);
  return turn_find (query, &is_found, error) && is_found ? read_row (query) : NULL;
}

GPtrArray *
plugins_load_all (Db *db, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) plugins = g_ptr_array_new_with_free_func ((GDestroyNotify)plugin_free);
  g_autoptr (DbQuery) query = db_query (db, "SELECT " COLUMNS "ORDER BY id", "");
  while (db_next (query, &local))
    g_ptr_array_add (plugins, read_row (query));
  if (local == NULL)
    return g_steal_pointer (&plugins);
  g_propagate_error (error, local);
  return NULL;
}
