#include "host-server/market/books/order.h"

typedef struct
{
  Phase phase;
  Event event;
  Phase next;
  Effects effects;
} Arrow;

/* An effect stands with the arrow that causes it. EFFECT_SETTLE makes a refund row for every payment of which
 * something is left to give back; an order for nothing has none and goes on to `refunded` by itself. */
static const Arrow arrows[] = {
  { PHASE_CREATED, EVENT_FREE, PHASE_PAID, EFFECT_START_ISSUE },
  { PHASE_CREATED, EVENT_RESERVE_STARTED, PHASE_RESERVING, EFFECT_START_RESERVE },
  { PHASE_CREATED, EVENT_CHECKOUT_MADE, PHASE_AWAITING_PAYMENT, EFFECT_POLL },
  { PHASE_CREATED, EVENT_CHECKOUT_REFUSED, PHASE_EXPIRED, EFFECT_CLOSE },

  { PHASE_RESERVING, EVENT_RESERVED, PHASE_RESERVING, EFFECT_START_CHECKOUT },
  { PHASE_RESERVING, EVENT_UNISSUABLE, PHASE_REFUSED, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },
  { PHASE_RESERVING, EVENT_DECLINED, PHASE_DECLINED, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },
  { PHASE_RESERVING, EVENT_CHECKOUT_MADE, PHASE_AWAITING_PAYMENT, EFFECT_POLL },
  { PHASE_RESERVING, EVENT_CHECKOUT_REFUSED, PHASE_EXPIRED, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },

  { PHASE_AWAITING_PAYMENT, EVENT_DECLINED, PHASE_DECLINED,
    EFFECT_CLOSE | EFFECT_STOP_POLL | EFFECT_CANCEL | EFFECT_ABANDON_ISSUE },
  { PHASE_AWAITING_PAYMENT, EVENT_EXPIRED, PHASE_EXPIRED,
    EFFECT_CLOSE | EFFECT_STOP_POLL | EFFECT_ABANDON_ISSUE },
  { PHASE_AWAITING_PAYMENT, EVENT_PAID, PHASE_PAID, EFFECT_STOP_POLL | EFFECT_START_ISSUE | EFFECT_SETTLE },
  { PHASE_AWAITING_PAYMENT, EVENT_REVERSED, PHASE_REFUND_DUE,
    EFFECT_CLOSE | EFFECT_STOP_POLL | EFFECT_ABANDON_ISSUE | EFFECT_SETTLE },

  { PHASE_DECLINED, EVENT_LATE_REFUSED, PHASE_REFUND_DUE, EFFECT_SETTLE },
  { PHASE_EXPIRED, EVENT_LATE_HONOURED, PHASE_PAID, EFFECT_OPEN | EFFECT_START_ISSUE | EFFECT_SETTLE },
  { PHASE_EXPIRED, EVENT_LATE_REFUSED, PHASE_REFUND_DUE, EFFECT_SETTLE },

  { PHASE_PAID, EVENT_ISSUE_STARTED, PHASE_ISSUING, 0 },
  { PHASE_PAID, EVENT_UNISSUABLE, PHASE_REFUND_DUE, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE | EFFECT_SETTLE },
  { PHASE_PAID, EVENT_REFUND_WANTED, PHASE_REFUND_DUE, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE | EFFECT_SETTLE },
  { PHASE_PAID, EVENT_GIVEN_BACK, PHASE_REFUNDING, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },
  { PHASE_PAID, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },

  { PHASE_ISSUING, EVENT_ISSUED, PHASE_FULFILLED, EFFECT_CLOSE | EFFECT_GRANT },
  { PHASE_ISSUING, EVENT_UNISSUABLE, PHASE_REFUND_DUE, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE | EFFECT_SETTLE },
  { PHASE_ISSUING, EVENT_REFUND_WANTED, PHASE_REFUND_DUE,
    EFFECT_CLOSE | EFFECT_ABANDON_ISSUE | EFFECT_SETTLE },
  { PHASE_ISSUING, EVENT_GIVEN_BACK, PHASE_REFUNDING, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },
  { PHASE_ISSUING, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },

  { PHASE_FULFILLED, EVENT_GIVEN_BACK, PHASE_REFUNDING, EFFECT_REVOKE },
  { PHASE_FULFILLED, EVENT_REFUND_WANTED, PHASE_REFUNDING, EFFECT_REVOKE | EFFECT_SETTLE },
  { PHASE_FULFILLED, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK, EFFECT_REVOKE },

  { PHASE_REFUND_DUE, EVENT_REFUND_SENT, PHASE_REFUNDING, 0 },
  { PHASE_REFUND_DUE, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK, 0 },
  { PHASE_REFUNDING, EVENT_REFUNDED, PHASE_REFUNDED, 0 },
  { PHASE_REFUNDING, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK, 0 },

  /* Any state may need a person. What the user has stays as it is, but nothing new is delivered. */
  { PHASE_CREATED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_RESERVING, EVENT_DOUBTFUL, PHASE_REVIEW, EFFECT_ABANDON_ISSUE },
  { PHASE_AWAITING_PAYMENT, EVENT_DOUBTFUL, PHASE_REVIEW, EFFECT_STOP_POLL },
  { PHASE_REFUSED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_DECLINED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_EXPIRED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_PAID, EVENT_DOUBTFUL, PHASE_REVIEW, EFFECT_ABANDON_ISSUE },
  { PHASE_ISSUING, EVENT_DOUBTFUL, PHASE_REVIEW, EFFECT_ABANDON_ISSUE },
  { PHASE_FULFILLED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_REFUND_DUE, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_REFUNDING, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_REFUNDED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_CHARGED_BACK, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },
  { PHASE_CLOSED, EVENT_DOUBTFUL, PHASE_REVIEW, 0 },

  /* And the person decides. */
  { PHASE_REVIEW, EVENT_APPROVED, PHASE_PAID, EFFECT_OPEN | EFFECT_START_ISSUE },
  { PHASE_REVIEW, EVENT_CONFIRMED, PHASE_FULFILLED, EFFECT_CLOSE | EFFECT_RESTORE },
  { PHASE_REVIEW, EVENT_REFUND_WANTED, PHASE_REFUND_DUE,
    EFFECT_CLOSE | EFFECT_ABANDON_ISSUE | EFFECT_REVOKE | EFFECT_SETTLE },
  { PHASE_REVIEW, EVENT_CLOSED, PHASE_CLOSED, EFFECT_CLOSE | EFFECT_ABANDON_ISSUE },
};

