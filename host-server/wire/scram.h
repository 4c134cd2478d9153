/* SCRAM (RFC 5802, RFC 7677) on the server's side: a function from messages to messages, with no stream in
 * it.
 *
 * Channel binding is not offered, so a client says `n` or `y`; `p` is refused. */
#pragma once

#include "common/base/secret.h"

typedef enum
{
  SCRAM_SHA_1,
  SCRAM_SHA_256,
  N_SCRAM_HASHES,
} ScramHash;

/* RFC 5802 §3: what the server keeps of a password. */
typedef struct
{
  guint8 salt[16];
  guint32 iterations;
  guint8 stored_key[32]; /* 20 bytes used with SHA-1 */
  guint8 server_key[32];
} ScramVerifier;

typedef struct Scram Scram;

typedef enum
{
  SCRAM_OK,
  SCRAM_MALFORMED,   /* not a message of the grammar, an extension we must not ignore, or a binding we do not
                        offer */
  SCRAM_WRONG_PROOF, /* not authorized */
} ScramOutcome;

Scram *scram_new (ScramHash hash);
void scram_free (Scram *scram);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Scram, scram_free)

/* Takes client-first-message. */
ScramOutcome scram_read_first (Scram *scram, const char *message, gsize length);
/* As the client wrote them, unescaped; lent, valid after scram_read_first(). @authzid is NULL if absent. */
const char *scram_get_username (const Scram *scram);
const char *scram_get_authzid (const Scram *scram);
/* server-first-message; the caller frees it. @nonce is appended to the client's. */
char *scram_write_challenge (Scram *scram, const ScramVerifier *verifier, const void *salt, gsize salt_length,
                             const char *nonce);
/* Takes client-final-message; on SCRAM_OK *@server_final is server-final-message, which the caller frees. */
ScramOutcome scram_read_final (Scram *scram, const char *message, gsize length, char **server_final);

/* A verifier for a name without account: its salt is the same each time, and no proof fits it. */
void scram_false_verifier (ScramHash hash, const Secret *key, const char *local, guint32 iterations,
                           ScramVerifier *verifier);
