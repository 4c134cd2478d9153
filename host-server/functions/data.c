#include "host-server/functions/data.h"

#include <string.h>

#define EXPIRE_AT_ONCE 500

/* Moves @query to its row; FALSE only for a fault. */
static gboolean
find (DbQuery *query, gboolean *is_found, GError **error)
{
  GError *local = NULL;
  *is_found = db_next (query, &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static GBytes *
dup_blob (DbQuery *query, int column)
{
  gsize length;
  const void *bytes = db_get_blob (query, column, &length);
  return g_bytes_new (bytes, length);
}

gboolean
data_get (Db *db, const DataOwner *owner, const char *key, GBytes **value, gint64 *version, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT value, version FROM function_value WHERE account = ? AND application = ? AND key = ?",
      "sss", owner->account, owner->application, key);
  *value = NULL;
  *version = 0;
  if (!find (query, &is_found, error))
    return FALSE;
  if (is_found)
    {
      *value = dup_blob (query, 0);
      *version = db_get_int (query, 1);
    }
  return TRUE;
}

static gboolean
get_space (Db *db, const DataOwner *owner, gint64 *version, gint64 *bytes, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT version, bytes FROM function_space WHERE account = ? AND application = ?", "ss",
                  owner->account, owner->application);
  if (!find (query, &is_found, error))
    return FALSE;
  *version = is_found ? db_get_int (query, 0) : 0;
  *bytes = is_found ? db_get_int (query, 1) : 0;
  return TRUE;
}

gboolean
data_get_bytes (Db *db, const DataOwner *owner, gint64 *bytes, GError **error)
{
  gint64 version;
  return get_space (db, owner, &version, bytes, error);
}

gboolean
data_list (Db *db, const DataOwner *owner, const char *prefix, DataEach each, gpointer data, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT key, LENGTH (value) FROM function_value WHERE account = ? AND application = ? AND key >= ?"
      " ORDER BY key",
      "sss", owner->account, owner->application, prefix);
  while (db_next (query, &local) && g_str_has_prefix (db_get_text (query, 0), prefix))
    if (!each (db_get_text (query, 0), (gsize)db_get_int (query, 1), data))
      break;
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* --- results --- */

gboolean
result_find (Db *db, const DataOwner *owner, const char *request, gint64 since_us, GBytes **result,
             guint8 digest[32], GError **error)
{
  gboolean is_found;
  gsize length;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT result, digest FROM function_result WHERE account = ? AND application = ?"
                  " AND request = ? AND ended_us >= ?",
                  "sssi", owner->account, owner->application, request, since_us);
  *result = NULL;
  if (!find (query, &is_found, error))
    return FALSE;
  if (!is_found)
    return TRUE;
  const void *bytes = db_get_blob (query, 1, &length);
  memset (digest, 0, 32);
  memcpy (digest, bytes, MIN (length, 32));
  *result = dup_blob (query, 0);
  return TRUE;
}

static gboolean
charge_results (Db *db, const DataOwner *owner, gint64 by, GError **error)
{
  return db_run (db, error,
                 "INSERT INTO function_result_total (account, application, bytes) VALUES (?, ?, ?)"
                 " ON CONFLICT (account, application) DO UPDATE SET bytes = function_result_total.bytes +"
                 " excluded.bytes",
                 "ssi", owner->account, owner->application, by);
}

