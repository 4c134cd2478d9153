#include "host-server/core/clients.h"

#include "common/base/log.h"
#include "host-server/core/control.h"
#include "host-server/core/router.h"
#include "host-server/store/accounts.h"
#include "host-server/wire/listener.h"

#include <string.h>

struct Clients
{
  Server *server;
  Timers *timers;
  Poller *poller;
  Tls *tls; /* NULL: no certificate */
  XmlPool *pool;
  Buffers *buffers;
  Secret *salt_key;
  StreamSettings settings;
  SessionLimits session_limits;
  ConnectionLimits connection_limits;
  Connections *connections;
  Listener *listener;
  Listener *direct_listener;
  GHashTable *failures; /* peer -> how often in this minute */
  gint64 failures_minute;
  guint failures_per_minute; /* 0: no limit */
};

/* Logging in. */

static gboolean
find_verifier (Stream *stream, const char *local, ScramHash hash, ScramVerifier *verifier, gpointer data)
{
  Clients *clients = data;
  Account account;
  gboolean is_found = accounts_find (clients->server->store, local, &account);
  stream_set_account (stream, is_found ? account.uuid : NULL);
  if (is_found)
    *verifier = account.verifiers[hash];
  secret_wipe (&account, sizeof account);
  return is_found;
}

/* A password on its way through the worker thread. */
typedef struct
{
  Stream *stream;
  Secret *password;
  ScramVerifier verifier;
  gboolean is_known;
  gboolean is_right;
} PasswordCheck;

static void
compute_password (gpointer data)
{
  PasswordCheck *check = data;
  ScramVerifier derived;
  check->is_right = scram_verifier_derive (SCRAM_SHA_256, check->password, check->verifier.salt,
                                           check->verifier.iterations, &derived)
                    && secret_equal_bytes (derived.stored_key, sizeof derived.stored_key,
                                           check->verifier.stored_key, sizeof check->verifier.stored_key)
                    && check->is_known;
}

static void
finish_password (gpointer data, const GError *error)
{
  PasswordCheck *check = data;
  stream_password_checked (check->stream, check->is_right && error == NULL);
  stream_unref (check->stream);
  secret_free (check->password);
  secret_wipe (check, sizeof *check);
  g_free (check);
}

static void
check_password (Stream *stream, const char *local, Secret *take_password, gpointer data)
{
  Clients *clients = data;
  PasswordCheck *check = g_new0 (PasswordCheck, 1);
  check->stream = stream_ref (stream);
  check->password = take_password;
  /* A name without account takes as long. */
  check->is_known = find_verifier (stream, local, SCRAM_SHA_256, &check->verifier, clients);
  if (!check->is_known)
    scram_false_verifier (SCRAM_SHA_256, clients->salt_key, local, ACCOUNT_ITERATIONS, &check->verifier);
  store_compute (clients->server->store, compute_password, finish_password, check);
}

static void
turn_minute (Clients *clients)
{
  gint64 minute = clock_get_monotonic_us (clients->server->clock) / (60 * G_USEC_PER_SEC);
  if (minute == clients->failures_minute)
    return;
  clients->failures_minute = minute;
  g_hash_table_remove_all (clients->failures);
}

static gboolean
may_login (Stream *stream, gpointer data)
{
  Clients *clients = data;
  if (clients->failures_per_minute == 0)
    return TRUE;
  turn_minute (clients);
  return GPOINTER_TO_UINT (g_hash_table_lookup (clients->failures, stream_get_peer (stream)))
         < clients->failures_per_minute;
}

static void
login_failed (Stream *stream, const char *local, gpointer data)
{
  Clients *clients = data;
  const char *peer = stream_get_peer (stream);
  turn_minute (clients);
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (clients->failures, peer));
  g_hash_table_insert (clients->failures, g_strdup (peer), GUINT_TO_POINTER (count + 1));
  log_warning ("core", "login failed account=%s peer=%s", local != NULL ? local : "-", peer);
}

static Jid *
bind_resource (Stream *stream, const Jid *bare, const char *resource, StanzaError *error, gpointer data)
{
  Clients *clients = data;
  char uuid[37];
  /* It may have been removed since, and its name be another's. */
  if (!accounts_find_uuid (clients->server->store, jid_get_local (bare), uuid)
      || g_strcmp0 (uuid, stream_get_account (stream)) != 0)
    {
      *error = STANZA_ERROR_NOT_ALLOWED;
      return NULL;
    }
  Session *session = session_begin (clients->server->sessions, stream, bare, resource, uuid, error);
  if (session == NULL)
    return NULL;
  stream_set_account (stream, NULL);
  log_info ("core", "session bound session=%s peer=%s tls=%s", jid_get_full (session_get_jid (session)),
            stream_get_peer (stream), stream_is_secure (stream) ? "yes" : "no");
  return jid_ref (session_get_jid (session));
}