gboolean
order_step (Phase phase, Event event, Phase *next, Effects *effects)
{
  for (gsize i = 0; i < G_N_ELEMENTS (arrows); i++)
    if (arrows[i].phase == phase && arrows[i].event == event)
      {
        *next = arrows[i].next;
        *effects = arrows[i].effects;
        return TRUE;
      }
  return FALSE;
}

static const struct
{
  const char *text;
  OrderState shown;
} phases[N_PHASES] = {
  [PHASE_CREATED] = { "created", ORDER_AWAITING_PAYMENT },
  [PHASE_RESERVING] = { "reserving", ORDER_AWAITING_PAYMENT },
  [PHASE_AWAITING_PAYMENT] = { "awaiting-payment", ORDER_AWAITING_PAYMENT },
  [PHASE_REFUSED] = { "refused", ORDER_REFUSED },
  [PHASE_DECLINED] = { "declined", ORDER_DECLINED },
  [PHASE_EXPIRED] = { "expired", ORDER_EXPIRED },
  [PHASE_PAID] = { "paid", ORDER_PAID },
  [PHASE_ISSUING] = { "issuing", ORDER_PAID },
  [PHASE_FULFILLED] = { "fulfilled", ORDER_FULFILLED },
  [PHASE_REFUND_DUE] = { "refund-due", ORDER_REFUNDING },
  [PHASE_REFUNDING] = { "refunding", ORDER_REFUNDING },
  [PHASE_REFUNDED] = { "refunded", ORDER_REFUNDED },
  [PHASE_CHARGED_BACK] = { "charged-back", ORDER_REFUNDED },
  [PHASE_REVIEW] = { "review", ORDER_REVIEW },
  [PHASE_CLOSED] = { "closed", ORDER_REVIEW },
};

