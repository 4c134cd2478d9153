#include "host-server/im/presence.h"

#include "common/base/text.h"
#include "host-server/im/contacts.h"
#include "host-server/im/offline.h"
#include "host-server/im/roster.h"

#include <string.h>

/* What of a client's may go to all its contacts, at every login of each of them: with more, a contact could
 * fill the outbox of whoever sees it. */
#define MAX_PRESENCE (16 * 1024)

/* What presence keeps with a session. */
typedef struct
{
  Stanza *last;         /* as the client announced it; NULL while unavailable */
  GHashTable *directed; /* full text -> Jid: who was sent presence directly (§4.6); NULL while none */
} Shown;

static void
shown_free (gpointer data)
{
  Shown *shown = data;
  stanza_free (shown->last);
  g_clear_pointer (&shown->directed, g_hash_table_unref);
  g_free (shown);
}

static Shown *
get_shown (Session *session)
{
  Shown *shown = session_get_slot (session, SESSION_SLOT_PRESENCE);
  if (shown == NULL)
    {
      shown = g_new0 (Shown, 1);
      session_set_slot (session, SESSION_SLOT_PRESENCE, shown, shown_free);
    }
  return shown;
}

/* NULL unless the session is available. */
static const Stanza *
get_last (const Session *session)
{
  const Shown *shown = session_get_slot (session, SESSION_SLOT_PRESENCE);
  return session_is_available (session) && shown != NULL ? shown->last : NULL;
}

static void
send_presence (Session *receiver, const Stanza *presence)
{
  session_send (receiver, presence, &(StanzaRoot){ .to = session_get_bare (receiver) });
}

static void
send_unavailable (Session *receiver, const Jid *from, const Jid *to)
{
  g_autoptr (GString) xml = g_string_new ("<presence");
  text_append_xml_attribute (xml, "from", jid_get_full (from));
  text_append_xml_attribute (xml, "to", jid_get_full (to));
  g_string_append (xml, " type='unavailable'/>");
  im_send (receiver, xml);
}

static const GPtrArray *
sessions_of (Im *im, const char *bare)
{
  return session_book_find_all (im->server->sessions, bare);
}

/* To every available resource of an account: @presence, or if that is NULL that @from is unavailable. */
static void
send_to_account (Im *im, const char *bare, const Stanza *presence, const Jid *from)
{
  const GPtrArray *sessions = sessions_of (im, bare);
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    {
      Session *receiver = sessions->pdata[i];
      if (!session_is_available (receiver))
        continue;
      if (presence != NULL)
        send_presence (receiver, presence);
      else
        send_unavailable (receiver, from, session_get_bare (receiver));
    }
}

static void
show_or_hide (Im *im, const Jid *from, const Jid *to, gboolean is_shown)
{
  const GPtrArray *senders = sessions_of (im, jid_get_bare (from));
  for (guint i = 0; senders != NULL && i < senders->len; i++)
    {
      const Stanza *last = get_last (senders->pdata[i]);
      if (last != NULL)
        send_to_account (im, jid_get_bare (to), is_shown ? last : NULL, session_get_jid (senders->pdata[i]));
    }
}

void
presence_show (Im *im, const Jid *from, const Jid *to)
{
  show_or_hide (im, from, to, TRUE);
}

void
presence_hide (Im *im, const Jid *from, const Jid *to)
{
  show_or_hide (im, from, to, FALSE);
}

/* §4.2.2, §4.4.2, §4.5.2: to those who subscribed, and to the user's own resources. */
static void
broadcast (Im *im, Session *session, const Stanza *presence)
{
  const Jid *from = session_get_jid (session);
  send_to_account (im, jid_get_bare (session_get_bare (session)), presence, from);
  Roster *roster = roster_of_session (im, session);
  if (roster == NULL)
    return;
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init (&iter, roster_get_items (roster));
  while (g_hash_table_iter_next (&iter, NULL, &item))
    if (subscription_has_from (((RosterItem *)item)->state))
      send_to_account (im, ((RosterItem *)item)->jid, presence, from);
}

/* Sends the presence of each of @bare's available resources to @receiver. */
static guint
send_all_of (Im *im, const char *bare, Session *receiver)
{
  const GPtrArray *sessions = sessions_of (im, bare);
  guint n = 0;
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    {
      const Stanza *last = get_last (sessions->pdata[i]);
      if (last == NULL || sessions->pdata[i] == receiver)
        continue;
      send_presence (receiver, last);
      n++;
    }
  return n;
}

