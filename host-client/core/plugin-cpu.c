#include "host-client/core/plugin-cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

gboolean
plugin_cpu_take (PluginCpu *cpu, gint64 at_us, gint64 used_us)
{
  guint place = cpu->n++ % PLUGIN_CPU_SAMPLES;
  guint oldest = cpu->n % PLUGIN_CPU_SAMPLES;

  cpu->samples[place].at_us = at_us;
  cpu->samples[place].used_us = used_us;
  return cpu->n >= PLUGIN_CPU_SAMPLES
         && (used_us - cpu->samples[oldest].used_us) * 2 > at_us - cpu->samples[oldest].at_us;
}

gint64
plugin_cpu_read (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  const char *behind_name;
  guint64 user, system;

  if (!g_file_get_contents (path, &text, NULL, NULL) || (behind_name = strrchr (text, ')')) == NULL
      || sscanf (behind_name,
                 ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
                 &user, &system)
             != 2)
    return -1;
  return (gint64)((user + system) * G_USEC_PER_SEC / (guint64)sysconf (_SC_CLK_TCK));
}
