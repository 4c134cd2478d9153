#include "common/module/resources.h"
#include <string.h>

static bool
is_inside (uint32_t at, uint32_t n, size_t length)
{
  return at <= length && n <= length - at;
}

/* As strcmp() does, for a name without NUL. */
static int
compare (const char *name, const char *other, size_t n_other)
{
  size_t n_name = strlen (name);
  int order = memcmp (name, other, n_name < n_other ? n_name : n_other);
  return order != 0 ? order : (n_name > n_other) - (n_name < n_other);
}

const void *
resources_find (const void *file, size_t length, const char *name, size_t *n_bytes)
{
  ResourcesHeader header;
  *n_bytes = 0;
  if (file == NULL || length < sizeof header)
    return NULL;
  memcpy (&header, file, sizeof header);
  if (header.magic != RESOURCES_MAGIC
      || header.n_entries > (length - sizeof header) / sizeof (ResourcesEntry))
    return NULL;

  const uint8_t *bytes = file;
  uint32_t low = 0, high = header.n_entries;
  while (low < high)
    {
      uint32_t middle = low + (high - low) / 2;
      ResourcesEntry entry;
      memcpy (&entry, bytes + sizeof header + middle * sizeof entry, sizeof entry);
      if (!is_inside (entry.name_at, entry.name_length, length)
          || !is_inside (entry.bytes_at, entry.n_bytes, length))
        return NULL;
      int order = compare (name, (const char *)bytes + entry.name_at, entry.name_length);
      if (order == 0)
        {
          *n_bytes = entry.n_bytes;
          return bytes + entry.bytes_at;
        }
      if (order < 0)
        high = middle;
      else
        low = middle + 1;
    }
  return NULL;
}
