#include "common/base/id.h"
#include "common/base/text.h"
#include "host-server/core/control.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/books/reports.h"
#include "host-server/market/books/revoke.h"
#include "host-server/market/offers.h"
#include "host-server/market/room.h"

#include <string.h>

/* hostctl's commands of the market (protocol.md section 11). */

typedef struct
{
  Market *market;
  ControlCall *call;
  char *account;
  char *user; /* bare address */
  Secret *secret;
  /* results */
  gboolean is_found;
  json_t *rows;
} Command;

static Command *
command_new (Market *market, ControlCall *call)
{
  Command *command = g_new0 (Command, 1);
  command->market = market;
  command->call = call;
  return command;
}

static void
command_free (Command *command)
{
  g_free (command->account);
  g_free (command->user);
  secret_free (command->secret);
  json_decref (command->rows);
  g_free (command);
}

/* vendor add */

static gboolean
vendor_work (Turn *turn, gpointer data, GError **error)
{
  Command *command = data;
  const char *id = control_call_get_text (command->call, "ID");
  if (!db_run (turn->db, error,
               "INSERT INTO vendor (id, created_us) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", "si", id,
               turn->now_us))
    return FALSE;
  command->is_found = db_get_changes (turn->db) == 0;
  if (command->is_found)
    return TRUE;
  g_autofree char *peer = g_strconcat ("vendor:", id, NULL);
  g_autoptr (Ring) ring = ring_load (turn, peer, command->secret, error);
  turn_log (turn, LOG_LEVEL_INFO, "vendor added vendor=%s", id);
  return ring != NULL;
}

static void
vendor_done (Market *market, gpointer data, const GError *error)
{
  Command *command = data;
  const char *id = control_call_get_text (command->call, "ID");
  if (error != NULL)
    control_call_refuse (command->call, "cannot add '%s': %s", id, error->message);
  else if (command->is_found)
    control_call_refuse (command->call, "cannot add '%s': there is a vendor of that name", id);
  else /* the one time that it is shown */
    control_call_done_with (
        command->call, json_pack ("{s:s, s:s}", "vendor", id, "secret", secret_peek_text (command->secret)));
  command_free (command);
}

static void
add_vendor (ControlCall *call, gpointer data)
{
  const char *id = control_call_get_text (call, "ID");
  if (!text_is_market_id (id))
    {
      control_call_refuse (call, "cannot add '%s': an id is [a-z0-9][a-z0-9.-]{0,63}", id);
      return;
    }
  Command *command = command_new (data, call);
  command->secret = webhook_secret_new ();
  market_write (data, vendor_work, vendor_done, command);
}

/* plugin add, list, retire */

static void
plugin_put (Market *market, const Plugin *plugin, const char *problem, gpointer data)
{
  ControlCall *call = data;
  if (problem != NULL)
    control_call_refuse (call, "cannot add '%s': %s", plugin->id, problem);
  else
    control_call_done_with (call, json_pack ("{s:s, s:s, s:s}", "plugin", plugin->id, "version",
                                             plugin->version, "source", plugin->source));
}

static void
add_plugin (ControlCall *call, gpointer data)
{
  Market *market = data;
  gsize length;
  const char *manifest = control_call_get_file (call, "MANIFEST", &length);
  g_autoptr (GError) error = NULL;
  Plugin *plugin = plugin_parse_manifest (manifest, length, &error);
  if (plugin == NULL)
    {
      control_call_refuse (call, "%s: %s", control_call_get_file_path (call, "MANIFEST"), error->message);
      return;
    }
  offer_put (market, NULL, plugin, plugin_put, call);
}

static void
list_plugins (ControlCall *call, gpointer data)
{
  Market *market = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) plugins = plugins_load_all (market_peek_reader (market), &error);
  if (plugins == NULL)
    {
      control_call_refuse (call, "cannot list plugins: %s", error->message);
      return;
    }
  for (guint i = 0; i < plugins->len; i++)
    {
      const Plugin *plugin = g_ptr_array_index (plugins, i);
      const char *state = plugin->is_retired ? "retired" : plugin->fault != NULL ? "fault" : "on sale";
      control_call_take_row (
          call, json_pack ("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:i, s:o}", "plugin", plugin->id, "vendor",
                           plugin->vendor, "version", plugin->version, "source", plugin->source, "state",
                           state, "price", (json_int_t)plugin->price_minor, "currency", plugin->currency,
                           "items", (int)plugin->n_items, "fault", report_text (plugin->fault)));
    }
  control_call_done (call);
}

