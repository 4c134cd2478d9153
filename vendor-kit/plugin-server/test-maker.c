#include "vendor-kit/plugin-server/forecast.h"
#include "vendor-kit/plugin-server/maker.h"
#include "vendor-kit/plugin-server/quotation.h"
#include "vendor-kit/plugin-server/signed-serial.h"
#include "vendor-kit/plugin-server/weather-serial.h"

#include <string.h>

#define USER "k3qabcdefghijklmnopqrstuvw"
#define NOW  G_GINT64_CONSTANT (1795400000)

static void
test_weather_serial_is_the_published_one (void)
{
  /* The same facts give the same letters in the keygen module, in the plugin, and here. */
  gint64 expires_s = 1795564799 - 5000;
  g_autofree char *serial = weather_serial_make (USER, 0, 0x01020304, &expires_s);
  g_assert_cmpstr (serial, ==, "PNQM-MPLU-8V4R-AEY8-8J77-6TTX");
  g_assert_cmpint (expires_s, ==, 1795564799);
  gint64 read_s = 0;
  g_assert_true (weather_serial_read (serial, USER, &read_s));
  g_assert_cmpint (read_s, ==, 1795564799);
  g_assert_true (weather_serial_read ("pnqmmplu8v4raey88j776ttx", USER, &read_s));
}

static void
test_weather_serial_does_not_bear_a_changed_letter (void)
{
  gint64 expires_s = 0, read_s;
  g_autofree char *serial = weather_serial_make (USER, 3, 7, &expires_s);
  g_assert_cmpint (expires_s, ==, 0);
  g_assert_true (weather_serial_read (serial, USER, &read_s));
  g_assert_cmpint (read_s, ==, 0);
  g_assert_false (weather_serial_read (serial, "another", &read_s));
  for (gsize i = 0; i < strlen (serial); i++)
    {
      if (serial[i] == '-')
        continue;
      g_autofree char *changed = g_strdup (serial);
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      g_assert_false (weather_serial_read (changed, USER, &read_s));
    }
  static const char *const bad[]
      = { "", "-", "PNQM", "PNQM-MPLU-8V4R-AEY8-8J77-6TTXA", "0NQM-MPLU-8V4R-AEY8-8J77-6TTX" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (weather_serial_read (bad[i], USER, &read_s));
}

static void
test_signed_serial_is_good_for_its_plugin_and_user (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Maker) maker = maker_new ("quotes", NULL, &error);
  g_assert_no_error (error);
  gint64 expires_s = NOW + 100, told_s;
  g_autofree char *serial = maker_make (maker, "ol_1.1", USER, &expires_s);
  g_assert_cmpint (expires_s, ==, NOW + 100);
  g_assert_cmpint (maker_check (maker, serial, USER, NOW, &told_s), ==, SERIAL_GOOD);
  g_assert_cmpint (maker_check (maker, serial, NULL, NOW, &told_s), ==, SERIAL_GOOD);
  g_assert_cmpint (maker_check (maker, serial, "another", NOW, &told_s), ==, SERIAL_BAD);
  g_assert_cmpint (maker_check (maker, serial, USER, NOW + 100, &told_s), ==, SERIAL_GOOD);
  g_assert_cmpint (maker_check (maker, serial, USER, NOW + 101, &told_s), ==, SERIAL_OVER);
  g_assert_cmpint (told_s, ==, NOW + 100);
  for (gsize i = 0; i < strlen (serial); i++)
    {
      g_autofree char *changed = g_strdup (serial);
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      g_assert_cmpint (maker_check (maker, changed, USER, NOW, &told_s), ==, SERIAL_BAD);
    }
  g_autofree char *longer = g_strconcat (serial, "=", NULL);
  g_assert_cmpint (maker_check (maker, longer, USER, NOW, &told_s), ==, SERIAL_BAD);
  static const char *const bad[] = { "", ".", "a.b", "MXw.", "...." };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (maker_check (maker, bad[i], NULL, NOW, &told_s), ==, SERIAL_BAD);
}

