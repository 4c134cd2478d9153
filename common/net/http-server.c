/* libmicrohttpd runs in one thread of its own, with epoll. A request goes through it like this:
 *
 *   on_target    the request line is here: an HttpExchange is made
 *   on_request   first call, the headers are here: find the route, hold its limits
 *                further calls: take the body, or drop it if the request is refused
 *                last call: suspend the connection, put the exchange on the inbox
 *   dispatch     on the owner's context: the handler, which answers now or later
 *   resume       the connection wakes up, on_request is called once more, and the answer is queued
 *   on_completed the connection's reference goes
 *
 * A refused request's body is read and dropped where it is not too long, because closing a socket with unread
 * bytes in it makes the kernel reset the connection, and the peer loses the answer. */
#include "common/net/http-private.h"

#include "common/base/log.h"
#include "common/net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_DROPPED_BYTES (1024 * 1024)
#define DISPATCH_BATCH    16

typedef struct
{
  int fd;
  gint64 since_us;  /* monotonic: accepted, or last answer done */
  gboolean is_busy; /* a whole request is here, and not all of its answer is out */
} Link;

typedef struct
{
  GSource source;
  HttpServer *server;
} Inbox;

/* A daemon that no longer accepts: it ends with its last connection. */
typedef struct
{
  struct MHD_Daemon *daemon;
  int listen_fd;
} Retired;

struct HttpServer
{
  HttpRoutes *routes;
  GMainContext *context;
  HttpServerLimits limits;
  char *certificate, *private_key; /* file names, NULL: plain */
  struct MHD_Daemon *daemon;
  GArray *retired; /* Retired */
  char *address;
  guint16 port;
  GSource *inbox;
  GSource *reaper;
  guint n_pending; /* atomic */

  GMutex lock;
  gboolean is_stopping;
  GQueue arrived;      /* HttpExchange, for the inbox */
  GHashTable *pending; /* HttpExchange, a set: with a handler or on the inbox */
  GHashTable *links;   /* Link, a set */
};

/* --- the daemon's thread */

static Link *
link_of (struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info
      = MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info->socket_context;
}

static void
on_connection (void *cls, struct MHD_Connection *connection, void **context,
               enum MHD_ConnectionNotificationCode code)
{
  HttpServer *server = cls;
  g_mutex_lock (&server->lock);
  if (code == MHD_CONNECTION_NOTIFY_STARTED)
    {
      Link *link = g_new0 (Link, 1);
      link->fd = MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
      link->since_us = g_get_monotonic_time ();
      g_hash_table_add (server->links, link);
      *context = link;
    }
  else
    g_hash_table_remove (server->links, *context);
  g_mutex_unlock (&server->lock);
}

static void
set_busy (HttpServer *server, struct MHD_Connection *connection, gboolean is_busy)
{
  Link *link = link_of (connection);
  g_mutex_lock (&server->lock);
  link->is_busy = is_busy;
  link->since_us = g_get_monotonic_time ();
  g_mutex_unlock (&server->lock);
}

static void *
on_target (void *cls, const char *uri, struct MHD_Connection *connection)
{
  return http_exchange_new (uri);
}

static void
on_completed (void *cls, struct MHD_Connection *connection, void **context,
              enum MHD_RequestTerminationCode code)
{
  if (*context == NULL)
    return;
  set_busy (cls, connection, FALSE);
  http_exchange_unref (*context);
  *context = NULL;
}

/* The path and query are decoded by us, segment by segment, so that an encoded slash stays what it is. */
static size_t
keep_encoded (void *cls, struct MHD_Connection *connection, char *text)
{
  return strlen (text);
}

G_GNUC_PRINTF (2, 0)
static void
on_daemon_log (void *cls, const char *format, va_list arguments)
{
  g_autofree char *text = g_strchomp (g_strdup_vprintf (format, arguments));
  log_debug ("http", "%s", text);
}

