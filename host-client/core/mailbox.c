#include "host-client/core/mailbox.h"

/* Items for one turn of the receiver's loop, so that its other sources get theirs. */
#define ITEMS_A_TURN 100

struct Mailbox
{
  GSource source; /* first: it is the GSource */
  GAsyncQueue *items;
  MailboxFunc receive;
  gpointer data;
};

static gboolean
mailbox_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  Mailbox *mailbox = (Mailbox *)source;
  /* Not ready before the queue is looked at: a post in between makes it ready again. */
  g_source_set_ready_time (source, -1);
  for (int i = 0; i < ITEMS_A_TURN; i++)
    {
      gpointer item = g_async_queue_try_pop (mailbox->items);
      if (item == NULL)
        return G_SOURCE_CONTINUE;
      mailbox->receive (item, mailbox->data);
    }
  g_source_set_ready_time (source, 0);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs mailbox_funcs = { .dispatch = mailbox_dispatch };

Mailbox *
mailbox_new (GMainContext *context, MailboxFunc receive, gpointer data, GDestroyNotify free_item)
{
  Mailbox *mailbox = (Mailbox *)g_source_new (&mailbox_funcs, sizeof (Mailbox));
  mailbox->items = g_async_queue_new_full (free_item);
  mailbox->receive = receive;
  mailbox->data = data;
  g_source_attach (&mailbox->source, context);
  return mailbox;
}

void
mailbox_free (Mailbox *mailbox)
{
  if (mailbox == NULL)
    return;
  g_source_destroy (&mailbox->source);
  g_async_queue_unref (mailbox->items);
  g_source_unref (&mailbox->source);
}

void
mailbox_post (Mailbox *mailbox, gpointer take_item)
{
  g_async_queue_push (mailbox->items, take_item);
  g_source_set_ready_time (&mailbox->source, 0);
}

guint
mailbox_get_length (Mailbox *mailbox)
{
  return (guint)MAX (g_async_queue_length (mailbox->items), 0);
}
