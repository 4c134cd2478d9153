/* The rows of orders: reading one, taking it along an arrow of the table (order.h) with all its effects, and
 * writing it back, inside one turn. */
#pragma once

#include "host-server/market/books/books.h"
#include "host-server/market/books/desk.h"

/* Orders that something is still due to happen to, but for those that wait to be paid; the words of the index
 * purchase_unsettled. Use with AND only. */
#define PURCHASE_UNSETTLED                                                                                   \
  "(phase = 'created' OR phase = 'reserving' OR phase = 'paid' OR phase = 'issuing' OR phase = 'refund-due'" \
  " OR phase = 'refunding' OR phase = 'review')"

typedef struct
{
  char *id;
  gint64 version;
  char *account;
  char *user;     /* bare JID, for people */
  char *provider; /* "" for a free order */
  Phase phase;
  gint64 price_minor;
  char *currency;
  char *checkout;     /* NULL: not made yet */
  guint checkout_try; /* raises the idempotency key */
  char *charge_url;   /* NULL: none (yet) */
  gint64 expires_us;
  gboolean is_decline_wanted; /* the user declined before there was a checkout to decline */
  gboolean is_declined_by_user;
  gint64 paid_us; /* 0: not paid */
  gint64 poll_us; /* when the provider is asked next; 0: not at all */
  guint polls;
  char *reason;    /* of the last change, for people */
  char *closed_as; /* what it shows once a person has closed its review; NULL: it was never in review */
  gint64 created_us;

  /* its line */
  char *line;
  char *plugin;
  char *item;    /* of that plugin; "": it is about the plugin itself */
  gint64 amount; /* of the item */
  char *term;
  gboolean is_renewal;
  gboolean is_reserve; /* its serial is set aside before it is paid for */

  OrderState loaded_shown; /* what clients know */
  gboolean wants_settling;
  gboolean has_refused_excess; /* found when it was fulfilled: a person must look */
  gboolean has_sums;           /* the ledger's sums, once they were read in this turn */
  LedgerSums sums;
} Purchase;

Purchase *purchase_new (void);
void purchase_free (Purchase *purchase);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Purchase, purchase_free)

/* Reads by id, also outside a turn. NULL without @error if there is none. */
Purchase *purchase_load (Db *db, const char *id, GError **error);
/* Writes a new one with its line, and the client's request id. */
gboolean purchase_insert (Turn *turn, Purchase *purchase, const char *request, GError **error);

/* Follows the arrow of @event with its effects; an event without one is logged and changes nothing. @reason
 * is kept with the order (NULL: the event's name). */
gboolean purchase_apply (Turn *turn, Purchase *purchase, Event event, const char *reason, GError **error);
/* After the ledger changed: follows what it says until it says nothing more, and refunds what is beyond the
 * price. */
gboolean purchase_judge (Turn *turn, Purchase *purchase, GError **error);
/* Writes what was changed, once, under the version that was read, and notes what clients must be told. */
gboolean purchase_save (Turn *turn, Purchase *purchase, GError **error);

/* Whether the user has another open order for the same. */
gboolean purchase_find_other_open (Turn *turn, const Purchase *purchase, gboolean *is_there, GError **error);

/* The state that clients are shown. */
OrderState purchase_get_shown (const Purchase *purchase);
/* The provider has, or is about to be asked for, its checkout; there is no money yet. */
gboolean purchase_is_opening (const Purchase *purchase);
/* As a client sees it. The caller frees it. */
OrderView *purchase_to_view (const Purchase *purchase);
/* The pages of @account's history, newest first (XEP-0059): fills @orders, whose paging says what is wanted.
 * FALSE with @error on a fault; *@is_known is FALSE if `after` or `before` names no order of the user's. */
gboolean purchases_page (Db *db, const char *account, Orders *orders, gboolean *is_known, GError **error);
