#include "host-server/im/roster.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "host-server/im/contacts.h"

#include <string.h>

#define NS_ROSTER       "jabber:iq:roster"
#define MAX_NAME        1023 /* bytes, of an item's name and of a group's */
#define MAX_GROUPS      64
#define MAX_GROUP_BYTES 2048 /* of an item's groups together, as XML */
/* A client that is further behind than this gets the whole roster again. */
#define MAX_CHANGES 100

struct Roster
{
  Im *im;
  char *bare;
  char *account;
  gint64 seq;
  GHashTable *items; /* JID -> RosterItem */
  guint n_holders;
};

/* A session's hold on its account's roster. */
typedef struct
{
  Roster *roster;
  gboolean is_interested;
} Holder;

static void
roster_free (Roster *roster)
{
  g_hash_table_unref (roster->items);
  g_free (roster->account);
  g_free (roster->bare);
  g_free (roster);
}

static void
holder_free (gpointer data)
{
  Holder *holder = data;
  Roster *roster = holder->roster;
  g_free (holder);
  if (--roster->n_holders > 0)
    return;
  if (roster_find (roster->im, roster->bare) == roster)
    g_hash_table_remove (roster->im->rosters, roster->bare);
  roster_free (roster);
}

static void
add_item (RosterItem *take_item, gpointer data)
{
  Roster *roster = data;
  g_hash_table_replace (roster->items, take_item->jid, take_item);
}

static Roster *
roster_load (Im *im, const char *bare, const char *account)
{
  g_autoptr (GError) error = NULL;
  Roster *roster = g_new0 (Roster, 1);
  roster->im = im;
  roster->bare = g_strdup (bare);
  roster->account = g_strdup (account);
  roster->items = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)roster_item_free);
  if (roster_db_load (store_peek_reader (im->server->store, STORE_CHAT), account, G_MAXINT64, &roster->seq,
                      add_item, roster, &error))
    {
      g_hash_table_replace (im->rosters, roster->bare, roster);
      return roster;
    }
  log_error ("im", "cannot read a roster account=%s: %s", account, error->message);
  roster_free (roster);
  return NULL;
}

Roster *
roster_of_session (Im *im, Session *session)
{
  Holder *holder = session_get_slot (session, SESSION_SLOT_ROSTER);
  if (holder != NULL)
    return holder->roster;
  const char *bare = jid_get_bare (session_get_bare (session));
  Roster *roster = roster_find (im, bare);
  /* A removed user's roster may still be held when the name has become another's. */
  if (roster == NULL || !g_str_equal (roster->account, session_get_account (session)))
    roster = roster_load (im, bare, session_get_account (session));
  if (roster == NULL)
    return NULL;
  holder = g_new0 (Holder, 1);
  holder->roster = roster;
  roster->n_holders++;
  session_set_slot (session, SESSION_SLOT_ROSTER, holder, holder_free);
  return roster;
}

Roster *
roster_find (Im *im, const char *bare_jid)
{
  return g_hash_table_lookup (im->rosters, bare_jid);
}

const RosterItem *
roster_get (const Roster *roster, const char *bare_jid)
{
  return g_hash_table_lookup (roster->items, bare_jid);
}

GHashTable *
roster_get_items (const Roster *roster)
{
  return roster->items;
}

gboolean
roster_is_interested (const Session *session)
{
  const Holder *holder = session_get_slot (session, SESSION_SLOT_ROSTER);
  return holder != NULL && holder->is_interested;
}

/* §2.6: opaque to clients. A part of the account's UUID is in it, so that who registers a name anew is not
 * taken for the one whose roster a client still has. */
#define VER_TAG(account) ((account) + strlen (account) - MIN (strlen (account), 12))

static void
write_query (GString *xml, const Session *session, gint64 seq)
{
  g_string_append_printf (xml, "<query xmlns='" NS_ROSTER "' ver='%s.%" G_GINT64_FORMAT "'>",
                          VER_TAG (session_get_account (session)), seq);
}

