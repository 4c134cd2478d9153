#include "host-client/core/session.h"

#include <string.h>

#include "common/base/id.h"
#include "common/base/log.h"
#include "host-client/core/backoff.h"
#include "host-client/core/jid.h"

#define LOGIN_DEADLINE_S 30
/* A quiet connection is asked for a sign of life this often; a dead one is found within the sum of both. */
#define KEEPALIVE_S 60
#define PING        "<ping xmlns='urn:xmpp:ping'/>"

typedef struct
{
  SessionWatch watch;
  gpointer data;
} Watcher;

typedef struct
{
  const char *ns;
  SessionPushFunc callback;
  gpointer data;
} PushTarget;

/* A request that could not be sent: answered from the main loop. */
typedef struct
{
  ReplyFunc callback;
  gpointer data;
} Refused;

struct Session
{
  char *account, *domain, *resource;
  Secret *password;
  Endpoint *server;
  char *pin, *stored_pin;
  SessionRetry retry;
  const Clock *clock;

  Connection *connection;
  GArray *watchers; /* of Watcher */
  GArray *targets;  /* of PushTarget */
  GArray *refused;  /* of Refused */
  RequestTable *requests;
  Backoff backoff;
  GRand *random;

  SessionReport report;
  char *detail, *fingerprint, *jid;
  gboolean wants_online, was_online, is_attempting;
  GCancellable *looking_up;
  GPtrArray *addresses; /* of Endpoint */
  guint next_address;
  gint64 heard_us;
  guint retry_timer, login_timer, request_timer, keepalive_timer, refused_timer;
};

static void begin (Session *session);

static void
clear_timer (guint *timer)
{
  if (*timer != 0)
    g_source_remove (*timer);
  *timer = 0;
}

static const char *const state_names[] = {
  [SESSION_OFFLINE] = "offline",       [SESSION_LOOKING_UP] = "looking-up",
  [SESSION_CONNECTING] = "connecting", [SESSION_LOGGING_IN] = "logging-in",
  [SESSION_ONLINE] = "online",         [SESSION_WAITING] = "waiting",
};

static void
set_state (Session *session, SessionState state, ConnectionEnd end, const char *detail,
           const char *fingerprint, guint retry_ms)
{
  char *new_detail = g_strdup (detail), *new_fingerprint = g_strdup (fingerprint);
  g_free (session->detail);
  g_free (session->fingerprint);
  session->detail = new_detail;
  session->fingerprint = new_fingerprint;
  session->report = (SessionReport){ state, end, session->detail, session->fingerprint, retry_ms };
  log_info ("session", "state=%s account=%s %s", state_names[state], session->account, detail);
  for (guint i = 0; i < session->watchers->len; i++)
    {
      Watcher *watcher = &g_array_index (session->watchers, Watcher, i);
      if (watcher->watch.state != NULL)
        watcher->watch.state (&session->report, watcher->data);
    }
}

/* ---- attempts ---- */

static gboolean
on_login_deadline (gpointer data)
{
  Session *session = data;
  session->login_timer = 0;
  connection_abort (session->connection);
  return G_SOURCE_REMOVE;
}

static void
try_next_address (Session *session)
{
  const Endpoint *endpoint = g_ptr_array_index (session->addresses, session->next_address++);
  g_autofree char *jid = g_strconcat (session->account, "/", session->resource, NULL);
  ConnectionTarget target = {
    .jid = jid,
    .password = session->password,
    .address = endpoint->host,
    .port = endpoint->port,
    .is_direct_tls = endpoint->is_direct_tls,
    .pin = session->pin != NULL ? session->pin : session->stored_pin,
    .is_pin_only = session->pin != NULL,
  };
  session->is_attempting = TRUE;
  session->login_timer = g_timeout_add_seconds (LOGIN_DEADLINE_S, on_login_deadline, session);
  /* In this order: a watcher may close the session from within its callback. */
  connection_open (session->connection, &target);
  set_state (session, SESSION_CONNECTING, CONNECTION_END_CLOSED, "", NULL, 0);
}

static gboolean
on_retry (gpointer data)
{
  Session *session = data;
  session->retry_timer = 0;
  begin (session);
  return G_SOURCE_REMOVE;
}

static gboolean
is_final (ConnectionEnd end)
{
  return end == CONNECTION_END_CLOSED || end == CONNECTION_END_CERTIFICATE
         || end == CONNECTION_END_NOT_AUTHORIZED || end == CONNECTION_END_REPLACED
         || end == CONNECTION_END_REFUSED;
}

