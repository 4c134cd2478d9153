/* The insides of a session, shared by session.c and session-book.c. */
#pragma once

#include "host-server/core/outbox.h"
#include "host-server/core/session-book.h"

typedef struct
{
  gpointer value;
  GDestroyNotify free_value;
} Slot;

/* A room's hold: acknowledgements stop before the stanza that was being handled. */
typedef struct
{
  guint64 id;
  guint32 handled;
} Hold;

typedef struct
{
  guint32 sent; /* by then */
  SessionDelivered func;
  gpointer data;
} Delivery;

struct Session
{
  guint references;
  SessionBook *book;
  Jid *jid;
  Jid *bare;
  char *account;
  Stream *stream; /* NULL: resting, or ended */
  Outbox *outbox; /* NULL: without stream management */
  char *resume_id;
  gint64 resume_us; /* 0: not resumable */
  Timer rest;
  guint32 n_handled;
  guint32 n_acknowledged; /* what the client was told last; never goes back */
  GArray *holds;      /* of Hold, oldest first; NULL: none yet */
  GQueue *deliveries; /* of Delivery; NULL: none yet */
  Slot slots[N_SESSION_SLOTS];
  gint8 priority;
  guint is_available : 1;
  guint is_alive : 1;
  guint is_over_limit : 1;
  guint asked_for_ack : 1; /* of the client, and it has not come */
  guint owes_ack : 1;      /* one was asked for while a room held it back */
  guint holds_reading : 1; /* for too many holds */
  guint is_read_held : 1;  /* session_hold_reading() */
};

struct SessionBook
{
  Timers *timers;
  Hooks *hooks;
  Services *services;
  const SessionLimits *limits;
  GHashTable *by_full;   /* address -> Session, which it references */
  GHashTable *by_bare;   /* address -> GPtrArray of Session */
  GHashTable *by_resume; /* id -> Session */
  GString *scratch;
  GPtrArray *over_limit; /* referenced sessions that end with the next turn */
  Timer over_limit_timer;
  guint64 n_holds;
};

/* Ends it for good: out of the book, hooks, what it was owed. */
void session_finish (Session *session);
void session_book_add (SessionBook *book, Session *session);
void session_book_remove (SessionBook *book, Session *session);
/* It has crossed a limit: it ends with the next turn, so that nobody walks a list that changes. */
void session_book_doom (SessionBook *book, Session *session);
