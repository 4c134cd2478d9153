/* The roster (RFC 6121 §2): in memory for accounts with sessions, its requests, and its pushes. */
#pragma once

#include "host-server/im/exchange.h"
#include "host-server/im/room.h"

typedef struct Roster Roster;

/* The roster of the session's account, read from the store at the first call and kept for as long as one of
 * the account's sessions lives. NULL if the store failed (logged). */
Roster *roster_of_session (Im *im, Session *session);
/* The roster if it is in memory, that is, if the account may have an available resource; else NULL. */
Roster *roster_find (Im *im, const char *bare_jid);
/* NULL if there is no such item; hidden ones are found too. Lent. */
const RosterItem *roster_get (const Roster *roster, const char *bare_jid);
/* JID -> RosterItem, lent. */
GHashTable *roster_get_items (const Roster *roster);

/* Whether the session has asked for the roster (§2.1.1.1: an interested resource). */
gboolean roster_is_interested (const Session *session);
/* After a commit: brings the roster in memory up to date, and pushes to the account's interested resources if
 * what they see has changed. */
void roster_apply (Im *im, const ExchangeSide *side);
