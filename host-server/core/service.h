/* Requests in, replies and pushes out: all that the rooms beside im know of XMPP. It hides whether a client's
 * stream ends here or in a cluster behind a component stream, so nothing in it is a socket or a session.
 *
 * A service is found by target, IQ type, element name and namespace. A handler answers now or later, exactly
 * once. A session's requests have two lanes, one to the market and one to all else: within a lane a request
 * waits for the answer of the one before and for what holds the session (session_hold()), so that it reads
 * what it wrote; a slow purchase does not stop a ping. A request nobody handles is service-unavailable. */
#pragma once

#include "common/base/clock.h"
#include "host-server/core/hooks.h"

#include <strophe.h>

typedef struct Services Services;
typedef struct ServiceRequest ServiceRequest;

/* All are lent and outlive the services. Answers and time-outs run on the thread-default context. */
Services *services_new (SessionBook *book, Hooks *hooks, const Jid *domain, const Jid *market,
                        const Clock *clock);
/* Requests still held by handlers may be answered and given back later; nothing is sent then. */
void services_free (Services *services);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Services, services_free)

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
  SERVICE_OPEN = 1 << 1, /* also for senders outside D, who otherwise are answered `forbidden` */
  SERVICE_BEFORE_LOGIN
  = 1 << 2, /* also for streams that have not logged in: sender and account are NULL then */
} ServiceFlags;

typedef void (*ServiceHandler) (ServiceRequest *request, gpointer data);
/* @type is STANZA_TYPE_GET or STANZA_TYPE_SET. Texts are static. */
void services_add (Services *services, ServiceTarget target, StanzaType type, const char *element,
                   const char *ns, ServiceFlags flags, ServiceHandler handler, gpointer data);
/* A feature of the target's disco#info (XEP-0030). Identities and items of the targets are im/disco's. */
void services_add_feature (Services *services, ServiceTarget target, const char *feature);
const char *const *services_get_features (const Services *services, ServiceTarget target); /* sorted, lent */
/* An element of the stream features before login (`<register/>`); @xml is static. */
void services_add_stream_feature (Services *services, const char *xml);
/* All of them, one after the other; lent, "" if there are none. */
const char *services_get_stream_features (const Services *services);
/* Requests with a payload over @bytes are refused policy-violation before a tree is made; 0: no limit. */
void services_set_tree_limit (Services *services, gsize bytes);
/* A session with more requests than that waiting is not read until they are fewer. */
void services_set_waiting_limit (Services *services, guint requests);

/* For the router: an IQ to a target. Results and errors answer our pushes. */
void services_take (Services *services, Session *sender, ServiceTarget target, const Stanza *stanza);
/* For the session, when nothing holds it any more: what waited goes on. */
void services_resume (Services *services, Session *session);
/* For a stream before login: an IQ to D (`from` NULL). @reply is called at most once, with the whole answer,
 * now or later, then @free_data, which is also called without an answer. @address is the peer's, numeric. */
typedef void (*ServicesReply) (const char *xml, gsize length, gpointer data);
void services_take_before_login (Services *services, const char *address, const Stanza *stanza,
                                 ServicesReply reply, gpointer data, GDestroyNotify free_data);

/* A handler is lent its request; to answer later it takes a reference, and gives it back after answering. */
ServiceRequest *service_request_ref (ServiceRequest *request);
void service_request_unref (ServiceRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ServiceRequest, service_request_unref)

const Jid *service_request_get_sender (const ServiceRequest *request); /* full; NULL before login */
/* Before login: the peer's numeric address, for rate limits. NULL after login. */
const char *service_request_get_address (const ServiceRequest *request);
/* After login: the session that asks, for rooms that know sessions (im); NULL before login. */
Session *service_request_get_session (const ServiceRequest *request);
/* The sender's account UUID; the user of the request, never a field of it. */
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
/* The same with @payload (XML) before the error, for protocols whose errors show what was asked (RFC 6120
 * §8.3.1). */
void service_request_refuse_with (ServiceRequest *request, StanzaError error, const char *text,
                                  const char *application, const char *payload);
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
#define PUSH_TIMEOUT_S 30
/* Sends an IQ set from market.D to a full address. @done may be NULL; it is never called from inside this. */
void services_push (Services *services, const char *full_jid, const char *payload, PushDone done,
                    gpointer data);

/* A full address is gone for good (its session ended, or a push to it bounced): who keeps rows for it drops
 * them. */
typedef void (*ServicesGone) (const char *full_jid, gpointer data);
void services_add_gone (Services *services, ServicesGone gone, gpointer data);
