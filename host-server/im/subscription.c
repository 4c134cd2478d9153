#include "host-server/im/subscription.h"

/* Columns of the tables, in the order of the states. */
#define NONE    SUBSCRIPTION_NONE
#define NONE_O  SUBSCRIPTION_NONE_OUT
#define NONE_I  SUBSCRIPTION_NONE_IN
#define NONE_OI SUBSCRIPTION_NONE_OUT_IN
#define TO      SUBSCRIPTION_TO
#define TO_I    SUBSCRIPTION_TO_IN
#define FROM    SUBSCRIPTION_FROM
#define FROM_O  SUBSCRIPTION_FROM_OUT
#define BOTH    SUBSCRIPTION_BOTH
#define PASS(to)                                                                                             \
  {                                                                                                          \
    TRUE, FALSE, to                                                                                          \
  }
#define STOP(to)                                                                                             \
  {                                                                                                          \
    FALSE, FALSE, to                                                                                         \
  }
#define ANSWER(to)                                                                                           \
  {                                                                                                          \
    FALSE, TRUE, to                                                                                          \
  }

enum
{
  SUBSCRIBE,
  UNSUBSCRIBE,
  SUBSCRIBED,
  UNSUBSCRIBED,
  N_KINDS,
};

/* clang-format off */
static const SubscriptionStep outbound[N_KINDS][N_SUBSCRIPTIONS] = {
  [SUBSCRIBE] = {
    [NONE] = PASS (NONE_O), [NONE_O] = PASS (NONE_O), [NONE_I] = PASS (NONE_OI), [NONE_OI] = PASS (NONE_OI),
    [TO] = PASS (TO), [TO_I] = PASS (TO_I), [FROM] = PASS (FROM_O), [FROM_O] = PASS (FROM_O),
    [BOTH] = PASS (BOTH) },
  [UNSUBSCRIBE] = {
    [NONE] = PASS (NONE), [NONE_O] = PASS (NONE), [NONE_I] = PASS (NONE_I), [NONE_OI] = PASS (NONE_I),
    [TO] = PASS (NONE), [TO_I] = PASS (NONE_I), [FROM] = PASS (FROM), [FROM_O] = PASS (FROM),
    [BOTH] = PASS (FROM) },
  [SUBSCRIBED] = {
    [NONE] = STOP (NONE), [NONE_O] = STOP (NONE_O), [NONE_I] = PASS (FROM), [NONE_OI] = PASS (FROM_O),
    [TO] = STOP (TO), [TO_I] = PASS (BOTH), [FROM] = STOP (FROM), [FROM_O] = STOP (FROM_O),
    [BOTH] = STOP (BOTH) },
  [UNSUBSCRIBED] = {
    [NONE] = STOP (NONE), [NONE_O] = STOP (NONE_O), [NONE_I] = PASS (NONE), [NONE_OI] = PASS (NONE_O),
    [TO] = STOP (TO), [TO_I] = PASS (TO), [FROM] = PASS (NONE), [FROM_O] = PASS (NONE_O),
    [BOTH] = PASS (TO) },
};

static const SubscriptionStep inbound[N_KINDS][N_SUBSCRIPTIONS] = {
  [SUBSCRIBE] = {
    [NONE] = PASS (NONE_I), [NONE_O] = PASS (NONE_OI), [NONE_I] = STOP (NONE_I), [NONE_OI] = STOP (NONE_OI),
    [TO] = PASS (TO_I), [TO_I] = STOP (TO_I), [FROM] = ANSWER (FROM), [FROM_O] = ANSWER (FROM_O),
    [BOTH] = ANSWER (BOTH) },
  [UNSUBSCRIBE] = {
    [NONE] = STOP (NONE), [NONE_O] = STOP (NONE_O), [NONE_I] = PASS (NONE), [NONE_OI] = PASS (NONE_O),
    [TO] = STOP (TO), [TO_I] = PASS (TO), [FROM] = PASS (NONE), [FROM_O] = PASS (NONE_O),
    [BOTH] = PASS (TO) },
  [SUBSCRIBED] = {
    [NONE] = STOP (NONE), [NONE_O] = PASS (TO), [NONE_I] = STOP (NONE_I), [NONE_OI] = PASS (TO_I),
    [TO] = STOP (TO), [TO_I] = STOP (TO_I), [FROM] = STOP (FROM), [FROM_O] = PASS (BOTH),
    [BOTH] = STOP (BOTH) },
  [UNSUBSCRIBED] = {
    [NONE] = STOP (NONE), [NONE_O] = PASS (NONE), [NONE_I] = STOP (NONE_I), [NONE_OI] = PASS (NONE_I),
    [TO] = PASS (NONE), [TO_I] = PASS (NONE_I), [FROM] = STOP (FROM), [FROM_O] = PASS (FROM),
    [BOTH] = PASS (FROM) },
};
/* clang-format on */

static int
kind_of (StanzaType type)
{
  switch (type)
    {
    case STANZA_TYPE_SUBSCRIBE:
      return SUBSCRIBE;
    case STANZA_TYPE_UNSUBSCRIBE:
      return UNSUBSCRIBE;
    case STANZA_TYPE_SUBSCRIBED:
      return SUBSCRIBED;
    case STANZA_TYPE_UNSUBSCRIBED:
      return UNSUBSCRIBED;
    default:
      return -1;
    }
}

gboolean
subscription_is_type (StanzaType type)
{
  return kind_of (type) >= 0;
}

SubscriptionStep
subscription_outbound (Subscription state, StanzaType type)
{
  return outbound[kind_of (type)][state];
}

SubscriptionStep
subscription_inbound (Subscription state, StanzaType type)
{
  return inbound[kind_of (type)][state];
}

gboolean
subscription_has_to (Subscription state)
{
  return state == TO || state == TO_I || state == BOTH;
}

gboolean
subscription_has_from (Subscription state)
{
  return state == FROM || state == FROM_O || state == BOTH;
}

gboolean
subscription_is_pending_out (Subscription state)
{
  return state == NONE_O || state == NONE_OI || state == FROM_O;
}

gboolean
subscription_is_pending_in (Subscription state)
{
  return state == NONE_I || state == NONE_OI || state == TO_I;
}

const char *
subscription_to_text (Subscription state)
{
  if (state == BOTH)
    return "both";
  return subscription_has_to (state) ? "to" : subscription_has_from (state) ? "from" : "none";
}
