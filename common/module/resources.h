/* An application's resources as they lie in a sealed memory file, which a module's runner maps before it
 * loads the object: a count, an index sorted by name, then the bytes. The host writes it
 * (resource-image.h), the runner looks names up. No GLib here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOURCES_MAGIC     0x53525354u
#define RESOURCES_ALIGNMENT 16u /* of each resource's first byte */

typedef struct
{
  uint32_t magic;
  uint32_t n_entries;
} ResourcesHeader;

/* Offsets are from the start of the file. */
typedef struct
{
  uint32_t name_at, name_length;
  uint32_t bytes_at, n_bytes;
} ResourcesEntry;

/* The bytes of @name in the @length bytes at @file, which may be anything: NULL if it is not there. */
const void *resources_find (const void *file, size_t length, const char *name, size_t *n_bytes);
