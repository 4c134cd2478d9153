#include "common/base/deadlines.h"

typedef struct
{
  GSource source;
  Deadlines *deadlines;
} DeadlineSource;

struct Deadlines
{
  GSequence *sequence; /* of Deadline, by due_us */
  GSource *source;
};

struct Deadline
{
  GSequenceIter *place;
  gint64 due_us; /* monotonic */
  DeadlineFunc func;
  gpointer data;
};

static Deadline *
peek_first (const Deadlines *deadlines)
{
  GSequenceIter *first = g_sequence_get_begin_iter (deadlines->sequence);
  return g_sequence_iter_is_end (first) ? NULL : g_sequence_get (first);
}

static gboolean
dispatch (GSource *source, GSourceFunc unused, gpointer unused_data)
{
  Deadlines *deadlines = ((DeadlineSource *)source)->deadlines;
  gint64 now_us = g_source_get_time (source);
  Deadline *first;
  while ((first = peek_first (deadlines)) != NULL && first->due_us <= now_us)
    {
      DeadlineFunc func = first->func;
      gpointer data = first->data;
      g_sequence_remove (first->place);
      func (data);
    }
  g_source_set_ready_time (source, first != NULL ? first->due_us : -1);
  return G_SOURCE_CONTINUE;
}

Deadlines *
deadlines_new (GMainContext *context)
{
  static GSourceFuncs funcs = { .dispatch = dispatch };
  Deadlines *deadlines = g_new0 (Deadlines, 1);
  deadlines->sequence = g_sequence_new (g_free);
  deadlines->source = g_source_new (&funcs, sizeof (DeadlineSource));
  ((DeadlineSource *)deadlines->source)->deadlines = deadlines;
  g_source_attach (deadlines->source, context != NULL ? context : g_main_context_get_thread_default ());
  return deadlines;
}

void
deadlines_free (Deadlines *deadlines)
{
  if (deadlines == NULL)
    return;
  g_source_destroy (deadlines->source);
  g_source_unref (deadlines->source);
  g_sequence_free (deadlines->sequence);
  g_free (deadlines);
}

static int
compare (gconstpointer a, gconstpointer b, gpointer unused)
{
  gint64 one = ((const Deadline *)a)->due_us, other = ((const Deadline *)b)->due_us;
  return one < other ? -1 : one > other;
}

Deadline *
deadlines_add (Deadlines *deadlines, guint ms, DeadlineFunc func, gpointer data)
{
  Deadline *deadline = g_new (Deadline, 1);
  *deadline = (Deadline){ .due_us = g_get_monotonic_time () + (gint64)ms * 1000, .func = func, .data = data };
  deadline->place = g_sequence_insert_sorted (deadlines->sequence, deadline, compare, NULL);
  if (peek_first (deadlines) == deadline)
    g_source_set_ready_time (deadlines->source, deadline->due_us);
  return deadline;
}

/* One that was the first leaves the source as it is: it wakes once for nothing, and then by the next. */
void
deadline_cancel (Deadline *deadline)
{
  g_sequence_remove (deadline->place);
}
