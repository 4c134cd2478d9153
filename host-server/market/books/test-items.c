#include "host-server/market/books/credits.h"
#include "host-server/market/books/receipts.h"
#include "host-server/market/books/reconcile.h"
#include "host-server/market/books/review.h"
#include "host-server/market/books/test-stage.h"
#include "host-server/store/counters.h"

#include <gio/gio.h>
#include <string.h>

/* What is sold inside an application, by the same machine as the application itself. */

#define ITEMS                                                                                                \
  "[Serial]\nsource=pool\n[Functions]\nuser_data=4K\n"                                                       \
  "[Item coins]\nname=Coins\nprice=200\namount=5\n[Item hat]\nname=Hat\nprice=300\n[Item "                   \
  "hello]\nname=Hello\nprice=0\n"

static void
buy_dice (Fixture *f)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p_dice", "500");
  issue_from_the_pool (f);
  assert_serial (f, "dice", SERIAL_ACTIVE, "KEY-1");
}

/* Alice is licensed for an application that sells items. */
static void
setup_items (Fixture *f, gconstpointer unused)
{
  setup (f, NULL);
  turn (f, add_plugin, (gpointer)MANIFEST ("dice", "500", ITEMS));
  buy_dice (f);
}

static gint64
count_of (Fixture *f, const char *item)
{
  Counter counter = { ALICE, "dice", item };
  g_autoptr (GError) error = NULL;
  gint64 value;
  counter_read (store_peek_reader (f->store, STORE_MARKET), &counter, &value, &error);
  g_assert_no_error (error);
  return value;
}

static gboolean
use_work (Turn *t, gpointer data, GError **error)
{
  Counter counter = { ALICE, "dice", "coins" };
  gint64 moved;
  return counter_move (t->db, &counter, -GPOINTER_TO_INT (data), &moved, error);
}

static char *
buy_coins (Fixture *f, const char *payment)
{
  char *order = open_order (f, "dice/coins");
  pay (f, order, payment, "200");
  assert_phase (f, "fulfilled");
  return order;
}

static void
found (const char *kind, const char *subject, const char *what, gpointer data)
{
  g_string_append_printf (data, "%s ", kind);
}

