#include "host-server/store/accounts.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

static gboolean
is_printable_ascii (const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if (text[i] < 0x20 || text[i] > 0x7e)
      return FALSE;
  return TRUE;
}

/* RFC 4013, as for stored strings: unassigned code points are refused, since another version of Unicode could
 * map them differently one day. NULL if @password is not prepared text. */
static Secret *
saslprep (const Secret *password)
{
  gsize length;
  const char *text = (const char *)secret_peek_bytes (password, &length);
  if (is_printable_ascii (text, length))
    return secret_copy (password);
  if (!g_utf8_validate_len (text, length, NULL))
    return NULL;
  char *prepared = NULL;
  if (stringprep_profile (text, &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED) != STRINGPREP_OK)
    return NULL;
  gsize n = strlen (prepared);
  Secret *secret = n > 0 ? secret_new (prepared, n) : NULL;
  secret_wipe (prepared, n);
  free (prepared);
  return secret;
}

gboolean
scram_verifier_derive (ScramHash hash, const Secret *password, const guint8 salt[16], guint32 iterations,
                       ScramVerifier *verifier)
{
  const EVP_MD *md = hash == SCRAM_SHA_1 ? EVP_sha1 () : EVP_sha256 ();
  int n = EVP_MD_get_size (md);
  g_autoptr (Secret) prepared = saslprep (password);
  if (prepared == NULL)
    return FALSE;

  guint8 salted[32], client_key[32];
  memset (verifier, 0, sizeof *verifier);
  memcpy (verifier->salt, salt, sizeof verifier->salt);
  verifier->iterations = iterations;
  gsize length;
  const guint8 *bytes = secret_peek_bytes (prepared, &length);
  if (PKCS5_PBKDF2_HMAC ((const char *)bytes, (int)length, salt, sizeof verifier->salt, (int)iterations, md,
                         n, salted)
          != 1
      || HMAC (md, salted, n, (const guint8 *)"Client Key", 10, client_key, NULL) == NULL
      || EVP_Digest (client_key, (gsize)n, verifier->stored_key, NULL, md, NULL) != 1
      || HMAC (md, salted, n, (const guint8 *)"Server Key", 10, verifier->server_key, NULL) == NULL)
    g_error ("deriving a verifier failed");
  secret_wipe (salted, sizeof salted);
  secret_wipe (client_key, sizeof client_key);
  return TRUE;
}
