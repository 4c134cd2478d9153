/* What the commands about plugins share. */
#pragma once

#include "host-client/cli/app.h"

/* NULL with @error if no plugin can run or be installed here. */
PluginHost *plugin_commands_new_host (App *app, GError **error);
/* "installed Weather 3.2", as an object with --json. */
void plugin_commands_say (App *app, const char *event, const PluginInfo *info);
