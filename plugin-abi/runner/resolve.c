#include "plugin-abi/runner/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_ADDRESSES 16

typedef struct
{
  int family;
  uint8_t bytes[16];
} Address;

static Runner *the_runner;

void
resolve_init (Runner *runner)
{
  the_runner = runner;
}

/* Finds up to MAX_ADDRESSES of @name; 0 or an EAI_ code. Addresses in figures need no host. */
static int
find_addresses (const char *name, int family, bool only_figures, Address found[MAX_ADDRESSES],
                size_t *n_found)
{
  FrameReader reader;
  Frame *frame;
  int result = 0;

  *n_found = 0;
  if ((family != AF_INET6 && inet_pton (AF_INET, name, found[0].bytes) == 1 && (found[0].family = AF_INET))
      || (family != AF_INET && inet_pton (AF_INET6, name, found[0].bytes) == 1
          && (found[0].family = AF_INET6)))
    {
      *n_found = 1;
      return 0;
    }
  if (only_figures || strlen (name) > 253)
    return EAI_NONAME;
  if (the_runner == NULL || !runner_may_connect (the_runner))
    return EAI_FAIL;

  frame = malloc (sizeof *frame);
  if (frame == NULL)
    return EAI_MEMORY;
  frame_begin (frame, FRAME_OP_RESOLVE, FRAME_ASK, 0);
  frame_put_text (frame, name);
  frame_put_u32 (frame, (uint32_t)family);
  if (!runner_ask (the_runner, frame, frame))
    result = EAI_FAIL;
  else if (frame->header.status != FRAME_STATUS_OK)
    result = frame->header.status == FRAME_STATUS_BUSY ? EAI_AGAIN : EAI_NONAME;
  else
    {
      frame_read (&reader, frame);
      while (frame_reader_has_more (&reader) && *n_found < MAX_ADDRESSES)
        {
          Address *address = &found[*n_found];
          size_t length;
          const uint8_t *bytes = frame_get_bytes (&reader, &length);

          if (length != 4 && length != 16)
            continue;
          address->family = length == 4 ? AF_INET : AF_INET6;
          memcpy (address->bytes, bytes, length);
          if (family == AF_UNSPEC || family == address->family)
            (*n_found)++;
        }
      if (*n_found == 0)
        result = EAI_NONAME;
    }
  free (frame);
  return result;
}

/* ---- getaddrinfo ---- */

/* One entry with its address behind it, as the C library lays them out. */
static struct addrinfo *
new_entry (const Address *address, uint16_t port, int type, int protocol)
{
  struct addrinfo *entry;
  size_t length = address->family == AF_INET ? sizeof (struct sockaddr_in) : sizeof (struct sockaddr_in6);

  entry = calloc (1, sizeof *entry + sizeof (struct sockaddr_in6));
  if (entry == NULL)
    return NULL;
  entry->ai_family = address->family;
  entry->ai_socktype = type;
  entry->ai_protocol = protocol;
  entry->ai_addrlen = (socklen_t)length;
  entry->ai_addr = (struct sockaddr *)(entry + 1);
  if (address->family == AF_INET)
    {
      struct sockaddr_in *in = (struct sockaddr_in *)(void *)entry->ai_addr;

      in->sin_family = AF_INET;
      in->sin_port = htons (port);
      memcpy (&in->sin_addr, address->bytes, 4);
    }
  else
    {
      struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)entry->ai_addr;

      in6->sin6_family = AF_INET6;
      in6->sin6_port = htons (port);
      memcpy (&in6->sin6_addr, address->bytes, 16);
    }
  return entry;
}

/* Ports in figures and the two names that old clients use; /etc/services is not in the sandbox. */
static bool
read_port (const char *service, uint16_t *port)
{
  char *end;
  unsigned long value;

  *port = 0;
  if (service == NULL || *service == '\0')
    return true;
  if (strcmp (service, "http") == 0 || strcmp (service, "https") == 0)
    {
      *port = service[4] == 's' ? 443 : 80;
      return true;
    }
  value = strtoul (service, &end, 10);
  if (*service < '0' || *service > '9' || *end != '\0' || value > 65535)
    return false;
  *port = (uint16_t)value;
  return true;
}

int getaddrinfo (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list);
void freeaddrinfo (struct addrinfo *list);

