/* One thread, one main context, one libstrophe connection at a time. The owner's calls become Commands in the
 * thread's mailbox, what happens here becomes Events in the owner's. Everything that is said about libstrophe
 * in the comments marked COMPAT is about version 0.12.
 *
 * libstrophe learns the password only once the channel is encrypted and the certificate was accepted here, so
 * whatever it does before cannot give the password away. */
#include "host-client/core/connection.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/protocol/tree.h"
#include "host-client/core/mailbox.h"

/* Events that wait for the owner; above it the socket is not read. */
#define EVENTS_MAX 1000
/* Turns of libstrophe's loop for one wake-up. */
#define TURNS_MAX 64
#define LOGIN_TICK_MS  10
#define BUSY_TICK_MS   20
#define CLOSE_WAIT_MS  2000
#define STACK_BYTES    (64 * 1024 * 1024)

#define NS_PING       "urn:xmpp:ping"
#define NS_VERSION    "jabber:iq:version"
#define NS_DISCO_INFO "http://jabber.org/protocol/disco#info"

typedef struct
{
  ElementReader read;
  GDestroyNotify free_value;
} Reader;

/* One try, on the connection's thread only. */
typedef struct
{
  Connection *connection;
  guint number;
  xmpp_mem_t mem;
  xmpp_log_t log;
  struct Block *blocks; /* what libstrophe has allocated: a ring, this its start */
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
} Attempt;

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

/* COMPAT: the socket and certificate callbacks get no user data. The thread serves one attempt at a time, so
 * that is whose callback it is. */
static GPrivate current_attempt;

/* ---- events, to the owner ---- */

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

static void
event_free (gpointer data)
{
  Event *event = data;
  if (event->kind == EVENT_REPLY)
    {
      ConnectionReply *reply = event->value;
      if (reply->value != NULL && event->free_value != NULL)
        event->free_value (reply->value);
      stanza_error_free (reply->error);
      g_free (reply->id);
      g_free (reply->from);
      g_free (reply);
    }
  else if (event->value != NULL && event->free_value != NULL)
    event->free_value (event->value);
  g_free (event->text);
  g_free (event->fingerprint);
  g_free (event);
}

static Event *
event_new (const Attempt *attempt, EventKind kind)
{
  Event *event = g_new0 (Event, 1);
  event->kind = kind;
  event->number = attempt->number;
  return event;
}

static void
post (Attempt *attempt, Event *take_event)
{
  mailbox_post (attempt->connection->outbox, take_event);
}

static void
deliver (gpointer item, gpointer data)
{
  Connection *connection = data;
  Event *event = item;
  const ConnectionEvents *events = &connection->events;
  if (event->number != connection->number)
    {
      event_free (event);
      return;
    }

  switch (event->kind)
    {
    case EVENT_STEP:
      events->step (event->step, connection->data);
      break;
    case EVENT_ONLINE:
      events->online (event->text, connection->data);
      break;
    case EVENT_ENDED:
      {
        ConnectionEnded ended = { event->end, event->text, event->fingerprint };
        connection->number = 0;
        events->ended (&ended, connection->data);
        break;
      }
    case EVENT_MESSAGE:
      events->message (event->value, connection->data);
      break;
    case EVENT_PRESENCE:
      events->presence (event->value, connection->data);
      break;
    case EVENT_REPLY:
      events->reply (event->value, connection->data);
      break;
    case EVENT_PUSH:
      events->push (event->push, g_steal_pointer (&event->value), connection->data);
      break;
    }
  event_free (event);
}

/* ---- memory and log hooks ---- */

/* COMPAT: libstrophe frees passwords, SASL messages and serials as they are, and loses some blocks when a stream
 * ends in the middle of a login. So its blocks are wiped when they are freed, and those of an attempt end with
 * it. */
typedef struct Block Block;
struct Block
{
  Block *previous, *next;
  gsize size;
  max_align_t bytes[];
};

static void *
hook_alloc (size_t size, void *data)
{
  Block *list = data, *block = size < G_MAXSIZE - sizeof (Block) ? malloc (sizeof (Block) + size) : NULL;
  if (block == NULL)
    return NULL;
  block->size = size;
  block->previous = list;
  block->next = list->next;
  block->next->previous = block;
  list->next = block;
  return block->bytes;
}

