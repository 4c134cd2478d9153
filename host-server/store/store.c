#include "host-server/store/store.h"

#include "host-server/store/folder-lock.h"
#include "host-server/store/restore.h"
#include "host-server/store/package-files.h"
#include "host-server/store/schema.h"
#include "host-server/store/seal.h"
#include "host-server/store/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define N_FILES   2
#define N_WORKERS 2
#define KEY_CHECK "stoa"

static const char *const file_names[N_FILES] = { "market.db", "chat.db" };

struct Store
{
  char *folder;
  char *packages;       /* the folder of packages; NULL: none */
  char *inner_key_file; /* the key file, if it lies at its default place in the folder; NULL if elsewhere */
  int lock_fd;
  Secret *key;
  Returns *returns;
  Writer *writers[N_FILES];
  Db *readers[N_FILES]; /* the main thread's */

  GThread *reader_thread;
  GAsyncQueue *reads; /* of StoreJob; reader_end ends the thread */
  StoreJob reader_end;
  Db *long_readers[N_FILES]; /* the reader thread's */

  GThreadPool *workers;
};

static void
run_read (Db *db, StoreJob *job)
{
  if (!db_run (db, &job->error, "BEGIN", ""))
    return;
  if (!job->work (db, job->data, &job->error) && job->error == NULL)
    g_set_error_literal (&job->error, DB_ERROR, DB_ERROR_FAILED, "a read failed without saying why");
  db_rollback (db);
}

static gpointer
reader_run (gpointer data)
{
  Store *store = data;
  for (StoreJob *job; (job = g_async_queue_pop (store->reads)) != &store->reader_end;)
    {
      run_read (store->long_readers[job->file], job);
      returns_take_one (store->returns, job);
    }
  return NULL;
}

static void
worker_run (gpointer job_data, gpointer store_data)
{
  StoreJob *job = job_data;
  Store *store = store_data;
  job->compute (job->data);
  returns_take_one (store->returns, job);
}

/* A new key beside an old database would make every sealed value unreadable, so the database knows its key.
 */
static gboolean
load_key (Store *store, Db *db, const char *key_file, GError **error)
{
  g_autoptr (DbQuery) query = db_query (db, "SELECT value FROM store_fact WHERE name = 'key_check'", "");
  GError *local = NULL;
  gboolean is_old = db_next (query, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  store->key = seal_load_key (key_file, !is_old, error);
  if (store->key == NULL)
    return FALSE;
  if (is_old)
    {
      gsize length;
      const void *sealed = db_get_blob (query, 0, &length);
      g_autoptr (Secret) check = seal_open (store->key, "key_check", sealed, length);
      if (check == NULL)
        g_set_error (error, DB_ERROR, DB_ERROR_CORRUPT, "the key file '%s' is not the one of this database",
                     key_file);
      return check != NULL;
    }
  g_autoptr (Secret) check = secret_new (KEY_CHECK, strlen (KEY_CHECK));
  g_autoptr (GBytes) sealed = seal_close (store->key, "key_check", check);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  return db_run (db, error, "INSERT INTO store_fact (name, value) VALUES ('key_check', ?)", "b", bytes,
                 length);
}

static gboolean
open_file (Store *store, StoreFile file, const char *key_file, GError **error)
{
  g_autofree char *path = g_build_filename (store->folder, file_names[file], NULL);
  g_autoptr (Db) db = db_open (path, file == STORE_MARKET ? DB_OPEN_FULL : DB_OPEN_NORMAL, error);
  if (db == NULL)
    return FALSE;
  if (!schema_migrate (db, file, error))
    {
      g_prefix_error (error, "cannot bring '%s' up to date: ", path);
      return FALSE;
    }
  if (file == STORE_MARKET && !load_key (store, db, key_file, error))
    return FALSE;
  store->readers[file] = db_open (path, DB_OPEN_READ, error);
  if (store->readers[file] == NULL)
    return FALSE;
  store->long_readers[file] = db_open (path, DB_OPEN_READ, error);
  if (store->long_readers[file] == NULL)
    return FALSE;
  store->writers[file] = writer_new (file_names[file], g_steal_pointer (&db), store->returns);
  return TRUE;
}

Store *
store_open (const char *folder, const char *key_file, GError **error)
{
  g_autoptr (Store) store = g_new0 (Store, 1);
  store->lock_fd = -1;
  store->folder = g_strdup (folder);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  store->returns = returns_new (context);
  g_autofree char *default_key_file = g_build_filename (folder, "store.key", NULL);
  if (key_file == NULL || g_str_equal (key_file, default_key_file))
    store->inner_key_file = g_strdup (default_key_file);

  if (g_mkdir_with_parents (folder, 0700) != 0)
    {
      int code = errno;
      g_set_error (error, DB_ERROR, code == ENOSPC ? DB_ERROR_FULL : DB_ERROR_READ_ONLY,
                   "cannot make the folder '%s': %s", folder, g_strerror (code));
      return NULL;
    }
  store->lock_fd = folder_lock (folder, error);
  if (store->lock_fd < 0 || !restore_finish (folder, error))
    return NULL;
  for (StoreFile file = 0; file < N_FILES; file++)
    if (!open_file (store, file, key_file != NULL ? key_file : default_key_file, error))
      return NULL;

  store->reads = g_async_queue_new ();
  store->reader_thread = g_thread_new ("store reader", reader_run, store);
  store->workers = g_thread_pool_new (worker_run, store, N_WORKERS, FALSE, NULL);
  return g_steal_pointer (&store);
}

void
store_close (Store *store)
{
  if (store == NULL)
    return;
  if (store->returns != NULL)
    returns_finish (store->returns);
  if (store->reader_thread != NULL)
    {
      g_async_queue_push (store->reads, &store->reader_end);
      g_thread_join (store->reader_thread);
    }
  g_clear_pointer (&store->reads, g_async_queue_unref);
  if (store->workers != NULL)
    g_thread_pool_free (store->workers, FALSE, TRUE);
  for (StoreFile file = 0; file < N_FILES; file++)
    {
      db_close (store->readers[file]);
      db_close (store->long_readers[file]);
      writer_free (store->writers[file]); /* the last to close checkpoints */
    }
  returns_free (store->returns);
  secret_free (store->key);
  if (store->lock_fd >= 0)
    close (store->lock_fd);
  g_free (store->packages);
  g_free (store->inner_key_file);
  g_free (store->folder);
  g_free (store);
}

void
store_write (Store *store, StoreFile file, StoreWork work, StoreDone done, gpointer data)
{
  writer_take (store->writers[file], returns_new_job (store->returns, file, work, done, data));
}

void
store_read (Store *store, StoreFile file, StoreWork work, StoreDone done, gpointer data)
{
  g_async_queue_push (store->reads, returns_new_job (store->returns, file, work, done, data));
}

void
store_compute (Store *store, StoreCompute compute, StoreDone done, gpointer data)
{
  StoreJob *job = returns_new_job (store->returns, 0, NULL, done, data);
  job->compute = compute;
  g_thread_pool_push (store->workers, job, NULL);
}

Db *
store_peek_reader (Store *store, StoreFile file)
{
  return store->readers[file];
}

guint
store_get_backlog (Store *store, StoreFile file)
{
  return writer_get_backlog (store->writers[file]);
}

gboolean
store_is_healthy (Store *store, StoreFile file)
{
  return writer_is_healthy (store->writers[file]);
}

typedef struct
{
  Store *store;
  char *path;
  StoreDone done;
  gpointer data;
} Backup;

static gboolean
copy_key (const char *from, const char *folder, GError **error)
{
  g_autofree char *to = g_build_filename (folder, "store.key", NULL);
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_get_contents (from, &text, &length, error))
    return FALSE;
  gboolean is_copied = g_file_set_contents_full (
      to, text, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
  secret_wipe (text, length);
  return is_copied;
}

static gboolean
sync_path (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean is_synced = fd >= 0 && fsync (fd) == 0;
  if (!is_synced)
    {
      int code = errno;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot sync '%s': %s", path,
                   g_strerror (code));
    }
  if (fd >= 0)
    close (fd);
  return is_synced;
}

