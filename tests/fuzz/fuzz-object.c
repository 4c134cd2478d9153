/* A shared object as host-module-check reads it: whatever its tables say, nothing outside of the file is
 * touched, and what is accepted has names that end. */
#include "plugin-abi/check/object.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
check_names (const GPtrArray *names)
{
  for (guint i = 0; i < names->len; i++)
    if (names->pdata[i] == NULL || strlen (names->pdata[i]) > OBJECT_MAX_BYTES)
      g_error ("a name that is none was taken");
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  char *why = NULL;
  /* A copy of exactly that size, so that one byte too many is noticed. */
  guint8 *bytes = g_memdup2 (data, size);
  Object *object = object_read (bytes, size, &why);

  if ((object == NULL) == (why == NULL))
    g_error ("neither read nor refused, or both");
  if (object != NULL)
    {
      check_names (object->needed);
      check_names (object->imports);
      check_names (object->exports);
      object_free (object);
    }
  g_free (why);
  g_free (bytes);
  return 0;
}
