/* What the files of im/ share. Inside im/ only. */
#pragma once

#include "host-server/core/hooks.h"
#include "host-server/core/router.h"
#include "host-server/core/server.h"
#include "host-server/core/service.h"
#include "host-server/core/session.h"
#include "host-server/im/im.h"

struct Im
{
  Server *server;
  GHashTable *rosters; /* bare JID -> Roster (lent), of accounts with sessions */
  GHashTable *drains;  /* bare JID -> Drain, of accounts whose offline messages are being handed over */
  guint64 n_pushes;    /* ids of roster pushes */
  gint64 started_us;   /* monotonic */
};

/* A limit of the configuration file; 0, which means none there, is G_MAXINT64 here. */
gint64 im_get_limit (const Im *im, const char *key);
/* The UUID of the account behind a bare address of this server's domain. FALSE if there is none. */
gboolean im_find_account (Im *im, const Jid *jid, char uuid[37]);
/* Sends @xml, one whole stanza. */
void im_send (Session *session, const GString *xml);

/* Registrations of the files, in the order im_new() calls them. */
void im_roster_init (Im *im);
void im_presence_init (Im *im);
void im_messages_init (Im *im);
void im_offline_init (Im *im);
void im_requests_init (Im *im);
void im_disco_init (Im *im);
void im_entity_init (Im *im);
void im_removal_init (Im *im);
