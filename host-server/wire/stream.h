/* A client's stream (RFC 6120): the negotiation of TLS, SASL and a resource, and then stanzas.
 *
 * It is a function from state and bytes to state and bytes: what it answers lies in its output, what it must
 * be told or cannot decide goes through its handler. No socket, no clock, no database in it. */
#pragma once

#include "host-server/wire/buffers.h"
#include "host-server/wire/scram.h"
#include "host-server/wire/xml-reader.h"

typedef struct Stream Stream;

typedef enum
{
  STREAM_CLOSED, /* by the client, with its closing tag */
  STREAM_FAILED, /* by us, with a stream error */
  STREAM_LOST,   /* the connection ended under it */
} StreamEnd;

/* XEP-0198 elements of a stream with a resource; STREAM_RESUME also instead of binding one. */
typedef enum
{
  STREAM_ENABLE,
  STREAM_RESUME,
  STREAM_ACK_REQUEST,
  STREAM_ACK,
} StreamManagement;

typedef struct
{
  StreamManagement element;
  gboolean wants_resumption; /* enable */
  guint32 max_s;             /* enable; 0: not said */
  const char *id;            /* resume */
  guint32 h;                 /* resume, ack */
} StreamManagementElement;

/* Called on the way through stream_receive(). @data is the settings' handler_data. */
typedef struct
{
  /* Looks up an account by prepared localpart. FALSE: there is none (the stream goes on with a false salt).
   */
  gboolean (*find_verifier) (Stream *stream, const char *local, ScramHash hash, ScramVerifier *verifier,
                             gpointer data);
  /* PLAIN: answered by stream_password_checked(), now or later; the stream reads nothing until then. */
  void (*check_password) (Stream *stream, const char *local, Secret *take_password, gpointer data);
  /* Whether this peer may try to log in (again) now. */
  gboolean (*may_login) (Stream *stream, gpointer data);
  void (*login_failed) (Stream *stream, const char *local, gpointer data);
  /* Binds a resource (NULL: of the server's choice) for the stream's account. Full address, or NULL with
   * @error. */
  Jid *(*bind) (Stream *stream, const Jid *bare, const char *resource, StanzaError *error, gpointer data);
  /* The answer to bind is written. */
  void (*bound) (Stream *stream, gpointer data);
  void (*stanza) (Stream *stream, const Stanza *stanza, gpointer data);
  /* A stanza that cannot be read as one (bad-request, jid-malformed): to be counted and answered. */
  void (*bad_stanza) (Stream *stream, const Stanza *stanza, StanzaError error, gpointer data);
  /* An IQ before login. FALSE: nobody serves it. */
  gboolean (*early_request) (Stream *stream, const Stanza *stanza, gpointer data);
  void (*management) (Stream *stream, const StreamManagementElement *element, gpointer data);
  /* All output has been written to the socket, after stream_watch_drain(). */
  void (*drained) (Stream *stream, gpointer data);
  /* Exactly once, for a stream that has an owner or not. */
  void (*ended) (Stream *stream, StreamEnd end, gpointer data);
} StreamHandler;

/* What the streams of a server share; it may change between two calls. */
typedef struct
{
  XmlPool *pool;
  Buffers *buffers;
  const Jid *domain;
  gboolean offers_tls;
  gboolean requires_tls;
  XmlLimits before_login;
  XmlLimits after_login;
  guint login_attempts; /* 0: no limit */
  const Secret *salt_key;
  guint32 iterations;         /* said to names without account */
  const char *early_features; /* XML of features before login; NULL: none */
  const StreamHandler *handler;
  gpointer handler_data;
} StreamSettings;

/* @settings outlives the stream. @peer is the network address, for limits and the log. */
Stream *stream_new (const StreamSettings *settings, const char *peer, gboolean is_secure);
Stream *stream_ref (Stream *stream);
void stream_unref (Stream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Stream, stream_unref)

const char *stream_get_peer (const Stream *stream);
/* The session; the stream does not own it. */
gpointer stream_get_owner (const Stream *stream);
void stream_set_owner (Stream *stream, gpointer owner);
/* What find_verifier() found: the account the login is for (its own copy; NULL: none). */
const char *stream_get_account (const Stream *stream);
void stream_set_account (Stream *stream, const char *account);
/* Who carries the bytes is told when output appears, and when reading may go on. */
typedef void (*StreamNotify) (Stream *stream, gpointer data);
void stream_set_notify (Stream *stream, StreamNotify notify, gpointer data);

/* Takes bytes of the client. Not reentrant. */
void stream_receive (Stream *stream, const char *bytes, gsize length);
/* The connection is gone. */
void stream_lose (Stream *stream);

/* What is to be written; NULL: nothing. Lent; stream_output_written() takes bytes off its front. */
GString *stream_peek_output (Stream *stream);
void stream_output_written (Stream *stream, gsize length);
/* The buffer to append stanzas to, and the notification; NULL once the stream has ended. */
GString *stream_write (Stream *stream);

/* Asks for the handler's drained(), once. */
void stream_watch_drain (Stream *stream);
/* Said by the carrier: the socket has taken all output. */
void stream_drained (Stream *stream);

/* After <proceed/> was taken into the output: it is written, then TLS begins, then this is said. */
gboolean stream_wants_tls (const Stream *stream);
void stream_secured (Stream *stream);

void stream_password_checked (Stream *stream, gboolean is_right);
/* Nothing more is read until the hold is given back; holds count. */
void stream_hold (Stream *stream);
void stream_release (Stream *stream);
/* Whether the carrier should read on. */
gboolean stream_wants_bytes (const Stream *stream);

/* Ends with a stream error (RFC 6120 §4.9) of that element name; @text and @application (XML) may be NULL. */
void stream_end (Stream *stream, const char *condition, const char *text, const char *application);
/* Nothing more comes out, and what comes in is not looked at: write the rest and close. */
gboolean stream_is_ended (const Stream *stream);
gboolean stream_is_authenticated (const Stream *stream);
gboolean stream_is_secure (const Stream *stream);
/* The account's bare address once authenticated; the full one once bound. */
const Jid *stream_get_jid (const Stream *stream);
/* A resumed stream takes its session's address. */
void stream_set_bound (Stream *stream, const Jid *full);
/* Stanzas read so far, for rates. */
guint64 stream_get_stanzas (const Stream *stream);