static void
resource_bound (Stream *stream, gpointer data)
{
  Clients *clients = data;
  g_autoptr (Session) session = stream_get_owner (stream);
  if (session == NULL)
    return;
  session_ref (session);
  hooks_run_session (clients->server->hooks, HOOK_SESSION_BOUND, session);
}

/* Stanzas. */

static void
take_stanza (Stream *stream, const Stanza *stanza, gpointer data)
{
  Clients *clients = data;
  g_autoptr (Session) session = session_ref (stream_get_owner (stream));
  session_count_received (session);
  router_route (clients->server->router, session, stanza);
}

static void
refuse_stanza (Stream *stream, const Stanza *stanza, StanzaError error, gpointer data)
{
  Clients *clients = data;
  g_autoptr (Session) session = session_ref (stream_get_owner (stream));
  session_count_received (session);
  router_refuse (clients->server->router, session, stanza, error, NULL);
}

static void
reply_early (const char *xml, gsize length, gpointer data)
{
  GString *out = stream_write (data);
  if (out != NULL)
    g_string_append_len (out, xml, (gssize)length);
}

static void
finish_early (gpointer data)
{
  stream_release (data);
  stream_unref (data);
}

static gboolean
take_early_request (Stream *stream, const Stanza *stanza, gpointer data)
{
  Clients *clients = data;
  Services *services = clients->server->services;
  gboolean is_request = stanza->type == STANZA_TYPE_GET || stanza->type == STANZA_TYPE_SET;
  if (!is_request || services_get_stream_features (services)[0] == '\0'
      || (stanza->to != NULL && !jid_equal (stanza->to, clients->server->domain)))
    return FALSE;
  stream_hold (stream);
  services_take_before_login (services, stream_get_peer (stream), stanza, reply_early, stream_ref (stream),
                              finish_early);
  return TRUE;
}

static void
take_management (Stream *stream, const StreamManagementElement *element, gpointer data)
{
  Clients *clients = data;
  Session *session = stream_get_owner (stream);
  if (session != NULL)
    session_manage (session, element);
  else
    session_book_resume (clients->server->sessions, stream, element);
}

static void
stream_was_drained (Stream *stream, gpointer data)
{
  Session *session = stream_get_owner (stream);
  if (session != NULL)
    session_drained (session);
}

static void
stream_has_ended (Stream *stream, StreamEnd end, gpointer data)
{
  Session *session = stream_get_owner (stream);
  if (session != NULL)
    session_stream_ended (session, end);
}

static const StreamHandler stream_handler = {
  .find_verifier = find_verifier,
  .check_password = check_password,
  .may_login = may_login,
  .login_failed = login_failed,
  .bind = bind_resource,
  .bound = resource_bound,
  .stanza = take_stanza,
  .bad_stanza = refuse_stanza,
  .early_request = take_early_request,
  .management = take_management,
  .drained = stream_was_drained,
  .ended = stream_has_ended,
};

/* Putting it together. */

static void
read_limits (Clients *clients)
{
  const Config *config = clients->server->config;
  StreamSettings *settings = &clients->settings;
  XmlLimits xml = { (gsize)config_get_bytes (config, "limits", "stanza_bytes"),
                    (guint)config_get_int (config, "limits", "depth"),
                    (guint)config_get_int (config, "limits", "children") };
  settings->after_login = xml;
  settings->before_login = xml;
  settings->before_login.max_bytes = (gsize)config_get_bytes (config, "limits", "stanza_bytes_before_login");
  settings->login_attempts = (guint)config_get_int (config, "limits", "login_attempts");
  clients->failures_per_minute = (guint)config_get_int (config, "limits", "login_failures_per_minute");
  clients->session_limits = (SessionLimits){
    .outbox_bytes = (gsize)config_get_bytes (config, "limits", "outbox_bytes"),
    .unacked_stanzas = (guint)config_get_int (config, "limits", "unacked_stanzas"),
    .sessions_per_account = (guint)config_get_int (config, "limits", "sessions_per_account"),
    .resume_us = config_get_seconds_us (config, "limits", "resume_s"),
  };
  clients->connection_limits = (ConnectionLimits){
    .stanzas_per_s = (guint64)config_get_int (config, "limits", "stanzas_per_s"),
    .bytes_per_s = (guint64)config_get_bytes (config, "limits", "bytes_per_s"),
    .bytes_per_s_before_login = (guint64)config_get_bytes (config, "limits", "bytes_per_s_before_login"),
    .streams = (guint)config_get_int (config, "limits", "streams"),
    .streams_per_address = (guint)config_get_int (config, "limits", "streams_per_address"),
    .handshake_us = config_get_seconds_us (config, "limits", "handshake_s"),
    .idle_us = config_get_seconds_us (config, "limits", "idle_s"),
  };
  if (clients->server->services != NULL)
    {
      services_set_tree_limit (clients->server->services,
                               (gsize)config_get_bytes (config, "limits", "tree_bytes"));
      services_set_waiting_limit (clients->server->services,
                                  (guint)config_get_int (config, "limits", "pending_requests"));
    }
}

