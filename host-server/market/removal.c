#include "host-server/core/hooks.h"
#include "host-server/market/books/credits.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/room.h"
#include "host-server/store/accounts.h"

/* An account was removed: its open orders are declined, paid lines that have no serial go back, entitlements
 * are revoked (money.md). What happened to money stays. */

static gboolean
end_order (Turn *turn, Purchase *purchase, GError **error)
{
  switch (purchase->phase)
    {
    case PHASE_CREATED:
    case PHASE_RESERVING:
      purchase->is_decline_wanted = TRUE;
      break;
    case PHASE_AWAITING_PAYMENT:
      purchase->is_declined_by_user = TRUE;
      if (!purchase_apply (turn, purchase, EVENT_DECLINED, "the account was removed", error)
          || !purchase_judge (turn, purchase, error))
        return FALSE;
      break;
    case PHASE_PAID:
    case PHASE_ISSUING:
      if (!purchase_apply (turn, purchase, EVENT_UNISSUABLE, "the account was removed", error))
        return FALSE;
      break;
    default:
      return TRUE;
    }
  return purchase_save (turn, purchase, error);
}

static GPtrArray *
list (Turn *turn, const char *sql, const char *account, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (DbQuery) query = db_query (turn->db, sql, "s", account);
  while (db_next (query, &local))
    g_ptr_array_add (texts, db_dup_text (query, 0));
  if (local == NULL)
    return g_steal_pointer (&texts);
  g_propagate_error (error, local);
  return NULL;
}

static gboolean
removal_work (Turn *turn, gpointer data, GError **error)
{
  const char *account = data;
  g_autoptr (GPtrArray) orders
      = list (turn, "SELECT purchase FROM purchase_line WHERE account = ? AND is_open = 1", account, error);
  for (guint i = 0; orders != NULL && i < orders->len; i++)
    {
      g_autoptr (Purchase) purchase = purchase_load (turn->db, g_ptr_array_index (orders, i), error);
      if (purchase == NULL || !end_order (turn, purchase, error))
        return FALSE;
    }
  g_autoptr (GPtrArray) plugins
      = orders != NULL ? list (turn, "SELECT plugin FROM entitlement WHERE account = ?", account, error)
                       : NULL;
  if (plugins == NULL)
    return FALSE;
  for (guint i = 0; i < plugins->len; i++)
    {
      const char *plugin = g_ptr_array_index (plugins, i);
      if (!entitlement_end (turn, account, plugin, error) || !issue_burn_all (turn, account, plugin, error))
        return FALSE;
    }
  if (!credits_forget (turn, account, error))
    return FALSE;
  turn_log (turn, LOG_LEVEL_INFO, "account removed account=%s orders=%u plugins=%u", account, orders->len,
            plugins->len);
  return account_removal_finish (turn->db, "market", account, error);
}

static void
removal_done (Market *market, gpointer data, const GError *error)
{
  if (error != NULL) /* its note stays, and is found at the next start */
    log_error ("market", "the removal of account %s could not be stored: %s", (const char *)data,
               error->message);
  g_free (data);
}

static void
account_removed (const char *account_uuid, const Jid *bare, gpointer data)
{
  market_write (data, removal_work, removal_done, g_strdup (account_uuid));
}

static void
found_at_start (const char *uuid, const char *local, gint64 created_us, gpointer data)
{
  account_removed (uuid, NULL, data);
}

void
removal_init (Market *market)
{
  g_autoptr (GError) error = NULL;
  hooks_add_account_removed (market->server->hooks, account_removed, market);
  if (!account_removals_list (market_peek_reader (market), "market", found_at_start, market, &error))
    log_error ("market", "the removed accounts cannot be read: %s", error->message);
}
