#include "host-server/market/books/order.h"

/* money.md, "Axes", written down a second time: what is not here must be refused. */
static const struct
{
  Phase phase;
  Event event;
  Phase next;
} listed[] = {
  { PHASE_CREATED, EVENT_FREE, PHASE_PAID },
  { PHASE_CREATED, EVENT_RESERVE_STARTED, PHASE_RESERVING },
  { PHASE_CREATED, EVENT_CHECKOUT_MADE, PHASE_AWAITING_PAYMENT },
  { PHASE_CREATED, EVENT_CHECKOUT_REFUSED, PHASE_EXPIRED },
  { PHASE_RESERVING, EVENT_RESERVED, PHASE_RESERVING },
  { PHASE_RESERVING, EVENT_UNISSUABLE, PHASE_REFUSED },
  { PHASE_RESERVING, EVENT_DECLINED, PHASE_DECLINED },
  { PHASE_RESERVING, EVENT_CHECKOUT_MADE, PHASE_AWAITING_PAYMENT },
  { PHASE_RESERVING, EVENT_CHECKOUT_REFUSED, PHASE_EXPIRED },
  { PHASE_AWAITING_PAYMENT, EVENT_DECLINED, PHASE_DECLINED },
  { PHASE_AWAITING_PAYMENT, EVENT_EXPIRED, PHASE_EXPIRED },
  { PHASE_AWAITING_PAYMENT, EVENT_PAID, PHASE_PAID },
  { PHASE_AWAITING_PAYMENT, EVENT_REVERSED, PHASE_REFUND_DUE },
  { PHASE_DECLINED, EVENT_LATE_REFUSED, PHASE_REFUND_DUE },
  { PHASE_EXPIRED, EVENT_LATE_HONOURED, PHASE_PAID },
  { PHASE_EXPIRED, EVENT_LATE_REFUSED, PHASE_REFUND_DUE },
  { PHASE_PAID, EVENT_ISSUE_STARTED, PHASE_ISSUING },
  { PHASE_PAID, EVENT_UNISSUABLE, PHASE_REFUND_DUE },
  { PHASE_PAID, EVENT_REFUND_WANTED, PHASE_REFUND_DUE },
  { PHASE_PAID, EVENT_GIVEN_BACK, PHASE_REFUNDING },
  { PHASE_PAID, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK },
  { PHASE_ISSUING, EVENT_ISSUED, PHASE_FULFILLED },
  { PHASE_ISSUING, EVENT_UNISSUABLE, PHASE_REFUND_DUE },
  { PHASE_ISSUING, EVENT_REFUND_WANTED, PHASE_REFUND_DUE },
  { PHASE_ISSUING, EVENT_GIVEN_BACK, PHASE_REFUNDING },
  { PHASE_ISSUING, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK },
  { PHASE_FULFILLED, EVENT_GIVEN_BACK, PHASE_REFUNDING },
  { PHASE_FULFILLED, EVENT_REFUND_WANTED, PHASE_REFUNDING },
  { PHASE_FULFILLED, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK },
  { PHASE_REFUND_DUE, EVENT_REFUND_SENT, PHASE_REFUNDING },
  { PHASE_REFUND_DUE, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK },
  { PHASE_REFUNDING, EVENT_REFUNDED, PHASE_REFUNDED },
  { PHASE_REFUNDING, EVENT_CHARGED_BACK, PHASE_CHARGED_BACK },
  { PHASE_REVIEW, EVENT_APPROVED, PHASE_PAID },
  { PHASE_REVIEW, EVENT_CONFIRMED, PHASE_FULFILLED },
  { PHASE_REVIEW, EVENT_REFUND_WANTED, PHASE_REFUND_DUE },
  { PHASE_REVIEW, EVENT_CLOSED, PHASE_CLOSED },
};

static gboolean
is_listed (Phase phase, Event event, Phase *next)
{
  for (gsize i = 0; i < G_N_ELEMENTS (listed); i++)
    if (listed[i].phase == phase && listed[i].event == event)
      {
        *next = listed[i].next;
        return TRUE;
      }
  *next = PHASE_REVIEW;
  return event == EVENT_DOUBTFUL && phase != PHASE_REVIEW;
}

