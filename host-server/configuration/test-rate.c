#include "host-server/configuration/rate.h"

#define MINUTE_US (G_GINT64_CONSTANT (60) * G_USEC_PER_SEC)

static void
test_rate_allows_so_many_an_hour (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (Rate) rate = rate_new (clock);
  for (guint hour = 0; hour < 3; hour++)
    {
      for (guint i = 0; i < 5; i++)
        g_assert_cmpint (rate_take (rate, "a", 3), ==, i < 3);
      g_assert_true (rate_take (rate, "b", 3));
      clock_advance_us (clock, 59 * MINUTE_US);
      g_assert_false (rate_take (rate, "a", 3));
      clock_advance_us (clock, MINUTE_US);
    }
  for (guint i = 0; i < 1000; i++)
    g_assert_true (rate_take (rate, "c", 0)); /* no limit */
}

static void
test_rate_holds_a_bounded_table (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (Rate) rate = rate_new (clock);
  guint n_taken = 0;
  for (guint i = 0; i < 110000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%u", i);
      n_taken += (guint)rate_take (rate, key, 1);
    }
  g_assert_cmpuint (n_taken, ==, 100000);
  clock_advance_us (clock, 60 * MINUTE_US);
  g_assert_true (rate_take (rate, "new", 1));
}

static void
test_rate_keys_are_one_customers_addresses (void)
{
  static const struct
  {
    const char *address, *key;
  } rows[] = {
    { "192.0.2.1", "192.0.2.1" },
    { "::ffff:192.0.2.1", "192.0.2.1" },
    { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
    { "2001:db8:1:2::9", "2001:db8:1:2::" },
    { "2001:db8:1:3::9", "2001:db8:1:3::" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *key = rate_dup_address_key (rows[i].address);
      g_assert_cmpstr (key, ==, rows[i].key);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/configuration/rate/allows-so-many-an-hour", test_rate_allows_so_many_an_hour);
  g_test_add_func ("/configuration/rate/holds-a-bounded-table", test_rate_holds_a_bounded_table);
  g_test_add_func ("/configuration/rate/keys-are-one-customers-addresses",
                   test_rate_keys_are_one_customers_addresses);
  return g_test_run ();
}
