/* A native plugin for the tests: sees messages, sends them, calls functions, connects, wishes for things to
 * buy, and tries each of these without being allowed to. */
#include <host/plugin.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const HostPluginApi *api;
static const HostCommands1 *commands;
static const HostMessages1 *messages;
static char last[256];
static char outcome[256];
static char purchases[256]; /* what became of wishes */
static int n_seen;
static uint32_t ways = HOST_MESSAGE_RECEIVED | HOST_MESSAGE_SENT;
static char jid[64];

static int
init (const HostPluginApi *given, void **self)
{
  const HostSerial1 *serial;

  api = given;
  commands = api->get_extension (api->host, HOST_COMMANDS_1);
  messages = api->get_extension (api->host, HOST_MESSAGES_1);
  serial = api->get_extension (api->host, HOST_SERIAL_1);
  if (serial->get (api->host)->jid != NULL)
    snprintf (jid, sizeof jid, "%s", serial->get (api->host)->jid);
  *self = &n_seen;
  return HOST_OK;
}

static int
start (void *self)
{
  (void)commands->add (api->host, "herald", "Do as told");
  return messages != NULL ? messages->watch (api->host, ways) : HOST_OK;
}

static void
take_message (const HostMessage *message)
{
  n_seen++;
  snprintf (last, sizeof last, "%s %s%s %lld: %.100s", message->way == HOST_MESSAGE_SENT ? "to" : "from",
            message->peer, message->is_late ? " late" : "", (long long)message->time, message->text);
  if (strcmp (message->text, "hang") == 0)
    for (;;)
      pause ();
  if (strcmp (message->text, "crash") == 0)
    abort ();
  if (strncmp (message->text, "answer ", 7) == 0)
    (void)messages->send (api->host, message->peer, message->text + 7);
}

static void *
nothing (void *data)
{
  return data;
}

/* What of all that needs a permission works. */
static void
try_everything (const char *input, char *out, size_t room)
{
  static const char *const names[]
      = { HOST_MESSAGES_1, HOST_NETWORK_1, HOST_FUNCTION_1, HOST_PURCHASE_1, HOST_TOKEN_1 };
  char host[64] = "127.0.0.1", path[64] = "/etc/hostname";
  struct sockaddr_in to = { .sin_family = AF_INET };
  unsigned port = 1;
  pthread_t thread;
  size_t n = 0;
  int fd;

  (void)sscanf (input, "%63s %u %63s", host, &port, path);
  for (size_t i = 0; i < 5; i++)
    n += (size_t)snprintf (out + n, room - n, "%d", api->get_extension (api->host, names[i]) != NULL);
  to.sin_port = htons ((uint16_t)port);
  (void)inet_pton (AF_INET, host, &to.sin_addr);
  fd = socket (AF_INET, SOCK_STREAM, 0);
  if (fd < 0)
    n += (size_t)snprintf (out + n, room - n, " socket:%d", errno == EPERM);
  else if (connect (fd, (struct sockaddr *)&to, sizeof to) == 0)
    n += (size_t)snprintf (out + n, room - n, " connected");
  else
    n += (size_t)snprintf (out + n, room - n, " connect:%d", errno == EACCES || errno == EPERM);
  if (fd >= 0)
    close (fd);
  fd = open (path, O_RDONLY);
  n += (size_t)snprintf (out + n, room - n, " read:%d", fd >= 0);
  if (fd >= 0)
    close (fd);
  fd = open ("mine", O_RDWR | O_CREAT, 0600);
  n += (size_t)snprintf (out + n, room - n, " data:%d", fd >= 0);
  if (fd >= 0)
    close (fd);
  n += (size_t)snprintf (out + n, room - n, " thread:%d", pthread_create (&thread, NULL, nothing, NULL) == 0);
  snprintf (out + n, room - n, " jid:%s", jid);
}

/* Writes a frame of its own making, in hex, past every table: the channel is descriptor 3. */
static void
forge (const char *hex)
{
  static unsigned char bytes[1024];
  size_t length = 0;
  unsigned byte;

  for (; length < sizeof bytes && sscanf (hex, "%2x", &byte) == 1; hex += 2)
    bytes[length++] = (unsigned char)byte;
  (void)!write (3, bytes, length);
}

