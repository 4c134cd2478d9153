/* HTTP requests of others to us: a table of routes, and libmicrohttpd in a thread of its own.
 *
 * The thread parses, holds every limit, and takes in the body; a handler runs on the owner's GMainContext
 * once the request is whole, and answers now or later. While it is pending nothing of it costs the thread. A
 * peer can hold at most what HttpServerLimits says: connections in all and by address, memory for headers,
 * body by route, time for a request, requests pending in all. */
#pragma once

#include <glib.h>

typedef struct HttpServer HttpServer;
typedef struct HttpExchange HttpExchange;
typedef struct HttpRoutes HttpRoutes;

/* Owns @exchange until it answers it, now or later; runs on the server's context. */
typedef void (*HttpHandler) (HttpExchange *exchange, gpointer data);

typedef struct
{
  const char *method;         /* "GET" (answers HEAD as well), "POST", … */
  const char *pattern;        /* "/v1/plugins/{id}/{file}": a {name} is one whole segment, not empty */
  gsize max_body;             /* bytes; more is 413, before the body is taken; 0: no body at all */
  guint max_pending;          /* handled at once; more is 503 with Retry-After: 1; 0: no limit of its own */
  const char *const *headers; /* NULL-terminated names the handler wants to see; the others are not kept */
  HttpHandler handle;
  gpointer data;
} HttpRoute;

/* What has gone through a route. */
typedef struct
{
  guint64 n_requests;   /* that reached the handler */
  guint64 n_answers[6]; /* by the status' first digit, those of refusals before the handler too */
} HttpRouteCount;

HttpRoutes *http_routes_new (void);
/* The server using them is freed first. */
void http_routes_free (HttpRoutes *routes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HttpRoutes, http_routes_free)
/* Adds a route; everything but @data is copied. Before the server starts; two routes that could take the same
 * request are a programming error unless one has a fixed segment where the other has a parameter (the fixed
 * one wins). */
void http_routes_add (HttpRoutes *routes, const HttpRoute *route);
guint http_routes_get_length (const HttpRoutes *routes);
/* The @index-th route as added, and a copy of its counts. */
const HttpRoute *http_routes_get (HttpRoutes *routes, guint index, HttpRouteCount *count);

typedef struct
{
  guint max_connections;             /* 0: 512 */
  guint max_connections_per_address; /* 0: 64 */
  guint max_pending;                 /* exchanges with handlers; 0: 256 */
  guint idle_s;                      /* a connection without traffic; 0: 15 */
  guint request_s;        /* from a connection's last answer (or start) to a whole request; 0: 30 */
  gsize max_header_bytes; /* request line and headers; 0: 16 KiB */
} HttpServerLimits;

typedef struct
{
  const char *listen;      /* "127.0.0.1:8080", "[::]:0"; port 0: the kernel chooses */
  const char *certificate; /* NULL: plain HTTP; or a PEM file, and the next its key */
  const char *private_key;
  HttpServerLimits limits;
} HttpServerOptions;

/* Listens and serves @routes (lent) with handlers on @context (NULL: the thread's default). `[::]` takes IPv4
 * as well, and falls back to 0.0.0.0 where there is no IPv6. NULL with @error if the address or certificate
 * is no good. */
HttpServer *http_server_start (const HttpServerOptions *options, HttpRoutes *routes, GMainContext *context,
                               GError **error);
/* Stops listening, ends connections. Pending exchanges stay with their handlers; answering them does nothing.
 */
void http_server_free (HttpServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HttpServer, http_server_free)

/* The address it really listens on, "127.0.0.1:41234" or "[::]:443". */
const char *http_server_peek_address (const HttpServer *server);
guint16 http_server_get_port (const HttpServer *server);
/* Reads the certificate files again and takes @limits, for connections from now on; those there are go on as
 * they were. FALSE with @error: nothing has changed. */
gboolean http_server_reload (HttpServer *server, const HttpServerLimits *limits, GError **error);

/* The request. Strings live as long as the exchange. */
const char *http_exchange_get_method (const HttpExchange *exchange);
/* Path and query exactly as on the request line: what a signature is over. */
const char *http_exchange_get_target (const HttpExchange *exchange);
/* The segment that stood for {name}, percent-decoded, UTF-8 without NUL. A name the pattern lacks is a
 * programming error. */
const char *http_exchange_get_parameter (const HttpExchange *exchange, const char *name);
/* A value of the query string, decoded; NULL if absent, repeated, or not UTF-8. */
const char *http_exchange_get_query (HttpExchange *exchange, const char *name);
/* A header among those the route wants, any case; NULL if absent. If it was repeated this is its first value:
 * ask http_exchange_count_header() where that matters. */
const char *http_exchange_get_header (const HttpExchange *exchange, const char *name);
guint http_exchange_count_header (const HttpExchange *exchange, const char *name);
/* The body as received, followed by an uncounted NUL; "" if none. */
const char *http_exchange_get_body (const HttpExchange *exchange, gsize *length);
/* A field of an application/x-www-form-urlencoded body, decoded; NULL if absent, repeated or not UTF-8. */
const char *http_exchange_get_form (HttpExchange *exchange, const char *name);
/* The peer's numeric address without port. */
const char *http_exchange_get_peer (const HttpExchange *exchange);

/* Adds a header to the answer. Every answer has `Cache-Control: no-store` and `X-Content-Type-Options:
 * nosniff` unless set here. Name and value are ours: control characters are a programming error. */
void http_exchange_add_header (HttpExchange *exchange, const char *name, const char *value);
/* Answers and gives the exchange away. @content_type NULL: no body. @body is copied. */
void http_exchange_answer (HttpExchange *exchange, guint status, const char *content_type, const void *body,
                           gsize length);
/* The same with @length bytes of the open file @take_fd from @offset on, which are read as the peer takes them;
 * they must be there. */
void http_exchange_answer_file (HttpExchange *exchange, guint status, const char *content_type, int take_fd,
                                guint64 offset, guint64 length);
/* application/json with a text that is one. */
void http_exchange_answer_json (HttpExchange *exchange, guint status, const char *json);
/* `{"error":"reason"}`, for the statuses of refusal. */
void http_exchange_refuse (HttpExchange *exchange, guint status, const char *reason);
