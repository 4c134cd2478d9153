/* What claims to be a receipt: as a file that somebody was given, and as a payload that the host did sign.
 * Whatever is in it, reading ends, and what is accepted can be shown. */

#include "common/protocol/receipt.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* Of no use to anybody: its private part is one digit after the other. */
static const char jwk[]
    = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"Rxw-dYxJBChbun5TEY7Q9SSt6wdX0lvS-Oew1236cUw\","
      "\"y\":\"3VIPesqKi5F6zDf1HejwybvjrYWDgucC3CWhLQn3qFg\","
      "\"d\":\"EjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8\"}";

static void
check_file (const guint8 *data, gsize size)
{
  g_autoptr (GPtrArray) documents = receipt_documents_parse ((const char *)data, size, NULL);
  if (documents != NULL && documents->len == 0)
    g_error ("an empty chain");
  for (guint i = 0; documents != NULL && i < documents->len; i++)
    {
      const ReceiptDocument *document = g_ptr_array_index (documents, i);
      json_t *json = receipt_document_to_json (document);
      if (json == NULL)
        g_error ("a document cannot be written again");
      json_decref (json);
      g_free (receipt_dup_link (document->jws));
    }
}

static void
check_payload (const JwsKey *key, const JwsKeySet *keys, const guint8 *data, gsize size)
{
  g_autofree char *jws = size > 0 ? jws_sign (key, RECEIPT_TYPE, data, size, NULL) : NULL;
  g_autoptr (Receipt) receipt = jws != NULL ? receipt_verify (keys, jws, NULL) : NULL;
  if (receipt == NULL)
    return;
  g_autoptr (GString) text = g_string_new (NULL);
  receipt_append_text (receipt, text);
  for (gsize i = 0; i < text->len; i++)
    if ((guchar)text->str[i] < 0x20 && text->str[i] != '\n')
      g_error ("a control character is shown");
  if (!g_utf8_validate_len (text->str, text->len, NULL))
    g_error ("what is shown is not UTF-8");
  receipt_find_body (receipt, data, size);
  if (receipt_follows (receipt, receipt, NULL))
    g_error ("a receipt supersedes itself");
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static JwsKey *key;
  static JwsKeySet *keys;
  if (key == NULL)
    {
      g_autoptr (Secret) secret = secret_new (jwk, strlen (jwk));
      key = jws_key_load (secret, NULL);
      keys = jws_key_set_new ();
      if (key == NULL || !jws_key_set_add (keys, jwk, 0, NULL))
        g_error ("the key is good");
    }
  check_file (data, size);
  check_payload (key, keys, data, size);
  return 0;
}
