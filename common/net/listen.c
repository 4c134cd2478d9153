#include "common/net/listen.h"

#include <errno.h>
#include <gio/gio.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

gboolean
listen_split (const char *address, char **host, char **port)
{
  const char *colon = strrchr (address, ':');
  if (colon == NULL || colon[1] == '\0' || strspn (colon + 1, "0123456789") != strlen (colon + 1))
    return FALSE;
  gsize length = (gsize)(colon - address);
  if (length > 2 && address[0] == '[' && colon[-1] == ']')
    *host = g_strndup (address + 1, length - 2);
  else if (length > 0 && memchr (address, ':', length) == NULL)
    *host = g_strndup (address, length);
  else
    return FALSE;
  *port = g_strdup (colon + 1);
  return TRUE;
}

gboolean
listen_is_loopback (const char *address)
{
  g_autofree char *host = NULL, *port = NULL;
  if (!listen_split (address, &host, &port))
    return FALSE;
  if (g_ascii_strcasecmp (host, "localhost") == 0)
    return TRUE;
  g_autoptr (GInetAddress) literal = g_inet_address_new_from_string (host);
  return literal != NULL && g_inet_address_get_is_loopback (literal);
}

static void
fail (GError **error, const char *address, int code)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot listen on '%s': %s", address,
               g_strerror (code));
}

static int
bind_one (const struct addrinfo *where)
{
  int fd = socket (where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  const int yes = 1, no = 0;
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (where->ai_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (bind (fd, where->ai_addr, where->ai_addrlen) == 0 && listen (fd, 128) == 0)
    return fd;
  int code = errno;
  close (fd);
  errno = code;
  return -1;
}

int
listen_open (const char *address, GError **error)
{
  g_autofree char *host = NULL, *port = NULL;
  if (!listen_split (address, &host, &port))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' is not HOST:PORT", address);
      return -1;
    }
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
                  *found = NULL;
  int status = getaddrinfo (host, port, &hints, &found);
  if (status != 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot listen on '%s': %s", address,
                   gai_strerror (status));
      return -1;
    }
  int fd = bind_one (found), code = errno;
  freeaddrinfo (found);
  if (fd >= 0)
    return fd;
  if (strcmp (host, "::") == 0 && (code == EAFNOSUPPORT || code == EADDRNOTAVAIL))
    {
      g_autofree char *all = g_strconcat ("0.0.0.0:", port, NULL);
      return listen_open (all, error);
    }
  fail (error, address, code);
  return -1;
}

char *
listen_dup_address (int fd, guint16 *port)
{
  struct sockaddr_storage bound;
  socklen_t length = sizeof bound;
  if (getsockname (fd, (struct sockaddr *)&bound, &length) != 0)
    return NULL;
  g_autoptr (GSocketAddress) address = g_socket_address_new_from_native (&bound, length);
  GInetSocketAddress *inet = G_INET_SOCKET_ADDRESS (address);
  g_autofree char *host = g_inet_address_to_string (g_inet_socket_address_get_address (inet));
  *port = g_inet_socket_address_get_port (inet);
  return g_strdup_printf (strchr (host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, *port);
}

char *
listen_dup_peer (const struct sockaddr *peer)
{
  if (peer->sa_family == AF_INET6)
    {
      const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;
      gboolean is_mapped = IN6_IS_ADDR_V4MAPPED (&six->sin6_addr);
      g_autoptr (GInetAddress) address
          = is_mapped ? g_inet_address_new_from_bytes (six->sin6_addr.s6_addr + 12, G_SOCKET_FAMILY_IPV4)
                      : g_inet_address_new_from_bytes (six->sin6_addr.s6_addr, G_SOCKET_FAMILY_IPV6);
      return g_inet_address_to_string (address);
    }
  const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
  g_autoptr (GInetAddress) address
      = g_inet_address_new_from_bytes ((const guint8 *)&four->sin_addr, G_SOCKET_FAMILY_IPV4);
  return g_inet_address_to_string (address);
}
