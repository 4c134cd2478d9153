#include "common/base/id.h"
#include "host-server/market/books/test-stage.h"

#include <string.h>

/* The market's turns on a real store with a clock that stands still: what every case of money.md leaves in
 * the books, the jobs and the user's serials. No call leaves the house; the tests play the provider and the
 * sources. */

/* Buying. */

static void
test_purchases_a_payment_brings_the_pool_key (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  assert_phase (f, "awaiting-payment");
  g_assert_cmpint (pay (f, order, "p1", "500"), ==, BOOKS_APPLIED);
  assert_phase (f, "issuing");
  issue_from_the_pool (f);
  assert_phase (f, "fulfilled");
  assert_payment (f, "paid");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "delivered");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM job"), ==, 0);
  assert_no_refund (f);
}

static void
test_purchases_a_request_has_one_order_for_ever (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = try_buy (f, ALICE, "weather", "r1", BUY_NEW);
  g_autofree char *again = try_buy (f, ALICE, "weather", "r1", BUY_KNOWN);
  g_autofree char *alias = try_buy (f, ALICE, "weather", "r2", BUY_KNOWN);
  g_autofree char *other = try_buy (f, BOB, "weather", "r1", BUY_NEW);
  g_assert_cmpstr (again, ==, order);
  g_assert_cmpstr (alias, ==, order);
  g_assert_cmpstr (other, !=, order);
  turn (f, checkout_made, order);
  turn (f, expire_order, order);
  g_autofree char *late = try_buy (f, ALICE, "weather", "r2", BUY_KNOWN);
  g_assert_cmpstr (late, ==, order);
  g_autofree char *fresh = try_buy (f, ALICE, "weather", "r3", BUY_NEW);
  g_assert_cmpstr (fresh, !=, order);
}

static gboolean
break_source (Turn *t, gpointer data, GError **error)
{
  return plugin_set_fault (t, "weather", "as tested", error);
}

static void
test_purchases_refusals_come_before_any_money (Fixture *f, gconstpointer unused)
{
  try_buy (f, ALICE, "nothing", "r0", BUY_NO_PLUGIN);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *order = open_order (f, "dice");
      pay (f, order, order, "500");
      issue_from_the_pool (f);
      if (i == 0)
        try_buy (f, ALICE, "dice", "again", BUY_OWNED);
      g_autofree char *part = g_strdup_printf ("part_%u", i);
      give_back (f, order, order, part, "1"); /* a part: nothing changes */
      g_autofree char *refund = g_strdup_printf ("re_%u", i);
      give_back (f, order, order, refund, "499");
    }
  try_buy (f, ALICE, "dice", "r5", BUY_OUT_OF_STOCK);
  turn (f, break_source, NULL);
  try_buy (f, ALICE, "weather", "r6", BUY_UNAVAILABLE);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM purchase_line WHERE is_open = 1"), ==, 0);
}

static void
test_purchases_open_orders_of_a_user_are_limited (Fixture *f, gconstpointer unused)
{
  g_free (open_order (f, "dice"));
  g_free (open_order (f, "weather"));
  try_buy (f, ALICE, "quotes", "r3", BUY_TOO_MANY);
  g_autofree char *other = try_buy (f, BOB, "quotes", "r3", BUY_NEW);
  g_assert_nonnull (other);
}

static void
test_purchases_orders_of_a_day_are_limited (Fixture *f, gconstpointer unused)
{
  f->desk.settings.orders_per_user_per_day = 3;
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *order = open_order (f, "dice");
      turn (f, expire_order, order);
    }
  try_buy (f, ALICE, "dice", "too many", BUY_TOO_MANY);
  clock_advance_us (f->desk.clock, G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC);
  g_free (try_buy (f, ALICE, "dice", "tomorrow", BUY_NEW));
}

static void
test_purchases_aliases_of_an_order_are_limited (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  for (guint i = 1; i < BUY_MAX_ALIASES; i++)
    {
      g_autofree char *request = g_strdup_printf ("alias-%u", i);
      g_autofree char *same = try_buy (f, ALICE, "dice", request, BUY_KNOWN);
      g_assert_cmpstr (same, ==, order);
    }
  try_buy (f, ALICE, "dice", "one too many", BUY_TOO_MANY);
}

