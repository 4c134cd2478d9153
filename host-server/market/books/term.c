#include "host-server/market/books/term.h"

#include <string.h>

static gboolean
parse (const char *term, int *n, char *unit)
{
  if (term[0] != 'P' || !g_ascii_isdigit (term[1]) || term[1] == '0')
    return FALSE;
  *n = 0;
  gsize i = 1;
  for (; g_ascii_isdigit (term[i]); i++)
    if ((*n = *n * 10 + (term[i] - '0')) > 999)
      return FALSE;
  *unit = term[i];
  return term[i] != '\0' && strchr ("YMWD", term[i]) != NULL && term[i + 1] == '\0';
}

gboolean
term_is_valid (const char *term)
{
  int n;
  char unit;
  return term[0] == '\0' || parse (term, &n, &unit);
}

gint64
term_add (const char *term, gint64 from_us)
{
  int n;
  char unit;
  if (!parse (term, &n, &unit))
    return 0;

  g_autoptr (GDateTime) seconds = g_date_time_new_from_unix_utc (from_us / G_USEC_PER_SEC);
  g_autoptr (GDateTime) from = g_date_time_add (seconds, from_us % G_USEC_PER_SEC);
  g_autoptr (GDateTime) to = NULL;
  switch (unit)
    {
    case 'Y':
      to = g_date_time_add_years (from, n);
      break;
    case 'M':
      to = g_date_time_add_months (from, n);
      break;
    case 'W':
      to = g_date_time_add_weeks (from, n);
      break;
    default:
      to = g_date_time_add_days (from, n);
      break;
    }
  return g_date_time_to_unix (to) * G_USEC_PER_SEC + g_date_time_get_microsecond (to);
}

gint64
terms_get_end (const TermSpan *spans, gsize n)
{
  gint64 end_us = 0;
  for (gsize i = 0; i < n; i++)
    {
      end_us = term_add (spans[i].term, MAX (spans[i].granted_us, end_us));
      if (end_us == 0)
        return 0;
    }
  return end_us;
}

char *
term_to_words (const char *term)
{
  int n;
  char unit;
  if (!parse (term, &n, &unit))
    return g_strdup ("for ever");
  const char *word = unit == 'Y' ? "year" : unit == 'M' ? "month" : unit == 'W' ? "week" : "day";
  return g_strdup_printf ("%d %s%s", n, word, n == 1 ? "" : "s");
}