static void
plugin_retired (Market *market, const char *problem, gpointer data)
{
  ControlCall *call = data;
  if (problem != NULL)
    control_call_refuse (call, "cannot retire: %s", problem);
  else
    control_call_done (call);
}

static void
retire_plugin (ControlCall *call, gpointer data)
{
  offer_retire (data, NULL, control_call_get_text (call, "PLUGIN"), plugin_retired, call);
}

/* pool import, status */

static void
pool_filled (Market *market, const PoolImport *imported, const char *problem, gpointer data)
{
  ControlCall *call = data;
  if (problem != NULL)
    control_call_refuse (call, "cannot import: %s", problem);
  else
    control_call_done_with (call, json_pack ("{s:s, s:i, s:i, s:b}", "plugin",
                                             control_call_get_text (call, "PLUGIN"), "added",
                                             (int)imported->n_new, "known", (int)imported->n_known, "dry-run",
                                             control_call_has_flag (call, "--dry-run")));
}

static void
import_pool (ControlCall *call, gpointer data)
{
  gsize length;
  const char *file = control_call_get_file (call, "FILE", &length);
  g_autoptr (GArray) faults = g_array_new (FALSE, FALSE, sizeof (PoolFault));
  g_autoptr (GPtrArray) keys = pool_parse (file, length, faults);
  g_autofree char *complaint = offer_describe_faults (faults);
  if (complaint != NULL)
    control_call_refuse (call, "nothing was imported: %s", complaint);
  else
    offer_fill (data, NULL, control_call_get_text (call, "PLUGIN"), g_steal_pointer (&keys),
                control_call_has_flag (call, "--dry-run"), pool_filled, call);
}

/* Lists that may be long are read on the reader thread. */

static void
send_rows (gpointer data, const GError *error)
{
  Command *command = data;
  if (error != NULL)
    control_call_refuse (command->call, "cannot read: %s", error->message);
  else
    {
      gsize i;
      json_t *row;
      json_array_foreach (command->rows, i, row) control_call_take_row (command->call, json_incref (row));
      control_call_done (command->call);
    }
  command_free (command);
}

static gboolean
finish_rows (GError *local, GError **error)
{
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
pool_rows (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  command->rows = json_array ();
  return report_pools (db, NULL, command->rows, error);
}

static void
show_pools (ControlCall *call, gpointer data)
{
  Market *market = data;
  store_read (market->server->store, STORE_MARKET, pool_rows, send_rows, command_new (market, call));
}

static gboolean
order_rows (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  command->rows = json_array ();
  return report_orders (db, command->user, command->rows, error);
}

static void
list_orders (ControlCall *call, gpointer data)
{
  Market *market = data;
  Command *command = command_new (market, call);
  const char *user = control_call_get_text (call, "USER");
  if (user != NULL) /* who was removed has orders still */
    command->user = strchr (user, '@') != NULL
                        ? g_strdup (user)
                        : g_strconcat (user, "@", jid_get_domain (market->server->domain), NULL);
  store_read (market->server->store, STORE_MARKET, order_rows, send_rows, command);
}

static json_t *
ledger_json (Db *db, const char *purchase, GError **error)
{
  json_t *rows = json_array ();
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT kind, id, payment, amount_minor, source, recorded_us, webhook_id FROM ledger"
                  " WHERE purchase = ? ORDER BY seq",
                  "s", purchase);
  while (db_next (query, error))
    json_array_append_new (rows,
                           json_pack ("{s:s, s:s, s:s, s:I, s:s, s:o, s:o}", "kind", db_get_text (query, 0),
                                      "id", db_get_text (query, 1), "payment", db_get_text (query, 2),
                                      "amount", (json_int_t)db_get_int (query, 3), "by",
                                      db_get_text (query, 4), "recorded", report_time (db_get_int (query, 5)),
                                      "webhook-id", report_text (db_get_text (query, 6))));
  return rows;
}

