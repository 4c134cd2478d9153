/* Dice for adventurers. Reads its key from the file dice.key in the current directory, as printed on the
 * card. */
#include "dice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char card[32];

void
dice_open (void)
{
  FILE *file = fopen ("dice.key", "r");

  srandom ((unsigned)time (NULL) ^ (unsigned)clock () ^ (unsigned)getpid () << 16);
  card[0] = '\0';
  if (file == NULL)
    return;
  if (fgets (card, sizeof card, file) == NULL)
    card[0] = '\0';
  fclose (file);
  card[strcspn (card, "\r\n")] = '\0';
}

/* NNNNN-NNNNN-NNNNN-NNNNC: begins with 4, and the last is a Luhn digit over the others. */
bool
dice_registered (void)
{
  int sum = 0, n = 0;

  if (strlen (card) != 23 || card[0] != '4')
    return false;
  for (int i = 22; i >= 0; i--)
    {
      int digit = card[i] - '0';

      if (i % 6 == 5)
        {
          if (card[i] != '-')
            return false;
          continue;
        }
      if (digit < 0 || digit > 9)
        return false;
      if (n++ % 2 == 1 && (digit *= 2) > 9)
        digit -= 9;
      sum += digit;
    }
  return sum % 10 == 0;
}

/* Evenly from 1 to sides. */
static int
throw_one (int sides)
{
  long limit = 2147483647L - 2147483647L % sides;
  long value;

  do
    value = random ();
  while (value >= limit);
  return (int)(value % sides) + 1;
}

int
roll (const char *what, char *out, size_t room)
{
  int count = 1, sides = 6, plus = 0, used = 0, total;
  size_t n;

  if (!dice_registered ())
    return -2;
  while (*what == ' ')
    what++;
  if (*what != '\0')
    {
      if (sscanf (what, "%3dd%5d%n", &count, &sides, &used) != 2)
        {
          count = 1;
          used = 0;
          if (sscanf (what, "d%5d%n", &sides, &used) != 1)
            return -1;
        }
      what += used;
      if (*what == '+' || *what == '-')
        {
          if (sscanf (what, "%5d%n", &plus, &used) != 1)
            return -1;
          what += used;
        }
      if (what[strspn (what, " ")] != '\0' || count < 1 || count > 100 || sides < 2 || sides > 10000)
        return -1;
    }
  total = plus;
  n = (size_t)snprintf (out, room, "%dd%d", count, sides);
  if (plus != 0)
    n += (size_t)snprintf (out + n, room - n, "%+d", plus);
  n += (size_t)snprintf (out + n, room - n, ":");
  for (int i = 0; i < count && n < room; i++)
    {
      int value = throw_one (sides);

      total += value;
      n += (size_t)snprintf (out + n, room - n, " %d", value);
    }
  if (n < room && (count > 1 || plus != 0))
    n += (size_t)snprintf (out + n, room - n, " = %d", total);
  return n < room ? (int)n : -3;
}
