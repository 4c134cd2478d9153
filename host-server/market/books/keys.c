#include "host-server/market/books/keys.h"

#include "common/base/text.h"

#include <gio/gio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <string.h>

#define KEY_BYTES 32

static void
authenticate (const Secret *key, const GString *message, guint8 mac[32])
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (key, &length);
  guint mac_length = 32;
  if (HMAC (EVP_sha256 (), bytes, (int)length, (const guint8 *)message->str, message->len, mac, &mac_length)
      == NULL)
    g_error ("HMAC-SHA-256 is not available");
}

/* HMAC-SHA-256 with the key taken in, to be copied for each message: that work is most of a short one's. */
static EVP_MAC_CTX *
prepare (const Secret *key)
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
  market_keys_clear (keys);
  keys->pairwise = load_key ("pairwise", store, db, error);
  if (keys->pairwise == NULL)
    return FALSE;
  keys->seed = load_key ("seed", store, db, error);
  if (keys->seed == NULL)
    return FALSE;
  keys->digest = load_key ("digest", store, db, error);
  if (keys->digest == NULL)
    return FALSE;
  g_autoptr (Secret) salt = load_key ("salt", store, db, error);
  if (salt == NULL)
    return FALSE;
  keys->salt = prepare (salt);
  return TRUE;
}

void
market_keys_clear (MarketKeys *keys)
{
  g_clear_pointer (&keys->pairwise, secret_free);
  g_clear_pointer (&keys->seed, secret_free);
  g_clear_pointer (&keys->digest, secret_free);
  g_clear_pointer (&keys->salt, EVP_MAC_CTX_free);
}

char *
pairwise_name (const Secret *key, const char *party, const char *account)
{
  g_autoptr (GString) message = g_string_new (party);
  g_string_append_c (message, '\0');
  g_string_append (message, account);
  guint8 mac[32];
  authenticate (key, message, mac);
  char *name = text_to_base32 (mac, sizeof mac);
  name[PAIRWISE_LENGTH] = '\0';
  return name;
}

void
market_keys_derive_seed (const MarketKeys *keys, const char *line, guint generation, guint counter,
                         guint8 seed[32])
{
  g_autoptr (GString) message = g_string_new (NULL);
  g_string_printf (message, "%s.%u.%u", line, generation, counter);
  authenticate (keys->seed, message, seed);
}

void
market_keys_derive_salt (const MarketKeys *keys, const char *line, const char *claim, guint8 salt[32])
{
  gsize length;
  EVP_MAC_CTX *mac = EVP_MAC_CTX_dup (keys->salt);
  if (mac == NULL || EVP_MAC_update (mac, (const guint8 *)line, strlen (line) + 1) != 1
      || EVP_MAC_update (mac, (const guint8 *)claim, strlen (claim)) != 1
      || EVP_MAC_final (mac, salt, &length, 32) != 1)
    g_error ("HMAC-SHA-256 is not available");
  EVP_MAC_CTX_free (mac);
}

void
market_keys_digest_serial (const MarketKeys *keys, const char *plugin, const Secret *serial,
                           guint8 digest[SERIAL_DIGEST_BYTES])
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (serial, &length);
  GString *message = g_string_new (plugin);
  g_string_append_c (message, '\0');
  g_string_append_len (message, (const char *)bytes, (gssize)length);
  authenticate (keys->digest, message, digest);
  secret_wipe (message->str, message->len);
  g_string_free (message, TRUE);
}
