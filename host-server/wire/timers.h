/* Many timers behind one event source: GLib walks all its sources each turn, a heap does not. */
#pragma once

#include "common/base/clock.h"

typedef struct Timers Timers;
typedef struct Timer Timer;

typedef void (*TimerFunc) (Timer *timer, gpointer data);

/* Embedded in what it times; zeroed before first use, and cleared before that is freed. */
struct Timer
{
  gint64 due_us; /* monotonic */
  guint place;   /* in the heap, from 1; 0: not set */
  TimerFunc func;
  gpointer data;
};

/* On the thread-default context of the caller. */
Timers *timers_new (Clock *clock);
void timers_free (Timers *timers); /* what is still set never fires */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Timers, timers_free)

/* (Re)sets @timer to fire once, @delay_us from now. */
void timers_set (Timers *timers, Timer *timer, gint64 delay_us, TimerFunc func, gpointer data);
void timers_clear (Timers *timers, Timer *timer);
/* Fires what is due; the event source does it by itself, tests with a clock of their own call it. */
void timers_run (Timers *timers);
gint64 timers_now_us (const Timers *timers);
