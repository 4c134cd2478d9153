#include "host-server/market/books/pool.h"

#include "common/protocol/serials.h"

#include <string.h>

static const char *
find_fault (const char *key, gsize length)
{
  if (length > SERIAL_MAX_LENGTH)
    return "longer than 4096 bytes";
  for (gsize i = 0; i < length; i++)
    if (key[i] < 0x20 || key[i] > 0x7e)
      return "a character that is not printable ASCII";
  if (key[0] == ' ' || key[length - 1] == ' ')
    return "a space at its start or end";
  return NULL;
}

static guint
secret_hash (gconstpointer data)
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (data, &length);
  guint hash = 5381;
  for (gsize i = 0; i < length; i++)
    hash = hash * 33 + bytes[i];
  return hash;
}

static gboolean
secret_is_same (gconstpointer a, gconstpointer b)
{
  return secret_equal (a, b);
}

GPtrArray *
pool_parse (const char *text, gsize length, GArray *faults)
{
  GPtrArray *keys = g_ptr_array_new_with_free_func ((GDestroyNotify)secret_free);
  g_autoptr (GHashTable) seen = g_hash_table_new (secret_hash, secret_is_same);
  const char *end = text + length;

  guint number = 0;
  for (const char *line = text; line < end;)
    {
      const char *stop = memchr (line, '\n', (gsize)(end - line));
      const char *next = stop != NULL ? stop + 1 : end;
      gsize size = (gsize)((stop != NULL ? stop : end) - line);
      number++;
      if (size > 0 && line[size - 1] == '\r')
        size--;
      if (size > 0)
        {
          PoolFault fault = { number, find_fault (line, size) };
          Secret *key = fault.reason == NULL ? secret_new (line, size) : NULL;
          if (key != NULL && g_hash_table_contains (seen, key))
            fault.reason = "a duplicate of an earlier line";
          else if (key != NULL && keys->len >= POOL_MAX_KEYS)
            fault.reason = "over 100000 keys in one file";
          if (fault.reason != NULL)
            {
              g_array_append_val (faults, fault);
              secret_free (key);
            }
          else
            {
              g_hash_table_add (seen, key);
              g_ptr_array_add (keys, key);
            }
        }
      line = next;
    }
  return keys;
}

static char *
seal_label (const char *plugin)
{
  return g_strconcat ("pool ", plugin, NULL);
}

gboolean
pool_import (Turn *turn, const char *plugin, const GPtrArray *keys, gboolean is_dry_run, PoolImport *result,
             GError **error)
{
  g_autofree char *label = seal_label (plugin);
  *result = (PoolImport){ 0 };
  for (guint i = 0; i < keys->len; i++)
    {
      const Secret *key = g_ptr_array_index (keys, i);
      guint8 digest[SERIAL_DIGEST_BYTES];
      market_keys_digest_serial (&turn->desk->keys, plugin, key, digest);

      gboolean is_known;
      {
        g_autoptr (DbQuery) query = db_query (
            turn->db,
            "SELECT 1 FROM pool_key WHERE plugin = ? AND digest = ?"
            " UNION ALL SELECT 1 FROM issued_serial WHERE plugin = ? AND digest = ?",
            "sbsb", plugin, (const void *)digest, sizeof digest, plugin, (const void *)digest, sizeof digest);
        if (!turn_find (query, &is_known, error))
          return FALSE;
      }
      if (is_known)
        {
          result->n_known++;
          continue;
        }
      result->n_new++;
      if (is_dry_run)
        continue;
      g_autoptr (GBytes) sealed = store_seal (turn->desk->store, label, key);
      gsize length;
      const void *bytes = g_bytes_get_data (sealed, &length);
      if (!db_run (turn->db, error,
                   "INSERT INTO pool_key (plugin, digest, sealed, state) VALUES (?, ?, ?, 'free')", "sbb",
                   plugin, (const void *)digest, sizeof digest, bytes, length))
        return FALSE;
    }
  return TRUE;
}

static gboolean
warn_if_low (Turn *turn, const char *plugin, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "SELECT COUNT (*) FROM (SELECT 1 FROM pool_key WHERE plugin = ? AND state = 'free' LIMIT ?) AS few",
      "si", plugin, (gint64)POOL_LOW_WATER + 1);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  gint64 n_free = db_get_int (query, 0);
  if (n_free == POOL_LOW_WATER || n_free == 0)
    turn_log (turn, LOG_LEVEL_WARNING, "pool is low plugin=%s free=%" G_GINT64_FORMAT, plugin, n_free);
  return TRUE;
}

