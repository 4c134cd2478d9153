#include "host-server/market/rings.h"

#include "common/base/id.h"
#include "host-server/market/room.h"

#include <string.h>

typedef struct
{
  RingKey note;
  Secret *secret;
} RingRow;

static void
ring_key_clear (gpointer data)
{
  g_free (((RingKey *)data)->id);
}

static void
ring_row_clear (gpointer data)
{
  RingRow *row = data;
  ring_key_clear (&row->note);
  secret_free (row->secret);
}

void
ring_free (Ring *ring)
{
  if (ring == NULL)
    return;
  g_free (ring->peer);
  webhook_ring_free (ring->keys);
  g_array_unref (ring->notes);
  g_free (ring);
}

gboolean
ring_key_is_good (const RingKey *key, gint64 now_us)
{
  return now_us >= key->not_before_us && (key->not_after_us == 0 || now_us < key->not_after_us);
}

/* Newest first. */
static GArray *
load_rows (const Desk *desk, Db *db, const char *peer, GError **error)
{
  GError *local = NULL;
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (RingRow));
  g_array_set_clear_func (rows, ring_row_clear);
  g_autofree char *label = g_strconcat ("webhook ", peer, NULL);
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT id, sealed, not_before_us, not_after_us, last_used_us FROM webhook_secret WHERE peer = ?"
      " ORDER BY not_before_us DESC, id DESC",
      "s", peer);
  while (db_next (query, &local))
    {
      gsize length;
      const void *sealed = db_get_blob (query, 1, &length);
      RingRow row = { .secret = store_unseal (desk->store, label, sealed, length) };
      if (row.secret == NULL)
        {
          log_error ("market", "a webhook secret cannot be opened peer=%s", peer);
          continue;
        }
      row.note = (RingKey){ .id = db_dup_text (query, 0),
                            .not_before_us = db_get_int (query, 2),
                            .not_after_us = db_get_int (query, 3),
                            .last_used_us = db_get_int (query, 4) };
      g_array_append_val (rows, row);
    }
  if (local == NULL)
    return g_steal_pointer (&rows);
  g_propagate_error (error, local);
  return NULL;
}

/* Adds a key as @peer writes its secrets: as Standard Webhooks says, unless its provider has a form of its own. */
static gboolean
add_to (const Desk *desk, const char *peer, WebhookRing *keys, const Secret *secret, gint64 not_before_us,
        gint64 not_after_us, GError **error)
{
  static const char billing[] = "billing:";
  const Provider *provider
      = g_str_has_prefix (peer, billing) ? desk_find_provider (desk, peer + strlen (billing)) : NULL;
  return provider != NULL ? provider->type->add_secret (keys, secret, not_before_us, not_after_us, error)
                          : webhook_ring_add (keys, secret, not_before_us, not_after_us, error);
}

gboolean
ring_accepts (const Desk *desk, const char *peer, const Secret *secret, GError **error)
{
  g_autoptr (WebhookRing) probe = webhook_ring_new ();
  return add_to (desk, peer, probe, secret, 0, 0, error);
}

static Ring *
make_ring (const Desk *desk, const char *peer, const GArray *rows, GError **error)
{
  g_autoptr (Ring) ring = g_new0 (Ring, 1);
  ring->peer = g_strdup (peer);
  ring->keys = webhook_ring_new ();
  ring->notes = g_array_new (FALSE, FALSE, sizeof (RingKey));
  g_array_set_clear_func (ring->notes, ring_key_clear);
  for (guint i = 0; i < rows->len; i++)
    {
      const RingRow *row = &g_array_index (rows, RingRow, i);
      if (!add_to (desk, peer, ring->keys, row->secret, row->note.not_before_us, row->note.not_after_us, error))
        return NULL;
      RingKey note = row->note;
      note.id = g_strdup (note.id);
      g_array_append_val (ring->notes, note);
    }
  return g_steal_pointer (&ring);
}

