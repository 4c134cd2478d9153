/* What the user agreed that a plugin may do, kept beside its copies in CONFIG/plugins/ID/agreed, and what it
 * is worth: a plugin that asks for more than that is neither installed nor started. The same file says which
 * copy a confined runner has verified, and to whom the plugin may write. Part of host-client/core/plugin*;
 * others use plugin.h. */
#pragma once

#include "host-client/core/plugin.h"

/* What @info asks for and the file in @folder (CONFIG/plugins) does not grant, in plain words; empty:
 * nothing. Caller frees (g_strfreev). */
char **plugin_agreement_find_missing (const char *folder, const PluginInfo *info);
/* Writes down that the user agreed to what @info asks for, no more and no less, that its copy was verified,
 * and whether that copy judges a serial. FALSE with PLUGIN_ERROR_STORAGE. */
gboolean plugin_agreement_keep (const char *folder, const PluginInfo *info, gboolean needs_serial,
                                GError **error);
/* Whether this very copy was verified. */
gboolean plugin_agreement_is_verified (const char *folder, const PluginInfo *info);
/* Whether the copy @hash (NULL: the one that was verified last) was found to judge a serial when it was
 * verified; it is known of the last few. */
gboolean plugin_agreement_needs_serial (const char *folder, const char *id, const char *hash);

/* The addresses that the plugin may write to for @account though no chat with them is open. */
char **plugin_agreement_list_peers (const char *folder, const char *id, const char *account);
gboolean plugin_agreement_allow (const char *folder, const char *id, const char *account, const char *peer,
                                 gboolean is_allowed, GError **error);
