/* Requests in, replies and pushes out: all that the rooms beside im know of XMPP. It hides whether a client's
 * stream ends here or in a cluster behind a component stream, so nothing in it is a socket or a session.
 *
 * A service is found by target, IQ type, element name and namespace. A handler answers now or later, exactly
 * once; one session's requests are answered in order, and its next request waits for the answer, so that it
 * reads what it wrote. A request nobody handles is service-unavailable. */
#pragma once

#include "host-server/wire/stanza.h"

#include <strophe.h>

typedef struct Services Services;
typedef struct ServiceRequest ServiceRequest;

typedef enum
{
  SERVICE_DOMAIN,  /* addressed to D */
  SERVICE_ACCOUNT, /* addressed to the sender's own account, or without `to` */
  SERVICE_MARKET,  /* addressed to market.D */
  N_SERVICE_TARGETS,
} ServiceTarget;

typedef enum
{
  SERVICE_DEFAULT = 0,
  SERVICE_TREE_FREE
  = 1 << 0, /* mostly answered from the slice (ping, unchanged serials); any size is let through */
  SERVICE_OPEN = 1 << 1,         /* also for senders outside D, who otherwise are answered `forbidden` */
  SERVICE_BEFORE_LOGIN = 1 << 2, /* also for streams that have not logged in: their requests have neither
                                    sender nor account (SERVICE_DOMAIN only) */
} ServiceFlags;

typedef void (*ServiceHandler) (ServiceRequest *request, gpointer data);
/* @type is STANZA_TYPE_GET or STANZA_TYPE_SET. Texts are static. */
void services_add (Services *services, ServiceTarget target, StanzaType type, const char *element,
                   const char *ns, ServiceFlags flags, ServiceHandler handler, gpointer data);
/* A feature of the target's disco#info (XEP-0030). Identities and items of the targets are im/disco's. */
void services_add_feature (Services *services, ServiceTarget target, const char *feature);
const char *const *services_get_features (const Services *services, ServiceTarget target); /* sorted, lent */

/* An element of the stream features before login (XEP-0077 announces itself there). @xml is static. */
void services_add_stream_feature (Services *services, const char *xml);

/* A handler is lent its request; to answer later it takes a reference, and gives it back after answering. */
ServiceRequest *service_request_ref (ServiceRequest *request);
void service_request_unref (ServiceRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ServiceRequest, service_request_unref)

const Jid *service_request_get_sender (const ServiceRequest *request); /* full; NULL before login */
/* The network address the request came from, without a port, to count by. */
const char *service_request_get_address (const ServiceRequest *request);
/* The sender's account UUID; the user of the request, never a field of it. NULL before login. */
const char *service_request_get_account (const ServiceRequest *request);
StanzaType service_request_get_type (const ServiceRequest *request);
const Stanza *service_request_get_stanza (const ServiceRequest *request);
/* The payload element as a tree, read only, made at the first call (limits of wire are already checked);
 * lives as long as the request. */
xmpp_stanza_t *service_request_get_tree (ServiceRequest *request);

/* The result; @payload is XML in namespaces of its own, or NULL. */
void service_request_reply (ServiceRequest *request, const char *payload);
void service_request_refuse (ServiceRequest *request, StanzaError error, const char *text,
                             const char *application);
/* internal-server-error to the sender, and one log line with @error. */
void service_request_fail (ServiceRequest *request, const char *area, const GError *error);

/* How a push ended: the client's result, its error, no answer in 30 s, or no such session. */
typedef enum
{
  PUSH_ACCEPTED,
  PUSH_REFUSED,
  PUSH_TIMED_OUT,
  PUSH_NO_SESSION,
} PushOutcome;
typedef void (*PushDone) (PushOutcome outcome, gpointer data);
/* Sends an IQ set from market.D to a full address. @done may be NULL. */
void services_push (Services *services, const char *full_jid, const char *payload, PushDone done,
                    gpointer data);

/* A full address is gone for good (its session ended, or a push to it bounced): who keeps rows for it drops
 * them. */
typedef void (*ServicesGone) (const char *full_jid, gpointer data);
void services_add_gone (Services *services, ServicesGone gone, gpointer data);
