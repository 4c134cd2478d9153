/* Quotations by topic, another one each day. */
#pragma once

#include <glib.h>

typedef struct Quotations Quotations;

/* @text: lines of "topic TAB words TAB author and work". */
Quotations *quotations_new (const char *text);
void quotations_free (Quotations *quotations);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Quotations, quotations_free)

/* “…” — Author, Work: the one of the day of @now_us on @topic (NULL or empty: on anything); NULL: none on
 * that topic. Case does not matter. The caller frees it. */
char *quotations_dup_line (const Quotations *quotations, const char *topic, gint64 now_us);
