#include "host-server/store/restore.h"

#include "host-server/store/folder-lock.h"
#include "host-server/store/package-files.h"
#include "host-server/store/schema.h"
#include "host-server/store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define PARTIAL  "restore.partial" /* being made; never opened */
#define READY    "restore.ready"   /* whole; its files are moved into place */
#define INTO     "replaced-as"     /* in READY: the folder that takes what was there */
#define KEY_NAME "store.key"

/* What a client or standby of the lost time may hold is behind these: nobody changes an entitlement a
 * thousand times between two backups. */
#define EPOCH_JUMP   1000
#define VERSION_JUMP (G_GINT64_CONSTANT (1) << 32)

static const struct
{
  const char *name;
  StoreFile file;
} databases[] = { { "market.db", STORE_MARKET }, { "chat.db", STORE_CHAT } };
static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };

void
store_restored_clear (StoreRestored *restored)
{
  g_clear_pointer (&restored->replaced, g_free);
  g_clear_pointer (&restored->missing, g_ptr_array_unref);
}

static gboolean
fail (GError **error, const char *what, const char *path)
{
  int code = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot %s '%s': %s", what, path,
               g_strerror (code));
  return FALSE;
}

static gboolean
sync_path (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean is_synced = fd >= 0 && fsync (fd) == 0;
  if (!is_synced)
    fail (error, "sync", path);
  if (fd >= 0)
    close (fd);
  return is_synced;
}

static gboolean
exists_in (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* A folder of plain files. */
static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (folder);
}

/* Moving into place. */

static gboolean
move (const char *from_folder, const char *to_folder, const char *name, GError **error)
{
  g_autofree char *from = g_build_filename (from_folder, name, NULL);
  g_autofree char *to = g_build_filename (to_folder, name, NULL);
  return g_rename (from, to) == 0 || errno == ENOENT || fail (error, "move", from);
}

/* @name of READY takes the place of what is there, with what belongs to it: a log of the old database must
 * not meet the new one. Once the new file has moved this does nothing. */
static gboolean
install (const char *folder, const char *ready, const char *replaced, const char *name, GError **error)
{
  if (!exists_in (ready, name))
    return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      g_autofree char *old = g_strconcat (name, suffixes[i], NULL);
      if (!exists_in (folder, old))
        continue;
      if (g_mkdir (replaced, 0700) != 0 && errno != EEXIST)
        return fail (error, "make the folder", replaced);
      if (!move (folder, replaced, old, error))
        return FALSE;
    }
  return move (ready, folder, name, error);
}

