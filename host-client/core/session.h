/* The account's presence on its server over time: finds the server, logs in, notices when the network is
 * gone, comes back; asks questions and hands their answers out. What is said in the stream is the business of
 * those who watch it (chat, roster, market).
 *
 * All on the thread of the main context it was made on. It must not be freed from within a callback. */
#pragma once

#include "host-client/core/connection.h"
#include "host-client/core/endpoint.h"
#include "host-client/core/request.h"

typedef struct Session Session;

typedef enum
{
  SESSION_OFFLINE,    /* and not trying */
  SESSION_LOOKING_UP, /* asks for the server's address */
  SESSION_CONNECTING, /* reaches out to an address */
  SESSION_LOGGING_IN, /* encrypted, shows who we are */
  SESSION_ONLINE,
  SESSION_WAITING, /* the server could not be reached, or was lost: tries again by itself */
} SessionState;

typedef enum
{
  SESSION_RETRY_ALWAYS,      /* keep trying, from the first attempt on */
  SESSION_RETRY_ONCE_ONLINE, /* give up if the first round fails; return after a loss */
} SessionRetry;

typedef struct
{
  const char *account; /* prepared bare JID */
  const Secret *password;
  const Endpoint *server; /* NULL: found through the account's domain */
  const char *pin;        /* this certificate and no other (hex SHA-256); NULL: verify */
  const char *stored_pin; /* this one too if it cannot be verified; NULL: none */
  SessionRetry retry;
  const Clock *clock; /* outlives the session */
} SessionOptions;

typedef struct
{
  SessionState state;
  ConnectionEnd end;       /* of OFFLINE and WAITING: why */
  const char *detail;      /* one line, "" if there is nothing to say */
  const char *fingerprint; /* if the end is CERTIFICATE: what the server showed */
  guint retry_ms;          /* of WAITING */
} SessionReport;

/* Every callback may be NULL. */
typedef struct
{
  void (*state) (const SessionReport *report, gpointer data);
  /* The stream is up; requests can be sent. After `state`. */
  void (*online) (gpointer data);
  void (*message) (const Message *message, gpointer data);
  void (*presence) (const Presence *presence, gpointer data);
} SessionWatch;

/* Copies @options. @pushes as in connection_new(); their values go to what session_on_push() names. */
Session *session_new (const SessionOptions *options, const ConnectionPush *pushes);
void session_free (Session *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Session, session_free)

/* @watch is copied; it stays as long as the session. */
void session_watch (Session *session, const SessionWatch *watch, gpointer data);
typedef void (*SessionPushFunc) (gpointer take_value, gpointer data);
/* Who gets pushes of namespace @ns. */
void session_on_push (Session *session, const char *ns, SessionPushFunc callback, gpointer data);

void session_open (Session *session);
/* Logs out; `state` reports OFFLINE with CONNECTION_END_CLOSED, at the latest two seconds later. */
void session_close (Session *session);
/* While WAITING: try now. */
void session_hurry (Session *session);
/* The user trusts the certificate that was shown: try again with it. Does not store it. */
void session_trust (Session *session, const char *fingerprint);

const SessionReport *session_peek_report (const Session *session);
gboolean session_is_online (const Session *session);
const char *session_peek_account (const Session *session);
const char *session_peek_domain (const Session *session);
/* The full JID that the server gave us; "" while offline. */
const char *session_peek_jid (const Session *session);
const Clock *session_peek_clock (const Session *session);

/* Sends one stanza. FALSE if we are not online. */
gboolean session_send (Session *session, const char *xml);

#define SESSION_TIMEOUT_S 20

/* Asks @to (NULL: our account) with an IQ of @type holding @payload (XML). @callback comes exactly once, with
 * the value @read made; what it does not take is freed with @free_value. Not from within this call. */
void session_request (Session *session, const char *type, const char *to, const char *payload,
                      ElementReader read, GDestroyNotify free_value, ReplyFunc callback, gpointer data);
/* Asks the server for a sign of life: a result proves that it has taken everything sent before. */
void session_ping (Session *session, ReplyFunc callback, gpointer data);