OrderState
phase_get_shown (Phase phase)
{
  return phases[phase].shown;
}

const char *
phase_to_text (Phase phase)
{
  return phases[phase].text;
}

gboolean
phase_from_text (const char *text, Phase *phase)
{
  for (guint i = 0; i < N_PHASES; i++)
    if (g_strcmp0 (text, phases[i].text) == 0)
      {
        *phase = (Phase)i;
        return TRUE;
      }
  return FALSE;
}

const char *
event_to_text (Event event)
{
  static const char *const texts[N_EVENTS] = {
    [EVENT_FREE] = "free",
    [EVENT_RESERVE_STARTED] = "reserve-started",
    [EVENT_RESERVED] = "reserved",
    [EVENT_CHECKOUT_MADE] = "checkout-made",
    [EVENT_CHECKOUT_REFUSED] = "checkout-refused",
    [EVENT_DECLINED] = "declined",
    [EVENT_EXPIRED] = "expired",
    [EVENT_PAID] = "paid",
    [EVENT_REVERSED] = "reversed",
    [EVENT_LATE_HONOURED] = "late-honoured",
    [EVENT_LATE_REFUSED] = "late-refused",
    [EVENT_ISSUE_STARTED] = "issue-started",
    [EVENT_ISSUED] = "issued",
    [EVENT_UNISSUABLE] = "unissuable",
    [EVENT_GIVEN_BACK] = "given-back",
    [EVENT_REFUND_SENT] = "refund-sent",
    [EVENT_REFUNDED] = "refunded",
    [EVENT_CHARGED_BACK] = "charged-back",
    [EVENT_DOUBTFUL] = "doubtful",
    [EVENT_REFUND_WANTED] = "refund-wanted",
    [EVENT_APPROVED] = "approved",
    [EVENT_CONFIRMED] = "confirmed",
    [EVENT_CLOSED] = "closed",
  };
  return texts[event];
}

gint64
ledger_sums_get_held (const LedgerSums *sums)
{
  return sums->paid - sums->refunded - sums->lost;
}

gboolean
order_is_withheld (gint64 price, const LedgerSums *sums)
{
  return sums->n_open_disputes > 0 && sums->paid - sums->lost - sums->disputed < price;
}

/* A lost dispute about more than an excess. */
static gboolean
is_charged_back (gint64 price, const LedgerSums *sums)
{
  return sums->lost > 0 && sums->paid - sums->lost < price;
}

PaymentState
payment_derive (Phase phase, gint64 price, const LedgerSums *sums)
{
  gint64 held = ledger_sums_get_held (sums);
  if (is_charged_back (price, sums))
    return PAYMENT_CHARGED_BACK;
  if (sums->n_open_disputes > 0)
    return PAYMENT_DISPUTED;
  if (sums->paid > 0 && held <= 0)
    return PAYMENT_REFUNDED;
  if (sums->paid >= price && price > 0)
    return held < price ? PAYMENT_PART_REFUNDED : held > price ? PAYMENT_OVERPAID : PAYMENT_PAID;
  if (sums->paid > 0)
    return PAYMENT_UNDERPAID;
  switch (phase)
    {
    case PHASE_AWAITING_PAYMENT:
      return PAYMENT_PENDING;
    case PHASE_DECLINED:
      return PAYMENT_FAILED;
    case PHASE_EXPIRED:
      return PAYMENT_EXPIRED;
    default:
      return PAYMENT_NONE;
    }
}

