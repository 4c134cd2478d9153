#include "host-server/core/control.h"
#include "host-server/market/books/reports.h"
#include "host-server/market/room.h"
#include "host-server/market/rows.h"

/* hostctl item list [APPLICATION]. */

static gboolean
item_rows (Market *market, Db *db, const ControlCall *call, json_t *rows, char **refusal, GError **error)
{
  return report_items (db, control_call_get_text (call, "APPLICATION"), rows, error);
}

static void
list_items (ControlCall *call, gpointer data)
{
  rows_read (data, call, item_rows);
}

void
item_commands_init (Market *market)
{
  static const ControlArgument application[] = { { "APPLICATION", CONTROL_TEXT, TRUE }, { NULL } };
  controls_add (market->server->controls,
                &(ControlCommand){ "item list", application, NULL, TRUE,
                                   "what can be bought inside applications, and how often it was", list_items,
                                   market });
}
