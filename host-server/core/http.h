/* The table of HTTP routes that rooms register in.
 *
 * The mechanism is common/net/http-server.h, which handlers use directly (HttpExchange). Rooms add their
 * routes while the server is put together; the listener of wire takes the finished table. */
#pragma once

#include "common/net/http-server.h"

#include <jansson.h>

typedef struct Http Http;

Http *http_new (void);
/* After the listener is gone. */
void http_free (Http *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Http, http_free)

/* Adds a route (protocol.md §7), see HttpRoute. Once the listener runs it is a programming error. */
void http_add (Http *http, const HttpRoute *route);
/* For the listener: no route is added after this. Lent. */
HttpRoutes *http_seal (Http *http);

/* Readiness is asked of the rooms: a check returns NULL, or why this room cannot serve now ("store is
 * read-only"), a static text without secrets. Called on the main context for each GET /readyz and for
 * `hostctl status`; it must not block. */
typedef const char *(*HttpReadyFunc) (gpointer data);
void http_add_ready_check (Http *http, const char *name, HttpReadyFunc check, gpointer data);
/* {"ready":true,"checks":{"store":"ok",…}}; the caller unrefs it. */
json_t *http_get_readiness (Http *http);