static void
test_purchases_a_free_plugin_has_no_billing_step (Fixture *f, gconstpointer unused)
{
  g_free (try_buy (f, ALICE, "gift", "r1", BUY_NEW));
  assert_phase (f, "issuing");
  settle (f, take_job (f, JOB_ISSUE), ISSUE_GOT_SERIAL, "GIFT");
  assert_phase (f, "fulfilled");
  assert_serial (f, "gift", SERIAL_ACTIVE, "GIFT");
}

/* Callbacks. */

static void
test_purchases_the_same_delivery_changes_nothing (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  g_autofree char *body = paid_body (order, "p1", "500");
  g_assert_cmpint (deliver_body (f, "msg_a", body).outcome, ==, INBOX_TAKEN);
  g_assert_cmpint (deliver_body (f, "msg_a", body).outcome, ==, INBOX_DUPLICATE);
  g_assert_cmpuint (f->turn.jobs->len, ==, 0);
  g_autofree char *other = paid_body (order, "p2", "500");
  g_assert_cmpint (deliver_body (f, "msg_a", other).outcome, ==, INBOX_CHANGED);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM ledger"), ==, 1);
}

static void
test_purchases_the_same_payment_under_another_id_changes_nothing (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  g_assert_cmpint (pay (f, order, "p1", "500"), ==, BOOKS_APPLIED);
  issue_from_the_pool (f);
  g_assert_cmpint (pay (f, order, "p1", "500"), ==, BOOKS_KNOWN);
  assert_phase (f, "fulfilled");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM issued_serial"), ==, 1);
  assert_no_refund (f);
}

static void
test_purchases_a_payment_id_of_another_order_is_for_a_person (Fixture *f, gconstpointer unused)
{
  g_autofree char *one = open_order (f, "dice"), *two = open_order (f, "weather");
  g_assert_cmpint (pay (f, one, "p1", "500"), ==, BOOKS_APPLIED);
  g_assert_cmpint (pay (f, two, "p1", "1000"), ==, BOOKS_MISMATCH);
  assert_phase (f, "awaiting-payment");
  assert_text (f, "SELECT state FROM unmatched", "review");
}

static gboolean
retry_unmatched (Turn *t, gpointer data, GError **error)
{
  return books_retry_unmatched (t, error);
}

static void
test_purchases_an_unknown_order_is_kept_and_tried_again (Fixture *f, gconstpointer unused)
{
  g_assert_cmpint (pay (f, "o_unknown", "p1", "500"), ==, BOOKS_NO_ORDER);
  assert_text (f, "SELECT state FROM unmatched", "waiting");
  g_assert_cmpint (f->turn.wake_us, ==, START_US + 100000);
  for (guint i = 0; i < 4; i++)
    {
      clock_advance_us (f->desk.clock, 31 * G_USEC_PER_SEC);
      turn (f, retry_unmatched, NULL);
    }
  assert_text (f, "SELECT state FROM unmatched", "review");
  g_assert_cmpint (ask (f, "SELECT is_alarmed FROM unmatched"), ==, 1);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM ledger"), ==, 0);
}

static void
test_purchases_money_finds_an_order_that_comes_later (Fixture *f, gconstpointer unused)
{
  /* As when the order's database comes back from a moment's absence: the row is there at the second look. */
  g_autofree char *order = open_order (f, "dice");
  g_autofree char *hide = g_strdup ("hidden");
  g_autofree char *body = paid_body (order, "p1", "500");
  g_autofree char *wrong = paid_body (hide, "p1", "500");
  g_assert_cmpint (deliver_body (f, "msg_x", wrong).books, ==, BOOKS_NO_ORDER);
  turn (f, claim, NULL);
  /* The kept body is replaced by the one whose order exists by now. */
  g_autoptr (GError) error = NULL;
  g_autofree char *sql = g_strdup_printf ("UPDATE unmatched SET body = '%s'", body);
  g_autofree char *path = g_build_filename (f->folder, "market.db", NULL);
  {
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, &error);
    db_run (db, &error, sql, "");
    g_assert_no_error (error);
  }
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  turn (f, retry_unmatched, NULL);
  assert_text (f, "SELECT state FROM unmatched", "matched");
  assert_phase (f, "issuing");
}

