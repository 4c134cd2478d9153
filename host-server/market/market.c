#include "host-server/market/market.h"

#include "common/base/id.h"
#include "host-server/core/http.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/notices.h"
#include "host-server/market/room.h"

#include <gio/gio.h>
#include <string.h>

/* One write on its way. */
typedef struct
{
  Market *market;
  Turn turn;
  TurnWork work;
  TurnDone done;
  gpointer data;
  GPtrArray *notices; /* ids of the messages that are due with it */
#ifdef STOA_TEST_HOOKS
  CrashPoint decided, committed;
#endif
} Write;

static gboolean
write_work (Db *db, gpointer data, GError **error)
{
  Write *w = data;
  turn_begin (&w->turn, &w->market->desk, db);
  gboolean is_done = w->work (&w->turn, w->data, error) && notices_record (&w->turn, w->notices, error);
#ifdef STOA_TEST_HOOKS
  crash_reach (w->decided);
#endif
  return is_done;
}

/* What the turn decided leaves the house, now that it is true. */
static void
release (Market *market, const Turn *turn, const GPtrArray *notices)
{
  for (guint i = 0; i < turn->orders->len; i++)
    {
      const OrderNote *note = g_ptr_array_index (turn->orders, i);
      if (market->waiters != NULL)
        waiters_wake (market, note->view->id);
      gauges_note_order (market, note->view->state);
      serials_push_order (market, note);
    }
  for (guint i = 0; i < turn->accounts->len; i++)
    serials_push_changes (market, g_ptr_array_index (turn->accounts, i));
  if (market->is_closing)
    return;
  if (turn->wake_us != 0)
    sweep_wake_at (market, turn->wake_us);
  market_run_jobs (market, turn->jobs);
  notices_send (market, notices);
}

static void
write_done (gpointer data, const GError *error)
{
  Write *w = data;
#ifdef STOA_TEST_HOOKS
  crash_reach (w->committed);
#endif
  if (error == NULL)
    turn_write_log (&w->turn);
  if (w->done != NULL)
    w->done (w->market, w->data, error);
  else if (error != NULL)
    log_error ("market", "a write failed: %s", error->message);
  if (error == NULL)
    release (w->market, &w->turn, w->notices);
  turn_clear (&w->turn);
  g_ptr_array_unref (w->notices);
  g_free (w);
}

static Write *
write_new (Market *market, TurnWork work, TurnDone done, gpointer data)
{
  Write *w = g_new0 (Write, 1);
  w->market = market;
  w->work = work;
  w->done = done;
  w->data = data;
  w->notices = g_ptr_array_new_with_free_func (g_free);
  return w;
}

void
market_write (Market *market, TurnWork work, TurnDone done, gpointer data)
{
  Write *w = write_new (market, work, done, data);
  store_write (market->server->store, STORE_MARKET, write_work, write_done, w);
}

#ifdef STOA_TEST_HOOKS
void
market_write_at (Market *market, TurnWork work, TurnDone done, gpointer data, CrashPoint decided,
                 CrashPoint committed)
{
  Write *w = write_new (market, work, done, data);
  w->decided = decided;
  w->committed = committed;
  store_write (market->server->store, STORE_MARKET, write_work, write_done, w);
}
#endif

Db *
market_peek_reader (Market *market)
{
  return store_peek_reader (market->server->store, STORE_MARKET);
}

typedef struct
{
  GDestroyNotify free_call;
} OpenCall;

void
market_begin_call (Market *market, gpointer call, GDestroyNotify free_call)
{
  OpenCall *open = g_new (OpenCall, 1);
  open->free_call = free_call;
  g_hash_table_insert (market->open_calls, call, open);
}

void
market_end_call (Market *market, gpointer call)
{
  g_hash_table_remove (market->open_calls, call);
}

void
market_run_jobs (Market *market, const GPtrArray *jobs)
{
  for (guint i = 0; i < jobs->len; i++)
    {
      const Job *job = g_ptr_array_index (jobs, i);
      switch (job->kind)
        {
        case JOB_CHECKOUT:
          payments_run_checkout (market, job);
          break;
        case JOB_CANCEL:
          payments_run_cancel (market, job);
          break;
        case JOB_REFUND:
          payments_run_refund (market, job);
          break;
        case JOB_ISSUE:
          issue_run (market, job);
          break;
        case JOB_VOID:
          issue_run_void (market, job);
          break;
        case N_JOB_KINDS:
        default:
          g_assert_not_reached ();
        }
    }
}

/* Starting. */

