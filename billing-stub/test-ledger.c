#include "billing-stub/ledger.h"

#include <glib/gstdio.h>
#include <string.h>

#define START_US  (G_GINT64_CONSTANT (1795400000) * G_USEC_PER_SEC)
#define MINUTE_US (60 * (gint64)G_USEC_PER_SEC)

typedef struct
{
  char *folder;
  Clock *clock;
  Faults faults;
  Ledger *ledger;
} Books;

static void
books_open (Books *books)
{
  g_autoptr (GError) error = NULL;
  books->ledger = ledger_open (books->folder, books->clock, "m_1", &books->faults, &error);
  g_assert_no_error (error);
}

static Books *
books_new (void)
{
  Books *books = g_new0 (Books, 1);
  books->folder = g_dir_make_tmp ("stoa-ledger-XXXXXX", NULL);
  books->clock = clock_new_fake (START_US);
  books_open (books);
  return books;
}

static void
books_free (Books *books)
{
  ledger_close (books->ledger);
  clock_free (books->clock);
  static const char *const names[] = { "ledger.db", "ledger.db-wal", "ledger.db-shm" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (books->folder, names[i], NULL);
      g_unlink (path);
    }
  g_assert_cmpint (g_rmdir (books->folder), ==, 0);
  g_free (books->folder);
  g_free (books);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Books, books_free)

static char *
create (Books *books, const char *order)
{
  Checkout wanted = { .order = (char *)order,
                      .description = "Weather",
                      .buyer = "k3q",
                      .callback = "http://127.0.0.1:1/x",
                      .currency = "EUR",
                      .amount = 500,
                      .expires_us = clock_get_wall_us (books->clock) + 30 * MINUTE_US };
  char *id = NULL;
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (ledger_create (books->ledger, order, order, &wanted, &id, &error), ==, LEDGER_DONE);
  g_assert_no_error (error);
  return id;
}

static CheckoutStatus
status_of (Books *books, const char *id)
{
  g_autoptr (Checkout) checkout = ledger_find (books->ledger, id, NULL);
  g_assert_nonnull (checkout);
  return checkout->status;
}

/* Takes what is due and says how many there were; settles each as @result. */
static guint
take (Books *books, EventResult result, gint64 retry_us, gint64 *next_us)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) due = ledger_take_due (books->ledger, 10, next_us, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < due->len; i++)
    g_assert_true (ledger_settle_event (books->ledger, due->pdata[i], result, retry_us, &error));
  return due->len;
}

static void
test_ledger_expires_at_its_minute_and_not_before (void)
{
  g_autoptr (Books) books = books_new ();
  g_autofree char *id = create (books, "o_1");
  gint64 next_us;
  clock_advance_us (books->clock, 30 * MINUTE_US - 1);
  g_assert_true (ledger_expire (books->ledger, NULL));
  g_assert_cmpint (status_of (books, id), ==, CHECKOUT_OPEN);
  clock_advance_us (books->clock, 1);
  g_assert_cmpint (ledger_pay (books->ledger, id, NULL), ==,
                   LEDGER_CLOSED); /* money a moment late is refused */
  g_assert_cmpint (status_of (books, id), ==, CHECKOUT_EXPIRED);
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 1);
  g_assert_cmpint (next_us, ==, G_MAXINT64);
}

static void
test_ledger_of_two_deciders_the_first_wins (void)
{
  g_autoptr (Books) books = books_new ();
  g_autofree char *paid = create (books, "o_1"), *declined = create (books, "o_2"),
                  *cancelled = create (books, "o_3");
  g_assert_cmpint (ledger_pay (books->ledger, paid, NULL), ==, LEDGER_DONE);
  g_assert_cmpint (ledger_pay (books->ledger, paid, NULL), ==, LEDGER_CLOSED);
  g_assert_cmpint (ledger_decline (books->ledger, paid, NULL), ==, LEDGER_CLOSED);
  g_assert_cmpint (ledger_cancel (books->ledger, paid, NULL), ==, LEDGER_CLOSED);
  g_assert_cmpint (ledger_decline (books->ledger, declined, NULL), ==, LEDGER_DONE);
  g_assert_cmpint (ledger_decline (books->ledger, declined, NULL), ==, LEDGER_DONE);
  g_assert_cmpint (ledger_pay (books->ledger, declined, NULL), ==, LEDGER_CLOSED);
  g_assert_cmpint (ledger_cancel (books->ledger, cancelled, NULL), ==, LEDGER_DONE);
  g_assert_cmpint (ledger_pay (books->ledger, cancelled, NULL), ==, LEDGER_CLOSED);
  g_assert_cmpint (ledger_pay (books->ledger, "co_x", NULL), ==, LEDGER_NOT_FOUND);
  gint64 next_us;
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==,
                    2); /* one paid, one declined: each once */
}

static void
test_ledger_event_waits_for_its_retry_and_then_ends (void)
{
  g_autoptr (Books) books = books_new ();
  g_autofree char *id = create (books, "o_1");
  g_assert_cmpint (ledger_pay (books->ledger, id, NULL), ==, LEDGER_DONE);
  gint64 next_us, retry_us = START_US + 5 * G_USEC_PER_SEC;
  g_assert_cmpuint (take (books, EVENT_RETRY, retry_us, &next_us), ==, 1);
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 0);
  g_assert_cmpint (next_us, ==, retry_us);
  clock_advance_us (books->clock, 5 * G_USEC_PER_SEC);
  {
    g_autoptr (GPtrArray) due = ledger_take_due (books->ledger, 10, &next_us, NULL);
    g_assert_cmpuint (due->len, ==, 1);
    const LedgerEvent *event = due->pdata[0];
    g_assert_cmpuint (event->attempt, ==, 1);
    g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 0); /* it is under way */
    g_assert_true (ledger_settle_event (books->ledger, event, EVENT_GIVEN_UP, 0, NULL));
  }
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 0);
  g_assert_cmpint (next_us, ==, G_MAXINT64);
}

