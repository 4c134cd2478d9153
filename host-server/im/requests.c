/* IQs that neither a service nor a connected full address takes: to somebody else's account, or to a resource
 * that is not there. The answer is the same for each, and for an account that does not exist, so it tells
 * nothing (RFC 6121 §8.5.1, §8.5.2.1.3, §8.5.3.2.3). */
#include "host-server/im/room.h"

static void
deliver (Session *sender, const Stanza *stanza, gpointer data)
{
  Im *im = data;
  if (stanza->type == STANZA_TYPE_GET || stanza->type == STANZA_TYPE_SET)
    router_refuse (im->server->router, sender, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

void
im_requests_init (Im *im)
{
  router_set_delivery (im->server->router, STANZA_IQ, deliver, im);
}
