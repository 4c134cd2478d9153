/* What a person decides about an order: the end of a review, and a refund by the host (money.md, "Order"). */
#pragma once

#include "host-server/market/books/purchases.h"

typedef enum
{
  RESOLVE_AS_PAID,      /* its serial is to be obtained */
  RESOLVE_AS_FULFILLED, /* the user keeps, or gets again, the serial that was issued */
  RESOLVE_AS_REFUND,    /* all that is held goes back, and the serial with it */
  RESOLVE_AS_CLOSED,    /* nothing more is done; what the user has stays */
  N_RESOLUTIONS,
} Resolution;

/* "paid", "fulfilled", "refund", "closed". */
const char *resolution_to_text (Resolution resolution);
gboolean resolution_from_text (const char *text, Resolution *resolution);

typedef enum
{
  RESOLVE_DONE,
  RESOLVE_NO_ORDER,
  RESOLVE_NOT_IN_REVIEW,
  RESOLVE_NO_MONEY,     /* less than the price is held, or nothing that could go back */
  RESOLVE_NO_SERIAL,    /* none was issued that the user could keep */
  RESOLVE_ANOTHER_OPEN, /* the user has a newer order for the plugin open */
  N_RESOLVE_OUTCOMES,
} ResolveOutcome;

/* Ends the review of @order. @note is kept with it as the reason (NULL: none). */
gboolean order_resolve (Turn *turn, const char *order, Resolution as, const char *note,
                        ResolveOutcome *outcome, GError **error);
/* Why it was not done, for people: "there is no such order". */
const char *resolve_outcome_to_text (ResolveOutcome outcome);

typedef enum
{
  ORDER_REFUND_DONE,
  ORDER_REFUND_NO_ORDER,
  ORDER_REFUND_NO_MONEY, /* nothing is held beyond what goes back already */
  ORDER_REFUND_TOO_MUCH, /* more than that */
  ORDER_REFUND_DISPUTED, /* a dispute is open: the provider moves the money */
  ORDER_REFUND_NOT_NOW,  /* its state has money on the way already, or none yet */
  N_ORDER_REFUND_OUTCOMES,
} OrderRefundOutcome;

/* Gives @amount_minor back (0: all). All of it ends what was bought; a part does not. */
gboolean order_refund (Turn *turn, const char *order, gint64 amount_minor, const char *note,
                       OrderRefundOutcome *outcome, GError **error);
const char *order_refund_outcome_to_text (OrderRefundOutcome outcome);
