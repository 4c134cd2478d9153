/* Resources of an application as a vendor has them: files with a name and a kind, listed as they are
 * uploaded. */
#pragma once

#include <glib.h>

#define RESOURCE_MAX_NAME 128 /* bytes */

/* Printable ASCII without spaces. */
gboolean resource_name_is_valid (const char *name);
/* "table", "text", "picture", "counter", "bytes". */
gboolean resource_kind_is_valid (const char *kind);
/* The kind that a file's name speaks of; "bytes" if none. */
const char *resource_guess_kind (const char *path);
/* Why @value is no resource of @kind; NULL: it is one. A table and a text are UTF-8, a counter is a decimal
 * number, a picture is PNG, JPEG, GIF, WebP or SVG. */
const char *resource_find_fault (const char *kind, const void *bytes, gsize length);

typedef struct
{
  char *name;
  char *path;
  const char *kind; /* static */
  gboolean is_open;
  GBytes *bytes; /* without a fault */
} ResourceFile;

/* Reads those of @path, at most 1000 and 64 MiB. A folder: each of its files, under the file's name and
 * closed, those that begin with a dot left out. A file: a line for each, what follows `hostctl resource put
 * APPLICATION`: `NAME FILE [--kind KIND] [--open]`, FILE beside the list unless absolute; '#' begins a
 * comment. Sorted by name, each once. NULL with @error, which names file and line. */
GPtrArray *resource_files_read (const char *path, GError **error);
