/* Nimbus Weather's serials: facts, a keyed checksum over them and the user's name, a mask and a shuffle, 24
 * characters in groups of four. The plugin checks them the same way; the vendor's secret is in both. */
#pragma once

#include <glib.h>

#define WEATHER_SERIAL_LENGTH 29

/* Writes the serial of @user, good to the end of the day of *@expires_s (unix time; 0: for ever), which
 * becomes that end. */
char *weather_serial_make (const char *user, guint generation, guint32 number, gint64 *expires_s);
/* FALSE if @text is no serial of @user. *@expires_s as above. Hyphens and case do not matter. */
gboolean weather_serial_read (const char *text, const char *user, gint64 *expires_s);
