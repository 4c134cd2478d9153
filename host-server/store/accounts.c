#include "host-server/store/accounts.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "host-server/wire/jid.h"

#include <openssl/rand.h>
#include <string.h>

/* Who keeps things for accounts outside the account's own tables. */
static const char *const rooms[] = { "im", "market", "functions" };

typedef enum
{
  CHANGE_CREATE,
  CHANGE_PASSWORD,
  CHANGE_REMOVE,
} ChangeKind;

/* One change on its way: main → worker (derive) → main → writer (commit) → main (done). */
typedef struct
{
  ChangeKind kind;
  Store *store;
  char *local;
  Secret *password; /* NULL for a removal */
  gint64 now_us;
  AccountsOutcome outcome;
  Account account;
  AccountsDone done;
  gpointer data;
} Change;

static void
change_end (Change *change, const GError *error)
{
  if (error != NULL)
    change->outcome = ACCOUNTS_FAILED;
  change->done (change->outcome, change->outcome == ACCOUNTS_OK ? change->account.uuid : NULL, error,
                change->data);
  secret_free (change->password);
  secret_wipe (&change->account, sizeof change->account);
  g_free (change->local);
  g_free (change);
}

static gboolean
write_verifiers (Db *db, const Account *account, GError **error)
{
  for (ScramHash hash = 0; hash < N_SCRAM_HASHES; hash++)
    {
      const ScramVerifier *verifier = &account->verifiers[hash];
      gsize n = hash == SCRAM_SHA_1 ? 20 : 32;
      if (!db_run (
              db, error,
              "INSERT INTO account_verifier (account, hash, iterations, salt, stored_key, server_key)"
              " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, hash) DO UPDATE SET"
              " iterations = excluded.iterations, salt = excluded.salt, stored_key = excluded.stored_key,"
              " server_key = excluded.server_key",
              "siibbb", account->uuid, (gint64)hash, (gint64)verifier->iterations, verifier->salt,
              sizeof verifier->salt, verifier->stored_key, n, verifier->server_key, n))
        return FALSE;
    }
  return TRUE;
}

static gboolean
write_create (Db *db, Change *change, GError **error)
{
  if (!db_run (
          db, error,
          "INSERT INTO account (uuid, local, created_us) VALUES (?, ?, ?) ON CONFLICT (local) DO NOTHING",
          "ssi", change->account.uuid, change->local, change->now_us))
    return FALSE;
  if (db_get_changes (db) == 0)
    {
      change->outcome = ACCOUNTS_EXISTS;
      return TRUE;
    }
  return write_verifiers (db, &change->account, error);
}

/* Fills the UUID of the account, or the outcome NOT_FOUND; also if the name has become another user's since
 * the change was asked for. */
static gboolean
read_uuid (Db *db, Change *change, GError **error)
{
  g_autoptr (DbQuery) query = db_query (db, "SELECT uuid FROM account WHERE local = ?", "s", change->local);
  GError *local = NULL;
  char *uuid = change->account.uuid;
  if (!db_next (query, &local) || (*uuid != '\0' && !g_str_equal (uuid, db_get_text (query, 0))))
    change->outcome = ACCOUNTS_NOT_FOUND;
  else
    g_strlcpy (uuid, db_get_text (query, 0), sizeof change->account.uuid);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
write_remove (Db *db, const Change *change, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rooms); i++)
    if (!db_run (db, error, "INSERT INTO account_removal (room, account, local) VALUES (?, ?, ?)", "sss",
                 rooms[i], change->account.uuid, change->local))
      return FALSE;
  return db_run (db, error, "DELETE FROM account WHERE uuid = ?", "s", change->account.uuid);
}

static gboolean
change_work (Db *db, gpointer data, GError **error)
{
  Change *change = data;
  change->outcome = ACCOUNTS_OK;
  if (change->kind == CHANGE_CREATE)
    return write_create (db, change, error);
  if (!read_uuid (db, change, error))
    return FALSE;
  if (change->outcome != ACCOUNTS_OK)
    return TRUE;
  return change->kind == CHANGE_PASSWORD ? write_verifiers (db, &change->account, error)
                                         : write_remove (db, change, error);
}

static void
change_written (gpointer data, const GError *error)
{
  change_end (data, error);
}

static void
change_derive (gpointer data)
{
  Change *change = data;
  if (change->outcome != ACCOUNTS_OK)
    return;
  for (ScramHash hash = 0; hash < N_SCRAM_HASHES; hash++)
    {
      guint8 salt[16];
      if (RAND_bytes (salt, sizeof salt) != 1)
        g_error ("the system's random generator failed");
      if (!scram_verifier_derive (hash, change->password, salt, ACCOUNT_ITERATIONS,
                                  &change->account.verifiers[hash]))
        {
          change->outcome = ACCOUNTS_BAD_PASSWORD;
          return;
        }
    }
}

static void
change_derived (gpointer data, const GError *error)
{
  Change *change = data;
  if (change->outcome != ACCOUNTS_OK)
    change_end (change, NULL);
  else
    store_write (change->store, STORE_MARKET, change_work, change_written, change);
}

static gboolean
is_prepared (const char *local)
{
  g_autoptr (Jid) jid = jid_new_parts (local, "localhost", NULL);
  return jid != NULL && g_str_equal (jid_get_local (jid), local);
}

