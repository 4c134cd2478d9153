/* What a call of a protected function costs at the runner's channel: a process forked, confined, asked and
 * reaped for each.
 *
 *   bench-function MODULE.so FUNCTION [RATE [SECONDS [IN-FLIGHT]]]
 *
 * First at RATE calls a second (500), latency from the request to its callback, each counted from when it was
 * due; then as fast as it goes with IN-FLIGHT (8) at once. Processor time is that of this process, the
 * supervisor, the zygote and every call together. */
#include "host-server/modules/function-module.h"
#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWN_USERS 61264

typedef struct
{
  FunctionModule *module;
  const char *function;
  guint n_asked, n_done, n_failed;
  GArray *latencies_ns;
} Bench;

typedef struct
{
  Bench *bench;
  gint64 due_ns;
} Call;

static void
on_begin (gpointer data)
{
}

static FunctionGet
on_get (const char *key, GBytes **value, gpointer data)
{
  return FUNCTION_GET_ABSENT;
}

static gboolean
on_put (const char *key, const void *value, gsize length, gpointer data)
{
  return TRUE;
}

static void
on_log (guint32 level, const char *text, gpointer data)
{
}

static void
on_done (const FunctionModuleResult *result, gpointer data)
{
  g_autofree Call *call = data;
  Bench *bench = call->bench;
  gint64 latency_ns = measure_get_ns () - call->due_ns;
  g_array_append_val (bench->latencies_ns, latency_ns);
  bench->n_done++;
  if (result->outcome != FUNCTION_OK)
    {
      bench->n_failed++;
      fprintf (stderr, "%s\n", result->reason);
    }
}

static void
ask (Bench *bench, gint64 due_ns)
{
  static const FunctionModuleEvents events
      = { .begin = on_begin, .get = on_get, .put = on_put, .log = on_log };
  Call *call = g_new (Call, 1);
  FunctionModuleRequest request = { .function = bench->function,
                                    .user = "k3qabcdefghijklmnopqrstuvw",
                                    .application = "bench",
                                    .request = "r",
                                    .argument = (const guint8 *)"argument",
                                    .n_argument = 8,
                                    .now_s = 1764000000 };
  *call = (Call){ bench, due_ns };
  bench->n_asked++;
  if (!function_module_call (bench->module, &request, &events, on_done, call))
    g_error ("too many calls wait");
}

static double
get_us (Bench *bench, double share)
{
  g_array_sort (bench->latencies_ns, measure_compare_ns);
  guint at = MIN ((guint)(share * bench->latencies_ns->len), bench->latencies_ns->len - 1);
  return (double)g_array_index (bench->latencies_ns, gint64, at) / 1e3;
}

/* Only to wake the loop at its time. */
static gboolean
on_due (GSource *source, GSourceFunc callback, gpointer data)
{
  g_source_set_ready_time (source, -1);
  return G_SOURCE_CONTINUE;
}

static void
run_paced (Bench *bench, guint rate, double seconds)
{
  static GSourceFuncs functions = { .dispatch = on_due };
  GSource *timer = g_source_new (&functions, sizeof (GSource));
  gint64 start_ns = measure_get_ns (), pause_ns = 1000000000 / (gint64)rate;
  guint n_calls = (guint)(rate * seconds);
  g_source_attach (timer, NULL);
  bench->n_asked = bench->n_done = 0;
  g_array_set_size (bench->latencies_ns, 0);
  while (bench->n_done < n_calls)
    {
      gint64 due_ns = start_ns + bench->n_asked * pause_ns;
      if (bench->n_asked < n_calls && measure_get_ns () >= due_ns)
        ask (bench, measure_get_ns ());
      else if (bench->n_asked < n_calls && g_source_get_ready_time (timer) != due_ns / 1000)
        g_source_set_ready_time (timer, due_ns / 1000); /* which wakes the loop: only once for each */
      g_main_context_iteration (NULL, bench->n_asked == n_calls || measure_get_ns () < due_ns);
    }
  g_source_destroy (timer);
  g_source_unref (timer);
}

static double
run_saturated (Bench *bench, guint n_in_flight, double seconds)
{
  gint64 start_ns = measure_get_ns (), end_ns = start_ns + (gint64)(seconds * 1e9);
  bench->n_asked = bench->n_done = 0;
  g_array_set_size (bench->latencies_ns, 0);
  while (measure_get_ns () < end_ns || bench->n_done < bench->n_asked)
    {
      while (measure_get_ns () < end_ns && bench->n_asked - bench->n_done < n_in_flight)
        ask (bench, measure_get_ns ());
      g_main_context_iteration (NULL, TRUE);
    }
  return (double)(measure_get_ns () - start_ns) / 1e9;
}

int
main (int argc, char **argv)
{
  if (argc < 3)
    {
      fputs ("usage: bench-function MODULE.so FUNCTION [RATE [SECONDS [IN-FLIGHT]]]\n", stderr);
      return 2;
    }
  guint rate = argc > 3 ? (guint)atoi (argv[3]) : 500;
  double seconds = argc > 4 ? atof (argv[4]) : 5;
  guint n_in_flight = argc > 5 ? (guint)atoi (argv[5]) : 8;
  g_autofree char *path = g_canonicalize_filename (argv[1], NULL);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_autoptr (GError) error = NULL;
  g_autoptr (Clock) clock = clock_new_system ();
  ModulesOptions options = { .folder = folder,
                             .uid_base = geteuid () == 0 ? OWN_USERS : 0,
                             .deadline_ms = 5000,
                             .cpu_s = 5,
                             .memory_bytes = 128 << 20,
                             .clock = clock };
  if (rate == 0 || seconds <= 0 || n_in_flight == 0)
    return 2;

  Modules *modules = modules_new (&options);
  FunctionModuleOptions module_options = { .module = name, .max_calls = n_in_flight, .data = -1 };
  Bench bench = { .function = argv[2], .latencies_ns = g_array_new (FALSE, FALSE, sizeof (gint64)) };
  bench.module = function_module_new (modules, &module_options, &error);
  if (bench.module == NULL)
    {
      fprintf (stderr, "bench-function: %s\n", error->message);
      return 1;
    }
  run_saturated (&bench, 1, 0.2);
  run_paced (&bench, rate, seconds);
  printf ("%s %s: at %u calls a second, latency p50 / p99   %6.0f / %.0f us\n", name, argv[2], rate,
          get_us (&bench, 0.5), get_us (&bench, 0.99));
  double own_before_s = measure_get_cpu_s (RUSAGE_SELF);
  double wall_s = run_saturated (&bench, n_in_flight, seconds);
  guint n_calls = bench.n_done, n_failed = bench.n_failed;
  double own_s = measure_get_cpu_s (RUSAGE_SELF) - own_before_s;
  printf ("  %u at once: calls a second                      %6.0f, latency p50 / p99 %.0f / %.0f us\n",
          n_in_flight, n_calls / wall_s, get_us (&bench, 0.5), get_us (&bench, 0.99));
  printf ("  of it the host's processor time a call         %6.0f us\n", own_s / n_calls * 1e6);
  /* The children are counted once they have been waited for: all of the run. */
  modules_free (modules);
  double cpu_s = measure_get_cpu_s (RUSAGE_CHILDREN);
  printf ("  children's processor time, of all calls        %6.2f s\n", cpu_s);
  g_array_unref (bench.latencies_ns);
  return n_failed == 0 ? 0 : 1;
}
