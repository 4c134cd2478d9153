#include "host-server/configuration/room.h"

Configuration *
configuration_new (Server *server)
{
  Configuration *configuration = g_new0 (Configuration, 1);
  configuration->server = server;
  configuration->registrations = rate_new (server->clock);
  configuration->password_changes = rate_new (server->clock);
  configuration_registration_init (configuration);
  configuration_commands_init (configuration);
  return configuration;
}

void
configuration_free (Configuration *configuration)
{
  if (configuration == NULL)
    return;
  rate_free (configuration->registrations);
  rate_free (configuration->password_changes);
  g_free (configuration);
}
