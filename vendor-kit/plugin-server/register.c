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
};

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

static RegisterRow *
find (Register *reg, const char *sql, const char *value, GError **error)
{
  g_autoptr (DbQuery) query = db_query (reg->db, sql, "s", value);
  if (!db_next (query, error))
    return NULL;
  RegisterRow *row = g_new0 (RegisterRow, 1);
  row->request = db_dup_text (query, 0);
  row->serial = db_dup_text (query, 1);
  row->user = db_dup_text (query, 2);
  row->term = db_dup_text (query, 3);
  row->expires_s = db_get_int (query, 4);
  row->is_void = db_get_int (query, 5) != 0;
  return row;
}

RegisterRow *
register_find_request (Register *reg, const char *request, GError **error)
{
  return find (reg, "SELECT request, serial, holder, term, expires_s, is_void FROM serials WHERE request = ?",
               request, error);
}

RegisterRow *
register_find_serial (Register *reg, const char *serial, GError **error)
{
  return find (reg, "SELECT request, serial, holder, term, expires_s, is_void FROM serials WHERE serial = ?",
               serial, error);
}

gboolean
register_add (Register *reg, const RegisterRow *row, GError **error)
{
  return db_run (
      reg->db, error,
      "INSERT INTO serials (request, serial, holder, term, expires_s, is_void) VALUES (?, ?, ?, ?, ?, 0)",
      "ssssi", row->request, row->serial, row->user, row->term, row->expires_s);
}

gboolean
register_void (Register *reg, const char *request, GError **error)
{
  return db_run (reg->db, error,
                 "INSERT INTO serials (request, expires_s, is_void) VALUES (?, 0, 1)"
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
