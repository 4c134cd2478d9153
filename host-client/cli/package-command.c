/* plugin install ID: from the market. */
#include "host-client/cli/commands.h"
#include "host-client/cli/consent.h"
#include "host-client/cli/plugin-commands.h"
#include "host-client/core/plugin-download.h"

typedef struct
{
  PluginHost *host;
  PluginDownload *download;
} Install;

static void
install_free (gpointer data)
{
  Install *install = data;
  plugin_download_free (install->download);
  plugin_host_free (install->host);
  g_free (install);
}

static gboolean
on_consent (const PluginInfo *info, gpointer data)
{
  App *app = data;
  const Install *install = app->state;
  return consent_ask (app, install->host, info);
}

static void
on_done (const PluginInfo *info, const GError *error, gpointer data)
{
  App *app = data;
  if (info != NULL)
    {
      plugin_commands_say (app, "installed", info);
      app_finish (app, EXIT_DONE);
    }
  else if (error == NULL)
    app_fail (app, EXIT_REFUSED, "not installed: %s",
              app_has_terminal () ? "you did not agree" : "--yes agrees to what it asks for");
  else
    {
      gboolean is_refusal = g_error_matches (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_OFFERED)
                            || g_error_matches (error, PLUGIN_ERROR, PLUGIN_ERROR_DOWNLOAD);
      app_fail (app, is_refusal ? EXIT_REFUSED : EXIT_PLUGIN_FAILED, "cannot install: %s", error->message);
    }
}

static void
start_download (App *app)
{
  static const PluginDownloadEvents events = { .consent = on_consent, .done = on_done };
  g_autoptr (GError) error = NULL;
  Install *install = g_new0 (Install, 1);
  app->state = install;
  app->free_state = install_free;
  install->host = plugin_commands_new_host (app, &error);
  if (install->host == NULL)
    {
      app_fail (app, EXIT_PLUGIN_FAILED, "%s", error->message);
      return;
    }
  install->download = plugin_download_start (
      client_peek_session (app->client), client_peek_market (app->client), install->host,
      folder_peek_path (app->folder), app->arguments->words[1], &events, app);
}

const Command command_plugin_download = {
  .kind = COMMAND_PLUGIN,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_download,
};
