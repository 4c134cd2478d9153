/* A native plugin for the tests: it counts in its storage, judges serials, and tries what it should not. */
#include <host/plugin.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef ABI
#define ABI HOST_PLUGIN_ABI
#endif

static const HostPluginApi *api;
static const HostCommands1 *commands;
static const HostStorage1 *storage;
static int rung;
static int woken;
static int connection = -1;
static char heard[64];

static int
init (const HostPluginApi *given, void **self)
{
  api = given;
  commands = api->get_extension (api->host, HOST_COMMANDS_1);
  storage = api->get_extension (api->host, HOST_STORAGE_1);
  *self = &rung;
  return HOST_OK;
}

static int
check (void *self, const HostLicence *licence, int64_t *expires)
{
  *expires = 1897171199;
  if (licence->jid != NULL)
    return HOST_VERDICT_ERROR; /* it did not ask for that */
  return strcmp (licence->serial, "good") == 0     ? HOST_VERDICT_OK
         : strcmp (licence->serial, "lapsed") == 0 ? HOST_VERDICT_EXPIRED
         : strcmp (licence->serial, "odd") == 0    ? 4711
                                                   : HOST_VERDICT_BAD_SERIAL;
}

static int
start (void *self)
{
  const HostSerial1 *serial = api->get_extension (api->host, HOST_SERIAL_1);

  if (strcmp (serial->get (api->host)->serial, "good") != 0)
    return HOST_INTERNAL;
  (void)commands->add (api->host, "tally", "Do as told");
  (void)commands->add (api->host, "tally", "A second time");
  (void)commands->add (api->host, "Not A Name", "");
  return HOST_OK;
}

/* Counts up what is stored under @key. */
static int
count (const char *key, char *out, size_t room)
{
  char value[32] = "";
  size_t length = sizeof value - 1;
  int n;

  (void)storage->get (api->host, key, value, &length);
  n = atoi (value) + 1;
  snprintf (value, sizeof value, "%d", n);
  snprintf (out, room, "%d", n);
  return storage->put (api->host, key, value, strlen (value));
}

static void *
wake (void *data)
{
  api->wake (api->host);
  return NULL;
}

/* Asks a server something and waits for the answer in the host's loop. */
static int
ask (int port)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons ((uint16_t)port) };

  connection = socket (AF_INET, SOCK_STREAM, 0);
  to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  return connect (connection, (struct sockaddr *)&to, sizeof to) == 0
                 && send (connection, "GET / HTTP/1.0\r\n\r\n", 18, 0) == 18
             ? HOST_OK
             : HOST_DENIED;
}

static int
poll_fd (void *self)
{
  return connection;
}

static int
event (void *self, const HostEvent *event)
{
  char out[256] = "";
  int result = HOST_OK;

  if (event->kind == HOST_EVENT_TIMER)
    {
      rung += (int)event->timer;
      return HOST_OK;
    }
  if (event->kind == HOST_EVENT_WAKE)
    {
      woken++;
      return HOST_OK;
    }
  if (event->kind == HOST_EVENT_READABLE)
    {
      ssize_t n = recv (connection, heard, sizeof heard - 1, 0);

      heard[n > 0 ? strcspn (heard, "\r") : 0] = '\0';
      close (connection);
      connection = -1;
      return HOST_OK;
    }
  if (strcmp (event->input, "count") == 0)
    result = count ("n", out, sizeof out);
  else if (strcmp (event->input, "forget") == 0)
    result = storage->remove (api->host, "n");
  else if (strcmp (event->input, "hoard") == 0)
    {
      static char much[60000];

      snprintf (out, sizeof out, "%d", storage->put (api->host, "much", much, sizeof much));
    }
  else if (strcmp (event->input, "peep") == 0)
    {
      size_t length = 0;

      snprintf (out, sizeof out, "%d", storage->get (api->host, "n", NULL, &length));
      snprintf (out + strlen (out), sizeof out - strlen (out), " %zu", length);
    }
  else if (strcmp (event->input, "extensions") == 0)
    snprintf (out, sizeof out, "%d %d", api->get_extension (api->host, "host.log/1") != NULL,
              api->get_extension (api->host, "host.everything/1") != NULL);
  else if (strcmp (event->input, "timer") == 0)
    {
      const HostTimer1 *timer = api->get_extension (api->host, HOST_TIMER_1);

      result = timer->set (api->host, 3, 10);
      (void)timer->set (api->host, 4, 10);
      (void)timer->set (api->host, 4, -1);
      snprintf (out, sizeof out, "%d", timer->set (api->host, 16, 10));
    }
  else if (strcmp (event->input, "rung") == 0)
    snprintf (out, sizeof out, "%d", rung);
  else if (strcmp (event->input, "flood") == 0)
    {
      const HostTimer1 *timer = api->get_extension (api->host, HOST_TIMER_1);

      for (int i = 0; i < 100000; i++)
        (void)timer->set (api->host, 1, -1);
    }
  else if (strcmp (event->input, "thread") == 0)
    {
      pthread_t thread;

      result = pthread_create (&thread, NULL, wake, NULL) == 0 ? HOST_OK : HOST_DENIED;
    }
  else if (strncmp (event->input, "ask ", 4) == 0)
    result = ask (atoi (event->input + 4));
  else if (strcmp (event->input, "heard") == 0)
    snprintf (out, sizeof out, "%d %s", woken, heard);
  else if (strcmp (event->input, "over") == 0)
    result = HOST_EXPIRED;
  else
    result = HOST_BAD_INPUT;
  (void)commands->answer (api->host, out);
  return result;
}

const HostPlugin *
host_plugin_v1 (void)
{
  static const HostPlugin plugin = { .size = sizeof plugin,
                                     .abi = ABI,
                                     .init = init,
                                     .check = check,
                                     .start = start,
                                     .event = event,
                                     .poll_fd = poll_fd };

  return &plugin;
}
