#include "host-client/core/test-driver.h"

#include "common/base/test-folder.h"

#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a plugin server, small as can be ---- */

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
  TestServer *server = data;
  int fd;

  while ((fd = accept (server->fd, NULL, NULL)) >= 0)
    {
      g_atomic_int_inc (&server->connections);
      serve_one (fd);
      close (fd);
    }
  return NULL;
}

void
driver_server_start (TestServer *server)
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

void
driver_server_stop (TestServer *server)
{
  (void)shutdown (server->fd, SHUT_RDWR);
  g_thread_join (server->thread);
  close (server->fd);
}

void
driver_wait_for_connections (TestClient *client, int n)
{
  gint64 until_us = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;

  while (g_atomic_int_get (&client->server.connections) < n && g_get_monotonic_time () < until_us)
    g_usleep (1000);
  g_assert_cmpint (g_atomic_int_get (&client->server.connections), ==, n);
}

/* ---- a client's folder ---- */

void
driver_set_up (TestClient *client, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *config = NULL;
  PluginHostOptions options = { 0 };

  client->folder = g_dir_make_tmp ("plugin-test-XXXXXX", &error);
  g_assert_no_error (error);
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
  driver_server_start (&client->server);
}

void
driver_tear_down (TestClient *client, gconstpointer data)
{
  driver_server_stop (&client->server);
  plugin_host_free (client->host);
  clock_free (client->clock);
  test_folder_remove (client->folder);
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
  TestClient *client = data;

  g_ptr_array_add (client->states, g_strdup_printf ("%s %s", names[report->state], report->reason));
}

static void
on_log (Plugin *plugin, GLogLevelFlags level, const char *line, gpointer data)
{
  g_ptr_array_add (((TestClient *)data)->lines, g_strdup (line));
}

static void
on_notify (Plugin *plugin, const char *title, const char *text, gpointer data)
{
  g_ptr_array_add (((TestClient *)data)->notifications, g_strdup_printf ("%s: %s", title, text));
}

void
driver_on_result (Plugin *plugin, PluginResult result, const char *text, gpointer data)
{
  static const char *const names[] = { "ok", "failed", "expired", "bad-serial", "gone" };

  g_ptr_array_add (((TestClient *)data)->results, g_strdup_printf ("%s %s", names[result], text));
}

const PluginEvents driver_events = { .state = on_state, .log = on_log, .notify = on_notify };

static gboolean
on_too_late (gpointer data)
{
  g_error ("nothing happened for 20 seconds");
  return G_SOURCE_REMOVE;
}

void
driver_wait (GPtrArray *list, guint length)
{
  guint timeout = g_timeout_add_seconds (20, on_too_late, NULL);

  while (list->len < length)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timeout);
}

const char *
driver_last (GPtrArray *list)
{
  return list->len > 0 ? list->pdata[list->len - 1] : "nothing";
}

const char *
driver_settle (TestClient *client, Plugin *plugin)
{
  guint timeout = g_timeout_add_seconds (20, on_too_late, NULL);

  while (plugin_peek_report (plugin)->state == PLUGIN_STATE_STARTING || g_main_context_pending (NULL))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timeout);
  return driver_last (client->states);
}

const char *
driver_start (TestClient *client, Plugin *plugin, const char *serial)
{
  g_autoptr (Secret) secret = serial != NULL ? secret_new (serial, strlen (serial)) : NULL;
  PluginLicence licence = { .serial = secret, .user = TEST_USER };

  plugin_start (plugin, &licence);
  return driver_settle (client, plugin);
}

const char *
driver_run (TestClient *client, Plugin *plugin, const char *command, const char *input)
{
  guint n = client->results->len;

  plugin_run_command (plugin, command, input, driver_on_result, client);
  g_assert_cmpuint (client->results->len, ==, n); /* never from within */
  driver_wait (client->results, n + 1);
  return driver_last (client->results);
}

static void
on_installed (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

PluginInfo *
driver_install (TestClient *client, const char *path, GError **error)
{
  g_autoptr (PluginInfo) shown = plugin_info_read (path, NULL);

  if (shown != NULL)
    plugin_host_agree (client->host, shown);
  return driver_install_unagreed (client, path, error);
}

PluginInfo *
driver_install_unagreed (TestClient *client, const char *path, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  plugin_host_install_async (client->host, path, NULL, on_installed, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return plugin_host_install_finish (client->host, result, error);
}

char *
driver_ship (TestClient *client, const char *object, const char *file, const char *text)
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

Plugin *
driver_install_shipped (TestClient *client, const char *path, const char *id)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = driver_install (client, path, &error);
  Plugin *plugin;

  g_assert_no_error (error);
  g_assert_nonnull (info);
  g_assert_cmpstr (info->id, ==, id);
  plugin = plugin_new (client->host, id, TEST_JID, &driver_events, client, &error);
  g_assert_no_error (error);
  return plugin;
}

Plugin *
driver_install_sample (TestClient *client, const char *id, const char *ending)
{
  g_autofree char *object = g_strdup_printf ("%s/%s/lib%s.so", g_getenv ("PLUGIN_OBJECTS"), id, id);
  g_autofree char *template = g_strdup_printf ("%s/%s/%s.%s.in", g_getenv ("PLUGIN_SAMPLES"), id, id, ending);
  g_autofree char *file = g_strdup_printf ("%s.%s", id, ending);
  g_autofree char *text = NULL;
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (template, &text, NULL, &error);
  g_assert_no_error (error);
  path = driver_ship (client, object, file, text);
  return driver_install_shipped (client, path, id);
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
      "[Limits]\ncall-timeout-ms=2400\nrestart=1/60s\n";

char *
driver_ship_probe (TestClient *client, const char *name)
{
  g_autofree char *object = g_strdup_printf ("%s/lib%s.so", g_getenv ("PLUGIN_PROBES"), name);
  g_autofree char *file = g_strdup_printf ("%s.legacy", name);
  g_autofree char *text = NULL;

  text = g_strdup_printf (probe_text, name, name);
  return driver_ship (client, object, file, text);
}

Plugin *
driver_install_probe (TestClient *client, const char *name)
{
  g_autofree char *path = driver_ship_probe (client, name);

  return driver_install_shipped (client, path, name);
}