gboolean
restore_finish (const char *folder, GError **error)
{
  if (!exists_in (folder, READY))
    return TRUE;
  g_autofree char *ready = g_build_filename (folder, READY, NULL);
  g_autofree char *note = g_build_filename (ready, INTO, NULL);
  g_autofree char *into = NULL;
  if (!g_file_get_contents (note, &into, NULL, NULL))
    {
      /* Everything has moved: the note goes last. */
      remove_folder (ready);
      return TRUE;
    }
  g_autofree char *replaced = g_build_filename (folder, into, NULL);
  if (!install (folder, ready, replaced, KEY_NAME, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (databases); i++)
    if (!install (folder, ready, replaced, databases[i].name, error))
      return FALSE;
  if (!sync_path (folder, error))
    return FALSE;
  remove_folder (ready);
  return TRUE;
}

/* Making the copy. */

static gboolean
copy_database (const char *backup, const char *partial, const char *name, GError **error)
{
  g_autofree char *from = g_build_filename (backup, name, NULL);
  g_autofree char *to = g_build_filename (partial, name, NULL);
  if (!g_file_test (from, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "'%s' is no backup: it has no %s", backup, name);
      return FALSE;
    }
  g_autoptr (Db) db = db_open (from, DB_OPEN_READ, error);
  return db != NULL && db_backup (db, to, error);
}

static gboolean
check_whole (Db *db, const char *name, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (db, "PRAGMA quick_check (1)", "");
  gboolean is_whole = db_next (query, &local) && g_strcmp0 (db_get_text (query, 0), "ok") == 0;
  if (local != NULL)
    g_propagate_error (error, local);
  else if (!is_whole)
    g_set_error (error, DB_ERROR, DB_ERROR_CORRUPT, "%s is damaged: %s", name, db_get_text (query, 0));
  return is_whole;
}

/* Whether the backup's sealed values open with @key_file. */
static gboolean
check_key (Db *db, const char *key_file, GError **error)
{
  g_autoptr (Secret) key = seal_load_key (key_file, FALSE, error);
  if (key == NULL)
    return FALSE;
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (db, "SELECT value FROM store_fact WHERE name = 'key_check'", "");
  gsize length = 0;
  const void *sealed = db_next (query, &local) ? db_get_blob (query, 0, &length) : NULL;
  g_autoptr (Secret) check = sealed != NULL ? seal_open (key, "key_check", sealed, length) : NULL;
  if (local != NULL)
    g_propagate_error (error, local);
  else if (check == NULL)
    g_set_error (error, DB_ERROR, DB_ERROR_CORRUPT, "the key file '%s' is not the one of this backup",
                 key_file);
  return check != NULL;
}

static gint64
ask (Db *db, const char *sql, gint64 otherwise)
{
  g_autoptr (DbQuery) query = db_query (db, sql, "");
  return db_next (query, NULL) && !db_is_null (query, 0) ? db_get_int (query, 0) : otherwise;
}

#define EPOCH_OF "SELECT MAX (epoch) FROM restoration"

/* The epoch of the store that is there; 1 if it cannot be read any more. */
static gint64
find_epoch (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, databases[0].name, NULL);
  g_autoptr (Db) db = g_file_test (path, G_FILE_TEST_EXISTS) ? db_open (path, DB_OPEN_READ, NULL) : NULL;
  return db != NULL ? ask (db, EPOCH_OF, 1) : 1;
}

/* Sales are closed and free keys frozen from here on, and every version is one that nobody holds. */
static gboolean
mark_market (Db *db, gint64 now_us, gint64 current_epoch, StoreRestored *restored, GError **error)
{
  restored->epoch = MAX (ask (db, EPOCH_OF, 1), current_epoch) + 1;
  restored->backup_us = MAX (ask (db, "SELECT MAX (changed_us) FROM purchase", 0),
                             MAX (ask (db, "SELECT recorded_us FROM ledger ORDER BY seq DESC LIMIT 1", 0),
                                  ask (db, "SELECT MAX (received_us) FROM inbox", 0)));
  return db_begin (db, error)
         && db_run (
             db, error,
             "INSERT INTO restoration (epoch, restored_us, backup_us, reconciled_us) VALUES (?, ?, ?, 0)",
             "iii", restored->epoch, now_us, restored->backup_us)
         && db_run (db, error, "UPDATE entitlement SET epoch = epoch + ?, ver = ver + ?", "ii",
                    (gint64)EPOCH_JUMP, VERSION_JUMP)
         && db_run (db, error, "UPDATE entitlement_version SET ver = ver + ?", "i", VERSION_JUMP)
         && db_run (db, error, "UPDATE pool_key SET state = 'frozen' WHERE state = 'free'", "")
         && db_commit (db, error);
}

/* A roster version of the lost time must not name a later state: who holds one gets the whole roster. */
static gboolean
mark_chat (Db *db, GError **error)
{
  return db_run (db, error, "UPDATE roster SET seq = seq + ?, pruned_seq = seq + ?", "ii", VERSION_JUMP,
                 VERSION_JUMP);
}

/* Packages go to their place at once: a file whose row does not come after it harms nobody. */
static gboolean
restore_packages (Db *db, const char *backup, const char *packages, StoreRestored *restored, GError **error)
{
  g_autofree char *from = package_files_dup_folder (backup);
  restored->missing = g_ptr_array_new_with_free_func (g_free);
  return package_files_copy (db, from, packages, restored->missing, error);
}

static gboolean
prepare (const char *partial, gsize at, const char *key_file, gint64 now_us, gint64 current_epoch,
         StoreRestored *restored, GError **error)
{
  g_autofree char *path = g_build_filename (partial, databases[at].name, NULL);
  g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, error);
  if (db == NULL || !check_whole (db, databases[at].name, error)
      || !schema_migrate (db, databases[at].file, error))
    return FALSE;
  if (databases[at].file == STORE_CHAT)
    return mark_chat (db, error);
  return check_key (db, key_file, error) && mark_market (db, now_us, current_epoch, restored, error);
}