static void
remove_partial (const char *folder)
{
  static const char *const names[]
      = { "market.db", "chat.db", "market.db-journal", "chat.db-journal", "store.key" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (folder, names[i], NULL);
      g_unlink (path);
    }
  g_autofree char *packages = package_files_dup_folder (folder);
  package_files_remove (packages);
  g_rmdir (folder);
}

/* What market.db names after its copy was made is at least what the copy names: rows of packages stay. */
static gboolean
copy_packages (Store *store, Db *market, const char *partial, GError **error)
{
  g_autofree char *to = package_files_dup_folder (partial);
  return store->packages == NULL || package_files_copy (market, store->packages, to, NULL, error);
}

/* On the reader thread, which owns both long readers. */
static gboolean
backup_work (Db *db, gpointer data, GError **error)
{
  Backup *backup = data;
  Store *store = backup->store;
  g_autofree char *partial = g_strconcat (backup->path, ".partial", NULL);

  if (g_file_test (backup->path, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS, "'%s' exists", backup->path);
      return FALSE;
    }
  remove_partial (partial);
  if (g_mkdir (partial, 0700) != 0)
    {
      int code = errno;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot make the folder '%s': %s",
                   partial, g_strerror (code));
      return FALSE;
    }
  gboolean is_copied = TRUE;
  for (StoreFile file = 0; file < N_FILES && is_copied; file++)
    {
      g_autofree char *path = g_build_filename (partial, file_names[file], NULL);
      is_copied = db_backup (store->long_readers[file], path, error);
    }
  is_copied = is_copied && copy_packages (store, db, partial, error);
  if (is_copied && store->inner_key_file != NULL)
    is_copied = copy_key (store->inner_key_file, partial, error);
  /* Whole means on the disk, too. */
  for (gsize i = 0; i < N_FILES && is_copied; i++)
    {
      g_autofree char *path = g_build_filename (partial, file_names[i], NULL);
      is_copied = sync_path (path, error);
    }
  is_copied = is_copied && sync_path (partial, error);
  if (is_copied && g_rename (partial, backup->path) != 0)
    {
      int code = errno;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot rename '%s': %s", partial,
                   g_strerror (code));
      is_copied = FALSE;
    }
  if (!is_copied)
    remove_partial (partial);
  return is_copied;
}

static void
backup_done (gpointer data, const GError *error)
{
  Backup *backup = data;
  backup->done (backup->data, error);
  g_free (backup->path);
  g_free (backup);
}

void
store_set_packages (Store *store, const char *folder)
{
  g_free (store->packages);
  store->packages = g_strdup (folder);
}

void
store_backup (Store *store, const char *path, StoreDone done, gpointer data)
{
  Backup *backup = g_new0 (Backup, 1);
  backup->store = store;
  backup->path = g_strdup (path);
  backup->done = done;
  backup->data = data;
  store_read (store, STORE_MARKET, backup_work, backup_done, backup);
}

GBytes *
store_seal (Store *store, const char *label, const Secret *plain)
{
  return seal_close (store->key, label, plain);
}

Secret *
store_unseal (Store *store, const char *label, const void *sealed, gsize length)
{
  return seal_open (store->key, label, sealed, length);
}

Secret *
store_derive_key (Store *store, const char *label)
{
  return seal_derive (store->key, label);
}
