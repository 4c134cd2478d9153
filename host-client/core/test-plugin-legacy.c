/* What the descriptor language says beyond plain calls, each with a real object in the runner. */
#include "host-client/core/test-driver.h"

#include <string.h>

/* What else the library imports. */
#define OLD_HOST                                                                                             \
  "old_i8=i8 () -> -128\nold_u8=u8 () -> 255\nold_i16=i16 () -> -32768\nold_u16=u16 () -> 65535\n"           \
  "old_i32=i32 () -> -2147483648\nold_u32=u32 () -> 4294967295\nold_i64=i64 () -> -9223372036854775808\n"    \
  "old_u64=u64 () -> 9223372036854775807\nold_bool=bool () -> 1\nold_domain=cstr () -> domain\n"             \
  "old_mixed=void (i8, f64, ptr text, f32, u64 length, bool, i16, u32, i64) -> output\n"

static const char manners_text[]
    = "[Plugin]\nformat=1\nid=manners\nname=Manners\nversion=1\nobject=libmanners.so\nsha256=@SHA256@\n"
      "[Permissions]\nthreads=yes\n"
      "[Provide]\n"
      "log=void (int level, cstr text) -> log\n"
      "get_key=int (ptr buffer, int size) -> copy serial 1\n"
      "emit=void (ptr user, ptr text, u64 length) -> output\n"
      "old_host_user=int (ptr buffer, int size) -> copy user\n"
      "old_host_until=i64 () -> expiry:yyyymmdd\n"
      "old_host_ready=void () -> ready\n" OLD_HOST
      "[Table host]\n0=i64 3\n1=cb log\n2=cb get_key\n3=cstr \"old host\"\n5=i64 -9\n"
      "[Handles]\ntable=manners_table\nheld=*manners_pointer\n"
      "[Symbols]\n"
      "open=int manners_init (table host)\n"
      "face=handle face manners_face (int 1)\n"
      "shape=handle shape manners_shape ()\n"
      "grow=void shape[0][1] (handle shape, int 4)\n"
      "start=%s\n"
      "stop=void manners_stop ()\n"
      "[Phase init]\nsteps=open, face, shape, grow\n"
      "[Phase start]\nthread=yes\n%s"
      "[Command twice]\ncall=int face[1] (int input)\nshow=decimal\n"
      "[Command held]\ncall=cstr held[2] ()\n"
      "[Command table]\ncall=cstr table[2] ()\n"
      "[Command missing]\ncall=int face[3] ()\n"
      "[Command area]\ncall=int shape[0][0] (handle shape)\nshow=hex\n"
      "[Command split]\ncall=int manners_split (out list output, cstr input)\n"
      "free=void manners_free_list (handle face, inout list output, int count)\n"
      "[Return split]\npositive=ok\nzero=ok there is nothing\n"
      "[Command days]\ncall=list manners_days ()\nfree=void manners_free_days (list output)\n"
      "[Command freed]\ncall=u32 manners_freed ()\nshow=decimal\n"
      "[Command room]\ncall=int manners_room (cstr input, buf 8 output, inout u32 sizeof(output))\n"
      "[Command fill]\ncall=int manners_fill (buf 16 output, inout u64 sizeof(output))\nshow=hex\n"
      "[Command add]\ncall=int manners_add (int input:1, i8 input:2, f64 input:3)\nshow=decimal\n"
      "[Command half]\ncall=f64 manners_half (f64 input)\nshow=decimal\n"
      "[Command most]\ncall=u64 manners_most ()\nshow=decimal\n"
      "[Command third]\ncall=f32 manners_third ()\nshow=decimal\n"
      "[Command each]\ncall=void manners_each (cstr input, cb emit, null)\n"
      "[Command ticks]\ncall=int manners_ticks ()\nshow=decimal\n"
      "[Command judge]\ncall=int manners_judge (int input)\n"
      "[Return judge]\n0=ok it is good\n1=error it is not so good\n-3=expired its time is over\n"
      "[Command who]\ncall=int manners_who (buf 200 output, int sizeof(output))\n"
      "[Return who]\npositive=ok\n"
      "[Command echo]\ncall=void manners_echo (cstr input:1, cstr input:2+, len(input:2), buf 99 output,"
      " sizeof(output))\n"
      "[Deliver]\nglobal=cstr manners_key\n";