static void
block_free (Block *block)
{
  block->previous->next = block->next;
  block->next->previous = block->previous;
  explicit_bzero (block->bytes, block->size);
  free (block);
}

static void
hook_free (void *bytes, void *data)
{
  if (bytes != NULL)
    block_free ((Block *) ((char *) bytes - offsetof (Block, bytes)));
}

static void *
hook_realloc (void *bytes, size_t size, void *data)
{
  void *copy = hook_alloc (size, data);
  if (bytes == NULL || copy == NULL)
    return copy;
  const Block *old = (const Block *) ((char *) bytes - offsetof (Block, bytes));
  memcpy (copy, bytes, MIN (old->size, size));
  hook_free (bytes, data);
  return copy;
}

static const char *const sasl_conditions[]
    = { "not-authorized", "account-disabled", "credentials-expired", "temporary-auth-failure",
        "encryption-required", "mechanism-too-weak", "invalid-authzid", "malformed-request" };

/* COMPAT: a wrong password is told nowhere but in this log, whose debug lines hold credentials and serials.
 * They are looked at here and go no further. */
static void
hook_log (void *data, xmpp_log_level_t level, const char *area, const char *line)
{
  Attempt *attempt = data;
  if (!attempt->is_online && g_str_has_prefix (line, "RECV: <failure"))
    {
      for (gsize i = 0; i < G_N_ELEMENTS (sasl_conditions); i++)
        if (strstr (line, sasl_conditions[i]) != NULL)
          {
            g_free (attempt->sasl_condition);
            attempt->sasl_condition = g_strdup (sasl_conditions[i]);
          }
    }
  else if (!attempt->is_online && g_str_has_prefix (line, "SASL ") && g_str_has_suffix (line, " auth failed"))
    {
      attempt->has_failed_sasl = TRUE;
      /* COMPAT: it would go on to the next mechanism, down to the bare password, and count as many wrong
       * passwords at the server. Cut the line before it can. */
      connection_abort (attempt->connection);
    }
  else if (!attempt->is_online && g_str_has_prefix (line, "SASL ") && g_str_has_suffix (line, " auth successful"))
    {
      Event *event = event_new (attempt, EVENT_STEP);
      event->step = CONNECTION_STEP_AUTHENTICATED;
      post (attempt, event);
    }
  else if (g_str_has_prefix (line, "parse error"))
    connection_abort (attempt->connection); /* COMPAT: it would say so and wait for the other side to leave */
  else if (g_str_has_prefix (line, "proceeding with TLS"))
    attempt->has_tried_tls = TRUE;
  else if (level == XMPP_LEVEL_ERROR)
    {
      g_free (attempt->fault);
      attempt->fault = g_strdup (line);
      g_strdelimit (attempt->fault, "\r\n", ' ');
    }
}

/* ---- libstrophe's callbacks ---- */

static int
on_socket (xmpp_conn_t *conn, void *socket)
{
  Attempt *attempt = g_private_get (&current_attempt);
  int fd = *(int *) socket, on = 1;
  /* COMPAT: it waits with select(). */
  if (fd >= FD_SETSIZE)
    return -1;
  /* COMPAT: it does not set these itself. */
  fcntl (fd, F_SETFD, FD_CLOEXEC);
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);

  /* COMPAT: it shows its descriptor nowhere else, and closes it when it likes; ours stays ours. */
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0)
    return -1;
  g_mutex_lock (&attempt->connection->lock);
  if (attempt->connection->socket >= 0)
    close (attempt->connection->socket);
  attempt->connection->socket = copy;
  g_mutex_unlock (&attempt->connection->lock);
  return 0;
}

/* COMPAT: called for the certificate that failed, which may be an issuer's, and cannot say whose connection it
 * is. So note the reason, let the handshake end, and judge the server's own certificate right after it
 * (judge_certificate), before the password is there to be sent. */
static int
on_unverified (const xmpp_tlscert_t *certificate, const char *const reason)
{
  Attempt *attempt = g_private_get (&current_attempt);
  if (attempt->unverified == NULL)
    attempt->unverified = g_strdup (reason != NULL ? reason : "not verified");
  return 1;
}

