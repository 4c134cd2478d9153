/* Where the tests of the market's turns play: a real store, a clock that stands still, four plugins, and what
 * the provider, the users and the sources do. No call leaves the house. */
#pragma once

#include "host-server/market/books/buy.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/inbox.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/books/jobs.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/books/pool.h"
#include "host-server/market/books/rejected.h"

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
  Delivery delivery;
  InboxOutcome outcome;
  BooksOutcome books;
} Delivering;

#define MANIFEST(id, price, more)                                                                            \
  "[Plugin]\nid=" id "\nname=Weather\nvendor=acme\nversion=1\nprice=" price "\ncurrency=EUR\n" more

void turn (Fixture *f, TestWork work, gpointer data);
gboolean add_plugin (Turn *t, gpointer data, GError **error);
void setup (Fixture *f, gconstpointer unused);
void teardown (Fixture *f, gconstpointer unused);
gint64 ask (Fixture *f, const char *sql);
void assert_text (Fixture *f, const char *sql, const char *expected);
Job *take_job (Fixture *f, JobKind kind);
gboolean claim (Turn *t, gpointer data, GError **error);
/* @plugin: "dice", or an item of it, "dice/coins". */
char *try_buy (Fixture *f, const char *account, const char *plugin, const char *request, BuyOutcome expected);
gboolean checkout_made (Turn *t, gpointer data, GError **error);
char *open_order (Fixture *f, const char *plugin);
/* @data: the order. */
gboolean decline_order (Turn *t, gpointer data, GError **error);
void set_clock (Fixture *f, gint64 wall_us);
gboolean expire_order (Turn *t, gpointer data, GError **error);
Delivering deliver_body (Fixture *f, const char *webhook_id, const char *body);
char *paid_body (const char *order, const char *payment, const char *amount);
BooksOutcome pay (Fixture *f, const char *order, const char *payment, const char *amount);
BooksOutcome give_back (Fixture *f, const char *order, const char *payment, const char *refund,
                        const char *amount);
void settle (Fixture *f, Job *take_job_, IssueResultKind kind, const char *serial);
/* A serial that the vendor lets end at @expires_us. */
void settle_until (Fixture *f, Job *take_job_, const char *serial, gint64 expires_us);
/* @what: disputed, dispute_won, dispute_lost. */
BooksOutcome dispute_about (Fixture *f, const char *order, const char *payment, const char *what,
                            const char *amount);
BooksOutcome dispute (Fixture *f, const char *order, const char *payment, const char *what);
/* Alice's plugin refuses the serial that she has. */
RejectedOutcome reject_serial (Fixture *f, const char *plugin);
gboolean pool_work (Turn *t, gpointer data, GError **error);
void issue_from_the_pool (Fixture *f);
void assert_serial (Fixture *f, const char *plugin, SerialState state, const char *serial);

#define assert_phase(f, phase) assert_text (f, "SELECT phase FROM purchase ORDER BY id DESC LIMIT 1", phase)
#define assert_payment(f, payment)                                                                           \
  assert_text (f, "SELECT payment FROM purchase ORDER BY id DESC LIMIT 1", payment)

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
