/* The book of sessions, and how sessions begin, rest, come back and end. For core alone; rooms see session.h.
 */
#pragma once

#include "host-server/core/hooks.h"
#include "host-server/core/service.h"
#include "host-server/wire/stream.h"
#include "host-server/wire/timers.h"

/* 0: no limit, but resume_us: no resumption. They may change at any time. */
typedef struct
{
  gsize outbox_bytes; /* to be written, or not acknowledged */
  guint unacked_stanzas;
  guint sessions_per_account;
  gint64 resume_us;
} SessionLimits;

/* All is lent. */
SessionBook *session_book_new (Timers *timers, Hooks *hooks, const SessionLimits *limits);
/* After session_book_end_all(). */
void session_book_free (SessionBook *book);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SessionBook, session_book_free)
/* The services, which are made after the book. */
void session_book_set_services (SessionBook *book, Services *services);
/* Ends every session, resting ones too. */
void session_book_end_all (SessionBook *book, const char *stream_error);

/* A new session on @stream; one with the same address ends with `conflict`. NULL with @error if the account
 * has too many, or the resource is none. @resource may be NULL. */
Session *session_begin (SessionBook *book, Stream *stream, const Jid *bare, const char *resource,
                        const char *account, StanzaError *error);
/* What the session's stream has read, before it is handled: counted for the acknowledgements. */
void session_count_received (Session *session);
/* An XEP-0198 element of the session's stream. */
void session_manage (Session *session, const StreamManagementElement *element);
/* <resume/> of an authenticated stream without session. */
void session_book_resume (SessionBook *book, Stream *stream, const StreamManagementElement *element);
/* Its stream's output has been taken by the socket. */
void session_drained (Session *session);
/* Its stream has ended: the session rests, or ends. */
void session_stream_ended (Session *session, StreamEnd end);