/* The round is over: stop, or come again. */
static void
give_up_round (Session *session, ConnectionEnd end, const char *detail, const char *fingerprint)
{
  gboolean may_retry = session->retry == SESSION_RETRY_ALWAYS || session->was_online;
  if (!session->wants_online || is_final (end) || !may_retry)
    {
      session->wants_online = FALSE;
      set_state (session, SESSION_OFFLINE, end, detail, fingerprint, 0);
      return;
    }
  guint delay_ms = backoff_note_failure (&session->backoff, g_rand_int (session->random));
  session->retry_timer = g_timeout_add (delay_ms, on_retry, session);
  set_state (session, SESSION_WAITING, end, detail, NULL, delay_ms);
}

static void
on_looked_up (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) addresses = endpoint_look_up_finish (result, &error);
  if (addresses == NULL && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* the session may be gone */
  Session *session = data;
  g_clear_object (&session->looking_up);
  if (addresses == NULL)
    {
      g_autofree char *detail
          = g_strdup_printf ("cannot find the server of %s: %s", session->domain, error->message);
      give_up_round (session, CONNECTION_END_UNREACHABLE, detail, NULL);
      return;
    }
  g_clear_pointer (&session->addresses, g_ptr_array_unref);
  session->addresses = g_steal_pointer (&addresses);
  session->next_address = 0;
  try_next_address (session);
}

static void
begin (Session *session)
{
  session->looking_up = g_cancellable_new ();
  set_state (session, SESSION_LOOKING_UP, CONNECTION_END_CLOSED, "", NULL, 0);
  if (session->looking_up != NULL) /* unless a watcher has closed the session */
    endpoint_look_up_async (session->domain, session->server, session->looking_up, on_looked_up, session);
}

/* ---- requests ---- */

static void
forget_request (const char *id, gpointer data)
{
  connection_forget_iq (((Session *)data)->connection, id);
}

static void schedule_expiry (Session *session, gint64 due_us);

static gboolean
on_request_due (gpointer data)
{
  Session *session = data;
  session->request_timer = 0;
  schedule_expiry (session, request_table_expire (session->requests, forget_request, session));
  return G_SOURCE_REMOVE;
}

static void
schedule_expiry (Session *session, gint64 due_us)
{
  if (due_us >= 0 && session->request_timer == 0)
    session->request_timer
        = g_timeout_add ((guint)MIN (due_us / 1000 + 1, G_MAXINT), on_request_due, session);
}

static gboolean
on_refused (gpointer data)
{
  Session *session = data;
  g_autoptr (GArray) refused = g_steal_pointer (&session->refused);
  session->refused = g_array_new (FALSE, FALSE, sizeof (Refused));
  session->refused_timer = 0;
  for (guint i = 0; i < refused->len; i++)
    {
      const Refused *one = &g_array_index (refused, Refused, i);
      Reply reply = { .kind = REPLY_LOST };
      one->callback (&reply, one->data);
    }
  return G_SOURCE_REMOVE;
}

void
session_request (Session *session, const char *type, const char *to, const char *payload, ElementReader read,
                 GDestroyNotify free_value, ReplyFunc callback, gpointer data)
{
  const char *id = NULL;
  if (session_is_online (session))
    id = request_table_add (session->requests, to, SESSION_TIMEOUT_S, callback, data);
  if (id == NULL)
    {
      Refused refused = { callback, data };
      g_array_append_val (session->refused, refused);
      if (session->refused_timer == 0)
        session->refused_timer = g_idle_add (on_refused, session);
      return;
    }
  char *xml = iq_write (type, to, id, payload);
  connection_send_iq (session->connection, id, xml, read, free_value);
  secret_wipe (xml, strlen (xml));
  g_free (xml);
  schedule_expiry (session, SESSION_TIMEOUT_S * G_USEC_PER_SEC);
}

void
session_ping (Session *session, ReplyFunc callback, gpointer data)
{
  session_request (session, "get", session->domain, PING, NULL, NULL, callback, data);
}

/* ---- keeping alive ---- */

static void
on_keepalive_reply (Reply *reply, gpointer data)
{
  Session *session = data;
  if (reply->kind == REPLY_TIMEOUT)
    connection_abort (session->connection);
}