const char *
payment_state_to_text (PaymentState state)
{
  static const char *const texts[] = {
    [PAYMENT_NONE] = "none",
    [PAYMENT_PENDING] = "pending",
    [PAYMENT_UNDERPAID] = "underpaid",
    [PAYMENT_PAID] = "paid",
    [PAYMENT_OVERPAID] = "overpaid",
    [PAYMENT_FAILED] = "failed",
    [PAYMENT_EXPIRED] = "expired",
    [PAYMENT_PART_REFUNDED] = "part-refunded",
    [PAYMENT_REFUNDED] = "refunded",
    [PAYMENT_DISPUTED] = "disputed",
    [PAYMENT_CHARGED_BACK] = "charged-back",
  };
  return texts[state];
}

gboolean
order_judge_money (const MoneyCase *money, Event *event)
{
  const LedgerSums *sums = &money->sums;
  gint64 held = ledger_sums_get_held (sums);

  switch (money->phase)
    {
    case PHASE_AWAITING_PAYMENT:
      if (sums->is_reversed)
        *event = EVENT_REVERSED;
      else if (held >= money->price && held > 0)
        *event = EVENT_PAID;
      else
        return FALSE;
      return TRUE;

    case PHASE_DECLINED:
      *event = EVENT_LATE_REFUSED;
      return held > 0;

    case PHASE_EXPIRED:
      if (held <= 0)
        return FALSE;
      if (held < money->price || sums->is_reversed || sums->n_open_disputes > 0)
        *event = EVENT_LATE_REFUSED;
      else if (money->late == LATE_REVIEW)
        *event = EVENT_DOUBTFUL;
      else
        *event = money->late == LATE_HONOUR && money->can_honour ? EVENT_LATE_HONOURED : EVENT_LATE_REFUSED;
      return TRUE;

    case PHASE_PAID:
    case PHASE_ISSUING:
    case PHASE_FULFILLED:
      if (is_charged_back (money->price, sums))
        *event = EVENT_CHARGED_BACK;
      else if (sums->paid > 0 && held <= 0)
        *event = EVENT_GIVEN_BACK;
      else
        return FALSE;
      return TRUE;

    case PHASE_REFUND_DUE:
    case PHASE_REFUNDING:
      if (sums->lost > 0)
        *event = EVENT_CHARGED_BACK;
      else /* given back before our own refund was sent: both arrows, one after the other */
        *event = money->phase == PHASE_REFUND_DUE ? EVENT_REFUND_SENT : EVENT_REFUNDED;
      return held <= 0;

    case PHASE_REFUNDED:
    case PHASE_CHARGED_BACK:
      *event = EVENT_DOUBTFUL; /* refunded and lost: it went back twice */
      return held < 0 || sums->n_lost_in_vain > 0;

    case PHASE_CLOSED: /* money has moved since a person looked */
      *event = EVENT_DOUBTFUL;
      return TRUE;

    default:
      return FALSE;
    }
}

gint64
order_get_keepable (Phase phase, gint64 price, const LedgerSums *sums)
{
  /* While a dispute is open the provider moves the money; a refund besides would pay it back twice. */
  if (sums->n_open_disputes > 0)
    return G_MAXINT64;
  switch (phase)
    {
    case PHASE_PAID:
    case PHASE_ISSUING:
    case PHASE_FULFILLED:
      return price;
    case PHASE_REFUND_DUE:
    case PHASE_REFUNDING:
    case PHASE_REFUNDED:
    case PHASE_CHARGED_BACK: /* nothing is left of what it was for */
      return 0;
    default: /* it may still become the price, or a person decides */
      return G_MAXINT64;
    }
}

