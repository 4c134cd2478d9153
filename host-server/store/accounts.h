/* Accounts and their SCRAM verifiers (market.db). Passwords are never stored.
 *
 * An account has a UUID of its own: a name that was removed and registered anew is another user. */
#pragma once

#include "host-server/store/store.h"
#include "host-server/wire/scram.h"

#define ACCOUNT_MIN_PASSWORD 8
#define ACCOUNT_MAX_PASSWORD 1023
/* PBKDF2 rounds of new verifiers. Each account keeps the number its own were made with. */
#define ACCOUNT_ITERATIONS 10000

typedef struct
{
  char uuid[37];
  ScramVerifier verifiers[N_SCRAM_HASHES];
} Account;

typedef enum
{
  ACCOUNTS_OK,
  ACCOUNTS_NOT_FOUND,
  ACCOUNTS_EXISTS,
  ACCOUNTS_BAD_NAME,     /* not a nodeprep localpart */
  ACCOUNTS_BAD_PASSWORD, /* SASLprep refuses it, or its length is outside 8 to 1,023 bytes */
  ACCOUNTS_FAILED,       /* the store failed; the error says how */
} AccountsOutcome;

/* The done function of a change, on the main context after the commit. @account_uuid is NULL unless OK. */
typedef void (*AccountsDone) (AccountsOutcome outcome, const char *account_uuid, const GError *error,
                              gpointer data);

/* Looks up by prepared localpart, by index, on the main thread. FALSE if there is none. */
gboolean accounts_find (Store *store, const char *local, Account *account);
/* The same for the UUID alone, which is cheaper. */
gboolean accounts_find_uuid (Store *store, const char *local, char uuid[37]);

/* Derives the verifiers (PBKDF2, off the main thread) and commits the account. */
void accounts_create (Store *store, const char *local, const Secret *password, AccountsDone done, gpointer data);
void accounts_set_password (Store *store, const char *local, const Secret *password, AccountsDone done,
                            gpointer data);
/* Removes the account, and writes in the same commit a note for each room that keeps things of its own for
 * accounts ("im", "market", "functions"), so that a crash before their hooks ran leaves nothing behind. */
void accounts_remove (Store *store, const char *local, AccountsDone done, gpointer data);

typedef void (*AccountsFunc) (const char *uuid, const char *local, gint64 created_us, gpointer data);
/* At most @limit accounts in the order of their names, behind the name @after (NULL: from the first). */
gboolean accounts_list (Db *db, const char *after, guint limit, AccountsFunc func, gpointer data, GError **error);

/* The removed accounts that @room has not finished with; it asks at start and then goes on as its hook does.
 * @created_us is 0. */
gboolean account_removals_list (Db *db, const char *room, AccountsFunc func, gpointer data, GError **error);
/* Inside a write on STORE_MARKET: @room has removed what it kept for @uuid. */
gboolean account_removal_finish (Db *db, const char *room, const char *uuid, GError **error);

/* Derives one verifier (blocking: PBKDF2 of @iterations rounds). FALSE if SASLprep refuses @password. */
gboolean scram_verifier_derive (ScramHash hash, const Secret *password, const guint8 salt[16], guint32 iterations,
                                ScramVerifier *verifier);
