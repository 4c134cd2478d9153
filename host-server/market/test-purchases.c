#include "common/base/id.h"
#include "host-server/market/buy.h"
#include "host-server/market/entitlements.h"
#include "host-server/market/inbox.h"
#include "host-server/market/issue.h"
#include "host-server/market/jobs.h"
#include "host-server/market/plugins.h"
#include "host-server/market/pool.h"
#include "host-server/market/rejected.h"

#include <glib/gstdio.h>
#include <string.h>

/* The market's turns on a real store with a clock that stands still: what every case of money.md leaves in
 * the books, the jobs and the user's serials. No call leaves the house; the tests play the provider and the
 * sources. */

#define ALICE    "0190f000-0000-7000-8000-00000000a11c"
#define BOB      "0190f000-0000-7000-8000-000000000b0b"
#define START_US (G_GINT64_CONSTANT (1800000000) * G_USEC_PER_SEC)

typedef struct
{
  char *folder;
  Store *store;
  Desk desk;
  Provider provider;
  Turn turn; /* what the last turn left to do */
  guint n_deliveries;
} Fixture;

typedef gboolean (*TestWork) (Turn *turn, gpointer data, GError **error);

typedef struct
{
  Fixture *f;
  TestWork work;
  gpointer data;
  gboolean is_done;
} Run;

static gboolean
run_work (Db *db, gpointer data, GError **error)
{
  Run *run = data;
  turn_begin (&run->f->turn, &run->f->desk, db);
  return run->work (&run->f->turn, run->data, error);
}

static void
run_done (gpointer data, const GError *error)
{
  Run *run = data;
  g_assert_no_error (error);
  run->is_done = TRUE;
}

