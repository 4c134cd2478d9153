#include "host-client/core/plugin-wish.h"

#include "common/module/frame.h"

#include <host/plugin.h>

#define S(seconds) ((gint64)(seconds)*G_USEC_PER_SEC)

static void
test_wish_one_at_a_time (void)
{
  PluginWishes wishes = { 0 };
  g_assert_true (plugin_wishes_begin (&wishes, "coins", FALSE, S (1)));
  g_assert_false (plugin_wishes_begin (&wishes, "coins", FALSE, S (2)));
  g_assert_false (plugin_wishes_begin (&wishes, "hat", FALSE, S (2)));
  g_assert_false (plugin_wishes_end (&wishes, "hat", HOST_PURCHASE_BOUGHT, S (3)));
  g_assert_true (plugin_wishes_end (&wishes, "coins", HOST_PURCHASE_BOUGHT, S (3)));
  g_assert_false (plugin_wishes_end (&wishes, "coins", HOST_PURCHASE_BOUGHT, S (3)));
  g_assert_true (plugin_wishes_begin (&wishes, "hat", FALSE, S (4)));
  plugin_wishes_drop (&wishes);
}

static void
test_wish_three_in_a_minute (void)
{
  PluginWishes wishes = { 0 };
  for (int i = 0; i < PLUGIN_WISHES_MAX; i++)
    {
      g_assert_true (plugin_wishes_begin (&wishes, "coins", FALSE, S (i)));
      g_assert_true (plugin_wishes_end (&wishes, "coins", HOST_PURCHASE_FAILED, S (i)));
    }
  g_assert_false (plugin_wishes_begin (&wishes, "coins", FALSE, S (59)));
  plugin_wishes_drop (&wishes); /* a restart gives no new right */
  g_assert_false (plugin_wishes_begin (&wishes, "coins", FALSE, S (59)));
  g_assert_true (plugin_wishes_begin (&wishes, "coins", FALSE, S (60)));
  plugin_wishes_drop (&wishes);
}

static void
test_wish_a_no_stands_for_a_minute (void)
{
  PluginWishes wishes = { 0 };
  g_assert_true (plugin_wishes_begin (&wishes, "coins", FALSE, S (1)));
  g_assert_true (plugin_wishes_end (&wishes, "coins", HOST_PURCHASE_DECLINED, S (50)));
  g_assert_false (plugin_wishes_begin (&wishes, "hat", FALSE, S (109)));
  g_assert_true (plugin_wishes_begin (&wishes, "hat", FALSE, S (110)));
  plugin_wishes_drop (&wishes);
}

static void
test_wish_who_polls_hears_of_it_once (void)
{
  PluginWishes wishes = { 0 };
  g_assert_cmpuint (plugin_wishes_poll (&wishes, "coins"), ==, FRAME_PURCHASE_NOT_NOW);
  g_assert_true (plugin_wishes_begin (&wishes, "coins", TRUE, S (1)));
  g_assert_true (plugin_wishes_knows (&wishes, "coins"));
  g_assert_false (plugin_wishes_knows (&wishes, "hat"));
  g_assert_cmpuint (plugin_wishes_poll (&wishes, "coins"), ==, FRAME_PURCHASE_WAITING);
  g_assert_cmpuint (plugin_wishes_poll (&wishes, "hat"), ==, FRAME_PURCHASE_NOT_NOW);
  g_assert_true (plugin_wishes_end (&wishes, "coins", HOST_PURCHASE_BOUGHT, S (2)));
  g_assert_true (plugin_wishes_knows (&wishes, "coins"));
  g_assert_cmpuint (plugin_wishes_poll (&wishes, "coins"), ==, HOST_PURCHASE_BOUGHT);
  g_assert_false (plugin_wishes_knows (&wishes, "coins"));
}

static void
test_wish_only_for_what_can_be_an_item (void)
{
  PluginWishes wishes = { 0 };
  g_assert_false (plugin_wishes_begin (&wishes, "", FALSE, S (1)));
  g_assert_false (plugin_wishes_begin (&wishes, "Gold Coins", FALSE, S (1)));
  g_assert_false (plugin_wishes_begin (&wishes, "../coins", FALSE, S (1)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wish/one_at_a_time", test_wish_one_at_a_time);
  g_test_add_func ("/wish/three_in_a_minute", test_wish_three_in_a_minute);
  g_test_add_func ("/wish/a_no_stands_for_a_minute", test_wish_a_no_stands_for_a_minute);
  g_test_add_func ("/wish/who_polls_hears_of_it_once", test_wish_who_polls_hears_of_it_once);
  g_test_add_func ("/wish/only_for_what_can_be_an_item", test_wish_only_for_what_can_be_an_item);
  return g_test_run ();
}
