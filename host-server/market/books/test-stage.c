#include "host-server/market/books/test-stage.h"

#include "common/base/id.h"

#include <glib/gstdio.h>
#include <string.h>

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

void
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

gboolean
add_plugin (Turn *t, gpointer data, GError **error)
{
  PluginOutcome outcome;
  g_autoptr (Plugin) plugin = plugin_parse_manifest (data, strlen (data), error);
  g_assert_nonnull (plugin);
  gboolean is_done = plugin_store (t, plugin, &outcome, error);
  g_assert_cmpint (outcome, ==, PLUGIN_STORED);
  return is_done;
}

static gboolean
fill_pool (Turn *t, gpointer data, GError **error)
{
  g_autoptr (GArray) faults = g_array_new (FALSE, FALSE, sizeof (PoolFault));
  g_autoptr (GPtrArray) keys = pool_parse (data, strlen (data), faults);
  PoolImport imported;
  g_assert_cmpuint (faults->len, ==, 0);
  return pool_import (t, "dice", keys, FALSE, &imported, error);
}

void
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
                  .reserve_wait_us = 10 * G_USEC_PER_SEC,
                  .reserve_hold_us = 900 * G_USEC_PER_SEC,
                  .open_reserves_per_user = 1,
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

void
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

gint64
ask (Fixture *f, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (store_peek_reader (f->store, STORE_MARKET), sql, "");
  gint64 n = db_next (query, &error) ? db_get_int (query, 0) : -1;
  g_assert_no_error (error);
  return n;
}

void
assert_text (Fixture *f, const char *sql, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (store_peek_reader (f->store, STORE_MARKET), sql, "");
  g_autofree char *text = db_next (query, &error) ? db_dup_text (query, 0) : NULL;
  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, expected);
}

Job *
take_job (Fixture *f, JobKind kind)
{
  for (guint i = 0; i < f->turn.jobs->len; i++)
    if (((Job *)g_ptr_array_index (f->turn.jobs, i))->kind == kind)
      return job_copy (g_ptr_array_index (f->turn.jobs, i));
  g_error ("no job of kind %s to run", job_kind_to_text (kind));
}

gboolean
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

char *
try_buy (Fixture *f, const char *account, const char *plugin, const char *request, BuyOutcome expected)
{
  g_auto (GStrv) wanted = g_strsplit (plugin, "/", 2);
  Buying buying = { .request = { .account = account,
                                 .user = "alice@example.org",
                                 .plugin = wanted[0],
                                 .item = wanted[1],
                                 .request = request,
                                 .is_source_up = TRUE } };
  turn (f, buy_work, &buying);
  g_assert_cmpint (buying.outcome, ==, expected);
  char *id = buying.purchase != NULL ? g_strdup (buying.purchase->id) : NULL;
  purchase_free (buying.purchase);
  return id;
}

gboolean
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
char *
open_order (Fixture *f, const char *plugin)
{
  g_autofree char *request = id_new_random (8);
  clock_advance_us (f->desk.clock, 1000); /* ids sort by time */
  char *id = try_buy (f, ALICE, plugin, request, BUY_NEW);
  turn (f, checkout_made, id);
  return id;
}

gboolean
decline_order (Turn *t, gpointer data, GError **error)
{
  DeclineOutcome outcome;
  g_autoptr (Purchase) purchase = NULL;
  return decline (t, ALICE, data, &outcome, &purchase, error);
}

void
set_clock (Fixture *f, gint64 wall_us)
{
  clock_advance_us (f->desk.clock, wall_us - clock_get_wall_us (f->desk.clock));
}

gboolean
expire_order (Turn *t, gpointer data, GError **error)
{
  g_autoptr (Purchase) purchase = purchase_load (t->db, data, error);
  return purchase_apply (t, purchase, EVENT_EXPIRED, NULL, error) && purchase_judge (t, purchase, error)
         && purchase_save (t, purchase, error);
}

/* The provider's side. */

