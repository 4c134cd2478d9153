/* The scriptable commands (protocol.md section 12), one table. */
#pragma once

#include "host-client/cli/app.h"

/* The command that @arguments name; */
const Command *command_find (const Arguments *arguments);

/* Rows of the table that live in files of their own. */
extern const Command command_login, command_send, command_listen, command_roster, command_catalog,
    command_serials, command_buy, command_order, command_decline, command_receipt, command_function,
    command_item, command_plugin_list, command_plugin_check, command_plugin_install, command_plugin_download,
    command_plugin_remove, command_plugin_rollback, command_plugin_allow, command_plugin_use,
    command_interactive;
