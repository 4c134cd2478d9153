/* What a session has sent and its client has not acknowledged (XEP-0198): stanzas in order, counted modulo
 * 2^32. No stream and no clock in it. */
#pragma once

#include <glib.h>

typedef struct Outbox Outbox;

Outbox *outbox_new (void);
void outbox_free (Outbox *outbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Outbox, outbox_free)

/* Keeps a copy of a stanza just sent. @is_kept: someone else keeps it too, see StanzaRoot. */
void outbox_add (Outbox *outbox, const char *xml, gsize length, gboolean is_kept);
/* The client has handled @h stanzas. FALSE if that is more than it was sent (or less than it has said before,
 * which counts the same). */
gboolean outbox_acknowledge (Outbox *outbox, guint32 h);

guint32 outbox_get_sent (const Outbox *outbox);
guint32 outbox_get_acknowledged (const Outbox *outbox);
guint outbox_get_length (const Outbox *outbox); /* unacknowledged stanzas */
gsize outbox_get_bytes (const Outbox *outbox);  /* and their size */
/* Appends all unacknowledged stanzas, to be sent again. */
void outbox_write (const Outbox *outbox, GString *out);
typedef void (*OutboxFunc) (const char *xml, gsize length, gboolean is_kept, gpointer data);
void outbox_foreach (const Outbox *outbox, OutboxFunc func, gpointer data);
/* For tests: as if @sent stanzas had been sent and acknowledged. */
void outbox_set_sent (Outbox *outbox, guint32 sent);
