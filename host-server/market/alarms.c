#include "host-server/market/alarms.h"

#include "common/base/log.h"

#include <stdarg.h>

#define MAX_KEYS 10000 /* that are remembered before those that are over are dropped */

struct Alarms
{
  const Clock *clock;
  gint64 repeat_us;
  GHashTable *said; /* key -> monotonic time, gint64 */
  guint64 n_lines;
};

Alarms *
alarms_new (const Clock *clock, gint64 repeat_us)
{
  Alarms *alarms = g_new0 (Alarms, 1);
  alarms->clock = clock;
  alarms->repeat_us = repeat_us;
  alarms->said = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return alarms;
}

void
alarms_free (Alarms *alarms)
{
  if (alarms == NULL)
    return;
  g_hash_table_unref (alarms->said);
  g_free (alarms);
}

static gboolean
is_over (gpointer key, gpointer value, gpointer data)
{
  const Alarms *alarms = data;
  return clock_get_monotonic_us (alarms->clock) - *(const gint64 *)value >= alarms->repeat_us;
}

void
alarms_say (Alarms *alarms, const char *key, const char *format, ...)
{
  gint64 *said_us = g_hash_table_lookup (alarms->said, key);
  if (said_us != NULL && !is_over (NULL, said_us, alarms))
    return;
  if (g_hash_table_size (alarms->said) >= MAX_KEYS
      && g_hash_table_foreach_remove (alarms->said, is_over, alarms) == 0)
    g_hash_table_remove_all (alarms->said); /* said twice rather than kept for ever */
  said_us = g_new (gint64, 1);
  *said_us = clock_get_monotonic_us (alarms->clock);
  g_hash_table_replace (alarms->said, g_strdup (key), said_us);
  alarms->n_lines++;

  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  log_error ("market", "%s", text);
}

guint64
alarms_get_count (const Alarms *alarms)
{
  return alarms->n_lines;
}
