#include "vendor-kit/plugin-server/register.h"

#include "common/base/db.h"

#include <string.h>

#define DAY_S 86400

struct Register
{
  Db *db;
  const Clock *clock;
};

static const char *const schema[] = {
  "CREATE TABLE serials (request TEXT PRIMARY KEY, serial TEXT UNIQUE, holder TEXT, term TEXT,"
  "  expires_s INTEGER NOT NULL, is_void INTEGER NOT NULL);"
  "CREATE TABLE tokens (jti TEXT PRIMARY KEY, digest TEXT UNIQUE, holder TEXT, expires_s INTEGER NOT NULL,"
  "  is_revoked INTEGER NOT NULL);"
  "CREATE INDEX tokens_expires ON tokens (expires_s);",

  /* A renewal may bring the serial that is there with a later end: several requests for one serial. */
  "ALTER TABLE serials RENAME TO serials_1;"
  "CREATE TABLE serials (serial TEXT PRIMARY KEY, holder TEXT NOT NULL);"
  "CREATE TABLE requests (request TEXT PRIMARY KEY, serial TEXT REFERENCES serials (serial), holder TEXT,"
  "  term TEXT, expires_s INTEGER NOT NULL, is_void INTEGER NOT NULL);"
  "INSERT INTO serials SELECT serial, holder FROM serials_1 WHERE serial IS NOT NULL;"
  "INSERT INTO requests SELECT request, serial, holder, term, expires_s, is_void FROM serials_1;"
  "DROP TABLE serials_1;"
  "CREATE INDEX requests_serial ON requests (serial);"
  "CREATE INDEX requests_holder ON requests (holder);",
};

#define REQUEST "SELECT request, serial, holder, term, expires_s, is_void FROM requests"

Register *
register_open (const char *folder, const Clock *clock, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "register.db", NULL);
  g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, error);
  if (db == NULL || !db_migrate (db, schema, G_N_ELEMENTS (schema), error))
    return NULL;
  Register *reg = g_new0 (Register, 1);
  reg->db = g_steal_pointer (&db);
  reg->clock = clock;
  return reg;
}

void
register_close (Register *reg)
{
  if (reg == NULL)
    return;
  db_close (reg->db);
  g_free (reg);
}

void
register_row_free (RegisterRow *row)
{
  if (row == NULL)
    return;
  g_free (row->request);
  g_free (row->serial);
  g_free (row->user);
  g_free (row->term);
  g_free (row);
}

void
register_token_free (RegisterToken *token)
{
  if (token == NULL)
    return;
  g_free (token->jti);
  g_free (token->user);
  g_free (token);
}

void
register_serial_free (RegisterSerial *serial)
{
  if (serial == NULL)
    return;
  g_free (serial->user);
  g_free (serial);
}

/* Takes @query. */
static RegisterRow *
read_row (DbQuery *query, GError **error)
{
  RegisterRow *row = NULL;
  if (db_next (query, error))
    {
      row = g_new0 (RegisterRow, 1);
      row->request = db_dup_text (query, 0);
      row->serial = db_dup_text (query, 1);
      row->user = db_dup_text (query, 2);
      row->term = db_dup_text (query, 3);
      row->expires_s = db_get_int (query, 4);
      row->is_void = db_get_int (query, 5) != 0;
    }
  db_query_free (query);
  return row;
}

RegisterRow *
register_find_request (Register *reg, const char *request, GError **error)
{
  return read_row (db_query (reg->db, REQUEST " WHERE request = ?", "s", request), error);
}

RegisterRow *
register_find_renewed (Register *reg, const char *user, const char *request, GError **error)
{
  const char *dot = strrchr (request, '.');
  g_autofree char *line = dot != NULL ? g_strndup (request, (gsize)(dot - request) + 1) : g_strdup (request);
  return read_row (db_query (reg->db,
                             REQUEST " WHERE holder = ? AND is_void = 0 AND expires_s <> 0"
                                     " AND substr (request, 1, ?) <> ? ORDER BY expires_s DESC LIMIT 1",
                             "sis", user, (gint64)strlen (line), line),
                   error);
}

