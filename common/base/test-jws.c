#include "common/base/jws.h"

#include "common/base/text.h"

#include <gio/gio.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define TYPE    "stoa-test+jwt"
#define PAYLOAD "{\"iss\":\"https://example.org\",\"n\":1}"

typedef struct
{
  JwsKey *key;
  JwsKeySet *set;
  char *jws;
} Fixture;

static void
setup (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  f->key = jws_key_new ();
  f->set = jws_key_set_new ();
  g_autofree char *jwk = jws_key_dup_public (f->key);
  jws_key_set_add (f->set, jwk, 0, &error);
  g_assert_no_error (error);
  f->jws = jws_sign (f->key, TYPE, PAYLOAD, strlen (PAYLOAD), &error);
  g_assert_no_error (error);
}

static void
teardown (Fixture *f, gconstpointer unused)
{
  jws_key_unref (f->key);
  jws_key_set_free (f->set);
  g_free (f->jws);
}

static JwsVerdict
verify (const JwsKeySet *set, const char *jws)
{
  g_auto (JwsContent) content = { 0 };
  JwsVerdict verdict = jws_verify (set, jws, strlen (jws), TYPE, &content);
  g_assert_true ((verdict == JWS_VALID) == (content.payload != NULL));
  return verdict;
}

/* Header and payload as given, signed by whatever @sign says. */
static char *
compose (const char *header, const char *payload, const void *signature, gsize length)
{
  g_autofree char *one = text_to_base64url (header, strlen (header));
  g_autofree char *two = text_to_base64url (payload, strlen (payload));
  g_autofree char *three = text_to_base64url (signature, length);
  return g_strdup_printf ("%s.%s.%s", one, two, three);
}

static char *
header_with (const Fixture *f, const char *alg, const char *type, const char *more)
{
  return g_strdup_printf ("{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"%s}", alg, jws_key_peek_kid (f->key),
                          type, more);
}

static void
test_what_was_signed_verifies (Fixture *f, gconstpointer unused)
{
  g_auto (JwsContent) content = { 0 };
  g_assert_cmpint (jws_verify (f->set, f->jws, strlen (f->jws), TYPE, &content), ==, JWS_VALID);
  gsize length;
  const char *payload = g_bytes_get_data (content.payload, &length);
  g_assert_cmpmem (payload, length, PAYLOAD, strlen (PAYLOAD));
  g_assert_cmpstr (content.kid, ==, jws_key_peek_kid (f->key));
  g_assert_cmpint (content.retired_s, ==, 0);
}

static void
test_every_altered_character_is_noticed (Fixture *f, gconstpointer unused)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (gsize i = 0; f->jws[i] != '\0'; i++)
    {
      g_autofree char *altered = g_strdup (f->jws);
      const char *letter = strchr (letters, altered[i]);
      altered[i] = letter != NULL ? letters[(gsize)(letter - letters) ^ 1] : 'A';
      g_assert_cmpint (verify (f->set, altered), !=, JWS_VALID);
    }
  gsize length = strlen (f->jws);
  for (gsize cut = 0; cut < length; cut++)
    {
      g_auto (JwsContent) content = { 0 };
      g_assert_cmpint (jws_verify (f->set, f->jws, cut, TYPE, &content), !=, JWS_VALID);
    }
  g_autofree char *longer = g_strconcat (f->jws, ".", NULL);
  g_assert_cmpint (verify (f->set, longer), ==, JWS_MALFORMED);
  g_autofree char *padded = g_strconcat (f->jws, "=", NULL);
  g_assert_cmpint (verify (f->set, padded), ==, JWS_MALFORMED);
}

static void
test_no_other_algorithm_is_taken (Fixture *f, gconstpointer unused)
{
  g_autofree char *none = header_with (f, "none", TYPE, "");
  g_autofree char *unsigned_jws = compose (none, PAYLOAD, "", 0);
  g_assert_cmpint (verify (f->set, unsigned_jws), ==, JWS_OTHER_ALGORITHM);
  for (const char *const *alg = (const char *const[]){ "None", "RS256", "ES384", "es256", "", NULL };
       *alg != NULL; alg++)
    {
      g_autofree char *header = header_with (f, *alg, TYPE, "");
      g_autofree char *jws = compose (header, PAYLOAD, PAYLOAD, 32);
      g_assert_cmpint (verify (f->set, jws), ==, JWS_OTHER_ALGORITHM);
    }
}