static void
turn (Fixture *f, TestWork work, gpointer data)
{
  Run run = { f, work, data, FALSE };
  store_write (f->store, STORE_MARKET, run_work, run_done, &run);
  while (!run.is_done)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
load_keys (Turn *t, gpointer data, GError **error)
{
  Fixture *f = data;
  return market_keys_load (&f->desk.keys, f->store, t->db, error)
         && db_run (t->db, error, "INSERT INTO vendor (id, created_us) VALUES ('acme', 0)", "");
}

static gboolean
add_plugin (Turn *t, gpointer data, GError **error)
{
  PluginOutcome outcome;
  g_autoptr (Plugin) plugin = plugin_parse_manifest (data, strlen (data), error);
  g_assert_nonnull (plugin);
  gboolean is_done = plugin_store (t, plugin, &outcome, error);
  g_assert_cmpint (outcome, ==, PLUGIN_STORED);
  return is_done;
}

#define MANIFEST(id, price, more)                                                                            \
  "[Plugin]\nid=" id "\nname=Weather\nvendor=acme\nversion=1\nprice=" price "\ncurrency=EUR\n" more

static gboolean
fill_pool (Turn *t, gpointer data, GError **error)
{
  g_autoptr (GArray) faults = g_array_new (FALSE, FALSE, sizeof (PoolFault));
  g_autoptr (GPtrArray) keys = pool_parse (data, strlen (data), faults);
  PoolImport imported;
  g_assert_cmpuint (faults->len, ==, 0);
  return pool_import (t, "dice", keys, FALSE, &imported, error);
}

static void
setup (Fixture *f, gconstpointer unused)
{
  static const gint64 polls[] = { 5000000, 15000000 }, retries[] = { 0, 1000000 }, refunds[] = { 0, 5000000 },
                      unmatched[] = { 100000, 1000000 };
  g_autoptr (GError) error = NULL;
  memset (f, 0, sizeof *f);
  f->folder = g_dir_make_tmp ("stoa-market-XXXXXX", NULL);
  f->store = store_open (f->folder, NULL, &error);
  g_assert_no_error (error);
  f->provider = (Provider){
    .type = &provider_standard, .name = (char *)"main", .merchant = (char *)"m1", .is_live = TRUE
  };
  f->desk = (Desk){
    .clock = clock_new_fake (START_US),
    .store = f->store,
    .owner = (char *)"test",
    .providers = g_ptr_array_new (),
    .settings = { .order_expiry_us = 1800 * G_USEC_PER_SEC,
                  .expiry_grace_us = 60 * G_USEC_PER_SEC,
                  .vendor_timeout_us = 10 * G_USEC_PER_SEC,
                  .issue_deadline_us = 3600 * (gint64)G_USEC_PER_SEC,
                  .lease_margin_us = 10 * G_USEC_PER_SEC,
                  .sweep_us = 30 * G_USEC_PER_SEC,
                  .unmatched_alarm_us = 60 * G_USEC_PER_SEC,
                  .unmatched_keep_us = 1,
                  .open_orders_per_user = 2,
                  .poll_us = polls,
                  .n_poll = 2,
                  .keygen_retry_us = retries,
                  .n_keygen_retry = 2,
                  .refund_retry_us = refunds,
                  .n_refund_retry = 2,
                  .unmatched_retry_us = unmatched,
                  .n_unmatched_retry = 2 },
  };
  g_ptr_array_add (f->desk.providers, &f->provider);
  turn (f, load_keys, f);
  turn (f, add_plugin, (gpointer)MANIFEST ("dice", "500", "[Serial]\nsource=pool\n"));
  turn (f, add_plugin,
        (gpointer)MANIFEST ("weather", "1000", "term=P1Y\n[Serial]\nsource=keygen\nmodule=w.so\n"));
  turn (f, add_plugin,
        (gpointer)MANIFEST (
            "quotes", "700",
            "[Serial]\nsource=plugin-server\nfallback=pool\n[PluginServer]\nbase=http://127.0.0.1:1\n"));
  turn (f, add_plugin, (gpointer)MANIFEST ("gift", "0", "[Serial]\nsource=keygen\nmodule=g.so\n"));
  turn (f, fill_pool, (gpointer) "KEY-1\nKEY-2\nKEY-3\n");
}

static void
remove_tree (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (folder);
}

static void
teardown (Fixture *f, gconstpointer unused)
{
  turn_clear (&f->turn);
  market_keys_clear (&f->desk.keys);
  g_ptr_array_unref (f->desk.providers);
  store_close (f->store);
  clock_free (f->desk.clock);
  remove_tree (f->folder);
  g_free (f->folder);
}

/* What the tests ask of the database. */

static gint64
ask (Fixture *f, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (store_peek_reader (f->store, STORE_MARKET), sql, "");
  gint64 n = db_next (query, &error) ? db_get_int (query, 0) : -1;
  g_assert_no_error (error);
  return n;
}

static void
assert_text (Fixture *f, const char *sql, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (store_peek_reader (f->store, STORE_MARKET), sql, "");
  g_autofree char *text = db_next (query, &error) ? db_dup_text (query, 0) : NULL;
  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, expected);
}

#define assert_phase(f, phase) assert_text (f, "SELECT phase FROM purchase ORDER BY id DESC LIMIT 1", phase)
#define assert_payment(f, payment)                                                                           \
  assert_text (f, "SELECT payment FROM purchase ORDER BY id DESC LIMIT 1", payment)

static Job *
take_job (Fixture *f, JobKind kind)
{
  for (guint i = 0; i < f->turn.jobs->len; i++)
    if (((Job *)g_ptr_array_index (f->turn.jobs, i))->kind == kind)
      return job_copy (g_ptr_array_index (f->turn.jobs, i));
  g_error ("no job of kind %s to run", job_kind_to_text (kind));
}

static gboolean
claim (Turn *t, gpointer data, GError **error)
{
  return jobs_claim_due (t, 100, error);
}

/* The users' side. */

typedef struct
{
  BuyRequest request;
  BuyOutcome outcome;
  Purchase *purchase;
} Buying;

static gboolean
buy_work (Turn *t, gpointer data, GError **error)
{
  Buying *buying = data;
  return buy (t, &buying->request, &buying->outcome, &buying->purchase, error);
}

static char *
try_buy (Fixture *f, const char *account, const char *plugin, const char *request, BuyOutcome expected)
{
  Buying buying = { .request = { account, "alice@example.org", plugin, request, TRUE } };
  turn (f, buy_work, &buying);
  g_assert_cmpint (buying.outcome, ==, expected);
  char *id = buying.purchase != NULL ? g_strdup (buying.purchase->id) : NULL;
  purchase_free (buying.purchase);
  return id;
}

