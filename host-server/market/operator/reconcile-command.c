#include "host-server/core/control.h"
#include "host-server/market/books/reconcile.h"
#include "host-server/market/books/restored.h"
#include "host-server/market/books/row.h"
#include "host-server/market/operator/reconcile-walk.h"
#include "host-server/market/room.h"

/* hostctl reconcile [--from-provider [--since TIME] [--open-sales]]. */

#define MAX_ROWS  10000 /* that are sent; the others are counted */
#define KEPT_RUNS 100

typedef struct
{
  Market *market;
  ControlCall *call;
  gboolean is_from_provider, opens_sales;
  gint64 started_us, since_us, told_us;
  WalkCount walked;
  gint64 n_walked; /* differences */
  json_t *rows;    /* of the walk */
  json_t *checked; /* of the check, which may run again */
  ReconcileCount count;
  gboolean is_open; /* sales, when it ended */
} Run;

static void
run_free (Run *run)
{
  json_decref (run->rows);
  json_decref (run->checked);
  g_free (run);
}

static void
add_row (json_t *rows, const char *kind, const char *subject, const char *what)
{
  if (json_array_size (rows) < MAX_ROWS)
    json_array_append_new (rows,
                           json_pack ("{s:s, s:s, s:s}", "kind", kind, "subject", subject, "what", what));
}

/* No difference, but what somebody lost: the one row that does not fail the command. */
static void
add_used (Run *run)
{
  if (run->count.used == 0)
    return;
  g_autofree char *what
      = g_strdup_printf ("of %" G_GINT64_FORMAT " orders of items some was used up before it could be"
                         " taken back; `order show` has how much",
                         run->count.used);
  add_row (run->checked, "used-up", "items", what);
}

static void
send_rows (Run *run)
{
  json_t *both[] = { run->rows, run->checked };
  for (gsize k = 0; k < G_N_ELEMENTS (both); k++)
    {
      gsize i;
      json_t *row;
      json_array_foreach (both[k], i, row) control_call_take_row (run->call, json_incref (row));
    }
}

/* The books are compared: the last step of each run. */

static void
found_in_store (const char *kind, const char *subject, const char *what, gpointer data)
{
  add_row (((Run *)data)->checked, kind, subject, what);
}

static gboolean
check_work (Db *db, gpointer data, GError **error)
{
  Run *run = data;
  json_array_clear (run->checked);
  return reconcile_check (&run->market->desk, db, found_in_store, run, &run->count, error);
}

static gboolean
record_work (Turn *turn, gpointer data, GError **error)
{
  Run *run = data;
  gint64 n = run->n_walked + run->count.differences;
  Restored restored;
  turn_log (turn, n > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
            "reconciled orders=%" G_GINT64_FORMAT " checkouts=%" G_GINT64_FORMAT
            " differences=%" G_GINT64_FORMAT " used-up=%" G_GINT64_FORMAT,
            run->count.orders, run->walked.checkouts, n, run->count.used);
  if (!db_run (
          turn->db, error,
          "INSERT INTO reconciliation (started_us, ended_us, is_from_provider, since_us, orders, checkouts,"
          " differences) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (started_us) DO NOTHING",
          "iiiiiii", run->started_us, turn->now_us, (gint64)run->is_from_provider, run->since_us,
          run->count.orders, run->walked.checkouts, n)
      || !db_run (
          turn->db, error,
          "DELETE FROM reconciliation WHERE started_us <= (SELECT started_us FROM reconciliation ORDER BY"
          " started_us DESC LIMIT 1 OFFSET ?) AND started_us < (SELECT COALESCE (MAX (started_us), 0) FROM"
          " reconciliation WHERE is_from_provider = 1)",
          "i", (gint64)KEPT_RUNS)
      || (run->is_from_provider && (n == 0 || run->opens_sales) && !restored_open (turn, error))
      || !restored_read (turn->db, &restored, error))
    return FALSE;
  run->is_open = restored.is_open;
  return TRUE;
}

