/* A queue between two threads: anyone posts, the receiver's main context hands the items out in order. */
#pragma once

#include <glib.h>

typedef struct Mailbox Mailbox;

/* The receiver takes the item. */
typedef void (*MailboxFunc) (gpointer item, gpointer data);

/* @free_item is for items that were not handed out when the mailbox is freed. */
Mailbox *mailbox_new (GMainContext *context, MailboxFunc receive, gpointer data, GDestroyNotify free_item);
/* On the receiver's thread, and not from within @receive; nobody posts any more. */
void mailbox_free (Mailbox *mailbox);
/* From any thread. */
void mailbox_post (Mailbox *mailbox, gpointer take_item);
/* Items posted and not yet handed out; from any thread. */
guint mailbox_get_length (Mailbox *mailbox);
