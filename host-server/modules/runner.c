#include "host-server/modules/runner-private.h"

#include "common/base/log.h"
#include "common/base/secret.h"

#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MAX_WAITING 256
/* Loading may take so many times as long as a call: libraries set themselves up. */
#define LOAD_DEADLINES 5
/* A zygote's death counts like so many faults of calls. */
#define DEATH_WEIGHT 2

static void pump (ModuleRunner *runner);

/* --- time --- */

static void
set_tick (ModuleRunner *runner)
{
  gint64 next_us = G_MAXINT64;
  if (runner->state == ZYGOTE_STARTING || runner->state == ZYGOTE_LOADING
      || (runner->state == ZYGOTE_SERVING && g_queue_is_empty (&runner->running)))
    next_us = runner->due_us;
  next_us = MIN (next_us, spares_get_due_us (&runner->spares));
  for (GList *each = runner->running.head; each != NULL; each = each->next)
    next_us = MIN (next_us, ((RunnerCall *)each->data)->due_us);
  /* Setting it wakes the loop, and calls come and go: one that is set too early costs a look, once a
   * deadline. */
  gint64 set_us = g_source_get_ready_time (runner->tick);
  if (next_us != G_MAXINT64 && (set_us < 0 || next_us < set_us))
    g_source_set_ready_time (runner->tick, next_us);
}

/* --- the zygote --- */

void
runner_note_fault (ModuleRunner *runner, guint weight, const char *reason)
{
  if (registry_note_fault (runner->setting.registry, runner->module, weight, reason))
    log_error ("modules", "quarantined module=%s: %s", runner->module->name, reason);
}

static void
refuse_waiting (ModuleRunner *runner, const char *reason)
{
  /* Only those that wait now: a callback may ask again. */
  for (guint n = g_queue_get_length (&runner->waiting); n > 0; n--)
    runner_call_finish (g_queue_pop_head (&runner->waiting), RUNNER_CALL_REFUSED, reason);
}

void
runner_kill_zygote (ModuleRunner *runner, const char *reason)
{
  if (runner->state == ZYGOTE_ABSENT || runner->state == ZYGOTE_ENDING)
    return;
  runner->state = ZYGOTE_ENDING;
  launch_stop (runner->launch, reason);
}

static void
on_ready (Launch *launch, const LaunchReady *ready, gpointer data)
{
  ModuleRunner *runner = data;
  int data_fd = runner->setting.data;
  frame_begin (runner->frame, runner->descriptor != NULL ? FRAME_OP_LOAD_DESCRIBED : FRAME_OP_LOAD_MODULE,
               FRAME_ASK, launch_next_call (launch));
  if (runner->descriptor != NULL)
    {
      const char *slash = strrchr (runner->module->name, '/');
      frame_put_text (runner->frame, slash != NULL ? slash + 1 : runner->module->name);
      frame_put_bytes (runner->frame, g_bytes_get_data (runner->descriptor, NULL),
                       g_bytes_get_size (runner->descriptor));
    }
  if (!launch_send_with (launch, runner->frame, &data_fd, data_fd >= 0 ? 1 : 0))
    {
      runner_kill_zygote (runner, "it does not read");
      return;
    }
  launch_set_phase (launch, FRAME_PHASE_LOAD);
  if (runner->state == ZYGOTE_STARTING)
    runner->state = ZYGOTE_LOADING;
}

static void
on_loaded (ModuleRunner *runner, const Frame *frame)
{
  FrameReader reader;
  frame_read (&reader, frame);
  if (runner->state != ZYGOTE_LOADING)
    {
      runner_kill_zygote (runner, "it answered what was not asked");
      return;
    }
  if (frame->header.status != FRAME_STATUS_OK)
    {
      g_autofree char *reason
          = g_utf8_make_valid (frame->header.length > 0 ? frame_get_text (&reader) : "it does not load", -1);
      log_error ("modules", "unsuitable module=%s: %s", runner->module->name, reason);
      registry_note_unsuitable (runner->setting.registry, runner->module, reason);
      runner->is_end_no_fault = TRUE;
      runner_kill_zygote (runner, reason);
      refuse_waiting (runner, reason);
      return;
    }
  launch_set_phase (runner->launch, FRAME_PHASE_SERVE);
  runner->state = ZYGOTE_SERVING;
  registry_note_verified (runner->setting.registry, runner->module);
  runner->due_us = g_get_monotonic_time () + IDLE_US;
  pump (runner);
}

