/* Terms: how long a plugin was bought for, as an ISO 8601 duration of calendar units ("P1Y", "P3M", "P2W",
 * "P30D"). */
#pragma once

#include <glib.h>

/* One unit of 1 to 999 years, months, weeks or days; "" is for ever and valid. */
gboolean term_is_valid (const char *term);
/* @from_us plus @term in the UTC calendar, the day clamped to the month's end; 0 for "" (for ever). @term is
 * valid. */
gint64 term_add (const char *term, gint64 from_us);
