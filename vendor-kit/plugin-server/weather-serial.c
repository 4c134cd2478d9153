#include "vendor-kit/plugin-server/weather-serial.h"

#include <string.h>

#define N_BYTES    15
#define N_FACTS    10
#define N_LETTERS  24
#define MARK       0x57
#define EPOCH_2000 G_GINT64_CONSTANT (946684800)
#define DAY_S      86400
#define FOR_EVER   0xffff

static const char secret[] = "cumulonimbus-1998";
static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
static const guint8 shuffle[N_BYTES] = { 14, 3, 9, 0, 11, 6, 1, 13, 4, 8, 2, 12, 7, 10, 5 };

typedef struct
{
  guint32 h, g;
} Stir;

static void
stir (Stir *sum, const void *bytes, gsize length)
{
  const guint8 *at = bytes;
  for (gsize i = 0; i < length; i++)
    {
      sum->h = (sum->h ^ at[i]) * 16777619u;
      sum->g = (sum->g << 5 | sum->g >> 27) + (sum->h ^ at[i]);
    }
}

static void
compute_checksum (const guint8 facts[N_FACTS], const char *user, guint8 sum[N_BYTES - N_FACTS])
{
  Stir state = { 0x811c9dc5u, 0x9e3779b9u };
  stir (&state, secret, strlen (secret));
  stir (&state, user, strlen (user) + 1);
  stir (&state, facts, N_FACTS);
  guint32 value = state.h ^ (state.g << 13 | state.g >> 19);
  for (guint i = 0; i < 4; i++)
    sum[i] = (guint8)(value >> (24 - 8 * i));
  sum[4] = (guint8)(state.g >> 24 ^ state.g);
}

/* Its own reverse. */
static void
mask (guint8 bytes[N_BYTES])
{
  guint32 state = bytes[N_BYTES - 1];
  for (guint i = 0; i < N_BYTES - 1; i++)
    {
      state = state * 1103515245u + 12345u;
      bytes[i] ^= (guint8)(state >> 16);
    }
}

static char *
to_text (const guint8 bytes[N_BYTES])
{
  GString *text = g_string_sized_new (WEATHER_SERIAL_LENGTH);
  for (guint i = 0; i < N_LETTERS; i++)
    {
      guint value = 0;
      for (guint bit = 5 * i; bit < 5 * i + 5; bit++)
        value = value << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1);
      if (i > 0 && i % 4 == 0)
        g_string_append_c (text, '-');
      g_string_append_c (text, letters[value]);
    }
  return g_string_free (text, FALSE);
}

static gboolean
from_text (const char *text, guint8 bytes[N_BYTES])
{
  memset (bytes, 0, N_BYTES);
  guint bit = 0;
  for (; *text != '\0'; text++)
    {
      if (*text == '-')
        continue;
      const char *letter = strchr (letters, g_ascii_toupper (*text));
      if (letter == NULL || bit == 8 * N_BYTES)
        return FALSE;
      guint value = (guint)(letter - letters);
      for (int i = 4; i >= 0; i--, bit++)
        bytes[bit / 8] |= (guint8)((value >> i & 1) << (7 - bit % 8));
    }
  return bit == 8 * N_BYTES;
}

char *
weather_serial_make (const char *user, guint generation, guint32 number, gint64 *expires_s)
{
  gint64 days = *expires_s == 0 ? FOR_EVER : CLAMP ((*expires_s - EPOCH_2000) / DAY_S, 0, FOR_EVER - 1);
  guint8 bytes[N_BYTES] = { MARK,
                            (guint8)(days >> 8),
                            (guint8)days,
                            (guint8)generation,
                            (guint8)(number >> 24),
                            (guint8)(number >> 16),
                            (guint8)(number >> 8),
                            (guint8)number };
  if (days != FOR_EVER)
    *expires_s = EPOCH_2000 + (days + 1) * DAY_S - 1;
  compute_checksum (bytes, user, bytes + N_FACTS);
  mask (bytes);
  guint8 shuffled[N_BYTES];
  for (guint i = 0; i < N_BYTES; i++)
    shuffled[i] = bytes[shuffle[i]];
  return to_text (shuffled);
}

gboolean
weather_serial_read (const char *text, const char *user, gint64 *expires_s)
{
  guint8 shuffled[N_BYTES], bytes[N_BYTES], sum[N_BYTES - N_FACTS];
  if (!from_text (text, shuffled))
    return FALSE;
  for (guint i = 0; i < N_BYTES; i++)
    bytes[shuffle[i]] = shuffled[i];
  mask (bytes);
  compute_checksum (bytes, user, sum);
  if (bytes[0] != MARK || memcmp (sum, bytes + N_FACTS, sizeof sum) != 0)
    return FALSE;
  gint64 days = bytes[1] << 8 | bytes[2];
  *expires_s = days == FOR_EVER ? 0 : EPOCH_2000 + (days + 1) * DAY_S - 1;
  return TRUE;
}
