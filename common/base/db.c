#include "common/base/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

G_DEFINE_QUARK (stoa - db - error, db_error)

#define MAX_CACHED 256

struct Db
{
  sqlite3 *handle;
  char *path;
  GHashTable *statements; /* address of a text -> Cached */
};

struct DbQuery
{
  Db *db;
  sqlite3_stmt *statement;
  const char *sql; /* its address: what the statement is given back under */
  int status;      /* of preparing and binding */
};

static DbErrorCode
error_code (int status)
{
  switch (status & 0xff)
    {
    case SQLITE_CONSTRAINT:
      return DB_ERROR_CONSTRAINT;
    case SQLITE_FULL:
      return DB_ERROR_FULL;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return DB_ERROR_READ_ONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DB_ERROR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return DB_ERROR_BUSY;
    case SQLITE_IOERR:
      return status == SQLITE_IOERR_WRITE ? DB_ERROR_FULL : DB_ERROR_FAILED;
    default:
      return DB_ERROR_FAILED;
    }
}

static gboolean
fail (Db *db, int status, GError **error)
{
  g_set_error (error, DB_ERROR, error_code (sqlite3_extended_errcode (db->handle)), "'%s': %s", db->path,
               db->handle != NULL ? sqlite3_errmsg (db->handle) : sqlite3_errstr (status));
  return FALSE;
}

static gboolean
execute (Db *db, const char *sql, GError **error)
{
  int status = sqlite3_exec (db->handle, sql, NULL, NULL, NULL);
  return status == SQLITE_OK || fail (db, status, error);
}

/* A prepared statement, found again by the address of its static text. A text that is not static may come
 * back at the address of another, which is noticed here. */
typedef struct
{
  sqlite3_stmt *statement;
  gboolean is_busy;
} Cached;

static void
cached_free (gpointer data)
{
  Cached *cached = data;
  sqlite3_finalize (cached->statement);
  g_free (cached);
}

Db *
db_open (const char *path, DbMode mode, GError **error)
{
  g_autoptr (Db) db = g_new0 (Db, 1);
  db->path = g_strdup (path);
  db->statements = g_hash_table_new_full (NULL, NULL, NULL, cached_free);

  if (mode != DB_OPEN_READ)
    {
      /* SQLite gives its -wal and -shm files the mode of the main file. */
      int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (fd < 0)
        {
          int code = errno;
          g_set_error (error, DB_ERROR, code == ENOSPC ? DB_ERROR_FULL : DB_ERROR_READ_ONLY,
                       "cannot open '%s': %s", path, g_strerror (code));
          return NULL;
        }
      close (fd);
    }

  int flags = mode == DB_OPEN_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  int status = sqlite3_open_v2 (path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (status != SQLITE_OK)
    {
      fail (db, status, error);
      return NULL;
    }
  sqlite3_extended_result_codes (db->handle, 1);
  sqlite3_busy_timeout (db->handle, 10000);
  if (mode != DB_OPEN_READ
      && (!execute (db, "PRAGMA journal_mode=WAL", error)
          || !execute (db, mode == DB_OPEN_FULL ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                       error)))
    return NULL;
  if (!execute (db, "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", error))
    return NULL;
  /* Every savepoint keeps what it may have to undo: in memory, or it opens and writes a temporary file for
   * each. Hot pages stay cached, and are copied into the file less often. */
  if (!execute (db, "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768", error)
      || (mode != DB_OPEN_READ && !execute (db, "PRAGMA wal_autocheckpoint=4000", error)))
    return NULL;
  return g_steal_pointer (&db);
}

void
db_close (Db *db)
{
  if (db == NULL)
    return;
  g_hash_table_unref (db->statements);
  int status = sqlite3_close (db->handle);
  g_assert (status == SQLITE_OK); /* a DbQuery was left open */
  g_free (db->path);
  g_free (db);
}

gboolean
db_migrate (Db *db, const char *const *steps, gsize n_steps, GError **error)
{
  gint64 version = 0;
  {
    g_autoptr (DbQuery) query = db_query (db, "PRAGMA user_version", "");
    GError *local = NULL;
    if (db_next (query, &local))
      version = db_get_int (query, 0);
    if (local != NULL)
      {
        g_propagate_error (error, local);
        return FALSE;
      }
  }
  if (version > (gint64)n_steps)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_NEWER,
                   "'%s' was written by a newer version (schema %" G_GINT64_FORMAT ", known %zu)", db->path,
                   version, n_steps);
      return FALSE;
    }
  for (gsize i = (gsize)version; i < n_steps; i++)
    {
      g_autofree char *mark = g_strdup_printf ("PRAGMA user_version=%zu", i + 1);
      if (!db_begin (db, error))
        return FALSE;
      if (!execute (db, steps[i], error) || !execute (db, mark, error) || !db_commit (db, error))
        {
          db_rollback (db);
          g_prefix_error (error, "migration %zu: ", i + 1);
          return FALSE;
        }
    }
  return TRUE;
}

