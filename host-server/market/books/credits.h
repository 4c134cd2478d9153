/* What fulfilled lines of items have credited to their users' counters (store/counters.h).
 *
 * A line credits its amount once, in the commit that fulfils it. While what was paid for it is in dispute,
 * and when the money has gone back, what is left of it is taken away again; what was used up by then stays
 * with the line as `credited`, and nothing bought later pays for it. A line that counts again gets what it
 * lacks. */
#pragma once

#include "host-server/market/books/purchases.h"

/* @purchase is fulfilled, or counts again: its amount is credited, or withheld while its money is in dispute.
 */
gboolean credit_grant (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error);
/* A dispute was opened or has ended; nothing happens to a line that was never credited, or has ended. */
gboolean credit_withhold (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error);
/* The money has gone back. Nothing happens to a line that was never credited. */
gboolean credit_end (Turn *turn, const Purchase *purchase, GError **error);
/* The account is removed, and its counters with it: nothing is taken away any more. */
gboolean credits_forget (Turn *turn, const char *account, GError **error);
/* Whether @line was ever credited, so that it can count again. */
gboolean credit_find (Db *db, const char *line, gboolean *is_there, GError **error);
