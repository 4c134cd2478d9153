#include "common/module/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#define OVERHEAD_BYTES (64 * 1024) /* headers and padding of a whole archive */

typedef struct archive Archive;
typedef struct archive_entry ArchiveEntry;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Archive, archive_write_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ArchiveEntry, archive_entry_free)

typedef struct
{
  char *name;
  GBytes *bytes;
} Part;

static void
part_free (gpointer data)
{
  Part *part = data;
  g_free (part->name);
  g_bytes_unref (part->bytes);
  g_free (part);
}

static int
compare_parts (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(Part *const *)a)->name, (*(Part *const *)b)->name);
}

static gboolean
read_part (GPtrArray *parts, const char *folder, const char *name, gsize *left, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  char *text;
  gsize length;
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, PACKAGE_ERROR, PACKAGE_ERROR_FORMAT, "'%s' is not a plain file", path);
      return FALSE;
    }
  if (!g_file_get_contents (path, &text, &length, error))
    return FALSE;
  Part *part = g_new0 (Part, 1);
  part->name = g_strdup (name);
  part->bytes = g_bytes_new_take (text, length);
  g_ptr_array_add (parts, part);
  if (length <= *left && parts->len <= PACKAGE_MAX_MEMBERS)
    {
      *left -= length;
      return TRUE;
    }
  g_set_error (error, PACKAGE_ERROR, PACKAGE_ERROR_TOO_LARGE,
               "'%s' has more than %d files, or more than %d bytes in them", folder, PACKAGE_MAX_MEMBERS,
               PACKAGE_MAX_BYTES - OVERHEAD_BYTES);
  return FALSE;
}

/* The files of @folder by name. */
static GPtrArray *
read_parts (const char *folder, GError **error)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (part_free);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, error);
  gsize left = PACKAGE_MAX_BYTES - OVERHEAD_BYTES;
  const char *name;
  if (dir == NULL)
    return NULL;
  while ((name = g_dir_read_name (dir)) != NULL)
    if (name[0] != '.' && !read_part (parts, folder, name, &left, error))
      return NULL;
  g_ptr_array_sort (parts, compare_parts);
  return g_steal_pointer (&parts);
}

static Descriptor *
find_descriptor (const GPtrArray *parts, const char *folder, const Part **found, GError **error)
{
  *found = NULL;
  for (guint i = 0; i < parts->len; i++)
    {
      const Part *part = g_ptr_array_index (parts, i);
      if (!g_str_has_suffix (part->name, ".legacy") && !g_str_has_suffix (part->name, ".plugin"))
        continue;
      if (*found != NULL)
        {
          g_set_error (error, PACKAGE_ERROR, PACKAGE_ERROR_FORMAT, "'%s' and '%s' are both descriptors",
                       (*found)->name, part->name);
          return NULL;
        }
      *found = part;
    }
  if (*found == NULL)
    {
      g_set_error (error, PACKAGE_ERROR, PACKAGE_ERROR_FORMAT,
                   "'%s' has no descriptor: a file that ends with .legacy or .plugin", folder);
      return NULL;
    }
  DescriptorError why;
  gsize length;
  const char *text = g_bytes_get_data ((*found)->bytes, &length);
  Descriptor *descriptor = descriptor_parse (
      (*found)->name, g_str_has_suffix ((*found)->name, ".legacy") ? DESCRIPTOR_LEGACY : DESCRIPTOR_NATIVE,
      text, length, &why);
  if (descriptor == NULL)
    g_set_error_literal (error, PACKAGE_ERROR, PACKAGE_ERROR_FORMAT, why.text);
  return descriptor;
}