/* FALSE if it is no version of this account's. */
static gboolean
read_ver (const Session *session, const char *ver, gint64 *seq)
{
  const char *tag = VER_TAG (session_get_account (session));
  gsize length = strlen (tag);
  return strncmp (ver, tag, length) == 0 && ver[length] == '.'
         && g_ascii_string_to_signed (ver + length + 1, 10, 0, G_MAXINT64, seq, NULL);
}

static void
push (Im *im, Session *session, const RosterItem *item)
{
  g_autoptr (GString) xml = g_string_new (NULL);
  g_string_append_printf (xml, "<iq type='set' id='roster-%" G_GUINT64_FORMAT "'", ++im->n_pushes);
  text_append_xml_attribute (xml, "to", jid_get_full (session_get_jid (session)));
  g_string_append_c (xml, '>');
  write_query (xml, session, item->seq);
  roster_item_write (item, xml);
  g_string_append (xml, "</query></iq>");
  im_send (session, xml);
}

/* The item as a client sees it; NULL if it does not. */
static char *
dup_shown (const RosterItem *item)
{
  if (item == NULL || item->kind != ROSTER_LISTED)
    return NULL;
  GString *xml = g_string_new (NULL);
  roster_item_write (item, xml);
  return g_string_free (xml, FALSE);
}

void
roster_apply (Im *im, const ExchangeSide *side)
{
  if (side->after == NULL)
    return;
  const char *bare = jid_get_bare (side->jid);
  Roster *roster = roster_find (im, bare);
  if (roster != NULL && g_strcmp0 (roster->account, side->account) != 0)
    roster = NULL;
  const RosterItem *known = roster != NULL ? roster_get (roster, side->after->jid) : NULL;
  /* A roster that was just loaded may be ahead of the commits still being told. */
  if (roster != NULL && (known == NULL || known->seq < side->after->seq))
    {
      roster->seq = MAX (roster->seq, side->after->seq);
      if (side->after->kind == ROSTER_REMOVED)
        g_hash_table_remove (roster->items, side->after->jid);
      else
        add_item (roster_item_copy (side->after), roster);
    }

  g_autofree char *was = dup_shown (side->before);
  g_autofree char *is = dup_shown (side->after);
  const GPtrArray *sessions = session_book_find_all (im->server->sessions, bare);
  if (sessions == NULL || g_strcmp0 (was, is) == 0)
    return;
  for (guint i = 0; i < sessions->len; i++)
    if (roster_is_interested (sessions->pdata[i])
        && g_str_equal (session_get_account (sessions->pdata[i]), side->account))
      push (im, sessions->pdata[i], side->after);
}

/* Requests. */

static void
push_change (RosterItem *take_item, gpointer data)
{
  g_ptr_array_add (data, take_item);
}

/* §2.6.3: an empty result and pushes of what changed. FALSE: the whole roster is needed. */
static gboolean
answer_by_version (Im *im, ServiceRequest *request, Session *session, const Roster *roster, const char *ver)
{
  gint64 seq;
  if (!read_ver (session, ver, &seq))
    return FALSE;
  if (seq == roster->seq)
    {
      service_request_reply (request, NULL);
      return TRUE;
    }
  gboolean is_known;
  g_autoptr (GPtrArray) changes = g_ptr_array_new_with_free_func ((GDestroyNotify)roster_item_free);
  if (!roster_db_changes (store_peek_reader (im->server->store, STORE_CHAT), session_get_account (session),
                          seq, MAX_CHANGES + 1, &is_known, push_change, changes, NULL)
      || !is_known || changes->len > MAX_CHANGES)
    return FALSE;
  service_request_reply (request, NULL);
  for (guint i = 0; i < changes->len; i++)
    push (im, session, changes->pdata[i]);
  return TRUE;
}

