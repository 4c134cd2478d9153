#include "common/protocol/trust.h"

#include <string.h>

#define NOW 1700000000

static JwsKeySet *
set_of (const char *jwk)
{
  JwsKeySet *set = jws_key_set_new ();
  g_assert_true (jws_key_set_add (set, jwk, 0, NULL));
  return set;
}

static Trust *
make_trust (void)
{
  Trust *trust = trust_new ();
  trust->issuer = g_strdup ("https://stoa.test");
  trust->number = 7;
  trust->issued_s = NOW;
  trust_add_key (trust, &(TrustKey){ "acme", "good", NOW - 10, 0, 0 });
  trust_add_key (trust, &(TrustKey){ "acme", "early", NOW + 10, 0, 0 });
  trust_add_key (trust, &(TrustKey){ "acme", "late", NOW - 10, NOW, 0 });
  trust_add_key (trust, &(TrustKey){ "acme", "lost", NOW - 10, 0, NOW - 5 });
  trust_add_revocation (trust, &(TrustRevocation){ "abcd", "weather", "1.0", "it leaks", NOW });
  return trust;
}

static void
test_a_document_says_what_was_written (void)
{
  g_autoptr (Trust) written = make_trust ();
  g_autofree char *json = trust_dup_json (written);
  g_autoptr (JwsKey) key = jws_key_new ();
  g_autofree char *jwk = jws_key_dup_public (key);
  g_autoptr (JwsKeySet) set = set_of (jwk);
  g_autofree char *jws = jws_sign (key, TRUST_TYPE, json, strlen (json), NULL);
  g_autoptr (Trust) trust = trust_verify (set, jws, NULL);
  g_assert_nonnull (trust);
  g_assert_cmpint (trust->number, ==, 7);
  g_assert_cmpint (trust_judge_key (trust, "acme", "good", NOW), ==, TRUST_KEY_GOOD);
  g_assert_cmpint (trust_judge_key (trust, NULL, "good", NOW), ==, TRUST_KEY_GOOD);
  g_assert_cmpint (trust_judge_key (trust, "rival", "good", NOW), ==, TRUST_KEY_UNKNOWN);
  g_assert_cmpint (trust_judge_key (trust, "acme", "none", NOW), ==, TRUST_KEY_UNKNOWN);
  g_assert_cmpint (trust_judge_key (trust, "acme", "early", NOW), ==, TRUST_KEY_EARLY);
  g_assert_cmpint (trust_judge_key (trust, "acme", "late", NOW - 1), ==, TRUST_KEY_GOOD);
  g_assert_cmpint (trust_judge_key (trust, "acme", "late", NOW), ==, TRUST_KEY_LATE);
  g_assert_cmpint (trust_judge_key (trust, "acme", "lost", NOW), ==, TRUST_KEY_REVOKED);
  g_assert_cmpstr (trust_find_revocation (trust, "abcd")->reason, ==, "it leaks");
  g_assert_null (trust_find_revocation (trust, "ab"));
}

static void
test_a_document_that_lacks_something_is_refused (void)
{
  static const char *const payloads[] = {
    "[]",
    "{",
    "{\"iss\":\"a\",\"number\":1,\"iat\":1,\"keys\":[]}",
    "{\"iss\":\"a\",\"number\":-1,\"iat\":1,\"keys\":[],\"revoked\":[]}",
    "{\"iss\":\"a\",\"number\":\"1\",\"iat\":1,\"keys\":[],\"revoked\":[]}",
    "{\"iss\":\"a\",\"number\":1,\"iat\":1,\"keys\":[{}],\"revoked\":[]}",
    "{\"iss\":\"a\",\"number\":1,\"iat\":1,\"keys\":[7],\"revoked\":[]}",
    "{\"iss\":\"a\",\"number\":1,\"iat\":1,\"keys\":[],\"revoked\":[{\"hash\":\"x\"}]}",
    "{\"iss\":\"a\",\"number\":1,\"iat\":1,\"keys\":{},\"revoked\":[]}",
    "{\"iss\":\"a\",\"number\":1,\"number\":2,\"iat\":1,\"keys\":[],\"revoked\":[]}",
  };
  g_autoptr (JwsKey) key = jws_key_new ();
  g_autofree char *jwk = jws_key_dup_public (key);
  g_autoptr (JwsKeySet) set = set_of (jwk);
  for (gsize i = 0; i < G_N_ELEMENTS (payloads); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *jws = jws_sign (key, TRUST_TYPE, payloads[i], strlen (payloads[i]), NULL);
      g_assert_null (trust_verify (set, jws, &error));
      g_assert_nonnull (error);
    }
}

