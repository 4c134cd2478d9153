#include "host-client/core/serial-book.h"

#include <string.h>

struct SerialBook
{
  Db *db;
  char *ver;
  GHashTable *entries; /* plugin -> SerialEntry */
};

static gboolean
load (SerialBook *book, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (DbQuery) ver = db_query (book->db, "SELECT value FROM meta WHERE name = 'serials_ver'", "");
  if (db_next (ver, &failure))
    book->ver = db_dup_text (ver, 0);
  g_autoptr (DbQuery) rows
      = db_query (book->db, "SELECT plugin, name, state, user, expires_us, epoch, serial FROM serials", "");
  while (failure == NULL && db_next (rows, &failure))
    {
      g_autoptr (SerialEntry) entry = serial_entry_new ();
      gsize length;
      const void *serial = db_get_blob (rows, 6, &length);
      entry->plugin = db_dup_text (rows, 0);
      entry->name = db_dup_text (rows, 1);
      entry->user = db_dup_text (rows, 3);
      entry->expires_us = db_get_int (rows, 4);
      entry->epoch = db_get_int (rows, 5);
      entry->serial = serial != NULL ? secret_new (serial, length) : NULL;
      if (!serial_state_from_text (db_get_text (rows, 2), &entry->state))
        continue;
      g_hash_table_replace (book->entries, entry->plugin, entry);
      g_steal_pointer (&entry);
    }
  if (failure == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

SerialBook *
serial_book_new (Db *db, GError **error)
{
  g_autoptr (SerialBook) book = g_new0 (SerialBook, 1);
  book->db = db;
  book->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)serial_entry_free);
  return load (book, error) ? g_steal_pointer (&book) : NULL;
}

void
serial_book_free (SerialBook *book)
{
  if (book == NULL)
    return;
  g_hash_table_unref (book->entries);
  g_free (book->ver);
  g_free (book);
}

const char *
serial_book_peek_ver (const SerialBook *book)
{
  return book->ver;
}

const SerialEntry *
serial_book_find (const SerialBook *book, const char *plugin)
{
  return g_hash_table_lookup (book->entries, plugin);
}

static gint
compare_entries (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(SerialEntry *const *)a)->plugin, (*(SerialEntry *const *)b)->plugin);
}

GPtrArray *
serial_book_list (const SerialBook *book)
{
  GPtrArray *entries = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer entry;
  g_hash_table_iter_init (&iter, book->entries);
  while (g_hash_table_iter_next (&iter, NULL, &entry))
    g_ptr_array_add (entries, entry);
  g_ptr_array_sort (entries, compare_entries);
  return entries;
}

static gboolean
store_entry (SerialBook *book, const SerialEntry *entry, GError **error)
{
  gsize length = 0;
  const guint8 *serial = entry->serial != NULL ? secret_peek_bytes (entry->serial, &length) : NULL;
  return db_run (book->db, error,
                 "INSERT INTO serials (plugin, name, state, user, expires_us, epoch, serial)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (plugin) DO UPDATE SET name = excluded.name,"
                 " state = excluded.state, user = excluded.user, expires_us = excluded.expires_us,"
                 " epoch = excluded.epoch, serial = excluded.serial",
                 "ssssiib", entry->plugin, entry->name != NULL ? entry->name : entry->plugin,
                 serial_state_to_text (entry->state), entry->user != NULL ? entry->user : "",
                 entry->expires_us, entry->epoch, serial, length);
}

static gboolean
store (SerialBook *book, GPtrArray *entries, const char *ver, gboolean is_everything, GError **error)
{
  if (!db_begin (book->db, error))
    return FALSE;
  gboolean is_good = !is_everything || db_run (book->db, error, "DELETE FROM serials", "");
  for (guint i = 0; is_good && i < entries->len; i++)
    is_good = store_entry (book, g_ptr_array_index (entries, i), error);
  if (is_good && ver != NULL)
    is_good = db_run (book->db, error,
                      "INSERT INTO meta (name, value) VALUES ('serials_ver', ?)"
                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                      "s", ver);
  if (is_good && db_commit (book->db, error))
    return TRUE;
  db_rollback (book->db);
  return FALSE;
}

static gboolean
apply (SerialBook *book, GPtrArray *entries, const char *ver, gboolean is_everything, GError **error)
{
  if (!store (book, entries, ver, is_everything, error))
    return FALSE;
  if (is_everything)
    g_hash_table_remove_all (book->entries);
  for (guint i = 0; i < entries->len; i++)
    {
      SerialEntry *entry = serial_entry_copy (g_ptr_array_index (entries, i));
      g_hash_table_replace (book->entries, entry->plugin, entry);
    }
  if (ver != NULL)
    {
      g_free (book->ver);
      book->ver = g_strdup (ver);
    }
  return TRUE;
}

gboolean
serial_book_apply_answer (SerialBook *book, const Serials *answer, SerialBookOutcome *outcome, GError **error)
{
  *outcome = SERIAL_BOOK_UNCHANGED;
  if (answer->is_unchanged)
    return TRUE;
  *outcome = SERIAL_BOOK_APPLIED;
  return apply (book, answer->entries, answer->ver, TRUE, error);
}

gboolean
serial_book_apply_push (SerialBook *book, const Serials *push, SerialBookOutcome *outcome, GError **error)
{
  *outcome = SERIAL_BOOK_UNCHANGED;
  if (push->ver != NULL && g_strcmp0 (push->ver, book->ver) == 0)
    return TRUE; /* a second process of this account, or the answer to our question, was faster */
  *outcome = SERIAL_BOOK_GAP;
  if (push->ver == NULL || push->since == NULL || g_strcmp0 (push->since, book->ver) != 0)
    return TRUE;
  *outcome = SERIAL_BOOK_APPLIED;
  return apply (book, push->entries, push->ver, FALSE, error);
}

gboolean
serial_book_apply_entry (SerialBook *book, const SerialEntry *entry, SerialBookOutcome *outcome,
                         GError **error)
{
  const SerialEntry *held = serial_book_find (book, entry->plugin);
  *outcome = SERIAL_BOOK_UNCHANGED;
  if (held != NULL && held->epoch > entry->epoch)
    return TRUE;
  *outcome = SERIAL_BOOK_APPLIED;
  g_autoptr (GPtrArray) one = g_ptr_array_new ();
  g_ptr_array_add (one, (gpointer)entry);
  return apply (book, one, NULL, FALSE, error);
}
