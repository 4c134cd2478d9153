/* Keygens that know nothing of host/keygen.h: libraries called through a descriptor. */
#include "host-server/modules/test-stage.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_USERS 61128

/* Puts the object @from into the folder as lib@name.so, described by @text with the object's hash in place of
 * @SHA256@. */
static void
install (Fixture *fixture, const char *from, const char *name, const char *text)
{
  g_autofree char *object = g_strdup_printf ("%s/lib%s.so", fixture->folder, name);
  g_autofree char *path = g_strdup_printf ("%s/%s.legacy", fixture->folder, name);
  g_autoptr (GString) descriptor = g_string_new (text);
  g_autofree char *bytes = NULL, *sum = NULL;
  gsize length;
  g_assert_true (g_file_get_contents (from, &bytes, &length, NULL));
  g_assert_true (g_file_set_contents (object, bytes, (gssize)length, NULL));
  sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (guchar *)bytes, length);
  g_string_replace (descriptor, "@SHA256@", sum, 0);
  g_assert_true (g_file_set_contents (path, descriptor->str, -1, NULL));
}

#define OLD_HEAD                                                                                             \
  "[Plugin]\nformat=1\nid=old\nname=Old\nversion=1\nobject=libold.so\nsha256=@SHA256@\n"                     \
  "[Provide]\nhost_customer=int (ptr buffer, int size) -> copy user 0\nhost_note=void (cstr text) -> log\n"

/* The term stands for what to do. */
static const char old_text[] = OLD_HEAD
    "[Symbols]\ninit=int old_init ()\n"
    "keygen=int old_make (cstr plugin, buf 200 output, int sizeof(output), out i64 expires:yyyymmdd)\n"
    "message=cstr old_error (int code)\n"
    "[Return keygen]\n0=ok\n-1=wrong-user\n-2=seats\n-3=retry-later\n-4=error\n-5=expired\n";

static void
install_old (Fixture *fixture, const char *text)
{
  install (fixture, g_getenv ("STOA_OLD_KEYS"), "old", text);
}

static void
test_legacy_keygen_makes_the_same_key_for_the_same_seed (Fixture *fixture, gconstpointer data)
{
  g_autofree char *object = g_build_filename (g_getenv ("STOA_KEYGENS"), "libkgclassic.so", NULL);
  g_autofree char *text = NULL;
  Outcome first = { 0 }, again = { 0 }, other = { 0 };
  g_assert_true (g_file_get_contents (g_getenv ("STOA_CLASSIC"), &text, NULL, NULL));
  install (fixture, object, "kgclassic", text);
  ModulesKeygenRequest request = make_request ("kgclassic.legacy", "almanac");
  call (fixture, &request, &first);
  g_assert_cmpstr (first.reason, ==, "");
  g_assert_cmpint (first.outcome, ==, MODULES_OK);
  g_assert_cmpstr (first.serial, ==, "ALM4-2660-6DAA-E393-64A2");
  g_assert_cmpint (first.expires_s, ==, 1795536000); /* a year after the payment: the library does not say */
  call (fixture, &request, &again);
  g_assert_cmpstr (again.serial, ==, first.serial);
  request.seed[0]++;
  call (fixture, &request, &other);
  g_assert_cmpstr (other.serial, !=, first.serial);
  outcome_clear (&other);
  request.term = "";
  call (fixture, &request, &other);
  g_assert_true (g_str_has_prefix (other.serial, "ALM4-FFFF-"));
  g_assert_cmpint (other.expires_s, ==, 0);
  outcome_clear (&other);
  request.user = "";
  call (fixture, &request, &other);
  g_assert_cmpint (other.outcome, ==, MODULES_REFUSED);
  outcome_clear (&first);
  outcome_clear (&again);
  outcome_clear (&other);
}

