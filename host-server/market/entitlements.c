#include "host-server/market/entitlements.h"

#include "host-server/market/keys.h"
#include "host-server/market/receipts.h"

void
entitlement_free (Entitlement *entitlement)
{
  if (entitlement == NULL)
    return;
  g_free (entitlement->line);
  g_free (entitlement);
}

Entitlement *
entitlement_load (Db *db, const char *account, const char *plugin, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT state, line, generation, expires_us, epoch FROM entitlement WHERE account = ? AND plugin = ?",
      "ss", account, plugin);
  if (!turn_find (query, &is_found, error) || !is_found)
    return NULL;
  Entitlement *entitlement = g_new0 (Entitlement, 1);
  if (!serial_state_from_text (db_get_text (query, 0), &entitlement->state))
    entitlement->state = SERIAL_REVOKED; /* a word of a later version: nothing is given out */
  entitlement->line = db_dup_text (query, 1);
  entitlement->generation = (guint)db_get_int (query, 2);
  entitlement->expires_us = db_get_int (query, 3);
  entitlement->epoch = db_get_int (query, 4);
  return entitlement;
}

gboolean
serial_bind (Turn *turn, const char *account, const char *plugin, const char *line, guint generation,
             const Secret *serial, gboolean *is_taken, GError **error)
{
  guint8 digest[SERIAL_DIGEST_BYTES];
  market_keys_digest_serial (&turn->desk->keys, plugin, serial, digest);
  if (!db_run (turn->db, error,
               "INSERT INTO issued_serial (plugin, digest, account, line, generation) VALUES (?, ?, ?, ?, ?)"
               " ON CONFLICT (plugin, digest) DO NOTHING",
               "sbssi", plugin, (const void *)digest, sizeof digest, account, line, (gint64)generation))
    return FALSE;
  *is_taken = FALSE;
  if (db_get_changes (turn->db) == 1)
    return TRUE;

  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (turn->db, "SELECT account FROM issued_serial WHERE plugin = ? AND digest = ?", "sb", plugin,
                  (const void *)digest, sizeof digest);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *is_taken = !is_found || !g_str_equal (db_get_text (query, 0), account);
  return TRUE;
}

/* The user's next version. */
static gboolean
raise_version (Turn *turn, const char *account, gint64 *ver, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (turn->db,
                  "INSERT INTO entitlement_version (account, ver) VALUES (?, 1)"
                  " ON CONFLICT (account) DO UPDATE SET ver = entitlement_version.ver + 1 RETURNING ver",
                  "s", account);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *ver = db_get_int (query, 0);
  turn_note_account (turn, account);
  return TRUE;
}

static char *
seal_label (const char *account, const char *plugin)
{
  return g_strconcat ("serial ", account, " ", plugin, NULL);
}

gboolean
entitlement_grant (Turn *turn, const EntitlementGrant *grant, GError **error)
{
  gint64 ver;
  if (!raise_version (turn, grant->account, &ver, error))
    return FALSE;
  g_autofree char *label = seal_label (grant->account, grant->plugin);
  g_autoptr (GBytes) sealed = store_seal (turn->desk->store, label, grant->serial);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  if (grant->expires_us > 0)
    turn_wake (turn, grant->expires_us);
  if (!receipts_note_grant (turn, grant, error))
    return FALSE;
  return db_run (
      turn->db, error,
      "INSERT INTO entitlement (account, plugin, state, line, generation, sealed, expires_us, epoch, ver)"
      " VALUES (?, ?, 'active', ?, ?, ?, ?, 1, ?) ON CONFLICT (account, plugin) DO UPDATE SET state = "
      "'active',"
      " line = excluded.line, generation = excluded.generation, sealed = excluded.sealed,"
      " expires_us = excluded.expires_us, epoch = entitlement.epoch + 1, ver = excluded.ver",
      "sssibii", grant->account, grant->plugin, grant->line, (gint64)grant->generation, bytes, length,
      grant->expires_us, ver);
}

