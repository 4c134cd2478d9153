/* The inside of the market room: what its files share on the main context. */
#pragma once

#include "host-server/core/server.h"
#include "host-server/market/alarms.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/desk.h"
#include "host-server/market/books/jobs.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/market.h"
#include "host-server/market/rings.h"

typedef struct Subscribers Subscribers; /* serials.c */
typedef struct Waiters Waiters;         /* waiters.c */
typedef struct Gauges Gauges;           /* gauges.c */
typedef struct Walk Walk;               /* reconcile-walk.c */

struct Market
{
  Server *server;
  Desk desk;
  HttpClient *http;
  GHashTable *billing_rings; /* provider's name -> Ring */
  GHashTable *vendor_rings;  /* vendor's id -> Ring; filled when first needed */
  Subscribers *subscribers;
  Waiters *waiters;
  Alarms *alarms;
  Gauges *gauges;
  Walk *walk; /* the comparison with the providers that is under way; NULL: none */
  GPtrArray *catalog;     /* of Plugin by id, as committed; NULL: to be read again */
  GPtrArray *receivers;   /* of callbacks, one a provider */
  GHashTable *open_calls; /* what waits for an answer from outside -> how it is freed */
  GSource *timer;         /* the next thing that is due */
  gint64 timer_us;        /* its wall time; 0: none */
  GSource *sweep;
  gint64 seen_wall_us, seen_monotonic_us; /* at the last sweep */
  GPtrArray *acknowledged;                /* pushes to be noted in receipts; NULL: none */
  GSource *acknowledging;
  gboolean is_closing;
  guint64 n_refused_callbacks; /* not authentic, or not even an envelope */
  guint64 n_other_mode;
};

/* A write of the market: @work decides inside the transaction; after the commit @done (may be NULL) is
 * called, then what the turn brought leaves the house: log lines, pushes, jobs. On a fault only @done is
 * called, with the error, or the fault is logged if there is none. @done frees @data. */
typedef gboolean (*TurnWork) (Turn *turn, gpointer data, GError **error);
typedef void (*TurnDone) (Market *market, gpointer data, const GError *error);
void market_write (Market *market, TurnWork work, TurnDone done, gpointer data);
/* The same for a step of a purchase that a crash may interrupt: crash.h has STEP_DECIDED and STEP_COMMITTED.
 */
#ifdef STOA_TEST_HOOKS
void market_write_at (Market *market, TurnWork work, TurnDone done, gpointer data, CrashPoint decided,
                      CrashPoint committed);
