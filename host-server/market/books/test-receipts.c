#include "common/base/text.h"
#include "host-server/core/control.h"
#include "host-server/core/http.h"
#include "host-server/core/signer.h"
#include "host-server/market/books/receipts.h"
#include "host-server/market/books/test-stage.h"

#include <string.h>

/* What each event of an order leaves in the chain of its receipts, on a real store. The clock stands still
 * unless a test moves it. */

typedef struct
{
  Fixture f;
  Server server;
  JwsKeySet *keys;
} Office;

static void
open_office (Office *o, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  setup (&o->f, NULL);
  g_autofree char *path = g_build_filename (o->f.folder, "host.conf", NULL);
  g_autofree char *text = g_strdup_printf ("[server]\ndomain=example.org\ndata=%s\n"
                                           "[xmpp]\ncertificate=c\nprivate_key=k\n"
                                           "[http]\npublic_url=https://host.example.org\n",
                                           o->f.folder);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  o->server = (Server){
    .config = config_load (path, &error),
    .clock = o->f.desk.clock,
    .store = o->f.store,
    .domain = jid_new ("example.org", strlen ("example.org")),
    .http = http_new (),
    .controls = controls_new (o->f.folder),
  };
  g_assert_no_error (error);
  o->f.desk.signer = signer_new (&o->server, &error);
  g_assert_no_error (error);
  const char *jwks = signer_peek_jwks (o->f.desk.signer);
  o->keys = jws_key_set_parse (jwks, strlen (jwks), &error);
  g_assert_no_error (error);
}

static void
close_office (Office *o, gconstpointer unused)
{
  jws_key_set_free (o->keys);
  controls_free (o->server.controls);
  http_free (o->server.http);
  signer_free (o->f.desk.signer);
  config_free (o->server.config);
  jid_unref (o->server.domain);
  teardown (&o->f, NULL);
}

typedef struct
{
  ReceiptQuestion question;
  ReceiptsOutcome outcome;
  GPtrArray *documents;
} Reading;

static gboolean
read_work (Turn *t, gpointer data, GError **error)
{
  Reading *r = data;
  g_clear_pointer (&r->documents, g_ptr_array_unref);
  return receipts_read (t, &r->question, &r->outcome, &r->documents, error);
}

/* The verified chain of @order: an array of Receipt. */
static GPtrArray *
read_chain (Office *o, const char *order)
{
  Reading r = { .question = { order, NULL, RECEIPT_FOR_BUYER, TRUE } };
  turn (&o->f, read_work, &r);
  g_assert_cmpint (r.outcome, ==, RECEIPTS_FOUND);
  GPtrArray *chain = g_ptr_array_new_with_free_func ((GDestroyNotify)receipt_free);
  for (guint i = 0; i < r.documents->len; i++)
    {
      g_autoptr (GError) error = NULL;
      const ReceiptDocument *document = g_ptr_array_index (r.documents, i);
      Receipt *receipt = receipt_verify (o->keys, document->jws, &error);
      g_assert_no_error (error);
      if (i > 0)
        receipt_follows (receipt, g_ptr_array_index (chain, i - 1), &error);
      g_assert_no_error (error);
      g_ptr_array_add (chain, receipt);
    }
  g_ptr_array_unref (r.documents);
  return chain;
}

static char *
buy_dice (Office *o)
{
  char *order = open_order (&o->f, "dice");
  pay (&o->f, order, order, "500");
  issue_from_the_pool (&o->f);
  return order;
}

static gboolean
deliver_work (Turn *t, gpointer data, GError **error)
{
  return receipts_note_delivery (t, ALICE, 0, 100, error);
}

#define assert_rows(o, n) g_assert_cmpint (ask (&(o)->f, "SELECT COUNT (*) FROM receipt"), ==, n)
#define assert_unsigned(o, n)                                                                                \
  g_assert_cmpint (ask (&(o)->f, "SELECT COUNT (*) FROM receipt WHERE jws IS NULL"), ==, n)

