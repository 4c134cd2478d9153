/* The states of a presence subscription (RFC 6121 appendix A), as pure tables: what a subscription stanza
 * does to the state, and whether it goes on its way. */
#pragma once

#include "host-server/wire/stanza.h"

/* Stored in roster_item.state: values stay as they are. */
typedef enum
{
  SUBSCRIPTION_NONE,
  SUBSCRIPTION_NONE_OUT,
  SUBSCRIPTION_NONE_IN,
  SUBSCRIPTION_NONE_OUT_IN,
  SUBSCRIPTION_TO,
  SUBSCRIPTION_TO_IN,
  SUBSCRIPTION_FROM,
  SUBSCRIPTION_FROM_OUT,
  SUBSCRIPTION_BOTH,
  N_SUBSCRIPTIONS,
} Subscription;

typedef struct
{
  gboolean passes; /* outbound: routed to the contact; inbound: delivered to the user */
  gboolean
      is_answered; /* inbound subscribe of who has the subscription: "subscribed" is answered for the user */
  Subscription state; /* afterwards */
} SubscriptionStep;

/* @type is one of STANZA_TYPE_SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED. */
SubscriptionStep subscription_outbound (Subscription state, StanzaType type); /* A.2 */
SubscriptionStep subscription_inbound (Subscription state, StanzaType type);  /* A.3 */

gboolean subscription_has_to (Subscription state);   /* the user sees the contact's presence */
gboolean subscription_has_from (Subscription state); /* the contact sees the user's */
gboolean subscription_is_pending_out (Subscription state);
gboolean subscription_is_pending_in (Subscription state);
/* The value of the item's `subscription` attribute (RFC 6121 §2.1.2.5). */
const char *subscription_to_text (Subscription state);
gboolean subscription_is_type (StanzaType type);
