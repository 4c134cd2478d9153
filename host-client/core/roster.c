#include "host-client/core/roster.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/protocol/tree.h"
#include "host-client/core/jid.h"

/* What a server, a contact or a stranger can make us keep. */
#define ITEMS_MAX     10000
#define RESOURCES_MAX 16
#define ASKING_MAX    100
#define LABEL_MAX     1024

typedef struct
{
  char *ver;        /* NULL: none */
  GPtrArray *items; /* of RosterItem; subscription "remove" in pushes */
} RosterUpdate;

struct Roster
{
  Session *session;
  Db *db;
  RosterEvents events;
  gpointer data;
  GHashTable *items;  /* jid -> RosterItem */
  GHashTable *asking; /* JIDs */
  char *ver;          /* "": none */
  gboolean is_available;
};

static void
item_free (gpointer data)
{
  RosterItem *item = data;
  g_free (item->jid);
  g_free (item->name);
  g_free (item->subscription);
  g_strfreev (item->groups);
  g_hash_table_unref (item->resources);
  g_free (item);
}

static RosterItem *
item_new (const char *jid, const char *name, const char *subscription, gboolean is_asked, char **take_groups)
{
  RosterItem *item = g_new0 (RosterItem, 1);
  item->jid = g_strdup (jid);
  item->name = g_strdup (name != NULL ? name : "");
  item->subscription = g_strdup (subscription != NULL ? subscription : "none");
  item->is_asked = is_asked;
  item->groups = take_groups;
  item->resources = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)presence_free);
  return item;
}

/* ---- reading, on the connection's thread ---- */

static RosterItem *
read_item (xmpp_stanza_t *element)
{
  static const char *const subscriptions[] = { "none", "to", "from", "both", "remove", NULL };
  TreeReader reader = { 0 };
  const char *jid = tree_need (&reader, element, "jid");
  const char *name = tree_get (&reader, element, "name"), *ask = tree_get (&reader, element, "ask");
  const char *subscription = tree_get (&reader, element, "subscription");
  g_autofree char *bare = jid != NULL ? jid_prepare_bare (jid) : NULL;
  gboolean is_good = tree_reader_finish (&reader, NULL);
  if (!is_good || bare == NULL || (name != NULL && strlen (name) > LABEL_MAX)
      || (subscription != NULL && !g_strv_contains (subscriptions, subscription)))
    return NULL;

  g_autoptr (GStrvBuilder) groups = g_strv_builder_new ();
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL;
       child = xmpp_stanza_get_next (child))
    if (stanza_is (child, NS_ROSTER, "group"))
      {
        g_autofree char *text = tree_dup_text (&reader, child, LABEL_MAX);
        if (text != NULL)
          g_strv_builder_add (groups, text);
      }
  g_clear_error (&reader.error);
  return item_new (bare, name, subscription, g_strcmp0 (ask, "subscribe") == 0, g_strv_builder_end (groups));
}

gpointer
roster_update_read (xmpp_stanza_t *element)
{
  RosterUpdate *update = g_new0 (RosterUpdate, 1);
  update->items = g_ptr_array_new_with_free_func (item_free);
  if (element == NULL) /* "what you have is current" */
    return update;
  if (!stanza_is (element, NS_ROSTER, "query"))
    {
      roster_update_free (update);
      return NULL;
    }
  const char *ver = xmpp_stanza_get_attribute (element, "ver");
  update->ver = g_strdup (ver != NULL ? ver : "");
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL;
       child = xmpp_stanza_get_next (child))
    {
      RosterItem *item = stanza_is (child, NS_ROSTER, "item") ? read_item (child) : NULL;
      if (item != NULL && update->items->len < ITEMS_MAX)
        g_ptr_array_add (update->items, item);
      else if (item != NULL)
        item_free (item);
    }
  return update;
}

void
roster_update_free (gpointer data)
{
  RosterUpdate *update = data;
  if (update == NULL)
    return;
  g_free (update->ver);
  g_ptr_array_unref (update->items);
  g_free (update);
}

/* ---- on disk ---- */

