/* Drives real plugins through host-client/core/plugin: each test starts processes as the client does. */
#include "host-client/core/plugin.h"

#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER "k3q7a2m5c4d6e7f2g3h4i5j6k7"
#define JID  "alice@example.org"

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

/* ---- a plugin server, small as can be ---- */

typedef struct
{
  int fd;
  guint16 port;
  GThread *thread;
  int connections; /* atomic */
} Server;

static void
serve_one (int fd)
{
  char request[4096];
  gsize length = 0;
  const char *answer = "HTTP/1.0 404 Not Found\r\n\r\nno";

  while (length < sizeof request - 1)
    {
      gssize n = recv (fd, request + length, sizeof request - 1 - length, 0);
      const char *body, *size;

      if (n <= 0)
        return;
      length += (gsize)n;
      request[length] = '\0';
      body = strstr (request, "\r\n\r\n");
      size = strstr (request, "Content-Length: ");
      if (body != NULL && (size == NULL || strlen (body + 4) >= (gsize)atoi (size + 16)))
        break;
    }
  if (g_str_has_prefix (request, "POST /v1/session "))
    answer = "HTTP/1.0 200 OK\r\n\r\n{\"session\":\"0123456789abcdef0123456789abcdef\"}";
  else if (strstr (request, "X-Session: 0123456789abcdef0123456789abcdef\r\n") == NULL)
    answer = "HTTP/1.0 401 Unauthorized\r\n\r\n";
  else if (g_str_has_prefix (request, "GET /v1/weather?place=Lisbon "))
    answer = "HTTP/1.0 200 OK\r\n\r\nLisbon: 17 °C, light rain\n";
  else if (g_str_has_prefix (request, "GET /v1/quote?topic= "))
    answer = "HTTP/1.0 200 OK\r\n\r\n“Begin.” — Seneca\n";
  (void)!send (fd, answer, strlen (answer), MSG_NOSIGNAL);
}

static gpointer
serve (gpointer data)
{
  Server *server = data;
  int fd;

  while ((fd = accept (server->fd, NULL, NULL)) >= 0)
    {
      g_atomic_int_inc (&server->connections);
      serve_one (fd);
      close (fd);
    }
  return NULL;
}

static void
server_start (Server *server)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof at;

  server->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (server->fd, (struct sockaddr *)&at, sizeof at), ==, 0);
  g_assert_cmpint (listen (server->fd, 16), ==, 0);
  g_assert_cmpint (getsockname (server->fd, (struct sockaddr *)&at, &size), ==, 0);
  server->port = ntohs (at.sin_port);
  server->connections = 0;
  server->thread = g_thread_new ("plugin-server", serve, server);
}

static void
server_stop (Server *server)
{
  (void)shutdown (server->fd, SHUT_RDWR);
  g_thread_join (server->thread);
  close (server->fd);
}

/* ---- a client's folder ---- */

typedef struct
{
  char *folder;
  Clock *clock;
  PluginHost *host;
  Server server;

  /* what the plugin under test said */
  GPtrArray *states; /* of char *: "state reason" */
  GPtrArray *lines;  /* log */
  GPtrArray *notifications;
  GPtrArray *results; /* "result text" */
} Client;

static void
client_set_up (Client *client, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *config = NULL;
  PluginHostOptions options = { 0 };

  client->folder = g_dir_make_tmp ("plugin-test-XXXXXX", &error);
  g_assert_no_error (error);
  /* As root the plugins have users of their own, who must find their way to their folders. */
  g_assert_cmpint (chmod (client->folder, 0711), ==, 0);
  config = g_build_filename (client->folder, "config", NULL);
  client->clock = clock_new_system ();
  options.folder = config;
  options.runner_path = g_getenv ("PLUGIN_RUNNER");
  options.clock = client->clock;
  options.uid_base = 61184;
  client->host = plugin_host_new (&options, &error);
  g_assert_no_error (error);
  client->states = g_ptr_array_new_with_free_func (g_free);
  client->lines = g_ptr_array_new_with_free_func (g_free);
  client->notifications = g_ptr_array_new_with_free_func (g_free);
  client->results = g_ptr_array_new_with_free_func (g_free);
  server_start (&client->server);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      remove_tree (child);
    }
  (void)g_remove (path);
}