static const char *
describe_stream_error (xmpp_error_type_t type)
{
  switch (type)
    {
    case XMPP_SE_CONFLICT:
      return "another session took this address";
    case XMPP_SE_HOST_UNKNOWN:
    case XMPP_SE_HOST_GONE:
      return "the server does not serve this domain";
    case XMPP_SE_POLICY_VIOLATION:
      return "the server's rules were violated";
    case XMPP_SE_SYSTEM_SHUTDOWN:
      return "the server is shutting down";
    case XMPP_SE_CONN_TIMEOUT:
      return "the server gave up waiting";
    case XMPP_SE_RESOURCE_CONSTRAINT:
      return "the server is overloaded";
    case XMPP_SE_NOT_AUTHORIZED:
      return "the server ended the session: not authorized";
    default:
      return "the server ended the stream with an error";
    }
}

static void
classify_end (Attempt *attempt, const xmpp_stream_error_t *stream_error)
{
  attempt->end = attempt->is_online ? CONNECTION_END_LOST : CONNECTION_END_UNREACHABLE;
  if (attempt->is_closing)
    {
      attempt->end = CONNECTION_END_CLOSED;
      attempt->detail = g_strdup ("");
    }
  else if (attempt->has_failed_sasl)
    {
      const char *condition = attempt->sasl_condition != NULL ? attempt->sasl_condition : "not-authorized";
      gboolean is_passing = strcmp (condition, "temporary-auth-failure") == 0;
      attempt->end = is_passing ? CONNECTION_END_LOST : CONNECTION_END_NOT_AUTHORIZED;
      attempt->detail = g_strdup_printf ("the server refused the login: %s", condition);
    }
  else if (stream_error != NULL)
    {
      if (stream_error->type == XMPP_SE_CONFLICT)
        attempt->end = CONNECTION_END_REPLACED;
      else if (stream_error->type == XMPP_SE_HOST_UNKNOWN || stream_error->type == XMPP_SE_HOST_GONE
               || stream_error->type == XMPP_SE_NOT_AUTHORIZED)
        attempt->end = CONNECTION_END_REFUSED;
      else if (attempt->is_trusted)
        attempt->end = CONNECTION_END_LOST;
      attempt->detail = g_strdup (describe_stream_error (stream_error->type));
    }
  else if (!attempt->is_secured
           && (attempt->has_tried_tls
               || (attempt->fault != NULL && strstr (attempt->fault, "TLS is not supported") != NULL)))
    {
      attempt->end = CONNECTION_END_TLS;
      attempt->detail = g_strdup_printf ("no encrypted connection: %s",
                                         attempt->fault != NULL ? attempt->fault : "the handshake failed");
    }
  else if (attempt->is_trusted && !attempt->is_online)
    {
      attempt->end = CONNECTION_END_LOST;
      attempt->detail = g_strdup ("the connection ended during login");
      if (attempt->fault != NULL && strstr (attempt->fault, "Cannot authenticate") != NULL)
        {
          attempt->end = CONNECTION_END_NOT_AUTHORIZED;
          g_free (attempt->detail);
          attempt->detail = g_strdup ("the server offers no way to log in that is supported here");
        }
    }
  else
    attempt->detail = g_strdup (attempt->is_online ? "the connection was lost" : "no XMPP server answers there");
}

static void
on_connection (xmpp_conn_t *conn, xmpp_conn_event_t happened, int error, xmpp_stream_error_t *stream_error,
               void *data)
{
  Attempt *attempt = data;
  if (happened == XMPP_CONN_CONNECT)
    {
      attempt->is_online = TRUE;
      Event *event = event_new (attempt, EVENT_ONLINE);
      event->text = g_strdup (xmpp_conn_get_bound_jid (conn));
      post (attempt, event);
      return;
    }
  if (attempt->is_over)
    return;
  attempt->is_over = TRUE;
  classify_end (attempt, stream_error);
}

/* ---- stanzas ---- */

static void
send_text (Attempt *attempt, const char *xml)
{
  if (!attempt->is_over)
    xmpp_send_raw (attempt->conn, xml, strlen (xml));
}

