/* Modules of functions that host-module-check must find fault with. FAULT, set by the build, says which one
 * this is. */
#include <host/function.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* For the preprocessor: what is imported depends on it. */
#define NONE        0
#define CHANCE      1 /* another result every time */
#define CLOCK       2 /* it keeps another value every second */
#define CRASH       3 /* at the first call */
#define LONG_CRASH  4 /* at an argument of 48 KiB */
#define HANG        5
#define OVERFLOW    6
#define SOCKET      7
#define OTHER_ABI   8
#define NO_FUNCTION 9
#define GREED       10 /* more memory than there is */
#define DENIAL      11
#define ASKING      12 /* it asks for ever */

static volatile int is_for_ever = 1;

uint32_t
host_module_abi (void)
{
  return FAULT == OTHER_ABI ? HOST_MODULE_ABI + 1 : HOST_MODULE_ABI;
}

#if FAULT != NO_FUNCTION
static int
say (uint8_t *out, size_t *out_len, int result, const char *text)
{
  *out_len = (size_t)snprintf ((char *)out, *out_len, "%s", text);
  return result;
}

static int
be_greedy (void)
{
  for (size_t i = 0; i < 12; i++)
    {
      volatile char *piece = malloc (16u << 20);
      if (piece == NULL)
        return HOST_INTERNAL;
      for (size_t at = 0; at < 16u << 20; at += 4096)
        piece[at] = 1;
    }
  return HOST_OK;
}

int
host_function (const HostModuleApi *api, const HostCall *call, HostBytes in, uint8_t *out, size_t *out_len)
{
  char line[64], value[8];
  struct timespec now;
  size_t length = sizeof value;
  if (strcmp (call->function, "serve") != 0)
    return say (out, out_len, HOST_BAD_INPUT, "there is no such function");
  switch (FAULT)
    {
    case CHANCE:
      clock_gettime (CLOCK_MONOTONIC, &now);
      snprintf (line, sizeof line, "%ld", now.tv_nsec);
      return say (out, out_len, HOST_OK, line);
    case CLOCK:
      snprintf (line, sizeof line, "%ld", (long)time (NULL));
      api->kv_put (api->host, HOST_SCOPE_USER, "now", line, strlen (line));
      break;
    case CRASH:
      abort ();
    case LONG_CRASH:
      if (in.length == HOST_FUNCTION_MAX)
        abort ();
      break;
    case HANG:
      while (is_for_ever)
        {
        }
      break;
    case OVERFLOW:
      *out_len += 1;
      return HOST_OK;
#if FAULT == SOCKET
    case SOCKET:
      if (socket (AF_INET, SOCK_STREAM, 0) >= 0)
        return HOST_INTERNAL;
      break;
#endif
    case GREED:
      if (be_greedy () != HOST_OK)
        return HOST_INTERNAL;
      break;
    case DENIAL:
      return say (out, out_len, HOST_DENIED, "not today");
    case ASKING:
      while (is_for_ever)
        api->kv_get (api->host, HOST_SCOPE_USER, "x", value, &length);
      break;
    default:
      break;
    }
  return say (out, out_len, HOST_OK, "served");
}
#endif