static gboolean
deliver_work (Turn *t, gpointer data, GError **error)
{
  Delivering *d = data;
  return inbox_take (t, &d->delivery, &d->outcome, &d->books, error);
}

Delivering
deliver_body (Fixture *f, const char *webhook_id, const char *body)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MoneyEvent) event = f->provider.type->read_event (body, strlen (body), &error);
  Delivering d = { .delivery = { &f->provider, webhook_id, body, strlen (body), event,
                                 error != NULL ? error->message : NULL } };
  turn (f, deliver_work, &d);
  d.delivery = (Delivery){ 0 };
  return d;
}

char *
paid_body (const char *order, const char *payment, const char *amount)
{
  return g_strdup_printf (
      "{\"type\":\"checkout.paid\",\"timestamp\":\"2027-01-15T08:00:00Z\",\"data\":{\"merchant\":\"m1\","
      "\"order\":\"%s\",\"checkout\":\"c_%s\",\"payment\":\"%s\",\"amount\":%s,\"currency\":\"EUR\","
      "\"live\":true}}",
      order, order, payment, amount);
}

BooksOutcome
pay (Fixture *f, const char *order, const char *payment, const char *amount)
{
  g_autofree char *body = paid_body (order, payment, amount);
  g_autofree char *webhook_id = g_strdup_printf ("msg_%u", f->n_deliveries++);
  Delivering d = deliver_body (f, webhook_id, body);
  g_assert_cmpint (d.outcome, ==, INBOX_TAKEN);
  return d.books;
}

BooksOutcome
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

BooksOutcome
dispute_about (Fixture *f, const char *order, const char *payment, const char *what, const char *amount)
{
  g_autofree char *body
      = g_strdup_printf ("{\"type\":\"payment.%s\",\"data\":{\"merchant\":\"m1\",\"order\":\"%s\","
                         "\"checkout\":\"c_%s\",\"payment\":\"%s\","
                         "\"dispute\":\"d_%s\",\"amount\":%s,\"currency\":\"EUR\",\"live\":true}}",
                         what, order, order, payment, payment, amount);
  g_autofree char *webhook_id = g_strdup_printf ("msg_%u", f->n_deliveries++);
  return deliver_body (f, webhook_id, body).books;
}

BooksOutcome
dispute (Fixture *f, const char *order, const char *payment, const char *what)
{
  return dispute_about (f, order, payment, what, "500");
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

typedef struct
{
  const char *plugin;
  RejectedOutcome outcome;
} Rejecting;

static gboolean
reject_work (Turn *t, gpointer data, GError **error)
{
  Rejecting *rejecting = data;
  return serial_reject (t, ALICE, rejecting->plugin, -1, &rejecting->outcome, error);
}

RejectedOutcome
reject_serial (Fixture *f, const char *plugin)
{
  Rejecting rejecting = { .plugin = plugin };
  turn (f, reject_work, &rejecting);
  return rejecting.outcome;
}

gboolean
pool_work (Turn *t, gpointer data, GError **error)
{
  return issue_from_pool (t, data, error);
}

static void
settle_as (Fixture *f, Job *take_job_, IssueResultKind kind, const char *serial, gint64 expires_us)
{
  g_autoptr (Job) job = take_job_;
  Settling s
      = { job, { .kind = kind, .reason = "as tested", .retry_after_s = -1, .expires_us = expires_us } };
  if (serial != NULL)
    s.result.serial = secret_new (serial, strlen (serial));
  turn (f, settle_work, &s);
  secret_free (s.result.serial);
}

void
settle (Fixture *f, Job *take_job_, IssueResultKind kind, const char *serial)
{
  settle_as (f, take_job_, kind, serial, 0);
}

void
settle_until (Fixture *f, Job *take_job_, const char *serial, gint64 expires_us)
{
  settle_as (f, take_job_, ISSUE_GOT_SERIAL, serial, expires_us);
}

void
issue_from_the_pool (Fixture *f)
{
  g_autoptr (Job) job = take_job (f, JOB_ISSUE);
  turn (f, pool_work, job);
}

void
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
