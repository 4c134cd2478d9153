#include "anagrams.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

char ana_regcode[17];
static int is_registered;

static const char *const words[]
    = { "alert", "alter", "angel",    "angle",    "baker",    "brake",    "break",      "caret",
        "cater", "crate", "trace",    "dealer",   "leader",   "dear",     "read",       "dare",
        "earth", "heart", "hater",    "enlist",   "listen",   "silent",   "tinsel",     "evil",
        "live",  "veil",  "vile",     "glean",    "inlets",   "late",     "tale",       "teal",
        "later", "least", "slate",    "stale",    "steal",    "tales",    "night",      "thing",
        "ocean", "canoe", "petal",    "plate",    "pleat",    "leapt",    "state",      "taste",
        "study", "dusty", "stressed", "desserts", "the eyes", "they see", "astronomer", "moon starer" };

/* The code is the CRC of the owner's name with our seal, in hex. */
static unsigned
crc (const char *text, unsigned value)
{
  for (; *text != '\0'; text++)
    {
      value ^= (unsigned char)*text;
      for (int i = 0; i < 8; i++)
        value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
    }
  return value;
}

int
ana_check (const char *owner)
{
  char code[17];

  sprintf (code, "ANA-%08X", crc (owner, ~crc ("eleven plus two", 0)));
  is_registered = strcmp (code, ana_regcode) == 0;
  return !is_registered;
}

/* Counts letters; 0 if there are none, or others than letters and blanks. */
static int
count (const char *text, unsigned char letters[26])
{
  int n = 0;

  memset (letters, 0, 26);
  for (; *text != '\0'; text++)
    if (isalpha ((unsigned char)*text))
      {
        letters[tolower ((unsigned char)*text) - 'a']++;
        n++;
      }
    else if (*text != ' ')
      return 0;
  return n;
}

int
ana_find (const char *letters, ana_found found, void *user)
{
  unsigned char wanted[26], has[26];
  int n = 0;

  if (!is_registered)
    return -2;
  if (count (letters, wanted) == 0)
    return -1;
  for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
    {
      count (words[i], has);
      if (memcmp (wanted, has, 26) != 0 || strcmp (words[i], letters) == 0)
        continue;
      if ((n++ > 0 && found (user, ", ", 2) != 0) || found (user, words[i], (unsigned)strlen (words[i])) != 0)
        break;
    }
  return n;
}

int
ana_hint (const char *letters, char *out, int room)
{
  static int hints; /* that were bought and not used */
  unsigned char wanted[26], has[26];

  if (!is_registered)
    return -2;
  if (count (letters, wanted) == 0)
    return -1;
  for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
    {
      count (words[i], has);
      if (memcmp (wanted, has, 26) != 0 || strcmp (words[i], letters) == 0)
        continue;
      if (hints == 0)
        {
          int sold = ana_shop ();

          if (sold != 1)
            return sold == 0 ? 0 : -3;
          hints++;
        }
      hints--;
      snprintf (out, (size_t)room, "%.2s...", words[i]);
      return 1;
    }
  return -4;
}
