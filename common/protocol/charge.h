/* What a person is shown before money moves: how much, and whose page it is. */
#pragma once

#include <glib.h>

/* "5.00 EUR", "500 JPY", "free"; @currency is an ISO 4217 code or NULL. The caller frees it. */
char *charge_dup_price (gint64 minor, const char *currency);
/* What one purchase of an item brings: "Coins", or "5 of Coins". The caller frees it. */
char *charge_dup_quantity (gint64 amount, const char *name);
/* The host of an http or https URL; NULL if it is none. The caller frees it. */
char *charge_dup_host (const char *url);
