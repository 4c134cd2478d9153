#include "vendor-kit/plugin-server/signed-serial.h"

#include "common/base/text.h"

#include <gio/gio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#define N_HALF     32
#define MAX_SERIAL 4096

struct SignedKey
{
  EVP_PKEY *pair;
};

SignedKey *
signed_key_new (const void *pem, gsize length, GError **error)
{
  BIO *bio = BIO_new_mem_buf (pem, (int)length);
  EVP_PKEY *pair = PEM_read_bio_PrivateKey (bio, NULL, NULL, NULL);
  BIO_free (bio);
  char group[32] = "";
  if (pair == NULL || EVP_PKEY_get_group_name (pair, group, sizeof group, NULL) != 1
      || strcmp (group, "prime256v1") != 0)
    {
      EVP_PKEY_free (pair);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "it is not a private key on P-256 in PEM");
      return NULL;
    }
  SignedKey *key = g_new0 (SignedKey, 1);
  key->pair = pair;
  return key;
}

void
signed_key_free (SignedKey *key)
{
  if (key == NULL)
    return;
  EVP_PKEY_free (key->pair);
  g_free (key);
}

/* The two halves of a signature in DER, 32 bytes each. */
static void
split_signature (const guint8 *der, gsize length, guint8 halves[2 * N_HALF])
{
  ECDSA_SIG *signature = d2i_ECDSA_SIG (NULL, &der, (long)length);
  g_assert (signature != NULL);
  BN_bn2binpad (ECDSA_SIG_get0_r (signature), halves, N_HALF);
  BN_bn2binpad (ECDSA_SIG_get0_s (signature), halves + N_HALF, N_HALF);
  ECDSA_SIG_free (signature);
}

char *
signed_serial_make (const SignedKey *key, const char *plugin, const char *user, const char *request,
                    gint64 expires_s)
{
  g_autofree char *payload
      = g_strdup_printf ("1|%s|%s|%" G_GINT64_FORMAT "|%s", plugin, user, expires_s, request);
  guint8 der[128], halves[2 * N_HALF];
  gsize length = sizeof der;
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  int status = EVP_DigestSignInit (context, NULL, EVP_sha256 (), NULL, key->pair);
  if (status == 1)
    status = EVP_DigestSign (context, der, &length, (const guint8 *)payload, strlen (payload));
  EVP_MD_CTX_free (context);
  g_assert (status == 1);
  split_signature (der, length, halves);
  g_autofree char *first = text_to_base64url (payload, strlen (payload));
  g_autofree char *second = text_to_base64url (halves, sizeof halves);
  return g_strconcat (first, ".", second, NULL);
}

/* Strict base64url without padding; NULL otherwise. */
static guint8 *
from_base64url (const char *text, gsize length, gsize *n_bytes)
{
  g_autoptr (GString) standard = g_string_new_len (text, (gssize)length);
  for (gsize i = 0; i < standard->len; i++)
    {
      char letter = standard->str[i];
      if (letter == '+' || letter == '/' || letter == '=')
        return NULL;
      standard->str[i] = letter == '-' ? '+' : letter == '_' ? '/' : letter;
    }
  while (standard->len % 4 != 0)
    g_string_append_c (standard, '=');
  return text_from_base64 (standard->str, standard->len, n_bytes);
}

static gboolean
is_signed (const SignedKey *key, const void *payload, gsize length, const guint8 *halves)
{
  ECDSA_SIG *signature = ECDSA_SIG_new ();
  ECDSA_SIG_set0 (signature, BN_bin2bn (halves, N_HALF, NULL), BN_bin2bn (halves + N_HALF, N_HALF, NULL));
  guint8 *der = NULL;
  int der_length = i2d_ECDSA_SIG (signature, &der);
  ECDSA_SIG_free (signature);
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  gboolean is_good = der_length > 0
                     && EVP_DigestVerifyInit (context, NULL, EVP_sha256 (), NULL, key->pair) == 1
                     && EVP_DigestVerify (context, der, (gsize)der_length, payload, length) == 1;
  EVP_MD_CTX_free (context);
  OPENSSL_free (der);
  return is_good;
}

gboolean
signed_serial_read (const SignedKey *key, const char *text, const char *plugin, const char *user,
                    gint64 *expires_s)
{
  const char *dot = strchr (text, '.');
  if (dot == NULL || strlen (text) > MAX_SERIAL)
    return FALSE;
  gsize payload_length = 0, signature_length = 0;
  g_autofree guint8 *payload = from_base64url (text, (gsize)(dot - text), &payload_length);
  g_autofree guint8 *signature = from_base64url (dot + 1, strlen (dot + 1), &signature_length);
  if (payload == NULL || signature == NULL || signature_length != 2 * N_HALF
      || memchr (payload, '\0', payload_length) != NULL
      || !is_signed (key, payload, payload_length, signature))
    return FALSE;
  g_auto (GStrv) fields = g_strsplit ((const char *)payload, "|", -1);
  return g_strv_length (fields) == 5 && strcmp (fields[0], "1") == 0 && strcmp (fields[1], plugin) == 0
         && (user == NULL || strcmp (fields[2], user) == 0)
         && g_ascii_string_to_signed (fields[3], 10, 0, G_MAXINT64, expires_s, NULL);
}