Clients *
clients_new (Server *server, GError **error)
{
  g_autoptr (Clients) clients = g_new0 (Clients, 1);
  const char *certificate = config_get_text (server->config, "xmpp", "certificate");

  clients->server = server;
  clients->failures = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  read_limits (clients);
  if (certificate != NULL)
    {
      clients->tls = tls_new (certificate, config_get_text (server->config, "xmpp", "private_key"), error);
      if (clients->tls == NULL)
        return NULL;
    }
  clients->poller = poller_new (error);
  if (clients->poller == NULL)
    return NULL;
  clients->timers = timers_new (server->clock);
  clients->pool = xml_pool_new ();
  clients->buffers = buffers_new ();
  clients->salt_key = store_derive_key (server->store, "scram-false-salt");
  clients->settings.pool = clients->pool;
  clients->settings.buffers = clients->buffers;
  clients->settings.domain = server->domain;
  clients->settings.offers_tls = clients->tls != NULL;
  clients->settings.requires_tls = g_str_equal (config_get_text (server->config, "xmpp", "tls"), "required");
  clients->settings.salt_key = clients->salt_key;
  clients->settings.iterations = ACCOUNT_ITERATIONS;
  clients->settings.handler = &stream_handler;
  clients->settings.handler_data = clients;
  clients->connections = connections_new (clients->poller, clients->timers, clients->tls, &clients->settings,
                                          &clients->connection_limits);
  server->sessions = session_book_new (clients->timers, server->hooks, &clients->session_limits);
  return g_steal_pointer (&clients);
}

void
clients_free (Clients *clients)
{
  if (clients == NULL)
    return;
  if (clients->connections != NULL)
    clients_close (clients);
  g_clear_pointer (&clients->server->sessions, session_book_free);
  poller_free (clients->poller);
  timers_free (clients->timers);
  tls_free (clients->tls);
  xml_pool_free (clients->pool);
  buffers_free (clients->buffers);
  secret_free (clients->salt_key);
  g_hash_table_unref (clients->failures);
  g_free (clients);
}

static void
accept_client (int fd, const char *peer, gpointer data)
{
  Clients *clients = data;
  connections_take (clients->connections, fd, peer, FALSE);
}

static void
accept_direct (int fd, const char *peer, gpointer data)
{
  Clients *clients = data;
  connections_take (clients->connections, fd, peer, TRUE);
}

static json_t *
get_status (gpointer data)
{
  Clients *clients = data;
  guint n_connections = clients->connections != NULL ? connections_get_count (clients->connections) : 0;
  return json_pack ("{s:i, s:i}", "connections", (int)n_connections, "sessions",
                    (int)session_book_get_count (clients->server->sessions));
}

gboolean
clients_listen (Clients *clients, GError **error)
{
  const Config *config = clients->server->config;
  const char *direct = config_get_text (config, "xmpp", "direct_tls_listen");

  session_book_set_services (clients->server->sessions, clients->server->services);
  clients->settings.early_features = services_get_stream_features (clients->server->services);
  read_limits (clients);
  clients->listener = listener_new (clients->poller, config_get_text (config, "xmpp", "listen"),
                                    accept_client, clients, error);
  if (clients->listener == NULL)
    return FALSE;
  if (direct != NULL)
    {
      clients->direct_listener = listener_new (clients->poller, direct, accept_direct, clients, error);
      if (clients->direct_listener == NULL)
        return FALSE;
    }
  controls_add_status (clients->server->controls, "xmpp", get_status, clients);
  return TRUE;
}

const char *
clients_peek_address (const Clients *clients)
{
  return listener_get_address (clients->listener);
}

const char *
clients_peek_direct_address (const Clients *clients)
{
  return clients->direct_listener != NULL ? listener_get_address (clients->direct_listener) : NULL;
}

gboolean
clients_reload (Clients *clients, GError **error)
{
  const Config *config = clients->server->config;
  if (clients->tls != NULL
      && !tls_reload (clients->tls, config_get_text (config, "xmpp", "certificate"),
                      config_get_text (config, "xmpp", "private_key"), error))
    return FALSE;
  read_limits (clients);
  return TRUE;
}

void
clients_drain (Clients *clients)
{
  listener_close (g_steal_pointer (&clients->listener));
  listener_close (g_steal_pointer (&clients->direct_listener));
  session_book_end_all (clients->server->sessions, "system-shutdown");
  connections_end_all (clients->connections, "system-shutdown");
}

guint
clients_get_connections (const Clients *clients)
{
  return connections_get_count (clients->connections);
}

void
clients_close (Clients *clients)
{
  if (clients->connections == NULL)
    return;
  clients_drain (clients);
  g_clear_pointer (&clients->connections, connections_free);
  session_book_end_all (clients->server->sessions, "system-shutdown");
}