static void
handle_get (ServiceRequest *request, gpointer data)
{
  Im *im = data;
  Session *session = service_request_get_session (request);
  Roster *roster = session != NULL ? roster_of_session (im, session) : NULL;
  if (roster == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL, NULL);
      return;
    }
  Holder *holder = session_get_slot (session, SESSION_SLOT_ROSTER);
  holder->is_interested = TRUE;

  const char *ver = xmpp_stanza_get_attribute (service_request_get_tree (request), "ver");
  if (ver != NULL && answer_by_version (im, request, session, roster, ver))
    return;
  g_autoptr (GString) xml = g_string_new (NULL);
  write_query (xml, session, roster->seq);
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init (&iter, roster->items);
  while (g_hash_table_iter_next (&iter, NULL, &item))
    if (((RosterItem *)item)->kind == ROSTER_LISTED)
      roster_item_write (item, xml);
  g_string_append (xml, "</query>");
  service_request_reply (request, xml->str);
}

/* A roster set on its way through the store. */
typedef struct
{
  Im *im;
  ServiceRequest *request;
  ExchangeSide side; /* the user's */
  char *contact;
  char *name;
  char *group_xml;
  gint64 max_items;
  gboolean is_full;
} Update;

static void
update_free (Update *update)
{
  service_request_unref (update->request);
  g_free (update->side.account);
  jid_unref (update->side.jid);
  roster_item_free (update->side.before);
  roster_item_free (update->side.after);
  g_free (update->contact);
  g_free (update->name);
  g_free (update->group_xml);
  g_free (update);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Update, update_free)

static gboolean
update_work (Db *db, gpointer data, GError **error)
{
  Update *update = data;
  ExchangeSide *side = &update->side;
  g_clear_pointer (&side->before, roster_item_free);
  g_clear_pointer (&side->after, roster_item_free);
  if (!roster_db_find (db, side->account, update->contact, &side->before, error))
    return FALSE;
  if (side->before == NULL || side->before->kind != ROSTER_LISTED)
    {
      gint64 count;
      if (!roster_db_count (db, side->account, ROSTER_LISTED, update->max_items, &count, error))
        return FALSE;
      update->is_full = count >= update->max_items;
      if (update->is_full)
        return TRUE;
    }
  side->after = side->before != NULL ? roster_item_copy (side->before) : roster_item_new (update->contact);
  side->after->kind = ROSTER_LISTED;
  g_free (side->after->name);
  side->after->name = g_strdup (update->name);
  g_free (side->after->group_xml);
  side->after->group_xml = g_strdup (update->group_xml);
  return roster_db_save (db, side->account, side->after, error);
}

static void
update_done (gpointer data, const GError *error)
{
  g_autoptr (Update) update = data;
  if (error != NULL)
    {
      service_request_fail (update->request, "im", error);
      return;
    }
  if (update->is_full)
    {
      service_request_refuse (update->request, STANZA_ERROR_RESOURCE_CONSTRAINT, "the roster is full", NULL);
      return;
    }
  roster_apply (update->im, &update->side);
  service_request_reply (update->request, NULL);
}

typedef struct
{
  StanzaError error;
  const char *text;
} Refusal;

/* §2.3.3: each group once, none empty. FALSE with @refusal. */
static gboolean
read_groups (xmpp_stanza_t *item, GString *xml, Refusal *refusal)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (item); child != NULL;
       child = xmpp_stanza_get_next (child))
    {
      if (g_strcmp0 (xmpp_stanza_get_name (child), "group") != 0)
        continue;
      char *text = xmpp_stanza_get_text (child);
      g_autofree char *group = g_strdup (text != NULL ? text : "");
      if (text != NULL)
        xmpp_free (xmpp_stanza_get_context (child), text);
      if (*group == '\0' || strlen (group) > MAX_NAME || g_hash_table_size (seen) == MAX_GROUPS
          || xml->len > MAX_GROUP_BYTES)
        {
          *refusal = (Refusal){ STANZA_ERROR_NOT_ACCEPTABLE,
                                "a group is empty or too long, or there are too many" };
          return FALSE;
        }
      g_string_append (xml, "<group>");
      text_append_xml (xml, group);
      g_string_append (xml, "</group>");
      if (!g_hash_table_add (seen, g_steal_pointer (&group)))
        {
          *refusal = (Refusal){ STANZA_ERROR_BAD_REQUEST, "a group appears twice" };
          return FALSE;
        }
    }
  return TRUE;
}

