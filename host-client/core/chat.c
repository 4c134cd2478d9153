#include "host-client/core/chat.h"

#include <string.h>

#include "common/base/log.h"
#include "host-client/core/jid.h"
#include "host-client/core/outbox.h"

/* Messages older than this when they go out say when they were written. */
#define DELAY_STAMP_S 30

struct Chat
{
  Session *session;
  Db *db;
  Outbox *outbox;
  ChatEvents events;
  gpointer data;
  ChatCopyFunc on_copy; /* NULL: nobody watches */
  gpointer copy_data;
  gboolean adopts;
  gint64 sent_seq;   /* the last one handed to this connection */
  gint64 pinged_seq; /* what an answer to the open ping will confirm; 0: none is open */
  gint64 online_us;  /* wall time */
  GHashTable *seen;  /* "peer origin" of messages this process was given lately */
  GQueue *seen_order;
};

#define SEEN_MAX 4096

static void
warn (const char *what, GError *error)
{
  log_warning ("chat", "cannot %s: %s", what, error->message);
}

/* ---- sending ---- */

static void confirm_sent (Chat *chat);

static void
on_confirmed (Reply *reply, gpointer data)
{
  Chat *chat = data;
  gint64 seq = chat->pinged_seq;
  chat->pinged_seq = 0;
  /* An error is an answer too: whoever wrote it has read everything before the question. */
  if (reply->kind != REPLY_RESULT && reply->kind != REPLY_ERROR)
    return;

  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = outbox_list (chat->outbox, 0, &error);
  if (items == NULL || !outbox_confirm (chat->outbox, seq, &error))
    {
      warn ("confirm messages", error);
      return;
    }
  confirm_sent (chat);
  for (guint i = 0; i < items->len; i++)
    {
      const OutboxItem *item = g_ptr_array_index (items, i);
      if (item->seq <= seq && chat->events.sent != NULL)
        chat->events.sent (item->id, chat->data);
    }
}

/* One ping at a time confirms all that went before it. */
static void
confirm_sent (Chat *chat)
{
  if (chat->pinged_seq != 0 || chat->sent_seq == 0)
    return;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = outbox_list (chat->outbox, 0, &error);
  if (items == NULL || items->len == 0 || !session_is_online (chat->session))
    return;
  chat->pinged_seq = chat->sent_seq;
  session_ping (chat->session, on_confirmed, chat);
}

static void
send_waiting (Chat *chat)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = outbox_list (chat->outbox, chat->sent_seq, &error);
  if (items == NULL)
    {
      warn ("read the outbox", error);
      return;
    }
  gint64 now_us = clock_get_wall_us (session_peek_clock (chat->session));
  for (guint i = 0; i < items->len; i++)
    {
      const OutboxItem *item = g_ptr_array_index (items, i);
      gboolean is_old = now_us - item->created_us > DELAY_STAMP_S * G_USEC_PER_SEC;
      g_autofree char *xml = message_write (item->peer, item->id, item->body, is_old ? item->created_us : 0);
      if (!session_send (chat->session, xml))
        return;
      chat->sent_seq = item->seq;
    }
  confirm_sent (chat);
}

static void
on_online (gpointer data)
{
  Chat *chat = data;
  g_autoptr (GError) error = NULL;
  chat->sent_seq = 0;
  chat->online_us = clock_get_wall_us (session_peek_clock (chat->session));
  if (chat->adopts && !outbox_adopt (chat->outbox, &error))
    warn ("adopt messages", error);
  send_waiting (chat);
}

char *
chat_send (Chat *chat, const char *peer, const char *body, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autofree char *id = outbox_add (chat->outbox, peer, body, NULL, &failure);
  if (id == NULL)
    {
      if (failure != NULL)
        g_propagate_error (error, g_steal_pointer (&failure));
      else
        g_set_error (error, DB_ERROR, DB_ERROR_FULL, "%d messages wait to be sent already", OUTBOX_MAX);
      return NULL;
    }
  g_autofree char *bare = jid_dup_bare (peer);
  gint64 now_us = clock_get_wall_us (session_peek_clock (chat->session)), known_us;
  HistoryEntry entry = { bare, HISTORY_SENT, id, body, now_us, now_us };
  HistoryOutcome outcome;
  if (!history_add (chat->db, &entry, &outcome, &known_us, &failure))
    warn ("keep the message in the history", failure);
  if (session_is_online (chat->session))
    send_waiting (chat);
  if (chat->on_copy != NULL)
    {
      ChatCopy copy = { .is_sent = TRUE, .peer = bare, .body = body, .stamp_us = now_us };
      chat->on_copy (&copy, chat->copy_data);
    }
  return g_steal_pointer (&id);
}