static void
answer (Attempt *attempt, xmpp_stanza_t *iq, const char *payload)
{
  g_autofree char *xml
      = iq_write ("result", xmpp_stanza_get_from (iq), xmpp_stanza_get_id (iq), payload);
  send_text (attempt, xml);
}

static void
refuse (Attempt *attempt, xmpp_stanza_t *iq, const char *type, const char *condition)
{
  g_autofree char *payload = g_strdup_printf ("<error type='%s'><%s xmlns='" XMPP_NS_STANZAS_IETF "'/></error>",
                                              type, condition);
  g_autofree char *xml
      = iq_write ("error", xmpp_stanza_get_from (iq), xmpp_stanza_get_id (iq), payload);
  send_text (attempt, xml);
}

static gboolean
sender_is_allowed (Attempt *attempt, ConnectionSender sender, const char *from)
{
  const char *bound = xmpp_conn_get_bound_jid (attempt->conn);
  const char *slash = strchr (bound, '/'), *at = strchr (bound, '@');
  g_autofree char *bare = slash != NULL ? g_strndup (bound, slash - bound) : g_strdup (bound);
  if (sender == CONNECTION_SENDER_ACCOUNT)
    return from == NULL || strcmp (from, bare) == 0;

  const char *domain = at != NULL && (slash == NULL || at < slash) ? bare + (at - bound) + 1 : bare;
  g_autofree char *market = g_strconcat ("market.", domain, NULL);
  return g_strcmp0 (from, market) == 0;
}

static void
on_push (Attempt *attempt, xmpp_stanza_t *iq, xmpp_stanza_t *element, const ConnectionPush *push)
{
  if (!sender_is_allowed (attempt, push->sender, xmpp_stanza_get_from (iq)))
    {
      refuse (attempt, iq, "auth", "forbidden");
      return;
    }
  gpointer value = push->read (element);
  if (value == NULL)
    {
      refuse (attempt, iq, "modify", "bad-request");
      return;
    }
  Event *event = event_new (attempt, EVENT_PUSH);
  event->push = push;
  event->value = value;
  event->free_value = push->free_value;
  post (attempt, event);
  answer (attempt, iq, NULL);
}

static void
on_request (Attempt *attempt, xmpp_stanza_t *iq)
{
  gboolean is_get = strcmp (xmpp_stanza_get_type (iq), "get") == 0;
  xmpp_stanza_t *element = tree_first (iq);
  if (element == NULL || xmpp_stanza_get_id (iq) == NULL)
    {
      refuse (attempt, iq, "modify", "bad-request");
      return;
    }
  for (const ConnectionPush *push = attempt->connection->pushes; !is_get && push->ns != NULL; push++)
    if (stanza_is (element, push->ns, push->name))
      {
        on_push (attempt, iq, element, push);
        return;
      }

  if (is_get && stanza_is (element, NS_PING, "ping"))
    answer (attempt, iq, NULL);
  else if (is_get && stanza_is (element, NS_VERSION, "query"))
    answer (attempt, iq, "<query xmlns='" NS_VERSION "'><name>host-client</name><version>0.1.0</version></query>");
  else if (is_get && stanza_is (element, NS_DISCO_INFO, "query")
           && xmpp_stanza_get_attribute (element, "node") == NULL)
    answer (attempt, iq,
            "<query xmlns='" NS_DISCO_INFO "'><identity category='client' type='console' name='host-client'/>"
            "<feature var='" NS_DISCO_INFO "'/><feature var='" NS_PING "'/><feature var='" NS_VERSION "'/></query>");
  else
    refuse (attempt, iq, "cancel", "service-unavailable");
}

static void
on_reply (Attempt *attempt, xmpp_stanza_t *iq)
{
  const char *id = xmpp_stanza_get_id (iq);
  g_autofree Reader *reader = NULL;
  g_autofree char *key = NULL;
  if (id == NULL
      || !g_hash_table_steal_extended (attempt->readers, id, (gpointer *) &key, (gpointer *) &reader))
    return;

  ConnectionReply *reply = g_new0 (ConnectionReply, 1);
  reply->id = g_strdup (id);
  reply->from = g_strdup (xmpp_stanza_get_from (iq));
  xmpp_stanza_t *element = tree_first (iq);
  gboolean is_error = strcmp (xmpp_stanza_get_type (iq), "error") == 0;
  if (is_error)
    {
      reply->error = stanza_error_read (iq);
      if (element != NULL && strcmp (xmpp_stanza_get_name (element), "error") == 0)
        element = NULL;
    }
  if (reader->read != NULL && (!is_error || element != NULL))
    reply->value = reader->read (element);
  reply->is_readable = is_error || reader->read == NULL || reply->value != NULL;

  Event *event = event_new (attempt, EVENT_REPLY);
  event->value = reply;
  event->free_value = reader->free_value;
  post (attempt, event);
}

