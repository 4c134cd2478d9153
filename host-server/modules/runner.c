#include "host-server/modules/runner.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "host-server/modules/spares.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_WAITING   256
#define MAX_LOG_LINES 20
/* A module that says more than this in one call is not logging. */
#define MAX_LOG_FRAMES 1000
/* Loading may take so many times as long as a call: libraries set themselves up. */
#define LOAD_DEADLINES 5
#define IDLE_US        (60 * G_USEC_PER_SEC)
/* How long the end of a killed call may take before its zygote is killed, and how long the zygote's word
 * about an ended call is waited for. */
#define END_WAIT_US (100 * 1000)
/* A zygote's death counts like so many faults of calls. */
#define DEATH_WEIGHT 2

typedef struct
{
  FrameHeader header;
  guint8 payload[];
} CallRequest;

typedef struct
{
  ModuleRunner *runner;
  guint32 number;
  CallRequest *request;
  RunnerCallDone done;
  gpointer data;
  gboolean was_rerun;

  /* while it runs */
  int channel; /* -1: closed */
  GSource *source;
  pid_t pid; /* as the kernel attests it; 0: it has not said hello */
  guint n_frames;
  CallRequest *answer;
  gint64 begun_us;  /* 0: it has had no process */
  gint64 due_us;    /* when something has to be done about it */
  gboolean is_over; /* its channel closed without an answer: why, the zygote may know */
  char *fault;      /* why it was killed; NULL: it was not */
  gboolean is_late; /* it was killed at its deadline */
} Call;

typedef enum
{
  ZYGOTE_ABSENT,
  ZYGOTE_STARTING,
  ZYGOTE_LOADING,
  ZYGOTE_SERVING,
  ZYGOTE_ENDING, /* killed by us; its end follows */
} ZygoteState;

struct ModuleRunner
{
  Module *module;
  RunnerSetting setting;
  ZygoteState state;
  Launch *launch;
  GBytes *descriptor; /* of a described module, as it was when the zygote was started; NULL: none */
  guint generation;   /* of the module's file that the zygote has loaded */
  gboolean is_end_no_fault;
  gint64 due_us; /* loading: the deadline; serving without calls: when it is stopped */
  GQueue waiting;
  GQueue running;
  guint32 next_number;
  Spares spares;
  GSource *tick;
  Frame *frame;
};

static void pump (ModuleRunner *runner);
static void refill (ModuleRunner *runner);
static gboolean on_call (int fd, GIOCondition condition, gpointer data);

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
    next_us = MIN (next_us, ((Call *)each->data)->due_us);
  /* Setting it wakes the loop, and calls come and go: one that is set too early costs a look, once a
   * deadline. */
  gint64 set_us = g_source_get_ready_time (runner->tick);
  if (next_us != G_MAXINT64 && (set_us < 0 || next_us < set_us))
    g_source_set_ready_time (runner->tick, next_us);
}

/* --- ends of calls --- */

static CallRequest *
copy_frame (const Frame *frame)
{
  CallRequest *copy = g_malloc (sizeof *copy + frame->header.length);
  copy->header = frame->header;
  if (frame->header.length > 0)
    memcpy (copy->payload, frame->payload, frame->header.length);
  return copy;
}

/* Seeds and serials lie in these. */
static void
free_frame (CallRequest *frame)
{
  if (frame == NULL)
    return;
  secret_wipe (frame->payload, frame->header.length);
  g_free (frame);
}

static void
close_call (Call *call)
{
  if (call->source != NULL)
    {
      g_source_destroy (call->source);
      g_clear_pointer (&call->source, g_source_unref);
    }
  if (call->channel >= 0)
    close (call->channel);
  call->channel = -1;
}

static void
note_fault (ModuleRunner *runner, guint weight, const char *reason)
{
  if (registry_note_fault (runner->setting.registry, runner->module, weight, reason))
    log_error ("modules", "quarantined module=%s: %s", runner->module->name, reason);
}

static void
count (const Call *call, RunnerCallEnd end, RunnerVerdict verdict)
{
  ModulesUse *use = &call->runner->module->use;
  ModulesCallEnd as = MODULES_CALL_REFUSED;
  if (end == RUNNER_CALL_ANSWERED)
    as = verdict == RUNNER_ANSWER_GOOD ? MODULES_CALL_OK : MODULES_CALL_ERROR;
  else if (end == RUNNER_CALL_FAULT)
    as = call->is_late ? MODULES_CALL_TIMEOUT : MODULES_CALL_CRASH;
  use->n_calls[as]++;
  if (call->begun_us != 0)
    use->calls_us += g_get_monotonic_time () - call->begun_us;
}