static void
client_tear_down (Client *client, gconstpointer data)
{
  server_stop (&client->server);
  plugin_host_free (client->host);
  clock_free (client->clock);
  remove_tree (client->folder);
  g_ptr_array_unref (client->states);
  g_ptr_array_unref (client->lines);
  g_ptr_array_unref (client->notifications);
  g_ptr_array_unref (client->results);
  g_free (client->folder);
}

static void
on_state (Plugin *plugin, const PluginReport *report, gpointer data)
{
  static const char *const names[]
      = { "off", "starting", "running", "needs-serial", "bad-serial", "expired", "refused", "crashed" };
  Client *client = data;

  g_ptr_array_add (client->states, g_strdup_printf ("%s %s", names[report->state], report->reason));
}

static void
on_log (Plugin *plugin, GLogLevelFlags level, const char *line, gpointer data)
{
  g_ptr_array_add (((Client *)data)->lines, g_strdup (line));
}

static void
on_notify (Plugin *plugin, const char *title, const char *text, gpointer data)
{
  g_ptr_array_add (((Client *)data)->notifications, g_strdup_printf ("%s: %s", title, text));
}

static void
on_result (Plugin *plugin, PluginResult result, const char *text, gpointer data)
{
  static const char *const names[] = { "ok", "failed", "expired", "bad-serial", "gone" };

  g_ptr_array_add (((Client *)data)->results, g_strdup_printf ("%s %s", names[result], text));
}

static const PluginEvents events = { .state = on_state, .log = on_log, .notify = on_notify };

static gboolean
on_too_late (gpointer data)
{
  g_error ("nothing happened for 20 seconds");
  return G_SOURCE_REMOVE;
}

/* Runs the loop until @list is @length long. */
static void
wait_for (GPtrArray *list, guint length)
{
  guint timeout = g_timeout_add_seconds (20, on_too_late, NULL);

  while (list->len < length)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timeout);
}

static const char *
last (GPtrArray *list)
{
  return list->len > 0 ? list->pdata[list->len - 1] : "nothing";
}

/* Runs the loop until the plugin is no longer starting; what it says then. */
static const char *
settle (Client *client, Plugin *plugin)
{
  guint timeout = g_timeout_add_seconds (20, on_too_late, NULL);

  while (plugin_peek_report (plugin)->state == PLUGIN_STATE_STARTING || g_main_context_pending (NULL))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timeout);
  return last (client->states);
}

static const char *
start (Client *client, Plugin *plugin, const char *serial)
{
  g_autoptr (Secret) secret = serial != NULL ? secret_new (serial, strlen (serial)) : NULL;
  PluginLicence licence = { .serial = secret, .user = USER };

  plugin_start (plugin, &licence);
  return settle (client, plugin);
}

static const char *
run (Client *client, Plugin *plugin, const char *command, const char *input)
{
  guint n = client->results->len;

  plugin_run_command (plugin, command, input, on_result, client);
  g_assert_cmpuint (client->results->len, ==, n); /* never from within */
  wait_for (client->results, n + 1);
  return last (client->results);
}