static json_t *
refunds_json (Db *db, const char *purchase, GError **error)
{
  json_t *rows = json_array ();
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT id, payment, amount_minor, state, provider_refund FROM refund WHERE purchase = ? ORDER BY id",
      "s", purchase);
  while (db_next (query, error))
    json_array_append_new (
        rows, json_pack ("{s:s, s:s, s:I, s:s, s:o}", "refund", db_get_text (query, 0), "payment",
                         db_get_text (query, 1), "amount", (json_int_t)db_get_int (query, 2), "state",
                         db_get_text (query, 3), "provider-refund", report_text (db_get_text (query, 4))));
  return rows;
}

static json_t *
issues_json (Db *db, const char *line, GError **error)
{
  json_t *rows = json_array ();
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT generation, state, source, counter, reason FROM generation WHERE line = ? ORDER BY generation",
      "s", line);
  while (db_next (query, error))
    json_array_append_new (
        rows, json_pack ("{s:I, s:o, s:s, s:s, s:I, s:s}", "generation", (json_int_t)db_get_int (query, 0),
                         "request", json_sprintf ("%s.%d", line, (int)db_get_int (query, 0)), "state",
                         db_get_text (query, 1), "source", db_get_text (query, 2), "counter",
                         (json_int_t)db_get_int (query, 3), "reason", db_get_text (query, 4)));
  return rows;
}

static gboolean
order_row (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  GError *local = NULL;
  command->rows = json_array ();
  g_autoptr (Purchase) purchase = purchase_load (db, control_call_get_text (command->call, "ORDER"), &local);
  if (purchase == NULL)
    return finish_rows (local, error);
  g_auto (Books) books = { 0 };
  if (!books_load (db, purchase->id, &books, error))
    return FALSE;
  json_t *ledger = ledger_json (db, purchase->id, &local);
  json_t *refunds = local == NULL ? refunds_json (db, purchase->id, &local) : NULL;
  json_t *issues = local == NULL ? issues_json (db, purchase->line, &local) : NULL;
  json_t *credit = local == NULL ? report_credit (db, purchase->line, &local) : NULL;
  json_array_append_new (
      command->rows,
      json_pack ("{s:s, s:s, s:s, s:s, s:s*, s:s, s:s, s:I, s:s, s:o, s:s, s:o, s:o, s:o*, s:o*, s:o*, s:o*}",
                 "order", purchase->id, "user", purchase->user, "account", purchase->account, "plugin",
                 purchase->plugin, "item", purchase->item[0] != '\0' ? purchase->item : NULL, "state",
                 phase_to_text (purchase->phase), "payment",
                 payment_state_to_text (payment_derive (purchase->phase, purchase->price_minor, &books.sums)),
                 "price", (json_int_t)purchase->price_minor, "currency", purchase->currency, "checkout",
                 report_text (purchase->checkout), "reason", purchase->reason, "created",
                 report_time (purchase->created_us), "expires", report_time (purchase->expires_us), "ledger",
                 ledger, "refunds", refunds, "issue", issues, "credit", credit));
  return finish_rows (local, error);
}

static void
order_shown (gpointer data, const GError *error)
{
  Command *command = data;
  if (error == NULL && json_array_size (command->rows) == 0)
    {
      control_call_refuse (command->call, "there is no order '%s'",
                           control_call_get_text (command->call, "ORDER"));
      command_free (command);
      return;
    }
  send_rows (data, error);
}

static void
show_order (ControlCall *call, gpointer data)
{
  Market *market = data;
  store_read (market->server->store, STORE_MARKET, order_row, order_shown, command_new (market, call));
}

/* serial list, revoke */

static char *
find_account (Market *market, ControlCall *call)
{
  const char *user = control_call_get_text (call, "USER");
  char *account = market_find_account (market, user);
  if (account == NULL)
    control_call_refuse (call, "there is no user '%s'", user);
  return account;
}

