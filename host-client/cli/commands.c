#include "host-client/cli/commands.h"

#include <string.h>

static const Command *
find_plugin_command (const char *word)
{
  if (strcmp (word, "list") == 0)
    return &command_plugin_list;
  if (strcmp (word, "check") == 0)
    return &command_plugin_check;
  if (strcmp (word, "allow") == 0 || strcmp (word, "forbid") == 0)
    return &command_plugin_allow;
  return strcmp (word, "install") == 0 ? &command_plugin_install : &command_plugin_use;
}

const Command *
command_find (const Arguments *arguments)
{
  static const Command *const commands[]
      = { &command_login,   &command_send,    &command_listen,     &command_roster,
          &command_catalog, &command_serials, &command_buy,        &command_order,
          &command_decline, &command_receipt, &command_function,
          &command_interactive };
  if (arguments->command == COMMAND_PLUGIN)
    return find_plugin_command (arguments->words[0]);
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    if (commands[i]->kind == arguments->command)
      return commands[i];
  return NULL;
}
