/* What the contracts with vendors promise, argument by argument: legacy calls, and the native tables. */
#include "host-client/core/test-driver.h"

#include <string.h>

static const char types_text[]
    = "[Plugin]\nformat=1\nid=types\nname=Types\nversion=1\nobject=libtypes.so\nsha256=@SHA256@\n"
      "[Permissions]\ndata=64K\n%s"
      "[Provide]\ntell=void (int level, cstr text) -> log\n"
      "[Symbols]\n"
      "open=int types_open (cb tell, out handle box)\n"
      "other=handle other types_other (handle box, cstr datadir)\n"
      "numbers=int types_numbers (i8 -128, u8 255, i16 -32768, u16 65535, i32 -2147483648, u32 4294967295,"
      " i64 -9223372036854775808, u64 9223372036854775807, f32 0.5, f64 -1e100, bool true, int -7)\n"
      "step=u64 types_step (handle box, inout u32 counter, out f32 half, buf 48 scratch, int "
      "sizeof(scratch))\n"
      "time=int types_time (i64 expiry:ms, u32 expiry:yyyymmdd)\n"
      "[Phase init]\nsteps=open, other, numbers, step, step, time\n"
      "[Return numbers]\npositive=ok\n"
      "[Return step]\nnonzero=ok\n"
      "[Command report]\n"
      "call=cstr types_report (handle box, handle other, u32 counter, f32 half, cstr scratch, len(scratch), "
      "cstr input)\n"
      "free=types_release\n"
      "[Command hand]\ncall=void types_hand_out (out cstr output, null, cstr \"a, b) "
      "c\")\nfree=types_release\n"
      "[Command small]\ncall=i8 types_small (cstr input)\n"
      "[Return small]\n-1=expired\n0=ok\n5=retry-later\nnegative=bad-serial\n"
      "[Command real]\ncall=f64 types_real ()\n"
      "[Command released]\ncall=u32 types_released ()\n"
      "[Return released]\n2=ok\n"
      "[Command threads]\ncall=int types_threads (cstr input, buf 64 output, sizeof(output))\n";

static Plugin *
install_types (TestClient *client, const char *permissions)
{
  g_autofree char *object = g_build_filename (g_getenv ("PLUGIN_PROBES"), "libtypes.so", NULL);
  g_autofree char *text = g_strdup_printf (types_text, permissions);
  g_autofree char *path = driver_ship (client, object, "types.legacy", text);

  return driver_install_shipped (client, path, "types");
}

static void
test_arguments_of_every_type_arrive_and_come_back (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_types (client, "");
  PluginLicence licence = { .user = TEST_USER, .expires = 1234567890 };

  plugin_start (plugin, &licence);
  g_assert_cmpstr (driver_settle (client, plugin), ==, "running ");
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "opened", g_str_equal, NULL));
  g_assert_cmpstr (driver_run (client, plugin, "report", "in"), ==,
                   "ok 1 2 2 0.5 kept 4 in 1234567890000 20090213");
  g_assert_cmpstr (driver_run (client, plugin, "hand", ""), ==, "ok a, b) c");
  g_assert_cmpstr (driver_run (client, plugin, "released", ""), ==, "ok "); /* both texts were given back */
  g_assert_cmpstr (driver_run (client, plugin, "real", ""), ==, "ok ");
}

static void
test_the_first_rule_that_matches_counts (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_types (client, "");

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "small", "0"), ==, "ok ");
  g_assert_cmpstr (driver_run (client, plugin, "small", "5"), ==, "failed types_small returned 5");
  g_assert_cmpstr (driver_run (client, plugin, "small", "6"), ==, "failed types_small returned 6");
  g_assert_cmpstr (driver_run (client, plugin, "small", "-1"), ==, "expired types_small returned -1");
  g_assert_cmpstr (driver_settle (client, plugin), ==, "expired types_small returned -1");
  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "small", "-2"), ==, "bad-serial types_small returned -2");
}

static void
test_threads_need_a_permission (TestClient *client, gconstpointer data)
{
  Plugin *plugin = install_types (client, "");

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "threads", ""), ==, "ok refused 0");
  plugin_free (plugin);
  plugin = install_types (client, "threads=yes\n");
  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "threads", ""), ==, "ok done 1");
  plugin_free (plugin);
}

/* ---- native ---- */

static char *
ship_native (TestClient *client, const char *name)
{
  g_autofree char *library = g_strdup_printf ("lib%s.so", name);
  g_autofree char *object = g_build_filename (g_getenv ("PLUGIN_PROBES"), library, NULL);
  g_autofree char *text
      = g_strdup_printf ("[Plugin]\nabi=1\nid=%s\nname=Tally\nversion=1\nobject=%s\nsha256=@SHA256@\n["
                         "Permissions]\ndata=16K\nthreads=yes\nconnect=127.0.0.1:@PORT@\n",
                         name, library);
  g_autofree char *file = g_strdup_printf ("%s.plugin", name);

  return driver_ship (client, object, file, text);
}

