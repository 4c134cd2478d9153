#include "tests/bench/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  unsigned char client_key[EVP_MAX_MD_SIZE], stored_key[EVP_MAX_MD_SIZE], server_key[EVP_MAX_MD_SIZE];
} Keys;

struct ScramCache
{
  const EVP_MD *digest;
  unsigned size;
  GHashTable *keys; /* "password salt iterations" -> Keys */
};

ScramCache *
scram_cache_new (const char *mechanism)
{
  ScramCache *self = g_new0 (ScramCache, 1);
  self->digest = strcmp (mechanism, "SCRAM-SHA-1") == 0 ? EVP_sha1 () : EVP_sha256 ();
  self->size = (unsigned)EVP_MD_get_size (self->digest);
  self->keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
scram_cache_free (ScramCache *self)
{
  g_hash_table_unref (self->keys);
  g_free (self);
}

char *
scram_first_bare (const char *user, const char *nonce)
{
  return g_strdup_printf ("n=%s,r=%s", user, nonce);
}

static void
hmac (ScramCache *self, const unsigned char *key, const char *text, unsigned char *out)
{
  HMAC (self->digest, key, (int)self->size, (const unsigned char *)text, strlen (text), out, NULL);
}

static const Keys *
find_keys (ScramCache *self, const char *password, const char *salt64, int iterations)
{
  g_autofree char *name = g_strdup_printf ("%s %s %d", password, salt64, iterations);
  Keys *keys = g_hash_table_lookup (self->keys, name);
  if (keys)
    return keys;
  gsize salt_size;
  g_autofree unsigned char *salt = g_base64_decode (salt64, &salt_size);
  unsigned char salted[EVP_MAX_MD_SIZE];
  keys = g_new0 (Keys, 1);
  PKCS5_PBKDF2_HMAC (password, (int)strlen (password), salt, (int)salt_size, iterations, self->digest,
                     (int)self->size, salted);
  hmac (self, salted, "Client Key", keys->client_key);
  hmac (self, salted, "Server Key", keys->server_key);
  EVP_Digest (keys->client_key, self->size, keys->stored_key, NULL, self->digest, NULL);
  g_hash_table_insert (self->keys, g_steal_pointer (&name), keys);
  return keys;
}

char *
scram_final (ScramCache *self, const char *first_bare, const char *server_first, const char *password,
             char **signature)
{
  g_auto (GStrv) fields = g_strsplit (server_first, ",", 4);
  if (g_strv_length (fields) < 3 || !g_str_has_prefix (fields[0], "r=") || !g_str_has_prefix (fields[1], "s=")
      || !g_str_has_prefix (fields[2], "i="))
    return NULL;
  const Keys *keys = find_keys (self, password, fields[1] + 2, atoi (fields[2] + 2));
  g_autofree char *bare = g_strdup_printf ("c=biws,%s", fields[0]);
  g_autofree char *message = g_strdup_printf ("%s,%s,%s", first_bare, server_first, bare);
  unsigned char proof[EVP_MAX_MD_SIZE], expected[EVP_MAX_MD_SIZE];
  hmac (self, keys->stored_key, message, proof);
  for (unsigned i = 0; i < self->size; i++)
    proof[i] ^= keys->client_key[i];
  hmac (self, keys->server_key, message, expected);
  *signature = g_base64_encode (expected, self->size);
  g_autofree char *proof64 = g_base64_encode (proof, self->size);
  return g_strdup_printf ("%s,p=%s", bare, proof64);
}
