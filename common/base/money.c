#include "common/base/money.h"

char *
money_dup_text (gint64 minor, const char *currency)
{
  static const char *const whole[] = { "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                       "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF", NULL };
  static const char *const thousandth[] = { "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", NULL };
  const char *code = currency != NULL ? currency : "";
  if (g_strv_contains (whole, code))
    return g_strdup_printf ("%" G_GINT64_FORMAT " %s", minor, code);
  gint64 unit = g_strv_contains (thousandth, code) ? 1000 : 100;
  return g_strdup_printf ("%" G_GINT64_FORMAT ".%0*" G_GINT64_FORMAT " %s", minor / unit,
                          unit == 1000 ? 3 : 2, minor % unit, code);
}
