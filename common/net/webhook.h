/* Standard Webhooks: signed requests between host, billing providers and plugin servers (money.md).
 *
 * Signed are the bytes `id.timestamp.body`. Pure functions: no socket, no clock, no storage. Remembering ids
 * against replay is the caller's, in the same commit as the effect. */
#pragma once

#include "common/base/secret.h"

#define WEBHOOK_MAX_BODY            20000 /* bytes, of the body */
#define WEBHOOK_TOLERANCE_S         300   /* either way */
#define WEBHOOK_MAX_SIGNATURES      16    /* entries in one header */
#define WEBHOOK_MAX_SIGNATURE_BYTES 4096
#define WEBHOOK_MAC_BYTES           32

/* The keys of one peer, the newest first when several overlap during a rotation. */
typedef struct WebhookRing WebhookRing;

WebhookRing *webhook_ring_new (void);
void webhook_ring_free (WebhookRing *ring);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (WebhookRing, webhook_ring_free)

/* Adds a key that is good in [@not_before_us, @not_after_us), wall time; 0 as end: for ever. @text is
 * `whsec_` + base64 of 24 to 64 bytes (symmetric, v1), or `whpk_` + base64 of an Ed25519 public key (v1a, for
 * verifying only). FALSE with @error (G_IO_ERROR_INVALID_ARGUMENT), which does not contain the text. */
gboolean webhook_ring_add (WebhookRing *ring, const Secret *text, gint64 not_before_us, gint64 not_after_us,
                           GError **error);
/* Adds a key whose bytes are @text as it is written, 16 to 255 of printable ASCII without spaces: how
 * providers with a signature scheme of their own use theirs. */
gboolean webhook_ring_add_raw (WebhookRing *ring, const Secret *text, gint64 not_before_us,
                               gint64 not_after_us, GError **error);
guint webhook_ring_get_length (const WebhookRing *ring);
/* A fresh secret, `whsec_` + base64 of 32 random bytes. */
Secret *webhook_secret_new (void);

typedef enum
{
  WEBHOOK_AUTHENTIC,
  WEBHOOK_HEADER_MISSING, /* or empty */
  WEBHOOK_HEADER_REPEATED,
  WEBHOOK_BODY_TOO_LARGE,
  WEBHOOK_BAD_ID,         /* not [A-Za-z0-9_-]{1,255} */
  WEBHOOK_BAD_TIMESTAMP,  /* not digits alone */
  WEBHOOK_STALE,          /* more than 300 s away, either way */
  WEBHOOK_BAD_SIGNATURES, /* over 16 entries or 4 KiB, or characters that no header has */
  WEBHOOK_NO_MATCH,       /* none of the entries is by a key of the ring */
} WebhookVerdict;

/* Each header's value, NULL if absent, and how often it came. */
typedef struct
{
  const char *id, *timestamp, *signature;
  guint n_id, n_timestamp, n_signature;
} WebhookHeaders;

/* Verifies @body (exact bytes as received, before any parsing) at @now_us. Keys outside their time do not
 * count. If authentic and @key is not NULL, *@key is the index in the ring, in order of adding, of the key
 * that matched. Signatures are compared in constant time. */
WebhookVerdict webhook_verify (const WebhookRing *ring, const WebhookHeaders *headers, const void *body,
                               gsize body_length, gint64 now_us, guint *key);
/* For requests between host and plugin server (protocol.md §8): if the body is empty, what is signed in its
 * place is `METHOD SP target`, the target as on the request line. */
WebhookVerdict webhook_verify_request (const WebhookRing *ring, const WebhookHeaders *headers,
                                       const char *method, const char *target, const void *body,
                                       gsize body_length, gint64 now_us, guint *key);
/* Stripe's scheme, which others have taken over: one header `t=TIME,v1=HEX,v1=HEX…` over `TIME.body`. Entries
 * of other schemes are skipped; one v1 by a key of the ring is enough, since there is one for each secret
 * while the sender's is being changed. @n_header: how often the header came. Limits are those above, but for
 * the body, which is the caller's to limit. */
WebhookVerdict webhook_verify_timestamped (const WebhookRing *ring, const char *header, guint n_header,
                                           const void *body, gsize body_length, gint64 now_us, guint *key);
/* For such schemes: whether one of @n_macs (WEBHOOK_MAC_BYTES each, behind each other) is the HMAC-SHA256 of
 * @content by a key good at @now_us; *@key as above. Compared in constant time. */
gboolean webhook_ring_match (const WebhookRing *ring, const void *content, gsize length, const guint8 *macs,
                             gsize n_macs, gint64 now_us, guint *key);
/* 200, 400, 413, or 401: one answer for every way of not being authentic (protocol.md §9). */
int webhook_verdict_get_status (WebhookVerdict verdict);
/* A word for counters and the log: "stale". */
const char *webhook_verdict_get_name (WebhookVerdict verdict);

/* The value of webhook-signature: an entry `v1,…` for every symmetric key good at @now_us, separated by
 * spaces; NULL if the ring has none. @timestamp_s is what goes into webhook-timestamp. */
char *webhook_sign (const WebhookRing *ring, const char *id, gint64 timestamp_s, const void *body,
                    gsize body_length, gint64 now_us);
/* The three header lines ("webhook-id: …", …) for HttpRequest.headers of a request of ours with a new random
 * id, timestamp @now_us; NULL if no key is good. @body NULL or empty: `METHOD SP target` is signed. Free with
 * g_strfreev(). */
char **webhook_sign_request (const WebhookRing *ring, const char *method, const char *target,
                             const void *body, gsize body_length, gint64 now_us);
/* A fresh id for a delivery: "msg_…". Retries of a delivery to others keep it, with a new timestamp. */
char *webhook_new_id (void);

/* The pause in seconds before attempt @attempt (0 is the first: no pause) of a delivery, 5 s to 24 h, scaled
 * by
 * @factor, up to a tenth longer by @jitter in [0, 1); -1 when there is none left. */
double webhook_retry_pause_s (guint attempt, double factor, double jitter);
