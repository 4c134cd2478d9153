#include "common/base/deadlines.h"

static GString *said;
static GMainLoop *loop;

static void
say (gpointer data)
{
  g_string_append (said, data);
}

static void
stop (gpointer unused)
{
  g_main_loop_quit (loop);
}

static void
begin (void)
{
  said = g_string_new (NULL);
  loop = g_main_loop_new (NULL, FALSE);
}

static void
end (const char *expected)
{
  g_main_loop_run (loop);
  g_assert_cmpstr (said->str, ==, expected);
  g_string_free (said, TRUE);
  g_main_loop_unref (loop);
}

static void
test_deadlines_come_in_the_order_of_their_time (void)
{
  g_autoptr (Deadlines) deadlines = deadlines_new (NULL);
  gint64 begun_us = g_get_monotonic_time ();
  begin ();
  deadlines_add (deadlines, 30, say, "c");
  deadlines_add (deadlines, 10, say, "a");
  deadlines_add (deadlines, 40, stop, NULL);
  deadlines_add (deadlines, 20, say, "b");
  deadlines_add (deadlines, 0, say, "0");
  end ("0abc");
  g_assert_cmpint (g_get_monotonic_time () - begun_us, >=, 40000);
}

static void
test_deadlines_cancelled_is_never_called (void)
{
  g_autoptr (Deadlines) deadlines = deadlines_new (NULL);
  begin ();
  Deadline *first = deadlines_add (deadlines, 5, say, "first");
  Deadline *second = deadlines_add (deadlines, 10, say, "second");
  deadlines_add (deadlines, 15, say, "third");
  deadlines_add (deadlines, 20, stop, NULL);
  deadline_cancel (first);
  deadline_cancel (second);
  end ("third");
}

typedef struct
{
  Deadlines *deadlines;
  Deadline *other;
} Busy;

static void
change (gpointer data)
{
  Busy *busy = data;
  deadline_cancel (busy->other);
  deadlines_add (busy->deadlines, 0, say, "added ");
}

/* Those that are due at the same turn, too. */
static void
test_deadlines_func_may_cancel_and_add (void)
{
  g_autoptr (Deadlines) deadlines = deadlines_new (NULL);
  Busy busy = { deadlines, NULL };
  begin ();
  deadlines_add (deadlines, 0, change, &busy);
  busy.other = deadlines_add (deadlines, 0, say, "never");
  deadlines_add (deadlines, 10, stop, NULL);
  end ("added ");
}

static void
test_deadlines_freed_ones_are_silent (void)
{
  Deadlines *deadlines = deadlines_new (NULL);
  begin ();
  deadlines_add (deadlines, 0, say, "never");
  deadlines_free (deadlines);
  g_autoptr (Deadlines) others = deadlines_new (NULL);
  deadlines_add (others, 10, stop, NULL);
  end ("");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add_func ("/deadlines/" #name, test_deadlines_##name)
  ADD (come_in_the_order_of_their_time);
  ADD (cancelled_is_never_called);
  ADD (func_may_cancel_and_add);
  ADD (freed_ones_are_silent);
  return g_test_run ();
}
