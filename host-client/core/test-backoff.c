#include "host-client/core/backoff.h"

static void
test_backoff_doubles_up_to_its_limit (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  Backoff backoff;
  backoff_init (&backoff, clock);
  guint nominal = BACKOFF_FIRST_MS;
  for (int i = 0; i < 40; i++)
    {
      guint delay = backoff_note_failure (&backoff, G_MAXUINT32 / 2);
      g_assert_cmpuint (delay, >=, nominal - 1);
      g_assert_cmpuint (delay, <=, nominal);
      nominal = MIN (nominal * 2, BACKOFF_MOST_MS);
    }
}

static void
test_backoff_jitter_stays_within_a_quarter (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  Backoff backoff;
  backoff_init (&backoff, clock);
  g_assert_cmpuint (backoff_note_failure (&backoff, 0), ==, 375);
  backoff_init (&backoff, clock);
  g_assert_cmpuint (backoff_note_failure (&backoff, G_MAXUINT32), ==, 624);
}

static void
test_backoff_starts_anew_after_a_lasting_connection_only (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  Backoff backoff;
  backoff_init (&backoff, clock);
  for (int i = 0; i < 5; i++)
    backoff_note_failure (&backoff, 0);

  backoff_note_online (&backoff);
  clock_advance_us (clock, (BACKOFF_LASTING_S - 1) * G_USEC_PER_SEC);
  g_assert_cmpuint (backoff_note_failure (&backoff, 0), ==, 12000);

  backoff_note_online (&backoff);
  clock_advance_us (clock, BACKOFF_LASTING_S * G_USEC_PER_SEC);
  g_assert_cmpuint (backoff_note_failure (&backoff, 0), ==, 375);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/backoff/doubles_up_to_its_limit", test_backoff_doubles_up_to_its_limit);
  g_test_add_func ("/client/backoff/jitter_stays_within_a_quarter",
                   test_backoff_jitter_stays_within_a_quarter);
  g_test_add_func ("/client/backoff/starts_anew_after_a_lasting_connection_only",
                   test_backoff_starts_anew_after_a_lasting_connection_only);
  return g_test_run ();
}
