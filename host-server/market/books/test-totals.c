#include "host-server/market/books/test-stage.h"

#include <string.h>

/* A provider that says what was given back in all, whose disputes name no order: the market's turns with
 * events as Stripe writes them. */

static void
setup_stripe (Fixture *f, gconstpointer unused)
{
  setup (f, unused);
  f->provider.type = &provider_stripe;
}

static BooksOutcome
deliver (Fixture *f, const char *type, const char *object)
{
  g_autofree char *id = g_strdup_printf ("evt_%u", f->n_deliveries++);
  g_autofree char *body = g_strdup_printf (
      "{\"id\":\"%s\",\"type\":\"%s\",\"livemode\":true,\"data\":{\"object\":%s}}", id, type, object);
  Delivering d = deliver_body (f, id, body);
  g_assert_cmpint (d.outcome, ==, INBOX_TAKEN);
  return d.books;
}

static BooksOutcome
complete (Fixture *f, const char *order, guint amount)
{
  g_autofree char *session = g_strdup_printf (
      "{\"id\":\"c_%s\",\"mode\":\"payment\",\"payment_status\":\"paid\",\"amount_total\":%u,"
      "\"currency\":\"eur\",\"payment_intent\":\"pi_%s\",\"metadata\":{\"order\":\"%s\"}}",
      order, amount, order, order);
  return deliver (f, "checkout.session.completed", session);
}

static BooksOutcome
refunded (Fixture *f, const char *order, guint total)
{
  g_autofree char *charge
      = g_strdup_printf ("{\"id\":\"ch_%s\",\"payment_intent\":\"pi_%s\",\"amount_refunded\":%u,"
                         "\"currency\":\"eur\",\"metadata\":{\"order\":\"%s\"}}",
                         order, order, total, order);
  return deliver (f, "charge.refunded", charge);
}

static BooksOutcome
disputed (Fixture *f, const char *order, const char *status)
{
  g_autofree char *dispute
      = g_strdup_printf ("{\"id\":\"du_%s\",\"payment_intent\":\"pi_%s\",\"amount\":1,\"currency\":\"usd\","
                         "\"status\":\"%s\",\"metadata\":{}}",
                         order, order, status);
  return deliver (f, "charge.dispute.updated", dispute);
}

#define assert_given_back(f, amount)                                                                         \
  g_assert_cmpint (ask (f, "SELECT COALESCE (SUM (amount_minor), 0) FROM ledger WHERE kind = 'refund'"), ==, \
                   amount)

static char *
sell (Fixture *f)
{
  char *order = open_order (f, "dice");
  g_assert_cmpint (complete (f, order, 500), ==, BOOKS_APPLIED);
  issue_from_the_pool (f);
  assert_phase (f, "fulfilled");
  return order;
}

