#include "vendor-kit/plugin-server/maker.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "vendor-kit/plugin-server/signed-serial.h"
#include "vendor-kit/plugin-server/weather-serial.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_COUNT 1000 /* of each unit in a term */

typedef enum
{
  KIND_WEATHER,
  KIND_SIGNED,
  KIND_RANDOM,
} Kind;

struct Maker
{
  Kind kind;
  char *plugin;
  SignedKey *key; /* KIND_SIGNED */
};

static SignedKey *
load_key (const char *file, GError **error)
{
  if (file == NULL)
    {
      log_warning ("maker", "signing with the published sample key; use --key FILE with one of your own");
      g_autoptr (GBytes) pem = g_resources_lookup_data ("/samples/quotes-key.pem", 0, error);
      return pem != NULL ? signed_key_new (g_bytes_get_data (pem, NULL), g_bytes_get_size (pem), error)
                         : NULL;
    }
  g_autofree char *pem = NULL;
  gsize length;
  if (!g_file_get_contents (file, &pem, &length, error))
    return NULL;
  SignedKey *key = signed_key_new (pem, length, error);
  if (key == NULL)
    g_prefix_error (error, "'%s': ", file);
  return key;
}

Maker *
maker_new (const char *plugin, const char *key_file, GError **error)
{
  g_autoptr (Maker) maker = g_new0 (Maker, 1);
  maker->plugin = g_strdup (plugin);
  maker->kind = strcmp (plugin, "weather") == 0  ? KIND_WEATHER
                : strcmp (plugin, "quotes") == 0 ? KIND_SIGNED
                                                 : KIND_RANDOM;
  if (maker->kind == KIND_SIGNED && (maker->key = load_key (key_file, error)) == NULL)
    return NULL;
  return g_steal_pointer (&maker);
}

void
maker_free (Maker *maker)
{
  if (maker == NULL)
    return;
  signed_key_free (maker->key);
  g_free (maker->plugin);
  g_free (maker);
}

const char *
maker_get_plugin (const Maker *maker)
{
  return maker->plugin;
}

gboolean
maker_keeps_serials (const Maker *maker)
{
  return maker->kind == KIND_RANDOM;
}

/* The number behind the last dot: "<order line>.<generation>". */
static guint
generation_of (const char *request)
{
  const char *dot = strrchr (request, '.');
  return dot != NULL ? (guint)g_ascii_strtoull (dot + 1, NULL, 10) : 0;
}

char *
maker_make (const Maker *maker, const char *request, const char *user, gint64 *expires_s)
{
  switch (maker->kind)
    {
    case KIND_WEATHER:
      return weather_serial_make (user, generation_of (request), g_random_int (), expires_s);
    case KIND_SIGNED:
      return signed_serial_make (maker->key, maker->plugin, user, request, *expires_s);
    case KIND_RANDOM:
      {
        g_autofree char *random = id_new_random (15);
        g_autofree char *upper = g_ascii_strup (random, -1);
        return g_strdup_printf ("%.6s-%.6s-%.6s-%.6s", upper, upper + 6, upper + 12, upper + 18);
      }
    }
  g_assert_not_reached ();
}

SerialVerdict
maker_check (const Maker *maker, const char *serial, const char *user, gint64 now_s, gint64 *expires_s)
{
  gboolean is_ours = FALSE;
  *expires_s = 0;
  switch (maker->kind)
    {
    case KIND_WEATHER:
      is_ours = user != NULL && weather_serial_read (serial, user, expires_s);
      break;
    case KIND_SIGNED:
      is_ours = signed_serial_read (maker->key, serial, maker->plugin, user, expires_s);
      break;
    case KIND_RANDOM:
      break;
    }
  if (!is_ours)
    return SERIAL_BAD;
  return *expires_s != 0 && *expires_s < now_s ? SERIAL_OVER : SERIAL_GOOD;
}

/* The next "12M" of a duration: its number, or -1; *@text moves behind the letter. */
static gint
read_unit (const char **text, char *unit)
{
  gint count = 0;
  const char *at = *text;
  for (; g_ascii_isdigit (*at); at++)
    if ((count = 10 * count + (*at - '0')) > MAX_COUNT)
      return -1;
  if (at == *text || *at == '\0')
    return -1;
  *unit = *at;
  *text = at + 1;
  return count;
}

static GDateTime *
add_unit (GDateTime *time, gboolean is_clock, char unit, gint count)
{
  if (!g_ascii_isupper (unit))
    return NULL;
  switch (is_clock ? g_ascii_tolower (unit) : unit)
    {
    case 'Y':
      return g_date_time_add_years (time, count);
    case 'M':
      return g_date_time_add_months (time, count);
    case 'W':
      return g_date_time_add_weeks (time, count);
    case 'D':
      return g_date_time_add_days (time, count);
    case 'h':
      return g_date_time_add_hours (time, count);
    case 'm':
      return g_date_time_add_minutes (time, count);
    case 's':
      return g_date_time_add_seconds (time, count);
    default:
      return NULL;
    }
}

gint64
maker_add_term (gint64 from_s, const char *term)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (from_s);
  gboolean is_clock = FALSE;
  if (*term++ != 'P')
    return 0;
  while (time != NULL && *term != '\0')
    {
      if (*term == 'T' && !is_clock)
        {
          is_clock = TRUE;
          term++;
        }
      char unit;
      gint count = read_unit (&term, &unit);
      GDateTime *later = count >= 0 ? add_unit (time, is_clock, unit, count) : NULL;
      g_date_time_unref (time);
      time = later;
    }
  gint64 to_s = time != NULL ? g_date_time_to_unix (time) : 0;
  return to_s > from_s ? to_s : 0;
}