static void
read_settings (MarketSettings *settings, const Config *config)
{
  settings->order_expiry_us = config_get_seconds_us (config, "market", "order_expiry_s");
  settings->expiry_grace_us = config_get_seconds_us (config, "market", "expiry_grace_s");
  settings->vendor_timeout_us = config_get_seconds_us (config, "market", "vendor_timeout_s");
  settings->reserve_wait_us = MIN (settings->vendor_timeout_us, 10 * G_USEC_PER_SEC);
  settings->reserve_hold_us = config_get_seconds_us (config, "market", "reserve_hold_s");
  settings->open_reserves_per_user = (guint)config_get_int (config, "market", "open_reserves_per_user");
  settings->issue_deadline_us = config_get_seconds_us (config, "market", "issue_deadline_s");
  settings->lease_margin_us = config_get_seconds_us (config, "market", "lease_margin_s");
  settings->sweep_us = MAX (config_get_seconds_us (config, "market", "sweep_s"), 10 * 1000);
  settings->unmatched_alarm_us = config_get_seconds_us (config, "market", "unmatched_alarm_s");
  settings->stuck_us = config_get_seconds_us (config, "market", "stuck_s");
  settings->alarm_us = config_get_seconds_us (config, "market", "alarm_s");
  settings->unmatched_keep_us
      = config_get_int (config, "market", "unmatched_keep_d") * G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC;
  settings->open_orders_per_user = (guint)config_get_int (config, "limits", "open_orders_per_user");
  settings->orders_per_user_per_day = (guint)config_get_int (config, "limits", "orders_per_user_per_day");
  settings->poll_us = config_get_seconds_list_us (config, "market", "poll_s", &settings->n_poll);
  settings->keygen_retry_us
      = config_get_seconds_list_us (config, "market", "keygen_retry_s", &settings->n_keygen_retry);
  settings->refund_retry_us
      = config_get_seconds_list_us (config, "market", "refund_retry_s", &settings->n_refund_retry);
  settings->unmatched_retry_us
      = config_get_seconds_list_us (config, "market", "unmatched_retry_s", &settings->n_unmatched_retry);

  const char *late = config_get_text (config, "market", "late_payment");
  settings->late = g_str_equal (late, "refund")   ? LATE_REFUND
                   : g_str_equal (late, "review") ? LATE_REVIEW
                                                  : LATE_HONOUR;
}

static Provider *
read_provider (const Config *config, const char *name, GError **error)
{
  g_autofree char *group = g_strconcat ("billing ", name, NULL);
  g_autoptr (Provider) provider = g_new0 (Provider, 1);
  const char *type = config_get_text (config, group, "type");
  const char *key = config_get_text (config, group, "api_key");
  const char *public_url = config_get_text (config, "http", "public_url");

  provider->name = g_strdup (name);
  provider->type = provider_type_find (type);
  if (provider->type == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "[%s] type: no provider of type '%s'",
                   group, type);
      return NULL;
    }
  provider->calls = g_hash_table_new_full (NULL, NULL, provider->type->free_call, NULL);
  provider->merchant = g_strdup (config_get_text (config, group, "merchant"));
  if (!provider_id_is_valid (provider->merchant))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "[%s] merchant: not an id", group);
      return NULL;
    }
  provider->is_live = g_str_equal (config_get_text (config, group, "mode"), "live");
  provider->base = http_base_new (config_get_text (config, group, "base"), error);
  if (provider->base == NULL)
    {
      g_prefix_error (error, "[%s] base: ", group);
      return NULL;
    }
  provider->api_key = secret_new (key, strlen (key));
  if (provider->type->check != NULL && !provider->type->check (provider, error))
    {
      g_prefix_error (error, "[%s] ", group);
      return NULL;
    }
  if (public_url != NULL)
    provider->callback_url = g_strconcat (public_url, "/v1/billing/", name, NULL);
  return g_steal_pointer (&provider);
}

static gboolean
read_providers (Market *market, GError **error)
{
  const char *const *names = config_get_named_groups (market->server->config, "billing");
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    {
      Provider *provider = read_provider (market->server->config, names[i], error);
      if (provider == NULL)
        return FALSE;
      provider->timeout_ms = (guint)(market->desk.settings.vendor_timeout_us / 1000);
      provider->http = market->http;
      g_ptr_array_add (market->desk.providers, provider);
    }
  return TRUE;
}

static Secret *
read_webhook_secret (const Config *config, const Provider *provider, GError **error)
{
  g_autofree char *group = g_strconcat ("billing ", provider->name, NULL);
  const char *text = config_get_text (config, group, "webhook_secret");
  g_autoptr (Secret) secret = secret_new (text, strlen (text));
  g_autoptr (WebhookRing) probe = webhook_ring_new ();
  if (provider->type->add_secret (probe, secret, 0, 0, error))
    return g_steal_pointer (&secret);
  g_prefix_error (error, "[%s] webhook_secret: ", group);
  return NULL;
}

gboolean
market_check_config (const Config *config, GError **error)
{
  const char *const *names = config_get_named_groups (config, "billing");
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autoptr (Provider) provider = read_provider (config, names[i], error);
      g_autoptr (Secret) secret = provider != NULL ? read_webhook_secret (config, provider, error) : NULL;
      if (secret == NULL)
        return FALSE;
    }
  return TRUE;
}

