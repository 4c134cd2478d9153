/* Processes of a module that were forked before there is a call for them, and wait, confined, for one.
 *
 * Forking and confining take most of a short call's time. Under load they are done while nobody waits: once
 * calls come quickly one after the other some processes are kept, each for one call and for at most a second.
 * A quiet module has none. What a spare has seen is what the zygote has: no request. */
#pragma once

#include <glib.h>

#define SPARES_MAX 8
/* A spare that found no call by then ends. The supervisor, who kills what is older than a call may be, has to
 * know. */
#define SPARES_LIFE_MS 1000

typedef struct
{
  int channel; /* the host's end, closed by its owner */
  guint32 number;
  gint64 until_us; /* monotonic */
} Spare;

typedef struct
{
  Spare spares[SPARES_MAX]; /* the oldest first */
  guint n;
  guint n_quick; /* calls that came soon after the one before */
  gint64 called_us;
} Spares;

/* A call has come. */
void spares_note_call (Spares *spares, gint64 now_us);
/* Whether another one should be made now. */
gboolean spares_want_more (const Spares *spares, gint64 now_us);
void spares_add (Spares *spares, int channel, guint32 number, gint64 now_us);
/* Takes one that has life left; FALSE if there is none. */
gboolean spares_take (Spares *spares, Spare *taken, gint64 now_us);
/* Ends those whose time is over; G_MAXINT64 to end all. */
void spares_expire (Spares *spares, gint64 now_us);
/* When spares_expire() has something to do; G_MAXINT64: never. */
gint64 spares_get_due_us (const Spares *spares);