/* The one item of a roster set; NULL unless there is exactly one. */
static xmpp_stanza_t *
get_only_item (xmpp_stanza_t *query)
{
  xmpp_stanza_t *found = NULL;
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (query); child != NULL;
       child = xmpp_stanza_get_next (child))
    {
      const char *name = xmpp_stanza_get_name (child);
      if (name == NULL) /* text between the elements */
        continue;
      if (!g_str_equal (name, "item") || found != NULL)
        return NULL;
      found = child;
    }
  return found;
}

/* Reads @item into @update. FALSE with @refusal. */
static gboolean
read_item (xmpp_stanza_t *item, Update *update, Refusal *refusal)
{
  const char *name = xmpp_stanza_get_attribute (item, "name");
  if (name != NULL && strlen (name) > MAX_NAME)
    {
      *refusal = (Refusal){ STANZA_ERROR_NOT_ACCEPTABLE, "the name is too long" };
      return FALSE;
    }
  update->name = name != NULL && *name != '\0' ? g_strdup (name) : NULL;
  GString *groups = g_string_new (NULL);
  gboolean is_read = read_groups (item, groups, refusal);
  update->group_xml = g_string_free (groups, FALSE);
  return is_read;
}

static void
handle_set (ServiceRequest *request, gpointer data)
{
  Im *im = data;
  xmpp_stanza_t *item = get_only_item (service_request_get_tree (request));
  const char *jid_text = item != NULL ? xmpp_stanza_get_attribute (item, "jid") : NULL;
  if (jid_text == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, "one item with a jid is expected", NULL);
      return;
    }
  g_autoptr (Jid) parsed = jid_new (jid_text, strlen (jid_text));
  if (parsed == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_JID_MALFORMED, NULL, NULL);
      return;
    }
  g_autoptr (Jid) contact = jid_to_bare (parsed);
  const Jid *sender = service_request_get_sender (request);
  if (jid_equal_bare (contact, sender))
    {
      service_request_refuse (request, STANZA_ERROR_NOT_ALLOWED, "one's own address is no contact", NULL);
      return;
    }
  if (g_strcmp0 (xmpp_stanza_get_attribute (item, "subscription"), "remove") == 0)
    {
      contacts_remove (im, request, contact);
      return;
    }

  g_autoptr (Update) update = g_new0 (Update, 1);
  update->im = im;
  update->request = service_request_ref (request);
  update->side.account = g_strdup (service_request_get_account (request));
  update->side.jid = jid_to_bare (sender);
  update->contact = g_strdup (jid_get_bare (contact));
  update->max_items = im_get_limit (im, "roster_items");
  Refusal refusal;
  if (!read_item (item, update, &refusal))
    {
      service_request_refuse (request, refusal.error, refusal.text, NULL);
      return;
    }
  store_write (im->server->store, STORE_CHAT, update_work, update_done, g_steal_pointer (&update));
}

void
im_roster_init (Im *im)
{
  Services *services = im->server->services;
  services_add (services, SERVICE_ACCOUNT, STANZA_TYPE_GET, "query", NS_ROSTER, SERVICE_DEFAULT, handle_get,
                im);
  services_add (services, SERVICE_ACCOUNT, STANZA_TYPE_SET, "query", NS_ROSTER, SERVICE_DEFAULT, handle_set,
                im);
}