static void
test_a_document_of_another_key_or_kind_is_refused (void)
{
  g_autoptr (Trust) trust = make_trust ();
  g_autofree char *json = trust_dup_json (trust);
  g_autoptr (JwsKey) key = jws_key_new ();
  g_autoptr (JwsKey) other = jws_key_new ();
  g_autofree char *jwk = jws_key_dup_public (key);
  g_autoptr (JwsKeySet) set = set_of (jwk);
  g_autofree char *foreign = jws_sign (other, TRUST_TYPE, json, strlen (json), NULL);
  g_autofree char *receipt = jws_sign (key, "stoa-receipt+jwt", json, strlen (json), NULL);
  g_assert_null (trust_verify (set, foreign, NULL));
  g_assert_null (trust_verify (set, receipt, NULL));
}

/* --- succession */

#define N_KEYS 4

typedef struct
{
  JwsKey *keys[N_KEYS];
  char *jwks[N_KEYS];
  GPtrArray *statements; /* from each key to the next */
} Chain;

static void
set_up (Chain *chain, gconstpointer unused)
{
  chain->statements = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < N_KEYS; i++)
    {
      chain->keys[i] = jws_key_new ();
      chain->jwks[i] = jws_key_dup_public (chain->keys[i]);
    }
  for (guint i = 0; i + 1 < N_KEYS; i++)
    {
      g_autofree char *payload = succession_dup_json (chain->jwks[i + 1], NOW);
      g_ptr_array_add (chain->statements,
                       jws_sign (chain->keys[i], SUCCESSION_TYPE, payload, strlen (payload), NULL));
    }
}

static void
tear_down (Chain *chain, gconstpointer unused)
{
  g_ptr_array_unref (chain->statements);
  for (guint i = 0; i < N_KEYS; i++)
    {
      jws_key_unref (chain->keys[i]);
      g_free (chain->jwks[i]);
    }
}

static void
test_a_chain_leads_to_its_last_key (Chain *chain, gconstpointer unused)
{
  for (guint i = 0; i < N_KEYS; i++) /* from the middle of it as well */
    {
      g_autofree char *last = succession_follow (chain->jwks[i], chain->statements, NULL);
      g_autoptr (JwsKeySet) set = set_of (last);
      g_autofree char *jws = jws_sign (chain->keys[N_KEYS - 1], TRUST_TYPE, "{}", 2, NULL);
      g_auto (JwsContent) content = { 0 };
      g_assert_cmpint (jws_verify (set, jws, strlen (jws), TRUST_TYPE, &content), ==, JWS_VALID);
    }
}

static void
test_a_chain_with_a_gap_or_a_forgery_leads_nowhere (Chain *chain, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *middle = g_ptr_array_steal_index (chain->statements, 1);
  g_assert_null (succession_follow (chain->jwks[0], chain->statements, &error));
  g_assert_nonnull (error);
  char *forged = g_strdup (middle);
  forged[strlen (forged) - 10] ^= 1;
  g_ptr_array_insert (chain->statements, 1, forged);
  g_assert_null (succession_follow (chain->jwks[0], chain->statements, NULL));
}

static void
test_a_statement_of_another_kind_names_nobody (Chain *chain, gconstpointer unused)
{
  g_ptr_array_set_size (chain->statements, 0);
  g_ptr_array_add (chain->statements,
                   jws_sign (chain->keys[0], SUCCESSION_TYPE, "{\"successor\":{}}", 16, NULL));
  g_assert_null (succession_follow (chain->jwks[0], chain->statements, NULL));
  g_ptr_array_set_size (chain->statements, 0);
  g_autofree char *payload = succession_dup_json (chain->jwks[1], NOW);
  g_ptr_array_add (chain->statements, jws_sign (chain->keys[0], TRUST_TYPE, payload, strlen (payload), NULL));
  g_assert_null (succession_follow (chain->jwks[0], chain->statements, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trust/a_document_says_what_was_written", test_a_document_says_what_was_written);
  g_test_add_func ("/trust/a_document_that_lacks_something_is_refused",
                   test_a_document_that_lacks_something_is_refused);
  g_test_add_func ("/trust/a_document_of_another_key_or_kind_is_refused",
                   test_a_document_of_another_key_or_kind_is_refused);
#define ADD(name) g_test_add ("/succession/" #name, Chain, NULL, set_up, test_##name, tear_down)
  ADD (a_chain_leads_to_its_last_key);
  ADD (a_chain_with_a_gap_or_a_forgery_leads_nowhere);
  ADD (a_statement_of_another_kind_names_nobody);
  return g_test_run ();
}
