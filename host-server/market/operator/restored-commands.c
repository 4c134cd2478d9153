#include "host-server/core/control.h"
#include "host-server/core/http.h"
#include "host-server/market/books/pool.h"
#include "host-server/market/books/restored.h"
#include "host-server/market/books/row.h"
#include "host-server/market/room.h"

/* The committed state, by one small indexed read on the main thread. */
static Restored
peek (Market *market)
{
  g_autoptr (GError) error = NULL;
  Restored restored;
  if (!restored_read (market_peek_reader (market), &restored, &error))
    log_error ("market", "whether sales are open cannot be read: %s", error->message);
  return restored;
}

static const char *
note_sales (gpointer data)
{
  return peek (data).is_open ? NULL : "sales are closed: " RESTORED_NOTE;
}

static json_t *
tell_market (gpointer data)
{
  Restored restored = peek (data);
  return json_pack ("{s:s, s:I, s:o}", "sales", restored.is_open ? "open" : "closed: " RESTORED_NOTE, "epoch",
                    (json_int_t)restored.epoch, "restored", row_time (restored.restored_us));
}

/* hostctl pool thaw PLUGIN [FILE] */

typedef struct
{
  ControlCall *call;
  GPtrArray *keys; /* of Secret; NULL: all of the plugin's */
  PoolThaw thawed;
} Thaw;

static gboolean
thaw_work (Turn *turn, gpointer data, GError **error)
{
  Thaw *thaw = data;
  const char *plugin = control_call_get_text (thaw->call, "PLUGIN");
  if (!pool_thaw (turn, plugin, thaw->keys, &thaw->thawed, error))
    return FALSE;
  turn_log (turn, LOG_LEVEL_INFO, "pool thawed by hand plugin=%s keys=%u", plugin, thaw->thawed.n_thawed);
  return TRUE;
}

static void
thaw_done (Market *market, gpointer data, const GError *error)
{
  Thaw *thaw = data;
  const char *plugin = control_call_get_text (thaw->call, "PLUGIN");
  if (error != NULL)
    control_call_refuse (thaw->call, "cannot thaw: %s", error->message);
  else
    control_call_done_with (
        thaw->call, json_pack ("{s:s, s:i, s:i, s:i}", "plugin", plugin, "thawed", (int)thaw->thawed.n_thawed,
                               "left", (int)thaw->thawed.n_left, "unknown", (int)thaw->thawed.n_unknown));
  if (thaw->keys != NULL)
    g_ptr_array_unref (thaw->keys);
  g_free (thaw);
}

static void
thaw_pool (ControlCall *call, gpointer data)
{
  gsize length;
  const char *file = control_call_get_file (call, "FILE", &length);
  g_autoptr (GArray) faults = g_array_new (FALSE, FALSE, sizeof (PoolFault));
  g_autoptr (GPtrArray) keys = file != NULL ? pool_parse (file, length, faults) : NULL;
  if (faults->len > 0)
    {
      const PoolFault *fault = &g_array_index (faults, PoolFault, 0);
      control_call_refuse (call, "nothing was thawed: line %u: %s", fault->line, fault->reason);
      return;
    }
  if (file == NULL && !control_call_has_flag (call, "--all"))
    {
      control_call_refuse (call,
                           "say which: FILE with the keys that the vendor knows to be unused, or --all");
      return;
    }
  Thaw *thaw = g_new0 (Thaw, 1);
  thaw->call = call;
  thaw->keys = g_steal_pointer (&keys);
  market_write (data, thaw_work, thaw_done, thaw);
}

void
restored_init (Market *market)
{
  static const ControlArgument thaw[]
      = { { "PLUGIN", CONTROL_TEXT }, { "FILE", CONTROL_FILE, TRUE }, { "--all", CONTROL_FLAG }, { NULL } };
  http_add_ready_note (market->server->http, "sales", note_sales, market);
  controls_add_status (market->server->controls, "market", tell_market, market);
  controls_add (market->server->controls,
                &(ControlCommand){ "pool thaw", thaw, NULL, FALSE,
                                   "sell frozen keys again after a restore: FILE's, or --all", thaw_pool,
                                   market });
  if (!peek (market).is_open)
    log_warning ("market", "sales are closed: %s", RESTORED_NOTE);
}