/* The first write of a run: keys, secrets, and the jobs of the last run. */
static gboolean
start_work (Turn *turn, gpointer data, GError **error)
{
  Market *market = data;
  if (!market_keys_load (&market->desk.keys, market->desk.store, turn->db, error))
    return FALSE;
  for (guint i = 0; i < market->desk.providers->len; i++)
    {
      const Provider *provider = g_ptr_array_index (market->desk.providers, i);
      g_autofree char *peer = g_strconcat ("billing:", provider->name, NULL);
      g_autoptr (Secret) seed = read_webhook_secret (market->server->config, provider, error);
      Ring *ring = seed != NULL ? ring_load (turn, peer, seed, error) : NULL;
      if (ring == NULL)
        return FALSE;
      g_hash_table_replace (market->billing_rings, g_strdup (provider->name), ring);
    }
  return jobs_take_over (turn, error);
}

typedef struct
{
  gboolean is_done;
  GError *error;
} Start;

static gboolean
start_in_store (Db *db, gpointer data, GError **error)
{
  Write *w = data;
  turn_begin (&w->turn, &w->market->desk, db);
  gboolean is_done = start_work (&w->turn, w->market, error);
  crash_point (START_DECIDED);
  return is_done;
}

static void
started (gpointer data, const GError *error)
{
  Write *w = data;
  Start *start = w->data;
  crash_point (START_COMMITTED);
  start->is_done = TRUE;
  start->error = error != NULL ? g_error_copy (error) : NULL;
}

/* Waits for the one write without which nothing may start. */
static gboolean
start (Market *market, GError **error)
{
  Start result = { FALSE, NULL };
  Write w = { .market = market, .data = &result };
  store_write (market->server->store, STORE_MARKET, start_in_store, started, &w);
  while (!result.is_done)
    g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
  if (result.error == NULL)
    turn_write_log (&w.turn);
  turn_clear (&w.turn);
  if (result.error == NULL)
    return TRUE;
  g_propagate_error (error, result.error);
  return FALSE;
}

static const char *
check_ready (gpointer data)
{
  Market *market = data;
  return store_is_healthy (market->server->store, STORE_MARKET) ? NULL : "orders cannot be stored";
}

Market *
market_new (Server *server, GError **error)
{
  Market *market = g_new0 (Market, 1);
  market->server = server;
  market->desk.clock = server->clock;
  market->desk.store = server->store;
  market->desk.signer = server->signer;
  market->desk.owner = id_new_random (10);
  market->desk.providers = g_ptr_array_new_with_free_func ((GDestroyNotify)provider_free);
  market->open_calls = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  market->billing_rings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ring_free);
  market->vendor_rings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)ring_free);
  market->waiters = waiters_new ();
  market->http = http_client_new (g_main_context_get_thread_default (), NULL, 0);
  read_settings (&market->desk.settings, server->config);
  market->alarms = alarms_new (server->clock, market->desk.settings.alarm_us);
  gauges_init (market);
  if (!read_providers (market, error) || !start (market, error))
    {
      market_stop (market);
      market_free (market);
      return NULL;
    }

  serials_init (market);
  catalog_init (market);
  order_requests_init (market);
  callbacks_init (market);
  market_commands_init (market);
  order_commands_init (market);
  item_commands_init (market);
  receipts_init (market);
  removal_init (market);
  licence_init (market);
  role_commands_init (market);
  adhoc_user_init (market);
  adhoc_vendor_init (market);
  adhoc_admin_init (market);
  notices_init (market);
  check_init (market);
  rotation_commands_init (market);
  delivery_commands_init (market);
  reconcile_commands_init (market);
  restored_init (market);
  http_add_ready_check (server->http, "market", check_ready, market);
  return market;
}

void
market_start (Market *market)
{
  sweep_init (market);
}

void
market_stop (Market *market)
{
  rings_flush (market);
  market->is_closing = TRUE;
  sweep_stop (market);
  receipts_stop (market);
  walk_stop (market);
  waiters_free (g_steal_pointer (&market->waiters), market);
  g_clear_pointer (&market->http, http_client_free);

  GHashTableIter iter;
  gpointer call, open;
  g_hash_table_iter_init (&iter, market->open_calls);
  while (g_hash_table_iter_next (&iter, &call, &open))
    ((OpenCall *)open)->free_call (call);
  g_hash_table_remove_all (market->open_calls);
}

void
market_free (Market *market)
{
  if (market == NULL)
    return;
  g_assert (market->is_closing && g_hash_table_size (market->open_calls) == 0);
  serials_clear (market);
  gauges_clear (market);
  alarms_free (market->alarms);
  g_clear_pointer (&market->catalog, g_ptr_array_unref);
  g_clear_pointer (&market->receivers, g_ptr_array_unref);
  g_hash_table_unref (market->open_calls);
  g_hash_table_unref (market->billing_rings);
  g_hash_table_unref (market->vendor_rings);
  g_ptr_array_unref (market->desk.providers);
  market_keys_clear (&market->desk.keys);
  g_free (market->desk.owner);
  g_free (market);
}
