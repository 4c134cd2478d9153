/* The host's side of one module's runner: it starts the zygote when there is something to do, gives each call
 * a channel and a deadline, and believes nothing that comes back.
 *
 * A call is over when its channel closes, which happens when its process has ended. An answer before that is
 * held back: who answers twice has not answered. */
#pragma once

#include "common/module/launch.h"
#include "host-server/modules/registry.h"

typedef struct ModuleRunner ModuleRunner;

typedef enum
{
  RUNNER_CALL_ANSWERED,
  RUNNER_CALL_FAULT,   /* the module's: a crash, the deadline, nonsense */
  RUNNER_CALL_LOST,    /* not the call's own: its zygote went twice under it */
  RUNNER_CALL_REFUSED, /* the module cannot be called */
} RunnerCallEnd;

typedef struct
{
  RunnerCallEnd end;
  FrameReader answer; /* ANSWERED: the values of the request's row; they live until the callback returns */
  const char *reason; /* the others */
} RunnerCallResult;

/* Returns whether the answer makes sense; if not, that is the module's fault. Without an answer it does not
 * matter. */
typedef gboolean (*RunnerCallDone) (const RunnerCallResult *result, gpointer data);

typedef struct
{
  Launcher *launcher;
  Registry *registry;
  guint deadline_ms;
  guint cpu_s;
  gint64 memory_bytes;
} RunnerSetting;

/* Lives as long as @module and what @setting names. Nothing is started yet. */
ModuleRunner *module_runner_new (Module *module, const RunnerSetting *setting);
/* Ends what runs; calls that are open end as REFUSED, and there must be no further ones. */
void module_runner_stop (ModuleRunner *runner);
/* After the launcher was freed, whose last events come here. */
void module_runner_free (ModuleRunner *runner);

/* Whether it has a process that loaded the module's present file and takes calls. */
gboolean module_runner_is_serving (const ModuleRunner *runner);

/* @request is a whole FRAME_ASK of phase CALL with call id 1; it is copied. @done is called once, never from
 * inside. FALSE: too many calls wait, and @done is not called. */
gboolean module_runner_call (ModuleRunner *runner, const Frame *request, RunnerCallDone done, gpointer data);
