/* Messages the user has sent and the server has not yet been seen to take. They are on disk, so that neither
 * a lost connection nor a killed client loses them; each goes out again under its old id until it is
 * confirmed.
 *
 * Several clients may run on one account: a message belongs to the process that wrote it (its owner) until
 * that process has ended, which a lock on a file tells, and may then be adopted by another. */
#pragma once

#include "common/base/clock.h"
#include "common/base/db.h"

typedef struct Outbox Outbox;

#define OUTBOX_MAX 1000 /* messages of one account that wait */

typedef struct
{
  gint64 seq;
  char *id, *peer, *body;
  gint64 created_us;
} OutboxItem;

/* @folder is where the lock file lies. @db and @clock outlive the outbox. */
Outbox *outbox_open (Db *db, const char *folder, const Clock *clock, GError **error);
void outbox_free (Outbox *outbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Outbox, outbox_free)

/* Stores a message. Its id is the caller's to free; NULL if OUTBOX_MAX wait already (no @error), or with a
 * DB_ERROR. @seq (nullable) gets its place in the queue. */
char *outbox_add (Outbox *outbox, const char *peer, const char *body, gint64 *seq, GError **error);
/* Our messages behind @after_seq, in order: an array of OutboxItem; NULL with a DB_ERROR. */
GPtrArray *outbox_list (Outbox *outbox, gint64 after_seq, GError **error);
/* The server has all of ours up to @seq. */
gboolean outbox_confirm (Outbox *outbox, gint64 up_to_seq, GError **error);
/* This one is not to be sent (again). */
gboolean outbox_remove (Outbox *outbox, const char *id, GError **error);
/* Takes over what ended processes left. FALSE with a DB_ERROR. */
gboolean outbox_adopt (Outbox *outbox, GError **error);