static void
test_random_serials_differ_and_prove_nothing (void)
{
  g_autoptr (Maker) maker = maker_new ("chess", NULL, NULL);
  gint64 expires_s = 0, told_s;
  g_autofree char *one = maker_make (maker, "ol_1.1", USER, &expires_s);
  g_autofree char *two = maker_make (maker, "ol_1.1", USER, &expires_s);
  g_assert_cmpuint (strlen (one), ==, 27);
  g_assert_cmpstr (one, !=, two);
  g_assert_cmpint (maker_check (maker, one, USER, NOW, &told_s), ==, SERIAL_BAD);
}

static void
test_terms_are_calendar_months (void)
{
  static const struct
  {
    const char *from, *term, *to;
  } rows[] = {
    { "2026-01-31T10:00:00Z", "P1M", "2026-02-28T10:00:00Z" },
    { "2028-02-29T00:00:00Z", "P1Y", "2029-02-28T00:00:00Z" },
    { "2026-11-23T10:00:00Z", "P1Y", "2027-11-23T10:00:00Z" },
    { "2026-11-23T10:00:00Z", "P30D", "2026-12-23T10:00:00Z" },
    { "2026-11-23T10:00:00Z", "P2W", "2026-12-07T10:00:00Z" },
    { "2026-11-23T10:00:00Z", "P1Y2M3DT4H5M6S", "2028-01-26T14:05:06Z" },
    { "2026-11-23T10:00:00Z", "PT1S", "2026-11-23T10:00:01Z" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GDateTime) from = g_date_time_new_from_iso8601 (rows[i].from, NULL);
      g_autoptr (GDateTime) to = g_date_time_new_from_iso8601 (rows[i].to, NULL);
      g_assert_cmpint (maker_add_term (g_date_time_to_unix (from), rows[i].term), ==,
                       g_date_time_to_unix (to));
    }
  static const char *const bad[] = { "",    "P",    "PT",     "1Y",  "P1",
                                     "P1X", "P-1Y", "P1001Y", "P0D", "PT1Y",
                                     "P1H", "P1Y ", "p1y",    "P1h", "P99999999999999999999D" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (maker_add_term (NOW, bad[i]), ==, 0);
}

static void
test_forecast_is_the_same_for_all_who_ask_that_day (void)
{
  g_autoptr (Forecasts) forecasts
      = forecasts_new ("# comment\nSan Juan;1 2 3 4 5 6 7 8 9 10 -20 12;0 0 0 0 0 0 0 0 0 0 30 0\n");
  gint64 now_us = NOW * G_USEC_PER_SEC; /* in November */
  g_autofree char *line = forecasts_dup_line (forecasts, " san JUAN", now_us);
  g_autofree char *again = forecasts_dup_line (forecasts, "San Juan", now_us + G_USEC_PER_SEC);
  g_assert_cmpstr (line, ==, again);
  g_assert_true (g_str_has_prefix (line, "San Juan: -"));
  g_assert_nonnull (strstr (line, "snow"));
  g_assert_null (forecasts_dup_line (forecasts, "Nowhere", now_us));
  g_assert_null (forecasts_dup_line (forecasts, "", now_us));
}

static void
test_quotations_change_by_the_day (void)
{
  g_autoptr (Quotations) quotations = quotations_new ("a\tone\tX, Y\na\ttwo\tX, Y\nb\tthree\tZ\n");
  gint64 now_us = NOW * G_USEC_PER_SEC;
  g_autofree char *today = quotations_dup_line (quotations, "A", now_us);
  g_autofree char *tomorrow = quotations_dup_line (quotations, "A", now_us + 86400 * (gint64)G_USEC_PER_SEC);
  g_assert_cmpstr (today, !=, tomorrow);
  g_assert_true (g_str_has_suffix (today, "” — X, Y"));
  g_autofree char *any = quotations_dup_line (quotations, NULL, now_us);
  g_assert_nonnull (any);
  g_assert_null (quotations_dup_line (quotations, "c", now_us));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK); /* the sample key's warning is expected */
#define TEST(name) g_test_add_func ("/maker/" #name, test_##name)
  TEST (weather_serial_is_the_published_one);
  TEST (weather_serial_does_not_bear_a_changed_letter);
  TEST (signed_serial_is_good_for_its_plugin_and_user);
  TEST (random_serials_differ_and_prove_nothing);
  TEST (terms_are_calendar_months);
  TEST (forecast_is_the_same_for_all_who_ask_that_day);
  TEST (quotations_change_by_the_day);
  return g_test_run ();
}