static void
test_order_every_listed_arrow_and_no_other (void)
{
  for (guint phase = 0; phase < N_PHASES; phase++)
    for (guint event = 0; event < N_EVENTS; event++)
      {
        Phase next, expected;
        Effects effects;
        gboolean is_taken = order_step ((Phase)phase, (Event)event, &next, &effects);
        if (is_taken != is_listed ((Phase)phase, (Event)event, &expected) || (is_taken && next != expected))
          g_error ("%s by %s", phase_to_text ((Phase)phase), event_to_text ((Event)event));
      }
}

static Effects
effects_of (Phase phase, Event event)
{
  Phase next;
  Effects effects;
  g_assert_true (order_step (phase, event, &next, &effects));
  return effects;
}

static void
test_order_money_and_serials_follow_from_the_arrows (void)
{
  /* A serial is obtained only after money (or for nothing), and granted only by ISSUED. */
  for (guint phase = 0; phase < N_PHASES; phase++)
    for (guint event = 0; event < N_EVENTS; event++)
      {
        Phase next;
        Effects effects;
        if (!order_step ((Phase)phase, (Event)event, &next, &effects))
          continue;
        g_assert_cmpint ((effects & EFFECT_START_ISSUE) != 0, ==, next == PHASE_PAID);
        g_assert_cmpint ((effects & EFFECT_GRANT) != 0, ==, event == EVENT_ISSUED);
        if (next == PHASE_REFUND_DUE)
          g_assert_true (effects & EFFECT_SETTLE);
        if (phase == PHASE_ISSUING && event != EVENT_ISSUED)
          g_assert_true (effects & EFFECT_ABANDON_ISSUE);
      }
  g_assert_true (effects_of (PHASE_FULFILLED, EVENT_GIVEN_BACK) & EFFECT_REVOKE);
  g_assert_true (effects_of (PHASE_AWAITING_PAYMENT, EVENT_DECLINED) & EFFECT_CANCEL);
  g_assert_true (effects_of (PHASE_EXPIRED, EVENT_LATE_HONOURED) & EFFECT_OPEN);
}

static void
test_order_clients_see_only_the_states_of_the_protocol (void)
{
  g_assert_cmpint (phase_get_shown (PHASE_CREATED), ==, ORDER_AWAITING_PAYMENT);
  g_assert_cmpint (phase_get_shown (PHASE_RESERVING), ==, ORDER_AWAITING_PAYMENT);
  g_assert_cmpint (phase_get_shown (PHASE_CHARGED_BACK), ==, ORDER_REFUNDED);
  g_assert_cmpint (phase_get_shown (PHASE_ISSUING), ==, ORDER_PAID);
  g_assert_cmpint (phase_get_shown (PHASE_REFUND_DUE), ==, ORDER_REFUNDING);
  g_assert_cmpint (phase_get_shown (PHASE_REVIEW), ==, ORDER_REVIEW);
  for (guint i = 0; i < N_PHASES; i++)
    {
      Phase phase;
      g_assert_true (phase_from_text (phase_to_text ((Phase)i), &phase));
      g_assert_cmpuint (phase, ==, i);
    }
  Phase unused;
  g_assert_false (phase_from_text ("half-paid", &unused));
  g_assert_false (phase_from_text (NULL, &unused));
}

