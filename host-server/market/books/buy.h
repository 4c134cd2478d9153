/* What users do to orders: opening one, and declining it. */
#pragma once

#include "host-server/market/books/purchases.h"

#define BUY_MAX_ALIASES 64 /* request ids of one order */

typedef enum
{
  BUY_NEW,
  BUY_KNOWN,        /* this request id has its order, or the open order for the same was found */
  BUY_NO_PLUGIN,    /* or no such item */
  BUY_NOT_LICENSED, /* for the item's application */
  BUY_OWNED,        /* for ever */
  BUY_OUT_OF_STOCK,
  BUY_CLOSED,      /* the store was restored and not compared with the providers yet */
  BUY_UNAVAILABLE, /* its source or provider does not work now */
  BUY_TOO_MANY,    /* open orders of this user, or request ids of one order */
} BuyOutcome;

typedef struct
{
  const char *account;
  const char *user; /* bare JID, for people */
  const char *plugin;
  const char *item;      /* to be bought inside it; NULL: the plugin itself */
  const char *request;   /* the client's id of the request */
  gboolean is_source_up; /* as far as can be known without a call */
} BuyRequest;

/* Opens an order, or finds the one that this request already has. *@purchase is NULL for a refusal. */
gboolean buy (Turn *turn, const BuyRequest *request, BuyOutcome *outcome, Purchase **purchase,
              GError **error);

typedef enum
{
  DECLINE_DONE,    /* declined now or before, or ended otherwise without money */
  DECLINE_PENDING, /* there is no checkout to decline yet; it is as soon as there is one */
  DECLINE_PAID,    /* too late */
  DECLINE_UNKNOWN, /* no such order of this user */
} DeclineOutcome;

/* *@purchase is the order as it now is; NULL for DECLINE_UNKNOWN. */
gboolean decline (Turn *turn, const char *account, const char *id, DeclineOutcome *outcome,
                  Purchase **purchase, GError **error);
