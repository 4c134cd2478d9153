/* What a vendor writes: the group [Functions] of a manifest, and what claims to be a file of resources, which
 * is looked through for names that are in it and for names that are not. */
#include "common/module/resources.h"
#include "host-server/functions/manifest.h"
#include "host-server/functions/resources.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
check_manifest (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);
  g_autoptr (FunctionManifest) manifest = function_manifest_parse (text, NULL);
  if (manifest == NULL)
    return;
  if (manifest->concurrency == 0 || g_strv_length (manifest->names) > MANIFEST_MAX_NAMES
      || manifest->user_bytes < 0 || manifest->application_bytes < 0
      || strstr (manifest->module, "..") != NULL)
    g_error ("a manifest that cannot be was accepted");
}

static void
check_resources (const guint8 *data, gsize size)
{
  static const char *const names[] = { "", "a", "a.csv", "b", "climate.csv" };
  /* Of exactly that size, so that a sanitizer sees a byte too many. */
  g_autofree guint8 *file = g_memdup2 (data, size);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      gsize length;
      const guint8 *bytes = resources_find (file, size, names[i], &length);
      if (bytes != NULL && (bytes < file || length > size - (gsize)(bytes - file)))
        g_error ("a resource lies outside its file");
    }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static const char *const kinds[] = { "table", "text", "picture", "counter", "bytes" };
  check_manifest (data, size);
  check_resources (data, size);
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    resource_find_fault (kinds[i], data, size);
  return 0;
}
