/* What a native plugin gets only if its user granted it: each thing with the permission and without, and that
 * a plugin which takes its time holds nothing up. */
#include "common/module/frame.h"
#include "host-client/core/test-driver.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  TestClient client;
  GPtrArray *sent;  /* "peer text" */
  GPtrArray *calls; /* "number function argument" */
  GPtrArray *wishes; /* items */
  PluginSendOutcome next_send;
} Ground;

static PluginSendOutcome
on_send (Plugin *plugin, const char *peer, const char *text, gpointer data)
{
  Ground *ground = data;

  if (ground->next_send == PLUGIN_SEND_DONE)
    g_ptr_array_add (ground->sent, g_strdup_printf ("%s %s", peer != NULL ? peer : "open", text));
  return ground->next_send;
}

static void
on_call (Plugin *plugin, guint call, const char *function, GBytes *argument, gpointer data)
{
  Ground *ground = data;
  gsize length;
  const char *bytes = g_bytes_get_data (argument, &length);

  g_ptr_array_add (ground->calls, g_strdup_printf ("%u %s %.*s", call, function, (int)length, bytes));
}

static void
on_wish (Plugin *plugin, const char *item, gpointer data)
{
  g_ptr_array_add (((Ground *)data)->wishes, g_strdup (item));
}

static void
set_up (Ground *ground, gconstpointer data)
{
  driver_set_up (&ground->client, data);
  ground->sent = g_ptr_array_new_with_free_func (g_free);
  ground->calls = g_ptr_array_new_with_free_func (g_free);
  ground->wishes = g_ptr_array_new_with_free_func (g_free);
  ground->next_send = PLUGIN_SEND_DONE;
}

static void
tear_down (Ground *ground, gconstpointer data)
{
  g_ptr_array_unref (ground->sent);
  g_ptr_array_unref (ground->calls);
  g_ptr_array_unref (ground->wishes);
  driver_tear_down (&ground->client, data);
}

static char *
ship (Ground *ground, const char *permissions)
{
  g_autofree char *object = g_build_filename (g_getenv ("PLUGIN_PROBES"), "libherald.so", NULL);
  g_autofree char *text
      = g_strdup_printf ("[Plugin]\nabi=1\nid=herald\nname=Herald\nversion=1\nobject=libherald.so\n"
                         "sha256=@SHA256@\n[Permissions]\n%s[Limits]\ncall-timeout-ms=1000\n",
                         permissions);

  return driver_ship (&ground->client, object, "herald.plugin", text);
}

static Plugin *
take (Ground *ground, const char *permissions)
{
  g_autofree char *path = ship (ground, permissions);
  PluginEvents events = driver_events;
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = driver_install (&ground->client, path, &error);
  Plugin *plugin;

  g_assert_no_error (error);
  g_assert_nonnull (info);
  events.send = on_send;
  events.call = on_call;
  events.wish = on_wish;
  plugin = plugin_new (ground->client.host, "herald", TEST_JID, &events, ground, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  return plugin;
}

static const char *
tell (Ground *ground, Plugin *plugin, const char *input)
{
  return driver_run (&ground->client, plugin, "herald", input);
}

static void
show (Plugin *plugin, gboolean is_sent, const char *text)
{
  PluginMessage message
      = { .is_sent = is_sent, .peer = "bob@example.org", .text = text, .time_s = 1700000000 };

  plugin_show_message (plugin, &message);
}

/* ---- each permission, asked for or not ---- */

static void
test_what_was_not_granted_is_not_there (Ground *ground, gconstpointer data)
{
  static const struct
  {
    const char *permissions, *report; /* extensions: messages, network, function, purchase, token */
  } rows[] = {
    { "", "ok 00000 socket:1 read:0 data:0 thread:0 jid:" },
    { "messages=see\n", "ok 10000 socket:1 read:0 data:0 thread:0 jid:" },
    { "messages=send\n", "ok 10000 socket:1 read:0 data:0 thread:0 jid:" },
    { "functions=yes\n", "ok 00100 socket:1 read:0 data:0 thread:0 jid:" },
    { "purchases=yes\n", "ok 00010 socket:1 read:0 data:0 thread:0 jid:" },
    { "connect=127.0.0.1:@PORT@\n", "ok 01000 connected read:0 data:0 thread:0 jid:" },
    { "connect=192.0.2.1:443\n", "ok 01000 connect:1 read:0 data:0 thread:0 jid:" },
    { "data=4K\n", "ok 00000 socket:1 read:0 data:1 thread:0 jid:" },
    { "read=/etc/passwd\n", "ok 00000 socket:1 read:1 data:0 thread:0 jid:" },
    { "threads=yes\n", "ok 00000 socket:1 read:0 data:0 thread:1 jid:" },
    { "identity=yes\n", "ok 00000 socket:1 read:0 data:0 thread:0 jid:" TEST_JID },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Plugin) plugin = take (ground, rows[i].permissions);
      g_autofree char *input = g_strdup_printf ("try 127.0.0.1 %u /etc/passwd", ground->client.server.port);

      g_assert_cmpstr (tell (ground, plugin, input), ==, rows[i].report);
    }
}