#define market_write_step(market, STEP, work, done, data)                                                    \
  market_write_at (market, work, done, data, CRASH_##STEP##_DECIDED, CRASH_##STEP##_COMMITTED)
#else
#define market_write_step(market, STEP, work, done, data) market_write (market, work, done, data)
#endif

/* What waits for an HTTP answer: market_stop() cancels those calls and frees it. @call is the key. */
void market_begin_call (Market *market, gpointer call, GDestroyNotify free_call);
void market_end_call (Market *market, gpointer call);

/* Starts what @jobs holds (of Job). */
void market_run_jobs (Market *market, const GPtrArray *jobs);
/* The committed state, for reads on the main thread. */
Db *market_peek_reader (Market *market);

/* sweep.c */
void sweep_init (Market *market);
/* Looks at what is due now: jobs, polls, expiries, unmatched deliveries. */
void sweep_due (Market *market);
/* Due at @due_us: the timer is set no later than that. */
void sweep_wake_at (Market *market, gint64 due_us);
void sweep_stop (Market *market);

/* payments.c: runs a claimed job of its kind, or asks after one checkout. */
void payments_run_checkout (Market *market, const Job *job);
void payments_run_cancel (Market *market, const Job *job);
void payments_run_refund (Market *market, const Job *job);
/* Where @provider can call us, once it is known where we listen. */
void payments_find_callback (Market *market, Provider *provider);
void payments_poll (Market *market, const char *purchase, const char *provider, const char *checkout);

/* The parts that register themselves. */
void serials_init (Market *market);
void serials_clear (Market *market);
/* Pushes what changed to every session of the user that asked for its serials. */
void serials_push_changes (Market *market, const char *account);
void serials_push_order (Market *market, const OrderNote *note);
/* Whether the session asked for its serials and so is told of everything. */
gboolean serials_has_listener (Market *market, const char *full_jid);
void catalog_init (Market *market);
/* What is or was on sale under @id, as committed, from memory; lent until the main loop turns. NULL if there
 * is none. */
const Plugin *catalog_find (Market *market, const char *id);
/* For people: the plugin's name, or its name and that of @item (NULL or "": the plugin itself). The caller
 * frees it. */
char *catalog_dup_name (Market *market, const char *plugin, const char *item);
/* All of them by id (of Plugin), lent likewise; NULL with @error. */
const GPtrArray *catalog_get_plugins (Market *market, GError **error);
/* A set of the ids that the account owns now; NULL with @error. */
GHashTable *catalog_load_owned (Market *market, const char *account, GError **error);
/* The account's UUID behind "alice" or "alice@D"; NULL if there is none. The caller frees it. */
char *market_find_account (Market *market, const char *user);
void order_requests_init (Market *market);
void callbacks_init (Market *market);
void market_commands_init (Market *market);
void order_commands_init (Market *market);
void item_commands_init (Market *market);
void removal_init (Market *market);
/* licence.c: who may call the functions of what is sold here. */
void licence_init (Market *market);
/* receipt-requests.c */
void receipts_init (Market *market);
void receipts_stop (Market *market);
/* A client has acknowledged the push of what changed for @account after @since, up to @ver. */
void receipts_note_push (Market *market, const char *account, gint64 since, gint64 ver);
/* Commands of standard clients (XEP-0050), by who may: everyone, vendors' members, administrators. */
void adhoc_user_init (Market *market);
void adhoc_vendor_init (Market *market);
void adhoc_admin_init (Market *market);
void role_commands_init (Market *market);
/* check.c: `billing check`. */
void check_init (Market *market);
void rotation_commands_init (Market *market);
void delivery_commands_init (Market *market);
void reconcile_commands_init (Market *market);
/* Stops a comparison with the providers that is under way; its command is refused. */
void walk_stop (Market *market);
void restored_init (Market *market);

/* gauges.c: what metrics show, and the alarms that follow from it. */
void gauges_init (Market *market);
void gauges_clear (Market *market);
/* Looks at the store on the reader thread; the alarms come when it is read. */
void gauges_look (Market *market);
/* How a call of @provider ended. */
void gauges_note_provider (Market *market, const Provider *provider, ProviderOutcome outcome);
/* A delivery was taken, and what it meant ("duplicate", "applied", …); a static text. */
void gauges_note_delivery (Market *market, const char *meaning);
/* An order is shown in another state. */
void gauges_note_order (Market *market, OrderState state);

/* rings.c: the rings in memory. */
/* The keys of a vendor for a request that is signed now, lent; NULL if it has none. */
WebhookRing *ring_find_vendor (Market *market, const char *vendor);
/* The ring of a vendor, lent until the main loop turns; NULL if it has none. */
Ring *ring_peek_vendor (Market *market, const char *vendor);
/* The ring of a configured provider, lent until the main loop turns. */
Ring *ring_find_billing (Market *market, const char *provider);
/* @take_ring is the peer's ring from now on. */
void ring_replace (Market *market, Ring *take_ring);
/* Stores when keys were used last. */
void rings_flush (Market *market);

/* waiters.c: requests that are answered when something has happened, or after a time with what there is. */
typedef void (*WaiterFunc) (Market *market, gpointer data, gboolean is_timed_out);
Waiters *waiters_new (void);
/* Drops those that are left, calling each as timed out. */
void waiters_free (Waiters *waiters, Market *market);
/* Calls @func, which frees @data, at the first waiters_wake() of @key, or after @timeout_ms. */
void waiters_add (Market *market, const char *key, guint timeout_ms, WaiterFunc func, gpointer data);
/* FALSE if nobody waits for @key. */
gboolean waiters_wake (Market *market, const char *key);
