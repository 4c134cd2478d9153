#include "host-server/market/books/test-stage.h"

#include <string.h>

/* Policy `reserve`: the serial is set aside before the checkout, released by the payment, let go without it.
 */

static void
setup_reserve (Fixture *f, gconstpointer unused)
{
  setup (f, unused);
  turn (f, add_plugin, (gpointer)MANIFEST ("dice", "500", "[Serial]\nsource=pool\npolicy=reserve\n"));
  turn (f, add_plugin,
        (gpointer)MANIFEST ("weather", "1000", "[Serial]\nsource=keygen\nmodule=w.so\npolicy=reserve\n"));
  turn (f, add_plugin,
        (gpointer)MANIFEST (
            "quotes", "700",
            "[Serial]\nsource=plugin-server\npolicy=reserve\n[PluginServer]\nbase=http://127.0.0.1:1\n"));
}

static char *
reserve (Fixture *f, const char *plugin)
{
  clock_advance_us (f->desk.clock, 1000);
  return try_buy (f, ALICE, plugin, plugin, BUY_NEW);
}

static void
test_reserve_a_key_is_set_aside_before_the_checkout (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "dice");
  assert_phase (f, "reserving");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM job WHERE kind = 'checkout'"), ==, 0);
  issue_from_the_pool (f);
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "reserved");
  assert_text (f, "SELECT state FROM generation", "held");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM job WHERE kind = 'checkout'"), ==, 1);
  turn (f, checkout_made, order);
  assert_phase (f, "awaiting-payment");
  assert_no_serial (f);
  pay (f, order, "p1", "500");
  assert_phase (f, "fulfilled");
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "delivered");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
}

static void
test_reserve_what_was_set_aside_is_the_keygens_answer (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "weather");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "HELD");
  turn (f, checkout_made, order);
  pay (f, order, "p1", "1000");
  assert_phase (f, "fulfilled");
  assert_serial (f, "weather", SERIAL_ACTIVE, "HELD");
}

static void
test_reserve_nobody_is_asked_to_pay_for_what_is_not_there (Fixture *f, gconstpointer unused)
{
  turn (f, add_plugin, (gpointer)MANIFEST ("empty", "500", "[Serial]\nsource=pool\npolicy=reserve\n"));
  g_assert_null (try_buy (f, ALICE, "empty", "r", BUY_OUT_OF_STOCK));
  g_autofree char *order = reserve (f, "quotes");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_REFUSED, NULL);
  assert_phase (f, "refused");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM job"), ==, 0);
  g_free (try_buy (f, ALICE, "quotes", "again", BUY_NEW));
}

static void
test_reserve_a_source_that_takes_too_long_is_given_up (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "quotes");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_IN_DOUBT, NULL);
  assert_phase (f, "reserving");
  clock_advance_us (f->desk.clock, 10 * G_USEC_PER_SEC);
  turn (f, claim, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_IN_DOUBT, NULL);
  assert_phase (f, "refused");
  g_autoptr (Job) voiding = take_job (f, JOB_VOID);
  g_assert_nonnull (voiding);
}

static void
test_reserve_declining_lets_it_go (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = reserve (f, "dice");
  issue_from_the_pool (f);
  turn (f, checkout_made, first);
  turn (f, decline_order, first);
  assert_phase (f, "declined");
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "free");
  assert_text (f, "SELECT state FROM generation", "abandoned");

  g_autofree char *second = reserve (f, "quotes");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "V-1");
  turn (f, checkout_made, second);
  turn (f, decline_order, second);
  g_autoptr (Job) voiding = take_job (f, JOB_VOID);
  g_assert_true (g_str_has_suffix (voiding->subject, ".0"));
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM generation WHERE sealed IS NOT NULL"), ==, 0);
  assert_no_serial (f);
}

static void
test_reserve_declining_while_it_is_set_aside_makes_no_checkout (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "dice");
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  turn (f, decline_order, order);
  assert_phase (f, "reserving");
  turn (f, pool_work, job);
  assert_phase (f, "declined");
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "free");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM job"), ==, 0);
}

static void
test_reserve_late_money_gets_another_key (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "dice");
  issue_from_the_pool (f);
  turn (f, checkout_made, order);
  turn (f, expire_order, order);
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "free");
  pay (f, order, "p1", "500");
  assert_phase (f, "issuing");
  issue_from_the_pool (f);
  assert_phase (f, "fulfilled");
  assert_text (f, "SELECT MAX (generation) || purpose FROM generation", "1first");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
}

static void
test_reserve_late_money_goes_back_when_no_key_is_left (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "quotes");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "V-1");
  turn (f, checkout_made, order);
  turn (f, expire_order, order);
  pay (f, order, "p1", "700");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_REFUSED, NULL);
  assert_phase (f, "refund-due");
  assert_refund (f, 700, "due");
}

static void
test_reserve_so_many_at_a_time_and_no_more (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "dice");
  g_assert_null (try_buy (f, ALICE, "weather", "w", BUY_TOO_MANY));
}

static void
test_reserve_money_that_comes_before_its_refund_is_known_lets_it_go (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = reserve (f, "dice");
  issue_from_the_pool (f);
  turn (f, checkout_made, order);
  give_back (f, order, "p1", "re1", "500");
  pay (f, order, "p1", "500");
  assert_phase (f, "refunded");
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "free");
  assert_no_serial (f);
}

#define ADD(name) g_test_add ("/reserve/" #name, Fixture, NULL, setup_reserve, test_reserve_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (a_key_is_set_aside_before_the_checkout);
  ADD (what_was_set_aside_is_the_keygens_answer);
  ADD (nobody_is_asked_to_pay_for_what_is_not_there);
  ADD (a_source_that_takes_too_long_is_given_up);
  ADD (declining_lets_it_go);
  ADD (declining_while_it_is_set_aside_makes_no_checkout);
  ADD (late_money_gets_another_key);
  ADD (late_money_goes_back_when_no_key_is_left);
  ADD (so_many_at_a_time_and_no_more);
  ADD (money_that_comes_before_its_refund_is_known_lets_it_go);
  return g_test_run ();
}
