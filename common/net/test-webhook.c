#include "common/net/webhook.h"

#include <gio/gio.h>
#include <openssl/evp.h>
#include <string.h>

/* The vectors of the specification's own libraries. */
#define SECRET_1    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID_1        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define BODY_1      "{\"test\": 2432232314}"
#define TIME_1      1614265330
#define SIGNATURE_1 "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static WebhookRing *
ring_of (const char *text)
{
  WebhookRing *ring = webhook_ring_new ();
  g_autoptr (Secret) secret = secret_new (text, strlen (text));
  g_autoptr (GError) error = NULL;
  gboolean is_added = webhook_ring_add (ring, secret, 0, 0, &error);
  g_assert_no_error (error);
  g_assert_true (is_added);
  return ring;
}

static WebhookHeaders
headers_1 (void)
{
  return (WebhookHeaders){ .id = ID_1,
                           .timestamp = "1614265330",
                           .signature = SIGNATURE_1,
                           .n_id = 1,
                           .n_timestamp = 1,
                           .n_signature = 1 };
}

static WebhookVerdict
verdict_at (const WebhookHeaders *headers, gint64 now_s)
{
  g_autoptr (WebhookRing) ring = ring_of (SECRET_1);
  return webhook_verify (ring, headers, BODY_1, strlen (BODY_1), now_s * G_USEC_PER_SEC, NULL);
}

static void
test_webhook_vectors_of_the_specification (void)
{
  static const struct
  {
    const char *secret, *id, *body, *signature;
    gint64 time_s;
  } vectors[] = {
    { SECRET_1, ID_1, BODY_1, SIGNATURE_1, TIME_1 },
    { "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
      "{\"email\":\"test@example.com\",\"username\":\"test_user\"}",
      "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=", 1649367553 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      g_autoptr (WebhookRing) ring = ring_of (vectors[i].secret);
      gint64 now_us = vectors[i].time_s * G_USEC_PER_SEC;
      gsize length = strlen (vectors[i].body);
      g_autofree char *signature
          = webhook_sign (ring, vectors[i].id, vectors[i].time_s, vectors[i].body, length, now_us);
      g_assert_cmpstr (signature, ==, vectors[i].signature);
      g_autofree char *timestamp = g_strdup_printf ("%" G_GINT64_FORMAT, vectors[i].time_s);
      WebhookHeaders headers = { vectors[i].id, timestamp, vectors[i].signature, 1, 1, 1 };
      guint key = 99;
      g_assert_cmpint (webhook_verify (ring, &headers, vectors[i].body, length, now_us, &key), ==,
                       WEBHOOK_AUTHENTIC);
      g_assert_cmpuint (key, ==, 0);
    }
}

static void
test_webhook_refuses_what_is_not_signed (void)
{
  static const char *const signatures[] = {
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", /* one bit */
    "v1,",
    "v1",
    ",",
    "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", /* stray bits: not canonical */
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE",  /* no padding */
    "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", /* the other alphabet */
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=,",
    "v1,v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (signatures); i++)
    {
      WebhookHeaders headers = headers_1 ();
      headers.signature = signatures[i];
      g_test_message ("%s", signatures[i]);
      g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_NO_MATCH);
    }

  g_autoptr (WebhookRing) ring = ring_of (SECRET_1);
  WebhookHeaders headers = headers_1 ();
  gint64 now_us = TIME_1 * (gint64)G_USEC_PER_SEC;
  g_assert_cmpint (webhook_verify (ring, &headers, BODY_1 " ", strlen (BODY_1) + 1, now_us, NULL), ==,
                   WEBHOOK_NO_MATCH);
  headers.id = "msg_p5jXN8AQM9LWM0D4loKWxJel";
  g_assert_cmpint (webhook_verify (ring, &headers, BODY_1, strlen (BODY_1), now_us, NULL), ==,
                   WEBHOOK_NO_MATCH);
  headers.id = ID_1;
  headers.timestamp = "1614265331";
  g_assert_cmpint (webhook_verify (ring, &headers, BODY_1, strlen (BODY_1), now_us, NULL), ==,
                   WEBHOOK_NO_MATCH);
}

static void
test_webhook_time_counts_300_seconds_either_way (void)
{
  WebhookHeaders headers = headers_1 ();
  g_assert_cmpint (verdict_at (&headers, TIME_1 + 300), ==, WEBHOOK_AUTHENTIC);
  g_assert_cmpint (verdict_at (&headers, TIME_1 - 300), ==, WEBHOOK_AUTHENTIC);
  g_assert_cmpint (verdict_at (&headers, TIME_1 + 301), ==, WEBHOOK_STALE);
  g_assert_cmpint (verdict_at (&headers, TIME_1 - 301), ==, WEBHOOK_STALE);

  static const char *const times[]
      = { "hello",       "-1614265330",  "+1614265330", " 1614265330",
          "1614265330 ", "1614265330.0", "0x6037b8f2",  "99999999999999999999999999999999" };
  for (gsize i = 0; i < G_N_ELEMENTS (times); i++)
    {
      headers.timestamp = times[i];
      g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_TIMESTAMP);
    }
}

