#include "host-client/core/backoff.h"

void
backoff_init (Backoff *backoff, const Clock *clock)
{
  *backoff = (Backoff){ .clock = clock, .online_at_us = -1 };
}

void
backoff_note_online (Backoff *backoff)
{
  backoff->online_at_us = clock_get_monotonic_us (backoff->clock);
}

guint
backoff_note_failure (Backoff *backoff, guint32 random)
{
  if (backoff->online_at_us >= 0)
    {
      gint64 lasted_us = clock_get_monotonic_us (backoff->clock) - backoff->online_at_us;
      if (lasted_us >= BACKOFF_LASTING_S * G_USEC_PER_SEC)
        backoff->failures = 0;
      backoff->online_at_us = -1;
    }

  guint nominal = BACKOFF_MOST_MS;
  if (backoff->failures < 8)
    nominal = MIN (BACKOFF_FIRST_MS << backoff->failures, BACKOFF_MOST_MS);
  backoff->failures++;
  return nominal - nominal / 4 + (guint)((guint64)random * (nominal / 2) >> 32);
}
