/* What the tests of plugins share: a client's folder with a PluginHost, a plugin server as small as can be,
 * and functions that start real plugins and wait for what they say. */
#pragma once

#include "host-client/core/plugin.h"

#define TEST_USER "k3q7a2m5c4d6e7f2g3h4i5j6k7"
#define TEST_JID  "alice@example.org"

typedef struct
{
  int fd;
  guint16 port;
  GThread *thread;
  int connections; /* atomic */
} TestServer;

/* Fixture of every test. */
typedef struct
{
  char *folder;
  Clock *clock;
  PluginHost *host;
  TestServer server;

  /* what the plugin under test said */
  GPtrArray *states; /* of char *: "state reason" */
  GPtrArray *lines;  /* log */
  GPtrArray *notifications;
  GPtrArray *results; /* "result text" */
} TestClient;

void driver_set_up (TestClient *client, gconstpointer data);
void driver_tear_down (TestClient *client, gconstpointer data);

void driver_server_start (TestServer *server);
void driver_server_stop (TestServer *server);
/* Waits until the server took @n connections since it was started; more are a failure. */
void driver_wait_for_connections (TestClient *client, int n);

/* Runs the loop until @list is @length long. */
void driver_wait (GPtrArray *list, guint length);
/* The last text of @list, "nothing" if it is empty. */
const char *driver_last (GPtrArray *list);

/* Runs the loop until the plugin is no longer starting: the last state it reported, and why. */
const char *driver_settle (TestClient *client, Plugin *plugin);
/* Starts @plugin with @serial (nullable) and lets it settle. */
const char *driver_start (TestClient *client, Plugin *plugin, const char *serial);
/* Runs one command: its result and text. */
const char *driver_run (TestClient *client, Plugin *plugin, const char *command, const char *input);
void driver_on_result (Plugin *plugin, PluginResult result, const char *text, gpointer client);

/* Reports to the TestClient it is given as user data. */
extern const PluginEvents driver_events;

/* Lays the vendor's files out as it ships them: the object, and a descriptor made from @text with the
 * object's hash in place of @SHA256@ and our server's address in place of @HOST@ and @PORT@. The caller frees
 * the descriptor's path. */
char *driver_ship (TestClient *client, const char *object, const char *file, const char *text);
/* The same for the library that does as it is told, as "probe" or "twin". */
char *driver_ship_probe (TestClient *client, const char *name);
PluginInfo *driver_install (TestClient *client, const char *path, GError **error);
/* The same for a user who was not asked. */
PluginInfo *driver_install_unagreed (TestClient *client, const char *path, GError **error);
/* Installs what was shipped with the descriptor @path, which says that it is @id. The caller frees the
 * plugin. */
Plugin *driver_install_shipped (TestClient *client, const char *path, const char *id);
/* Installs a sample by its template (@ending: legacy or plugin), or the probe. The caller frees the plugin.
 */
Plugin *driver_install_sample (TestClient *client, const char *id, const char *ending);
Plugin *driver_install_probe (TestClient *client, const char *name);
