#include "host-server/wire/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

gboolean
address_split (const char *text, char **host, guint16 *port)
{
  const char *colon = strrchr (text, ':');
  guint64 number;

  if (colon == NULL || !g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &number, NULL))
    return FALSE;
  gsize length = (gsize)(colon - text);
  if (text[0] == '[')
    {
      if (length < 3 || text[length - 1] != ']')
        return FALSE;
      *host = g_strndup (text + 1, length - 2);
    }
  else
    {
      if (memchr (text, ':', length) != NULL)
        return FALSE;
      *host = length == 0 ? g_strdup ("::") : g_strndup (text, length);
    }
  *port = (guint16)number;
  return TRUE;
}

gboolean
address_is_loopback (const char *text)
{
  g_autofree char *host = NULL;
  guint16 port;
  struct in_addr v4;

  if (!address_split (text, &host, &port))
    return FALSE;
  if (inet_pton (AF_INET, host, &v4) == 1)
    return (ntohl (v4.s_addr) >> 24) == 127;
  return g_str_equal (host, "::1") || g_str_equal (host, "localhost");
}

static const struct in_addr *
peek_v4 (const struct sockaddr *address)
{
  if (address->sa_family == AF_INET)
    return &((const struct sockaddr_in *)(const void *)address)->sin_addr;
  return NULL;
}

char *
address_to_text (const struct sockaddr *address)
{
  char buffer[INET6_ADDRSTRLEN];
  const struct in_addr *v4 = peek_v4 (address);
  if (v4 != NULL)
    {
      const struct sockaddr_in *in = (const void *)address;
      inet_ntop (AF_INET, v4, buffer, sizeof buffer);
      return g_strdup_printf ("%s:%u", buffer, ntohs (in->sin_port));
    }
  const struct sockaddr_in6 *in6 = (const void *)address;
  inet_ntop (AF_INET6, &in6->sin6_addr, buffer, sizeof buffer);
  return g_strdup_printf ("[%s]:%u", buffer, ntohs (in6->sin6_port));
}

char *
address_to_peer (const struct sockaddr *address)
{
  char buffer[INET6_ADDRSTRLEN];
  const struct in_addr *v4 = peek_v4 (address);
  if (v4 != NULL)
    return g_strdup (inet_ntop (AF_INET, v4, buffer, sizeof buffer));
  struct in6_addr v6 = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED (&v6))
    return g_strdup (inet_ntop (AF_INET, &v6.s6_addr[12], buffer, sizeof buffer));
  if (!IN6_IS_ADDR_LOOPBACK (&v6))
    memset (&v6.s6_addr[8], 0, 8);
  return g_strdup (inet_ntop (AF_INET6, &v6, buffer, sizeof buffer));
}