static void
test_receipts_the_facts_are_there_with_the_fulfilment (Office *o, gconstpointer unused)
{
  g_autofree char *order = open_order (&o->f, "dice");
  pay (&o->f, order, "p1", "500");
  assert_rows (o, 0);
  issue_from_the_pool (&o->f);
  assert_rows (o, 1);
  assert_unsigned (o, 1);
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  const Receipt *receipt = g_ptr_array_index (chain, 0);
  assert_unsigned (o, 0);
  g_assert_cmpstr (receipt->issuer, ==, "https://host.example.org");
  g_assert_cmpstr (receipt->reason, ==, "fulfilled");
  g_assert_cmpstr (receipt->vendor, ==, "acme");
  g_assert_cmpstr (receipt->status, ==, "paid");
  g_assert_cmpint (receipt->paid_minor, ==, 500);
  g_assert_cmpint (receipt->issued_s, ==, START_US / G_USEC_PER_SEC);
}

static void
test_receipts_a_callback_is_named_with_its_bodys_digest (Office *o, gconstpointer unused)
{
  g_autofree char *order = open_order (&o->f, "dice");
  g_autofree char *body = paid_body (order, "p1", "500");
  deliver_body (&o->f, "msg_x", body);
  issue_from_the_pool (&o->f);
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  const json_t *entry = receipt_find_body (g_ptr_array_index (chain, 0), body, strlen (body));
  g_assert_cmpstr (json_string_value (json_object_get (entry, "webhook_id")), ==, "msg_x");
  g_assert_cmpstr (json_string_value (json_object_get (entry, "payment")), ==, "p1");
}

static gboolean
retry_work (Turn *t, gpointer data, GError **error)
{
  return books_retry_unmatched (t, error);
}

/* The evidence of a delivery that waited is that of the delivery, not of the moment it was matched. */
static void
test_receipts_money_that_waited_for_its_order_keeps_its_evidence (Office *o, gconstpointer unused)
{
  g_autofree char *body = paid_body ("o_later", "p1", "500");
  Delivering d = deliver_body (&o->f, "msg_early", body);
  g_assert_cmpint (d.books, ==, BOOKS_NO_ORDER);
  g_autofree char *order = open_order (&o->f, "dice");
  g_autofree char *sql
      = g_strdup_printf ("UPDATE unmatched SET body = replace (body, 'o_later', '%s')", order);
  g_autofree char *path = g_build_filename (o->f.folder, "market.db", NULL);
  g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, NULL);
  g_assert_true (db_run (db, NULL, sql, ""));
  clock_advance_us (o->f.desk.clock, G_USEC_PER_SEC);
  turn (&o->f, retry_work, NULL);
  issue_from_the_pool (&o->f);
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  g_auto (GStrv) parts = g_strsplit (body, "o_later", -1);
  g_autofree char *kept = g_strjoinv (order, parts);
  const json_t *entry = receipt_find_body (g_ptr_array_index (chain, 0), kept, strlen (kept));
  g_assert_cmpstr (json_string_value (json_object_get (entry, "webhook_id")), ==, "msg_early");
}

static void
test_receipts_delivery_goes_into_what_is_not_signed_yet (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  clock_advance_us (o->f.desk.clock, 5 * G_USEC_PER_SEC);
  turn (&o->f, deliver_work, NULL);
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  g_assert_cmpuint (chain->len, ==, 1);
  g_assert_cmpstr (((Receipt *)g_ptr_array_index (chain, 0))->fulfilled, ==, "2027-01-15T08:00:00Z");
  g_assert_cmpstr (((Receipt *)g_ptr_array_index (chain, 0))->delivered, ==, "2027-01-15T08:00:05Z");
}