/* The zygote says how a call's process ended. It only helps to name what is known anyway: nobody answered. */
static void
on_call_ended (ModuleRunner *runner, FrameReader *reader)
{
  guint32 number = frame_get_u32 (reader);
  int by_signal = (int)frame_get_u32 (reader);
  guint32 status = frame_get_u32 (reader);
  for (GList *each = runner->running.head; each != NULL; each = each->next)
    {
      RunnerCall *call = each->data;
      if (call->number != number)
        continue;
      /* Its channel may have closed without our having seen it. */
      runner_call_drain (call);
      if (g_queue_find (&runner->running, call) == NULL || !call->is_over)
        return;
      /* Nobody else kills it but the kernel, at the end of its processor time. */
      call->is_late = by_signal == SIGXCPU || by_signal == SIGKILL;
      g_autofree char *reason
          = by_signal != 0
                ? g_strdup_printf ("it crashed by signal %d (%s)", by_signal, g_strsignal (by_signal))
                : g_strdup_printf ("it exited with status %u and without an answer", status);
      runner_call_finish_running (call, RUNNER_CALL_FAULT, reason);
      return;
    }
}

static void
on_frame (Launch *launch, const Frame *frame, gpointer data)
{
  ModuleRunner *runner = data;
  FrameReader reader;
  frame_read (&reader, frame);
  if (frame->header.op == FRAME_OP_LOAD_MODULE || frame->header.op == FRAME_OP_LOAD_DESCRIBED)
    on_loaded (runner, frame);
  else if (frame->header.op == FRAME_OP_CALL_ENDED)
    {
      on_call_ended (runner, &reader);
      pump (runner);
    }
  else
    runner_kill_zygote (runner, "it sent what a zygote does not send");
}

static void
on_strike (Launch *launch, const char *reason, gpointer data)
{
  ModuleRunner *runner = data;
  log_warning ("modules", "strike module=%s: %s", runner->module->name, reason);
  runner_note_fault (runner, DEATH_WEIGHT, reason);
}

static void
on_ended (Launch *launch, const LaunchEnd *end, gpointer data)
{
  ModuleRunner *runner = data;
  Registry *registry = runner->setting.registry;
  gboolean is_fault = !runner->is_end_no_fault && end->kind != LAUNCH_ENDED_LOST;
  runner->state = ZYGOTE_ABSENT;
  runner->launch = NULL;
  spares_expire (&runner->spares, G_MAXINT64);
  if (is_fault)
    {
      log_warning ("modules", "runner ended module=%s: %s", runner->module->name, end->reason);
      runner->module->use.n_deaths++;
      runner_note_fault (runner, DEATH_WEIGHT, end->reason);
    }
  for (guint n = g_queue_get_length (&runner->running); n > 0; n--)
    runner_call_orphan (g_queue_peek_tail (&runner->running), end->reason);
  if (end->kind == LAUNCH_ENDED_REFUSED
      || registry_get_state (registry, runner->module) != MODULES_STATE_READY)
    refuse_waiting (runner, end->reason);
  pump (runner);
}

/* The object to be loaded, and its descriptor if it has one. */
static int
seal_object (ModuleRunner *runner, GError **error)
{
  Registry *registry = runner->setting.registry;
  g_clear_pointer (&runner->descriptor, g_bytes_unref);
  if (!runner->module->is_described)
    return registry_seal (registry, runner->module, error);
  g_autoptr (GError) problem = NULL;
  int object = registry_seal_described (registry, runner->module, &runner->descriptor, &problem);
  if (object >= 0)
    return object;
  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_INVALID_DATA))
    registry_note_unsuitable (registry, runner->module, problem->message);
  g_propagate_error (error, g_steal_pointer (&problem));
  return -1;
}

