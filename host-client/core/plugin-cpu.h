/* Whether a plugin uses more of the processor than it may: half a core for half a minute. Part of
 * host-client/core/plugin*. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#define PLUGIN_CPU_SAMPLE_S 5
#define PLUGIN_CPU_SAMPLES  7 /* the first and the last are half a minute apart */

typedef struct
{
  struct
  {
    gint64 at_us;
    gint64 used_us;
  } samples[PLUGIN_CPU_SAMPLES];
  guint n; /* taken so far */
} PluginCpu;

/* Takes a sample: at the monotonic time @at_us the process had used @used_us in all. TRUE if over the last
 * half minute that was more than half of one core. */
gboolean plugin_cpu_take (PluginCpu *cpu, gint64 at_us, gint64 used_us);

/* What the process @pid, with all its threads, has used so far; -1 if it is gone. */
gint64 plugin_cpu_read (pid_t pid);
