#include "common/base/id.h"
#include "host-server/market/books/test-stage.h"

#include <string.h>

/* Sources that fail, jobs that are lost, and serials that are refused. */

static void
test_issue_a_keygen_is_tried_again_then_the_money_goes_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_FAILED, NULL);
  assert_phase (f, "issuing");
  assert_text (f, "SELECT state FROM generation", "failed-retry");
  turn (f, claim, NULL);
  g_assert_cmpuint (f->turn.jobs->len, ==, 0);
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  turn (f, claim, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_FAILED, NULL);
  assert_phase (f, "refund-due");
  assert_refund (f, 1000, "due");
  assert_no_serial (f);
  assert_text (f, "SELECT state FROM generation", "failed-final");
  g_free (try_buy (f, ALICE, "weather", "again", BUY_NEW));
}

static void
test_issue_a_keygen_gets_the_next_counter_for_a_serial_in_use (Fixture *f, gconstpointer unused)
{
  g_autofree char *request = id_new_random (8);
  clock_advance_us (f->desk.clock, 1000);
  g_autofree char *bobs = try_buy (f, BOB, "weather", request, BUY_NEW);
  turn (f, checkout_made, bobs);
  pay (f, bobs, "p0", "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "SAME");
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "SAME");
  assert_phase (f, "issuing");
  g_assert_cmpint (ask (f, "SELECT MAX (counter) FROM generation"), ==, 1);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "OTHER");
  assert_phase (f, "fulfilled");
  assert_serial (f, "weather", SERIAL_ACTIVE, "OTHER");
}

static void
test_issue_a_plugin_server_in_doubt_is_voided_before_the_fallback (Fixture *f, gconstpointer unused)
{
  turn (f, add_plugin,
        (gpointer)MANIFEST (
            "dice", "500",
            "[Serial]\nsource=plugin-server\nfallback=pool\n[PluginServer]\nbase=http://127.0.0.1:1\n"));
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_IN_DOUBT, NULL);
  assert_text (f, "SELECT state FROM generation", "unknown");
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  turn (f, claim, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_IN_DOUBT, NULL);
  assert_text (f, "SELECT state FROM generation", "voiding");
  /* DELETE is not answered at first: still no fallback. */
  settle (f, take_job (f, JOB_ISSUE), ISSUE_IN_DOUBT, NULL);
  assert_text (f, "SELECT state FROM generation", "voiding");
  assert_text (f, "SELECT source FROM generation", "plugin-server");
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  turn (f, claim, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_IS_VOID, NULL);
  assert_text (f, "SELECT source FROM generation", "pool");
  issue_from_the_pool (f);
  assert_phase (f, "fulfilled");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
}

static void
test_issue_without_certainty_the_money_goes_back_at_the_deadline (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "quotes");
  pay (f, order, "p1", "700");
  for (guint i = 0; i < 100 && ask (f, "SELECT COUNT (*) FROM purchase WHERE phase = 'issuing'") == 1; i++)
    {
      clock_advance_us (f->desk.clock, 301 * (gint64)G_USEC_PER_SEC);
      turn (f, claim, NULL);
      settle (f, take_job (f, JOB_ISSUE), ISSUE_IN_DOUBT, NULL);
      g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM generation WHERE source = 'pool'"), ==, 0);
    }
  assert_phase (f, "refund-due");
  assert_refund (f, 700, "due");
  g_autoptr (Job) voiding = take_job (f, JOB_VOID);
  g_assert_nonnull (voiding);
}

static void
test_issue_a_misconfigured_source_stops_new_sales (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "quotes");
  pay (f, order, "p1", "700");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_FAULT, NULL);
  assert_phase (f, "issuing");
  try_buy (f, BOB, "quotes", "r1", BUY_UNAVAILABLE);
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  turn (f, claim, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "AT LAST");
  assert_phase (f, "fulfilled");
  g_autofree char *some = try_buy (f, BOB, "quotes", "r2", BUY_NEW);
  g_assert_nonnull (some);
}

static void
test_issue_an_empty_pool_after_payment_gives_the_money_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  g_autofree char *path = g_build_filename (f->folder, "market.db", NULL);
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, &error);
    db_run (db, &error, "UPDATE pool_key SET state = 'burned'", "");
    g_assert_no_error (error);
  }
  turn (f, pool_work, job);
  assert_phase (f, "refund-due");
  assert_refund (f, 500, "due");
}

/* Jobs. */

static void
test_issue_a_result_without_its_claim_is_not_written (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  Job *first = take_job (f, JOB_ISSUE);
  clock_advance_us (f->desk.clock, 60 * G_USEC_PER_SEC); /* its lease is over */
  turn (f, claim, NULL);
  Job *second = take_job (f, JOB_ISSUE);
  g_assert_cmpint (second->fence, >, first->fence);
  settle (f, first, ISSUE_GOT_SERIAL, "FIRST");
  assert_phase (f, "issuing");
  settle (f, second, ISSUE_GOT_SERIAL, "SECOND");
  assert_phase (f, "fulfilled");
  assert_serial (f, "weather", SERIAL_ACTIVE, "SECOND");
}

