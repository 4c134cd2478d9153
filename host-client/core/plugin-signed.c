#include "host-client/core/host-trust.h"
#include "host-client/core/plugin-package.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* Copies that came as a package: beside their files lie the signed manifest and the domain that vouches for
 * it, so that all of it can be checked again at every start. */

#define ORIGIN           "origin"
#define MAX_ORIGIN_BYTES 1024

static GBytes *
read_small (const char *folder, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  char *text;
  gsize length;
  if (!g_file_get_contents (path, &text, &length, error))
    return NULL;
  return g_bytes_new_take (text, length);
}

static gboolean
has_member (const Package *manifest, const char *name, const char *sha256)
{
  const PackageMember *member = package_find_member (manifest, name);
  return member != NULL && g_str_equal (member->sha256, sha256);
}

gboolean
plugin_package_read_signature (PluginPackage *package, const char *copy_folder, GError **error)
{
  g_autofree char *probe = g_build_filename (copy_folder, PACKAGE_MANIFEST, NULL);
  g_autoptr (GError) local = NULL;
  if (!g_file_test (probe, G_FILE_TEST_EXISTS))
    return TRUE;
  g_autoptr (GBytes) text = read_small (copy_folder, PACKAGE_MANIFEST, &local);
  g_autoptr (GBytes) signature = text != NULL ? read_small (copy_folder, PACKAGE_SIGNATURE, &local) : NULL;
  g_autoptr (GBytes) origin = signature != NULL ? read_small (copy_folder, ORIGIN, &local) : NULL;
  g_autoptr (Package) manifest = origin != NULL ? package_read_manifest (text, signature, &local) : NULL;
  if (manifest == NULL)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_TRUSTED,
                   "'%s' has changed since it was installed: %s", package->info->id, local->message);
      return FALSE;
    }
  g_autofree char *descriptor = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, package->text);
  if (!has_member (manifest, package->file, descriptor)
      || !has_member (manifest, package->info->object, package->info->sha256)
      || !g_str_equal (manifest->id, package->info->id))
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_HASH, "'%s' has changed since it was installed",
                   package->info->id);
      return FALSE;
    }
  gsize length;
  const char *domain = g_bytes_get_data (origin, &length);
  package->signer = g_strdup (manifest->key);
  package->origin = g_strndup (domain, MIN (length, MAX_ORIGIN_BYTES));
  g_free (package->info->hash);
  package->info->hash = g_strdup (manifest->hash);
  return TRUE;
}

gboolean
plugin_package_is_vouched (const PluginPackage *package, const char *folder, GError **error)
{
  g_autoptr (GError) local = NULL;
  if (package->origin == NULL)
    return TRUE;
  g_autofree char *config = g_path_get_dirname (folder);
  g_autoptr (HostTrust) held = host_trust_load (config, package->origin, &local);
  if (held == NULL)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_TRUSTED, "'%s' cannot be checked: %s",
                   package->info->id,
                   local != NULL ? local->message : "its host's trust document is not there");
      return FALSE;
    }
  /* Its key was good when it was installed; that the key's time is over since changes nothing. */
  TrustKeyVerdict verdict = trust_judge_key (held->trust, NULL, package->signer, G_MAXINT64);
  const TrustRevocation *revocation = trust_find_revocation (held->trust, package->info->hash);
  if (revocation != NULL)
    g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_TRUSTED, "%s has revoked '%s' %s%s%s", package->origin,
                 package->info->id, package->info->version, revocation->reason[0] != '\0' ? ": " : "",
                 revocation->reason);
  else if (verdict == TRUST_KEY_REVOKED || verdict == TRUST_KEY_UNKNOWN)
    g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_TRUSTED, "'%s' %s is not to be used: %s",
                 package->info->id, package->info->version, trust_key_verdict_to_text (verdict));
  else
    return TRUE;
  return FALSE;
}

/* --- storing */

static gboolean
fail_storage (GError **error, const char *what, const char *path)
{
  g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot %s '%s': %s", what, path,
               g_strerror (errno));
  return FALSE;
}

static gboolean
write_part (const char *folder, const char *name, GBytes *bytes, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) local = NULL;
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  if (g_file_set_contents_full (path, data, (gssize)length,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, &local))
    return TRUE;
  g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, local->message);
  return FALSE;
}

static gboolean
write_parts (const Package *package, const char *origin, const char *folder, GError **error)
{
  g_autoptr (GBytes) domain = g_bytes_new (origin, strlen (origin));
  for (guint i = 0; i < package->members->len; i++)
    {
      const PackageMember *member = g_ptr_array_index (package->members, i);
      if (!write_part (folder, member->name, member->bytes, error))
        return FALSE;
    }
  return write_part (folder, PACKAGE_MANIFEST, package->manifest, error)
         && write_part (folder, PACKAGE_SIGNATURE, package->signature, error)
         && write_part (folder, ORIGIN, domain, error);
}

static PluginPackage *
read_copy (const Package *package, const char *copy, GError **error)
{
  g_autofree char *path = g_build_filename (copy, package->descriptor, NULL);
  g_autoptr (PluginPackage) stored = plugin_package_read (path, error);
  return stored != NULL && plugin_package_read_signature (stored, copy, error) ? g_steal_pointer (&stored)
                                                                               : NULL;
}

/* The entry of @folder is on the disk. */
static void
sync_folder (const char *folder)
{
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  (void)fsync (fd);
  close (fd);
}

PluginPackage *
plugin_package_store_signed (const Package *package, const char *origin, const char *folder, GError **error)
{
  g_autofree char *mine = g_build_filename (folder, package->id, NULL);
  g_autofree char *copy = g_build_filename (mine, package->hash, NULL);
  g_autofree char *fresh = g_build_filename (mine, ".new-XXXXXX", NULL);
  g_autoptr (PluginPackage) there = read_copy (package, copy, NULL);
  if (there != NULL)
    {
      /* It may be in use: only who vouches for it changes. */
      g_autoptr (GBytes) domain = g_bytes_new (origin, strlen (origin));
      return write_part (copy, ORIGIN, domain, error) ? read_copy (package, copy, error) : NULL;
    }
  if (g_mkdir_with_parents (mine, 0700) != 0)
    {
      fail_storage (error, "make", mine);
      return NULL;
    }
  if (g_mkdtemp_full (fresh, 0700) == NULL)
    {
      fail_storage (error, "make", fresh);
      return NULL;
    }
  gboolean is_written = write_parts (package, origin, fresh, error);
  plugin_package_remove_folder (copy); /* one that is damaged */
  if (is_written && g_rename (fresh, copy) != 0)
    is_written = fail_storage (error, "make", copy);
  if (!is_written)
    {
      plugin_package_remove_folder (fresh);
      return NULL;
    }
  sync_folder (mine);
  return read_copy (package, copy, error);
}
