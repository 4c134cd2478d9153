/* The user's plugins and serials as the market last told them, kept on this device between sessions: in the
 * account's database, a file of mode 0600 in a folder of mode 0700. */
#pragma once

#include "common/base/db.h"
#include "common/protocol/serials.h"

typedef struct SerialBook SerialBook;

/* @db outlives the book. NULL with a DB_ERROR. */
SerialBook *serial_book_new (Db *db, GError **error);
void serial_book_free (SerialBook *book);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SerialBook, serial_book_free)

/* The version held; NULL: none. */
const char *serial_book_peek_ver (const SerialBook *book);
/* NULL if the market never spoke of @plugin. */
const SerialEntry *serial_book_find (const SerialBook *book, const char *plugin);
/* Sorted by plugin: an array of SerialEntry, lent; the caller unrefs the array. */
GPtrArray *serial_book_list (const SerialBook *book);

typedef enum
{
  SERIAL_BOOK_APPLIED,
  SERIAL_BOOK_UNCHANGED,
  SERIAL_BOOK_GAP, /* the push builds on another version: ask for everything */
} SerialBookOutcome;

/* An answer to our question: everything, or "unchanged". On disk when it returns; FALSE with a DB_ERROR, and
 * then nothing has changed. */
gboolean serial_book_apply_answer (SerialBook *book, const Serials *answer, SerialBookOutcome *outcome,
                                   GError **error);
/* A push: what changed since the version it names. */
gboolean serial_book_apply_push (SerialBook *book, const Serials *push, SerialBookOutcome *outcome,
                                 GError **error);
/* One entry by itself, the replacement of a refused serial: taken unless a later epoch is held. */
gboolean serial_book_apply_entry (SerialBook *book, const SerialEntry *entry, SerialBookOutcome *outcome,
                                  GError **error);
