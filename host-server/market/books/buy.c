#include "host-server/market/books/buy.h"

#include "common/base/id.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/jobs.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/books/pool.h"
#include "host-server/market/books/restored.h"

/* The id in the first column, if there is a row. */
static gboolean
find_text (DbQuery *take_query, char **text, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  gboolean is_found;
  *text = NULL;
  if (!turn_find (query, &is_found, error))
    return FALSE;
  if (is_found)
    *text = db_dup_text (query, 0);
  return TRUE;
}

static gboolean
count (DbQuery *take_query, gint64 *n, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  gboolean is_found;
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *n = is_found ? db_get_int (query, 0) : 0;
  return TRUE;
}

static const char *
get_item (const BuyRequest *request)
{
  return request->item != NULL ? request->item : "";
}

/* The order that this request, or another for the same, already has. */
static gboolean
find_known (Turn *turn, const BuyRequest *request, BuyOutcome *outcome, Purchase **purchase, GError **error)
{
  g_autofree char *id = NULL;
  if (!find_text (db_query (turn->db,
                            "SELECT purchase FROM purchase_request WHERE account = ? AND request = ?", "ss",
                            request->account, request->request),
                  &id, error))
    return FALSE;
  if (id == NULL)
    {
      gint64 n_aliases = 0;
      if (!find_text (
              db_query (turn->db,
                        "SELECT purchase FROM purchase_line WHERE account = ? AND plugin = ? AND item = ?"
                        " AND is_open = 1",
                        "sss", request->account, request->plugin, get_item (request)),
              &id, error))
        return FALSE;
      if (id == NULL)
        return TRUE;
      if (!count (db_query (turn->db, "SELECT COUNT (*) FROM purchase_request WHERE purchase = ?", "s", id),
                  &n_aliases, error))
        return FALSE;
      *outcome = BUY_TOO_MANY;
      if (n_aliases >= BUY_MAX_ALIASES)
        return TRUE;
      if (!db_run (turn->db, error,
                   "INSERT INTO purchase_request (account, request, purchase) VALUES (?, ?, ?)", "sss",
                   request->account, request->request, id))
        return FALSE;
    }
  *outcome = BUY_KNOWN;
  *purchase = purchase_load (turn->db, id, error);
  return *purchase != NULL;
}

/* What a user can have us keep: orders that are open, and orders at all. @plugin is NULL if it sets nothing
 * aside. */
static gboolean
find_is_too_many (Turn *turn, const char *account, const Plugin *plugin, gboolean *is_too_many,
                  GError **error)
{
  const MarketSettings *settings = &turn->desk->settings;
  gint64 n_open = 0, n_reserved = 0, n_today = 0,
         day_ago_us = turn->now_us - G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC;
  g_autofree char *day_ago = id_floor_sortable ("o_", day_ago_us);
  if (settings->open_orders_per_user > 0
      && !count (db_query (turn->db, "SELECT COUNT (*) FROM purchase_line WHERE account = ? AND is_open = 1",
                           "s", account),
                 &n_open, error))
    return FALSE;
  if (settings->open_reserves_per_user > 0 && plugin != NULL && plugin->is_reserve
      && !count (db_query (turn->db,
                           "SELECT COUNT (*) FROM purchase_line WHERE account = ? AND is_open = 1"
                           " AND is_reserve = 1",
                           "s", account),
                 &n_reserved, error))
    return FALSE;
  if (settings->orders_per_user_per_day > 0
      && !count (db_query (turn->db, "SELECT COUNT (*) FROM purchase WHERE account = ? AND id > ?", "ss",
                           account, day_ago),
                 &n_today, error))
    return FALSE;
  *is_too_many = (settings->open_orders_per_user > 0 && n_open >= settings->open_orders_per_user)
                 || (settings->open_reserves_per_user > 0 && n_reserved >= settings->open_reserves_per_user)
                 || (settings->orders_per_user_per_day > 0 && n_today >= settings->orders_per_user_per_day);
  return TRUE;
}

/* What is to be sold, as its line will say. */
typedef struct
{
  const Plugin *plugin;
  const Item *item; /* NULL: the plugin itself */
  gint64 price_minor;
  const Provider *provider; /* NULL: it is free, or its provider is not configured */
  gboolean is_renewal;
} Wanted;

/* Whether the plugin's serial could be had. */
static BuyOutcome
judge_source (Turn *turn, const BuyRequest *request, const Plugin *plugin)
{
  if (plugin->fault != NULL || (!request->is_source_up && plugin->fallback[0] == '\0'))
    return BUY_UNAVAILABLE;
  if (g_str_equal (plugin->source, SOURCE_POOL) && plugin->fallback[0] == '\0'
      && !pool_has_free (turn->db, plugin->id))
    return BUY_OUT_OF_STOCK;
  return BUY_NEW;
}

/* BUY_NEW if nothing stands in the way. */
static gboolean
judge (Turn *turn, const BuyRequest *request, Wanted *wanted, BuyOutcome *outcome, GError **error)
{
  GError *local = NULL;
  gboolean is_too_many = FALSE;
  if (!entitlements_expire (turn, request->account, error))
    return FALSE;
  g_autoptr (Entitlement) owned = entitlement_load (turn->db, request->account, request->plugin, &local);
  if (local == NULL)
    find_is_too_many (turn, request->account, wanted->item == NULL ? wanted->plugin : NULL, &is_too_many,
                      &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }

  gboolean is_owned = owned != NULL && (owned->state == SERIAL_ACTIVE || owned->state == SERIAL_SUSPENDED);
  gboolean is_active = is_owned && owned->state == SERIAL_ACTIVE;
  wanted->is_renewal = wanted->item == NULL && is_active && owned->expires_us > 0;
  Restored restored;
  if (!restored_read (turn->db, &restored, error))
    return FALSE;
  if (wanted->item != NULL && !is_active)
    *outcome = BUY_NOT_LICENSED;
  else if (wanted->item == NULL && is_owned && !wanted->is_renewal)
    *outcome = BUY_OWNED;
  else if (!restored.is_open)
    *outcome = BUY_CLOSED;
  else if (wanted->price_minor > 0 && wanted->provider == NULL)
    *outcome = BUY_UNAVAILABLE;
  else if (wanted->item == NULL && (*outcome = judge_source (turn, request, wanted->plugin)) != BUY_NEW)
    return TRUE;
  else
    *outcome = is_too_many ? BUY_TOO_MANY : BUY_NEW;
  return TRUE;
}

