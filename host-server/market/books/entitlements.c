#include "host-server/market/books/entitlements.h"

#include "host-server/market/books/keys.h"
#include "host-server/market/books/receipts.h"
#include "host-server/market/books/term.h"

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
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT state, line, generation, expires_us, epoch, reissue_us FROM entitlement"
                  " WHERE account = ? AND plugin = ?",
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
  entitlement->reissue_us = db_get_int (query, 5);
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

GBytes *
entitlement_seal (const Desk *desk, const char *account, const char *plugin, const Secret *serial)
{
  g_autofree char *label = seal_label (account, plugin);
  return store_seal (desk->store, label, serial);
}

Secret *
entitlement_unseal (const Desk *desk, const char *account, const char *plugin, const void *sealed,
                    gsize length)
{
  g_autofree char *label = seal_label (account, plugin);
  return store_unseal (desk->store, label, sealed, length);
}

/* A line that has not ended, with the newest serial that was issued for it. */
typedef struct
{
  char *line, *term;
  gint64 granted_us;
  gboolean is_disputed;
  gint64 generation; /* -1: none was issued */
} Standing;

static void
standing_clear (gpointer data)
{
  Standing *standing = data;
  g_free (standing->line);
  g_free (standing->term);
}

/* The newest generation of the line l whose serial was issued; NULL: none was. */
#define NEWEST_ISSUED                                                                                        \
  "(SELECT MAX (g.generation) FROM generation g WHERE g.line = l.id AND g.state = 'issued'"                  \
  " AND g.sealed IS NOT NULL)"

static GArray *
load_standing (Turn *turn, const char *account, const char *plugin, GError **error)
{
  GError *local = NULL;
  g_autoptr (GArray) lines = g_array_new (FALSE, FALSE, sizeof (Standing));
  g_array_set_clear_func (lines, standing_clear);
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "SELECT e.line, l.term, e.granted_us, e.state, " NEWEST_ISSUED
      " FROM entitlement_line e JOIN purchase_line l ON l.id = e.line"
      " WHERE e.account = ? AND e.plugin = ? AND e.state <> 'ended' ORDER BY e.granted_us, e.line",
      "ss", account, plugin);
  while (db_next (query, &local))
    {
      Standing standing = { db_dup_text (query, 0), db_dup_text (query, 1), db_get_int (query, 2),
                            g_strcmp0 (db_get_text (query, 3), "disputed") == 0,
                            db_is_null (query, 4) ? -1 : db_get_int (query, 4) };
      g_array_append_val (lines, standing);
    }
  if (local == NULL)
    return g_steal_pointer (&lines);
  g_propagate_error (error, local);
  return NULL;
}

/* Where the lines lead, those in dispute or not: FALSE if there are none. *@end_us is 0 for ever. */
static gboolean
find_end (const GArray *lines, gboolean with_disputed, gint64 *end_us)
{
  g_autofree TermSpan *spans = g_new (TermSpan, lines->len);
  gsize n = 0;
  for (guint i = 0; i < lines->len; i++)
    {
      const Standing *line = &g_array_index (lines, Standing, i);
      if (with_disputed || !line->is_disputed)
        spans[n++] = (TermSpan){ line->term, line->granted_us };
    }
  *end_us = terms_get_end (spans, n);
  return n > 0;
}

static gboolean
runs (gint64 end_us, gint64 now_us)
{
  return end_us == 0 || end_us > now_us;
}

/* What the lines say: *@with_disputed tells whose serial is shown. */
static SerialState
judge (const GArray *lines, gint64 now_us, const Entitlement *current, gint64 *end_us,
       gboolean *with_disputed)
{
  SerialState state;
  *with_disputed = FALSE;
  if (find_end (lines, FALSE, end_us) && runs (*end_us, now_us))
    state = SERIAL_ACTIVE;
  else
    {
      *with_disputed = TRUE;
      if (!find_end (lines, TRUE, end_us))
        return SERIAL_REVOKED;
      state = runs (*end_us, now_us) ? SERIAL_SUSPENDED : SERIAL_EXPIRED;
    }
  /* What has expired stays so until another purchase leads further, whatever the clock says now. */
  if (current != NULL && current->state == SERIAL_EXPIRED && *end_us != 0 && *end_us <= current->expires_us)
    return SERIAL_EXPIRED;
  return state;
}

static const Standing *
find_shown (const GArray *lines, gboolean with_disputed)
{
  for (guint i = lines->len; i-- > 0;)
    {
      const Standing *line = &g_array_index (lines, Standing, i);
      if (line->generation >= 0 && (with_disputed || !line->is_disputed))
        return line;
    }
  return NULL;
}

/* The vendor counts from the payment, we from the fulfilment: so much earlier is the same. */
#define VENDOR_SLACK_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

