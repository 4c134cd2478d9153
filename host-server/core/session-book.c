#include "host-server/core/session-book.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "host-server/core/session-private.h"

#include <string.h>

SessionBook *
session_book_new (Timers *timers, Hooks *hooks, const SessionLimits *limits)
{
  SessionBook *book = g_new0 (SessionBook, 1);
  book->timers = timers;
  book->hooks = hooks;
  book->limits = limits;
  book->by_full = g_hash_table_new (g_str_hash, g_str_equal);
  book->by_bare = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  book->by_resume = g_hash_table_new (g_str_hash, g_str_equal);
  book->scratch = g_string_new (NULL);
  book->over_limit = g_ptr_array_new_with_free_func ((GDestroyNotify)session_unref);
  return book;
}

void
session_book_free (SessionBook *book)
{
  if (book == NULL)
    return;
  g_assert (g_hash_table_size (book->by_full) == 0);
  timers_clear (book->timers, &book->over_limit_timer);
  g_hash_table_unref (book->by_full);
  g_hash_table_unref (book->by_bare);
  g_hash_table_unref (book->by_resume);
  g_string_free (book->scratch, TRUE);
  g_ptr_array_unref (book->over_limit);
  g_free (book);
}

void
session_book_set_services (SessionBook *book, Services *services)
{
  book->services = services;
}

Session *
session_book_find (const SessionBook *book, const char *full_jid)
{
  return g_hash_table_lookup (book->by_full, full_jid);
}

const GPtrArray *
session_book_find_all (const SessionBook *book, const char *bare_jid)
{
  return g_hash_table_lookup (book->by_bare, bare_jid);
}

guint
session_book_get_count (const SessionBook *book)
{
  return g_hash_table_size (book->by_full);
}

void
session_book_add (SessionBook *book, Session *session)
{
  const char *bare = jid_get_full (session->bare);
  GPtrArray *sessions = g_hash_table_lookup (book->by_bare, bare);
  if (sessions == NULL)
    {
      sessions = g_ptr_array_new ();
      g_hash_table_insert (book->by_bare, g_strdup (bare), sessions);
    }
  g_ptr_array_add (sessions, session);
  g_hash_table_insert (book->by_full, (gpointer)jid_get_full (session->jid), session_ref (session));
}

void
session_book_remove (SessionBook *book, Session *session)
{
  const char *bare = jid_get_full (session->bare);
  GPtrArray *sessions = g_hash_table_lookup (book->by_bare, bare);
  g_ptr_array_remove (sessions, session);
  if (sessions->len == 0)
    g_hash_table_remove (book->by_bare, bare);
  if (session->resume_id != NULL)
    g_hash_table_remove (book->by_resume, session->resume_id);
  g_hash_table_remove (book->by_full, jid_get_full (session->jid));
  session_unref (session);
}

static void
end_over_limit (Timer *timer, gpointer data)
{
  SessionBook *book = data;
  g_autoptr (GPtrArray) doomed = book->over_limit;
  book->over_limit = g_ptr_array_new_with_free_func ((GDestroyNotify)session_unref);
  for (guint i = 0; i < doomed->len; i++)
    {
      Session *session = doomed->pdata[i];
      log_warning ("core", "session is over its outbox's limit session=%s", jid_get_full (session->jid));
      session_end (session, "resource-constraint", "too much is waiting to be read");
    }
}

void
session_book_doom (SessionBook *book, Session *session)
{
  if (session->is_over_limit)
    return;
  session->is_over_limit = TRUE;
  /* What comes until then is written nowhere, and handed to the undelivered hooks with the rest. */
  if (session->outbox == NULL)
    session->outbox = outbox_new ();
  g_ptr_array_add (book->over_limit, session_ref (session));
  timers_set (book->timers, &book->over_limit_timer, 0, end_over_limit, book);
}

Session *
session_begin (SessionBook *book, Stream *stream, const Jid *bare, const char *resource, const char *account,
               StanzaError *error)
{
  g_autofree char *own = resource == NULL ? id_new_random (10) : NULL;
  g_autoptr (Jid) jid = jid_with_resource (bare, resource != NULL ? resource : own);
  if (jid == NULL)
    {
      *error = STANZA_ERROR_BAD_REQUEST;
      return NULL;
    }
  Session *old = session_book_find (book, jid_get_full (jid));
  if (old != NULL)
    session_end (old, "conflict", "its address was bound by another stream");
  const GPtrArray *others = session_book_find_all (book, jid_get_full (bare));
  if (book->limits->sessions_per_account != 0 && others != NULL
      && others->len >= book->limits->sessions_per_account)
    {
      *error = STANZA_ERROR_RESOURCE_CONSTRAINT;
      return NULL;
    }
  Session *session = g_new0 (Session, 1);
  session->references = 1;
  session->book = book;
  session->is_alive = TRUE;
  session->jid = g_steal_pointer (&jid);
  session->bare = jid_to_bare (session->jid);
  session->account = g_strdup (account);
  session->stream = stream_ref (stream);
  stream_set_owner (stream, session);
  session_book_add (book, session);
  session_unref (session); /* the book's is left */
  return session;
}

static GPtrArray *
list_sessions (GHashTable *by_full)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify)session_unref);
  GHashTableIter iter;
  gpointer session;
  g_hash_table_iter_init (&iter, by_full);
  while (g_hash_table_iter_next (&iter, NULL, &session))
    g_ptr_array_add (list, session_ref (session));
  return list;
}

void
session_book_end_all (SessionBook *book, const char *stream_error)
{
  g_autoptr (GPtrArray) all = list_sessions (book->by_full);
  for (guint i = 0; i < all->len; i++)
    session_end (all->pdata[i], stream_error, NULL);
}

void
session_book_end_account (SessionBook *book, const char *bare_jid, const char *stream_error)
{
  const GPtrArray *sessions = session_book_find_all (book, bare_jid);
  if (sessions == NULL)
    return;
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify)session_unref);
  for (guint i = 0; i < sessions->len; i++)
    g_ptr_array_add (all, session_ref (sessions->pdata[i]));
  for (guint i = 0; i < all->len; i++)
    session_end (all->pdata[i], stream_error, NULL);
}