int
getaddrinfo (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
  static const struct addrinfo no_hints;
  Address found[MAX_ADDRESSES];
  struct addrinfo *first = NULL, **last = &first;
  size_t n_found;
  uint16_t port;
  int result;

  if (hints == NULL)
    hints = &no_hints;
  if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET && hints->ai_family != AF_INET6)
    return EAI_FAMILY;
  if (hints->ai_socktype != 0 && hints->ai_socktype != SOCK_STREAM)
    return EAI_SOCKTYPE;
  if (node == NULL) /* to listen, or our own machine: neither is granted by name */
    return EAI_NONAME;
  if (!read_port (service, &port))
    return EAI_SERVICE;
  result = find_addresses (node, hints->ai_family, (hints->ai_flags & AI_NUMERICHOST) != 0, found, &n_found);
  if (result != 0)
    return result;
  for (size_t i = 0; i < n_found; i++)
    {
      *last = new_entry (&found[i], port, SOCK_STREAM, IPPROTO_TCP);
      if (*last != NULL && i == 0 && (hints->ai_flags & AI_CANONNAME) != 0)
        (*last)->ai_canonname = strdup (node);
      if (*last == NULL)
        {
          freeaddrinfo (first);
          return EAI_MEMORY;
        }
      last = &(*last)->ai_next;
    }
  *list = first;
  return 0;
}

void
freeaddrinfo (struct addrinfo *list)
{
  while (list != NULL)
    {
      struct addrinfo *next = list->ai_next;

      free (list->ai_canonname);
      free (list);
      list = next;
    }
}

/* ---- gethostbyname ---- */

/* Lays a hostent out in @buffer: its two lists, the addresses, the name. */
static int
fill_hostent (const char *name, int family, struct hostent *host, char *buffer, size_t size, int *h_error)
{
  Address found[MAX_ADDRESSES];
  size_t n_found, width = family == AF_INET ? 4 : 16;
  size_t name_size = strlen (name) + 1;
  char **pointers, *bytes;
  int result = find_addresses (name, family, false, found, &n_found);

  if (result != 0)
    {
      *h_error = result == EAI_NONAME ? HOST_NOT_FOUND : result == EAI_AGAIN ? TRY_AGAIN : NO_RECOVERY;
      return 0;
    }
  if ((size_t)(-(uintptr_t)buffer % sizeof (char *)) + (n_found + 2) * sizeof (char *) + n_found * width
          + name_size
      > size)
    {
      *h_error = NETDB_INTERNAL;
      return ERANGE;
    }
  pointers = (char **)(void *)(buffer + -(uintptr_t)buffer % sizeof (char *));
  bytes = (char *)(pointers + n_found + 2);
  for (size_t i = 0; i < n_found; i++)
    {
      pointers[i] = bytes;
      memcpy (bytes, found[i].bytes, width);
      bytes += width;
    }
  pointers[n_found] = NULL;
  pointers[n_found + 1] = NULL; /* no aliases */
  host->h_addr_list = pointers;
  host->h_aliases = pointers + n_found + 1;
  host->h_addrtype = family;
  host->h_length = (int)width;
  host->h_name = memcpy (bytes, name, name_size);
  *h_error = NETDB_SUCCESS;
  return 0;
}

int gethostbyname2_r (const char *name, int family, struct hostent *host, char *buffer, size_t size,
                      struct hostent **result, int *h_error);
int gethostbyname_r (const char *name, struct hostent *host, char *buffer, size_t size,
                     struct hostent **result, int *h_error);
struct hostent *gethostbyname2 (const char *name, int family);
struct hostent *gethostbyname (const char *name);

int
gethostbyname2_r (const char *name, int family, struct hostent *host, char *buffer, size_t size,
                  struct hostent **result, int *h_error)
{
  int wrong;

  *result = NULL;
  if (family != AF_INET && family != AF_INET6)
    {
      *h_error = NO_RECOVERY;
      return EAFNOSUPPORT;
    }
  wrong = fill_hostent (name, family, host, buffer, size, h_error);
  if (wrong == 0 && *h_error == NETDB_SUCCESS)
    *result = host;
  return wrong;
}

int
gethostbyname_r (const char *name, struct hostent *host, char *buffer, size_t size, struct hostent **result,
                 int *h_error)
{
  return gethostbyname2_r (name, AF_INET, host, buffer, size, result, h_error);
}

struct hostent *
gethostbyname2 (const char *name, int family)
{
  static _Thread_local struct hostent host;
  static _Thread_local char buffer[1024];
  struct hostent *result;

  (void)gethostbyname2_r (name, family, &host, buffer, sizeof buffer, &result, &h_errno);
  return result;
}

struct hostent *
gethostbyname (const char *name)
{
  return gethostbyname2 (name, AF_INET);
}
