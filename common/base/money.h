/* Amounts of money as people read them. */
#pragma once

#include <glib.h>

/* "12.50 EUR": @minor units with the exponent of ISO 4217; @currency may be NULL. The caller frees it. */
char *money_dup_text (gint64 minor, const char *currency);
