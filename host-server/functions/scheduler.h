/* Who runs next. Applications take turns, and within one its users do; each application has so many calls at
 * once and so many a second, each user of it one running call and a few that wait. Calls are the caller's,
 * and opaque. */
#pragma once

#include "common/base/clock.h"

#define SCHEDULER_MAX_WAITING 8 /* of one user in one application, behind the one that runs */

typedef struct Scheduler Scheduler;

/* @max_running calls at once, of all applications together; one application has at most half of them, and
 * always one. */
Scheduler *scheduler_new (guint max_running, const Clock *clock);
/* What still waits or runs is forgotten. */
void scheduler_free (Scheduler *scheduler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Scheduler, scheduler_free)

typedef struct
{
  const char *application;
  const char *account;
  guint concurrency; /* of the application */
  guint rate;        /* of the application, calls a second; 0: no limit */
} SchedulerPlace;

typedef enum
{
  SCHEDULER_TAKEN,
  SCHEDULER_QUEUE_FULL,
  SCHEDULER_TOO_FAST, /* over the application's rate */
} SchedulerOutcome;

SchedulerOutcome scheduler_add (Scheduler *scheduler, const SchedulerPlace *place, gpointer call);
/* The next call that may run, which counts as running from now on; NULL: none. */
gpointer scheduler_next (Scheduler *scheduler);
/* The running call of that user in that application has ended. */
void scheduler_end (Scheduler *scheduler, const char *application, const char *account);

typedef struct
{
  guint n_running;
  guint n_waiting;
} SchedulerLoad;
SchedulerLoad scheduler_get_load (const Scheduler *scheduler, const char *application);
