#include "common/base/clock.h"

struct Clock
{
  gboolean is_fake;
  gint64 wall_us;
  gint64 monotonic_us;
};

Clock *
clock_new_system (void)
{
  return g_new0 (Clock, 1);
}

Clock *
clock_new_fake (gint64 wall_us)
{
  Clock *clock = g_new0 (Clock, 1);
  clock->is_fake = TRUE;
  clock->wall_us = wall_us;
  return clock;
}

void
clock_free (Clock *clock)
{
  g_free (clock);
}

gint64
clock_get_wall_us (const Clock *clock)
{
  return clock->is_fake ? clock->wall_us : g_get_real_time ();
}

gint64
clock_get_monotonic_us (const Clock *clock)
{
  return clock->is_fake ? clock->monotonic_us : g_get_monotonic_time ();
}

void
clock_advance_us (Clock *clock, gint64 us)
{
  g_assert (clock->is_fake);
  clock->wall_us += us;
  clock->monotonic_us += us;
}

char *
clock_dup_rfc3339 (gint64 wall_us)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (wall_us / G_USEC_PER_SEC);
  return time != NULL ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ") : g_strdup ("");
}

gboolean
clock_parse_rfc3339 (const char *text, gint64 *wall_us)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (text, NULL);
  if (time == NULL)
    return FALSE;
  *wall_us = g_date_time_to_unix (time) * G_USEC_PER_SEC + g_date_time_get_microsecond (time);
  return TRUE;
}
