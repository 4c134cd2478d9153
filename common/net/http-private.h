/* What the parts of the HTTP server share: routes, exchanges, the daemon. Not for others. */
#pragma once

#include "common/net/http-server.h"

typedef struct
{
  HttpRoute route;
  char **segments; /* of the pattern; "{name}" stands for any */
  char **headers;
  guint n_pending;      /* atomic */
  HttpRouteCount count; /* atomic, each */
} HttpRouteEntry;

struct HttpRoutes
{
  GPtrArray *entries; /* HttpRouteEntry */
  gboolean is_sealed;
};

typedef enum
{
  HTTP_ROUTE_FOUND,
  HTTP_ROUTE_NO_PATH,      /* 404 */
  HTTP_ROUTE_NOT_METHOD,   /* 405 */
  HTTP_ROUTE_BAD_ENCODING, /* 400 */
} HttpRouteResult;

/* Finds the route of a request. FOUND: *@entry, and *@parameters as a NULL-terminated list in the pattern's
 * order. NOT_METHOD: *@allowed is the value of Allow. */
HttpRouteResult http_routes_find (HttpRoutes *routes, const char *method, const char *path,
                                  HttpRouteEntry **entry, char ***parameters, char **allowed);
void http_route_count_answer (HttpRouteEntry *entry, guint status);

typedef struct
{
  char *name, *value;
  guint count;
} HttpHeader;

typedef enum
{
  HTTP_EXCHANGE_NEW,      /* the request line is here */
  HTTP_EXCHANGE_BODY,     /* taking the body, or dropping it if a refusal is set */
  HTTP_EXCHANGE_PENDING,  /* with the handler; the connection sleeps */
  HTTP_EXCHANGE_ANSWERED, /* the answer is set */
} HttpExchangeState;

/* Until PENDING it belongs to the daemon's thread, while PENDING to the handler, afterwards to the daemon
 * again. */
struct HttpExchange
{
  gint n_references;  /* atomic: the connection's, and the handler's */
  HttpServer *server; /* NULL once the server is gone; seen by the handler's thread only */
  void *connection;   /* MHD_Connection, while PENDING */
  HttpExchangeState state;
  HttpRouteEntry *entry; /* NULL: refused before a route was found */
  char *method, *target, *peer;
  char **parameters;
  GArray *headers; /* HttpHeader */
  GByteArray *body;
  gsize dropped_bytes;
  GHashTable *form; /* of the body, made when asked for; the query likewise */
  GHashTable *query;

  guint status;
  GArray *answer_headers; /* HttpHeader */
  char *content_type;
  GByteArray *answer;
  int answer_fd; /* -1, or the file whose part is the body, @answer being empty */
  guint64 answer_offset, answer_length;
};

HttpExchange *http_exchange_new (const char *target);
void http_exchange_unref (HttpExchange *exchange);
/* Sets the answer without sending it. */
void http_exchange_set_answer (HttpExchange *exchange, guint status, const char *content_type,
                               const void *body, gsize length);
void http_exchange_set_refusal (HttpExchange *exchange, guint status, const char *reason);
void http_header_clear (gpointer header);
/* The handler is done: the connection goes on. */
void http_server_resume (HttpServer *server, HttpExchange *exchange);