static const struct
{
  IssueState state;
  IssueEvent event;
  IssueState next;
} issue_arrows[] = {
  { ISSUE_QUEUED, ISSUE_EVENT_CALL, ISSUE_CALLING },
  { ISSUE_QUEUED, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },

  { ISSUE_CALLING, ISSUE_EVENT_CALL,
    ISSUE_CALLING }, /* resumed after a crash: the same inputs, the same request */
  { ISSUE_CALLING, ISSUE_EVENT_SERIAL, ISSUE_ISSUED },
  { ISSUE_CALLING, ISSUE_EVENT_HOLD, ISSUE_HELD },
  { ISSUE_CALLING, ISSUE_EVENT_TRY_AGAIN, ISSUE_FAILED_RETRY },
  { ISSUE_CALLING, ISSUE_EVENT_IN_DOUBT, ISSUE_UNKNOWN },
  { ISSUE_CALLING, ISSUE_EVENT_GIVE_UP, ISSUE_CERTAINLY_NOT },
  { ISSUE_CALLING, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },

  { ISSUE_HELD, ISSUE_EVENT_DELIVER, ISSUE_ISSUED },
  { ISSUE_HELD, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },

  { ISSUE_FAILED_RETRY, ISSUE_EVENT_CALL, ISSUE_CALLING },
  { ISSUE_FAILED_RETRY, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },

  { ISSUE_UNKNOWN, ISSUE_EVENT_CALL, ISSUE_CALLING }, /* the same request id: it cannot be issued twice */
  { ISSUE_UNKNOWN, ISSUE_EVENT_VOID, ISSUE_VOIDING },
  { ISSUE_UNKNOWN, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },

  { ISSUE_VOIDING, ISSUE_EVENT_VOIDED, ISSUE_CERTAINLY_NOT },
  { ISSUE_VOIDING, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },

  { ISSUE_CERTAINLY_NOT, ISSUE_EVENT_NEXT_SOURCE, ISSUE_QUEUED },
  { ISSUE_CERTAINLY_NOT, ISSUE_EVENT_NO_SOURCE, ISSUE_FAILED_FINAL },
};

gboolean
issue_step (IssueState state, IssueEvent event, IssueState *next)
{
  for (gsize i = 0; i < G_N_ELEMENTS (issue_arrows); i++)
    if (issue_arrows[i].state == state && issue_arrows[i].event == event)
      {
        *next = issue_arrows[i].next;
        return TRUE;
      }
  return FALSE;
}

static const char *const issue_states[N_ISSUE_STATES] = {
  [ISSUE_QUEUED] = "queued",
  [ISSUE_CALLING] = "calling",
  [ISSUE_HELD] = "held",
  [ISSUE_ISSUED] = "issued",
  [ISSUE_UNKNOWN] = "unknown",
  [ISSUE_FAILED_RETRY] = "failed-retry",
  [ISSUE_FAILED_FINAL] = "failed-final",
  [ISSUE_VOIDING] = "voiding",
  [ISSUE_CERTAINLY_NOT] = "certainly-not",
  [ISSUE_ABANDONED] = "abandoned",
};

const char *
issue_state_to_text (IssueState state)
{
  return issue_states[state];
}

gboolean
issue_state_from_text (const char *text, IssueState *state)
{
  for (guint i = 0; i < N_ISSUE_STATES; i++)
    if (g_strcmp0 (text, issue_states[i]) == 0)
      {
        *state = (IssueState)i;
        return TRUE;
      }
  return FALSE;
}

const char *
issue_event_to_text (IssueEvent event)
{
  static const char *const texts[N_ISSUE_EVENTS] = {
    [ISSUE_EVENT_CALL] = "call",           [ISSUE_EVENT_SERIAL] = "serial",
    [ISSUE_EVENT_HOLD] = "hold",           [ISSUE_EVENT_DELIVER] = "deliver",
    [ISSUE_EVENT_TRY_AGAIN] = "try-again", [ISSUE_EVENT_IN_DOUBT] = "in-doubt",
    [ISSUE_EVENT_GIVE_UP] = "give-up",     [ISSUE_EVENT_VOID] = "void",
    [ISSUE_EVENT_VOIDED] = "voided",       [ISSUE_EVENT_NEXT_SOURCE] = "next-source",
    [ISSUE_EVENT_NO_SOURCE] = "no-source", [ISSUE_EVENT_ABANDON] = "abandon",
  };
  return texts[event];
}
