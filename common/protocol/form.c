#include "common/protocol/form.h"

#include "common/base/secret.h"
#include "common/base/text.h"

#include <string.h>

typedef struct
{
  char *value;
  char *label;
} Option;

struct FormField
{
  FormFieldKind kind;
  char *var;
  char *label;
  char *desc;
  gboolean is_required;
  gsize max_bytes;
  gboolean is_number;
  gint64 min, max;
  const char *pattern;
  GPtrArray *options; /* of Option */
  GPtrArray *values;  /* of char * */
};

struct Form
{
  char *title;
  GPtrArray *instructions; /* of char * */
  GPtrArray *fields;       /* of FormField */
  GPtrArray *columns;      /* of char *: labels */
  GPtrArray *rows;         /* of GPtrArray of char * */
};

static const char *const kinds[N_FORM_FIELD_KINDS]
    = { "text-single", "text-private", "text-multi", "list-single", "list-multi",
        "boolean",     "jid-single",   "hidden",     "fixed" };

static void
option_free (gpointer data)
{
  Option *option = data;
  g_free (option->value);
  g_free (option->label);
  g_free (option);
}

static void
field_free (gpointer data)
{
  FormField *field = data;
  g_free (field->var);
  g_free (field->label);
  g_free (field->desc);
  g_ptr_array_unref (field->options);
  g_ptr_array_unref (field->values);
  g_free (field);
}

static void
row_free (gpointer row)
{
  g_ptr_array_unref (row);
}

/* A value may be a serial or a pool's key. */
static void
wipe_text (gpointer text)
{
  secret_wipe (text, strlen (text));
  g_free (text);
}

static GPtrArray *
texts_new (void)
{
  return g_ptr_array_new_with_free_func (wipe_text);
}

Form *
form_new (const char *title)
{
  Form *form = g_new0 (Form, 1);
  form->title = g_strdup (title);
  form->instructions = texts_new ();
  form->fields = g_ptr_array_new_with_free_func (field_free);
  form->columns = texts_new ();
  form->rows = g_ptr_array_new_with_free_func (row_free);
  return form;
}

void
form_free (Form *form)
{
  if (form == NULL)
    return;
  g_free (form->title);
  g_ptr_array_unref (form->instructions);
  g_ptr_array_unref (form->fields);
  g_ptr_array_unref (form->columns);
  g_ptr_array_unref (form->rows);
  g_free (form);
}

void
form_add_instructions (Form *form, const char *text)
{
  g_ptr_array_add (form->instructions, g_strdup (text));
}

static FormField *
find_field (const Form *form, const char *var)
{
  for (guint i = 0; i < form->fields->len; i++)
    {
      FormField *field = g_ptr_array_index (form->fields, i);
      if (strcmp (field->var, var) == 0)
        return field;
    }
  return NULL;
}

FormField *
form_add (Form *form, FormFieldKind kind, const char *var, const char *label)
{
  g_assert (find_field (form, var) == NULL);
  FormField *field = g_new0 (FormField, 1);
  field->kind = kind;
  field->var = g_strdup (var);
  field->label = g_strdup (label);
  field->max_bytes = FORM_MAX_BYTES;
  field->options = g_ptr_array_new_with_free_func (option_free);
  field->values = texts_new ();
  g_ptr_array_add (form->fields, field);
  return field;
}

FormField *
form_add_shown (Form *form, const char *var, const char *text)
{
  FormField *field = form_add (form, FORM_SHOWN, var, NULL);
  form_field_add_value (field, text);
  return field;
}

void
form_field_add_value (FormField *field, const char *value)
{
  g_ptr_array_add (field->values, g_strdup (value));
}

void
form_field_add_option (FormField *field, const char *value, const char *label)
{
  Option *option = g_new (Option, 1);
  option->value = g_strdup (value);
  option->label = g_strdup (label);
  g_ptr_array_add (field->options, option);
}

void
form_field_require (FormField *field)
{
  field->is_required = TRUE;
}