static Plugin *
install (TestClient *client, const char *start, const char *phase)
{
  g_autofree char *object = g_build_filename (g_getenv ("PLUGIN_PROBES"), "libmanners.so", NULL);
  g_autofree char *text = g_strdup_printf (manners_text, start, phase);
  g_autofree char *path = driver_ship (client, object, "manners.legacy", text);

  return driver_install_shipped (client, path, "manners");
}

static Plugin *
start (TestClient *client)
{
  Plugin *plugin = install (client, "void manners_main ()", "");

  g_assert_cmpstr (driver_start (client, plugin, "KEY-77"), ==, "running ");
  return plugin;
}

static void
test_a_table_of_the_hosts_functions_is_given (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_nonnull (plugin);
  /* It copied the serial by the table's second function and logged it by the first, where it is masked. */
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "…", g_str_equal, NULL));
}

static void
test_functions_behind_handles_are_called (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "twice", "21"), ==, "ok 42");
  g_assert_cmpstr (driver_run (client, plugin, "held", ""), ==, "ok a face");
  g_assert_cmpstr (driver_run (client, plugin, "table", ""), ==, "ok a face");
  g_assert_cmpstr (driver_run (client, plugin, "area", ""), ==, "ok 19"); /* 5 * 5 in hex: grown in init */
  g_assert_cmpstr (driver_run (client, plugin, "missing", ""), ==,
                   "failed the handle 'face' leads to no function in slot 3");
}

static void
test_lists_become_lines_and_are_given_back (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "split", "a,b,c"), ==, "ok a\nb\nc");
  g_assert_cmpstr (driver_run (client, plugin, "split", ""), ==, "ok there is nothing");
  g_assert_cmpstr (driver_run (client, plugin, "freed", ""), ==, "ok 3");
  g_assert_cmpstr (driver_run (client, plugin, "days", ""), ==, "ok Monday\nTuesday");
  g_assert_cmpstr (driver_run (client, plugin, "freed", ""), ==, "ok 5");
}

static void
test_a_size_comes_back_as_the_length (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "room", "abc"), ==, "ok abc");
  g_assert_cmpstr (driver_run (client, plugin, "room", "12345678"), ==, "ok 12345678");
  g_assert_cmpstr (driver_run (client, plugin, "room", "123456789"), ==, "failed manners_room returned -1");
  g_assert_cmpstr (driver_run (client, plugin, "fill", ""), ==, "ok 0055aaff");
}

static void
test_words_of_the_input_become_arguments (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "add", " 40  -1 3.9 and more"), ==, "ok 42");
  g_assert_cmpstr (driver_run (client, plugin, "add", "40 -1"), ==, "failed needs at least 3 words");
  g_assert_cmpstr (driver_run (client, plugin, "add", "40 128 1"), ==,
                   "failed '128' is not a number it takes");
  g_assert_cmpstr (driver_run (client, plugin, "add", "2147483648 1 1"), ==,
                   "failed '2147483648' is not a number it takes");
  g_assert_cmpstr (driver_run (client, plugin, "add", "1 1 x"), ==, "failed 'x' is not a number it takes");
  g_assert_cmpstr (driver_run (client, plugin, "echo", "one two  three"), ==, "ok one|two  three|3");
}

static void
test_numbers_are_shown (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "half", "5"), ==, "ok 2.5");
  g_assert_cmpstr (driver_run (client, plugin, "most", ""), ==, "ok 18446744073709551615");
  g_assert_cmpstr (driver_run (client, plugin, "third", ""), ==, "ok 0.3333333");
}

