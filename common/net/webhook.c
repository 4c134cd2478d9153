#include "common/net/webhook.h"

#include "common/base/id.h"
#include "common/base/text.h"

#include <gio/gio.h>
#include <openssl/evp.h>
#include <string.h>

#define MAC_BYTES       WEBHOOK_MAC_BYTES
#define SIGNATURE_BYTES 64 /* Ed25519 */
#define MAX_ID_BYTES    255
#define MAX_DIGITS      15

typedef struct
{
  Secret *secret;     /* v1, or NULL */
  EVP_PKEY *verifier; /* v1a, or NULL */
  gint64 not_before_us, not_after_us;
} RingKey;

struct WebhookRing
{
  GArray *keys; /* RingKey */
};

static void
ring_key_clear (gpointer data)
{
  RingKey *key = data;
  secret_free (key->secret);
  EVP_PKEY_free (key->verifier);
}

WebhookRing *
webhook_ring_new (void)
{
  WebhookRing *ring = g_new0 (WebhookRing, 1);
  ring->keys = g_array_new (FALSE, TRUE, sizeof (RingKey));
  g_array_set_clear_func (ring->keys, ring_key_clear);
  return ring;
}

void
webhook_ring_free (WebhookRing *ring)
{
  if (ring == NULL)
    return;
  g_array_unref (ring->keys);
  g_free (ring);
}

static gboolean
refuse_key (GError **error, const char *reason)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "webhook secret: %s", reason);
  return FALSE;
}

gboolean
webhook_ring_add (WebhookRing *ring, const Secret *text, gint64 not_before_us, gint64 not_after_us,
                  GError **error)
{
  const char *encoded = secret_peek_text (text);
  gsize encoded_length = secret_get_length (text);
  gboolean is_symmetric = g_str_has_prefix (encoded, "whsec_");
  if (!is_symmetric && !g_str_has_prefix (encoded, "whpk_"))
    return refuse_key (error, "it must begin with whsec_ or whpk_");

  gsize prefix = is_symmetric ? strlen ("whsec_") : strlen ("whpk_");
  gsize length = 0;
  guint8 *bytes = text_from_base64 (encoded + prefix, encoded_length - prefix, &length);
  if (bytes == NULL)
    return refuse_key (error, "it is not base64 after its prefix");

  RingKey key = { .not_before_us = not_before_us, .not_after_us = not_after_us };
  gboolean is_sized = is_symmetric ? length >= 24 && length <= 64 : length == 32;
  if (is_sized && is_symmetric)
    key.secret = secret_new (bytes, length);
  else if (is_sized)
    key.verifier = EVP_PKEY_new_raw_public_key (EVP_PKEY_ED25519, NULL, bytes, length);
  secret_wipe (bytes, length);
  g_free (bytes);
  if (key.secret == NULL && key.verifier == NULL)
    return refuse_key (error, is_symmetric ? "it must hold 24 to 64 bytes" : "it must hold an Ed25519 key");
  g_array_append_val (ring->keys, key);
  return TRUE;
}

gboolean
webhook_ring_add_raw (WebhookRing *ring, const Secret *text, gint64 not_before_us, gint64 not_after_us,
                      GError **error)
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (text, &length);
  gboolean is_printable = TRUE;
  for (gsize i = 0; i < length; i++)
    is_printable &= g_ascii_isgraph ((char)bytes[i]);
  if (length < 16 || length > 255 || !is_printable)
    return refuse_key (error, "it must be 16 to 255 printable characters without spaces");
  RingKey key = { .secret = secret_new (bytes, length),
                  .not_before_us = not_before_us,
                  .not_after_us = not_after_us };
  g_array_append_val (ring->keys, key);
  return TRUE;
}

guint
webhook_ring_get_length (const WebhookRing *ring)
{
  return ring->keys->len;
}

