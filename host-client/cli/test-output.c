#include "host-client/cli/output.h"

static void
test_output_shows_what_a_terminal_would_obey (void)
{
  const char *pairs[][2] = {
    { "plain é 🐋", "plain é 🐋" },
    { "\x1b[2Jgone", "\\u001b[2Jgone" },
    { "\xc2\x9b"
      "31m",
      "\\u009b31m" },
    { "a\xe2\x80\xae"
      "b",
      "a\\u202eb" },
    { "bell\a", "bell\\u0007" },
    { "broken\xff", "broken\xef\xbf\xbd" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (pairs); i++)
    {
      g_autofree char *clean = output_dup_clean (pairs[i][0], TRUE);
      g_assert_cmpstr (clean, ==, pairs[i][1]);
    }
  g_autofree char *lines = output_dup_clean ("a\nb\tc", TRUE);
  g_assert_cmpstr (lines, ==, "a\nb\tc");
  g_autofree char *one_line = output_dup_clean ("a\nb\tc", FALSE);
  g_assert_cmpstr (one_line, ==, "a b c");
}

static void
test_output_masks_serials (void)
{
  g_autofree char *masked = output_dup_masked ("K7QF-AAAA-BBBB");
  g_assert_cmpstr (masked, ==, "K7QF…(14 characters)");
  g_autofree char *short_one = output_dup_masked ("K7QF-AAAA");
  g_assert_cmpstr (short_one, ==, "••••");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/output/shows_what_a_terminal_would_obey",
                   test_output_shows_what_a_terminal_would_obey);
  g_test_add_func ("/client/output/masks_serials", test_output_masks_serials);
  return g_test_run ();
}
