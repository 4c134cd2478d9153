/* A bound session: one resource of one account, connected, or resting for resumption (XEP-0198).
 *
 * The session owns what it is owed: bytes go through its outbox, which is bounded and charged. */
#pragma once

#include "host-server/wire/stanza.h"

typedef struct Session Session;
typedef struct SessionBook SessionBook;

Session *session_ref (Session *session);
void session_unref (Session *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Session, session_unref)

const Jid *session_get_jid (const Session *session); /* the full address */
const Jid *session_get_bare (const Session *session);
const char *session_get_account (const Session *session); /* the account's UUID */
/* FALSE once it ended for good; late answers to it are dropped. */
gboolean session_is_alive (const Session *session);

/* Queues a stanza that must reach the client: written under a new root into the outbox, counted by stream
 * management. Over the outbox's limit the session ends with resource-constraint. */
void session_send (Session *session, const Stanza *stanza, const StanzaRoot *root);
/* The same for a stanza the server made; @xml is one whole stanza. */
void session_send_xml (Session *session, const char *xml, gsize length);
/* Ends the session with a stream error (RFC 6120 §4.9.3), which is the condition's element name. */
void session_end (Session *session, const char *stream_error, const char *text);

/* Calls @func once all that was queued before this call has been acknowledged (stream management) or written
 * to the socket (without it): @was_delivered; or FALSE once the session has ended for good before that. */
typedef void (*SessionDelivered) (Session *session, gboolean was_delivered, gpointer data);
void session_when_delivered (Session *session, SessionDelivered func, gpointer data);

/* Holds the session back while what it sent is not committed: until the release, acknowledgements do not go
 * past the stanza that is being processed now, its next request to a service waits, and with many holds open
 * nothing more is read. Messages to others keep flowing. Every hold is released once, also after the session
 * ended. */
guint64 session_hold (Session *session);
void session_release (Session *session, guint64 hold);

/* Whether a room holds the session (a write of its is not committed): its next request to a service waits.
 * services_resume() is called when nothing holds it any more. */
gboolean session_is_held (const Session *session);
/* Stops or goes on reading its stream, for who cannot take more from it now. */
void session_hold_reading (Session *session, gboolean is_held);

/* Presence as the session last announced it; kept by im/presence and read by delivery. */
gboolean session_is_available (const Session *session);
gint8 session_get_priority (const Session *session);
void session_set_presence (Session *session, gboolean is_available, gint8 priority);

/* What a room keeps with a session: one slot a room, freed with the session. */
typedef enum
{
  SESSION_SLOT_PRESENCE, /* im/presence */
  SESSION_SLOT_ROSTER,   /* im/roster */
  SESSION_SLOT_REQUESTS, /* core/service */
  N_SESSION_SLOTS,
} SessionSlot;
gpointer session_get_slot (const Session *session, SessionSlot slot);
void session_set_slot (Session *session, SessionSlot slot, gpointer value, GDestroyNotify free_value);

/* For core: how sessions come and go is in session-book.h. */

/* Sessions by address. Lookups are by prepared text and cost one hash. */
Session *session_book_find (const SessionBook *book, const char *full_jid); /* lent; NULL if there is none */
/* The account's sessions, in the order they were bound; lent, NULL if none. */
const GPtrArray *session_book_find_all (const SessionBook *book, const char *bare_jid);
guint session_book_get_count (const SessionBook *book);
/* Ends every session of an account that was removed or whose password was changed. */
void session_book_end_account (SessionBook *book, const char *bare_jid, const char *stream_error);