static void
test_legacy_keygen_starts_fresh_for_every_call (Fixture *fixture, gconstpointer data)
{
  Outcome outcome = { 0 };
  install_old (fixture, old_text);
  ModulesKeygenRequest request = make_request ("old.legacy", "almanac");
  for (guint i = 0; i < 3; i++)
    {
      call (fixture, &request, &outcome);
      /* Its counter reads 1, what init made is there, the blanks at the end are gone. */
      g_assert_cmpstr (outcome.serial, ==, "KEY-k3qabcdefghijklmnopqrstuvw-1-42");
      g_assert_cmpint (outcome.expires_s, ==, 1924991999 + 1);
      outcome_clear (&outcome);
    }
}

static void
test_legacy_keygen_is_given_all_of_the_request (Fixture *fixture, gconstpointer data)
{
  Outcome outcome = { 0 };
  install_old (
      fixture, OLD_HEAD
      "[Symbols]\nkeygen=cstr old_all (cstr plugin, cstr term, cstr line, u32 generation, u32 counter,"
      " cstr seed, ptr seed, i64 now:ms, u32 expiry:yyyymmdd)\n[Return keygen]\nnonnull=ok\nfree=old_free\n");
  ModulesKeygenRequest request = make_request ("old.legacy", "almanac");
  request.generation = 1;
  request.counter = 7;
  request.term = "P3M";
  call (fixture, &request, &outcome);
  g_assert_cmpstr (outcome.serial, ==, "almanac P3M o_0123.1 1 7 01020304 0120 1764000000000 20260224");
  outcome_clear (&outcome);
}

static void
test_legacy_keygen_codes_mean_what_the_descriptor_says (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *what;
    ModulesOutcome outcome;
    const char *reason;
  } rows[] = {
    { "-1", MODULES_REFUSED, "the module says: bad input" },
    { "-2", MODULES_REFUSED, "the module says: denied" },
    { "-3", MODULES_RETRY, "the module says: not now" },
    { "-5", MODULES_REFUSED, "the module says: expired" },
    { "-6", MODULES_FAILED, "the module failed by its own word" },
    { "file", MODULES_FAILED, "the module failed by its own word" },
    { "nothing", MODULES_FAILED, "the module's answer is no serial" },
  };
  Outcome outcome = { 0 };
  install_old (fixture, old_text);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      ModulesKeygenRequest request = make_request ("old.legacy", "almanac");
      request.plugin = rows[i].what;
      call (fixture, &request, &outcome);
      g_assert_cmpstr (outcome.reason, ==, rows[i].reason);
      g_assert_cmpint (outcome.outcome, ==, rows[i].outcome);
      outcome_clear (&outcome);
    }
}

static void
test_legacy_keygen_that_misbehaves_is_contained (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *what, *reason;
  } rows[] = {
    { "crash", "it crashed by signal 11 (Segmentation fault)" },
    { "exit", "it exited with status 0 and without an answer" },
    { "hang", "it was still running at its deadline" },
    { "umlaut", "the module's answer is no serial" },
  };
  Outcome outcome = { 0 };
  install_old (fixture, old_text);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      ModulesKeygenRequest request = make_request ("old.legacy", "almanac");
      request.plugin = rows[i].what;
      call (fixture, &request, &outcome);
      g_assert_cmpint (outcome.outcome, ==, MODULES_FAILED);
      if (g_str_equal (rows[i].what, "hang"))
        g_assert_true (g_str_equal (outcome.reason, rows[i].reason)
                       || g_str_has_prefix (outcome.reason, "it crashed by signal ")); /* its second of CPU */
      else
        g_assert_cmpstr (outcome.reason, ==, rows[i].reason);
      outcome_clear (&outcome);
    }
  ModulesKeygenRequest request = make_request ("old.legacy", "almanac");
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_OK);
  outcome_clear (&outcome);
}

