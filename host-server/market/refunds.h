/* Refunds: rows with their own idempotency key, sent and followed by jobs. */
#pragma once

#include "host-server/market/purchases.h"

/* Makes a refund row and its job for what @purchase holds beyond what it may keep, newest payment first. */
gboolean refunds_settle (Turn *turn, Purchase *purchase, const Books *books, GError **error);
/* The provider reports its refund @provider_refund as done: our row for it, if any, is confirmed. */
gboolean refund_confirm (Turn *turn, const char *provider, const char *provider_refund, GError **error);
