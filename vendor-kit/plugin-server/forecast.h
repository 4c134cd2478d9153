/* The weather of places, from monthly means: a forecast for a day is the mean of its month, varied in a way
 * that is the same for everyone who asks on that day. */
#pragma once

#include <glib.h>

typedef struct Forecasts Forecasts;

/* @text: lines of "place;12 temperatures;12 numbers of rain days". */
Forecasts *forecasts_new (const char *text);
void forecasts_free (Forecasts *forecasts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Forecasts, forecasts_free)

/* "Lisbon: 17 °C, light rain, wind SW 4; tomorrow 19 °C, sunny" for the day of @now_us; NULL: no such place.
 * Case does not matter. The caller frees it. */
char *forecasts_dup_line (const Forecasts *forecasts, const char *place, gint64 now_us);