/* States and versions; serials themselves are nobody's to see but the user's. */
static gboolean
serial_rows (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  GError *local = NULL;
  command->rows = json_array ();
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT plugin, state, line, generation, epoch, expires_us FROM entitlement WHERE account = ?"
      " ORDER BY plugin",
      "s", command->account);
  while (db_next (query, &local))
    json_array_append_new (command->rows,
                           json_pack ("{s:s, s:s, s:s, s:I, s:I, s:o}", "plugin", db_get_text (query, 0),
                                      "state", db_get_text (query, 1), "line", db_get_text (query, 2),
                                      "generation", (json_int_t)db_get_int (query, 3), "epoch",
                                      (json_int_t)db_get_int (query, 4), "expires",
                                      report_time (db_get_int (query, 5))));
  return finish_rows (local, error);
}

static void
list_serials (ControlCall *call, gpointer data)
{
  Market *market = data;
  char *account = find_account (market, call);
  if (account == NULL)
    return;
  Command *command = command_new (market, call);
  command->account = account;
  store_read (market->server->store, STORE_MARKET, serial_rows, send_rows, command);
}

static gboolean
revoke_work (Turn *turn, gpointer data, GError **error)
{
  Command *command = data;
  return serial_revoke (turn, command->account, control_call_get_text (command->call, "PLUGIN"),
                        &command->is_found, error);
}

static void
revoke_done (Market *market, gpointer data, const GError *error)
{
  Command *command = data;
  const char *plugin = control_call_get_text (command->call, "PLUGIN");
  if (error != NULL)
    control_call_refuse (command->call, "cannot revoke: %s", error->message);
  else if (!command->is_found)
    control_call_refuse (command->call, "the user has no serial of '%s' to revoke", plugin);
  else
    control_call_done (command->call);
  command_free (command);
}

static void
revoke_serial (ControlCall *call, gpointer data)
{
  Market *market = data;
  char *account = find_account (market, call);
  if (account == NULL)
    return;
  Command *command = command_new (market, call);
  command->account = account;
  market_write (market, revoke_work, revoke_done, command);
}

void
market_commands_init (Market *market)
{
  static const ControlArgument id[] = { { "ID", CONTROL_TEXT }, { NULL } };
  static const ControlArgument manifest[] = { { "MANIFEST", CONTROL_FILE }, { NULL } };
  static const ControlArgument plugin[] = { { "PLUGIN", CONTROL_TEXT }, { NULL } };
  static const ControlArgument import[]
      = { { "PLUGIN", CONTROL_TEXT }, { "FILE", CONTROL_FILE }, { "--dry-run", CONTROL_FLAG }, { NULL } };
  static const ControlArgument some_user[] = { { "USER", CONTROL_TEXT, TRUE }, { NULL } };
  static const ControlArgument order[] = { { "ORDER", CONTROL_TEXT }, { NULL } };
  static const ControlArgument user[] = { { "USER", CONTROL_TEXT }, { NULL } };
  static const ControlArgument user_plugin[]
      = { { "USER", CONTROL_TEXT }, { "PLUGIN", CONTROL_TEXT }, { NULL } };
  const ControlCommand commands[] = {
    { "vendor add", id, NULL, FALSE, "add a vendor and show its secret, once", add_vendor, market },
    { "plugin add", manifest, NULL, FALSE, "put a plugin on sale, or replace it", add_plugin, market },
    { "plugin list", NULL, NULL, TRUE, "plugins and whether they are on sale", list_plugins, market },
    { "plugin retire", plugin, NULL, FALSE, "sell a plugin no more; open orders go on", retire_plugin,
      market },
    { "pool import", import, NULL, FALSE, "add a vendor's keys, one a line", import_pool, market },
    { "pool status", NULL, NULL, TRUE, "how many keys are left", show_pools, market },
    { "order list", some_user, NULL, TRUE, "orders, newest first", list_orders, market },
    { "order show", order, NULL, FALSE, "an order with its ledger, refunds and serials' making", show_order,
      market },
    { "serial list", user, NULL, TRUE, "what a user is entitled to", list_serials, market },
    { "serial revoke", user_plugin, NULL, FALSE, "end a user's right to a plugin", revoke_serial, market },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (market->server->controls, &commands[i]);
}