/* Tells who asked, and frees @call, which is in no queue any more. */
static void
finish (Call *call, RunnerCallEnd end, const char *reason)
{
  ModuleRunner *runner = call->runner;
  Module *module = runner->module;
  RunnerCallResult result
      = { .end = end, .fault = call->is_late ? RUNNER_FAULT_TIME : RUNNER_FAULT_OTHER, .reason = reason };
  close_call (call);
  if (end == RUNNER_CALL_ANSWERED)
    frame_reader_init (&result.answer, call->answer->payload, call->answer->header.length);
  RunnerVerdict verdict = call->done (&result, call->data);

  count (call, end, verdict);
  if (end == RUNNER_CALL_ANSWERED && verdict != RUNNER_ANSWER_NONSENSE)
    registry_note_good (runner->setting.registry, module);
  else if (end == RUNNER_CALL_ANSWERED || end == RUNNER_CALL_FAULT)
    {
      const char *what = reason != NULL ? reason : "its answer makes no sense";
      log_warning ("modules", "call failed module=%s: %s", module->name, what);
      if (runner->setting.events != NULL && runner->setting.events->forgives_calls)
        registry_note_forgiven (runner->setting.registry, module, what);
      else
        note_fault (runner, 1, what);
    }
  free_frame (call->request);
  free_frame (call->answer);
  g_free (call->fault);
  g_free (call);
}

static void
finish_running (Call *call, RunnerCallEnd end, const char *reason)
{
  ModuleRunner *runner = call->runner;
  g_queue_remove (&runner->running, call);
  finish (call, end, reason);
  runner->due_us = g_get_monotonic_time () + IDLE_US;
}

static void
refuse_waiting (ModuleRunner *runner, const char *reason)
{
  /* Only those that wait now: a callback may ask again. */
  for (guint n = g_queue_get_length (&runner->waiting); n > 0; n--)
    finish (g_queue_pop_head (&runner->waiting), RUNNER_CALL_REFUSED, reason);
}

/* --- killing --- */

static void
kill_zygote (ModuleRunner *runner, const char *reason)
{
  if (runner->state == ZYGOTE_ABSENT || runner->state == ZYGOTE_ENDING)
    return;
  runner->state = ZYGOTE_ENDING;
  launch_stop (runner->launch, reason);
}

/* Whether @pid is a child of @parent, by the kernel's word. */
static gboolean
is_child_of (pid_t pid, pid_t parent)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int)pid);
  g_autofree char *text = NULL;
  int found = 0;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  const char *rest = strrchr (text, ')');
  return rest != NULL && sscanf (rest + 1, " %*c %d", &found) == 1 && found == parent;
}

/* Kills the process that the kernel attests as @call's. What is no child of the zygote is not killed: then
 * the zygote is, and everything with it. */