static gboolean
store_item (Roster *roster, const RosterItem *item, GError **error)
{
  g_autofree char *groups = g_strjoinv ("\n", item->groups);
  return db_run (
      roster->db, error,
      "INSERT INTO roster (jid, name, subscription, is_asked, groups) VALUES (?, ?, ?, ?, ?)"
      " ON CONFLICT (jid) DO UPDATE SET name = excluded.name, subscription = excluded.subscription,"
      " is_asked = excluded.is_asked, groups = excluded.groups",
      "sssis", item->jid, item->name, item->subscription, (gint64)item->is_asked, groups);
}

static gboolean
store_ver (Roster *roster, GError **error)
{
  return db_run (roster->db, error,
                 "INSERT INTO meta (name, value) VALUES ('roster_ver', ?)"
                 " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                 "s", roster->ver);
}

static gboolean
store_all (Roster *roster, GError **error)
{
  if (!db_begin (roster->db, error))
    return FALSE;
  gboolean is_good = db_run (roster->db, error, "DELETE FROM roster", "") && store_ver (roster, error);
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init (&iter, roster->items);
  while (is_good && g_hash_table_iter_next (&iter, NULL, &item))
    is_good = store_item (roster, item, error);
  if (is_good && db_commit (roster->db, error))
    return TRUE;
  db_rollback (roster->db);
  return FALSE;
}

static gboolean
load (Roster *roster, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (DbQuery) items
      = db_query (roster->db, "SELECT jid, name, subscription, is_asked, groups FROM roster", "");
  while (db_next (items, &failure))
    {
      const char *groups = db_get_text (items, 4);
      RosterItem *item = item_new (db_get_text (items, 0), db_get_text (items, 1), db_get_text (items, 2),
                                   db_get_int (items, 3) != 0, g_strsplit (groups, "\n", 0));
      g_hash_table_replace (roster->items, item->jid, item);
    }
  g_autoptr (DbQuery) ver = db_query (roster->db, "SELECT value FROM meta WHERE name = 'roster_ver'", "");
  if (failure == NULL && db_next (ver, &failure))
    {
      g_free (roster->ver);
      roster->ver = db_dup_text (ver, 0);
    }
  if (failure == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

/* ---- changes ---- */

static void
take_item (Roster *roster, RosterItem *item)
{
  RosterItem *old = g_hash_table_lookup (roster->items, item->jid);
  if (old != NULL)
    {
      g_hash_table_unref (item->resources);
      item->resources = g_hash_table_ref (old->resources);
    }
  else if (g_hash_table_size (roster->items) >= ITEMS_MAX)
    {
      item_free (item);
      return;
    }
  g_hash_table_replace (roster->items, item->jid, item);
}

static void
on_pushed (gpointer value, gpointer data)
{
  Roster *roster = data;
  RosterUpdate *update = value;
  g_autoptr (GError) error = NULL;
  g_free (roster->ver);
  roster->ver = g_strdup (update->ver != NULL ? update->ver : "");
  g_ptr_array_set_size (update->items,
                        (gint)MIN (update->items->len, 1)); /* RFC 6121 §2.1.6: one item a push */
  if (update->items->len == 1)
    {
      RosterItem *item = g_ptr_array_index (update->items, 0);
      g_autofree char *jid = g_strdup (item->jid);
      gboolean is_stored;
      if (strcmp (item->subscription, "remove") == 0)
        {
          g_hash_table_remove (roster->items, jid);
          is_stored = db_run (roster->db, &error, "DELETE FROM roster WHERE jid = ?", "s", jid);
        }
      else
        {
          is_stored = store_item (roster, item, &error);
          g_ptr_array_steal_index (update->items, 0);
          take_item (roster, item);
        }
      if (!is_stored || !store_ver (roster, &error))
        log_warning ("roster", "cannot store a change: %s", error->message);
      if (roster->events.changed != NULL)
        roster->events.changed (jid, roster->data);
    }
  roster_update_free (update);
}

static void
on_listed (Reply *reply, gpointer data)
{
  Roster *roster = data;
  RosterUpdate *update = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (update == NULL)
    {
      if (reply->kind != REPLY_LOST)
        log_warning ("roster", "the server did not send the contact list");
      return;
    }
  reply->value = NULL;
  if (update->ver != NULL)
    {
      g_hash_table_remove_all (roster->items);
      while (update->items->len > 0)
        take_item (roster, g_ptr_array_steal_index (update->items, update->items->len - 1));
      g_free (roster->ver);
      roster->ver = g_strdup (update->ver);
      g_autoptr (GError) error = NULL;
      if (!store_all (roster, &error))
        log_warning ("roster", "cannot store the contact list: %s", error->message);
    }
  roster_update_free (update);
  if (roster->events.loaded != NULL)
    roster->events.loaded (roster->data);
}

static void
announce (Roster *roster)
{
  g_autofree char *xml = presence_write (NULL, roster->is_available ? NULL : "unavailable");
  session_send (roster->session, xml);
}

static void
on_online (gpointer data)
{
  Roster *roster = data;
  /* A server without roster versioning (RFC 6121 §2.6) passes `ver` over. */
  g_autoptr (GString) query = g_string_new ("<query xmlns='" NS_ROSTER "'");
  text_append_xml_attribute (query, "ver", roster->ver);
  g_string_append (query, "/>");
  session_request (roster->session, "get", NULL, query->str, roster_update_read, roster_update_free,
                   on_listed, roster);
  if (roster->is_available)
    announce (roster);
}

static void
on_state (const SessionReport *report, gpointer data)
{
  Roster *roster = data;
  if (report->state == SESSION_ONLINE)
    return;
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init (&iter, roster->items);
  while (g_hash_table_iter_next (&iter, NULL, &item))
    g_hash_table_remove_all (((RosterItem *)item)->resources);
}

static Presence *
copy_presence (const Presence *presence)
{
  Presence *copy = g_memdup2 (presence, sizeof *presence);
  copy->from = g_strdup (presence->from);
  copy->show = g_strdup (presence->show);
  copy->status = g_strdup (presence->status);
  return copy;
}

static void
on_presence (const Presence *presence, gpointer data)
{
  Roster *roster = data;
  g_autofree char *jid = jid_dup_bare (presence->from);
  const char *resource = jid_peek_resource (presence->from);
  RosterItem *item = g_hash_table_lookup (roster->items, jid);
  if (presence->kind == PRESENCE_SUBSCRIBE)
    {
      if (g_hash_table_size (roster->asking) >= ASKING_MAX
          || !g_hash_table_add (roster->asking, g_strdup (jid)))
        return;
      if (roster->events.asked != NULL)
        roster->events.asked (jid, presence->status, roster->data);
      return;
    }
  if (item != NULL && presence->kind == PRESENCE_AVAILABLE
      && (g_hash_table_contains (item->resources, resource != NULL ? resource : "")
          || g_hash_table_size (item->resources) < RESOURCES_MAX))
    g_hash_table_replace (item->resources, g_strdup (resource != NULL ? resource : ""),
                          copy_presence (presence));
  else if (item != NULL && (presence->kind == PRESENCE_UNAVAILABLE || presence->kind == PRESENCE_ERROR))
    {
      if (resource == NULL)
        g_hash_table_remove_all (item->resources);
      else
        g_hash_table_remove (item->resources, resource);
    }
  if (roster->events.presence != NULL)
    roster->events.presence (item, presence, roster->data);
}

Roster *
roster_new (Session *session, Db *db, GError **error)
{
  static const SessionWatch watch = { .online = on_online, .state = on_state, .presence = on_presence };
  g_autoptr (Roster) roster = g_new0 (Roster, 1);
  roster->session = session;
  roster->db = db;
  roster->items = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, item_free);
  roster->asking = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  roster->ver = g_strdup ("");
  if (!load (roster, error))
    return NULL;
  session_watch (session, &watch, roster);
  session_on_push (session, NS_ROSTER, on_pushed, roster);
  return g_steal_pointer (&roster);
}

void
roster_free (Roster *roster)
{
  if (roster == NULL)
    return;
  g_hash_table_unref (roster->items);
  g_hash_table_unref (roster->asking);
  g_free (roster->ver);
  g_free (roster);
}

void
roster_set_events (Roster *roster, const RosterEvents *events, gpointer data)
{
  roster->events = *events;
  roster->data = data;
}

void
roster_set_available (Roster *roster, gboolean is_available)
{
  if (roster->is_available == is_available)
    return;
  roster->is_available = is_available;
  announce (roster);
}

static gint
compare_items (gconstpointer a, gconstpointer b)
{
  const RosterItem *one = *(RosterItem *const *)a, *other = *(RosterItem *const *)b;
  g_autofree char *key = g_utf8_casefold (roster_item_peek_label (one), -1);
  g_autofree char *other_key = g_utf8_casefold (roster_item_peek_label (other), -1);
  int order = strcmp (key, other_key);
  return order != 0 ? order : strcmp (one->jid, other->jid);
}

GPtrArray *
roster_list (Roster *roster)
{
  GPtrArray *items = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init (&iter, roster->items);
  while (g_hash_table_iter_next (&iter, NULL, &item))
    g_ptr_array_add (items, item);
  g_ptr_array_sort (items, compare_items);
  return items;
}

const RosterItem *
roster_find (Roster *roster, const char *jid)
{
  return g_hash_table_lookup (roster->items, jid);
}

const char *
roster_item_peek_label (const RosterItem *item)
{
  return item->name[0] != '\0' ? item->name : item->jid;
}

const Presence *
roster_item_peek_presence (const RosterItem *item)
{
  const Presence *best = NULL;
  GHashTableIter iter;
  gpointer presence;
  g_hash_table_iter_init (&iter, item->resources);
  while (g_hash_table_iter_next (&iter, NULL, &presence))
    if (best == NULL || ((Presence *)presence)->priority > best->priority)
      best = presence;
  return best;
}

GPtrArray *
roster_list_asking (Roster *roster)
{
  GPtrArray *jids = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer jid;
  g_hash_table_iter_init (&iter, roster->asking);
  while (g_hash_table_iter_next (&iter, &jid, NULL))
    g_ptr_array_add (jids, jid);
  return jids;
}

static void
set_item (Roster *roster, const char *jid, const char *name, const char *subscription, ReplyFunc callback,
          gpointer data)
{
  g_autoptr (GString) query = g_string_new ("<query xmlns='" NS_ROSTER "'><item");
  text_append_xml_attribute (query, "jid", jid);
  text_append_xml_attribute (query, "name", name);
  text_append_xml_attribute (query, "subscription", subscription);
  g_string_append (query, "/></query>");
  session_request (roster->session, "set", NULL, query->str, NULL, NULL, callback, data);
}

void
roster_add (Roster *roster, const char *jid, const char *name, ReplyFunc callback, gpointer data)
{
  set_item (roster, jid, name, NULL, callback, data);
  g_autofree char *xml = presence_write (jid, "subscribe");
  session_send (roster->session, xml);
}

void
roster_remove (Roster *roster, const char *jid, ReplyFunc callback, gpointer data)
{
  set_item (roster, jid, NULL, "remove", callback, data);
}

void
roster_accept (Roster *roster, const char *jid)
{
  g_autofree char *yes = presence_write (jid, "subscribed");
  session_send (roster->session, yes);
  const RosterItem *item = roster_find (roster, jid);
  gboolean sees_them
      = item != NULL && (strcmp (item->subscription, "to") == 0 || strcmp (item->subscription, "both") == 0);
  if (!sees_them && !(item != NULL && item->is_asked))
    {
      g_autofree char *ask = presence_write (jid, "subscribe");
      session_send (roster->session, ask);
    }
  g_hash_table_remove (roster->asking, jid);
}

void
roster_deny (Roster *roster, const char *jid)
{
  g_autofree char *no = presence_write (jid, "unsubscribed");
  session_send (roster->session, no);
  g_hash_table_remove (roster->asking, jid);
}