void
chat_withdraw (Chat *chat, const char *id)
{
  g_autoptr (GError) error = NULL;
  if (!outbox_remove (chat->outbox, id, &error))
    warn ("withdraw a message", error);
}

/* ---- receiving ---- */

/* TRUE the second time this process is given a message. */
static gboolean
was_seen (Chat *chat, const char *peer, const char *origin)
{
  char *key = g_strconcat (peer, " ", origin, NULL);
  if (g_hash_table_contains (chat->seen, key))
    {
      g_free (key);
      return TRUE;
    }
  g_hash_table_add (chat->seen, key);
  g_queue_push_tail (chat->seen_order, key);
  if (g_queue_get_length (chat->seen_order) > SEEN_MAX)
    g_hash_table_remove (chat->seen, g_queue_pop_head (chat->seen_order));
  return FALSE;
}

/* Stores the message. A sender that lost its connection sends again under the same origin-id; that is shown
 * once. But where the history has it only since we are online, another process of this account was given it
 * besides us, and ours shows it too. */
static gboolean
is_repeated (Chat *chat, const Message *message, const ChatMessage *received)
{
  gint64 now_us = clock_get_wall_us (session_peek_clock (chat->session)), known_us = 0;
  HistoryEntry entry
      = { received->peer, HISTORY_RECEIVED, message->origin, message->body, received->stamp_us, now_us };
  HistoryOutcome outcome = HISTORY_STORED;
  g_autoptr (GError) error = NULL;
  if (!history_add (chat->db, &entry, &outcome, &known_us, &error))
    warn ("keep a message in the history", error);
  if (message->origin == NULL)
    return FALSE;
  return was_seen (chat, received->peer, message->origin)
         || (outcome == HISTORY_KNOWN && known_us < chat->online_us);
}

static void
on_message (const Message *message, gpointer data)
{
  Chat *chat = data;
  g_autofree char *peer = jid_dup_bare (message->from);
  g_autoptr (GError) error = NULL;
  if (message->error != NULL)
    {
      if (message->id == NULL)
        return;
      if (!outbox_remove (chat->outbox, message->id, &error))
        warn ("drop a bounced message", error);
      if (chat->events.bounced != NULL)
        chat->events.bounced (message->id, peer, message->error, chat->data);
      return;
    }

  ChatMessage received = {
    .peer = peer,
    .from = message->from,
    .body = message->body,
    .is_delayed = message->stamp_us != 0,
    .stamp_us
    = message->stamp_us != 0 ? message->stamp_us : clock_get_wall_us (session_peek_clock (chat->session)),
  };
  if (is_repeated (chat, message, &received))
    return;
  if (chat->events.received != NULL)
    chat->events.received (&received, chat->data);
  if (chat->on_copy != NULL)
    {
      ChatCopy copy = {
        .is_delayed = received.is_delayed, .peer = peer, .body = message->body, .stamp_us = received.stamp_us
      };
      chat->on_copy (&copy, chat->copy_data);
    }
}

Chat *
chat_new (Session *session, Db *db, Folder *folder, gboolean adopts, GError **error)
{
  static const SessionWatch watch = { .online = on_online, .message = on_message };
  g_autofree char *path = folder_dup_account_path (folder, session_peek_account (session), error);
  if (path == NULL || !history_trim (db, error))
    return NULL;
  Outbox *outbox = outbox_open (db, path, session_peek_clock (session), error);
  if (outbox == NULL)
    return NULL;
  Chat *chat = g_new0 (Chat, 1);
  chat->session = session;
  chat->db = db;
  chat->outbox = outbox;
  chat->adopts = adopts;
  chat->seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  chat->seen_order = g_queue_new ();
  session_watch (session, &watch, chat);
  return chat;
}

void
chat_free (Chat *chat)
{
  if (chat == NULL)
    return;
  outbox_free (chat->outbox);
  g_queue_free (chat->seen_order);
  g_hash_table_unref (chat->seen);
  g_free (chat);
}

void
chat_set_events (Chat *chat, const ChatEvents *events, gpointer data)
{
  chat->events = *events;
  chat->data = data;
}

void
chat_watch_copies (Chat *chat, ChatCopyFunc callback, gpointer data)
{
  chat->on_copy = callback;
  chat->copy_data = data;
}
