/* Administration: `hostctl status`, GET /healthz, /readyz and /metrics. The commands of the other rooms are registered
 * by those rooms (core/control.h). */
#pragma once

#include "host-server/core/server.h"

typedef struct Admin Admin;

/* Registers in @server->controls and @server->http, which outlive the result's use: free it after both. */
Admin *admin_new (Server *server);
void admin_free (Admin *admin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Admin, admin_free)
