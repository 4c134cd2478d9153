/* A store that came from a backup (money.md, "Backups"): what happened after the backup is not in it.
 *
 * Its epoch is one higher than that of the store it replaces. Sales are closed until a comparison with the
 * providers has found nothing to say, and keys that were free in the backup are frozen, since they may have
 * been given out: a person thaws those of which the vendor says that they were not. */
#pragma once

#include "host-server/market/books/desk.h"

#define RESTORED_NOTE "the store was restored; run `hostctl reconcile --from-provider`"

typedef struct
{
  gint64 epoch;       /* of the store; 1: never restored */
  gint64 restored_us; /* 0: never */
  gint64 backup_us;   /* the newest thing that the backup knew of */
  gboolean is_open;   /* for sales */
} Restored;

/* Also outside a turn. */
gboolean restored_read (Db *db, Restored *restored, GError **error);
/* Sales are open from now on. */
gboolean restored_open (Turn *turn, GError **error);
