#include "host-server/modules/spares.h"

#include <string.h>
#include <unistd.h>

/* Calls closer together than this are a crowd, and so many of them make spares worth their while. */
#define QUICK_US (50 * 1000)
#define QUICK_N  16

void
spares_note_call (Spares *spares, gint64 now_us)
{
  spares->n_quick = now_us - spares->called_us < QUICK_US ? MIN (spares->n_quick + 1, QUICK_N) : 0;
  spares->called_us = now_us;
}

gboolean
spares_want_more (const Spares *spares, gint64 now_us)
{
  return spares->n < SPARES_MAX && spares->n_quick >= QUICK_N && now_us - spares->called_us < QUICK_US;
}

void
spares_add (Spares *spares, int channel, guint32 number, gint64 now_us)
{
  g_assert (spares->n < SPARES_MAX);
  spares->spares[spares->n++]
      = (Spare){ .channel = channel, .number = number, .until_us = now_us + SPARES_LIFE_MS * 1000 };
}

static Spare
pop_oldest (Spares *spares)
{
  Spare oldest = spares->spares[0];
  memmove (&spares->spares[0], &spares->spares[1], --spares->n * sizeof spares->spares[0]);
  return oldest;
}

gboolean
spares_take (Spares *spares, Spare *taken, gint64 now_us)
{
  spares_expire (spares, now_us);
  if (spares->n == 0)
    return FALSE;
  /* The newest: the processor's caches still know it. */
  *taken = spares->spares[--spares->n];
  return TRUE;
}

void
spares_expire (Spares *spares, gint64 now_us)
{
  while (spares->n > 0 && spares->spares[0].until_us <= now_us)
    close (pop_oldest (spares).channel);
}

gint64
spares_get_due_us (const Spares *spares)
{
  return spares->n > 0 ? spares->spares[0].until_us : G_MAXINT64;
}