static int
on_stanza (xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data)
{
  Attempt *attempt = data;
  const char *name = xmpp_stanza_get_name (stanza), *type = xmpp_stanza_get_type (stanza);
  attempt->stanzas++;
  if (!attempt->is_online || name == NULL)
    return 1;

  if (strcmp (name, "iq") == 0)
    {
      if (g_strcmp0 (type, "result") == 0 || g_strcmp0 (type, "error") == 0)
        on_reply (attempt, stanza);
      else if (g_strcmp0 (type, "get") == 0 || g_strcmp0 (type, "set") == 0)
        on_request (attempt, stanza);
      return 1;
    }

  Event *event = NULL;
  if (strcmp (name, "message") == 0)
    {
      event = event_new (attempt, EVENT_MESSAGE);
      event->value = message_read (stanza);
      event->free_value = (GDestroyNotify) message_free;
    }
  else if (strcmp (name, "presence") == 0)
    {
      event = event_new (attempt, EVENT_PRESENCE);
      event->value = presence_read (stanza);
      event->free_value = (GDestroyNotify) presence_free;
    }
  if (event != NULL && event->value != NULL)
    post (attempt, event);
  else if (event != NULL)
    event_free (event);
  return 1;
}

/* ---- the loop ---- */

static void attempt_end (Attempt *attempt);
static void attempt_pump (Attempt *attempt);

static void
finish (Attempt *attempt, ConnectionEnd end, const char *detail)
{
  if (attempt->is_over)
    return;
  attempt->is_over = TRUE;
  attempt->end = end;
  attempt->detail = g_strdup (detail);
}

/* Runs once, after the handshake and before anything else is read. */
static void
judge_certificate (Attempt *attempt)
{
  if (attempt->is_secured || attempt->is_over || !xmpp_conn_is_secured (attempt->conn))
    return;
  attempt->is_secured = TRUE;

  xmpp_tlscert_t *certificate = xmpp_conn_get_peer_cert (attempt->conn);
  const char *fingerprint
      = certificate != NULL ? xmpp_tlscert_get_string (certificate, XMPP_CERT_FINGERPRINT_SHA256) : NULL;
  attempt->fingerprint = g_ascii_strdown (fingerprint != NULL ? fingerprint : "", -1);
  if (certificate != NULL)
    xmpp_tlscert_free (certificate);

  gboolean is_pinned = attempt->pin != NULL && attempt->fingerprint[0] != '\0'
                       && g_ascii_strcasecmp (attempt->pin, attempt->fingerprint) == 0;
  if (!is_pinned && (attempt->unverified != NULL || attempt->is_pin_only))
    {
      finish (attempt, CONNECTION_END_CERTIFICATE,
              attempt->unverified != NULL ? attempt->unverified : "it is not the pinned certificate");
      return;
    }

  attempt->is_trusted = TRUE;
  xmpp_conn_set_pass (attempt->conn, secret_peek_text (attempt->password));
  Event *event = event_new (attempt, EVENT_STEP);
  event->step = CONNECTION_STEP_TLS;
  post (attempt, event);
}

static gboolean
on_tick (gpointer data)
{
  attempt_pump (data);
  return G_SOURCE_CONTINUE;
}

static void
set_tick (Attempt *attempt, guint interval_ms)
{
  if (attempt->tick != NULL)
    {
      g_source_destroy (attempt->tick);
      g_source_unref (attempt->tick);
      attempt->tick = NULL;
    }
  if (interval_ms == 0)
    return;
  attempt->tick = g_timeout_source_new (interval_ms);
  g_source_set_callback (attempt->tick, on_tick, attempt, NULL);
  g_source_attach (attempt->tick, attempt->connection->context);
}

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  attempt_pump (data);
  return G_SOURCE_CONTINUE;
}

