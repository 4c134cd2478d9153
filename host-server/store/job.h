/* What the store's threads hand back: jobs that are done, called on the owner's main context in the order
 * they ended. Inside store/ only. */
#pragma once

#include "host-server/store/store.h"

typedef struct
{
  StoreFile file;
  StoreWork work;
  StoreCompute compute; /* instead of work, for a job of the workers */
  StoreDone done;
  gpointer data;
  GError *error;
} StoreJob;

typedef struct Returns Returns;

/* Done functions are called on @context. */
Returns *returns_new (GMainContext *context);
/* Nothing may be outstanding. */
void returns_free (Returns *returns);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Returns, returns_free)

/* A job that will come back is counted before it is queued anywhere. */
StoreJob *returns_new_job (Returns *returns, StoreFile file, StoreWork work, StoreDone done, gpointer data);
/* Takes every job of @jobs, from any thread. */
void returns_take (Returns *returns, GQueue *jobs);
void returns_take_one (Returns *returns, StoreJob *job);
/* On the owner's thread: waits for what is outstanding and calls it, until nothing is left. */
void returns_finish (Returns *returns);
