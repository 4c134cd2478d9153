#include "host-client/core/purchase.h"

#define E(name) PURCHASE_EVENT_##name
#define D(name) PURCHASE_DO_##name
#define S(name) PURCHASE_##name

typedef struct
{
  PurchaseEvent event;
  PurchaseState state; /* that must follow */
  guint effects;
} Step;

static void
play (PurchaseFacts facts, const Step *steps, gsize n)
{
  PurchaseState state = S (IDLE);
  for (gsize i = 0; i < n; i++)
    {
      guint effects;
      g_test_message ("step %zu: event %d in state %d", i, steps[i].event, state);
      g_assert_true (purchase_step (&state, steps[i].event, &facts, &effects));
      g_assert_cmpint (state, ==, steps[i].state);
      g_assert_cmphex (effects, ==, steps[i].effects);
      /* What the driver would have noted by now. */
      if (effects & D (ORDER))
        facts.is_open = TRUE;
      if (effects & D (FORGET))
        facts.is_open = FALSE;
      if (effects & D (REMEMBER_NO))
        facts.has_said_no = TRUE;
    }
}
#define PLAY(facts, ...)                                                                                     \
  do                                                                                                         \
    {                                                                                                        \
      const Step steps[] = { __VA_ARGS__ };                                                                  \
      play (facts, steps, G_N_ELEMENTS (steps));                                                             \
    }                                                                                                        \
  while (0)
#define FACTS(...)    ((PurchaseFacts){ __VA_ARGS__ })
#define NOTHING_KNOWN FACTS (0)

static void
test_purchase_first_one_ends_with_the_plugin_running (void)
{
  PLAY (NOTHING_KNOWN, { E (USE), S (CHECKING), D (START) }, { E (NEEDS_SERIAL), S (ASKING), D (ASK) },
        { E (YES), S (ORDERING), D (ORDER) }, { E (ORDER_OPEN), S (PAYING), D (SHOW) },
        { E (ORDER_PAID), S (PREPARING), D (SHOW) }, { E (ORDER_FULFILLED), S (PREPARING), D (FETCH) },
        { E (SERIAL), S (CHECKING), D (FORGET) | D (START) },
        { E (ACCEPTED), S (RUNNING), D (FORGET) | D (END) });
}

static void
test_purchase_serial_may_come_before_the_order_says_so (void)
{
  PLAY (NOTHING_KNOWN, { E (BUY), S (ORDERING), D (ORDER) },
        { E (SERIAL), S (CHECKING), D (FORGET) | D (START) },
        { E (ACCEPTED), S (RUNNING), D (FORGET) | D (END) });
}

static void
test_purchase_no_is_remembered (void)
{
  PLAY (NOTHING_KNOWN, { E (USE), S (CHECKING), D (START) }, { E (NEEDS_SERIAL), S (ASKING), D (ASK) },
        { E (NO), S (OFF), D (REMEMBER_NO) | D (END) }, { E (USE), S (CHECKING), D (START) },
        { E (NEEDS_SERIAL), S (OFF), D (END) }, { E (BUY), S (ORDERING), D (ORDER) });
}

static void
test_purchase_of_a_closed_client_goes_on (void)
{
  PLAY (FACTS (.is_open = TRUE), { E (USE), S (CHECKING), D (START) },
        { E (NEEDS_SERIAL), S (RESUMING), D (ORDER) | D (SHOW) }, { E (ORDER_OPEN), S (PAYING), D (SHOW) });
}

static void
test_purchase_that_came_to_nothing_meanwhile_is_asked_anew (void)
{
  PLAY (FACTS (.is_open = TRUE), { E (USE), S (CHECKING), D (START) },
        { E (NEEDS_SERIAL), S (RESUMING), D (ORDER) | D (SHOW) },
        { E (ORDER_ENDED), S (ASKING), D (FORGET) | D (ASK) });
  PLAY (FACTS (.is_open = TRUE, .has_said_yes = TRUE), { E (BUY), S (RESUMING), D (ORDER) },
        { E (ORDER_ENDED), S (ORDERING), D (FORGET) | D (ORDER) });
}

