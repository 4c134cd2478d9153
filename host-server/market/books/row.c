#include "host-server/market/books/row.h"

#include "common/base/clock.h"

#include <string.h>

json_t *
row_text (const char *value)
{
  return value != NULL ? json_string (value) : json_null ();
}

json_t *
row_time (gint64 us)
{
  g_autofree char *value = us != 0 ? clock_dup_rfc3339 (us) : NULL;
  return row_text (value);
}

gboolean
row_parse_since (const char *text, gint64 now_us, gint64 *since_us)
{
  static const struct
  {
    char letter;
    gint64 seconds;
  } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
  char *end;
  guint64 n = g_ascii_isdigit (text[0]) ? g_ascii_strtoull (text, &end, 10) : 0;
  if (n == 0 || n > 100000 || strlen (end) != 1)
    return clock_parse_rfc3339 (text, since_us);
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (units[i].letter == *end)
      {
        *since_us = now_us - (gint64)n * units[i].seconds * G_USEC_PER_SEC;
        return TRUE;
      }
  return FALSE;
}
