/* What a vendor asks before shipping: is the descriptor right, and does the object have what it says? Nothing
 * is installed. */
#pragma once

#include "host-client/core/plugin.h"

typedef struct
{
  gboolean is_error; /* else a warning: it can be installed */
  char *text;
} PluginFinding;

/* Reads the descriptor @path (lint_descriptor()), compares the object's hash, and lets a confined runner open
 * the object and look up every symbol, as installing does. Comes back on the host's context. */
void plugin_check_async (PluginHost *host, const char *path, GAsyncReadyCallback callback,
                         gpointer user_data);
/* PluginFindings, none if all is well; the caller unrefs the array. NULL with @error if it could not even be
 * looked at. */
GPtrArray *plugin_check_finish (GAsyncResult *result, GError **error);