/* Whether there is room for the result, and no other of the same request. */
static gboolean
check_result (Db *db, const DataCommit *commit, DataOutcome *outcome, GError **error)
{
  const DataOwner *owner = &commit->owner;
  gboolean is_found;
  gint64 total;
  {
    g_autoptr (DbQuery) query
        = db_query (db,
                    "SELECT ended_us, LENGTH (result) FROM function_result WHERE account = ?"
                    " AND application = ? AND request = ?",
                    "sss", owner->account, owner->application, commit->request);
    if (!find (query, &is_found, error))
      return FALSE;
    if (is_found && db_get_int (query, 0) >= commit->since_us)
      {
        *outcome = DATA_KNOWN;
        return TRUE;
      }
    total = is_found ? db_get_int (query, 1) + DATA_CHARGE : 0;
  }
  /* One that is past its time and was not swept yet. */
  if (is_found
      && (!db_run (db, error,
                   "DELETE FROM function_result WHERE account = ? AND application = ? AND request = ?", "sss",
                   owner->account, owner->application, commit->request)
          || !charge_results (db, owner, -total, error)))
    return FALSE;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT bytes FROM function_result_total WHERE account = ? AND application = ?", "ss",
                  owner->account, owner->application);
  if (!find (query, &is_found, error))
    return FALSE;
  total = is_found ? db_get_int (query, 0) : 0;
  if (commit->most_result_bytes > 0
      && total + (gint64)g_bytes_get_size (commit->result) + DATA_CHARGE > commit->most_result_bytes)
    *outcome = DATA_RESULTS_FULL;
  return TRUE;
}

static gboolean
keep_result (Db *db, const DataCommit *commit, GError **error)
{
  gsize length;
  const char *bytes = g_bytes_get_data (commit->result, &length);
  return db_run (db, error,
                 "INSERT INTO function_result (account, application, request, digest, result, ended_us)"
                 " VALUES (?, ?, ?, ?, ?, ?)",
                 "sssbbi", commit->owner.account, commit->owner.application, commit->request, commit->digest,
                 (gsize)32, length > 0 ? bytes : "", length, commit->now_us)
         && charge_results (db, &commit->owner, (gint64)length + DATA_CHARGE, error);
}

/* --- the user's data --- */

static gboolean
get_row (Db *db, const DataOwner *owner, const char *key, gint64 *version, gint64 *length, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT version, LENGTH (value) FROM function_value WHERE account = ? AND application = ?"
                  " AND key = ?",
                  "sss", owner->account, owner->application, key);
  if (!find (query, &is_found, error))
    return FALSE;
  *version = is_found ? db_get_int (query, 0) : 0;
  *length = is_found ? db_get_int (query, 1) : -1;
  return TRUE;
}

static gboolean
check_reads (Db *db, const DataCommit *commit, DataOutcome *outcome, GError **error)
{
  GHashTableIter iter;
  gpointer key, seen;
  g_hash_table_iter_init (&iter, commit->reads);
  while (g_hash_table_iter_next (&iter, &key, &seen))
    {
      gint64 version, length;
      if (!get_row (db, &commit->owner, key, &version, &length, error))
        return FALSE;
      if (version != *(const gint64 *)seen)
        *outcome = DATA_CONFLICT;
    }
  return TRUE;
}

/* What the writes change of what the user is charged. */
static gboolean
measure_writes (Db *db, const DataCommit *commit, gint64 *by, GError **error)
{
  GHashTableIter iter;
  gpointer key, value;
  *by = 0;
  g_hash_table_iter_init (&iter, commit->writes);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      gint64 version, length, charge = DATA_CHARGE + (gint64)strlen (key);
      if (!get_row (db, &commit->owner, key, &version, &length, error))
        return FALSE;
      *by += value != NULL ? charge + (gint64)g_bytes_get_size (value) : 0;
      *by -= length >= 0 ? charge + length : 0;
    }
  return TRUE;
}

static gboolean
keep_value (Db *db, const DataOwner *owner, const char *key, gint64 version, GBytes *value, GError **error)
{
  if (value == NULL)
    return db_run (db, error, "DELETE FROM function_value WHERE account = ? AND application = ? AND key = ?",
                   "sss", owner->account, owner->application, key);
  gsize length;
  const char *bytes = g_bytes_get_data (value, &length);
  return db_run (db, error,
                 "INSERT INTO function_value (account, application, key, version, value)"
                 " VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, application, key) DO UPDATE SET"
                 " version = excluded.version, value = excluded.value",
                 "sssib", owner->account, owner->application, key, version, length > 0 ? bytes : "", length);
}

