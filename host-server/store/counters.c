#include "host-server/store/counters.h"

#include <string.h>

gboolean
counter_parse (const void *bytes, gsize length, gint64 *value)
{
  const char *digits = bytes;
  *value = 0;
  if (length == 0 || length > 16 || (length > 1 && digits[0] == '0'))
    return FALSE;
  for (gsize i = 0; i < length; i++)
    {
      if (!g_ascii_isdigit (digits[i]))
        return FALSE;
      *value = *value * 10 + g_ascii_digit_value (digits[i]);
    }
  return *value <= COUNTER_MAX;
}

typedef struct
{
  gint64 value;
  gint64 length; /* of what is stored; -1: nothing is */
} Held;

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

static gboolean
load (Db *db, const Counter *counter, const char *key, Held *held, GError **error)
{
  gboolean is_found;
  *held = (Held){ 0, -1 };
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT value FROM function_value WHERE account = ? AND application = ? AND key = ?",
                  "sss", counter->account, counter->application, key);
  if (!find (query, &is_found, error))
    return FALSE;
  if (!is_found)
    return TRUE;
  gsize length;
  const void *bytes = db_get_blob (query, 0, &length);
  held->length = (gint64)length;
  if (!counter_parse (bytes, length, &held->value))
    held->value = 0;
  return TRUE;
}

gboolean
counter_read (Db *db, const Counter *counter, gint64 *value, GError **error)
{
  g_autofree char *key = g_strconcat (COUNTER_PREFIX, counter->item, NULL);
  Held held;
  if (!load (db, counter, key, &held, error))
    return FALSE;
  *value = held.value;
  return TRUE;
}

/* The next version of the user's data, which is charged @by more. */
static gboolean
raise_version (Db *db, const Counter *counter, gint64 by, gint64 *version, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "INSERT INTO function_space (account, application, version, bytes) VALUES (?, ?, 1, ?)"
                  " ON CONFLICT (account, application) DO UPDATE SET version = function_space.version + 1,"
                  " bytes = function_space.bytes + excluded.bytes RETURNING version",
                  "ssi", counter->account, counter->application, by);
  if (!find (query, &is_found, error))
    return FALSE;
  *version = db_get_int (query, 0);
  return TRUE;
}

gboolean
counter_move (Db *db, const Counter *counter, gint64 by, gint64 *moved, GError **error)
{
  g_autofree char *key = g_strconcat (COUNTER_PREFIX, counter->item, NULL);
  gint64 version;
  Held held;
  if (!load (db, counter, key, &held, error))
    return FALSE;
  gint64 value = CLAMP (held.value + by, 0, COUNTER_MAX);
  *moved = value - held.value;
  if (*moved == 0)
    return TRUE;
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, value);
  gint64 charge = (gint64)strlen (text) - held.length;
  if (held.length < 0)
    charge = (gint64)(strlen (text) + strlen (key)) + USER_DATA_CHARGE;
  return raise_version (db, counter, charge, &version, error)
         && db_run (
             db, error,
             "INSERT INTO function_value (account, application, key, version, value) VALUES (?, ?, ?, ?, ?)"
             " ON CONFLICT (account, application, key) DO UPDATE SET version = excluded.version,"
             " value = excluded.value",
             "sssib", counter->account, counter->application, key, version, (const void *)text,
             strlen (text));
}
