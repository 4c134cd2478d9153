#include "billing-stub/fault.h"

#include <gio/gio.h>
#include <string.h>

#define ALL G_MAXINT64

static const struct
{
  const char *name;
  gint64 standard;
} kinds[N_FAULTS] = {
  [FAULT_DUPLICATE] = { "duplicate", 1 },
  [FAULT_RENUMBER] = { "renumber", 1 },
  [FAULT_DELAY] = { "delay", 1000 },
  [FAULT_REORDER] = { "reorder", 1000 },
  [FAULT_FORGE] = { "forge", 3 },
  [FAULT_DROP] = { "drop", ALL },
  [FAULT_UNDERPAY] = { "underpay", 1 },
  [FAULT_OVERPAY] = { "overpay", 1 },
  [FAULT_LATE] = { "late", ALL },
  [FAULT_CURRENCY] = { "currency", ALL },
  [FAULT_MERCHANT] = { "merchant", ALL },
  [FAULT_TEST_MODE] = { "test-mode", ALL },
  [FAULT_SLOW] = { "slow", 1000 },
  [FAULT_ERROR] = { "error", ALL },
  [FAULT_LOST] = { "lost", ALL },
  [FAULT_REFUSE] = { "refuse", ALL },
  [FAULT_REFUSE_REFUND] = { "refuse-refund", ALL },
  [FAULT_PENDING_REFUND] = { "pending-refund", 1000 },
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

gint64
faults_get (const Faults *faults, FaultKind kind)
{
  return faults->left[kind];
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