static GBytes *
make_manifest (const GPtrArray *parts, const Part *found, const Descriptor *descriptor, const char *key,
               gboolean is_restricted)
{
  g_autofree char *permissions = package_dup_permissions (descriptor);
  GString *text = g_string_new ("[Package]\nformat=1\n");
  g_string_append_printf (text, "id=%s\nversion=%s\ndescriptor=%s\npermissions=%s\nrestricted=%s\nkey=%s\n",
                          descriptor->id, descriptor->version, found->name, permissions,
                          is_restricted ? "yes" : "no", key);
  for (guint i = 0; i < parts->len; i++)
    {
      const Part *part = g_ptr_array_index (parts, i);
      g_autofree char *sum = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, part->bytes);
      g_string_append_printf (text, "\n[Member %s]\nsize=%" G_GSIZE_FORMAT "\nsha256=%s\n", part->name,
                              g_bytes_get_size (part->bytes), sum);
    }
  return g_string_free_to_bytes (text);
}

static GBytes *
sign (EVP_PKEY *key, GBytes *manifest)
{
  guint8 signature[PACKAGE_SIGNATURE_BYTES];
  gsize length, n = sizeof signature;
  const void *bytes = g_bytes_get_data (manifest, &length);
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  if (EVP_DigestSignInit (context, NULL, NULL, NULL, key) != 1
      || EVP_DigestSign (context, signature, &n, bytes, length) != 1)
    g_error ("signing failed");
  EVP_MD_CTX_free (context);
  return g_bytes_new (signature, n);
}

static gboolean
append (Archive *archive, const char *name, GBytes *bytes)
{
  gsize length;
  const void *data = g_bytes_get_data (bytes, &length);
  g_autoptr (ArchiveEntry) entry = archive_entry_new ();
  archive_entry_set_pathname (entry, name);
  archive_entry_set_size (entry, (la_int64_t)length);
  archive_entry_set_filetype (entry, AE_IFREG);
  archive_entry_set_perm (entry, 0644);
  archive_entry_set_mtime (entry, 0, 0);
  return archive_write_header (archive, entry) == ARCHIVE_OK
         && (length == 0 || archive_write_data (archive, data, length) == (la_ssize_t)length);
}

static GBytes *
make_archive (const GPtrArray *parts, GBytes *manifest, GBytes *signature, GError **error)
{
  g_autoptr (Archive) archive = archive_write_new ();
  g_autofree guint8 *buffer = g_malloc (PACKAGE_MAX_BYTES);
  size_t used = 0;
  archive_write_set_format_ustar (archive);
  archive_write_set_bytes_in_last_block (archive, 1);
  gboolean is_good = archive_write_open_memory (archive, buffer, PACKAGE_MAX_BYTES, &used) == ARCHIVE_OK
                     && append (archive, PACKAGE_MANIFEST, manifest)
                     && append (archive, PACKAGE_SIGNATURE, signature);
  for (guint i = 0; is_good && i < parts->len; i++)
    {
      const Part *part = g_ptr_array_index (parts, i);
      is_good = append (archive, part->name, part->bytes);
    }
  if (is_good && archive_write_close (archive) == ARCHIVE_OK)
    return g_bytes_new (buffer, used);
  g_set_error (error, PACKAGE_ERROR, PACKAGE_ERROR_TOO_LARGE, "cannot make the archive: %s",
               archive_error_string (archive));
  return NULL;
}

GBytes *
package_write (const char *folder, EVP_PKEY *key, gboolean is_restricted, GError **error)
{
  const Part *found;
  g_autoptr (GPtrArray) parts = read_parts (folder, error);
  Descriptor *descriptor = parts != NULL ? find_descriptor (parts, folder, &found, error) : NULL;
  if (descriptor == NULL)
    return NULL;
  g_autofree char *public = package_key_dup_public (key);
  g_autoptr (GBytes) manifest = make_manifest (parts, found, descriptor, public, is_restricted);
  descriptor_free (descriptor);
  g_autoptr (GBytes) signature = sign (key, manifest);
  g_autoptr (GBytes) file = make_archive (parts, manifest, signature, error);
  /* What a reader would refuse is said now, in the reader's words. */
  g_autoptr (Package) package = file != NULL ? package_read (file, NULL, NULL, error) : NULL;
  return package != NULL ? g_steal_pointer (&file) : NULL;
}
