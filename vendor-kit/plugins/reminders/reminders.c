/* Reminders: /remind 10m Tea, /remind 18:30 Call home, /remind tomorrow 9:00 Dentist, /reminders, /forget 2.
 *
 * A native plugin: commands, storage, a timer and notifications of the host, and no network. Each reminder is
 * one stored value, "WHEN TEXT" under the key "1" to "99"; one timer runs for the next that is due. */
#include <host/plugin.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_REMINDERS 99
#define MAX_TEXT      500
#define DAY           86400
#define MAX_WAIT_MS   (20LL * DAY * 1000) /* a timer runs for three weeks; then we look again */

typedef struct
{
  int64_t when; /* 0: the place is free */
  char *text;
} Reminder;

typedef struct
{
  const HostPluginApi *api;
  const HostCommands1 *commands;
  const HostStorage1 *storage;
  const HostNotify1 *notify;
  const HostTimer1 *timer;
  const HostLog1 *log;
  Reminder reminders[MAX_REMINDERS];
} Reminders;

static int
answer (Reminders *self, int result, const char *text)
{
  (void)self->commands->answer (self->api->host, text);
  return result;
}

/* ---- keeping ---- */

static void
forget (Reminders *self, int place)
{
  char key[8];

  snprintf (key, sizeof key, "%d", place + 1);
  (void)self->storage->remove (self->api->host, key);
  free (self->reminders[place].text);
  self->reminders[place] = (Reminder){ 0 };
}

static int
keep (Reminders *self, int place, int64_t when, const char *text)
{
  char key[8], value[MAX_TEXT + 32];
  int length = snprintf (value, sizeof value, "%lld %s", (long long)when, text);
  int result;

  snprintf (key, sizeof key, "%d", place + 1);
  result = self->storage->put (self->api->host, key, value, (size_t)length);
  if (result != HOST_OK)
    return result;
  self->reminders[place].when = when;
  self->reminders[place].text = strdup (text);
  return self->reminders[place].text != NULL ? HOST_OK : HOST_INTERNAL;
}

static void
recall (Reminders *self)
{
  for (int place = 0; place < MAX_REMINDERS; place++)
    {
      char key[8], value[MAX_TEXT + 33];
      size_t length = sizeof value - 1;
      char *text;

      snprintf (key, sizeof key, "%d", place + 1);
      if (self->storage->get (self->api->host, key, value, &length) != HOST_OK)
        continue;
      value[length] = '\0';
      self->reminders[place].when = strtoll (value, &text, 10);
      self->reminders[place].text = strdup (*text == ' ' ? text + 1 : text);
      if (self->reminders[place].text == NULL)
        self->reminders[place].when = 0;
    }
}

/* ---- time ---- */

/* The day and the time of a reminder as people say it. */
static void
describe (int64_t when, char *out, size_t room)
{
  time_t now = time (NULL), then = (time_t)when;
  struct tm today, day;

  localtime_r (&now, &today);
  localtime_r (&then, &day);
  if (today.tm_year == day.tm_year && today.tm_yday == day.tm_yday)
    strftime (out, room, "%H:%M", &day);
  else
    strftime (out, room, "%a %d %b %H:%M", &day);
}

/* "90s", "10m", "2h", "3d", or several of them ("1h30m"): seconds, or -1. */
static int64_t
read_span (const char **text)
{
  const char *p = *text;
  int64_t span = 0;

  do
    {
      char *end;
      long value = strtol (p, &end, 10);
      int64_t unit;

      if (!isdigit ((unsigned char)*p) || value > 100000)
        return -1;
      switch (*end)
        {
        case 's':
          unit = 1;
          break;
        case 'm':
          unit = 60;
          break;
        case 'h':
          unit = 3600;
          break;
        case 'd':
          unit = DAY;
          break;
        default:
          return -1;
        }
      span += value * unit;
      p = end + 1;
    }
  while (isdigit ((unsigned char)*p));
  if (*p != ' ' || span < 1 || span > 366LL * DAY)
    return -1;
  *text = p;
  return span;
}

/* "18:30" (today, or tomorrow if that is past) or "tomorrow 9:00": the moment, or -1. */
static int64_t
read_clock (const char **text)
{
  time_t now = time (NULL), then;
  const char *p = *text;
  bool is_tomorrow = strncmp (p, "tomorrow ", 9) == 0;
  unsigned hour, minute;
  struct tm day;
  int used = 0;

  if (is_tomorrow)
    p += 9;
  if (sscanf (p, "%2u:%2u%n", &hour, &minute, &used) != 2 || hour > 23 || minute > 59 || p[used] != ' ')
    return -1;
  localtime_r (&now, &day);
  day.tm_hour = (int)hour;
  day.tm_min = (int)minute;
  day.tm_sec = 0;
  day.tm_isdst = -1;
  day.tm_mday += is_tomorrow;
  then = mktime (&day);
  if (then <= now)
    {
      day.tm_mday++;
      day.tm_isdst = -1;
      then = mktime (&day);
    }
  *text = p + used;
  return then;
}

/* Sets the timer for the next reminder. */
static void
wind (Reminders *self)
{
  int64_t now = time (NULL), next = 0;
  int64_t wait_ms;

  for (int place = 0; place < MAX_REMINDERS; place++)
    if (self->reminders[place].when != 0 && (next == 0 || self->reminders[place].when < next))
      next = self->reminders[place].when;
  if (next == 0)
    return;
  /* What is due already waits a little: the host shows one notification a second. */
  wait_ms = next > now ? (next - now) * 1000 : 1100;
  (void)self->timer->set (self->api->host, 0, wait_ms < MAX_WAIT_MS ? wait_ms : MAX_WAIT_MS);
}

