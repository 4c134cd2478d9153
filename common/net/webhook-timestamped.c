#include "common/net/webhook.h"

#include <string.h>

typedef struct
{
  char timestamp[16];
  guint8 macs[WEBHOOK_MAX_SIGNATURES * WEBHOOK_MAC_BYTES];
  gsize n_macs;
} Signature;

/* FALSE if @hex is not 64 hexadecimal digits. */
static gboolean
read_mac (const char *hex, guint8 *mac)
{
  if (strlen (hex) != 2 * WEBHOOK_MAC_BYTES)
    return FALSE;
  for (gsize i = 0; i < WEBHOOK_MAC_BYTES; i++)
    {
      int high = g_ascii_xdigit_value (hex[2 * i]), low = g_ascii_xdigit_value (hex[2 * i + 1]);
      if (high < 0 || low < 0)
        return FALSE;
      mac[i] = (guint8)(high << 4 | low);
    }
  return TRUE;
}

static WebhookVerdict
read_timestamp (const char *text, Signature *signature)
{
  gsize length = strlen (text);
  if (signature->timestamp[0] != '\0' || length == 0 || length >= sizeof signature->timestamp
      || strspn (text, "0123456789") != length)
    return WEBHOOK_BAD_TIMESTAMP;
  memcpy (signature->timestamp, text, length);
  return WEBHOOK_AUTHENTIC;
}

static WebhookVerdict
read_signature (const char *header, Signature *signature)
{
  *signature = (Signature){ 0 };
  if (strlen (header) > WEBHOOK_MAX_SIGNATURE_BYTES)
    return WEBHOOK_BAD_SIGNATURES;
  g_auto (GStrv) items = g_strsplit (header, ",", -1);
  guint n = 0;
  for (char **item = items; *item != NULL; item++)
    {
      const char *text = g_strstrip (*item);
      if (g_str_has_prefix (text, "t="))
        {
          WebhookVerdict verdict = read_timestamp (text + strlen ("t="), signature);
          if (verdict != WEBHOOK_AUTHENTIC)
            return verdict;
        }
      else if (g_str_has_prefix (text, "v1="))
        {
          if (++n > WEBHOOK_MAX_SIGNATURES)
            return WEBHOOK_BAD_SIGNATURES;
          signature->n_macs
              += read_mac (text + strlen ("v1="), signature->macs + signature->n_macs * WEBHOOK_MAC_BYTES);
        }
    }
  return signature->timestamp[0] != '\0' ? WEBHOOK_AUTHENTIC : WEBHOOK_BAD_TIMESTAMP;
}

WebhookVerdict
webhook_verify_timestamped (const WebhookRing *ring, const char *header, guint n_header, const void *body,
                            gsize body_length, gint64 now_us, guint *key)
{
  if (n_header > 1)
    return WEBHOOK_HEADER_REPEATED;
  if (header == NULL || *header == '\0')
    return WEBHOOK_HEADER_MISSING;
  Signature signature;
  WebhookVerdict verdict = read_signature (header, &signature);
  if (verdict != WEBHOOK_AUTHENTIC)
    return verdict;
  gint64 away_s = g_ascii_strtoll (signature.timestamp, NULL, 10) - now_us / G_USEC_PER_SEC;
  if (away_s > WEBHOOK_TOLERANCE_S || away_s < -WEBHOOK_TOLERANCE_S)
    return WEBHOOK_STALE;

  gsize length = strlen (signature.timestamp);
  g_autoptr (GByteArray) content = g_byte_array_sized_new ((guint)(length + 1 + body_length));
  g_byte_array_append (content, (const guint8 *)signature.timestamp, (guint)length);
  g_byte_array_append (content, (const guint8 *)".", 1);
  if (body_length > 0)
    g_byte_array_append (content, body, (guint)body_length);
  return webhook_ring_match (ring, content->data, content->len, signature.macs, signature.n_macs, now_us, key)
             ? WEBHOOK_AUTHENTIC
             : WEBHOOK_NO_MATCH;
}
