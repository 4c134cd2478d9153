/* The group [Functions] of a plugin's manifest: which functions an application has, and what they may use. */
#pragma once

#include <glib.h>

#define MANIFEST_GROUP     "Functions"
#define MANIFEST_MAX_NAMES 64

typedef struct
{
  char *module;      /* a path inside [modules] folder; "": the application has only what the host offers */
  char **names;      /* of the vendor's functions; NULL-terminated, may be empty */
  gint64 user_bytes; /* of data for each user; 0: none */
  gint64 application_bytes; /* of resources */
  guint concurrency;        /* calls at once, of all its users */
  guint rate;               /* calls a second, of all its users; 0: no limit */
} FunctionManifest;

/* Reads the group as a key file of its own. NULL with @error (G_IO_ERROR_INVALID_DATA), which names group and
 * key; unknown keys are errors. */
FunctionManifest *function_manifest_parse (const char *text, GError **error);
void function_manifest_free (FunctionManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FunctionManifest, function_manifest_free)