static gboolean
keep_values (Db *db, const DataCommit *commit, gint64 version, gint64 bytes, GError **error)
{
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init (&iter, commit->writes);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (!keep_value (db, &commit->owner, key, version, value, error))
      return FALSE;
  return db_run (db, error,
                 "INSERT INTO function_space (account, application, version, bytes) VALUES (?, ?, ?, ?)"
                 " ON CONFLICT (account, application) DO UPDATE SET version = excluded.version,"
                 " bytes = excluded.bytes",
                 "ssii", commit->owner.account, commit->owner.application, version, bytes);
}

gboolean
data_commit (Db *db, const DataCommit *commit, DataOutcome *outcome, GError **error)
{
  gint64 version = 0, bytes = 0, by = 0;
  gboolean has_writes = commit->writes != NULL && g_hash_table_size (commit->writes) > 0;
  *outcome = DATA_COMMITTED;
  if (!check_result (db, commit, outcome, error)
      || (commit->reads != NULL && *outcome == DATA_COMMITTED && !check_reads (db, commit, outcome, error)))
    return FALSE;
  if (*outcome != DATA_COMMITTED)
    return TRUE;
  if (has_writes)
    {
      if (!get_space (db, &commit->owner, &version, &bytes, error)
          || !measure_writes (db, commit, &by, error))
        return FALSE;
      /* Who is over it already, since the quota fell, may shrink. */
      if (by > 0 && bytes + by > commit->most_user_bytes)
        {
          *outcome = DATA_OVER_QUOTA;
          return TRUE;
        }
      if (!keep_values (db, commit, version + 1, bytes + by, error))
        return FALSE;
    }
  return keep_result (db, commit, error);
}

/* --- forgetting --- */

gboolean
results_expire (Db *db, gint64 before_us, gboolean *has_more, GError **error)
{
  GError *local = NULL;
  {
    g_autoptr (DbQuery) query = db_query (
        db, "SELECT ended_us FROM function_result WHERE ended_us < ? ORDER BY ended_us LIMIT 1 OFFSET ?",
        "ii", before_us, (gint64)EXPIRE_AT_ONCE);
    if (!find (query, has_more, error))
      return FALSE;
    if (*has_more)
      before_us = db_get_int (query, 0) + 1;
  }
  g_autoptr (GPtrArray) owners = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) charges = g_array_new (FALSE, FALSE, sizeof (gint64));
  {
    g_autoptr (DbQuery) query
        = db_query (db,
                    "SELECT account, application, SUM (LENGTH (result) + ?) FROM function_result"
                    " WHERE ended_us < ? GROUP BY account, application",
                    "ii", (gint64)DATA_CHARGE, before_us);
    while (db_next (query, &local))
      {
        gint64 charge = db_get_int (query, 2);
        g_ptr_array_add (owners, db_dup_text (query, 0));
        g_ptr_array_add (owners, db_dup_text (query, 1));
        g_array_append_val (charges, charge);
      }
  }
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  for (guint i = 0; i < charges->len; i++)
    {
      DataOwner owner = { g_ptr_array_index (owners, 2 * i), g_ptr_array_index (owners, 2 * i + 1) };
      if (!charge_results (db, &owner, -g_array_index (charges, gint64, i), error))
        return FALSE;
    }
  return db_run (db, error, "DELETE FROM function_result WHERE ended_us < ?", "i", before_us)
         && db_run (db, error, "DELETE FROM function_result_total WHERE bytes <= 0", "");
}

gboolean
data_forget (Db *db, const char *account, gboolean has_data, GError **error)
{
  return db_run (db, error, "DELETE FROM function_result WHERE account = ?", "s", account)
         && db_run (db, error, "DELETE FROM function_result_total WHERE account = ?", "s", account)
         && (!has_data
             || (db_run (db, error, "DELETE FROM function_value WHERE account = ?", "s", account)
                 && db_run (db, error, "DELETE FROM function_space WHERE account = ?", "s", account)));
}