static int
connect_to (const char *input)
{
  const HostNetwork1 *network = api->get_extension (api->host, HOST_NETWORK_1);
  char host[64];
  unsigned port;
  int fd = -1, result;

  if (network == NULL || sscanf (input, "%63s %u", host, &port) != 2)
    return -1;
  result = network->connect (api->host, host, port, &fd);
  if (result == HOST_OK && send (fd, "GET / HTTP/1.0\r\n\r\n", 18, 0) != 18)
    return -2;
  if (fd >= 0)
    close (fd);
  return result;
}

static int
call (const char *input, char *out, size_t room)
{
  const HostFunction1 *function = api->get_extension (api->host, HOST_FUNCTION_1);
  char application[64], name[80];
  int start_of_rest = 0, result;
  uint32_t number = 0;

  if (function == NULL)
    return -1;
  if (sscanf (input, "%63s %79s %n", application, name, &start_of_rest) < 2)
    return -2;
  result = function->call (api->host, strcmp (application, "-") == 0 ? NULL : application, name,
                           input + start_of_rest, strlen (input + start_of_rest), &number);
  snprintf (out, room, "%d %u", result, (unsigned)number);
  return result;
}

static int
wish (const char *item)
{
  const HostPurchase1 *purchase = api->get_extension (api->host, HOST_PURCHASE_1);

  return purchase != NULL ? purchase->ask (api->host, item) : -1;
}

static int
take_command (const char *input)
{
  char out[512] = "";

  if (strcmp (input, "seen") == 0)
    snprintf (out, sizeof out, "%d %s", n_seen, last);
  else if (strncmp (input, "wish ", 5) == 0)
    snprintf (out, sizeof out, "%d", wish (input + 5));
  else if (strcmp (input, "purchases") == 0)
    snprintf (out, sizeof out, "%s", purchases);
  else if (strcmp (input, "outcome") == 0)
    snprintf (out, sizeof out, "%s", outcome);
  else if (strncmp (input, "try ", 4) == 0)
    try_everything (input + 4, out, sizeof out);
  else if (strncmp (input, "connect ", 8) == 0)
    snprintf (out, sizeof out, "%d", connect_to (input + 8));
  else if (strncmp (input, "call ", 5) == 0)
    (void)call (input + 5, out, sizeof out);
  else if (strncmp (input, "run ", 4) == 0)
    {
      const HostFunction1 *function = api->get_extension (api->host, HOST_FUNCTION_1);
      char text[16];
      size_t length = sizeof text;
      int result = function->run (api->host, "f", input + 4, strlen (input + 4), text, &length);

      snprintf (out, sizeof out, "%d %.*s", result, (int)length, text);
    }
  else if (strncmp (input, "forge ", 6) == 0)
    forge (input + 6);
  else if (strncmp (input, "watch ", 6) == 0 && messages != NULL)
    snprintf (out, sizeof out, "%d", messages->watch (api->host, (uint32_t)atoi (input + 6)));
  else if (strncmp (input, "say ", 4) == 0 && messages != NULL)
    snprintf (out, sizeof out, "%d", messages->send (api->host, NULL, input + 4));
  else if (strncmp (input, "write ", 6) == 0 && messages != NULL)
    {
      char peer[64];
      int rest = 0;

      (void)sscanf (input + 6, "%63s %n", peer, &rest);
      snprintf (out, sizeof out, "%d", messages->send (api->host, peer, input + 6 + rest));
    }
  (void)commands->answer (api->host, out);
  return HOST_OK;
}

static int
event (void *self, const HostEvent *event)
{
  switch (event->kind)
    {
    case HOST_EVENT_MESSAGE:
      take_message (event->message);
      return HOST_OK;
    case HOST_EVENT_RESULT:
      snprintf (outcome, sizeof outcome, "%u %u %.*s|%s", (unsigned)event->outcome->call,
                (unsigned)event->outcome->result, (int)event->outcome->length,
                event->outcome->data != NULL ? (const char *)event->outcome->data : "",
                event->outcome->reason);
      return HOST_OK;
    case HOST_EVENT_PURCHASE:
      {
        size_t n = strlen (purchases);

        snprintf (purchases + n, sizeof purchases - n, "%s %u %s;", event->purchase->item,
                  (unsigned)event->purchase->outcome, event->purchase->reason);
        return HOST_OK;
      }
    case HOST_EVENT_COMMAND:
      return take_command (event->input);
    default:
      return HOST_BAD_INPUT;
    }
}

const HostPlugin *
host_plugin_v1 (void)
{
  static const HostPlugin plugin
      = { .size = sizeof plugin, .abi = HOST_PLUGIN_ABI, .init = init, .start = start, .event = event };

  return &plugin;
}