Secret *
webhook_secret_new (void)
{
  g_autoptr (Secret) random = secret_new_random (32);
  gsize length;
  const guint8 *bytes = secret_peek_bytes (random, &length);
  g_autofree char *encoded = g_base64_encode (bytes, length);
  char text[64];
  int text_length = g_snprintf (text, sizeof text, "whsec_%s", encoded);
  Secret *secret = secret_new (text, (gsize)text_length);
  secret_wipe (encoded, strlen (encoded));
  secret_wipe (text, sizeof text);
  return secret;
}

static gboolean
is_good_at (const RingKey *key, gint64 now_us)
{
  return now_us >= key->not_before_us && (key->not_after_us == 0 || now_us < key->not_after_us);
}

static void
compute_mac (const Secret *secret, const void *content, gsize length, guint8 mac[MAC_BYTES])
{
  gsize key_length, mac_length = 0;
  const guint8 *key = secret_peek_bytes (secret, &key_length);
  void *done = EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, key, key_length, content, length, mac,
                          MAC_BYTES, &mac_length);
  g_assert (done != NULL && mac_length == MAC_BYTES);
}

gboolean
webhook_ring_match (const WebhookRing *ring, const void *content, gsize length, const guint8 *macs,
                    gsize n_macs, gint64 now_us, guint *key)
{
  for (guint i = 0; i < ring->keys->len; i++)
    {
      const RingKey *candidate = &g_array_index (ring->keys, RingKey, i);
      if (candidate->secret == NULL || !is_good_at (candidate, now_us))
        continue;
      guint8 mac[MAC_BYTES];
      compute_mac (candidate->secret, content, length, mac);
      for (gsize k = 0; k < n_macs; k++)
        if (secret_equal_bytes (mac, sizeof mac, macs + k * MAC_BYTES, MAC_BYTES))
          {
            if (key != NULL)
              *key = i;
            return TRUE;
          }
    }
  return FALSE;
}

static GByteArray *
signed_content (const char *id, const char *timestamp, const void *body, gsize body_length)
{
  GByteArray *content = g_byte_array_sized_new ((guint)(strlen (id) + strlen (timestamp) + body_length + 2));
  g_byte_array_append (content, (const guint8 *)id, (guint)strlen (id));
  g_byte_array_append (content, (const guint8 *)".", 1);
  g_byte_array_append (content, (const guint8 *)timestamp, (guint)strlen (timestamp));
  g_byte_array_append (content, (const guint8 *)".", 1);
  if (body_length > 0)
    g_byte_array_append (content, body, (guint)body_length);
  return content;
}

static gboolean
verify_ed25519 (EVP_PKEY *verifier, const GByteArray *content, const guint8 *signature)
{
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  gboolean is_match
      = EVP_DigestVerifyInit (context, NULL, NULL, NULL, verifier) == 1
        && EVP_DigestVerify (context, signature, SIGNATURE_BYTES, content->data, content->len) == 1;
  EVP_MD_CTX_free (context);
  return is_match;
}

/* Whether one entry of the list, `version,base64`, is by @key. What is not such an entry is by nobody. */
static gboolean
entry_matches (const RingKey *key, const char *entry, const GByteArray *content)
{
  gboolean is_mac = g_str_has_prefix (entry, "v1,");
  if (!is_mac && !g_str_has_prefix (entry, "v1a,"))
    return FALSE;
  if (is_mac ? key->secret == NULL : key->verifier == NULL)
    return FALSE;
  const char *encoded = strchr (entry, ',') + 1;
  gsize length = 0;
  g_autofree guint8 *given = text_from_base64 (encoded, strlen (encoded), &length);
  if (given == NULL)
    return FALSE;
  if (!is_mac)
    return length == SIGNATURE_BYTES && verify_ed25519 (key->verifier, content, given);
  guint8 mac[MAC_BYTES];
  compute_mac (key->secret, content->data, content->len, mac);
  return secret_equal_bytes (mac, sizeof mac, given, length);
}

