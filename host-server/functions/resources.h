/* An application's resources: tables, texts, pictures, counters, uploaded by the vendor under names.
 * Functions find them mapped in memory; callers get those that are open by resource.get. */
#pragma once

#include "common/base/db.h"

#define RESOURCE_MAX_NAME 128 /* bytes */

/* Printable ASCII without spaces. */
gboolean resource_name_is_valid (const char *name);
/* "table", "text", "picture", "counter", "bytes". */
gboolean resource_kind_is_valid (const char *kind);
/* Why @value is no resource of @kind; NULL: it is one. A table and a text are UTF-8, a counter is a decimal
 * number, a picture is PNG, JPEG, GIF, WebP or SVG. */
const char *resource_find_fault (const char *kind, const void *bytes, gsize length);

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

/* All of them in a sealed memory file (common/module/resources.h), mapped here too. */
typedef struct ResourceImage ResourceImage;
ResourceImage *resource_image_new (Db *db, const char *application, GError **error);
void resource_image_free (ResourceImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ResourceImage, resource_image_free)
int resource_image_get_fd (const ResourceImage *image); /* lent */
/* An open resource; NULL if there is none of that name, or it is not open. */
const void *resource_image_find_open (const ResourceImage *image, const char *name, gsize *length);
