/* An application's resources: tables, texts, pictures, counters, uploaded by the vendor under names.
 * Functions find them mapped in memory; callers get those that are open by resource.get. */
#pragma once

#include "common/base/db.h"
#include "common/module/resource-file.h"
#include "common/module/resource-image.h"

typedef struct
{
  const char *application;
  const char *name;
  const char *kind;
  gboolean is_open;
  const void *bytes;
  gsize length;
  gint64 most_bytes; /* of all resources of the application */
  gint64 now_us;
} ResourcePut;

/* On the writer thread. *version is the new one, 0 if they would become too large. */
gboolean resource_put (Db *db, const ResourcePut *put, gint64 *version, GError **error);
gboolean resource_remove (Db *db, const char *application, const char *name, gint64 now_us,
                          gboolean *is_found, GError **error);

typedef struct
{
  const char *name;
  const char *kind;
  gint64 version;
  gint64 n_bytes;
  gboolean is_open;
  gint64 changed_us;
} Resource;
typedef void (*ResourceEach) (const Resource *resource, gpointer data);
gboolean resources_list (Db *db, const char *application, ResourceEach each, gpointer data, GError **error);

/* All of them in a sealed memory file. */
ResourceImage *resource_image_new (Db *db, const char *application, GError **error);
