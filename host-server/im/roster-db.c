#include "host-server/im/roster-db.h"

#include "common/base/text.h"

/* Tombstones a roster keeps for clients that were away; beyond, those get the whole roster. */
#define MAX_TOMBSTONES 100

RosterItem *
roster_item_new (const char *jid)
{
  RosterItem *item = g_new0 (RosterItem, 1);
  item->jid = g_strdup (jid);
  item->group_xml = g_strdup ("");
  return item;
}

RosterItem *
roster_item_copy (const RosterItem *item)
{
  RosterItem *copy = g_memdup2 (item, sizeof *item);
  copy->jid = g_strdup (item->jid);
  copy->name = g_strdup (item->name);
  copy->group_xml = g_strdup (item->group_xml);
  copy->request = item->request != NULL ? g_bytes_ref (item->request) : NULL;
  return copy;
}

void
roster_item_free (RosterItem *item)
{
  if (item == NULL)
    return;
  g_free (item->jid);
  g_free (item->name);
  g_free (item->group_xml);
  g_clear_pointer (&item->request, g_bytes_unref);
  g_free (item);
}

void
roster_item_write (const RosterItem *item, GString *out)
{
  g_string_append (out, "<item");
  text_append_xml_attribute (out, "jid", item->jid);
  if (item->kind == ROSTER_REMOVED)
    {
      g_string_append (out, " subscription='remove'/>");
      return;
    }
  text_append_xml_attribute (out, "name", item->name);
  if (item->is_approved)
    g_string_append (out, " approved='true'");
  if (subscription_is_pending_out (item->state))
    g_string_append (out, " ask='subscribe'");
  text_append_xml_attribute (out, "subscription", subscription_to_text (item->state));
  if (*item->group_xml == '\0')
    g_string_append (out, "/>");
  else
    g_string_append_printf (out, ">%s</item>", item->group_xml);
}

#define COLUMNS "jid, kind, state, is_approved, name, group_xml, seq"

/* Reads COLUMNS. A state that this version does not know cannot be: the file would be of a later one. */
static RosterItem *
item_from_row (DbQuery *query)
{
  RosterItem *item = g_new0 (RosterItem, 1);
  item->jid = db_dup_text (query, 0);
  item->kind = (RosterKind)db_get_int (query, 1);
  gint64 state = db_get_int (query, 2);
  item->state = state >= 0 && state < N_SUBSCRIPTIONS ? (Subscription)state : SUBSCRIPTION_NONE;
  item->is_approved = db_get_int (query, 3) != 0;
  item->name = db_dup_text (query, 4);
  item->group_xml = db_dup_text (query, 5);
  item->seq = db_get_int (query, 6);
  return item;
}

/* TRUE if *@local is no fault; moves it to @error otherwise. */
static gboolean
settle (GError *local, GError **error)
{
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
roster_db_find (Db *db, const char *account, const char *jid, RosterItem **item, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT " COLUMNS ", request FROM roster_item WHERE account = ? AND jid = ? AND kind <> ?", "ssi",
      account, jid, (gint64)ROSTER_REMOVED);
  *item = NULL;
  if (db_next (query, &local))
    {
      gsize length;
      *item = item_from_row (query);
      const void *request = db_get_blob (query, 7, &length);
      if (request != NULL)
        (*item)->request = g_bytes_new (request, length);
    }
  return settle (local, error);
}

static gboolean
next_seq (Db *db, const char *account, gint64 *seq, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "INSERT INTO roster (account, seq) VALUES (?, 1) ON CONFLICT (account)"
                  " DO UPDATE SET seq = roster.seq + 1 RETURNING seq",
                  "s", account);
  if (db_next (query, &local))
    {
      *seq = db_get_int (query, 0);
      db_next (query, &local); /* to its end, so that it is done */
    }
  return settle (local, error);
}

gboolean
roster_db_save (Db *db, const char *account, RosterItem *item, GError **error)
{
  gsize length = 0;
  const void *request = item->request != NULL ? g_bytes_get_data (item->request, &length) : NULL;
  return next_seq (db, account, &item->seq, error)
         && db_run (
             db, error,
             "INSERT INTO roster_item (account, jid, kind, state, is_approved, name, group_xml, seq, request)"
             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, jid) DO UPDATE SET"
             " kind = excluded.kind, state = excluded.state, is_approved = excluded.is_approved,"
             " name = excluded.name, group_xml = excluded.group_xml, seq = excluded.seq,"
             " request = excluded.request",
             "ssiiissib", account, item->jid, (gint64)item->kind, (gint64)item->state,
             (gint64)item->is_approved, item->name, item->group_xml, item->seq, request, length);
}

