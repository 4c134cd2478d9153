#include "host-server/functions/scheduler.h"

/* A user in an application. */
typedef struct
{
  char *account;
  gboolean is_running;
  GQueue waiting; /* of calls */
} Lane;

typedef struct
{
  char *id;
  guint concurrency;
  guint n_running, n_waiting;
  GHashTable *lanes; /* account → Lane, those that run or wait */
  GQueue ready;      /* of Lane: a call waits and none runs */
  gboolean is_in_turn;
  gint64 tokens_us; /* of the rate: time saved up, at most a second */
  gint64 seen_us;
} Application;

struct Scheduler
{
  const Clock *clock;
  guint max_running, n_running;
  GHashTable *applications;
  GQueue turn; /* of Application: something is ready, and it may run */
};

static void
lane_free (gpointer data)
{
  Lane *lane = data;
  g_queue_clear (&lane->waiting);
  g_free (lane->account);
  g_free (lane);
}

static void
application_free (gpointer data)
{
  Application *application = data;
  g_queue_clear (&application->ready);
  g_hash_table_unref (application->lanes);
  g_free (application->id);
  g_free (application);
}

Scheduler *
scheduler_new (guint max_running, const Clock *clock)
{
  Scheduler *scheduler = g_new0 (Scheduler, 1);
  scheduler->clock = clock;
  scheduler->max_running = MAX (max_running, 1);
  scheduler->applications = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, application_free);
  g_queue_init (&scheduler->turn);
  return scheduler;
}

void
scheduler_free (Scheduler *scheduler)
{
  g_queue_clear (&scheduler->turn);
  g_hash_table_unref (scheduler->applications);
  g_free (scheduler);
}

static Application *
need_application (Scheduler *scheduler, const SchedulerPlace *place)
{
  Application *application = g_hash_table_lookup (scheduler->applications, place->application);
  if (application == NULL)
    {
      application = g_new0 (Application, 1);
      application->id = g_strdup (place->application);
      application->lanes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, lane_free);
      application->tokens_us = G_USEC_PER_SEC;
      application->seen_us = clock_get_monotonic_us (scheduler->clock);
      g_hash_table_insert (scheduler->applications, application->id, application);
    }
  application->concurrency = CLAMP (place->concurrency, 1, MAX (scheduler->max_running / 2, 1));
  return application;
}

/* Takes a call's share of a second; what is not used is saved, up to a second's worth. */
static gboolean
take_token (const Scheduler *scheduler, Application *application, guint rate)
{
  gint64 now_us = clock_get_monotonic_us (scheduler->clock);
  if (rate == 0)
    return TRUE;
  gint64 price_us = MAX (G_USEC_PER_SEC / (gint64)rate, 1);
  application->tokens_us
      = MIN (application->tokens_us + MAX (now_us - application->seen_us, 0), G_USEC_PER_SEC);
  application->seen_us = now_us;
  if (application->tokens_us < price_us)
    return FALSE;
  application->tokens_us -= price_us;
  return TRUE;
}

/* Puts it into the turn if it has something to run and may. */
static void
offer (Scheduler *scheduler, Application *application)
{
  if (application->is_in_turn || g_queue_is_empty (&application->ready)
      || application->n_running >= application->concurrency)
    return;
  application->is_in_turn = TRUE;
  g_queue_push_tail (&scheduler->turn, application);
}

SchedulerOutcome
scheduler_add (Scheduler *scheduler, const SchedulerPlace *place, gpointer call)
{
  Application *application = need_application (scheduler, place);
  Lane *lane = g_hash_table_lookup (application->lanes, place->account);
  if (lane != NULL && g_queue_get_length (&lane->waiting) >= SCHEDULER_MAX_WAITING)
    return SCHEDULER_QUEUE_FULL;
  if (!take_token (scheduler, application, place->rate))
    return SCHEDULER_TOO_FAST;
  if (lane == NULL)
    {
      lane = g_new0 (Lane, 1);
      lane->account = g_strdup (place->account);
      g_queue_init (&lane->waiting);
      g_hash_table_insert (application->lanes, lane->account, lane);
    }
  g_queue_push_tail (&lane->waiting, call);
  application->n_waiting++;
  if (!lane->is_running && g_queue_get_length (&lane->waiting) == 1)
    g_queue_push_tail (&application->ready, lane);
  offer (scheduler, application);
  return SCHEDULER_TAKEN;
}

gpointer
scheduler_next (Scheduler *scheduler)
{
  if (scheduler->n_running >= scheduler->max_running)
    return NULL;
  Application *application = g_queue_pop_head (&scheduler->turn);
  if (application == NULL)
    return NULL;
  Lane *lane = g_queue_pop_head (&application->ready);
  gpointer call = g_queue_pop_head (&lane->waiting);
  lane->is_running = TRUE;
  application->is_in_turn = FALSE;
  application->n_waiting--;
  application->n_running++;
  scheduler->n_running++;
  offer (scheduler, application);
  return call;
}

void
scheduler_end (Scheduler *scheduler, const char *id, const char *account)
{
  Application *application = g_hash_table_lookup (scheduler->applications, id);
  Lane *lane = application != NULL ? g_hash_table_lookup (application->lanes, account) : NULL;
  g_return_if_fail (lane != NULL && lane->is_running);
  lane->is_running = FALSE;
  application->n_running--;
  scheduler->n_running--;
  if (g_queue_is_empty (&lane->waiting))
    g_hash_table_remove (application->lanes, account);
  else
    g_queue_push_tail (&application->ready, lane);
  offer (scheduler, application);
}

SchedulerLoad
scheduler_get_load (const Scheduler *scheduler, const char *id)
{
  const Application *application = g_hash_table_lookup (scheduler->applications, id);
  return application != NULL ? (SchedulerLoad){ application->n_running, application->n_waiting }
                             : (SchedulerLoad){ 0, 0 };
}
