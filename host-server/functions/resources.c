#include "host-server/functions/resources.h"

#include "common/base/text.h"
#include "common/module/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct ResourceImage
{
  int fd;
  void *bytes;
  gsize length;
  GHashTable *open; /* names */
};

gboolean
resource_name_is_valid (const char *name)
{
  gsize length = strlen (name);
  if (length == 0 || length > RESOURCE_MAX_NAME)
    return FALSE;
  for (const char *at = name; *at != '\0'; at++)
    if (!g_ascii_isgraph (*at))
      return FALSE;
  return TRUE;
}

gboolean
resource_kind_is_valid (const char *kind)
{
  static const char *const kinds[] = { "table", "text", "picture", "counter", "bytes", NULL };
  return g_strv_contains (kinds, kind);
}

static gboolean
begins_with (const char *bytes, gsize length, gsize at, const char *mark, gsize n_mark)
{
  return length >= at + n_mark && memcmp (bytes + at, mark, n_mark) == 0;
}

static gboolean
is_picture (const char *bytes, gsize length)
{
  return begins_with (bytes, length, 0, "\x89PNG\r\n\x1a\n", 8)
         || begins_with (bytes, length, 0, "\xff\xd8\xff", 3) || begins_with (bytes, length, 0, "GIF8", 4)
         || (begins_with (bytes, length, 0, "RIFF", 4) && begins_with (bytes, length, 8, "WEBP", 4))
         || begins_with (bytes, length, 0, "<svg", 4) || begins_with (bytes, length, 0, "<?xml", 5);
}

const char *
resource_find_fault (const char *kind, const void *bytes, gsize length)
{
  if (g_str_equal (kind, "table") || g_str_equal (kind, "text"))
    return text_is_xml (bytes, length) ? NULL : "it is not UTF-8 text";
  if (g_str_equal (kind, "picture"))
    return is_picture (bytes, length) ? NULL : "it is not PNG, JPEG, GIF, WebP or SVG";
  if (g_str_equal (kind, "counter"))
    {
      gint64 number;
      g_autofree char *text = g_strndup (bytes, length);
      return g_ascii_string_to_signed (g_strstrip (text), 10, G_MININT64, G_MAXINT64, &number, NULL)
                 ? NULL
                 : "it is not a whole number";
    }
  return NULL;
}

/* The new image is made when it is needed: the application's revision says that it is. */
static gboolean
touch (Db *db, const char *application, gint64 now_us, GError **error)
{
  return db_run (
      db, error,
      "UPDATE function_application SET revision = revision + 1, changed_us = ? WHERE application = ?", "is",
      now_us, application);
}

static gboolean
find_number (DbQuery *query, gint64 *number, GError **error)
{
  GError *local = NULL;
  *number = db_next (query, &local) ? db_get_int (query, 0) : 0;
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
resource_put (Db *db, const ResourcePut *put, gint64 *version, GError **error)
{
  gint64 others = 0;
  *version = 0;
  {
    g_autoptr (DbQuery) query
        = db_query (db,
                    "SELECT COALESCE (SUM (LENGTH (value) + LENGTH (name) + ?), 0) FROM function_resource "
                    "WHERE application = ?"
                    " AND name <> ? AND value IS NOT NULL",
                    "iss", (gint64)sizeof (ResourcesEntry), put->application, put->name);
    if (!find_number (query, &others, error))
      return FALSE;
  }
  if (others + (gint64)(put->length + strlen (put->name) + sizeof (ResourcesEntry)) > put->most_bytes)
    return TRUE;
  if (!db_run (db, error,
               "INSERT INTO function_resource (application, name, version, kind, is_open, value, changed_us)"
               " VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT (application, name) DO UPDATE SET"
               " version = function_resource.version + 1, kind = excluded.kind, is_open = excluded.is_open,"
               " value = excluded.value, changed_us = excluded.changed_us",
               "sssibi", put->application, put->name, put->kind, (gint64)put->is_open,
               put->length > 0 ? put->bytes : "", put->length, put->now_us)
      || !touch (db, put->application, put->now_us, error))
    return FALSE;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT version FROM function_resource WHERE application = ? AND name = ?", "ss",
                  put->application, put->name);
  return find_number (query, version, error);
}

gboolean
resource_remove (Db *db, const char *application, const char *name, gint64 now_us, gboolean *is_found,
                 GError **error)
{
  if (!db_run (db, error,
               "UPDATE function_resource SET value = NULL, changed_us = ? WHERE application = ? AND name = ?"
               " AND value IS NOT NULL",
               "iss", now_us, application, name))
    return FALSE;
  *is_found = db_get_changes (db) == 1;
  return !*is_found || touch (db, application, now_us, error);
}

