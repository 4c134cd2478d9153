/* What the user is shown of a plugin before it is installed, and their answer. */
#pragma once

#include "host-client/cli/app.h"

/* Shows what @info asks for (with --json: a `permissions` object) and asks whether to install it, unless
 * --yes was given or it asks for no more than was agreed to before. TRUE: the user agrees, and @host knows
 * it. Only before the loop turns. */
gboolean consent_ask (App *app, PluginHost *host, const PluginInfo *info);
