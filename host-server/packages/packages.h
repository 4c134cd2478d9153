/* Packages of plugins (docs/packages.md): the vendors' keys, what is on the shelf, the trust document, and
 * the downloads of clients. */
#pragma once

#include "host-server/core/server.h"

typedef struct Packages Packages;

/* Makes DATA/packages, and registers commands, requests and routes. NULL with @error if the folder or the
 * trust document cannot be made; waits for that one write. */
Packages *packages_new (Server *server, GError **error);
/* After the store was closed. */
void packages_free (Packages *packages);
