#include "host-server/configuration/room.h"

#include "host-server/core/http.h"

static const char *
check_store (gpointer data)
{
  const Configuration *configuration = data;
  if (!store_is_healthy (configuration->server->store, STORE_MARKET))
    return "market.db cannot be written";
  return store_is_healthy (configuration->server->store, STORE_CHAT) ? NULL : "chat.db cannot be written";
}

Configuration *
configuration_new (Server *server)
{
  Configuration *configuration = g_new0 (Configuration, 1);
  configuration->server = server;
  configuration->registrations = rate_new (server->clock);
  configuration->password_changes = rate_new (server->clock);
  configuration_registration_init (configuration);
  configuration_commands_init (configuration);
  http_add_ready_check (server->http, "store", check_store, configuration);
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
