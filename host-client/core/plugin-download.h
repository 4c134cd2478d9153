/* Installing a plugin from the host's market (docs/packages.md): the trust document, the catalog's entry, an
 * account token, the package over HTTP, its signature and hashes, the user's consent, and then the
 * installation. Nothing of the package is on the disk before the user has said yes. */
#pragma once

#include "common/module/package.h"
#include "host-client/core/market.h"
#include "host-client/core/plugin.h"

typedef struct PluginDownload PluginDownload;

typedef struct
{
  /* What will be installed, whole and verified: whether the user wants it with what it asks for. NULL: yes.
   */
  gboolean (*consent) (const PluginInfo *info, gpointer data);
  /* It is over, once: @info is what was installed. NULL with @error, or without, if the user did not want it.
   * The download may be freed here. */
  void (*done) (const PluginInfo *info, const GError *error, gpointer data);
} PluginDownloadEvents;

/* Session, market and host are lent; @folder is CONFIG. */
PluginDownload *plugin_download_start (Session *session, Market *market, PluginHost *host, const char *folder,
                                       const char *plugin, const PluginDownloadEvents *events, gpointer data);
/* Gives it up if it is not over; `done` is not called any more. Not while the host installs: then it is freed
 * when that is over. */
void plugin_download_free (PluginDownload *download);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginDownload, plugin_download_free)
