/* Ending a user's right to a plugin by hand. */
#pragma once

#include "host-server/market/books/desk.h"

/* The entitlement is revoked, what is being made for it is abandoned, its serial burned. No money moves.
 * *@is_found: FALSE if there is nothing to revoke. */
gboolean serial_revoke (Turn *turn, const char *account, const char *plugin, gboolean *is_found,
                        GError **error);
