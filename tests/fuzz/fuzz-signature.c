/* `t=…,v1=…` over a body, with a line feed between. No input can be authentic, as the key is not in it; with
 * our own entry put into it, it is, unless what stands around it is against the rules. */

#include "common/net/webhook.h"

#include <openssl/evp.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const char key[] = "whsec_fuzzed_as_it_is_written";

static char *
dup_entry (const char *timestamp, const char *body)
{
  guint8 mac[WEBHOOK_MAC_BYTES];
  gsize length;
  g_autofree char *content = g_strconcat (timestamp, ".", body, NULL);
  g_assert (EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, key, strlen (key), (const guint8 *)content,
                       strlen (content), mac, sizeof mac, &length)
            != NULL);
  GString *entry = g_string_new ("v1=");
  for (gsize i = 0; i < sizeof mac; i++)
    g_string_append_printf (entry, "%02x", mac[i]);
  return g_string_free (entry, FALSE);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  Secret *secret = secret_new (key, strlen (key));
  if (!webhook_ring_add_raw (ring, secret, 0, 0, NULL))
    g_error ("the key is good");
  secret_free (secret);

  g_autofree char *text = g_strndup ((const char *)data, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", 2);
  const char *header = lines[0] != NULL ? lines[0] : "";
  const char *body = lines[0] != NULL && lines[1] != NULL ? lines[1] : "";
  const char *at = strstr (header, "t=");
  gint64 now_us = at != NULL ? (g_ascii_strtoll (at + 2, NULL, 10) & G_MAXINT32) * G_USEC_PER_SEC : 0;
  guint matched = 99;
  WebhookVerdict verdict
      = webhook_verify_timestamped (ring, header, 1, body, strlen (body), now_us, &matched);
  int status = webhook_verdict_get_status (verdict);
  if (verdict == WEBHOOK_AUTHENTIC || (status != 400 && status != 401) || matched != 99)
    g_error ("verdict %s, status %d", webhook_verdict_get_name (verdict), status);

  g_autofree char *timestamp = g_strdup_printf ("%" G_GINT64_FORMAT, now_us / G_USEC_PER_SEC);
  g_autofree char *entry = dup_entry (timestamp, body);
  g_autofree char *good = g_strdup_printf ("t=%s,%s", timestamp, entry);
  if (webhook_verify_timestamped (ring, good, 1, body, strlen (body), now_us, &matched) != WEBHOOK_AUTHENTIC)
    g_error ("what we sign ourselves is not authentic");
  g_autofree char *among = g_strdup_printf ("%s,%s", header, entry);
  verdict = webhook_verify_timestamped (ring, among, 1, body, strlen (body), now_us, NULL);
  if (verdict == WEBHOOK_NO_MATCH && strncmp (header, good, strlen ("t=") + strlen (timestamp)) == 0
      && (header[2 + strlen (timestamp)] == ',' || header[2 + strlen (timestamp)] == '\0'))
    g_error ("our own entry among others is not found");
  return 0;
}