static void
on_installed (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static PluginInfo *
try_install (Client *client, const char *path, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  plugin_host_install_async (client->host, path, NULL, on_installed, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return plugin_host_install_finish (client->host, result, error);
}

/* Lays the vendor's files out in a folder as it ships them: the object, and the descriptor made from @text
 * with the object's hash in place of @SHA256@ and our server's port in place of @PORT@. Caller frees the
 * descriptor's path. */
static char *
ship (Client *client, const char *object, const char *file, const char *text)
{
  g_autofree char *object_name = g_path_get_basename (object);
  g_autofree char *copy = g_build_filename (client->folder, object_name, NULL);
  g_autofree char *bytes = NULL;
  g_autofree char *sum = NULL;
  g_autofree char *port = g_strdup_printf ("%u", client->server.port);
  g_autoptr (GString) descriptor = g_string_new (text);
  g_autoptr (GError) error = NULL;
  char *path = g_build_filename (client->folder, file, NULL);
  gsize length;

  g_file_get_contents (object, &bytes, &length, &error);
  g_assert_no_error (error);
  g_file_set_contents (copy, bytes, (gssize)length, &error);
  g_assert_no_error (error);
  sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (guchar *)bytes, length);
  g_string_replace (descriptor, "@SHA256@", sum, 0);
  g_string_replace (descriptor, "@PORT@", port, 0);
  g_string_replace (descriptor, "@HOST@", "127.0.0.1", 0);
  g_file_set_contents (path, descriptor->str, -1, &error);
  g_assert_no_error (error);
  return path;
}

/* Installs one of the samples. */
static Plugin *
install_sample (Client *client, const char *id, const char *ending)
{
  g_autofree char *object = g_strdup_printf ("%s/%s/lib%s.so", g_getenv ("PLUGIN_OBJECTS"), id, id);
  g_autofree char *template = g_strdup_printf ("%s/%s/%s.%s.in", g_getenv ("PLUGIN_SAMPLES"), id, id, ending);
  g_autofree char *file = g_strdup_printf ("%s.%s", id, ending);
  g_autofree char *text = NULL;
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = NULL;
  Plugin *plugin;

  g_file_get_contents (template, &text, NULL, &error);
  g_assert_no_error (error);
  path = ship (client, object, file, text);
  info = try_install (client, path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (info->id, ==, id);
  plugin = plugin_new (client->host, id, JID, &events, client, &error);
  g_assert_no_error (error);
  return plugin;
}

static const char probe_text[]
    = "[Plugin]\nformat=1\nid=%s\nname=Probe\nversion=1\nobject=lib%s.so\nsha256=@SHA256@\n"
      "[Permissions]\nconnect=127.0.0.1:@PORT@;localhost:@PORT@\ndata=64K\n"
      "[Provide]\nhost_log=void (int level, cstr text) -> log\n"
      "[Symbols]\ncheck=int probe_check (cstr serial, out i64 expires:ms)\n"
      "[Return "
      "check]\n0=ok\n-2=bad-serial\n-3=expired\n-4=retry-later\n-5=not-yet-valid\n-6=wrong-user\n-7=seats\n"
      "[Command probe]\ncall=int probe_run (cstr input, buf 512 output, sizeof(output))\n"
      "[Return probe]\n0=ok\n-3=expired\n"
      "[Command who]\ncall=cstr probe_who ()\nfree=probe_free\n"
      "[Deliver]\nenv=PROBE_SERIAL\nglobal=char probe_serial[64]\n"
      "[Limits]\ncall-timeout-ms=1500\nrestart=1/60s\n";

static char *
ship_probe (Client *client, const char *name)
{
  g_autofree char *object = g_strdup_printf ("%s/lib%s.so", g_getenv ("PLUGIN_PROBES"), name);
  g_autofree char *file = g_strdup_printf ("%s.legacy", name);
  g_autofree char *text = NULL;

  text = g_strdup_printf (probe_text, name, name);
  return ship (client, object, file, text);
}

static Plugin *
install_probe (Client *client, const char *name)
{
  g_autofree char *path = ship_probe (client, name);
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = try_install (client, path, &error);
  Plugin *plugin;

  g_assert_no_error (error);
  g_assert_nonnull (info);
  plugin = plugin_new (client->host, name, JID, &events, client, &error);
  g_assert_no_error (error);
  return plugin;
}

/* ---- the samples ---- */

static void
test_weather_judges_its_serial_and_reaches_its_server (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_sample (client, "weather", "legacy");

  g_assert_cmpstr (start (client, plugin, NULL), ==, "needs-serial needs a serial");
  g_assert_cmpstr (start (client, plugin, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"), ==,
                   "bad-serial the serial number is not valid");
  g_assert_cmpstr (start (client, plugin, WEATHER_EXPIRED), ==, "expired the licence has expired");
  g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 946684800 + 5001 * 86400 - 1);
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 0);

  g_assert_cmpstr (start (client, plugin, WEATHER_2030), ==, "running ");
  g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 1897171199);
  g_assert_cmpstr (start (client, plugin, WEATHER_GOOD), ==, "running ");
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 2);
  g_assert_cmpstr (run (client, plugin, "weather", "Lisbon"), ==, "ok Lisbon: 17 °C, light rain");
  g_assert_cmpstr (run (client, plugin, "weather", "Atlantis"), ==, "failed there is no such place");
  g_assert_cmpstr (run (client, plugin, "storm", ""), ==, "failed the plugin has no such command");
  plugin_stop (plugin);
  wait_for (client->states, client->states->len + 1);
  g_assert_cmpstr (last (client->states), ==, "off ");
  g_assert_cmpstr (run (client, plugin, "weather", "Lisbon"), ==, "failed the plugin does not run");
}

