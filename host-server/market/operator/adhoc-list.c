#include "host-server/market/operator/adhoc-list.h"

#include "common/protocol/charge.h"
#include "host-server/market/books/row.h"
#include "host-server/market/room.h"

typedef struct
{
  Market *market;
  AdhocCall *call;
  char *account;
  AdhocRows read;
  AdhocGot got;
  json_t *rows;
} Reading;

static gboolean
read_work (Db *db, gpointer data, GError **error)
{
  Reading *reading = data;
  json_decref (reading->rows);
  reading->rows = json_array ();
  return reading->read (reading->market, db, reading->account, reading->rows, error);
}

static void
read_done (gpointer data, const GError *error)
{
  Reading *reading = data;
  if (error != NULL)
    adhoc_call_fail (reading->call, "market", error);
  else
    reading->got (reading->market, reading->call, reading->rows);
  json_decref (reading->rows);
  g_free (reading->account);
  g_free (reading);
}

void
adhoc_read_of (Market *market, AdhocCall *call, const char *account, AdhocRows read, AdhocGot got)
{
  Reading *reading = g_new0 (Reading, 1);
  reading->market = market;
  reading->call = call;
  reading->account = g_strdup (account);
  reading->read = read;
  reading->got = got;
  store_read (market->server->store, STORE_MARKET, read_work, read_done, reading);
}

void
adhoc_read (Market *market, AdhocCall *call, AdhocRows read, AdhocGot got)
{
  adhoc_read_of (market, call, adhoc_call_get_account (call), read, got);
}

const char *
adhoc_row_text (const json_t *row, const char *key)
{
  const char *text = json_string_value (json_object_get (row, key));
  return text != NULL ? text : "";
}

static char *
make_cell (const json_t *row, const char *key)
{
  const json_t *value = json_object_get (row, key);
  if (!json_is_integer (value))
    return g_strdup (adhoc_row_text (row, key));
  gint64 number = json_integer_value (value);
  if (g_str_equal (key, "price"))
    return charge_dup_price (number, adhoc_row_text (row, "currency"));
  if (g_str_equal (key, "income"))
    return number != 0 ? charge_dup_price (number, adhoc_row_text (row, "currency")) : g_strdup ("0");
  return g_strdup_printf ("%" G_GINT64_FORMAT, number);
}

void
adhoc_show_list (AdhocCall *call, const char *title, const AdhocColumn *columns, const json_t *rows)
{
  Form *form = form_new (title);
  for (const AdhocColumn *column = columns; column->key != NULL; column++)
    form_add_column (form, column->label);
  gsize n_rows = json_array_size (rows);
  for (gsize i = 0; i < n_rows && i < ADHOC_LIST_MAX; i++)
    {
      form_add_row (form);
      for (const AdhocColumn *column = columns; column->key != NULL; column++)
        {
          g_autofree char *cell = make_cell (json_array_get (rows, i), column->key);
          form_add_cell (form, cell);
        }
    }
  if (n_rows == 0)
    adhoc_call_note (call, ADHOC_INFO, "There is nothing to show.");
  if (n_rows > ADHOC_LIST_MAX)
    adhoc_call_note (call, ADHOC_WARN, "There are more; these are the first %d.", ADHOC_LIST_MAX);
  adhoc_call_done (call, form);
}