static void
test_purchases_poison_is_kept_for_a_person (Fixture *f, gconstpointer unused)
{
  deliver_body (f, "msg_1", "not json");
  deliver_body (f, "msg_2", "{\"type\":\"checkout.paid\",\"data\":{\"merchant\":\"m1\"}}");
  deliver_body (
      f, "msg_3",
      "{\"type\":\"checkout.paid\",\"data\":{\"merchant\":\"m1\",\"order\":\"o\",\"checkout\":\"c\","
      "\"payment\":\"p\",\"amount\":10.0,\"currency\":\"EUR\",\"live\":true}}");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM unmatched WHERE state = 'review'"), ==, 3);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM inbox WHERE outcome = 'poison'"), ==, 3);
}

static void
test_purchases_other_currency_merchant_or_mode_moves_nothing (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    const char *merchant, *currency, *live;
    BooksOutcome expected;
  } rows[] = {
    { "m2", "EUR", "true", BOOKS_MISMATCH },
    { "m1", "USD", "true", BOOKS_MISMATCH },
    { "m1", "EUR", "false", BOOKS_OTHER_MODE },
  };
  g_autofree char *order = open_order (f, "dice");
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *id = g_strdup_printf ("msg_%zu", i);
      g_autofree char *body
          = g_strdup_printf ("{\"type\":\"checkout.paid\",\"data\":{\"merchant\":\"%s\",\"order\":\"%s\","
                             "\"checkout\":\"c_%s\",\"payment\":\"p1\","
                             "\"amount\":500,\"currency\":\"%s\",\"live\":%s}}",
                             rows[i].merchant, order, order, rows[i].currency, rows[i].live);
      g_assert_cmpint (deliver_body (f, id, body).books, ==, rows[i].expected);
    }
  assert_phase (f, "awaiting-payment");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM ledger"), ==, 0);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM unmatched WHERE state = 'review'"), ==, 2);
}

/* Amounts. */

static void
test_purchases_underpaid_waits_for_the_rest (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "499");
  assert_phase (f, "awaiting-payment");
  assert_payment (f, "underpaid");
  assert_no_serial (f);
  pay (f, order, "p2", "1");
  assert_phase (f, "issuing");
  assert_payment (f, "paid");
}

static void
test_purchases_underpaid_at_expiry_goes_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "499");
  turn (f, expire_order, order);
  assert_phase (f, "refund-due");
  assert_refund (f, 499, "due");
  assert_no_serial (f);
}

static void
test_purchases_overpaid_is_fulfilled_and_the_excess_goes_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "800");
  assert_phase (f, "issuing");
  assert_payment (f, "overpaid");
  assert_refund (f, 300, "due");
  issue_from_the_pool (f);
  give_back (f, order, "p1", "re1", "300");
  assert_phase (f, "fulfilled");
  assert_payment (f, "paid");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
}

static void
test_purchases_paid_twice_gives_one_serial_and_one_payment_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  pay (f, order, "p2", "500");
  assert_phase (f, "fulfilled");
  assert_refund (f, 500, "due");
  assert_text (f, "SELECT payment FROM refund", "p2");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM issued_serial"), ==, 1);
}

/* Ends, and money after them. */

typedef struct
{
  const char *id;
  DeclineOutcome outcome;
} Declining;

static gboolean
decline_work (Turn *t, gpointer data, GError **error)
{
  Declining *declining = data;
  g_autoptr (Purchase) purchase = NULL;
  return decline (t, ALICE, declining->id, &declining->outcome, &purchase, error);
}

static void
test_purchases_decline_then_money_goes_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  Declining declining = { order, DECLINE_UNKNOWN };
  turn (f, decline_work, &declining);
  g_assert_cmpint (declining.outcome, ==, DECLINE_DONE);
  assert_phase (f, "declined");
  g_autoptr (Job) cancel = take_job (f, JOB_CANCEL);
  g_assert_cmpstr (cancel->subject, ==, order);
  pay (f, order, "p1", "500");
  assert_phase (f, "refund-due");
  assert_refund (f, 500, "due");
  assert_no_serial (f);
}

static void
test_purchases_declining_after_paying_is_too_late (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  Declining declining = { order, DECLINE_UNKNOWN };
  turn (f, decline_work, &declining);
  g_assert_cmpint (declining.outcome, ==, DECLINE_PAID);
  assert_phase (f, "issuing");
}

