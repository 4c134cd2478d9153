#include "host-client/core/client.h"

#include "host-client/core/host-trust.h"
#include "host-client/core/jid.h"

struct Client
{
  char *folder;
  Db *db;
  Session *session;
  Roster *roster;
  Chat *chat;
  Market *market;
  Functions *functions;
  Desk *desk;
};

static const ConnectionPush pushes[] = {
  { NS_ROSTER, "query", CONNECTION_SENDER_ACCOUNT, roster_update_read, roster_update_free },
  { NS_SERIALS, "serials", CONNECTION_SENDER_MARKET, market_read_serials, (GDestroyNotify)serials_free },
  { NS_MARKET, "order", CONNECTION_SENDER_MARKET, market_read_order, (GDestroyNotify)order_view_free },
  { NULL },
};

/* Before the market asks for anything: what is revoked is known before a plugin gets its serial. */
static void
on_online (gpointer data)
{
  Client *client = data;
  host_trust_refresh (client->session, client->folder, NULL, NULL);
}

Client *
client_new (const ClientOptions *options, GError **error)
{
  g_autofree char *domain = jid_dup_domain (options->account);
  g_autofree char *stored_pin = folder_dup_pin (options->folder, domain);
  SessionOptions session = {
    .account = options->account,
    .password = options->password,
    .server = options->server,
    .pin = options->pin,
    .stored_pin = stored_pin,
    .retry = options->retry,
    .clock = options->clock,
  };
  g_autoptr (Client) client = g_new0 (Client, 1);
  client->db = folder_open_account (options->folder, options->account, error);
  if (client->db == NULL)
    return NULL;
  client->session = session_new (&session, pushes);
  client->folder = g_strdup (folder_peek_path (options->folder));
  session_watch (client->session, &(SessionWatch){ .online = on_online }, client);
  client->roster = roster_new (client->session, client->db, error);
  if (client->roster == NULL)
    return NULL;
  client->chat = chat_new (client->session, client->db, options->folder, options->is_lasting, error);
  if (client->chat == NULL)
    return NULL;
  client->market = market_new (client->session, client->db, error);
  if (client->market == NULL)
    return NULL;
  client->functions = functions_new (client->session);
  DeskOptions desk = {
    .folder = folder_peek_path (options->folder),
    .market = client->market,
    .session = client->session,
    .chat = client->chat,
    .functions = client->functions,
    .db = client->db,
    .clock = options->clock,
  };
  if (!folder_get_uid_base (options->folder, &desk.uid_base, error))
    return NULL;
  client->desk = desk_new (&desk);
  return g_steal_pointer (&client);
}

void
client_free (Client *client)
{
  if (client == NULL)
    return;
  /* First the session: it answers what is open, and its watchers must still be there to hear it. */
  session_free (client->session);
  functions_free (client->functions);
  desk_free (client->desk);
  market_free (client->market);
  chat_free (client->chat);
  roster_free (client->roster);
  db_close (client->db);
  g_free (client->folder);
  g_free (client);
}

Session *
client_peek_session (Client *client)
{
  return client->session;
}

Roster *
client_peek_roster (Client *client)
{
  return client->roster;
}

Chat *
client_peek_chat (Client *client)
{
  return client->chat;
}

Db *
client_peek_db (Client *client)
{
  return client->db;
}

Market *
client_peek_market (Client *client)
{
  return client->market;
}

Desk *
client_peek_desk (Client *client)
{
  return client->desk;
}

Functions *
client_peek_functions (Client *client)
{
  return client->functions;
}
