/* The delivery rules of messages (RFC 6121 §8.5) as a table, and who takes messages. */
#pragma once

#include "host-server/im/room.h"

typedef enum
{
  RECIPIENT_UNKNOWN, /* no such account */
  RECIPIENT_AWAY,    /* no available resource, or only with negative priority */
  RECIPIENT_THERE,   /* at least one available resource that is not negative */
  N_RECIPIENTS,
} Recipient;

typedef enum
{
  DELIVERY_TO_ALL, /* to every available resource that is not negative */
  DELIVERY_KEEP,   /* for later */
  DELIVERY_REFUSE, /* service-unavailable */
  DELIVERY_DROP,
} Delivery;

/* For a message of @type that no connected resource has as its full address: to the bare address, or to a
 * resource that is not there. */
Delivery delivery_decide (gboolean is_bare, Recipient recipient, StanzaType type);

/* Whether a session takes messages to its bare address. */
gboolean delivery_is_receiver (const Session *session);
/* The first session of the account that does; NULL if none. */
Session *delivery_find_receiver (Im *im, const char *bare_jid);
