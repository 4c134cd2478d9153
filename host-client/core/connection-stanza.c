/* What comes in: stanzas are read here, on the connection's thread, and leave it as structs of ours. */
#include "host-client/core/connection-private.h"

#include <string.h>

#include "common/protocol/tree.h"

#define NS_PING       "urn:xmpp:ping"
#define NS_VERSION    "jabber:iq:version"
#define NS_DISCO_INFO "http://jabber.org/protocol/disco#info"

static void
answer (Attempt *attempt, xmpp_stanza_t *iq, const char *payload)
{
  g_autofree char *xml = iq_write ("result", xmpp_stanza_get_from (iq), xmpp_stanza_get_id (iq), payload);
  attempt_send (attempt, xml);
}

static void
refuse (Attempt *attempt, xmpp_stanza_t *iq, const char *type, const char *condition)
{
  g_autofree char *payload
      = g_strdup_printf ("<error type='%s'><%s xmlns='" XMPP_NS_STANZAS_IETF "'/></error>", type, condition);
  g_autofree char *xml = iq_write ("error", xmpp_stanza_get_from (iq), xmpp_stanza_get_id (iq), payload);
  attempt_send (attempt, xml);
}

static gboolean
sender_is_allowed (Attempt *attempt, ConnectionSender sender, const char *from)
{
  const char *bound = xmpp_conn_get_bound_jid (attempt->conn);
  const char *slash = strchr (bound, '/'), *at = strchr (bound, '@');
  g_autofree char *bare = slash != NULL ? g_strndup (bound, slash - bound) : g_strdup (bound);
  if (sender == CONNECTION_SENDER_ACCOUNT)
    return from == NULL || strcmp (from, bare) == 0;

  const char *domain = at != NULL && (slash == NULL || at < slash) ? bare + (at - bound) + 1 : bare;
  g_autofree char *market = g_strconcat ("market.", domain, NULL);
  return g_strcmp0 (from, market) == 0;
}

static void
on_push (Attempt *attempt, xmpp_stanza_t *iq, xmpp_stanza_t *element, const ConnectionPush *push)
{
  if (!sender_is_allowed (attempt, push->sender, xmpp_stanza_get_from (iq)))
    {
      refuse (attempt, iq, "auth", "forbidden");
      return;
    }
  gpointer value = push->read (element);
  if (value == NULL)
    {
      refuse (attempt, iq, "modify", "bad-request");
      return;
    }
  Event *event = event_new (attempt->number, EVENT_PUSH);
  event->push = push;
  event->value = value;
  event->free_value = push->free_value;
  attempt_post (attempt, event);
  answer (attempt, iq, NULL);
}

static void
on_request (Attempt *attempt, xmpp_stanza_t *iq)
{
  gboolean is_get = strcmp (xmpp_stanza_get_type (iq), "get") == 0;
  xmpp_stanza_t *element = tree_first (iq);
  if (element == NULL || xmpp_stanza_get_id (iq) == NULL)
    {
      refuse (attempt, iq, "modify", "bad-request");
      return;
    }
  for (const ConnectionPush *push = attempt->connection->pushes; !is_get && push->ns != NULL; push++)
    if (stanza_is (element, push->ns, push->name))
      {
        on_push (attempt, iq, element, push);
        return;
      }

  if (is_get && stanza_is (element, NS_PING, "ping"))
    answer (attempt, iq, NULL);
  else if (is_get && stanza_is (element, NS_VERSION, "query"))
    answer (attempt, iq,
            "<query xmlns='" NS_VERSION "'><name>host-client</name><version>0.1.0</version></query>");
  else if (is_get && stanza_is (element, NS_DISCO_INFO, "query")
           && xmpp_stanza_get_attribute (element, "node") == NULL)
    answer (attempt, iq,
            "<query xmlns='" NS_DISCO_INFO "'><identity category='client' type='console' name='host-client'/>"
            "<feature var='" NS_DISCO_INFO "'/><feature var='" NS_PING "'/><feature var='" NS_VERSION
            "'/></query>");
  else
    refuse (attempt, iq, "cancel", "service-unavailable");
}

static void
on_reply (Attempt *attempt, xmpp_stanza_t *iq)
{
  const char *id = xmpp_stanza_get_id (iq);
  g_autofree Reader *reader = NULL;
  g_autofree char *key = NULL;
  if (id == NULL
      || !g_hash_table_steal_extended (attempt->readers, id, (gpointer *)&key, (gpointer *)&reader))
    return;

  ConnectionReply *reply = g_new0 (ConnectionReply, 1);
  reply->id = g_strdup (id);
  reply->from = g_strdup (xmpp_stanza_get_from (iq));
  xmpp_stanza_t *element = tree_first (iq);
  gboolean is_error = strcmp (xmpp_stanza_get_type (iq), "error") == 0;
  if (is_error)
    {
      reply->error = stanza_error_read (iq);
      if (element != NULL && strcmp (xmpp_stanza_get_name (element), "error") == 0)
        element = NULL;
    }
  if (reader->read != NULL && (!is_error || element != NULL))
    reply->value = reader->read (element);
  reply->is_readable = is_error || reader->read == NULL || reply->value != NULL;

  Event *event = event_new (attempt->number, EVENT_REPLY);
  event->value = reply;
  event->free_value = reader->free_value;
  attempt_post (attempt, event);
}

int
attempt_on_stanza (xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data)
{
  Attempt *attempt = data;
  const char *name = xmpp_stanza_get_name (stanza), *type = xmpp_stanza_get_type (stanza);
  attempt->stanzas++;
  if (!attempt->is_online || name == NULL)
    return 1;

  if (strcmp (name, "iq") == 0)
    {
      if (g_strcmp0 (type, "result") == 0 || g_strcmp0 (type, "error") == 0)
        on_reply (attempt, stanza);
      else if (g_strcmp0 (type, "get") == 0 || g_strcmp0 (type, "set") == 0)
        on_request (attempt, stanza);
      return 1;
    }

  Event *event = NULL;
  if (strcmp (name, "message") == 0)
    {
      event = event_new (attempt->number, EVENT_MESSAGE);
      event->value = message_read (stanza);
      event->free_value = (GDestroyNotify)message_free;
    }
  else if (strcmp (name, "presence") == 0)
    {
      event = event_new (attempt->number, EVENT_PRESENCE);
      event->value = presence_read (stanza);
      event->free_value = (GDestroyNotify)presence_free;
    }
  if (event != NULL && event->value != NULL)
    attempt_post (attempt, event);
  else if (event != NULL)
    event_free (event);
  return 1;
}
