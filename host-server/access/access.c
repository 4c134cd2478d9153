#include "host-server/access/access.h"

#include "common/protocol/trust-stanza.h"
#include "host-server/core/account-token.h"
#include "host-server/core/service.h"

static void
handle_account_token (ServiceRequest *request, gpointer data)
{
  const Server *server = data;
  g_autoptr (GError) error = NULL;
  gint64 expires_us;
  g_autofree char *token = account_token_issue (server, service_request_get_account (request),
                                                service_request_get_sender (request), &expires_us, &error);
  if (token == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_SERVICE_UNAVAILABLE, error->message, NULL);
      return;
    }
  g_autoptr (GString) xml = g_string_new (NULL);
  account_token_write (token, expires_us, xml);
  service_request_reply (request, xml->str);
}

void
access_init (Server *server)
{
  services_add (server->services, SERVICE_MARKET, STANZA_TYPE_SET, "account-token", NS_TOKENS,
                SERVICE_DEFAULT, handle_account_token, server);
}