void
form_field_describe (FormField *field, const char *text)
{
  g_free (field->desc);
  field->desc = g_strdup (text);
}

void
form_field_set_range (FormField *field, gint64 min, gint64 max)
{
  field->is_number = TRUE;
  field->min = min;
  field->max = max;
}

void
form_field_set_pattern (FormField *field, const char *pattern)
{
  field->pattern = pattern;
}

void
form_field_set_limit (FormField *field, gsize max_bytes)
{
  field->max_bytes = max_bytes;
}

void
form_add_column (Form *form, const char *label)
{
  g_ptr_array_add (form->columns, g_strdup (label));
}

void
form_add_row (Form *form)
{
  g_ptr_array_add (form->rows, texts_new ());
}

void
form_add_cell (Form *form, const char *text)
{
  GPtrArray *row = g_ptr_array_index (form->rows, form->rows->len - 1);
  g_assert (row->len < form->columns->len);
  g_ptr_array_add (row, g_strdup (text != NULL ? text : ""));
}

guint
form_count_rows (const Form *form)
{
  return form->rows->len;
}

/* Writing. */

static void
append_element (GString *out, const char *name, const char *text)
{
  g_string_append_printf (out, "<%s>", name);
  text_append_xml (out, text);
  g_string_append_printf (out, "</%s>", name);
}

static void
append_validation (const FormField *field, GString *out)
{
  if (field->is_number)
    g_string_append_printf (out,
                            "<validate xmlns='" NS_FORM_VALIDATE
                            "' datatype='xs:integer'><range min='%" G_GINT64_FORMAT "' max='%" G_GINT64_FORMAT
                            "'/></validate>",
                            field->min, field->max);
  else if (field->pattern != NULL)
    {
      g_string_append (out, "<validate xmlns='" NS_FORM_VALIDATE "' datatype='xs:string'>");
      append_element (out, "regex", field->pattern);
      g_string_append (out, "</validate>");
    }
}

static void
append_field (const FormField *field, FormUse use, GString *out)
{
  g_string_append (out, "<field");
  text_append_xml_attribute (out, "var", field->var);
  text_append_xml_attribute (out, "type", kinds[field->kind]);
  text_append_xml_attribute (out, "label", field->label);
  g_string_append_c (out, '>');
  if (use == FORM_TO_FILL)
    {
      if (field->desc != NULL)
        append_element (out, "desc", field->desc);
      if (field->is_required)
        g_string_append (out, "<required/>");
      append_validation (field, out);
    }
  for (guint i = 0; i < field->values->len; i++)
    append_element (out, "value", g_ptr_array_index (field->values, i));
  for (guint i = 0; use == FORM_TO_FILL && i < field->options->len; i++)
    {
      const Option *option = g_ptr_array_index (field->options, i);
      g_string_append (out, "<option");
      text_append_xml_attribute (out, "label", option->label);
      g_string_append_c (out, '>');
      append_element (out, "value", option->value);
      g_string_append (out, "</option>");
    }
  g_string_append (out, "</field>");
}

static void
append_row (const Form *form, const GPtrArray *row, GString *out)
{
  const char *name = g_ptr_array_index (row, 0);
  g_string_append (out, "<field");
  text_append_xml_attribute (out, "var", name);
  text_append_xml_attribute (out, "type", kinds[FORM_LINES]);
  text_append_xml_attribute (out, "label", name);
  g_string_append_c (out, '>');
  for (guint i = 1; i < row->len; i++)
    {
      const char *cell = g_ptr_array_index (row, i);
      if (cell[0] == '\0')
        continue;
      g_string_append (out, "<value>");
      text_append_xml (out, g_ptr_array_index (form->columns, i));
      g_string_append (out, ": ");
      text_append_xml (out, cell);
      g_string_append (out, "</value>");
    }
  g_string_append (out, "</field>");
}

