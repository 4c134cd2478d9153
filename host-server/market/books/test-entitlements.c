#include "host-server/market/books/term.h"
#include "host-server/market/books/test-stage.h"

#include <string.h>

/* Entitlements stand on the lines that were fulfilled for them: renewals, refunds of renewals, disputes, and
 * serials that end before what was paid for. */

#define DAY_US (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)

static gint64
get_end (Fixture *f)
{
  return ask (f, "SELECT expires_us FROM entitlement");
}

static char *
buy_weather (Fixture *f, const char *payment, const char *serial)
{
  char *order = open_order (f, "weather");
  pay (f, order, payment, "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, serial);
  assert_phase (f, "fulfilled");
  return order;
}

static void
test_entitlements_terms_follow_one_another (Fixture *f, gconstpointer unused)
{
  const TermSpan once[] = { { "P1Y", START_US } };
  const TermSpan early[] = { { "P1Y", START_US }, { "P1M", START_US + DAY_US } };
  const TermSpan late[] = { { "P1M", START_US }, { "P1M", START_US + 90 * DAY_US } };
  const TermSpan ever[] = { { "P1M", START_US }, { "", START_US } };
  g_assert_cmpint (terms_get_end (once, 1), ==, term_add ("P1Y", START_US));
  g_assert_cmpint (terms_get_end (early, 2), ==, term_add ("P1M", term_add ("P1Y", START_US)));
  g_assert_cmpint (terms_get_end (late, 2), ==, term_add ("P1M", START_US + 90 * DAY_US));
  g_assert_cmpint (terms_get_end (ever, 2), ==, 0);
  g_assert_cmpint (terms_get_end (NULL, 0), ==, 0);
}

static void
test_entitlements_a_renewal_before_the_end_extends_it (Fixture *f, gconstpointer unused)
{
  g_free (buy_weather (f, "p1", "W-1"));
  gint64 end_us = get_end (f), epoch = ask (f, "SELECT epoch FROM entitlement");
  clock_advance_us (f->desk.clock, 30 * DAY_US);
  g_free (buy_weather (f, "p2", "W-2"));
  g_assert_cmpint (get_end (f), ==, term_add ("P1Y", end_us));
  g_assert_cmpint (ask (f, "SELECT epoch FROM entitlement"), ==, epoch + 1);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM entitlement"), ==, 1);
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-2");
}

static void
test_entitlements_a_renewal_may_bring_the_same_serial (Fixture *f, gconstpointer unused)
{
  g_free (buy_weather (f, "p1", "W-1"));
  gint64 end_us = get_end (f);
  g_free (buy_weather (f, "p2", "W-1"));
  g_assert_cmpint (get_end (f), ==, term_add ("P1Y", end_us));
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-1");
}

static void
test_entitlements_a_renewal_after_the_end_begins_anew (Fixture *f, gconstpointer unused)
{
  g_free (buy_weather (f, "p1", "W-1"));
  set_clock (f, get_end (f) + 10 * DAY_US);
  g_free (buy_weather (f, "p2", "W-2"));
  g_assert_cmpint (get_end (f), ==,
                   term_add ("P1Y", ask (f, "SELECT MAX (granted_us) FROM entitlement_line")));
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-2");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM entitlement"), ==, 1);
}

static void
test_entitlements_a_renewals_refund_shortens_the_term (Fixture *f, gconstpointer unused)
{
  g_free (buy_weather (f, "p1", "W-1"));
  gint64 end_us = get_end (f);
  g_autofree char *renewal = buy_weather (f, "p2", "W-2");
  give_back (f, renewal, "p2", "re1", "400"); /* a part of it: the term stays */
  g_assert_cmpint (get_end (f), ==, term_add ("P1Y", end_us));
  give_back (f, renewal, "p2", "re2", "600");
  assert_phase (f, "refunded");
  g_assert_cmpint (get_end (f), ==, end_us);
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-1");
}

static void
test_entitlements_a_refund_of_the_first_purchase_leaves_the_renewal (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = buy_weather (f, "p1", "W-1");
  g_free (buy_weather (f, "p2", "W-2"));
  give_back (f, first, "p1", "re1", "1000");
  g_assert_cmpint (get_end (f), ==,
                   term_add ("P1Y", ask (f, "SELECT MAX (granted_us) FROM entitlement_line")));
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-2");
}

static void
test_entitlements_a_disputed_renewal_leaves_what_the_rest_pays_for (Fixture *f, gconstpointer unused)
{
  g_free (buy_weather (f, "p1", "W-1"));
  gint64 end_us = get_end (f);
  g_autofree char *renewal = buy_weather (f, "p2", "W-2");
  dispute (f, renewal, "p2", "disputed");
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-1");
  g_assert_cmpint (get_end (f), ==, end_us);
  dispute (f, renewal, "p2", "dispute_won");
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-2");
  g_assert_cmpint (get_end (f), ==, term_add ("P1Y", end_us));
}

static gboolean
settle_again (Turn *t, gpointer data, GError **error)
{
  return entitlement_settle (t, ALICE, "weather", error);
}

