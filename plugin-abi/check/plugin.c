/* A client's plugin, legacy or native: descriptor, object, and its calls up to the licence check. */
#include "plugin-abi/check/carrier.h"
#include "plugin-abi/check/check.h"
#include "plugin-abi/check/described.h"
#include "plugin-abi/check/imports.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* As the client does: the import stub counts against the largest file. */
#define STUB_BYTES    16384
#define LOAD_EXTRA_MS 2000
/* Times a plugin is started; what leaves something behind shows in the second. */
#define N_STARTS 20

typedef struct
{
  const CheckOptions *options;
  Report *report;
  Described described;
  const Descriptor *descriptor; /* of it */
  char *data;                   /* private folder */
} PluginCheck;

static Carrier *
start (const PluginCheck *check, gboolean is_to_run, char **problem)
{
  const Descriptor *descriptor = check->descriptor;
  const char *read[DESCRIPTOR_MAX_LIST + 1] = { NULL };
  g_autoptr (GError) error = NULL;
  int object = launch_seal_object (check->described.object, NULL, &error);
  if (object < 0)
    {
      *problem = g_strdup (error->message);
      return NULL;
    }
  for (guint i = 0; i < descriptor->n_read; i++)
    read[i] = descriptor->read[i];
  gboolean may_connect = is_to_run && descriptor->n_connect > 0;
  LaunchSpec spec = { .kind = descriptor->kind == DESCRIPTOR_LEGACY ? "legacy" : "native",
                      .profile = descriptor->has_threads ? LAUNCH_CLIENT_THREADS : LAUNCH_CLIENT,
                      .sealed_object = object,
                      .read = read,
                      .data = is_to_run && descriptor->data_bytes > 0 ? check->data : NULL,
                      .data_bytes = (gint64)MAX (descriptor->data_bytes, STUB_BYTES),
                      .memory_bytes = (gint64)descriptor->memory_bytes,
                      .may_connect = may_connect,
                      .grants = may_connect ? FRAME_GRANT_CONNECT : 0 };
  Carrier *carrier = carrier_start (&spec, check->options->uid, 10000, problem);
  close (object);
  return carrier;
}

/* Loads the object in @carrier. NULL, or why not (the caller frees it). */
static char *
load (const PluginCheck *check, Carrier *carrier, gboolean is_to_run)
{
  g_autofree Frame *frame = g_new0 (Frame, 1);
  frame_begin (frame, FRAME_OP_LOAD_PLUGIN, FRAME_ASK, 0);
  frame_put_u32 (frame, is_to_run ? FRAME_LOAD_TO_RUN : FRAME_LOAD_TO_VERIFY);
  frame_put_text (frame, check->described.file);
  frame_put_bytes (frame, check->described.text, check->described.length);
  frame_put_text (frame, "k3q7a2m5c4d6e7f2g3h4i5j6k7");
  frame_put_text (frame, check->descriptor->sees_identity ? "user@example.org" : "");
  frame_put_text (frame, "example.org");
  frame_put_text (frame, check->options->serial != NULL ? check->options->serial : "");
  frame_put_text (frame, "C");
  frame_put_i64 (frame, 0);
  if (carrier_ask (carrier, frame, FRAME_PHASE_LOAD, check->descriptor->call_timeout_ms + LOAD_EXTRA_MS)
      != CARRIER_ANSWERED)
    return g_strdup (carrier_get_reason (carrier));
  const Frame *answer = carrier_peek_answer (carrier);
  FrameReader reader;
  frame_read (&reader, answer);
  if (answer->header.status != FRAME_STATUS_OK)
    return g_strdup (answer->header.length > 0 ? frame_get_text (&reader) : "it does not load");
  carrier_begin_serving (carrier);
  return NULL;
}

/* Loads it to look up its symbols, calling none. */
static gboolean
check_symbols (const PluginCheck *check, char **problem)
{
  g_autoptr (Carrier) carrier = start (check, FALSE, problem);
  if (carrier == NULL)
    return FALSE;
  g_autofree char *failure = load (check, carrier, FALSE);
  gboolean is_abi
      = failure != NULL && (strstr (failure, "ABI") != NULL || strstr (failure, "version of host/") != NULL);
  if (failure != NULL)
    report_add (check->report, REPORT_FAILED, is_abi ? "abi" : "symbols", "%s", failure);
  else
    report_add (check->report, REPORT_OK, "symbols",
                "it loads, and everything the descriptor names is there");
  return failure == NULL;
}

/* Runs one phase. FALSE: it crashed or was late, and @class is not set. */
static gboolean
run_phase (const PluginCheck *check, Carrier *carrier, DescriptorPhase phase, DescriptorClass *class)
{
  g_autofree Frame *frame = g_new0 (Frame, 1);
  frame_begin (frame, FRAME_OP_PHASE, FRAME_ASK, 0);
  frame_put_u32 (frame, (guint32)phase);
  if (carrier_ask (carrier, frame, FRAME_PHASE_SERVE, check->descriptor->call_timeout_ms) != CARRIER_ANSWERED)
    return FALSE;
  FrameReader reader;
  frame_read (&reader, carrier_peek_answer (carrier));
  *class = carrier_peek_answer (carrier)->header.status == FRAME_STATUS_OK
               ? (DescriptorClass)frame_get_u32 (&reader)
               : DESCRIPTOR_CLASS_ERROR;
  return TRUE;
}

typedef struct
{
  const char *at; /* where it went wrong; NULL: it did not */
  char *reason;
  DescriptorClass class; /* of the licence check */
  gint64 took_us;
} Run;

/* Starts the plugin as a client does: init, check, and with a serial (or where none is needed) start and
 * stop. */
