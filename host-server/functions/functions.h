/* Protected functions (protocol.md section 5): a scheduler that lets licensed users call what vendors keep on
 * the server, and an executor that runs each call in an environment of its own, with the application's
 * resources and the user's data. */
#pragma once

#include "host-server/core/server.h"

typedef struct Functions Functions;

/* Registers everything with @server, which outlives it. NULL with @error if the store cannot be read. */
Functions *functions_new (Server *server, GError **error);
/* Starts nothing any more; calls that still run are not answered. Then modules and store are closed. */
void functions_stop (Functions *functions);
void functions_free (Functions *functions);