static void
recorded (Market *market, gpointer data, const GError *error)
{
  Run *run = data;
  gint64 n = run->n_walked + run->count.differences;
  add_used (run);
  send_rows (run);
  if (error != NULL)
    control_call_refuse (run->call, "compared, and that could not be stored: %s", error->message);
  else if (n > 0)
    control_call_refuse (run->call, "%" G_GINT64_FORMAT " difference%s%s%s", n, n == 1 ? "" : "s",
                         n > MAX_ROWS ? " (not all are shown)" : "",
                         run->is_open ? "" : "; sales stay closed until there is none, or --open-sales");
  else
    {
      control_call_tell (run->call,
                         "%" G_GINT64_FORMAT " orders, %" G_GINT64_FORMAT " checkouts: no difference",
                         run->count.orders, run->walked.checkouts);
      control_call_done (run->call);
    }
  gauges_look (market);
  run_free (run);
}

static void
checked (gpointer data, const GError *error)
{
  Run *run = data;
  if (error == NULL && !run->market->is_closing)
    {
      market_write (run->market, record_work, recorded, run);
      return;
    }
  send_rows (run);
  control_call_refuse (run->call, "cannot compare: %s", error != NULL ? error->message : "the server stops");
  run_free (run);
}

static void
check (Run *run)
{
  store_read (run->market->server->store, STORE_MARKET, check_work, checked, run);
}

/* The walk before it. */

static void
found_on_walk (const char *kind, const char *subject, const char *what, gpointer data)
{
  Run *run = data;
  run->n_walked++;
  add_row (run->rows, kind, subject, what);
}

static void
told (const WalkCount *count, gpointer data)
{
  Run *run = data;
  gint64 now_us = clock_get_monotonic_us (run->market->desk.clock);
  if (now_us - run->told_us < G_USEC_PER_SEC)
    return;
  run->told_us = now_us;
  control_call_tell (run->call, "%" G_GINT64_FORMAT " checkouts", count->checkouts);
}

static void
walked (const WalkCount *count, const char *fault, gpointer data)
{
  Run *run = data;
  run->walked = *count;
  if (fault == NULL)
    {
      check (run);
      return;
    }
  send_rows (run);
  log_error ("market", "not reconciled: %s", fault);
  control_call_refuse (run->call, "not reconciled: %s; %" G_GINT64_FORMAT " checkouts were compared", fault,
                       count->checkouts);
  run_free (run);
}

static gboolean
since_work (Db *db, gpointer data, GError **error)
{
  Run *run = data;
  return run->since_us != 0 || reconcile_find_since (db, run->started_us, &run->since_us, error);
}

static void
since_found (gpointer data, const GError *error)
{
  static const WalkCalls calls = { found_on_walk, told, walked };
  Run *run = data;
  if (error != NULL || run->market->is_closing)
    {
      checked (run, error);
      return;
    }
  if (run->since_us == 0)
    run->since_us = run->started_us;
  if (walk_start (run->market, run->since_us, &calls, run))
    return;
  control_call_refuse (run->call, "not reconciled: a comparison with the providers is under way");
  run_free (run);
}

static void
reconcile (ControlCall *call, gpointer data)
{
  Market *market = data;
  const char *since = control_call_get_text (call, "--since");
  gint64 now_us = clock_get_wall_us (market->desk.clock), since_us = 0;
  gboolean is_from_provider = control_call_has_flag (call, "--from-provider");
  gboolean opens_sales = control_call_has_flag (call, "--open-sales");
  if (!is_from_provider && (since != NULL || opens_sales))
    {
      control_call_refuse (call, "--since and --open-sales go with --from-provider");
      return;
    }
  if (since != NULL && !row_parse_since (since, now_us, &since_us))
    {
      control_call_refuse (call, "'%s' is no time: RFC 3339, or a while ago as 90m, 24h, 7d", since);
      return;
    }
  Run *run = g_new0 (Run, 1);
  run->market = market;
  run->call = call;
  run->is_from_provider = is_from_provider;
  run->opens_sales = opens_sales;
  run->started_us = now_us;
  run->since_us = since_us;
  run->rows = json_array ();
  run->checked = json_array ();
  if (is_from_provider)
    store_read (market->server->store, STORE_MARKET, since_work, since_found, run);
  else
    check (run);
}

void
reconcile_commands_init (Market *market)
{
  static const ControlArgument arguments[] = { { "--from-provider", CONTROL_FLAG },
                                               { "--since", CONTROL_VALUE },
                                               { "--open-sales", CONTROL_FLAG },
                                               { NULL } };
  controls_add (
      market->server->controls,
      &(ControlCommand){ "reconcile", arguments, NULL, TRUE,
                         "compare orders, ledger, serials, refunds and jobs, and the providers' view",
                         reconcile, market });
}
