#include "host-server/im/delivery.h"

enum
{
  NORMAL,
  CHAT,
  GROUPCHAT,
  HEADLINE,
  ERROR,
  N_TYPES,
};

/* Table 1 of §8.5.4. Where it leaves a choice between silence and an error, the sender is told; a chat
 * message to a resource that has gone is for the user, as to the bare address. */
/* clang-format off */
static const Delivery rules[2][N_RECIPIENTS][N_TYPES] = {
  [TRUE] = { /* bare */
    [RECIPIENT_UNKNOWN] = { DELIVERY_REFUSE, DELIVERY_REFUSE, DELIVERY_REFUSE, DELIVERY_REFUSE, DELIVERY_DROP },
    [RECIPIENT_AWAY] = { DELIVERY_KEEP, DELIVERY_KEEP, DELIVERY_REFUSE, DELIVERY_DROP, DELIVERY_DROP },
    [RECIPIENT_THERE] = { DELIVERY_TO_ALL, DELIVERY_TO_ALL, DELIVERY_REFUSE, DELIVERY_TO_ALL, DELIVERY_DROP },
  },
  [FALSE] = { /* full, and not there */
    [RECIPIENT_UNKNOWN] = { DELIVERY_REFUSE, DELIVERY_REFUSE, DELIVERY_REFUSE, DELIVERY_REFUSE, DELIVERY_DROP },
    [RECIPIENT_AWAY] = { DELIVERY_REFUSE, DELIVERY_KEEP, DELIVERY_REFUSE, DELIVERY_DROP, DELIVERY_DROP },
    [RECIPIENT_THERE] = { DELIVERY_REFUSE, DELIVERY_TO_ALL, DELIVERY_REFUSE, DELIVERY_DROP, DELIVERY_DROP },
  },
};
/* clang-format on */

static guint
column_of (StanzaType type)
{
  switch (type)
    {
    case STANZA_TYPE_CHAT:
      return CHAT;
    case STANZA_TYPE_GROUPCHAT:
      return GROUPCHAT;
    case STANZA_TYPE_HEADLINE:
      return HEADLINE;
    case STANZA_TYPE_ERROR:
      return ERROR;
    default:
      return NORMAL;
    }
}

Delivery
delivery_decide (gboolean is_bare, Recipient recipient, StanzaType type)
{
  return rules[is_bare != FALSE][recipient][column_of (type)];
}

gboolean
delivery_is_receiver (const Session *session)
{
  return session_is_available (session) && session_get_priority (session) >= 0;
}

Session *
delivery_find_receiver (Im *im, const char *bare_jid)
{
  const GPtrArray *sessions = session_book_find_all (im->server->sessions, bare_jid);
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    if (delivery_is_receiver (sessions->pdata[i]))
      return sessions->pdata[i];
  return NULL;
}