static void
test_weather_says_when_its_server_is_away (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_sample (client, "weather", "legacy");

  server_stop (&client->server);
  g_assert_cmpstr (start (client, plugin, WEATHER_GOOD), ==, "refused the weather server does not answer");
  g_assert_cmpint (plugin_peek_report (plugin)->verdict, ==, PLUGIN_VERDICT_RETRY_LATER);
  server_start (&client->server); /* for the tear-down */
}

static void
test_quotes_takes_its_serial_from_its_old_host (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_sample (client, "quotes", "legacy");

  g_assert_cmpstr (start (client, plugin, NULL), ==, "needs-serial needs a serial");
  g_assert_cmpstr (start (client, plugin, "bm9uc2Vuc2U.bm9uc2Vuc2U"), ==,
                   "bad-serial this serial was not made by us");
  g_assert_cmpstr (start (client, plugin, QUOTES_EXPIRED), ==, "expired the subscription ended on 20090101");
  g_assert_cmpstr (start (client, plugin, QUOTES_OTHER), ==, "refused this serial is somebody else's");
  g_assert_cmpint (plugin_peek_report (plugin)->verdict, ==, PLUGIN_VERDICT_WRONG_USER);
  g_assert_cmpstr (start (client, plugin, QUOTES_GOOD), ==, "running ");
  g_assert_cmpstr (run (client, plugin, "quote", ""), ==, "ok “Begin.” — Seneca");
  g_assert_cmpstr (run (client, plugin, "quote", "dragons"), ==, "failed nobody said anything about that");
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "logged in", g_str_equal, NULL));
}

static void
test_dice_finds_its_key_in_a_file (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_sample (client, "dice", "legacy");
  int first, second, sum;

  g_assert_true (g_str_has_prefix (start (client, plugin, "40001-11122-22333-34447"), "bad-serial "));
  g_assert_cmpstr (start (client, plugin, DICE_GOOD), ==, "running ");
  g_assert_cmpint (
      sscanf (run (client, plugin, "roll", "2d6+1"), "ok 2d6+1: %d %d = %d", &first, &second, &sum), ==, 3);
  g_assert_cmpint (first + second + 1, ==, sum);
  g_assert_true (first >= 1 && first <= 6 && second >= 1 && second <= 6);
  g_assert_true (g_str_has_prefix (run (client, plugin, "roll", "two"), "failed "));
}

