/* Accounts and their SCRAM verifiers (market.db). Passwords are never stored.
 *
 * An account has a UUID of its own: a name that was removed and registered anew is another user. */
#pragma once

#include "host-server/store/store.h"
#include "host-server/wire/scram.h"

#define ACCOUNT_MIN_PASSWORD 8
#define ACCOUNT_MAX_PASSWORD 1023

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

/* Derives the verifiers (PBKDF2, off the main thread) and commits the account. */
void accounts_create (Store *store, const char *local, const Secret *password, AccountsDone done, gpointer data);
void accounts_set_password (Store *store, const char *local, const Secret *password, AccountsDone done,
                            gpointer data);
/* Removes the account; what it owned elsewhere is removed by jobs (hooks of the rooms). */
void accounts_remove (Store *store, const char *local, AccountsDone done, gpointer data);

/* Derives one verifier (blocking: PBKDF2 of @iterations rounds). FALSE if SASLprep refuses @password. */
gboolean scram_verifier_derive (ScramHash hash, const Secret *password, const guint8 salt[16], guint32 iterations,
                                ScramVerifier *verifier);