static void
test_nothing_is_installed_that_was_not_agreed_to (Ground *ground, gconstpointer data)
{
  static const char *const steps[] = { "data=4K\n",
                                       "data=8K\n",
                                       "data=4K\nmessages=see\n",
                                       "data=4K\nmessages=send\n",
                                       "data=4K\nconnect=127.0.0.1:1\n",
                                       "data=4K\npurchases=yes\n" };
  static const char *const said[] = { NULL,
                                      "8 KiB",
                                      "see every message",
                                      "write messages in your name",
                                      "connect to 127.0.0.1:1",
                                      "have you asked whether to buy something inside it" };
  PluginHost *host = ground->client.host;
  g_autoptr (Plugin) plugin = take (ground, steps[0]);

  for (gsize i = 1; i < G_N_ELEMENTS (steps); i++)
    {
      g_autofree char *path = ship (ground, steps[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (PluginInfo) asked = plugin_info_read (path, NULL);
      g_auto (GStrv) unagreed = plugin_host_list_unagreed (host, asked);
      g_auto (GStrv) all = plugin_info_describe (asked);

      g_assert_cmpuint (g_strv_length (unagreed), ==, i == 3 ? 2 : 1);
      g_assert_cmpuint (g_strv_length (all), ==, i == 1 ? 1 : i == 3 ? 3 : 2);
      g_assert_null (driver_install_unagreed (&ground->client, path, &error));
      g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_CONSENT);
      g_assert_nonnull (strstr (error->message, said[i]));
    }
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
}

static void
test_an_upgrade_that_asks_for_no_more_needs_no_answer (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "data=8K\nmessages=send\nfunctions=yes\n");
  g_autofree char *path = ship (ground, "data=4K\nmessages=see\n");
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = driver_install_unagreed (&ground->client, path, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (info->id, ==, plugin_peek_info (plugin)->id);
  /* What it no longer asks for is no longer agreed to. */
  g_free (path);
  path = ship (ground, "data=8K\nmessages=see\n");
  g_assert_null (driver_install_unagreed (&ground->client, path, &error));
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_CONSENT);
}

static void
test_a_copy_that_nobody_agreed_to_does_not_start (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "data=4K\n");
  g_autofree char *agreed = g_build_filename (ground->client.folder, "config/plugins/herald/agreed", NULL);
  g_autoptr (GPtrArray) states = NULL;
  const PluginStatus *status;

  g_assert_cmpint (g_unlink (agreed), ==, 0);
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==,
                   "refused you have not agreed that it may: keep up to 4 KiB of its own data");
  states = plugin_host_list_states (ground->client.host, TEST_JID);
  g_assert_cmpuint (states->len, ==, 1);
  status = states->pdata[0];
  g_assert_cmpint (status->kind, ==, PLUGIN_STATUS_REFUSED);
  g_assert_nonnull (strstr (status->reason, "4 KiB"));
}

static char *
write_hex (const Frame *frame)
{
  GString *hex = g_string_new ("forge ");

  for (gsize i = 0; i < sizeof frame->header + frame->header.length; i++)
    g_string_append_printf (hex, "%02x", ((const guint8 *)frame)[i]);
  return g_string_free (hex, FALSE);
}

