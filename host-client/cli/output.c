#include "host-client/cli/output.h"

#include "common/base/money.h"

#include <stdio.h>
#include <string.h>

void
output_json (json_t *take_object)
{
  char *text = json_dumps (take_object, JSON_COMPACT);
  if (text != NULL)
    {
      fputs (text, stdout);
      putchar ('\n');
      fflush (stdout);
    }
  free (text);
  json_decref (take_object);
}

static gboolean
is_hidden (gunichar c)
{
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f)
         || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

char *
output_dup_clean (const char *text, gboolean keeps_lines)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *out = g_string_sized_new (strlen (valid));
  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);
      if (!is_hidden (c) || (keeps_lines && (c == '\n' || c == '\t')))
        g_string_append_unichar (out, c);
      else if (c == '\n' || c == '\t')
        g_string_append_c (out, ' ');
      else
        g_string_append_printf (out, "\\u%04x", c);
    }
  return g_string_free (out, FALSE);
}

void
output_line (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_autofree char *clean = output_dup_clean (text, TRUE);
  puts (clean);
  fflush (stdout);
}

void
output_error (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_autofree char *clean = output_dup_clean (text, TRUE);
  fprintf (stderr, "host-client: %s\n", clean);
}

char *
output_dup_masked (const char *serial)
{
  glong length = g_utf8_strlen (serial, -1);
  if (length < 12)
    return g_strdup ("••••");
  g_autofree char *head = g_utf8_substring (serial, 0, 4);
  return g_strdup_printf ("%s…(%ld characters)", head, length);
}
