#include "common/base/id.h"

#include "common/base/text.h"

#include <openssl/rand.h>

static void
fill_random (guint8 *bytes, gsize length)
{
  if (RAND_bytes (bytes, (int) length) != 1)
    g_error ("the system's random generator failed");
}

static void
make_uuid7 (guint8 uuid[16], const Clock *clock)
{
  guint64 us = (guint64) clock_get_wall_us (clock);
  guint64 ms = us / 1000;
  guint64 fraction = (us % 1000) * 4096 / 1000; /* RFC 9562 §6.2, method 3: more of the clock in rand_a */

  fill_random (uuid, 16);
  for (int i = 0; i < 6; i++)
    uuid[i] = (guint8) (ms >> (40 - 8 * i));
  uuid[6] = (guint8) (0x70 | (fraction >> 8));
  uuid[7] = (guint8) fraction;
  uuid[8] = (guint8) (0x80 | (uuid[8] & 0x3f));
}

char *
id_new_uuid7 (const Clock *clock)
{
  guint8 u[16];
  make_uuid7 (u, clock);
  return g_strdup_printf ("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
                          u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
                          u[15]);
}

char *
id_new_sortable (const char *prefix, const Clock *clock)
{
  guint8 uuid[16];
  make_uuid7 (uuid, clock);
  g_autofree char *text = text_to_base32hex (uuid, sizeof uuid);
  return g_strconcat (prefix, text, NULL);
}

char *
id_floor_sortable (const char *prefix, gint64 wall_us)
{
  guint8 uuid[16] = { 0 };
  guint64 ms = (guint64) MAX (wall_us, 0) / 1000;
  for (int i = 0; i < 6; i++)
    uuid[i] = (guint8) (ms >> (40 - 8 * i));
  g_autofree char *text = text_to_base32hex (uuid, sizeof uuid);
  return g_strconcat (prefix, text, NULL);
}

char *
id_new_random (gsize bytes)
{
  guint8 random[64];
  g_assert (bytes <= sizeof random);
  fill_random (random, bytes);
  return text_to_base32 (random, bytes);
}