static void
test_frames_of_what_was_not_granted_end_the_plugin (Ground *ground, gconstpointer data)
{
  static const struct
  {
    FrameOp op;
    FrameFlag flag;
    const char *grant; /* with which the same frame is taken */
  } rows[] = {
    { FRAME_OP_WATCH_MESSAGES, FRAME_EVENT, "messages=see\n" },
    { FRAME_OP_SEND_MESSAGE, FRAME_ASK, "messages=send\n" },
    { FRAME_OP_REQUEST_FUNCTION, FRAME_EVENT, "functions=yes\n" },
    { FRAME_OP_RUN_FUNCTION, FRAME_ASK, "functions=yes\n" },
    { FRAME_OP_ASK_PURCHASE, FRAME_ASK, "purchases=yes\n" },
    { FRAME_OP_POLL_PURCHASE, FRAME_ASK, "purchases=yes\n" },
    { FRAME_OP_RESOLVE, FRAME_ASK, "connect=127.0.0.1:@PORT@\n" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree Frame *frame = g_new0 (Frame, 1);
      g_autofree char *input = NULL;
      Plugin *plugin;

      frame_begin (frame, rows[i].op, rows[i].flag, rows[i].flag == FRAME_ASK ? 77 : 0);
      for (const char *letter = frame_find_row (rows[i].op)->ask; *letter != '\0'; letter++)
        {
          if (*letter == 'u')
            frame_put_u32 (frame, 1);
          else if (*letter == 's')
            frame_put_text (frame, "text");
          else
            frame_put_bytes (frame, "bytes", 5);
        }
      input = write_hex (frame);
      plugin = take (ground, rows[i].grant);
      g_assert_cmpstr (tell (ground, plugin, input), ==, "ok ");
      plugin_free (plugin);
      plugin = take (ground, "");
      g_assert_true (g_str_has_prefix (tell (ground, plugin, input), "gone "));
      plugin_free (plugin);
    }
}

/* ---- purchases ---- */

static void
test_a_wish_is_told_of_once_and_a_second_one_waits_its_turn (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "purchases=yes\n");

  g_assert_cmpstr (tell (ground, plugin, "wish coins"), ==, "ok 0");
  g_assert_cmpstr (tell (ground, plugin, "wish coins"), ==, "ok 4"); /* HOST_RETRY */
  g_assert_cmpstr (tell (ground, plugin, "wish hat"), ==, "ok 4");
  g_assert_cmpuint (ground->wishes->len, ==, 1);
  g_assert_cmpstr (tell (ground, plugin, "purchases"), ==, "ok ");
  plugin_answer_wish (plugin, "hat", 1, ""); /* nobody wished for that */
  plugin_answer_wish (plugin, "coins", 1, "");
  plugin_answer_wish (plugin, "coins", 1, "");
  g_assert_cmpstr (tell (ground, plugin, "purchases"), ==, "ok coins 1 ;");
  g_assert_cmpstr (tell (ground, plugin, "wish hat"), ==, "ok 0");
  plugin_answer_wish (plugin, "hat", 3, "it is not sold");
  g_assert_cmpstr (tell (ground, plugin, "purchases"), ==, "ok coins 1 ;hat 3 it is not sold;");
}

static void
test_a_wish_is_not_granted_again_and_again (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "purchases=yes\n");

  g_assert_cmpstr (tell (ground, plugin, "wish coins"), ==, "ok 0");
  plugin_answer_wish (plugin, "coins", 2, ""); /* the user said no */
  g_assert_cmpstr (tell (ground, plugin, "wish coins"), ==, "ok 4");
  /* Nor does a restart change that. */
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  g_assert_cmpstr (tell (ground, plugin, "wish coins"), ==, "ok 4");
  g_assert_cmpuint (ground->wishes->len, ==, 1);
}

static void
test_a_wish_of_a_process_that_is_gone_is_nobodys (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "purchases=yes\n");

  g_assert_cmpstr (tell (ground, plugin, "wish coins"), ==, "ok 0");
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  plugin_answer_wish (plugin, "coins", 1, "");
  g_assert_cmpstr (tell (ground, plugin, "purchases"), ==, "ok ");
  g_assert_cmpstr (tell (ground, plugin, "wish Gold Coins"), ==, "ok 4");
}

/* ---- messages ---- */

static void
test_copies_come_in_order_and_the_way_that_is_watched (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=see\n");

  show (plugin, FALSE, "one");
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 1 from bob@example.org 1700000000: one");
  show (plugin, FALSE, "two");
  show (plugin, TRUE, "three");
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 3 to bob@example.org 1700000000: three");
  g_assert_cmpstr (tell (ground, plugin, "watch 2"), ==, "ok 0");
  show (plugin, FALSE, "four");
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 3 to bob@example.org 1700000000: three");
  g_assert_cmpstr (tell (ground, plugin, "watch 4"), ==, "ok 1"); /* HOST_BAD_INPUT */
  g_assert_cmpstr (tell (ground, plugin, "watch 0"), ==, "ok 0");
  show (plugin, TRUE, "five");
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 3 to bob@example.org 1700000000: three");
}

