#include "plugin-abi/runner/runner-private.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What can carry an object. */
static const RunnerKind *const kinds[] = {
  &runner_keygen,
  &runner_function,
  &runner_legacy,
  &runner_legacy_keygen,
  &runner_native,
};

RunnerProfile
runner_get_profile (const Runner *runner)
{
  return (RunnerProfile)runner->plan.profile;
}

const char *
runner_get_object (const Runner *runner)
{
  return runner->plan.object[0] != '\0' ? runner->plan.object : "/proc/self/fd/5";
}

const char *
runner_get_data (const Runner *runner)
{
  return runner->plan.data[0] != '\0' ? runner->plan.data : NULL;
}

bool
runner_may_connect (const Runner *runner)
{
  return runner->plan.may_connect;
}

int
runner_get_attachment (const Runner *runner)
{
  return runner->attachment;
}

void
runner_set_state (Runner *runner, void *state)
{
  runner->state = state;
}

void *
runner_get_state (const Runner *runner)
{
  return runner->state;
}

void *
runner_open_object (Runner *runner, const char **reason)
{
  _Static_assert(RUNNER_OBJECT_FD == 5, "runner_get_object() names it");
  void *object = dlopen (runner_get_object (runner), RTLD_NOW | RTLD_LOCAL);
  if (object == NULL)
    *reason = dlerror ();
  if (runner->plan.object[0] == '\0')
    {
      close (RUNNER_OBJECT_FD);
      /* A sealed object's name is no name. */
      if (object == NULL
          && strncmp (*reason, runner_get_object (runner), strlen (runner_get_object (runner))) == 0)
        *reason += strlen (runner_get_object (runner)) + strlen (": ");
    }
  return object;
}

void
runner_log (Runner *runner, uint32_t level, const char *text)
{
  if (text == NULL || __atomic_fetch_add (&runner->n_log_lines, 1, __ATOMIC_RELAXED) >= RUNNER_MAX_LOG_LINES)
    return;
  /* Not on the stack, which may be a small one of a vendor's thread. */
  Frame *frame = malloc (sizeof *frame);
  if (frame == NULL)
    return;
  frame_begin (frame, FRAME_OP_LOG, FRAME_EVENT, 0);
  frame_put_u32 (frame, level);
  frame_put_text_len (frame, text, strnlen (text, RUNNER_MAX_LOG_BYTES));
  channel_send (RUNNER_CHANNEL_FD, frame);
  free (frame);
}

bool
runner_load (Runner *runner, const Frame *frame)
{
  FrameHeader asked = frame->header;
  if (asked.op != runner->kind->load_op)
    return false;

  FrameReader request;
  frame_read (&request, frame);
  frame_begin (&runner->answer, asked.op, FRAME_ANSWER, asked.call);
  runner->kind->load (runner, &request, &asked, &runner->answer);
  bool is_loaded = runner->answer.header.status == FRAME_STATUS_OK;
  if (is_loaded && !runner->kind->is_server && !sandbox_enter_loaded (&runner->orders.stage_2))
    {
      frame_answer (&runner->answer, &asked, FRAME_STATUS_FAILED,
                    "cannot enter the second stage of the sandbox");
      is_loaded = false;
    }
  runner->phase = FRAME_PHASE_SERVE;
  return channel_send (RUNNER_CHANNEL_FD, &runner->answer) == CHANNEL_FRAME && is_loaded;
}

static bool
read_whole (int fd, void *bytes, size_t length, size_t at_least, size_t *n_read)
{
  size_t got = 0;
  ssize_t n;
  while (got < length && (n = read (fd, (char *)bytes + got, length - got)) > 0)
    got += (size_t)n;
  *n_read = got;
  return got >= at_least;
}

static bool
read_plan (Runner *runner)
{
  size_t n;
  RunnerStart start;
  if (!read_whole (RUNNER_PLAN_FD, &runner->orders, sizeof runner->orders, sizeof runner->orders, &n)
      || !read_whole (RUNNER_PLAN_FD, &runner->start, sizeof runner->start, sizeof runner->start.header, &n)
      || frame_check (&runner->start, n, FRAME_FROM_HOST, FRAME_PHASE_CONTROL, 0) != FRAME_FINE
      || !runner_read_start (&runner->start, &start))
    return false;
  close (RUNNER_PLAN_FD);
  runner->plan = start.plan;
  runner->plan.parent = runner->orders.supervisor;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp (kinds[i]->name, start.kind) == 0)
      runner->kind = kinds[i];
  return true;
}

static bool
confine (Runner *runner, int *listener, SandboxFault *fault)
{
  const char *reason = "it is not known why";
  if (runner->kind == NULL || runner->kind->is_server != (runner->plan.profile == SANDBOX_SERVER))
    {
      snprintf (fault->text, sizeof fault->text, "this runner does not carry such an object");
      return false;
    }
  /* The private folder becomes the current one while we may still pass through the folders above it: those
   * are the host's, and closed to a user of the plugin's own. */
  if (runner->plan.data[0] != '\0' && chdir (runner->plan.data) != 0)
    {
      snprintf (fault->text, sizeof fault->text, "cannot enter the private folder: %s", strerror (errno));
      return false;
    }
  if (runner->plan.data[0] != '\0' && runner->plan.uid != 0)
    runner->plan.data = ".";
  if (runner->kind->open != NULL && !runner->kind->open (runner, &reason))
    {
      snprintf (fault->text, sizeof fault->text, "cannot prepare: %s", reason);
      return false;
    }
  if (!sandbox_drop (&runner->plan, fault))
    return false;
  if (runner->kind->prepare != NULL && !runner->kind->prepare (runner, &reason))
    {
      snprintf (fault->text, sizeof fault->text, "cannot prepare: %s", reason);
      return false;
    }
  return sandbox_confine (&runner->plan, &runner->orders.stage_1, listener, &runner->call_ruleset, fault);
}

int
runner_run (void)
{
  Runner *runner = calloc (1, sizeof *runner);
  SandboxFault fault = { .text = "cannot read the plan" };
  int listener = -1;
  /* Nobody is told any more once it is in force. */
  unsigned landlock_abi = sandbox_get_landlock_abi ();
  if (runner == NULL)
    return 1;

  if (!read_plan (runner) || !confine (runner, &listener, &fault))
    {
      frame_begin (&runner->answer, FRAME_OP_FAILED, FRAME_EVENT, 0);
      frame_put_text (&runner->answer, fault.text);
      channel_send (RUNNER_CHANNEL_FD, &runner->answer);
      return 1;
    }

  frame_begin (&runner->answer, FRAME_OP_READY, FRAME_EVENT, 0);
  frame_put_u32 (&runner->answer, landlock_abi);
  ChannelResult sent
      = channel_send_with (RUNNER_CHANNEL_FD, &runner->answer, &listener, listener >= 0 ? 1 : 0);
  /* Whoever holds the listener decides about connections; the object must not find it here. */
  if (listener >= 0)
    close (listener);
  if (sent != CHANNEL_FRAME)
    return 1;
  runner->phase = FRAME_PHASE_LOAD;
  return runner->kind->is_server ? runner_serve_zygote (runner) : runner_serve_client (runner);
}