static gboolean
start_zygote (ModuleRunner *runner, GError **error)
{
  static const LaunchEvents events
      = { .ready = on_ready, .frame = on_frame, .strike = on_strike, .ended = on_ended };
  int object = seal_object (runner, error);
  if (object < 0)
    return FALSE;
  LaunchSpec spec = {
    .kind = runner->descriptor != NULL ? "legacy-keygen" : runner->setting.kind,
    .profile = LAUNCH_SERVER,
    .sealed_object = object,
    .memory_bytes = runner->setting.memory_bytes,
    .cpu_s = runner->setting.cpu_s,
    .deadline_ms = runner->setting.deadline_ms + SPARES_LIFE_MS,
    .max_calls = (runner->setting.max_calls + SPARES_MAX) * runner->setting.n_beside,
    .uid = runner->module->uid,
  };
  runner->launch = launcher_start (runner->setting.launcher, &spec, &events, runner, error);
  close (object);
  if (runner->launch == NULL)
    return FALSE;
  runner->state = ZYGOTE_STARTING;
  runner->is_end_no_fault = FALSE;
  runner->generation = runner->module->generation;
  runner->due_us
      = g_get_monotonic_time () + LOAD_DEADLINES * runner->setting.deadline_ms * G_GINT64_CONSTANT (1000);
  return TRUE;
}

/* Has the zygote make a process that reads its request from the channel that is returned; -1 if it cannot be
 * had, and then the zygote is ended. */
static int
make_process (ModuleRunner *runner, guint32 *number)
{
  int ends[2];
  if (!channel_pair (ends))
    {
      /* Its next start will say so to those that wait. */
      runner->is_end_no_fault = TRUE;
      runner_kill_zygote (runner, "there are no descriptors left");
      return -1;
    }
  *number = ++runner->next_number;
  frame_begin (runner->frame, FRAME_OP_FORK, FRAME_EVENT, 0);
  frame_put_u32 (runner->frame, *number);
  gboolean is_sent = launch_send_with (runner->launch, runner->frame, &ends[1], 1);
  close (ends[1]);
  if (!is_sent)
    {
      close (ends[0]);
      runner_kill_zygote (runner, "it does not read");
      return -1;
    }
  return ends[0];
}

static gboolean
send_request (ModuleRunner *runner, const RunnerCall *call, int channel)
{
  Frame *frame = runner->frame;
  frame->header = call->request->header;
  memcpy (frame->payload, call->request->payload, call->request->header.length);
  gboolean is_sent = channel_send (channel, frame) == CHANNEL_FRAME;
  secret_wipe (frame->payload, call->request->header.length);
  return is_sent;
}

/* While nobody waits, for the next that come. */
static void
refill (ModuleRunner *runner)
{
  gint64 now_us = g_get_monotonic_time ();
  while (runner->state == ZYGOTE_SERVING && g_queue_is_empty (&runner->waiting)
         && spares_want_more (&runner->spares, now_us))
    {
      guint32 number;
      int channel = make_process (runner, &number);
      if (channel >= 0)
        spares_add (&runner->spares, channel, number, now_us);
    }
}

/* Gives the next call that waits to a process of its own. FALSE if that cannot be done now. */
static gboolean
dispatch (ModuleRunner *runner)
{
  RunnerCall *call = g_queue_peek_head (&runner->waiting);
  gint64 now_us = g_get_monotonic_time ();
  Spare process = { .channel = -1 };
  gboolean is_sent = FALSE;
  spares_note_call (&runner->spares, now_us);
  /* One that has died in the meantime does not take its request. */
  while (!is_sent && spares_take (&runner->spares, &process, now_us))
    if (!(is_sent = send_request (runner, call, process.channel)))
      close (process.channel);
  if (!is_sent)
    {
      process.channel = make_process (runner, &process.number);
      if (process.channel < 0)
        return FALSE;
      if (!send_request (runner, call, process.channel))
        {
          close (process.channel);
          runner_kill_zygote (runner, "it does not read");
          return FALSE;
        }
    }
  g_queue_pop_head (&runner->waiting);
  g_queue_push_tail (&runner->running, call);
  if (runner->setting.events != NULL && runner->setting.events->begin != NULL)
    runner->setting.events->begin (call->data);
  runner_call_begin (call, process.channel, process.number);
  return TRUE;
}

/* Does what can be done: starts the zygote, or hands out calls. */
static void
pump (ModuleRunner *runner)
{
  if (!g_queue_is_empty (&runner->waiting)
      && registry_get_state (runner->setting.registry, runner->module) == MODULES_STATE_QUARANTINED)
    refuse_waiting (runner, "it is quarantined");
  if (runner->state == ZYGOTE_SERVING && runner->generation != runner->module->generation
      && g_queue_is_empty (&runner->running))
    {
      runner->is_end_no_fault = TRUE;
      runner_kill_zygote (runner, "its file changed");
    }
  while (runner->state == ZYGOTE_SERVING && runner->generation == runner->module->generation
         && !g_queue_is_empty (&runner->waiting)
         && g_queue_get_length (&runner->running) < runner->setting.max_calls && dispatch (runner))
    {
    }
  if (runner->state == ZYGOTE_ABSENT && !g_queue_is_empty (&runner->waiting))
    {
      g_autoptr (GError) error = NULL;
      if (!start_zygote (runner, &error))
        {
          log_error ("modules", "cannot start module=%s: %s", runner->module->name, error->message);
          refuse_waiting (runner, error->message);
        }
    }
  set_tick (runner);
}