static void
test_reminders_are_kept_and_shown (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_sample (client, "reminders", "plugin");
  gsize n;

  g_assert_cmpstr (start (client, plugin, NULL), ==, "running ");
  plugin_peek_commands (plugin, &n);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpstr (run (client, plugin, "reminders", ""), ==, "ok There are no reminders.");
  g_assert_true (g_str_has_prefix (run (client, plugin, "remind", "2h Tea"), "ok Reminder 1 at "));
  g_assert_true (g_str_has_prefix (run (client, plugin, "remind", "1s Now"), "ok Reminder 2 at "));
  g_assert_true (g_str_has_prefix (run (client, plugin, "remind", "soon"), "failed say when and what"));
  wait_for (client->notifications, 1);
  g_assert_cmpstr (last (client->notifications), ==, "Reminder: Now");
  /* It forgets what it has shown before it answers anything else. */
  g_assert_null (strstr (run (client, plugin, "reminders", ""), "Now"));

  g_assert_cmpstr (start (client, plugin, NULL), ==, "running ");
  g_assert_true (g_str_has_suffix (run (client, plugin, "reminders", ""), "  Tea"));
  g_assert_cmpstr (run (client, plugin, "forget", "2"), ==,
                   "failed there is no such reminder; /reminders lists them");
  g_assert_cmpstr (run (client, plugin, "forget", "1"), ==, "ok Forgotten.");
  g_assert_cmpstr (run (client, plugin, "reminders", ""), ==, "ok There are no reminders.");
}

/* ---- the sample plugin server ---- */

typedef struct
{
  GPid pid;
  int output;
} Vendor;

/* Starts plugin-server for @plugin and puts its port where the tests' own server's was. */
static void
vendor_start (Vendor *vendor, Client *client, const char *plugin)
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
test_samples_agree_with_the_sample_server (Client *client, gconstpointer data)
{
  Vendor vendor;
  Plugin *plugin;

  vendor_start (&vendor, client, "weather");
  plugin = install_sample (client, "weather", "legacy");
  g_assert_cmpstr (start (client, plugin, WEATHER_2030), ==, "running ");
  g_assert_true (g_str_has_prefix (run (client, plugin, "weather", "lisbon"), "ok Lisbon"));
  g_assert_cmpstr (run (client, plugin, "weather", "Atlantis"), ==, "failed there is no such place");
  plugin_free (plugin);
  vendor_stop (&vendor);

  vendor_start (&vendor, client, "quotes");
  plugin = install_sample (client, "quotes", "legacy");
  g_assert_cmpstr (start (client, plugin, QUOTES_GOOD), ==, "running ");
  g_assert_true (g_str_has_prefix (run (client, plugin, "quote", ""), "ok "));
  g_assert_cmpstr (run (client, plugin, "quote", "submarines"), ==, "failed nobody said anything about that");
  plugin_free (plugin);
  vendor_stop (&vendor);
}

/* ---- what plugins may say ---- */

static void
test_every_verdict_is_told_apart (Client *client, gconstpointer data)
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
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      start (client, plugin, rows[i].serial);
      g_assert_cmpint (plugin_peek_report (plugin)->state, ==, rows[i].state);
      g_assert_cmpint (plugin_peek_report (plugin)->verdict, ==, rows[i].verdict);
      g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 1897171199);
    }
}

static void
test_a_serial_is_delivered_and_never_shown (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  g_assert_cmpstr (start (client, plugin, "good"), ==, "running ");
  g_assert_true (g_ptr_array_find_with_equal_func (client->lines, "constructed", g_str_equal, NULL));
  /* In its environment and its variable; what comes back is masked. */
  g_assert_cmpstr (run (client, plugin, "probe", "delivered"), ==, "ok … … 1");
}

static void
test_an_expiry_during_use_ends_the_plugin (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  start (client, plugin, "good");
  g_assert_cmpstr (run (client, plugin, "probe", "code -3"), ==, "expired probe_run returned -3");
  settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_EXPIRED);
  g_assert_cmpstr (run (client, plugin, "who", ""), ==, "failed the plugin does not run");
}

static void
test_log_lines_are_counted_and_cleaned (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  start (client, plugin, "good");
  g_ptr_array_set_size (client->lines, 0);
  g_assert_cmpstr (run (client, plugin, "probe", "flood"), ==, "ok ");
  g_assert_cmpuint (client->lines->len, ==, 20);
  g_assert_cmpstr (last (client->lines), ==, "line forged [31m");
}

/* ---- the network ---- */

