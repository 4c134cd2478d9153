#include "host-server/market/rows.h"

#include <string.h>

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

json_t *
row_text (const char *value)
{
  return value != NULL ? json_string (value) : json_null ();
}

json_t *
row_time (gint64 us)
{
  g_autofree char *value = us != 0 ? clock_dup_rfc3339 (us) : NULL;
  return row_text (value);
}

gboolean
row_parse_since (const char *text, gint64 now_us, gint64 *since_us)
{
  static const struct
  {
    char letter;
    gint64 seconds;
  } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
  char *end;
  guint64 n = g_ascii_isdigit (text[0]) ? g_ascii_strtoull (text, &end, 10) : 0;
  if (n == 0 || n > 100000 || strlen (end) != 1)
    return clock_parse_rfc3339 (text, since_us);
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (units[i].letter == *end)
      {
        *since_us = now_us - (gint64)n * units[i].seconds * G_USEC_PER_SEC;
        return TRUE;
      }
  return FALSE;
}
