#include "host-server/store/job.h"

/* Done functions called in one turn of the loop: a burst of commits must not hold up messages. */
#define MAX_A_TURN 256

struct Returns
{
  GMutex mutex;
  GCond cond;
  GQueue ready;      /* of StoreJob, under mutex */
  guint outstanding; /* jobs made and not yet called, under mutex */
  GSource *source;
};

typedef struct
{
  GSource base;
  Returns *returns;
} ReturnsSource;

/* Calls at most @limit done functions. */
static void
call_ready (Returns *returns, guint limit)
{
  for (guint i = 0; i < limit; i++)
    {
      g_mutex_lock (&returns->mutex);
      StoreJob *job = g_queue_pop_head (&returns->ready);
      g_mutex_unlock (&returns->mutex);
      if (job == NULL)
        return;

      if (job->done != NULL)
        job->done (job->data, job->error);
      g_clear_error (&job->error);
      g_free (job);

      g_mutex_lock (&returns->mutex);
      returns->outstanding--;
      g_mutex_unlock (&returns->mutex);
    }
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  Returns *returns = ((ReturnsSource *)source)->returns;
  g_source_set_ready_time (source, -1); /* before reading: what is added from here on wakes again */
  call_ready (returns, MAX_A_TURN);

  g_mutex_lock (&returns->mutex);
  gboolean is_empty = g_queue_is_empty (&returns->ready);
  g_mutex_unlock (&returns->mutex);
  if (!is_empty)
    g_source_set_ready_time (source, 0);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

Returns *
returns_new (GMainContext *context)
{
  Returns *returns = g_new0 (Returns, 1);
  g_mutex_init (&returns->mutex);
  g_cond_init (&returns->cond);
  g_queue_init (&returns->ready);
  returns->source = g_source_new (&source_funcs, sizeof (ReturnsSource));
  ((ReturnsSource *)returns->source)->returns = returns;
  g_source_set_static_name (returns->source, "store");
  g_source_attach (returns->source, context);
  return returns;
}

void
returns_free (Returns *returns)
{
  if (returns == NULL)
    return;
  g_assert (returns->outstanding == 0);
  g_source_destroy (returns->source);
  g_source_unref (returns->source);
  g_mutex_clear (&returns->mutex);
  g_cond_clear (&returns->cond);
  g_free (returns);
}

StoreJob *
returns_new_job (Returns *returns, StoreFile file, StoreWork work, StoreDone done, gpointer data)
{
  StoreJob *job = g_new0 (StoreJob, 1);
  job->file = file;
  job->work = work;
  job->done = done;
  job->data = data;
  g_mutex_lock (&returns->mutex);
  returns->outstanding++;
  g_mutex_unlock (&returns->mutex);
  return job;
}

void
returns_take (Returns *returns, GQueue *jobs)
{
  if (g_queue_is_empty (jobs))
    return;
  g_mutex_lock (&returns->mutex);
  for (StoreJob *job; (job = g_queue_pop_head (jobs)) != NULL;)
    g_queue_push_tail (&returns->ready, job);
  g_cond_signal (&returns->cond);
  /* Under the mutex, so that no turn of the loop can empty the queue and go to sleep in between. */
  g_source_set_ready_time (returns->source, 0);
  g_mutex_unlock (&returns->mutex);
}

void
returns_take_one (Returns *returns, StoreJob *job)
{
  GQueue one = G_QUEUE_INIT;
  g_queue_push_tail (&one, job);
  returns_take (returns, &one);
}

void
returns_finish (Returns *returns)
{
  for (;;)
    {
      g_mutex_lock (&returns->mutex);
      while (returns->outstanding > 0 && g_queue_is_empty (&returns->ready))
        g_cond_wait (&returns->cond, &returns->mutex);
      gboolean is_over = returns->outstanding == 0;
      g_mutex_unlock (&returns->mutex);
      if (is_over)
        return;
      call_ready (returns, MAX_A_TURN);
    }
}
