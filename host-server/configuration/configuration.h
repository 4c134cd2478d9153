/* Accounts from the outside: in-band registration (XEP-0077), and the administration commands for accounts
 * and backups. */
#pragma once

#include "host-server/core/server.h"

typedef struct Configuration Configuration;

/* Registers services and commands with @server. */
Configuration *configuration_new (Server *server);
/* After the store is gone. */
void configuration_free (Configuration *configuration);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Configuration, configuration_free)
