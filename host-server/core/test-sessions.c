#include "host-server/core/test-sessions.h"

#include <string.h>

Session *
session_ref (Session *session)
{
  session->refs++;
  return session;
}

void
session_unref (Session *session)
{
  g_assert (session->refs > 0);
  session->refs--;
}

const Jid *
session_get_jid (const Session *session)
{
  return session->jid;
}

const Jid *
session_get_bare (const Session *session)
{
  return session->bare;
}

const char *
session_get_account (const Session *session)
{
  return session->account;
}

gboolean
session_is_alive (const Session *session)
{
  return !session->is_dead;
}

gboolean
session_is_held (const Session *session)
{
  return session->is_held;
}

void
session_hold_reading (Session *session, gboolean is_held)
{
  session->is_reading_held = is_held;
}

void
session_send (Session *session, const Stanza *stanza, const StanzaRoot *root)
{
  stanza_write (stanza, root, session->sent);
  g_string_append_c (session->sent, '\n');
}

void
session_send_xml (Session *session, const char *xml, gsize length)
{
  g_string_append_len (session->sent, xml, (gssize)length);
  g_string_append_c (session->sent, '\n');
}

gpointer
session_get_slot (const Session *session, SessionSlot slot)
{
  g_assert_cmpint (slot, ==, SESSION_SLOT_REQUESTS);
  return session->requests;
}

void
session_set_slot (Session *session, SessionSlot slot, gpointer value, GDestroyNotify free_value)
{
  session->requests = value;
  session->free_requests = free_value;
}

Session *
session_book_find (const SessionBook *book, const char *full_jid)
{
  for (guint i = 0; i < book->sessions->len; i++)
    {
      Session *session = g_ptr_array_index (book->sessions, i);
      if (!session->is_dead && strcmp (jid_get_full (session->jid), full_jid) == 0)
        return session;
    }
  return NULL;
}

Session *
test_session_new (const char *full_jid)
{
  Session *session = g_new0 (Session, 1);
  session->jid = jid_new (full_jid, strlen (full_jid));
  session->bare = jid_to_bare (session->jid);
  session->account = "uuid";
  session->sent = g_string_new (NULL);
  return session;
}

void
test_session_free (Session *session)
{
  g_assert_cmpuint (session->refs, ==, 0);
  if (session->requests != NULL)
    session->free_requests (session->requests);
  jid_unref (session->jid);
  jid_unref (session->bare);
  g_string_free (session->sent, TRUE);
  g_free (session);
}
