#include "host-server/market/books/items.h"

void
item_free (Item *item)
{
  if (item == NULL)
    return;
  g_free (item->application);
  g_free (item->id);
  g_free (item->name);
  g_free (item->currency);
  g_free (item);
}

gboolean
items_store (Turn *turn, const char *application, const GPtrArray *items, GError **error)
{
  if (!db_run (turn->db, error, "UPDATE item SET is_retired = 1 WHERE application = ?", "s", application))
    return FALSE;
  for (guint i = 0; i < items->len; i++)
    {
      const Item *item = g_ptr_array_index (items, i);
      if (!db_run (
              turn->db, error,
              "INSERT INTO item (application, id, name, price_minor, currency, amount, is_retired)"
              " VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (application, id) DO UPDATE SET name = "
              "excluded.name,"
              " price_minor = excluded.price_minor, currency = excluded.currency, amount = excluded.amount,"
              " is_retired = 0",
              "sssisi", application, item->id, item->name, item->price_minor, item->currency, item->amount))
        return FALSE;
    }
  return TRUE;
}

#define COLUMNS "SELECT application, id, name, price_minor, currency, amount, is_retired FROM item "

static Item *
read_row (DbQuery *query)
{
  Item *item = g_new0 (Item, 1);
  item->application = db_dup_text (query, 0);
  item->id = db_dup_text (query, 1);
  item->name = db_dup_text (query, 2);
  item->price_minor = db_get_int (query, 3);
  item->currency = db_dup_text (query, 4);
  item->amount = db_get_int (query, 5);
  item->is_retired = db_get_int (query, 6) != 0;
  return item;
}

Item *
item_load (Db *db, const char *application, const char *id, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (db, COLUMNS "WHERE application = ? AND id = ?", "ss", application, id);
  return turn_find (query, &is_found, error) && is_found ? read_row (query) : NULL;
}

GPtrArray *
items_load (Db *db, const char *application, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func ((GDestroyNotify)item_free);
  g_autoptr (DbQuery) query
      = application != NULL ? db_query (db, COLUMNS "WHERE application = ? ORDER BY id", "s", application)
                            : db_query (db, COLUMNS "ORDER BY application, id", "");
  while (db_next (query, &local))
    g_ptr_array_add (items, read_row (query));
  if (local == NULL)
    return g_steal_pointer (&items);
  g_propagate_error (error, local);
  return NULL;
}
