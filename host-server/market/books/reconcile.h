/* The proof of invariant 6: every paid line ends fulfilled, refunded or in review, and ledger, orders,
 * serials, refunds and jobs say the same (money.md).
 *
 * Reads alone, in the snapshot of the connection it is given, so it can run beside a busy market: every
 * commit leaves the store whole, and what is under way has a job or a time at which it is looked at again. */
#pragma once

#include "host-server/market/books/desk.h"

/* A difference: @kind is a static word, @subject the id of what it is about, @what a sentence for people. */
typedef void (*ReconcileFound) (const char *kind, const char *subject, const char *what, gpointer data);

typedef struct
{
  gint64 orders;
  gint64 differences;
  gint64 used; /* lines of items of which some was used up before it could be taken back: no difference */
} ReconcileCount;

/* Goes over everything. FALSE with @error on a fault of the database. */
gboolean reconcile_check (const Desk *desk, Db *db, ReconcileFound found, gpointer data,
                          ReconcileCount *count, GError **error);

/* From when on the providers are to be asked: the oldest order that is not settled, the time before the last
 * comparison with them, and what a restored backup can lack. 0: there was no order at all. */
gboolean reconcile_find_since (Db *db, gint64 now_us, gint64 *since_us, GError **error);
