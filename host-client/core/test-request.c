#include "host-client/core/request.h"

typedef struct
{
  guint answers;
  ReplyKind last;
} Log;

static void
on_reply (Reply *reply, gpointer data)
{
  Log *log = data;
  log->answers++;
  log->last = reply->kind;
}

static void
test_request_takes_its_answer_from_whom_it_asked (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (RequestTable) table = request_table_new (clock);
  Log log = { 0 };
  Reply result = { .kind = REPLY_RESULT };
  g_autofree char *id = g_strdup (request_table_add (table, "market.d", 10, on_reply, &log));

  g_assert_false (request_table_answer (table, id, "mallory@d/x", "alice@d", &result));
  g_assert_false (request_table_answer (table, id, NULL, "alice@d", &result));
  g_assert_false (request_table_answer (table, "another", "market.d", "alice@d", &result));
  g_assert_cmpuint (log.answers, ==, 0);
  g_assert_true (request_table_answer (table, id, "market.d", "alice@d", &result));
  g_assert_false (request_table_answer (table, id, "market.d", "alice@d", &result));
  g_assert_cmpuint (log.answers, ==, 1);
}

static void
test_request_to_the_account_is_answered_in_its_name (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (RequestTable) table = request_table_new (clock);
  Log log = { 0 };
  Reply result = { .kind = REPLY_RESULT };
  g_autofree char *first = g_strdup (request_table_add (table, NULL, 10, on_reply, &log));
  g_autofree char *second = g_strdup (request_table_add (table, NULL, 10, on_reply, &log));
  g_assert_false (request_table_answer (table, first, "mallory@d", "alice@d", &result));
  g_assert_true (request_table_answer (table, first, NULL, "alice@d", &result));
  g_assert_true (request_table_answer (table, second, "alice@d", "alice@d", &result));
}

static void
test_request_times_out (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (RequestTable) table = request_table_new (clock);
  Log early = { 0 }, late = { 0 };
  request_table_add (table, "d", 20, on_reply, &late);
  request_table_add (table, "d", 10, on_reply, &early);
  g_assert_cmpint (request_table_expire (table, NULL, NULL), ==, 10 * G_USEC_PER_SEC);
  clock_advance_us (clock, 10 * G_USEC_PER_SEC);
  g_assert_cmpint (request_table_expire (table, NULL, NULL), ==, 10 * G_USEC_PER_SEC);
  g_assert_cmpuint (early.answers, ==, 1);
  g_assert_cmpint (early.last, ==, REPLY_TIMEOUT);
  g_assert_cmpuint (late.answers, ==, 0);
  clock_advance_us (clock, 11 * G_USEC_PER_SEC);
  g_assert_cmpint (request_table_expire (table, NULL, NULL), ==, -1);
  g_assert_cmpuint (late.answers, ==, 1);
}

typedef struct
{
  RequestTable *table;
  guint lost;
} Again;

static void
ask_again (Reply *reply, gpointer data)
{
  Again *again = data;
  g_assert_cmpint (reply->kind, ==, REPLY_LOST);
  if (again->lost++ == 0)
    request_table_add (again->table, "d", 10, ask_again, again);
}

static void
test_request_asked_while_the_rest_is_lost_stays_open (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (RequestTable) table = request_table_new (clock);
  Again again = { table, 0 };
  request_table_add (table, "d", 10, ask_again, &again);
  request_table_fail_all (table);
  g_assert_cmpuint (again.lost, ==, 1);
  g_assert_cmpint (request_table_expire (table, NULL, NULL), ==, 10 * G_USEC_PER_SEC);
  request_table_fail_all (table);
  g_assert_cmpuint (again.lost, ==, 2);
}

static void
test_request_beyond_the_limit_is_refused (void)
{
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (RequestTable) table = request_table_new (clock);
  Log log = { 0 };
  for (guint i = 0; i < REQUESTS_MAX; i++)
    g_assert_nonnull (request_table_add (table, "d", 10, on_reply, &log));
  g_assert_null (request_table_add (table, "d", 10, on_reply, &log));
  request_table_fail_all (table);
  g_assert_cmpuint (log.answers, ==, REQUESTS_MAX);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/request/takes_its_answer_from_whom_it_asked",
                   test_request_takes_its_answer_from_whom_it_asked);
  g_test_add_func ("/client/request/to_the_account_is_answered_in_its_name",
                   test_request_to_the_account_is_answered_in_its_name);
  g_test_add_func ("/client/request/times_out", test_request_times_out);
  g_test_add_func ("/client/request/asked_while_the_rest_is_lost_stays_open",
                   test_request_asked_while_the_rest_is_lost_stays_open);
  g_test_add_func ("/client/request/beyond_the_limit_is_refused", test_request_beyond_the_limit_is_refused);
  return g_test_run ();
}