static gboolean
has_answer_header (const HttpExchange *exchange, const char *name)
{
  for (guint i = 0; i < exchange->answer_headers->len; i++)
    if (g_ascii_strcasecmp (g_array_index (exchange->answer_headers, HttpHeader, i).name, name) == 0)
      return TRUE;
  return FALSE;
}

/* What the body is made of; a file goes with the response. */
static struct MHD_Response *
make_response (HttpExchange *exchange)
{
  if (exchange->answer_fd < 0)
    return MHD_create_response_from_buffer (exchange->answer->len, exchange->answer->data, MHD_RESPMEM_MUST_COPY);
  struct MHD_Response *response = MHD_create_response_from_fd_at_offset64 (
      exchange->answer_length, exchange->answer_fd, exchange->answer_offset);
  if (response != NULL)
    exchange->answer_fd = -1;
  return response;
}

static enum MHD_Result
queue_answer (HttpExchange *exchange, struct MHD_Connection *connection)
{
  struct MHD_Response *response = make_response (exchange);
  if (response == NULL)
    return MHD_NO;
  if (exchange->content_type != NULL)
    MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, exchange->content_type);
  if (!has_answer_header (exchange, "Cache-Control"))
    MHD_add_response_header (response, "Cache-Control", "no-store");
  if (!has_answer_header (exchange, "X-Content-Type-Options"))
    MHD_add_response_header (response, "X-Content-Type-Options", "nosniff");
  for (guint i = 0; i < exchange->answer_headers->len; i++)
    {
      const HttpHeader *header = &g_array_index (exchange->answer_headers, HttpHeader, i);
      MHD_add_response_header (response, header->name, header->value);
    }
  if (exchange->entry != NULL)
    http_route_count_answer (exchange->entry, exchange->status);
  enum MHD_Result result = MHD_queue_response (connection, exchange->status, response);
  MHD_destroy_response (response);
  return result;
}

typedef struct
{
  const char *name;
  const char *value;
  guint count;
} Sought;

static enum MHD_Result
seek_header (void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
  Sought *sought = cls;
  if (g_ascii_strcasecmp (name, sought->name) == 0 && sought->count++ == 0)
    sought->value = value != NULL ? value : "";
  return MHD_YES;
}

static Sought
find_value (struct MHD_Connection *connection, const char *name)
{
  Sought sought = { .name = name };
  MHD_get_connection_values (connection, MHD_HEADER_KIND, seek_header, &sought);
  return sought;
}

/* COMPAT: libmicrohttpd leaves the blanks behind a value (RFC 9110 §5.5) in place. */
static char *
dup_value (const char *value)
{
  gsize length = strlen (value);
  while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
    length--;
  return g_strndup (value, length);
}

static void
keep_headers (HttpExchange *exchange, struct MHD_Connection *connection)
{
  for (char **name = exchange->entry->headers; *name != NULL; name++)
    {
      Sought sought = find_value (connection, *name);
      if (sought.count == 0)
        continue;
      HttpHeader header = { g_strdup (*name), dup_value (sought.value), sought.count };
      g_array_append_val (exchange->headers, header);
    }
}

/* Finds the route, or sets a refusal. */
static void
find_route (HttpServer *server, HttpExchange *exchange)
{
  const char *target = exchange->target;
  for (const char *byte = target; *byte != '\0'; byte++)
    if (*byte <= 0x20 || *byte > 0x7e || *byte == '#')
      {
        http_exchange_set_refusal (exchange, MHD_HTTP_BAD_REQUEST, "the request line is not one");
        return;
      }
  g_autofree char *path = g_strndup (target, strcspn (target, "?"));
  g_autofree char *allowed = NULL;
  HttpRouteResult result = path[0] == '/'
                               ? http_routes_find (server->routes, exchange->method, path, &exchange->entry,
                                                   &exchange->parameters, &allowed)
                               : HTTP_ROUTE_BAD_ENCODING;
  switch (result)
    {
    case HTTP_ROUTE_FOUND:
      return;
    case HTTP_ROUTE_NO_PATH:
      http_exchange_set_refusal (exchange, MHD_HTTP_NOT_FOUND, "no such resource");
      return;
    case HTTP_ROUTE_NOT_METHOD:
      http_exchange_add_header (exchange, "Allow", allowed);
      http_exchange_set_refusal (exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "not with this method");
      return;
    case HTTP_ROUTE_BAD_ENCODING:
      http_exchange_set_refusal (exchange, MHD_HTTP_BAD_REQUEST, "the path is not well formed");
      return;
    }
}

