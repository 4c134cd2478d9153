/* What a shared object says of itself: machine, libraries, symbols. It is read, never loaded, and may be
 * anything. */
#pragma once

#include <glib.h>

/* The largest object looked at. */
#define OBJECT_MAX_BYTES (64u << 20)

typedef struct
{
  GPtrArray *needed;  /* char *: libraries */
  GPtrArray *imports; /* char *: undefined symbols, without versions; weak ones left out */
  GPtrArray *exports; /* char *: defined ones */
  gboolean is_bound_now;
} Object;

/* NULL with *@why (the caller frees it) if @length bytes of @bytes are no 64-bit shared object of this
 * machine, or its tables lead out of it. */
Object *object_read (const guint8 *bytes, gsize length, char **why);
void object_free (Object *object);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Object, object_free)

gboolean object_exports (const Object *object, const char *symbol);
