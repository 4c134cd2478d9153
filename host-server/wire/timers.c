#include "host-server/wire/timers.h"

typedef struct
{
  GSource source;
  Timers *timers;
} TimersSource;

struct Timers
{
  Clock *clock;
  GPtrArray *heap; /* of Timer; the earliest first */
  TimersSource *source;
};

static gboolean
timers_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  Timers *timers = ((TimersSource *)source)->timers;
  g_source_set_ready_time (source, -1);
  timers_run (timers);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { NULL, NULL, timers_dispatch, NULL, NULL, NULL };

Timers *
timers_new (Clock *clock)
{
  Timers *timers = g_new0 (Timers, 1);
  timers->clock = clock;
  timers->heap = g_ptr_array_new ();
  timers->source = (TimersSource *)g_source_new (&source_funcs, sizeof (TimersSource));
  timers->source->timers = timers;
  g_source_attach (&timers->source->source, g_main_context_get_thread_default ());
  return timers;
}

void
timers_free (Timers *timers)
{
  if (timers == NULL)
    return;
  for (guint i = 0; i < timers->heap->len; i++)
    ((Timer *)timers->heap->pdata[i])->place = 0;
  g_source_destroy (&timers->source->source);
  g_source_unref (&timers->source->source);
  g_ptr_array_unref (timers->heap);
  g_free (timers);
}

gint64
timers_now_us (const Timers *timers)
{
  return clock_get_monotonic_us (timers->clock);
}

static void
put (Timers *timers, guint place, Timer *timer)
{
  timers->heap->pdata[place - 1] = timer;
  timer->place = place;
}

static Timer *
at (const Timers *timers, guint place)
{
  return timers->heap->pdata[place - 1];
}

/* Moves the timer at @place up or down to where it belongs. */
static void
settle (Timers *timers, guint place)
{
  Timer *timer = at (timers, place);
  while (place > 1 && at (timers, place / 2)->due_us > timer->due_us)
    {
      put (timers, place, at (timers, place / 2));
      place /= 2;
    }
  for (;;)
    {
      guint child = place * 2;
      if (child > timers->heap->len)
        break;
      if (child < timers->heap->len && at (timers, child + 1)->due_us < at (timers, child)->due_us)
        child++;
      if (at (timers, child)->due_us >= timer->due_us)
        break;
      put (timers, place, at (timers, child));
      place = child;
    }
  put (timers, place, timer);
}

static void
arm (Timers *timers)
{
  gint64 due = -1;
  if (timers->heap->len > 0)
    {
      /* The source counts in the system's time, whatever clock we have. */
      gint64 wait = at (timers, 1)->due_us - timers_now_us (timers);
      due = g_get_monotonic_time () + MAX (wait, 0);
    }
  g_source_set_ready_time (&timers->source->source, due);
}

static void
take_out (Timers *timers, Timer *timer)
{
  guint place = timer->place;
  Timer *last = at (timers, timers->heap->len);
  g_ptr_array_set_size (timers->heap, (int)timers->heap->len - 1);
  timer->place = 0;
  if (last == timer)
    return;
  put (timers, place, last);
  settle (timers, place);
}

void
timers_set (Timers *timers, Timer *timer, gint64 delay_us, TimerFunc func, gpointer data)
{
  Timer *first = timers->heap->len > 0 ? at (timers, 1) : NULL;
  timer->due_us = timers_now_us (timers) + delay_us;
  timer->func = func;
  timer->data = data;
  if (timer->place == 0)
    {
      g_ptr_array_add (timers->heap, timer);
      timer->place = timers->heap->len;
    }
  settle (timers, timer->place);
  if (timer->place == 1 || timer == first)
    arm (timers);
}

void
timers_clear (Timers *timers, Timer *timer)
{
  if (timer->place == 0)
    return;
  gboolean was_first = timer->place == 1;
  take_out (timers, timer);
  if (was_first)
    arm (timers);
}

void
timers_run (Timers *timers)
{
  gint64 now = timers_now_us (timers);
  while (timers->heap->len > 0 && at (timers, 1)->due_us <= now)
    {
      Timer *timer = at (timers, 1);
      take_out (timers, timer);
      timer->func (timer, timer->data);
    }
  arm (timers);
}
