/* The contact list (RFC 6121 §2), kept on disk between sessions with its version, and who of it is there. */
#pragma once

#include "common/base/db.h"
#include "host-client/core/session.h"

#define NS_ROSTER "jabber:iq:roster"

typedef struct
{
  char *jid;          /* bare */
  char *name;         /* "": none */
  char *subscription; /* "none", "to", "from", "both" */
  gboolean is_asked;  /* our subscription request is pending */
  char **groups;
  GHashTable *resources; /* resource -> Presence; of those who are there */
} RosterItem;

typedef struct Roster Roster;

/* Callbacks may be NULL. */
typedef struct
{
  void (*loaded) (gpointer data);
  void (*changed) (const char *jid, gpointer data);
  /* Someone came, went, or changed what they show; @item is NULL for one who is not a contact. */
  void (*presence) (const RosterItem *item, const Presence *presence, gpointer data);
  /* Someone asks to see our presence: answer with roster_accept() or roster_deny(). */
  void (*asked) (const char *jid, const char *words, gpointer data);
} RosterEvents;

/* Watches @session, which with @db outlives it. NULL with a DB_ERROR. */
Roster *roster_new (Session *session, Db *db, GError **error);
void roster_free (Roster *roster);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Roster, roster_free)
void roster_set_events (Roster *roster, const RosterEvents *events, gpointer data);
/* Whether to be available: seen by contacts, and given the messages that wait. FALSE at first. */
void roster_set_available (Roster *roster, gboolean is_available);

/* Sorted by name or JID: an array of RosterItem, lent; the caller unrefs the array. */
GPtrArray *roster_list (Roster *roster);
/* NULL if there is none. */
const RosterItem *roster_find (Roster *roster, const char *jid);
/* What to show for a contact: its name, else its JID. */
const char *roster_item_peek_label (const RosterItem *item);
/* The presence to show: of the resource with the highest priority; NULL: not there. */
const Presence *roster_item_peek_presence (const RosterItem *item);
/* Those who asked for our presence and were not answered: JIDs, lent; the caller unrefs the array. */
GPtrArray *roster_list_asking (Roster *roster);

/* Adds (or renames) a contact and asks to see its presence; @name NULL: none. @callback has the server's
 * answer. */
void roster_add (Roster *roster, const char *jid, const char *name, ReplyFunc callback, gpointer data);
void roster_remove (Roster *roster, const char *jid, ReplyFunc callback, gpointer data);
/* Answers a request to see our presence. Accepting also asks for theirs, if that is not so yet. */
void roster_accept (Roster *roster, const char *jid);
void roster_deny (Roster *roster, const char *jid);

/* The row of roster pushes for connection_new()'s table. */
gpointer roster_update_read (xmpp_stanza_t *element);
void roster_update_free (gpointer update);