static gboolean
write_entitlement (Turn *turn, const char *account, const char *plugin, const Entitlement *current,
                   Entitlement *next, GError **error)
{
  gint64 ver, vendor_end_us, reissue_us;
  g_autoptr (GBytes) sealed = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query = db_query (
        turn->db, "SELECT sealed, expires_us, reissue_us FROM generation WHERE line = ? AND generation = ?",
        "si", next->line, (gint64)next->generation);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    gsize length = 0;
    const void *bytes = is_found ? db_get_blob (query, 0, &length) : NULL;
    sealed = g_bytes_new (bytes, length);
    vendor_end_us = is_found ? db_get_int (query, 1) : 0;
    reissue_us = is_found ? db_get_int (query, 2) : 0;
  }
  gboolean ends_early
      = vendor_end_us > 0 && (next->expires_us == 0 || vendor_end_us + VENDOR_SLACK_US < next->expires_us);
  next->reissue_us = ends_early ? reissue_us : 0;
  if (current != NULL && current->state == next->state && current->expires_us == next->expires_us
      && current->generation == next->generation && current->reissue_us == next->reissue_us
      && g_str_equal (current->line, next->line))
    return TRUE;

  if (!raise_version (turn, account, &ver, error))
    return FALSE;
  if (next->state == SERIAL_ACTIVE || next->state == SERIAL_SUSPENDED)
    {
      if (next->expires_us > 0)
        turn_wake (turn, next->expires_us);
      if (next->reissue_us > 0)
        turn_wake (turn, next->reissue_us);
    }
  if (current == NULL || current->state != next->state)
    turn_log (turn, LOG_LEVEL_INFO, "entitlement account=%s plugin=%s %s -> %s", account, plugin,
              current != NULL ? serial_state_to_text (current->state) : "absent",
              serial_state_to_text (next->state));
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  gboolean is_other_serial = current == NULL || current->generation != next->generation
                             || !g_str_equal (current->line, next->line);
  g_autoptr (Secret) serial = is_other_serial && next->state != SERIAL_REVOKED && length > 0
                                  ? entitlement_unseal (turn->desk, account, plugin, bytes, length)
                                  : NULL;
  if (serial != NULL && !receipts_note_serial (turn, next->line, serial, error))
    return FALSE;
  return db_run (
      turn->db, error,
      "INSERT INTO entitlement (account, plugin, state, line, generation, sealed, expires_us, reissue_us,"
      " epoch, ver) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (account, plugin) DO UPDATE SET"
      " state = excluded.state, line = excluded.line, generation = excluded.generation,"
      " sealed = excluded.sealed, expires_us = excluded.expires_us, reissue_us = excluded.reissue_us,"
      " epoch = entitlement.epoch + 1, ver = excluded.ver",
      "ssssibiii", account, plugin, serial_state_to_text (next->state), next->line, (gint64)next->generation,
      length > 0 ? bytes : "", length, next->expires_us, next->reissue_us, ver);
}

/* What all lines say. */
static gboolean
settle_from_lines (Turn *turn, const char *account, const char *plugin, const Entitlement *current,
                   GError **error)
{
  g_autoptr (GArray) lines = load_standing (turn, account, plugin, error);
  if (lines == NULL)
    return FALSE;
  gboolean with_disputed;
  g_autoptr (Entitlement) next = g_new0 (Entitlement, 1);
  next->state = judge (lines, turn->now_us, current, &next->expires_us, &with_disputed);
  const Standing *shown = find_shown (lines, with_disputed);
  if (shown == NULL && current == NULL)
    return TRUE; /* nothing was ever issued */
  next->line = g_strdup (shown != NULL ? shown->line : current->line);
  next->generation = shown != NULL ? (guint)shown->generation : current->generation;
  if (next->state == SERIAL_REVOKED) /* it keeps the end it had */
    next->expires_us = current != NULL ? current->expires_us : 0;
  return write_entitlement (turn, account, plugin, current, next, error);
}

/* What a new line behind all others makes of an entitlement that runs: their sum is known. *@is_known is
 * FALSE if it is not behind them, and then all lines have to be read. */
static gboolean
settle_extended (Turn *turn, const char *account, const char *plugin, const char *line,
                 const Entitlement *current, gboolean *is_known, GError **error)
{
  g_autoptr (Entitlement) next = g_new0 (Entitlement, 1);
  *is_known = FALSE;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query = db_query (
        turn->db,
        "SELECT l.term, " NEWEST_ISSUED ", (SELECT e.granted_us FROM entitlement_line e"
        " WHERE e.account = ? AND e.plugin = ? AND e.line <> l.id ORDER BY e.granted_us DESC LIMIT 1)"
        " FROM purchase_line l WHERE l.id = ?",
        "sss", account, plugin, line);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    if (!is_found || db_is_null (query, 1) || db_is_null (query, 2) || db_get_int (query, 2) >= turn->now_us)
      return TRUE;
    next->generation = (guint)db_get_int (query, 1);
    if (current->expires_us > 0)
      next->expires_us = term_add (db_get_text (query, 0), MAX (turn->now_us, current->expires_us));
  }
  *is_known = TRUE;
  next->state = SERIAL_ACTIVE;
  next->line = g_strdup (line);
  return write_entitlement (turn, account, plugin, current, next, error);
}

