/* Selling, from what a user asks to what can be answered, the same for every way of asking: the native
 * protocol (order-requests.c) and commands (adhoc-user.c). */
#pragma once

#include "host-server/market/books/buy.h"
#include "host-server/market/market.h"

typedef struct
{
  const char *account;
  const char *user;   /* bare JID */
  const char *plugin; /* an id, or what claims to be one */
  const char *item;   /* of it; NULL: the plugin itself */
  const char *request;
  gboolean is_by_command; /* its user hears of it by messages (notices.h) */
  const char *quote;      /* the price the user has agreed to, as sale_dup_quote() wrote it; NULL: any */
} SaleRequest;

typedef struct
{
  BuyOutcome outcome;
  gboolean is_repriced;     /* the quote is not the price any more: nothing was ordered */
  const Purchase *purchase; /* as committed now; NULL: refused */
} Sale;

/* @error is a fault, and then @sale says nothing. Both are lent. */
typedef void (*SaleDone) (Market *market, const Sale *sale, const GError *error, gpointer data);

/* Opens the order, or finds it, and waits for its checkout, but no longer than a request may take. @request
 * is copied. */
void sale_buy (Market *market, const SaleRequest *request, SaleDone done, gpointer data);
/* What sale_buy() would decide now; nothing is written. */
void sale_try (Market *market, const SaleRequest *request, SaleDone done, gpointer data);

/* Why there is no order; NULL if there is one. For people, lower case, no full stop. */
const char *sale_explain (BuyOutcome outcome);
char *sale_dup_quote (gint64 price_minor, const char *currency);

/* @purchase is NULL for DECLINE_UNKNOWN. */
typedef void (*DeclineDone) (Market *market, DeclineOutcome outcome, const Purchase *purchase,
                             const GError *error, gpointer data);
/* Waits like sale_buy() if there is nothing to decline yet. */
void sale_decline (Market *market, const char *account, const char *order, DeclineDone done, gpointer data);
