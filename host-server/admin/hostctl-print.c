#include "host-server/admin/hostctl-print.h"

#include <glib.h>
#include <string.h>

char *
hostctl_dup_shown (const char *text)
{
  GString *shown = g_string_new (NULL);
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar letter = g_utf8_get_char (at);
      if (g_unichar_iscntrl (letter) || g_unichar_type (letter) == G_UNICODE_FORMAT)
        g_string_append_c (shown, '?');
      else
        g_string_append_unichar (shown, letter);
    }
  return g_string_free (shown, FALSE);
}

static char *
dup_value (const json_t *value)
{
  switch (value != NULL ? json_typeof (value) : JSON_NULL)
    {
    case JSON_STRING:
      return hostctl_dup_shown (json_string_value (value));
    case JSON_INTEGER:
      return g_strdup_printf ("%" JSON_INTEGER_FORMAT, json_integer_value (value));
    case JSON_REAL:
      return g_strdup_printf ("%g", json_real_value (value));
    case JSON_TRUE:
      return g_strdup ("yes");
    case JSON_FALSE:
      return g_strdup ("no");
    case JSON_ARRAY:
      {
        GString *joined = g_string_new (NULL);
        for (size_t i = 0; i < json_array_size (value); i++)
          {
            g_autofree char *item = dup_value (json_array_get (value, i));
            g_string_append_printf (joined, "%s%s", i > 0 ? ", " : "", item);
          }
        return g_string_free (joined, FALSE);
      }
    default:
      return g_strdup ("-");
    }
}

/* @row with its nested objects spread out; the caller unrefs it. */
static void
flatten (json_t *flat, const char *prefix, const json_t *row)
{
  const char *key;
  json_t *value;
  json_object_foreach ((json_t *)row, key, value)
  {
    g_autofree char *name = prefix != NULL ? g_strconcat (prefix, ".", key, NULL) : g_strdup (key);
    if (json_is_object (value))
      flatten (flat, name, value);
    else
      json_object_set (flat, name, value);
  }
}

static glong
width_of (const char *text)
{
  glong width = 0;
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar letter = g_utf8_get_char (at);
      width += g_unichar_iszerowidth (letter) ? 0 : g_unichar_iswide (letter) ? 2 : 1;
    }
  return width;
}

static void
print_padded (FILE *out, const char *text, glong width)
{
  fputs (text, out);
  for (glong i = width_of (text); i < width; i++)
    fputc (' ', out);
}

void
hostctl_print_object (FILE *out, const json_t *row)
{
  json_t *flat = json_object ();
  flatten (flat, NULL, row);
  glong width = 0;
  const char *key;
  json_t *value;
  json_object_foreach (flat, key, value) width = MAX (width, width_of (key));
  json_object_foreach (flat, key, value)
  {
    g_autofree char *text = dup_value (value);
    g_autofree char *name = hostctl_dup_shown (key);
    print_padded (out, name, width + 2);
    fprintf (out, "%s\n", text);
  }
  json_decref (flat);
}

static GPtrArray *
cells_of (const json_t *row, GPtrArray *columns)
{
  json_t *flat = json_object ();
  flatten (flat, NULL, row);
  GPtrArray *cells = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < columns->len; i++)
    g_ptr_array_add (cells, dup_value (json_object_get (flat, g_ptr_array_index (columns, i))));
  json_decref (flat);
  return cells;
}

static void
print_line (FILE *out, GPtrArray *cells, const glong *widths)
{
  for (guint i = 0; i < cells->len; i++)
    print_padded (out, g_ptr_array_index (cells, i), i + 1 < cells->len ? widths[i] + 2 : 0);
  fputc ('\n', out);
}

void
hostctl_print_list (FILE *out, const json_t *rows)
{
  if (json_array_size (rows) == 0)
    {
      fputs ("none\n", out);
      return;
    }
  g_autoptr (GPtrArray) columns = g_ptr_array_new_with_free_func (g_free);
  json_t *first = json_object ();
  flatten (first, NULL, json_array_get (rows, 0));
  const char *key;
  json_t *value;
  json_object_foreach (first, key, value) g_ptr_array_add (columns, g_strdup (key));
  json_decref (first);

  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func ((GDestroyNotify)g_ptr_array_unref);
  GPtrArray *head = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < columns->len; i++)
    g_ptr_array_add (head, g_utf8_strup (g_ptr_array_index (columns, i), -1));
  g_ptr_array_add (lines, head);
  for (size_t i = 0; i < json_array_size (rows); i++)
    g_ptr_array_add (lines, cells_of (json_array_get (rows, i), columns));

  g_autofree glong *widths = g_new0 (glong, columns->len + 1);
  for (guint i = 0; i < lines->len; i++)
    for (guint j = 0; j < columns->len; j++)
      {
        GPtrArray *cells = g_ptr_array_index (lines, i);
        widths[j] = MAX (widths[j], width_of (g_ptr_array_index (cells, j)));
      }
  for (guint i = 0; i < lines->len; i++)
    print_line (out, g_ptr_array_index (lines, i), widths);
}