/* Drops the oldest tombstones beyond the limit, and remembers up to where versions are of no use any more. */
static gboolean
prune (Db *db, const char *account, GError **error)
{
  gint64 last_dropped = 0;
  GError *local = NULL;
  {
    g_autoptr (DbQuery) query = db_query (
        db, "SELECT seq FROM roster_item WHERE account = ? AND kind = ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
        "sii", account, (gint64)ROSTER_REMOVED, (gint64)MAX_TOMBSTONES);
    if (db_next (query, &local))
      last_dropped = db_get_int (query, 0);
  }
  if (!settle (local, error))
    return FALSE;
  return last_dropped == 0
         || (db_run (db, error, "DELETE FROM roster_item WHERE account = ? AND kind = ? AND seq <= ?", "sii",
                     account, (gint64)ROSTER_REMOVED, last_dropped)
             && db_run (db, error, "UPDATE roster SET pruned_seq = ? WHERE account = ?", "is", last_dropped,
                        account));
}

gboolean
roster_db_remove (Db *db, const char *account, RosterItem *item, GError **error)
{
  item->kind = ROSTER_REMOVED;
  item->state = SUBSCRIPTION_NONE;
  item->is_approved = FALSE;
  g_clear_pointer (&item->name, g_free);
  g_free (item->group_xml);
  item->group_xml = g_strdup ("");
  g_clear_pointer (&item->request, g_bytes_unref);
  return roster_db_save (db, account, item, error) && prune (db, account, error);
}

gboolean
roster_db_count (Db *db, const char *account, RosterKind kind, gint64 limit, gint64 *count, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT count(*) FROM (SELECT 1 FROM roster_item WHERE account = ? AND kind = ? LIMIT ?) AS counted",
      "sii", account, (gint64)kind, limit);
  *count = db_next (query, &local) ? db_get_int (query, 0) : 0;
  return settle (local, error);
}

gboolean
roster_db_load (Db *db, const char *account, gint64 limit, gint64 *seq, RosterFunc func, gpointer data,
                GError **error)
{
  GError *local = NULL;
  *seq = 0;
  {
    g_autoptr (DbQuery) version = db_query (db, "SELECT seq FROM roster WHERE account = ?", "s", account);
    if (!db_next (version, &local))
      return settle (local, error); /* never had an item */
    *seq = db_get_int (version, 0);
  }
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT " COLUMNS " FROM roster_item WHERE account = ? AND kind <> ? LIMIT ?", "sii",
                  account, (gint64)ROSTER_REMOVED, limit);
  while (db_next (query, &local))
    func (item_from_row (query), data);
  return settle (local, error);
}

gboolean
roster_db_changes (Db *db, const char *account, gint64 seq, gint64 limit, gboolean *is_known, RosterFunc func,
                   gpointer data, GError **error)
{
  GError *local = NULL;
  *is_known = FALSE;
  {
    g_autoptr (DbQuery) query
        = db_query (db, "SELECT seq, pruned_seq FROM roster WHERE account = ?", "s", account);
    if (db_next (query, &local))
      *is_known = seq <= db_get_int (query, 0) && seq >= db_get_int (query, 1);
  }
  if (local != NULL || !*is_known)
    return settle (local, error);
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT " COLUMNS " FROM roster_item WHERE account = ? AND seq > ? ORDER BY seq LIMIT ?", "sii",
      account, seq, limit);
  while (db_next (query, &local))
    {
      RosterItem *item = item_from_row (query);
      if (item->kind == ROSTER_HIDDEN)
        item->kind = ROSTER_REMOVED; /* it may have been listed once */
      func (item, data);
    }
  return settle (local, error);
}

GBytes *
roster_db_get_request (Db *db, const char *account, const char *jid)
{
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT request FROM roster_item WHERE account = ? AND jid = ?", "ss", account, jid);
  gsize length = 0;
  const void *request = db_next (query, NULL) ? db_get_blob (query, 0, &length) : NULL;
  return request != NULL ? g_bytes_new (request, length) : NULL;
}

gboolean
roster_db_list_jids (Db *db, const char *account, const char *after, gint64 limit, GPtrArray *jids,
                     GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT jid FROM roster_item WHERE account = ? AND jid > ? AND kind <> ? ORDER BY jid LIMIT ?",
      "ssii", account, after != NULL ? after : "", (gint64)ROSTER_REMOVED, limit);
  while (db_next (query, &local))
    g_ptr_array_add (jids, db_dup_text (query, 0));
  return settle (local, error);
}

gboolean
roster_db_clear (Db *db, const char *account, GError **error)
{
  return db_run (db, error, "DELETE FROM roster_item WHERE account = ?", "s", account)
         && db_run (db, error, "DELETE FROM roster WHERE account = ?", "s", account);
}