/* The classic: the public key, which everybody has, taken as the secret of an HMAC. */
static void
test_the_public_key_is_no_secret_for_hs256 (Fixture *f, gconstpointer unused)
{
  g_autofree char *jwk = jws_key_dup_public (f->key);
  for (guint says_es256 = 0; says_es256 < 2; says_es256++)
    {
      g_autofree char *header = header_with (f, says_es256 ? "ES256" : "HS256", TYPE, "");
      g_autofree char *signed_part = compose (header, PAYLOAD, "", 0);
      guint8 mac[64] = { 0 };
      guint length = 0;
      HMAC (EVP_sha256 (), jwk, (int)strlen (jwk), (const guint8 *)signed_part, strlen (signed_part) - 1, mac,
            &length);
      g_autofree char *jws = compose (header, PAYLOAD, mac, length);
      g_autofree char *filled = compose (header, PAYLOAD, mac, sizeof mac);
      g_assert_cmpint (verify (f->set, jws), ==, says_es256 ? JWS_MALFORMED : JWS_OTHER_ALGORITHM);
      g_assert_cmpint (verify (f->set, filled), ==, says_es256 ? JWS_FORGED : JWS_OTHER_ALGORITHM);
    }
}

static void
test_another_type_is_refused (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *other = jws_sign (f->key, "at+jwt", PAYLOAD, strlen (PAYLOAD), &error);
  g_assert_cmpint (verify (f->set, other), ==, JWS_OTHER_TYPE);
  g_autofree char *header = g_strdup_printf ("{\"alg\":\"ES256\",\"kid\":\"%s\"}", jws_key_peek_kid (f->key));
  g_autofree char *untyped = compose (header, PAYLOAD, PAYLOAD, 32);
  g_assert_cmpint (verify (f->set, untyped), ==, JWS_OTHER_TYPE);
}

static void
test_an_unknown_key_is_refused (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JwsKey) stranger = jws_key_new ();
  g_autofree char *jws = jws_sign (stranger, TYPE, PAYLOAD, strlen (PAYLOAD), &error);
  g_assert_cmpint (verify (f->set, jws), ==, JWS_UNKNOWN_KEY);
  g_autofree char *no_kid = compose ("{\"alg\":\"ES256\",\"typ\":\"" TYPE "\"}", PAYLOAD, PAYLOAD, 32);
  g_assert_cmpint (verify (f->set, no_kid), ==, JWS_UNKNOWN_KEY);

  /* the stranger's signature under our key's name */
  g_autofree char *header = header_with (f, "ES256", TYPE, "");
  g_autofree char *ours = text_to_base64url (header, strlen (header));
  g_autofree char *forged = g_strconcat (ours, strchr (jws, '.'), NULL);
  g_assert_cmpint (verify (f->set, forged), ==, JWS_FORGED);
}

static void
test_odd_headers_are_refused (Fixture *f, gconstpointer unused)
{
  const char *more[] = { ",\"crit\":[\"exp\"],\"exp\":1", ",\"crit\":[]", ",\"alg\":\"none\"" };
  for (gsize i = 0; i < G_N_ELEMENTS (more); i++)
    {
      g_autofree char *header = header_with (f, "ES256", TYPE, more[i]);
      g_autofree char *jws = compose (header, PAYLOAD, PAYLOAD, 32);
      g_assert_cmpint (verify (f->set, jws), ==, JWS_MALFORMED);
    }
  const char *odd[] = { "", "[]", "null", "{", "{\"alg\":1}", "{\"alg\":[\"ES256\"]}", "\xff" };
  for (gsize i = 0; i < G_N_ELEMENTS (odd); i++)
    {
      g_autofree char *jws = compose (odd[i], PAYLOAD, PAYLOAD, 32);
      g_assert_cmpint (verify (f->set, jws), ==, JWS_MALFORMED);
    }
  const char *shapes[] = { "", ".", "..", "...", "a.b", "{\"payload\":\"\",\"signatures\":[]}" };
  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++)
    g_assert_cmpint (verify (f->set, shapes[i]), ==, JWS_MALFORMED);
}