static Run
run_once (const PluginCheck *check, char **problem)
{
  Run run = { .at = "start of the sandbox" };
  gint64 before_us = g_get_monotonic_time ();
  g_autoptr (Carrier) carrier = start (check, TRUE, problem);
  if (carrier == NULL)
    return run;
  run.at = "load";
  run.reason = load (check, carrier, TRUE);
  if (run.reason != NULL)
    return run;

  static const DescriptorPhase phases[]
      = { DESCRIPTOR_PHASE_INIT, DESCRIPTOR_PHASE_CHECK, DESCRIPTOR_PHASE_START, DESCRIPTOR_PHASE_STOP };
  DescriptorClass class = DESCRIPTOR_CLASS_OK;
  for (gsize i = 0; i < G_N_ELEMENTS (phases); i++)
    {
      DescriptorPhase phase = phases[i];
      run.at = descriptor_phase_names[phase];
      /* Connections fail here, and then so may its start: that is no fault. */
      if (phase == DESCRIPTOR_PHASE_START && check->descriptor->n_connect > 0)
        continue;
      if (!run_phase (check, carrier, phase, &class))
        {
          run.reason = g_strdup (carrier_get_reason (carrier));
          return run;
        }
      if (phase == DESCRIPTOR_PHASE_CHECK)
        {
          run.class = class;
          run.took_us = g_get_monotonic_time () - before_us;
        }
      if (class != DESCRIPTOR_CLASS_OK && phase != DESCRIPTOR_PHASE_STOP)
        {
          run.class = class;
          run.took_us = g_get_monotonic_time () - before_us;
          break;
        }
    }
  run.at = NULL;
  return run;
}

static void
check_run (const PluginCheck *check, char **problem)
{
  g_autoptr (GArray) took_us = g_array_new (FALSE, FALSE, sizeof (gint64));
  for (guint i = 0; i < N_STARTS; i++)
    {
      Run run = run_once (check, problem);
      g_autofree char *reason = run.reason;
      if (*problem != NULL)
        return;
      if (run.at != NULL)
        {
          gboolean is_late = strstr (reason, "deadline") != NULL;
          report_add (check->report, REPORT_FAILED, is_late ? "limits" : "crashes", "in %s: %s", run.at,
                      reason);
          return;
        }
      g_array_append_val (took_us, run.took_us);
      if (i > 0)
        continue;
      gboolean is_bad = check->options->serial != NULL && run.class != DESCRIPTOR_CLASS_OK;
      report_add (check->report, is_bad ? REPORT_FAILED : REPORT_OK, "answer", "%s serial: %s",
                  check->options->serial != NULL ? "with the" : "without a",
                  descriptor_class_name (run.class));
    }
  gint64 total_us = 0;
  for (guint i = 0; i < took_us->len; i++)
    total_us += g_array_index (took_us, gint64, i);
  report_add (check->report, REPORT_OK, "crashes", "none in %d starts", N_STARTS);
  report_add (check->report, REPORT_OK, "limits", "every call within %u ms, in %u MiB of memory",
              check->descriptor->call_timeout_ms, (guint)(check->descriptor->memory_bytes >> 20));
  report_add_figure (check->report, REPORT_OK, "speed", "start_us", (double)total_us / took_us->len,
                     "process, sandbox, load and licence check take %.1f ms",
                     (double)total_us / took_us->len / 1000);
}

static gboolean
make_data (PluginCheck *check, char **problem)
{
  g_autoptr (GError) error = NULL;
  check->data = g_dir_make_tmp ("host-module-check-XXXXXX", &error);
  if (check->data == NULL)
    *problem = g_strdup (error->message);
  else if (check->options->uid != 0 && chown (check->data, check->options->uid, check->options->uid) != 0)
    *problem = g_strdup_printf ("cannot give '%s' to the plugin: %s", check->data, g_strerror (errno));
  return *problem == NULL;
}

/* What a plugin makes there are files and folders, at most 256 of them. */
static void
remove_tree (const char *path)
{
  g_autoptr (GDir) entries = g_dir_open (path, 0, NULL);
  const char *name;
  while (entries != NULL && (name = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *inside = g_build_filename (path, name, NULL);
      if (g_file_test (inside, G_FILE_TEST_IS_DIR) && !g_file_test (inside, G_FILE_TEST_IS_SYMLINK))
        remove_tree (inside);
      else
        g_unlink (inside);
    }
  g_rmdir (path);
}

static void
clear (PluginCheck *check)
{
  if (check->data != NULL)
    remove_tree (check->data);
  described_clear (&check->described);
  g_free (check->data);
}

static void
check_parts (PluginCheck *check, DescriptorKind kind, char **problem)
{
  if (!described_read (&check->described, check->options->file, kind, check->report))
    return;
  check->descriptor = check->described.descriptor;
  g_autoptr (Object) object = check_object (check->described.object, check->report);
  if (object == NULL)
    return;
  const ImportsGrant grant
      = { .may_connect = check->descriptor->n_connect > 0, .has_threads = check->descriptor->has_threads };
  imports_check (object, &grant, check->report);
  if (make_data (check, problem) && check_symbols (check, problem))
    check_run (check, problem);
}

static gboolean
check_plugin (const CheckOptions *options, DescriptorKind kind, Report *report, char **problem)
{
  PluginCheck check = { .options = options, .report = report };
  check_parts (&check, kind, problem);
  clear (&check);
  return *problem == NULL;
}

gboolean
check_legacy (const CheckOptions *options, Report *report, char **problem)
{
  return check_plugin (options, DESCRIPTOR_LEGACY, report, problem);
}

gboolean
check_native (const CheckOptions *options, Report *report, char **problem)
{
  return check_plugin (options, DESCRIPTOR_NATIVE, report, problem);
}
