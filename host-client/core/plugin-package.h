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
  char *signer;      /* the key that signed it, and */
  char *origin;      /* the domain whose host vouches for it; NULL: installed from a file */
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
/* Writes the members of @package as a copy that @origin's host vouches for, not yet current. Part by part
 * into a folder that no one looks at, which then gets its name: a copy is there wholly or not at all. */
PluginPackage *plugin_package_store_signed (const Package *package, const char *origin, const char *folder,
                                            GError **error);
/* Makes a stored package the one that plugin_package_find() finds; the one before it is kept as the previous,
 * older ones are removed. */
gboolean plugin_package_make_current (PluginPackage *package, const char *folder, GError **error);
/* Changes the places of the current and the previous version, both of which are there. */
gboolean plugin_package_roll_back (const char *folder, const char *id, GError **error);
/* Removes a stored package that is neither current nor the previous. */
void plugin_package_discard (PluginPackage *package, const char *folder);
/* Removes a folder of ours with the files in it. */
void plugin_package_remove_folder (const char *path);
/* The installed plugin @id, checked again: files, signature, and that neither key nor package was revoked. */
PluginPackage *plugin_package_find (const char *folder, const char *id, GError **error);
/* The same of the version before it. */
PluginPackage *plugin_package_find_previous (const char *folder, const char *id, GError **error);
/* The installed plugin @id whatever the host says of it: to compare versions. */
PluginPackage *plugin_package_find_unjudged (const char *folder, const char *id, GError **error);
/* plugin-signed.c: for a copy that came as a package, reads signer, origin and hash and compares its files
 * with the signed manifest; another copy is left as it is. */
gboolean plugin_package_read_signature (PluginPackage *package, const char *copy_folder, GError **error);
/* Whether the host it came from still vouches for it, as far as this device knows; @folder is CONFIG/plugins.
 */
gboolean plugin_package_is_vouched (const PluginPackage *package, const char *folder, GError **error);
/* Removes the plugin @id with all copies. */
gboolean plugin_package_remove (const char *folder, const char *id, GError **error);

/* Opens the object as a sealed memory file if its bytes are those the descriptor names: what was checked is
 * what will be loaded. -1 with PLUGIN_ERROR_HASH or _STORAGE. */
int plugin_package_open_object (PluginPackage *package, GError **error);
