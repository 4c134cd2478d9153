/* One stream to the server, driven by libstrophe on a thread of its own; nothing else here touches
 * libstrophe's connections. It makes one attempt at a time to one address; which address, when again, and
 * which certificate may be trusted is its owner's business (session.h).
 *
 * All functions are called, and all events come, on the thread of the owner's main context. Events of an
 * attempt end with exactly one `ended`; after connection_close() nothing but that comes. */
#pragma once

#include "common/base/secret.h"
#include "host-client/core/stanza.h"

typedef struct Connection Connection;

typedef enum
{
  CONNECTION_STEP_TLS,           /* encrypted, and the certificate is accepted */
  CONNECTION_STEP_AUTHENTICATED, /* the server believes the password */
} ConnectionStep;

typedef enum
{
  CONNECTION_END_CLOSED,         /* by connection_close() */
  CONNECTION_END_UNREACHABLE,    /* no TCP connection, or no XMPP server behind it */
  CONNECTION_END_LOST,           /* it worked, then it broke; or the server went away */
  CONNECTION_END_TLS,            /* no TLS offered, or the handshake failed */
  CONNECTION_END_CERTIFICATE,    /* not verified and not pinned: see ConnectionEnded.fingerprint */
  CONNECTION_END_NOT_AUTHORIZED, /* wrong user name or password */
  CONNECTION_END_REPLACED,       /* another session took this resource */
  CONNECTION_END_REFUSED, /* the server does not want us, for a cause that trying again does not change */
} ConnectionEnd;

typedef struct
{
  ConnectionEnd end;
  const char *detail;      /* one line, "" if there is nothing to say */
  const char *fingerprint; /* CERTIFICATE: SHA-256 of its DER form, 64 hex digits; else NULL */
} ConnectionEnded;

typedef struct
{
  const char *jid; /* full JID to bind; its domain is what the certificate must be for */
  const Secret *password;
  const char *address; /* numeric */
  guint16 port;
  gboolean is_direct_tls;
  const char *pin;      /* trust this certificate (hex) if it cannot be verified; NULL: none */
  gboolean is_pin_only; /* and no other, even if it can be verified */
} ConnectionTarget;

/* Turns an element into a struct of ours, on the connection's thread; NULL: it is not what it should be.
 * @element is NULL where an IQ result is empty. */
typedef gpointer (*ElementReader) (xmpp_stanza_t *element);

/* Requests that peers may send us: one table, given at the start. The element is read on the connection's
 * thread; a sender that is not allowed gets `forbidden`, an unreadable element `bad-request`, and what was
 * handed to the owner is answered with an empty result. */
typedef enum
{
  CONNECTION_SENDER_ACCOUNT, /* our own account: no `from`, or our bare JID */
  CONNECTION_SENDER_MARKET,  /* market.DOMAIN */
} ConnectionSender;

typedef struct
{
  const char *ns, *name;
  ConnectionSender sender;
  ElementReader read;
  GDestroyNotify free_value;
} ConnectionPush;

typedef struct
{
  char *id, *from;      /* @from NULL: none */
  StanzaError *error;   /* NULL: a result */
  gboolean is_readable; /* FALSE: a result whose content made no sense */
  gpointer value;       /* what the ElementReader made; also of an error that carries an element */
} ConnectionReply;

typedef struct
{
  void (*step) (ConnectionStep step, gpointer data);
  void (*online) (const char *bound_jid, gpointer data);
  void (*ended) (const ConnectionEnded *ended, gpointer data);
  void (*message) (const Message *message, gpointer data);
  void (*presence) (const Presence *presence, gpointer data);
  /* The receiver may take reply->value by setting it to NULL. */
  void (*reply) (ConnectionReply *reply, gpointer data);
  /* @value belongs to the receiver. */
  void (*push) (const ConnectionPush *push, gpointer value, gpointer data);
} ConnectionEvents;

/* @pushes is an array that ends with a NULL ns; it and what it names outlive the connection. Events come on
 * the thread-default context. */
Connection *connection_new (const ConnectionPush *pushes, const ConnectionEvents *events, gpointer data);
/* Ends what is under way without an event, and the thread. Not from within one of its events. */
void connection_free (Connection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Connection, connection_free)

/* Starts an attempt; a programming error before the last one has ended. Everything is copied. */
void connection_open (Connection *connection, const ConnectionTarget *target);
/* Says goodbye, waits at most two seconds for the server's; `ended` follows. */
void connection_close (Connection *connection);
/* Breaks the socket at once, whatever blocks on it: `ended` follows. */
void connection_abort (Connection *connection);

/* Queues XML text, one whole stanza. Dropped if no stream is up. */
void connection_send (Connection *connection, const char *xml);
/* As connection_send() for an IQ with @id: its answer is read by @read (NULL: any result is fine) and comes
 * as `reply`. */
void connection_send_iq (Connection *connection, const char *id, const char *xml, ElementReader read,
                         GDestroyNotify free_value);
/* The answer to @id is not waited for any more. */
void connection_forget_iq (Connection *connection, const char *id);
