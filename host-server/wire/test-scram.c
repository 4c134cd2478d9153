#include "host-server/wire/scram.h"

#include "common/base/text.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/* The examples of RFC 5802 §5 and RFC 7677 §3. */
static const struct
{
  ScramHash hash;
  const char *salt;
  const char *client_first;
  const char *nonce;
  const char *server_first;
  const char *client_final;
  const char *server_final;
} vectors[] = {
  { SCRAM_SHA_1, "QSXCR+Q6sek8bf92", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
  { SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
    "Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void
derive (ScramHash hash, const char *password, const guint8 *salt, gsize salt_length, ScramVerifier *verifier)
{
  const EVP_MD *md = hash == SCRAM_SHA_1 ? EVP_sha1 () : EVP_sha256 ();
  guint size = hash == SCRAM_SHA_1 ? 20 : 32;
  guint8 salted[32];
  guint8 client[32];
  verifier->iterations = 4096;
  g_assert_true (PKCS5_PBKDF2_HMAC (password, -1, salt, (int)salt_length, 4096, md, (int)size, salted) == 1);
  HMAC (md, salted, (int)size, (const guint8 *)"Client Key", 10, client, &size);
  EVP_Digest (client, size, verifier->stored_key, NULL, md, NULL);
  HMAC (md, salted, (int)size, (const guint8 *)"Server Key", 10, verifier->server_key, &size);
}

/* Runs a vector with other messages of the client where they are given. */
static ScramOutcome
run (gsize vector, const char *client_first, const char *client_final, const char *password,
     char **server_final)
{
  g_autoptr (Scram) scram = scram_new (vectors[vector].hash);
  ScramVerifier verifier = { 0 };
  gsize salt_length;
  g_autofree guint8 *salt
      = text_from_base64 (vectors[vector].salt, strlen (vectors[vector].salt), &salt_length);

  if (client_first == NULL)
    client_first = vectors[vector].client_first;
  if (client_final == NULL)
    client_final = vectors[vector].client_final;
  ScramOutcome outcome = scram_read_first (scram, client_first, strlen (client_first));
  if (outcome != SCRAM_OK)
    return outcome;
  derive (vectors[vector].hash, password, salt, salt_length, &verifier);
  g_autofree char *challenge
      = scram_write_challenge (scram, &verifier, salt, salt_length, vectors[vector].nonce);
  if (client_first == vectors[vector].client_first)
    g_assert_cmpstr (challenge, ==, vectors[vector].server_first);
  return scram_read_final (scram, client_final, strlen (client_final), server_final);
}

static void
test_scram_vectors_of_the_rfcs (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      g_autofree char *final = NULL;
      g_assert_cmpint (run (i, NULL, NULL, "pencil", &final), ==, SCRAM_OK);
      g_assert_cmpstr (final, ==, vectors[i].server_final);
      g_autofree char *none = NULL;
      g_assert_cmpint (run (i, NULL, NULL, "pencils", &none), ==, SCRAM_WRONG_PROOF);
      g_assert_null (none);
    }
}

static const struct
{
  const char *message;
  ScramOutcome outcome;
} firsts[] = {
  { "y,,n=user,r=abc", SCRAM_OK },
  { "n,a=user,n=user,r=abc", SCRAM_OK },
  { "n,,n=us=2Cer=3D,r=abc", SCRAM_OK },
  { "n,,n=user,r=abc,x=later", SCRAM_OK },
  { "p=tls-exporter,,n=user,r=abc", SCRAM_MALFORMED },
  { "p=tls-unique,,n=user,r=abc", SCRAM_MALFORMED },
  { "x,,n=user,r=abc", SCRAM_MALFORMED },
  { ",,n=user,r=abc", SCRAM_MALFORMED },
  { "n,,m=ext,n=user,r=abc", SCRAM_MALFORMED },
  { "n,,n=us=er,r=abc", SCRAM_MALFORMED },
  { "n,,n=us=2cer,r=abc", SCRAM_MALFORMED },
  { "n,,n=user=3,r=abc", SCRAM_MALFORMED },
  { "n,,n=,r=abc", SCRAM_MALFORMED },
  { "n,,n=user,r=", SCRAM_MALFORMED },
  { "n,,n=user,r=a\xc3\xa9", SCRAM_MALFORMED },
  { "n,,n=user,r=a b", SCRAM_MALFORMED },
  { "n,,n=user", SCRAM_MALFORMED },
  { "n,b=user,n=user,r=abc", SCRAM_MALFORMED },
  { "n,a=,n=user,r=abc", SCRAM_MALFORMED },
  { "n,", SCRAM_MALFORMED },
  { "", SCRAM_MALFORMED },
  { "n,,n=\xff,r=abc", SCRAM_MALFORMED },
};

static void
test_scram_first_messages (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (firsts); i++)
    {
      g_autoptr (Scram) scram = scram_new (SCRAM_SHA_256);
      g_test_message ("row %zu", i);
      g_assert_cmpint (scram_read_first (scram, firsts[i].message, strlen (firsts[i].message)), ==,
                       firsts[i].outcome);
    }
  g_autoptr (Scram) scram = scram_new (SCRAM_SHA_256);
  g_assert_cmpint (scram_read_first (scram, "n,a=b=3Dc,n=us=2Cer=3D,r=abc", 28), ==, SCRAM_OK);
  g_assert_cmpstr (scram_get_username (scram), ==, "us,er=");
  g_assert_cmpstr (scram_get_authzid (scram), ==, "b=c");
  g_assert_cmpint (scram_read_first (scram, "n,,n=user,r=abc", 15), ==, SCRAM_MALFORMED);
  g_autoptr (Scram) with_nul = scram_new (SCRAM_SHA_256);
  g_assert_cmpint (scram_read_first (with_nul, "n,,n=u\0er,r=abc", 15), ==, SCRAM_MALFORMED);
}

static const struct
{
  const char *message;
  ScramOutcome outcome;
} finals[] = {
#define NONCE "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
  { "c=biws," NONCE "," PROOF, SCRAM_OK },
  { "c=eSws," NONCE "," PROOF, SCRAM_WRONG_PROOF }, /* another flag than at first: a downgrade */
  { "c=biws,r=rOprNGfwEbeRWgbNEkqO," PROOF, SCRAM_WRONG_PROOF },
  { "c=biws," NONCE "x," PROOF, SCRAM_WRONG_PROOF },
  { "c=biws," NONCE ",x=y," PROOF, SCRAM_WRONG_PROOF }, /* an extension the proof does not cover */
  { "c=biws," NONCE ",m=y," PROOF, SCRAM_MALFORMED },
  { "c=biws," NONCE ",p=AAAA", SCRAM_MALFORMED },
  { "c=biws," NONCE ",p=", SCRAM_MALFORMED },
  { "c=biws," NONCE, SCRAM_MALFORMED },
  { "c=biws," NONCE "," PROOF "x", SCRAM_MALFORMED },
  { NONCE ",c=biws," PROOF, SCRAM_MALFORMED },
  { "c=biws," PROOF, SCRAM_MALFORMED },
  { "", SCRAM_MALFORMED },
};

static void
test_scram_final_messages (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (finals); i++)
    {
      g_autofree char *server_final = NULL;
      g_test_message ("row %zu", i);
      g_assert_cmpint (run (1, NULL, finals[i].message, "pencil", &server_final), ==, finals[i].outcome);
    }
}

