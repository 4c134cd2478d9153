/* Deliveries as they are kept, for a person who looks at them: taken again, closed, or given back
 * (protocol.md section 11, `webhook`).
 *
 * An authentic delivery stays in the inbox for 90 days, whatever it meant. One that could not be applied
 * stands among the unmatched as well, until it fits or a person closes it; so does an event that no callback
 * brought, when asking the provider found it. Forged deliveries are counted and not kept: strangers could
 * fill the disk with them. */
#pragma once

#include "host-server/market/books/books.h"

typedef struct
{
  char *provider;
  char *webhook_id; /* "poll:…" and "reconcile:…" for what was found when asking */
  char *kept;       /* its id among the unmatched, "u_…"; NULL: it is not */
  char *state;      /* waiting | review | refunding | matched | closed; NULL with @kept */
  char *outcome;    /* what it meant when it came; NULL: it did not come */
  char *reason, *note, *refund, *secret, *headers; /* NULL: none */
  GBytes *body;
  gint64 received_us, closed_us;
} DeliveryRecord;

void delivery_record_free (DeliveryRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeliveryRecord, delivery_record_free)

/* @id: a webhook-id of a configured provider, PROVIDER/webhook-id, or the id of an unmatched one. NULL
 * without @error if there is none; NULL with *@is_ambiguous if two providers have it. Also outside a turn. */
DeliveryRecord *delivery_find (const Desk *desk, Db *db, const char *id, gboolean *is_ambiguous,
                               GError **error);

typedef void (*DeliveryFunc) (DeliveryRecord *record, gpointer data);
/* Calls @func for those at or after @since_us, newest first in each of the two tables; @provider and @outcome
 * (or state) may be NULL: all. At most @limit of each. */
gboolean deliveries_list (Db *db, const char *provider, gint64 since_us, const char *outcome, guint limit,
                          DeliveryFunc func, gpointer data, GError **error);

/* Calls @func for every unmatched one of @provider, in whatever state. */
gboolean deliveries_list_unmatched (Db *db, const char *provider, DeliveryFunc func, gpointer data,
                                    GError **error);

/* What it says; NULL with @error if it is poison, or its provider is not configured any more. */
MoneyEvent *delivery_read_event (const Desk *desk, const DeliveryRecord *record, GError **error);

typedef struct
{
  gboolean is_closed; /* by a person, or its money is being given back: nothing was done */
  gboolean is_poison;
  BooksOutcome books;
  char *reason; /* why it could not be applied; NULL: it could */
  char *order;  /* NULL: not readable */
} DeliveryReplay;

void delivery_replay_clear (DeliveryReplay *replay);
/* Takes it as if it had just arrived; one that was applied before changes nothing. */
gboolean delivery_replay (Turn *turn, const DeliveryRecord *record, DeliveryReplay *replay, GError **error);
/* A person has dealt with it: it is waited for and reported no more. *@is_done is FALSE if it does not wait.
 */
gboolean delivery_close (Turn *turn, const char *kept, const char *note, gboolean *is_done, GError **error);

/* The payment of an unmatched delivery goes back to who paid it. First it is marked, so that it cannot be
 * applied as well; the key of the refund is @kept, so that the same can be asked again. */
gboolean delivery_begin_refund (Turn *turn, const char *kept, const char *payment, gboolean *is_done,
                                GError **error);
/* @refund: the provider's id of it; NULL: it refused, @note says why, and it waits for a person again. */
gboolean delivery_end_refund (Turn *turn, const char *kept, const char *refund, const char *note,
                              GError **error);

/* An event of an order that we do not have: *@outcome becomes BOOKS_KNOWN if it is our own refund of an
 * unmatched payment. */
gboolean delivery_find_stray_refund (Turn *turn, const Provider *provider, const MoneyEvent *event,
                                     BooksOutcome *outcome, GError **error);
