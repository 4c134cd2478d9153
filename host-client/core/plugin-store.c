#include "host-client/core/plugin-store.h"

#include <string.h>

struct PluginStore
{
  Db *db;
};

static const char *const steps[] = {
  "CREATE TABLE plugin_value (jid TEXT NOT NULL, plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT "
  "NULL,"
  " PRIMARY KEY (jid, plugin, key)) WITHOUT ROWID;",
};

PluginStore *
plugin_store_open (const char *path, GError **error)
{
  g_autoptr (PluginStore) store = g_new0 (PluginStore, 1);

  store->db = db_open (path, DB_OPEN_NORMAL, error);
  if (store->db == NULL || !db_migrate (store->db, steps, G_N_ELEMENTS (steps), error))
    return NULL;
  return g_steal_pointer (&store);
}

void
plugin_store_free (PluginStore *store)
{
  if (store == NULL)
    return;
  g_clear_pointer (&store->db, db_close);
  g_free (store);
}

GBytes *
plugin_store_get (PluginStore *store, const char *jid, const char *plugin, const char *key, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (store->db, "SELECT value FROM plugin_value WHERE jid = ? AND plugin = ? AND key = ?", "sss",
                  jid, plugin, key);
  const void *bytes;
  gsize length;

  if (!db_next (query, error))
    return NULL;
  bytes = db_get_blob (query, 0, &length);
  return g_bytes_new (bytes, length);
}

/* What the plugin keeps without @key: bytes of keys and values, and how many. */
static gboolean
measure (PluginStore *store, const char *jid, const char *plugin, const char *key, guint64 *n_bytes,
         guint64 *n_keys, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (store->db,
                  "SELECT coalesce (sum (length (key) + length (value)), 0), count (*) FROM plugin_value"
                  " WHERE jid = ? AND plugin = ? AND key <> ?",
                  "sss", jid, plugin, key);

  if (!db_next (query, error))
    return FALSE;
  *n_bytes = (guint64)db_get_int (query, 0);
  *n_keys = (guint64)db_get_int (query, 1);
  return TRUE;
}

PluginStoreResult
plugin_store_put (PluginStore *store, const char *jid, const char *plugin, const char *key, GBytes *value,
                  guint64 quota_bytes, GError **error)
{
  gsize key_length = strlen (key);
  guint64 n_bytes, n_keys;
  gconstpointer bytes;
  gsize length;

  if (key_length < 1 || key_length > PLUGIN_STORE_MAX_KEY
      || (value != NULL && g_bytes_get_size (value) > PLUGIN_STORE_MAX_VALUE))
    return PLUGIN_STORE_BAD;
  if (value == NULL)
    return db_run (store->db, error, "DELETE FROM plugin_value WHERE jid = ? AND plugin = ? AND key = ?",
                   "sss", jid, plugin, key)
               ? PLUGIN_STORE_KEPT
               : PLUGIN_STORE_FAILED;
  if (!measure (store, jid, plugin, key, &n_bytes, &n_keys, error))
    return PLUGIN_STORE_FAILED;
  bytes = g_bytes_get_data (value, &length);
  if (n_keys + 1 > PLUGIN_STORE_MAX_KEYS || n_bytes + key_length + length > quota_bytes)
    return PLUGIN_STORE_FULL;
  return db_run (store->db, error,
                 "INSERT INTO plugin_value (jid, plugin, key, value) VALUES (?, ?, ?, ?)"
                 " ON CONFLICT (jid, plugin, key) DO UPDATE SET value = excluded.value",
                 "sssb", jid, plugin, key, length > 0 ? bytes : "", length)
             ? PLUGIN_STORE_KEPT
             : PLUGIN_STORE_FAILED;
}
