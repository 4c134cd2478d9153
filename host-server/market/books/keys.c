#include "host-server/market/books/keys.h"

#include "common/base/text.h"

#include <gio/gio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#define KEY_BYTES 32

MarketKey *
market_key_new (const Secret *key)
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (key, &length);
  OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string (OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
                          OSSL_PARAM_construct_end () };
  EVP_MAC *hmac = EVP_MAC_fetch (NULL, OSSL_MAC_NAME_HMAC, NULL);
  EVP_MAC_CTX *mac = hmac != NULL ? EVP_MAC_CTX_new (hmac) : NULL;
  EVP_MAC_free (hmac);
  if (mac == NULL || EVP_MAC_init (mac, bytes, length, params) != 1)
    g_error ("HMAC-SHA-256 is not available");
  return mac;
}

/* HMAC-SHA-256 of @first and then @rest. */
static void
authenticate (const MarketKey *key, const void *first, gsize n_first, const void *rest, gsize n_rest,
              guint8 mac[32])
{
  gsize length;
  EVP_MAC_CTX *copy = EVP_MAC_CTX_dup (key);
  if (copy == NULL || EVP_MAC_update (copy, first, n_first) != 1 || EVP_MAC_update (copy, rest, n_rest) != 1
      || EVP_MAC_final (copy, mac, &length, 32) != 1)
    g_error ("HMAC-SHA-256 is not available");
  EVP_MAC_CTX_free (copy);
}

static Secret *
load_key (const char *name, Store *store, Db *db, GError **error)
{
  g_autofree char *label = g_strconcat ("market key ", name, NULL);
  g_autoptr (DbQuery) query = db_query (db, "SELECT sealed FROM market_key WHERE name = ?", "s", name);
  GError *local = NULL;
  if (db_next (query, &local))
    {
      gsize length;
      const void *sealed = db_get_blob (query, 0, &length);
      Secret *key = store_unseal (store, label, sealed, length);
      if (key == NULL)
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                     "the market's key '%s' was sealed with another key file than this one", name);
      return key;
    }
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return NULL;
    }

  g_autoptr (Secret) key = secret_new_random (KEY_BYTES);
  g_autoptr (GBytes) sealed = store_seal (store, label, key);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  if (!db_run (db, error, "INSERT INTO market_key (name, sealed) VALUES (?, ?)", "sb", name, bytes, length))
    return NULL;
  return g_steal_pointer (&key);
}

gboolean
market_keys_load (MarketKeys *keys, Store *store, Db *db, GError **error)
{
  const struct
  {
    const char *name;
    MarketKey **key;
  } rows[] = {
    { "pairwise", &keys->pairwise },
    { "seed", &keys->seed },
    { "digest", &keys->digest },
    { "salt", &keys->salt },
  };
  market_keys_clear (keys);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Secret) key = load_key (rows[i].name, store, db, error);
      if (key == NULL)
        return FALSE;
      *rows[i].key = market_key_new (key);
    }
  return TRUE;
}

void
market_keys_clear (MarketKeys *keys)
{
  g_clear_pointer (&keys->pairwise, EVP_MAC_CTX_free);
  g_clear_pointer (&keys->seed, EVP_MAC_CTX_free);
  g_clear_pointer (&keys->digest, EVP_MAC_CTX_free);
  g_clear_pointer (&keys->salt, EVP_MAC_CTX_free);
}

char *
pairwise_name (const MarketKey *key, const char *party, const char *account)
{
  guint8 mac[32];
  authenticate (key, party, strlen (party) + 1, account, strlen (account), mac);
  char *name = text_to_base32 (mac, sizeof mac);
  name[PAIRWISE_LENGTH] = '\0';
  return name;
}

void
market_keys_derive_seed (const MarketKeys *keys, const char *line, guint generation, guint counter,
                         guint8 seed[32])
{
  g_autofree char *call = g_strdup_printf (".%u.%u", generation, counter);
  authenticate (keys->seed, line, strlen (line), call, strlen (call), seed);
}

void
market_keys_derive_salt (const MarketKeys *keys, const char *line, const char *claim, guint8 salt[32])
{
  authenticate (keys->salt, line, strlen (line) + 1, claim, strlen (claim), salt);
}

void
market_keys_digest_serial (const MarketKeys *keys, const char *plugin, const Secret *serial,
                           guint8 digest[SERIAL_DIGEST_BYTES])
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (serial, &length);
  authenticate (keys->digest, plugin, strlen (plugin) + 1, bytes, length, digest);
}
