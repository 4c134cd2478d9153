#include "host-server/server.h"

#include "common/base/log.h"
#include "host-server/access/access.h"
#include "host-server/admin/admin.h"
#include "host-server/configuration/configuration.h"
#include "host-server/core/adhoc.h"
#include "host-server/core/applications.h"
#include "host-server/core/clients.h"
#include "host-server/core/control.h"
#include "host-server/core/http.h"
#include "host-server/core/metrics.h"
#include "host-server/core/router.h"
#include "host-server/core/signer.h"
#include "host-server/functions/functions.h"
#include "host-server/im/im.h"
#include "host-server/market/market.h"
#include "host-server/modules/modules.h"
#include "host-server/packages/packages.h"
#include "host-server/store/package-files.h"
#include "host-server/store/restore.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_S       5
#define DRAIN_TICK_MS 20

struct HostServer
{
  Server core;
  Clients *clients;
  Im *im;
  Market *market;
  Configuration *configuration;
  Packages *packages;
  Functions *functions;
  Admin *admin;
  guint drain_source;
  gint64 drain_until_us;
  void (*drained) (gpointer data);
  gpointer drained_data;
};

static gboolean
open_folder (const char *folder, GError **error)
{
  if (g_mkdir_with_parents (folder, 0700) == 0)
    return TRUE;
  g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot make folder '%s': %s",
               folder, g_strerror (errno));
  return FALSE;
}

static const char *
find_store_folder (const Config *config)
{
  const char *url = config_get_text (config, "store", "url");
  return url != NULL && strlen (url) > strlen ("sqlite:") ? url + strlen ("sqlite:")
                                                          : config_get_text (config, "server", "data");
}

static char *
dup_key_file (const Config *config)
{
  const char *key_file = config_get_text (config, "store", "key_file");
  return key_file != NULL ? g_strdup (key_file)
                          : g_build_filename (config_get_text (config, "server", "data"), "store.key", NULL);
}

static Store *
open_store (const Config *config, GError **error)
{
  const char *folder = find_store_folder (config);
  g_autofree char *key_file = dup_key_file (config);
  return open_folder (folder, error) ? store_open (folder, key_file, error) : NULL;
}

/* For who started us with port 0: once this file is there, everything listens. */
static gboolean
write_addresses (const HostServer *server, GError **error)
{
  g_autofree char *path
      = g_build_filename (config_get_text (server->core.config, "server", "data"), "addresses.json", NULL);
  json_t *addresses = json_pack ("{s:s, s:s*, s:s*}", "xmpp", clients_peek_address (server->clients),
                                 "direct_tls", clients_peek_direct_address (server->clients), "http",
                                 http_peek_address (server->core.http));
  char *text = json_dumps (addresses, JSON_INDENT (1));
  gboolean is_written = g_file_set_contents (path, text, -1, error);
  free (text);
  json_decref (addresses);
  return is_written;
}

static void
forget_addresses (const HostServer *server)
{
  g_autofree char *path
      = g_build_filename (config_get_text (server->core.config, "server", "data"), "addresses.json", NULL);
  g_unlink (path);
}

static Adhoc *
open_adhoc (const Server *core)
{
  Adhoc *adhoc = adhoc_new (core->services, core->domain, core->market, core->clock);
  adhoc_set_limits (adhoc, (guint)config_get_int (core->config, "limits", "command_sessions_per_user"),
                    (guint)config_get_int (core->config, "limits", "command_sessions"),
                    config_get_seconds_us (core->config, "limits", "command_session_s"));
  return adhoc;
}

/* The table of contents: what a server is made of, in order. */
HostServer *
host_server_new (const char *config_path, GError **error)
{
  g_autoptr (HostServer) server = g_new0 (HostServer, 1);
  Server *core = &server->core;

  core->config = config_load (config_path, error);
  if (core->config == NULL)
    return NULL;
  if (!market_check_config (core->config, error))
    {
      g_prefix_error (error, "%s: ", config_path);
      return NULL;
    }
  const char *data = config_get_text (core->config, "server", "data");
  const char *domain = config_get_text (core->config, "server", "domain");
  g_autofree char *market = g_strconcat ("market.", domain, NULL);
  core->clock = clock_new_system ();
  core->domain = jid_new (domain, strlen (domain));
  core->market = jid_new (market, strlen (market));
  if (!open_folder (data, error))
    return NULL;
  core->controls = controls_new (data);
  if (!controls_start (core->controls, NULL, error))
    return NULL;
  forget_addresses (server);
  core->store = open_store (core->config, error);
  if (core->store == NULL)
    return NULL;
  core->hooks = hooks_new ();
  server->clients = clients_new (core, error);
  if (server->clients == NULL)
    return NULL;
  core->services = services_new (core->sessions, core->hooks, core->domain, core->market, core->clock);
  core->adhoc = open_adhoc (core);
  core->router = router_new (core->sessions, core->services, core->domain, core->market);
  core->http = http_new ();
  core->metrics = metrics_new ();
  core->modules = modules_open (core->config, core->clock);
  modules_add_metrics (core->modules, core->metrics);
  core->applications = applications_new ();
  core->signer = signer_new (core, error);
  if (core->signer == NULL)
    return NULL;

  server->im = im_new (core);
  server->market = market_new (core, error);
  if (server->market == NULL)
    return NULL;
  server->configuration = configuration_new (core);
  access_init (core);
  server->packages = packages_new (core, error);
  if (server->packages == NULL)
    return NULL;
  server->functions = functions_new (core, error);
  if (server->functions == NULL)
    return NULL;
  server->admin = admin_new (core);

  if (!http_listen (core->http, core->config, NULL, error) || !clients_listen (server->clients, error)
      || !write_addresses (server, error))
    return NULL;
  market_start (server->market);
  log_info ("server", "serving domain=%s xmpp=%s", domain, clients_peek_address (server->clients));
  return g_steal_pointer (&server);
}

