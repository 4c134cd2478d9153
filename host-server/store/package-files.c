#include "host-server/store/package-files.h"
#include "host-server/store/packages.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>

#define FOLDER_NAME "packages"
#define SUFFIX      ".stoa"

char *
package_files_dup_folder (const char *data)
{
  return g_build_filename (data, FOLDER_NAME, NULL);
}

char *
package_files_dup_path (const char *folder, const char *hash)
{
  g_autofree char *name = g_strconcat (hash, SUFFIX, NULL);
  return g_build_filename (folder, name, NULL);
}

/* The bytes of @row's file in @folder; NULL if it is not there, or not as its row says: then with @error. */
static GBytes *
read_whole (const char *folder, const PackageRow *row, GError **error)
{
  g_autofree char *path = package_files_dup_path (folder, row->hash);
  g_autoptr (GError) problem = NULL;
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, &problem);
  if (file == NULL)
    {
      if (!g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        g_propagate_error (error, g_steal_pointer (&problem));
      return NULL;
    }
  g_autoptr (GBytes) bytes = g_mapped_file_get_bytes (file);
  g_autofree char *sha256 = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, bytes);
  if (g_str_equal (sha256, row->sha256))
    return g_steal_pointer (&bytes);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%s' is damaged", path);
  return NULL;
}

static gboolean
write_file (const char *folder, const PackageRow *row, GBytes *bytes, GError **error)
{
  g_autofree char *path = package_files_dup_path (folder, row->hash);
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  if (g_mkdir_with_parents (folder, 0700) != 0)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot make folder '%s': %s",
                   folder, g_strerror (errno));
      return FALSE;
    }
  return g_file_set_contents_full (path, data, (gssize)length,
                                   G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
}

static gboolean
copy_one (const PackageRow *row, const char *from, const char *to, GPtrArray *missing, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) there = read_whole (to, row, NULL);
  if (there != NULL)
    return TRUE;
  g_autoptr (GBytes) bytes = read_whole (from, row, &problem);
  if (bytes != NULL)
    return write_file (to, row, bytes, error);
  if (row->revoked_us != 0) /* nobody gets it any more */
    return TRUE;
  if (missing != NULL)
    {
      g_ptr_array_add (missing, g_strdup_printf ("%s %s", row->plugin, row->version));
      return TRUE;
    }
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "the file of package '%s' %s is missing",
                 row->plugin, row->version);
  return FALSE;
}

gboolean
package_files_copy (Db *db, const char *from, const char *to, GPtrArray *missing, GError **error)
{
  g_autoptr (GPtrArray) rows = packages_list (db, NULL, error);
  for (guint i = 0; rows != NULL && i < rows->len; i++)
    if (!copy_one (g_ptr_array_index (rows, i), from, to, missing, error))
      return FALSE;
  return rows != NULL;
}

void
package_files_remove (const char *folder)
{
  g_autoptr (GDir) entries = g_dir_open (folder, 0, NULL);
  const char *name;
  while (entries != NULL && (name = g_dir_read_name (entries)) != NULL)
    if (g_str_has_suffix (name, SUFFIX))
      {
        g_autofree char *path = g_build_filename (folder, name, NULL);
        g_unlink (path);
      }
  g_rmdir (folder);
}
