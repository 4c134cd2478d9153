/* Messages for accounts without an available resource: kept in chat.db, handed over when one comes, and
 * deleted once the client has them. */
#pragma once

#include "host-server/im/room.h"

/* Keeps @stanza for the account, with a delay stamp (XEP-0203). @sender (NULL: the server itself) is held
 * until the commit, and gets the error if there is no room. */
void offline_keep (Im *im, Session *sender, const Stanza *stanza, const Jid *bare, const char *account);
/* Hands over what is kept to a session that takes messages. */
void offline_drain (Im *im, Session *session);
/* Whether the message has something a user would miss: not the typing notifications of XEP-0085, nor what
 * asks not to be kept (XEP-0334). */
gboolean offline_is_worth_keeping (const Stanza *message);
