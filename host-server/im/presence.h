/* Presence (RFC 6121 §4). */
#pragma once

#include "host-server/im/room.h"

/* Sends the presence of every available resource of @from to every available resource of @to, bare addresses
 * of this server; presence_hide() sends that they are unavailable. */
void presence_show (Im *im, const Jid *from, const Jid *to);
void presence_hide (Im *im, const Jid *from, const Jid *to);
