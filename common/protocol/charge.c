#include "common/protocol/charge.h"

#include <string.h>

char *
charge_dup_price (gint64 minor, const char *currency)
{
  static const char *const whole[] = { "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                       "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF", NULL };
  static const char *const thousandth[] = { "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", NULL };
  if (minor == 0)
    return g_strdup ("free");
  const char *code = currency != NULL ? currency : "";
  if (g_strv_contains (whole, code))
    return g_strdup_printf ("%" G_GINT64_FORMAT " %s", minor, code);
  gint64 unit = g_strv_contains (thousandth, code) ? 1000 : 100;
  return g_strdup_printf ("%" G_GINT64_FORMAT ".%0*" G_GINT64_FORMAT " %s", minor / unit,
                          unit == 1000 ? 3 : 2, minor % unit, code);
}

char *
charge_dup_host (const char *url)
{
  g_autoptr (GUri) uri = g_uri_parse (url, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL || g_uri_get_host (uri) == NULL
      || (strcmp (g_uri_get_scheme (uri), "https") != 0 && strcmp (g_uri_get_scheme (uri), "http") != 0))
    return NULL;
  return g_strdup (g_uri_get_host (uri));
}
