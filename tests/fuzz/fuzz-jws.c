/* A signed document, and a set of public keys. The only document that can be valid is the one that was signed
 * for the corpus; a set that was read is written and read again as the same. */

#include "common/base/jws.h"

#include <string.h>

#define TYPE    "stoa-fuzz+jwt"
#define PAYLOAD "{\"n\":1}"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* Of no use to anybody: its private part is one digit after the other. */
static const char jwk[] = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"Rxw-dYxJBChbun5TEY7Q9SSt6wdX0lvS-"
                          "Oew1236cUw\",\"y\":\"3VIPesqKi5F6zDf1HejwybvjrYWDgucC3CWhLQn3qFg\"}";

static void
check_document (const guint8 *data, gsize size)
{
  g_autoptr (JwsKeySet) set = jws_key_set_new ();
  if (!jws_key_set_add (set, jwk, 0, NULL))
    g_error ("the key is good");
  g_auto (JwsContent) content = { 0 };
  JwsVerdict verdict = jws_verify (set, (const char *)data, size, TYPE, &content);
  if ((verdict == JWS_VALID) != (content.payload != NULL) || jws_verdict_to_text (verdict) == NULL)
    g_error ("verdict %d", verdict);
  gsize length;
  const void *payload = verdict == JWS_VALID ? g_bytes_get_data (content.payload, &length) : NULL;
  if (payload != NULL && (length != strlen (PAYLOAD) || memcmp (payload, PAYLOAD, length) != 0))
    g_error ("a document that nobody signed is valid");
}

static void
check_set (const guint8 *data, gsize size)
{
  g_autoptr (JwsKeySet) set = jws_key_set_parse ((const char *)data, size, NULL);
  if (set == NULL)
    return;
  g_autofree char *json = jws_key_set_dup_json (set);
  g_autoptr (JwsKeySet) again = jws_key_set_parse (json, strlen (json), NULL);
  g_autofree char *rewritten = again != NULL ? jws_key_set_dup_json (again) : NULL;
  if (strstr (json, "\"d\"") != NULL || g_strcmp0 (json, rewritten) != 0)
    g_error ("a set is not what it was written from");
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  check_document (data, size);
  check_set (data, size);
  return 0;
}
