#include "host-server/functions/manifest.h"

#include "common/protocol/function.h"
#include "host-server/functions/predefined.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_USER_BYTES        (G_GINT64_CONSTANT (64) << 20)
#define MAX_APPLICATION_BYTES (G_GINT64_CONSTANT (64) << 20)

void
function_manifest_free (FunctionManifest *manifest)
{
  if (manifest == NULL)
    return;
  g_free (manifest->module);
  g_strfreev (manifest->names);
  g_free (manifest);
}

static gboolean
complain (GError **error, const char *key, const char *problem)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[" MANIFEST_GROUP "] %s: %s", key, problem);
  return FALSE;
}

/* "1M" */
static gboolean
read_bytes (const char *text, gint64 most, gint64 *bytes)
{
  g_autofree char *number = g_strdup (text);
  gsize length = strlen (number);
  guint shift = 0;
  if (length > 0 && strchr ("KMG", number[length - 1]) != NULL)
    {
      shift = number[length - 1] == 'K' ? 10 : number[length - 1] == 'M' ? 20 : 30;
      number[length - 1] = '\0';
    }
  if (!g_ascii_string_to_signed (number, 10, 0, most >> shift, bytes, NULL))
    return FALSE;
  *bytes <<= shift;
  return TRUE;
}

static gboolean
read_names (FunctionManifest *manifest, const char *text, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) words = g_strsplit_set (text, ",;", -1);
  for (gsize i = 0; words[i] != NULL; i++)
    {
      const char *name = g_strstrip (words[i]);
      if (name[0] == '\0' && words[i + 1] == NULL)
        continue;
      if (!function_name_is_valid (name))
        return complain (error, "names", "each begins with a letter, then letters, digits, '.', '_', '-'");
      if (predefined_find (name) != NULL)
        return complain (error, "names", "one of them is a function of the host's own");
      if (names->len == MANIFEST_MAX_NAMES)
        return complain (error, "names", "there are too many");
      for (guint k = 0; k < names->len; k++)
        if (g_str_equal (g_ptr_array_index (names, k), name))
          return complain (error, "names", "one of them is there twice");
      g_ptr_array_add (names, g_strdup (name));
    }
  g_ptr_array_add (names, NULL);
  g_strfreev (manifest->names);
  manifest->names = (char **)g_ptr_array_free (g_steal_pointer (&names), FALSE);
  return TRUE;
}

static gboolean
read_key (FunctionManifest *manifest, const char *key, const char *value, GError **error)
{
  gint64 number = 0;
  if (g_str_equal (key, "module"))
    {
      if (value[0] == '/' || strstr (value, "..") != NULL || strlen (value) > 200)
        return complain (error, key, "must be a path inside its folder");
      g_free (manifest->module);
      manifest->module = g_strdup (value);
      return TRUE;
    }
  if (g_str_equal (key, "names"))
    return read_names (manifest, value, error);
  if (g_str_equal (key, "user_data"))
    return read_bytes (value, MAX_USER_BYTES, &manifest->user_bytes)
           || complain (error, key, "must be bytes, as 64K or 1M, at most 64M");
  if (g_str_equal (key, "application_data"))
    return read_bytes (value, MAX_APPLICATION_BYTES, &manifest->application_bytes)
           || complain (error, key, "must be bytes, as 64K or 16M, at most 64M");
  if (g_str_equal (key, "concurrency"))
    {
      if (!g_ascii_string_to_signed (value, 10, 1, 32, &number, NULL))
        return complain (error, key, "must be a number from 1 to 32");
      manifest->concurrency = (guint)number;
      return TRUE;
    }
  if (g_str_equal (key, "rate"))
    {
      if (!g_ascii_string_to_signed (value, 10, 0, 100000, &number, NULL))
        return complain (error, key, "must be calls a second, at most 100000; 0: no limit");
      manifest->rate = (guint)number;
      return TRUE;
    }
  return complain (error, key, "unknown key");
}

FunctionManifest *
function_manifest_parse (const char *text, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (FunctionManifest) manifest = g_new0 (FunctionManifest, 1);
  manifest->module = g_strdup ("");
  manifest->names = g_new0 (char *, 1);
  manifest->concurrency = 4;
  manifest->rate = 50;
  if (!g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_NONE, error))
    return NULL;
  g_auto (GStrv) keys = g_key_file_get_keys (file, MANIFEST_GROUP, NULL, error);
  if (keys == NULL)
    return NULL;
  for (gsize i = 0; keys[i] != NULL; i++)
    {
      g_autofree char *value = g_key_file_get_string (file, MANIFEST_GROUP, keys[i], error);
      if (value == NULL || !read_key (manifest, keys[i], value, error))
        return NULL;
    }
  if ((manifest->names[0] != NULL) != (manifest->module[0] != '\0'))
    {
      complain (error, manifest->module[0] != '\0' ? "names" : "module", "missing, the other is given");
      return NULL;
    }
  return g_steal_pointer (&manifest);
}