gboolean
resources_list (Db *db, const char *application, ResourceEach each, gpointer data, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT name, kind, version, LENGTH (value), is_open, changed_us FROM function_resource"
                  " WHERE application = ? AND value IS NOT NULL ORDER BY name",
                  "s", application);
  while (db_next (query, &local))
    {
      Resource resource = { .name = db_get_text (query, 0),
                            .kind = db_get_text (query, 1),
                            .version = db_get_int (query, 2),
                            .n_bytes = db_get_int (query, 3),
                            .is_open = db_get_int (query, 4) != 0,
                            .changed_us = db_get_int (query, 5) };
      each (&resource, data);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* --- the image --- */

typedef struct
{
  GString *names;
  GArray *entries; /* of ResourcesEntry; name_at is within names, bytes_at comes later */
  GHashTable *open;
} Index;

/* Names are ASCII, so the database's order is that of bytes. */
static void
add_entry (const Resource *resource, gpointer data)
{
  Index *index = data;
  ResourcesEntry entry = { .name_at = (guint32)index->names->len,
                           .name_length = (guint32)strlen (resource->name),
                           .n_bytes = (guint32)resource->n_bytes };
  g_string_append (index->names, resource->name);
  g_array_append_val (index->entries, entry);
  if (resource->is_open)
    g_hash_table_add (index->open, g_strdup (resource->name));
}

static guint32
align (gsize at)
{
  return (guint32)((at + RESOURCES_ALIGNMENT - 1) / RESOURCES_ALIGNMENT * RESOURCES_ALIGNMENT);
}

/* Turns offsets into those of the file; its length. */
static gsize
place_entries (Index *index)
{
  gsize at = sizeof (ResourcesHeader) + index->entries->len * sizeof (ResourcesEntry);
  gsize bytes_at = at + index->names->len;
  for (guint i = 0; i < index->entries->len; i++)
    {
      ResourcesEntry *entry = &g_array_index (index->entries, ResourcesEntry, i);
      entry->name_at += (guint32)at;
      entry->bytes_at = align (bytes_at);
      bytes_at = (gsize)entry->bytes_at + entry->n_bytes;
    }
  return bytes_at;
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

static gboolean
write_image (int fd, Db *db, const char *application, const Index *index, GError **error)
{
  ResourcesHeader header = { RESOURCES_MAGIC, index->entries->len };
  gsize n_entries = index->entries->len * sizeof (ResourcesEntry);
  gboolean is_written = write_all (fd, &header, sizeof header, 0)
                        && write_all (fd, index->entries->data, n_entries, sizeof header)
                        && write_all (fd, index->names->str, index->names->len, sizeof header + n_entries);
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT value FROM function_resource WHERE application = ? AND value IS NOT NULL ORDER BY name",
      "s", application);
  GError *local = NULL;
  for (guint i = 0; is_written && i < index->entries->len && db_next (query, &local); i++)
    {
      const ResourcesEntry *entry = &g_array_index (index->entries, ResourcesEntry, i);
      gsize length;
      const void *bytes = db_get_blob (query, 0, &length);
      /* One that was changed in between is in the next revision. */
      is_written = write_all (fd, bytes, MIN (length, entry->n_bytes), entry->bytes_at);
    }
  if (local != NULL)
    g_propagate_error (error, local);
  else if (!is_written)
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                 "cannot keep the resources of '%s' in memory: %s", application, g_strerror (errno));
  return local == NULL && is_written;
}

ResourceImage *
resource_image_new (Db *db, const char *application, GError **error)
{
  g_autoptr (ResourceImage) image = g_new0 (ResourceImage, 1);
  g_autoptr (GString) names = g_string_new (NULL);
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (ResourcesEntry));
  image->open = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  image->fd = -1;
  Index index = { names, entries, image->open };
  if (!resources_list (db, application, add_entry, &index, error))
    return NULL;
  image->length = place_entries (&index);
  image->fd = memfd_create ("resources", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (image->fd < 0 || ftruncate (image->fd, (off_t)image->length) != 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "cannot keep the resources of '%s' in memory: %s", application, g_strerror (errno));
      return NULL;
    }
  if (!write_image (image->fd, db, application, &index, error))
    return NULL;
  void *bytes = fcntl (image->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0
                    ? mmap (NULL, image->length, PROT_READ, MAP_PRIVATE, image->fd, 0)
                    : MAP_FAILED;
  if (bytes == MAP_FAILED)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "cannot seal the resources of '%s': %s",
                   application, g_strerror (errno));
      return NULL;
    }
  image->bytes = bytes;
  return g_steal_pointer (&image);
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
  g_hash_table_unref (image->open);
  g_free (image);
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
