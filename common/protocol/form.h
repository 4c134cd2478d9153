/* Data forms (XEP-0004), with what XEP-0122 says of valid values: made here, written as XML, and filled in by
 * what a stranger submits, which is checked against the form that it was given. */
#pragma once

#include "common/protocol/tree.h"

#define NS_FORM          "jabber:x:data"
#define NS_FORM_VALIDATE "http://jabber.org/protocol/xdata-validate"

#define FORM_MAX_BYTES 1024 /* of a field's values together, unless the field says otherwise */

/* XEP-0004 section 3.3. */
typedef enum
{
  FORM_TEXT,    /* text-single */
  FORM_PRIVATE, /* text-private */
  FORM_LINES,   /* text-multi: values are lines */
  FORM_CHOICE,  /* list-single */
  FORM_CHOICES, /* list-multi */
  FORM_YES_NO,  /* boolean: "1" or "0", however it was written */
  FORM_ADDRESS, /* jid-single; whether it is one is for who uses it to see */
  FORM_HIDDEN,  /* hidden: what comes back must be what was given */
  FORM_SHOWN,   /* fixed: to be read; never submitted */
  N_FORM_FIELD_KINDS,
} FormFieldKind;

typedef struct FormField FormField;
typedef struct Form Form;

/* @title may be NULL. */
Form *form_new (const char *title);
void form_free (Form *form);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Form, form_free)
/* One more line of instructions. */
void form_add_instructions (Form *form, const char *text);

/* Fields stand in the order they were added. @var is unique in the form; @label may be NULL. Lent: it lives
 * as long as the form. */
FormField *form_add (Form *form, FormFieldKind kind, const char *var, const char *label);
/* A line to be read; clients show it as it is, without any label. */
FormField *form_add_shown (Form *form, const char *var, const char *text);
/* Its value before anything is submitted: a field that is left out keeps it. */
void form_field_add_value (FormField *field, const char *value);
/* A choice; @label may be NULL. Choices have values of their own. */
void form_field_add_option (FormField *field, const char *value, const char *label);
void form_field_require (FormField *field);
void form_field_describe (FormField *field, const char *text);
/* A whole number from @min to @max (XEP-0122: xs:integer, range). */
void form_field_set_range (FormField *field, gint64 min, gint64 max);
/* A POSIX extended regular expression for the whole value (XEP-0122: regex); static. */
void form_field_set_pattern (FormField *field, const char *pattern);
/* The most that its values may have, in bytes, ends of lines counted. */
void form_field_set_limit (FormField *field, gsize max_bytes);

/* A list instead of fields: columns first, then rows, each with a cell for each column; a NULL cell is an
 * empty one. The first column names its row and is unique. A row is written as one field of type text-multi
 * with a line for each other cell that is not empty: "State: paid". COMPAT: gajim 1.7 does not survive the
 * tables of XEP-0004 section 3.4 in a command, and profanity 0.13 shows nothing of them. */
void form_add_column (Form *form, const char *label);
void form_add_row (Form *form);
void form_add_cell (Form *form, const char *text);
guint form_count_rows (const Form *form);

typedef enum
{
  FORM_TO_FILL, /* type='form' */
  FORM_RESULT,  /* type='result' */
} FormUse;

/* Appends the whole `<x/>`. */
void form_write (const Form *form, FormUse use, GString *out);

/* Takes what @x submits (NULL: an empty submission) as the fields' values. Unknown fields are passed over,
 * and what is left out stays as it was (XEP-0004 sections 3.1, 3.5). FALSE with PROTOCOL_ERROR, which names
 * the field and the rule, and then nothing has changed: required and empty, several values for one, not among
 * the choices, no number of the range, not of the pattern, over its limit, not a submission at all. */
gboolean form_fill (Form *form, xmpp_stanza_t *x, GError **error);
/* Presets one field, as form_fill() would take it: for what is known beforehand. The same errors. */
gboolean form_preset (Form *form, const char *var, const char *value, GError **error);

gboolean form_has (const Form *form, const char *var);
/* The first value; NULL if there is none, or no such field. An empty text counts as none. Lent. */
const char *form_get (const Form *form, const char *var);
gboolean form_get_bool (const Form *form, const char *var);
/* The values as lines, each ended; "" if there are none. The caller frees it. */
char *form_dup_lines (const Form *form, const char *var);
