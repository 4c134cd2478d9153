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

/* What kind of fault it was, as far as a caller is told. */
typedef enum
{
  RUNNER_FAULT_OTHER,
  RUNNER_FAULT_TIME, /* it was still running at its deadline, or used up its processor time */
} RunnerFault;

typedef struct
{
  RunnerCallEnd end;
  RunnerFault fault;  /* FAULT */
  FrameReader answer; /* ANSWERED: the values of the request's row; they live until the callback returns */
  const char *reason; /* the others */
} RunnerCallResult;

/* What was made of an answer. */
typedef enum
{
  RUNNER_ANSWER_GOOD,
  RUNNER_ANSWER_REFUSAL,  /* the module says no, which is its right */
  RUNNER_ANSWER_NONSENSE, /* its fault */
} RunnerVerdict;

/* Without an answer it does not matter what is returned. */
typedef RunnerVerdict (*RunnerCallDone) (const RunnerCallResult *result, gpointer data);

/* What a call of this kind of module may say before its answer; @data is the call's. Any may be NULL. */
typedef struct
{
  unsigned grants; /* FrameGrant bits */
  /* Calls are made of users' input, so a fault of one says little of the module: it is told, and does not
   * count against it. */
  gboolean forgives_calls;
  /* Answers the ask @asked into @answer, which was begun as its answer. */
  void (*ask) (const Frame *asked, Frame *answer, gpointer data);
  /* A line that was logged; also in the host's own log. */
  void (*log) (guint32 level, const char *text, gpointer data);
  /* The call begins, or begins anew: what it said before does not count. */
  void (*begin) (gpointer data);
} RunnerEvents;

typedef struct
{
  Launcher *launcher;
  Registry *registry;
  guint deadline_ms;
  guint cpu_s;
  gint64 memory_bytes;
  const char *kind; /* "keygen", "function" */
  guint max_calls;  /* at once */
  guint n_beside;   /* runners of the module, this one among them, whose processes its user may have */
  int data;         /* goes along with the object; -1: nothing. Lent */
  const RunnerEvents *events; /* NULL: a call only answers */
} RunnerSetting;

/* Lives as long as @module and what @setting names. Nothing is started yet. */
ModuleRunner *module_runner_new (Module *module, const RunnerSetting *setting);
/* Ends what runs; calls that are open end as REFUSED, and there must be no further ones. */
void module_runner_stop (ModuleRunner *runner);
/* After the launcher was freed, whose last events come here. */
void module_runner_free (ModuleRunner *runner);

/* Whether it has a process that loaded the module's present file and takes calls. */
gboolean module_runner_is_serving (const ModuleRunner *runner);
/* How many processes of it wait for a call. */
guint module_runner_count_spares (const ModuleRunner *runner);
/* Whether no call waits or runs. */
gboolean module_runner_is_idle (const ModuleRunner *runner);
/* Whether a process of it is there, or has not been reported as ended. */
gboolean module_runner_is_alive (const ModuleRunner *runner);

/* @request is a whole FRAME_ASK of phase CALL with call id 1; it is copied. @done is called once, never from
 * inside. FALSE: too many calls wait, and @done is not called. */
gboolean module_runner_call (ModuleRunner *runner, const Frame *request, RunnerCallDone done, gpointer data);
