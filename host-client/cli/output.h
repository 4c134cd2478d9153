/* What the program prints. Everything that comes from elsewhere may hold escape sequences that a terminal
 * would obey: control characters are shown, never sent. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* One line of JSON on standard output, at once. Takes @object. */
void output_json (json_t *take_object);
/* One line of text on standard output; the arguments need not be clean. */
void output_line (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* One line on standard error: "host-client: …". */
void output_error (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* @text with control characters, and those that change the direction of writing, made visible. @keeps_lines:
 * newlines and tabs stay. The caller frees it. */
char *output_dup_clean (const char *text, gboolean keeps_lines);
/* A serial to show: its first four characters, and how much is hidden. */
char *output_dup_masked (const char *serial);
