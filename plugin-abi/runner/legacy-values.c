/* What the variables of a descriptor stand for. */
#include "plugin-abi/runner/legacy.h"

#include <string.h>
#include <time.h>

static char nothing[1];

char *
legacy_get_text (Legacy *legacy, DescriptorVariable variable)
{
  char *text = NULL;

  switch (variable)
    {
    case DESCRIPTOR_VARIABLE_USER:
      text = legacy->load.user;
      break;
    case DESCRIPTOR_VARIABLE_JID:
      text = legacy->load.jid;
      break;
    case DESCRIPTOR_VARIABLE_DOMAIN:
      text = legacy->load.domain;
      break;
    case DESCRIPTOR_VARIABLE_SERIAL:
      text = legacy->load.serial;
      break;
    case DESCRIPTOR_VARIABLE_DATADIR:
      text = legacy->load.datadir;
      break;
    case DESCRIPTOR_VARIABLE_LOCALE:
      text = legacy->load.locale;
      break;
    case DESCRIPTOR_VARIABLE_INPUT:
      text = legacy->input;
      break;
    case DESCRIPTOR_VARIABLE_PLUGIN:
      text = legacy->request.plugin;
      break;
    case DESCRIPTOR_VARIABLE_TERM:
      text = legacy->request.term;
      break;
    case DESCRIPTOR_VARIABLE_LINE:
      text = legacy->request.line;
      break;
    case DESCRIPTOR_VARIABLE_SEED:
      text = legacy->request.seed_hex;
      break;
    default:
      break;
    }
  return text != NULL ? text : nothing;
}

static int64_t
time_to_plugin (DescriptorTime format, int64_t seconds)
{
  struct tm day;
  time_t time = (time_t)seconds;

  if (seconds <= 0)
    return 0;
  if (format == DESCRIPTOR_TIME_MS)
    return seconds * 1000;
  if (format == DESCRIPTOR_TIME_S || gmtime_r (&time, &day) == NULL)
    return seconds;
  return (day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday;
}

int64_t
legacy_time_from_plugin (DescriptorTime format, int64_t value)
{
  struct tm day = { 0 };

  if (value <= 0)
    return 0;
  switch (format)
    {
    case DESCRIPTOR_TIME_MS:
      return value / 1000;
    case DESCRIPTOR_TIME_YYYYMMDD:
      if (value > 99991231)
        return 0;
      day.tm_year = (int)(value / 10000) - 1900;
      day.tm_mon = (int)(value / 100 % 100) - 1;
      day.tm_mday = (int)(value % 100) + 1;
      return timegm (&day);
    default:
      return value;
    }
}

/* The first bytes of the seed, lowest first. */
static int64_t
seed_number (const uint8_t seed[32])
{
  uint64_t number = 0;

  for (unsigned i = 8; i > 0; i--)
    number = number << 8 | seed[i - 1];
  return (int64_t)number;
}

int64_t
legacy_get_integer (const Legacy *legacy, DescriptorVariable variable, DescriptorTime time)
{
  const LegacyRequest *request = &legacy->request;

  switch (variable)
    {
    case DESCRIPTOR_VARIABLE_EXPIRY:
      return time_to_plugin (time,
                             legacy->load.descriptor->is_keygen ? request->expiry : legacy->load.expiry);
    case DESCRIPTOR_VARIABLE_NOW:
      return time_to_plugin (time, request->now);
    case DESCRIPTOR_VARIABLE_TERM:
      return request->expiry > 0 ? (request->expiry - request->now + 43200) / 86400 : 0;
    case DESCRIPTOR_VARIABLE_GENERATION:
      return request->generation;
    case DESCRIPTOR_VARIABLE_COUNTER:
      return request->counter;
    case DESCRIPTOR_VARIABLE_SEED:
      return seed_number (request->seed);
    default:
      return 0;
    }
}

static int
days_in_month (int year, int month)
{
  static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
  bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

  return days[month] + (month == 1 && is_leap);
}

/* As the market counts: the day is clamped to the month's end. */
int64_t
legacy_add_term (int64_t from, const char *term)
{
  time_t start = (time_t)from;
  struct tm date;
  int n = 0, month;

  if (*term++ != 'P' || gmtime_r (&start, &date) == NULL)
    return 0;
  for (; *term >= '0' && *term <= '9' && n < 1000; term++)
    n = 10 * n + (*term - '0');
  if (n < 1 || n > 999 || *term == '\0' || term[1] != '\0')
    return 0;
  switch (*term)
    {
    case 'Y':
    case 'M':
      month = date.tm_mon + (*term == 'Y' ? 12 * n : n);
      date.tm_year += month / 12;
      date.tm_mon = month % 12;
      if (date.tm_mday > days_in_month (date.tm_year + 1900, date.tm_mon))
        date.tm_mday = days_in_month (date.tm_year + 1900, date.tm_mon);
      break;
    case 'W':
      date.tm_mday += 7 * n;
      break;
    case 'D':
      date.tm_mday += n;
      break;
    default:
      return 0;
    }
  return (int64_t)timegm (&date);
}

int64_t
legacy_read_integer (DescriptorType type, const void *value)
{
  switch (type)
    {
    case DESCRIPTOR_I8:
      return *(const int8_t *)value;
    case DESCRIPTOR_I16:
      return *(const int16_t *)value;
    case DESCRIPTOR_BOOL:
    case DESCRIPTOR_U8:
      return *(const uint8_t *)value;
    case DESCRIPTOR_U16:
      return *(const uint16_t *)value;
    case DESCRIPTOR_U32:
      return *(const uint32_t *)value;
    case DESCRIPTOR_I64:
    case DESCRIPTOR_U64:
      return *(const int64_t *)value;
    default:
      return *(const int32_t *)value;
    }
}
