/* GKeyFile syntax for programs without GLib: groups of key=value lines, read once, front to back.
 *
 * Stricter than GLib's: a group or key may come only once, a key needs a group, text is UTF-8 without NUL or
 * control characters, and there are no locale variants. Blanks around keys and values are dropped. Escapes in
 * values (\s \n \t \r \\) are resolved. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct
{
  const char *group; /* of the current line */
  const char *key;
  char *value;

  char *next; /* the unread text */
  unsigned line;
} Keyfile;

typedef enum
{
  KEYFILE_END,
  KEYFILE_GROUP, /* a new group begins: @group */
  KEYFILE_ENTRY, /* a line of it: @key and @value */
  KEYFILE_BAD,   /* not the syntax: @key says what is wrong, in line @line */
} KeyfileItem;

/* Begins to read @text, which is cut up in place and must live as long as what is read from it;
 * @text[@length] is writable and becomes NUL. Whether a group or key came before is the caller's to check. */
void keyfile_init (Keyfile *keyfile, char *text, size_t length);
KeyfileItem keyfile_next (Keyfile *keyfile);

/* Cuts the next element off a list separated by ';' (a last ';' ends it), blanks dropped. NULL at its end. */
char *keyfile_next_in_list (char **list);

/* Whether @text is UTF-8 (no surrogates, no overlong forms) without control characters, line separators and
 * what turns the direction of writing; @also lists control characters that are allowed. */
bool keyfile_is_text (const char *text, size_t length, const char *also);
