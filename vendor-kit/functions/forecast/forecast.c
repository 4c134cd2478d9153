/* A protected function: the forecast for a place, from a table of climate that stays on the server.
 *
 * The application's resource `climate.csv` has a line for each place and month:
 *
 *   place,month,low,high,rain        degrees Celsius, per cent
 *   Lisbon,7,18,28,2
 *
 *   forecast "Lisbon 2026-07-14"  →  "Lisbon, 14 July: 18 to 29 °C, dry (2 %)"
 *   places ""                     →  a place a line
 *   outlook "Lisbon"              →  a month a line, for one of the outlooks that the user has bought
 *
 * The last one spends the counter of the application's item `outlooks`: its user's purchases raise it, each
 * call takes one off, and a call that fails takes none.
 *
 * The table is read where it lies in memory, sorted or not. The same place and day always give the same
 * words. */
#include <host/function.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE     "climate.csv"
#define MAX_PLACE 60
#define COUNTER   "item/outlooks"

typedef struct
{
  char place[MAX_PLACE + 1];
  int month, low, high, rain;
} Row;

/* What is left of the table. */
typedef struct
{
  const char *at, *end;
} Lines;

static bool
next_line (Lines *lines, char *line, size_t room)
{
  if (lines->at >= lines->end)
    return false;
  const char *end = memchr (lines->at, '\n', (size_t)(lines->end - lines->at));
  size_t length = (size_t)((end != NULL ? end : lines->end) - lines->at);
  size_t kept = length < room - 1 ? length : room - 1;
  memcpy (line, lines->at, kept);
  line[kept] = '\0';
  lines->at += length + (end != NULL);
  return true;
}

static bool
read_row (const char *line, Row *row)
{
  return sscanf (line, "%60[^,],%d,%d,%d,%d", row->place, &row->month, &row->low, &row->high, &row->rain) == 5
         && row->month >= 1 && row->month <= 12 && row->low <= row->high;
}

static int
refuse (const HostModuleApi *api, uint8_t *out, size_t *out_len, int result, const char *reason)
{
  *out_len = (size_t)snprintf ((char *)out, *out_len, "%s", reason);
  if (result == HOST_INTERNAL)
    api->log (api->host, HOST_LOG_ERROR, reason);
  return result;
}

/* A number from 0 to @below that is the same for the same place and day. */
static int
pick (const char *place, int year, int month, int day, int below)
{
  uint32_t hash = 2166136261u ^ (uint32_t)(year * 10000 + month * 100 + day);
  for (const char *at = place; *at != '\0'; at++)
    hash = (hash ^ (uint8_t)*at) * 16777619u;
  hash ^= hash >> 15;
  return (int)(hash % (uint32_t)below);
}

static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };

static int
tell (const Row *row, int year, int day, uint8_t *out, size_t *out_len)
{
  int chance = pick (row->place, year, row->month, day, 100);
  const char *sky = chance < row->rain ? "rain" : chance < 2 * row->rain ? "clouds" : "dry";
  int low = row->low + pick (row->place, year, row->month, day, 3) - 1;
  int high = row->high + pick (row->place, year, row->month, day, 5) - 2;
  *out_len = (size_t)snprintf ((char *)out, *out_len, "%s, %d %s: %d to %d °C, %s (%d %%)", row->place, day,
                               months[row->month - 1], low, high > low ? high : low, sky, row->rain);
  return HOST_OK;
}

static int
forecast (const HostModuleApi *api, Lines lines, const char *asked, uint8_t *out, size_t *out_len)
{
  char place[MAX_PLACE + 1], line[256];
  int year, month, day;
  Row row;
  /* The date is the last word; a place may have several. */
  const char *date = strrchr (asked, ' ');
  if (date == NULL || date == asked || date - asked > MAX_PLACE
      || sscanf (date + 1, "%4d-%2d-%2d", &year, &month, &day) != 3 || month < 1 || month > 12 || day < 1
      || day > 31)
    return refuse (api, out, out_len, HOST_BAD_INPUT, "ask for a place and a date: Lisbon 2026-07-14");
  memcpy (place, asked, (size_t)(date - asked));
  place[date - asked] = '\0';
  while (next_line (&lines, line, sizeof line))
    if (read_row (line, &row) && row.month == month && strcmp (row.place, place) == 0)
      return tell (&row, year, day, out, out_len);
  return refuse (api, out, out_len, HOST_BAD_INPUT, "there is no climate of that place");
}

static int
places (Lines lines, uint8_t *out, size_t *out_len)
{
  char line[256], last[MAX_PLACE + 1] = "";
  size_t room = *out_len, used = 0;
  Row row;
  while (next_line (&lines, line, sizeof line))
    {
      if (!read_row (line, &row) || strcmp (row.place, last) == 0)
        continue;
      size_t length = strlen (row.place);
      if (length + 1 > room - used)
        break;
      memcpy (out + used, row.place, length);
      out[used + length] = '\n';
      used += length + 1;
      strcpy (last, row.place);
    }
  *out_len = used;
  return HOST_OK;
}

/* One of what was bought, less. It is decimal text, and may only be made less; what is put is kept if the
 * call ends well. */
static bool
spend (const HostModuleApi *api)
{
  char text[32];
  size_t length = sizeof text - 1;
  if (api->kv_get (api->host, HOST_SCOPE_USER, COUNTER, text, &length) != HOST_KV_OK)
    return false;
  text[length] = '\0';
  long long left = atoll (text);
  if (left < 1)
    return false;
  snprintf (text, sizeof text, "%lld", left - 1);
  return api->kv_put (api->host, HOST_SCOPE_USER, COUNTER, text, strlen (text)) == HOST_KV_OK;
}

static int
outlook (const HostModuleApi *api, Lines lines, const char *place, uint8_t *out, size_t *out_len)
{
  char line[256];
  size_t room = *out_len, used = 0;
  Row row;
  while (next_line (&lines, line, sizeof line))
    if (read_row (line, &row) && strcmp (row.place, place) == 0 && used < room)
      used += (size_t)snprintf ((char *)out + used, room - used, "%s: %d to %d °C, rain %d %%\n",
                                months[row.month - 1], row.low, row.high, row.rain);
  if (used == 0 || used >= room)
    return refuse (api, out, out_len, HOST_BAD_INPUT, "there is no climate of that place");
  if (!spend (api))
    return refuse (api, out, out_len, HOST_DENIED, "you have no outlook left");
  *out_len = used;
  return HOST_OK;
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_function (const HostModuleApi *api, const HostCall *call, HostBytes in, uint8_t *out, size_t *out_len)
{
  char asked[128];
  size_t length;
  const char *table = api->resource (api->host, TABLE, &length);
  if (table == NULL)
    return refuse (api, out, out_len, HOST_INTERNAL, "the application has no resource " TABLE);
  Lines lines = { table, table + length };
  if (strcmp (call->function, "places") == 0)
    return places (lines, out, out_len);
  if (in.length >= sizeof asked || memchr (in.data, '\0', in.length) != NULL)
    return refuse (api, out, out_len, HOST_BAD_INPUT, "ask for a place and a date: Lisbon 2026-07-14");
  memcpy (asked, in.data, in.length);
  asked[in.length] = '\0';
  if (strcmp (call->function, "outlook") == 0)
    return outlook (api, lines, asked, out, out_len);
  return forecast (api, lines, asked, out, out_len);
}