static void
ring (Reminders *self)
{
  int64_t now = time (NULL);

  for (int place = 0; place < MAX_REMINDERS; place++)
    if (self->reminders[place].when != 0 && self->reminders[place].when <= now)
      {
        (void)self->notify->notify (self->api->host, "Reminder", self->reminders[place].text);
        forget (self, place);
        break;
      }
  wind (self);
}

/* ---- commands ---- */

static int
remind (Reminders *self, const char *input)
{
  char text[MAX_TEXT + 1], when[64], reply[128];
  int64_t moment, span;
  int place = 0, result;

  while (*input == ' ')
    input++;
  span = read_span (&input);
  moment = span > 0 ? time (NULL) + span : read_clock (&input);
  while (*input == ' ')
    input++;
  if (moment < 0 || *input == '\0')
    return answer (self, HOST_BAD_INPUT,
                   "say when and what: /remind 10m Tea, /remind 18:30 Call home, "
                   "/remind tomorrow 9:00 Dentist");
  if (strlen (input) > MAX_TEXT)
    return answer (self, HOST_BAD_INPUT, "that is too long to remember");
  strcpy (text, input);
  while (place < MAX_REMINDERS && self->reminders[place].when != 0)
    place++;
  if (place == MAX_REMINDERS)
    return answer (self, HOST_DENIED, "there are 99 reminders already");
  result = keep (self, place, moment, text);
  if (result != HOST_OK)
    return answer (self, result, "the reminder could not be kept");
  describe (moment, when, sizeof when);
  snprintf (reply, sizeof reply, "Reminder %d at %s.", place + 1, when);
  wind (self);
  return answer (self, HOST_OK, reply);
}

static int
list (Reminders *self)
{
  char *text = malloc (MAX_REMINDERS * (MAX_TEXT + 64) + 64);
  size_t length = 0;
  int result;

  if (text == NULL)
    return HOST_INTERNAL;
  for (int place = 0; place < MAX_REMINDERS; place++)
    if (self->reminders[place].when != 0)
      {
        char when[64];

        describe (self->reminders[place].when, when, sizeof when);
        length += (size_t)sprintf (text + length, "%s%d. %s  %s", length > 0 ? "\n" : "", place + 1, when,
                                   self->reminders[place].text);
      }
  result = answer (self, HOST_OK, length > 0 ? text : "There are no reminders.");
  free (text);
  return result;
}

static int
drop (Reminders *self, const char *input)
{
  char *end;
  long number = strtol (input, &end, 10);

  if (end == input || end[strspn (end, " ")] != '\0' || number < 1 || number > MAX_REMINDERS
      || self->reminders[number - 1].when == 0)
    return answer (self, HOST_BAD_INPUT, "there is no such reminder; /reminders lists them");
  forget (self, (int)number - 1);
  wind (self);
  return answer (self, HOST_OK, "Forgotten.");
}

/* ---- the table ---- */

static int
init (const HostPluginApi *api, void **out)
{
  Reminders *self = calloc (1, sizeof *self);

  if (self == NULL)
    return HOST_INTERNAL;
  self->api = api;
  self->commands = api->get_extension (api->host, HOST_COMMANDS_1);
  self->storage = api->get_extension (api->host, HOST_STORAGE_1);
  self->notify = api->get_extension (api->host, HOST_NOTIFY_1);
  self->timer = api->get_extension (api->host, HOST_TIMER_1);
  self->log = api->get_extension (api->host, HOST_LOG_1);
  *out = self;
  return self->commands != NULL && self->storage != NULL && self->notify != NULL && self->timer != NULL
                 && self->log != NULL
             ? HOST_OK
             : HOST_DENIED;
}

static int
start (void *data)
{
  Reminders *self = data;
  char line[64];
  int n = 0;

  recall (self);
  for (int place = 0; place < MAX_REMINDERS; place++)
    n += self->reminders[place].when != 0;
  snprintf (line, sizeof line, "%d reminders", n);
  self->log->log (self->api->host, HOST_LOG_INFO, line);
  wind (self);
  if (self->commands->add (self->api->host, "remind", "Remind me: /remind 10m Tea, /remind 18:30 Call home")
          != HOST_OK
      || self->commands->add (self->api->host, "reminders", "What I shall be reminded of") != HOST_OK
      || self->commands->add (self->api->host, "forget", "Forget a reminder: /forget 2") != HOST_OK)
    return HOST_INTERNAL;
  return HOST_OK;
}

static int
take_event (void *data, const HostEvent *event)
{
  Reminders *self = data;

  if (event->kind == HOST_EVENT_TIMER)
    {
      ring (self);
      return HOST_OK;
    }
  if (event->kind != HOST_EVENT_COMMAND)
    return HOST_BAD_INPUT;
  if (strcmp (event->name, "remind") == 0)
    return remind (self, event->input);
  if (strcmp (event->name, "reminders") == 0)
    return list (self);
  return drop (self, event->input);
}

static void
fini (void *data)
{
  Reminders *self = data;

  for (int place = 0; place < MAX_REMINDERS; place++)
    free (self->reminders[place].text);
  free (self);
}

const HostPlugin *
host_plugin_v1 (void)
{
  static const HostPlugin plugin = { .size = sizeof plugin,
                                     .abi = HOST_PLUGIN_ABI,
                                     .init = init,
                                     .start = start,
                                     .event = take_event,
                                     .fini = fini };

  return &plugin;
}