static void
test_purchases_an_order_without_checkout_is_declined_when_it_has_one (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = try_buy (f, ALICE, "dice", "r1", BUY_NEW);
  Declining declining = { order, DECLINE_UNKNOWN };
  turn (f, decline_work, &declining);
  g_assert_cmpint (declining.outcome, ==, DECLINE_PENDING);
  assert_phase (f, "created");
  g_assert_cmpint (ask (f, "SELECT is_decline_wanted FROM purchase"), ==, 1);
}

static void
test_purchases_late_money_is_honoured (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  turn (f, expire_order, order);
  assert_phase (f, "expired");
  pay (f, order, "p1", "500");
  assert_phase (f, "issuing");
  assert_no_refund (f);
}

static void
test_purchases_late_money_goes_back_when_the_plugin_is_being_bought_again (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  turn (f, expire_order, order);
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  g_free (open_order (f, "dice"));
  pay (f, order, "p1", "500");
  assert_text (f, "SELECT phase FROM purchase ORDER BY id LIMIT 1", "refund-due");
  assert_phase (f, "awaiting-payment");
  assert_refund (f, 500, "due");
}

static void
test_purchases_late_money_by_policy (Fixture *f, gconstpointer unused)
{
  f->desk.settings.late = LATE_REFUND;
  g_autofree char *one = open_order (f, "dice");
  turn (f, expire_order, one);
  pay (f, one, "p1", "500");
  assert_phase (f, "refund-due");
  f->desk.settings.late = LATE_REVIEW;
  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  g_autofree char *two = open_order (f, "weather");
  turn (f, expire_order, two);
  pay (f, two, "p2", "1000");
  assert_phase (f, "review");
}

/* Refunds. */

static void
test_purchases_a_refund_before_its_payment_leaves_a_tombstone (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  g_assert_cmpint (give_back (f, order, "p1", "re1", "500"), ==, BOOKS_APPLIED);
  assert_phase (f, "awaiting-payment");
  pay (f, order, "p1", "500");
  assert_phase (f, "refunded");
  assert_no_serial (f);
  assert_no_refund (f);
}

static void
test_purchases_a_full_refund_revokes_and_burns (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  give_back (f, order, "p1", "re1", "200");
  assert_phase (f, "fulfilled");
  assert_payment (f, "part-refunded");
  give_back (f, order, "p1", "re2", "300");
  assert_phase (f, "refunded");
  assert_serial (f, "dice", SERIAL_REVOKED, NULL);
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "burned");
  g_assert_cmpint (ask (f, "SELECT epoch FROM entitlement"), ==, 2);
  g_assert_cmpint (ask (f, "SELECT ver FROM entitlement"), ==, 2);
  assert_no_refund (f);
}

static void
test_purchases_a_refund_while_issuing_delivers_nothing (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "quotes");
  pay (f, order, "p1", "700");
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  give_back (f, order, "p1", "re1", "700");
  assert_phase (f, "refunded");
  g_autoptr (Job) voiding = take_job (f, JOB_VOID);
  g_assert_cmpstr (voiding->subject, ==, job->subject);
  /* The call's answer comes after all: its claim is gone. */
  settle (f, job_copy (job), ISSUE_GOT_SERIAL, "LATE");
  assert_no_serial (f);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM issued_serial"), ==, 0);
}

static void
test_purchases_a_dispute_suspends_and_its_end_restores (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  dispute (f, order, "p1", "disputed");
  assert_phase (f, "fulfilled");
  assert_payment (f, "disputed");
  assert_serial (f, "dice", SERIAL_SUSPENDED, NULL);
  dispute (f, order, "p1", "dispute_won");
  assert_payment (f, "paid");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  assert_no_refund (f);
}

static void
test_purchases_a_lost_dispute_revokes (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  dispute (f, order, "p1", "disputed");
  dispute (f, order, "p1", "dispute_lost");
  assert_phase (f, "charged-back");
  assert_payment (f, "charged-back");
  assert_serial (f, "dice", SERIAL_REVOKED, NULL);
  assert_text (f, "SELECT state FROM pool_key WHERE id = 1", "burned");
  assert_no_refund (f);
}

static void
test_purchases_a_dispute_while_issuing_withholds_the_serial (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  dispute (f, order, "p1", "disputed");
  turn (f, pool_work, job);
  assert_phase (f, "fulfilled");
  assert_serial (f, "dice", SERIAL_SUSPENDED, NULL);
}

