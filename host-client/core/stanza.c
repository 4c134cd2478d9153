#include "host-client/core/stanza.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"

#define NS_DELAY  "urn:xmpp:delay"
#define NS_ORIGIN "urn:xmpp:sid:0"

gboolean
stanza_is (xmpp_stanza_t *element, const char *ns, const char *name)
{
  return g_strcmp0 (xmpp_stanza_get_ns (element), ns) == 0
         && g_strcmp0 (xmpp_stanza_get_name (element), name) == 0;
}

char *
stanza_dup_child_text (xmpp_stanza_t *stanza, const char *name)
{
  xmpp_stanza_t *child = xmpp_stanza_get_child_by_name (stanza, name);
  if (child == NULL)
    return NULL;
  char *text = xmpp_stanza_get_text (child);
  if (text == NULL)
    return g_strdup ("");
  char *copy = g_strdup (text);
  xmpp_free (xmpp_stanza_get_context (stanza), text);
  return copy;
}

StanzaError *
stanza_error_read (xmpp_stanza_t *stanza)
{
  StanzaError *error = g_new0 (StanzaError, 1);
  xmpp_stanza_t *element = xmpp_stanza_get_child_by_name (stanza, "error");
  xmpp_stanza_t *child = element != NULL ? xmpp_stanza_get_children (element) : NULL;
  if (element != NULL)
    error->type = g_strdup (xmpp_stanza_get_type (element));
  for (; child != NULL; child = xmpp_stanza_get_next (child))
    {
      if (!xmpp_stanza_is_tag (child))
        continue;
      const char *name = xmpp_stanza_get_name (child);
      gboolean is_standard = g_strcmp0 (xmpp_stanza_get_ns (child), XMPP_NS_STANZAS_IETF) == 0;
      if (is_standard && strcmp (name, "text") == 0)
        {
          if (error->text == NULL)
            error->text = stanza_dup_child_text (element, "text");
        }
      else if (is_standard && error->condition == NULL)
        error->condition = g_strdup (name);
      else if (!is_standard && error->application == NULL)
        {
          const char *kind = xmpp_stanza_get_attribute (child, "kind");
          error->application = g_strdup (name);
          error->detail = g_strdup (kind != NULL ? kind : xmpp_stanza_get_attribute (child, "reason"));
        }
    }
  if (error->type == NULL)
    error->type = g_strdup ("cancel");
  if (error->condition == NULL)
    error->condition = g_strdup ("undefined-condition");
  return error;
}

void
stanza_error_free (StanzaError *error)
{
  if (error == NULL)
    return;
  g_free (error->type);
  g_free (error->condition);
  g_free (error->application);
  g_free (error->detail);
  g_free (error->text);
  g_free (error);
}

Message *
message_read (xmpp_stanza_t *stanza)
{
  const char *from = xmpp_stanza_get_from (stanza);
  gboolean is_error = g_strcmp0 (xmpp_stanza_get_type (stanza), "error") == 0;
  if (from == NULL)
    return NULL;
  g_autofree char *body = stanza_dup_child_text (stanza, "body");
  if (body != NULL && strlen (body) > MESSAGE_BODY_MAX)
    return NULL;
  if (body == NULL && !is_error)
    return NULL;

  Message *message = g_new0 (Message, 1);
  message->from = g_strdup (from);
  message->id = g_strdup (xmpp_stanza_get_id (stanza));
  message->body = body != NULL ? g_steal_pointer (&body) : g_strdup ("");
  if (is_error)
    message->error = stanza_error_read (stanza);
  xmpp_stanza_t *origin = xmpp_stanza_get_child_by_name_and_ns (stanza, "origin-id", NS_ORIGIN);
  if (origin != NULL)
    message->origin = g_strdup (xmpp_stanza_get_id (origin));
  xmpp_stanza_t *delay = xmpp_stanza_get_child_by_name_and_ns (stanza, "delay", NS_DELAY);
  const char *stamp = delay != NULL ? xmpp_stanza_get_attribute (delay, "stamp") : NULL;
  if (stamp != NULL && !clock_parse_rfc3339 (stamp, &message->stamp_us))
    message->stamp_us = 0;
  return message;
}

void
message_free (Message *message)
{
  if (message == NULL)
    return;
  g_free (message->from);
  g_free (message->id);
  g_free (message->origin);
  g_free (message->body);
  stanza_error_free (message->error);
  g_free (message);
}

Presence *
presence_read (xmpp_stanza_t *stanza)
{
  static const char *const types[]
      = { NULL, "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "error" };
  const char *from = xmpp_stanza_get_from (stanza);
  const char *type = xmpp_stanza_get_type (stanza);
  gsize kind = 0;
  while (kind < G_N_ELEMENTS (types) && g_strcmp0 (type, types[kind]) != 0)
    kind++;
  if (from == NULL || kind == G_N_ELEMENTS (types))
    return NULL;

  Presence *presence = g_new0 (Presence, 1);
  presence->kind = (PresenceKind)kind;
  presence->from = g_strdup (from);
  presence->show = stanza_dup_child_text (stanza, "show");
  presence->status = stanza_dup_child_text (stanza, "status");
  g_autofree char *priority = stanza_dup_child_text (stanza, "priority");
  gint64 number;
  if (priority != NULL && g_ascii_string_to_signed (priority, 10, -128, 127, &number, NULL))
    presence->priority = (int)number;
  return presence;
}

void
presence_free (Presence *presence)
{
  if (presence == NULL)
    return;
  g_free (presence->from);
  g_free (presence->show);
  g_free (presence->status);
  g_free (presence);
}

char *
message_write (const char *to, const char *id, const char *body, gint64 stamp_us)
{
  GString *out = g_string_new ("<message type='chat'");
  text_append_xml_attribute (out, "to", to);
  text_append_xml_attribute (out, "id", id);
  g_string_append (out, "><body>");
  text_append_xml (out, body);
  g_string_append (out, "</body><origin-id xmlns='" NS_ORIGIN "'");
  text_append_xml_attribute (out, "id", id);
  g_string_append (out, "/>");
  if (stamp_us != 0)
    {
      g_autofree char *stamp = clock_dup_rfc3339 (stamp_us);
      g_string_append (out, "<delay xmlns='" NS_DELAY "'");
      text_append_xml_attribute (out, "stamp", stamp);
      g_string_append (out, "/>");
    }
  g_string_append (out, "</message>");
  return g_string_free (out, FALSE);
}

char *
presence_write (const char *to, const char *type)
{
  GString *out = g_string_new ("<presence");
  text_append_xml_attribute (out, "to", to);
  text_append_xml_attribute (out, "type", type);
  g_string_append (out, "/>");
  return g_string_free (out, FALSE);
}

char *
iq_write (const char *type, const char *to, const char *id, const char *payload)
{
  GString *out = g_string_new ("<iq");
  text_append_xml_attribute (out, "type", type);
  text_append_xml_attribute (out, "to", to);
  text_append_xml_attribute (out, "id", id);
  if (payload != NULL)
    g_string_append_printf (out, ">%s</iq>", payload);
  else
    g_string_append (out, "/>");
  return g_string_free (out, FALSE);
}
