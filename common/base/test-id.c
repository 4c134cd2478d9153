#include "common/base/id.h"

#include <string.h>

static void
test_id_uuid7_has_version_and_variant_and_grows_with_time (void)
{
  g_autoptr (Clock) clock = clock_new_fake (G_GINT64_CONSTANT (1700000000000000));
  g_autofree char *last = NULL;
  for (int i = 0; i < 100; i++)
    {
      g_autofree char *id = id_new_uuid7 (clock);
      g_assert_cmpuint (strlen (id), ==, 36);
      g_assert_cmpint (id[14], ==, '7');
      g_assert_nonnull (strchr ("89ab", id[19]));
      g_assert_cmpstr (id, >, last != NULL ? last : "");
      g_free (last);
      last = g_steal_pointer (&id);
      clock_advance_us (clock, 10);
    }
}

static void
test_id_sortable_sorts_as_the_time_does (void)
{
  g_autoptr (Clock) clock = clock_new_fake (G_GINT64_CONSTANT (1700000000000000));
  g_autofree char *first = id_new_sortable ("o_", clock);
  clock_advance_us (clock, 1000);
  g_autofree char *second = id_new_sortable ("o_", clock);
  g_assert_cmpuint (strlen (first), ==, 28);
  g_assert_cmpstr (first, <, second);
}

static void
test_id_floor_stands_between_before_and_after (void)
{
  g_autoptr (Clock) clock = clock_new_fake (G_GINT64_CONSTANT (1700000000000999));
  g_autofree char *before = id_new_sortable ("o_", clock);
  clock_advance_us (clock, 1);
  g_autofree char *floor = id_floor_sortable ("o_", clock_get_wall_us (clock));
  g_autofree char *after = id_new_sortable ("o_", clock);
  g_assert_cmpstr (before, <, floor);
  g_assert_cmpstr (floor, <, after);
  g_assert_cmpuint (strlen (floor), ==, strlen (after));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/base/id/uuid7_grows_with_time", test_id_uuid7_has_version_and_variant_and_grows_with_time);
  g_test_add_func ("/base/id/sortable_sorts_as_the_time_does", test_id_sortable_sorts_as_the_time_does);
  g_test_add_func ("/base/id/floor_stands_between_before_and_after", test_id_floor_stands_between_before_and_after);
  return g_test_run ();
}