static void
test_receipts_delivery_supersedes_what_is_signed_and_only_once (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  g_autoptr (GPtrArray) before = read_chain (o, order);
  g_assert_null (((Receipt *)g_ptr_array_index (before, 0))->delivered);
  turn (&o->f, deliver_work, NULL);
  turn (&o->f, deliver_work, NULL);
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  g_assert_cmpuint (chain->len, ==, 2);
  g_assert_cmpstr (((Receipt *)g_ptr_array_index (chain, 1))->reason, ==, "delivered");
  g_assert_nonnull (((Receipt *)g_ptr_array_index (chain, 1))->delivered);
  turn (&o->f, deliver_work, NULL);
  assert_rows (o, 2);
}

/* Signed late, each receipt says what was so at its own time. */
static void
test_receipts_signed_late_say_what_was_known_then (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  give_back (&o->f, order, order, "r1", "200");
  give_back (&o->f, order, order, "r2", "300");
  assert_unsigned (o, 3);
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  static const gint64 refunded[] = { 0, 200, 500 };
  static const char *const status[] = { "paid", "part-refunded", "refunded" };
  for (guint i = 0; i < 3; i++)
    {
      const Receipt *receipt = g_ptr_array_index (chain, i);
      g_assert_cmpint (receipt->refunded_minor, ==, refunded[i]);
      g_assert_cmpstr (receipt->status, ==, status[i]);
      g_assert_cmpuint (json_array_size (json_object_get (receipt->claims, "refunds")), ==, i);
    }
}

static void
test_receipts_the_same_refund_twice_is_one_receipt (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  give_back (&o->f, order, order, "r1", "200");
  give_back (&o->f, order, order, "r1", "200");
  assert_rows (o, 2);
}

static void
test_receipts_money_after_the_fulfilment_supersedes (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  pay (&o->f, order, "p2", "500");
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  g_assert_cmpuint (chain->len, ==, 2);
  g_assert_cmpint (((Receipt *)g_ptr_array_index (chain, 1))->paid_minor, ==, 1000);
  g_assert_cmpstr (((Receipt *)g_ptr_array_index (chain, 1))->reason, ==, "payment");
}

static void
test_receipts_what_was_never_fulfilled_has_none (Office *o, gconstpointer unused)
{
  g_autofree char *order = open_order (&o->f, "dice");
  give_back (&o->f, order, "p1", "r1", "500");
  pay (&o->f, order, "p1", "500");
  assert_rows (o, 0);
  Reading r = { .question = { order, NULL, RECEIPT_FOR_BUYER, FALSE } };
  turn (&o->f, read_work, &r);
  g_assert_cmpint (r.outcome, ==, RECEIPTS_NONE);
  g_ptr_array_unref (r.documents);
}

static void
test_receipts_are_for_their_buyer_alone (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  Reading r = { .question = { order, BOB, RECEIPT_FOR_BUYER, FALSE } };
  turn (&o->f, read_work, &r);
  g_assert_cmpint (r.outcome, ==, RECEIPTS_NO_ORDER);
  g_assert_null (r.documents);
  assert_unsigned (o, 1);
  r.question.account = ALICE;
  turn (&o->f, read_work, &r);
  g_assert_cmpint (r.outcome, ==, RECEIPTS_FOUND);
  g_ptr_array_unref (r.documents);
}

/* However often a provider gives a little back, a receipt stays small, and its sums are of everything. */
static void
test_receipts_lists_are_limited_and_sums_are_not (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  for (guint i = 0; i < 3 * RECEIPT_MAX_LISTED; i++)
    {
      g_autofree char *filling = g_strnfill (200, 'r');
      g_autofree char *refund = g_strdup_printf ("%s%u", filling, i);
      give_back (&o->f, order, order, refund, "1");
    }
  g_autoptr (GPtrArray) chain = read_chain (o, order);
  g_assert_cmpuint (chain->len, ==, 1 + 3 * RECEIPT_MAX_LISTED);
  const Receipt *last = g_ptr_array_index (chain, chain->len - 1);
  const json_t *refunds = json_object_get (last->claims, "refunds");
  g_assert_cmpint (last->refunded_minor, ==, 3 * RECEIPT_MAX_LISTED);
  g_assert_cmpuint (json_array_size (refunds), ==, RECEIPT_MAX_LISTED);
  const char *newest
      = json_string_value (json_object_get (json_array_get (refunds, RECEIPT_MAX_LISTED - 1), "refund"));
  g_assert_true (g_str_has_suffix (newest, "r35"));
}

