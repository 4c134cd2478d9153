#include "host-server/market/books/review.h"
#include "host-server/market/books/test-stage.h"

/* What a person decides: the end of a review, refunds by the host. */

typedef struct
{
  const char *order;
  Resolution as;
  gint64 amount_minor;
  ResolveOutcome resolved;
  OrderRefundOutcome refunded;
} Deciding;

static gboolean
resolve_work (Turn *t, gpointer data, GError **error)
{
  Deciding *d = data;
  return order_resolve (t, d->order, d->as, "as tested", &d->resolved, error);
}

static void
resolve (Fixture *f, const char *order, Resolution as, ResolveOutcome expected)
{
  Deciding d = { .order = order, .as = as };
  turn (f, resolve_work, &d);
  g_assert_cmpint (d.resolved, ==, expected);
}

static gboolean
refund_work (Turn *t, gpointer data, GError **error)
{
  Deciding *d = data;
  return order_refund (t, d->order, d->amount_minor, NULL, &d->refunded, error);
}

static void
refund (Fixture *f, const char *order, gint64 amount_minor, OrderRefundOutcome expected)
{
  Deciding d = { .order = order, .amount_minor = amount_minor };
  turn (f, refund_work, &d);
  g_assert_cmpint (d.refunded, ==, expected);
}

/* Money that came too late, under the policy that leaves it to a person. */
static char *
late_order (Fixture *f, const char *amount)
{
  f->desk.settings.late = LATE_REVIEW;
  char *order = open_order (f, "dice");
  turn (f, expire_order, order);
  pay (f, order, "p1", amount);
  assert_phase (f, "review");
  return order;
}

static void
test_review_as_paid_obtains_the_serial (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = late_order (f, "500");
  resolve (f, order, RESOLVE_AS_PAID, RESOLVE_DONE);
  assert_text (f, "SELECT reason FROM purchase", "issue-started");
  issue_from_the_pool (f);
  assert_phase (f, "fulfilled");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  resolve (f, order, RESOLVE_AS_PAID, RESOLVE_NOT_IN_REVIEW);
}

static void
test_review_as_refund_gives_all_of_it_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = late_order (f, "600");
  resolve (f, order, RESOLVE_AS_REFUND, RESOLVE_DONE);
  assert_phase (f, "refund-due");
  assert_refund (f, 600, "due");
  assert_text (f, "SELECT reason FROM refund", "as tested");
}

static void
test_review_closed_shows_what_it_showed_before (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = late_order (f, "500");
  resolve (f, order, RESOLVE_AS_CLOSED, RESOLVE_DONE);
  assert_phase (f, "closed");
  g_autoptr (Purchase) purchase = purchase_load (store_peek_reader (f->store, STORE_MARKET), order, NULL);
  g_assert_cmpint (purchase_get_shown (purchase), ==, ORDER_EXPIRED);
  g_assert_cmpuint (f->turn.orders->len, ==, 1);
  assert_no_refund (f);
}

static void
test_review_a_decision_that_the_books_do_not_bear_is_refused (Fixture *f, gconstpointer unused)
{
  resolve (f, "o_none", RESOLVE_AS_CLOSED, RESOLVE_NO_ORDER);
  g_autofree char *order = late_order (f, "500");
  resolve (f, order, RESOLVE_AS_FULFILLED, RESOLVE_NO_SERIAL);
  g_autofree char *other = open_order (f, "dice");
  resolve (f, order, RESOLVE_AS_PAID, RESOLVE_ANOTHER_OPEN);
  give_back (f, order, "p1", "re1", "500");
  resolve (f, order, RESOLVE_AS_REFUND, RESOLVE_NO_MONEY);
  resolve (f, order, RESOLVE_AS_PAID, RESOLVE_NO_MONEY);
}

static void
test_review_as_fulfilled_gives_the_serial_again (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  reject_serial (f, "dice");
  issue_from_the_pool (f);
  reject_serial (f, "dice");
  assert_phase (f, "review");
  assert_serial (f, "dice", SERIAL_REVOKED, NULL);
  resolve (f, order, RESOLVE_AS_FULFILLED, RESOLVE_DONE);
  assert_phase (f, "fulfilled");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-2");
}

static void
test_review_a_refund_by_the_host_ends_what_was_bought (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  refund (f, order, 0, ORDER_REFUND_NOT_NOW);
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  refund (f, order, 0, ORDER_REFUND_DONE);
  assert_phase (f, "refunding");
  assert_refund (f, 500, "due");
  assert_serial (f, "dice", SERIAL_REVOKED, NULL);
  refund (f, order, 0, ORDER_REFUND_NOT_NOW);
}

static void
test_review_a_part_refund_leaves_it (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  refund (f, order, 501, ORDER_REFUND_TOO_MUCH);
  refund (f, order, 200, ORDER_REFUND_DONE);
  assert_refund (f, 200, "due");
  refund (f, order, 301, ORDER_REFUND_TOO_MUCH);
  assert_phase (f, "fulfilled");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  refund (f, order, 300, ORDER_REFUND_DONE);
  assert_phase (f, "refunding");
  g_assert_cmpint (ask (f, "SELECT SUM (amount_minor) FROM refund"), ==, 500);
}

static void
test_review_no_refund_while_a_dispute_is_open (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  dispute (f, order, "p1", "disputed");
  refund (f, order, 0, ORDER_REFUND_DISPUTED);
  assert_no_refund (f);
}

#define ADD(name) g_test_add ("/review/" #name, Fixture, NULL, setup, test_review_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (as_paid_obtains_the_serial);
  ADD (as_refund_gives_all_of_it_back);
  ADD (closed_shows_what_it_showed_before);
  ADD (a_decision_that_the_books_do_not_bear_is_refused);
  ADD (as_fulfilled_gives_the_serial_again);
  ADD (a_refund_by_the_host_ends_what_was_bought);
  ADD (a_part_refund_leaves_it);
  ADD (no_refund_while_a_dispute_is_open);
  return g_test_run ();
}
