#include "host-server/modules/runner-private.h"

#include "common/base/log.h"
#include "common/base/secret.h"

#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_LOG_LINES 20
/* A module that says more than this in one call is not logging. */
#define MAX_LOG_FRAMES 1000
/* How long the end of a killed call may take before its zygote is killed, and how long the zygote's word
 * about an ended call is waited for. */
#define END_WAIT_US (100 * 1000)

/* --- beginning and ending --- */

static RunnerFrame *
copy_frame (const Frame *frame)
{
  RunnerFrame *copy = g_malloc (sizeof *copy + frame->header.length);
  copy->header = frame->header;
  if (frame->header.length > 0)
    memcpy (copy->payload, frame->payload, frame->header.length);
  return copy;
}

/* Seeds and serials lie in these. */
static void
free_frame (RunnerFrame *frame)
{
  if (frame == NULL)
    return;
  secret_wipe (frame->payload, frame->header.length);
  g_free (frame);
}

static void
close_channel (RunnerCall *call)
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

RunnerCall *
runner_call_new (ModuleRunner *runner, const Frame *request, RunnerCallDone done, gpointer data)
{
  RunnerCall *call = g_new0 (RunnerCall, 1);
  call->runner = runner;
  call->request = copy_frame (request);
  call->done = done;
  call->data = data;
  call->channel = -1;
  return call;
}

static void
count (const RunnerCall *call, RunnerCallEnd end, RunnerVerdict verdict)
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

void
runner_call_finish (RunnerCall *call, RunnerCallEnd end, const char *reason)
{
  ModuleRunner *runner = call->runner;
  Module *module = runner->module;
  RunnerCallResult result
      = { .end = end, .fault = call->is_late ? RUNNER_FAULT_TIME : RUNNER_FAULT_OTHER, .reason = reason };
  close_channel (call);
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
        runner_note_fault (runner, 1, what);
    }
  free_frame (call->request);
  free_frame (call->answer);
  g_free (call->fault);
  g_free (call);
}

void
runner_call_finish_running (RunnerCall *call, RunnerCallEnd end, const char *reason)
{
  ModuleRunner *runner = call->runner;
  g_queue_remove (&runner->running, call);
  runner_call_finish (call, end, reason);
  runner->due_us = g_get_monotonic_time () + IDLE_US;
}

/* What ran when its zygote went: done if it had finished, given up if it was to blame or had its second
 * chance, else run again. */
void
runner_call_orphan (RunnerCall *call, const char *reason)
{
  ModuleRunner *runner = call->runner;
  runner_call_drain (call);
  if (g_queue_find (&runner->running, call) == NULL)
    return;
  close_channel (call);
  if (call->fault != NULL)
    {
      g_autofree char *fault = g_strdup (call->fault);
      runner_call_finish_running (call, RUNNER_CALL_FAULT, fault);
      return;
    }
  if (call->was_rerun)
    {
      runner_call_finish_running (call, RUNNER_CALL_LOST, reason);
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

/* --- killing --- */

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
kill_call (const RunnerCall *call)
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
condemn (RunnerCall *call, const char *reason)
{
  if (call->fault != NULL)
    return;
  call->fault = g_strdup (reason);
  call->due_us = g_get_monotonic_time () + END_WAIT_US;
  if (!kill_call (call))
    runner_kill_zygote (call->runner, reason);
}

/* --- a call's channel --- */

static void
log_line (RunnerCall *call, const Frame *frame)
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
answer_ask (RunnerCall *call, const Frame *asked)
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
take_frame (RunnerCall *call, const Frame *frame, const ChannelReceipt *receipt)
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
on_closed (RunnerCall *call)
{
  close_channel (call);
  if (call->fault != NULL)
    {
      g_autofree char *reason = g_strdup (call->fault);
      runner_call_finish_running (call, RUNNER_CALL_FAULT, reason);
    }
  else if (call->answer != NULL)
    runner_call_finish_running (call, RUNNER_CALL_ANSWERED, NULL);
  else
    {
      call->is_over = TRUE;
      call->due_us = g_get_monotonic_time () + END_WAIT_US;
    }
}

void
runner_call_drain (RunnerCall *call)
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
  RunnerCall *call = data;
  ModuleRunner *runner = call->runner;
  guint n_running = g_queue_get_length (&runner->running);
  runner_call_drain (call);
  runner_go_on (runner, g_queue_get_length (&runner->running) < n_running);
  return G_SOURCE_CONTINUE;
}

void
runner_call_begin (RunnerCall *call, int channel, guint32 number)
{
  ModuleRunner *runner = call->runner;
  call->number = number;
  call->channel = channel;
  call->begun_us = g_get_monotonic_time ();
  call->due_us = call->begun_us + runner->setting.deadline_ms * G_GINT64_CONSTANT (1000);
  call->source = g_unix_fd_source_new (channel, G_IO_IN);
  g_source_set_callback (call->source, G_SOURCE_FUNC (on_call), call, NULL);
  g_source_attach (call->source, g_source_get_context (runner->tick));
}

/* --- what is due --- */

void
runner_call_look (RunnerCall *call, gint64 now_us)
{
  if (now_us < call->due_us)
    return;
  if (call->is_over)
    runner_call_finish_running (call, RUNNER_CALL_FAULT, "it ended without an answer");
  else if (call->fault == NULL)
    {
      call->is_late = TRUE;
      condemn (call, "it was still running at its deadline");
    }
  else
    {
      /* Killed, and yet somebody holds its channel: more than one process. */
      call->due_us = G_MAXINT64;
      runner_kill_zygote (call->runner, "a call's end did not follow its death");
    }
}
