/* How long to wait before the next attempt to reach the server: soon at first, then twice as long each time
 * up to two minutes, with jitter so that a thousand clients do not return in step. */
#pragma once

#include "common/base/clock.h"

typedef struct
{
  const Clock *clock;
  guint failures;      /* attempts since the last lasting connection */
  gint64 online_at_us; /* monotonic; -1 while offline */
} Backoff;

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MOST_MS  120000
/* A connection that lasted this long was a good one: the next failure starts from the beginning. A server
 * that lets us in and throws us out at once is not asked faster for it. */
#define BACKOFF_LASTING_S 30

/* @clock must outlive @backoff. */
void backoff_init (Backoff *backoff, const Clock *clock);
void backoff_note_online (Backoff *backoff);
/* An attempt failed, or the connection was lost. Returns the delay in milliseconds, between three quarters
 * and five quarters of the nominal one; @random is any 32 random bits. */
guint backoff_note_failure (Backoff *backoff, guint32 random);