static void
test_purchase_refused_serial_is_replaced_once (void)
{
  PLAY (NOTHING_KNOWN, { E (USE), S (CHECKING), D (START) }, { E (BAD), S (REPORTING), D (REPORT) },
        { E (REPLACED), S (CHECKING), D (START) }, { E (ACCEPTED), S (RUNNING), D (FORGET) | D (END) });
  PLAY (FACTS (.has_reported = TRUE), { E (USE), S (CHECKING), D (START) },
        { E (BAD), S (REPORTING), D (REPORT) }, { E (REPLACED), S (OFF), D (END) });
}

static void
test_purchase_expired_serial_leads_to_the_question (void)
{
  PLAY (NOTHING_KNOWN, { E (USE), S (CHECKING), D (START) }, { E (EXPIRED), S (REPORTING), D (REPORT) },
        { E (REGISTRATION_NEEDED), S (ASKING), D (ASK) }, { E (YES), S (ORDERING), D (ORDER) });
}

/* The market gives up on the line: what follows is a new purchase, and is asked about. */
static void
test_purchase_second_refusal_leads_to_the_question (void)
{
  PLAY (NOTHING_KNOWN, { E (BUY), S (ORDERING), D (ORDER) },
        { E (SERIAL), S (CHECKING), D (FORGET) | D (START) }, { E (BAD), S (REPORTING), D (REPORT) },
        { E (REPLACED), S (CHECKING), D (START) }, { E (BAD), S (REPORTING), D (REPORT) },
        { E (REGISTRATION_NEEDED), S (ASKING), D (ASK) }, { E (YES), S (ORDERING), D (ORDER) });
}

static void
test_purchase_serial_that_expires_at_work_leads_there_too (void)
{
  PLAY (NOTHING_KNOWN, { E (USE), S (CHECKING), D (START) },
        { E (ACCEPTED), S (RUNNING), D (FORGET) | D (END) }, { E (EXPIRED), S (REPORTING), D (REPORT) },
        { E (REPLACED_LATER), S (REPLACING), D (SHOW) }, { E (SERIAL), S (CHECKING), D (START) });
}

static void
test_purchase_goes_on_when_the_connection_is_back (void)
{
  PLAY (NOTHING_KNOWN, { E (BUY), S (ORDERING), D (ORDER) }, { E (ORDER_UNHEARD), S (ORDERING), D (SHOW) },
        { E (ONLINE), S (ORDERING), D (ORDER) }, { E (ORDER_OPEN), S (PAYING), D (SHOW) },
        { E (ONLINE), S (PAYING), D (ORDER) }, { E (ORDER_FULFILLED), S (PREPARING), D (FETCH) },
        { E (ONLINE), S (PREPARING), D (ORDER) });
}

static void
test_purchase_may_be_declined_while_unpaid (void)
{
  PLAY (NOTHING_KNOWN, { E (BUY), S (ORDERING), D (ORDER) }, { E (ORDER_OPEN), S (PAYING), D (SHOW) },
        { E (NO), S (PAYING), D (DECLINE) }, { E (ORDER_ENDED), S (OFF), D (FORGET) | D (END) });
}

static void
test_purchase_crashed_plugin_can_be_used_again (void)
{
  PLAY (NOTHING_KNOWN, { E (USE), S (CHECKING), D (START) },
        { E (ACCEPTED), S (RUNNING), D (FORGET) | D (END) }, { E (FAILED), S (OFF), D (END) },
        { E (USE), S (CHECKING), D (START) });
}

static void
test_purchase_what_is_not_in_the_table_changes_nothing (void)
{
  const struct
  {
    PurchaseState state;
    PurchaseEvent event;
  } rows[]
      = { { S (IDLE), E (YES) },          { S (IDLE), E (SERIAL) },     { S (OFF), E (ORDER_FULFILLED) },
          { S (CHECKING), E (YES) },      { S (RUNNING), E (NO) },      { S (PREPARING), E (NO) },
          { S (ASKING), E (ORDER_OPEN) }, { S (CHECKING), E (SERIAL) }, { S (PREPARING), E (ORDER_OPEN) } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      PurchaseState state = rows[i].state;
      PurchaseFacts facts = { 0 };
      guint effects = 1;
      g_assert_false (purchase_step (&state, rows[i].event, &facts, &effects));
      g_assert_cmpint (state, ==, rows[i].state);
      g_assert_cmphex (effects, ==, 0);
    }
}