static void
test_only_granted_addresses_are_reached (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");
  g_autofree char *granted = g_strdup_printf ("tcp 127.0.0.1 %u", client->server.port);
  g_autofree char *later = g_strdup_printf ("later 127.0.0.1 %u", client->server.port);
  g_autofree char *named = g_strdup_printf ("name localhost %u", client->server.port);
  g_autofree char *elsewhere = g_strdup_printf ("tcp 127.0.0.2 %u", client->server.port);
  g_autofree char *other_name = g_strdup_printf ("name example.org %u", client->server.port);
  g_autofree char *other_port = g_strdup_printf ("tcp 127.0.0.1 %u", client->server.port ^ 1);
  g_autofree char *udp = g_strdup_printf ("udp 127.0.0.1 %u", client->server.port);

  g_assert_cmpstr (start (client, plugin, "good"), ==, "running ");
  g_assert_cmpstr (run (client, plugin, "probe", granted), ==, "ok done");
  g_assert_cmpstr (run (client, plugin, "probe", later), ==, "ok done");
  g_assert_cmpstr (run (client, plugin, "probe", named), ==, "ok done");
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 3);

  g_assert_cmpstr (run (client, plugin, "probe", elsewhere), ==, "ok EACCES");
  g_assert_cmpstr (run (client, plugin, "probe", other_port), ==, "ok EACCES");
  g_assert_cmpstr (run (client, plugin, "probe", other_name), ==, "ok ENOENT");
  g_assert_cmpstr (run (client, plugin, "probe", "tcp 8.8.8.8 53"), ==, "ok EACCES");
  g_assert_cmpstr (run (client, plugin, "probe", udp), ==, "ok EPERM");
  g_assert_cmpstr (run (client, plugin, "probe", "unix"), ==, "ok EPERM");
  g_assert_cmpstr (run (client, plugin, "probe", "bind"), ==, "ok EPERM");
  g_assert_cmpstr (run (client, plugin, "probe", "listen"), ==, "ok EPERM");
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 3);
}

static void
test_a_plugin_without_connect_has_no_network (Client *client, gconstpointer data)
{
  g_autofree char *path = ship_probe (client, "probe");
  g_autofree char *text = NULL;
  g_autofree char *granted = g_strdup_printf ("tcp 127.0.0.1 %u", client->server.port);
  g_autoptr (GString) changed = NULL;
  g_autoptr (PluginInfo) info = NULL;
  g_autoptr (Plugin) plugin = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  changed = g_string_new (text);
  g_assert_cmpuint (g_string_replace (changed, "connect=", "#connect=", 1), ==, 1);
  g_assert_true (g_file_set_contents (path, changed->str, -1, NULL));
  info = try_install (client, path, &error);
  g_assert_no_error (error);
  plugin = plugin_new (client->host, "probe", JID, &events, client, NULL);
  g_assert_cmpstr (start (client, plugin, "good"), ==, "running ");
  g_assert_cmpstr (run (client, plugin, "probe", granted), ==, "ok EPERM");
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, 0);
}

static void
test_files_of_the_user_are_out_of_reach (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  start (client, plugin, "good");
  g_assert_cmpstr (run (client, plugin, "probe", "read /etc/passwd"), ==, "ok EACCES");
  g_assert_cmpstr (run (client, plugin, "probe", "write mine 5000"), ==, "ok done");
  g_assert_cmpstr (run (client, plugin, "probe", "read mine"), ==, "ok done");
  g_assert_cmpstr (run (client, plugin, "probe", "write /tmp/not-mine 1"), ==, "ok EACCES");
}

static void
test_the_data_folder_has_a_quota (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  start (client, plugin, "good");
  g_assert_cmpstr (run (client, plugin, "probe", "write one 40000"), ==, "ok done");
  /* Each file is below the limit, both together are not. */
  (void)run (client, plugin, "probe", "write two 40000");
  settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_REFUSED);
  g_assert_nonnull (strstr (plugin_peek_report (plugin)->reason, "keeps more in"));
}

/* ---- crashes ---- */

static guint
count_states (Client *client, const char *prefix)
{
  guint n = 0;

  for (guint i = 0; i < client->states->len; i++)
    n += g_str_has_prefix (client->states->pdata[i], prefix);
  return n;
}