static gboolean
checkout_made (Turn *t, gpointer data, GError **error)
{
  g_autoptr (Purchase) purchase = purchase_load (t->db, data, error);
  g_assert_nonnull (purchase);
  purchase->checkout = g_strconcat ("c_", purchase->id, NULL);
  return job_drop (t, JOB_CHECKOUT, data, error)
         && purchase_apply (t, purchase, EVENT_CHECKOUT_MADE, NULL, error)
         && purchase_save (t, purchase, error);
}

/* An order that waits for its payment. */
static char *
open_order (Fixture *f, const char *plugin)
{
  g_autofree char *request = id_new_random (8);
  char *id = try_buy (f, ALICE, plugin, request, BUY_NEW);
  turn (f, checkout_made, id);
  return id;
}

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

static gboolean
expire_order (Turn *t, gpointer data, GError **error)
{
  g_autoptr (Purchase) purchase = purchase_load (t->db, data, error);
  return purchase_apply (t, purchase, EVENT_EXPIRED, NULL, error) && purchase_judge (t, purchase, error)
         && purchase_save (t, purchase, error);
}

/* The provider's side. */

typedef struct
{
  Delivery delivery;
  InboxOutcome outcome;
  BooksOutcome books;
} Delivering;

static gboolean
deliver_work (Turn *t, gpointer data, GError **error)
{
  Delivering *d = data;
  return inbox_take (t, &d->delivery, &d->outcome, &d->books, error);
}

static Delivering
deliver_body (Fixture *f, const char *webhook_id, const char *body)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MoneyEvent) event = provider_standard.read_event (body, strlen (body), &error);
  Delivering d = { .delivery = { &f->provider, webhook_id, body, strlen (body), event,
                                 error != NULL ? error->message : NULL } };
  turn (f, deliver_work, &d);
  d.delivery = (Delivery){ 0 };
  return d;
}

static char *
paid_body (const char *order, const char *payment, const char *amount)
{
  return g_strdup_printf (
      "{\"type\":\"checkout.paid\",\"timestamp\":\"2027-01-15T08:00:00Z\",\"data\":{\"merchant\":\"m1\","
      "\"order\":\"%s\",\"checkout\":\"c_%s\",\"payment\":\"%s\",\"amount\":%s,\"currency\":\"EUR\","
      "\"live\":true}}",
      order, order, payment, amount);
}

static BooksOutcome
pay (Fixture *f, const char *order, const char *payment, const char *amount)
{
  g_autofree char *body = paid_body (order, payment, amount);
  g_autofree char *webhook_id = g_strdup_printf ("msg_%u", f->n_deliveries++);
  Delivering d = deliver_body (f, webhook_id, body);
  g_assert_cmpint (d.outcome, ==, INBOX_TAKEN);
  return d.books;
}

static BooksOutcome
give_back (Fixture *f, const char *order, const char *payment, const char *refund, const char *amount)
{
  g_autofree char *body
      = g_strdup_printf ("{\"type\":\"payment.refunded\",\"data\":{\"merchant\":\"m1\",\"order\":\"%s\","
                         "\"checkout\":\"c_%s\",\"payment\":\"%s\","
                         "\"refund\":\"%s\",\"amount\":%s,\"currency\":\"EUR\",\"live\":true}}",
                         order, order, payment, refund, amount);
  g_autofree char *webhook_id = g_strdup_printf ("msg_%u", f->n_deliveries++);
  return deliver_body (f, webhook_id, body).books;
}

/* The sources' side. */

typedef struct
{
  Job *job;
  IssueResult result;
} Settling;

static gboolean
settle_work (Turn *t, gpointer data, GError **error)
{
  Settling *s = data;
  return issue_settle (t, s->job, &s->result, error);
}

static gboolean
pool_work (Turn *t, gpointer data, GError **error)
{
  return issue_from_pool (t, data, error);
}

