/* HTTP requests of ours to others: billing providers, plugin servers, a primary.
 *
 * libcurl's multi interface on one GMainContext: nothing blocks, connections are kept and used again, names
 * are resolved on libcurl's own threads. What a peer can do to us is limited for every request: TLS is
 * verified (1.2 and up), redirects are never followed, proxies of the environment are ignored, the answer has
 * a greatest size and the whole exchange a time-out. A request can only go to a configured HttpBase, so no
 * URL that a stranger sent us is ever called. */
#pragma once

#include "common/base/secret.h"

/* A configured base URL, checked once. Immutable, so threads may share it. */
typedef struct HttpBase HttpBase;

/* @url: https, or http if the host is a loopback address or `localhost`; no user, query or fragment; a path
 * is allowed, its last slash does not matter. NULL with @error (G_IO_ERROR_INVALID_ARGUMENT) otherwise. */
HttpBase *http_base_new (const char *url, GError **error);
void http_base_free (HttpBase *base);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HttpBase, http_base_free)

/* Normalised, without a slash at the end. */
const char *http_base_peek_url (const HttpBase *base);
/* "https://host:port", the port always there. */
const char *http_base_peek_origin (const HttpBase *base);
/* What stands on the request line for @path, which begins with a slash and may have a query:
 * base https://a.example/vendor and path /v1/serials give "/vendor/v1/serials". Signatures are over this. */
char *http_base_dup_target (const HttpBase *base, const char *path);
/* Whether @url lies under @base: same scheme, host and port, and its path is the base's or continues it at a
 * slash, with no dot segments. */
gboolean http_base_contains (const HttpBase *base, const char *url);

/* Whether @url may be given to a user or called at all: https, or http on loopback; a host; no user part;
 * only printable ASCII; at most 2,048 bytes (protocol.md §3, §11). */
gboolean http_url_is_acceptable (const char *url);
/* The same for a page that a user opens, which may have a fragment: what browsers keep for themselves. */
gboolean http_url_is_for_browsers (const char *url);

/* Appends @text as one path segment or query value, percent-encoded but for RFC 3986's unreserved characters.
 */
void http_append_segment (GString *path, const char *text);

/* How a request ended. What matters to money is whether the peer may have acted on it. */
typedef enum
{
  HTTP_ANSWERED,       /* a status line came, whatever it says */
  HTTP_CANNOT_CONNECT, /* name or connection refused: nothing was sent */
  HTTP_TLS_REFUSED,    /* certificate or handshake: nothing was sent */
  HTTP_TIMED_OUT,      /* no whole answer in time: the peer may have acted */
  HTTP_BROKEN,         /* the connection ended, or what came is not HTTP: the peer may have acted */
  HTTP_TOO_LARGE,      /* the answer exceeded its limit: the peer has acted */
} HttpOutcome;

typedef struct HttpReply HttpReply;

HttpOutcome http_reply_get_outcome (const HttpReply *reply);
/* Whether nothing of the request can have reached the peer (CANNOT_CONNECT, TLS_REFUSED). */
gboolean http_reply_was_unsent (const HttpReply *reply);
/* The status, 100 to 999; 0 unless the outcome is HTTP_ANSWERED. */
int http_reply_get_status (const HttpReply *reply);
/* For the log: "status 503" or the reason of the failure, never a URL with a query or a header. */
const char *http_reply_peek_reason (const HttpReply *reply);
/* The body, never NULL, possibly empty, followed by an uncounted NUL. */
const char *http_reply_peek_body (const HttpReply *reply, gsize *length);
/* The first header of this name (any case), NULL if absent. */
const char *http_reply_peek_header (const HttpReply *reply, const char *name);
/* Retry-After in seconds from the answer's arrival, seconds or date form, at most 7 days; -1 if absent or
 * nonsense. */
gint64 http_reply_get_retry_after_s (const HttpReply *reply);

typedef struct
{
  const char *method; /* "GET", "POST", "PUT", "DELETE" */
  const char *path;   /* appended to the base: with a slash, percent-encoded; or "", the base itself */
  const char *const *headers; /* NULL or a NULL-terminated list of "Name: value" */
  const Secret *bearer;       /* NULL, or sent as Authorization: Bearer */
  const char *content_type;   /* of the body; NULL: application/json */
  const void *body;           /* NULL: none */
  gsize body_length;
  guint timeout_ms;       /* from send to the last byte; 0: 10,000 */
  gsize max_answer_bytes; /* 0: 64 KiB */
  gboolean is_alone; /* on a connection of its own: HTTP/1.1 numbers nothing, so what a peer sends besides its
                      * answer would be taken for the answer to the next request on a kept one */
} HttpRequest;

typedef struct HttpClient HttpClient;
typedef struct HttpCall HttpCall;

/* @reply is lent for the time of the call. The HttpCall is gone when this is called; never called from inside
 * http_client_send(), and not after http_call_cancel(). */
typedef void (*HttpReplyFunc) (const HttpReply *reply, gpointer data);

/* A client on @context (NULL: the thread's default), used from that thread only. @ca_file is the only file of
 * trusted roots then; NULL: the system's. At most @max_connections at once (0: 64), 8 to one host; further
 * requests wait, their time-outs running. */
HttpClient *http_client_new (GMainContext *context, const char *ca_file, guint max_connections);
/* Cancels what is open; no HttpReplyFunc is called any more. Not from inside one. */
void http_client_free (HttpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HttpClient, http_client_free)

/* Starts a request; everything in it is copied. On a kept connection that dies before any answer libcurl
 * sends it once more by itself: what is sent must bear that (idempotency keys, signed deliveries with an id).
 * The handle is the client's and lives until @func is called or http_call_cancel(); a caller that never
 * cancels may ignore it. */
HttpCall *http_client_send (HttpClient *client, const HttpBase *base, const HttpRequest *request,
                            HttpReplyFunc func, gpointer data);
/* Ends @call without calling its function; whether the peer acted is then unknown. */
void http_call_cancel (HttpCall *call);
guint http_client_get_n_open (const HttpClient *client);