static void
test_sizes_are_limited (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *large = g_strnfill (JWS_MAX_BYTES / 4 * 3, 'x');
  g_assert_null (jws_sign (f->key, TYPE, large, strlen (large), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
  g_autofree char *jws = g_strnfill (JWS_MAX_BYTES + 1, 'A');
  g_assert_cmpint (verify (f->set, jws), ==, JWS_TOO_LARGE);

  g_autofree char *filling = g_strnfill (JWS_MAX_HEADER_BYTES, 'y');
  g_autofree char *more = g_strdup_printf (",\"x\":\"%s\"", filling);
  g_autofree char *header = header_with (f, "ES256", TYPE, more);
  g_autofree char *wide = compose (header, PAYLOAD, PAYLOAD, 32);
  g_assert_cmpint (verify (f->set, wide), ==, JWS_TOO_LARGE);

  g_clear_error (&error);
  g_autofree char *document = g_strnfill (JWS_MAX_SET_BYTES + 1, ' ');
  g_assert_null (jws_key_set_parse (document, strlen (document), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);

  g_autofree char *fitting = g_strnfill (JWS_MAX_BYTES / 2, 'x');
  g_autofree char *good = jws_sign (f->key, TYPE, fitting, strlen (fitting), NULL);
  g_assert_cmpint (verify (f->set, good), ==, JWS_VALID);
}

static void
test_a_key_outlives_its_store (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Secret) stored = jws_key_dup_private (f->key);
  g_autoptr (JwsKey) loaded = jws_key_load (stored, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (jws_key_peek_kid (loaded), ==, jws_key_peek_kid (f->key));
  g_assert_cmpuint (strlen (jws_key_peek_kid (loaded)), ==, 43);
  g_autofree char *jws = jws_sign (loaded, TYPE, PAYLOAD, strlen (PAYLOAD), NULL);
  g_assert_cmpint (verify (f->set, jws), ==, JWS_VALID);

  g_autofree char *public_jwk = jws_key_dup_public (loaded);
  g_assert_null (strstr (public_jwk, "\"d\""));
  g_autoptr (Secret) half = secret_new (public_jwk, strlen (public_jwk));
  g_assert_null (jws_key_load (half, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

/* RFC 7515 A.3.1 has the key; its thumbprint was computed with another implementation. */
static void
test_a_kid_is_the_thumbprint_of_rfc7638 (void)
{
  static const char jwk[] = "{\"kty\":\"EC\",\"crv\":\"P-256\","
                            "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                            "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
  g_autoptr (GError) error = NULL;
  g_autoptr (JwsKeySet) set = jws_key_set_new ();
  jws_key_set_add (set, jwk, 0, &error);
  g_assert_no_error (error);
  g_autofree char *json = jws_key_set_dup_json (set);
  g_assert_nonnull (strstr (json, "\"kid\":\"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U\""));
}

static void
test_a_set_is_what_it_was_written_from (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JwsKey) older = jws_key_new ();
  g_autofree char *older_jwk = jws_key_dup_public (older);
  jws_key_set_add (f->set, older_jwk, 1700000000, &error);
  g_assert_no_error (error);
  jws_key_set_add (f->set, older_jwk, 0, &error);
  g_assert_cmpuint (jws_key_set_get_length (f->set), ==, 2);

  g_autofree char *json = jws_key_set_dup_json (f->set);
  g_autoptr (JwsKeySet) again = jws_key_set_parse (json, strlen (json), &error);
  g_assert_no_error (error);
  g_autofree char *rewritten = jws_key_set_dup_json (again);
  g_assert_cmpstr (rewritten, ==, json);

  g_autofree char *jws = jws_sign (older, TYPE, PAYLOAD, strlen (PAYLOAD), NULL);
  g_auto (JwsContent) content = { 0 };
  g_assert_cmpint (jws_verify (again, jws, strlen (jws), TYPE, &content), ==, JWS_VALID);
  g_assert_cmpint (content.retired_s, ==, 1700000000);
}

static void
test_sets_of_others_are_read_with_care (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *jwk = jws_key_dup_public (f->key);
  g_autofree char *mixed
      = g_strdup_printf ("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"oct\",\"k\":"
                         "\"AA\"},7,{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\"},%s],\"more\":1}",
                         jwk);
  g_autoptr (JwsKeySet) set = jws_key_set_parse (mixed, strlen (mixed), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (jws_key_set_get_length (set), ==, 1);

  g_autoptr (JwsKey) other = jws_key_new ();
  g_autofree char *borrowed = g_strdup (jwk);
  memcpy (strstr (borrowed, jws_key_peek_kid (f->key)), jws_key_peek_kid (other), 43);
  const char *bad[] = {
    "",
    "[]",
    "{\"keys\":{}}",
    "{\"keys\":[]}",
    "{\"keys\":[],\"keys\":[]}",
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"}]}",
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
    /* not on the curve */
    ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}"),
  };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (jws_key_set_parse (bad[i], strlen (bad[i]), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_clear_error (&error);
    }
  g_assert_false (jws_key_set_add (f->set, borrowed, 0, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static gpointer
sign_many (gpointer data)
{
  Fixture *f = data;
  for (guint i = 0; i < 50; i++)
    {
      g_autofree char *jws = jws_sign (f->key, TYPE, PAYLOAD, strlen (PAYLOAD), NULL);
      g_assert_cmpint (verify (f->set, jws), ==, JWS_VALID);
    }
  return NULL;
}

static void
test_threads_share_a_key (Fixture *f, gconstpointer unused)
{
  GThread *threads[4];
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("signer", sign_many, f);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/jws/" #name, Fixture, NULL, setup, test_##name, teardown)
  ADD (what_was_signed_verifies);
  ADD (every_altered_character_is_noticed);
  ADD (no_other_algorithm_is_taken);
  ADD (the_public_key_is_no_secret_for_hs256);
  ADD (another_type_is_refused);
  ADD (an_unknown_key_is_refused);
  ADD (odd_headers_are_refused);
  ADD (sizes_are_limited);
  ADD (a_key_outlives_its_store);
  ADD (a_set_is_what_it_was_written_from);
  ADD (sets_of_others_are_read_with_care);
  ADD (threads_share_a_key);
  g_test_add_func ("/jws/a_kid_is_the_thumbprint_of_rfc7638", test_a_kid_is_the_thumbprint_of_rfc7638);
  return g_test_run ();
}
