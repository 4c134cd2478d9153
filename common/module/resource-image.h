/* The sealed memory file of an application's resources (resources.h), as a host makes it: laid out, written
 * piece by piece, sealed, and mapped here too. */
#pragma once

#include <glib.h>

typedef struct ResourceImage ResourceImage;

ResourceImage *resource_image_begin (void);
/* In the order of the names' bytes, each once. */
void resource_image_add (ResourceImage *image, const char *name, gsize length, gboolean is_open);
/* Makes the file, with room for what was added. */
gboolean resource_image_lay_out (ResourceImage *image, GError **error);
guint resource_image_get_n (const ResourceImage *image);
/* The bytes of resource @index, in the order of adding; what is beyond its length is left out. */
gboolean resource_image_write (ResourceImage *image, guint index, const void *bytes, gsize length,
                               GError **error);
/* Nothing is written any more. */
gboolean resource_image_seal (ResourceImage *image, GError **error);

void resource_image_free (ResourceImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ResourceImage, resource_image_free)

int resource_image_get_fd (const ResourceImage *image); /* lent */
/* An open resource; NULL if there is none of that name, or it is not open. */
const void *resource_image_find_open (const ResourceImage *image, const char *name, gsize *length);
