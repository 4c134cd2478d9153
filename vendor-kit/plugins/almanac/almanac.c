#include "almanac.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The key: ALM4-DDDD-RRRR-SSSS-SSSS in hex digits: the last day, counted from 2000-01-01 (FFFF: none), a
 * number of the key's own, and a sum over both and the owner's name. */
#define SECRET   "the hare in the moon"
#define EPOCH    946684800L
#define DAY      86400L
#define SYNODIC  29.530588853
#define NEW_MOON 947182440.0 /* 2000-01-06 18:14 UTC */

static const AlmHost *host;
static long last_day;

static unsigned long
sum_text (unsigned long sum, const char *text)
{
  for (; *text != '\0'; text++)
    sum = ((sum ^ (unsigned char)*text) * 16777619UL) & 0xffffffffUL;
  return sum;
}

static int
alm_open (const AlmHost *given)
{
  if (given == 0 || given->size < (int)sizeof *given || given->regkey == 0 || given->owner == 0)
    return ALM_EHOST;
  host = given;
  if (host->trace != 0)
    host->trace ("almanac 4.2 at your service");
  return 0;
}

static long
to_number (long seconds)
{
  time_t time = (time_t)seconds;
  struct tm *date = gmtime (&time);

  return (date->tm_year + 1900) * 10000L + (date->tm_mon + 1) * 100L + date->tm_mday;
}

static int
alm_verify (long *out)
{
  unsigned day, number, high, low;
  char body[10];
  unsigned long sum = 2166136261UL;

  if (sscanf (host->regkey (), "ALM4-%4X-%4X-%4X-%4X", &day, &number, &high, &low) != 4)
    return ALM_EKEY;
  sprintf (body, "%04X%04X", day & 0xffff, number & 0xffff);
  sum = sum_text (sum_text (sum_text (sum, SECRET), host->owner ()), body);
  if (sum != ((unsigned long)high << 16 | low))
    return ALM_EKEY;
  last_day = day == 0xffff ? 0 : EPOCH + (long)day * DAY;
  *out = last_day == 0 ? 0 : to_number (last_day);
  return last_day != 0 && (long)time (0) >= last_day + DAY ? ALM_EOVER : 0;
}

/* A date in seconds; -1: it is none. */
static long
read_date (const char *text)
{
  struct tm date;
  time_t seconds;
  int length = 0, day;

  if (*text == '\0')
    return (long)time (0);
  memset (&date, 0, sizeof date);
  if (sscanf (text, "%4d-%2d-%2d%n", &date.tm_year, &date.tm_mon, &date.tm_mday, &length) != 3
      || text[length] != '\0' || date.tm_year < 1970)
    return -1;
  date.tm_year -= 1900;
  date.tm_mon--;
  date.tm_hour = 12;
  day = date.tm_mday;
  seconds = timegm (&date);
  return date.tm_mday == day ? (long)seconds : -1;
}

static const char *
alm_tell (const char *text)
{
  static const char *const phases[]
      = { "new",  "a waxing crescent", "at its first quarter", "waxing gibbous",
          "full", "waning gibbous",    "at its last quarter",  "a waning crescent" };
  static char line[160];
  char day[64];
  double age;
  long seconds = read_date (text);
  time_t time = (time_t)seconds;

  if (seconds < 0)
    return 0;
  strftime (day, sizeof day, "%A %d %B %Y, day %j, week %V", gmtime (&time));
  age = ((double)seconds - NEW_MOON) / DAY / SYNODIC;
  age -= (double)(long)age;
  sprintf (line, "%s; the moon is %s", day, phases[(int)(age * 8 + 0.5) & 7]);
  return line;
}

static const char *
alm_errtext (int error)
{
  switch (error)
    {
    case ALM_EHOST:
      return "this host does not speak interface 4";
    case ALM_EKEY:
      return "the registration key does not fit";
    case ALM_EOVER:
      return "the registration is over";
    default:
      return "a date is written like 2026-11-28";
    }
}

static void
alm_close (void)
{
  host = 0;
}

const AlmFuncs *
AlmGetFuncs (int version)
{
  static const AlmFuncs funcs = { 4, alm_open, alm_verify, alm_tell, alm_errtext, alm_close };

  return version == 4 ? &funcs : 0;
}
