#include "host-server/market/books/crash.h"

#include <glib.h>
#include <signal.h>

void
crash_reach (CrashPoint point)
{
  static const char *const names[N_CRASH_POINTS] = {
#define X(place, name) [CRASH_##place] = name,
    CRASH_POINTS (X)
#undef X
  };
  if (point != CRASH_NONE && g_strcmp0 (g_getenv ("STOA_CRASH_AT"), names[point]) == 0)
    raise (SIGKILL);
}