static void
test_without_the_permission_no_copy_comes_and_nothing_is_sent (Ground *ground, gconstpointer data)
{
  Plugin *plugin = take (ground, "");

  show (plugin, FALSE, "one");
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 0");
  plugin_free (plugin);
  plugin = take (ground, "messages=see\n");
  g_assert_cmpstr (tell (ground, plugin, "say hello"), ==, "ok 2"); /* HOST_DENIED */
  g_assert_cmpuint (ground->sent->len, ==, 0);
  plugin_free (plugin);
}

static void
test_sending_has_its_limits (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=send\n");

  g_assert_cmpstr (tell (ground, plugin, "say hello"), ==, "ok 0");
  g_assert_cmpstr (driver_last (ground->sent), ==, "open hello");
  g_assert_cmpstr (tell (ground, plugin, "write bob@example.org hi"), ==, "ok 0");
  g_assert_cmpstr (driver_last (ground->sent), ==, "bob@example.org hi");
  g_assert_cmpstr (tell (ground, plugin, "say "), ==, "ok 1"); /* HOST_BAD_INPUT */
  ground->next_send = PLUGIN_SEND_DENIED;
  g_assert_cmpstr (tell (ground, plugin, "write eve@example.org hi"), ==, "ok 2");
  ground->next_send = PLUGIN_SEND_DONE;
  for (guint i = ground->sent->len; i < 20; i++)
    g_assert_cmpstr (tell (ground, plugin, "say more"), ==, "ok 0");
  g_assert_cmpstr (tell (ground, plugin, "say too much"), ==, "ok 4"); /* HOST_RETRY */
  /* Nor does a new process get a new right. */
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  g_assert_cmpstr (tell (ground, plugin, "say too much"), ==, "ok 4");
  g_assert_cmpuint (ground->sent->len, ==, 20);
}

static void
test_a_filter_answers_what_it_sees (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=send\n");

  show (plugin, FALSE, "answer me");
  driver_wait (ground->sent, 1);
  g_assert_cmpstr (driver_last (ground->sent), ==, "bob@example.org me");
}

static void
test_a_filter_that_hangs_is_stopped_and_the_rest_goes_on (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=see\n");

  show (plugin, FALSE, "hang");
  for (guint i = 0; i < 1000; i++) /* returns at once, whatever it does with them */
    show (plugin, FALSE, "more");
  driver_wait (ground->client.states, ground->client.states->len + 1);
  g_assert_cmpstr (driver_last (ground->client.states), ==, "crashed did not answer in time and was stopped");
  show (plugin, FALSE, "more");
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  /* What was in its queue went with it; so did what it watched, until it said so again. */
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 0");
  show (plugin, FALSE, "again");
  g_assert_cmpstr (tell (ground, plugin, "seen"), ==, "ok 1 from bob@example.org 1700000000: again");
}

static void
test_a_slow_filter_misses_copies_but_none_is_cut (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=see\n");
  g_autofree char *large = g_strnfill (65536, 'x');

  for (guint i = 0; i < 100; i++)
    show (plugin, FALSE, large);
  /* One is with it, and 32 wait. */
  for (guint i = 0; i < 20 && strncmp (tell (ground, plugin, "seen"), "failed too many", 15) == 0; i++)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (g_str_has_prefix (tell (ground, plugin, "seen"), "ok 33 from bob"));
}

static void
test_a_filter_that_crashes_is_reported (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=see\n");

  show (plugin, FALSE, "crash");
  driver_wait (ground->client.states, ground->client.states->len + 1);
  g_assert_true (g_str_has_prefix (driver_last (ground->client.states), "crashed crashed ("));
}

