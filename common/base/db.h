/* A thin SQL layer: one connection, cached statements, typed parameters, errors that say what and where.
 *
 * A Db belongs to one thread at a time. SQL text is static and values are bound, never pasted. What is
 * written here is what SQLite and PostgreSQL share (ON CONFLICT, RETURNING, no triggers). */
#pragma once

#include <glib.h>

typedef struct Db Db;
typedef struct DbQuery DbQuery;

#define DB_ERROR (db_error_quark ())
GQuark db_error_quark (void);

typedef enum
{
  DB_ERROR_FAILED,
  DB_ERROR_CONSTRAINT, /* a UNIQUE, CHECK or foreign key refused the row */
  DB_ERROR_FULL,       /* no room on the disk */
  DB_ERROR_READ_ONLY,  /* the file or its folder cannot be written */
  DB_ERROR_CORRUPT,    /* the file is not a database, or is damaged */
  DB_ERROR_BUSY,       /* another connection held the lock for too long */
  DB_ERROR_NEWER,      /* the file was written by a newer version */
} DbErrorCode;

typedef enum
{
  DB_OPEN_FULL,   /* read and write, WAL, synchronous=FULL: a commit survives power loss */
  DB_OPEN_NORMAL, /* read and write, WAL, synchronous=NORMAL: a commit survives kill -9 */
  DB_OPEN_READ,   /* a reader beside a writer */
} DbMode;

/* Opens or creates @path (mode 0600). Foreign keys are on. */
Db *db_open (const char *path, DbMode mode, GError **error);
void db_close (Db *db);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Db, db_close)

/* Brings the schema from its recorded version to @n_steps: each step is SQL text (several statements), run in
 * a transaction of its own together with the new version number. A file of a later version is refused. */
gboolean db_migrate (Db *db, const char *const *steps, gsize n_steps, GError **error);
/* The same for one of several families of tables in a file, each numbered by itself in the table
 * schema_family. A file holds either families or the one list of db_migrate(). */
gboolean db_migrate_family (Db *db, const char *family, const char *const *steps, gsize n_steps, GError **error);

/* Runs a statement to its end. @types has a letter for each parameter:
 *   s  const char * (NULL: SQL NULL)      i  gint64 (cast it!)
 *   b  const void *, gsize (a blob; NULL pointer: SQL NULL)
 *   d  double                             n  nothing follows: SQL NULL */
gboolean db_run (Db *db, GError **error, const char *sql, const char *types, ...);
/* Rows that the last db_run() changed. */
gint64 db_get_changes (Db *db);

/* Starts a query; parameters as in db_run(). Never NULL: a failure is reported by the first db_next(). The
 * caller frees it before the Db is closed. */
DbQuery *db_query (Db *db, const char *sql, const char *types, ...);
/* Moves to the next row. FALSE at the end, and then @error is set if it is a failure. */
gboolean db_next (DbQuery *query, GError **error);
void db_query_free (DbQuery *query);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbQuery, db_query_free)

/* Columns of the current row, from 0. Text and blobs live until the next db_next(); NULL for SQL NULL. */
const char *db_get_text (DbQuery *query, int column);
gint64 db_get_int (DbQuery *query, int column);
const void *db_get_blob (DbQuery *query, int column, gsize *length);
gboolean db_is_null (DbQuery *query, int column);
char *db_dup_text (DbQuery *query, int column);

/* Transactions: db_begin() is BEGIN IMMEDIATE. A savepoint nests inside one. */
gboolean db_begin (Db *db, GError **error);
gboolean db_commit (Db *db, GError **error);
void db_rollback (Db *db);
/* FALSE also after SQLite ended the transaction by itself, as it does on some failures (a full disk). */
gboolean db_is_in_transaction (Db *db);
gboolean db_savepoint (Db *db, GError **error);
gboolean db_release (Db *db, GError **error);
void db_undo_savepoint (Db *db);

/* Copies the whole database, as of one moment, into the new file @path while others read and write. */
gboolean db_backup (Db *db, const char *path, GError **error);
