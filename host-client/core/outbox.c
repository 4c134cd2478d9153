#include "host-client/core/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/id.h"
#include "common/base/log.h"

struct Outbox
{
  Db *db;
  const Clock *clock;
  char *folder, *owner;
  int lock; /* held as long as we live */
};

static char *
lock_path (const Outbox *outbox, const char *owner)
{
  g_autofree char *name = g_strconcat ("owner-", owner, ".lock", NULL);
  return g_build_filename (outbox->folder, name, NULL);
}

Outbox *
outbox_open (Db *db, const char *folder, const Clock *clock, GError **error)
{
  g_autoptr (Outbox) outbox = g_new0 (Outbox, 1);
  outbox->db = db;
  outbox->clock = clock;
  outbox->folder = g_strdup (folder);
  outbox->owner = id_new_random (10);
  g_autofree char *path = lock_path (outbox, outbox->owner);
  outbox->lock = open (path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (outbox->lock < 0 || flock (outbox->lock, LOCK_EX | LOCK_NB) != 0)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_FAILED, "cannot lock '%s': %s", path, g_strerror (errno));
      return NULL;
    }
  return g_steal_pointer (&outbox);
}

void
outbox_free (Outbox *outbox)
{
  if (outbox == NULL)
    return;
  if (outbox->lock >= 0)
    {
      g_autofree char *path = lock_path (outbox, outbox->owner);
      g_unlink (path);
      close (outbox->lock);
    }
  g_free (outbox->folder);
  g_free (outbox->owner);
  g_free (outbox);
}

char *
outbox_add (Outbox *outbox, const char *peer, const char *body, gint64 *seq, GError **error)
{
  g_autofree char *id = id_new_uuid7 (outbox->clock);
  g_autoptr (DbQuery) query = db_query (
      outbox->db,
      "INSERT INTO outbox (id, owner, peer, body, created_us)"
      " SELECT ?, ?, ?, ?, ? WHERE (SELECT COUNT(*) FROM outbox) < ? RETURNING seq",
      "ssssii", id, outbox->owner, peer, body, clock_get_wall_us (outbox->clock), (gint64)OUTBOX_MAX);
  g_autoptr (GError) failure = NULL;
  if (!db_next (query, &failure))
    {
      if (failure != NULL)
        g_propagate_error (error, g_steal_pointer (&failure));
      return NULL;
    }
  if (seq != NULL)
    *seq = db_get_int (query, 0);
  /* The statement commits when it has run to its end. */
  if (db_next (query, error) || (error != NULL && *error != NULL))
    return NULL;
  return g_steal_pointer (&id);
}

static void
item_free (gpointer data)
{
  OutboxItem *item = data;
  g_free (item->id);
  g_free (item->peer);
  g_free (item->body);
  g_free (item);
}

GPtrArray *
outbox_list (Outbox *outbox, gint64 after_seq, GError **error)
{
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func (item_free);
  g_autoptr (DbQuery) query = db_query (
      outbox->db,
      "SELECT seq, id, peer, body, created_us FROM outbox WHERE owner = ? AND seq > ? ORDER BY seq", "si",
      outbox->owner, after_seq);
  g_autoptr (GError) failure = NULL;
  while (db_next (query, &failure))
    {
      OutboxItem *item = g_new0 (OutboxItem, 1);
      item->seq = db_get_int (query, 0);
      item->id = db_dup_text (query, 1);
      item->peer = db_dup_text (query, 2);
      item->body = db_dup_text (query, 3);
      item->created_us = db_get_int (query, 4);
      g_ptr_array_add (items, item);
    }
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return NULL;
    }
  return g_steal_pointer (&items);
}

gboolean
outbox_confirm (Outbox *outbox, gint64 up_to_seq, GError **error)
{
  return db_run (outbox->db, error, "DELETE FROM outbox WHERE owner = ? AND seq <= ?", "si", outbox->owner,
                 up_to_seq);
}

gboolean
outbox_remove (Outbox *outbox, const char *id, GError **error)
{
  return db_run (outbox->db, error, "DELETE FROM outbox WHERE id = ?", "s", id);
}

static GPtrArray *
list_other_owners (Outbox *outbox, GError **error)
{
  g_autoptr (GPtrArray) owners = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (DbQuery) query
      = db_query (outbox->db, "SELECT DISTINCT owner FROM outbox WHERE owner <> ?", "s", outbox->owner);
  g_autoptr (GError) failure = NULL;
  while (db_next (query, &failure))
    g_ptr_array_add (owners, db_dup_text (query, 0));
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return NULL;
    }
  return g_steal_pointer (&owners);
}

gboolean
outbox_adopt (Outbox *outbox, GError **error)
{
  g_autoptr (GPtrArray) owners = list_other_owners (outbox, error);
  if (owners == NULL)
    return FALSE;
  for (guint i = 0; i < owners->len; i++)
    {
      const char *owner = g_ptr_array_index (owners, i);
      g_autofree char *path = lock_path (outbox, owner);
      int lock = open (path, O_RDWR | O_CLOEXEC);
      if (lock >= 0 && flock (lock, LOCK_EX | LOCK_NB) != 0)
        {
          close (lock);
          continue;
        }
      gboolean is_taken = db_run (outbox->db, error, "UPDATE outbox SET owner = ? WHERE owner = ?", "ss",
                                  outbox->owner, owner);
      if (is_taken && db_get_changes (outbox->db) > 0)
        log_info ("outbox", "adopted messages=%" G_GINT64_FORMAT, db_get_changes (outbox->db));
      if (lock >= 0)
        {
          g_unlink (path);
          close (lock);
        }
      if (!is_taken)
        return FALSE;
    }
  return TRUE;
}