static WebhookVerdict
check_id (const char *id)
{
  gsize length = strlen (id);
  if (length > MAX_ID_BYTES)
    return WEBHOOK_BAD_ID;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (id[i]) && id[i] != '-' && id[i] != '_')
      return WEBHOOK_BAD_ID;
  return WEBHOOK_AUTHENTIC;
}

static WebhookVerdict
check_timestamp (const char *timestamp, gint64 now_us)
{
  gsize length = strlen (timestamp);
  if (length > MAX_DIGITS || strspn (timestamp, "0123456789") != length)
    return WEBHOOK_BAD_TIMESTAMP;
  gint64 away_s = g_ascii_strtoll (timestamp, NULL, 10) - now_us / G_USEC_PER_SEC;
  return away_s > WEBHOOK_TOLERANCE_S || away_s < -WEBHOOK_TOLERANCE_S ? WEBHOOK_STALE : WEBHOOK_AUTHENTIC;
}

/* The entries of the header, or NULL if it is out of its bounds. */
static char **
split_signatures (const char *signature)
{
  gsize length = strlen (signature);
  if (length > WEBHOOK_MAX_SIGNATURE_BYTES)
    return NULL;
  for (gsize i = 0; i < length; i++)
    if (signature[i] < 0x20 || signature[i] > 0x7e)
      return NULL;
  char **entries = g_strsplit (signature, " ", WEBHOOK_MAX_SIGNATURES + 1);
  if (g_strv_length (entries) <= WEBHOOK_MAX_SIGNATURES)
    return entries;
  g_strfreev (entries);
  return NULL;
}

static gboolean
is_absent (const char *value)
{
  return value == NULL || *value == '\0';
}

WebhookVerdict
webhook_verify (const WebhookRing *ring, const WebhookHeaders *headers, const void *body, gsize body_length,
                gint64 now_us, guint *key)
{
  if (body_length > WEBHOOK_MAX_BODY)
    return WEBHOOK_BODY_TOO_LARGE;
  if (headers->n_id > 1 || headers->n_timestamp > 1 || headers->n_signature > 1)
    return WEBHOOK_HEADER_REPEATED;
  if (is_absent (headers->id) || is_absent (headers->timestamp) || is_absent (headers->signature))
    return WEBHOOK_HEADER_MISSING;

  WebhookVerdict verdict = check_id (headers->id);
  if (verdict == WEBHOOK_AUTHENTIC)
    verdict = check_timestamp (headers->timestamp, now_us);
  if (verdict != WEBHOOK_AUTHENTIC)
    return verdict;
  g_auto (GStrv) entries = split_signatures (headers->signature);
  if (entries == NULL)
    return WEBHOOK_BAD_SIGNATURES;

  g_autoptr (GByteArray) content = signed_content (headers->id, headers->timestamp, body, body_length);
  for (guint i = 0; i < ring->keys->len; i++)
    {
      const RingKey *candidate = &g_array_index (ring->keys, RingKey, i);
      if (!is_good_at (candidate, now_us))
        continue;
      for (char **entry = entries; *entry != NULL; entry++)
        if (entry_matches (candidate, *entry, content))
          {
            if (key != NULL)
              *key = i;
            return WEBHOOK_AUTHENTIC;
          }
    }
  return WEBHOOK_NO_MATCH;
}

static char *
bodiless_content (const char *method, const char *target)
{
  return g_strconcat (method, " ", target, NULL);
}

WebhookVerdict
webhook_verify_request (const WebhookRing *ring, const WebhookHeaders *headers, const char *method,
                        const char *target, const void *body, gsize body_length, gint64 now_us, guint *key)
{
  if (body_length > 0)
    return webhook_verify (ring, headers, body, body_length, now_us, key);
  g_autofree char *content = bodiless_content (method, target);
  return webhook_verify (ring, headers, content, strlen (content), now_us, key);
}