static void
test_units_are_converted_as_people_say_them (Ground *ground, gconstpointer data)
{
  static const struct
  {
    const char *said, *answer;
  } rows[] = {
    { "6 ft", "ok 6 ft = 1.8 m" },
    { "it is -40F, then 95 °F", "ok -40 °F = -40 °C, 95 °F = 35 °C" },
    { "12 Miles, 5.5 lbs (3 gal) 30 mph",
      "ok 12 mi = 19 km, 5.5 lb = 2.5 kg, 3 gal = 11 l, 30 mph = 48 km/h" },
    { "1 ft 2 ft 3 ft 4 ft 5 ft 6 ft",
      "ok 1 ft = 0.3 m, 2 ft = 0.6 m, 3 ft = 0.9 m, 4 ft = 1.2 m, 5 ft = 1.5 m" },
    { "32 F", "ok 32 °F = 0 °C" },
    { "I live at number 6 feathers", "failed say what to convert: /units 6 ft, or /units share on" },
    { "v1.5 ft2", "failed say what to convert: /units 6 ft, or /units share on" },
    { "", "failed say what to convert: /units 6 ft, or /units share on" },
    { "9e99 ft, nan ft, ft, 7", "failed say what to convert: /units 6 ft, or /units share on" },
  };
  g_autoptr (Plugin) plugin = driver_install_sample (&ground->client, "units", "plugin");

  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    g_assert_cmpstr (driver_run (&ground->client, plugin, "units", rows[i].said), ==, rows[i].answer);
  show (plugin, FALSE, "12 mi = 19 km"); /* another's copy of this plugin has seen to it */
  show (plugin, FALSE, "5 mi from here");
  driver_wait (ground->client.notifications, 1);
  g_assert_cmpstr (driver_last (ground->client.notifications), ==, "bob@example.org: 5 mi = 8 km");
  g_assert_cmpuint (ground->client.notifications->len, ==, 1);
}

/* ---- network ---- */

static void
test_connections_are_made_where_granted (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "connect=127.0.0.1:@PORT@;localhost:@PORT@\n");
  g_autofree char *granted = g_strdup_printf ("connect 127.0.0.1 %u", ground->client.server.port);
  g_autofree char *name = g_strdup_printf ("connect localhost %u", ground->client.server.port);

  g_assert_cmpstr (tell (ground, plugin, granted), ==, "ok 0");
  g_assert_cmpstr (tell (ground, plugin, name), ==, "ok 0");
  driver_wait_for_connections (&ground->client, 2);
  g_assert_cmpstr (tell (ground, plugin, "connect 127.0.0.1 1"), ==, "ok 2");     /* HOST_DENIED */
  g_assert_cmpstr (tell (ground, plugin, "connect example.org 443"), ==, "ok 2"); /* HOST_DENIED */
  g_assert_cmpstr (tell (ground, plugin, "connect 127.0.0.1 70000"), ==, "ok 1"); /* HOST_BAD_INPUT */
  driver_server_stop (&ground->client.server);
  g_assert_cmpstr (tell (ground, plugin, granted), ==, "ok 4"); /* HOST_RETRY */
  driver_server_start (&ground->client.server);
}

/* ---- functions ---- */

static void
answer (Plugin *plugin, guint call, guint result, const char *reason, const char *text)
{
  g_autoptr (GBytes) value = text != NULL ? g_bytes_new (text, strlen (text)) : NULL;
  PluginCallOutcome outcome = { result, reason, value };

  plugin_answer_call (plugin, call, &outcome);
}

static void
test_functions_answer_later_and_in_any_order (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "functions=yes\n");

  g_assert_cmpstr (tell (ground, plugin, "call - forecast Lisbon"), ==, "ok 0 1");
  g_assert_cmpstr (tell (ground, plugin, "call herald forecast Porto"), ==, "ok 0 2");
  g_assert_cmpstr (tell (ground, plugin, "call other forecast Porto"), ==, "ok 2 0"); /* HOST_DENIED */
  driver_wait (ground->calls, 2);
  g_assert_cmpstr (ground->calls->pdata[0], ==, "1 forecast Lisbon");
  g_assert_cmpstr (ground->calls->pdata[1], ==, "2 forecast Porto");
  answer (plugin, 2, 0, "", "rain");
  g_assert_cmpstr (tell (ground, plugin, "outcome"), ==, "ok 2 0 rain|");
  answer (plugin, 1, 2, "you have no licence for it", "never shown");
  g_assert_cmpstr (tell (ground, plugin, "outcome"), ==, "ok 1 2 |you have no licence for it");
  answer (plugin, 1, 0, "", "twice"); /* nothing */
  g_assert_cmpstr (tell (ground, plugin, "outcome"), ==, "ok 1 2 |you have no licence for it");
}

