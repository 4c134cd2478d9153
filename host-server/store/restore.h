/* Puts a backup in the place of a store (money.md, "Backups").
 *
 * The backup is copied beside the store, checked, brought up to date and marked there; one rename says that
 * it is whole and is to be opened from now on. Moving its files into place can be broken off at any point:
 * opening the store goes on with it. What was there before is kept in a folder of its own. */
#pragma once

#include <glib.h>

typedef struct
{
  gint64 epoch;       /* of the store from now on */
  gint64 backup_us;   /* the newest thing that the backup knows of; 0: nothing */
  char *replaced;     /* where the store that was there lies now; NULL: there was none */
  GPtrArray *missing; /* of char *: packages whose file is neither in the backup nor in their folder */
} StoreRestored;

void store_restored_clear (StoreRestored *restored);

typedef struct
{
  const char *folder;   /* of the store */
  const char *key_file; /* as for store_open() */
  const char *packages; /* the folder of packages, which gets those that it lacks */
} StorePlaces;

/* Restores @backup (a folder that store_backup() made) into @places, which no server may use. @now_us is wall
 * time. FALSE with @error: the store is as it was. */
gboolean store_restore (const StorePlaces *places, const char *backup, gint64 now_us, StoreRestored *restored,
                        GError **error);

/* For store_open(), under the folder's lock: ends a restore that was decided and broken off. */
gboolean restore_finish (const char *folder, GError **error);
