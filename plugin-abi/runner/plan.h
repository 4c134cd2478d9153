/* What the supervisor hands to a runner: where its descriptors are, how it confines itself, and with which
 * filters. */
#pragma once

#include "common/module/frame.h"
#include "common/module/sandbox.h"

enum
{
  RUNNER_CHANNEL_FD = FILTER_CHANNEL_FD,
  RUNNER_PLAN_FD,
  RUNNER_OBJECT_FD, /* a sealed object; not open if the object is a path */
  RUNNER_N_FDS,     /* and above these nothing */
};

/* What stands before the start request in the plan's memory file. */
typedef struct
{
  pid_t supervisor;
  FilterProgram stage_1;
  FilterProgram stage_2;
} RunnerOrders;

/* A start request, read. The texts lie in its frame. */
typedef struct
{
  const char *kind;
  SandboxPlan plan; /* without parent */
  uint32_t deadline_ms;
} RunnerStart;

/* False if the request's values are out of range. */
bool runner_read_start (const Frame *frame, RunnerStart *start);

/* The two programs of `plugin-runner`; the results are exit statuses. */
int runner_supervise (void);
int runner_run (void);
