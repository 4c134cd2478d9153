/* The market's own keys, and the names, seeds and digests made with them. The keys are made at the first
 * start, lie sealed in market.db (so they are in backups) and are never rotated. */
#pragma once

#include "common/base/db.h"
#include "host-server/store/store.h"

#include <openssl/types.h>

#define PAIRWISE_LENGTH     26 /* characters of a pairwise name */
#define SERIAL_DIGEST_BYTES 32

/* HMAC-SHA-256 with its key taken in, to be copied for each message: that work is most of a short one's. Any
 * thread may use it. */
typedef EVP_MAC_CTX MarketKey;

typedef struct
{
  MarketKey *pairwise;
  MarketKey *seed;
  MarketKey *digest;
  MarketKey *salt;
} MarketKeys;

/* Free it with EVP_MAC_CTX_free(). */
MarketKey *market_key_new (const Secret *key);

/* Inside a write on STORE_MARKET: loads the keys, making what is missing. FALSE with @error, also if a stored
 * key does not open with this store's key file. */
gboolean market_keys_load (MarketKeys *keys, Store *store, Db *db, GError **error);
void market_keys_clear (MarketKeys *keys);

/* The name that @party (a vendor's id, "provider:" and a provider's name) knows the account by, protocol.md
 * §2: lower-case base32 of HMAC-SHA-256 (key, party || 0x00 || account UUID), first 26 characters. The caller
 * frees it. */
char *pairwise_name (const MarketKey *key, const char *party, const char *account);
/* The seed of a keygen call: fixed for line, generation and counter. */
void market_keys_derive_seed (const MarketKeys *keys, const char *line, guint generation, guint counter,
                              guint8 seed[32]);
/* The salt of one claim in the receipts of @line: says nothing of any other salt. */
void market_keys_derive_salt (const MarketKeys *keys, const char *line, const char *claim, guint8 salt[32]);
/* What the uniqueness of a plugin's serials is kept by; says nothing about the serial without the key. */
void market_keys_digest_serial (const MarketKeys *keys, const char *plugin, const Secret *serial,
                                guint8 digest[SERIAL_DIGEST_BYTES]);
