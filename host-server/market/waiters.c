#include "host-server/market/room.h"

#include "common/base/deadlines.h"

typedef struct
{
  Market *market;
  char *key;
  WaiterFunc func;
  gpointer data;
  Deadline *deadline; /* NULL: it is over */
} Waiter;

struct Waiters
{
  GHashTable *lists; /* key -> GPtrArray of Waiter, in the order they came */
  Deadlines *deadlines;
};

static void
end (Waiter *waiter, gboolean is_timed_out)
{
  g_clear_pointer (&waiter->deadline, deadline_cancel);
  waiter->func (waiter->market, waiter->data, is_timed_out);
  g_free (waiter->key);
  g_free (waiter);
}

static void
free_list (gpointer list)
{
  g_ptr_array_unref (list);
}

Waiters *
waiters_new (void)
{
  Waiters *waiters = g_new0 (Waiters, 1);
  waiters->lists = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_list);
  waiters->deadlines = deadlines_new (NULL);
  return waiters;
}

void
waiters_free (Waiters *waiters, Market *market)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, waiters->lists);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (keys, g_strdup (key));
  for (guint i = 0; i < keys->len; i++)
    {
      gpointer list;
      g_hash_table_steal_extended (waiters->lists, g_ptr_array_index (keys, i), &key, &list);
      g_free (key);
      for (guint k = 0; k < ((GPtrArray *)list)->len; k++)
        end (g_ptr_array_index ((GPtrArray *)list, k), TRUE);
      g_ptr_array_unref (list);
    }
  g_hash_table_unref (waiters->lists);
  deadlines_free (waiters->deadlines);
  g_free (waiters);
}

static void
time_out (gpointer data)
{
  Waiter *waiter = data;
  waiter->deadline = NULL;
  GHashTable *lists = waiter->market->waiters->lists;
  GPtrArray *list = g_hash_table_lookup (lists, waiter->key);
  g_ptr_array_remove (list, waiter);
  if (list->len == 0)
    g_hash_table_remove (lists, waiter->key);
  end (waiter, TRUE);
}

void
waiters_add (Market *market, const char *key, guint timeout_ms, WaiterFunc func, gpointer data)
{
  if (market->waiters == NULL) /* the server is stopping */
    {
      func (market, data, TRUE);
      return;
    }
  Waiter *waiter = g_new0 (Waiter, 1);
  waiter->market = market;
  waiter->key = g_strdup (key);
  waiter->func = func;
  waiter->data = data;
  waiter->deadline = deadlines_add (market->waiters->deadlines, timeout_ms, time_out, waiter);

  GPtrArray *list = g_hash_table_lookup (market->waiters->lists, key);
  if (list == NULL)
    {
      list = g_ptr_array_new ();
      g_hash_table_insert (market->waiters->lists, g_strdup (key), list);
    }
  g_ptr_array_add (list, waiter);
}

gboolean
waiters_wake (Market *market, const char *key)
{
  gpointer stolen, list;
  if (market->waiters == NULL || !g_hash_table_steal_extended (market->waiters->lists, key, &stolen, &list))
    return FALSE;
  g_free (stolen);
  for (guint i = 0; i < ((GPtrArray *)list)->len; i++)
    end (g_ptr_array_index ((GPtrArray *)list, i), FALSE);
  g_ptr_array_unref (list);
  return TRUE;
}
