/* Messages: what the user writes goes through the outbox, what arrives goes into the history. */
#pragma once

#include "host-client/core/folder.h"
#include "host-client/core/history.h"
#include "host-client/core/session.h"

typedef struct Chat Chat;

typedef struct
{
  const char *peer; /* bare JID */
  const char *from; /* as the server stamped it */
  const char *body;
  gint64 stamp_us;
  gboolean is_delayed; /* it waited on the server */
} ChatMessage;

/* Callbacks may be NULL. */
typedef struct
{
  void (*received) (const ChatMessage *message, gpointer data);
  /* The server has the message @id. */
  void (*sent) (const char *id, gpointer data);
  /* It came back: nobody will read it. */
  void (*bounced) (const char *id, const char *peer, const StanzaError *error, gpointer data);
} ChatEvents;

/* @adopts: messages that ended processes left unsent are ours to send. All but @events outlive the chat. NULL
 * with a DB_ERROR or FOLDER_ERROR. */
Chat *chat_new (Session *session, Db *db, Folder *folder, gboolean adopts, GError **error);
void chat_free (Chat *chat);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Chat, chat_free)
void chat_set_events (Chat *chat, const ChatEvents *events, gpointer data);

/* Stores a message for @peer (a prepared JID) and sends it, now or when the connection is back. Its id is the
 * caller's to free; NULL with DB_ERROR, DB_ERROR_FULL if OUTBOX_MAX wait already. */
char *chat_send (Chat *chat, const char *peer, const char *body, GError **error);
/* The user gives up on a message that was not `sent`. It may have left already. */
void chat_withdraw (Chat *chat, const char *id);

/* A message as it passed: received and shown, or taken for sending. */
typedef struct
{
  gboolean is_sent; /* by us */
  gboolean is_delayed;
  const char *peer; /* bare JID */
  const char *body;
  gint64 stamp_us;
} ChatCopy;

typedef void (*ChatCopyFunc) (const ChatCopy *copy, gpointer data);
/* Shows every message that passes, after it has; one watcher. @callback must not wait for anything. */
void chat_watch_copies (Chat *chat, ChatCopyFunc callback, gpointer data);
