/* What a call of a server module costs: a process forked, confined, asked and reaped for each.
 *
 *   bench-runner MODULE.so [CALLS [IN-FLIGHT [RATE]]]
 *
 * With a RATE calls are offered so many a second, whether earlier ones have ended or not; without, as soon as
 * one ends. Latency is from the request to its callback; processor time is that of this process, the
 * supervisor, the zygote and every call together. */
#include "host-server/modules/modules.h"
#include "tests/bench/measure.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define OWN_USERS 61200

typedef struct
{
  Modules *modules;
  const char *module;
  guint n_calls, n_asked, n_done, n_failed;
  gint64 *latencies_ns;
  gboolean is_paced;
} Bench;

typedef struct
{
  Bench *bench;
  gint64 asked_ns;
} Call;

static void ask (Bench *bench);

static void
on_done (const ModulesKeygenResult *result, gpointer data)
{
  g_autofree Call *call = data;
  Bench *bench = call->bench;
  bench->latencies_ns[bench->n_done++] = measure_get_ns () - call->asked_ns;
  if (result->outcome != MODULES_OK)
    {
      bench->n_failed++;
      fprintf (stderr, "%s: %s\n", modules_outcome_name (result->outcome), result->reason);
    }
  if (bench->n_asked < bench->n_calls && !bench->is_paced)
    ask (bench);
}

static void
ask (Bench *bench)
{
  Call *call = g_new (Call, 1);
  ModulesKeygenRequest request = { .module = bench->module,
                                   .user = "k3qabcdefghijklmnopqrstuvw",
                                   .plugin = "weather",
                                   .term = "P1Y",
                                   .line = "o_0123.1",
                                   .counter = bench->n_asked++,
                                   .paid_at_s = 1764000000 };
  *call = (Call){ .bench = bench, .asked_ns = measure_get_ns () };
  modules_keygen_call (bench->modules, &request, on_done, call);
}

/* Offers @rate calls a second by a timer of the kernel's, whose ticks that were missed count. */
static void
run_paced (Bench *bench, guint n_calls, guint rate)
{
  struct itimerspec every = { .it_interval = { .tv_nsec = 1000000000 / rate }, .it_value = { .tv_nsec = 1 } };
  int timer = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  GPollFD tick = { .fd = timer, .events = G_IO_IN };
  timerfd_settime (timer, 0, &every, NULL);
  g_main_context_add_poll (NULL, &tick, G_PRIORITY_DEFAULT);
  bench->is_paced = TRUE;
  bench->n_calls = n_calls;
  bench->n_asked = bench->n_done = 0;
  while (bench->n_done < n_calls)
    {
      guint64 n_ticks = 0;
      g_main_context_iteration (NULL, TRUE);
      if (read (timer, &n_ticks, sizeof n_ticks) == sizeof n_ticks)
        for (; n_ticks > 0 && bench->n_asked < n_calls; n_ticks--)
          ask (bench);
    }
  g_main_context_remove_poll (NULL, &tick);
  close (timer);
}

static void
run (Bench *bench, guint n_calls, guint n_in_flight)
{
  bench->n_calls = n_calls;
  bench->n_asked = bench->n_done = 0;
  for (guint i = 0; i < MIN (n_in_flight, n_calls); i++)
    ask (bench);
  while (bench->n_done < n_calls)
    g_main_context_iteration (NULL, TRUE);
}

int
main (int argc, char **argv)
{
  if (argc < 2)
    {
      fputs ("usage: bench-runner MODULE.so [CALLS [IN-FLIGHT [RATE]]]\n", stderr);
      return 2;
    }
  guint n_calls = argc > 2 ? (guint)atoi (argv[2]) : 5000;
  guint n_in_flight = argc > 3 ? (guint)atoi (argv[3]) : 1;
  guint rate = argc > 4 ? (guint)atoi (argv[4]) : 0;
  g_autofree char *path = g_canonicalize_filename (argv[1], NULL);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *module = g_path_get_basename (path);
  g_autoptr (Clock) clock = clock_new_system ();
  ModulesOptions options = { .folder = folder,
                             .uid_base = geteuid () == 0 ? OWN_USERS : 0,
                             .deadline_ms = 5000,
                             .cpu_s = 5,
                             .memory_bytes = 128 << 20,
                             .clock = clock };
  if (n_calls == 0 || n_in_flight == 0)
    return 2;

  Bench bench = { .modules = modules_new (&options), .module = module };
  bench.latencies_ns = g_new (gint64, n_calls);
  run (&bench, 1, 1);
  gint64 first_ns = bench.latencies_ns[0];
  double own_before_s = measure_get_cpu_s (RUSAGE_SELF);
  gint64 before_ns = measure_get_ns ();
  if (rate > 0)
    run_paced (&bench, n_calls, rate);
  else
    run (&bench, n_calls, n_in_flight);
  double wall_s = (double)(measure_get_ns () - before_ns) / 1e9;
  /* The children are counted once they have been waited for. */
  modules_free (bench.modules);
  double own_s = measure_get_cpu_s (RUSAGE_SELF) - own_before_s;
  double cpu_s = own_s + measure_get_cpu_s (RUSAGE_CHILDREN);

  qsort (bench.latencies_ns, n_calls, sizeof bench.latencies_ns[0], measure_compare_ns);
  if (rate > 0)
    printf ("%s: %u calls, %u a second offered, %u failed\n", module, n_calls, rate, bench.n_failed);
  else
    printf ("%s: %u calls, %u in flight, %u failed\n", module, n_calls, n_in_flight, bench.n_failed);
  printf ("  first call, with the runner's start   %8.0f us\n", (double)first_ns / 1e3);
  printf ("  latency p50 / p99                     %8.0f / %.0f us\n",
          (double)bench.latencies_ns[n_calls / 2] / 1e3,
          (double)bench.latencies_ns[(gsize)n_calls * 99 / 100] / 1e3);
  printf ("  calls a second, wall                  %8.0f\n", n_calls / wall_s);
  printf ("  processor a call, all processes       %8.0f us, of it the host %.0f us\n", cpu_s / n_calls * 1e6,
          own_s / n_calls * 1e6);
  printf ("  calls a second of one processor       %8.0f\n", n_calls / cpu_s);
  g_free (bench.latencies_ns);
  return bench.n_failed == 0 ? 0 : 1;
}