static void
test_purchases_a_dispute_before_its_payment_yields_no_serial (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  dispute (f, order, "p1", "disputed");
  pay (f, order, "p1", "500");
  assert_phase (f, "refund-due");
  assert_no_refund (f); /* the provider moves the money, as long as it is disputed */
  dispute (f, order, "p1", "dispute_won");
  assert_refund (f, 500, "due");
  assert_no_serial (f);
}

static void
test_purchases_a_dispute_about_an_excess_suspends_nothing (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  pay (f, order, "p2", "500"); /* paid twice: the second goes back */
  assert_refund (f, 500, "due");
  dispute (f, order, "p2", "disputed");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  dispute (f, order, "p2", "dispute_lost");
  assert_phase (f, "fulfilled");
  assert_payment (f, "paid");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM refund"), ==, 1);
}

/* The bank took all, and the excess went back after all: less than nothing is left for a person to look at. */
static void
test_purchases_more_than_all_was_taken_and_nothing_goes_back_besides (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "800");
  issue_from_the_pool (f);
  dispute_about (f, order, "p1", "disputed", "800");
  dispute_about (f, order, "p1", "dispute_lost", "800");
  give_back (f, order, "p1", "re1", "300");
  assert_phase (f, "review");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM refund WHERE state IN ('due', 'sent')"), ==, 0);
}

static gboolean
forget_the_amount (Turn *t, gpointer data, GError **error)
{
  return db_run (t->db, error, "UPDATE ledger SET amount_minor = 0 WHERE kind = 'dispute'", "");
}

static void
test_purchases_a_dispute_of_no_known_amount_is_about_all_of_it (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  dispute (f, order, "p1", "disputed");
  turn (f, forget_the_amount, NULL);
  g_auto (Books) books = { 0 };
  g_assert_true (books_load (store_peek_reader (f->store, STORE_MARKET), order, &books, NULL));
  g_assert_cmpint (books.sums.disputed, ==, 500);
}

static void
test_purchases_a_part_in_dispute_suspends_and_takes_no_more_than_that (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  dispute_about (f, order, "p1", "disputed", "200");
  assert_serial (f, "dice", SERIAL_SUSPENDED, NULL);
  dispute_about (f, order, "p1", "dispute_lost", "200");
  assert_phase (f, "charged-back");
  assert_refund (f, 300, "due"); /* nothing is left of what it was for */
}

static gboolean
refuse_refunds (Turn *t, gpointer data, GError **error)
{
  return db_run (t->db, error, "UPDATE refund SET state = 'rejected'", "")
         && db_run (t->db, error, "DELETE FROM job WHERE kind = 'refund'", "");
}

static void
test_purchases_a_refused_refund_of_an_excess_does_not_stop_the_serial (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "800");
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  turn (f, refuse_refunds, NULL);
  turn (f, pool_work, job);
  assert_phase (f, "review");
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
  assert_refund (f, 300, "rejected");
}

static void
test_purchases_a_page_of_history (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  char *ids[5];
  for (guint i = 0; i < 5; i++)
    {
      clock_advance_us (f->desk.clock, 1000000);
      ids[i] = open_order (f, "dice");
      turn (f, expire_order, ids[i]);
    }
  gboolean is_known;
  Db *db = store_peek_reader (f->store, STORE_MARKET);
  {
    g_autoptr (Orders) page = orders_new ();
    page->paging.max = 2;
    g_assert_true (purchases_page (db, ALICE, page, &is_known, &error));
    g_assert_cmpuint (page->orders->len, ==, 2);
    g_assert_cmpstr (page->paging.first, ==, ids[4]);
    g_assert_cmpstr (page->paging.last, ==, ids[3]);
    g_assert_cmpint (page->paging.count, ==, 5);
  }
  {
    g_autoptr (Orders) page = orders_new ();
    page->paging.max = 2;
    page->paging.after = g_strdup (ids[1]);
    g_assert_true (purchases_page (db, ALICE, page, &is_known, &error));
    g_assert_cmpuint (page->orders->len, ==, 1);
    g_assert_cmpstr (page->paging.first, ==, ids[0]);
    g_assert_cmpint (page->paging.first_index, ==, 4);
  }
  {
    g_autoptr (Orders) page = orders_new ();
    page->paging.max = 2;
    page->paging.before = g_strdup ("");
    g_assert_true (purchases_page (db, ALICE, page, &is_known, &error));
    g_assert_cmpuint (page->orders->len, ==, 2);
    g_assert_cmpstr (page->paging.last, ==, ids[0]);
  }
  {
    g_autoptr (Orders) page = orders_new ();
    page->paging.after = g_strdup (ids[0]);
    g_assert_true (purchases_page (db, BOB, page, &is_known, &error));
    g_assert_false (is_known); /* another user's order is nothing to page from */
  }
  for (guint i = 0; i < 5; i++)
    g_free (ids[i]);
}