static void
test_ledger_event_under_way_at_a_crash_is_sent_again (void)
{
  g_autoptr (Books) books = books_new ();
  g_autofree char *id = create (books, "o_1"), *event_id = NULL;
  g_assert_cmpint (ledger_pay (books->ledger, id, NULL), ==, LEDGER_DONE);
  gint64 next_us;
  {
    g_autoptr (GPtrArray) due = ledger_take_due (books->ledger, 10, &next_us, NULL);
    event_id = g_strdup (((LedgerEvent *)due->pdata[0])->id);
  }
  ledger_close (books->ledger);
  books_open (books);
  g_autoptr (GPtrArray) due = ledger_take_due (books->ledger, 10, &next_us, NULL);
  g_assert_cmpuint (due->len, ==, 1);
  g_assert_cmpstr (((LedgerEvent *)due->pdata[0])->id, ==, event_id);
}

static void
test_ledger_address_that_is_gone_hears_nothing_more (void)
{
  g_autoptr (Books) books = books_new ();
  g_autofree char *first = create (books, "o_1"), *second = create (books, "o_2"),
                  *third = create (books, "o_3");
  g_assert_cmpint (ledger_pay (books->ledger, first, NULL), ==, LEDGER_DONE);
  gint64 next_us;
  g_autoptr (GPtrArray) due = ledger_take_due (books->ledger, 1, &next_us, NULL);
  g_assert_cmpint (ledger_pay (books->ledger, second, NULL), ==, LEDGER_DONE); /* waits already */
  g_assert_true (ledger_settle_event (books->ledger, due->pdata[0], EVENT_DISABLED, 0, NULL));
  g_assert_cmpint (ledger_pay (books->ledger, third, NULL), ==, LEDGER_DONE); /* comes later */
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 0);
  g_assert_cmpint (next_us, ==, G_MAXINT64);
}

static LedgerOutcome
refund (Books *books, const char *key, const char *payment, gint64 amount)
{
  g_autofree char *id = NULL;
  g_autoptr (GError) error = NULL;
  LedgerOutcome outcome = ledger_refund (books->ledger, key, key, payment, amount, "EUR", "x", &id, &error);
  g_assert_no_error (error);
  return outcome;
}

static char *
payment_of (Books *books, const char *id)
{
  g_autoptr (Checkout) checkout = ledger_find (books->ledger, id, NULL);
  json_t *described = ledger_describe (books->ledger, checkout, NULL);
  char *payment = g_strdup (json_string_value (
      json_object_get (json_array_get (json_object_get (described, "payments"), 0), "payment")));
  json_decref (described);
  return payment;
}

static void
test_ledger_refunds_never_exceed_what_was_paid (void)
{
  g_autoptr (Books) books = books_new ();
  g_autofree char *id = create (books, "o_1");
  g_assert_cmpint (ledger_pay (books->ledger, id, NULL), ==, LEDGER_DONE);
  g_autofree char *payment = payment_of (books, id);
  g_assert_cmpint (refund (books, "r1", payment, 501), ==, LEDGER_REFUSED);
  g_assert_cmpint (refund (books, "r1", payment, LEDGER_MAX_AMOUNT), ==, LEDGER_REFUSED);
  books->faults.left[FAULT_REFUSE_REFUND] = 1;
  g_assert_cmpint (refund (books, "r0", payment, 500), ==,
                   LEDGER_DONE); /* refused by the bank: does not count */
  books->faults.left[FAULT_PENDING_REFUND] = 60000;
  g_assert_cmpint (refund (books, "r1", payment, 300), ==, LEDGER_DONE); /* pending: counts */
  g_assert_cmpint (refund (books, "r2", payment, 201), ==, LEDGER_REFUSED);
  g_assert_cmpint (refund (books, "r2", payment, 200), ==, LEDGER_DONE);
  g_assert_cmpint (refund (books, "r3", payment, 1), ==, LEDGER_REFUSED);
  gint64 next_us;
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 1); /* the payment */
  clock_advance_us (books->clock, MINUTE_US - 1);
  g_assert_true (ledger_settle_refunds (books->ledger, NULL));
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 0);
  clock_advance_us (books->clock, 1);
  g_assert_true (ledger_settle_refunds (books->ledger, NULL));
  g_assert_true (ledger_settle_refunds (books->ledger, NULL));
  g_assert_cmpuint (take (books, EVENT_DELIVERED, 0, &next_us), ==, 2); /* each refund once */
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name) g_test_add_func ("/" #name, test_##name)
  TEST (ledger_expires_at_its_minute_and_not_before);
  TEST (ledger_of_two_deciders_the_first_wins);
  TEST (ledger_event_waits_for_its_retry_and_then_ends);
  TEST (ledger_event_under_way_at_a_crash_is_sent_again);
  TEST (ledger_address_that_is_gone_hears_nothing_more);
  TEST (ledger_refunds_never_exceed_what_was_paid);
  return g_test_run ();
}
