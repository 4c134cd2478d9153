/* Drives real plugins through host-client/core/plugin: each test starts processes as the client does. */
#include "common/module/frame.h"
#include "host-client/core/test-driver.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WEATHER_GOOD    "FFZY-MFNP-GSN2-G9VH-5BT4-FQMM"
#define WEATHER_2030    "UEK8-2BJH-6MR6-LBR7-2U8N-46ZQ"
#define WEATHER_EXPIRED "8QH6-S46X-KAVZ-XS7Y-444M-3SLE"
#define QUOTES_GOOD                                                                                          \
  "MXxxdW90ZXN8azNxN2EybTVjNGQ2ZTdmMmczaDRpNWo2azd8MHxsMS4w."                                                \
  "mupM5gjbLHo22GJ9x6Twm0RES-zt88fww3lg5pvx-QvdMcxQ3R6yQGfuWQkLO-d1eLoPEJl6w0qNyf6-eBCzMA"
#define QUOTES_EXPIRED                                                                                       \
  "MXxxdW90ZXN8azNxN2EybTVjNGQ2ZTdmMmczaDRpNWo2azd8MTIzMDc2ODAwMHxsMS4w."                                    \
  "RD8eV5ACx-3edq6n0uPRR5vsjk-KZsO92P4H3lSRRykqq1eokfYR1gryg09f6FTNqbJOh9r66p_XE8t08mxG2g"
#define QUOTES_OTHER                                                                                         \
  "MXxxdW90ZXN8c29tZWJvZHllbHNlfDB8bDEuMA."                                                                  \
  "IJxoPNB-Qcj8H15rD8pbuEw0aWHIvY0EGpq3XpSGXQ2EYrp_hDthq2yft8DPtUNbZN9IWY9ITV0rCJd5T1Xgkg"
#define DICE_GOOD "40001-11122-22333-34446"

/* ---- the samples ---- */

static void
test_weather_judges_its_serial_and_reaches_its_server (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "weather", "legacy");

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "needs-serial needs a serial");
  g_assert_cmpstr (driver_start (client, plugin, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"), ==,
                   "bad-serial the serial number is not valid");
  g_assert_cmpstr (driver_start (client, plugin, WEATHER_EXPIRED), ==, "expired the licence has expired");
  g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 946684800 + 5001 * 86400 - 1);
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 0);

  g_assert_cmpstr (driver_start (client, plugin, WEATHER_2030), ==, "running ");
  g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 1897171199);
  g_assert_cmpstr (driver_start (client, plugin, WEATHER_GOOD), ==, "running ");
  driver_wait_for_connections (client, 2);
  g_assert_cmpstr (driver_run (client, plugin, "weather", "Lisbon"), ==, "ok Lisbon: 17 °C, light rain");
  g_assert_cmpstr (driver_run (client, plugin, "weather", "Atlantis"), ==, "failed there is no such place");
  g_assert_cmpstr (driver_run (client, plugin, "storm", ""), ==, "failed the plugin has no such command");
  plugin_stop (plugin);
  driver_wait (client->states, client->states->len + 1);
  g_assert_cmpstr (driver_last (client->states), ==, "off ");
  g_assert_cmpstr (driver_run (client, plugin, "weather", "Lisbon"), ==, "failed the plugin does not run");
}

static void
test_weather_says_when_its_server_is_away (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "weather", "legacy");

  driver_server_stop (&client->server);
  g_assert_cmpstr (driver_start (client, plugin, WEATHER_GOOD), ==,
                   "refused the weather server does not answer");
  g_assert_cmpint (plugin_peek_report (plugin)->verdict, ==, PLUGIN_VERDICT_RETRY_LATER);
  driver_server_start (&client->server); /* for the tear-down */
}

static void
test_quotes_takes_its_serial_from_its_old_host (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "quotes", "legacy");

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "needs-serial needs a serial");
  g_assert_cmpstr (driver_start (client, plugin, "bm9uc2Vuc2U.bm9uc2Vuc2U"), ==,
                   "bad-serial this serial was not made by us");
  g_assert_cmpstr (driver_start (client, plugin, QUOTES_EXPIRED), ==,
                   "expired the subscription ended on 20090101");
  g_assert_cmpstr (driver_start (client, plugin, QUOTES_OTHER), ==, "refused this serial is somebody else's");
  g_assert_cmpint (plugin_peek_report (plugin)->verdict, ==, PLUGIN_VERDICT_WRONG_USER);
  g_assert_cmpstr (driver_start (client, plugin, QUOTES_GOOD), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "quote", ""), ==, "ok “Begin.” — Seneca");
  g_assert_cmpstr (driver_run (client, plugin, "quote", "dragons"), ==,
                   "failed nobody said anything about that");
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "logged in", g_str_equal, NULL));
}

