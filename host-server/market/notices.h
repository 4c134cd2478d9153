/* Telling users by message what became of their orders (docs/protocol.md, "Commands").
 *
 * Who ordered with a command of a standard client asked for no pushes and would have to ask again and again.
 * Such an order is marked, and what becomes of it is told by a message from market.D to those of the user's
 * resources that get no pushes; if none is there it waits as any message does. A message that is due is a row
 * of the commit that decided it, until it has left. */
#pragma once

#include "host-server/market/books/desk.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/market.h"

/* From now on the order's user is told by messages. */
gboolean notices_want (Turn *turn, const char *purchase, GError **error);

/* For market.c, at the end of a turn: writes rows for those of @turn's orders that are to be told, and adds
 * their ids to @ids. */
gboolean notices_record (Turn *turn, GPtrArray *ids, GError **error);
/* After the commit: sends them, and deletes the rows. */
void notices_send (Market *market, const GPtrArray *ids);
/* Sends what the last run left. */
void notices_init (Market *market);

/* The charging page's address came after the command was answered. */
void notices_tell_charge (Market *market, const Purchase *purchase);
