#include "common/base/faults.h"

#include <gio/gio.h>
#include <string.h>

gboolean
faults_read (Faults *faults, const FaultMode *modes, guint n_modes, const char *text, GError **error)
{
  gsize length = strcspn (text, ":");
  guint64 n = 0;
  gboolean is_counted = text[length] == ':';
  g_return_val_if_fail (n_modes <= FAULTS_MAX, FALSE);
  for (guint i = 0; i < n_modes; i++)
    {
      if (strlen (modes[i].name) != length || strncmp (modes[i].name, text, length) != 0)
        continue;
      if (is_counted && !g_ascii_string_to_unsigned (text + length + 1, 10, 1, 1000000000, &n, error))
        return FALSE;
      faults->left[i] = is_counted ? (gint64)n : modes[i].standard;
      return TRUE;
    }
  g_autoptr (GString) known = g_string_new (NULL);
  for (guint i = 0; i < n_modes; i++)
    g_string_append_printf (known, " %s", modes[i].name);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "no fault '%s'; there are:%s", text,
               known->str);
  return FALSE;
}

gint64
faults_get (const Faults *faults, guint kind)
{
  return faults->left[kind];
}

gboolean
faults_take (Faults *faults, guint kind)
{
  if (faults->left[kind] == 0)
    return FALSE;
  if (faults->left[kind] != FAULT_ALWAYS)
    faults->left[kind]--;
  return TRUE;
}