static Plugin *
install_native (TestClient *client, const char *name)
{
  g_autofree char *path = ship_native (client, name);

  return driver_install_shipped (client, path, name);
}

static void
test_a_native_plugin_judges_its_licence (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_native (client, "tally");
  gsize n;

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "needs-serial needs a serial");
  g_assert_cmpstr (driver_start (client, plugin, "worse"), ==, "bad-serial does not accept its serial");
  g_assert_cmpstr (driver_start (client, plugin, "lapsed"), ==, "expired says that its serial has expired");
  g_assert_cmpstr (driver_start (client, plugin, "odd"), ==, "refused could not start");
  g_assert_cmpstr (driver_start (client, plugin, "good"), ==, "running ");
  g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 1897171199);
  plugin_peek_commands (plugin, &n);
  g_assert_cmpuint (n, ==, 1); /* the same again and a bad name are refused */
  g_assert_cmpstr (driver_run (client, plugin, "tally", "over"), ==, "expired ");
  g_assert_cmpstr (driver_settle (client, plugin), ==, "expired says that its serial has expired");
}

static void
test_a_native_plugin_keeps_values_within_its_quota (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_native (client, "tally");

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "count"), ==, "ok 1");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "count"), ==, "ok 2");
  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "count"), ==, "ok 3");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "peep"), ==,
                   "ok 2 1"); /* HOST_DENIED, and the true length */
  g_assert_cmpstr (driver_run (client, plugin, "tally", "hoard"), ==, "ok 2"); /* HOST_DENIED */
  g_assert_cmpstr (driver_run (client, plugin, "tally", "forget"), ==, "ok ");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "count"), ==, "ok 1");
}

static void
test_only_known_extensions_are_offered (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_native (client, "tally");

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "extensions"), ==, "ok 1 0");
}

static void
test_timers_fire_once_and_can_be_taken_back (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_native (client, "tally");
  gint64 until_us = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "timer"), ==,
                   "ok 1"); /* HOST_BAD_INPUT for number 16 */
  while (strcmp (driver_run (client, plugin, "tally", "rung"), "ok 3") != 0)
    g_assert_cmpint (g_get_monotonic_time (), <, until_us);
}

static void
test_threads_and_connections_bring_events (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_native (client, "tally");
  g_autofree char *ask = g_strdup_printf ("ask %u", client->server.port);
  gint64 until_us = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "thread"), ==, "ok ");
  g_assert_cmpstr (driver_run (client, plugin, "tally", ask), ==, "ok ");
  while (strcmp (driver_run (client, plugin, "tally", "heard"), "ok 1 HTTP/1.0 401 Unauthorized") != 0)
    g_assert_cmpint (g_get_monotonic_time (), <, until_us);
}

static void
test_a_flood_of_frames_ends_the_plugin (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_native (client, "tally");

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "tally", "flood"), ==,
                   "gone sent more than a plugin may and was stopped");
}

static void
test_another_abi_is_refused (TestClient *client, gconstpointer data)
{
  g_autofree char *path = ship_native (client, "stranger");
  g_autoptr (GError) error = NULL;

  g_assert_null (driver_install (client, path, &error));
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_SYMBOLS);
  g_assert_nonnull (strstr (error->message, "built for another ABI"));
}

#define add(path, function) g_test_add (path, TestClient, NULL, driver_set_up, function, driver_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  add ("/plugin-calls/arguments-of-every-type-arrive-and-come-back",
       test_arguments_of_every_type_arrive_and_come_back);
  add ("/plugin-calls/the-first-rule-that-matches-counts", test_the_first_rule_that_matches_counts);
  add ("/plugin-calls/threads-need-a-permission", test_threads_need_a_permission);
  add ("/plugin-calls/a-native-plugin-judges-its-licence", test_a_native_plugin_judges_its_licence);
  add ("/plugin-calls/a-native-plugin-keeps-values-within-its-quota",
       test_a_native_plugin_keeps_values_within_its_quota);
  add ("/plugin-calls/only-known-extensions-are-offered", test_only_known_extensions_are_offered);
  add ("/plugin-calls/timers-fire-once-and-can-be-taken-back", test_timers_fire_once_and_can_be_taken_back);
  add ("/plugin-calls/threads-and-connections-bring-events", test_threads_and_connections_bring_events);
  add ("/plugin-calls/a-flood-of-frames-ends-the-plugin", test_a_flood_of_frames_ends_the_plugin);
  add ("/plugin-calls/another-abi-is-refused", test_another_abi_is_refused);
  return g_test_run ();
}