static void
test_dice_finds_its_key_in_a_file (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "dice", "legacy");
  int first, second, sum;

  g_assert_true (g_str_has_prefix (driver_start (client, plugin, "40001-11122-22333-34447"), "bad-serial "));
  g_assert_cmpstr (driver_start (client, plugin, DICE_GOOD), ==, "running ");
  g_assert_cmpint (
      sscanf (driver_run (client, plugin, "roll", "2d6+1"), "ok 2d6+1: %d %d = %d", &first, &second, &sum),
      ==, 3);
  g_assert_cmpint (first + second + 1, ==, sum);
  g_assert_true (first >= 1 && first <= 6 && second >= 1 && second <= 6);
  g_assert_true (g_str_has_prefix (driver_run (client, plugin, "roll", "two"), "failed "));
}

static void
test_reminders_are_kept_and_shown (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "reminders", "plugin");
  gsize n;

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  plugin_peek_commands (plugin, &n);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpstr (driver_run (client, plugin, "reminders", ""), ==, "ok There are no reminders.");
  g_assert_true (g_str_has_prefix (driver_run (client, plugin, "remind", "2h Tea"), "ok Reminder 1 at "));
  g_assert_true (g_str_has_prefix (driver_run (client, plugin, "remind", "1s Now"), "ok Reminder 2 at "));
  g_assert_true (
      g_str_has_prefix (driver_run (client, plugin, "remind", "soon"), "failed say when and what"));
  driver_wait (client->notifications, 1);
  g_assert_cmpstr (driver_last (client->notifications), ==, "Reminder: Now");
  /* It forgets what it has shown before it answers anything else. */
  g_assert_null (strstr (driver_run (client, plugin, "reminders", ""), "Now"));

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "running ");
  g_assert_true (g_str_has_suffix (driver_run (client, plugin, "reminders", ""), "  Tea"));
  g_assert_cmpstr (driver_run (client, plugin, "forget", "2"), ==,
                   "failed there is no such reminder; /reminders lists them");
  g_assert_cmpstr (driver_run (client, plugin, "forget", "1"), ==, "ok Forgotten.");
  g_assert_cmpstr (driver_run (client, plugin, "reminders", ""), ==, "ok There are no reminders.");
}

/* ---- the sample plugin server ---- */

typedef struct
{
  GPid pid;
  int output;
} Vendor;