static void
test_totals_in_any_order_add_up_to_the_greatest (Fixture *f, gconstpointer unused)
{
  static const guint rows[][4] = {
    { 100, 250, 499, 499 }, { 499, 100, 250, 499 }, { 250, 499, 100, 100 },
    { 100, 100, 499, 250 }, { 499, 499, 250, 100 }, { 250, 100, 250, 499 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      Fixture g;
      setup_stripe (&g, NULL);
      g_autofree char *order = sell (&g);
      for (guint k = 0; k < 4; k++)
        {
          gint64 before
              = ask (&g, "SELECT COALESCE (SUM (amount_minor), 0) FROM ledger WHERE kind = 'refund'");
          g_assert_cmpint (refunded (&g, order, rows[i][k]), ==,
                           rows[i][k] > before ? BOOKS_APPLIED : BOOKS_KNOWN);
          assert_given_back (&g, MAX (before, rows[i][k]));
        }
      assert_phase (&g, "fulfilled");
      assert_payment (&g, "part-refunded");
      assert_serial (&g, "dice", SERIAL_ACTIVE, "KEY-1");
      g_assert_cmpint (refunded (&g, order, 500), ==, BOOKS_APPLIED);
      assert_phase (&g, "refunded");
      assert_given_back (&g, 500);
      assert_serial (&g, "dice", SERIAL_REVOKED, NULL);
      g_assert_cmpint (refunded (&g, order, 499), ==, BOOKS_KNOWN);
      assert_phase (&g, "refunded");
      assert_no_refund (&g);
      teardown (&g, NULL);
    }
}

static void
test_totals_before_the_payment_leave_a_tombstone (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  g_assert_cmpint (refunded (f, order, 500), ==, BOOKS_APPLIED);
  g_assert_cmpint (complete (f, order, 500), ==, BOOKS_APPLIED);
  assert_phase (f, "refunded");
  assert_no_serial (f);
  assert_no_refund (f);
}

/* The charge's metadata name the order before the answer to our own request was committed. */
static void
test_totals_of_an_order_without_checkout_leave_it_as_it_is (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = try_buy (f, ALICE, "dice", "r1", BUY_NEW);
  g_assert_cmpint (refunded (f, order, 500), ==, BOOKS_APPLIED);
  assert_phase (f, "created");
  g_assert_cmpint (complete (f, order, 500), ==, BOOKS_APPLIED);
  assert_phase (f, "refunded");
  assert_no_serial (f);
}

static void
test_totals_of_another_currency_are_for_a_person (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = sell (f);
  g_autofree char *charge
      = g_strdup_printf ("{\"id\":\"ch_1\",\"payment_intent\":\"pi_%s\",\"amount_refunded\":500,"
                         "\"currency\":\"usd\",\"metadata\":{\"order\":\"%s\"}}",
                         order, order);
  g_assert_cmpint (deliver (f, "charge.refunded", charge), ==, BOOKS_MISMATCH);
  assert_given_back (f, 0);
  assert_text (f, "SELECT reason FROM unmatched", "another currency");
}

static void
test_totals_of_nobodys_order_are_that_of_their_payment (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = sell (f);
  g_autofree char *charge = g_strdup_printf ("{\"id\":\"ch_1\",\"payment_intent\":\"pi_%s\","
                                             "\"amount_refunded\":500,\"currency\":\"eur\",\"metadata\":{}}",
                                             order);
  g_assert_cmpint (deliver (f, "charge.refunded", charge), ==, BOOKS_APPLIED);
  assert_phase (f, "refunded");
}

static gboolean
retry (Turn *t, gpointer data, GError **error)
{
  return books_retry_unmatched (t, error);
}

/* A dispute has no order, and the payment that would tell it is not known yet. */
static void
test_totals_a_dispute_waits_for_its_payment (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  g_assert_cmpint (disputed (f, order, "needs_response"), ==, BOOKS_NO_ORDER);
  assert_text (f, "SELECT state FROM unmatched", "waiting");
  g_assert_cmpint (complete (f, order, 500), ==, BOOKS_APPLIED);
  clock_advance_us (f->desk.clock, 200000);
  turn (f, retry, NULL);
  assert_text (f, "SELECT state FROM unmatched", "matched");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM ledger WHERE kind = 'dispute'"), ==, 1);
}

static void
test_totals_a_dispute_is_one_whoever_tells_of_it (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = sell (f);
  g_assert_cmpint (disputed (f, order, "warning_needs_response"), ==, BOOKS_IGNORED);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM ledger"), ==, 1);
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  g_assert_cmpint (disputed (f, order, "needs_response"), ==, BOOKS_APPLIED);
  g_assert_cmpint (disputed (f, order, "under_review"), ==, BOOKS_KNOWN);
  g_assert_cmpint (disputed (f, order, "won"), ==, BOOKS_APPLIED);
  g_assert_cmpint (disputed (f, order, "needs_response"), ==, BOOKS_KNOWN);
  assert_text (f, "SELECT group_concat (kind) FROM (SELECT kind FROM ledger ORDER BY seq)",
               "payment,dispute,dispute-won");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM unmatched"), ==, 0);
}

static void
test_totals_orders_of_a_check_are_nobodys (Fixture *f, gconstpointer unused)
{
  g_assert_cmpint (complete (f, "check_1", 500), ==, BOOKS_IGNORED);
  g_assert_cmpint (refunded (f, "check_1", 500), ==, BOOKS_IGNORED);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM unmatched"), ==, 0);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM ledger"), ==, 0);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM inbox WHERE outcome = 'ignored'"), ==, 2);
}

#define ADD(name) g_test_add ("/totals/" #name, Fixture, NULL, setup_stripe, test_totals_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (in_any_order_add_up_to_the_greatest);
  ADD (before_the_payment_leave_a_tombstone);
  ADD (of_an_order_without_checkout_leave_it_as_it_is);
  ADD (of_another_currency_are_for_a_person);
  ADD (of_nobodys_order_are_that_of_their_payment);
  ADD (a_dispute_waits_for_its_payment);
  ADD (a_dispute_is_one_whoever_tells_of_it);
  ADD (orders_of_a_check_are_nobodys);
  return g_test_run ();
}
