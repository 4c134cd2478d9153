/* What hostctl shows a person: a table for lists, a column of keys and values for one object. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* @rows is an array of objects; columns are the keys of the first, in order. Nested objects become
 * `outer.inner`. An empty list prints "none". Control characters, which may come from strangers, are shown as
 * '?'. */
void hostctl_print_list (FILE *out, const json_t *rows);
/* @text with '?' in the place of control and format characters; the caller frees it. */
char *hostctl_dup_shown (const char *text);
/* @row is an object; an empty one prints nothing. */
void hostctl_print_object (FILE *out, const json_t *row);