static void
watch_socket (Attempt *attempt)
{
  attempt->watch = g_unix_fd_source_new (attempt->connection->socket, G_IO_IN);
  g_source_set_callback (attempt->watch, (GSourceFunc) (void (*) (void)) on_readable, attempt, NULL);
  g_source_attach (attempt->watch, attempt->connection->context);
}

/* COMPAT: one turn of its loop first writes what is queued and then reads at most 4 KiB, and bytes that rest in
 * TLS do not wake the descriptor: so two turns at least (read, then write what the reading led to), and more
 * while stanzas keep coming. */
static void
attempt_pump (Attempt *attempt)
{
  gboolean is_stalled = mailbox_get_length (attempt->connection->outbox) >= EVENTS_MAX;
  for (int turn = 0; turn < TURNS_MAX && !attempt->is_over && !is_stalled; turn++)
    {
      guint before = attempt->stanzas;
      gboolean was_online = attempt->is_online;
      xmpp_run_once (attempt->ctx, 0);
      judge_certificate (attempt);
      if (turn > 0 && attempt->stanzas == before && attempt->is_online == was_online)
        break;
      is_stalled = mailbox_get_length (attempt->connection->outbox) >= EVENTS_MAX;
    }
  if (attempt->is_over)
    {
      attempt_end (attempt);
      return;
    }

  /* COMPAT: before it is online it works by polling. Afterwards the descriptor wakes us, except while the
   * owner is behind, or the socket did not take all we wrote. */
  gboolean is_waiting = is_stalled || xmpp_conn_send_queue_len (attempt->conn) > 0;
  if (is_stalled && attempt->watch != NULL)
    {
      g_source_destroy (attempt->watch);
      g_clear_pointer (&attempt->watch, g_source_unref);
    }
  else if (!is_stalled && attempt->watch == NULL)
    watch_socket (attempt);
  if (attempt->is_online && attempt->tick != NULL && !is_waiting && !attempt->is_closing)
    set_tick (attempt, 0);
  else if (attempt->tick == NULL && is_waiting)
    set_tick (attempt, BUSY_TICK_MS);
}

static void
attempt_free (Attempt *attempt)
{
  set_tick (attempt, 0);
  if (attempt->watch != NULL)
    {
      g_source_destroy (attempt->watch);
      g_source_unref (attempt->watch);
    }
  attempt->is_over = TRUE;
  if (attempt->conn != NULL)
    xmpp_conn_release (attempt->conn);
  if (attempt->ctx != NULL)
    xmpp_ctx_free (attempt->ctx);
  while (attempt->blocks->next != attempt->blocks)
    block_free (attempt->blocks->next);
  g_free (attempt->blocks);
  g_mutex_lock (&attempt->connection->lock);
  if (attempt->connection->socket >= 0)
    close (attempt->connection->socket);
  attempt->connection->socket = -1;
  g_mutex_unlock (&attempt->connection->lock);

  attempt->connection->attempt = NULL;
  g_private_set (&current_attempt, NULL);
  g_hash_table_unref (attempt->readers);
  g_free (attempt->jid);
  g_free (attempt->address);
  g_free (attempt->pin);
  secret_free (attempt->password);
  g_free (attempt->unverified);
  g_free (attempt->sasl_condition);
  g_free (attempt->fault);
  g_free (attempt->fingerprint);
  g_free (attempt->detail);
  g_free (attempt);
}

static void
attempt_end (Attempt *attempt)
{
  Event *event = event_new (attempt, EVENT_ENDED);
  event->end = attempt->end;
  event->text = g_strdup (attempt->detail);
  if (attempt->end == CONNECTION_END_CERTIFICATE)
    event->fingerprint = g_strdup (attempt->fingerprint);
  post (attempt, event);
  attempt_free (attempt);
}

