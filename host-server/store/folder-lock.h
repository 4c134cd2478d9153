/* One process a store folder: two servers would each believe to own every lease. Inside store/ only. */
#pragma once

#include <glib.h>

/* Takes DATA/store.lock; the lock goes with the descriptor, which the caller closes. -1 with @error
 * (DB_ERROR_BUSY: another process has it). */
int folder_lock (const char *folder, GError **error);