static void
test_scram_false_salt_is_stable_and_its_own (void)
{
  g_autoptr (Secret) key = secret_new ("key", 3);
  g_autoptr (Secret) other_key = secret_new ("yek", 3);
  ScramVerifier a, b;
  scram_false_verifier (SCRAM_SHA_256, key, "nobody", 10000, &a);
  scram_false_verifier (SCRAM_SHA_256, key, "nobody", 10000, &b);
  g_assert_cmpmem (a.salt, sizeof a.salt, b.salt, sizeof b.salt);
  g_assert_cmpint (memcmp (a.stored_key, b.stored_key, sizeof a.stored_key), !=, 0);
  scram_false_verifier (SCRAM_SHA_1, key, "nobody", 10000, &b);
  g_assert_cmpint (memcmp (a.salt, b.salt, sizeof a.salt), !=, 0);
  scram_false_verifier (SCRAM_SHA_256, key, "nobody2", 10000, &b);
  g_assert_cmpint (memcmp (a.salt, b.salt, sizeof a.salt), !=, 0);
  scram_false_verifier (SCRAM_SHA_256, other_key, "nobody", 10000, &b);
  g_assert_cmpint (memcmp (a.salt, b.salt, sizeof a.salt), !=, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scram/vectors", test_scram_vectors_of_the_rfcs);
  g_test_add_func ("/scram/first", test_scram_first_messages);
  g_test_add_func ("/scram/final", test_scram_final_messages);
  g_test_add_func ("/scram/false-salt", test_scram_false_salt_is_stable_and_its_own);
  return g_test_run ();
}