static gboolean
kill_call (const Call *call)
{
  if (call->pid == 0)
    return FALSE;
  int pidfd = (int)syscall (SYS_pidfd_open, call->pid, 0);
  struct pollfd end = { .fd = pidfd, .events = POLLIN };
  if (pidfd < 0)
    return FALSE;
  /* If it has not ended after its parent was looked up, that was the parent of what the descriptor stands
   * for. */
  gboolean is_killed = is_child_of (call->pid, launch_get_pid (call->runner->launch))
                       && poll (&end, 1, 0) == 0
                       && syscall (SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
  close (pidfd);
  return is_killed;
}

/* Ends @call for @reason, which is the module's fault; its channel closes when it is dead. */
static void
condemn (Call *call, const char *reason)
{
  if (call->fault != NULL)
    return;
  call->fault = g_strdup (reason);
  call->due_us = g_get_monotonic_time () + END_WAIT_US;
  if (!kill_call (call))
    kill_zygote (call->runner, reason);
}

/* --- a call's channel --- */

static void
log_line (Call *call, const Frame *frame)
{
  static const LogLevel levels[] = { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };
  const RunnerEvents *events = call->runner->setting.events;
  FrameReader reader;
  frame_read (&reader, frame);
  guint32 level = frame_get_u32 (&reader);
  g_autofree char *text = g_utf8_make_valid (frame_get_text (&reader), -1);
  if (call->n_frames > MAX_LOG_LINES)
    return;
  if (events != NULL && events->log != NULL)
    events->log (level, text, call->data);
  log_event (levels[MIN (level, G_N_ELEMENTS (levels) - 1)], "modules", "module=%s says: %.500s",
             call->runner->module->name, text);
}

/* Answers what the call asks. NULL, or why it cannot be. */
static const char *
answer_ask (Call *call, const Frame *asked)
{
  const RunnerEvents *events = call->runner->setting.events;
  if (++call->n_frames > MAX_LOG_FRAMES)
    return "it asked too often";
  g_autofree Frame *answer = g_new (Frame, 1);
  frame_begin (answer, (FrameOp)asked->header.op, FRAME_ANSWER, asked->header.call);
  events->ask (asked, answer, call->data);
  ChannelResult sent = channel_send (call->channel, answer);
  secret_wipe (answer->payload, MIN (answer->header.length, FRAME_MAX_PAYLOAD));
  /* One that has gone is seen as such. */
  return sent == CHANNEL_FRAME || sent == CHANNEL_CLOSED ? NULL : "it does not read";
}

/* Takes a frame from the call's process; it may be anything. NULL, or why it makes no sense. */
static const char *
take_frame (Call *call, const Frame *frame, const ChannelReceipt *receipt)
{
  const RunnerEvents *events = call->runner->setting.events;
  FrameVerdict verdict = frame_check (frame, receipt->n_bytes, FRAME_FROM_RUNNER, FRAME_PHASE_CALL,
                                      events != NULL ? events->grants : 0);
  if (verdict != FRAME_FINE)
    return "it sent what is no frame of a call";
  if (frame->header.op == FRAME_OP_HELLO ? call->pid != 0 : call->pid == 0 || call->pid != receipt->pid)
    return "another process answered";
  if (frame->header.op == FRAME_OP_HELLO)
    call->pid = receipt->pid;
  else if (call->answer != NULL)
    return "it went on after its answer";
  else if (frame->header.op == FRAME_OP_LOG)
    {
      if (++call->n_frames > MAX_LOG_FRAMES)
        return "it flooded the log";
      log_line (call, frame);
    }
  else if (frame->header.flags == FRAME_ASK)
    return answer_ask (call, frame);
  else if (frame->header.op != call->request->header.op || frame->header.call != call->request->header.call)
    return "it answered what was not asked";
  else if (frame->header.status != FRAME_STATUS_OK)
    return "the runner could not carry out the call";
  else
    call->answer = copy_frame (frame);
  return NULL;
}

static void
on_closed (Call *call)
{
  close_call (call);
  if (call->fault != NULL)
    {
      g_autofree char *reason = g_strdup (call->fault);
      finish_running (call, RUNNER_CALL_FAULT, reason);
    }
  else if (call->answer != NULL)
    finish_running (call, RUNNER_CALL_ANSWERED, NULL);
  else
    {
      call->is_over = TRUE;
      call->due_us = g_get_monotonic_time () + END_WAIT_US;
    }
}

/* Reads what there is. */
static void
drain (Call *call)
{
  Frame *frame = call->runner->frame;
  ChannelReceipt receipt;
  while (call->channel >= 0)
    switch (channel_receive (call->channel, frame, &receipt, 0))
      {
      case CHANNEL_AGAIN:
        return;
      case CHANNEL_CLOSED:
        on_closed (call);
        return;
      case CHANNEL_BROKEN:
        condemn (call, "it sent what is no frame");
        break;
      case CHANNEL_FRAME:
        {
          const char *fault = call->fault == NULL ? take_frame (call, frame, &receipt) : NULL;
          secret_wipe (frame->payload, MIN (frame->header.length, FRAME_MAX_PAYLOAD));
          if (fault != NULL)
            condemn (call, fault);
          break;
        }
      }
}

static gboolean
on_call (int fd, GIOCondition condition, gpointer data)
{
  Call *call = data;
  ModuleRunner *runner = call->runner;
  guint n_running = g_queue_get_length (&runner->running);
  drain (call);
  pump (runner);
  if (g_queue_get_length (&runner->running) < n_running)
    {
      refill (runner);
      set_tick (runner);
    }
  return G_SOURCE_CONTINUE;
}

/* --- the zygote --- */

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
      kill_zygote (runner, "it does not read");
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
      kill_zygote (runner, "it answered what was not asked");
      return;
    }
  if (frame->header.status != FRAME_STATUS_OK)
    {
      g_autofree char *reason
          = g_utf8_make_valid (frame->header.length > 0 ? frame_get_text (&reader) : "it does not load", -1);
      log_error ("modules", "unsuitable module=%s: %s", runner->module->name, reason);
      registry_note_unsuitable (runner->setting.registry, runner->module, reason);
      runner->is_end_no_fault = TRUE;
      kill_zygote (runner, reason);
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
      Call *call = each->data;
      if (call->number != number)
        continue;
      /* Its channel may have closed without our having seen it. */
      drain (call);
      if (g_queue_find (&runner->running, call) == NULL || !call->is_over)
        return;
      /* Nobody else kills it but the kernel, at the end of its processor time. */
      call->is_late = by_signal == SIGXCPU || by_signal == SIGKILL;
      g_autofree char *reason
          = by_signal != 0
                ? g_strdup_printf ("it crashed by signal %d (%s)", by_signal, g_strsignal (by_signal))
                : g_strdup_printf ("it exited with status %u and without an answer", status);
      finish_running (call, RUNNER_CALL_FAULT, reason);
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
    kill_zygote (runner, "it sent what a zygote does not send");
}

