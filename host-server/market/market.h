/* The marketplace room: catalog, orders, payments, issuing, serials (protocol.md sections 2, 3, 8, 9;
 * money.md). */
#pragma once

#include "host-server/core/server.h"

typedef struct Market Market;

/* Whether the market's part of the configuration makes sense; FALSE with an error that names group and key.
 * Opens nothing. */
gboolean market_check_config (const Config *config, GError **error);
/* Registers everything of the market with @server's services, routes and commands, and takes over the jobs of the
 * last run. FALSE configuration is an error that names group and key. @server outlives it. */
Market *market_new (Server *server, GError **error);
/* Goes on with what the last run left. Everything listens by then: providers are told where to call. */
void market_start (Market *market);
/* Starts nothing any more and cancels calls of others that are open; their jobs are rows and go on at the
 * next start. Then the modules and the store are closed, whose last answers still come here. */
void market_stop (Market *market);
/* After market_stop() and after the store was closed. */
void market_free (Market *market);
