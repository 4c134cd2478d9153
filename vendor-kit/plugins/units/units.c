/* Units: shows what is said in feet, miles, pounds and degrees Fahrenheit in metres, kilometres, kilogrammes
 * and degrees Celsius.
 *
 * A native plugin that sees messages: each comes as a copy, after it was shown or sent. What was received is
 * converted for the user alone, by a notification; what the user sent is converted for the other, in a message
 * of its own, if the user wants that (/units share on). */
#include <host/plugin.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FOUND 5
#define MAX_LINE  400

typedef struct
{
  const HostPluginApi *api;
  const HostCommands1 *commands;
  const HostMessages1 *messages;
  const HostNotify1 *notify;
  const HostStorage1 *storage;
  bool shares;
} Units;

/* ---- measures ---- */

typedef struct
{
  const char *names; /* blank before and behind each */
  const char *sign, *metric;
  double factor, offset; /* (value - offset) * factor */
} Unit;

static const Unit units[] = {
  { " f °f fahrenheit ", "°F", "°C", 5.0 / 9.0, 32 },
  { " mi mile miles ", "mi", "km", 1.609344, 0 },
  { " mph ", "mph", "km/h", 1.609344, 0 },
  { " ft foot feet ", "ft", "m", 0.3048, 0 },
  { " inch inches ", "in", "cm", 2.54, 0 },
  { " yd yard yards ", "yd", "m", 0.9144, 0 },
  { " lb lbs pound pounds ", "lb", "kg", 0.45359237, 0 },
  { " oz ounce ounces ", "oz", "g", 28.349523, 0 },
  { " gal gallon gallons ", "gal", "l", 3.785412, 0 },
};

/* The unit that the @length bytes at @word name, in any case. */
static const Unit *
find_unit (const char *word, size_t length)
{
  char key[24];

  if (length == 0 || length > sizeof key - 3)
    return NULL;
  key[0] = ' ';
  for (size_t i = 0; i < length; i++)
    key[i + 1] = (char)tolower ((unsigned char)word[i]);
  key[length + 1] = ' ';
  key[length + 2] = '\0';
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strstr (units[i].names, key) != NULL)
      return &units[i];
  return NULL;
}

static bool
is_letter (char c)
{
  return isalpha ((unsigned char)c) || (c & 0x80) != 0;
}

/* As people say it: no digits that nobody measured. */
static void
write_number (char *out, size_t room, double value)
{
  double size = value < 0 ? -value : value;

  snprintf (out, room, size < 10 ? "%.1f" : "%.0f", value);
  if (size < 10 && strcmp (out + strlen (out) - 2, ".0") == 0)
    out[strlen (out) - 2] = '\0';
  if (strcmp (out, "-0") == 0)
    strcpy (out, "0");
}

/* Writes "95 °F = 35 °C, 12 mi = 19 km" for what is measured in @text; false if nothing is. */
static bool
convert (const char *text, char *out, size_t room)
{
  size_t length = 0, n_found = 0;

  out[0] = '\0';
  for (const char *p = text; *p != '\0' && n_found < MAX_FOUND;)
    {
      bool is_start = p == text || (!isalnum ((unsigned char)p[-1]) && p[-1] != '.' && p[-1] != ',');
      char *end, from[32], to[32];
      size_t word = 0;
      const Unit *unit;
      double value;

      if (!is_start || !(isdigit ((unsigned char)*p) || (*p == '-' && isdigit ((unsigned char)p[1]))))
        {
          p++;
          continue;
        }
      value = strtod (p, &end);
      p = end;
      while (*end == ' ')
        end++;
      while (is_letter (end[word]))
        word++;
      unit = find_unit (end, word);
      if (unit == NULL || value > 1e9 || value < -1e9)
        continue;
      p = end + word;
      write_number (from, sizeof from, value);
      write_number (to, sizeof to, (value - unit->offset) * unit->factor);
      length += (size_t)snprintf (out + length, room - length, "%s%s %s = %s %s", n_found++ > 0 ? ", " : "",
                                  from, unit->sign, to, unit->metric);
      if (length >= room)
        break;
    }
  return n_found > 0;
}

/* ---- the plugin ---- */

static int
init (const HostPluginApi *api, void **data)
{
  Units *self = calloc (1, sizeof *self);
  char value[4];
  size_t length = sizeof value;

  if (self == NULL)
    return HOST_INTERNAL;
  self->api = api;
  self->commands = api->get_extension (api->host, HOST_COMMANDS_1);
  self->messages = api->get_extension (api->host, HOST_MESSAGES_1);
  self->notify = api->get_extension (api->host, HOST_NOTIFY_1);
  self->storage = api->get_extension (api->host, HOST_STORAGE_1);
  *data = self;
  if (self->commands == NULL || self->messages == NULL || self->notify == NULL || self->storage == NULL)
    return HOST_INTERNAL;
  self->shares = self->storage->get (api->host, "share", value, &length) == HOST_OK && length == 2;
  return HOST_OK;
}

static int
start (void *data)
{
  Units *self = data;
  int result = self->commands->add (self->api->host, "units", "6 ft 2 in | share on | share off");

  return result == HOST_OK
             ? self->messages->watch (self->api->host, HOST_MESSAGE_RECEIVED | HOST_MESSAGE_SENT)
             : result;
}

static int
answer (Units *self, int result, const char *text)
{
  (void)self->commands->answer (self->api->host, text);
  return result;
}

static int
share (Units *self, bool shares)
{
  int result = shares ? self->storage->put (self->api->host, "share", "on", 2)
                      : self->storage->remove (self->api->host, "share");

  if (result != HOST_OK)
    return answer (self, result, "That could not be kept.");
  self->shares = shares;
  return answer (self, HOST_OK,
                 shares ? "What you write will be converted for the other." : "Nothing will be sent any more.");
}

static int
take_command (Units *self, const char *input)
{
  char line[MAX_LINE];

  if (strcmp (input, "share on") == 0)
    return share (self, true);
  if (strcmp (input, "share off") == 0)
    return share (self, false);
  if (!convert (input, line, sizeof line))
    return answer (self, HOST_BAD_INPUT, "say what to convert: /units 6 ft, or /units share on");
  return answer (self, HOST_OK, line);
}

static void
take_message (Units *self, const HostMessage *message)
{
  char line[MAX_LINE];

  /* Ours, or another's copy of us: it has been converted. */
  if (strchr (message->text, '=') != NULL || !convert (message->text, line, sizeof line))
    return;
  if (message->way == HOST_MESSAGE_RECEIVED)
    (void)self->notify->notify (self->api->host, message->peer, line);
  else if (self->shares)
    (void)self->messages->send (self->api->host, message->peer, line);
}

static int
take_event (void *data, const HostEvent *event)
{
  Units *self = data;

  switch (event->kind)
    {
    case HOST_EVENT_COMMAND:
      return take_command (self, event->input);
    case HOST_EVENT_MESSAGE:
      take_message (self, event->message);
      return HOST_OK;
    default:
      return HOST_BAD_INPUT;
    }
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
