/* The clients' side of the server: listeners, TLS, logins, and the way of a stanza from a stream to the
 * router. */
#pragma once

#include "host-server/core/server.h"
#include "host-server/core/session-book.h"
#include "host-server/wire/connection.h"

typedef struct Clients Clients;

/* Reads `[xmpp]` and `[limits]`, and makes the book of sessions (@server->sessions). Nothing listens yet.
 * Needs config, clock, store, domain, hooks. */
Clients *clients_new (Server *server, GError **error);
/* After clients_close(), and after the rooms. */
void clients_free (Clients *clients);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Clients, clients_free)

/* Once @server's services and router exist and the rooms have registered: listens. */
gboolean clients_listen (Clients *clients, GError **error);
const char *clients_peek_address (const Clients *clients);
const char *clients_peek_direct_address (const Clients *clients); /* NULL: there is none */

/* After config_reload(): limits at once, the certificate for connections from now on. */
gboolean clients_reload (Clients *clients, GError **error);
/* Takes no more connections, ends every session with system-shutdown. Streams close as their peers take
 * notice. */
void clients_drain (Clients *clients);
guint clients_get_connections (const Clients *clients);
/* Closes what is left. */
void clients_close (Clients *clients);
