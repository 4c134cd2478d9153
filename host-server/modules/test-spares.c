#include "host-server/modules/spares.h"

#include <fcntl.h>
#include <unistd.h>

#define MS 1000

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

static int
open_channel (void)
{
  return open ("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A crowd: calls a millisecond apart. Returns when the last came. */
static gint64
call_often (Spares *spares, guint n)
{
  gint64 now_us = 1000 * MS;
  for (guint i = 0; i < n; i++)
    spares_note_call (spares, now_us += MS);
  return now_us;
}

static void
test_spares_are_wanted_only_in_a_crowd (void)
{
  Spares spares = { .n = 0 };
  gint64 now_us = call_often (&spares, 5);
  g_assert_false (spares_want_more (&spares, now_us));
  now_us = call_often (&spares, 40);
  g_assert_true (spares_want_more (&spares, now_us));
  /* It is quiet again, and one call does not make a crowd. */
  now_us += 1000 * MS;
  g_assert_false (spares_want_more (&spares, now_us));
  spares_note_call (&spares, now_us);
  g_assert_false (spares_want_more (&spares, now_us));
}

static void
test_spares_are_few_and_the_newest_goes_first (void)
{
  Spares spares = { .n = 0 };
  Spare taken;
  gint64 now_us = call_often (&spares, 40);
  guint32 number = 0;
  while (spares_want_more (&spares, now_us))
    spares_add (&spares, open_channel (), ++number, now_us);
  g_assert_cmpuint (number, ==, SPARES_MAX);
  for (guint32 i = 1; i <= SPARES_MAX; i++)
    {
      g_assert_true (spares_take (&spares, &taken, now_us));
      g_assert_cmpuint (taken.number, ==, SPARES_MAX + 1 - i);
      g_assert_true (is_open (taken.channel));
      close (taken.channel);
    }
  g_assert_false (spares_take (&spares, &taken, now_us));
}

static void
test_spares_whose_time_is_over_are_let_go (void)
{
  Spares spares = { .n = 0 };
  Spare taken;
  gint64 now_us = 5000 * MS;
  int old = open_channel (), young = open_channel ();
  spares_add (&spares, old, 1, now_us);
  spares_add (&spares, young, 2, now_us + 600 * MS);
  g_assert_cmpint (spares_get_due_us (&spares), ==, now_us + SPARES_LIFE_MS * MS);
  g_assert_true (spares_take (&spares, &taken, now_us + SPARES_LIFE_MS * MS));
  g_assert_cmpuint (taken.number, ==, 2);
  g_assert_false (is_open (old));
  g_assert_true (is_open (young));
  spares_add (&spares, young, 2, now_us);
  spares_expire (&spares, G_MAXINT64);
  g_assert_false (is_open (young));
  g_assert_cmpint (spares_get_due_us (&spares), ==, G_MAXINT64);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/spares/are_wanted_only_in_a_crowd", test_spares_are_wanted_only_in_a_crowd);
  g_test_add_func ("/spares/are_few_and_the_newest_goes_first",
                   test_spares_are_few_and_the_newest_goes_first);
  g_test_add_func ("/spares/whose_time_is_over_are_let_go", test_spares_whose_time_is_over_are_let_go);
  return g_test_run ();
}
