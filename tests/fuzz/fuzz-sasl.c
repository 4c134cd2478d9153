/* SCRAM's messages. The input is two of them, with a zero byte between: the client's first and its final one.
 * In the final one `R` at the start of a nonce stands for the whole nonce that the exchange has, so that the
 * fuzzer gets past the comparison. Nothing may be accepted: the password is not in the input. */

#include "host-server/wire/scram.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* Exactly these bytes, so that reading behind them is seen. */
static char *
copy (const void *bytes, gsize length)
{
  char *exact = g_malloc (MAX (length, 1));
  memcpy (exact, bytes, length);
  return exact;
}

static void
exchange (ScramHash hash, const char *first, gsize first_length, const GString *final)
{
  static const ScramVerifier verifier
      = { .salt = "0123456789abcde", .iterations = 4096, .stored_key = { 1, 2, 3 } };
  g_autoptr (Scram) scram = scram_new (hash);
  if (scram_read_first (scram, first, first_length) != SCRAM_OK)
    return;
  const char *username = scram_get_username (scram), *authzid = scram_get_authzid (scram);
  if (!username || !g_utf8_validate (username, -1, NULL) || (authzid && !g_utf8_validate (authzid, -1, NULL)))
    g_error ("a name that is not UTF-8 was taken");
  g_autofree char *challenge
      = scram_write_challenge (scram, &verifier, verifier.salt, sizeof verifier.salt, "servernonce");
  if (!g_str_has_prefix (challenge, "r=") || strchr (challenge, '\n'))
    g_error ("challenge: %s", challenge);
  g_autoptr (GString) message = g_string_new_len (final->str, (gssize) final->len);
  char *place = g_strstr_len (message->str, (gssize)message->len, ",r=R");
  if (place)
    {
      gsize at = (gsize)(place - message->str) + 3;
      g_string_erase (message, (gssize)at, 1);
      g_string_insert_len (message, (gssize)at, challenge + 2, (gssize)strcspn (challenge + 2, ","));
    }
  g_autofree char *exact = copy (message->str, message->len);
  g_autofree char *server_final = NULL;
  if (scram_read_final (scram, exact, message->len, &server_final) == SCRAM_OK)
    g_error ("accepted: %s", message->str);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  const guint8 *zero = memchr (data, 0, size);
  gsize first_length = zero ? (gsize)(zero - data) : size;
  g_autofree char *first = copy (data, first_length);
  g_autoptr (GString) final = g_string_new (NULL);
  if (zero)
    g_string_append_len (final, (const char *)zero + 1, (gssize)(size - first_length - 1));
  exchange (SCRAM_SHA_1, first, first_length, final);
  exchange (SCRAM_SHA_256, first, first_length, final);
  return 0;
}
