/* The scriptable commands (protocol.md section 12), one table. */
#pragma once

#include "host-client/cli/app.h"

const Command *command_find (CommandKind kind);

/* Rows of the table that live in files of their own. */
extern const Command command_login, command_send, command_listen, command_roster;
