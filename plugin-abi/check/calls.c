#include "plugin-abi/check/calls.h"
#include "plugin-abi/include/host/module.h"

#include <string.h>
#include <unistd.h>

/* Loading may take so many times as long as a call. */
#define LOAD_DEADLINES 5

void
calls_begin (Calls *calls)
{
  calls->latencies_us = g_array_new (FALSE, FALSE, sizeof (gint64));
}

void
calls_clear (Calls *calls)
{
  g_clear_pointer (&calls->carrier, carrier_free);
  g_clear_pointer (&calls->first_fault, g_free);
  g_clear_pointer (&calls->latencies_us, g_array_unref);
}

static gboolean
start (Calls *calls, char **problem)
{
  g_autoptr (GError) error = NULL;
  guint deadline_ms = calls->options->deadline_ms;
  g_clear_pointer (&calls->carrier, carrier_free);
  int object = launch_seal_object (calls->object, NULL, &error);
  if (object < 0)
    {
      *problem = g_strdup (error->message);
      return FALSE;
    }
  LaunchSpec spec = { .kind = calls->kind,
                      .profile = LAUNCH_SERVER,
                      .sealed_object = object,
                      .memory_bytes = calls->options->memory_bytes,
                      .cpu_s = deadline_ms / 1000 + 1,
                      .deadline_ms = deadline_ms,
                      .max_calls = 4 };
  calls->carrier = carrier_start (&spec, calls->options->uid, 10000, problem);
  close (object);
  return calls->carrier != NULL;
}

char *
calls_load (Calls *calls, char **problem)
{
  g_autofree Frame *request = g_new (Frame, 1);
  if (!start (calls, problem))
    return NULL;
  frame_begin (request, calls->descriptor != NULL ? FRAME_OP_LOAD_DESCRIBED : FRAME_OP_LOAD_MODULE, FRAME_ASK,
               0);
  if (calls->descriptor != NULL)
    {
      gsize length;
      const void *text = g_bytes_get_data (calls->descriptor, &length);
      frame_put_text (request, calls->described_as);
      frame_put_bytes (request, text, length);
    }
  if (carrier_load (calls->carrier, request, calls->attachment, LOAD_DEADLINES * calls->options->deadline_ms)
      != CARRIER_ANSWERED)
    return g_strdup (carrier_get_reason (calls->carrier));
  const Frame *answer = carrier_peek_answer (calls->carrier);
  FrameReader reader;
  frame_read (&reader, answer);
  if (answer->header.status != FRAME_STATUS_OK)
    return g_strdup (answer->header.length > 0 ? frame_get_text (&reader) : "it does not load");
  carrier_begin_serving (calls->carrier);
  return NULL;
}

gboolean
calls_load_first (Calls *calls, char **problem)
{
  g_autofree char *failure = calls_load (calls, problem);
  if (*problem != NULL)
    return FALSE;
  if (failure != NULL)
    {
      gboolean is_abi = strstr (failure, "version of host/module.h") != NULL;
      report_add (calls->report, REPORT_FAILED, is_abi ? "abi" : "load", "%s", failure);
      return FALSE;
    }
  report_add (calls->report, REPORT_OK, "load", "it loads in the sandbox");
  if (calls->descriptor == NULL)
    report_add (calls->report, REPORT_OK, "abi", "host/module.h %u", HOST_MODULE_ABI);
  return TRUE;
}

void
calls_note_fault (Calls *calls, const char *what)
{
  calls->n_faults++;
  if (calls->first_fault == NULL)
    calls->first_fault = g_strdup (what);
}

gboolean
calls_may_go_on (const Calls *calls)
{
  return calls->n_faults < CALLS_MAX_FAULTS && calls->carrier != NULL && carrier_is_alive (calls->carrier);
}

gboolean
calls_make (Calls *calls, const Frame *request)
{
  gint64 before_us = g_get_monotonic_time ();
  CarrierResult result
      = carrier_call (calls->carrier, request, calls->asks, calls->asks_data, calls->options->deadline_ms);
  gint64 took_us = g_get_monotonic_time () - before_us;
  calls->n_calls++;
  if (result != CARRIER_ANSWERED)
    {
      calls_note_fault (calls, carrier_get_reason (calls->carrier));
      return FALSE;
    }
  g_array_append_val (calls->latencies_us, took_us);
  return TRUE;
}

void
calls_check_exports (const Object *object, const char *const *needed, Report *report)
{
  g_autoptr (GString) missing = g_string_new (NULL);
  g_autofree char *names = g_strjoinv (" and ", (char **)needed);
  guint n_needed = g_strv_length ((char **)needed);
  for (guint i = 0; i < n_needed; i++)
    if (!object_exports (object, needed[i]))
      g_string_append_printf (missing, "%s%s", missing->len > 0 ? " and " : "", needed[i]);
  if (missing->len > 0)
    report_add (report, REPORT_FAILED, "exports", "it does not export %s", missing->str);
  else if (object->exports->len > n_needed)
    report_add (report, REPORT_WARNING, "exports",
                "%s, and %u more that nobody uses: build with -fvisibility=hidden", names,
                object->exports->len - n_needed);
  else
    report_add (report, REPORT_OK, "exports", "%s", names);
}

static gint
compare_us (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
  return (x > y) - (x < y);
}

static void
report_limits (const Calls *calls, gint64 slowest_us)
{
  guint deadline_ms = calls->options->deadline_ms;
  if (calls->first_fault != NULL && strstr (calls->first_fault, "deadline") != NULL)
    report_add (calls->report, REPORT_FAILED, "limits", "a call did not end within %u ms", deadline_ms);
  else if (calls->latencies_us->len == 0)
    report_add (calls->report, REPORT_SKIPPED, "limits", "no call ended well");
  else
    report_add_figure (calls->report,
                       slowest_us > deadline_ms * G_GINT64_CONSTANT (500) ? REPORT_WARNING : REPORT_OK,
                       "limits", "slowest_us", (double)slowest_us,
                       "the slowest call took %.1f ms of %u; %u MiB of memory were enough",
                       (double)slowest_us / 1000, deadline_ms, (guint)(calls->options->memory_bytes >> 20));
}

void
calls_report (Calls *calls)
{
  GArray *latencies = calls->latencies_us;
  if (calls->n_faults > 0)
    report_add (calls->report, REPORT_FAILED, "crashes", "%u of %u calls went wrong; the first: %s",
                calls->n_faults, calls->n_calls, calls->first_fault);
  else
    report_add (calls->report, REPORT_OK, "crashes", "none in %u calls", calls->n_calls);

  g_array_sort (latencies, compare_us);
  report_limits (calls, latencies->len > 0 ? g_array_index (latencies, gint64, latencies->len - 1) : 0);
  if (latencies->len == 0)
    {
      report_add (calls->report, REPORT_SKIPPED, "speed", "no call ended well");
      return;
    }
  gint64 middle_us = g_array_index (latencies, gint64, latencies->len / 2);
  gint64 late_us = g_array_index (latencies, gint64, (guint)((guint64)latencies->len * 99 / 100));
  report_add_figure (calls->report, REPORT_OK, "speed", "p50_us", (double)middle_us,
                     "a call takes %.2f ms, one of a hundred %.2f ms or more", (double)middle_us / 1000,
                     (double)late_us / 1000);
  report_note_figure (calls->report, "p99_us", (double)late_us);
}