gboolean
host_server_restore (const char *config_path, const char *backup, gboolean is_json, GError **error)
{
  g_autoptr (Config) config = config_load (config_path, error);
  if (config == NULL)
    return FALSE;
  const char *folder = find_store_folder (config);
  g_autofree char *key_file = dup_key_file (config);
  g_autoptr (Clock) clock = clock_new_system ();
  StoreRestored restored;
  g_autofree char *packages = package_files_dup_folder (config_get_text (config, "server", "data"));
  const StorePlaces places = { .folder = folder, .key_file = key_file, .packages = packages };
  if (!store_restore (&places, backup, clock_get_wall_us (clock), &restored, error))
    {
      g_prefix_error (error, "cannot restore '%s': ", backup);
      return FALSE;
    }
  g_autofree char *knows = restored.backup_us != 0 ? clock_dup_rfc3339 (restored.backup_us) : NULL;
  g_autofree char *replaced
      = restored.replaced != NULL ? g_build_filename (folder, restored.replaced, NULL) : NULL;
  g_ptr_array_add (restored.missing, NULL);
  g_autofree char *missing = g_strjoinv (", ", (char **)restored.missing->pdata);
  json_t *row = json_pack ("{s:s, s:s, s:I, s:s?, s:s?, s:s?, s:s}", "restored", backup, "store", folder,
                           "epoch", (json_int_t)restored.epoch, "knows-until", knows, "replaced", replaced,
                           "missing-packages", missing[0] != '\0' ? missing : NULL, "sales", "closed");
  char *text = json_dumps (row, JSON_COMPACT);
  if (is_json)
    g_print ("%s\n", text);
  else
    {
      g_print ("restored '%s' into '%s', epoch %" G_GINT64_FORMAT "\n", backup, folder, restored.epoch);
      g_print ("it knows of nothing after %s\n", knows != NULL ? knows : "the beginning");
      if (replaced != NULL)
        g_print ("what was there lies in '%s'\n", replaced);
      if (missing[0] != '\0')
        g_print ("these packages have no file, and cannot be downloaded until it is put into '%s': %s\n",
                 packages, missing);
      g_print ("sales are closed and pools frozen: start the server, then run `hostctl reconcile "
               "--from-provider`\n");
    }
  free (text);
  json_decref (row);
  store_restored_clear (&restored);
  return TRUE;
}

gboolean
host_server_reload (HostServer *server, GError **error)
{
  return config_reload (server->core.config, error) && clients_reload (server->clients, error)
         && http_reload (server->core.http, server->core.config, error);
}

static gboolean
on_drain_tick (gpointer data)
{
  HostServer *server = data;
  if (clients_get_connections (server->clients) > 0
      && clock_get_monotonic_us (server->core.clock) < server->drain_until_us)
    return G_SOURCE_CONTINUE;
  server->drain_source = 0;
  server->drained (server->drained_data);
  return G_SOURCE_REMOVE;
}

void
host_server_drain (HostServer *server, void (*done) (gpointer data), gpointer data)
{
  if (server->drained != NULL)
    return;
  server->drained = done;
  server->drained_data = data;
  server->drain_until_us = clock_get_monotonic_us (server->core.clock) + DRAIN_S * G_USEC_PER_SEC;
  forget_addresses (server);
  clients_drain (server->clients);
  server->drain_source = g_timeout_add (DRAIN_TICK_MS, on_drain_tick, server);
}

void
host_server_free (HostServer *server)
{
  if (server == NULL)
    return;
  Server *core = &server->core;
  g_clear_handle_id (&server->drain_source, g_source_remove);
  if (server->clients != NULL)
    clients_close (server->clients);
  g_clear_pointer (&core->http, http_free);
  if (server->market != NULL)
    market_stop (server->market);
  if (server->functions != NULL)
    functions_stop (server->functions);
  /* What is committed still has its done functions run, and those lean on the rooms. */
  g_clear_pointer (&core->controls, controls_free);
  store_close (core->store); /* which they still read */
  core->store = NULL;
  g_clear_pointer (&server->admin, admin_free);
  g_clear_pointer (&server->packages, packages_free);
  g_clear_pointer (&server->configuration, configuration_free);
  g_clear_pointer (&core->signer, signer_free);
  g_clear_pointer (&core->modules, modules_free);
  g_clear_pointer (&server->functions, functions_free);
  g_clear_pointer (&server->market, market_free);
  g_clear_pointer (&server->im, im_free);
  g_clear_pointer (&core->applications, applications_free);
  g_clear_pointer (&core->router, router_free);
  g_clear_pointer (&core->adhoc, adhoc_free);
  g_clear_pointer (&core->services, services_free);
  g_clear_pointer (&server->clients, clients_free);
  g_clear_pointer (&core->hooks, hooks_free);
  g_clear_pointer (&core->metrics, metrics_free);
  jid_unref (core->domain);
  jid_unref (core->market);
  clock_free (core->clock);
  config_free (core->config);
  g_free (server);
}
