#include "common/base/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

struct Secret
{
  gsize length;
  guint8 bytes[];
};

static Secret *
secret_allocate (gsize length)
{
  Secret *secret = g_malloc0 (sizeof (Secret) + length + 1);
  secret->length = length;
  return secret;
}

Secret *
secret_new (const void *bytes, gsize length)
{
  Secret *secret = secret_allocate (length);
  if (length > 0)
    memcpy (secret->bytes, bytes, length);
  return secret;
}

Secret *
secret_new_random (gsize length)
{
  Secret *secret = secret_allocate (length);
  if (RAND_priv_bytes (secret->bytes, (int) length) != 1)
    g_error ("the system's random generator failed");
  return secret;
}

Secret *
secret_copy (const Secret *secret)
{
  return secret != NULL ? secret_new (secret->bytes, secret->length) : NULL;
}

void
secret_free (Secret *secret)
{
  if (secret == NULL)
    return;
  OPENSSL_cleanse (secret->bytes, secret->length);
  g_free (secret);
}

const guint8 *
secret_peek_bytes (const Secret *secret, gsize *length)
{
  if (length != NULL)
    *length = secret->length;
  return secret->bytes;
}

const char *
secret_peek_text (const Secret *secret)
{
  return (const char *) secret->bytes;
}

gsize
secret_get_length (const Secret *secret)
{
  return secret->length;
}

gboolean
secret_equal (const Secret *a, const Secret *b)
{
  return a != NULL && b != NULL && secret_equal_bytes (a->bytes, a->length, b->bytes, b->length);
}

gboolean
secret_equal_bytes (const void *a, gsize a_length, const void *b, gsize b_length)
{
  return a_length == b_length && CRYPTO_memcmp (a, b, a_length) == 0;
}

void
secret_wipe (void *bytes, gsize length)
{
  OPENSSL_cleanse (bytes, length);
}
