/* The secrets shared with providers and vendors (money.md, "Standard Webhooks" 3): rings in market.db,
 * sealed, newest first.
 *
 * The configured value only seeds a ring. A value that was replaced stays replaced: it does not come back by
 * standing in the file still, or again. When a key was used last is kept in memory and written by the sweep,
 * so that a callback costs no write. */
#pragma once

#include "common/net/webhook.h"
#include "host-server/market/books/desk.h"

#define RING_DEFAULT_OVERLAP_S G_GINT64_CONSTANT (86400) /* both keys are good while the two sides are changed */
#define RING_MAX_OVERLAP_S     G_GINT64_CONSTANT (2592000) /* 30 days */
#define RING_MAX_GOOD          4 /* keys at once: each costs every forged callback a computation */

typedef struct
{
  char *id; /* "s_…"; says nothing about the secret */
  gint64 not_before_us;
  gint64 not_after_us; /* 0: for ever */
  gint64 last_used_us; /* 0: never */
  gboolean is_dirty;   /* last_used_us is newer than the row's */
} RingKey;

typedef struct
{
  char *peer; /* "billing:stub", "vendor:acme" */
  WebhookRing *keys;
  GArray *notes; /* of RingKey, in the order of @keys */
} Ring;

void ring_free (Ring *ring);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Ring, ring_free)

/* The ring of @peer, inside a turn or on a reader; without keys if there is none. */
Ring *ring_read (const Desk *desk, Db *db, const char *peer, GError **error);
/* Inside a turn: the same, after @seed was put in as its newest key, unless it is or was in it. */
Ring *ring_load (Turn *turn, const char *peer, const Secret *seed, GError **error);

typedef enum
{
  RING_ROTATED,
  RING_SECRET_KNOWN, /* it is or was in the ring */
  RING_TOO_MANY,     /* RING_MAX_GOOD keys are good already */
} RingOutcome;

/* Whether @secret is one as @peer writes them; FALSE with @error, which does not contain it. */
gboolean ring_accepts (const Desk *desk, const char *peer, const Secret *secret, GError **error);
/* Makes @secret, which ring_accepts(), the newest key; all others end within @overlap_us. *@ring is the new
 * ring if it was. */
gboolean ring_rotate (Turn *turn, const char *peer, const Secret *secret, gint64 overlap_us,
                      RingOutcome *outcome, Ring **ring, GError **error);

/* The key at @index was used now. */
void ring_touch (Ring *ring, guint index, gint64 now_us);
/* Every key that is good now was used: we signed. */
void ring_touch_good (Ring *ring, gint64 now_us);
gboolean ring_key_is_good (const RingKey *key, gint64 now_us);
