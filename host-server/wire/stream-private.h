/* The insides of a stream, shared by stream.c (its life, what goes out, what comes in) and stream-elements.c
 * (what its elements mean). */
#pragma once

#include "host-server/wire/stream-sasl.h"
#include "host-server/wire/stream.h"

#define CLIENT_NS  "jabber:client"
#define TLS_NS     "urn:ietf:params:xml:ns:xmpp-tls"
#define BIND_NS    "urn:ietf:params:xml:ns:xmpp-bind"
#define SESSION_NS "urn:ietf:params:xml:ns:xmpp-session"
#define SM_NS      "urn:xmpp:sm:3"

#define APPEND(out, literal) g_string_append_len (out, literal, sizeof (literal) - 1)

/* What must wait until the reader has come back. */
typedef enum
{
  PENDING_NOTHING,
  PENDING_TLS,
  PENDING_RESTART,
} Pending;

struct Stream
{
  gatomicrefcount references;
  const StreamSettings *settings;
  char *peer;
  char *account;
  gpointer owner;
  StreamNotify notify;
  gpointer notify_data;
  XmlReader *reader;
  Sasl *sasl;    /* NULL: no exchange runs */
  GString *out;  /* NULL: nothing to write */
  GString *held; /* bytes that came while reading was held */
  GString *scratch;
  Jid *jid;     /* bare once authenticated, full once bound */
  Jid *last_to; /* a client writes to the same address again and again */
  char *last_to_text;
  char *lang; /* the stream's xml:lang */
  guint64 n_stanzas;
  guint n_holds;
  guint n_failures;
  Pending pending;
  guint is_secure : 1;
  guint is_authenticated : 1;
  guint is_bound : 1;
  guint has_header : 1; /* of ours, since the last restart */
  guint wants_tls : 1;
  guint is_receiving : 1;
  guint is_ended : 1;
  guint watches_drain : 1;
};

/* The reader's side of it. */
extern const XmlHandler stream_reader_handler;

/* The buffer to write to, also while the stream ends. */
GString *stream_output (Stream *stream);
void stream_write_header (Stream *stream, const char *to);
void stream_write_features (Stream *stream);
/* Ends it without an error of ours. */
void stream_close (Stream *stream, StreamEnd how);
/* stream_end() without an application's element. */
void stream_fail (Stream *stream, const char *condition, const char *text);