gboolean
pool_take (Turn *turn, const char *plugin, const char *line, guint generation, PoolUse use, Secret **key,
           GError **error)
{
  *key = NULL;
  g_autofree char *label = seal_label (plugin);
  for (;;)
    {
      gint64 id;
      gboolean is_found;
      g_autoptr (Secret) opened = NULL;
      {
        g_autoptr (DbQuery) query = db_query (
            turn->db,
            "SELECT id, sealed FROM pool_key WHERE plugin = ? AND state = 'free' ORDER BY id LIMIT 1", "s",
            plugin);
        if (!turn_find (query, &is_found, error))
          return FALSE;
        if (!is_found)
          return TRUE;
        id = db_get_int (query, 0);
        gsize length;
        const void *sealed = db_get_blob (query, 1, &length);
        opened = store_unseal (turn->desk->store, label, sealed, length);
      }
      if (!db_run (turn->db, error, "UPDATE pool_key SET state = ?, line = ?, generation = ? WHERE id = ?",
                   "ssii",
                   opened == NULL        ? "burned"
                   : use == POOL_RESERVE ? "reserved"
                                         : "delivered",
                   line, (gint64)generation, id))
        return FALSE;
      if (opened != NULL)
        {
          *key = g_steal_pointer (&opened);
          return warn_if_low (turn, plugin, error);
        }
      turn_log (turn, LOG_LEVEL_ERROR,
                "a pool key cannot be opened and was burned plugin=%s key=%" G_GINT64_FORMAT, plugin, id);
    }
}

gboolean
pool_deliver (Turn *turn, const char *line, GError **error)
{
  return db_run (turn->db, error,
                 "UPDATE pool_key SET state = 'delivered' WHERE line = ? AND state = 'reserved'", "s", line);
}

gboolean
pool_release (Turn *turn, const char *line, GError **error)
{
  return db_run (turn->db, error,
                 "UPDATE pool_key SET state = CASE WHEN EXISTS (SELECT 1 FROM purchase_line l JOIN purchase p"
                 " ON p.id = l.purchase JOIN restoration r ON r.restored_us >= p.created_us"
                 " WHERE l.id = pool_key.line) THEN 'frozen' ELSE 'free' END, line = NULL, generation = NULL"
                 " WHERE line = ? AND state = 'reserved'",
                 "s", line);
}

gboolean
pool_burn (Turn *turn, const char *line, GError **error)
{
  return db_run (turn->db, error,
                 "UPDATE pool_key SET state = 'burned' WHERE line = ? AND state = 'delivered'", "s", line);
}

gboolean
pool_thaw (Turn *turn, const char *plugin, const GPtrArray *keys, PoolThaw *result, GError **error)
{
  *result = (PoolThaw){ 0 };
  for (guint i = 0; keys != NULL && i < keys->len; i++)
    {
      guint8 digest[SERIAL_DIGEST_BYTES];
      market_keys_digest_serial (&turn->desk->keys, plugin, g_ptr_array_index (keys, i), digest);
      if (!db_run (turn->db, error,
                   "UPDATE pool_key SET state = 'free' WHERE plugin = ? AND digest = ? AND state = 'frozen'",
                   "sb", plugin, (const void *)digest, sizeof digest))
        return FALSE;
      gboolean is_thawed = db_get_changes (turn->db) == 1;
      result->n_thawed += is_thawed;
      result->n_unknown += !is_thawed;
    }
  if (keys == NULL)
    {
      if (!db_run (turn->db, error, "UPDATE pool_key SET state = 'free' WHERE plugin = ? AND state = 'frozen'",
                   "s", plugin))
        return FALSE;
      result->n_thawed = (guint)db_get_changes (turn->db);
    }
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      turn->db, "SELECT COUNT (*) FROM pool_key WHERE plugin = ? AND state = 'frozen'", "s", plugin);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  result->n_left = (guint)db_get_int (query, 0);
  return TRUE;
}

gboolean
pool_is_frozen (Db *db, const char *plugin, gboolean *is_frozen, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT 1 FROM pool_key WHERE plugin = ? AND state = 'frozen' LIMIT 1", "s", plugin);
  return turn_find (query, is_frozen, error);
}

gboolean
pool_has_free (Db *db, const char *plugin)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT 1 FROM pool_key WHERE plugin = ? AND state = 'free' LIMIT 1", "s", plugin);
  return turn_find (query, &is_found, NULL) && is_found;
}