void
form_write (const Form *form, FormUse use, GString *out)
{
  g_string_append_printf (out, "<x xmlns='" NS_FORM "' type='%s'>", use == FORM_RESULT ? "result" : "form");
  if (form->title != NULL)
    append_element (out, "title", form->title);
  for (guint i = 0; i < form->instructions->len; i++)
    append_element (out, "instructions", g_ptr_array_index (form->instructions, i));
  for (guint i = 0; i < form->rows->len; i++)
    append_row (form, g_ptr_array_index (form->rows, i), out);
  for (guint i = 0; i < form->fields->len; i++)
    append_field (g_ptr_array_index (form->fields, i), use, out);
  g_string_append (out, "</x>");
}

/* Filling in. */

static gboolean
is_choice (const FormField *field, const char *value)
{
  for (guint i = 0; i < field->options->len; i++)
    if (strcmp (((const Option *)g_ptr_array_index (field->options, i))->value, value) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
is_of_pattern (const char *pattern, const char *value)
{
  g_autofree char *whole = g_strconcat ("^(?:", pattern, ")\\z", NULL);
  return g_regex_match_simple (whole, value, 0, 0);
}

/* NULL, or the rule that one value breaks. */
static const char *
find_problem (const FormField *field, const char *value)
{
  gint64 number;
  gboolean is_list = field->kind == FORM_CHOICE || field->kind == FORM_CHOICES;
  if (is_list && !is_choice (field, value))
    return "is not one of the choices";
  if (field->kind == FORM_YES_NO && strcmp (value, "1") != 0 && strcmp (value, "0") != 0)
    return "must be true or false";
  if (field->kind != FORM_LINES && strpbrk (value, "\r\n") != NULL)
    return "must be one line";
  if (field->is_number && !g_ascii_string_to_signed (value, 10, field->min, field->max, &number, NULL))
    return "must be a whole number in its range";
  if (field->pattern != NULL && !is_of_pattern (field->pattern, value))
    return "does not have the form that is asked for";
  return NULL;
}

static gboolean
is_multiple (const FormField *field)
{
  return field->kind == FORM_LINES || field->kind == FORM_CHOICES;
}

/* Empty texts are the way clients say that there is nothing (XEP-0004 section 3.6); an empty line is a line.
 */
static void
take_value (const FormField *field, GPtrArray *values, const char *value)
{
  if (field->kind == FORM_YES_NO && (strcmp (value, "true") == 0 || strcmp (value, "false") == 0))
    value = value[0] == 't' ? "1" : "0";
  if (value[0] != '\0' || field->kind == FORM_LINES)
    g_ptr_array_add (values, g_strdup (value));
}

static void
check_values (TreeReader *reader, const FormField *field, const GPtrArray *values)
{
  const char *name = field->label != NULL ? field->label : field->var;
  gsize bytes = 0, n_texts = 0;
  for (guint i = 0; i < values->len && reader->error == NULL; i++)
    {
      const char *value = g_ptr_array_index (values, i);
      const char *problem = find_problem (field, value);
      bytes += strlen (value) + (is_multiple (field) ? 1 : 0);
      n_texts += value[0] != '\0';
      if (problem != NULL)
        tree_fail (reader, "%s (%s): %s", name, field->var, problem);
    }
  if (field->is_required && n_texts == 0)
    tree_fail (reader, "%s (%s): is required", name, field->var);
  if (bytes > field->max_bytes)
    tree_fail (reader, "%s (%s): is longer than %zu bytes", name, field->var, field->max_bytes);
  if (!is_multiple (field) && values->len > 1)
    tree_fail (reader, "%s (%s): takes one value", name, field->var);
  if (field->kind == FORM_HIDDEN
      && (values->len != field->values->len
          || (values->len == 1
              && strcmp (g_ptr_array_index (values, 0), g_ptr_array_index (field->values, 0)) != 0)))
    tree_fail (reader, "%s: must come back as it was", field->var);
}

static GPtrArray *
read_values (TreeReader *reader, const FormField *field, xmpp_stanza_t *element)
{
  GPtrArray *values = texts_new ();
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL && reader->error == NULL;
       child = xmpp_stanza_get_next (child))
    {
      if (g_strcmp0 (xmpp_stanza_get_name (child), "value") != 0)
        continue;
      g_autofree char *text = tree_dup_text (reader, child, field->max_bytes);
      take_value (field, values, text != NULL ? text : "");
    }
  return values;
}

static void
unref_values (gpointer values)
{
  g_ptr_array_unref (values);
}

/* What @x submits for each of our fields: field -> its values. */
static GHashTable *
read_submission (TreeReader *reader, const Form *form, xmpp_stanza_t *x)
{
  GHashTable *submitted = g_hash_table_new_full (NULL, NULL, NULL, unref_values);
  const char *type = xmpp_stanza_get_type (x);
  tree_expect (reader, x, "x", NS_FORM);
  /* XEP-0050 section 3.5.1: a form that says `cancel` is a submitted one. */
  if (g_strcmp0 (type, "submit") != 0 && g_strcmp0 (type, "cancel") != 0)
    tree_fail (reader, "<x/>: type='submit' expected");
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (x); child != NULL && reader->error == NULL;
       child = xmpp_stanza_get_next (child))
    {
      const char *var = g_strcmp0 (xmpp_stanza_get_name (child), "field") == 0
                            ? xmpp_stanza_get_attribute (child, "var")
                            : NULL;
      FormField *field = var != NULL ? find_field (form, var) : NULL;
      if (field == NULL || field->kind == FORM_SHOWN)
        continue;
      if (g_hash_table_contains (submitted, field))
        tree_fail (reader, "%s: stands there twice", field->var);
      else
        g_hash_table_insert (submitted, field, read_values (reader, field, child));
    }
  return submitted;
}