static void
test_a_callback_gives_the_answer (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "each", "red green blue"), ==, "ok red;green;blue;");
  g_assert_cmpstr (driver_run (client, plugin, "each", ""), ==, "ok ");
}

static void
test_a_result_means_what_the_descriptor_says (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);

  g_assert_cmpstr (driver_run (client, plugin, "judge", "0"), ==, "ok it is good");
  g_assert_cmpstr (driver_run (client, plugin, "judge", "1"), ==, "failed it is not so good");
  g_assert_cmpstr (driver_run (client, plugin, "judge", "2"), ==, "failed manners_judge returned 2");
  g_assert_cmpstr (driver_run (client, plugin, "judge", "-3"), ==, "expired its time is over");
  g_assert_cmpstr (driver_settle (client, plugin), ==, "expired its time is over");
}

static void
test_values_are_copied_into_the_objects_buffers (TestClient *client, gconstpointer data)
{
  g_autoptr (Secret) secret = secret_new ("KEY-77", 6);
  PluginLicence licence = { .serial = secret, .user = TEST_USER, .expires = 1234567890 };
  g_autoptr (Plugin) plugin = install (client, "void manners_main ()", "");

  plugin_start (plugin, &licence);
  g_assert_cmpstr (driver_settle (client, plugin), ==, "running ");
  /* The length of the user's name, the name, the day, and the serial in a pointer of the object's. */
  g_assert_cmpstr (driver_run (client, plugin, "who", ""), ==, "ok 26 " TEST_USER " 20090213 …");
}

static void
test_a_start_that_does_not_return_has_a_thread_of_its_own (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = start (client);
  gint64 until_us = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  while (strcmp (driver_run (client, plugin, "ticks", ""), "ok 1") != 0)
    g_assert_cmpint (g_get_monotonic_time (), <, until_us);
  plugin_stop (plugin);
  driver_wait (client->states, client->states->len + 1);
  g_assert_cmpstr (driver_last (client->states), ==, "off ");
}

static void
test_a_threaded_start_that_fails_in_time_is_a_refusal (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin
      = install (client, "int manners_main_fails ()", "[Return start]\n-3=expired too late\n");

  g_assert_cmpstr (driver_start (client, plugin, "KEY-77"), ==, "expired too late");
}

static void
test_a_threaded_start_that_fails_later_is_told_with_the_next_command (TestClient *client, gconstpointer data)
{
  g_autofree char *object = g_build_filename (g_getenv ("PLUGIN_PROBES"), "libmanners.so", NULL);
  static const char text[]
      = "[Plugin]\nformat=1\nid=manners\nname=Manners\nversion=1\nobject=libmanners.so\nsha256=@SHA256@\n"
        "[Permissions]\nthreads=yes\n"
        "[Provide]\nold_host_user=int (ptr buffer, int size) -> copy user\nold_host_until=i64 () -> expiry\n"
        "old_host_ready=void () -> nothing\n" OLD_HOST "[Symbols]\nstart=int manners_main_fails_later ()\n"
        "[Phase start]\nthread=yes\nsettle-ms=1\n"
        "[Return start]\n-3=expired too late\n"
        "[Command freed]\ncall=u32 manners_freed ()\nshow=decimal\n";
  g_autofree char *path = driver_ship (client, object, "manners.legacy", text);
  g_autoptr (Plugin) plugin = driver_install_shipped (client, path, "manners");
  gint64 until_us = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  while (strcmp (driver_run (client, plugin, "freed", ""), "ok 0") == 0)
    g_assert_cmpint (g_get_monotonic_time (), <, until_us);
  g_assert_cmpstr (driver_last (client->results), ==, "expired too late");
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "what start began has ended with an error",
                                                   g_str_equal, NULL));
}

