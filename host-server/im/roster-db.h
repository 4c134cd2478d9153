/* Roster items as rows of chat.db. What changes anything runs on the writer thread, inside a store write. */
#pragma once

#include "common/base/db.h"
#include "host-server/im/subscription.h"

/* Stored: values stay as they are. */
typedef enum
{
  ROSTER_HIDDEN, /* only a request of the contact's waits; never shown in the roster (RFC 6121 §3.1.3) */
  ROSTER_LISTED,
  ROSTER_REMOVED, /* a tombstone, for clients that ask by version */
} RosterKind;

typedef struct
{
  char *jid; /* bare */
  RosterKind kind;
  Subscription state;
  gboolean is_approved; /* RFC 6121 §3.4 */
  char *name;           /* NULL: none */
  char *group_xml;      /* `<group>…</group>` for each, "" for none */
  GBytes *request;      /* the stanza of a subscription request that waits; NULL */
  gint64 seq;
} RosterItem;

RosterItem *roster_item_new (const char *jid);
RosterItem *roster_item_copy (const RosterItem *item);
void roster_item_free (RosterItem *item);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RosterItem, roster_item_free)
/* Appends the `<item/>` of RFC 6121 §2.1.2; a tombstone's has subscription='remove'. */
void roster_item_write (const RosterItem *item, GString *out);

/* The item of any kind but a tombstone in *@item, NULL if there is none. FALSE on a fault. */
gboolean roster_db_find (Db *db, const char *account, const char *jid, RosterItem **item, GError **error);
/* Writes @item as the account's next change and sets its seq. */
gboolean roster_db_save (Db *db, const char *account, RosterItem *item, GError **error);
/* Makes a tombstone of the item, in the row and in @item. */
gboolean roster_db_remove (Db *db, const char *account, RosterItem *item, GError **error);
/* Rows of @kind; at most @limit are counted. */
gboolean roster_db_count (Db *db, const char *account, RosterKind kind, gint64 limit, gint64 *count,
                          GError **error);

typedef void (*RosterFunc) (RosterItem *take_item, gpointer data);
/* Every item but tombstones, at most @limit, without the bytes of waiting requests; *@seq is the roster's
 * version, 0 if it never had an item. */
gboolean roster_db_load (Db *db, const char *account, gint64 limit, gint64 *seq, RosterFunc func,
                         gpointer data, GError **error);
/* Items changed after @seq, in that order, at most @limit; what is not listed comes as a tombstone.
 * *@is_known is FALSE, and nothing is listed, if @seq is not a version this roster had or some of its
 * tombstones are gone. */
gboolean roster_db_changes (Db *db, const char *account, gint64 seq, gint64 limit, gboolean *is_known,
                            RosterFunc func, gpointer data, GError **error);
/* The bytes of a waiting request; NULL if there is none. */
GBytes *roster_db_get_request (Db *db, const char *account, const char *jid);
/* At most @limit JIDs of any kind but tombstones, in order, behind @after (NULL: from the first). */
gboolean roster_db_list_jids (Db *db, const char *account, const char *after, gint64 limit, GPtrArray *jids,
                              GError **error);
/* Every row of the account. */
gboolean roster_db_clear (Db *db, const char *account, GError **error);
