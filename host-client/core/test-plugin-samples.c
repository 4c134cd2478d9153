/* The samples of old libraries, each by the descriptor its vendor ships. test-plugin.c has the first ones,
 * which need a server. */
#include "host-client/core/test-driver.h"

#include <stdio.h>
#include <string.h>

/* For TEST_USER, as keygen-modules/classic makes them. */
#define ALMANAC_GOOD    "ALM4-FFFF-41C6-4713-C1E1"
#define ALMANAC_EXPIRED "ALM4-016E-CC6C-B051-C64C"
#define ANAGRAMS_GOOD   "ANA-60E8E9D6"
#define EGGTIMER_GOOD   "EGG-1234561"
#define DICE_GOOD       "40001-11122-22333-34446"

static void
test_almanac_speaks_through_tables_of_functions (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "almanac", "legacy");

  g_assert_cmpstr (driver_start (client, plugin, NULL), ==, "needs-serial needs a serial");
  g_assert_cmpstr (driver_start (client, plugin, "ALM4-FFFF-0000-0000-0000"), ==,
                   "bad-serial the registration key does not fit");
  g_assert_cmpstr (driver_start (client, plugin, ALMANAC_EXPIRED), ==, "expired the registration is over");
  g_assert_cmpint (plugin_peek_report (plugin)->expires, ==, 978393600);
  g_assert_cmpstr (driver_start (client, plugin, ALMANAC_GOOD), ==, "running ");
  g_assert_true (
      g_ptr_array_find_with_equal_func (client->lines, "almanac 4.2 at your service", g_str_equal, NULL));
  g_assert_cmpstr (driver_run (client, plugin, "almanac", "2000-01-21"), ==,
                   "ok Friday 21 January 2000, day 021, week 03; the moon is full");
  g_assert_cmpstr (driver_run (client, plugin, "almanac", "2026-02-30"), ==,
                   "failed a date is written like 2026-11-28");
}

static void
test_eggtimer_runs_its_main_loop_and_rings (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "eggtimer", "legacy");

  g_assert_cmpstr (driver_start (client, plugin, "EGG-1234567"), ==, "bad-serial the key does not fit");
  g_assert_cmpstr (driver_start (client, plugin, EGGTIMER_GOOD), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "egg", "180"), ==, "failed needs at least 2 words");
  g_assert_cmpstr (driver_run (client, plugin, "egg", "soon the soft one"), ==,
                   "failed 'soon' is not a number it takes");
  g_assert_cmpstr (driver_run (client, plugin, "egg", "-1 x"), ==, "failed an egg takes 0 to 86400 seconds");
  g_assert_cmpstr (driver_run (client, plugin, "eggs", ""), ==, "ok ");
  g_assert_cmpstr (driver_run (client, plugin, "egg", "3600 the hard one"), ==, "ok the water boils");
  g_assert_cmpstr (driver_run (client, plugin, "egg", "0 the raw one"), ==, "ok the water boils");
  driver_wait (client->notifications, 1);
  g_assert_cmpstr (driver_last (client->notifications), ==, ": the raw one");
  g_assert_cmpstr (driver_run (client, plugin, "eggs", ""), ==, "ok the hard one");
  plugin_stop (plugin);
  driver_wait (client->states, client->states->len + 1);
  g_assert_cmpstr (driver_last (client->states), ==, "off ");
}

static void
test_anagrams_calls_back_with_its_words (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) plugin = driver_install_sample (client, "anagrams", "legacy");

  g_assert_cmpstr (driver_start (client, plugin, "ANA-00000000"), ==,
                   "bad-serial the code was made for somebody else");
  g_assert_cmpstr (driver_start (client, plugin, "ANA-00000000-00000000"), ==,
                   "refused the serial is longer than the plugin's variable for it");
  g_assert_cmpstr (driver_start (client, plugin, ANAGRAMS_GOOD), ==, "running ");
  g_assert_cmpstr (driver_run (client, plugin, "anagrams", "listen"), ==,
                   "ok enlist, silent, tinsel, inlets");
  g_assert_cmpstr (driver_run (client, plugin, "anagrams", "Moon starer"), ==, "ok astronomer, moon starer");
  g_assert_cmpstr (driver_run (client, plugin, "anagrams", "xyzzy"), ==, "ok there are none");
  g_assert_cmpstr (driver_run (client, plugin, "anagrams", "42"), ==, "failed type letters");
}

static void
test_dice_and_runes_export_the_same_and_run_at_once (TestClient *client, gconstpointer data)
{
  g_autoptr (Plugin) dice = driver_install_sample (client, "dice", "legacy");
  g_autoptr (Plugin) runes = driver_install_sample (client, "runes", "legacy");
  const char *drawn;

  g_assert_cmpstr (driver_start (client, dice, DICE_GOOD), ==, "running ");
  g_assert_cmpstr (driver_start (client, runes, "FUTHARK-240"), ==, "running ");
  for (int i = 0; i < 3; i++)
    {
      g_assert_true (g_str_has_prefix (driver_run (client, dice, "roll", "2d6"), "ok 2d6: "));
      drawn = driver_run (client, runes, "runes", "3");
      g_assert_true (g_str_has_prefix (drawn, "ok ᚠ") || g_utf8_get_char (drawn + 3) > 0x16a0);
      g_assert_cmpint (g_utf8_strlen (drawn + 3, -1), ==, 5);
    }
  g_assert_cmpstr (driver_run (client, runes, "runes", "10"), ==, "failed draw 1 to 9 runes");
  g_assert_true (g_str_has_prefix (driver_start (client, runes, "FUTHARK-241"), "bad-serial "));
  g_assert_true (g_str_has_prefix (driver_run (client, dice, "roll", "d20"), "ok 1d20: "));
}

#define add(path, function) g_test_add (path, TestClient, NULL, driver_set_up, function, driver_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  add ("/plugin-samples/almanac-speaks-through-tables-of-functions",
       test_almanac_speaks_through_tables_of_functions);
  add ("/plugin-samples/eggtimer-runs-its-main-loop-and-rings", test_eggtimer_runs_its_main_loop_and_rings);
  add ("/plugin-samples/anagrams-calls-back-with-its-words", test_anagrams_calls_back_with_its_words);
  add ("/plugin-samples/dice-and-runes-export-the-same-and-run-at-once",
       test_dice_and_runes_export_the_same_and_run_at_once);
  return g_test_run ();
}
