#include "host-server/wire/listener.h"

#include "common/base/log.h"
#include "host-server/wire/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 4096
#define AT_ONCE 16 /* accepted in a batch */

struct Listener
{
  PollWatch watch; /* first */
  Poller *poller;
  ListenerAccept accept;
  gpointer data;
  char *address;
  int spare; /* given up to take, and refuse, a connection when descriptors run out */
};

static void
listener_free (gpointer data)
{
  Listener *listener = data;
  if (listener->spare >= 0)
    close (listener->spare);
  g_free (listener->address);
  g_free (listener);
}

static int
open_spare (void)
{
  return open ("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Without a free descriptor the connection would stay in the queue, and no edge would tell of it again. */
static void
refuse_one (Listener *listener)
{
  log_error ("wire", "no file descriptor left address=%s", listener->address);
  if (listener->spare >= 0)
    close (listener->spare);
  int fd = accept4 (listener->watch.fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0)
    close (fd);
  listener->spare = open_spare ();
}

static void
listener_ready (PollWatch *watch, guint32 events)
{
  Listener *listener = (Listener *)(void *)watch;
  for (int i = 0; i < AT_ONCE; i++)
    {
      struct sockaddr_storage address;
      socklen_t length = sizeof address;
      int fd = accept4 (watch->fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
      if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        refuse_one (listener);
      if (fd < 0)
        continue;
      g_autofree char *peer = address_to_peer ((struct sockaddr *)&address);
      listener->accept (fd, peer, listener->data);
    }
  poller_continue (listener->poller, watch);
}

static void
listener_flush (PollWatch *watch)
{
}

static int
open_socket (const struct addrinfo *info)
{
  int on = 1;
  int off = 0;
  int fd = socket (info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (info->ai_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind (fd, info->ai_addr, info->ai_addrlen) == 0 && listen (fd, BACKLOG) == 0)
    return fd;
  int reason = errno;
  close (fd);
  errno = reason;
  return -1;
}

static int
open_address (const char *host, guint16 port)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
  struct addrinfo *list = NULL;
  char service[8];
  int fd = -1;

  g_snprintf (service, sizeof service, "%u", port);
  if (getaddrinfo (host, service, &hints, &list) != 0)
    {
      errno = EADDRNOTAVAIL;
      return -1;
    }
  for (struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next)
    fd = open_socket (info);
  int reason = errno;
  freeaddrinfo (list);
  errno = reason;
  return fd;
}

Listener *
listener_new (Poller *poller, const char *address, ListenerAccept accept_func, gpointer data, GError **error)
{
  g_autofree char *host = NULL;
  guint16 port;
  struct sockaddr_storage bound;
  socklen_t length = sizeof bound;

  gboolean is_split = address_split (address, &host, &port);
  g_assert (is_split); /* the configuration has been checked */
  int fd = open_address (host, port);
  if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) && g_str_equal (host, "::"))
    fd = open_address ("0.0.0.0", port);
  if (fd < 0)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot listen on %s: %s",
                   address, g_strerror (errno));
      return NULL;
    }
  Listener *listener = g_new0 (Listener, 1);
  listener->poller = poller;
  listener->accept = accept_func;
  listener->data = data;
  listener->spare = open_spare ();
  listener->watch
      = (PollWatch){ .fd = fd, .ready = listener_ready, .flush = listener_flush, .free = listener_free };
  getsockname (fd, (struct sockaddr *)&bound, &length);
  listener->address = address_to_text ((struct sockaddr *)&bound);
  if (!poller_add (poller, &listener->watch))
    g_error ("cannot watch a listening socket");
  return listener;
}

void
listener_close (Listener *listener)
{
  if (listener != NULL)
    poller_remove (listener->poller, &listener->watch);
}

const char *
listener_get_address (const Listener *listener)
{
  return listener->address;
}
