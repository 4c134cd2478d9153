#include "host-server/modules/test-stage.h"

#include <glib/gstdio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

#define OWN_USERS 61000

static void
install (Fixture *fixture, const char *keygen)
{
  g_autofree char *name = g_strdup_printf ("lib%s-keygen.so", keygen);
  g_autofree char *from = g_build_filename (g_getenv ("STOA_KEYGENS"), name, NULL);
  copy_file (fixture, from, name);
}

static void
test_modules_weather_serial_is_the_known_one_and_the_same_again (Fixture *fixture, gconstpointer data)
{
  Outcome first = { 0 }, again = { 0 }, other = { 0 };
  install (fixture, "weather");
  ModulesKeygenRequest request = make_request ("libweather-keygen.so", "weather");
  call (fixture, &request, &first);
  g_assert_cmpstr (first.reason, ==, "");
  g_assert_cmpint (first.outcome, ==, MODULES_OK);
  g_assert_cmpstr (first.serial, ==, "PNQM-MPLU-8V4R-AEY8-8J77-6TTX");
  /* The end of the day a year after the payment. */
  g_assert_cmpint (first.expires_s, ==, 1795564799);

  call (fixture, &request, &again);
  g_assert_cmpstr (again.serial, ==, first.serial);
  request.generation = 1;
  call (fixture, &request, &other);
  g_assert_cmpint (other.outcome, ==, MODULES_OK);
  g_assert_cmpstr (other.serial, !=, first.serial);
  outcome_clear (&first);
  outcome_clear (&again);
  outcome_clear (&other);
}

static void
test_modules_refusals_of_the_vendor_are_final (Fixture *fixture, gconstpointer data)
{
  Outcome outcome = { 0 };
  install (fixture, "weather");
  ModulesKeygenRequest request = make_request ("libweather-keygen.so", "weather");
  request.term = "P1Fortnight";
  for (guint i = 0; i < 10; i++)
    {
      call (fixture, &request, &outcome);
      g_assert_cmpint (outcome.outcome, ==, MODULES_REFUSED);
      outcome_clear (&outcome);
    }
  g_assert_cmpint (modules_get_state (fixture->modules, request.module), ==, MODULES_STATE_READY);
}

/* The plugin's side of the signed serial, as its vendor would write it. */
static gboolean
verify_signed (const char *serial, const char *payload)
{
  static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJ1w2dU7oLtp+c4CP3M7k7ssnHPRG\n"
                            "td7dr8i5P45+vi1wMkO2XGmWeE1UT0A76qy6HnBXlyI4ZVeISVJSnqdZiw==\n"
                            "-----END PUBLIC KEY-----\n";
  g_auto (GStrv) parts = g_strsplit (serial, ".", 3);
  g_assert_cmpuint (g_strv_length (parts), ==, 2);
  gsize n_payload, n_signature;
  g_autofree guint8 *signed_payload = NULL, *signature = NULL;
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *padded = g_strconcat (parts[i], &"==="[3 - (4 - strlen (parts[i]) % 4) % 4], NULL);
      g_strdelimit (padded, "-", '+');
      g_strdelimit (padded, "_", '/');
      if (i == 0)
        signed_payload = g_base64_decode (padded, &n_payload);
      else
        signature = g_base64_decode (padded, &n_signature);
    }
  g_assert_cmpmem (signed_payload, n_payload, payload, strlen (payload));
  g_assert_cmpuint (n_signature, ==, 64);

  BIO *bio = BIO_new_mem_buf (pem, -1);
  EVP_PKEY *key = PEM_read_bio_PUBKEY (bio, NULL, NULL, NULL);
  ECDSA_SIG *pair = ECDSA_SIG_new ();
  guint8 *der = NULL;
  ECDSA_SIG_set0 (pair, BN_bin2bn (signature, 32, NULL), BN_bin2bn (signature + 32, 32, NULL));
  int n_der = i2d_ECDSA_SIG (pair, &der);
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  gboolean is_good = EVP_DigestVerifyInit (context, NULL, EVP_sha256 (), NULL, key) == 1
                     && EVP_DigestVerify (context, der, (size_t)n_der, signed_payload, n_payload) == 1;
  EVP_MD_CTX_free (context);
  OPENSSL_free (der);
  ECDSA_SIG_free (pair);
  EVP_PKEY_free (key);
  BIO_free (bio);
  return is_good;
}

