#include "host-server/core/announce.h"

#include "common/base/text.h"
#include "host-server/core/router.h"

#include <string.h>

static void
send_to (Server *server, const Announcement *announcement, const char *to)
{
  g_autoptr (GString) xml = g_string_new ("<message xmlns='jabber:client' type='chat'");
  text_append_xml_attribute (xml, "id", announcement->id);
  text_append_xml_attribute (xml, "from", jid_get_full (announcement->from));
  text_append_xml_attribute (xml, "to", to);
  g_string_append_printf (xml, ">%s</message>", announcement->payload);
  g_autoptr (Stanza) stanza = stanza_new_from_bytes (xml->str, xml->len);
  g_assert (stanza != NULL); /* rooms send what is well formed */
  router_route (server->router, NULL, stanza);
}

void
announce (Server *server, const Announcement *announcement)
{
  /* Sending may end a session, and take it out of the book's list. */
  const GPtrArray *sessions = session_book_find_all (server->sessions, announcement->user);
  g_autoptr (GPtrArray) receivers = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    {
      const Session *session = g_ptr_array_index (sessions, i);
      if (session_is_available (session) && session_get_priority (session) >= 0)
        g_ptr_array_add (receivers, g_strdup (jid_get_full (session_get_jid (session))));
    }
  for (guint i = 0; i < receivers->len; i++)
    {
      const char *full_jid = g_ptr_array_index (receivers, i);
      if (announcement->has_heard == NULL || !announcement->has_heard (full_jid, announcement->data))
        send_to (server, announcement, full_jid);
    }
  if (receivers->len == 0)
    send_to (server, announcement, announcement->user);
}