static gboolean
on_keepalive (gpointer data)
{
  Session *session = data;
  gint64 quiet_us = clock_get_monotonic_us (session->clock) - session->heard_us;
  if (session_is_online (session) && quiet_us >= KEEPALIVE_S * G_USEC_PER_SEC)
    session_ping (session, on_keepalive_reply, session);
  return G_SOURCE_CONTINUE;
}

static void
note_heard (Session *session)
{
  session->heard_us = clock_get_monotonic_us (session->clock);
}

/* ---- the connection's events ---- */

static void
on_step (ConnectionStep step, gpointer data)
{
  Session *session = data;
  if (step == CONNECTION_STEP_TLS)
    set_state (session, SESSION_LOGGING_IN, CONNECTION_END_CLOSED, "", NULL, 0);
}

static void
on_online (const char *bound_jid, gpointer data)
{
  Session *session = data;
  clear_timer (&session->login_timer);
  g_free (session->jid);
  session->jid = g_strdup (bound_jid);
  session->was_online = TRUE;
  backoff_note_online (&session->backoff);
  note_heard (session);
  session->keepalive_timer = g_timeout_add_seconds (KEEPALIVE_S / 4, on_keepalive, session);
  set_state (session, SESSION_ONLINE, CONNECTION_END_CLOSED, "", NULL, 0);
  for (guint i = 0; i < session->watchers->len && session_is_online (session); i++)
    {
      Watcher *watcher = &g_array_index (session->watchers, Watcher, i);
      if (watcher->watch.online != NULL)
        watcher->watch.online (watcher->data);
    }
}

static void
on_ended (const ConnectionEnded *ended, gpointer data)
{
  Session *session = data;
  session->is_attempting = FALSE;
  clear_timer (&session->login_timer);
  clear_timer (&session->keepalive_timer);
  g_free (session->jid);
  session->jid = g_strdup ("");

  gboolean has_more = session->addresses != NULL && session->next_address < session->addresses->len;
  gboolean is_elsewhere = ended->end == CONNECTION_END_UNREACHABLE || ended->end == CONNECTION_END_TLS;
  if (session->wants_online && has_more && is_elsewhere)
    {
      try_next_address (session);
      return;
    }
  ConnectionEnd end = session->wants_online ? ended->end : CONNECTION_END_CLOSED;
  give_up_round (session, end, ended->detail, ended->fingerprint);
  request_table_fail_all (session->requests);
}

static void
on_message (const Message *message, gpointer data)
{
  Session *session = data;
  note_heard (session);
  for (guint i = 0; i < session->watchers->len; i++)
    {
      Watcher *watcher = &g_array_index (session->watchers, Watcher, i);
      if (watcher->watch.message != NULL)
        watcher->watch.message (message, watcher->data);
    }
}

static void
on_presence (const Presence *presence, gpointer data)
{
  Session *session = data;
  note_heard (session);
  for (guint i = 0; i < session->watchers->len; i++)
    {
      Watcher *watcher = &g_array_index (session->watchers, Watcher, i);
      if (watcher->watch.presence != NULL)
        watcher->watch.presence (presence, watcher->data);
    }
}

static void
on_reply (ConnectionReply *answer, gpointer data)
{
  Session *session = data;
  note_heard (session);
  Reply reply = { .error = answer->error, .value = answer->value };
  if (answer->error != NULL)
    reply.kind = REPLY_ERROR;
  else if (!answer->is_readable)
    reply.kind = REPLY_UNREADABLE;
  else
    reply.kind = REPLY_RESULT;
  if (request_table_answer (session->requests, answer->id, answer->from, session->account, &reply))
    answer->value = reply.value;
}

static void
on_push (const ConnectionPush *push, gpointer value, gpointer data)
{
  Session *session = data;
  note_heard (session);
  for (guint i = 0; i < session->targets->len; i++)
    {
      PushTarget *target = &g_array_index (session->targets, PushTarget, i);
      if (strcmp (target->ns, push->ns) == 0)
        {
          target->callback (value, target->data);
          return;
        }
    }
  push->free_value (value);
}

/* ---- the session ---- */

