/* Keygens that host-module-check must find fault with. FAULT, set by the build, says which one this is. */
#include <host/keygen.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* For the preprocessor: what is imported depends on it. */
#define NONE        0
#define CHANCE      1 /* another serial every time */
#define CLOCK       2 /* another serial every second */
#define FEW         3 /* a serial of one byte of the seed */
#define CRASH       4 /* at the first call */
#define RARE_CRASH  5 /* at one in a hundred */
#define HANG        6
#define LATE_LOAD   7 /* its constructor never ends */
#define SOCKET      8
#define PROGRAM     9
#define OTHER_ABI   10
#define NO_FUNCTION 11
#define NO_SERIAL   12
#define DENIAL      13
#define GREED       14 /* more memory than there is */
#define STATE       15 /* counts its calls: every process starts from one, so that is no fault */

static volatile int is_for_ever = 1;

static void
wait_for_ever (void)
{
  while (is_for_ever)
    {
    }
}

static void __attribute__ ((constructor)) construct (void)
{
  if (FAULT == LATE_LOAD)
    wait_for_ever ();
}

uint32_t
host_module_abi (void)
{
  return FAULT == OTHER_ABI ? HOST_MODULE_ABI + 1 : HOST_MODULE_ABI;
}

#if FAULT != NO_FUNCTION
static void
write_serial (const HostKeygenRequest *request, char *serial)
{
  for (size_t i = 0; i < sizeof request->seed; i++)
    sprintf (serial + 2 * i, "%02x", request->seed[i]);
}

int
host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
             int64_t *expires)
{
  static int n_calls;
  struct timespec now;
  (void)api;
  (void)expires;
  write_serial (request, serial);
  switch (FAULT)
    {
    case CHANCE:
      clock_gettime (CLOCK_MONOTONIC, &now);
      snprintf (serial, cap, "%ld-%ld", (long)now.tv_sec, now.tv_nsec);
      break;
    case CLOCK:
      snprintf (serial + 64, cap - 64, "-%ld", (long)time (NULL));
      break;
    case FEW:
      snprintf (serial, cap, "%02x", request->seed[0]);
      break;
    case CRASH:
      abort ();
    case RARE_CRASH:
      if (request->seed[0] == 0 || request->seed[1] == 0)
        abort ();
      break;
    case HANG:
      wait_for_ever ();
      break;
#if FAULT == SOCKET
    case SOCKET:
      if (socket (AF_INET, SOCK_STREAM, 0) >= 0)
        return HOST_INTERNAL;
      break;
#endif
#if FAULT == PROGRAM
    case PROGRAM:
      if (system ("true") != 0)
        return HOST_INTERNAL;
      break;
#endif
    case NO_SERIAL:
      strcpy (serial, " with blanks around ");
      break;
    case DENIAL:
      return HOST_DENIED;
    case GREED:
      for (size_t i = 0; i < 6; i++)
        {
          volatile char *piece = malloc (16u << 20);
          if (piece == NULL)
            return HOST_INTERNAL;
          for (size_t at = 0; at < 16u << 20; at += 4096)
            piece[at] = 1;
        }
      break;
    case STATE:
      snprintf (serial + 64, cap - 64, "-%d", ++n_calls);
      break;
    default:
      break;
    }
  return HOST_OK;
}
#endif
