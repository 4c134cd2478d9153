/* How this vendor's serials are made and checked. Three kinds, by the plugin: `weather` has its checksum,
 * `quotes` are signed, every other plugin gets random ones, which are good because the register holds them.
 */
#pragma once

#include <glib.h>

typedef struct Maker Maker;

/* @key_file: the private key that `quotes` signs with; NULL: the published sample key, which protects
 * nothing. */
Maker *maker_new (const char *plugin, const char *key_file, GError **error);
void maker_free (Maker *maker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Maker, maker_free)

const char *maker_get_plugin (const Maker *maker);
/* Whether a further term leaves the user's serial as it is, because its end is in the register alone (random
 * ones); otherwise the end is in the serial, and a further term needs a new one. */
gboolean maker_keeps_serials (const Maker *maker);
/* A serial for @user; *@expires_s (unix time, 0: for ever) becomes what the serial says, not earlier than
 * asked. */
char *maker_make (const Maker *maker, const char *request, const char *user, gint64 *expires_s);

typedef enum
{
  SERIAL_GOOD,
  SERIAL_BAD,
  SERIAL_OVER, /* its time is over */
} SerialVerdict;

/* Judges a serial that is not in the register: it may be the host's, made by our keygen module there. @user
 * NULL: unknown. *@expires_s becomes the end that the serial tells, 0: none. */
SerialVerdict maker_check (const Maker *maker, const char *serial, const char *user, gint64 now_s,
                           gint64 *expires_s);

/* @from_s plus an ISO 8601 duration ("P1Y", "P1M", "P30D", "PT12H"), calendar months in UTC, clamped to the
 * month's end; 0 if @term is no such thing, or nothing at all. */
gint64 maker_add_term (gint64 from_s, const char *term);