static void
test_webhook_any_entry_of_the_list_will_do (void)
{
  WebhookHeaders headers = headers_1 ();
  headers.signature = "v1,AAAA v9,xx v1a, " SIGNATURE_1 " junk";
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_AUTHENTIC);

  g_autoptr (GString) many = g_string_new (NULL);
  for (guint i = 0; i < 15; i++)
    g_string_append (many, "v1,AAAA ");
  g_string_append (many, SIGNATURE_1);
  headers.signature = many->str;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_AUTHENTIC);
  g_string_prepend (many, "v1,AAAA ");
  headers.signature = many->str;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_SIGNATURES);

  g_autofree char *padding = g_strnfill (WEBHOOK_MAX_SIGNATURE_BYTES - strlen (SIGNATURE_1), 'x');
  g_autofree char *longest = g_strconcat (SIGNATURE_1 " ", padding + 1, NULL);
  headers.signature = longest;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_AUTHENTIC);
  g_autofree char *too_long = g_strconcat (longest, "x", NULL);
  headers.signature = too_long;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_SIGNATURES);
  headers.signature = SIGNATURE_1 "\tx";
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_SIGNATURES);
  headers.signature = SIGNATURE_1 " \xc3\xa9";
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_SIGNATURES);
}

static void
test_webhook_envelope_must_be_whole_and_single (void)
{
  static const char *const nothing[] = { NULL, "" };
  for (guint i = 0; i < 2; i++)
    {
      WebhookHeaders headers = headers_1 ();
      headers.id = nothing[i];
      g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_HEADER_MISSING);
      headers = headers_1 ();
      headers.timestamp = nothing[i];
      g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_HEADER_MISSING);
      headers = headers_1 ();
      headers.signature = nothing[i];
      g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_HEADER_MISSING);
    }
  WebhookHeaders headers = headers_1 ();
  headers.n_id = 2;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_HEADER_REPEATED);
  headers = headers_1 ();
  headers.n_timestamp = 2;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_HEADER_REPEATED);
  headers = headers_1 ();
  headers.n_signature = 2;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_HEADER_REPEATED);

  static const char *const ids[] = { "msg.1", "msg 1", "msg/1", "m\xc3\xa9" };
  for (gsize i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      headers = headers_1 ();
      headers.id = ids[i];
      g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_ID);
    }
  g_autofree char *longest = g_strnfill (255, 'a'), *too_long = g_strnfill (256, 'a');
  headers.id = longest;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_NO_MATCH);
  headers.id = too_long;
  g_assert_cmpint (verdict_at (&headers, TIME_1), ==, WEBHOOK_BAD_ID);

  g_autoptr (WebhookRing) ring = ring_of (SECRET_1);
  g_autofree char *body = g_strnfill (WEBHOOK_MAX_BODY + 1, 'x');
  headers = headers_1 ();
  g_assert_cmpint (webhook_verify (ring, &headers, body, WEBHOOK_MAX_BODY + 1, 0, NULL), ==,
                   WEBHOOK_BODY_TOO_LARGE);
}

