/* An old library that does whatever it is told, so that the tests see what the host lets it do. Built twice:
 * the second time as its twin, which exports the same names. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef NAME
#define NAME "probe"
#endif

extern void host_log (int level, const char *text);

int probe_check (const char *serial, long long *expires);
int probe_run (const char *input, char *output, size_t room);
char *probe_who (void);
void probe_free (char *text);

char probe_serial[64];
const char *probe_name = NAME;
static int opened;

/* The old host's functions work in constructors too. */
__attribute__ ((constructor)) static void
construct (void)
{
  host_log (6, "constructed");
  opened = 1;
}

int
probe_check (const char *serial, long long *expires)
{
  static const char *const answers[]
      = { "good", "failed", "bad", "expired", "later", "early", "other", "seats" };
  volatile int *volatile nowhere = NULL;

  if (strcmp (serial, "mayday") == 0)
    *nowhere = 1;
  if (strcmp (serial, "hang") == 0)
    for (;;)
      usleep (1000);
  *expires = 1897171199000LL;
  for (int i = 0; i < 8; i++)
    if (strcmp (serial, answers[i]) == 0)
      return -i;
  return -1;
}

char *
probe_who (void)
{
  return strdup (probe_name);
}

void
probe_free (char *text)
{
  free (text);
}

static int
dial (int type, const char *host, int port, int flags)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons ((unsigned short)port) };
  int fd = socket (AF_INET, type | flags, 0);

  if (fd < 0)
    return -1;
  inet_pton (AF_INET, host, &to.sin_addr);
  if (connect (fd, (struct sockaddr *)&to, sizeof to) == 0)
    return fd;
  if (errno == EINPROGRESS)
    {
      struct pollfd wait = { .fd = fd, .events = POLLOUT };
      int error = ETIMEDOUT;
      socklen_t size = sizeof error;

      if (poll (&wait, 1, 2000) == 1)
        getsockopt (fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0)
        return fd;
      errno = error;
    }
  close (fd);
  return -1;
}

/* Begins six connections at once; the error of the last. */
static int
dial_many (const char *host, int port)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons ((unsigned short)port) };
  int fds[6], result = 0, saved;

  inet_pton (AF_INET, host, &to.sin_addr);
  for (int i = 0; i < 6; i++)
    {
      fds[i] = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      result = connect (fds[i], (struct sockaddr *)&to, sizeof to);
    }
  saved = errno;
  for (int i = 0; i < 6; i++)
    close (fds[i]);
  errno = saved;
  return result;
}

static int
dial_name (const char *host, const char *port)
{
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
  struct addrinfo *list = NULL, *item;
  int fd = -1;

  if (getaddrinfo (host, port, &hints, &list) != 0)
    {
      errno = ENOENT;
      return -1;
    }
  for (item = list; item != NULL && fd < 0; item = item->ai_next)
    {
      fd = socket (item->ai_family, SOCK_STREAM, 0);
      if (fd >= 0 && connect (fd, item->ai_addr, item->ai_addrlen) != 0)
        {
          int saved = errno;

          close (fd);
          fd = -1;
          errno = saved;
        }
    }
  freeaddrinfo (list);
  return fd;
}

static int
say (int result, char *output, size_t room)
{
  snprintf (output, room, "%s", result >= 0 ? "done" : strerrorname_np (errno));
  if (result > 2)
    close (result);
  return 0;
}

/* Takes a port as a server would. */
static int
serve (int how)
{
  struct sockaddr_in any = { .sin_family = AF_INET };
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  int result = how == 'b' ? bind (fd, (struct sockaddr *)&any, sizeof any) : listen (fd, 1);
  int saved = errno;

  close (fd);
  errno = saved;
  return result;
}

static int
fill (const char *name, long bytes)
{
  static char block[4096];
  int fd = open (name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  if (fd < 0)
    return -1;
  for (; bytes > 0; bytes -= (long)sizeof block)
    if (write (fd, block, sizeof block) < 0)
      break;
  close (fd);
  return bytes > 0 ? -1 : 0;
}

/* Answers, on the runner's channel and in its name, the request at hand with that of another. */
static int
forge (int op)
{
  struct
  {
    uint32_t length;
    uint16_t op, flags;
    uint32_t call;
    int32_t status;
    uint8_t payload[17];
  } frame = { .length = 17, .op = (uint16_t)op, .flags = 2, .call = 3 };
  struct iovec part = { &frame, 16 + 17 };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

  return (int)sendmsg (3, &message, 0);
}

int
probe_run (const char *input, char *output, size_t room)
{
  char word[32] = "", host[64] = "", port[16] = "";
  volatile int *volatile nowhere = NULL;

  sscanf (input, "%31s %63s %15s", word, host, port);
  errno = 0;
  if (strcmp (word, "tcp") == 0)
    return say (dial (SOCK_STREAM, host, atoi (port), 0), output, room);
  if (strcmp (word, "later") == 0)
    return say (dial (SOCK_STREAM, host, atoi (port), SOCK_NONBLOCK), output, room);
  if (strcmp (word, "many") == 0)
    return say (dial_many (host, atoi (port)), output, room);
  if (strcmp (word, "udp") == 0)
    return say (dial (SOCK_DGRAM, host, atoi (port), 0), output, room);
  if (strcmp (word, "unix") == 0)
    return say (socket (AF_UNIX, SOCK_STREAM, 0), output, room);
  if (strcmp (word, "name") == 0)
    return say (dial_name (host, port), output, room);
  if (strcmp (word, "bind") == 0 || strcmp (word, "listen") == 0)
    return say (serve (word[0]), output, room);
  if (strcmp (word, "read") == 0)
    return say (open (host, O_RDONLY), output, room);
  if (strcmp (word, "write") == 0)
    return say (fill (host, atol (port)), output, room);
  if (strcmp (word, "delivered") == 0)
    {
      const char *env = getenv ("PROBE_SERIAL");

      snprintf (output, room, "%s %s %d", env != NULL ? env : "-", probe_serial, opened);
      return 0;
    }
  if (strcmp (word, "flood") == 0)
    {
      for (int i = 0; i < 100; i++)
        host_log (6, "line\nforged \033[31m");
      return 0;
    }
  if (strcmp (word, "forge") == 0)
    return say (forge (atoi (host)), output, room);
  if (strcmp (word, "code") == 0)
    return atoi (host);
  if (strcmp (word, "crash") == 0)
    *nowhere = 1;
  if (strcmp (word, "exit") == 0)
    exit (0);
  if (strcmp (word, "hang") == 0)
    for (;;)
      usleep (1000);
  return -1;
}
