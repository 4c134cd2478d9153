#include "host-server/core/test-sessions.h"

#include <string.h>

typedef struct
{
  SessionDelivered func;
  gpointer data;
} Waiter;

static void
clear_slot (Session *session, SessionSlot slot)
{
  if (session->slots[slot] != NULL && session->free_slots[slot] != NULL)
    session->free_slots[slot](session->slots[slot]);
}

Session *
session_ref (Session *session)
{
  session->refs++;
  return session;
}

void
session_unref (Session *session)
{
  g_assert_cmpuint (session->refs, >, 0);
  if (--session->refs > 0)
    return;
  g_assert_cmpuint (session->n_holds, ==, 0);
  for (guint i = 0; i < N_SESSION_SLOTS; i++)
    clear_slot (session, i);
  g_array_unref (session->waiters);
  jid_unref (session->jid);
  jid_unref (session->bare);
  g_free (session->account);
  g_string_free (session->sent, TRUE);
  g_free (session);
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

void
session_when_delivered (Session *session, SessionDelivered func, gpointer data)
{
  Waiter waiter = { func, data };
  g_array_append_val (session->waiters, waiter);
}

void
test_session_deliver (Session *session, gboolean was_delivered)
{
  g_autoptr (GArray) waiters = session->waiters;
  session->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  for (guint i = 0; i < waiters->len; i++)
    {
      Waiter *waiter = &g_array_index (waiters, Waiter, i);
      waiter->func (session, was_delivered, waiter->data);
    }
}

guint64
session_hold (Session *session)
{
  session->n_holds++;
  return ++session->last_hold;
}

void
session_release (Session *session, guint64 hold)
{
  g_assert_cmpuint (session->n_holds, >, 0);
  if (--session->n_holds == 0 && !session->is_dead && session->services != NULL)
    services_resume (session->services, session);
}

gboolean
session_is_held (const Session *session)
{
  return session->n_holds > 0;
}

void
session_hold_reading (Session *session, gboolean is_held)
{
  session->is_reading_held = is_held;
}

gboolean
session_is_available (const Session *session)
{
  return session->is_available;
}

gint8
session_get_priority (const Session *session)
{
  return session->priority;
}

void
session_set_presence (Session *session, gboolean is_available, gint8 priority)
{
  session->is_available = is_available;
  session->priority = priority;
}

gpointer
session_get_slot (const Session *session, SessionSlot slot)
{
  return session->slots[slot];
}

void
session_set_slot (Session *session, SessionSlot slot, gpointer value, GDestroyNotify free_value)
{
  clear_slot (session, slot);
  session->slots[slot] = value;
  session->free_slots[slot] = free_value;
}

/* --- the book */

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

const GPtrArray *
session_book_find_all (const SessionBook *book, const char *bare_jid)
{
  return g_hash_table_lookup (book->by_bare, bare_jid);
}

void
session_book_end_account (SessionBook *book, const char *bare_jid, const char *stream_error)
{
  const GPtrArray *sessions = session_book_find_all (book, bare_jid);
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    ((Session *)sessions->pdata[i])->stream_error = stream_error;
}

void
test_session_book_init (SessionBook *book)
{
  book->sessions = g_ptr_array_new ();
  book->by_bare = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
}

void
test_session_book_clear (SessionBook *book)
{
  while (book->sessions->len > 0)
    {
      Session *session = test_session_end (book, book->sessions->pdata[0]);
      g_assert_cmpuint (session->refs, ==, 1);
      session_unref (session);
    }
  g_ptr_array_unref (book->sessions);
  g_hash_table_unref (book->by_bare);
}

Session *
test_session_bind (SessionBook *book, const char *full_jid, const char *account)
{
  Session *session = g_new0 (Session, 1);
  session->refs = 1;
  session->jid = jid_new (full_jid, strlen (full_jid));
  session->bare = jid_to_bare (session->jid);
  session->account = g_strdup (account);
  session->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  session->sent = g_string_new (NULL);
  g_ptr_array_add (book->sessions, session);
  GPtrArray *all = g_hash_table_lookup (book->by_bare, jid_get_bare (session->bare));
  if (all == NULL)
    {
      all = g_ptr_array_new ();
      g_hash_table_insert (book->by_bare, g_strdup (jid_get_bare (session->bare)), all);
    }
  g_ptr_array_add (all, session);
  return session;
}

Session *
test_session_end (SessionBook *book, Session *session)
{
  session->is_dead = TRUE;
  g_ptr_array_remove (book->sessions, session);
  GPtrArray *all = g_hash_table_lookup (book->by_bare, jid_get_bare (session->bare));
  g_ptr_array_remove (all, session);
  if (all->len == 0)
    g_hash_table_remove (book->by_bare, jid_get_bare (session->bare));
  return session;
}