static void
test_a_function_can_be_waited_for (Ground *ground, gconstpointer data)
{
  static const struct
  {
    guint result;
    const char *reason, *text, *said;
  } rows[] = { { 0, "", "rain", "ok 0 rain" },
               { 0, "", "0123456789abcdef", "ok 0 0123456789abcdef" },
               { 0, "", "0123456789abcdefg", "ok 5" }, /* no room */
               { 1, "what?", NULL, "ok 1" },
               { 4, "offline", NULL, "ok 4" } };
  g_autoptr (Plugin) plugin = take (ground, "functions=yes\n");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      plugin_run_command (plugin, "herald", "run now", driver_on_result, ground);
      driver_wait (ground->calls, i + 1);
      answer (plugin, i + 1, rows[i].result, rows[i].reason, rows[i].text);
      driver_wait (ground->client.results, i + 1);
      g_assert_cmpstr (driver_last (ground->client.results), ==, rows[i].said);
    }
}

static void
test_eight_calls_are_open_at_most_and_go_with_the_process (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "functions=yes\n");

  for (guint i = 1; i <= 8; i++)
    {
      g_autofree char *said = g_strdup_printf ("ok 0 %u", i);
      g_assert_cmpstr (tell (ground, plugin, "call - f x"), ==, said);
    }
  g_assert_cmpstr (tell (ground, plugin, "call - f x"), ==, "ok 4 0"); /* HOST_RETRY */
  answer (plugin, 3, 0, "", "done");
  g_assert_cmpstr (tell (ground, plugin, "outcome"), ==, "ok 3 0 done|");
  g_assert_cmpstr (tell (ground, plugin, "call - f x"), ==, "ok 0 9");

  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");
  answer (plugin, 1, 0, "", "for another process");
  g_assert_cmpstr (tell (ground, plugin, "outcome"), ==, "ok ");
}

/* A legacy plugin, whose functions look to it like its old host's. */
static char *
ship_caller (Ground *ground, const char *permissions)
{
  g_autofree char *object = g_build_filename (g_getenv ("PLUGIN_PROBES"), "libcaller.so", NULL);
  g_autofree char *text = g_strdup_printf (
      "[Plugin]\nformat=1\nid=caller\nname=Caller\nversion=1\nobject=libcaller.so\n"
      "sha256=@SHA256@\n[Permissions]\n%s[Provide]\n"
      "call_forecast=cstr (cstr input) -> function forecast\n"
      "call_places=cstr (cstr input) -> function store.list-all\n"
      "[Command ask]\ncall=int caller_ask (cstr input, buf 256 output, i32 sizeof(output))\n"
      "[Limits]\ncall-timeout-ms=2000\n",
      permissions);

  return driver_ship (&ground->client, object, "caller.legacy", text);
}

static void
test_a_legacy_plugin_calls_functions_as_its_hosts (Ground *ground, gconstpointer data)
{
  g_autofree char *path = ship_caller (ground, "functions=yes\n");
  PluginEvents events = driver_events;
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = driver_install (&ground->client, path, &error);
  g_autoptr (Plugin) plugin = NULL;
  GPtrArray *results = ground->client.results;

  g_assert_no_error (error);
  g_assert_nonnull (info);
  events.call = on_call;
  events.wish = on_wish;
  plugin = plugin_new (ground->client.host, "caller", TEST_JID, &events, ground, &error);
  g_assert_cmpstr (driver_start (&ground->client, plugin, NULL), ==, "running ");

  plugin_run_command (plugin, "ask", "Lisbon", driver_on_result, ground);
  driver_wait (ground->calls, 1);
  g_assert_cmpstr (driver_last (ground->calls), ==, "1 forecast Lisbon");
  answer (plugin, 1, 0, "", "sunny");
  driver_wait (results, 1);
  g_assert_cmpstr (driver_last (results), ==, "ok sunny");

  plugin_run_command (plugin, "ask", "places", driver_on_result, ground);
  driver_wait (ground->calls, 2);
  g_assert_cmpstr (driver_last (ground->calls), ==, "2 store.list-all ");
  answer (plugin, 2, 2, "you have no licence for it", NULL);
  driver_wait (results, 2);
  g_assert_cmpstr (driver_last (results), ==, "failed caller_ask returned -1");
  g_assert_cmpstr (driver_last (ground->client.lines), ==, "you have no licence for it");

  /* One that never ends is the plugin's time, and ends with it. */
  plugin_run_command (plugin, "ask", "Porto", driver_on_result, ground);
  driver_wait (results, 3);
  g_assert_cmpstr (driver_last (results), ==, "gone did not answer in time and was stopped");
  answer (plugin, 3, 0, "", "too late");
}

