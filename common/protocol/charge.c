#include "common/protocol/charge.h"

#include "common/base/money.h"

#include <string.h>

char *
charge_dup_price (gint64 minor, const char *currency)
{
  return minor == 0 ? g_strdup ("free") : money_dup_text (minor, currency);
}

char *
charge_dup_quantity (gint64 amount, const char *name)
{
  return amount == 1 ? g_strdup (name) : g_strdup_printf ("%" G_GINT64_FORMAT " of %s", amount, name);
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
