/* The envelope of a callback: id, timestamp, signatures and body, with line feeds between. No input can be
 * authentic, as the key is not in it; and what is signed with the key always is. */

#include "common/net/webhook.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static const char key[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  Secret *secret = secret_new (key, strlen (key));
  if (!webhook_ring_add (ring, secret, 0, 0, NULL))
    g_error ("the key is good");
  secret_free (secret);

  /* What cannot be in an HTTP header is not looked for here: zero bytes end a line. */
  g_autofree char *text = g_strndup ((const char *)data, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", 4);
  guint n_lines = g_strv_length (lines);
  WebhookHeaders headers = { 0 };
  const char **values[] = { &headers.id, &headers.timestamp, &headers.signature };
  guint *counts[] = { &headers.n_id, &headers.n_timestamp, &headers.n_signature };
  for (guint i = 0; i < MIN (n_lines, 3); i++)
    {
      *values[i] = lines[i];
      *counts[i] = 1;
    }
  const char *body = n_lines == 4 ? lines[3] : "";
  gint64 now_us = 0;
  if (headers.timestamp)
    now_us = (g_ascii_strtoll (headers.timestamp, NULL, 10) & G_MAXINT32) * G_USEC_PER_SEC;
  guint matched;
  WebhookVerdict verdict = webhook_verify (ring, &headers, body, strlen (body), now_us, &matched);
  int status = webhook_verdict_get_status (verdict);
  if (verdict == WEBHOOK_AUTHENTIC || (status != 400 && status != 401 && status != 413))
    g_error ("verdict %s, status %d", webhook_verdict_get_name (verdict), status);

  g_autofree char *signature
      = webhook_sign (ring, "msg_1", now_us / G_USEC_PER_SEC, body, strlen (body), now_us);
  g_autofree char *timestamp = g_strdup_printf ("%" G_GINT64_FORMAT, now_us / G_USEC_PER_SEC);
  WebhookHeaders good = { .id = "msg_1",
                          .timestamp = timestamp,
                          .signature = signature,
                          .n_id = 1,
                          .n_timestamp = 1,
                          .n_signature = 1 };
  verdict = webhook_verify (ring, &good, body, strlen (body), now_us, &matched);
  if (strlen (body) <= WEBHOOK_MAX_BODY && verdict != WEBHOOK_AUTHENTIC)
    g_error ("what we sign ourselves is %s", webhook_verdict_get_name (verdict));
  return 0;
}
