#include "host-server/store/packages.h"

#define PACKAGE_COLUMNS                                                                                      \
  "hash, plugin, version, key, sha256, size, permissions, is_restricted, is_offered, added_us, revoked_us,"  \
  " reason FROM package "
#define KEY_COLUMNS "key, vendor, from_us, to_us, revoked_us, reason FROM vendor_key "

void
package_row_free (PackageRow *row)
{
  if (row == NULL)
    return;
  g_free (row->hash);
  g_free (row->plugin);
  g_free (row->version);
  g_free (row->key);
  g_free (row->sha256);
  g_free (row->permissions);
  g_free (row->reason);
  g_free (row);
}

void
vendor_key_row_free (VendorKeyRow *row)
{
  if (row == NULL)
    return;
  g_free (row->key);
  g_free (row->vendor);
  g_free (row->reason);
  g_free (row);
}

static PackageRow *
read_package (DbQuery *query)
{
  PackageRow *row = g_new0 (PackageRow, 1);
  row->hash = db_dup_text (query, 0);
  row->plugin = db_dup_text (query, 1);
  row->version = db_dup_text (query, 2);
  row->key = db_dup_text (query, 3);
  row->sha256 = db_dup_text (query, 4);
  row->size = db_get_int (query, 5);
  row->permissions = db_dup_text (query, 6);
  row->is_restricted = db_get_int (query, 7) != 0;
  row->is_offered = db_get_int (query, 8) != 0;
  row->added_us = db_get_int (query, 9);
  row->revoked_us = db_get_int (query, 10);
  row->reason = db_dup_text (query, 11);
  return row;
}

static VendorKeyRow *
read_key (DbQuery *query)
{
  VendorKeyRow *row = g_new0 (VendorKeyRow, 1);
  row->key = db_dup_text (query, 0);
  row->vendor = db_dup_text (query, 1);
  row->from_us = db_get_int (query, 2);
  row->to_us = db_get_int (query, 3);
  row->revoked_us = db_get_int (query, 4);
  row->reason = db_dup_text (query, 5);
  return row;
}

PackageRow *
packages_find (Db *db, const char *plugin, const char *version, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT " PACKAGE_COLUMNS "WHERE plugin = ? AND version = ?", "ss", plugin, version);
  return db_next (query, error) ? read_package (query) : NULL;
}

PackageRow *
packages_find_offered (Db *db, const char *plugin, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT " PACKAGE_COLUMNS "WHERE plugin = ? AND is_offered = 1", "s", plugin);
  return db_next (query, error) ? read_package (query) : NULL;
}

GPtrArray *
packages_list (Db *db, const char *plugin, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify)package_row_free);
  g_autoptr (DbQuery) query
      = plugin != NULL ? db_query (
            db, "SELECT " PACKAGE_COLUMNS "WHERE plugin = ? ORDER BY added_us, version", "s", plugin)
                       : db_query (db, "SELECT " PACKAGE_COLUMNS "ORDER BY plugin, added_us, version", "");
  while (db_next (query, &local))
    g_ptr_array_add (rows, read_package (query));
  if (local == NULL)
    return g_steal_pointer (&rows);
  g_propagate_error (error, local);
  return NULL;
}

gboolean
packages_insert (Db *db, const PackageRow *row, GError **error)
{
  return db_run (db, error,
                 "INSERT INTO package (hash, plugin, version, key, sha256, size, permissions, is_restricted,"
                 " is_offered, added_us, revoked_us, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, '')",
                 "sssssisii", row->hash, row->plugin, row->version, row->key, row->sha256, row->size,
                 row->permissions, (gint64)row->is_restricted, row->added_us);
}

gboolean
packages_revoke (Db *db, const char *hash, const char *reason, gint64 now_us, GError **error)
{
  return db_run (
      db, error,
      "UPDATE package SET revoked_us = ?, reason = ?, is_offered = 0 WHERE hash = ? AND revoked_us = 0",
      "iss", now_us, reason, hash);
}

gboolean
packages_offer (Db *db, const char *plugin, const char *hash, GError **error)
{
  return db_run (db, error, "UPDATE package SET is_offered = 0 WHERE plugin = ?", "s", plugin)
         && (hash == NULL
             || db_run (db, error, "UPDATE package SET is_offered = 1 WHERE hash = ?", "s", hash));
}

VendorKeyRow *
vendor_keys_find (Db *db, const char *key, GError **error)
{
  g_autoptr (DbQuery) query = db_query (db, "SELECT " KEY_COLUMNS "WHERE key = ?", "s", key);
  return db_next (query, error) ? read_key (query) : NULL;
}

GPtrArray *
vendor_keys_list (Db *db, const char *vendor, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify)vendor_key_row_free);
  g_autoptr (DbQuery) query
      = vendor != NULL
            ? db_query (db, "SELECT " KEY_COLUMNS "WHERE vendor = ? ORDER BY created_us, key", "s", vendor)
            : db_query (db, "SELECT " KEY_COLUMNS "ORDER BY vendor, created_us, key", "");
  while (db_next (query, &local))
    g_ptr_array_add (rows, read_key (query));
  if (local == NULL)
    return g_steal_pointer (&rows);
  g_propagate_error (error, local);
  return NULL;
}

gboolean
vendor_keys_insert (Db *db, const VendorKeyRow *row, gint64 now_us, GError **error)
{
  return db_run (db, error,
                 "INSERT INTO vendor_key (key, vendor, from_us, to_us, revoked_us, reason, created_us)"
                 " VALUES (?, ?, ?, ?, 0, '', ?)",
                 "ssiii", row->key, row->vendor, row->from_us, row->to_us, now_us);
}

gboolean
vendor_keys_revoke (Db *db, const char *key, const char *reason, gint64 now_us, GError **error)
{
  return db_run (db, error,
                 "UPDATE vendor_key SET revoked_us = ?, reason = ? WHERE key = ? AND revoked_us = 0", "iss",
                 now_us, reason, key);
}

gboolean
packages_has_vendor (Db *db, const char *id, gboolean *is_found, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (db, "SELECT 1 FROM vendor WHERE id = ?", "s", id);
  *is_found = db_next (query, &local);
  if (local != NULL)
    g_propagate_error (error, local);
  return local == NULL;
}

char *
packages_dup_vendor_of (Db *db, const char *plugin, GError **error)
{
  g_autoptr (DbQuery) query = db_query (db, "SELECT vendor FROM plugin WHERE id = ?", "s", plugin);
  return db_next (query, error) ? db_dup_text (query, 0) : NULL;
}

gboolean
trust_document_load (Db *db, gint64 *number, char **kid, char **jws, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT number, kid, jws FROM trust_document ORDER BY number DESC LIMIT 1", "");
  gboolean is_found = db_next (query, &local);
  *number = is_found ? db_get_int (query, 0) : 0;
  *kid = is_found ? db_dup_text (query, 1) : NULL;
  *jws = is_found ? db_dup_text (query, 2) : NULL;
  if (local != NULL)
    g_propagate_error (error, local);
  return local == NULL;
}

gboolean
trust_document_store (Db *db, gint64 number, const char *kid, const char *jws, GError **error)
{
  return db_run (db, error, "DELETE FROM trust_document WHERE number <> ?", "i", number)
         && db_run (db, error, "INSERT INTO trust_document (number, kid, jws) VALUES (?, ?, ?)", "iss",
                    number, kid, jws);
}
