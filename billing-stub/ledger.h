/* The provider's books: checkouts, payments, refunds, disputes, and the events that tell the merchant of
 * them.
 *
 * Each change and its event are one transaction, so an event is neither lost nor invented. The file survives
 * kill -9; the last moments before a power failure may be missing, which a provider for development can
 * afford. */
#pragma once

#include "billing-stub/fault.h"
#include "common/base/clock.h"

#include <jansson.h>

#define LEDGER_MAX_AMOUNT ((G_GINT64_CONSTANT (1) << 53) - 1)

typedef struct Ledger Ledger;

/* Opens or makes FOLDER/ledger.db. @clock, @merchant and @faults are lent. */
Ledger *ledger_open (const char *folder, const Clock *clock, const char *merchant, Faults *faults,
                     GError **error);
void ledger_close (Ledger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Ledger, ledger_close)

typedef enum
{
  CHECKOUT_OPEN,
  CHECKOUT_PAID,
  CHECKOUT_DECLINED,
  CHECKOUT_EXPIRED,
} CheckoutStatus;

typedef struct
{
  char *id, *order, *description, *buyer, *callback, *currency;
  char *token; /* proves that a form came from our page */
  gint64 amount, expires_us;
  gint64 paid; /* sum of its payments */
  CheckoutStatus status;
} Checkout;

void checkout_free (Checkout *checkout);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Checkout, checkout_free)
const char *checkout_status_get_name (CheckoutStatus status);

/* What a change came to; every function below that returns one sets @error only with LEDGER_FAILED. */
typedef enum
{
  LEDGER_DONE,       /* also: the same request under the same key was done before */
  LEDGER_KEY_REUSED, /* the key belongs to another request */
  LEDGER_NOT_FOUND,
  LEDGER_CLOSED,  /* the checkout's status does not allow it */
  LEDGER_REFUSED, /* the amount or currency does not fit */
  LEDGER_FAILED,  /* the store */
} LedgerOutcome;

/* Creates a checkout under the merchant's @key. @request is the canonical text of the request, by which a
 * repetition is known. @wanted: all but id, token, paid and status. On DONE the caller frees *@id. */
LedgerOutcome ledger_create (Ledger *ledger, const char *key, const char *request, const Checkout *wanted,
                             char **id, GError **error);
/* NULL without @error: there is none. */
Checkout *ledger_find (Ledger *ledger, const char *id, GError **error);
/* As the interface shows it (protocol.md §9); NULL on failure. */
json_t *ledger_describe (Ledger *ledger, const Checkout *checkout, GError **error);
/* Ids of at most @n_most checkouts touched at or after @since_us, in order, and when the last one was: NULL
 * on failure. */
GStrv ledger_list_since (Ledger *ledger, gint64 since_us, guint n_most, gint64 *last_us, GError **error);

/* The buyer pays what is missing (more or less by the faults), declines; the merchant cancels. */
LedgerOutcome ledger_pay (Ledger *ledger, const char *id, GError **error);
LedgerOutcome ledger_decline (Ledger *ledger, const char *id, GError **error);
LedgerOutcome ledger_cancel (Ledger *ledger, const char *id, GError **error);
/* Closes what has run out. */
gboolean ledger_expire (Ledger *ledger, GError **error);

LedgerOutcome ledger_refund (Ledger *ledger, const char *key, const char *request, const char *payment,
                             gint64 amount, const char *currency, const char *reason, char **id,
                             GError **error);
/* {"refund","payment","amount","currency","status"}; NULL without @error: there is none. */
json_t *ledger_describe_refund (Ledger *ledger, const char *id, GError **error);
/* Ends refunds whose pending time is over. */
gboolean ledger_settle_refunds (Ledger *ledger, GError **error);
/* @action "open", "won", "lost" on the payment's dispute. */
LedgerOutcome ledger_dispute (Ledger *ledger, const char *payment, const char *action, GError **error);

/* An event that is due for delivery. */
typedef struct
{
  char *id, *callback, *body;
  guint attempt; /* 0: the first */
} LedgerEvent;

void ledger_event_free (LedgerEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LedgerEvent, ledger_event_free)

/* At most @n_most events due now, oldest first, and marked as being under way until ledger_settle_event() or
 * the next start; NULL on failure. *@next_us: when the next one is due, G_MAXINT64: none. */
GPtrArray *ledger_take_due (Ledger *ledger, guint n_most, gint64 *next_us, GError **error);

typedef enum
{
  EVENT_DELIVERED,
  EVENT_RETRY, /* at the given time */
  EVENT_GIVEN_UP,
  EVENT_DISABLED, /* 410: this address gets nothing more */
} EventResult;

gboolean ledger_settle_event (Ledger *ledger, const LedgerEvent *event, EventResult result, gint64 retry_us,
                              GError **error);
