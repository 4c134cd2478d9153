/* The dialogue of a user, a plugin and the market about one plugin's serial, or about an item that is bought
 * inside the plugin, as a table: what state follows an event, and what is to be done. Pure; dialogue.c does
 * what it says.
 *
 * An item has no serial: nothing is checked before the user is asked, and it is there as soon as its order is
 * fulfilled. */
#pragma once

#include <glib.h>

typedef enum
{
  PURCHASE_IDLE,
  PURCHASE_CHECKING,  /* the plugin looks at the serial there is, or finds that there is none */
  PURCHASE_REPORTING, /* it refused the serial, the market was told and has not answered */
  PURCHASE_REPLACING, /* the market will send another one */
  PURCHASE_ASKING,    /* the user is asked whether to register */
  PURCHASE_RESUMING,  /* an order from before is looked up by its request id */
  PURCHASE_ORDERING,  /* the order was sent, or will be when we are online */
  PURCHASE_PAYING,    /* the market waits for the money */
  PURCHASE_PREPARING, /* the market has the money, we wait for the serial */
  PURCHASE_RUNNING,   /* the plugin has accepted; the item was bought */
  PURCHASE_OFF,       /* it ended without: the user said no, or something failed */
} PurchaseState;

typedef enum
{
  /* the user */
  PURCHASE_EVENT_USE, /* wants the plugin; or is to be asked whether to buy the item */
  PURCHASE_EVENT_BUY, /* wants its serial, or the item, and has said yes by that */
  PURCHASE_EVENT_YES,
  PURCHASE_EVENT_NO,
  /* the plugin */
  PURCHASE_EVENT_ACCEPTED,
  PURCHASE_EVENT_NEEDS_SERIAL,
  PURCHASE_EVENT_BAD,
  PURCHASE_EVENT_EXPIRED,
  PURCHASE_EVENT_OUTDATED,  /* any of these three, but the market has sent another serial meanwhile */
  PURCHASE_EVENT_SUSPENDED, /* it has none, because its payment is in dispute */
  PURCHASE_EVENT_FAILED,    /* refused for another cause, or crashed */
  PURCHASE_EVENT_STOPPED,   /* as the user wished */
  /* the market's answer to "refused" */
  PURCHASE_EVENT_REPLACED,
  PURCHASE_EVENT_REGISTRATION_NEEDED,
  PURCHASE_EVENT_REPLACED_LATER, /* the serial comes as a push */
  PURCHASE_EVENT_REPORT_FAILED,
  /* the order */
  PURCHASE_EVENT_ORDER_OPEN, /* awaiting-payment */
  PURCHASE_EVENT_ORDER_PAID,
  PURCHASE_EVENT_ORDER_FULFILLED,
  PURCHASE_EVENT_ORDER_ENDED,   /* declined, expired, refused, refunding, refunded, review */
  PURCHASE_EVENT_ORDER_REFUSED, /* there is none: the market does not sell */
  PURCHASE_EVENT_ORDER_UNHEARD, /* no answer, or no connection */
  /* the session */
  PURCHASE_EVENT_SERIAL, /* an active serial that was not there before */
  PURCHASE_EVENT_ONLINE,
} PurchaseEvent;

typedef enum
{
  PURCHASE_DO_START = 1 << 0,  /* hand the plugin what there is */
  PURCHASE_DO_REPORT = 1 << 1, /* tell the market that the plugin refused */
  PURCHASE_DO_ASK = 1 << 2,
  PURCHASE_DO_ORDER = 1 << 3, /* with the request id on disk; made first if there is none */
  PURCHASE_DO_DECLINE = 1 << 4,
  PURCHASE_DO_FETCH = 1 << 5,       /* ask the market for the serials */
  PURCHASE_DO_FORGET = 1 << 6,      /* the request id has served */
  PURCHASE_DO_REMEMBER_NO = 1 << 7, /* do not ask again in this session */
  PURCHASE_DO_SHOW = 1 << 8,        /* the user sees where it stands */
  PURCHASE_DO_END = 1 << 9,         /* the user sees how it ended */
} PurchaseEffect;

/* What the table may ask about the past. */
typedef struct
{
  gboolean is_open;      /* an order's request id is on disk */
  gboolean has_said_no;  /* in this session */
  gboolean has_said_yes; /* to this purchase */
  gboolean has_reported; /* the serial that was refused now was itself a replacement */
  gboolean is_item;
} PurchaseFacts;

/* The state after @event and what to do, PurchaseEffects or-ed. FALSE if the table has no such row: then
 * nothing changes. */
gboolean purchase_step (PurchaseState *state, PurchaseEvent event, const PurchaseFacts *facts,
                        guint *effects);

/* For logs. */
const char *purchase_state_to_text (PurchaseState state);
const char *purchase_event_to_text (PurchaseEvent event);