static void
test_webhook_verdicts_have_one_status_for_not_authentic (void)
{
  g_assert_cmpint (webhook_verdict_get_status (WEBHOOK_AUTHENTIC), ==, 200);
  g_assert_cmpint (webhook_verdict_get_status (WEBHOOK_HEADER_MISSING), ==, 400);
  g_assert_cmpint (webhook_verdict_get_status (WEBHOOK_HEADER_REPEATED), ==, 400);
  g_assert_cmpint (webhook_verdict_get_status (WEBHOOK_BODY_TOO_LARGE), ==, 413);
  for (WebhookVerdict verdict = WEBHOOK_BAD_ID; verdict <= WEBHOOK_NO_MATCH; verdict++)
    g_assert_cmpint (webhook_verdict_get_status (verdict), ==, 401);
}

static void
test_webhook_ring_refuses_bad_secrets (void)
{
  g_autofree char *bytes_23 = g_base64_encode ((const guchar *)"01234567890123456789012", 23);
  g_autofree char *short_one = g_strconcat ("whsec_", bytes_23, NULL);
  g_autofree char *filler = g_strnfill (65, 'k');
  g_autofree char *bytes_65 = g_base64_encode ((const guchar *)filler, 65);
  g_autofree char *long_one = g_strconcat ("whsec_", bytes_65, NULL);
  const char *const bad[] = { "",
                              "whsec_",
                              "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                              "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                              "whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                              short_one,
                              long_one,
                              "whpk_AAAA" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (WebhookRing) ring = webhook_ring_new ();
      g_autoptr (Secret) secret = secret_new (bad[i], strlen (bad[i]));
      g_autoptr (GError) error = NULL;
      g_assert_false (webhook_ring_add (ring, secret, 0, 0, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      g_assert_cmpuint (webhook_ring_get_length (ring), ==, 0);
      if (strlen (bad[i]) > 6)
        g_assert_null (strstr (error->message, bad[i]));
    }
}

static void
test_webhook_ring_rotates_with_an_overlap (void)
{
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  g_autoptr (Secret) old = webhook_secret_new ();
  g_autoptr (Secret) new = webhook_secret_new ();
  g_assert_false (secret_equal (old, new));
  g_assert_true (webhook_ring_add (ring, new, 100 * G_USEC_PER_SEC, 0, NULL));
  g_assert_true (webhook_ring_add (ring, old, 0, 200 * G_USEC_PER_SEC, NULL));

  static const struct
  {
    gint64 now_s;
    guint n_entries;
    guint key; /* the first that matches */
  } rows[] = { { 99, 1, 1 }, { 100, 2, 0 }, { 199, 2, 0 }, { 200, 1, 0 } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gint64 now_us = rows[i].now_s * G_USEC_PER_SEC;
      g_autofree char *signature = webhook_sign (ring, "m", rows[i].now_s, "b", 1, now_us);
      g_auto (GStrv) entries = g_strsplit (signature, " ", -1);
      g_assert_cmpuint (g_strv_length (entries), ==, rows[i].n_entries);
      g_autofree char *timestamp = g_strdup_printf ("%" G_GINT64_FORMAT, rows[i].now_s);
      WebhookHeaders headers = { "m", timestamp, signature, 1, 1, 1 };
      guint key = 99;
      g_assert_cmpint (webhook_verify (ring, &headers, "b", 1, now_us, &key), ==, WEBHOOK_AUTHENTIC);
      g_assert_cmpuint (key, ==, rows[i].key);
    }

  /* A signature by the old key alone is good until its end and not after. */
  g_autoptr (WebhookRing) only_old = webhook_ring_new ();
  g_assert_true (webhook_ring_add (only_old, old, 0, 0, NULL));
  g_autofree char *signature = webhook_sign (only_old, "m", 150, "b", 1, 0);
  WebhookHeaders headers = { "m", "150", signature, 1, 1, 1 };
  guint key = 99;
  g_assert_cmpint (webhook_verify (ring, &headers, "b", 1, 150 * G_USEC_PER_SEC, &key), ==,
                   WEBHOOK_AUTHENTIC);
  g_assert_cmpuint (key, ==, 1);
  g_assert_cmpint (webhook_verify (ring, &headers, "b", 1, 200 * G_USEC_PER_SEC, &key), ==, WEBHOOK_NO_MATCH);
}

/* As Stripe documents it: the key is the text, prefix and all. The digest is Python's, hmac.new
 * (b"whsec_test_secret_0", b"1614265330.{}", "sha256"). */
static void
test_webhook_raw_keys_are_their_own_text (void)
{
  static const guint8 macs[]
      = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
          0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
          0x46, 0x44, 0xb5, 0xc5, 0xb8, 0x96, 0xa6, 0x04, 0x6d, 0xac, 0xc8, 0x4e, 0xd7, 0xd0, 0x8c, 0xd2,
          0x6f, 0xe8, 0xcd, 0x1b, 0x42, 0xb9, 0xdb, 0x0e, 0x8d, 0xf2, 0x7a, 0x28, 0xf4, 0x76, 0x8e, 0xa1 };
  static const char content[] = "1614265330.{}";
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  g_autoptr (Secret) old = secret_new ("whsec_test_secret_0", 19);
  g_autoptr (Secret) new = secret_new ("whsec_test_secret_1", 19);
  g_assert_true (webhook_ring_add_raw (ring, new, 0, 0, NULL));
  g_assert_true (webhook_ring_add_raw (ring, old, 0, 200 * G_USEC_PER_SEC, NULL));
  guint key = 99;
  g_assert_true (webhook_ring_match (ring, content, strlen (content), macs, 2, 0, &key));
  g_assert_cmpuint (key, ==, 1);
  g_assert_false (webhook_ring_match (ring, content, strlen (content), macs, 1, 0, &key));
  g_assert_false (webhook_ring_match (ring, content, strlen (content) - 1, macs, 2, 0, &key));
  g_assert_false (webhook_ring_match (ring, content, strlen (content), macs, 2, 200 * G_USEC_PER_SEC, &key));

  static const char *const bad[] = { "", "whsec_too_short", "whsec_with a blank in it" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (Secret) secret = secret_new (bad[i], strlen (bad[i]));
      g_autoptr (GError) error = NULL;
      g_assert_false (webhook_ring_add_raw (ring, secret, 0, 0, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
  g_assert_cmpuint (webhook_ring_get_length (ring), ==, 2);
}

#define STRIPE_MAC  "fa702f105b26f9e884e8e78d0863cbc129aa9b42f07530079ce372f495a5024c"
#define ZERO_MAC    "0000000000000000000000000000000000000000000000000000000000000000"
#define MACS_4(mac) ",v1=" mac ",v1=" mac ",v1=" mac ",v1=" mac

/* Computed in Python: hmac.new (b"whsec_test_secret_0", b"1614265330." + body, "sha256"). */
static void
test_webhook_timestamped_signatures_are_verified (void)
{
  static const struct
  {
    const char *header;
    gint64 now_s;
    WebhookVerdict verdict;
  } rows[] = {
    { "t=1614265330,v1=" STRIPE_MAC, 1614265330, WEBHOOK_AUTHENTIC },
    { "t=1614265330,v1=" STRIPE_MAC ",v0=" ZERO_MAC, 1614265330 + 300, WEBHOOK_AUTHENTIC },
    { "v1=" ZERO_MAC ", v1=" STRIPE_MAC ", t=1614265330", 1614265330 - 300, WEBHOOK_AUTHENTIC },
    { "t=1614265330" MACS_4 (ZERO_MAC) MACS_4 (ZERO_MAC) MACS_4 (ZERO_MAC) ",v1=x,v1=,v1=0,v1=" STRIPE_MAC,
      1614265330, WEBHOOK_AUTHENTIC },
    { "t=1614265330" MACS_4 (ZERO_MAC) MACS_4 (ZERO_MAC) MACS_4 (ZERO_MAC)
          MACS_4 (ZERO_MAC) ",v1=" STRIPE_MAC,
      1614265330, WEBHOOK_BAD_SIGNATURES },
    { "t=1614265330,v1=" STRIPE_MAC, 1614265330 + 301, WEBHOOK_STALE },
    { "t=1614265330,v1=" STRIPE_MAC, 1614265330 - 301, WEBHOOK_STALE },
    { "t=1614265331,v1=" STRIPE_MAC, 1614265330, WEBHOOK_NO_MATCH },
    { "t=1614265330,v0=" STRIPE_MAC, 1614265330, WEBHOOK_NO_MATCH },
    { "t=1614265330,v1=" STRIPE_MAC "0", 1614265330, WEBHOOK_NO_MATCH },
    { "t=1614265330", 1614265330, WEBHOOK_NO_MATCH },
    { "v1=" STRIPE_MAC, 1614265330, WEBHOOK_BAD_TIMESTAMP },
    { "t=,v1=" STRIPE_MAC, 1614265330, WEBHOOK_BAD_TIMESTAMP },
    { "t=+1614265330,v1=" STRIPE_MAC, 1614265330, WEBHOOK_BAD_TIMESTAMP },
    { "t=1614265330,t=1614265330,v1=" STRIPE_MAC, 1614265330, WEBHOOK_BAD_TIMESTAMP },
    { "t=0000001614265330,v1=" STRIPE_MAC, 1614265330, WEBHOOK_BAD_TIMESTAMP },
    { ",", 1614265330, WEBHOOK_BAD_TIMESTAMP },
    { "", 1614265330, WEBHOOK_HEADER_MISSING },
    { NULL, 1614265330, WEBHOOK_HEADER_MISSING },
  };
  static const char body[] = "{\"id\": \"evt_1\"}";
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  g_autoptr (Secret) secret = secret_new ("whsec_test_secret_0", 19);
  g_assert_true (webhook_ring_add_raw (ring, secret, 0, 0, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      guint key = 99;
      WebhookVerdict verdict
          = webhook_verify_timestamped (ring, rows[i].header, rows[i].header != NULL, body, strlen (body),
                                        rows[i].now_s * G_USEC_PER_SEC, &key);
      g_test_message ("%s", rows[i].header);
      g_assert_cmpstr (webhook_verdict_get_name (verdict), ==, webhook_verdict_get_name (rows[i].verdict));
      g_assert_cmpuint (key, ==, verdict == WEBHOOK_AUTHENTIC ? 0 : 99);
    }
  g_autofree char *filler = g_strnfill (4097, ',');
  g_assert_cmpint (webhook_verify_timestamped (ring, filler, 1, body, strlen (body), 0, NULL), ==,
                   WEBHOOK_BAD_SIGNATURES);
  g_assert_cmpint (webhook_verify_timestamped (ring, "t=1,v1=", 2, body, strlen (body), 0, NULL), ==,
                   WEBHOOK_HEADER_REPEATED);
}

static void
test_webhook_bodiless_request_signs_method_and_target (void)
{
  g_autoptr (WebhookRing) ring = ring_of (SECRET_1);
  gint64 now_us = TIME_1 * (gint64)G_USEC_PER_SEC;
  g_auto (GStrv) lines = webhook_sign_request (ring, "DELETE", "/v1/serials/ol_1.1", NULL, 0, now_us);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  WebhookHeaders headers = { lines[0] + strlen ("webhook-id: "),
                             lines[1] + strlen ("webhook-timestamp: "),
                             lines[2] + strlen ("webhook-signature: "),
                             1,
                             1,
                             1 };
  g_assert_cmpint (
      webhook_verify_request (ring, &headers, "DELETE", "/v1/serials/ol_1.1", NULL, 0, now_us, NULL), ==,
      WEBHOOK_AUTHENTIC);
  g_assert_cmpint (
      webhook_verify_request (ring, &headers, "GET", "/v1/serials/ol_1.1", NULL, 0, now_us, NULL), ==,
      WEBHOOK_NO_MATCH);
  g_assert_cmpint (
      webhook_verify_request (ring, &headers, "DELETE", "/v1/serials/ol_1.2", NULL, 0, now_us, NULL), ==,
      WEBHOOK_NO_MATCH);
}

static void
test_webhook_accepts_ed25519_entries (void)
{
  EVP_PKEY *pair = EVP_PKEY_Q_keygen (NULL, NULL, "ED25519");
  guint8 public[32], signature[64];
  gsize public_length = sizeof public, signature_length = sizeof signature;
  g_assert_true (EVP_PKEY_get_raw_public_key (pair, public, &public_length) == 1);
  static const char content[] = "m.100.body";
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  g_assert_true (EVP_DigestSignInit (context, NULL, NULL, NULL, pair) == 1);
  g_assert_true (
      EVP_DigestSign (context, signature, &signature_length, (const guint8 *)content, strlen (content)) == 1);
  EVP_MD_CTX_free (context);
  EVP_PKEY_free (pair);

  g_autofree char *encoded_key = g_base64_encode (public, sizeof public);
  g_autofree char *key_text = g_strconcat ("whpk_", encoded_key, NULL);
  g_autoptr (WebhookRing) ring = ring_of (key_text);
  g_autofree char *encoded = g_base64_encode (signature, sizeof signature);
  g_autofree char *entry = g_strconcat ("v1a,", encoded, NULL);
  WebhookHeaders headers = { "m", "100", entry, 1, 1, 1 };
  g_assert_cmpint (webhook_verify (ring, &headers, "body", 4, 100 * G_USEC_PER_SEC, NULL), ==,
                   WEBHOOK_AUTHENTIC);
  g_assert_cmpint (webhook_verify (ring, &headers, "bodY", 4, 100 * G_USEC_PER_SEC, NULL), ==,
                   WEBHOOK_NO_MATCH);
  g_assert_null (webhook_sign (ring, "m", 100, "body", 4, 0)); /* a verifying key signs nothing */
}

static void
test_webhook_retries_grow_to_a_day_and_end (void)
{
  g_assert_cmpfloat (webhook_retry_pause_s (0, 1, 0.9), ==, 0);
  g_assert_cmpfloat (webhook_retry_pause_s (1, 1, 0), ==, 5);
  g_assert_cmpfloat (webhook_retry_pause_s (9, 1, 0), ==, 86400);
  g_assert_cmpfloat (webhook_retry_pause_s (10, 1, 0), ==, -1);
  g_assert_cmpfloat_with_epsilon (webhook_retry_pause_s (2, 0.001, 0.5), 0.315, 1e-9);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/webhook/vectors_of_the_specification", test_webhook_vectors_of_the_specification);
  g_test_add_func ("/webhook/refuses_what_is_not_signed", test_webhook_refuses_what_is_not_signed);
  g_test_add_func ("/webhook/time_counts_300_seconds_either_way",
                   test_webhook_time_counts_300_seconds_either_way);
  g_test_add_func ("/webhook/any_entry_of_the_list_will_do", test_webhook_any_entry_of_the_list_will_do);
  g_test_add_func ("/webhook/envelope_must_be_whole_and_single",
                   test_webhook_envelope_must_be_whole_and_single);
  g_test_add_func ("/webhook/verdicts_have_one_status_for_not_authentic",
                   test_webhook_verdicts_have_one_status_for_not_authentic);
  g_test_add_func ("/webhook/ring_refuses_bad_secrets", test_webhook_ring_refuses_bad_secrets);
  g_test_add_func ("/webhook/ring_rotates_with_an_overlap", test_webhook_ring_rotates_with_an_overlap);
  g_test_add_func ("/webhook/raw_keys_are_their_own_text", test_webhook_raw_keys_are_their_own_text);
  g_test_add_func ("/webhook/timestamped_signatures_are_verified",
                   test_webhook_timestamped_signatures_are_verified);
  g_test_add_func ("/webhook/bodiless_request_signs_method_and_target",
                   test_webhook_bodiless_request_signs_method_and_target);
  g_test_add_func ("/webhook/accepts_ed25519_entries", test_webhook_accepts_ed25519_entries);
  g_test_add_func ("/webhook/retries_grow_to_a_day_and_end", test_webhook_retries_grow_to_a_day_and_end);
  return g_test_run ();
}