RegisterSerial *
register_find_serial (Register *reg, const char *serial, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      reg->db,
      "SELECT s.holder, COUNT (r.request), MAX (CASE r.expires_s WHEN 0 THEN 1 ELSE 0 END),"
      " MAX (r.expires_s) FROM serials s LEFT JOIN requests r ON r.serial = s.serial AND r.is_void = 0"
      " WHERE s.serial = ? GROUP BY s.serial, s.holder",
      "s", serial);
  if (!db_next (query, error))
    return NULL;
  RegisterSerial *found = g_new0 (RegisterSerial, 1);
  found->user = db_dup_text (query, 0);
  found->is_void = db_get_int (query, 1) == 0;
  found->expires_s = db_get_int (query, 2) != 0 ? 0 : db_get_int (query, 3);
  return found;
}

char *
register_dup_serial_of_another (Register *reg, const char *user, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      reg->db, "SELECT serial FROM serials WHERE holder <> ? ORDER BY rowid DESC LIMIT 1", "s", user);
  return db_next (query, error) ? db_dup_text (query, 0) : NULL;
}

static gboolean
serial_is_of (Register *reg, const char *serial, const char *user, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (reg->db, "SELECT 1 FROM serials WHERE serial = ? AND holder = ?", "ss", serial, user);
  GError *local = NULL;
  if (db_next (query, &local))
    return TRUE;
  if (local != NULL)
    g_propagate_error (error, local);
  else
    g_set_error (error, DB_ERROR, DB_ERROR_CONSTRAINT, "the serial is another user's");
  return FALSE;
}

gboolean
register_add (Register *reg, const RegisterRow *row, GError **error)
{
  if (!db_begin (reg->db, error))
    return FALSE;
  if (db_run (reg->db, error,
              "INSERT INTO serials (serial, holder) VALUES (?, ?) ON CONFLICT (serial) DO NOTHING", "ss",
              row->serial, row->user)
      && serial_is_of (reg, row->serial, row->user, error)
      && db_run (reg->db, error,
                 "INSERT INTO requests (request, serial, holder, term, expires_s, is_void) VALUES (?, ?, ?, "
                 "?, ?, 0)",
                 "ssssi", row->request, row->serial, row->user, row->term, row->expires_s)
      && db_commit (reg->db, error))
    return TRUE;
  if (db_is_in_transaction (reg->db))
    db_rollback (reg->db);
  return FALSE;
}

gboolean
register_void (Register *reg, const char *request, GError **error)
{
  return db_run (reg->db, error,
                 "INSERT INTO requests (request, expires_s, is_void) VALUES (?, 0, 1)"
                 " ON CONFLICT (request) DO UPDATE SET is_void = 1",
                 "s", request);
}

static char *
digest_of (const char *token)
{
  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, token, -1);
}

gboolean
register_put_token (Register *reg, const char *jti, const char *token, const char *user, gint64 expires_s,
                    GError **error)
{
  g_autofree char *digest = digest_of (token);
  gint64 long_ago_s = clock_get_wall_us (reg->clock) / G_USEC_PER_SEC - DAY_S;
  return db_run (reg->db, error, "DELETE FROM tokens WHERE expires_s < ?", "i", long_ago_s)
         && db_run (reg->db, error,
                    "INSERT INTO tokens (jti, digest, holder, expires_s, is_revoked) VALUES (?, ?, ?, ?, 0)"
                    " ON CONFLICT (jti) DO UPDATE SET digest = excluded.digest, holder = excluded.holder,"
                    " expires_s = excluded.expires_s",
                    "sssi", jti, digest, user, expires_s);
}

gboolean
register_revoke_token (Register *reg, const char *jti, GError **error)
{
  /* One that was never seen is remembered for a day, far longer than any token lives. */
  gint64 now_s = clock_get_wall_us (reg->clock) / G_USEC_PER_SEC;
  return db_run (reg->db, error,
                 "INSERT INTO tokens (jti, expires_s, is_revoked) VALUES (?, ?, 1)"
                 " ON CONFLICT (jti) DO UPDATE SET is_revoked = 1",
                 "si", jti, now_s + DAY_S);
}

RegisterToken *
register_find_token (Register *reg, const char *token, GError **error)
{
  g_autofree char *digest = digest_of (token);
  g_autoptr (DbQuery) query = db_query (
      reg->db, "SELECT jti, holder, expires_s, is_revoked FROM tokens WHERE digest = ?", "s", digest);
  if (!db_next (query, error))
    return NULL;
  RegisterToken *found = g_new0 (RegisterToken, 1);
  found->jti = db_dup_text (query, 0);
  found->user = db_dup_text (query, 1);
  found->expires_s = db_get_int (query, 2);
  found->is_revoked = db_get_int (query, 3) != 0;
  return found;
}
