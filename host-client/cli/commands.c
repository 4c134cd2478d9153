#include "host-client/cli/commands.h"

#include <string.h>

static const Command *
find_plugin_command (char **words)
{
  if (strcmp (words[0], "list") == 0)
    return &command_plugin_list;
  if (strcmp (words[0], "check") == 0)
    return &command_plugin_check;
  if (strcmp (words[0], "allow") == 0 || strcmp (words[0], "forbid") == 0)
    return &command_plugin_allow;
  if (strcmp (words[0], "remove") == 0)
    return &command_plugin_remove;
  if (strcmp (words[0], "rollback") == 0)
    return &command_plugin_rollback;
  if (strcmp (words[0], "install") != 0)
    return &command_plugin_use;
  /* An id of the market's, or a file. */
  return strchr (words[1], '/') != NULL || g_str_has_suffix (words[1], ".legacy")
                 || g_str_has_suffix (words[1], ".plugin")
             ? &command_plugin_install
             : &command_plugin_download;
}

const Command *
command_find (const Arguments *arguments)
{
  static const Command *const commands[]
      = { &command_login,    &command_send, &command_listen,     &command_roster,  &command_catalog,
          &command_serials,  &command_buy,  &command_order,      &command_decline, &command_receipt,
          &command_function, &command_item, &command_interactive };
  if (arguments->command == COMMAND_PLUGIN)
    return find_plugin_command (arguments->words);
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    if (commands[i]->kind == arguments->command)
      return commands[i];
  return NULL;
}
