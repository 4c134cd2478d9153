#include "tests/bench/usage.h"

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double
cpu_of (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  const char *after_name = strrchr (text, ')');
  unsigned long long user, system;
  long long child_user, child_system;
  if (!after_name
      || sscanf (after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld", &user,
                 &system, &child_user, &child_system)
             != 4)
    return 0;
  return (double)(user + system + child_user + child_system) / (double)sysconf (_SC_CLK_TCK);
}

static uint64_t
pss_of (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/smaps_rollup", pid);
  g_autofree char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  const char *line = strstr (text, "\nPss:");
  return line ? strtoull (line + strlen ("\nPss:"), NULL, 10) * 1024 : 0;
}

static void
add (pid_t pid, bool with_memory, Usage *sum)
{
  sum->cpu_s += cpu_of (pid);
  if (with_memory)
    sum->pss_bytes += pss_of (pid);
  g_autofree char *tasks = g_strdup_printf ("/proc/%d/task", pid);
  g_autoptr (GDir) dir = g_dir_open (tasks, 0, NULL);
  for (const char *task; dir && (task = g_dir_read_name (dir));)
    {
      g_autofree char *path = g_strdup_printf ("%s/%s/children", tasks, task);
      g_autofree char *text = NULL;
      if (!g_file_get_contents (path, &text, NULL, NULL))
        continue;
      g_auto (GStrv) children = g_strsplit (text, " ", -1);
      for (char **child = children; *child; child++)
        if (atoi (*child) > 0)
          add (atoi (*child), with_memory, sum);
    }
}

Usage
usage_cpu (pid_t pid)
{
  Usage sum = { 0 };
  add (pid, false, &sum);
  return sum;
}

Usage
usage_all (pid_t pid)
{
  Usage sum = { 0 };
  add (pid, true, &sum);
  return sum;
}

double
usage_own_cpu_s (void)
{
  struct timespec now;
  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