static void
attempt_start (Connection *connection, Attempt *attempt)
{
  connection->attempt = attempt;
  attempt->readers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  attempt->blocks = g_new0 (Block, 1);
  attempt->blocks->previous = attempt->blocks->next = attempt->blocks;
  attempt->mem = (xmpp_mem_t){ hook_alloc, hook_free, hook_realloc, attempt->blocks };
  attempt->log = (xmpp_log_t){ hook_log, attempt };
  attempt->has_tried_tls = attempt->is_direct_tls;
  g_private_set (&current_attempt, attempt);

  attempt->ctx = xmpp_ctx_new (&attempt->mem, &attempt->log);
  attempt->conn = xmpp_conn_new (attempt->ctx);
  xmpp_conn_set_jid (attempt->conn, attempt->jid);
  xmpp_conn_set_sockopt_callback (attempt->conn, on_socket);
  xmpp_conn_set_certfail_handler (attempt->conn, on_unverified);
  /* COMPAT: without MANDATORY_TLS a server that offers no TLS gets the password in clear; its stream management
   * sends old messages again and loses new ones. */
  xmpp_conn_set_flags (attempt->conn, XMPP_CONN_FLAG_MANDATORY_TLS | XMPP_CONN_FLAG_DISABLE_SM
                                          | (attempt->is_direct_tls ? XMPP_CONN_FLAG_LEGACY_SSL : 0));
  xmpp_handler_add (attempt->conn, on_stanza, NULL, NULL, NULL, attempt);
  if (xmpp_connect_client (attempt->conn, attempt->address, attempt->port, on_connection, attempt) != XMPP_EOK
      || connection->socket < 0)
    {
      finish (attempt, CONNECTION_END_UNREACHABLE, "no connection to that address");
      attempt_end (attempt);
      return;
    }
  watch_socket (attempt);
  set_tick (attempt, LOGIN_TICK_MS);
}

/* ---- commands, from the owner ---- */

typedef enum
{
  COMMAND_OPEN,
  COMMAND_CLOSE,
  COMMAND_SEND,
  COMMAND_FORGET,
  COMMAND_QUIT,
} CommandKind;

typedef struct
{
  CommandKind kind;
  Attempt *attempt;
  char *id, *xml;
  Reader reader;
} Command;

static void
command_free (gpointer data)
{
  Command *command = data;
  if (command->xml != NULL)
    secret_wipe (command->xml, strlen (command->xml));
  g_free (command->xml);
  g_free (command->id);
  g_free (command);
}

static gboolean
on_close_timeout (gpointer data)
{
  Attempt *attempt = data;
  finish (attempt, CONNECTION_END_CLOSED, "");
  attempt_end (attempt);
  return G_SOURCE_REMOVE;
}

static void
begin_close (Connection *connection)
{
  Attempt *attempt = connection->attempt;
  attempt->is_closing = TRUE;
  if (!attempt->is_online)
    {
      finish (attempt, CONNECTION_END_CLOSED, "");
      attempt_end (attempt);
      return;
    }
  xmpp_disconnect (attempt->conn);
  /* The tick's place is taken by the deadline; the descriptor still wakes us for the server's goodbye. */
  attempt_pump (attempt);
  if (connection->attempt == NULL)
    return; /* the server's goodbye was here already */
  set_tick (attempt, 0);
  attempt->tick = g_timeout_source_new (CLOSE_WAIT_MS);
  g_source_set_callback (attempt->tick, on_close_timeout, attempt, NULL);
  g_source_attach (attempt->tick, connection->context);
}

static void
obey (gpointer item, gpointer data)
{
  Connection *connection = data;
  Command *command = item;
  Attempt *attempt = connection->attempt;
  switch (command->kind)
    {
    case COMMAND_OPEN:
      attempt_start (connection, command->attempt);
      break;
    case COMMAND_CLOSE:
      if (attempt != NULL && !attempt->is_closing)
        begin_close (connection);
      break;
    case COMMAND_SEND:
      if (attempt == NULL || !attempt->is_online || attempt->is_closing)
        break;
      if (command->id != NULL)
        g_hash_table_insert (attempt->readers, g_steal_pointer (&command->id),
                             g_memdup2 (&command->reader, sizeof (Reader)));
      send_text (attempt, command->xml);
      attempt_pump (attempt);
      break;
    case COMMAND_FORGET:
      if (attempt != NULL)
        g_hash_table_remove (attempt->readers, command->id);
      break;
    case COMMAND_QUIT:
      if (attempt != NULL)
        attempt_free (attempt);
      g_main_loop_quit (connection->loop);
      break;
    }
  command_free (command);
}

