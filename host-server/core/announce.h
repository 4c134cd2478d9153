/* Messages that the server itself sends to a user. */
#pragma once

#include "host-server/core/server.h"

/* Whether a resource has heard of it another way. */
typedef gboolean (*AnnounceSkip) (const char *full_jid, gpointer data);

typedef struct
{
  const Jid *from;
  const char *user; /* bare JID of this server's domain */
  const char *id;   /* of the stanza */
  const char *payload;
  AnnounceSkip has_heard; /* NULL: nobody has */
  gpointer data;
} Announcement;

/* Sends a message of type chat to every resource that takes messages and has not heard; if the user has no
 * resource that takes messages, to the bare address, which keeps it (im). */
void announce (Server *server, const Announcement *announcement);
