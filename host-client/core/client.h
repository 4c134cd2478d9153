/* One account of this client, whole: its session and what watches it. User interfaces are built on this. */
#pragma once

#include "host-client/core/chat.h"
#include "host-client/core/desk.h"
#include "host-client/core/roster.h"

typedef struct Client Client;

typedef struct
{
  Folder *folder;
  const char *account; /* prepared bare JID */
  const Secret *password;
  const Endpoint *server; /* NULL: found through the domain */
  const char *pin; /* hex SHA-256 of the only certificate to trust; NULL: verify, or the folder's pin */
  SessionRetry retry;
  gboolean is_lasting; /* the user stays with this process: it takes over what ended ones left unsent */
  const Clock *clock;
} ClientOptions;

/* Folder and clock outlive the client; everything else is copied. NULL with a DB_ERROR or FOLDER_ERROR. */
Client *client_new (const ClientOptions *options, GError **error);
/* Not from within a callback of anything it owns. */
void client_free (Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Client, client_free)

/* Its parts, which it owns. */
Session *client_peek_session (Client *client);
Roster *client_peek_roster (Client *client);
Chat *client_peek_chat (Client *client);
Market *client_peek_market (Client *client);
Desk *client_peek_desk (Client *client);
Functions *client_peek_functions (Client *client);
Db *client_peek_db (Client *client);
