/* SCRAM's client (RFC 5802), with the expensive part kept: a load generator that derives every key anew would
 * measure itself. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct ScramCache ScramCache;

/* `mechanism` is SCRAM-SHA-1 or SCRAM-SHA-256. The cache is keyed by password, salt and iteration count. */
ScramCache *scram_cache_new (const char *mechanism);
void scram_cache_free (ScramCache *self);

/* The client-first-message-bare for `user` (ASCII without ',' and '=') and `nonce`. */
char *scram_first_bare (const char *user, const char *nonce);

/* The client-final-message for the server's first message, or NULL if that is malformed. The base64 signature
 * which the server must show goes to `*signature`. */
char *scram_final (ScramCache *self, const char *first_bare, const char *server_first, const char *password,
                   char **signature);