static void
test_a_crash_is_one_event_and_can_be_restarted (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  start (client, plugin, "good");
  plugin_run_command (plugin, "probe", "crash", on_result, client);
  plugin_run_command (plugin, "who", "", on_result, client);
  wait_for (client->results, 2);
  settle (client, plugin);
  g_assert_cmpstr (client->results->pdata[0], ==, "gone crashed (Segmentation fault)");
  g_assert_cmpstr (client->results->pdata[1], ==, "gone crashed (Segmentation fault)");
  g_assert_cmpstr (last (client->states), ==, "crashed crashed (Segmentation fault)");
  g_assert_cmpuint (count_states (client, "crashed"), ==, 1);

  g_assert_true (plugin_restart (plugin));
  g_assert_cmpstr (settle (client, plugin), ==, "running ");
  g_assert_cmpstr (run (client, plugin, "who", ""), ==, "ok probe");
  g_assert_cmpstr (run (client, plugin, "probe", "exit"), ==, "gone ended by itself (exit status 0)");
  settle (client, plugin);
  g_assert_cmpuint (count_states (client, "crashed"), ==, 2);
  g_assert_false (plugin_restart (plugin)); /* restart=1/60s */
  g_assert_cmpstr (start (client, plugin, "good"), ==, "running ");
}

static void
test_a_crash_while_it_starts_is_one_event (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");

  g_assert_cmpstr (start (client, plugin, "mayday"), ==, "crashed crashed (Segmentation fault)");
  g_assert_cmpuint (count_states (client, "crashed"), ==, 1);
}

static void
test_a_hang_is_ended_by_the_call_timeout (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");
  gint64 before_us;

  start (client, plugin, "good");
  before_us = g_get_monotonic_time ();
  g_assert_cmpstr (run (client, plugin, "probe", "hang"), ==, "gone did not answer in time and was stopped");
  g_assert_cmpint (g_get_monotonic_time () - before_us, >=, 1400 * 1000);
  settle (client, plugin);
  g_assert_cmpint (plugin_peek_report (plugin)->state, ==, PLUGIN_STATE_CRASHED);
  g_assert_cmpstr (start (client, plugin, "hang"), ==, "crashed did not answer in time and was stopped");
}

static void
test_a_stopped_plugin_answers_what_was_open (Client *client, gconstpointer data)
{
  Plugin *plugin = install_probe (client, "probe");

  start (client, plugin, "good");
  plugin_run_command (plugin, "probe", "hang", on_result, client);
  plugin_run_command (plugin, "who", "", on_result, client);
  g_main_context_iteration (NULL, FALSE);
  plugin_free (plugin);
  g_assert_cmpuint (client->results->len, ==, 2);
  g_assert_cmpstr (last (client->results), ==, "gone was stopped");
}

static void
test_two_plugins_with_the_same_symbols_do_not_meet (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) probe = install_probe (client, "probe");
  g_autoptr (Plugin) twin = install_probe (client, "twin");

  g_assert_cmpstr (start (client, probe, "good"), ==, "running ");
  g_assert_cmpstr (start (client, twin, "good"), ==, "running ");
  g_assert_cmpstr (run (client, probe, "who", ""), ==, "ok probe");
  g_assert_cmpstr (run (client, twin, "who", ""), ==, "ok twin");
}

/* ---- installing ---- */

/* Ships the probe with one change to its descriptor. */
static char *
ship_changed (Client *client, const char *from, const char *to)
{
  g_autofree char *path = ship_probe (client, "probe");
  g_autofree char *text = NULL;
  g_autoptr (GString) changed = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  changed = g_string_new (text);
  g_assert_cmpuint (g_string_replace (changed, from, to, 1), ==, 1);
  g_assert_true (g_file_set_contents (path, changed->str, -1, NULL));
  return g_steal_pointer (&path);
}

static void
expect_refusal (Client *client, const char *path, PluginErrorCode code, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) list = NULL;

  g_assert_null (try_install (client, path, &error));
  g_assert_error (error, PLUGIN_ERROR, (int)code);
  g_assert_nonnull (strstr (error->message, part));
  list = plugin_host_list (client->host);
  g_assert_cmpuint (list->len, ==, 0);
}

