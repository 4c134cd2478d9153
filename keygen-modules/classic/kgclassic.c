#include "kgclassic.h"

#include <stdio.h>
#include <string.h>

#define SECRET "the hare in the moon"
#define EPOCH  946684800L
#define DAY    86400L

enum
{
  KG_ENAME = 1,
  KG_EDAYS,
  KG_EROOM,
  KG_ECLOSED
};

static unsigned long state;
static int is_open;

int
KgOpen (void)
{
  is_open = 1;
  return 0;
}

void
KgSeed (unsigned seed)
{
  state = seed;
}

static unsigned
next (void)
{
  state = (state * 1103515245UL + 12345UL) & 0xffffffffUL;
  return (unsigned)(state >> 16) & 0xffff;
}

static unsigned long
sum_text (unsigned long sum, const char *text)
{
  for (; *text != '\0'; text++)
    sum = ((sum ^ (unsigned char)*text) * 16777619UL) & 0xffffffffUL;
  return sum;
}

int
KgMake (const char *product, const char *name, int days, long today, char *key, unsigned *keylen)
{
  long last = (today - EPOCH) / DAY + days;
  char body[10], made[64];
  unsigned long sum = 2166136261UL;

  if (!is_open)
    return KG_ECLOSED;
  if (*name == '\0')
    return KG_ENAME;
  if (days < 0 || last >= 0xffff)
    return KG_EDAYS;
  sprintf (body, "%04X%04X", days == 0 ? 0xffffu : (unsigned)last, next ());
  sum = sum_text (sum_text (sum_text (sum, SECRET), name), body);
  sprintf (made, "%.8s-%.4s-%.4s-%04lX-%04lX", product, body, body + 4, sum >> 16, sum & 0xffff);
  if (strlen (made) > *keylen)
    return KG_EROOM;
  memcpy (key, made, strlen (made));
  *keylen = (unsigned)strlen (made);
  return 0;
}

const char *
KgError (int error)
{
  static const char *const texts[] = { "", "a key needs a name", "that is too long a time",
                                       "there is no room for the key", "call KgOpen first" };

  return error >= 0 && error <= KG_ECLOSED ? texts[error] : "?";
}
