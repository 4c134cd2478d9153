#include "host-server/functions/resources.h"

#include "common/module/resources.h"

#include <string.h>

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

/* Names are ASCII, so the database's order is that of bytes. */
static void
add_entry (const Resource *resource, gpointer data)
{
  resource_image_add (data, resource->name, (gsize)resource->n_bytes, resource->is_open);
}

static gboolean
write_values (ResourceImage *image, Db *db, const char *application, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT value FROM function_resource WHERE application = ? AND value IS NOT NULL ORDER BY name",
      "s", application);
  /* One that was changed since it was counted is in the next revision. */
  for (guint i = 0; i < resource_image_get_n (image) && db_next (query, &local); i++)
    {
      gsize length;
      const void *bytes = db_get_blob (query, 0, &length);
      if (!resource_image_write (image, i, bytes, length, error))
        return FALSE;
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

ResourceImage *
resource_image_new (Db *db, const char *application, GError **error)
{
  g_autoptr (ResourceImage) image = resource_image_begin ();
  if (!resources_list (db, application, add_entry, image, error))
    return NULL;
  if (!resource_image_lay_out (image, error) || !write_values (image, db, application, error)
      || !resource_image_seal (image, error))
    {
      g_prefix_error (error, "application '%s': ", application);
      return NULL;
    }
  return g_steal_pointer (&image);
}
