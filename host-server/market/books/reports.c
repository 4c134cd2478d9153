#include "host-server/market/books/reports.h"

#include "host-server/market/books/roles.h"

#include <string.h>

json_t *
report_text (const char *value)
{
  return value != NULL ? json_string (value) : json_null ();
}

json_t *
report_time (gint64 us)
{
  g_autofree char *value = us != 0 ? clock_dup_rfc3339 (us) : NULL;
  return report_text (value);
}

static json_int_t
get_int (DbQuery *query, int column)
{
  return (json_int_t)db_get_int (query, column);
}

static gboolean
finish (GError *local, GError **error)
{
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
report_pools (Db *db, const char *member, json_t *rows, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT p.id, COUNT (CASE WHEN k.state = 'free' THEN 1 END),"
      " COUNT (CASE WHEN k.state = 'reserved' THEN 1 END),"
      " COUNT (CASE WHEN k.state = 'delivered' THEN 1 END), COUNT (CASE WHEN k.state = 'burned' THEN 1 END),"
      " COUNT (CASE WHEN k.state = 'frozen' THEN 1 END)"
      " FROM plugin p LEFT JOIN pool_key k ON k.plugin = p.id"
      " WHERE (p.source = 'pool' OR p.fallback = 'pool' OR k.id IS NOT NULL) AND " ROLE_SEES (
          "p.vendor") " GROUP BY p.id ORDER BY p.id",
      "sss", member, member, member);
  while (db_next (query, &local))
    json_array_append_new (rows, json_pack ("{s:s, s:I, s:I, s:I, s:I, s:I}", "plugin", db_get_text (query, 0),
                                            "free", get_int (query, 1), "reserved", get_int (query, 2),
                                            "delivered", get_int (query, 3), "burned", get_int (query, 4), "frozen",
                                            get_int (query, 5)));
  return finish (local, error);
}

gboolean
report_plugins (Db *db, const char *member, json_t *rows, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT p.id, p.vendor, p.version, p.source, p.is_retired, p.fault, p.price_minor, p.currency,"
      " COUNT (CASE WHEN o.phase = 'fulfilled' AND l.item = '' THEN 1 END),"
      " COALESCE (SUM (l.is_open), 0),"
      " COUNT (CASE WHEN o.phase IN ('refund-due', 'refunding', 'refunded', 'charged-back') THEN 1 END),"
      " COALESCE (SUM (CASE WHEN o.phase = 'fulfilled' AND o.currency = p.currency"
      "   THEN l.price_minor ELSE 0 END), 0),"
      " COUNT (CASE WHEN o.phase = 'fulfilled' AND l.item <> '' THEN 1 END)"
      " FROM plugin p LEFT JOIN purchase_line l ON l.plugin = p.id LEFT JOIN purchase o ON o.id = l.purchase"
      " WHERE " ROLE_SEES ("p.vendor") " GROUP BY p.id ORDER BY p.id LIMIT ?",
      "sssi", member, member, member, (gint64)REPORT_LIMIT);
  while (db_next (query, &local))
    {
      const char *fault = db_get_text (query, 5);
      const char *state = db_get_int (query, 4) != 0 ? "retired" : fault != NULL ? "fault" : "on sale";
      json_array_append_new (
          rows,
          json_pack ("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "plugin",
                     db_get_text (query, 0), "vendor", db_get_text (query, 1), "version",
                     db_get_text (query, 2), "source", db_get_text (query, 3), "state", state, "fault",
                     report_text (fault), "price", get_int (query, 6), "currency", db_get_text (query, 7),
                     "sold", get_int (query, 8), "items-sold", get_int (query, 12), "open",
                     get_int (query, 9), "refunded", get_int (query, 10), "income", get_int (query, 11)));
    }
  return finish (local, error);
}

static json_t *
item_text (const char *item)
{
  return report_text (item[0] != '\0' ? item : NULL);
}

/* The newest of one plugin. */
static gboolean
add_sales (const Desk *desk, Db *db, const char *plugin, const char *vendor, GPtrArray *rows, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT o.id, l.plugin, o.phase, o.price_minor, o.currency, o.created_us, o.account, l.item"
                  " FROM purchase_line l JOIN purchase o ON o.id = l.purchase"
                  " WHERE l.plugin = ? ORDER BY l.id DESC LIMIT ?",
                  "si", plugin, (gint64)REPORT_SALES);
  while (db_next (query, &local))
    {
      g_autofree char *user = pairwise_name (desk->keys.pairwise, vendor, db_get_text (query, 6));
      g_ptr_array_add (rows,
                       json_pack ("{s:s, s:s, s:s, s:o, s:s, s:I, s:s, s:o}", "order", db_get_text (query, 0),
                                  "user", user, "plugin", db_get_text (query, 1), "item",
                                  item_text (db_get_text (query, 7)), "state", db_get_text (query, 2),
                                  "price", get_int (query, 3), "currency", db_get_text (query, 4), "created",
                                  report_time (db_get_int (query, 5))));
    }
  return finish (local, error);
}