static gboolean
copy_key (const char *backup, const char *partial, GError **error)
{
  g_autofree char *from = g_build_filename (backup, KEY_NAME, NULL);
  g_autofree char *to = g_build_filename (partial, KEY_NAME, NULL);
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_get_contents (from, &text, &length, error))
    return FALSE;
  gboolean is_copied
      = g_file_set_contents_full (to, text, (gssize)length, G_FILE_SET_CONTENTS_DURABLE, 0600, error);
  secret_wipe (text, length);
  return is_copied;
}

static gboolean
make_copy (const StorePlaces *places, const char *backup, const char *partial, gint64 now_us,
           StoreRestored *restored, GError **error)
{
  const char *folder = places->folder, *key_file = places->key_file;
  if (g_mkdir (partial, 0700) != 0)
    return fail (error, "make the folder", partial);
  for (gsize i = 0; i < G_N_ELEMENTS (databases); i++)
    if (!copy_database (backup, partial, databases[i].name, error))
      return FALSE;

  /* The key goes where it came from; one that [store] key_file names is in its place already. */
  g_autofree char *inner_key = g_build_filename (folder, KEY_NAME, NULL);
  g_autofree char *copied_key = g_build_filename (partial, KEY_NAME, NULL);
  gboolean is_inner = key_file == NULL || g_str_equal (key_file, inner_key);
  if (is_inner && exists_in (backup, KEY_NAME) && !copy_key (backup, partial, error))
    return FALSE;
  const char *key = g_file_test (copied_key, G_FILE_TEST_EXISTS) ? copied_key
                    : is_inner                                   ? inner_key
                                                                 : key_file;

  gint64 current_epoch = find_epoch (folder);
  for (gsize i = 0; i < G_N_ELEMENTS (databases); i++)
    {
      g_autofree char *path = g_build_filename (partial, databases[i].name, NULL);
      if (!prepare (partial, i, key, now_us, current_epoch, restored, error) || !sync_path (path, error))
        return FALSE;
    }
  {
    g_autofree char *path = g_build_filename (partial, databases[0].name, NULL);
    g_autoptr (Db) market = db_open (path, DB_OPEN_READ, error);
    if (market == NULL || !restore_packages (market, backup, places->packages, restored, error))
      return FALSE;
  }
  g_autofree char *note = g_build_filename (partial, INTO, NULL);
  restored->replaced = g_strdup_printf ("replaced-%" G_GINT64_FORMAT, now_us / G_USEC_PER_SEC);
  return g_file_set_contents_full (note, restored->replaced, -1, G_FILE_SET_CONTENTS_DURABLE, 0600, error)
         && sync_path (partial, error);
}

gboolean
store_restore (const StorePlaces *places, const char *backup, gint64 now_us, StoreRestored *restored,
               GError **error)
{
  const char *folder = places->folder;
  *restored = (StoreRestored){ 0 };
  g_autofree char *partial = g_build_filename (folder, PARTIAL, NULL);
  g_autofree char *ready = g_build_filename (folder, READY, NULL);
  if (g_mkdir_with_parents (folder, 0700) != 0)
    return fail (error, "make the folder", folder);
  int lock_fd = folder_lock (folder, error);
  if (lock_fd < 0)
    return FALSE;

  gboolean is_done = FALSE;
  if (restore_finish (folder, error)) /* one before this one */
    {
      remove_folder (partial);
      is_done = make_copy (places, backup, partial, now_us, restored, error)
                && (g_rename (partial, ready) == 0 || fail (error, "rename", partial))
                && sync_path (folder, error) && restore_finish (folder, error);
    }
  if (!is_done)
    remove_folder (partial);
  if (!is_done || !exists_in (folder, restored->replaced))
    g_clear_pointer (&restored->replaced, g_free);
  if (!is_done)
    g_clear_pointer (&restored->missing, g_ptr_array_unref);
  close (lock_fd);
  return is_done;
}
