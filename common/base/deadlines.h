/* Many time limits, one GSource: a main loop walks all its sources at each turn, so that thousands of
 * requests that wait, each with a timer of its own, would slow everything down. Adding, cancelling and
 * running out cost O(log n). Used from one thread. */
#pragma once

#include <glib.h>

typedef struct Deadlines Deadlines;
typedef struct Deadline Deadline;

typedef void (*DeadlineFunc) (gpointer data);

/* @context: NULL is the thread's default. */
Deadlines *deadlines_new (GMainContext *context);
/* What is left is cancelled. Not from inside a DeadlineFunc. */
void deadlines_free (Deadlines *deadlines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Deadlines, deadlines_free)

/* Calls @func on the context once @ms milliseconds are over, not earlier. The handle is gone then, before
 * @func is called, or with deadline_cancel(). Those of one time come in the order they were added. */
Deadline *deadlines_add (Deadlines *deadlines, guint ms, DeadlineFunc func, gpointer data);
void deadline_cancel (Deadline *deadline);