static void
assert_reconciled (Fixture *f, const char *expected, gint64 used)
{
  g_autoptr (GString) kinds = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  ReconcileCount count;
  reconcile_check (&f->desk, store_peek_reader (f->store, STORE_MARKET), found, kinds, &count, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (kinds->str, ==, expected);
  g_assert_cmpint (count.used, ==, used);
}

/* Manifests. */

static void
test_items_a_bad_manifest_names_group_and_key (void)
{
  static const struct
  {
    const char *groups, *problem;
  } rows[] = {
    { "[Item coins]\nprice=1\n", "[Item coins] name: missing" },
    { "[Item coins]\nname=Coins\n", "[Item coins] price: missing" },
    { "[Item coins]\nname=Coins\nprice=1.5\n",
      "[Item coins] price: must be a whole number of minor units, 0 or more" },
    { "[Item coins]\nname=Coins\nprice=1\ncurrency=eur\n",
      "[Item coins] currency: must be an ISO 4217 code" },
    { "[Item coins]\nname=Coins\nprice=1\namount=0\n",
      "[Item coins] amount: must be a whole number from 1 to 1000000" },
    { "[Item coins]\nname=Coins\nprice=1\namount=1000001\n",
      "[Item coins] amount: must be a whole number from 1 to 1000000" },
    { "[Item coins]\nname=Coins\nprice=1\ncolour=gold\n", "[Item coins] colour: unknown key" },
    { "[Item Gold Coins]\nname=Coins\nprice=1\n",
      "[Item Gold Coins]: its id must match [a-z0-9][a-z0-9.-]{0,63}" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *text
          = g_strconcat (MANIFEST ("dice", "500", "[Serial]\nsource=pool\n[Functions]\nuser_data=4K\n"),
                         rows[i].groups, NULL);
      g_assert_null (plugin_parse_manifest (text, strlen (text), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_assert_cmpstr (error->message, ==, rows[i].problem);
    }
}

static void
test_items_need_a_place_for_their_counters (void)
{
  g_autoptr (GError) error = NULL;
  const char *text = MANIFEST ("dice", "500", "[Serial]\nsource=pool\n[Item coins]\nname=Coins\nprice=1\n");
  g_assert_null (plugin_parse_manifest (text, strlen (text), &error));
  g_assert_nonnull (strstr (error->message, "[Functions]"));
}

static void
test_items_are_limited (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) text
      = g_string_new (MANIFEST ("dice", "500", "[Serial]\nsource=pool\n[Functions]\nuser_data=4K\n"));
  for (guint i = 0; i < ITEMS_MAX; i++)
    g_string_append_printf (text, "[Item i%u]\nname=I\nprice=1\n", i);
  g_autoptr (Plugin) plugin = plugin_parse_manifest (text->str, text->len, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (plugin->n_items, ==, ITEMS_MAX);
  const Item *item = g_ptr_array_index (plugin->items, 0);
  g_assert_cmpint (item->amount, ==, 1);
  g_assert_cmpstr (item->currency, ==, "EUR");
  g_string_append (text, "[Item last]\nname=I\nprice=1\n");
  g_assert_null (plugin_parse_manifest (text->str, text->len, &error));
}

/* Buying. */

static void
test_items_payment_credits_in_its_own_commit (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  pay (f, order, "p1", "200");
  assert_phase (f, "fulfilled");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
  g_assert_cmpuint (f->turn.orders->len, ==, 1); /* one push, of the state it ended in */
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM generation"), ==, 1); /* the application's own */
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM job WHERE kind = 'issue'"), ==, 0);
  assert_reconciled (f, "", 0);
}

static void
test_items_purchases_add_up_and_a_payment_counts_once (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = buy_coins (f, "p1");
  g_autofree char *second = buy_coins (f, "p2");
  g_assert_cmpstr (first, !=, second);
  g_assert_cmpint (count_of (f, "coins"), ==, 10);
  g_assert_cmpint (pay (f, second, "p2", "200"), ==, BOOKS_KNOWN);
  g_assert_cmpint (count_of (f, "coins"), ==, 10);
}

static void
test_items_one_request_is_one_order (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = try_buy (f, ALICE, "dice/coins", "r1", BUY_NEW);
  g_autofree char *again = try_buy (f, ALICE, "dice/coins", "r1", BUY_KNOWN);
  g_autofree char *alias = try_buy (f, ALICE, "dice/coins", "r2", BUY_KNOWN);
  g_autofree char *hat = try_buy (f, ALICE, "dice/hat", "r3", BUY_NEW);
  g_assert_cmpstr (first, ==, again);
  g_assert_cmpstr (first, ==, alias);
  g_assert_cmpstr (first, !=, hat);
  g_assert_null (try_buy (f, ALICE, "dice/hello", "r4", BUY_TOO_MANY)); /* open orders of one user */
}

static void
test_items_are_for_the_licensed (Fixture *f, gconstpointer unused)
{
  g_assert_null (try_buy (f, BOB, "dice/coins", "r1", BUY_NOT_LICENSED));
  g_assert_null (try_buy (f, BOB, "dice/hello", "r2", BUY_NOT_LICENSED));
  g_assert_null (try_buy (f, ALICE, "dice/gems", "r3", BUY_NO_PLUGIN));
  g_assert_null (try_buy (f, ALICE, "chess/coins", "r4", BUY_NO_PLUGIN));
  g_autofree char *order = NULL;
  {
    g_autoptr (DbQuery) query
        = db_query (store_peek_reader (f->store, STORE_MARKET), "SELECT id FROM purchase", "");
    g_assert_true (db_next (query, NULL));
    order = db_dup_text (query, 0);
  }
  dispute (f, order, "p_dice", "disputed");
  assert_serial (f, "dice", SERIAL_SUSPENDED, NULL);
  g_assert_null (try_buy (f, ALICE, "dice/coins", "r5", BUY_NOT_LICENSED));
}

static void
test_items_without_a_price_are_credited_at_once (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = try_buy (f, ALICE, "dice/hello", "r1", BUY_NEW);
  assert_text (f, "SELECT phase FROM purchase WHERE provider = ''", "fulfilled");
  g_assert_cmpint (count_of (f, "hello"), ==, 1);
  g_autofree char *again = try_buy (f, ALICE, "dice/hello", "r1", BUY_KNOWN);
  g_assert_cmpint (count_of (f, "hello"), ==, 1);
  g_autofree char *more = try_buy (f, ALICE, "dice/hello", "r2", BUY_NEW);
  g_assert_cmpint (count_of (f, "hello"), ==, 2);
}

static void
test_items_that_are_sold_no_more_keep_their_open_orders (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  turn (f, add_plugin, (gpointer)MANIFEST ("dice", "500", "[Serial]\nsource=pool\n"));
  g_autofree char *known = try_buy (f, ALICE, "dice/coins", "r2", BUY_KNOWN);
  g_assert_cmpstr (known, ==, order);
  g_assert_null (try_buy (f, ALICE, "dice/hat", "r3", BUY_NO_PLUGIN));
  pay (f, order, "p1", "200");
  assert_phase (f, "fulfilled");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
}

static void
test_items_repriced_keep_price_and_amount_of_open_orders (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  turn (f, add_plugin,
        (gpointer)MANIFEST ("dice", "500",
                            "[Serial]\nsource=pool\n[Functions]\nuser_data=4K\n"
                            "[Item coins]\nname=Coins\nprice=900\namount=7\n"));
  pay (f, order, "p1", "200");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
  g_autofree char *dearer = open_order (f, "dice/coins");
  pay (f, dearer, "p2", "900");
  g_assert_cmpint (count_of (f, "coins"), ==, 12);
}

/* Money that goes back. */

static void
test_items_refund_takes_back_what_is_left (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  turn (f, use_work, GINT_TO_POINTER (2));
  give_back (f, order, "p1", "r1", "50"); /* a part changes nothing */
  g_assert_cmpint (count_of (f, "coins"), ==, 3);
  give_back (f, order, "p1", "r2", "150");
  assert_phase (f, "refunded");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  g_assert_cmpint (ask (f, "SELECT credited FROM item_line"), ==, 2); /* used up */
  assert_reconciled (f, "", 1);
}

static void
test_items_what_was_used_up_is_not_taken_from_later_purchases (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  turn (f, use_work, GINT_TO_POINTER (4));
  dispute_about (f, order, "p1", "disputed", "200");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  g_autofree char *other = buy_coins (f, "p2");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
  dispute_about (f, order, "p1", "dispute_lost", "200");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
  assert_reconciled (f, "", 1);
}

static void
test_items_dispute_takes_away_and_won_gives_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  turn (f, use_work, GINT_TO_POINTER (1));
  dispute_about (f, order, "p1", "disputed", "200");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  dispute_about (f, order, "p1", "disputed", "200");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  dispute_about (f, order, "p1", "dispute_won", "200");
  g_assert_cmpint (count_of (f, "coins"), ==, 4);
  assert_phase (f, "fulfilled");
  assert_reconciled (f, "", 0);
}

static void
test_items_paid_while_disputed_are_withheld (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  pay (f, order, "p1", "100");
  dispute_about (f, order, "p1", "disputed", "100");
  pay (f, order, "p2", "100");
  assert_phase (f, "fulfilled");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  dispute_about (f, order, "p1", "dispute_won", "100");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
}

static void
test_items_refund_before_the_payment_leaves_a_tombstone (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  give_back (f, order, "p1", "r1", "200");
  pay (f, order, "p1", "200");
  assert_phase (f, "refunded");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
  assert_reconciled (f, "", 0);
}

static gboolean
revoke_work (Turn *t, gpointer data, GError **error)
{
  return entitlement_end (t, ALICE, "dice", error);
}

static void
test_items_of_an_application_that_was_taken_away_go_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  turn (f, revoke_work, NULL);
  pay (f, order, "p1", "200");
  assert_phase (f, "refund-due");
  assert_refund (f, 200, "due");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
}

static void
test_items_late_money_is_honoured_while_licensed (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  turn (f, expire_order, order);
  pay (f, order, "p1", "200");
  assert_phase (f, "fulfilled");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
}

static void
test_items_late_money_goes_back_when_bought_again (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice/coins");
  turn (f, expire_order, order);
  g_autofree char *open = open_order (f, "dice/coins");
  pay (f, order, "p1", "200");
  assert_refund (f, 200, "due");
  g_assert_cmpint (count_of (f, "coins"), ==, 0);
}

static gboolean
resolve_work (Turn *t, gpointer data, GError **error)
{
  ResolveOutcome outcome;
  gboolean is_done = order_resolve (t, data, RESOLVE_AS_FULFILLED, NULL, &outcome, error);
  g_assert_cmpint (outcome, ==, RESOLVE_DONE);
  return is_done;
}

static gboolean
doubt_work (Turn *t, gpointer data, GError **error)
{
  g_autoptr (Purchase) purchase = purchase_load (t->db, data, error);
  return purchase_apply (t, purchase, EVENT_DOUBTFUL, NULL, error) && purchase_save (t, purchase, error);
}

static void
test_items_that_a_person_confirms_are_credited_once (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  turn (f, doubt_work, order);
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
  turn (f, resolve_work, order);
  assert_phase (f, "fulfilled");
  g_assert_cmpint (count_of (f, "coins"), ==, 5);
}

static gboolean
forget_work (Turn *t, gpointer data, GError **error)
{
  return credits_forget (t, ALICE, error);
}

static void
test_items_of_a_removed_account_are_not_taken_back (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  turn (f, forget_work, NULL);
  give_back (f, order, "p1", "r1", "200");
  assert_phase (f, "refunded");
  g_assert_cmpint (count_of (f, "coins"), ==, 5); /* the room that keeps it removes it */
}

/* Proofs. */

static gboolean
meddle_work (Turn *t, gpointer data, GError **error)
{
  return db_run (t->db, error, data, "");
}

static void
test_items_reconcile_finds_what_does_not_add_up (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  turn (f, meddle_work, (gpointer) "UPDATE function_value SET value = CAST ('6' AS BLOB)");
  assert_reconciled (f, "counter-differs ", 0);
  turn (f, meddle_work, (gpointer) "UPDATE item_line SET credited = 6");
  assert_reconciled (f, "credit-differs ", 0);
  turn (f, meddle_work, (gpointer) "DELETE FROM item_line");
  assert_reconciled (f, "no-credit ", 0);
}

static gboolean
receipt_row_work (Turn *t, gpointer data, GError **error)
{
  return receipts_note_money (t, data, "payment", error);
}

static void
test_items_have_receipts (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = buy_coins (f, "p1");
  g_autofree char *line = NULL;
  {
    g_autoptr (DbQuery) query
        = db_query (store_peek_reader (f->store, STORE_MARKET), "SELECT line FROM item_line", "");
    g_assert_true (db_next (query, NULL));
    line = db_dup_text (query, 0);
  }
  turn (f, receipt_row_work, line);
  assert_text (f, "SELECT reason FROM receipt WHERE line = (SELECT line FROM item_line)", "fulfilled");
  g_assert_cmpint (
      ask (f, "SELECT COUNT (*) FROM receipt WHERE line = (SELECT line FROM item_line) AND delivered_us > 0"),
      ==, 1);
  give_back (f, order, "p1", "r1", "200");
  assert_text (f, "SELECT reason FROM receipt WHERE line = (SELECT line FROM item_line) ORDER BY seq DESC",
               "refund");
}

#define ADD(name) g_test_add ("/market/items/" #name, Fixture, NULL, setup_items, test_items_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/market/items/a_bad_manifest_names_group_and_key",
                   test_items_a_bad_manifest_names_group_and_key);
  g_test_add_func ("/market/items/need_a_place_for_their_counters",
                   test_items_need_a_place_for_their_counters);
  g_test_add_func ("/market/items/are_limited", test_items_are_limited);
  ADD (payment_credits_in_its_own_commit);
  ADD (purchases_add_up_and_a_payment_counts_once);
  ADD (one_request_is_one_order);
  ADD (are_for_the_licensed);
  ADD (without_a_price_are_credited_at_once);
  ADD (that_are_sold_no_more_keep_their_open_orders);
  ADD (repriced_keep_price_and_amount_of_open_orders);
  ADD (refund_takes_back_what_is_left);
  ADD (what_was_used_up_is_not_taken_from_later_purchases);
  ADD (dispute_takes_away_and_won_gives_back);
  ADD (paid_while_disputed_are_withheld);
  ADD (refund_before_the_payment_leaves_a_tombstone);
  ADD (of_an_application_that_was_taken_away_go_back);
  ADD (late_money_is_honoured_while_licensed);
  ADD (late_money_goes_back_when_bought_again);
  ADD (that_a_person_confirms_are_credited_once);
  ADD (of_a_removed_account_are_not_taken_back);
  ADD (reconcile_finds_what_does_not_add_up);
  ADD (have_receipts);
  return g_test_run ();
}
