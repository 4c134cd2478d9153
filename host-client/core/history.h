/* What was said, kept on this device. */
#pragma once

#include "common/base/db.h"

typedef enum
{
  HISTORY_RECEIVED,
  HISTORY_SENT,
} HistoryDirection;

typedef struct
{
  char *peer; /* bare JID */
  HistoryDirection direction;
  char *body;
  gint64 stamp_us;
} HistoryLine;

/* Lines kept in all; the oldest go. */
#define HISTORY_MAX 50000

typedef enum
{
  HISTORY_STORED,
  HISTORY_KNOWN, /* this very message (peer, direction and @origin) is there already: nothing was stored */
} HistoryOutcome;

typedef struct
{
  const char *peer;
  HistoryDirection direction;
  const char *origin; /* XEP-0359; NULL: it cannot be told from another with the same words, and is stored */
  const char *body;
  gint64 stamp_us; /* when it was written */
  gint64 now_us;
} HistoryEntry;

/* @known_us is set for KNOWN: when it was stored. FALSE with a DB_ERROR. */
gboolean history_add (Db *db, const HistoryEntry *entry, HistoryOutcome *outcome, gint64 *known_us,
                      GError **error);
/* The newest @limit lines with @peer (NULL: with anyone), oldest first: an array of HistoryLine. */
GPtrArray *history_read_last (Db *db, const char *peer, guint limit, GError **error);
/* Drops what is beyond HISTORY_MAX. */
gboolean history_trim (Db *db, GError **error);