/* Only a new line's own part is reckoned where that is enough: it must be what all lines together say. */
static void
test_entitlements_what_one_line_adds_is_what_all_lines_say (Fixture *f, gconstpointer unused)
{
  static const char *const terms[] = { "P1D", "P2D", "P1W" };
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  g_autofree char *last = buy_weather (f, "p", "W"), *last_payment = g_strdup ("p");
  for (guint i = 0; i < 200; i++)
    {
      const char *term = terms[g_rand_int_range (random, 0, G_N_ELEMENTS (terms))];
      g_autofree char *payment = g_strdup_printf ("p%u", i), *serial = g_strdup_printf ("W-%u", i);
      g_assert_true (db_run (f->turn.db, NULL, "UPDATE plugin SET term = ? WHERE id = 'weather'", "s", term));
      clock_advance_us (f->desk.clock, g_rand_int_range (random, -3, 20) * DAY_US / 4);
      g_autofree char *order = open_order (f, "weather");
      if (i % 7 == 3)
        dispute (f, last, last_payment, "disputed");
      if (g_rand_boolean (random)) /* so that some come when the last term has ended and nobody noted it */
        clock_advance_us (f->desk.clock, g_rand_int_range (random, 0, 40) * DAY_US);
      pay (f, order, payment, "1000");
      settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, serial);
      if (i % 7 == 5)
        give_back (f, order, payment, serial, "1000");

      gint64 end_us = get_end (f), ver = ask (f, "SELECT ver FROM entitlement");
      turn (f, settle_again, NULL);
      g_assert_cmpint (get_end (f), ==, end_us);
      g_assert_cmpint (ask (f, "SELECT ver FROM entitlement"), ==, ver);

      if (i % 7 == 3)
        dispute (f, last, last_payment, "dispute_won");
      g_free (last);
      g_free (last_payment);
      last = g_steal_pointer (&order);
      last_payment = g_steal_pointer (&payment);
    }
}

static gboolean
expire (Turn *t, gpointer data, GError **error)
{
  return entitlements_expire (t, NULL, error);
}

static void
test_entitlements_a_clock_set_back_unexpires_nothing (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_weather (f, "p1", "W-1");
  gint64 end_us = get_end (f);
  set_clock (f, end_us + 1);
  turn (f, expire, NULL);
  assert_serial (f, "weather", SERIAL_EXPIRED, NULL);
  set_clock (f, end_us - 10 * DAY_US);
  dispute (f, order, "p1", "disputed");
  dispute (f, order, "p1", "dispute_won");
  assert_serial (f, "weather", SERIAL_EXPIRED, NULL);
}

static gboolean
reissue (Turn *t, gpointer data, GError **error)
{
  return issue_due_reissues (t, error);
}

static void
test_entitlements_a_serial_that_ends_early_is_issued_again_by_itself (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle_until (f, take_job (f, JOB_ISSUE), "W-1", START_US + 30 * DAY_US);
  gint64 end_us = get_end (f);
  turn (f, reissue, NULL);
  g_assert_cmpuint (f->turn.jobs->len, ==, 0);

  set_clock (f, START_US + 29 * DAY_US + 2);
  turn (f, reissue, NULL);
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  g_assert_true (g_str_has_suffix (job->subject, ".1"));
  turn (f, reissue, NULL); /* once */
  g_assert_cmpuint (f->turn.jobs->len, ==, 0);
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-1");
  settle_until (f, g_steal_pointer (&job), "W-2", START_US + 1000 * DAY_US);
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-2");
  g_assert_cmpint (get_end (f), ==, end_us);
  g_assert_cmpint (ask (f, "SELECT reissue_us FROM entitlement"), ==, 0);
}

static void
test_entitlements_a_serial_that_ends_with_its_term_is_not (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  clock_advance_us (f->desk.clock, 5 * G_USEC_PER_SEC); /* the vendor counts from the payment */
  settle_until (f, take_job (f, JOB_ISSUE), "W-1", term_add ("P1Y", START_US + 1000));
  g_assert_cmpint (ask (f, "SELECT reissue_us FROM entitlement"), ==, 0);
}

static void
test_entitlements_a_serial_the_vendor_ended_does_not_cost_the_replacement (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle_until (f, take_job (f, JOB_ISSUE), "W-1", START_US + DAY_US);
  set_clock (f, START_US + 2 * DAY_US);
  g_assert_cmpint (reject_serial (f, "weather"), ==, REJECTED_REPLACING);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "W-2");
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-2");
  g_assert_cmpint (reject_serial (f, "weather"), ==, REJECTED_REPLACING); /* and now the replacement */
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "W-3");
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-3");
  g_assert_cmpint (reject_serial (f, "weather"), ==, REJECTED_REGISTRATION_NEEDED);
  assert_phase (f, "review");
  assert_serial (f, "weather", SERIAL_REVOKED, NULL);
}

static void
test_entitlements_one_that_cannot_be_issued_again_stays_and_needs_a_person (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle_until (f, take_job (f, JOB_ISSUE), "W-1", START_US + 30 * DAY_US);
  set_clock (f, START_US + 31 * DAY_US);
  turn (f, reissue, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_REFUSED, NULL);
  assert_phase (f, "review");
  assert_serial (f, "weather", SERIAL_ACTIVE, "W-1");
  assert_no_refund (f);
}

#define ADD(name)                                                                                            \
  g_test_add ("/entitlements/" #name, Fixture, NULL, setup, test_entitlements_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (terms_follow_one_another);
  ADD (a_renewal_before_the_end_extends_it);
  ADD (a_renewal_may_bring_the_same_serial);
  ADD (a_renewal_after_the_end_begins_anew);
  ADD (a_renewals_refund_shortens_the_term);
  ADD (a_refund_of_the_first_purchase_leaves_the_renewal);
  ADD (a_disputed_renewal_leaves_what_the_rest_pays_for);
  ADD (what_one_line_adds_is_what_all_lines_say);
  ADD (a_clock_set_back_unexpires_nothing);
  ADD (a_serial_that_ends_early_is_issued_again_by_itself);
  ADD (a_serial_that_ends_with_its_term_is_not);
  ADD (a_serial_the_vendor_ended_does_not_cost_the_replacement);
  ADD (one_that_cannot_be_issued_again_stays_and_needs_a_person);
  return g_test_run ();
}
