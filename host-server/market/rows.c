#include "host-server/market/rows.h"

typedef struct
{
  Market *market;
  ControlCall *call;
  RowsWork work;
  json_t *rows;
  char *refusal;
} Reading;

static gboolean
read_work (Db *db, gpointer data, GError **error)
{
  Reading *reading = data;
  json_decref (reading->rows);
  reading->rows = json_array ();
  return reading->work (reading->market, db, reading->call, reading->rows, &reading->refusal, error);
}

static void
read_done (gpointer data, const GError *error)
{
  Reading *reading = data;
  if (error != NULL)
    control_call_refuse (reading->call, "cannot read: %s", error->message);
  else if (reading->refusal != NULL)
    control_call_refuse (reading->call, "%s", reading->refusal);
  else
    {
      gsize i;
      json_t *row;
      json_array_foreach (reading->rows, i, row) control_call_take_row (reading->call, json_incref (row));
      control_call_done (reading->call);
    }
  json_decref (reading->rows);
  g_free (reading->refusal);
  g_free (reading);
}

void
rows_read (Market *market, ControlCall *call, RowsWork work)
{
  Reading *reading = g_new0 (Reading, 1);
  reading->market = market;
  reading->call = call;
  reading->work = work;
  store_read (market->server->store, STORE_MARKET, read_work, read_done, reading);
}