/* A plugin with one command, and perhaps permissions and limits. */
static Plugin *
install_one (TestClient *client, const char *object, const char *permissions, const char *rest)
{
  g_autofree char *library = g_strdup_printf ("lib%s.so", object);
  g_autofree char *path = g_build_filename (g_getenv ("PLUGIN_PROBES"), library, NULL);
  g_autofree char *text = g_strdup_printf (
      "[Plugin]\nformat=1\nid=one\nname=One\nversion=1\nobject=%s\nsha256=@SHA256@\n[Permissions]\n%s"
      "[Provide]\nold_host_user=int (ptr buffer, int size) -> copy user\nold_host_until=i64 () -> expiry\n"
      "old_host_ready=void () -> nothing\n" OLD_HOST "%s",
      library, permissions, rest);
  g_autofree char *descriptor = driver_ship (client, path, "one.legacy", text);
  Plugin *plugin = driver_install_shipped (client, descriptor, "one");

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  return plugin;
}

/* The same object twice: bound when a symbol is first used, and all at once when it is loaded. */
static void
test_imported_symbols_take_and_return_every_type (TestClient *client, gconstpointer data)
{
  static const char *const objects[] = { "manners", "manners-now" };

  for (gsize i = 0; i < G_N_ELEMENTS (objects); i++)
    {
      g_autoptr (Plugin) plugin
          = install_one (client, objects[i], "",
                         "[Command returns]\ncall=int manners_returns ()\n[Return returns]\n1=ok all\n"
                         "[Command mixed]\ncall=void manners_mixed (cstr input)\n"
                         "[Command asks]\ncall=cstr manners_asks ()\n");

      g_assert_cmpstr (driver_run (client, plugin, "returns", ""), ==, "ok all");
      g_assert_cmpstr (driver_run (client, plugin, "mixed", "abcdef"), ==, "ok abc");
      g_assert_cmpstr (driver_run (client, plugin, "asks", ""), ==, "ok example.org");
    }
}

static void
test_the_address_is_given_to_whom_it_was_granted (TestClient *client, gconstpointer data)
{
  static const char rest[]
      = "[Command named]\n"
        "call=int manners_named (cstr jid, cstr domain, cstr locale, buf 200 output, int "
        "sizeof(output))\n[Return named]\npositive=ok\n";
  g_autoptr (Plugin) plugin = install_one (client, "manners", "identity=yes\n", rest);

  g_assert_cmpstr (driver_run (client, plugin, "named", ""), ==, "ok " TEST_JID "|example.org|1");
}

