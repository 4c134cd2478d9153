#include "host-server/market/crash.h"

#include <glib.h>
#include <signal.h>

void
crash_point (const char *name)
{
  if (g_strcmp0 (g_getenv ("STOA_CRASH_AT"), name) == 0)
    raise (SIGKILL);
}