/* Whatever comes in whatever order, money is asked for only after a yes. */
static void
test_purchase_never_orders_unasked (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  for (int run = 0; run < 20000; run++)
    {
      PurchaseState state = S (IDLE);
      PurchaseFacts facts = { .is_item = run % 2 == 1 };
      gboolean has_agreed = FALSE;
      for (int i = 0; i < 12; i++)
        {
          PurchaseEvent event = (PurchaseEvent)g_rand_int_range (random, 0, E (ONLINE) + 1);
          guint effects;
          if (event == E (BUY) || (event == E (YES) && state == S (ASKING)))
            has_agreed = facts.has_said_yes = TRUE;
          if (!purchase_step (&state, event, &facts, &effects))
            continue;
          /* One that is looked up was agreed to when it was made; a new one needs a yes of its own. */
          gboolean is_new = (effects & D (ORDER)) && (!facts.is_open || (effects & D (FORGET)));
          if (is_new)
            g_assert_true (has_agreed);
          if (effects & D (FORGET))
            facts.is_open = FALSE;
          if ((effects & D (FORGET)) && !(effects & D (ORDER)))
            has_agreed = facts.has_said_yes = FALSE;
          if (effects & D (ORDER))
            facts.is_open = TRUE;
          if (effects & D (REMEMBER_NO))
            facts.has_said_no = TRUE;
        }
    }
}

static void
test_purchase_item_is_asked_about_and_bought (void)
{
  PLAY (FACTS (.is_item = TRUE), { E (USE), S (ASKING), D (ASK) }, { E (YES), S (ORDERING), D (ORDER) },
        { E (ORDER_OPEN), S (PAYING), D (SHOW) }, { E (ORDER_FULFILLED), S (RUNNING), D (FORGET) | D (END) },
        /* and again, which is another purchase */
        { E (USE), S (ASKING), D (ASK) }, { E (NO), S (OFF), D (REMEMBER_NO) | D (END) },
        { E (USE), S (ASKING), D (ASK) }, { E (YES), S (ORDERING), D (ORDER) },
        { E (ORDER_ENDED), S (OFF), D (FORGET) | D (END) }, { E (USE), S (ASKING), D (ASK) });
}

static void
test_purchase_item_that_is_free_is_there_with_its_order (void)
{
  PLAY (FACTS (.is_item = TRUE), { E (BUY), S (ORDERING), D (ORDER) },
        { E (ORDER_FULFILLED), S (RUNNING), D (FORGET) | D (END) });
}

static void
test_purchase_item_that_was_under_way_goes_on (void)
{
  PLAY (FACTS (.is_item = TRUE, .is_open = TRUE), { E (USE), S (RESUMING), D (ORDER) | D (SHOW) },
        { E (ORDER_FULFILLED), S (RUNNING), D (FORGET) | D (END) });
}

static void
test_purchase_item_that_nobody_can_be_asked_about_ends (void)
{
  PurchaseState state = S (ASKING);
  PurchaseFacts plugin = { 0 };
  guint effects;
  PLAY (FACTS (.is_item = TRUE), { E (USE), S (ASKING), D (ASK) }, { E (ORDER_REFUSED), S (OFF), D (END) });
  g_assert_false (purchase_step (&state, E (ORDER_REFUSED), &plugin, &effects)); /* that one is answered */
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add_func ("/client/purchase/" #name, test_purchase_##name)
  ADD (first_one_ends_with_the_plugin_running);
  ADD (serial_may_come_before_the_order_says_so);
  ADD (no_is_remembered);
  ADD (of_a_closed_client_goes_on);
  ADD (that_came_to_nothing_meanwhile_is_asked_anew);
  ADD (refused_serial_is_replaced_once);
  ADD (expired_serial_leads_to_the_question);
  ADD (second_refusal_leads_to_the_question);
  ADD (serial_that_expires_at_work_leads_there_too);
  ADD (goes_on_when_the_connection_is_back);
  ADD (may_be_declined_while_unpaid);
  ADD (crashed_plugin_can_be_used_again);
  ADD (what_is_not_in_the_table_changes_nothing);
  ADD (never_orders_unasked);
  ADD (item_is_asked_about_and_bought);
  ADD (item_that_is_free_is_there_with_its_order);
  ADD (item_that_was_under_way_goes_on);
  ADD (item_that_nobody_can_be_asked_about_ends);
  return g_test_run ();
}
