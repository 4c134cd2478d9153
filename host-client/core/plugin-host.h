/* What the parts of host-client/core/plugin* share of a PluginHost. Others use plugin.h. */
#pragma once

#include "common/module/launch.h"
#include "host-client/core/plugin-package.h"
#include "host-client/core/plugin-store.h"

#define PLUGIN_MAX_UIDS 64

struct PluginHost
{
  char *plugins_folder; /* CONFIG/plugins */
  char *data_folder;    /* CONFIG/plugin-data */
  char *store_path;
  Launcher *launcher;
  GMainContext *context; /* owned reference */
  const Clock *clock;
  guint32 uid_base;
  guint64 uids_in_use; /* bits */
  PluginStore *store;  /* opened when first needed */
  GPtrArray *plugins;  /* of Plugin *, borrowed: those in use */
  GHashTable *agreed;  /* hashes of copies that the user agreed to install */
};

/* "was not agreed to: connect to …; read …" */
char *plugin_dup_unagreed_text (char **missing);

/* A uid for one process of a plugin, given back when it has ended; 0 if the host's own is to be used, or if
 * all are in use (as root; the launcher refuses that). */
uid_t plugin_host_take_uid (PluginHost *host);
void plugin_host_give_uid (PluginHost *host, uid_t uid);

/* Makes the private folder of @plugin for @jid and gives it to @uid if that is not 0. Caller frees it; NULL
 * with PLUGIN_ERROR_STORAGE. */
char *plugin_host_make_data_folder (PluginHost *host, const char *jid, const char *plugin, uid_t uid,
                                    GError **error);
/* Whether the folder holds at most @max_bytes in at most 256 files and folders. */
gboolean plugin_host_is_within_quota (const char *folder, guint64 max_bytes);

/* The store; NULL if it cannot be opened, which is logged. */
PluginStore *plugin_host_get_store (PluginHost *host);
