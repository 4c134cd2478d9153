#include "host-server/core/outbox.h"

#define MIN_COMPACTION 4096

typedef struct
{
  guint32 length;
  gboolean is_kept;
} Entry;

struct Outbox
{
  GString *bytes;   /* of all entries; acknowledged ones at the front until they are cut off */
  GArray *entries;  /* of Entry, likewise */
  gsize first_byte; /* of what is not acknowledged */
  guint first;
  guint32 acknowledged;
};

Outbox *
outbox_new (void)
{
  Outbox *outbox = g_new0 (Outbox, 1);
  outbox->bytes = g_string_new (NULL);
  outbox->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  return outbox;
}

void
outbox_free (Outbox *outbox)
{
  if (outbox == NULL)
    return;
  g_string_free (outbox->bytes, TRUE);
  g_array_unref (outbox->entries);
  g_free (outbox);
}

void
outbox_add (Outbox *outbox, const char *xml, gsize length, gboolean is_kept)
{
  Entry entry = { (guint32)length, is_kept };
  g_string_append_len (outbox->bytes, xml, (gssize)length);
  g_array_append_val (outbox->entries, entry);
}

guint
outbox_get_length (const Outbox *outbox)
{
  return outbox->entries->len - outbox->first;
}

gsize
outbox_get_bytes (const Outbox *outbox)
{
  return outbox->bytes->len - outbox->first_byte;
}

guint32
outbox_get_acknowledged (const Outbox *outbox)
{
  return outbox->acknowledged;
}

guint32
outbox_get_sent (const Outbox *outbox)
{
  return outbox->acknowledged + outbox_get_length (outbox);
}

/* Cuts the front off once it outweighs the rest, so that each byte is moved at most once on the average. */
static void
compact (Outbox *outbox)
{
  if (outbox->first == outbox->entries->len)
    {
      g_string_truncate (outbox->bytes, 0);
      g_array_set_size (outbox->entries, 0);
    }
  else if (outbox->first_byte > MIN_COMPACTION && outbox->first_byte > outbox->bytes->len / 2)
    {
      g_string_erase (outbox->bytes, 0, (gssize)outbox->first_byte);
      g_array_remove_range (outbox->entries, 0, outbox->first);
    }
  else
    return;
  outbox->first = 0;
  outbox->first_byte = 0;
}

gboolean
outbox_acknowledge (Outbox *outbox, guint32 h)
{
  guint32 n = h - outbox->acknowledged;
  if (n > outbox_get_length (outbox))
    return FALSE;
  for (guint32 i = 0; i < n; i++)
    outbox->first_byte += g_array_index (outbox->entries, Entry, outbox->first++).length;
  outbox->acknowledged = h;
  compact (outbox);
  return TRUE;
}

void
outbox_write (const Outbox *outbox, GString *out)
{
  g_string_append_len (out, outbox->bytes->str + outbox->first_byte, (gssize)outbox_get_bytes (outbox));
}

void
outbox_foreach (const Outbox *outbox, OutboxFunc func, gpointer data)
{
  gsize at = outbox->first_byte;
  for (guint i = outbox->first; i < outbox->entries->len; i++)
    {
      const Entry *entry = &g_array_index (outbox->entries, Entry, i);
      func (outbox->bytes->str + at, entry->length, entry->is_kept, data);
      at += entry->length;
    }
}

void
outbox_set_sent (Outbox *outbox, guint32 sent)
{
  g_assert (outbox_get_length (outbox) == 0);
  outbox->acknowledged = sent;
}
