#include "host-client/cli/consent.h"

gboolean
consent_ask (App *app, PluginHost *host, const PluginInfo *info)
{
  g_auto (GStrv) all = plugin_info_describe (info);
  g_auto (GStrv) unagreed = plugin_host_list_unagreed (host, info);
  if (app->arguments->is_json)
    {
      json_t *permissions = json_array (), *fresh = json_array ();
      for (char **one = all; *one != NULL; one++)
        json_array_append_new (permissions, json_string (*one));
      for (char **one = unagreed; *one != NULL; one++)
        json_array_append_new (fresh, json_string (*one));
      output_json (json_pack ("{s:s, s:s, s:s, s:s, s:o, s:o}", "event", "permissions", "id", info->id,
                              "name", info->name, "version", info->version, "all", permissions, "new",
                              fresh));
    }
  else
    {
      output_line ("%s %s (%s) %s", info->name, info->version, info->id,
                   all[0] != NULL ? "asks that it may:" : "asks for nothing.");
      for (char **one = all; *one != NULL; one++)
        output_line ("  %s%s", *one,
                     g_strv_contains ((const char *const *)unagreed, *one) ? "" : "  (agreed before)");
    }
  if (unagreed[0] == NULL)
    return TRUE;
  if (app->arguments->has_yes || (app_has_terminal () && app_ask ("Install it?")))
    {
      plugin_host_agree (host, info);
      return TRUE;
    }
  return FALSE;
}
