#include "common/module/resource-image.h"
#include "common/module/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct ResourceImage
{
  GString *names;
  GArray *
      entries; /* of ResourcesEntry; until it is laid out, name_at is within names and there is no bytes_at */
  GHashTable *open; /* names */
  int fd;
  void *bytes; /* once it is sealed */
  gsize length;
};

ResourceImage *
resource_image_begin (void)
{
  ResourceImage *image = g_new0 (ResourceImage, 1);
  image->names = g_string_new (NULL);
  image->entries = g_array_new (FALSE, FALSE, sizeof (ResourcesEntry));
  image->open = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  image->fd = -1;
  return image;
}

void
resource_image_free (ResourceImage *image)
{
  if (image == NULL)
    return;
  if (image->bytes != NULL)
    munmap (image->bytes, image->length);
  if (image->fd >= 0)
    close (image->fd);
  g_string_free (image->names, TRUE);
  g_array_unref (image->entries);
  g_hash_table_unref (image->open);
  g_free (image);
}

void
resource_image_add (ResourceImage *image, const char *name, gsize length, gboolean is_open)
{
  ResourcesEntry entry = { .name_at = (guint32)image->names->len,
                           .name_length = (guint32)strlen (name),
                           .n_bytes = (guint32)length };
  g_string_append (image->names, name);
  g_array_append_val (image->entries, entry);
  if (is_open)
    g_hash_table_add (image->open, g_strdup (name));
}

guint
resource_image_get_n (const ResourceImage *image)
{
  return image->entries->len;
}

static guint32
align (gsize at)
{
  return (guint32)((at + RESOURCES_ALIGNMENT - 1) / RESOURCES_ALIGNMENT * RESOURCES_ALIGNMENT);
}

/* Turns offsets into those of the file; its length. */
static gsize
place_entries (ResourceImage *image)
{
  gsize at = sizeof (ResourcesHeader) + image->entries->len * sizeof (ResourcesEntry);
  gsize bytes_at = at + image->names->len;
  for (guint i = 0; i < image->entries->len; i++)
    {
      ResourcesEntry *entry = &g_array_index (image->entries, ResourcesEntry, i);
      entry->name_at += (guint32)at;
      entry->bytes_at = align (bytes_at);
      bytes_at = (gsize)entry->bytes_at + entry->n_bytes;
    }
  return bytes_at;
}

static gboolean
complain (GError **error, const char *what)
{
  int problem = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (problem), "cannot %s resources in memory: %s", what,
               g_strerror (problem));
  return FALSE;
}

static gboolean
write_all (int fd, const void *bytes, gsize length, gsize at)
{
  while (length > 0)
    {
      ssize_t n = pwrite (fd, bytes, length, (off_t)at);
      if (n <= 0)
        return FALSE;
      bytes = (const guint8 *)bytes + n;
      length -= (gsize)n;
      at += (gsize)n;
    }
  return TRUE;
}

gboolean
resource_image_lay_out (ResourceImage *image, GError **error)
{
  ResourcesHeader header = { RESOURCES_MAGIC, image->entries->len };
  gsize n_entries = image->entries->len * sizeof (ResourcesEntry);
  image->length = place_entries (image);
  image->fd = memfd_create ("resources", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return (image->fd >= 0 && ftruncate (image->fd, (off_t)image->length) == 0
          && write_all (image->fd, &header, sizeof header, 0)
          && write_all (image->fd, image->entries->data, n_entries, sizeof header)
          && write_all (image->fd, image->names->str, image->names->len, sizeof header + n_entries))
         || complain (error, "keep");
}

gboolean
resource_image_write (ResourceImage *image, guint index, const void *bytes, gsize length, GError **error)
{
  const ResourcesEntry *entry = &g_array_index (image->entries, ResourcesEntry, index);
  return write_all (image->fd, bytes, MIN (length, entry->n_bytes), entry->bytes_at)
         || complain (error, "keep");
}

gboolean
resource_image_seal (ResourceImage *image, GError **error)
{
  void *bytes = fcntl (image->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0
                    ? mmap (NULL, image->length, PROT_READ, MAP_PRIVATE, image->fd, 0)
                    : MAP_FAILED;
  if (bytes == MAP_FAILED)
    return complain (error, "seal");
  image->bytes = bytes;
  return TRUE;
}

int
resource_image_get_fd (const ResourceImage *image)
{
  return image->fd;
}

const void *
resource_image_find_open (const ResourceImage *image, const char *name, gsize *length)
{
  return g_hash_table_contains (image->open, name)
             ? resources_find (image->bytes, image->length, name, length)
             : NULL;
}