int
webhook_verdict_get_status (WebhookVerdict verdict)
{
  switch (verdict)
    {
    case WEBHOOK_AUTHENTIC:
      return 200;
    case WEBHOOK_HEADER_MISSING:
    case WEBHOOK_HEADER_REPEATED:
      return 400;
    case WEBHOOK_BODY_TOO_LARGE:
      return 413;
    case WEBHOOK_BAD_ID:
    case WEBHOOK_BAD_TIMESTAMP:
    case WEBHOOK_STALE:
    case WEBHOOK_BAD_SIGNATURES:
    case WEBHOOK_NO_MATCH:
      return 401;
    }
  g_assert_not_reached ();
}

const char *
webhook_verdict_get_name (WebhookVerdict verdict)
{
  static const char *const names[] = {
    [WEBHOOK_AUTHENTIC] = "authentic",
    [WEBHOOK_HEADER_MISSING] = "header-missing",
    [WEBHOOK_HEADER_REPEATED] = "header-repeated",
    [WEBHOOK_BODY_TOO_LARGE] = "body-too-large",
    [WEBHOOK_BAD_ID] = "bad-id",
    [WEBHOOK_BAD_TIMESTAMP] = "bad-timestamp",
    [WEBHOOK_STALE] = "stale",
    [WEBHOOK_BAD_SIGNATURES] = "bad-signatures",
    [WEBHOOK_NO_MATCH] = "no-match",
  };
  return names[verdict];
}

char *
webhook_sign (const WebhookRing *ring, const char *id, gint64 timestamp_s, const void *body,
              gsize body_length, gint64 now_us)
{
  g_autofree char *timestamp = g_strdup_printf ("%" G_GINT64_FORMAT, timestamp_s);
  g_autoptr (GByteArray) content = signed_content (id, timestamp, body, body_length);
  g_autoptr (GString) value = g_string_new (NULL);
  for (guint i = 0; i < ring->keys->len; i++)
    {
      const RingKey *key = &g_array_index (ring->keys, RingKey, i);
      if (key->secret == NULL || !is_good_at (key, now_us))
        continue;
      guint8 mac[MAC_BYTES];
      compute_mac (key->secret, content->data, content->len, mac);
      g_autofree char *encoded = g_base64_encode (mac, sizeof mac);
      g_string_append_printf (value, "%sv1,%s", value->len > 0 ? " " : "", encoded);
    }
  return value->len > 0 ? g_strdup (value->str) : NULL;
}

char **
webhook_sign_request (const WebhookRing *ring, const char *method, const char *target, const void *body,
                      gsize body_length, gint64 now_us)
{
  g_autofree char *bodiless = bodiless_content (method, target);
  if (body_length == 0)
    {
      body = bodiless;
      body_length = strlen (bodiless);
    }
  g_autofree char *id = webhook_new_id ();
  gint64 timestamp_s = now_us / G_USEC_PER_SEC;
  g_autofree char *signature = webhook_sign (ring, id, timestamp_s, body, body_length, now_us);
  if (signature == NULL)
    return NULL;
  char **lines = g_new0 (char *, 4);
  lines[0] = g_strconcat ("webhook-id: ", id, NULL);
  lines[1] = g_strdup_printf ("webhook-timestamp: %" G_GINT64_FORMAT, timestamp_s);
  lines[2] = g_strconcat ("webhook-signature: ", signature, NULL);
  return lines;
}

char *
webhook_new_id (void)
{
  g_autofree char *random = id_new_random (16);
  return g_strconcat ("msg_", random, NULL);
}

double
webhook_retry_pause_s (guint attempt, double factor, double jitter)
{
  static const int pauses_s[]
      = { 0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600 };
  if (attempt >= G_N_ELEMENTS (pauses_s))
    return -1;
  return pauses_s[attempt] * factor * (1 + jitter / 10);
}
