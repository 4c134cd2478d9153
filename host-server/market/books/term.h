/* Terms: how long a plugin was bought for, as an ISO 8601 duration of calendar units ("P1Y", "P3M", "P2W",
 * "P30D"). */
#pragma once

#include <glib.h>

/* One unit of 1 to 999 years, months, weeks or days; "" is for ever and valid. */
gboolean term_is_valid (const char *term);
/* "2 months", "1 year", "for ever". The caller frees it. */
char *term_to_words (const char *term);
/* @from_us plus @term in the UTC calendar, the day clamped to the month's end; 0 for "" (for ever). @term is
 * valid. */
gint64 term_add (const char *term, gint64 from_us);

/* One purchase of a term. */
typedef struct
{
  const char *term;
  gint64 granted_us;
} TermSpan;

/* When @n purchases, in the order they were granted, end: each begins when it was granted or when the one
 * before ends, whichever is later (money.md, "Renewal"). 0: never. */
gint64 terms_get_end (const TermSpan *spans, gsize n);