/* A checkout whose answer was lost twice has a successor under another key. */
static void
test_purchases_the_end_of_a_lost_checkout_is_nobodys_matter (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *body
          = g_strdup_printf ("{\"type\":\"checkout.%s\",\"data\":{\"merchant\":\"m1\",\"order\":\"%s\","
                             "\"checkout\":\"c_lost\",\"amount\":500,\"currency\":\"EUR\",\"live\":true}}",
                             i == 0 ? "expired" : "declined", order);
      g_assert_cmpint (deliver_body (f, i == 0 ? "msg_1" : "msg_2", body).books, ==, BOOKS_KNOWN);
    }
  assert_phase (f, "awaiting-payment");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM unmatched"), ==, 0);

  g_autofree char *paid
      = g_strdup_printf ("{\"type\":\"checkout.paid\",\"data\":{\"merchant\":\"m1\",\"order\":\"%s\","
                         "\"checkout\":\"c_lost\",\"payment\":\"p1\",\"amount\":500,"
                         "\"currency\":\"EUR\",\"live\":true}}",
                         order);
  g_assert_cmpint (deliver_body (f, "msg_3", paid).books, ==,
                   BOOKS_MISMATCH); /* money is always somebody's */
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM unmatched"), ==, 1);
}

#define ADD(name) g_test_add ("/purchases/" #name, Fixture, NULL, setup, test_purchases_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (a_payment_brings_the_pool_key);
  ADD (a_request_has_one_order_for_ever);
  ADD (refusals_come_before_any_money);
  ADD (open_orders_of_a_user_are_limited);
  ADD (orders_of_a_day_are_limited);
  ADD (aliases_of_an_order_are_limited);
  ADD (a_free_plugin_has_no_billing_step);
  ADD (the_same_delivery_changes_nothing);
  ADD (the_same_payment_under_another_id_changes_nothing);
  ADD (a_payment_id_of_another_order_is_for_a_person);
  ADD (an_unknown_order_is_kept_and_tried_again);
  ADD (money_finds_an_order_that_comes_later);
  ADD (poison_is_kept_for_a_person);
  ADD (other_currency_merchant_or_mode_moves_nothing);
  ADD (underpaid_waits_for_the_rest);
  ADD (underpaid_at_expiry_goes_back);
  ADD (overpaid_is_fulfilled_and_the_excess_goes_back);
  ADD (paid_twice_gives_one_serial_and_one_payment_back);
  ADD (decline_then_money_goes_back);
  ADD (declining_after_paying_is_too_late);
  ADD (an_order_without_checkout_is_declined_when_it_has_one);
  ADD (late_money_is_honoured);
  ADD (late_money_goes_back_when_the_plugin_is_being_bought_again);
  ADD (late_money_by_policy);
  ADD (a_refund_before_its_payment_leaves_a_tombstone);
  ADD (a_full_refund_revokes_and_burns);
  ADD (a_refund_while_issuing_delivers_nothing);
  ADD (a_dispute_suspends_and_its_end_restores);
  ADD (a_lost_dispute_revokes);
  ADD (a_refused_refund_of_an_excess_does_not_stop_the_serial);
  ADD (a_dispute_about_an_excess_suspends_nothing);
  ADD (more_than_all_was_taken_and_nothing_goes_back_besides);
  ADD (a_dispute_of_no_known_amount_is_about_all_of_it);
  ADD (a_part_in_dispute_suspends_and_takes_no_more_than_that);
  ADD (a_dispute_while_issuing_withholds_the_serial);
  ADD (a_dispute_before_its_payment_yields_no_serial);
  ADD (the_end_of_a_lost_checkout_is_nobodys_matter);
  ADD (a_page_of_history);
  return g_test_run ();
}