static void
test_receipts_a_serial_is_hashed_with_the_salt_that_is_disclosed (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  g_autofree char *other = open_order (&o->f, "weather");
  pay (&o->f, other, other, "1000");
  settle (&o->f, take_job (&o->f, JOB_ISSUE), ISSUE_GOT_SERIAL, "SUNNY");
  Reading r = { .question = { order, NULL, RECEIPT_FOR_VENDOR, FALSE } };
  turn (&o->f, read_work, &r);
  const ReceiptDocument *document = g_ptr_array_index (r.documents, 0);
  g_autoptr (Receipt) receipt = receipt_verify (o->keys, document->jws, NULL);
  g_assert_cmpint (receipt_match (receipt, document, RECEIPT_SERIAL, "KEY-1", 5), ==, RECEIPT_MATCHES);
  g_assert_cmpint (receipt_match (receipt, document, RECEIPT_SERIAL, "SUNNY", 5), ==, RECEIPT_DIFFERS);
  g_assert_cmpint (receipt_match (receipt, document, RECEIPT_BUYER, "alice@example.org", 17), ==,
                   RECEIPT_NOT_DISCLOSED);

  g_autoptr (GHashTable) salts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  static const char *const claims[] = { "serial", "buyer", "buyer_at_vendor", "buyer_at_provider" };
  const char *lines[] = { "l_1", "l_2" };
  for (gsize i = 0; i < G_N_ELEMENTS (claims); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (lines); j++)
      {
        guint8 salt[32];
        market_keys_derive_salt (&o->f.desk.keys, lines[j], claims[i], salt);
        g_hash_table_add (salts, text_to_hex (salt, sizeof salt));
      }
  g_assert_cmpuint (g_hash_table_size (salts), ==, 8);
  g_ptr_array_unref (r.documents);
}

static gboolean
forget_receipts (Turn *t, gpointer data, GError **error)
{
  return db_run (t->db, error, "DELETE FROM receipt", "");
}

/* As after an upgrade: lines that were fulfilled when there were no receipts. */
static void
test_receipts_orders_from_before_have_none_and_go_on (Office *o, gconstpointer unused)
{
  g_autofree char *order = buy_dice (o);
  turn (&o->f, forget_receipts, NULL);
  turn (&o->f, deliver_work, NULL);
  g_assert_cmpint (give_back (&o->f, order, order, "r1", "500"), ==, BOOKS_APPLIED);
  assert_phase (&o->f, "refunded");
  assert_rows (o, 0);
}

#define ADD(name)                                                                                            \
  g_test_add ("/receipts/" #name, Office, NULL, open_office, test_receipts_##name, close_office)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (the_facts_are_there_with_the_fulfilment);
  ADD (a_callback_is_named_with_its_bodys_digest);
  ADD (money_that_waited_for_its_order_keeps_its_evidence);
  ADD (delivery_goes_into_what_is_not_signed_yet);
  ADD (delivery_supersedes_what_is_signed_and_only_once);
  ADD (signed_late_say_what_was_known_then);
  ADD (the_same_refund_twice_is_one_receipt);
  ADD (money_after_the_fulfilment_supersedes);
  ADD (what_was_never_fulfilled_has_none);
  ADD (are_for_their_buyer_alone);
  ADD (lists_are_limited_and_sums_are_not);
  ADD (a_serial_is_hashed_with_the_salt_that_is_disclosed);
  ADD (orders_from_before_have_none_and_go_on);
  return g_test_run ();
}