/* §4.3.2: the contact's own roster says whether the user may see it. A contact whose roster is not in memory
 * has no session, and so nothing to show. */
static gboolean
may_see (Im *im, const char *contact_bare, const char *user_bare)
{
  Roster *roster = roster_find (im, contact_bare);
  const RosterItem *item = roster != NULL ? roster_get (roster, user_bare) : NULL;
  return item != NULL && subscription_has_from (item->state);
}

/* §4.2.2, §4.3: what the server would ask with probes, answered on the spot. */
static void
probe_all (Im *im, Session *session)
{
  const char *bare = jid_get_bare (session_get_bare (session));
  send_all_of (im, bare, session);
  Roster *roster = roster_of_session (im, session);
  if (roster == NULL)
    return;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, roster_get_items (roster));
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const RosterItem *item = value;
      if (subscription_has_to (item->state) && may_see (im, item->jid, bare))
        send_all_of (im, item->jid, session);
    }
}

/* §4.7.2.3; what is no number from -128 to 127 counts as the default. */
static gint8
read_priority (const Stanza *presence)
{
  if (stanza_find_child (presence, "priority", "jabber:client") == NULL)
    return 0;
  g_autofree char *text = stanza_dup_child_text (presence, "priority", "jabber:client");
  gint64 priority;
  return text != NULL && g_ascii_string_to_signed (g_strstrip (text), 10, -128, 127, &priority, NULL)
             ? (gint8)priority
             : 0;
}

static void
announce (Im *im, Session *session, const Stanza *presence)
{
  Shown *shown = get_shown (session);
  gboolean is_initial = !session_is_available (session);
  gboolean took_messages = !is_initial && session_get_priority (session) >= 0;

  stanza_free (shown->last);
  shown->last = stanza_copy (presence);
  session_set_presence (session, TRUE, read_priority (presence));
  broadcast (im, session, shown->last);
  if (is_initial)
    {
      probe_all (im, session);
      contacts_deliver_requests (im, session);
    }
  if (!took_messages && session_get_priority (session) >= 0)
    offline_drain (im, session);
}

/* To a resource or to every available one of an account; others are not there (§4.6.3, §8.5). */
static void
send_directed (Im *im, Session *sender, const Jid *to, const Stanza *presence)
{
  if (jid_get_resource (to) == NULL)
    {
      const GPtrArray *sessions = sessions_of (im, jid_get_bare (to));
      for (guint i = 0; sessions != NULL && i < sessions->len; i++)
        if (session_is_available (sessions->pdata[i]))
          session_send (sessions->pdata[i], presence, &(StanzaRoot){ .to = to });
      return;
    }
  Session *receiver = session_book_find (im->server->sessions, jid_get_full (to));
  if (receiver != NULL)
    session_send (receiver, presence, &(StanzaRoot){ .to = to });
}

/* Whether @receiver hears what @session broadcasts. */
static gboolean
hears_broadcast (Im *im, Session *session, const Session *receiver)
{
  if (!session_is_available (receiver))
    return FALSE;
  if (jid_equal (session_get_bare (session), session_get_bare (receiver)))
    return TRUE;
  Roster *roster = roster_of_session (im, session);
  const RosterItem *item
      = roster != NULL ? roster_get (roster, jid_get_bare (session_get_bare (receiver))) : NULL;
  return item != NULL && subscription_has_from (item->state);
}

/* §4.6.3: who was shown presence directly learns of its end, but not twice. */
static void
end_directed (Im *im, Session *session, gboolean was_broadcast)
{
  Shown *shown = session_get_slot (session, SESSION_SLOT_PRESENCE);
  if (shown == NULL || shown->directed == NULL)
    return;
  g_autoptr (GHashTable) directed = g_steal_pointer (&shown->directed);
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, directed);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const Jid *to = value;
      const GPtrArray *sessions = sessions_of (im, jid_get_bare (to));
      for (guint i = 0; sessions != NULL && i < sessions->len; i++)
        {
          Session *receiver = sessions->pdata[i];
          gboolean is_meant = jid_get_resource (to) == NULL ? session_is_available (receiver)
                                                            : jid_equal (session_get_jid (receiver), to);
          if (is_meant && receiver != session && !(was_broadcast && hears_broadcast (im, session, receiver)))
            send_unavailable (receiver, session_get_jid (session), to);
        }
    }
}

/* @presence is the client's own, or NULL if its session ended. §4.5.2: the resource that said so is told as
 * well. */
