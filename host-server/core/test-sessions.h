/* Sessions that only write down what they are sent, for tests of what stands on core/session.h, and the book
 * they are in: what session.h promises, without a socket. */
#pragma once

#include "host-server/core/service.h"
#include "host-server/core/session.h"

struct Session
{
  guint refs;
  Jid *jid;
  Jid *bare;
  char *account;
  gboolean is_dead;
  guint n_holds;
  guint64 last_hold;
  Services *services; /* that its last release resumes; NULL */
  gboolean is_reading_held;
  gboolean is_available;
  gint8 priority;
  gboolean is_slow;         /* a note for who calls test_session_deliver() */
  GArray *waiters;          /* for what is delivered */
  const char *stream_error; /* that its account was ended with */
  gpointer slots[N_SESSION_SLOTS];
  GDestroyNotify free_slots[N_SESSION_SLOTS];
  GString *sent; /* a stanza a line */
};

struct SessionBook
{
  GPtrArray *sessions;
  GHashTable *by_bare; /* → GPtrArray */
};

void test_session_book_init (SessionBook *book);
/* Nobody else has a reference to the sessions in it any more. */
void test_session_book_clear (SessionBook *book);

/* Lent; the book has it. */
Session *test_session_bind (SessionBook *book, const char *full_jid, const char *account);
/* Takes it out of the book, dead; the caller unrefs it. */
Session *test_session_end (SessionBook *book, Session *session);
/* Tells those that wait for what was sent until now. */
void test_session_deliver (Session *session, gboolean was_delivered);