static void
test_order_payment_is_what_the_ledger_says (void)
{
  static const struct
  {
    Phase phase;
    LedgerSums sums;
    PaymentState expected;
  } rows[] = {
    { PHASE_CREATED, { 0 }, PAYMENT_NONE },
    { PHASE_AWAITING_PAYMENT, { 0 }, PAYMENT_PENDING },
    { PHASE_DECLINED, { 0 }, PAYMENT_FAILED },
    { PHASE_EXPIRED, { 0 }, PAYMENT_EXPIRED },
    { PHASE_AWAITING_PAYMENT, { .paid = 999 }, PAYMENT_UNDERPAID },
    { PHASE_PAID, { .paid = 1000 }, PAYMENT_PAID },
    { PHASE_PAID, { .paid = 1001 }, PAYMENT_OVERPAID },
    { PHASE_FULFILLED, { .paid = 1500, .refunded = 500 }, PAYMENT_PAID },
    { PHASE_FULFILLED, { .paid = 1000, .refunded = 1 }, PAYMENT_PART_REFUNDED },
    { PHASE_REFUNDED, { .paid = 1000, .refunded = 1000 }, PAYMENT_REFUNDED },
    { PHASE_REFUNDED, { .paid = 400, .refunded = 400 }, PAYMENT_REFUNDED },
    { PHASE_FULFILLED, { .paid = 1000, .n_open_disputes = 1 }, PAYMENT_DISPUTED },
    { PHASE_FULFILLED, { .paid = 1000, .lost = 1000, .n_ended_disputes = 1 }, PAYMENT_CHARGED_BACK },
    { PHASE_FULFILLED, { .paid = 1000, .n_ended_disputes = 1 }, PAYMENT_PAID },
    { PHASE_FULFILLED, { .paid = 2000, .lost = 1000, .n_ended_disputes = 1 }, PAYMENT_PAID },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    g_assert_cmpstr (payment_state_to_text (payment_derive (rows[i].phase, 1000, &rows[i].sums)), ==,
                     payment_state_to_text (rows[i].expected));
  LedgerSums nothing = { 0 };
  g_assert_cmpint (payment_derive (PHASE_FULFILLED, 0, &nothing), ==, PAYMENT_NONE);
}

#define NO_EVENT N_EVENTS

static void
test_order_money_is_judged_by_phase_and_policy (void)
{
  static const struct
  {
    MoneyCase money;
    Event expected;
  } rows[] = {
    { { PHASE_AWAITING_PAYMENT, 1000, { 0 } }, NO_EVENT },
    { { PHASE_AWAITING_PAYMENT, 1000, { .paid = 999 } }, NO_EVENT },
    { { PHASE_AWAITING_PAYMENT, 1000, { .paid = 1000 } }, EVENT_PAID },
    { { PHASE_AWAITING_PAYMENT, 1000, { .paid = 1500 } }, EVENT_PAID },
    { { PHASE_AWAITING_PAYMENT, 1000, { .paid = 1500, .refunded = 1000 } }, NO_EVENT },
    { { PHASE_AWAITING_PAYMENT, 1000, { .paid = 1000, .refunded = 1000, .is_reversed = TRUE } },
      EVENT_REVERSED },
    { { PHASE_AWAITING_PAYMENT, 1000, { .paid = 1000, .is_reversed = TRUE, .n_open_disputes = 1 } },
      EVENT_REVERSED },

    { { PHASE_DECLINED, 1000, { 0 } }, NO_EVENT },
    { { PHASE_DECLINED, 1000, { .paid = 1000 }, .can_honour = TRUE }, EVENT_LATE_REFUSED },
    { { PHASE_EXPIRED, 1000, { .paid = 1000 }, .can_honour = TRUE }, EVENT_LATE_HONOURED },
    { { PHASE_EXPIRED, 1000, { .paid = 1000 }, .can_honour = FALSE }, EVENT_LATE_REFUSED },
    { { PHASE_EXPIRED, 1000, { .paid = 1000 }, .can_honour = TRUE, .late = LATE_REFUND },
      EVENT_LATE_REFUSED },
    { { PHASE_EXPIRED, 1000, { .paid = 1000 }, .can_honour = TRUE, .late = LATE_REVIEW }, EVENT_DOUBTFUL },
    { { PHASE_EXPIRED, 1000, { .paid = 999 }, .can_honour = TRUE }, EVENT_LATE_REFUSED },
    { { PHASE_EXPIRED, 1000, { .paid = 1000, .refunded = 1000 }, .can_honour = TRUE }, NO_EVENT },

    { { PHASE_ISSUING, 1000, { .paid = 1000 } }, NO_EVENT },
    { { PHASE_ISSUING, 1000, { .paid = 1000, .refunded = 999 } }, NO_EVENT },
    { { PHASE_ISSUING, 1000, { .paid = 1000, .refunded = 1000 } }, EVENT_GIVEN_BACK },
    { { PHASE_PAID, 1000, { .paid = 1000, .refunded = 1000 } }, EVENT_GIVEN_BACK },
    { { PHASE_FULFILLED, 1000, { .paid = 1500, .refunded = 500 } }, NO_EVENT },
    { { PHASE_FULFILLED, 1000, { .paid = 1500, .refunded = 1500 } }, EVENT_GIVEN_BACK },
    { { PHASE_FULFILLED, 0, { 0 } }, NO_EVENT },
    { { PHASE_FULFILLED, 1000, { .paid = 1000, .disputed = 1000, .n_open_disputes = 1 } }, NO_EVENT },
    { { PHASE_FULFILLED, 1000, { .paid = 1000, .lost = 1000 } }, EVENT_CHARGED_BACK },
    { { PHASE_FULFILLED, 1000, { .paid = 2000, .lost = 1000 } }, NO_EVENT },
    { { PHASE_ISSUING, 1000, { .paid = 1000, .lost = 1000 } }, EVENT_CHARGED_BACK },
    { { PHASE_REFUND_DUE, 1000, { .paid = 1000, .lost = 1000 } }, EVENT_CHARGED_BACK },
    { { PHASE_CHARGED_BACK, 1000, { .paid = 1000, .lost = 1000 } }, NO_EVENT },
    { { PHASE_CHARGED_BACK, 1000, { .paid = 1000, .lost = 1000, .refunded = 1000 } }, EVENT_DOUBTFUL },

    { { PHASE_REFUND_DUE, 1000, { .paid = 1000 } }, NO_EVENT },
    { { PHASE_REFUND_DUE, 1000, { .paid = 1000, .refunded = 1000 } }, EVENT_REFUND_SENT },
    { { PHASE_REFUNDING, 1000, { .paid = 1000, .refunded = 500 } }, NO_EVENT },
    { { PHASE_REFUNDING, 1000, { .paid = 1000, .refunded = 1000 } }, EVENT_REFUNDED },
    { { PHASE_REFUNDED, 1000, { .paid = 2000, .refunded = 1000 } }, NO_EVENT },
    { { PHASE_REFUNDED, 1000, { .paid = 1000, .refunded = 1000, .n_lost_in_vain = 1 } }, EVENT_DOUBTFUL },
    { { PHASE_REVIEW, 1000, { .paid = 1000 } }, NO_EVENT },
    { { PHASE_CLOSED, 1000, { .paid = 1000 } }, EVENT_DOUBTFUL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      Event event = NO_EVENT;
      if (!order_judge_money (&rows[i].money, &event))
        event = NO_EVENT;
      if (event != rows[i].expected)
        g_error ("row %zu", i);
      /* What is judged must be an arrow of the table. */
      Phase next;
      Effects effects;
      if (event != NO_EVENT)
        g_assert_true (order_step (rows[i].money.phase, event, &next, &effects));
    }
}

static void
test_order_what_may_be_kept (void)
{
  LedgerSums paid = { .paid = 1500 }, disputed = { .paid = 1500, .n_open_disputes = 1 };
  g_assert_cmpint (order_get_keepable (PHASE_FULFILLED, 1000, &paid), ==, 1000);
  g_assert_cmpint (order_get_keepable (PHASE_REFUND_DUE, 1000, &paid), ==, 0);
  g_assert_cmpint (order_get_keepable (PHASE_REFUNDED, 1000, &paid), ==, 0);
  g_assert_cmpint (order_get_keepable (PHASE_CHARGED_BACK, 1000, &paid), ==, 0);
  g_assert_cmpint (order_get_keepable (PHASE_AWAITING_PAYMENT, 1000, &paid), ==, G_MAXINT64);
  g_assert_cmpint (order_get_keepable (PHASE_REVIEW, 1000, &paid), ==, G_MAXINT64);
  g_assert_cmpint (order_get_keepable (PHASE_REFUND_DUE, 1000, &disputed), ==, G_MAXINT64);
}

static void
test_order_issue_every_listed_arrow_and_no_other (void)
{
  static const struct
  {
    IssueState state;
    IssueEvent event;
    IssueState next;
  } rows[] = {
    { ISSUE_QUEUED, ISSUE_EVENT_CALL, ISSUE_CALLING },
    { ISSUE_QUEUED, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },
    { ISSUE_CALLING, ISSUE_EVENT_CALL, ISSUE_CALLING },
    { ISSUE_CALLING, ISSUE_EVENT_SERIAL, ISSUE_ISSUED },
    { ISSUE_CALLING, ISSUE_EVENT_TRY_AGAIN, ISSUE_FAILED_RETRY },
    { ISSUE_CALLING, ISSUE_EVENT_IN_DOUBT, ISSUE_UNKNOWN },
    { ISSUE_CALLING, ISSUE_EVENT_GIVE_UP, ISSUE_CERTAINLY_NOT },
    { ISSUE_CALLING, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },
    { ISSUE_CALLING, ISSUE_EVENT_HOLD, ISSUE_HELD },
    { ISSUE_HELD, ISSUE_EVENT_DELIVER, ISSUE_ISSUED },
    { ISSUE_HELD, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },
    { ISSUE_FAILED_RETRY, ISSUE_EVENT_CALL, ISSUE_CALLING },
    { ISSUE_FAILED_RETRY, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },
    { ISSUE_UNKNOWN, ISSUE_EVENT_CALL, ISSUE_CALLING },
    { ISSUE_UNKNOWN, ISSUE_EVENT_VOID, ISSUE_VOIDING },
    { ISSUE_UNKNOWN, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },
    { ISSUE_VOIDING, ISSUE_EVENT_VOIDED, ISSUE_CERTAINLY_NOT },
    { ISSUE_VOIDING, ISSUE_EVENT_ABANDON, ISSUE_ABANDONED },
    { ISSUE_CERTAINLY_NOT, ISSUE_EVENT_NEXT_SOURCE, ISSUE_QUEUED },
    { ISSUE_CERTAINLY_NOT, ISSUE_EVENT_NO_SOURCE, ISSUE_FAILED_FINAL },
  };
  for (guint state = 0; state < N_ISSUE_STATES; state++)
    for (guint event = 0; event < N_ISSUE_EVENTS; event++)
      {
        gboolean is_expected = FALSE;
        IssueState expected = ISSUE_QUEUED, next;
        for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
          if (rows[i].state == state && rows[i].event == event)
            {
              is_expected = TRUE;
              expected = rows[i].next;
            }
        gboolean is_taken = issue_step ((IssueState)state, (IssueEvent)event, &next);
        if (is_taken != is_expected || (is_taken && next != expected))
          g_error ("%s by %s", issue_state_to_text ((IssueState)state),
                   issue_event_to_text ((IssueEvent)event));
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/order/every-listed-arrow-and-no-other", test_order_every_listed_arrow_and_no_other);
  g_test_add_func ("/order/money-and-serials-follow-from-the-arrows",
                   test_order_money_and_serials_follow_from_the_arrows);
  g_test_add_func ("/order/clients-see-only-the-states-of-the-protocol",
                   test_order_clients_see_only_the_states_of_the_protocol);
  g_test_add_func ("/order/payment-is-what-the-ledger-says", test_order_payment_is_what_the_ledger_says);
  g_test_add_func ("/order/money-is-judged-by-phase-and-policy",
                   test_order_money_is_judged_by_phase_and_policy);
  g_test_add_func ("/order/what-may-be-kept", test_order_what_may_be_kept);
  g_test_add_func ("/order/issue-every-listed-arrow-and-no-other",
                   test_order_issue_every_listed_arrow_and_no_other);
  return g_test_run ();
}