static void
expect_unsuitable (Fixture *fixture)
{
  Outcome outcome = { 0 };
  ModulesKeygenRequest request = make_request ("old.legacy", "almanac");
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  g_assert_cmpint (modules_get_state (fixture->modules, "old.legacy"), ==, MODULES_STATE_UNSUITABLE);
  outcome_clear (&outcome);
}

static void
find_reason (const ModulesFacts *facts, gpointer data)
{
  g_ptr_array_add (
      data, g_strdup_printf ("%s %s %s", facts->module, modules_life_name (facts->life), facts->reason));
}

/* Whether `module list` says this. */
static void
expect_listed (Fixture *fixture, const char *line)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  modules_foreach (fixture->modules, find_reason, lines);
  for (guint i = 0; i < lines->len; i++)
    if (g_str_has_prefix (lines->pdata[i], "old.legacy "))
      {
        g_assert_cmpstr (lines->pdata[i], ==, line);
        return;
      }
  g_error ("old.legacy is not listed");
}

static void
test_legacy_keygen_is_listed_in_place_of_its_object (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  install_old (fixture, old_text);
  modules_foreach (fixture->modules, find_reason, lines);
  g_assert_cmpuint (lines->len, ==, 1);
  g_assert_cmpstr (lines->pdata[0], ==, "old.legacy installed (null)");
}

static void
test_legacy_keygen_that_is_not_as_described_is_unsuitable_and_says_why (Fixture *fixture, gconstpointer data)
{
  g_autofree char *object = g_build_filename (fixture->folder, "libold.so", NULL);
  g_autofree char *bytes = NULL;
  gsize length;
  Outcome outcome = { 0 };
  ModulesKeygenRequest request = make_request ("old.legacy", "almanac");

  /* Known before anybody asks for a serial. */
  install_old (fixture, OLD_HEAD "[Symbols]\nkeygen=long f ()\n");
  expect_listed (
      fixture, "old.legacy refused old.legacy:12: [Symbols] keygen: unknown type 'long', which is i64 here");
  install_old (fixture, OLD_HEAD "[Symbols]\ncheck=int f ()\n");
  expect_listed (fixture, "old.legacy refused old.legacy: [Symbols] keygen: is missing");

  install_old (fixture, OLD_HEAD "[Symbols]\nkeygen=int no_such (buf 9 output)\n");
  expect_listed (fixture, "old.legacy installed (null)");
  expect_unsuitable (fixture);
  expect_listed (fixture, "old.legacy refused the object has no symbol 'no_such'");
  install_old (fixture, OLD_HEAD "[Symbols]\ninit=int old_failing ()\nkeygen=cstr old_error (int 0)\n");
  expect_unsuitable (fixture);
  expect_listed (fixture, "old.legacy refused the object has no symbol 'old_failing'");

  install_old (fixture, old_text);
  g_assert_true (g_file_get_contents (object, &bytes, &length, NULL));
  bytes[length / 2] ^= 1;
  g_assert_true (g_file_set_contents (object, bytes, (gssize)length, NULL));
  expect_unsuitable (fixture);
  g_unlink (object);
  /* A file that is gone is no change; the next object is one. */
  install_old (fixture, old_text);
  call (fixture, &request, &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_OK);
  outcome_clear (&outcome);
  expect_listed (fixture, "old.legacy running (null)");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* What is refused here is also logged, as it should be. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
#define ADD(name)                                                                                            \
  g_test_add ("/legacy-keygen/" #name, Fixture, GUINT_TO_POINTER (OWN_USERS), set_up,                        \
              test_legacy_keygen_##name, tear_down)
  ADD (makes_the_same_key_for_the_same_seed);
  ADD (starts_fresh_for_every_call);
  ADD (is_given_all_of_the_request);
  ADD (codes_mean_what_the_descriptor_says);
  ADD (that_misbehaves_is_contained);
  ADD (is_listed_in_place_of_its_object);
  ADD (that_is_not_as_described_is_unsuitable_and_says_why);
  return g_test_run ();
}