/* @added: a line that was added just now and counts; NULL: any may have changed. */
static gboolean
settle (Turn *turn, const char *account, const char *plugin, const char *added, GError **error)
{
  GError *local = NULL;
  gboolean is_known = FALSE;
  g_autoptr (Entitlement) current = entitlement_load (turn->db, account, plugin, &local);
  if (local == NULL && added != NULL && current != NULL && current->state == SERIAL_ACTIVE)
    settle_extended (turn, account, plugin, added, current, &is_known, &local);
  if (local == NULL && !is_known)
    settle_from_lines (turn, account, plugin, current, &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
entitlement_settle (Turn *turn, const char *account, const char *plugin, GError **error)
{
  return settle (turn, account, plugin, NULL, error);
}

gboolean
entitlement_add_line (Turn *turn, const char *account, const char *plugin, const char *line, LineState state,
                      GError **error)
{
  const char *word = state == LINE_DISPUTED ? "disputed" : "counted";
  if (!db_run (
          turn->db, error,
          "INSERT INTO entitlement_line (line, account, plugin, state, granted_us) VALUES (?, ?, ?, ?, ?)"
          " ON CONFLICT (line) DO NOTHING",
          "ssssi", line, account, plugin, word, turn->now_us))
    return FALSE;
  gboolean is_new = db_get_changes (turn->db) == 1;
  return (is_new
          || db_run (turn->db, error, "UPDATE entitlement_line SET state = ? WHERE line = ?", "ss", word,
                     line))
         && settle (turn, account, plugin, is_new && state == LINE_COUNTED ? line : NULL, error);
}

/* Settles what @line belongs to, if the statement before changed it. */
static gboolean
settle_if_changed (Turn *turn, const char *line, GError **error)
{
  if (db_get_changes (turn->db) == 0)
    return TRUE;
  g_autofree char *account = NULL, *plugin = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT account, plugin FROM entitlement_line WHERE line = ?", "s", line);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    if (!is_found)
      return TRUE;
    account = db_dup_text (query, 0);
    plugin = db_dup_text (query, 1);
  }
  return entitlement_settle (turn, account, plugin, error);
}

gboolean
entitlement_dispute_line (Turn *turn, const char *line, gboolean is_disputed, GError **error)
{
  return db_run (turn->db, error, "UPDATE entitlement_line SET state = ? WHERE line = ? AND state = ?", "sss",
                 is_disputed ? "disputed" : "counted", line, is_disputed ? "counted" : "disputed")
         && settle_if_changed (turn, line, error);
}

gboolean
entitlement_end_line (Turn *turn, const char *line, GError **error)
{
  return db_run (turn->db, error,
                 "UPDATE entitlement_line SET state = 'ended' WHERE line = ? AND state <> 'ended'", "s", line)
         && settle_if_changed (turn, line, error);
}

gboolean
entitlement_end (Turn *turn, const char *account, const char *plugin, GError **error)
{
  return db_run (turn->db, error,
                 "UPDATE entitlement_line SET state = 'ended' WHERE account = ? AND plugin = ? AND state <> "
                 "'ended'",
                 "ss", account, plugin)
         && entitlement_settle (turn, account, plugin, error);
}

gboolean
entitlements_expire (Turn *turn, const char *account, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) due = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query = account != NULL
                                    ? db_query (turn->db,
                                                "SELECT account, plugin FROM entitlement WHERE account = ?"
                                                " AND state IN ('active', 'suspended') AND expires_us > 0"
                                                " AND expires_us <= ? LIMIT 1000",
                                                "si", account, turn->now_us)
                                    : db_query (turn->db,
                                                "SELECT account, plugin FROM entitlement"
                                                " WHERE state IN ('active', 'suspended') AND expires_us > 0 "
                                                "AND expires_us <= ? ORDER BY expires_us LIMIT 1000",
                                                "i", turn->now_us);
    while (db_next (query, &local))
      {
        g_ptr_array_add (due, db_dup_text (query, 0));
        g_ptr_array_add (due, db_dup_text (query, 1));
      }
  }
  for (guint i = 0; i + 1 < due->len && local == NULL; i += 2)
    entitlement_settle (turn, g_ptr_array_index (due, i), g_ptr_array_index (due, i + 1), &local);
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
  entry->serial = entitlement_unseal (desk, account, entry->plugin, sealed, length);
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
