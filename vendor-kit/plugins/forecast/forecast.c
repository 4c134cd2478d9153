/* Forecast: /forecast Lisbon tomorrow, /places, /outlook Lisbon.
 *
 * A native plugin that calls protected functions: what it sells is on the server, and this is the counter. An
 * outlook is paid for by itself: who has none left is asked by the host whether to buy one, and gets the
 * outlook then. */
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
  const HostPurchase1 *purchases;
  const HostNotify1 *notify;
  char wanted[MAX_ARGUMENT]; /* the place whose outlook waits to be bought */
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
  self->purchases = api->get_extension (api->host, HOST_PURCHASE_1);
  self->notify = api->get_extension (api->host, HOST_NOTIFY_1);
  *data = self;
  return self->commands && self->functions && self->purchases && self->notify ? HOST_OK : HOST_INTERNAL;
}

static int
start (void *data)
{
  Forecast *self = data;
  int result = self->commands->add (self->api->host, "forecast", "PLACE [tomorrow | 2026-07-14]");

  if (result == HOST_OK)
    result = self->commands->add (self->api->host, "places", "where it knows the climate");
  return result == HOST_OK
             ? self->commands->add (self->api->host, "outlook", "PLACE, all the year; each is bought")
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
run (Forecast *self, const char *function, const char *argument, char text[MAX_RESULT + 1])
{
  size_t length = MAX_RESULT;
  int result
      = self->functions->run (self->api->host, function, argument, strlen (argument), text, &length);

  text[length] = '\0';
  return result;
}

/* Whoever has no outlook left is asked whether to buy one. */
static int
look_out (Forecast *self, const char *place)
{
  char text[MAX_RESULT + 1];
  int result;

  if (*place == '\0' || strlen (place) >= sizeof self->wanted)
    return answer (self, HOST_BAD_INPUT, "say where: /outlook Lisbon");
  result = run (self, "outlook", place, text);
  if (result == HOST_OK)
    return answer (self, result, text);
  if (result == HOST_BAD_INPUT)
    return answer (self, result, "the server does not know that place; /places lists them");
  if (result != HOST_DENIED)
    return answer (self, HOST_INTERNAL, "the server cannot tell now; try again later");
  result = self->purchases->ask (self->api->host, "outlooks");
  if (result != HOST_OK)
    return answer (self, HOST_INTERNAL,
                   "an outlook must be bought, and you cannot be asked now; try again in a minute");
  strcpy (self->wanted, place);
  return answer (self, HOST_OK, "an outlook must be bought; you are asked about it");
}

/* What was bought is used at once. */
static int
take_purchase (Forecast *self, const HostPurchaseResult *purchase)
{
  char text[MAX_RESULT + 1];

  if (purchase->outcome != HOST_PURCHASE_BOUGHT)
    return self->notify->notify (self->api->host, self->wanted, "no outlook was bought");
  if (run (self, "outlook", self->wanted, text) != HOST_OK)
    return self->notify->notify (self->api->host, self->wanted, "the outlook is bought: /outlook shows it");
  return self->notify->notify (self->api->host, self->wanted, text);
}

static int
ask (Forecast *self, const char *function, const char *argument)
{
  char text[MAX_RESULT + 1];
  int result = run (self, function, argument, text);

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

  if (event->kind == HOST_EVENT_PURCHASE)
    return take_purchase (self, event->purchase);
  if (event->kind != HOST_EVENT_COMMAND)
    return HOST_BAD_INPUT;
  if (strcmp (event->name, "outlook") == 0)
    return look_out (self, event->input);
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