static void
test_a_legacy_plugin_must_ask_for_functions (Ground *ground, gconstpointer data)
{
  g_autofree char *path = ship_caller (ground, "");
  g_autoptr (GError) error = NULL;

  g_assert_null (driver_install (&ground->client, path, &error));
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR);
  g_assert_nonnull (
      strstr (error->message, "[Provide] call_forecast: a function needs functions=yes in [Permissions]"));
}

/* ---- states ---- */

static PluginStatusKind
status_of (Ground *ground, const char *account, char **reason)
{
  g_autoptr (GPtrArray) states = plugin_host_list_states (ground->client.host, account);
  const PluginStatus *status = states->pdata[0];

  g_assert_cmpuint (states->len, ==, 1);
  if (reason != NULL)
    *reason = g_strdup (status->reason);
  return status->kind;
}

static void
test_the_state_of_each_plugin_is_told_apart (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=see\n");
  PluginHost *host = ground->client.host;
  const PluginInfo *info = plugin_peek_info (plugin);
  PluginReport report = { .state = PLUGIN_STATE_OFF, .reason = "" };
  g_autofree char *object
      = g_strdup_printf ("%s/config/plugins/herald/%s/libherald.so", ground->client.folder, info->hash);
  g_autofree char *reason = NULL;

  g_assert_cmpint (status_of (ground, TEST_JID, NULL), ==, PLUGIN_STATUS_VERIFIED);
  report.state = PLUGIN_STATE_RUNNING;
  plugin_host_note_state (host, info, TEST_JID, &report);
  g_assert_cmpint (status_of (ground, TEST_JID, NULL), ==, PLUGIN_STATUS_RUNNING);
  g_assert_cmpint (status_of (ground, "other@example.org", NULL), ==, PLUGIN_STATUS_VERIFIED);
  g_assert_cmpint (status_of (ground, NULL, NULL), ==, PLUGIN_STATUS_VERIFIED);
  report = (PluginReport){ .state = PLUGIN_STATE_EXPIRED, .reason = "it is over" };
  plugin_host_note_state (host, info, TEST_JID, &report);
  g_assert_cmpint (status_of (ground, TEST_JID, &reason), ==, PLUGIN_STATUS_EXPIRED);
  g_assert_cmpstr (reason, ==, "it is over");
  report = (PluginReport){ .state = PLUGIN_STATE_CRASHED, .reason = "crashed (Aborted)" };
  plugin_host_note_state (host, info, TEST_JID, &report);
  g_assert_cmpint (status_of (ground, TEST_JID, NULL), ==, PLUGIN_STATUS_CRASHED);
  report = (PluginReport){ .state = PLUGIN_STATE_BAD_SERIAL, .reason = "no" };
  plugin_host_note_state (host, info, TEST_JID, &report);
  g_assert_cmpint (status_of (ground, TEST_JID, NULL), ==, PLUGIN_STATUS_REFUSED);

  g_file_set_contents (object, "tampered", -1, NULL);
  g_free (reason);
  g_assert_cmpint (status_of (ground, TEST_JID, &reason), ==, PLUGIN_STATUS_REFUSED);
  g_assert_nonnull (strstr (reason, "is not the object"));
}

static void
test_a_process_that_is_gone_runs_nothing (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "");
  PluginReport report = { .state = PLUGIN_STATE_RUNNING, .reason = "" };
  g_autofree char *path = g_build_filename (ground->client.folder, "config/plugins/herald/state", NULL);
  g_autoptr (GKeyFile) file = g_key_file_new ();

  plugin_host_note_state (ground->client.host, plugin_peek_info (plugin), TEST_JID, &report);
  g_assert_true (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL));
  /* The same number, but another process: it began at another time. */
  g_key_file_set_uint64 (file, TEST_JID, "began", 1);
  g_assert_true (g_key_file_save_to_file (file, path, NULL));
  g_assert_cmpint (status_of (ground, TEST_JID, NULL), ==, PLUGIN_STATUS_VERIFIED);
}