Ring *
ring_read (const Desk *desk, Db *db, const char *peer, GError **error)
{
  g_autoptr (GArray) rows = load_rows (desk, db, peer, error);
  return rows != NULL ? make_ring (desk, peer, rows, error) : NULL;
}

static const RingRow *
find_secret (const GArray *rows, const Secret *secret)
{
  for (guint i = 0; i < rows->len; i++)
    {
      const RingRow *row = &g_array_index (rows, RingRow, i);
      if (secret_equal (row->secret, secret))
        return row;
    }
  return NULL;
}

/* The new key begins now, and the first one of a ring at the beginning: a clock that is set back leaves it
 * good. */
static gboolean
add_key (Turn *turn, const char *peer, const Secret *secret, gboolean is_first, gint64 overlap_us,
         GError **error)
{
  gint64 end_us = turn->now_us + overlap_us;
  g_autofree char *id = id_new_sortable ("s_", turn->desk->clock);
  g_autofree char *label = g_strconcat ("webhook ", peer, NULL);
  g_autoptr (GBytes) sealed = store_seal (turn->desk->store, label, secret);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  return db_run (turn->db, error,
                 "UPDATE webhook_secret SET not_after_us = ? WHERE peer = ? AND (not_after_us = 0 OR "
                 "not_after_us > ?)",
                 "isi", end_us, peer, end_us)
         && db_run (turn->db, error,
                    "INSERT INTO webhook_secret (id, peer, sealed, not_before_us, not_after_us, last_used_us)"
                    " VALUES (?, ?, ?, ?, 0, 0)",
                    "ssbi", id, peer, bytes, length, is_first ? (gint64)0 : turn->now_us);
}

Ring *
ring_load (Turn *turn, const char *peer, const Secret *seed, GError **error)
{
  g_autoptr (GArray) rows = load_rows (turn->desk, turn->db, peer, error);
  if (rows == NULL)
    return NULL;
  const RingRow *known = find_secret (rows, seed);
  if (known != NULL && known->note.not_after_us != 0)
    {
      g_autofree char *end = clock_dup_rfc3339 (known->note.not_after_us);
      turn_log (turn, LOG_LEVEL_WARNING,
                "the configured webhook secret was replaced peer=%s key=%s: it ends at %s and is not taken "
                "up again",
                peer, known->note.id, end);
    }
  if (known == NULL)
    {
      if (rows->len > 0)
        turn_log (turn, LOG_LEVEL_INFO, "the configured webhook secret is another one: rotated peer=%s",
                  peer);
      if (!add_key (turn, peer, seed, rows->len == 0, RING_DEFAULT_OVERLAP_S * G_USEC_PER_SEC, error))
        return NULL;
    }
  return ring_read (turn->desk, turn->db, peer, error);
}

gboolean
ring_rotate (Turn *turn, const char *peer, const Secret *secret, gint64 overlap_us, RingOutcome *outcome,
             Ring **ring, GError **error)
{
  g_autoptr (GArray) rows = load_rows (turn->desk, turn->db, peer, error);
  *ring = NULL;
  if (rows == NULL)
    return FALSE;
  *outcome = RING_SECRET_KNOWN;
  if (find_secret (rows, secret) != NULL)
    return TRUE;
  guint n_good = 0;
  for (guint i = 0; i < rows->len; i++)
    n_good += ring_key_is_good (&g_array_index (rows, RingRow, i).note, turn->now_us);
  *outcome = RING_TOO_MANY;
  if (overlap_us > 0 && n_good >= RING_MAX_GOOD)
    return TRUE;
  *outcome = RING_ROTATED;
  if (!add_key (turn, peer, secret, rows->len == 0, overlap_us, error))
    return FALSE;
  *ring = ring_read (turn->desk, turn->db, peer, error);
  return *ring != NULL;
}

void
ring_touch (Ring *ring, guint index, gint64 now_us)
{
  RingKey *key = &g_array_index (ring->notes, RingKey, index);
  if (now_us <= key->last_used_us)
    return;
  key->last_used_us = now_us;
  key->is_dirty = TRUE;
}

