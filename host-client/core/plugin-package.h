/* A plugin's files: a descriptor and the object beside it, as a vendor ships them and as they are installed.
 *
 * Installed copies lie in CONFIG/plugins/ID/HASH/, and the file CONFIG/plugins/ID/current names the one in
 * use: it is replaced by rename, so an update is there wholly or not at all. Part of
 * host-client/core/plugin*; others use plugin.h. */
#pragma once

#include "common/module/descriptor.h"
#include "host-client/core/plugin.h"

/* Immutable, counted. */
typedef struct
{
  PluginInfo *info;
  Descriptor *descriptor;
  char *file;        /* the descriptor's file name */
  GBytes *text;      /* the descriptor */
  char *object_path; /* absolute */
} PluginPackage;

/* Reads the descriptor @path, checks the object's kind of file and its hash. NULL with a PLUGIN_ERROR. */
PluginPackage *plugin_package_read (const char *path, GError **error);
PluginPackage *plugin_package_ref (PluginPackage *package);
void plugin_package_unref (PluginPackage *package);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginPackage, plugin_package_unref)

PluginInfo *plugin_info_copy (const PluginInfo *info);

/* Copies the package into @folder (CONFIG/plugins), not yet current; a copy that is there already is read
 * again. */
PluginPackage *plugin_package_store (PluginPackage *package, const char *folder, GError **error);
/* Makes a stored package the one that plugin_package_find() finds, and removes its predecessors. */
gboolean plugin_package_make_current (PluginPackage *package, const char *folder, GError **error);
/* Removes a stored package that is not current. */
void plugin_package_discard (PluginPackage *package, const char *folder);
/* The installed plugin @id, checked again. */
PluginPackage *plugin_package_find (const char *folder, const char *id, GError **error);
/* Removes the plugin @id with all copies. */
gboolean plugin_package_remove (const char *folder, const char *id, GError **error);

/* Opens the object as a sealed memory file if its bytes are those the descriptor names: what was checked is
 * what will be loaded. -1 with PLUGIN_ERROR_HASH or _STORAGE. */
int plugin_package_open_object (PluginPackage *package, GError **error);