static void
test_what_is_not_as_described_is_not_installed (Client *client, gconstpointer data)
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
  expect_refusal (client, missing, PLUGIN_ERROR_DESCRIPTOR, "probe.legacy: [Permissions] data: ");

  g_free (ship_probe (client, "probe"));
  g_assert_true (g_file_get_contents (object, &bytes, &length, NULL));
  bytes[length / 2] ^= 1;
  g_assert_true (g_file_set_contents (object, bytes, (gssize)length, NULL));
  expect_refusal (client, missing, PLUGIN_ERROR_HASH, "is not the object that 'probe.legacy' describes");
}

static void
test_a_changed_copy_is_refused_when_it_starts (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");
  g_autofree char *copy = g_build_filename (client->folder, "config", "plugins", "probe",
                                            plugin_peek_info (plugin)->hash, "libprobe.so", NULL);
  g_autofree char *bytes = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (copy, &bytes, &length, NULL));
  bytes[length / 2] ^= 1;
  g_assert_true (g_file_set_contents (copy, bytes, (gssize)length, NULL));
  g_assert_true (
      g_str_has_prefix (start (client, plugin, "good"), "refused 'libprobe.so' is not the object"));
}

static void
test_a_new_version_replaces_the_old_one (Client *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = install_probe (client, "probe");
  g_autofree char *path = ship_changed (client, "version=1", "version=2");
  g_autofree char *mine = g_build_filename (client->folder, "config", "plugins", "probe", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = try_install (client, path, &error);
  g_autoptr (GDir) dir = NULL;
  guint n = 0;

  g_assert_no_error (error);
  g_assert_cmpstr (info->version, ==, "2");
  g_assert_cmpstr (plugin_peek_info (plugin)->version, ==, "1");
  start (client, plugin, "good");
  g_assert_cmpstr (plugin_peek_info (plugin)->version, ==, "2");
  dir = g_dir_open (mine, 0, NULL);
  while (g_dir_read_name (dir) != NULL)
    n++;
  g_assert_cmpuint (n, ==, 2);                                       /* "current" and one copy */
  g_assert_false (plugin_host_remove (client->host, "probe", NULL)); /* it is in use */
  g_clear_pointer (&plugin, plugin_free);
  g_assert_true (plugin_host_remove (client->host, "probe", NULL));
  g_assert_null (plugin_host_find (client->host, "probe", &error));
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED);
}

#define add(path, function) g_test_add (path, Client, NULL, client_set_up, function, client_tear_down)

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
  add ("/plugin/a-plugin-without-connect-has-no-network", test_a_plugin_without_connect_has_no_network);
  add ("/plugin/files-of-the-user-are-out-of-reach", test_files_of_the_user_are_out_of_reach);
  add ("/plugin/the-data-folder-has-a-quota", test_the_data_folder_has_a_quota);
  add ("/plugin/a-crash-is-one-event-and-can-be-restarted", test_a_crash_is_one_event_and_can_be_restarted);
  add ("/plugin/a-crash-while-it-starts-is-one-event", test_a_crash_while_it_starts_is_one_event);
  add ("/plugin/a-hang-is-ended-by-the-call-timeout", test_a_hang_is_ended_by_the_call_timeout);
  add ("/plugin/a-stopped-plugin-answers-what-was-open", test_a_stopped_plugin_answers_what_was_open);
  add ("/plugin/two-plugins-with-the-same-symbols-do-not-meet",
       test_two_plugins_with_the_same_symbols_do_not_meet);
  add ("/plugin/what-is-not-as-described-is-not-installed", test_what_is_not_as_described_is_not_installed);
  add ("/plugin/a-changed-copy-is-refused-when-it-starts", test_a_changed_copy_is_refused_when_it_starts);
  add ("/plugin/a-new-version-replaces-the-old-one", test_a_new_version_replaces_the_old_one);
  return g_test_run ();
}
