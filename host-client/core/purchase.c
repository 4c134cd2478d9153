#include "host-client/core/purchase.h"

typedef enum
{
  ALWAYS,
  IF_OPEN,
  IF_SAID_NO,
  IF_SAID_YES,
  IF_REPORTED,
  IF_ITEM,
  IF_OPEN_ITEM, /* both */
} Guard;

typedef struct
{
  PurchaseState state;
  PurchaseEvent event;
  Guard guard;
  PurchaseState next;
  guint effects;
} Row;

#define S(name) PURCHASE_##name
#define E(name) PURCHASE_EVENT_##name
#define D(name) PURCHASE_DO_##name

/* Rows a plugin's verdict shares, whether it comes at the start or in the middle of its work. A verdict on a
 * serial that is no longer the market's says nothing of the one that is. A serial that
 * the plugin refuses though the market says it is good is the vendor's fault: the market is told and gives
 * another one, once; what follows a second refusal is the market's to say too, so it is told again. */
#define VERDICTS(state)                                                                                      \
  { state, E (NEEDS_SERIAL), IF_OPEN, S (RESUMING), D (ORDER) | D (SHOW) },                                  \
      { state, E (NEEDS_SERIAL), IF_SAID_NO, S (OFF), D (END) },                                             \
      { state, E (NEEDS_SERIAL), ALWAYS, S (ASKING), D (ASK) },                                              \
      { state, E (BAD), ALWAYS, S (REPORTING), D (REPORT) },                                                 \
      { state, E (EXPIRED), ALWAYS, S (REPORTING), D (REPORT) },                                             \
      { state, E (OUTDATED), ALWAYS, S (CHECKING), D (START) },                                              \
      { state, E (SUSPENDED), ALWAYS, S (OFF), D (END) }, { state, E (FAILED), ALWAYS, S (OFF), D (END) },   \
  {                                                                                                          \
    state, E (STOPPED), ALWAYS, S (IDLE), 0                                                                  \
  }

#define ORDER_ENDS(state)                                                                                    \
  { state, E (ORDER_ENDED), ALWAYS, S (OFF), D (FORGET) | D (END) },                                         \
      { state, E (ORDER_REFUSED), ALWAYS, S (OFF), D (FORGET) | D (END) },                                   \
      { state, E (SERIAL), ALWAYS, S (CHECKING), D (FORGET) | D (START) },                                   \
      { state, E (ONLINE), ALWAYS, state, D (ORDER) }, { state, E (USE), ALWAYS, state, D (SHOW) },          \
  {                                                                                                          \
    state, E (BUY), ALWAYS, state, D (SHOW)                                                                  \
  }

/* An item is nobody's to accept: whoever asks for it is asked first, and having it is the end. */
#define ITEM_WANTED(state)                                                                                   \
  { state, E (USE), IF_OPEN_ITEM, S (RESUMING), D (ORDER) | D (SHOW) },                                      \
  {                                                                                                          \
    state, E (USE), IF_ITEM, S (ASKING), D (ASK)                                                             \
  }
#define ITEM_BOUGHT(state)                                                                                   \
  {                                                                                                          \
    state, E (ORDER_FULFILLED), IF_ITEM, S (RUNNING), D (FORGET) | D (END)                                   \
  }

