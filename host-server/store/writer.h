/* The writer thread of one file: queued works, each in a savepoint, many to one commit. Inside store/ only.
 */
#pragma once

#include "host-server/store/job.h"

typedef struct Writer Writer;

/* Takes @db, which has the table store_probe. @name is for the log. */
Writer *writer_new (const char *name, Db *take_db, Returns *returns);
/* Runs what is queued, then ends the thread and closes the file. */
void writer_free (Writer *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Writer, writer_free)

void writer_take (Writer *writer, StoreJob *job);
guint writer_get_backlog (Writer *writer);
/* FALSE from a commit that failed to one that stands; the thread tries by itself every few seconds. */
gboolean writer_is_healthy (Writer *writer);