/* Starts plugin-server for @plugin and puts its port where the tests' own server's was. */
static void
vendor_start (Vendor *vendor, TestClient *client, const char *plugin)
{
  g_autofree char *data = g_build_filename (client->folder, plugin, NULL);
  const char *argv[] = { g_getenv ("PLUGIN_SERVER"),
                         "--listen",
                         "127.0.0.1:0",
                         "--data",
                         data,
                         "--plugin",
                         plugin,
                         "--secret",
                         "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                         NULL };
  g_autoptr (GError) error = NULL;
  char line[128] = "";
  unsigned port;

  g_spawn_async_with_pipes (NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &vendor->pid,
                            NULL, &vendor->output, NULL, &error);
  g_assert_no_error (error);
  for (gsize n = 0; n < sizeof line - 1 && strchr (line, '\n') == NULL; n++)
    g_assert_cmpint (read (vendor->output, line + n, 1), ==, 1);
  g_assert_cmpint (sscanf (line, "{\"http\":\"127.0.0.1:%u\"}", &port), ==, 1);
  client->server.port = (guint16)port;
}

static void
vendor_stop (Vendor *vendor)
{
  (void)kill (vendor->pid, SIGTERM);
  (void)waitpid (vendor->pid, NULL, 0);
  close (vendor->output);
}

static void
test_samples_agree_with_the_sample_server (TestClient *client, gconstpointer data)
{
  Vendor vendor;
  Plugin *plugin;

  vendor_start (&vendor, client, "weather");
  plugin = driver_install_sample (client, "weather", "legacy");
  g_assert_cmpstr (driver_start (client, plugin, WEATHER_2030), ==, "running ");
  g_assert_true (g_str_has_prefix (driver_run (client, plugin, "weather", "lisbon"), "ok Lisbon"));
  g_assert_cmpstr (driver_run (client, plugin, "weather", "Atlantis"), ==, "failed there is no such place");
  plugin_free (plugin);
  vendor_stop (&vendor);

  vendor_start (&vendor, client, "quotes");
  plugin = driver_install_sample (client, "quotes", "legacy");
  g_assert_cmpstr (driver_start (client, plugin, QUOTES_GOOD), ==, "running ");
  g_assert_true (g_str_has_prefix (driver_run (client, plugin, "quote", ""), "ok "));
  g_assert_cmpstr (driver_run (client, plugin, "quote", "submarines"), ==,
                   "failed nobody said anything about that");
  plugin_free (plugin);
  vendor_stop (&vendor);
}

/* ---- what plugins may say ---- */

static void
test_every_verdict_is_told_apart (TestClient *client, gconstpointer data)
{
  static const struct
  {
    const char *serial;
    PluginState state;
    PluginVerdict verdict;
  } rows[] = { { "good", PLUGIN_STATE_RUNNING, PLUGIN_VERDICT_OK },
               { "failed", PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_ERROR },
               { "bad", PLUGIN_STATE_BAD_SERIAL, PLUGIN_VERDICT_BAD_SERIAL },
               { "expired", PLUGIN_STATE_EXPIRED, PLUGIN_VERDICT_EXPIRED },
               { "later", PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_RETRY_LATER },
               { "early", PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NOT_YET_VALID },
               { "other", PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_WRONG_USER },
               { "seats", PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_SEATS } };
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      driver_start (client, plugin, rows[i].serial);
      g_assert_cmpint (plugin_peek_report (plugin)->state, ==, rows[i].state);
      g_assert_cmpint (plugin_peek_report (plugin)->verdict, ==, rows[i].verdict);
      g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 1897171199);
    }
}

static void
test_a_serial_is_delivered_and_never_shown (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  g_assert_cmpstr (driver_start (client, plugin, "good"), ==, "running ");
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "constructed", g_str_equal, NULL));
  /* In its environment and its variable; what comes back is masked. */
  g_assert_cmpstr (driver_run (client, plugin, "probe", "delivered"), ==, "ok … … 1");
}

static void
test_an_expiry_during_use_ends_the_plugin (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "code -3"), ==, "expired probe_run returned -3");
  driver_settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_EXPIRED);
  g_assert_cmpstr (driver_run (client, plugin, "who", ""), ==, "failed the plugin does not run");
}

static void
test_log_lines_are_counted_and_cleaned (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  driver_start (client, plugin, "good");
  g_ptr_array_set_size (client->lines, 0);
  g_assert_cmpstr (driver_run (client, plugin, "probe", "flood"), ==, "ok ");
  g_assert_cmpuint (client->lines->len, ==, 20);
  g_assert_cmpstr (driver_last (client->lines), ==, "line forged [31m");
}

/* ---- the network ---- */

static void
test_only_granted_addresses_are_reached (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");
  g_autofree char *granted = g_strdup_printf ("tcp 127.0.0.1 %u", client->server.port);
  g_autofree char *later = g_strdup_printf ("later 127.0.0.1 %u", client->server.port);
  g_autofree char *named = g_strdup_printf ("name localhost %u", client->server.port);
  g_autofree char *elsewhere = g_strdup_printf ("tcp 127.0.0.2 %u", client->server.port);
  g_autofree char *other_name = g_strdup_printf ("name example.org %u", client->server.port);
  g_autofree char *other_port = g_strdup_printf ("tcp 127.0.0.1 %u", client->server.port ^ 1);
  g_autofree char *udp = g_strdup_printf ("udp 127.0.0.1 %u", client->server.port);

  g_assert_cmpstr (driver_start (client, plugin, "good"), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "probe", granted), ==, "ok done");
  g_assert_cmpstr (driver_run (client, plugin, "probe", later), ==, "ok done");
  g_assert_cmpstr (driver_run (client, plugin, "probe", named), ==, "ok done");
  driver_wait_for_connections (client, 3);

  g_assert_cmpstr (driver_run (client, plugin, "probe", elsewhere), ==, "ok EACCES");
  g_assert_cmpstr (driver_run (client, plugin, "probe", other_port), ==, "ok EACCES");
  g_assert_cmpstr (driver_run (client, plugin, "probe", other_name), ==, "ok ENOENT");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "tcp 8.8.8.8 53"), ==, "ok EACCES");
  g_assert_cmpstr (driver_run (client, plugin, "probe", udp), ==, "ok EPERM");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "unix"), ==, "ok EPERM");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "bind"), ==, "ok EPERM");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "listen"), ==, "ok EPERM");
  driver_wait_for_connections (client, 3);
}

