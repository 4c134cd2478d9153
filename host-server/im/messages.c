/* Messages that the router did not hand to a connected full address (RFC 6121 §8.5.1 to §8.5.3). */
#include "host-server/im/delivery.h"
#include "host-server/im/offline.h"

static void
send_to_all (Im *im, const Jid *bare, const Stanza *stanza)
{
  const GPtrArray *sessions = session_book_find_all (im->server->sessions, jid_get_bare (bare));
  StanzaRoot root = { .to = stanza->to == NULL ? bare : NULL };
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    if (delivery_is_receiver (sessions->pdata[i]))
      session_send (sessions->pdata[i], stanza, &root);
}

static void
route (Im *im, Session *sender, const Stanza *stanza, const Jid *bare, gboolean is_bare)
{
  char account[37];
  Recipient recipient = delivery_find_receiver (im, jid_get_bare (bare)) != NULL ? RECIPIENT_THERE
                        : im_find_account (im, bare, account)                    ? RECIPIENT_AWAY
                                                                                 : RECIPIENT_UNKNOWN;
  switch (delivery_decide (is_bare, recipient, stanza->type))
    {
    case DELIVERY_TO_ALL:
      send_to_all (im, bare, stanza);
      return;
    case DELIVERY_KEEP:
      if (offline_is_worth_keeping (stanza))
        offline_keep (im, sender, stanza, bare, account);
      return;
    case DELIVERY_REFUSE:
      router_refuse (im->server->router, sender, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
      return;
    case DELIVERY_DROP:
      return;
    }
}

static void
deliver (Session *sender, const Stanza *stanza, gpointer data)
{
  Im *im = data;
  if (stanza->to == NULL && sender == NULL)
    return;
  g_autoptr (Jid) bare
      = stanza->to != NULL ? jid_to_bare (stanza->to) : jid_ref ((Jid *)session_get_bare (sender));
  route (im, sender, stanza, bare, stanza->to == NULL || jid_get_resource (stanza->to) == NULL);
}

/* XEP-0198: what the client never acknowledged is treated as for a user who is not there, or reaches another
 * of the user's resources. */
static void
deliver_again (Session *session, const Stanza *stanza, gpointer data)
{
  Im *im = data;
  Session *sender
      = stanza->from != NULL ? session_book_find (im->server->sessions, jid_get_full (stanza->from)) : NULL;
  if (stanza->kind == STANZA_MESSAGE)
    route (im, sender, stanza, session_get_bare (session), TRUE);
  else if (stanza->kind == STANZA_IQ && (stanza->type == STANZA_TYPE_GET || stanza->type == STANZA_TYPE_SET))
    router_refuse (im->server->router, sender, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

void
im_messages_init (Im *im)
{
  router_set_delivery (im->server->router, STANZA_MESSAGE, deliver, im);
  hooks_add_undelivered (im->server->hooks, deliver_again, im);
}
