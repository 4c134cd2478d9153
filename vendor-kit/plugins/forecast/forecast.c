/* Forecast: /forecast Lisbon tomorrow, /places.
 *
 * A native plugin that calls protected functions: what it sells is on the server, and this is the counter. */
#include <host/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ARGUMENT 200
#define MAX_RESULT   8192

typedef struct
{
  const HostPluginApi *api;
  const HostCommands1 *commands;
  const HostFunction1 *functions;
} Forecast;

static int
init (const HostPluginApi *api, void **data)
{
  Forecast *self = calloc (1, sizeof *self);

  if (self == NULL)
    return HOST_INTERNAL;
  self->api = api;
  self->commands = api->get_extension (api->host, HOST_COMMANDS_1);
  self->functions = api->get_extension (api->host, HOST_FUNCTION_1);
  *data = self;
  return self->commands != NULL && self->functions != NULL ? HOST_OK : HOST_INTERNAL;
}

static int
start (void *data)
{
  Forecast *self = data;
  int result = self->commands->add (self->api->host, "forecast", "PLACE [tomorrow | 2026-07-14]");

  return result == HOST_OK ? self->commands->add (self->api->host, "places", "where it knows the climate")
                           : result;
}

static int
answer (Forecast *self, int result, const char *text)
{
  (void)self->commands->answer (self->api->host, text);
  return result;
}

/* "Lisbon", "Lisbon tomorrow" or "Lisbon 2026-07-14" as the function wants it: with a date. */
static int
write_argument (const char *input, char *out)
{
  static const char tomorrow[] = " tomorrow";
  size_t length = strlen (input), tail = sizeof tomorrow - 1;
  time_t day = time (NULL);
  struct tm date;
  char text[16];
  int a, b, c, end = 0;

  if (length == 0 || length > MAX_ARGUMENT - sizeof text)
    return -1;
  if (length > 11 && sscanf (input + length - 11, " %4d-%2d-%2d%n", &a, &b, &c, &end) == 3 && end >= 10)
    {
      strcpy (out, input);
      return 0;
    }
  if (length > tail && strcmp (input + length - tail, tomorrow) == 0)
    {
      day += 86400;
      length -= tail;
    }
  gmtime_r (&day, &date);
  strftime (text, sizeof text, "%Y-%m-%d", &date);
  snprintf (out, MAX_ARGUMENT, "%.*s %s", (int)length, input, text);
  return 0;
}

static int
ask (Forecast *self, const char *function, const char *argument)
{
  char text[MAX_RESULT + 1];
  size_t length = MAX_RESULT;
  int result
      = self->functions->run (self->api->host, function, argument, strlen (argument), text, &length);

  text[length] = '\0';
  switch (result)
    {
    case HOST_OK:
      return answer (self, result, text);
    case HOST_BAD_INPUT:
      return answer (self, result, "the server does not know that place; /places lists them");
    case HOST_DENIED:
      return answer (self, result, "you do not own the forecast: /buy forecast");
    case HOST_RETRY:
      return answer (self, HOST_INTERNAL, "the server cannot tell now; try again later");
    default:
      return answer (self, result, "the forecast failed");
    }
}

static int
take_event (void *data, const HostEvent *event)
{
  Forecast *self = data;
  char argument[MAX_ARGUMENT];

  if (event->kind != HOST_EVENT_COMMAND)
    return HOST_BAD_INPUT;
  if (strcmp (event->name, "places") == 0)
    return ask (self, "places", "");
  if (write_argument (event->input, argument) != 0)
    return answer (self, HOST_BAD_INPUT, "say where: /forecast Lisbon, /forecast Lisbon tomorrow");
  return ask (self, "forecast", argument);
}

static void
fini (void *data)
{
  free (data);
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
