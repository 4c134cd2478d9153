#include "host-server/market/room.h"

#include "common/base/id.h"

#include <string.h>

/* How long the secret before the configured one is still taken: a provider signs each attempt anew, so this
 * covers deliveries under way while both sides are changed. */
#define OVERLAP_US (G_GINT64_CONSTANT (24) * 3600 * G_USEC_PER_SEC)

typedef struct
{
  char *id;
  Secret *secret;
  gint64 not_before_us, not_after_us;
} RingRow;

static void
ring_row_clear (gpointer data)
{
  RingRow *row = data;
  g_free (row->id);
  secret_free (row->secret);
}

/* Newest first. */
static GArray *
load_rows (const Desk *desk, Db *db, const char *peer, GError **error)
{
  GError *local = NULL;
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (RingRow));
  g_array_set_clear_func (rows, ring_row_clear);
  g_autofree char *label = g_strconcat ("webhook ", peer, NULL);
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT id, sealed, not_before_us, not_after_us FROM webhook_secret WHERE peer = ?"
                  " ORDER BY not_before_us DESC, id DESC",
                  "s", peer);
  while (db_next (query, &local))
    {
      gsize length;
      const void *sealed = db_get_blob (query, 1, &length);
      RingRow row = { db_dup_text (query, 0), store_unseal (desk->store, label, sealed, length),
                      db_get_int (query, 2), db_get_int (query, 3) };
      if (row.secret == NULL)
        {
          log_error ("market", "a webhook secret cannot be opened peer=%s", peer);
          ring_row_clear (&row);
          continue;
        }
      g_array_append_val (rows, row);
    }
  if (local == NULL)
    return g_steal_pointer (&rows);
  g_propagate_error (error, local);
  return NULL;
}

typedef gboolean (*SecretAdd) (WebhookRing *ring, const Secret *text, gint64 not_before_us,
                               gint64 not_after_us, GError **error);

/* How the secrets of @peer are written: as Standard Webhooks says, unless its provider has its own form. */
static SecretAdd
choose_add (const Desk *desk, const char *peer)
{
  static const char billing[] = "billing:";
  const Provider *provider
      = g_str_has_prefix (peer, billing) ? desk_find_provider (desk, peer + strlen (billing)) : NULL;
  return provider != NULL ? provider->type->add_secret : webhook_ring_add;
}

static WebhookRing *
make_ring (const GArray *rows, SecretAdd add, GError **error)
{
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  for (guint i = 0; i < rows->len; i++)
    {
      const RingRow *row = &g_array_index (rows, RingRow, i);
      if (!add (ring, row->secret, row->not_before_us, row->not_after_us, error))
        return NULL;
    }
  return g_steal_pointer (&ring);
}

WebhookRing *
ring_load (Turn *turn, const char *peer, const Secret *seed, GError **error)
{
  g_autoptr (GArray) rows = load_rows (turn->desk, turn->db, peer, error);
  if (rows == NULL)
    return NULL;

  gboolean is_there = seed == NULL;
  for (guint i = 0; i < rows->len; i++)
    is_there |= secret_equal (g_array_index (rows, RingRow, i).secret, seed);
  if (!is_there)
    {
      g_autofree char *id = id_new_sortable ("s_", turn->desk->clock);
      g_autofree char *label = g_strconcat ("webhook ", peer, NULL);
      g_autoptr (GBytes) sealed = store_seal (turn->desk->store, label, seed);
      gsize length;
      const void *bytes = g_bytes_get_data (sealed, &length);
      if (!db_run (turn->db, error,
                   "UPDATE webhook_secret SET not_after_us = ? WHERE peer = ? AND not_after_us = 0", "is",
                   turn->now_us + OVERLAP_US, peer)
          || !db_run (
              turn->db, error,
              "INSERT INTO webhook_secret (id, peer, sealed, not_before_us, not_after_us, last_used_us)"
              " VALUES (?, ?, ?, 0, 0, 0)",
              "ssb", id, peer, bytes, length))
        return NULL;
      g_array_unref (rows);
      rows = load_rows (turn->desk, turn->db, peer, error);
      if (rows == NULL)
        return NULL;
    }
  return make_ring (rows, choose_add (turn->desk, peer), error);
}

WebhookRing *
ring_find_vendor (Market *market, const char *vendor)
{
  WebhookRing *ring = g_hash_table_lookup (market->vendor_rings, vendor);
  if (ring != NULL)
    return ring;
  g_autoptr (GError) error = NULL;
  g_autofree char *peer = g_strconcat ("vendor:", vendor, NULL);
  g_autoptr (GArray) rows = load_rows (&market->desk, market_peek_reader (market), peer, &error);
  if (rows != NULL && rows->len > 0)
    ring = make_ring (rows, webhook_ring_add, &error);
  if (ring != NULL)
    g_hash_table_insert (market->vendor_rings, g_strdup (vendor), ring);
  if (error != NULL)
    log_error ("market", "the secrets of vendor %s cannot be read: %s", vendor, error->message);
  return ring;
}