void
runner_go_on (ModuleRunner *runner, gboolean has_ended)
{
  pump (runner);
  if (!has_ended)
    return;
  refill (runner);
  set_tick (runner);
}

/* --- what is due --- */

static gboolean
on_tick (GSource *source, GSourceFunc callback, gpointer data)
{
  ModuleRunner *runner = data;
  gint64 now_us = g_get_monotonic_time ();
  g_source_set_ready_time (source, -1);
  spares_expire (&runner->spares, now_us);
  g_autoptr (GList) running = g_list_copy (runner->running.head);
  for (GList *each = running; each != NULL; each = each->next)
    if (g_queue_find (&runner->running, each->data) != NULL)
      runner_call_look (each->data, now_us);

  if (now_us >= runner->due_us && (runner->state == ZYGOTE_STARTING || runner->state == ZYGOTE_LOADING))
    runner_kill_zygote (runner, "it did not load in time");
  else if (now_us >= runner->due_us && runner->state == ZYGOTE_SERVING && g_queue_is_empty (&runner->running))
    {
      runner->is_end_no_fault = TRUE;
      runner_kill_zygote (runner, "it was idle");
    }
  pump (runner);
  return G_SOURCE_CONTINUE;
}

ModuleRunner *
module_runner_new (Module *module, const RunnerSetting *setting)
{
  /* The dispatcher gets the data of the callback, which there is none of but that. */
  static GSourceFuncs tick_functions = { .dispatch = on_tick };
  ModuleRunner *runner = g_new0 (ModuleRunner, 1);
  runner->module = module;
  runner->setting = *setting;
  module->profile = module->is_described ? "legacy-keygen" : setting->kind;
  runner->frame = g_new0 (Frame, 1);
  g_queue_init (&runner->waiting);
  g_queue_init (&runner->running);
  runner->tick = g_source_new (&tick_functions, sizeof (GSource));
  g_source_set_callback (runner->tick, NULL, runner, NULL);
  g_source_attach (runner->tick, NULL);
  return runner;
}

void
module_runner_stop (ModuleRunner *runner)
{
  for (guint n = g_queue_get_length (&runner->running); n > 0; n--)
    runner_call_finish (g_queue_pop_head (&runner->running), RUNNER_CALL_REFUSED, "the server ends");
  refuse_waiting (runner, "the server ends");
  runner->is_end_no_fault = TRUE;
  spares_expire (&runner->spares, G_MAXINT64);
  runner_kill_zygote (runner, "the server ends");
}

void
module_runner_free (ModuleRunner *runner)
{
  g_assert (runner->launch == NULL && g_queue_is_empty (&runner->running)
            && g_queue_is_empty (&runner->waiting));
  g_source_destroy (runner->tick);
  g_source_unref (runner->tick);
  g_clear_pointer (&runner->descriptor, g_bytes_unref);
  g_free (runner->frame);
  g_free (runner);
}

gboolean
module_runner_is_serving (const ModuleRunner *runner)
{
  return runner->state == ZYGOTE_SERVING && runner->generation == runner->module->generation;
}

guint
module_runner_count_spares (const ModuleRunner *runner)
{
  return runner->spares.n;
}

gboolean
module_runner_is_idle (const ModuleRunner *runner)
{
  return runner->waiting.length == 0 && runner->running.length == 0;
}

gboolean
module_runner_is_alive (const ModuleRunner *runner)
{
  return runner->launch != NULL;
}

gboolean
module_runner_call (ModuleRunner *runner, const Frame *request, RunnerCallDone done, gpointer data)
{
  if (g_queue_get_length (&runner->waiting) >= MAX_WAITING)
    return FALSE;
  g_queue_push_tail (&runner->waiting, runner_call_new (runner, request, done, data));
  if (runner->state == ZYGOTE_SERVING)
    pump (runner);
  else
    /* What cannot even be started is answered later too. */
    g_source_set_ready_time (runner->tick, 0);
  return TRUE;
}