static void
settle (Fixture *f, Job *take_job_, IssueResultKind kind, const char *serial)
{
  g_autoptr (Job) job = take_job_;
  Settling s = { job, { .kind = kind, .reason = "as tested", .retry_after_s = -1 } };
  if (serial != NULL)
    s.result.serial = secret_new (serial, strlen (serial));
  turn (f, settle_work, &s);
  secret_free (s.result.serial);
}

static void
issue_from_the_pool (Fixture *f)
{
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  turn (f, pool_work, job);
}

static void
assert_serial (Fixture *f, const char *plugin, SerialState state, const char *serial)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SerialEntry) entry
      = entitlement_read_entry (&f->desk, store_peek_reader (f->store, STORE_MARKET), ALICE, plugin, &error);
  g_assert_no_error (error);
  g_assert_nonnull (entry);
  g_assert_cmpint (entry->state, ==, state);
  g_assert_cmpstr (entry->serial != NULL ? secret_peek_text (entry->serial) : NULL, ==, serial);
}

#define assert_no_serial(f) g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM entitlement"), ==, 0)
#define assert_no_refund(f) g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM refund"), ==, 0)
#define assert_refund(f, amount, state)                                                                      \
  do                                                                                                         \
    {                                                                                                        \
      g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM refund"), ==, 1);                                      \
      g_assert_cmpint (ask (f, "SELECT amount_minor FROM refund"), ==, amount);                              \
      assert_text (f, "SELECT state FROM refund", state);                                                    \
    }                                                                                                        \
  while (0)

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
test_purchases_a_dispute_is_for_a_person (Fixture *f, gconstpointer unused)
{
  g_autofree char *order = open_order (f, "dice");
  pay (f, order, "p1", "500");
  issue_from_the_pool (f);
  g_autofree char *body
      = g_strdup_printf ("{\"type\":\"payment.disputed\",\"data\":{\"merchant\":\"m1\",\"order\":\"%s\","
                         "\"checkout\":\"c_%s\",\"payment\":\"p1\","
                         "\"dispute\":\"d1\",\"amount\":500,\"currency\":\"EUR\",\"live\":true}}",
                         order, order);
  g_assert_cmpint (deliver_body (f, "msg_d", body).books, ==, BOOKS_APPLIED);
  assert_phase (f, "review");
  assert_payment (f, "disputed");
  assert_no_refund (f);
}

/* Issuing. */

static void
test_purchases_a_keygen_is_tried_again_then_the_money_goes_back (Fixture *f, gconstpointer unused)
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
test_purchases_a_keygen_gets_the_next_counter_for_a_serial_in_use (Fixture *f, gconstpointer unused)
{
  g_autofree char *request = id_new_random (8);
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
test_purchases_a_plugin_server_in_doubt_is_voided_before_the_fallback (Fixture *f, gconstpointer unused)
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
test_purchases_without_certainty_the_money_goes_back_at_the_deadline (Fixture *f, gconstpointer unused)
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
test_purchases_a_misconfigured_source_stops_new_sales (Fixture *f, gconstpointer unused)
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
test_purchases_an_empty_pool_after_payment_gives_the_money_back (Fixture *f, gconstpointer unused)
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
test_purchases_a_result_without_its_claim_is_not_written (Fixture *f, gconstpointer unused)
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
test_purchases_a_new_run_takes_over_every_job (Fixture *f, gconstpointer unused)
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
test_purchases_a_term_ends_by_a_committed_change (Fixture *f, gconstpointer unused)
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
test_purchases_a_refused_serial_is_replaced_once (Fixture *f, gconstpointer unused)
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
test_purchases_a_replacement_that_fails_is_for_a_person (Fixture *f, gconstpointer unused)
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

#define ADD(name) g_test_add ("/purchases/" #name, Fixture, NULL, setup, test_purchases_##name, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (a_payment_brings_the_pool_key);
  ADD (a_request_has_one_order_for_ever);
  ADD (refusals_come_before_any_money);
  ADD (open_orders_of_a_user_are_limited);
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
  ADD (a_dispute_is_for_a_person);
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
  ADD (a_page_of_history);
  return g_test_run ();
}