static void
test_a_server_that_does_not_answer_is_given_up (TestClient *client, gconstpointer data)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof at;
  int deaf = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fillers[8];
  guint16 port = client->server.port;
  g_autoptr (Plugin) plugin = NULL;
  g_autofree char *tcp = NULL;
  g_autofree char *many = NULL;
  gint64 before_us;

  /* It listens and accepts nobody, and its queue is full: the kernel drops what comes. */
  g_assert_cmpint (bind (deaf, (struct sockaddr *)&at, sizeof at), ==, 0);
  g_assert_cmpint (listen (deaf, 0), ==, 0);
  g_assert_cmpint (getsockname (deaf, (struct sockaddr *)&at, &size), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (fillers); i++)
    {
      fillers[i] = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      (void)!connect (fillers[i], (struct sockaddr *)&at, sizeof at);
    }
  client->server.port = ntohs (at.sin_port);
  plugin = driver_install_probe (client, "probe");
  client->server.port = port;
  tcp = g_strdup_printf ("tcp 127.0.0.1 %u", ntohs (at.sin_port));
  many = g_strdup_printf ("many 127.0.0.1 %u", ntohs (at.sin_port));

  g_assert_cmpstr (driver_start (client, plugin, "good"), ==, "running ");
  before_us = g_get_monotonic_time ();
  /* In two thirds of the call time-out of 2.4 s, so that the plugin can still say so. */
  g_assert_cmpstr (driver_run (client, plugin, "probe", tcp), ==, "ok ETIMEDOUT");
  g_assert_cmpint (g_get_monotonic_time () - before_us, >=, 900 * 1000);
  g_assert_cmpstr (driver_run (client, plugin, "probe", many), ==, "ok EAGAIN"); /* four at once */
  for (gsize i = 0; i < G_N_ELEMENTS (fillers); i++)
    close (fillers[i]);
  close (deaf);
}

static void
test_a_plugin_without_connect_has_no_network (TestClient *client, gconstpointer data)
{
  g_autofree char *path = driver_ship_probe (client, "probe");
  g_autofree char *text = NULL;
  g_autofree char *granted = g_strdup_printf ("tcp 127.0.0.1 %u", client->server.port);
  g_autoptr (GString) changed = NULL;
  g_autoptr (Plugin) plugin = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  changed = g_string_new (text);
  g_assert_cmpuint (g_string_replace (changed, "connect=", "#connect=", 1), ==, 1);
  g_assert_true (g_file_set_contents (path, changed->str, -1, NULL));
  plugin = driver_install_shipped (client, path, "probe");
  g_assert_cmpstr (driver_start (client, plugin, "good"), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "probe", granted), ==, "ok EPERM");
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 0);
}

static void
test_files_of_the_user_are_out_of_reach (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "read /etc/passwd"), ==, "ok EACCES");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "write mine 5000"), ==, "ok done");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "read mine"), ==, "ok done");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "write /tmp/not-mine 1"), ==, "ok EACCES");
}

static void
test_the_data_folder_has_a_quota (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "write one 40000"), ==, "ok done");
  /* Each file is below the limit, both together are not. */
  (void)driver_run (client, plugin, "probe", "write two 40000");
  driver_settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_REFUSED);
  g_assert_nonnull (strstr (plugin_peek_report (plugin)->reason, "keeps more in"));
}

/* ---- crashes ---- */

