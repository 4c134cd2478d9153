/* Pools: keys that a vendor made beforehand. Delivered or burned, a key is never given out again. */
#pragma once

#include "host-server/market/books/desk.h"

#define POOL_MAX_KEYS  100000 /* of one import */
#define POOL_LOW_WATER 10     /* free keys at which the vendor is warned */

/* What a line of an import is wrong with. */
typedef struct
{
  guint line; /* from 1 */
  const char *reason;
} PoolFault;

/* The keys of a file, one a line, printable ASCII, empty lines ignored; what is wrong, duplicates inside the
 * file too, is added to @faults (of PoolFault). Pure. An array of Secrets; the caller unrefs it. */
GPtrArray *pool_parse (const char *text, gsize length, GArray *faults);

typedef struct
{
  guint n_new;
  guint n_known; /* already in the pool, or issued before: not added again */
} PoolImport;

/* Adds @keys (of Secret) to the pool of @plugin; @is_dry_run: only counts. */
gboolean pool_import (Turn *turn, const char *plugin, const GPtrArray *keys, gboolean is_dry_run,
                      PoolImport *result, GError **error);

typedef enum
{
  POOL_DELIVER,
  POOL_RESERVE, /* set aside: it may come back to the pool, since nobody has seen it */
} PoolUse;

/* Takes the next free key for (line, generation). *@key is NULL if the pool is empty. */
gboolean pool_take (Turn *turn, const char *plugin, const char *line, guint generation, PoolUse use,
                    Secret **key, GError **error);
/* What is set aside for @line is delivered. */
gboolean pool_deliver (Turn *turn, const char *line, GError **error);
/* What is set aside for @line is free again; frozen, if that was before the store came from a backup, for then the
 * key may have been given out since. */
gboolean pool_release (Turn *turn, const char *line, GError **error);
typedef struct
{
  guint n_thawed;
  guint n_left;    /* still frozen */
  guint n_unknown; /* of @keys: not in the pool, or not frozen */
} PoolThaw;

/* Makes frozen keys free: @keys (of Secret), or all if that is NULL. */
gboolean pool_thaw (Turn *turn, const char *plugin, const GPtrArray *keys, PoolThaw *result, GError **error);
/* Whether keys are frozen: who waits for one may yet get it. Also outside a turn. */
gboolean pool_is_frozen (Db *db, const char *plugin, gboolean *is_frozen, GError **error);
/* Burns what was delivered for @line. */
gboolean pool_burn (Turn *turn, const char *line, GError **error);
/* Whether there is a free key: one indexed read, also outside a turn. FALSE also on a fault. */
gboolean pool_has_free (Db *db, const char *plugin);