static gboolean
open_order (Turn *turn, const BuyRequest *request, const Wanted *wanted, Purchase **result, GError **error)
{
  const Plugin *plugin = wanted->plugin;
  const Item *item = wanted->item;
  g_autoptr (Purchase) purchase = purchase_new ();
  purchase->id = id_new_sortable ("o_", turn->desk->clock);
  purchase->line = id_new_sortable ("l_", turn->desk->clock);
  purchase->account = g_strdup (request->account);
  purchase->user = g_strdup (request->user);
  purchase->provider = g_strdup (wanted->provider != NULL ? wanted->provider->name : "");
  purchase->phase = PHASE_CREATED;
  purchase->loaded_shown = phase_get_shown (PHASE_CREATED);
  purchase->price_minor = wanted->price_minor;
  purchase->currency = g_strdup (item != NULL ? item->currency : plugin->currency);
  purchase->plugin = g_strdup (plugin->id);
  purchase->item = g_strdup (item != NULL ? item->id : "");
  purchase->amount = item != NULL ? item->amount : 0;
  purchase->term = g_strdup (item != NULL ? "" : plugin->term);
  purchase->is_renewal = wanted->is_renewal;
  purchase->reason = g_strdup ("");
  purchase->created_us = turn->now_us;
  purchase->is_reserve = item == NULL && plugin->is_reserve && plugin->price_minor > 0;
  gint64 open_us = turn->desk->settings.order_expiry_us;
  if (purchase->is_reserve)
    open_us = MIN (open_us, turn->desk->settings.reserve_hold_us);
  purchase->expires_us = turn->now_us + open_us;
  if (!purchase_insert (turn, purchase, request->request, error))
    return FALSE;
  turn_log (turn, LOG_LEVEL_INFO, "order=%s plugin=%s%s%s user=%s created", purchase->id, purchase->plugin,
            item != NULL ? " item=" : "", purchase->item, purchase->user);
  Event event = purchase->is_reserve ? EVENT_RESERVE_STARTED : EVENT_FREE;
  if (purchase->price_minor > 0 && !purchase->is_reserve
          ? !job_add (turn, JOB_CHECKOUT, purchase->id, turn->now_us, error)
          : !purchase_apply (turn, purchase, event, NULL, error) || !purchase_save (turn, purchase, error))
    return FALSE;
  *result = g_steal_pointer (&purchase);
  return TRUE;
}

gboolean
buy (Turn *turn, const BuyRequest *request, BuyOutcome *outcome, Purchase **purchase, GError **error)
{
  *purchase = NULL;
  *outcome = BUY_NEW;
  if (!find_known (turn, request, outcome, purchase, error))
    return FALSE;
  if (*outcome != BUY_NEW)
    return TRUE;

  GError *local = NULL;
  g_autoptr (Plugin) plugin = plugin_load (turn->db, request->plugin, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  *outcome = BUY_NO_PLUGIN;
  if (plugin == NULL || plugin->is_retired)
    return TRUE;
  g_autoptr (Item) item
      = request->item != NULL ? item_load (turn->db, request->plugin, request->item, &local) : NULL;
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (request->item != NULL && (item == NULL || item->is_retired))
    return TRUE;
  Wanted wanted = { .plugin = plugin, .item = item };
  wanted.price_minor = item != NULL ? item->price_minor : plugin->price_minor;
  wanted.provider = wanted.price_minor > 0 ? desk_find_provider (turn->desk, plugin->billing) : NULL;
  if (!judge (turn, request, &wanted, outcome, error))
    return FALSE;
  return *outcome != BUY_NEW || open_order (turn, request, &wanted, purchase, error);
}

gboolean
decline (Turn *turn, const char *account, const char *id, DeclineOutcome *outcome, Purchase **result,
         GError **error)
{
  GError *local = NULL;
  *result = NULL;
  *outcome = DECLINE_UNKNOWN;
  g_autoptr (Purchase) purchase = purchase_load (turn->db, id, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (purchase == NULL || !g_str_equal (purchase->account, account))
    return TRUE;

  switch (purchase->phase)
    {
    case PHASE_CREATED:
    case PHASE_RESERVING:
      *outcome = DECLINE_PENDING;
      purchase->is_decline_wanted = TRUE;
      if (!purchase_save (turn, purchase, error))
        return FALSE;
      break;
    case PHASE_AWAITING_PAYMENT:
      *outcome = DECLINE_DONE;
      purchase->is_declined_by_user = TRUE;
      if (!purchase_apply (turn, purchase, EVENT_DECLINED, "by the user", error)
          || !purchase_judge (turn, purchase, error) || !purchase_save (turn, purchase, error))
        return FALSE;
      break;
    case PHASE_DECLINED:
    case PHASE_EXPIRED:
    case PHASE_REFUSED:
      *outcome = DECLINE_DONE;
      break;
    default:
      *outcome = DECLINE_PAID;
      break;
    }
  *result = g_steal_pointer (&purchase);
  return TRUE;
}