static gboolean
take_over (Turn *t, gpointer data, GError **error)
{
  return jobs_take_over (t, error) && jobs_claim_due (t, 100, error);
}

static void
test_issue_a_new_run_takes_over_every_job (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  job_free (take_job (f, JOB_ISSUE));
  turn (f, claim, NULL);
  g_assert_cmpuint (f->turn.jobs->len, ==, 0);
  turn (f, take_over, NULL);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "RESUMED");
  assert_phase (f, "fulfilled");
}

/* Serials. */

static gboolean
expire_all (Turn *t, gpointer data, GError **error)
{
  return entitlements_expire (t, NULL, error);
}

static void
test_issue_a_term_ends_by_a_committed_change (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "S");
  clock_advance_us (f->desk.clock, 364 * G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC);
  turn (f, expire_all, NULL);
  assert_serial (f, "weather", SERIAL_ACTIVE, "S");
  clock_advance_us (f->desk.clock, 2 * G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC);
  turn (f, expire_all, NULL);
  assert_serial (f, "weather", SERIAL_EXPIRED, NULL);
  g_assert_cmpint (ask (f, "SELECT ver FROM entitlement"), ==, 2);
  g_assert_cmpuint (f->turn.accounts->len, ==, 1);
  turn (f, expire_all, NULL);
  g_assert_cmpuint (f->turn.accounts->len, ==, 0);
}

typedef struct
{
  gint64 epoch;
  RejectedOutcome outcome;
} Rejecting;

static gboolean
reject_work (Turn *t, gpointer data, GError **error)
{
  Rejecting *r = data;
  return serial_reject (t, ALICE, "weather", r->epoch, &r->outcome, error);
}

static void
test_issue_a_refused_serial_is_replaced_once (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "BAD");

  Rejecting r = { 1, REJECTED_CURRENT };
  turn (f, reject_work, &r);
  g_assert_cmpint (r.outcome, ==, REJECTED_REPLACING);
  Job *job = take_job (f, JOB_ISSUE);
  g_assert_true (g_str_has_suffix (job->subject, ".1"));
  /* The other device says the same: still the one replacement. */
  turn (f, reject_work, &r);
  g_assert_cmpint (r.outcome, ==, REJECTED_REPLACING);
  g_assert_cmpuint (f->turn.jobs->len, ==, 0);
  settle (f, job, ISSUE_GOT_SERIAL, "GOOD");
  assert_serial (f, "weather", SERIAL_ACTIVE, "GOOD");
  assert_phase (f, "fulfilled");

  /* Late news of the old one. */
  turn (f, reject_work, &r);
  g_assert_cmpint (r.outcome, ==, REJECTED_CURRENT);
  /* The second one is refused too. */
  r.epoch = 2;
  turn (f, reject_work, &r);
  g_assert_cmpint (r.outcome, ==, REJECTED_REGISTRATION_NEEDED);
  assert_serial (f, "weather", SERIAL_REVOKED, NULL);
  assert_phase (f, "review");
  assert_no_refund (f);
  g_autofree char *fresh = try_buy (f, ALICE, "weather", "r9", BUY_NEW);
  g_assert_cmpstr (fresh, !=, order);
}

static void
test_issue_a_replacement_that_fails_is_for_a_person (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "weather");
  pay (f, order, "p1", "1000");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "BAD");
  Rejecting r = { -1, REJECTED_CURRENT };
  turn (f, reject_work, &r);
  settle (f, take_job (f, JOB_ISSUE), ISSUE_REFUSED, NULL);
  assert_serial (f, "weather", SERIAL_REVOKED, NULL);
  assert_phase (f, "review");
}

#define ADD(name) g_test_add ("/issue/" #name, Fixture, NULL, setup, test_issue_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (a_keygen_is_tried_again_then_the_money_goes_back);
  ADD (a_keygen_gets_the_next_counter_for_a_serial_in_use);
  ADD (a_plugin_server_in_doubt_is_voided_before_the_fallback);
  ADD (without_certainty_the_money_goes_back_at_the_deadline);
  ADD (a_misconfigured_source_stops_new_sales);
  ADD (an_empty_pool_after_payment_gives_the_money_back);
  ADD (a_result_without_its_claim_is_not_written);
  ADD (a_new_run_takes_over_every_job);
  ADD (a_term_ends_by_a_committed_change);
  ADD (a_refused_serial_is_replaced_once);
  ADD (a_replacement_that_fails_is_for_a_person);
  return g_test_run ();
}