static guint
count_states (TestClient *client, const char *prefix)
{
  guint n = 0;

  for (guint i = 0; i < client->states->len; i++)
    n += g_str_has_prefix (client->states->pdata[i], prefix);
  return n;
}

static void
test_a_crash_is_one_event_and_can_be_restarted (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  driver_start (client, plugin, "good");
  plugin_run_command (plugin, "probe", "crash", driver_on_result, client);
  plugin_run_command (plugin, "who", "", driver_on_result, client);
  driver_wait (client->results, 2);
  driver_settle (client, plugin);
  g_assert_cmpstr (client->results->pdata[0], ==, "gone crashed (Segmentation fault)");
  g_assert_cmpstr (client->results->pdata[1], ==, "gone crashed (Segmentation fault)");
  g_assert_cmpstr (driver_last (client->states), ==, "crashed crashed (Segmentation fault)");
  g_assert_cmpuint (count_states (client, "crashed"), ==, 1);

  g_assert_true (plugin_restart (plugin));
  g_assert_cmpstr (driver_settle (client, plugin), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "who", ""), ==, "ok probe");
  g_assert_cmpstr (driver_run (client, plugin, "probe", "exit"), ==, "gone ended by itself (exit status 0)");
  driver_settle (client, plugin);
  g_assert_cmpuint (count_states (client, "crashed"), ==, 2);
  g_assert_false (plugin_restart (plugin)); /* restart=1/60s */
  g_assert_cmpstr (driver_start (client, plugin, "good"), ==, "running ");
}

static void
test_a_crash_while_it_starts_is_one_event (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");

  g_assert_cmpstr (driver_start (client, plugin, "mayday"), ==, "crashed crashed (Segmentation fault)");
  g_assert_cmpuint (count_states (client, "crashed"), ==, 1);
}

static void
test_a_hang_is_ended_by_the_call_timeout (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");
  gint64 before_us;

  driver_start (client, plugin, "good");
  before_us = g_get_monotonic_time ();
  g_assert_cmpstr (driver_run (client, plugin, "probe", "hang"), ==,
                   "gone did not answer in time and was stopped");
  g_assert_cmpint (g_get_monotonic_time () - before_us, >=, 1400 * 1000);
  driver_settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_CRASHED);
  g_assert_cmpstr (driver_start (client, plugin, "hang"), ==,
                   "crashed did not answer in time and was stopped");
}

static void
test_a_forged_answer_ends_the_plugin (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");
  g_autofree char *phase = g_strdup_printf ("forge %d", FRAME_OP_PHASE);
  g_autofree char *command = g_strdup_printf ("forge %d", FRAME_OP_COMMAND);

  /* The right call (the third: it was loaded, checked, and now runs a command), but another question's answer
   * … */
  driver_start (client, plugin, "good");
  g_assert_cmpstr (driver_run (client, plugin, "probe", phase), ==,
                   "gone answered what was not asked and was stopped");
  driver_settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_CRASHED);
  /* … and one that has not even the shape of an answer to it. */
  driver_start (client, plugin, "good");
  g_assert_true (g_str_has_prefix (driver_run (client, plugin, "probe", command),
                                   "gone it sent a frame that is misshapen"));
}

static void
test_a_stopped_plugin_answers_what_was_open (TestClient *client, gconstpointer data)
{
  Plugin *plugin = driver_install_probe (client, "probe");

  driver_start (client, plugin, "good");
  plugin_run_command (plugin, "probe", "hang", driver_on_result, client);
  plugin_run_command (plugin, "who", "", driver_on_result, client);
  g_main_context_iteration (NULL, FALSE);
  plugin_free (plugin);
  g_assert_cmpuint (client->results->len, ==, 2);
  g_assert_cmpstr (driver_last (client->results), ==, "gone was stopped");
}

static void
test_two_plugins_with_the_same_symbols_do_not_meet (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) probe = driver_install_probe (client, "probe");
  g_autoptr (Plugin) twin = driver_install_probe (client, "twin");

  g_assert_cmpstr (driver_start (client, probe, "good"), ==, "running ");
  g_assert_cmpstr (driver_start (client, twin, "good"), ==, "running ");
  g_assert_cmpstr (driver_run (client, probe, "who", ""), ==, "ok probe");
  g_assert_cmpstr (driver_run (client, twin, "who", ""), ==, "ok twin");
}