/* The first row that fits counts. */
static const Row rows[] = {
  ITEM_WANTED (S (IDLE)),
  ITEM_WANTED (S (OFF)),
  ITEM_WANTED (S (RUNNING)),
  ITEM_BOUGHT (S (RESUMING)),
  ITEM_BOUGHT (S (ORDERING)),
  ITEM_BOUGHT (S (PAYING)),
  ITEM_BOUGHT (S (PREPARING)),
  { S (ASKING), E (ORDER_REFUSED), IF_ITEM, S (OFF),
    D (END) }, /* it is not sold, or nobody is there to be asked */

  { S (IDLE), E (USE), ALWAYS, S (CHECKING), D (START) },
  { S (IDLE), E (BUY), IF_OPEN, S (RESUMING), D (ORDER) },
  { S (IDLE), E (BUY), ALWAYS, S (ORDERING), D (ORDER) },
  { S (OFF), E (USE), ALWAYS, S (CHECKING), D (START) },
  { S (OFF), E (BUY), IF_OPEN, S (RESUMING), D (ORDER) },
  { S (OFF), E (BUY), ALWAYS, S (ORDERING), D (ORDER) },

  /* An order that was fulfilled while no client ran has served, too. */
  { S (CHECKING), E (ACCEPTED), ALWAYS, S (RUNNING), D (FORGET) | D (END) },
  VERDICTS (S (CHECKING)),

  { S (REPORTING), E (REPLACED), IF_REPORTED, S (OFF), D (END) },
  { S (REPORTING), E (REPLACED), ALWAYS, S (CHECKING), D (START) },
  { S (REPORTING), E (SERIAL), IF_REPORTED, S (REPORTING), 0 },
  { S (REPORTING), E (SERIAL), ALWAYS, S (CHECKING), D (START) },
  { S (REPORTING), E (REPLACED_LATER), ALWAYS, S (REPLACING), D (SHOW) },
  { S (REPORTING), E (REGISTRATION_NEEDED), IF_OPEN, S (RESUMING), D (ORDER) | D (SHOW) },
  { S (REPORTING), E (REGISTRATION_NEEDED), IF_SAID_NO, S (OFF), D (END) },
  { S (REPORTING), E (REGISTRATION_NEEDED), ALWAYS, S (ASKING), D (ASK) },
  { S (REPORTING), E (REPORT_FAILED), ALWAYS, S (OFF), D (END) },

  /* No order is under way here, and none may come of it. */
  { S (REPLACING), E (SERIAL), ALWAYS, S (CHECKING), D (START) },
  { S (REPLACING), E (USE), ALWAYS, S (REPLACING), D (SHOW) },
  { S (REPLACING), E (BUY), ALWAYS, S (REPLACING), D (SHOW) },

  { S (ASKING), E (YES), ALWAYS, S (ORDERING), D (ORDER) },
  { S (ASKING), E (BUY), ALWAYS, S (ORDERING), D (ORDER) },
  { S (ASKING), E (NO), ALWAYS, S (OFF), D (REMEMBER_NO) | D (END) },
  { S (ASKING), E (SERIAL), ALWAYS, S (CHECKING), D (START) },
  { S (ASKING), E (USE), ALWAYS, S (ASKING), D (ASK) },

  /* An order from before that came to nothing is not what the user wants to hear of now. */
  { S (RESUMING), E (ORDER_ENDED), IF_SAID_YES, S (ORDERING), D (FORGET) | D (ORDER) },
  { S (RESUMING), E (ORDER_ENDED), IF_SAID_NO, S (OFF), D (FORGET) | D (END) },
  { S (RESUMING), E (ORDER_ENDED), ALWAYS, S (ASKING), D (FORGET) | D (ASK) },
  { S (RESUMING), E (BUY), ALWAYS, S (RESUMING), D (SHOW) },
  { S (RESUMING), E (ORDER_OPEN), ALWAYS, S (PAYING), D (SHOW) },
  { S (RESUMING), E (ORDER_PAID), ALWAYS, S (PREPARING), D (SHOW) },
  { S (RESUMING), E (ORDER_FULFILLED), ALWAYS, S (PREPARING), D (FETCH) },
  { S (RESUMING), E (ORDER_UNHEARD), ALWAYS, S (RESUMING), D (SHOW) },
  ORDER_ENDS (S (RESUMING)),

  { S (ORDERING), E (ORDER_OPEN), ALWAYS, S (PAYING), D (SHOW) },
  { S (ORDERING), E (ORDER_PAID), ALWAYS, S (PREPARING), D (SHOW) },
  { S (ORDERING), E (ORDER_FULFILLED), ALWAYS, S (PREPARING), D (FETCH) },
  { S (ORDERING), E (ORDER_UNHEARD), ALWAYS, S (ORDERING), D (SHOW) },
  ORDER_ENDS (S (ORDERING)),

  { S (PAYING), E (ORDER_OPEN), ALWAYS, S (PAYING), D (SHOW) },
  { S (PAYING), E (ORDER_PAID), ALWAYS, S (PREPARING), D (SHOW) },
  { S (PAYING), E (ORDER_FULFILLED), ALWAYS, S (PREPARING), D (FETCH) },
  { S (PAYING), E (NO), ALWAYS, S (PAYING), D (DECLINE) },
  ORDER_ENDS (S (PAYING)),

  { S (PREPARING), E (ORDER_PAID), ALWAYS, S (PREPARING), 0 },
  { S (PREPARING), E (ORDER_FULFILLED), ALWAYS, S (PREPARING), D (FETCH) },
  ORDER_ENDS (S (PREPARING)),

  { S (RUNNING), E (USE), ALWAYS, S (RUNNING), D (END) },
  { S (RUNNING), E (BUY), ALWAYS, S (ORDERING), D (ORDER) },
  VERDICTS (S (RUNNING)),
};

