#include "host-client/core/plugin-broker.h"

#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_ATTEMPTS 4
#define ATTEMPT_US                                                                                           \
  (10 * G_USEC_PER_SEC) /* or two thirds of the call time-out: the plugin must live to tell */
#define MAX_REFUSALS_LOGGED 20
#define MAX_ADDRESSES       64 /* handed out; the oldest makes room */

/* An address without its port, IPv4 inside IPv6 taken out. */
typedef struct
{
  guint8 bytes[16];
  gsize length; /* 4 or 16; 0: none */
} Address;

typedef struct
{
  Address address;
  guint grants; /* bits: which of the descriptor's connect entries it was handed out for */
} HandedOut;

/* A connection in the making. The plugin waits in connect() if @is_waiting; otherwise it got EINPROGRESS and
 * waits in its own way, and we only see to the time. */
typedef struct
{
  int fd; /* a duplicate of the plugin's socket; -1: the place is free */
  guint64 id;
  int flags; /* of the socket, to be restored */
  gboolean is_waiting;
  gint64 deadline_us;
} Attempt;

struct PluginBroker
{
  GThread *thread;
  int listener;
  int pidfd;
  pid_t pid;
  int stop; /* eventfd */
  const Descriptor *descriptor;

  GMutex mutex; /* over handed_out, which the main thread writes */
  HandedOut handed_out[MAX_ADDRESSES];
  guint next_handed_out;

  /* the thread's own */
  guint n_refused;
  Attempt attempts[MAX_ATTEMPTS];
};

/* ---- addresses ---- */

static void
set_address (Address *address, const guint8 *bytes, gsize length)
{
  static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };

  if (length == 16 && memcmp (bytes, mapped, sizeof mapped) == 0)
    {
      bytes += 12;
      length = 4;
    }
  memset (address, 0, sizeof *address);
  memcpy (address->bytes, bytes, length);
  address->length = length;
}

