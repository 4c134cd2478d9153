/* The inside of a runner: runner.c has the zygote and hands out calls, runner-call.c has each call while it
 * is in a process. */
#pragma once

#include "host-server/modules/runner.h"
#include "host-server/modules/spares.h"

/* Without a call for so long, a zygote is ended. */
#define IDLE_US (60 * G_USEC_PER_SEC)

typedef struct
{
  FrameHeader header;
  guint8 payload[];
} RunnerFrame;

typedef struct
{
  ModuleRunner *runner;
  guint32 number;
  RunnerFrame *request;
  RunnerCallDone done;
  gpointer data;
  gboolean was_rerun;

  /* while it runs */
  int channel; /* -1: closed */
  GSource *source;
  pid_t pid; /* as the kernel attests it; 0: it has not said hello */
  guint n_frames;
  RunnerFrame *answer;
  gint64 begun_us;  /* 0: it has had no process */
  gint64 due_us;    /* when something has to be done about it */
  gboolean is_over; /* its channel closed without an answer: why, the zygote may know */
  char *fault;      /* why it was killed; NULL: it was not */
  gboolean is_late; /* it was killed at its deadline */
} RunnerCall;

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

/* --- runner.c --- */

/* Its end follows. */
void runner_kill_zygote (ModuleRunner *runner, const char *reason);
void runner_note_fault (ModuleRunner *runner, guint weight, const char *reason);
/* Calls may have ended: hands out others, and has processes made for the next if @has_ended. */
void runner_go_on (ModuleRunner *runner, gboolean has_ended);

/* --- runner-call.c --- */

RunnerCall *runner_call_new (ModuleRunner *runner, const Frame *request, RunnerCallDone done, gpointer data);
/* It runs: its process, which has its request, is at the other end of @channel. */
void runner_call_begin (RunnerCall *call, int channel, guint32 number);
/* Reads what there is; it may have ended then. */
void runner_call_drain (RunnerCall *call);
/* Does what is due: it is killed at its deadline, and given up when its end does not come. */
void runner_call_look (RunnerCall *call, gint64 now_us);
/* Its zygote has gone. It ends, or waits again. */
void runner_call_orphan (RunnerCall *call, const char *reason);
/* Tells who asked, and frees @call, which is in no queue any more; or first takes it out of those that run. */
void runner_call_finish (RunnerCall *call, RunnerCallEnd end, const char *reason);
void runner_call_finish_running (RunnerCall *call, RunnerCallEnd end, const char *reason);
