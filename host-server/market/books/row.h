/* What rows of hostctl's lists are made of. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* Texts and times that may be absent: null. */
json_t *row_text (const char *value);
json_t *row_time (gint64 us);
/* Reads an RFC 3339 time, or a while ago: "90m", "24h", "7d". */
gboolean row_parse_since (const char *text, gint64 now_us, gint64 *since_us);
