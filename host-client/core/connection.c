/* One thread, one main context, one libstrophe connection at a time. The owner's calls become Commands in the
 * thread's mailbox, what happens here becomes Events in the owner's. Everything that is said about libstrophe
 * in the comments marked COMPAT is about version 0.12.
 *
 * libstrophe learns the password only once the channel is encrypted and the certificate was accepted here, so
 * whatever it does before cannot give the password away. */
#include "host-client/core/connection-private.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"

/* Events that wait for the owner; above it the socket is not read. */
#define EVENTS_MAX 1000
/* Turns of libstrophe's loop for one wake-up. */
#define TURNS_MAX     64
#define LOGIN_TICK_MS 10
#define BUSY_TICK_MS  20
#define CLOSE_WAIT_MS 2000
#define STACK_BYTES   (64 * 1024 * 1024)

/* COMPAT: the socket and certificate callbacks get no user data. The thread serves one attempt at a time, so
 * that is whose callback it is. */
static GPrivate current_attempt;

void
attempt_post (Attempt *attempt, Event *take_event)
{
  mailbox_post (attempt->connection->outbox, take_event);
}

void
attempt_send (Attempt *attempt, const char *xml)
{
  if (!attempt->is_over)
    xmpp_send_raw (attempt->conn, xml, strlen (xml));
}

static void
deliver (gpointer item, gpointer data)
{
  Connection *connection = data;
  Event *event = item;
  if (event->number != connection->number)
    {
      event_free (event);
      return;
    }
  if (event->kind == EVENT_ENDED)
    connection->number = 0;
  event_deliver (event, &connection->events, connection->data);
}

/* ---- the log hook ---- */

static const char *const sasl_conditions[]
    = { "not-authorized",      "account-disabled",   "credentials-expired", "temporary-auth-failure",
        "encryption-required", "mechanism-too-weak", "invalid-authzid",     "malformed-request" };

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
  else if (!attempt->is_online && g_str_has_prefix (line, "SASL ")
           && g_str_has_suffix (line, " auth successful"))
    {
      Event *event = event_new (attempt->number, EVENT_STEP);
      event->step = CONNECTION_STEP_AUTHENTICATED;
      attempt_post (attempt, event);
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
  int fd = *(int *)socket, on = 1;
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

/* COMPAT: called for the certificate that failed, which may be an issuer's, and cannot say whose connection
 * it is. So note the reason, let the handshake end, and judge the server's own certificate right after it
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
    attempt->detail
        = g_strdup (attempt->is_online ? "the connection was lost" : "no XMPP server answers there");
}

static void
on_connection (xmpp_conn_t *conn, xmpp_conn_event_t happened, int error, xmpp_stream_error_t *stream_error,
               void *data)
{
  Attempt *attempt = data;
  if (happened == XMPP_CONN_CONNECT)
    {
      attempt->is_online = TRUE;
      Event *event = event_new (attempt->number, EVENT_ONLINE);
      event->text = g_strdup (xmpp_conn_get_bound_jid (conn));
      attempt_post (attempt, event);
      return;
    }
  if (attempt->is_over)
    return;
  attempt->is_over = TRUE;
  classify_end (attempt, stream_error);
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

static char *
describe_distrust (const Attempt *attempt)
{
  if (attempt->pin == NULL)
    return g_strdup (attempt->unverified);
  return g_strdup_printf ("it is not the one that was trusted before%s%s",
                          attempt->unverified != NULL ? "; " : "",
                          attempt->unverified != NULL ? attempt->unverified : "");
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
      g_autofree char *detail = describe_distrust (attempt);
      finish (attempt, CONNECTION_END_CERTIFICATE, detail);
      return;
    }

  attempt->is_trusted = TRUE;
  xmpp_conn_set_pass (attempt->conn, secret_peek_text (attempt->password));
  Event *event = event_new (attempt->number, EVENT_STEP);
  event->step = CONNECTION_STEP_TLS;
  attempt_post (attempt, event);
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
  g_source_set_callback (attempt->watch, (GSourceFunc)(void (*) (void))on_readable, attempt, NULL);
  g_source_attach (attempt->watch, attempt->connection->context);
}

/* COMPAT: one turn of its loop first writes what is queued and then reads at most 4 KiB, and bytes that rest
 * in TLS do not wake the descriptor. A TLS record has up to 16 KiB, and a turn that reads the middle of a
 * large stanza looks like one that reads nothing: so it is over when as many turns in a row brought nothing
 * as it takes to read a record to its end, and to write what that led to. */
#define QUIET_TURNS (16 / 4 + 1)

static void
attempt_pump (Attempt *attempt)
{
  gboolean is_stalled = mailbox_get_length (attempt->connection->outbox) >= EVENTS_MAX;
  int n_quiet = 0;
  for (int turn = 0; turn < TURNS_MAX && !attempt->is_over && !is_stalled && n_quiet < QUIET_TURNS; turn++)
    {
      guint before = attempt->stanzas;
      gboolean was_online = attempt->is_online;
      xmpp_run_once (attempt->ctx, 0);
      judge_certificate (attempt);
      n_quiet = attempt->stanzas == before && attempt->is_online == was_online ? n_quiet + 1 : 0;
      is_stalled = mailbox_get_length (attempt->connection->outbox) >= EVENTS_MAX;
    }
  if (attempt->is_over)
    {
      attempt_end (attempt);
      return;
    }

  /* COMPAT: before it is online it works by polling. Afterwards the descriptor wakes us, except while the
   * owner is behind, there was more than one look takes, or the socket did not take all we wrote. */
  gboolean is_waiting = is_stalled || n_quiet < QUIET_TURNS || xmpp_conn_send_queue_len (attempt->conn) > 0;
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
  connection_blocks_free (attempt->blocks);
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
  Event *event = event_new (attempt->number, EVENT_ENDED);
  event->end = attempt->end;
  event->text = g_strdup (attempt->detail);
  if (attempt->end == CONNECTION_END_CERTIFICATE)
    event->fingerprint = g_strdup (attempt->fingerprint);
  attempt_post (attempt, event);
  attempt_free (attempt);
}

static void
attempt_start (Connection *connection, Attempt *attempt)
{
  connection->attempt = attempt;
  attempt->readers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  attempt->blocks = connection_blocks_new ();
  connection_blocks_hook (attempt->blocks, &attempt->mem);
  attempt->log = (xmpp_log_t){ hook_log, attempt };
  attempt->has_tried_tls = attempt->is_direct_tls;
  g_private_set (&current_attempt, attempt);

  attempt->ctx = xmpp_ctx_new (&attempt->mem, &attempt->log);
  attempt->conn = xmpp_conn_new (attempt->ctx);
  xmpp_conn_set_jid (attempt->conn, attempt->jid);
  xmpp_conn_set_sockopt_callback (attempt->conn, on_socket);
  xmpp_conn_set_certfail_handler (attempt->conn, on_unverified);
  /* COMPAT: without MANDATORY_TLS a server that offers no TLS gets the password in clear; its stream
   * management sends old messages again and loses new ones. */
  xmpp_conn_set_flags (attempt->conn, XMPP_CONN_FLAG_MANDATORY_TLS | XMPP_CONN_FLAG_DISABLE_SM
                                          | (attempt->is_direct_tls ? XMPP_CONN_FLAG_LEGACY_SSL : 0));
  xmpp_handler_add (attempt->conn, attempt_on_stanza, NULL, NULL, NULL, attempt);
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
      attempt_send (attempt, command->xml);
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