gboolean
db_migrate_family (Db *db, const char *family, const char *const *steps, gsize n_steps, GError **error)
{
  if (!db_run (db, error,
               "CREATE TABLE IF NOT EXISTS schema_family (name TEXT PRIMARY KEY, version BIGINT NOT NULL)",
               ""))
    return FALSE;
  gint64 version = 0;
  {
    g_autoptr (DbQuery) query
        = db_query (db, "SELECT version FROM schema_family WHERE name = ?", "s", family);
    GError *local = NULL;
    if (db_next (query, &local))
      version = db_get_int (query, 0);
    if (local != NULL)
      {
        g_propagate_error (error, local);
        return FALSE;
      }
  }
  if (version > (gint64)n_steps)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_NEWER,
                   "'%s' was written by a newer version (%s schema %" G_GINT64_FORMAT ", known %zu)",
                   db->path, family, version, n_steps);
      return FALSE;
    }
  for (gsize i = (gsize)version; i < n_steps; i++)
    {
      if (!db_begin (db, error))
        return FALSE;
      if (!execute (db, steps[i], error)
          || !db_run (db, error,
                      "INSERT INTO schema_family (name, version) VALUES (?, ?)"
                      " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
                      "si", family, (gint64)i + 1)
          || !db_commit (db, error))
        {
          db_rollback (db);
          g_prefix_error (error, "%s migration %zu: ", family, i + 1);
          return FALSE;
        }
    }
  return TRUE;
}

