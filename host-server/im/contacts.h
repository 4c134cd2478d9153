/* Subscriptions (RFC 6121 §3): a user's stanza, through both rosters, to what everybody is told of it. */
#pragma once

#include "host-server/im/exchange.h"
#include "host-server/im/room.h"

/* A subscription stanza that @sender's client sent; its `to` is an account's address or any other. */
void contacts_send (Im *im, Session *sender, const Stanza *stanza);
/* A roster set that removes @contact (§2.5); answers @request. */
void contacts_remove (Im *im, ServiceRequest *request, const Jid *contact);
/* Tells everybody what a committed exchange has changed. @stanza is the mover's own, if there was one. */
void contacts_tell (Im *im, const Exchange *exchange, const Stanza *stanza);
/* Delivers the requests that wait for an answer to a resource that has become available (§3.1.3). */
void contacts_deliver_requests (Im *im, Session *session);