static gboolean
guard_holds (Guard guard, const PurchaseFacts *facts)
{
  switch (guard)
    {
    case IF_OPEN:
      return facts->is_open;
    case IF_SAID_NO:
      return facts->has_said_no;
    case IF_SAID_YES:
      return facts->has_said_yes;
    case IF_REPORTED:
      return facts->has_reported;
    case IF_ITEM:
      return facts->is_item;
    case IF_OPEN_ITEM:
      return facts->is_item && facts->is_open;
    case ALWAYS:
      break;
    }
  return TRUE;
}

gboolean
purchase_step (PurchaseState *state, PurchaseEvent event, const PurchaseFacts *facts, guint *effects)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (rows[i].state == *state && rows[i].event == event && guard_holds (rows[i].guard, facts))
      {
        *state = rows[i].next;
        *effects = rows[i].effects;
        return TRUE;
      }
  *effects = 0;
  return FALSE;
}

const char *
purchase_state_to_text (PurchaseState state)
{
  static const char *const names[] = {
    [S (IDLE)] = "idle",           [S (CHECKING)] = "checking", [S (REPORTING)] = "reporting",
    [S (REPLACING)] = "replacing", [S (ASKING)] = "asking",     [S (RESUMING)] = "resuming",
    [S (ORDERING)] = "ordering",   [S (PAYING)] = "paying",     [S (PREPARING)] = "preparing",
    [S (RUNNING)] = "running",     [S (OFF)] = "off",
  };
  return names[state];
}

const char *
purchase_event_to_text (PurchaseEvent event)
{
  static const char *const names[] = {
    [E (USE)] = "use",
    [E (BUY)] = "buy",
    [E (YES)] = "yes",
    [E (NO)] = "no",
    [E (ACCEPTED)] = "accepted",
    [E (NEEDS_SERIAL)] = "needs-serial",
    [E (BAD)] = "bad",
    [E (EXPIRED)] = "expired",
    [E (OUTDATED)] = "outdated",
    [E (SUSPENDED)] = "suspended",
    [E (FAILED)] = "failed",
    [E (STOPPED)] = "stopped",
    [E (REPLACED)] = "replaced",
    [E (REGISTRATION_NEEDED)] = "registration-needed",
    [E (REPLACED_LATER)] = "replaced-later",
    [E (REPORT_FAILED)] = "report-failed",
    [E (ORDER_OPEN)] = "order-open",
    [E (ORDER_PAID)] = "order-paid",
    [E (ORDER_FULFILLED)] = "order-fulfilled",
    [E (ORDER_ENDED)] = "order-ended",
    [E (ORDER_REFUSED)] = "order-refused",
    [E (ORDER_UNHEARD)] = "order-unheard",
    [E (SERIAL)] = "serial",
    [E (ONLINE)] = "online",
  };
  return names[event];
}