/* What can be refused before the costly derivation. */
static AccountsOutcome
check (Change *change)
{
  gboolean exists = accounts_find (change->store, change->local, &change->account);
  gsize length = secret_get_length (change->password);
  if (change->kind == CHANGE_CREATE && !is_prepared (change->local))
    return ACCOUNTS_BAD_NAME;
  if (change->kind == CHANGE_CREATE && exists)
    return ACCOUNTS_EXISTS;
  if (change->kind == CHANGE_PASSWORD && !exists)
    return ACCOUNTS_NOT_FOUND;
  if (length < ACCOUNT_MIN_PASSWORD || length > ACCOUNT_MAX_PASSWORD)
    return ACCOUNTS_BAD_PASSWORD;
  return ACCOUNTS_OK;
}

static Change *
change_new (ChangeKind kind, Store *store, const char *local, const Secret *password, AccountsDone done,
            gpointer data)
{
  Change *change = g_new0 (Change, 1);
  change->kind = kind;
  change->store = store;
  change->local = g_strdup (local);
  change->password = secret_copy (password);
  change->done = done;
  change->data = data;
  return change;
}

void
accounts_create (Store *store, const char *local, const Secret *password, AccountsDone done, gpointer data)
{
  Change *change = change_new (CHANGE_CREATE, store, local, password, done, data);
  change->outcome = check (change);
  g_autoptr (Clock) clock = clock_new_system ();
  g_autofree char *uuid = id_new_uuid7 (clock);
  g_strlcpy (change->account.uuid, uuid, sizeof change->account.uuid);
  change->now_us = clock_get_wall_us (clock);
  store_compute (store, change_derive, change_derived, change);
}

void
accounts_set_password (Store *store, const char *local, const Secret *password, AccountsDone done,
                       gpointer data)
{
  Change *change = change_new (CHANGE_PASSWORD, store, local, password, done, data);
  change->outcome = check (change);
  store_compute (store, change_derive, change_derived, change);
}

void
accounts_remove (Store *store, const char *local, AccountsDone done, gpointer data)
{
  Change *change = change_new (CHANGE_REMOVE, store, local, NULL, done, data);
  store_write (store, STORE_MARKET, change_work, change_written, change);
}

static void
read_verifier (DbQuery *query, Account *account)
{
  gint64 hash = db_get_int (query, 1);
  if (hash < 0 || hash >= N_SCRAM_HASHES)
    return;
  ScramVerifier *verifier = &account->verifiers[hash];
  gsize length;
  const void *bytes;
  verifier->iterations = (guint32)db_get_int (query, 2);
  bytes = db_get_blob (query, 3, &length);
  memcpy (verifier->salt, bytes, MIN (length, sizeof verifier->salt));
  bytes = db_get_blob (query, 4, &length);
  memcpy (verifier->stored_key, bytes, MIN (length, sizeof verifier->stored_key));
  bytes = db_get_blob (query, 5, &length);
  memcpy (verifier->server_key, bytes, MIN (length, sizeof verifier->server_key));
}

gboolean
accounts_find (Store *store, const char *local, Account *account)
{
  g_autoptr (DbQuery) query
      = db_query (store_peek_reader (store, STORE_MARKET),
                  "SELECT a.uuid, v.hash, v.iterations, v.salt, v.stored_key, v.server_key FROM account a"
                  " JOIN account_verifier v ON v.account = a.uuid WHERE a.local = ?",
                  "s", local);
  g_autoptr (GError) error = NULL;
  memset (account, 0, sizeof *account);
  while (db_next (query, &error))
    {
      g_strlcpy (account->uuid, db_get_text (query, 0), sizeof account->uuid);
      read_verifier (query, account);
    }
  if (error != NULL)
    log_error ("store", "cannot read an account: %s", error->message);
  return account->uuid[0] != '\0';
}

gboolean
accounts_find_uuid (Store *store, const char *local, char uuid[37])
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (store_peek_reader (store, STORE_MARKET),
                                        "SELECT uuid FROM account WHERE local = ?", "s", local);
  gboolean is_found = db_next (query, &error);
  if (is_found)
    g_strlcpy (uuid, db_get_text (query, 0), 37);
  if (error != NULL)
    log_error ("store", "cannot read an account: %s", error->message);
  return is_found;
}

static gboolean
list (DbQuery *query, AccountsFunc func, gpointer data, GError **error)
{
  GError *local = NULL;
  while (db_next (query, &local))
    func (db_get_text (query, 0), db_get_text (query, 1), db_get_int (query, 2), data);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
accounts_list (Db *db, const char *after, guint limit, AccountsFunc func, gpointer data, GError **error)
{
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT uuid, local, created_us FROM account WHERE local > ? ORDER BY local LIMIT ?",
                  "si", after != NULL ? after : "", (gint64)limit);
  return list (query, func, data, error);
}

gboolean
account_removals_list (Db *db, const char *room, AccountsFunc func, gpointer data, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT account, local, 0 FROM account_removal WHERE room = ? ORDER BY account", "s", room);
  return list (query, func, data, error);
}

gboolean
account_removal_finish (Db *db, const char *room, const char *uuid, GError **error)
{
  return db_run (db, error, "DELETE FROM account_removal WHERE room = ? AND account = ?", "ss", room, uuid);
}
