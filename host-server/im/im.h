/* Instant messaging and presence (RFC 6121) for the accounts of this server: roster, subscriptions, presence,
 * delivery of messages and IQs, the offline store, and what the server answers about itself. */
#pragma once

#include "host-server/core/server.h"

typedef struct Im Im;

/* Registers everything with @server, and takes up removals of accounts that a crash interrupted. */
Im *im_new (Server *server);
/* After the sessions and the store are gone. */
void im_free (Im *im);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Im, im_free)
