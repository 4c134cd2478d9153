#include "host-server/functions/penalties.h"
#include "host-server/functions/scheduler.h"

typedef struct
{
  Clock *clock;
  Scheduler *scheduler;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = clock_new_fake (0);
  fixture->scheduler = scheduler_new (4, fixture->clock);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  scheduler_free (fixture->scheduler);
  clock_free (fixture->clock);
}

/* Calls are their own names. */
static SchedulerOutcome
add (Fixture *fixture, const char *application, const char *account, const char *call)
{
  SchedulerPlace place = { application, account, 2, 0 };
  return scheduler_add (fixture->scheduler, &place, (gpointer)call);
}

static void
test_scheduler_runs_one_call_of_a_user_at_a_time_in_order (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (add (fixture, "a", "u", "1"), ==, SCHEDULER_TAKEN);
  g_assert_cmpint (add (fixture, "a", "u", "2"), ==, SCHEDULER_TAKEN);
  g_assert_cmpint (add (fixture, "a", "u", "3"), ==, SCHEDULER_TAKEN);
  for (char name = '1'; name <= '3'; name++)
    {
      g_assert_cmpint (((const char *)scheduler_next (fixture->scheduler))[0], ==, name);
      g_assert_null (scheduler_next (fixture->scheduler));
      scheduler_end (fixture->scheduler, "a", "u");
    }
  g_assert_null (scheduler_next (fixture->scheduler));
}

static void
test_scheduler_lets_eight_calls_of_a_user_wait (Fixture *fixture, gconstpointer data)
{
  add (fixture, "a", "u", "running");
  g_assert_nonnull (scheduler_next (fixture->scheduler));
  for (guint i = 0; i < SCHEDULER_MAX_WAITING; i++)
    g_assert_cmpint (add (fixture, "a", "u", "waiting"), ==, SCHEDULER_TAKEN);
  g_assert_cmpint (add (fixture, "a", "u", "one more"), ==, SCHEDULER_QUEUE_FULL);
  g_assert_cmpint (add (fixture, "a", "other", "another's"), ==, SCHEDULER_TAKEN);
  g_assert_cmpint (add (fixture, "b", "u", "elsewhere"), ==, SCHEDULER_TAKEN);
}

static void
test_scheduler_gives_an_application_no_more_than_its_places (Fixture *fixture, gconstpointer data)
{
  add (fixture, "a", "u", "1");
  add (fixture, "a", "v", "2");
  add (fixture, "a", "w", "3");
  g_assert_nonnull (scheduler_next (fixture->scheduler));
  g_assert_nonnull (scheduler_next (fixture->scheduler));
  g_assert_null (scheduler_next (fixture->scheduler));
  SchedulerLoad load = scheduler_get_load (fixture->scheduler, "a");
  g_assert_cmpuint (load.n_running, ==, 2);
  g_assert_cmpuint (load.n_waiting, ==, 1);
  add (fixture, "b", "u", "4");
  g_assert_cmpstr (scheduler_next (fixture->scheduler), ==, "4");
  scheduler_end (fixture->scheduler, "a", "v");
  g_assert_cmpstr (scheduler_next (fixture->scheduler), ==, "3");
}

static void
test_scheduler_takes_applications_in_turn (Fixture *fixture, gconstpointer data)
{
  static const char *const users[] = { "0", "1", "2", "3", "4", "5", "6", "7" };
  for (gsize i = 0; i < G_N_ELEMENTS (users); i++)
    add (fixture, "greedy", users[i], "g");
  add (fixture, "modest", "u", "m");
  GString *order = g_string_new (NULL);
  for (guint i = 0; i < 3; i++)
    g_string_append (order, scheduler_next (fixture->scheduler));
  g_assert_cmpstr (order->str, ==, "gmg");
  g_string_free (order, TRUE);
}

static void
test_scheduler_runs_no_more_than_its_places_in_all (Fixture *fixture, gconstpointer data)
{
  static const char *const applications[] = { "a", "b", "c", "d", "e" };
  for (gsize i = 0; i < G_N_ELEMENTS (applications); i++)
    add (fixture, applications[i], "u", applications[i]);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpstr (scheduler_next (fixture->scheduler), ==, applications[i]);
  g_assert_null (scheduler_next (fixture->scheduler));
  scheduler_end (fixture->scheduler, "b", "u");
  g_assert_cmpstr (scheduler_next (fixture->scheduler), ==, "e");
}

static void
test_scheduler_keeps_an_application_to_its_rate (Fixture *fixture, gconstpointer data)
{
  SchedulerPlace place = { "a", "u", 2, 5 };
  guint n_taken = 0;
  for (guint i = 0; i < 8; i++)
    n_taken += scheduler_add (fixture->scheduler, &place, "x") == SCHEDULER_TAKEN;
  g_assert_cmpuint (n_taken, ==, 5);
  g_assert_cmpint (scheduler_add (fixture->scheduler, &place, "x"), ==, SCHEDULER_TOO_FAST);
  clock_advance_us (fixture->clock, G_USEC_PER_SEC / 5);
  g_assert_cmpint (scheduler_add (fixture->scheduler, &place, "x"), ==, SCHEDULER_TAKEN);
  g_assert_cmpint (scheduler_add (fixture->scheduler, &place, "x"), ==, SCHEDULER_TOO_FAST);
  /* What is not used for a long time does not pile up. */
  clock_advance_us (fixture->clock, G_TIME_SPAN_HOUR);
  place.account = "v";
  for (guint i = n_taken = 0; i < 8; i++)
    n_taken += scheduler_add (fixture->scheduler, &place, "x") == SCHEDULER_TAKEN;
  g_assert_cmpuint (n_taken, ==, 5);
}

static void
test_scheduler_makes_a_user_wait_whose_calls_fail (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Penalties) penalties = penalties_new (fixture->clock);
  for (guint i = 0; i < PENALTY_FAULTS - 1; i++)
    penalties_note (penalties, "a", "u", TRUE);
  penalties_note (penalties, "a", "u", FALSE);
  for (guint i = 0; i < PENALTY_FAULTS; i++)
    {
      g_assert_false (penalties_must_wait (penalties, "a", "u"));
      penalties_note (penalties, "a", "u", TRUE);
    }
  g_assert_true (penalties_must_wait (penalties, "a", "u"));
  g_assert_false (penalties_must_wait (penalties, "a", "v"));
  g_assert_false (penalties_must_wait (penalties, "b", "u"));
  clock_advance_us (fixture->clock, PENALTY_S * G_USEC_PER_SEC);
  g_assert_false (penalties_must_wait (penalties, "a", "u"));
  penalties_note (penalties, "a", "u", TRUE);
  g_assert_true (penalties_must_wait (penalties, "a", "u"));
}

#define ADD(name) g_test_add ("/scheduler/" #name, Fixture, NULL, set_up, test_scheduler_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (runs_one_call_of_a_user_at_a_time_in_order);
  ADD (lets_eight_calls_of_a_user_wait);
  ADD (gives_an_application_no_more_than_its_places);
  ADD (takes_applications_in_turn);
  ADD (runs_no_more_than_its_places_in_all);
  ADD (keeps_an_application_to_its_rate);
  ADD (makes_a_user_wait_whose_calls_fail);
  return g_test_run ();
}
