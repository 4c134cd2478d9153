#include "host-server/im/offline.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "host-server/im/delivery.h"

#include <string.h>

#define NS_HINTS      "urn:xmpp:hints"
#define NS_CHATSTATES "http://jabber.org/protocol/chatstates"
/* What is on its way to one session at a time, at most; and a small part of what a session may be owed, so
 * that handing over never is what ends it. */
#define CHUNK_MESSAGES 50
#define CHUNK_BYTES    (256 * 1024)

gboolean
offline_is_worth_keeping (const Stanza *message)
{
  if (stanza_find_child (message, "no-store", NS_HINTS) != NULL
      || stanza_find_child (message, "no-permanent-store", NS_HINTS) != NULL)
    return FALSE;
  for (guint i = 0; i < message->n_children; i++)
    {
      const StanzaChild *child = &message->children[i];
      if (!g_str_equal (child->ns, NS_CHATSTATES) && !g_str_equal (child->ns, NS_HINTS)
          && !g_str_equal (child->name, "thread"))
        return TRUE;
    }
  return FALSE;
}

/* Keeping. */

typedef struct
{
  Im *im;
  Session *sender; /* NULL: the server itself */
  guint64 hold;
  Stanza *stanza;
  Jid *bare;
  char *account;
  GString *bytes;
  gint64 max_messages;
  gint64 max_bytes;
  gboolean is_full;
} Keep;

static void
keep_free (Keep *keep)
{
  if (keep->sender != NULL)
    {
      session_release (keep->sender, keep->hold);
      session_unref (keep->sender);
    }
  stanza_free (keep->stanza);
  jid_unref (keep->bare);
  g_free (keep->account);
  g_string_free (keep->bytes, TRUE);
  g_free (keep);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Keep, keep_free)

static gboolean
keep_work (Db *db, gpointer data, GError **error)
{
  Keep *keep = data;
  gint64 n_bytes = (gint64)keep->bytes->len;
  if (!db_run (db, error,
               "INSERT INTO offline_count (account, last_id, messages, bytes) VALUES (?, 0, 0, 0)"
               " ON CONFLICT (account) DO NOTHING",
               "s", keep->account)
      || !db_run (db, error,
                  "UPDATE offline_count SET last_id = last_id + 1, messages = messages + 1, bytes = bytes + ?"
                  " WHERE account = ? AND messages < ? AND bytes <= ?",
                  "isii", n_bytes, keep->account, keep->max_messages, keep->max_bytes - n_bytes))
    return FALSE;
  keep->is_full = db_get_changes (db) == 0;
  return keep->is_full
         || db_run (db, error,
                    "INSERT INTO offline_message (account, id, stanza, n_bytes)"
                    " SELECT account, last_id, ?, ? FROM offline_count WHERE account = ?",
                    "bis", keep->bytes->str, keep->bytes->len, n_bytes, keep->account);
}

static void
keep_done (gpointer data, const GError *error)
{
  g_autoptr (Keep) keep = data;
  Im *im = keep->im;
  if (error != NULL)
    {
      log_error ("im", "cannot keep a message account=%s: %s", keep->account, error->message);
      router_refuse (im->server->router, keep->sender, keep->stanza, STANZA_ERROR_INTERNAL_SERVER_ERROR,
                     NULL);
    }
  else if (keep->is_full)
    router_refuse (im->server->router, keep->sender, keep->stanza, STANZA_ERROR_SERVICE_UNAVAILABLE,
                   "the recipient's offline store is full");
  else
    {
      /* A resource may have come while the message was being written, and have found nothing. */
      Session *receiver = delivery_find_receiver (im, jid_get_bare (keep->bare));
      if (receiver != NULL)
        offline_drain (im, receiver);
    }
}

void
offline_keep (Im *im, Session *sender, const Stanza *stanza, const Jid *bare, const char *account)
{
  Keep *keep = g_new0 (Keep, 1);
  keep->im = im;
  keep->stanza = stanza_copy (stanza);
  keep->bare = jid_ref ((Jid *)bare);
  keep->account = g_strdup (account);
  keep->max_messages = im_get_limit (im, "offline_messages");
  keep->max_bytes = im_get_limit (im, "offline_bytes");
  if (sender != NULL)
    {
      keep->sender = session_ref (sender);
      keep->hold = session_hold (sender);
    }
  g_autofree char *stamp = clock_dup_rfc3339 (clock_get_wall_us (im->server->clock));
  g_autoptr (GString) delay = g_string_new ("<delay xmlns='urn:xmpp:delay'");
  text_append_xml_attribute (delay, "from", jid_get_domain (im->server->domain));
  text_append_xml_attribute (delay, "stamp", stamp);
  g_string_append (delay, "/>");
  keep->bytes = g_string_new (NULL);
  StanzaRoot root = { .to = stanza->to == NULL ? bare : NULL, .with_xmlns = TRUE, .append = delay->str };
  stanza_write (stanza, &root, keep->bytes);
  store_write (im->server->store, STORE_CHAT, keep_work, keep_done, keep);
}

