/* The HTTP side of the server: the table of routes that rooms register in, the listener, and readiness.
 *
 * The mechanism is common/net/http-server.h, which handlers use directly (HttpExchange). Rooms add their
 * routes while the server is put together; then it listens, and the table is closed. */
#pragma once

#include "common/net/http-server.h"
#include "host-server/core/config.h"

#include <jansson.h>

typedef struct Http Http;

Http *http_new (void);
/* Stops listening first. Exchanges that are still pending stay with their handlers. */
void http_free (Http *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Http, http_free)

/* Adds a route (protocol.md §7), see HttpRoute. Once it listens this is a programming error. */
void http_add (Http *http, const HttpRoute *route);
/* The table, for counters. */
HttpRoutes *http_peek_routes (Http *http);

/* Listens as `[http]` and the `http_…` keys of `[limits]` say, with handlers on @context (NULL: the thread's
 * default). Without `[http] listen` it does nothing and succeeds. Plain HTTP on loopback only, otherwise with
 * certificate. */
gboolean http_listen (Http *http, const Config *config, GMainContext *context, GError **error);
/* After config_reload(): certificate and limits for connections from now on; on FALSE nothing has changed. */
gboolean http_reload (Http *http, const Config *config, GError **error);
/* "127.0.0.1:41234", for addresses.json; NULL if it does not listen. */
const char *http_peek_address (const Http *http);

/* Readiness is asked of the rooms: a check returns NULL, or why this room cannot serve now ("store is
 * read-only"), a static text without secrets. Called on the main context for GET /readyz and `hostctl
 * status`; it must not block. */
typedef const char *(*HttpReadyFunc) (gpointer data);
void http_add_ready_check (Http *http, const char *name, HttpReadyFunc check, gpointer data);
/* The same for what an operator must know though the server serves: it is shown, and readiness stays. */
void http_add_ready_note (Http *http, const char *name, HttpReadyFunc check, gpointer data);
/* {"store":"ok",…}, the caller unrefs it; *@is_ready says whether all are. */
json_t *http_get_readiness (const Http *http, gboolean *is_ready);
