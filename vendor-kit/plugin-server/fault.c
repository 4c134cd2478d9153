#include "vendor-kit/plugin-server/fault.h"

#include <gio/gio.h>
#include <string.h>

#define ALL G_MAXINT64

static const struct
{
  const char *name;
  gint64 standard;
} kinds[N_FAULTS] = {
  [FAULT_ERROR] = { "error", ALL },
  [FAULT_BUSY] = { "busy", 1 },
  [FAULT_REFUSE] = { "refuse", ALL },
  [FAULT_MUMBLE] = { "mumble", ALL },
  [FAULT_DENY] = { "deny", ALL },
  [FAULT_REDIRECT] = { "redirect", ALL },
  [FAULT_VOID_ERROR] = { "void-error", ALL },
  [FAULT_UNSEEN] = { "unseen", ALL },
  [FAULT_NO_TOKENS] = { "no-tokens", ALL },
  [FAULT_HTML] = { "html", ALL },
  [FAULT_EMPTY] = { "empty", ALL },
  [FAULT_CONTROL] = { "control", ALL },
  [FAULT_SAME] = { "same", ALL },
  [FAULT_HUGE] = { "huge", ALL },
  [FAULT_OTHER] = { "other", ALL },
  [FAULT_LATE] = { "late", ALL },
  [FAULT_LOST] = { "lost", ALL },
  [FAULT_CHANGE] = { "change", ALL },
  [FAULT_DATE] = { "date", ALL },
  [FAULT_FORGET] = { "forget", ALL },
  [FAULT_KEEP] = { "keep", ALL },
  [FAULT_TRUST] = { "trust", ALL },
  [FAULT_STALE] = { "stale", ALL },
  [FAULT_ANY_PLUGIN] = { "any-plugin", ALL },
  [FAULT_CRASH] = { "crash", ALL },
};

gboolean
faults_add (Faults *faults, const char *text, GError **error)
{
  gsize length = strcspn (text, ":");
  guint64 n = 0;
  gboolean is_counted = text[length] == ':';
  for (guint i = 0; i < N_FAULTS; i++)
    {
      if (strlen (kinds[i].name) != length || strncmp (kinds[i].name, text, length) != 0)
        continue;
      if (is_counted && !g_ascii_string_to_unsigned (text + length + 1, 10, 1, 1000000000, &n, error))
        return FALSE;
      faults->left[i] = is_counted ? (gint64)n : kinds[i].standard;
      return TRUE;
    }
  g_autoptr (GString) known = g_string_new (NULL);
  for (guint i = 0; i < N_FAULTS; i++)
    g_string_append_printf (known, " %s", kinds[i].name);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "no fault '%s'; there are:%s", text,
               known->str);
  return FALSE;
}

gboolean
faults_take (Faults *faults, FaultKind kind)
{
  if (faults->left[kind] == 0)
    return FALSE;
  if (faults->left[kind] != ALL)
    faults->left[kind]--;
  return TRUE;
}