static void
withdraw (Im *im, Session *session, const Stanza *presence)
{
  gboolean was_available = session_is_available (session);
  if (was_available)
    {
      Shown *shown = get_shown (session);
      session_set_presence (session, FALSE, 0);
      stanza_free (g_steal_pointer (&shown->last));
      broadcast (im, session, presence);
      if (presence != NULL)
        send_presence (session, presence);
    }
  end_directed (im, session, was_available);
}

static void
refuse (Session *sender, const Stanza *presence, StanzaError error, const char *text)
{
  g_autoptr (GString) xml = g_string_new (NULL);
  stanza_write_error (presence, error, text, NULL, xml);
  if (xml->len > 0)
    im_send (sender, xml);
}

/* A client's presence with `to` (§4.6). */
static void
direct (Im *im, Session *session, const Stanza *presence)
{
  Shown *shown = get_shown (session);
  const char *text = jid_get_full (presence->to);
  if (presence->type == STANZA_TYPE_UNAVAILABLE)
    {
      if (shown->directed != NULL)
        g_hash_table_remove (shown->directed, text);
    }
  else
    {
      if (shown->directed == NULL)
        shown->directed = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)jid_unref);
      if (!g_hash_table_contains (shown->directed, text))
        {
          if (g_hash_table_size (shown->directed) >= im_get_limit (im, "directed_presences"))
            {
              refuse (session, presence, STANZA_ERROR_RESOURCE_CONSTRAINT,
                      "presence was sent to too many addresses");
              return;
            }
          Jid *to = jid_ref ((Jid *)presence->to);
          g_hash_table_insert (shown->directed, (gpointer)jid_get_full (to), to);
        }
    }
  send_directed (im, session, presence->to, presence);
}

/* A probe that a client sent, though only servers need to (§4.3.1). */
static void
answer_probe (Im *im, Session *session, const Jid *to)
{
  const char *contact = jid_get_bare (to), *user = jid_get_bare (session_get_bare (session));
  if (!g_str_equal (contact, user) && !may_see (im, contact, user))
    return; /* says as little as an account that does not exist */
  if (jid_get_resource (to) == NULL)
    {
      send_all_of (im, contact, session);
      return;
    }
  Session *asked = session_book_find (im->server->sessions, jid_get_full (to));
  const Stanza *last = asked != NULL ? get_last (asked) : NULL;
  if (last != NULL)
    send_presence (session, last);
}

/* Refused; but who leaves has left, whatever they say. */
static void
take_oversized (Im *im, Session *sender, const Stanza *stanza)
{
  refuse (sender, stanza, STANZA_ERROR_POLICY_VIOLATION, "presence is too long");
  if (stanza->type == STANZA_TYPE_UNAVAILABLE && stanza->to == NULL)
    withdraw (im, sender, NULL);
}

static void
deliver (Session *sender, const Stanza *stanza, gpointer data)
{
  Im *im = data;
  if (sender == NULL)
    {
      if (stanza->to != NULL)
        send_directed (im, NULL, stanza->to, stanza);
      return;
    }
  if (subscription_is_type (stanza->type))
    {
      contacts_send (im, sender, stanza);
      return;
    }
  if (stanza->payload_length + stanza->rest_length > MAX_PRESENCE)
    {
      take_oversized (im, sender, stanza);
      return;
    }
  switch (stanza->type)
    {
    case STANZA_TYPE_NONE:
      if (stanza->to == NULL)
        announce (im, sender, stanza);
      else
        direct (im, sender, stanza);
      return;
    case STANZA_TYPE_UNAVAILABLE:
      if (stanza->to == NULL)
        withdraw (im, sender, stanza);
      else
        direct (im, sender, stanza);
      return;
    case STANZA_TYPE_PROBE:
      if (stanza->to != NULL)
        answer_probe (im, sender, stanza->to);
      return;
    case STANZA_TYPE_ERROR: /* for the resource whose presence it answers; nobody else can use it */
      if (stanza->to != NULL && jid_get_resource (stanza->to) != NULL)
        send_directed (im, sender, stanza->to, stanza);
      return;
    default:
      return;
    }
}

static void
session_ended (Session *session, gpointer data)
{
  withdraw (data, session, NULL);
}

void
im_presence_init (Im *im)
{
  router_set_delivery (im->server->router, STANZA_PRESENCE, deliver, im);
  hooks_add_session (im->server->hooks, HOOK_SESSION_ENDED, session_ended, im);
}