gboolean
entitlement_revoke (Turn *turn, const char *account, const char *plugin, GError **error)
{
  gint64 ver;
  g_autoptr (GError) local = NULL;
  g_autoptr (Entitlement) entitlement = entitlement_load (turn->db, account, plugin, &local);
  if (local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (entitlement == NULL || entitlement->state == SERIAL_REVOKED)
    return TRUE;
  return raise_version (turn, account, &ver, error)
         && db_run (turn->db, error,
                    "UPDATE entitlement SET state = 'revoked', epoch = epoch + 1, ver = ? WHERE account = ? "
                    "AND plugin = ?",
                    "iss", ver, account, plugin);
}

gboolean
entitlements_expire (Turn *turn, const char *account, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) due = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query
        = account != NULL
              ? db_query (turn->db,
                          "SELECT account, plugin FROM entitlement WHERE account = ? AND state = 'active' "
                          "AND expires_us > 0"
                          " AND expires_us <= ? LIMIT 1000",
                          "si", account, turn->now_us)
              : db_query (turn->db,
                          "SELECT account, plugin FROM entitlement WHERE state = 'active' AND expires_us > 0"
                          " AND expires_us <= ? ORDER BY expires_us LIMIT 1000",
                          "i", turn->now_us);
    while (db_next (query, &local))
      {
        g_ptr_array_add (due, db_dup_text (query, 0));
        g_ptr_array_add (due, db_dup_text (query, 1));
      }
  }
  for (guint i = 0; i + 1 < due->len && local == NULL; i += 2)
    {
      gint64 ver;
      const char *owner = g_ptr_array_index (due, i), *plugin = g_ptr_array_index (due, i + 1);
      if (raise_version (turn, owner, &ver, &local)
          && db_run (turn->db, &local,
                     "UPDATE entitlement SET state = 'expired', epoch = epoch + 1, ver = ?"
                     " WHERE account = ? AND plugin = ? AND state = 'active'",
                     "iss", ver, owner, plugin))
        turn_log (turn, LOG_LEVEL_INFO, "entitlement expired account=%s plugin=%s", owner, plugin);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

#define ENTRY_COLUMNS "e.plugin, p.name, e.state, e.expires_us, e.epoch, e.sealed, p.vendor"

static SerialEntry *
read_entry (const Desk *desk, DbQuery *query, const char *account)
{
  SerialEntry *entry = serial_entry_new ();
  entry->plugin = db_dup_text (query, 0);
  entry->name = db_dup_text (query, 1);
  if (!serial_state_from_text (db_get_text (query, 2), &entry->state))
    entry->state = SERIAL_REVOKED;
  entry->expires_us = db_get_int (query, 3);
  entry->epoch = db_get_int (query, 4);
  entry->user = pairwise_name (desk->keys.pairwise, db_get_text (query, 6), account);
  if (entry->state != SERIAL_ACTIVE)
    return entry;

  gsize length;
  const void *sealed = db_get_blob (query, 5, &length);
  g_autofree char *label = seal_label (account, entry->plugin);
  entry->serial = store_unseal (desk->store, label, sealed, length);
  if (entry->serial == NULL)
    log_error ("market", "a stored serial cannot be opened account=%s plugin=%s", account, entry->plugin);
  return entry;
}

Serials *
entitlements_read (const Desk *desk, Db *db, const char *account, gint64 since, gint64 *ver,
                   gint64 *next_expiry_us, GError **error)
{
  GError *local = NULL;
  gint64 next = 0;
  *ver = 0;
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func ((GDestroyNotify)serial_entry_free);
  {
    /* One statement is one snapshot: the version is the newest of its own rows. */
    g_autoptr (DbQuery) query
        = db_query (db,
                    "SELECT " ENTRY_COLUMNS
                    ", e.ver FROM entitlement e JOIN plugin p ON p.id = e.plugin WHERE e.account = ?"
                    " ORDER BY e.plugin",
                    "s", account);
    while (db_next (query, &local))
      {
        gint64 row_ver = db_get_int (query, 7), expires_us = db_get_int (query, 3);
        *ver = MAX (*ver, row_ver);
        if (g_strcmp0 (db_get_text (query, 2), "active") == 0 && expires_us > 0
            && (next == 0 || expires_us < next))
          next = expires_us;
        if (row_ver > since)
          g_ptr_array_add (entries, read_entry (desk, query, account));
      }
  }
  if (next_expiry_us != NULL)
    *next_expiry_us = next;
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return NULL;
    }
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, *ver);
  Serials *serials = serials_new (text);
  g_ptr_array_unref (serials->entries);
  serials->entries = g_steal_pointer (&entries);
  return serials;
}

SerialEntry *
entitlement_read_entry (const Desk *desk, Db *db, const char *account, const char *plugin, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT " ENTRY_COLUMNS " FROM entitlement e JOIN plugin p ON p.id = e.plugin"
                  " WHERE e.account = ? AND e.plugin = ?",
                  "ss", account, plugin);
  if (!turn_find (query, &is_found, error) || !is_found)
    return NULL;
  return read_entry (desk, query, account);
}