/* ---- installing ---- */

/* Ships the probe with one change to its descriptor. */
static char *
ship_changed (TestClient *client, const char *from, const char *to)
{
  g_autofree char *path = driver_ship_probe (client, "probe");
  g_autofree char *text = NULL;
  g_autoptr (GString) changed = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  changed = g_string_new (text);
  g_assert_cmpuint (g_string_replace (changed, from, to, 1), ==, 1);
  g_assert_true (g_file_set_contents (path, changed->str, -1, NULL));
  return g_steal_pointer (&path);
}

static void
expect_refusal (TestClient *client, const char *path, PluginErrorCode code, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) list = NULL;

  g_assert_null (driver_install (client, path, &error));
  g_assert_error (error, PLUGIN_ERROR, (int)code);
  g_assert_nonnull (strstr (error->message, part));
  list = plugin_host_list (client->host);
  g_assert_cmpuint (list->len, ==, 0);
}

static void
test_what_is_not_as_described_is_not_installed (TestClient *client, gconstpointer data)
{
  g_autofree char *missing = ship_changed (client, "probe_who", "probe_what");
  g_autofree char *bytes = NULL;
  g_autofree char *object = g_build_filename (client->folder, "libprobe.so", NULL);
  gsize length;

  expect_refusal (client, missing, PLUGIN_ERROR_SYMBOLS, "the object has no symbol 'probe_what'");
  g_free (ship_changed (client, "host_log=", "host_other=void () -> nothing\nhost_log="));
  expect_refusal (client, missing, PLUGIN_ERROR_SYMBOLS,
                  "the object does not import 'host_other' of [Provide]");
  g_free (ship_changed (client, "host_log=", "host_other="));
  expect_refusal (client, missing, PLUGIN_ERROR_SYMBOLS, "undefined symbol: host_log");
  g_free (ship_changed (client, "data=64K", "data=much"));
  expect_refusal (client, missing, PLUGIN_ERROR_DESCRIPTOR, "probe.legacy:10: [Permissions] data: ");

  g_free (driver_ship_probe (client, "probe"));
  g_assert_true (g_file_get_contents (object, &bytes, &length, NULL));
  bytes[length / 2] ^= 1;
  g_assert_true (g_file_set_contents (object, bytes, (gssize)length, NULL));
  expect_refusal (client, missing, PLUGIN_ERROR_HASH, "is not the object that 'probe.legacy' describes");
}

static void
test_an_object_that_cannot_be_looked_at_is_not_installed (TestClient *client, gconstpointer data)
{
  static const char text[]
      = "[Plugin]\nformat=1\nid=%s\nname=Bomb\nversion=1\nobject=lib%s.so\nsha256=@SHA256@\n"
        "[Limits]\ncall-timeout-ms=100\n";
  static const char *const rows[][2]
      = { { "bomb", "'libbomb.so' was loaded to look at it, but crashed (Segmentation fault)" },
          { "tarpit",
            "'libtarpit.so' was loaded to look at it, but did not answer in time and was stopped" } };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *object = g_strdup_printf ("%s/lib%s.so", g_getenv ("PLUGIN_PROBES"), rows[i][0]);
      g_autofree char *file = g_strdup_printf ("%s.legacy", rows[i][0]);
      g_autofree char *filled = g_strdup_printf (text, rows[i][0], rows[i][0]);
      g_autofree char *path = driver_ship (client, object, file, filled);

      expect_refusal (client, path, PLUGIN_ERROR_SYMBOLS, rows[i][1]);
    }
}

static void
test_a_changed_copy_is_refused_when_it_starts (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");
  g_autofree char *copy = g_build_filename (client->folder, "config", "plugins", "probe",
                                            plugin_peek_info (plugin)->hash, "libprobe.so", NULL);
  g_autofree char *bytes = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (copy, &bytes, &length, NULL));
  bytes[length / 2] ^= 1;
  g_assert_true (g_file_set_contents (copy, bytes, (gssize)length, NULL));
  g_assert_true (
      g_str_has_prefix (driver_start (client, plugin, "good"), "refused 'libprobe.so' is not the object"));
}

