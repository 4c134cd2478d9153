#include "host-server/store/writer.h"

#include "common/base/log.h"

/* Works that share one commit. Whoever waits for the first waits for the last, so it is not larger than what
 * some milliseconds hold. */
#define MAX_BATCH 512
/* How often an unhealthy file is tried again. */
#define PROBE_US (2 * G_USEC_PER_SEC)

struct Writer
{
  char *name;
  Db *db;
  Returns *returns;
  GThread *thread;
  GMutex mutex;
  GCond cond;
  GQueue queue;     /* of StoreJob, under mutex */
  gboolean is_over; /* under mutex */
  guint backlog;    /* atomic */
  int is_healthy;   /* atomic */
};

static void
set_health (Writer *writer, const GError *fault)
{
  gboolean was_healthy = g_atomic_int_get (&writer->is_healthy);
  g_atomic_int_set (&writer->is_healthy, fault == NULL);
  if (fault != NULL)
    log_error ("store", "cannot commit file=%s: %s", writer->name, fault->message);
  else if (!was_healthy)
    log_info ("store", "commits again file=%s", writer->name);
}

/* Whether @error says that the file cannot take writes, not that one work was wrong. */
static gboolean
is_fault_of_file (const GError *error)
{
  return g_error_matches (error, DB_ERROR, DB_ERROR_FULL)
         || g_error_matches (error, DB_ERROR, DB_ERROR_READ_ONLY)
         || g_error_matches (error, DB_ERROR, DB_ERROR_CORRUPT);
}

static void
run_work (Writer *writer, StoreJob *job)
{
  if (!db_savepoint (writer->db, &job->error))
    return;
  if (job->work (writer->db, job->data, &job->error))
    {
      if (job->error != NULL || db_release (writer->db, &job->error))
        return;
    }
  else if (job->error == NULL)
    g_set_error_literal (&job->error, DB_ERROR, DB_ERROR_FAILED, "a write failed without saying why");
  if (db_is_in_transaction (writer->db))
    db_undo_savepoint (writer->db);
}

/* Runs jobs of @batch up to one commit; what SQLite did not let run stays in @batch. */
static void
run_transaction (Writer *writer, GQueue *batch)
{
  GQueue ran = G_QUEUE_INIT;
  GError *fault = NULL;
  GError *complaint = NULL;

  if (!db_begin (writer->db, &fault))
    {
      for (StoreJob *job; (job = g_queue_pop_head (batch)) != NULL;)
        g_queue_push_tail (&ran, job);
    }
  while (fault == NULL && !g_queue_is_empty (batch))
    {
      StoreJob *job = g_queue_pop_head (batch);
      g_queue_push_tail (&ran, job);
      run_work (writer, job);
      if (job->error != NULL && complaint == NULL && is_fault_of_file (job->error))
        complaint = g_error_copy (job->error);
      /* On some failures SQLite undoes the whole transaction by itself. The next savepoint would then open a
       * transaction of its own and commit at its release, so the batch ends here. */
      if (!db_is_in_transaction (writer->db))
        fault = job->error != NULL
                    ? g_error_copy (job->error)
                    : g_error_new_literal (DB_ERROR, DB_ERROR_FAILED, "the transaction was lost");
    }
  if (fault == NULL)
    db_commit (writer->db, &fault);
  if (fault != NULL)
    {
      db_rollback (writer->db);
      for (GList *link = ran.head; link != NULL; link = link->next)
        {
          StoreJob *job = link->data;
          if (job->error == NULL)
            job->error = g_error_copy (fault);
        }
    }

  set_health (writer, fault != NULL ? fault : complaint);
  g_clear_error (&fault);
  g_clear_error (&complaint);
  g_atomic_int_add ((int *)&writer->backlog, -(int)ran.length);
  returns_take (writer->returns, &ran);
}

static void
probe (Writer *writer)
{
  g_autoptr (GError) error = NULL;
  if (!db_run (writer->db, &error,
               "INSERT INTO store_probe (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = "
               "store_probe.n + 1",
               ""))
    {
      g_debug ("store: still cannot write: %s", error->message);
      return;
    }
  set_health (writer, NULL);
}

/* Waits for works. FALSE at the end; TRUE with an empty @batch when it is time for a probe. */
static gboolean
take_batch (Writer *writer, GQueue *batch)
{
  g_mutex_lock (&writer->mutex);
  while (g_queue_is_empty (&writer->queue) && !writer->is_over)
    {
      if (g_atomic_int_get (&writer->is_healthy))
        g_cond_wait (&writer->cond, &writer->mutex);
      else if (!g_cond_wait_until (&writer->cond, &writer->mutex, g_get_monotonic_time () + PROBE_US))
        break;
    }
  while (batch->length < MAX_BATCH && !g_queue_is_empty (&writer->queue))
    g_queue_push_tail (batch, g_queue_pop_head (&writer->queue));
  gboolean goes_on = batch->length > 0 || !writer->is_over;
  g_mutex_unlock (&writer->mutex);
  return goes_on;
}

static gpointer
writer_run (gpointer data)
{
  Writer *writer = data;
  GQueue batch = G_QUEUE_INIT;

  while (take_batch (writer, &batch))
    {
      if (g_queue_is_empty (&batch))
        probe (writer);
      while (!g_queue_is_empty (&batch))
        run_transaction (writer, &batch);
    }
  return NULL;
}

Writer *
writer_new (const char *name, Db *take_db, Returns *returns)
{
  Writer *writer = g_new0 (Writer, 1);
  writer->name = g_strdup (name);
  writer->db = take_db;
  writer->returns = returns;
  writer->is_healthy = TRUE;
  g_mutex_init (&writer->mutex);
  g_cond_init (&writer->cond);
  g_queue_init (&writer->queue);
  writer->thread = g_thread_new (name, writer_run, writer);
  return writer;
}

void
writer_free (Writer *writer)
{
  if (writer == NULL)
    return;
  g_mutex_lock (&writer->mutex);
  writer->is_over = TRUE;
  g_cond_signal (&writer->cond);
  g_mutex_unlock (&writer->mutex);
  g_thread_join (writer->thread);
  db_close (writer->db);
  g_mutex_clear (&writer->mutex);
  g_cond_clear (&writer->cond);
  g_free (writer->name);
  g_free (writer);
}

void
writer_take (Writer *writer, StoreJob *job)
{
  g_atomic_int_inc ((int *)&writer->backlog);
  g_mutex_lock (&writer->mutex);
  g_queue_push_tail (&writer->queue, job);
  g_cond_signal (&writer->cond);
  g_mutex_unlock (&writer->mutex);
}

guint
writer_get_backlog (Writer *writer)
{
  return (guint)g_atomic_int_get ((int *)&writer->backlog);
}

gboolean
writer_is_healthy (Writer *writer)
{
  return g_atomic_int_get (&writer->is_healthy);
}
