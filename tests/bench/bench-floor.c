/* What a keygen's call costs without a sandbox, and with the usual one: the floor and the ceiling for
 * bench-runner.
 *
 *   bench-floor in-process MODULE.so CALLS            the object in this very process
 *   bench-floor exec CALLS PROGRAM [ARGUMENT...]      a program started and waited for at each call
 *   bench-floor once MODULE.so                        that program: loads the object, calls it, ends */
#include "tests/bench/measure.h"

#include <host/keygen.h>

#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

typedef int (*KeygenFunction) (const HostModuleApi *api, const HostKeygenRequest *request, char *serial,
                               size_t cap, int64_t *expires);

extern char **environ;

static int64_t
api_now (void *host)
{
  (void)host;
  return 1764000000;
}

static void
api_random (void *host, void *bytes, size_t length)
{
  (void)host;
  memset (bytes, 7, length);
}

static void
api_log (void *host, uint32_t level, const char *text)
{
  (void)host;
  (void)level;
  (void)text;
}

static KeygenFunction
load (const char *path)
{
  void *object = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  KeygenFunction function = NULL;
  if (object != NULL)
    *(void **)&function = dlsym (object, "host_keygen");
  if (function == NULL)
    fprintf (stderr, "bench-floor: %s\n", dlerror ());
  return function;
}

static int
call (KeygenFunction function, uint32_t counter)
{
  HostModuleApi api
      = { .size = sizeof api, .abi = HOST_MODULE_ABI, .now = api_now, .random = api_random, .log = api_log };
  HostKeygenRequest request = { .size = sizeof request,
                                .abi = HOST_MODULE_ABI,
                                .user = "k3qabcdefghijklmnopqrstuvw",
                                .plugin = "weather",
                                .term = "P1Y",
                                .line = "o_0123.1",
                                .counter = counter,
                                .now = 1764000000 };
  char serial[HOST_SERIAL_MAX + 1];
  int64_t expires = 0;
  return function (&api, &request, serial, sizeof serial, &expires);
}

static void
print (const char *what, int64_t *latencies_ns, size_t n, double cpu_s)
{
  qsort (latencies_ns, n, sizeof *latencies_ns, measure_compare_ns);
  printf ("%s: %zu calls\n", what, n);
  printf ("  latency p50 / p99                     %8.2f / %.2f us\n", (double)latencies_ns[n / 2] / 1e3,
          (double)latencies_ns[n * 99 / 100] / 1e3);
  printf ("  calls a second of one processor       %8.0f\n", (double)n / cpu_s);
}

static int
run_program (char **arguments)
{
  pid_t pid;
  int status;
  if (posix_spawnp (&pid, arguments[0], NULL, NULL, arguments, environ) != 0
      || waitpid (pid, &status, 0) != pid)
    return 1;
  return status;
}

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], "once") == 0)
    {
      KeygenFunction function = load (argv[2]);
      return function == NULL ? 1 : call (function, 0);
    }
  int is_exec = argc >= 4 && strcmp (argv[1], "exec") == 0;
  if (!is_exec && (argc != 4 || strcmp (argv[1], "in-process") != 0))
    {
      fputs ("usage: bench-floor in-process MODULE.so CALLS | exec CALLS PROGRAM... | once MODULE.so\n",
             stderr);
      return 2;
    }
  int n_calls = atoi (argv[is_exec ? 2 : 3]), n_failed = 0;
  KeygenFunction function = is_exec ? NULL : load (argv[2]);
  if (n_calls < 1 || (!is_exec && function == NULL))
    return 2;

  int64_t *latencies_ns = calloc ((size_t)n_calls, sizeof *latencies_ns);
  double before_s = measure_get_cpu_s (RUSAGE_SELF) + measure_get_cpu_s (RUSAGE_CHILDREN);
  for (int i = 0; i < n_calls; i++)
    {
      int64_t before_ns = measure_get_ns ();
      n_failed += (is_exec ? run_program (argv + 3) : call (function, (uint32_t)i)) != 0;
      latencies_ns[i] = measure_get_ns () - before_ns;
    }
  double cpu_s = measure_get_cpu_s (RUSAGE_SELF) + measure_get_cpu_s (RUSAGE_CHILDREN) - before_s;
  print (is_exec ? argv[3] : "in-process", latencies_ns, (size_t)n_calls, cpu_s);
  free (latencies_ns);
  if (n_failed > 0)
    fprintf (stderr, "bench-floor: %d calls failed\n", n_failed);
  return n_failed == 0 ? 0 : 1;
}
