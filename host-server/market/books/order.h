/* The life of an order, on paper: states, events, and what follows from them (money.md, "Axes").
 *
 * Everything here is pure. The order axis and the issue axis are tables of { state, event, state', effects };
 * what is not listed is refused. The payment axis has no events of its own: it is derived from the sums of
 * the ledger. Decisions are made inside the write transaction, on the rows it has just read (book of
 * purchases, purchases.h), and only what they decided is written. */
#pragma once

#include "common/protocol/market.h"

typedef enum
{
  PHASE_CREATED,   /* committed; the provider may not know of it yet */
  PHASE_RESERVING, /* its serial is set aside first, then the checkout is made */
  PHASE_AWAITING_PAYMENT,
  PHASE_REFUSED, /* out of stock, before any money */
  PHASE_DECLINED,
  PHASE_EXPIRED,
  PHASE_PAID,    /* the money is here, its issue waits for a source that works */
  PHASE_ISSUING, /* a serial is being obtained */
  PHASE_FULFILLED,
  PHASE_REFUND_DUE,
  PHASE_REFUNDING,
  PHASE_REFUNDED,
  PHASE_CHARGED_BACK, /* a dispute was lost: the provider took the money back */
  PHASE_REVIEW,       /* a person must look */
  PHASE_CLOSED,       /* a person has looked, and nothing more is to be done */
  N_PHASES,
} Phase;

typedef enum
{
  EVENT_FREE,             /* nothing is to be paid */
  EVENT_RESERVE_STARTED,  /* its plugin's policy is `reserve` */
  EVENT_RESERVED,         /* a serial is set aside */
  EVENT_CHECKOUT_MADE,    /* the provider has the checkout */
  EVENT_CHECKOUT_REFUSED, /* it said no, for good */
  EVENT_DECLINED,         /* by the user here, or at the provider */
  EVENT_EXPIRED,          /* asked after the grace time, the provider says unpaid */
  EVENT_PAID,             /* the sum of payments reached the price */
  EVENT_REVERSED,         /* this payment had been refunded or disputed before it was known */
  EVENT_LATE_HONOURED,    /* money after the end, and the plugin can still be had */
  EVENT_LATE_REFUSED,     /* money after the end, or part of the price at the end: it goes back */
  EVENT_ISSUE_STARTED,
  EVENT_ISSUED,
  EVENT_UNISSUABLE,   /* every source said no, or the deadline passed */
  EVENT_GIVEN_BACK,   /* the provider reports that all the money was refunded */
  EVENT_REFUND_SENT,  /* the provider has our refund */
  EVENT_REFUNDED,     /* nothing of the money is left with us */
  EVENT_CHARGED_BACK, /* a dispute was lost, and what is left is less than the price */
  EVENT_DOUBTFUL,     /* no rule covers it: a person must look */
  /* what a person decides (review.h) */
  EVENT_REFUND_WANTED,
  EVENT_APPROVED,  /* it counts as paid: its serial is to be obtained */
  EVENT_CONFIRMED, /* the user has, or gets again, what was issued */
  EVENT_CLOSED,
  N_EVENTS,
} Event;

typedef enum
{
  EFFECT_OPEN = 1 << 0,  /* the one open order for this user and plugin */
  EFFECT_CLOSE = 1 << 1, /* another order may be opened */
  EFFECT_POLL = 1 << 2,  /* ask the provider from time to time, beside its callbacks */
  EFFECT_STOP_POLL = 1 << 3,
  EFFECT_CANCEL = 1 << 4,      /* the provider is to cancel the checkout */
  EFFECT_START_ISSUE = 1 << 5, /* queue the first generation */
  EFFECT_ABANDON_ISSUE
  = 1 << 6,               /* nothing of this line may be delivered any more; what is set aside is let go */
  EFFECT_GRANT = 1 << 7,  /* bind the serial to the user */
  EFFECT_REVOKE = 1 << 8, /* the line counts no more for the entitlement, its serial is burned */
  EFFECT_SETTLE = 1 << 9, /* refund what we hold beyond what we may keep */
  EFFECT_START_RESERVE = 1 << 10, /* queue the generation that is set aside */
  EFFECT_START_CHECKOUT = 1 << 11,
  EFFECT_RESTORE = 1 << 12, /* what was issued for the line counts again */
} Effects;

/* FALSE if @phase has no arrow for @event: nothing happens then, and the caller logs it. */
gboolean order_step (Phase phase, Event event, Phase *next, Effects *effects);
/* What clients are shown (protocol.md section 3). PHASE_CLOSED has no state of its own: an order shows what
 * it showed before (purchases.h). */
