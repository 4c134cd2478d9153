/* Sessions that only write down what they are sent, for tests of what stands between streams and rooms. */
#pragma once

#include "host-server/core/session.h"

struct Session
{
  guint refs;
  Jid *jid;
  Jid *bare;
  const char *account; /* static */
  gboolean is_dead;
  gboolean is_held;
  gboolean is_reading_held;
  gpointer requests;
  GDestroyNotify free_requests;
  GString *sent;
};

struct SessionBook
{
  GPtrArray *sessions;
};

/* In no book yet. */
Session *test_session_new (const char *full_jid);
void test_session_free (Session *session);
