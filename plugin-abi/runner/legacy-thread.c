/* A start that returns late or never: the vendor's main loop, which once had a program of its own. It gets a
 * thread of its own, and commands go on being called on the first one. */
#include "plugin-abi/runner/legacy.h"

#include <errno.h>
#include <host/module.h>
#include <stdio.h>
#include <time.h>

static void *
run (void *data)
{
  Legacy *legacy = data;
  LegacyThread *thread = &legacy->thread;
  LegacyOutcome outcome;

  legacy_call (legacy, thread->call, NULL, 0, &outcome);
  pthread_mutex_lock (&legacy->lock);
  /* Said before anybody can act on it: the host may end us. */
  if (thread->is_settled && outcome.class != DESCRIPTOR_CLASS_OK)
    runner_log (legacy->runner, HOST_LOG_WARNING, "what start began has ended with an error");
  thread->outcome = outcome;
  thread->has_ended = true;
  pthread_cond_broadcast (&legacy->changed);
  pthread_mutex_unlock (&legacy->lock);
  return NULL;
}

static bool
has_ready (const Descriptor *descriptor)
{
  for (unsigned i = 0; i < descriptor->n_provides; i++)
    if (descriptor->provides[i].action == DESCRIPTOR_DO_READY)
      return true;
  return false;
}

void
legacy_thread_start (Legacy *legacy, unsigned call, LegacyOutcome *outcome)
{
  LegacyThread *thread = &legacy->thread;
  const Descriptor *descriptor = legacy->load.descriptor;
  uint32_t settle_ms = descriptor->phases[DESCRIPTOR_PHASE_START].settle_ms;
  struct timespec until;
  pthread_t id;
  int wrong;

  *outcome = (LegacyOutcome){ .class = DESCRIPTOR_CLASS_OK };
  thread->call = call;
  thread->is_started = true;
  if ((wrong = pthread_create (&id, NULL, run, legacy)) != 0)
    {
      thread->is_started = false;
      outcome->class = DESCRIPTOR_CLASS_ERROR;
      snprintf (outcome->text, sizeof outcome->text, "there is no thread for it: error %d", wrong);
      return;
    }
  pthread_detach (id);
  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_sec += settle_ms / 1000;
  until.tv_nsec += settle_ms % 1000 * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;

  pthread_mutex_lock (&legacy->lock);
  wrong = 0;
  while (!thread->has_ended && !thread->is_ready && wrong != ETIMEDOUT)
    /* Who says when it is ready is waited for, as long as a call may take. */
    wrong = has_ready (descriptor) ? pthread_cond_wait (&legacy->changed, &legacy->lock)
                                   : pthread_cond_timedwait (&legacy->changed, &legacy->lock, &until);
  thread->is_settled = true;
  if (thread->has_ended)
    *outcome = thread->outcome;
  pthread_mutex_unlock (&legacy->lock);
}

void
legacy_thread_say_ready (Legacy *legacy)
{
  pthread_mutex_lock (&legacy->lock);
  legacy->thread.is_ready = true;
  pthread_cond_broadcast (&legacy->changed);
  pthread_mutex_unlock (&legacy->lock);
}

bool
legacy_thread_has_failed (Legacy *legacy, LegacyOutcome *outcome)
{
  bool has_failed;

  pthread_mutex_lock (&legacy->lock);
  has_failed = legacy->thread.has_ended && legacy->thread.outcome.class != DESCRIPTOR_CLASS_OK;
  if (has_failed)
    *outcome = legacy->thread.outcome;
  pthread_mutex_unlock (&legacy->lock);
  return has_failed;
}
