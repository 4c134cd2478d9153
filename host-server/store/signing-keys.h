/* The host's signing keys (market.db): one in use, its private part sealed, and the public parts of all that
 * were. A key that is retired signs who follows it; then its private part is destroyed. */
#pragma once

#include "common/base/jws.h"
#include "host-server/store/store.h"

typedef struct
{
  char *kid;
  char *public_jwk;
  gint64 from_us;
  gint64 retired_us; /* 0: in use */
  char *succession;  /* what it signed last: who follows it; NULL: nothing */
} SigningKey;

typedef struct
{
  JwsKey *active;
  GPtrArray *keys; /* of SigningKey, the one in use first, then the last retired */
} SigningKeys;

void signing_keys_clear (SigningKeys *keys);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SigningKeys, signing_keys_clear)

/* Both run inside a write on STORE_MARKET and fill @keys anew. FALSE with @error, also if the stored key does
 * not open with this store's key file. */
/* Loads them, making the first one. */
gboolean signing_keys_load (SigningKeys *keys, Store *store, Db *db, gint64 now_us, GError **error);
/* Retires the one in use and makes its successor. */
gboolean signing_keys_rotate (SigningKeys *keys, Store *store, Db *db, gint64 now_us, GError **error);