Session *
session_new (const SessionOptions *options, const ConnectionPush *pushes)
{
  static const ConnectionEvents events
      = { on_step, on_online, on_ended, on_message, on_presence, on_reply, on_push };

  Session *session = g_new0 (Session, 1);
  session->account = g_strdup (options->account);
  session->domain = jid_dup_domain (options->account);
  g_autofree char *mark = id_new_random (5);
  session->resource = g_strconcat ("host-client.", mark, NULL);
  session->password = secret_copy (options->password);
  if (options->server != NULL)
    session->server
        = endpoint_new (options->server->host, options->server->port, options->server->is_direct_tls);
  session->pin = g_strdup (options->pin);
  session->stored_pin = g_strdup (options->stored_pin);
  session->retry = options->retry;
  session->clock = options->clock;
  session->watchers = g_array_new (FALSE, FALSE, sizeof (Watcher));
  session->targets = g_array_new (FALSE, FALSE, sizeof (PushTarget));
  session->refused = g_array_new (FALSE, FALSE, sizeof (Refused));
  session->requests = request_table_new (options->clock);
  session->random = g_rand_new ();
  session->detail = g_strdup ("");
  session->jid = g_strdup ("");
  session->report = (SessionReport){ .state = SESSION_OFFLINE, .detail = session->detail };
  backoff_init (&session->backoff, options->clock);
  session->connection = connection_new (pushes, &events, session);
  return session;
}

void
session_free (Session *session)
{
  if (session == NULL)
    return;
  session->wants_online = FALSE;
  if (session->looking_up != NULL)
    g_cancellable_cancel (session->looking_up);
  g_clear_object (&session->looking_up);
  connection_free (session->connection);
  session->report.state = SESSION_OFFLINE;
  request_table_fail_all (session->requests);
  clear_timer (&session->refused_timer);
  on_refused (session);
  clear_timer (&session->refused_timer);
  request_table_free (session->requests);
  clear_timer (&session->retry_timer);
  clear_timer (&session->login_timer);
  clear_timer (&session->request_timer);
  clear_timer (&session->keepalive_timer);
  g_clear_pointer (&session->addresses, g_ptr_array_unref);
  g_array_unref (session->watchers);
  g_array_unref (session->targets);
  g_array_unref (session->refused);
  g_rand_free (session->random);
  secret_free (session->password);
  endpoint_free (session->server);
  g_free (session->account);
  g_free (session->domain);
  g_free (session->resource);
  g_free (session->pin);
  g_free (session->stored_pin);
  g_free (session->detail);
  g_free (session->fingerprint);
  g_free (session->jid);
  g_free (session);
}

void
session_watch (Session *session, const SessionWatch *watch, gpointer data)
{
  Watcher watcher = { *watch, data };
  g_array_append_val (session->watchers, watcher);
}

void
session_on_push (Session *session, const char *ns, SessionPushFunc callback, gpointer data)
{
  PushTarget target = { ns, callback, data };
  g_array_append_val (session->targets, target);
}

void
session_open (Session *session)
{
  session->wants_online = TRUE;
  if (session->report.state == SESSION_OFFLINE && !session->is_attempting)
    begin (session);
}

void
session_close (Session *session)
{
  session->wants_online = FALSE;
  if (session->is_attempting)
    {
      connection_close (session->connection);
      return;
    }
  clear_timer (&session->retry_timer);
  if (session->looking_up != NULL)
    {
      g_cancellable_cancel (session->looking_up);
      g_clear_object (&session->looking_up);
    }
  if (session->report.state != SESSION_OFFLINE)
    set_state (session, SESSION_OFFLINE, CONNECTION_END_CLOSED, "", NULL, 0);
}

void
session_hurry (Session *session)
{
  if (session->report.state != SESSION_WAITING)
    return;
  clear_timer (&session->retry_timer);
  begin (session);
}

void
session_trust (Session *session, const char *fingerprint)
{
  g_free (session->stored_pin);
  session->stored_pin = g_strdup (fingerprint);
  session_open (session);
}

const SessionReport *
session_peek_report (const Session *session)
{
  return &session->report;
}

gboolean
session_is_online (const Session *session)
{
  return session->report.state == SESSION_ONLINE;
}

const char *
session_peek_account (const Session *session)
{
  return session->account;
}

const char *
session_peek_domain (const Session *session)
{
  return session->domain;
}

const char *
session_peek_jid (const Session *session)
{
  return session->jid;
}

const Clock *
session_peek_clock (const Session *session)
{
  return session->clock;
}

gboolean
session_send (Session *session, const char *xml)
{
  if (!session_is_online (session))
    return FALSE;
  connection_send (session->connection, xml);
  return TRUE;
}