static void
on_strike (Launch *launch, const char *reason, gpointer data)
{
  ModuleRunner *runner = data;
  log_warning ("modules", "strike module=%s: %s", runner->module->name, reason);
  note_fault (runner, DEATH_WEIGHT, reason);
}

/* What ran when its zygote went: done if it had finished, given up if it was to blame or had its second
 * chance, else run again. */
static void
settle_orphan (Call *call, const char *reason)
{
  ModuleRunner *runner = call->runner;
  drain (call);
  if (g_queue_find (&runner->running, call) == NULL)
    return;
  close_call (call);
  if (call->fault != NULL)
    {
      g_autofree char *fault = g_strdup (call->fault);
      finish_running (call, RUNNER_CALL_FAULT, fault);
      return;
    }
  if (call->was_rerun)
    {
      finish_running (call, RUNNER_CALL_LOST, reason);
      return;
    }
  g_queue_remove (&runner->running, call);
  free_frame (g_steal_pointer (&call->answer));
  call->was_rerun = TRUE;
  call->is_over = FALSE;
  call->pid = 0;
  call->n_frames = 0;
  g_queue_push_head (&runner->waiting, call);
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
      note_fault (runner, DEATH_WEIGHT, end->reason);
    }
  for (guint n = g_queue_get_length (&runner->running); n > 0; n--)
    settle_orphan (g_queue_peek_tail (&runner->running), end->reason);
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
      kill_zygote (runner, "there are no descriptors left");
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
      kill_zygote (runner, "it does not read");
      return -1;
    }
  return ends[0];
}

static gboolean
send_request (ModuleRunner *runner, const Call *call, int channel)
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
  Call *call = g_queue_peek_head (&runner->waiting);
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
          kill_zygote (runner, "it does not read");
          return FALSE;
        }
    }
  call->number = process.number;
  g_queue_pop_head (&runner->waiting);
  g_queue_push_tail (&runner->running, call);
  if (runner->setting.events != NULL && runner->setting.events->begin != NULL)
    runner->setting.events->begin (call->data);
  call->channel = process.channel;
  call->begun_us = g_get_monotonic_time ();
  call->due_us = call->begun_us + runner->setting.deadline_ms * G_GINT64_CONSTANT (1000);
  call->source = g_unix_fd_source_new (process.channel, G_IO_IN);
  g_source_set_callback (call->source, G_SOURCE_FUNC (on_call), call, NULL);
  g_source_attach (call->source, g_source_get_context (runner->tick));
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
      kill_zygote (runner, "its file changed");
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

/* --- what is due --- */

static void
look_at_call (Call *call, gint64 now_us)
{
  if (now_us < call->due_us)
    return;
  if (call->is_over)
    finish_running (call, RUNNER_CALL_FAULT, "it ended without an answer");
  else if (call->fault == NULL)
    {
      call->is_late = TRUE;
      condemn (call, "it was still running at its deadline");
    }
  else
    {
      /* Killed, and yet somebody holds its channel: more than one process. */
      call->due_us = G_MAXINT64;
      kill_zygote (call->runner, "a call's end did not follow its death");
    }
}

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
      look_at_call (each->data, now_us);

  if (now_us >= runner->due_us && (runner->state == ZYGOTE_STARTING || runner->state == ZYGOTE_LOADING))
    kill_zygote (runner, "it did not load in time");
  else if (now_us >= runner->due_us && runner->state == ZYGOTE_SERVING && g_queue_is_empty (&runner->running))
    {
      runner->is_end_no_fault = TRUE;
      kill_zygote (runner, "it was idle");
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
    finish (g_queue_pop_head (&runner->running), RUNNER_CALL_REFUSED, "the server ends");
  refuse_waiting (runner, "the server ends");
  runner->is_end_no_fault = TRUE;
  spares_expire (&runner->spares, G_MAXINT64);
  kill_zygote (runner, "the server ends");
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
  Call *call = g_new0 (Call, 1);
  call->runner = runner;
  call->request = copy_frame (request);
  call->done = done;
  call->data = data;
  call->channel = -1;
  g_queue_push_tail (&runner->waiting, call);
  if (runner->state == ZYGOTE_SERVING)
    pump (runner);
  else
    /* What cannot even be started is answered later too. */
    g_source_set_ready_time (runner->tick, 0);
  return TRUE;
}
