/* Refunds: rows with their own idempotency key, sent and followed by jobs. */
#pragma once

#include "host-server/market/books/purchases.h"

/* Makes a refund row and its job for what @purchase holds beyond what it may keep, newest payment first. Rows
 * that a lost dispute has overtaken are dropped first. */
gboolean refunds_settle (Turn *turn, Purchase *purchase, const Books *books, GError **error);
/* What of the payments neither is given back nor will be by a row that there is. */
gboolean refunds_get_free (Turn *turn, const Purchase *purchase, const Books *books, gint64 *free_minor,
                           GError **error);
/* Makes refund rows and their jobs for @amount_minor, which is at most what is free, newest payment first. */
gboolean refunds_add (Turn *turn, const Purchase *purchase, const Books *books, gint64 amount_minor,
                      const char *reason, GError **error);
/* The provider reports its refund @provider_refund as done: our row for it, if any, is confirmed. */
gboolean refund_confirm (Turn *turn, const char *provider, const char *provider_refund, GError **error);