/* What a Content-Length says: -1 if absent, -2 if it is none. */
static gint64
declared_length (const Sought *length)
{
  if (length->count == 0)
    return -1;
  guint64 value;
  if (length->count > 1 || !g_ascii_string_to_unsigned (length->value, 10, 0, G_MAXINT64, &value, NULL))
    return -2;
  return (gint64)value;
}

/* The headers are here. Answers at once what must not be read on; otherwise the body comes next. */
static enum MHD_Result
begin (HttpServer *server, HttpExchange *exchange, struct MHD_Connection *connection, const char *method)
{
  exchange->state = HTTP_EXCHANGE_BODY;
  exchange->method = g_strdup (method);
  exchange->peer = listen_dup_peer (
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
  find_route (server, exchange);

  Sought length = find_value (connection, "Content-Length");
  Sought coding = find_value (connection, "Transfer-Encoding");
  gint64 declared = declared_length (&length);
  if (declared == -2 || (length.count > 0 && coding.count > 0) || coding.count > 1)
    {
      http_exchange_set_refusal (exchange, MHD_HTTP_BAD_REQUEST, "the length of the body is ambiguous");
      http_exchange_add_header (exchange, "Connection", "close");
      exchange->state = HTTP_EXCHANGE_ANSWERED;
      return queue_answer (exchange, connection);
    }
  if (exchange->status == 0 && declared > (gint64)exchange->entry->route.max_body)
    http_exchange_set_refusal (exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
  gboolean waits = find_value (connection, "Expect").count > 0;
  if (exchange->status == 0 || (declared <= MAX_DROPPED_BYTES && !waits))
    return MHD_YES;
  http_exchange_add_header (exchange, "Connection", "close");
  exchange->state = HTTP_EXCHANGE_ANSWERED;
  return queue_answer (exchange, connection);
}

static enum MHD_Result
take_body (HttpExchange *exchange, const char *bytes, size_t *length)
{
  gsize n = *length;
  *length = 0;
  if (exchange->status == 0 && n > exchange->entry->route.max_body - exchange->body->len)
    {
      http_exchange_set_refusal (exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
      g_byte_array_set_size (exchange->body, 0);
    }
  if (exchange->status == 0)
    {
      g_byte_array_append (exchange->body, (const guint8 *)bytes, (guint)n);
      return MHD_YES;
    }
  exchange->dropped_bytes += n;
  return exchange->dropped_bytes <= MAX_DROPPED_BYTES ? MHD_YES : MHD_NO;
}

static gboolean
take_slot (guint *n_taken, guint n_most)
{
  if (__atomic_add_fetch (n_taken, 1, __ATOMIC_RELAXED) <= n_most)
    return TRUE;
  __atomic_sub_fetch (n_taken, 1, __ATOMIC_RELAXED);
  return FALSE;
}

static gboolean
take_slots (HttpServer *server, HttpRouteEntry *entry)
{
  if (!take_slot (&server->n_pending, __atomic_load_n (&server->limits.max_pending, __ATOMIC_RELAXED)))
    return FALSE;
  if (take_slot (&entry->n_pending, entry->route.max_pending > 0 ? entry->route.max_pending : G_MAXUINT / 2))
    return TRUE;
  __atomic_sub_fetch (&server->n_pending, 1, __ATOMIC_RELAXED);
  return FALSE;
}

/* The request is whole. */
static enum MHD_Result
finish (HttpServer *server, HttpExchange *exchange, struct MHD_Connection *connection)
{
  set_busy (server, connection, TRUE);
  if (exchange->status == 0 && !take_slots (server, exchange->entry))
    {
      http_exchange_add_header (exchange, "Retry-After", "1");
      http_exchange_set_refusal (exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at once");
    }
  if (exchange->status != 0)
    {
      exchange->state = HTTP_EXCHANGE_ANSWERED;
      return queue_answer (exchange, connection);
    }
  keep_headers (exchange, connection);
  const guint8 end = 0;
  g_byte_array_append (exchange->body, &end, 1);
  __atomic_fetch_add (&exchange->entry->count.n_requests, 1, __ATOMIC_RELAXED);

  g_mutex_lock (&server->lock);
  if (server->is_stopping)
    {
      g_mutex_unlock (&server->lock);
      return MHD_NO;
    }
  MHD_suspend_connection (connection);
  exchange->state = HTTP_EXCHANGE_PENDING;
  exchange->connection = connection;
  exchange->server = server;
  g_atomic_int_inc (&exchange->n_references);
  g_hash_table_add (server->pending, exchange);
  gboolean was_empty = g_queue_is_empty (&server->arrived);
  g_queue_push_tail (&server->arrived, exchange);
  g_mutex_unlock (&server->lock);
  if (was_empty)
    g_main_context_wakeup (server->context);
  return MHD_YES;
}

static enum MHD_Result
on_request (void *cls, struct MHD_Connection *connection, const char *url, const char *method,
            const char *version, const char *bytes, size_t *length, void **context)
{
  HttpServer *server = cls;
  HttpExchange *exchange = *context;
  switch (exchange->state)
    {
    case HTTP_EXCHANGE_NEW:
      return begin (server, exchange, connection, method);
    case HTTP_EXCHANGE_BODY:
      return *length > 0 ? take_body (exchange, bytes, length) : finish (server, exchange, connection);
    case HTTP_EXCHANGE_PENDING: /* woken without an answer: the server stops */
      return MHD_NO;
    case HTTP_EXCHANGE_ANSWERED:
      return queue_answer (exchange, connection);
    }
  return MHD_NO;
}

/* --- the owner's context */

static gboolean
inbox_is_ready (GSource *source)
{
  HttpServer *server = ((Inbox *)source)->server;
  g_mutex_lock (&server->lock);
  gboolean is_ready = !g_queue_is_empty (&server->arrived);
  g_mutex_unlock (&server->lock);
  return is_ready;
}

static gboolean
inbox_prepare (GSource *source, int *timeout_ms)
{
  *timeout_ms = -1;
  return inbox_is_ready (source);
}

/* A batch at a time, so that a crowd at the door does not hold up what else the context serves. */
static gboolean
inbox_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  HttpServer *server = ((Inbox *)source)->server;
  for (guint i = 0; i < DISPATCH_BATCH && !g_source_is_destroyed (source); i++)
    {
      g_mutex_lock (&server->lock);
      HttpExchange *exchange = g_queue_pop_head (&server->arrived);
      g_mutex_unlock (&server->lock);
      if (exchange == NULL)
        break;
      exchange->entry->route.handle (exchange, exchange->entry->route.data);
    }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs inbox_funcs = { inbox_prepare, inbox_is_ready, inbox_dispatch, NULL, NULL, NULL };

void
http_server_resume (HttpServer *server, HttpExchange *exchange)
{
  __atomic_sub_fetch (&server->n_pending, 1, __ATOMIC_RELAXED);
  __atomic_sub_fetch (&exchange->entry->n_pending, 1, __ATOMIC_RELAXED);
  g_mutex_lock (&server->lock);
  g_assert (exchange->state == HTTP_EXCHANGE_PENDING); /* answered twice */
  exchange->state = HTTP_EXCHANGE_ANSWERED;
  g_hash_table_remove (server->pending, exchange);
  struct MHD_Connection *connection = g_steal_pointer (&exchange->connection);
  exchange->server = NULL;
  g_mutex_unlock (&server->lock);
  MHD_resume_connection (connection);
}

/* libmicrohttpd's time-out starts anew with every byte; this one does not. Shutting the socket down makes the
 * daemon see its end. A Link leaves the table before its descriptor is closed. */
static void
end_slow_links (HttpServer *server)
{
  gint64 limit_us = (gint64)server->limits.request_s * G_USEC_PER_SEC;
  gint64 now_us = g_get_monotonic_time ();
  g_mutex_lock (&server->lock);
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, server->links);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      const Link *link = key;
      if (!link->is_busy && now_us - link->since_us > limit_us)
        shutdown (link->fd, SHUT_RDWR);
    }
  g_mutex_unlock (&server->lock);
}

static void
stop_retired (HttpServer *server, gboolean is_final)
{
  for (guint i = server->retired->len; i-- > 0;)
    {
      Retired retired = g_array_index (server->retired, Retired, i);
      guint n = MHD_get_daemon_info (retired.daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
      if (n > 0 && !is_final)
        continue;
      MHD_stop_daemon (retired.daemon);
      close (retired.listen_fd);
      g_array_remove_index_fast (server->retired, i);
    }
}

static gboolean
on_reap (gpointer data)
{
  HttpServer *server = data;
  end_slow_links (server);
  stop_retired (server, FALSE);
  return G_SOURCE_CONTINUE;
}

/* --- life */

static struct MHD_Daemon *
start_daemon (HttpServer *server, int listen_fd, GError **error)
{
  g_autofree char *certificate = NULL, *key = NULL;
  gsize key_length = 0;
  unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  struct MHD_OptionItem tls[] = { { MHD_OPTION_END, 0, NULL },
                                  { MHD_OPTION_END, 0, NULL },
                                  { MHD_OPTION_END, 0, NULL },
                                  { MHD_OPTION_END, 0, NULL } };
  if (server->certificate != NULL)
    {
      if (!g_file_get_contents (server->certificate, &certificate, NULL, error)
          || !g_file_get_contents (server->private_key, &key, &key_length, error))
        return NULL;
      flags |= MHD_USE_TLS;
      tls[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, certificate };
      tls[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, key };
      tls[2] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
                                        (char *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" };
    }
  const HttpServerLimits *limits = &server->limits;
  struct MHD_Daemon *daemon = MHD_start_daemon (
      flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log, NULL,
      MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT, limits->max_connections,
      MHD_OPTION_PER_IP_CONNECTION_LIMIT, limits->max_connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT,
      limits->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->max_header_bytes * 2,
      MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
      MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
      MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
  if (key != NULL)
    explicit_bzero (key, key_length);
  if (daemon == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start the HTTP listener on '%s'%s",
                 server->address,
                 server->certificate != NULL ? ": certificate or private key is no good" : "");
  return daemon;
}

static void
set_limits (HttpServer *server, const HttpServerLimits *limits)
{
#define SET(name, standard) server->limits.name = limits->name > 0 ? limits->name : (standard)
  SET (max_connections, 512);
  SET (max_connections_per_address, 64);
  SET (max_pending, 256);
  SET (idle_s, 15);
  SET (request_s, 30);
  SET (max_header_bytes, 16 * 1024);
#undef SET
}

HttpServer *
http_server_start (const HttpServerOptions *options, HttpRoutes *routes, GMainContext *context,
                   GError **error)
{
  if (options->certificate == NULL && !listen_is_loopback (options->listen))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "cannot listen on '%s': plain HTTP is for loopback addresses, others need a certificate",
                   options->listen);
      return NULL;
    }
  int fd = listen_open (options->listen, error);
  if (fd < 0)
    return NULL;

  HttpServer *server = g_new0 (HttpServer, 1);
  server->routes = routes;
  routes->is_sealed = TRUE;
  server->context = context != NULL ? g_main_context_ref (context) : g_main_context_ref_thread_default ();
  server->certificate = g_strdup (options->certificate);
  server->private_key = g_strdup (options->private_key);
  server->retired = g_array_new (FALSE, FALSE, sizeof (Retired));
  server->pending = g_hash_table_new (NULL, NULL);
  server->links = g_hash_table_new_full (NULL, NULL, g_free, NULL);
  g_mutex_init (&server->lock);
  g_queue_init (&server->arrived);
  set_limits (server, &options->limits);

  server->inbox = g_source_new (&inbox_funcs, sizeof (Inbox));
  ((Inbox *)server->inbox)->server = server;
  g_source_attach (server->inbox, server->context);
  server->reaper = g_timeout_source_new_seconds (MAX (1, server->limits.request_s / 4));
  g_source_set_callback (server->reaper, on_reap, server, NULL);
  g_source_attach (server->reaper, server->context);

  server->address = listen_dup_address (fd, &server->port);
  server->daemon = start_daemon (server, fd, error);
  if (server->daemon != NULL)
    return server;
  close (fd);
  http_server_free (server);
  return NULL;
}

/* Wakes every sleeping connection, which the daemon demands before it is stopped; what their handlers still
 * hold is theirs. */
static void
let_go (HttpServer *server)
{
  g_mutex_lock (&server->lock);
  server->is_stopping = TRUE;
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, server->pending);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      HttpExchange *exchange = key;
      __atomic_sub_fetch (&exchange->entry->n_pending, 1, __ATOMIC_RELAXED);
      exchange->server = NULL;
      MHD_resume_connection (g_steal_pointer (&exchange->connection));
    }
  g_hash_table_remove_all (server->pending);
  g_mutex_unlock (&server->lock);
}

void
http_server_free (HttpServer *server)
{
  if (server == NULL)
    return;
  /* First nothing new is handed over, then what was is let go. */
  int listen_fd = -1;
  if (server->daemon != NULL)
    {
      listen_fd = MHD_quiesce_daemon (server->daemon);
      let_go (server);
      MHD_stop_daemon (server->daemon);
    }
  stop_retired (server, TRUE);
  if (listen_fd >= 0)
    close (listen_fd);
  HttpExchange *exchange;
  while ((exchange = g_queue_pop_head (&server->arrived)) != NULL)
    http_exchange_unref (exchange);
  g_source_destroy (server->inbox);
  g_source_unref (server->inbox);
  g_source_destroy (server->reaper);
  g_source_unref (server->reaper);
  g_assert (g_hash_table_size (server->links) == 0);
  g_hash_table_unref (server->links);
  g_hash_table_unref (server->pending);
  g_array_unref (server->retired);
  g_mutex_clear (&server->lock);
  g_main_context_unref (server->context);
  g_free (server->certificate);
  g_free (server->private_key);
  g_free (server->address);
  g_free (server);
}

gboolean
http_server_reload (HttpServer *server, const HttpServerLimits *limits, GError **error)
{
  HttpServerLimits old = server->limits;
  set_limits (server, limits);
  const union MHD_DaemonInfo *info = MHD_get_daemon_info (server->daemon, MHD_DAEMON_INFO_LISTEN_FD);
  int fd = fcntl (info->listen_fd, F_DUPFD_CLOEXEC, 0);
  struct MHD_Daemon *daemon = fd >= 0 ? start_daemon (server, fd, error) : NULL;
  if (daemon == NULL)
    {
      server->limits = old;
      if (fd >= 0)
        close (fd);
      else
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot reload the HTTP listener: %s",
                     g_strerror (errno));
      return FALSE;
    }
  Retired retired = { server->daemon, MHD_quiesce_daemon (server->daemon) };
  g_array_append_val (server->retired, retired);
  server->daemon = daemon;
  return TRUE;
}

const char *
http_server_peek_address (const HttpServer *server)
{
  return server->address;
}

guint16
http_server_get_port (const HttpServer *server)
{
  return server->port;
}