gboolean
form_fill (Form *form, xmpp_stanza_t *x, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (GHashTable) submitted
      = x != NULL ? read_submission (&reader, form, x) : g_hash_table_new (NULL, NULL);
  for (guint i = 0; i < form->fields->len && reader.error == NULL; i++)
    {
      const FormField *field = g_ptr_array_index (form->fields, i);
      const GPtrArray *values = g_hash_table_lookup (submitted, field);
      if (field->kind != FORM_SHOWN)
        check_values (&reader, field, values != NULL ? values : field->values);
    }
  if (!tree_reader_finish (&reader, error))
    return FALSE;

  GHashTableIter iter;
  gpointer field, values;
  g_hash_table_iter_init (&iter, submitted);
  while (g_hash_table_iter_next (&iter, &field, &values))
    {
      g_ptr_array_unref (((FormField *)field)->values);
      ((FormField *)field)->values = g_ptr_array_ref (values);
    }
  return TRUE;
}

gboolean
form_preset (Form *form, const char *var, const char *value, GError **error)
{
  TreeReader reader = { NULL };
  FormField *field = find_field (form, var);
  g_assert (field != NULL && field->kind != FORM_SHOWN && field->kind != FORM_HIDDEN);
  g_autoptr (GPtrArray) values = texts_new ();
  take_value (field, values, value);
  check_values (&reader, field, values);
  if (!tree_reader_finish (&reader, error))
    return FALSE;
  g_ptr_array_unref (field->values);
  field->values = g_steal_pointer (&values);
  return TRUE;
}

gboolean
form_has (const Form *form, const char *var)
{
  return find_field (form, var) != NULL;
}

const char *
form_get (const Form *form, const char *var)
{
  const FormField *field = find_field (form, var);
  const char *value = field != NULL && field->values->len > 0 ? g_ptr_array_index (field->values, 0) : NULL;
  return value != NULL && value[0] != '\0' ? value : NULL;
}

gboolean
form_get_bool (const Form *form, const char *var)
{
  return g_strcmp0 (form_get (form, var), "1") == 0;
}

char *
form_dup_lines (const Form *form, const char *var)
{
  const FormField *field = find_field (form, var);
  GString *lines = g_string_new (NULL);
  for (guint i = 0; field != NULL && i < field->values->len; i++)
    {
      g_string_append (lines, g_ptr_array_index (field->values, i));
      g_string_append_c (lines, '\n');
    }
  return g_string_free (lines, FALSE);
}
