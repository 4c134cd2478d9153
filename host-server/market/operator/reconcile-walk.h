/* Going over what the providers know: every checkout since a time, compared with the ledger. */
#pragma once

#include "host-server/market/room.h"

typedef struct
{
  gint64 checkouts;
  gint64 applied; /* events that the ledger did not have */
} WalkCount;

/* As ReconcileFound, on the main context. */
typedef void (*WalkFound) (const char *kind, const char *subject, const char *what, gpointer data);
/* @fault: NULL, or why it could not be ended ("provider 'x' does not answer: …"). */
typedef void (*WalkDone) (const WalkCount *count, const char *fault, gpointer data);
/* How far it is, for a person who waits. */
typedef void (*WalkTold) (const WalkCount *count, gpointer data);

typedef struct
{
  WalkFound found;
  WalkTold told;
  WalkDone done;
} WalkCalls;

/* Asks every provider, one page after another, no more than half of the time; what the ledger does not have
 * is applied (books_apply(), "reconcile"), what cannot be is kept for a person. One walk at a time: FALSE if
 * one is under way. */
gboolean walk_start (Market *market, gint64 since_us, const WalkCalls *calls, gpointer data);