static void
test_a_new_version_replaces_the_old_one (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_probe (client, "probe");
  g_autofree char *path = ship_changed (client, "version=1", "version=2");
  g_autofree char *mine = g_build_filename (client->folder, "config", "plugins", "probe", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = driver_install (client, path, &error);
  g_autoptr (GDir) dir = NULL;
  guint n = 0;

  g_assert_no_error (error);
  g_assert_cmpstr (info->version, ==, "2");
  g_assert_cmpstr (plugin_peek_info (plugin)->version, ==, "1");
  driver_start (client, plugin, "good");
  g_assert_cmpstr (plugin_peek_info (plugin)->version, ==, "2");
  dir = g_dir_open (mine, 0, NULL);
  while (g_dir_read_name (dir) != NULL)
    n++;
  g_assert_cmpuint (n, ==, 5); /* "current", "previous", "agreed" and two copies: it can be rolled back */
  g_assert_false (plugin_host_remove (client->host, "probe", NULL)); /* it is in use */
  g_clear_pointer (&plugin, plugin_free);
  g_assert_true (plugin_host_remove (client->host, "probe", NULL));
  g_assert_null (plugin_host_find (client->host, "probe", &error));
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED);
}

#define add(path, function) g_test_add (path, TestClient, NULL, driver_set_up, function, driver_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* What plugins try and are refused is logged as warnings. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  add ("/plugin/weather-judges-its-serial-and-reaches-its-server",
       test_weather_judges_its_serial_and_reaches_its_server);
  add ("/plugin/weather-says-when-its-server-is-away", test_weather_says_when_its_server_is_away);
  add ("/plugin/quotes-takes-its-serial-from-its-old-host", test_quotes_takes_its_serial_from_its_old_host);
  add ("/plugin/dice-finds-its-key-in-a-file", test_dice_finds_its_key_in_a_file);
  add ("/plugin/reminders-are-kept-and-shown", test_reminders_are_kept_and_shown);
  add ("/plugin/samples-agree-with-the-sample-server", test_samples_agree_with_the_sample_server);
  add ("/plugin/every-verdict-is-told-apart", test_every_verdict_is_told_apart);
  add ("/plugin/a-serial-is-delivered-and-never-shown", test_a_serial_is_delivered_and_never_shown);
  add ("/plugin/an-expiry-during-use-ends-the-plugin", test_an_expiry_during_use_ends_the_plugin);
  add ("/plugin/log-lines-are-counted-and-cleaned", test_log_lines_are_counted_and_cleaned);
  add ("/plugin/only-granted-addresses-are-reached", test_only_granted_addresses_are_reached);
  add ("/plugin/a-server-that-does-not-answer-is-given-up", test_a_server_that_does_not_answer_is_given_up);
  add ("/plugin/a-plugin-without-connect-has-no-network", test_a_plugin_without_connect_has_no_network);
  add ("/plugin/files-of-the-user-are-out-of-reach", test_files_of_the_user_are_out_of_reach);
  add ("/plugin/the-data-folder-has-a-quota", test_the_data_folder_has_a_quota);
  add ("/plugin/a-crash-is-one-event-and-can-be-restarted", test_a_crash_is_one_event_and_can_be_restarted);
  add ("/plugin/a-crash-while-it-starts-is-one-event", test_a_crash_while_it_starts_is_one_event);
  add ("/plugin/a-hang-is-ended-by-the-call-timeout", test_a_hang_is_ended_by_the_call_timeout);
  add ("/plugin/a-forged-answer-ends-the-plugin", test_a_forged_answer_ends_the_plugin);
  add ("/plugin/a-stopped-plugin-answers-what-was-open", test_a_stopped_plugin_answers_what_was_open);
  add ("/plugin/two-plugins-with-the-same-symbols-do-not-meet",
       test_two_plugins_with_the_same_symbols_do_not_meet);
  add ("/plugin/what-is-not-as-described-is-not-installed", test_what_is_not_as_described_is_not_installed);
  add ("/plugin/an-object-that-cannot-be-looked-at-is-not-installed",
       test_an_object_that_cannot_be_looked_at_is_not_installed);
  add ("/plugin/a-changed-copy-is-refused-when-it-starts", test_a_changed_copy_is_refused_when_it_starts);
  add ("/plugin/a-new-version-replaces-the-old-one", test_a_new_version_replaces_the_old_one);
  return g_test_run ();
}
