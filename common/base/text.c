#include "common/base/text.h"

#include <string.h>

static char *
encode_base32 (const guint8 *bytes, gsize length, const char *alphabet)
{
  GString *out = g_string_sized_new (length * 8 / 5 + 2);
  guint32 bits = 0;
  guint n_bits = 0;

  for (gsize i = 0; i < length; i++)
    {
      bits = (bits << 8) | bytes[i];
      n_bits += 8;
      while (n_bits >= 5)
        {
          g_string_append_c (out, alphabet[(bits >> (n_bits - 5)) & 31]);
          n_bits -= 5;
        }
      bits &= (1u << n_bits) - 1;
    }
  if (n_bits > 0)
    g_string_append_c (out, alphabet[(bits << (5 - n_bits)) & 31]);
  return g_string_free (out, FALSE);
}

char *
text_to_base32 (const void *bytes, gsize length)
{
  return encode_base32 (bytes, length, "abcdefghijklmnopqrstuvwxyz234567");
}

char *
text_to_base32hex (const void *bytes, gsize length)
{
  return encode_base32 (bytes, length, "0123456789abcdefghijklmnopqrstuv");
}

char *
text_to_base64url (const void *bytes, gsize length)
{
  char *text = g_base64_encode (bytes, length);
  char *out = text;
  for (const char *p = text; *p != '\0' && *p != '='; p++)
    *out++ = *p == '+' ? '-' : *p == '/' ? '_' : *p;
  *out = '\0';
  return text;
}

char *
text_to_hex (const void *bytes, gsize length)
{
  static const char digits[] = "0123456789abcdef";
  const guint8 *in = bytes;
  char *text = g_malloc (length * 2 + 1);
  for (gsize i = 0; i < length; i++)
    {
      text[2 * i] = digits[in[i] >> 4];
      text[2 * i + 1] = digits[in[i] & 15];
    }
  text[2 * length] = '\0';
  return text;
}

guint8 *
text_from_base64 (const char *text, gsize length, gsize *n_bytes)
{
  *n_bytes = 0;
  if (length % 4 != 0 || memchr (text, '\0', length) != NULL)
    return NULL;
  g_autofree char *copy = g_strndup (text, length);
  gsize n = 0;
  guint8 *bytes = g_malloc (length / 4 * 3 + 1);
  if (length > 0)
    {
      gint state = 0;
      guint save = 0;
      n = g_base64_decode_step (copy, length, bytes, &state, &save);
    }
  /* GLib skips what it does not know and ignores stray bits: what encodes back to the same text is strict. */
  g_autofree char *again = g_base64_encode (bytes, n);
  if (strcmp (again, copy) != 0)
    {
      memset (bytes, 0, length / 4 * 3 + 1);
      g_free (bytes);
      return NULL;
    }
  bytes[n] = '\0';
  *n_bytes = n;
  return bytes;
}

guint8 *
text_from_base64url (const char *text, gsize length, gsize *n_bytes)
{
  *n_bytes = 0;
  if (length > G_MAXINT32 || memchr (text, '+', length) != NULL || memchr (text, '/', length) != NULL)
    return NULL;
  g_autofree char *padded = g_malloc (length + 4);
  gsize n = 0;
  for (; n < length; n++)
    padded[n] = text[n] == '-' ? '+' : text[n] == '_' ? '/' : text[n];
  while (n % 4 != 0)
    padded[n++] = '=';
  /* Padding that was there already makes the text too long by it, or stands in the middle. */
  return length > 0 && text[length - 1] == '=' ? NULL : text_from_base64 (padded, n, n_bytes);
}

static gboolean
is_xml_char (gunichar c)
{
  return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd)
         || (c >= 0x10000 && c <= 0x10ffff);
}

void
text_append_xml_len (GString *out, const char *text, gsize length)
{
  const char *end = text + length;
  const char *run = text;
  const char *p = text;

  while (p < end)
    {
      guchar c = (guchar) *p;
      const char *escape = NULL;
      gsize width = 1;
      switch (c)
        {
        case '&': escape = "&amp;"; break;
        case '<': escape = "&lt;"; break;
        case '>': escape = "&gt;"; break;
        case '\'': escape = "&apos;"; break;
        case '"': escape = "&quot;"; break;
        case '\t': escape = "&#9;"; break;
        case '\n': escape = "&#10;"; break;
        case '\r': escape = "&#13;"; break;
        default:
          if (c < 0x20)
            escape = "\xef\xbf\xbd";
          else if (c >= 0x80)
            {
              gunichar wide = g_utf8_get_char_validated (p, end - p);
              if ((gint32) wide < 0 || !is_xml_char (wide))
                {
                  escape = "\xef\xbf\xbd";
                  width = (gint32) wide < 0 ? 1 : (gsize) g_unichar_to_utf8 (wide, NULL);
                }
              else
                width = (gsize) g_unichar_to_utf8 (wide, NULL);
            }
        }
      if (escape != NULL)
        {
          g_string_append_len (out, run, p - run);
          g_string_append (out, escape);
          run = p + width;
        }
      p += width;
    }
  g_string_append_len (out, run, end - run);
}

void
text_append_xml (GString *out, const char *text)
{
  text_append_xml_len (out, text, strlen (text));
}

void
text_append_xml_attribute (GString *out, const char *name, const char *value)
{
  if (value == NULL)
    return;
  g_string_append_c (out, ' ');
  g_string_append (out, name);
  g_string_append (out, "='");
  text_append_xml (out, value);
  g_string_append_c (out, '\'');
}

gboolean
text_is_xml (const char *text, gsize length)
{
  if (!g_utf8_validate_len (text, length, NULL))
    return FALSE;
  for (const char *p = text; p < text + length; p = g_utf8_next_char (p))
    if (!is_xml_char (g_utf8_get_char (p)))
      return FALSE;
  return TRUE;
}

gboolean
text_is_market_id (const char *text)
{
  gsize length = strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789.-");
  return length >= 1 && length <= 64 && text[length] == '\0' && text[0] != '.' && text[0] != '-';
}