static void
test_peers_are_allowed_for_one_account (Ground *ground, gconstpointer data)
{
  g_autoptr (Plugin) plugin = take (ground, "messages=send\n");
  PluginHost *host = ground->client.host;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) peers = NULL;

  g_assert_cmpint (plugin_peek_info (plugin)->messages, ==, PLUGIN_MESSAGES_SEND);
  g_assert_true (plugin_host_allow (host, "herald", "a=b@example.org", "bob@example.org", TRUE, &error));
  g_assert_true (plugin_host_allow (host, "herald", "a=b@example.org", "bob@example.org", TRUE, &error));
  peers = plugin_host_list_peers (host, "herald", "a=b@example.org");
  g_assert_cmpuint (g_strv_length (peers), ==, 1);
  g_strfreev (peers);
  peers = plugin_host_list_peers (host, "herald", TEST_JID);
  g_assert_cmpuint (g_strv_length (peers), ==, 0);
  g_assert_true (plugin_host_allow (host, "herald", "a=b@example.org", "bob@example.org", FALSE, &error));
  g_strfreev (peers);
  peers = plugin_host_list_peers (host, "herald", "a=b@example.org");
  g_assert_cmpuint (g_strv_length (peers), ==, 0);
  g_assert_false (plugin_host_allow (host, "nobody", TEST_JID, "bob@example.org", TRUE, &error));
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED);
}

#define add(path, function) g_test_add ("/plugin-grants/" path, Ground, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  add ("what-was-not-granted-is-not-there", test_what_was_not_granted_is_not_there);
  add ("frames-of-what-was-not-granted-end-the-plugin", test_frames_of_what_was_not_granted_end_the_plugin);
  add ("a-wish-is-told-of-once-and-a-second-one-waits-its-turn",
       test_a_wish_is_told_of_once_and_a_second_one_waits_its_turn);
  add ("a-wish-is-not-granted-again-and-again", test_a_wish_is_not_granted_again_and_again);
  add ("a-wish-of-a-process-that-is-gone-is-nobodys", test_a_wish_of_a_process_that_is_gone_is_nobodys);
  add ("nothing-is-installed-that-was-not-agreed-to", test_nothing_is_installed_that_was_not_agreed_to);
  add ("an-upgrade-that-asks-for-no-more-needs-no-answer",
       test_an_upgrade_that_asks_for_no_more_needs_no_answer);
  add ("a-copy-that-nobody-agreed-to-does-not-start", test_a_copy_that_nobody_agreed_to_does_not_start);
  add ("copies-come-in-order-and-the-way-that-is-watched",
       test_copies_come_in_order_and_the_way_that_is_watched);
  add ("without-the-permission-no-copy-comes-and-nothing-is-sent",
       test_without_the_permission_no_copy_comes_and_nothing_is_sent);
  add ("sending-has-its-limits", test_sending_has_its_limits);
  add ("a-filter-answers-what-it-sees", test_a_filter_answers_what_it_sees);
  add ("a-filter-that-hangs-is-stopped-and-the-rest-goes-on",
       test_a_filter_that_hangs_is_stopped_and_the_rest_goes_on);
  add ("a-slow-filter-misses-copies-but-none-is-cut", test_a_slow_filter_misses_copies_but_none_is_cut);
  add ("a-filter-that-crashes-is-reported", test_a_filter_that_crashes_is_reported);
  add ("units-are-converted-as-people-say-them", test_units_are_converted_as_people_say_them);
  add ("connections-are-made-where-granted", test_connections_are_made_where_granted);
  add ("functions-answer-later-and-in-any-order", test_functions_answer_later_and_in_any_order);
  add ("a-function-can-be-waited-for", test_a_function_can_be_waited_for);
  add ("eight-calls-are-open-at-most-and-go-with-the-process",
       test_eight_calls_are_open_at_most_and_go_with_the_process);
  add ("a-legacy-plugin-calls-functions-as-its-hosts", test_a_legacy_plugin_calls_functions_as_its_hosts);
  add ("a-legacy-plugin-must-ask-for-functions", test_a_legacy_plugin_must_ask_for_functions);
  add ("the-state-of-each-plugin-is-told-apart", test_the_state_of_each_plugin_is_told_apart);
  add ("a-process-that-is-gone-runs-nothing", test_a_process_that_is_gone_runs_nothing);
  add ("peers-are-allowed-for-one-account", test_peers_are_allowed_for_one_account);
  return g_test_run ();
}