static const char *
get_order (gconstpointer row)
{
  return json_string_value (json_object_get (*(json_t *const *)row, "order"));
}

static int
compare_newest_first (gconstpointer a, gconstpointer b)
{
  return strcmp (get_order (b), get_order (a));
}

static void
unref_row (gpointer row)
{
  json_decref (row);
}

gboolean
report_sales (const Desk *desk, Db *db, const char *member, json_t *rows, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) sales = g_ptr_array_new_with_free_func (unref_row);
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT p.id, p.vendor FROM plugin p WHERE " ROLE_SEES ("p.vendor") " LIMIT ?", "sssi",
                  member, member, member, (gint64)REPORT_LIMIT);
  /* Plugin by plugin, each by its index: the newest of all are among the newest of each. */
  while (local == NULL && db_next (query, &local))
    add_sales (desk, db, db_get_text (query, 0), db_get_text (query, 1), sales, &local);
  g_ptr_array_sort (sales, compare_newest_first);
  for (guint i = 0; i < sales->len && i < REPORT_SALES; i++)
    json_array_append (rows, g_ptr_array_index (sales, i));
  return finish (local, error);
}

#define ORDER_COLUMNS                                                                                        \
  "SELECT p.id, p.user, l.plugin, p.phase, p.payment, p.price_minor, p.currency, p.reason, p.created_us, "   \
  "l.item"                                                                                                   \
  " FROM purchase p JOIN purchase_line l ON l.purchase = p.id "

static gboolean
add_orders (DbQuery *take_query, json_t *rows, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = take_query;
  while (db_next (query, &local))
    json_array_append_new (
        rows,
        json_pack ("{s:s, s:s, s:s, s:o, s:s, s:s, s:I, s:s, s:s, s:o}", "order", db_get_text (query, 0),
                   "user", db_get_text (query, 1), "plugin", db_get_text (query, 2), "item",
                   item_text (db_get_text (query, 9)), "state", db_get_text (query, 3), "payment",
                   db_get_text (query, 4), "price", get_int (query, 5), "currency", db_get_text (query, 6),
                   "reason", db_get_text (query, 7), "created", report_time (db_get_int (query, 8))));
  return finish (local, error);
}

gboolean
report_orders (Db *db, const char *user, json_t *rows, GError **error)
{
  return add_orders (db_query (db,
                               ORDER_COLUMNS "WHERE p.user = COALESCE (?, p.user) ORDER BY p.id DESC LIMIT ?",
                               "si", user, (gint64)REPORT_LIMIT),
                     rows, error);
}

gboolean
report_orders_of (Db *db, const char *account, json_t *rows, GError **error)
{
  return add_orders (db_query (db, ORDER_COLUMNS "WHERE p.account = ? ORDER BY p.id DESC LIMIT ?", "si",
                               account, (gint64)REPORT_LIMIT),
                     rows, error);
}

gboolean
report_reviews (Db *db, json_t *rows, GError **error)
{
  return add_orders (db_query (db, ORDER_COLUMNS "WHERE p.phase = 'review' ORDER BY p.id DESC LIMIT ?", "i",
                               (gint64)REPORT_LIMIT),
                     rows, error);
}

gboolean
report_items (Db *db, const char *application, json_t *rows, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT i.application, i.id, i.name, i.price_minor, i.currency, i.amount, i.is_retired,"
      " (SELECT COUNT (*) FROM purchase_line l JOIN purchase o ON o.id = l.purchase WHERE"
      " l.plugin = i.application AND l.item = i.id AND o.phase = 'fulfilled')"
      " FROM item i WHERE i.application = COALESCE (?, i.application) ORDER BY i.application, i.id LIMIT ?",
      "si", application, (gint64)REPORT_LIMIT);
  while (db_next (query, &local))
    json_array_append_new (rows, json_pack ("{s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:I}", "application",
                                            db_get_text (query, 0), "item", db_get_text (query, 1), "name",
                                            db_get_text (query, 2), "price", get_int (query, 3), "currency",
                                            db_get_text (query, 4), "amount", get_int (query, 5), "state",
                                            db_get_int (query, 6) != 0 ? "retired" : "on sale", "sold",
                                            get_int (query, 7)));
  return finish (local, error);
}

json_t *
report_credit (Db *db, const char *line, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (db,
                                        "SELECT i.state, l.amount, i.credited, i.granted_us FROM item_line i "
                                        "JOIN purchase_line l ON l.id = i.line"
                                        " WHERE i.line = ?",
                                        "s", line);
  if (db_next (query, &local))
    return json_pack ("{s:s, s:I, s:I, s:o}", "state", db_get_text (query, 0), "amount", get_int (query, 1),
                      "credited", get_int (query, 2), "granted", report_time (db_get_int (query, 3)));
  if (local != NULL)
    g_propagate_error (error, local);
  return NULL;
}
