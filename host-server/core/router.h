/* Where a stanza goes. The router itself knows full addresses of connected sessions and the domains it
 * serves; everything RFC 6121 decides beyond that is the delivery functions' (im registers them).
 *
 * A message or IQ to a session's full address goes straight to its outbox. A stanza to D or market.D goes to
 * the services (an IQ) or is refused. What is left for a local account goes to the delivery function of its
 * kind; presence that a client sent always does, even to a connected full address. A foreign domain is
 * remote-server-not-found. */
#pragma once

#include "host-server/core/service.h"
#include "host-server/core/session.h"

typedef struct Router Router;

/* All are lent and outlive the router. */
Router *router_new (SessionBook *book, Services *services, const Jid *domain, const Jid *market);
void router_free (Router *router);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Router, router_free)

/* @sender is NULL for what the server itself sends. The stanza's `from` is set; its `to` is an account's
 * address, bare or full, or absent (one's own account; presence: everyone who is to see it). The function
 * answers for delivery or refusal (router_refuse()). */
typedef void (*RouterDeliver) (Session *sender, const Stanza *stanza, gpointer data);
void router_set_delivery (Router *router, StanzaKind kind, RouterDeliver deliver, gpointer data);

/* Routes a stanza that came from a client (its @sender) or that a room made (@sender NULL). Keeps nothing of
 * it. */
void router_route (Router *router, Session *sender, const Stanza *stanza);
/* Answers @stanza's sender with an error, if it may be answered: @sender, or else the session that its `from`
 * names, if there is one. Of presence only subscriptions and probes are answered. */
void router_refuse (Router *router, Session *sender, const Stanza *stanza, StanzaError error,
                    const char *text);
