#include "vendor-kit/plugin-server/forecast.h"

#include <stdio.h>
#include <string.h>

#define N_MONTHS 12

typedef struct
{
  char *place;
  int warmth[N_MONTHS];    /* mean daily maximum, degrees Celsius */
  int rain_days[N_MONTHS]; /* of about 30 */
} Climate;

struct Forecasts
{
  GHashTable *climates; /* folded name -> Climate */
};

static void
climate_free (gpointer data)
{
  Climate *climate = data;
  g_free (climate->place);
  g_free (climate);
}

static void
read_months (const char *text, int values[N_MONTHS])
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  g_assert (g_strv_length (words) == N_MONTHS); /* our own file */
  for (guint i = 0; i < N_MONTHS; i++)
    values[i] = (int)g_ascii_strtoll (words[i], NULL, 10);
}

Forecasts *
forecasts_new (const char *text)
{
  Forecasts *forecasts = g_new0 (Forecasts, 1);
  forecasts->climates = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, climate_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      if (**line == '#' || **line == '\0')
        continue;
      g_auto (GStrv) fields = g_strsplit (*line, ";", -1);
      g_assert (g_strv_length (fields) == 3);
      Climate *climate = g_new0 (Climate, 1);
      climate->place = g_strdup (fields[0]);
      read_months (fields[1], climate->warmth);
      read_months (fields[2], climate->rain_days);
      g_hash_table_insert (forecasts->climates, g_utf8_casefold (fields[0], -1), climate);
    }
  return forecasts;
}

void
forecasts_free (Forecasts *forecasts)
{
  if (forecasts == NULL)
    return;
  g_hash_table_unref (forecasts->climates);
  g_free (forecasts);
}

typedef struct
{
  int degrees;
  const char *sky;
  guint dice; /* for what else varies */
} Day;

static Day
day_of (const Climate *climate, gint64 day)
{
  g_autoptr (GDateTime) date = g_date_time_new_from_unix_utc (day * 86400);
  guint month = (guint)g_date_time_get_month (date) - 1;
  g_autofree char *seed = g_strdup_printf ("%s %" G_GINT64_FORMAT, climate->place, day);
  guint dice = g_str_hash (seed) * 2654435761u;
  int chance = (int)(dice >> 8 & 0xff) * 30 / 256;
  int wet = climate->rain_days[month];
  Day result = { .degrees = climate->warmth[month] + (int)(dice % 7) - 3, .dice = dice >> 16 };
  gboolean is_cold = result.degrees <= 1;
  if (chance < wet / 3)
    result.sky = is_cold ? "snow" : "rain";
  else if (chance < wet)
    result.sky = is_cold ? "light snow" : "light rain";
  else if (chance < wet + (30 - wet) / 3)
    result.sky = "cloudy";
  else
    result.sky = chance < wet + 2 * (30 - wet) / 3 ? "fair" : "sunny";
  return result;
}

char *
forecasts_dup_line (const Forecasts *forecasts, const char *place, gint64 now_us)
{
  static const char *const winds[] = { "N", "NE", "E", "SE", "S", "SW", "W", "NW" };
  g_autofree char *stripped = g_strstrip (g_strdup (place));
  g_autofree char *folded = g_utf8_casefold (stripped, -1);
  const Climate *climate = g_hash_table_lookup (forecasts->climates, folded);
  if (climate == NULL)
    return NULL;
  gint64 day = now_us / G_USEC_PER_SEC / 86400;
  Day today = day_of (climate, day), tomorrow = day_of (climate, day + 1);
  return g_strdup_printf ("%s: %d °C, %s, wind %s %u; tomorrow %d °C, %s", climate->place, today.degrees,
                          today.sky, winds[today.dice % G_N_ELEMENTS (winds)], 1 + today.dice / 8 % 6,
                          tomorrow.degrees, tomorrow.sky);
}