static gboolean
address_equal (const Address *a, const Address *b)
{
  return a->length == b->length && memcmp (a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static gboolean
is_private_v4 (const guint8 *b)
{
  return b[0] == 0 || b[0] == 10 || b[0] == 127 || b[0] >= 224 || (b[0] == 100 && (b[1] & 0xc0) == 64)
         || (b[0] == 169 && b[1] == 254) || (b[0] == 172 && (b[1] & 0xf0) == 16)
         || (b[0] == 192 && b[1] == 168) || (b[0] == 192 && b[1] == 0 && b[2] == 0)
         || (b[0] == 198 && (b[1] & 0xfe) == 18);
}

gboolean
plugin_broker_is_private (const guint8 *bytes, gsize length)
{
  static const guint8 nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
  static const guint8 zero[12];
  Address address;

  set_address (&address, bytes, length);
  if (address.length == 4)
    return is_private_v4 (address.bytes);
  if (memcmp (address.bytes, zero, 12) == 0) /* ::, ::1 and the old IPv4-compatible ones */
    return TRUE;
  if (memcmp (address.bytes, nat64, 12) == 0)
    return is_private_v4 (address.bytes + 12);
  if (address.bytes[0] == 0x20 && address.bytes[1] == 0x02) /* 6to4 */
    return is_private_v4 (address.bytes + 2);
  return (address.bytes[0] & 0xfe) == 0xfc || address.bytes[0] == 0xff
         || (address.bytes[0] == 0xfe && (address.bytes[1] & 0x80) != 0);
}

/* The address that a grant's host is, if it is one. */
static gboolean
read_literal (const char *host, Address *address)
{
  g_autoptr (GInetAddress) literal = g_inet_address_new_from_string (host);

  if (literal == NULL)
    return FALSE;
  set_address (address, g_inet_address_to_bytes (literal), g_inet_address_get_native_size (literal));
  return TRUE;
}

gboolean
plugin_broker_is_granted (const Descriptor *descriptor, const char *host)
{
  for (guint i = 0; i < descriptor->n_connect; i++)
    if (g_ascii_strcasecmp (descriptor->connect[i].host, host) == 0)
      return TRUE;
  return FALSE;
}

gboolean
plugin_broker_hand_out (PluginBroker *broker, const char *host, GInetAddress *inet)
{
  const guint8 *bytes = g_inet_address_to_bytes (inet);
  gsize length = g_inet_address_get_native_size (inet);
  HandedOut *entry = NULL;
  guint grants = 0;
  Address address;

  /* `localhost:PORT` says as plainly as 127.0.0.1 that this machine is meant; any other name that leads to a
   * private address is somebody else's word. */
  if (plugin_broker_is_private (bytes, length)
      && !(g_ascii_strcasecmp (host, "localhost") == 0 && g_inet_address_get_is_loopback (inet)))
    return FALSE;
  for (guint i = 0; i < broker->descriptor->n_connect; i++)
    if (g_ascii_strcasecmp (broker->descriptor->connect[i].host, host) == 0)
      grants |= 1u << i;
  set_address (&address, bytes, length);
  g_mutex_lock (&broker->mutex);
  for (guint i = 0; i < MAX_ADDRESSES; i++)
    if (address_equal (&broker->handed_out[i].address, &address))
      entry = &broker->handed_out[i];
  if (entry == NULL)
    {
      entry = &broker->handed_out[broker->next_handed_out++ % MAX_ADDRESSES];
      entry->address = address;
      entry->grants = 0;
    }
  entry->grants |= grants;
  g_mutex_unlock (&broker->mutex);
  return grants != 0;
}

static gboolean
is_allowed (PluginBroker *broker, const Address *address, guint16 port)
{
  guint grants = 0;

  g_mutex_lock (&broker->mutex);
  for (guint i = 0; i < MAX_ADDRESSES; i++)
    if (address_equal (&broker->handed_out[i].address, address))
      grants = broker->handed_out[i].grants;
  g_mutex_unlock (&broker->mutex);
  for (guint i = 0; i < broker->descriptor->n_connect; i++)
    {
      const DescriptorAddress *grant = &broker->descriptor->connect[i];
      Address literal;

      if (grant->port != port)
        continue;
      if ((grants & 1u << i) != 0
          || (read_literal (grant->host, &literal) && address_equal (&literal, address)))
        return TRUE;
    }
  return FALSE;
}

/* ---- notifications ---- */

static void
answer (PluginBroker *broker, guint64 id, int error)
{
  struct seccomp_notif_resp response = { .id = id, .error = -error };

  /* ENOENT: the process is gone, or a signal ended its call. */
  (void)ioctl (broker->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

/* Copies the address that connect() was called with. */
static gboolean
copy_address (PluginBroker *broker, const struct seccomp_notif *notification, struct sockaddr_storage *to,
              socklen_t *length)
{
  struct iovec local = { .iov_base = to };
  struct iovec remote = { .iov_base = (void *)(guintptr)notification->data.args[1] };
  guint64 size = notification->data.args[2];

  if (size < sizeof (struct sockaddr_in) || size > sizeof *to)
    return FALSE;
  memset (to, 0, sizeof *to);
  local.iov_len = remote.iov_len = size;
  *length = (socklen_t)size;
  return process_vm_readv (broker->pid, &local, 1, &remote, 1, 0) == (gssize)size;
}

static gboolean
read_address (const struct sockaddr_storage *from, socklen_t length, Address *address, guint16 *port)
{
  if (from->ss_family == AF_INET)
    {
      const struct sockaddr_in *in = (const struct sockaddr_in *)from;

      set_address (address, (const guint8 *)&in->sin_addr, 4);
      *port = ntohs (in->sin_port);
      return TRUE;
    }
  if (from->ss_family == AF_INET6 && length >= sizeof (struct sockaddr_in6))
    {
      const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

      set_address (address, (const guint8 *)&in6->sin6_addr, 16);
      *port = ntohs (in6->sin6_port);
      return in6->sin6_scope_id == 0;
    }
  return FALSE;
}

/* The plugin's descriptor, if it is a TCP socket of a family we judge. -1 with errno. */
static int
take_socket (PluginBroker *broker, int number)
{
  int fd = (int)syscall (SYS_pidfd_getfd, broker->pidfd, number, 0);
  int domain = 0, type = 0, protocol = 0;
  socklen_t size = sizeof (int);

  if (fd < 0)
    return -1;
  if (getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0
      && getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
      && getsockopt (fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0
      && (domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM && protocol == IPPROTO_TCP)
    return fd;
  close (fd);
  errno = EACCES;
  return -1;
}

static void
end_attempt (Attempt *attempt)
{
  close (attempt->fd);
  attempt->fd = -1;
}

/* Connects the plugin's socket; never waits. The socket is made non-blocking for as long as we try. */
static void
begin (PluginBroker *broker, Attempt *attempt, guint64 id, const struct sockaddr *address, socklen_t length)
{
  int error = 0;

  attempt->flags = fcntl (attempt->fd, F_GETFL);
  attempt->is_waiting = (attempt->flags & O_NONBLOCK) == 0;
  attempt->id = id;
  attempt->deadline_us = g_get_monotonic_time ()
                         + MIN (ATTEMPT_US, (gint64)broker->descriptor->call_timeout_ms * 1000 * 2 / 3);
  if (attempt->is_waiting)
    (void)fcntl (attempt->fd, F_SETFL, attempt->flags | O_NONBLOCK);
  if (connect (attempt->fd, address, length) != 0)
    error = errno;
  if (error == EINPROGRESS)
    {
      if (!attempt->is_waiting)
        answer (broker, id, EINPROGRESS);
      return;
    }
  if (attempt->is_waiting)
    (void)fcntl (attempt->fd, F_SETFL, attempt->flags);
  answer (broker, id, error);
  end_attempt (attempt);
}

static void
decide (PluginBroker *broker, const struct seccomp_notif *notification)
{
  struct sockaddr_storage raw;
  socklen_t length;
  Address address;
  guint16 port = 0;
  Attempt *attempt = NULL;
  guint64 id = notification->id;

  if (!copy_address (broker, notification, &raw, &length))
    {
      answer (broker, id, EFAULT);
      return;
    }
  /* The id tells that the process we read from is still the one that asked. */
  if (ioctl (broker->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) != 0)
    return;
  if (!read_address (&raw, length, &address, &port) || !is_allowed (broker, &address, port))
    {
      if (broker->n_refused++ < MAX_REFUSALS_LOGGED)
        log_warning ("plugin", "connection refused plugin=%s port=%u", broker->descriptor->id, port);
      answer (broker, id, EACCES);
      return;
    }
  for (guint i = 0; i < MAX_ATTEMPTS && attempt == NULL; i++)
    if (broker->attempts[i].fd < 0)
      attempt = &broker->attempts[i];
  if (attempt == NULL)
    {
      answer (broker, id, EAGAIN);
      return;
    }
  attempt->fd = take_socket (broker, (int)notification->data.args[0]);
  if (attempt->fd < 0)
    answer (broker, id, errno);
  else
    begin (broker, attempt, id, (const struct sockaddr *)&raw, length);
}

static void
receive (PluginBroker *broker)
{
  /* The kernel's structure may be longer than the one we were built with. */
  union
  {
    struct seccomp_notif notification;
    guint8 room[512];
  } buffer;

  memset (&buffer, 0, sizeof buffer);
  if (ioctl (broker->listener, SECCOMP_IOCTL_NOTIF_RECV, &buffer.notification) != 0)
    return;
  if (buffer.notification.data.nr == SYS_connect)
    decide (broker, &buffer.notification);
  else
    answer (broker, buffer.notification.id, EPERM);
}

/* An attempt that is over, one way or the other, or whose time is. */
static void
finish (PluginBroker *broker, Attempt *attempt, gboolean is_late)
{
  int error = ETIMEDOUT;
  socklen_t size = sizeof error;

  if (is_late)
    (void)shutdown (attempt->fd, SHUT_RDWR);
  else if (attempt->is_waiting)
    (void)getsockopt (attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (attempt->is_waiting)
    {
      (void)fcntl (attempt->fd, F_SETFL, attempt->flags);
      answer (broker, attempt->id, error);
    }
  end_attempt (attempt);
}

static int
wait_ms (const PluginBroker *broker, gint64 now_us)
{
  gint64 until_us = G_MAXINT64;

  for (guint i = 0; i < MAX_ATTEMPTS; i++)
    if (broker->attempts[i].fd >= 0)
      until_us = MIN (until_us, broker->attempts[i].deadline_us);
  if (until_us == G_MAXINT64)
    return -1;
  return (int)(MAX (until_us - now_us, 0) / 1000) + 1;
}

static gpointer
run (gpointer data)
{
  PluginBroker *broker = data;

  for (;;)
    {
      struct pollfd fds[2 + MAX_ATTEMPTS]
          = { { .fd = broker->stop, .events = POLLIN }, { .fd = broker->listener, .events = POLLIN } };
      gint64 now_us;

      for (guint i = 0; i < MAX_ATTEMPTS; i++)
        fds[2 + i] = (struct pollfd){ .fd = broker->attempts[i].fd, .events = POLLOUT };
      if (poll (fds, G_N_ELEMENTS (fds), wait_ms (broker, g_get_monotonic_time ())) < 0 && errno != EINTR)
        break;
      if (fds[0].revents != 0 || (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        break; /* told to, or the last process under the filter is gone */
      now_us = g_get_monotonic_time ();
      for (guint i = 0; i < MAX_ATTEMPTS; i++)
        if (broker->attempts[i].fd >= 0)
          {
            if (fds[2 + i].revents != 0)
              finish (broker, &broker->attempts[i], FALSE);
            else if (broker->attempts[i].deadline_us <= now_us)
              finish (broker, &broker->attempts[i], TRUE);
          }
      if ((fds[1].revents & POLLIN) != 0)
        receive (broker);
    }
  for (guint i = 0; i < MAX_ATTEMPTS; i++)
    if (broker->attempts[i].fd >= 0)
      end_attempt (&broker->attempts[i]);
  return NULL;
}

const char *
plugin_broker_why_not (void)
{
  g_autofree char *scope = NULL;

  if (g_file_get_contents ("/proc/sys/kernel/yama/ptrace_scope", &scope, NULL, NULL) && atoi (scope) >= 2
      && geteuid () != 0)
    return "kernel.yama.ptrace_scope is 2 or more, so plugins have no network on this machine";
  return NULL;
}

PluginBroker *
plugin_broker_new (int listener, pid_t pid, int pidfd, const Descriptor *descriptor)
{
  PluginBroker *broker = g_new0 (PluginBroker, 1);

  broker->listener = listener;
  broker->pid = pid;
  broker->pidfd = fcntl (pidfd, F_DUPFD_CLOEXEC, 3);
  broker->stop = eventfd (0, EFD_CLOEXEC);
  broker->descriptor = descriptor;
  for (guint i = 0; i < MAX_ATTEMPTS; i++)
    broker->attempts[i].fd = -1;
  g_mutex_init (&broker->mutex);
  broker->thread = g_thread_new ("plugin-broker", run, broker);
  return broker;
}

void
plugin_broker_free (PluginBroker *broker)
{
  guint64 one = 1;

  if (broker == NULL)
    return;
  (void)!write (broker->stop, &one, sizeof one);
  g_thread_join (broker->thread);
  close (broker->listener);
  if (broker->pidfd >= 0)
    close (broker->pidfd);
  close (broker->stop);
  g_mutex_clear (&broker->mutex);
  g_free (broker);
}
