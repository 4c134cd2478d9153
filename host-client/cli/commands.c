#include "host-client/cli/commands.h"

const Command *
command_find (CommandKind kind)
{
  static const Command *const commands[] = { &command_login, &command_send, &command_listen, &command_roster };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    if (commands[i]->kind == kind)
      return commands[i];
  return NULL;
}