static void *
run (void *data)
{
  Connection *connection = data;
  g_main_context_push_thread_default (connection->context);
  g_main_loop_run (connection->loop);
  g_main_context_pop_thread_default (connection->context);
  return NULL;
}

Connection *
connection_new (const ConnectionPush *pushes, const ConnectionEvents *events, gpointer data)
{
  static gsize is_initialised;
  if (g_once_init_enter (&is_initialised))
    {
      xmpp_initialize ();
      g_once_init_leave (&is_initialised, 1);
    }

  Connection *connection = g_new0 (Connection, 1);
  connection->pushes = pushes;
  connection->events = *events;
  connection->data = data;
  connection->socket = -1;
  g_mutex_init (&connection->lock);
  connection->context = g_main_context_new ();
  connection->loop = g_main_loop_new (connection->context, FALSE);
  g_autoptr (GMainContext) owner = g_main_context_ref_thread_default ();
  connection->outbox = mailbox_new (owner, deliver, connection, event_free);
  connection->inbox = mailbox_new (connection->context, obey, connection, command_free);

  /* COMPAT: trees are freed by recursion, as deep as a stanza is nested. Address space costs nothing. */
  pthread_attr_t attributes;
  pthread_attr_init (&attributes);
  pthread_attr_setstacksize (&attributes, STACK_BYTES);
  if (pthread_create (&connection->thread, &attributes, run, connection) != 0)
    g_error ("cannot start a thread");
  pthread_attr_destroy (&attributes);
  return connection;
}

void
connection_free (Connection *connection)
{
  if (connection == NULL)
    return;
  connection->number = 0;
  connection_abort (connection);
  Command *command = g_new0 (Command, 1);
  command->kind = COMMAND_QUIT;
  mailbox_post (connection->inbox, command);
  pthread_join (connection->thread, NULL);

  mailbox_free (connection->inbox);
  mailbox_free (connection->outbox);
  g_main_loop_unref (connection->loop);
  g_main_context_unref (connection->context);
  g_mutex_clear (&connection->lock);
  g_free (connection);
}

void
connection_open (Connection *connection, const ConnectionTarget *target)
{
  g_assert (connection->number == 0);
  connection->number = ++connection->last_number;

  Attempt *attempt = g_new0 (Attempt, 1);
  attempt->connection = connection;
  attempt->number = connection->number;
  attempt->jid = g_strdup (target->jid);
  attempt->address = g_strdup (target->address);
  attempt->port = target->port;
  attempt->is_direct_tls = target->is_direct_tls;
  attempt->pin = g_strdup (target->pin);
  attempt->is_pin_only = target->is_pin_only;
  attempt->password = secret_copy (target->password);

  Command *command = g_new0 (Command, 1);
  command->kind = COMMAND_OPEN;
  command->attempt = attempt;
  mailbox_post (connection->inbox, command);
}

void
connection_close (Connection *connection)
{
  Command *command = g_new0 (Command, 1);
  command->kind = COMMAND_CLOSE;
  mailbox_post (connection->inbox, command);
}

void
connection_abort (Connection *connection)
{
  g_mutex_lock (&connection->lock);
  if (connection->socket >= 0)
    shutdown (connection->socket, SHUT_RDWR);
  g_mutex_unlock (&connection->lock);
}

void
connection_send (Connection *connection, const char *xml)
{
  Command *command = g_new0 (Command, 1);
  command->kind = COMMAND_SEND;
  command->xml = g_strdup (xml);
  mailbox_post (connection->inbox, command);
}

void
connection_send_iq (Connection *connection, const char *id, const char *xml, ElementReader read,
                    GDestroyNotify free_value)
{
  Command *command = g_new0 (Command, 1);
  command->kind = COMMAND_SEND;
  command->id = g_strdup (id);
  command->xml = g_strdup (xml);
  command->reader = (Reader){ read, free_value };
  mailbox_post (connection->inbox, command);
}

void
connection_forget_iq (Connection *connection, const char *id)
{
  Command *command = g_new0 (Command, 1);
  command->kind = COMMAND_FORGET;
  command->id = g_strdup (id);
  mailbox_post (connection->inbox, command);
}