OrderState phase_get_shown (Phase phase);
const char *phase_to_text (Phase phase);
gboolean phase_from_text (const char *text, Phase *phase);
const char *event_to_text (Event event);

typedef enum
{
  PAYMENT_NONE,
  PAYMENT_PENDING,
  PAYMENT_UNDERPAID,
  PAYMENT_PAID,
  PAYMENT_OVERPAID,
  PAYMENT_FAILED,
  PAYMENT_EXPIRED,
  PAYMENT_PART_REFUNDED,
  PAYMENT_REFUNDED,
  PAYMENT_DISPUTED,
  PAYMENT_CHARGED_BACK,
} PaymentState;

/* What the ledger says of one order, in minor units. */
typedef struct
{
  gint64 paid;     /* sum of payments */
  gint64 refunded; /* sum of refunds of known payments */
  gint64 disputed; /* what open disputes are about */
  gint64 lost;     /* what lost disputes took */
  guint n_open_disputes;
  guint n_ended_disputes;
  guint n_lost_in_vain; /* lost ones that found nothing left of their payment */
  gboolean is_reversed; /* some payment was refunded or disputed before it was known */
} LedgerSums;

/* What of the payments is with us: neither refunded nor lost. Below 0 if a payment went back twice. */
gint64 ledger_sums_get_held (const LedgerSums *sums);
/* While a dispute is open that leaves less than the price, what was bought is withheld. */
gboolean order_is_withheld (gint64 price, const LedgerSums *sums);

PaymentState payment_derive (Phase phase, gint64 price, const LedgerSums *sums);
const char *payment_state_to_text (PaymentState state);

typedef enum
{
  LATE_HONOUR,
  LATE_REFUND,
  LATE_REVIEW,
} LatePolicy;

/* What an order is judged by when its ledger has changed. */
typedef struct
{
  Phase phase;
  gint64 price;
  LedgerSums sums;
  gboolean can_honour; /* nothing of the plugin is owned or open, and it is still sold */
  LatePolicy late;
} MoneyCase;

/* The event that follows from the ledger; FALSE if none does (part of the price, an excess, nothing new). */
gboolean order_judge_money (const MoneyCase *money, Event *event);
/* How much of the money we may keep in this phase; what lies beyond it is to be refunded. */
gint64 order_get_keepable (Phase phase, gint64 price, const LedgerSums *sums);

/* The issue axis: (order line, generation). */
typedef enum
{
  ISSUE_QUEUED,
  ISSUE_CALLING,
  ISSUE_HELD, /* set aside until it is paid for */
  ISSUE_ISSUED,
  ISSUE_UNKNOWN,      /* the plugin server may have acted */
  ISSUE_FAILED_RETRY, /* the same inputs again, later */
  ISSUE_FAILED_FINAL, /* no source is left */
  ISSUE_VOIDING,      /* asking for the certainty that no serial came of it */
  ISSUE_CERTAINLY_NOT,
  ISSUE_ABANDONED, /* there is no order for it any more: whatever comes is not delivered */
  N_ISSUE_STATES,
} IssueState;

typedef enum
{
  ISSUE_EVENT_CALL,      /* a call begins */
  ISSUE_EVENT_SERIAL,    /* a serial that is ours */
  ISSUE_EVENT_HOLD,      /* the same, and it is not paid for yet */
  ISSUE_EVENT_DELIVER,   /* what was held is paid for */
  ISSUE_EVENT_TRY_AGAIN, /* it failed, and left nothing behind */
  ISSUE_EVENT_IN_DOUBT,  /* no answer: it may have acted */
  ISSUE_EVENT_GIVE_UP, /* this source, after its retries or by its final answer, which left nothing behind */
  ISSUE_EVENT_VOID,    /* give up a source that is in doubt */
  ISSUE_EVENT_VOIDED,  /* 200 or 204 to DELETE */
  ISSUE_EVENT_NEXT_SOURCE, /* the fallback takes over */
  ISSUE_EVENT_NO_SOURCE,   /* there is none left */
  ISSUE_EVENT_ABANDON,
  N_ISSUE_EVENTS,
} IssueEvent;

/* FALSE if @state has no arrow for @event. */
gboolean issue_step (IssueState state, IssueEvent event, IssueState *next);
const char *issue_state_to_text (IssueState state);
gboolean issue_state_from_text (const char *text, IssueState *state);
const char *issue_event_to_text (IssueEvent event);