static void
test_modules_signed_serial_verifies_with_the_public_key_and_is_the_same_again (Fixture *fixture,
                                                                               gconstpointer data)
{
  Outcome first = { 0 }, again = { 0 };
  install (fixture, "signed");
  ModulesKeygenRequest request = make_request ("libsigned-keygen.so", "quotes");
  call (fixture, &request, &first);
  g_assert_cmpstr (first.reason, ==, "");
  g_assert_true (verify_signed (first.serial, "1|quotes|k3qabcdefghijklmnopqrstuvw|1795536000|o_0123.1.0"));
  g_assert_cmpint (first.expires_s, ==, 1795536000);
  call (fixture, &request, &again);
  g_assert_cmpstr (again.serial, ==, first.serial);
  outcome_clear (&first);
  outcome_clear (&again);
}

static void
test_modules_what_is_no_module_is_named_and_not_called (Fixture *fixture, gconstpointer data)
{
  Outcome outcome = { 0 };
  g_autofree char *path = g_build_filename (fixture->folder, "text.so", NULL);
  g_assert_true (g_file_set_contents (path, "no object", -1, NULL));
  ModulesKeygenRequest request = make_request ("text.so", "weather");
  g_assert_cmpint (modules_get_state (fixture->modules, "text.so"), ==, MODULES_STATE_READY);
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  g_assert_nonnull (strstr (outcome.reason, "too short"));
  g_assert_cmpint (modules_get_state (fixture->modules, "text.so"), ==, MODULES_STATE_UNSUITABLE);
  outcome_clear (&outcome);

  /* A library that loads, and is no module. */
  g_unlink (path);
  copy_file (fixture, "/lib/x86_64-linux-gnu/libm.so.6", "text.so");
  g_assert_cmpint (modules_get_state (fixture->modules, "text.so"), ==, MODULES_STATE_READY);
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  g_assert_cmpstr (outcome.reason, ==, "it does not export host_module_abi");
  outcome_clear (&outcome);

  /* And at last the right one, under the same name. */
  g_autofree char *right = g_build_filename (g_getenv ("STOA_KEYGENS"), "libweather-keygen.so", NULL);
  copy_file (fixture, right, "text.so");
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_OK);
  outcome_clear (&outcome);
}

static void
test_modules_names_do_not_leave_the_folder (Fixture *fixture, gconstpointer data)
{
  static const char *const names[] = { "",           "/lib/x86_64-linux-gnu/libm.so",
                                       "../libm.so", "a/../../libm.so",
                                       "./libm.so",  "a//b.so",
                                       ".so",        "none.so",
                                       "a b.so",     "libm.so.6" };
  Outcome outcome = { 0 };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      ModulesKeygenRequest request = make_request (names[i], "weather");
      g_assert_cmpint (modules_get_state (fixture->modules, names[i]), ==, MODULES_STATE_ABSENT);
      call (fixture, &request, &outcome);
      g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
      outcome_clear (&outcome);
    }
}

static void
test_modules_many_calls_at_once_all_end (Fixture *fixture, gconstpointer data)
{
  enum
  {
    N = 300
  };
  g_autofree Outcome *outcomes = g_new0 (Outcome, N);
  guint n_ok = 0, n_unavailable = 0;
  install (fixture, "weather");
  ModulesKeygenRequest request = make_request ("libweather-keygen.so", "weather");
  for (guint i = 0; i < N; i++)
    {
      request.counter = i;
      modules_keygen_call (fixture->modules, &request, on_done, &outcomes[i]);
    }
  for (guint i = 0; i < N; i++)
    {
      while (!outcomes[i].is_done)
        g_main_context_iteration (NULL, TRUE);
      n_ok += outcomes[i].outcome == MODULES_OK;
      n_unavailable += outcomes[i].outcome == MODULES_UNAVAILABLE;
      outcome_clear (&outcomes[i]);
    }
  /* What cannot wait any more is told so; nothing is lost. */
  g_assert_cmpuint (n_ok, >=, 256);
  g_assert_cmpuint (n_ok + n_unavailable, ==, N);
}