static void
test_every_predicate_matches (TestClient *client, gconstpointer data)
{
  static const struct
  {
    const char *rules, *input, *result;
  } rows[] = {
    { "zero=ok zero\nnonzero=ok not zero\n", "0", "ok zero" },
    { "zero=ok zero\nnonzero=ok not zero\n", "-4", "ok not zero" },
    { "negative=ok less\npositive=ok more\n", "-1", "ok less" },
    { "negative=ok less\npositive=ok more\n", "1", "ok more" },
    { "negative=ok less\npositive=ok more\n", "0", "failed manners_judge returned 0" },
    { "7=ok seven\npositive=ok more\n", "7", "ok seven" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *rest
          = g_strdup_printf ("[Command judge]\ncall=int manners_judge (int input)\n[Return judge]\n%s"
                             "[Command null]\ncall=cstr manners_null (cstr input)\n"
                             "[Return null]\nnull=error nothing there\nnonnull=ok\n",
                             rows[i].rules);
      g_autoptr (Plugin) plugin = install_one (client, "manners", "", rest);

      g_assert_cmpstr (driver_run (client, plugin, "judge", rows[i].input), ==, rows[i].result);
      g_assert_cmpstr (driver_run (client, plugin, "null", ""), ==, "failed nothing there");
      g_assert_cmpstr (driver_run (client, plugin, "null", "there"), ==, "ok there");
    }
}

static void
test_memory_is_what_the_descriptor_asked_for (TestClient *client, gconstpointer data)
{
  static const char rest[] = "[Command eat]\ncall=int manners_eat (int input)\n[Return eat]\n0=ok eaten\n"
                             "-1=error it is too much\n[Limits]\nmemory=%s\n";
  g_autofree char *little = g_strdup_printf (rest, "64M");
  g_autofree char *much = g_strdup_printf (rest, "256M");
  Plugin *plugin = install_one (client, "manners", "", little);

  g_assert_cmpstr (driver_run (client, plugin, "eat", "8"), ==, "ok eaten");
  g_assert_cmpstr (driver_run (client, plugin, "eat", "100"), ==, "failed it is too much");
  plugin_free (plugin);
  plugin = install_one (client, "manners", "", much);
  g_assert_cmpstr (driver_run (client, plugin, "eat", "100"), ==, "ok eaten");
  plugin_free (plugin);
}

static void
test_the_objects_own_words_explain_a_code (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_one (
      client, "manners", "",
      "[Symbols]\nmessage=int manners_text (int code, buf 40 output, inout u32 sizeof(output))\n"
      "[Command judge]\ncall=int manners_judge (int input)\n[Return judge]\n0=ok\n2=error\n3=error three is "
      "too many\n");

  g_assert_cmpstr (driver_run (client, plugin, "judge", "2"), ==, "failed number 2");
  g_assert_cmpstr (driver_run (client, plugin, "judge", "3"), ==, "failed three is too many");
  g_assert_cmpstr (driver_run (client, plugin, "judge", "4"), ==, "failed number 4");
}

#define add(path, function) g_test_add (path, TestClient, NULL, driver_set_up, function, driver_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  add ("/plugin-legacy/a-table-of-the-hosts-functions-is-given",
       test_a_table_of_the_hosts_functions_is_given);
  add ("/plugin-legacy/functions-behind-handles-are-called", test_functions_behind_handles_are_called);
  add ("/plugin-legacy/lists-become-lines-and-are-given-back", test_lists_become_lines_and_are_given_back);
  add ("/plugin-legacy/a-size-comes-back-as-the-length", test_a_size_comes_back_as_the_length);
  add ("/plugin-legacy/words-of-the-input-become-arguments", test_words_of_the_input_become_arguments);
  add ("/plugin-legacy/numbers-are-shown", test_numbers_are_shown);
  add ("/plugin-legacy/a-callback-gives-the-answer", test_a_callback_gives_the_answer);
  add ("/plugin-legacy/a-result-means-what-the-descriptor-says",
       test_a_result_means_what_the_descriptor_says);
  add ("/plugin-legacy/values-are-copied-into-the-objects-buffers",
       test_values_are_copied_into_the_objects_buffers);
  add ("/plugin-legacy/a-start-that-does-not-return-has-a-thread-of-its-own",
       test_a_start_that_does_not_return_has_a_thread_of_its_own);
  add ("/plugin-legacy/a-threaded-start-that-fails-in-time-is-a-refusal",
       test_a_threaded_start_that_fails_in_time_is_a_refusal);
  add ("/plugin-legacy/a-threaded-start-that-fails-later-is-told-with-the-next-command",
       test_a_threaded_start_that_fails_later_is_told_with_the_next_command);
  add ("/plugin-legacy/imported-symbols-take-and-return-every-type",
       test_imported_symbols_take_and_return_every_type);
  add ("/plugin-legacy/the-address-is-given-to-whom-it-was-granted",
       test_the_address_is_given_to_whom_it_was_granted);
  add ("/plugin-legacy/every-predicate-matches", test_every_predicate_matches);
  add ("/plugin-legacy/memory-is-what-the-descriptor-asked-for",
       test_memory_is_what_the_descriptor_asked_for);
  add ("/plugin-legacy/the-objects-own-words-explain-a-code", test_the_objects_own_words_explain_a_code);
  return g_test_run ();
}