static int
take_statement (Db *db, const char *sql, sqlite3_stmt **statement)
{
  Cached *cached = g_hash_table_lookup (db->statements, sql);
  if (cached != NULL && !cached->is_busy && strcmp (sqlite3_sql (cached->statement), sql) == 0)
    {
      cached->is_busy = TRUE;
      *statement = cached->statement;
      return SQLITE_OK;
    }
  return sqlite3_prepare_v3 (db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

/* @sql is only an address here. */
static void
give_statement (Db *db, const char *sql, sqlite3_stmt *statement)
{
  if (statement == NULL)
    return;
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  Cached *cached = g_hash_table_lookup (db->statements, sql);
  if (cached != NULL && cached->statement == statement)
    {
      cached->is_busy = FALSE;
      return;
    }
  if (cached != NULL || g_hash_table_size (db->statements) >= MAX_CACHED)
    {
      sqlite3_finalize (statement);
      return;
    }
  cached = g_new0 (Cached, 1);
  cached->statement = statement;
  g_hash_table_insert (db->statements, (gpointer)sql, cached);
}

static int
bind_all (sqlite3_stmt *statement, const char *types, va_list args)
{
  int status = SQLITE_OK;
  g_assert (sqlite3_bind_parameter_count (statement) == (int)strlen (types));

  for (int i = 0; types[i] != '\0' && status == SQLITE_OK; i++)
    switch (types[i])
      {
      case 's':
        status = sqlite3_bind_text (statement, i + 1, va_arg (args, const char *), -1, SQLITE_TRANSIENT);
        break;
      case 'i':
        status = sqlite3_bind_int64 (statement, i + 1, va_arg (args, gint64));
        break;
      case 'd':
        status = sqlite3_bind_double (statement, i + 1, va_arg (args, double));
        break;
      case 'b':
        {
          const void *bytes = va_arg (args, const void *);
          gsize length = va_arg (args, gsize);
          if (bytes == NULL)
            status = sqlite3_bind_null (statement, i + 1);
          else if (length == 0)
            status = sqlite3_bind_zeroblob (statement, i + 1, 0);
          else
            status = sqlite3_bind_blob64 (statement, i + 1, bytes, length, SQLITE_TRANSIENT);
          break;
        }
      case 'n':
        status = sqlite3_bind_null (statement, i + 1);
        break;
      default:
        g_assert_not_reached ();
      }
  return status;
}

gboolean
db_run (Db *db, GError **error, const char *sql, const char *types, ...)
{
  sqlite3_stmt *statement = NULL;
  int status = take_statement (db, sql, &statement);
  if (status == SQLITE_OK)
    {
      va_list args;
      va_start (args, types);
      status = bind_all (statement, types, args);
      va_end (args);
    }
  if (status == SQLITE_OK)
    do
      status = sqlite3_step (statement);
    while (status == SQLITE_ROW);
  gboolean is_done = status == SQLITE_DONE || fail (db, status, error);
  give_statement (db, sql, statement);
  return is_done;
}

gint64
db_get_changes (Db *db)
{
  return sqlite3_changes64 (db->handle);
}

DbQuery *
db_query (Db *db, const char *sql, const char *types, ...)
{
  DbQuery *query = g_new0 (DbQuery, 1);
  query->db = db;
  query->sql = sql;
  query->status = take_statement (db, sql, &query->statement);
  if (query->status == SQLITE_OK)
    {
      va_list args;
      va_start (args, types);
      query->status = bind_all (query->statement, types, args);
      va_end (args);
    }
  return query;
}

gboolean
db_next (DbQuery *query, GError **error)
{
  if (query->status == SQLITE_OK)
    {
      int status = sqlite3_step (query->statement);
      if (status == SQLITE_ROW)
        return TRUE;
      query->status = status;
      if (status == SQLITE_DONE)
        {
          sqlite3_reset (query->statement); /* ends the read transaction at once */
          return FALSE;
        }
    }
  if (query->status != SQLITE_DONE)
    fail (query->db, query->status, error);
  return FALSE;
}

void
db_query_free (DbQuery *query)
{
  if (query == NULL)
    return;
  give_statement (query->db, query->sql, query->statement);
  g_free (query);
}

const char *
db_get_text (DbQuery *query, int column)
{
  return (const char *)sqlite3_column_text (query->statement, column);
}

gint64
db_get_int (DbQuery *query, int column)
{
  return sqlite3_column_int64 (query->statement, column);
}

const void *
db_get_blob (DbQuery *query, int column, gsize *length)
{
  if (db_is_null (query, column))
    {
      *length = 0;
      return NULL;
    }
  const void *bytes = sqlite3_column_blob (query->statement, column);
  *length = (gsize)sqlite3_column_bytes (query->statement, column);
  return bytes != NULL ? bytes : "";
}

gboolean
db_is_null (DbQuery *query, int column)
{
  return sqlite3_column_type (query->statement, column) == SQLITE_NULL;
}

char *
db_dup_text (DbQuery *query, int column)
{
  return g_strdup (db_get_text (query, column));
}

gboolean
db_begin (Db *db, GError **error)
{
  return db_run (db, error, "BEGIN IMMEDIATE", "");
}

gboolean
db_commit (Db *db, GError **error)
{
  return db_run (db, error, "COMMIT", "");
}

void
db_rollback (Db *db)
{
  /* SQLite has already rolled back by itself after some failures (a full disk among them). */
  if (!sqlite3_get_autocommit (db->handle))
    db_run (db, NULL, "ROLLBACK", "");
}

gboolean
db_is_in_transaction (Db *db)
{
  return !sqlite3_get_autocommit (db->handle);
}

gboolean
db_savepoint (Db *db, GError **error)
{
  return db_run (db, error, "SAVEPOINT one", "");
}

gboolean
db_release (Db *db, GError **error)
{
  return db_run (db, error, "RELEASE one", "");
}

void
db_undo_savepoint (Db *db)
{
  db_run (db, NULL, "ROLLBACK TO one", "");
  db_run (db, NULL, "RELEASE one", "");
}

gboolean
db_backup (Db *db, const char *path, GError **error)
{
  g_autoptr (Db) copy = db_open (path, DB_OPEN_NORMAL, error);
  if (copy == NULL)
    return FALSE;
  sqlite3_backup *backup = sqlite3_backup_init (copy->handle, "main", db->handle, "main");
  if (backup == NULL)
    return fail (copy, SQLITE_ERROR, error);
  int status = sqlite3_backup_step (backup, -1);
  int finish = sqlite3_backup_finish (backup);
  if (status != SQLITE_DONE || finish != SQLITE_OK)
    return fail (copy, finish, error);
  /* One self-contained file: no -wal beside a backup. */
  return execute (copy, "PRAGMA journal_mode=DELETE", error);
}