static void
test_modules_open_calls_are_answered_when_the_house_closes (Fixture *fixture, gconstpointer data)
{
  Outcome outcomes[3] = { { 0 } };
  install (fixture, "weather");
  ModulesKeygenRequest request = make_request ("libweather-keygen.so", "weather");
  call (fixture, &request, &outcomes[0]);
  modules_keygen_call (fixture->modules, &request, on_done, &outcomes[1]);
  request.module = "absent.so";
  modules_keygen_call (fixture->modules, &request, on_done, &outcomes[2]);
  modules_free (fixture->modules);
  for (guint i = 1; i < 3; i++)
    {
      g_assert_true (outcomes[i].is_done);
      g_assert_cmpint (outcomes[i].outcome, ==, MODULES_UNAVAILABLE);
    }
  for (guint i = 0; i < 3; i++)
    outcome_clear (&outcomes[i]);
  ModulesOptions options
      = { .folder = fixture->folder, .clock = fixture->clock, .runner_path = "/nonexistent" };
  fixture->modules = modules_new (&options);
}

static void
test_modules_without_a_sandbox_nothing_runs_and_the_reason_is_clear (Fixture *fixture, gconstpointer data)
{
  Outcome outcome = { 0 };
  ModulesOptions options = { .folder = fixture->folder, .clock = fixture->clock };
  if (geteuid () != 0)
    options.runner_path = "/nonexistent/plugin-runner";
  install (fixture, "weather");
  modules_free (fixture->modules);
  fixture->modules = modules_new (&options);
  g_assert_nonnull (strstr (modules_get_problem (fixture->modules),
                            geteuid () == 0 ? "[modules] uid_base" : "No such file"));
  ModulesKeygenRequest request = make_request ("libweather-keygen.so", "weather");
  g_assert_cmpint (modules_get_state (fixture->modules, request.module), ==, MODULES_STATE_REFUSED);
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  outcome_clear (&outcome);
}

typedef struct
{
  const char *module;
  ModulesFacts facts;
  char *reason;
  gboolean is_found;
} Looked;

static void
on_listed (const ModulesFacts *facts, gpointer data)
{
  Looked *looked = data;
  if (!g_str_equal (facts->module, looked->module))
    return;
  looked->facts = *facts;
  looked->reason = g_strdup (facts->reason);
  looked->is_found = TRUE;
}

static void
assert_life (Fixture *fixture, const char *module, const char *life, const char *reason)
{
  Looked looked = { .module = module };
  modules_foreach (fixture->modules, on_listed, &looked);
  g_assert_true (looked.is_found);
  g_assert_cmpstr (modules_life_name (looked.facts.life), ==, life);
  if (reason != NULL && (looked.reason == NULL || strstr (looked.reason, reason) == NULL))
    g_test_fail_printf ("expected '%s', got '%s'", reason, looked.reason);
  g_free (looked.reason);
}

static void
test_modules_state_tells_installed_running_and_refused_apart (Fixture *fixture, gconstpointer data)
{
  static const char weather[] = "libweather-keygen.so";
  Outcome outcome = { 0 };
  g_autofree char *broken = g_build_filename (fixture->folder, "text.so", NULL);
  ModulesKeygenRequest request = make_request (weather, "weather"),
                       no_request = make_request ("text.so", "weather");
  install (fixture, "weather");
  g_assert_true (g_file_set_contents (broken, "no object", -1, NULL));
  assert_life (fixture, weather, "installed", NULL);
  assert_life (fixture, "text.so", "installed", NULL);

  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_OK);
  outcome_clear (&outcome);
  assert_life (fixture, weather, "running", NULL);

  call (fixture, &no_request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  outcome_clear (&outcome);
  assert_life (fixture, "text.so", "refused", "too short");

  /* A new file has been loaded by nobody, though the old one still has its process. */
  install (fixture, "weather");
  assert_life (fixture, weather, "installed", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* What is refused here is also logged, as it should be. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
#define ADD(name)                                                                                            \
  g_test_add ("/modules/" #name, Fixture, GUINT_TO_POINTER (OWN_USERS), set_up, test_##name, tear_down)
  ADD (modules_weather_serial_is_the_known_one_and_the_same_again);
  ADD (modules_refusals_of_the_vendor_are_final);
  ADD (modules_signed_serial_verifies_with_the_public_key_and_is_the_same_again);
  ADD (modules_what_is_no_module_is_named_and_not_called);
  ADD (modules_names_do_not_leave_the_folder);
  ADD (modules_many_calls_at_once_all_end);
  ADD (modules_state_tells_installed_running_and_refused_apart);
  ADD (modules_open_calls_are_answered_when_the_house_closes);
  ADD (modules_without_a_sandbox_nothing_runs_and_the_reason_is_clear);
  return g_test_run ();
}
