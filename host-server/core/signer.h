/* What the host signs with: the key in use, and all public keys that were ever in use.
 *
 * Rooms sign here and nowhere else. The keys are published at GET /.well-known/jwks.json (protocol.md §7),
 * and `hostctl key list|rotate|show` is for the operator. */
#pragma once

#include "host-server/core/server.h"

/* Loads the keys, making the first one, and registers route and commands; waits for that one write. NULL with
 * @error. Needs the server's configuration, clock, store, HTTP table and commands. */
Signer *signer_new (Server *server, GError **error);
/* After the store was closed: its last writes may still sign. */
void signer_free (Signer *signer);

/* Signs with the key in use, as jws_sign(). From any thread. */
char *signer_sign (Signer *signer, const char *type, const void *payload, gsize length, GError **error);
/* `iss` of what is signed: [http] public_url, or https://DOMAIN. Lent. */
const char *signer_peek_issuer (const Signer *signer);
/* The id of the key in use; the caller frees it. From any thread. */
char *signer_dup_kid (Signer *signer);
/* The public JWK of the key in use, lent until the main loop turns. On the main thread. */
const char *signer_peek_public (const Signer *signer);
/* What the keys from @kid on signed about their successors, oldest first: an array of char *, empty if @kid is in
 * use or no such chain leads from it to the key in use. On the main thread. */
GPtrArray *signer_list_successions (const Signer *signer, const char *kid);
/* The JWKS of all keys, lent until the main loop turns. On the main thread. */
const char *signer_peek_jwks (const Signer *signer);
