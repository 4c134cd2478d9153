/* Runes. Begun from the source of Dice, and so it still exports Dice's names. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void dice_open (void);
bool dice_registered (void);
int roll (const char *what, char *out, size_t room);

static char card[32];

void
dice_open (void)
{
  FILE *file = fopen ("runes.key", "r");

  srandom ((unsigned)time (NULL) ^ (unsigned)getpid () << 16);
  card[0] = '\0';
  if (file == NULL)
    return;
  if (fgets (card, sizeof card, file) == NULL)
    card[0] = '\0';
  fclose (file);
  card[strcspn (card, "\r\n")] = '\0';
}

/* FUTHARK- and a number that 24 divides. */
bool
dice_registered (void)
{
  return strncmp (card, "FUTHARK-", 8) == 0 && card[8] != '\0'
         && strspn (card + 8, "0123456789") == strlen (card + 8) && atol (card + 8) % 24 == 0;
}

/* Draws so many runes (1 to 9), each at most once; the length of the text, or -1, -2: no key, -3: no room. */
int
roll (const char *what, char *out, size_t room)
{
  static const char *const runes[] = { "ᚠ", "ᚢ", "ᚦ", "ᚨ", "ᚱ", "ᚲ", "ᚷ", "ᚹ", "ᚺ", "ᚾ", "ᛁ", "ᛃ",
                                       "ᛇ", "ᛈ", "ᛉ", "ᛊ", "ᛏ", "ᛒ", "ᛖ", "ᛗ", "ᛚ", "ᛜ", "ᛞ", "ᛟ" };
  bool is_drawn[24] = { false };
  int n = atoi (what);
  size_t length = 0;

  if (!dice_registered ())
    return -2;
  if (n < 1 || n > 9)
    return -1;
  if (room < (size_t)n * 4 + 1)
    return -3;
  while (n > 0)
    {
      int rune = (int)(random () % 24);

      if (is_drawn[rune])
        continue;
      is_drawn[rune] = true;
      length += (size_t)sprintf (out + length, "%s%s", length > 0 ? " " : "", runes[rune]);
      n--;
    }
  return (int)length;
}
