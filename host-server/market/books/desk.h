/* What the market's decisions stand on: settings, keys and providers, which never change while it runs, and
 * the Turn, one write transaction with all that is to leave the house after its commit.
 *
 * Functions that take a Turn run on the writer thread. They return FALSE only for faults (the database),
 * which undo the turn; a refusal is a value. */
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "host-server/core/config.h"
#include "host-server/core/server.h"
#include "host-server/market/books/keys.h"
#include "host-server/market/books/order.h"
#include "host-server/market/provider/provider.h"

typedef struct
{
  gint64 order_expiry_us;
  gint64 expiry_grace_us;
  gint64 vendor_timeout_us;
  gint64 issue_deadline_us;
  gint64 reserve_wait_us; /* how long a serial may take that is set aside before the checkout */
  gint64 reserve_hold_us; /* how long it is kept for its payment */
  gint64 lease_margin_us;
  gint64 sweep_us;
  gint64 unmatched_alarm_us;
  gint64 unmatched_keep_us;
  gint64 stuck_us; /* without a change, while something is to be done */
  gint64 alarm_us; /* until an alarm is repeated */
  guint open_orders_per_user;    /* 0: no limit */
  guint open_reserves_per_user;  /* 0: no limit */
  guint orders_per_user_per_day; /* 0: no limit */
  LatePolicy late;
  /* Pauses before attempt 0, 1, …; lent from the Config. */
  const gint64 *poll_us, *keygen_retry_us, *refund_retry_us, *unmatched_retry_us;
  gsize n_poll, n_keygen_retry, n_refund_retry, n_unmatched_retry;
} MarketSettings;

typedef struct
{
  Clock *clock;
  Store *store;
  Signer *signer; /* of receipts */
  MarketSettings settings;
  MarketKeys keys;
  GPtrArray *providers; /* of Provider, in the order of the configuration file */
  char *owner;          /* of job leases: this run of the server */
} Desk;

/* NULL if no provider of that name is configured; "" is the first one. */
Provider *desk_find_provider (const Desk *desk, const char *name);

typedef struct Job Job;

/* An order whose shown state changed. */
typedef struct
{
  char *account;
  OrderView *view;
} OrderNote;

typedef struct
{
  const Desk *desk;
  Db *db;
  gint64 now_us;
  GPtrArray *orders;   /* of OrderNote, to push */
  GPtrArray *accounts; /* UUIDs of users whose entitlements changed */
  GPtrArray *jobs;     /* of Job, claimed by this turn, to run now */
  GPtrArray *lines;    /* log lines to write once it is true */
  gint64 wake_us;      /* when something that waits is due; 0: nothing was added */
} Turn;

void turn_begin (Turn *turn, const Desk *desk, Db *db);
void turn_clear (Turn *turn);
/* A log line of the market, written after the commit. */
void turn_log (Turn *turn, LogLevel level, const char *format, ...) G_GNUC_PRINTF (3, 4);
void turn_write_log (Turn *turn);
/* Something is due at @due_us. */
void turn_wake (Turn *turn, gint64 due_us);
void turn_note_account (Turn *turn, const char *account);

/* Moves @query to its only row. *@is_found says whether there is one; FALSE with @error on a fault. */
gboolean turn_find (DbQuery *query, gboolean *is_found, GError **error);
/* The pause before attempt @attempt; -1 after the last one. */
gint64 settings_get_pause (const gint64 *list, gsize n, guint attempt);