void
ring_touch_good (Ring *ring, gint64 now_us)
{
  for (guint i = 0; i < ring->notes->len; i++)
    if (ring_key_is_good (&g_array_index (ring->notes, RingKey, i), now_us))
      ring_touch (ring, i, now_us);
}

/* The rings in memory. */

Ring *
ring_peek_vendor (Market *market, const char *vendor)
{
  Ring *ring = g_hash_table_lookup (market->vendor_rings, vendor);
  if (ring != NULL)
    return ring;
  g_autoptr (GError) error = NULL;
  g_autofree char *peer = g_strconcat ("vendor:", vendor, NULL);
  ring = ring_read (&market->desk, market_peek_reader (market), peer, &error);
  if (error != NULL)
    log_error ("market", "the secrets of vendor %s cannot be read: %s", vendor, error->message);
  if (ring != NULL && ring->notes->len == 0)
    g_clear_pointer (&ring, ring_free);
  if (ring != NULL)
    g_hash_table_insert (market->vendor_rings, g_strdup (vendor), ring);
  return ring;
}

WebhookRing *
ring_find_vendor (Market *market, const char *vendor)
{
  Ring *ring = ring_peek_vendor (market, vendor);
  if (ring == NULL)
    return NULL;
  ring_touch_good (ring, clock_get_wall_us (market->desk.clock));
  return ring->keys;
}

Ring *
ring_find_billing (Market *market, const char *provider)
{
  return g_hash_table_lookup (market->billing_rings, provider);
}

void
ring_replace (Market *market, Ring *take_ring)
{
  const char *colon = strchr (take_ring->peer, ':');
  gboolean is_vendor = g_str_has_prefix (take_ring->peer, "vendor:");
  GHashTable *rings = is_vendor ? market->vendor_rings : market->billing_rings;
  const Ring *old = g_hash_table_lookup (rings, colon + 1);
  for (guint i = 0; old != NULL && i < old->notes->len; i++)
    for (guint k = 0; k < take_ring->notes->len; k++)
      {
        const RingKey *key = &g_array_index (old->notes, RingKey, i);
        if (key->is_dirty && g_str_equal (key->id, g_array_index (take_ring->notes, RingKey, k).id))
          ring_touch (take_ring, k, key->last_used_us);
      }
  g_hash_table_replace (rings, g_strdup (colon + 1), take_ring);
}

typedef struct
{
  char *id;
  gint64 last_used_us;
} Use;

static void
use_clear (gpointer data)
{
  g_free (((Use *)data)->id);
}

static gboolean
flush_work (Turn *turn, gpointer data, GError **error)
{
  const GArray *uses = data;
  for (guint i = 0; i < uses->len; i++)
    {
      const Use *use = &g_array_index (uses, Use, i);
      if (!db_run (turn->db, error, "UPDATE webhook_secret SET last_used_us = ? WHERE id = ?", "is",
                   use->last_used_us, use->id))
        return FALSE;
    }
  return TRUE;
}

static void
flush_done (Market *market, gpointer data, const GError *error)
{
  if (error != NULL)
    log_error ("market", "when secrets were used could not be stored: %s", error->message);
  g_array_unref (data);
}

static void
collect_uses (GHashTable *rings, GArray *uses)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, rings);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    for (guint i = 0; i < ((Ring *)value)->notes->len; i++)
      {
        RingKey *key = &g_array_index (((Ring *)value)->notes, RingKey, i);
        if (!key->is_dirty)
          continue;
        Use use = { g_strdup (key->id), key->last_used_us };
        g_array_append_val (uses, use);
        key->is_dirty = FALSE;
      }
}

void
rings_flush (Market *market)
{
  GArray *uses = g_array_new (FALSE, FALSE, sizeof (Use));
  g_array_set_clear_func (uses, use_clear);
  collect_uses (market->billing_rings, uses);
  collect_uses (market->vendor_rings, uses);
  if (uses->len > 0)
    market_write (market, flush_work, flush_done, uses);
  else
    g_array_unref (uses);
}
