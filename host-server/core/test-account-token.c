#include "host-server/core/account-token.h"

#include <string.h>

#define ISSUER "https://stoa.test"
#define DOMAIN "stoa.test"
#define NOW    1700000000

typedef struct
{
  JwsKey *key;
  JwsKeySet *keys;
} Stage;

static void
set_up (Stage *stage, gconstpointer unused)
{
  stage->key = jws_key_new ();
  stage->keys = jws_key_set_new ();
  g_autofree char *jwk = jws_key_dup_public (stage->key);
  g_assert_true (jws_key_set_add (stage->keys, jwk, 0, NULL));
}

static void
tear_down (Stage *stage, gconstpointer unused)
{
  jws_key_unref (stage->key);
  jws_key_set_free (stage->keys);
}

static gboolean
is_good (const Stage *stage, const char *type, const char *payload, gint64 now_s)
{
  g_autofree char *token = jws_sign (stage->key, type, payload, strlen (payload), NULL);
  g_auto (AccountTokenClaims) claims = { 0 };
  gboolean is_taken = account_token_verify (stage->keys, ISSUER, DOMAIN, now_s, token, &claims);
  g_assert_true (is_taken == (claims.jid != NULL));
  return is_taken;
}

#define CLAIMS(iss, aud, times)                                                                              \
  "{\"iss\":\"" iss "\",\"aud\":\"" aud "\",\"sub\":\"a@stoa.test\",\"account\":\"x\"" times "}"
#define HOUR ",\"iat\":1700000000,\"exp\":1700003600"

static void
test_a_token_is_good_for_its_hour (Stage *stage, gconstpointer unused)
{
  const char *claims = CLAIMS (ISSUER, DOMAIN, HOUR);
  g_assert_true (is_good (stage, ACCOUNT_TOKEN_TYPE, claims, NOW));
  g_assert_true (is_good (stage, ACCOUNT_TOKEN_TYPE, claims, NOW + 3599));
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, claims, NOW + 3600));
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, claims, NOW - 3600));
}

static void
test_a_token_longer_than_an_hour_or_without_times_is_none (Stage *stage, gconstpointer unused)
{
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE,
                           CLAIMS (ISSUER, DOMAIN, ",\"iat\":1700000000,\"exp\":1700003601"), NOW));
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, CLAIMS (ISSUER, DOMAIN, ""), NOW));
  g_assert_false (
      is_good (stage, ACCOUNT_TOKEN_TYPE, CLAIMS (ISSUER, DOMAIN, ",\"iat\":\"0\",\"exp\":\"9\""), NOW));
}

static void
test_a_token_of_another_issuer_audience_or_type_is_none (Stage *stage, gconstpointer unused)
{
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, CLAIMS ("https://other.test", DOMAIN, HOUR), NOW));
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, CLAIMS (ISSUER, "weather", HOUR), NOW));
  g_assert_false (is_good (stage, "stoa-receipt+jwt", CLAIMS (ISSUER, DOMAIN, HOUR), NOW));
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, "[]", NOW));
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, "{", NOW));
}

static void
test_a_token_of_a_key_that_is_not_the_hosts_is_none (Stage *stage, gconstpointer unused)
{
  jws_key_unref (stage->key);
  stage->key = jws_key_new ();
  g_assert_false (is_good (stage, ACCOUNT_TOKEN_TYPE, CLAIMS (ISSUER, DOMAIN, HOUR), NOW));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/account-token/" #name, Stage, NULL, set_up, test_##name, tear_down)
  ADD (a_token_is_good_for_its_hour);
  ADD (a_token_longer_than_an_hour_or_without_times_is_none);
  ADD (a_token_of_another_issuer_audience_or_type_is_none);
  ADD (a_token_of_a_key_that_is_not_the_hosts_is_none);
  return g_test_run ();
}
