#include "host-server/core/outbox.h"

static void
collect (const char *xml, gsize length, gboolean is_kept, gpointer data)
{
  g_string_append_printf (data, "[%.*s%s]", (int) length, xml, is_kept ? " kept" : "");
}

static char *
show (const Outbox *outbox)
{
  GString *seen = g_string_new (NULL);
  outbox_foreach (outbox, collect, seen);
  return g_string_free (seen, FALSE);
}

static void
test_outbox_forgets_what_is_acknowledged (void)
{
  g_autoptr (Outbox) outbox = outbox_new ();
  outbox_add (outbox, "<a/>", 4, FALSE);
  outbox_add (outbox, "<bb/>", 5, TRUE);
  outbox_add (outbox, "<c/>", 4, FALSE);
  g_assert_cmpuint (outbox_get_sent (outbox), ==, 3);
  g_assert_true (outbox_acknowledge (outbox, 1));
  g_assert_true (outbox_acknowledge (outbox, 1));
  g_autofree char *two = show (outbox);
  g_assert_cmpstr (two, ==, "[<bb/> kept][<c/>]");
  g_assert_cmpuint (outbox_get_bytes (outbox), ==, 9);
  g_autoptr (GString) again = g_string_new (NULL);
  outbox_write (outbox, again);
  g_assert_cmpstr (again->str, ==, "<bb/><c/>");
  g_assert_true (outbox_acknowledge (outbox, 3));
  g_assert_cmpuint (outbox_get_length (outbox), ==, 0);
  g_assert_cmpuint (outbox_get_bytes (outbox), ==, 0);
  g_assert_cmpuint (outbox_get_sent (outbox), ==, 3);
}

static void
test_outbox_refuses_more_than_was_sent (void)
{
  g_autoptr (Outbox) outbox = outbox_new ();
  g_assert_true (outbox_acknowledge (outbox, 0));
  g_assert_false (outbox_acknowledge (outbox, 1));
  outbox_add (outbox, "<a/>", 4, FALSE);
  outbox_add (outbox, "<b/>", 4, FALSE);
  g_assert_false (outbox_acknowledge (outbox, 3));
  g_assert_true (outbox_acknowledge (outbox, 2));
  g_assert_false (outbox_acknowledge (outbox, 1));
  g_assert_false (outbox_acknowledge (outbox, G_MAXUINT32));
  g_assert_cmpuint (outbox_get_acknowledged (outbox), ==, 2);
}

static void
test_outbox_counts_past_two_to_the_thirty_second (void)
{
  g_autoptr (Outbox) outbox = outbox_new ();
  outbox_set_sent (outbox, G_MAXUINT32 - 1);
  outbox_add (outbox, "<a/>", 4, FALSE);
  outbox_add (outbox, "<b/>", 4, FALSE);
  outbox_add (outbox, "<c/>", 4, FALSE);
  g_assert_cmpuint (outbox_get_sent (outbox), ==, 1);
  g_assert_false (outbox_acknowledge (outbox, 2));
  g_assert_true (outbox_acknowledge (outbox, G_MAXUINT32));
  g_assert_true (outbox_acknowledge (outbox, 0));
  g_autofree char *rest = show (outbox);
  g_assert_cmpstr (rest, ==, "[<c/>]");
  g_assert_false (outbox_acknowledge (outbox, G_MAXUINT32));
  g_assert_true (outbox_acknowledge (outbox, 1));
}

static void
test_outbox_stays_small_under_a_steady_flow (void)
{
  g_autoptr (Outbox) outbox = outbox_new ();
  g_autofree char *stanza = g_strnfill (1000, 'x');
  for (guint32 i = 1; i <= 10000; i++)
    {
      outbox_add (outbox, stanza, 1000, FALSE);
      if (i > 10)
        g_assert_true (outbox_acknowledge (outbox, i - 10));
      g_assert_cmpuint (outbox_get_length (outbox), ==, MIN (i, 10));
      g_assert_cmpuint (outbox_get_bytes (outbox), ==, MIN (i, 10) * 1000);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/outbox/acknowledged", test_outbox_forgets_what_is_acknowledged);
  g_test_add_func ("/outbox/too-high", test_outbox_refuses_more_than_was_sent);
  g_test_add_func ("/outbox/wrap", test_outbox_counts_past_two_to_the_thirty_second);
  g_test_add_func ("/outbox/flow", test_outbox_stays_small_under_a_steady_flow);
  return g_test_run ();
}
