/* What the files of the connection share; nobody else includes it. */
#pragma once

#include "host-client/core/connection.h"
#include "host-client/core/mailbox.h"

/* ---- connection-memory.c: libstrophe's allocator ---- */

typedef struct ConnectionBlock ConnectionBlock;

/* An empty ring of blocks. */
ConnectionBlock *connection_blocks_new (void);
/* Wipes and frees what is in it, and the ring. */
void connection_blocks_free (ConnectionBlock *ring);
/* Fills @mem with functions that keep what they allocate in @ring. */
void connection_blocks_hook (ConnectionBlock *ring, xmpp_mem_t *mem);

/* ---- connection-event.c: what goes to the owner ---- */

typedef enum
{
  EVENT_STEP,
  EVENT_ONLINE,
  EVENT_ENDED,
  EVENT_MESSAGE,
  EVENT_PRESENCE,
  EVENT_REPLY,
  EVENT_PUSH,
} EventKind;

typedef struct
{
  EventKind kind;
  guint number;
  ConnectionStep step;
  ConnectionEnd end;
  char *text, *fingerprint;
  gpointer value;
  GDestroyNotify free_value;
  const ConnectionPush *push;
} Event;

Event *event_new (guint number, EventKind kind);
void event_free (gpointer event);
/* Calls the owner and frees @take_event. */
void event_deliver (Event *take_event, const ConnectionEvents *events, gpointer data);

/* ---- connection.c ---- */

typedef struct
{
  ElementReader read;
  GDestroyNotify free_value;
} Reader;

/* One try, on the connection's thread only. */
typedef struct Attempt Attempt;
struct Attempt
{
  Connection *connection;
  guint number;
  xmpp_mem_t mem;
  xmpp_log_t log;
  ConnectionBlock *blocks; /* what libstrophe has allocated: a ring, this its start */
  xmpp_ctx_t *ctx;
  xmpp_conn_t *conn;
  char *jid, *address, *pin;
  guint16 port;
  gboolean is_direct_tls, is_pin_only;
  Secret *password;

  GSource *watch, *tick;
  GHashTable *readers; /* id -> Reader */
  char *unverified;    /* why the certificate could not be verified; NULL: it could */
  char *sasl_condition;
  char *fault; /* libstrophe's last complaint */
  char *fingerprint;
  guint stanzas;
  gboolean has_tried_tls, is_secured, is_trusted, has_failed_sasl, is_online, is_closing, is_over;
  ConnectionEnd end;
  char *detail;
};

struct Connection
{
  const ConnectionPush *pushes;
  ConnectionEvents events;
  gpointer data;

  /* the owner's side */
  guint number; /* of the attempt whose events are wanted; 0: none */
  guint last_number;

  Mailbox *inbox;  /* commands, to the thread */
  Mailbox *outbox; /* events, to the owner */
  pthread_t thread;
  GMainContext *context;
  GMainLoop *loop;

  GMutex lock;
  int socket; /* under the lock: a duplicate of libstrophe's, for connection_abort(); -1: none */

  Attempt *attempt; /* the thread's */
};

/* Sends it to the owner. */
void attempt_post (Attempt *attempt, Event *take_event);
/* Queues XML text. */
void attempt_send (Attempt *attempt, const char *xml);

/* ---- connection-stanza.c ---- */

/* libstrophe's handler for every stanza; @data is the Attempt. */
int attempt_on_stanza (xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data);