/* Handing over. One session of an account at a time gets what is kept, in chunks: a chunk is sent, the client
 * takes it, its rows are deleted, the next is read. If the session ends first the rows are still there. */

typedef struct
{
  Im *im;
  Session *session;
  char *bare;
  char *account;
  gint64 last_id; /* of the chunk under way; 0 before the first */
  guint64 hold;   /* while the chunk's rows are being deleted */
} Drain;

static void drain_step (Drain *drain);

static void
drain_end (Drain *drain)
{
  Im *im = drain->im;
  g_hash_table_remove (im->drains, drain->bare);
  session_unref (drain->session);
  g_free (drain->account);
  g_free (drain->bare);
  g_free (drain);
}

/* Ends a drain whose session cannot take more; another one may. */
static void
drain_hand_on (Drain *drain)
{
  Im *im = drain->im;
  Session *next = delivery_find_receiver (im, drain->bare);
  gboolean goes_on = next != NULL && next != drain->session;
  drain_end (drain);
  if (goes_on)
    offline_drain (im, next);
}

static gboolean
delete_work (Db *db, gpointer data, GError **error)
{
  const Drain *drain = data;
  gint64 messages = 0, bytes = 0;
  GError *local = NULL;
  {
    g_autoptr (DbQuery) query = db_query (
        db, "SELECT count(*), coalesce(sum(n_bytes), 0) FROM offline_message WHERE account = ? AND id <= ?",
        "si", drain->account, drain->last_id);
    if (db_next (query, &local))
      {
        messages = db_get_int (query, 0);
        bytes = db_get_int (query, 1);
      }
  }
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  return db_run (db, error, "DELETE FROM offline_message WHERE account = ? AND id <= ?", "si", drain->account,
                 drain->last_id)
         && db_run (db, error,
                    "UPDATE offline_count SET messages = messages - ?, bytes = bytes - ? WHERE account = ?",
                    "iis", messages, bytes, drain->account);
}

static void
delete_done (gpointer data, const GError *error)
{
  Drain *drain = data;
  session_release (drain->session, drain->hold);
  if (error != NULL) /* the next chunk tries it again; at worst they come twice */
    log_error ("im", "cannot delete offline messages account=%s: %s", drain->account, error->message);
  if (session_is_alive (drain->session) && delivery_is_receiver (drain->session))
    drain_step (drain);
  else
    drain_hand_on (drain);
}

/* The session is held until the rows are gone for good: a client that has an answer after its kept messages does
 * not get them again, whatever happens to the server. One that only ends its stream may. */
static void
drain_delivered (Session *session, gboolean was_delivered, gpointer data)
{
  Drain *drain = data;
  if (was_delivered)
    {
      drain->hold = session_hold (session);
      store_write (drain->im->server->store, STORE_CHAT, delete_work, delete_done, drain);
    }
  else
    drain_hand_on (drain);
}

static void
drain_step (Drain *drain)
{
  g_autoptr (GError) error = NULL;
  gint64 n_sent = 0;
  gint64 max_messages = CLAMP (im_get_limit (drain->im, "unacked_stanzas") / 4, 1, CHUNK_MESSAGES);
  gint64 max_bytes = MIN (im_get_limit (drain->im, "outbox_bytes") / 4, CHUNK_BYTES);
  {
    g_autoptr (DbQuery) query
        = db_query (store_peek_reader (drain->im->server->store, STORE_CHAT),
                    "SELECT id, stanza FROM offline_message WHERE account = ? AND id > ? ORDER BY id LIMIT ?",
                    "sii", drain->account, drain->last_id, max_messages);
    while (n_sent < max_bytes && db_next (query, &error))
      {
        gsize length;
        const char *bytes = db_get_blob (query, 1, &length);
        g_autoptr (Stanza) stanza = stanza_new_from_bytes (bytes, length);
        if (stanza != NULL)
          session_send (drain->session, stanza, &(StanzaRoot){ .is_kept = TRUE });
        else
          log_error ("im", "a kept message cannot be read account=%s", drain->account);
        drain->last_id = db_get_int (query, 0);
        n_sent += (gint64)length;
      }
  }
  if (error != NULL)
    log_error ("im", "cannot read offline messages account=%s: %s", drain->account, error->message);
  if (n_sent > 0)
    session_when_delivered (drain->session, drain_delivered, drain);
  else
    drain_end (drain);
}

void
offline_drain (Im *im, Session *session)
{
  const char *bare = jid_get_bare (session_get_bare (session));
  if (g_hash_table_contains (im->drains, bare))
    return; /* it reads on until nothing is left */
  Drain *drain = g_new0 (Drain, 1);
  drain->im = im;
  drain->session = session_ref (session);
  drain->bare = g_strdup (bare);
  drain->account = g_strdup (session_get_account (session));
  g_hash_table_insert (im->drains, drain->bare, drain);
  drain_step (drain);
}

void
im_offline_init (Im *im)
{
  services_add_feature (im->server->services, SERVICE_DOMAIN, "msgoffline");
}
