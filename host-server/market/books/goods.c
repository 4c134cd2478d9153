#include "host-server/market/books/goods.h"

#include "host-server/market/books/credits.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/issue.h"

/* A plugin. */

static gboolean
abandon_plugin (Turn *turn, const Purchase *purchase, GError **error)
{
  return issue_abandon (turn, purchase->line, error);
}

static gboolean
grant_plugin (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error)
{
  return entitlement_add_line (turn, purchase->account, purchase->plugin, purchase->line,
                               is_withheld ? LINE_DISPUTED : LINE_COUNTED, error);
}

static gboolean
withhold_plugin (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error)
{
  return entitlement_dispute_line (turn, purchase->line, is_withheld, error);
}

static gboolean
end_plugin (Turn *turn, const Purchase *purchase, GError **error)
{
  return entitlement_end_line (turn, purchase->line, error) && issue_burn (turn, purchase->line, error);
}

/* *@is_true is the only column of the only row. */
static gboolean
find_truth (DbQuery *take_query, gboolean *is_true, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  gboolean is_found;
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *is_true = is_found && db_get_int (query, 0) != 0;
  return TRUE;
}

/* Nothing of the plugin is owned, and it is sold. */
static gboolean
can_plugin_be_had (Turn *turn, const Purchase *purchase, gboolean *can_be, GError **error)
{
  return find_truth (db_query (turn->db,
                               "SELECT NOT EXISTS (SELECT 1 FROM entitlement WHERE account = ? AND plugin = "
                               "? AND state IN ('active',"
                               " 'suspended')) AND EXISTS (SELECT 1 FROM plugin WHERE id = ? AND is_retired "
                               "= 0 AND fault IS NULL)",
                               "sss", purchase->account, purchase->plugin, purchase->plugin),
                     can_be, error);
}

static gboolean
can_plugin_be_kept (Turn *turn, const Purchase *purchase, gboolean *can_be, GError **error)
{
  return issue_find_serial (turn->db, purchase->line, can_be, error);
}

static const Goods plugin_goods = { .start = issue_start,
                                    .abandon = abandon_plugin,
                                    .grant = grant_plugin,
                                    .withhold = withhold_plugin,
                                    .end = end_plugin,
                                    .can_be_had = can_plugin_be_had,
                                    .can_be_kept = can_plugin_be_kept };

/* An item. */

/* Nothing is to be obtained. Whose application was taken away meanwhile could not use it: the money goes
 * back. One whose term is over or whose payment is in dispute may come back, and finds its counter. */
static gboolean
start_item (Turn *turn, Purchase *purchase, GError **error)
{
  GError *local = NULL;
  g_autoptr (Entitlement) entitlement
      = entitlement_load (turn->db, purchase->account, purchase->plugin, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  gboolean has_use = entitlement != NULL && entitlement->state != SERIAL_REVOKED;
  return purchase_apply (turn, purchase, EVENT_ISSUE_STARTED, NULL, error)
         && purchase_apply (turn, purchase, has_use ? EVENT_ISSUED : EVENT_UNISSUABLE,
                            has_use ? NULL : "its application is not the user's any more", error);
}

/* It never waits for anything. */
static gboolean
abandon_item (Turn *turn, const Purchase *purchase, GError **error)
{
  return TRUE;
}

static gboolean
can_item_be_had (Turn *turn, const Purchase *purchase, gboolean *can_be, GError **error)
{
  return find_truth (
      db_query (
          turn->db,
          "SELECT EXISTS (SELECT 1 FROM entitlement WHERE account = ? AND plugin = ? AND state = 'active')"
          " AND EXISTS (SELECT 1 FROM item i JOIN plugin p ON p.id = i.application WHERE i.application = ?"
          " AND i.id = ? AND i.is_retired = 0 AND p.is_retired = 0)",
          "ssss", purchase->account, purchase->plugin, purchase->plugin, purchase->item),
      can_be, error);
}

static gboolean
can_item_be_kept (Turn *turn, const Purchase *purchase, gboolean *can_be, GError **error)
{
  return credit_find (turn->db, purchase->line, can_be, error);
}

static const Goods item_goods = { .start = start_item,
                                  .abandon = abandon_item,
                                  .grant = credit_grant,
                                  .withhold = credit_withhold,
                                  .end = credit_end,
                                  .can_be_had = can_item_be_had,
                                  .can_be_kept = can_item_be_kept };

const Goods *
goods_of (const Purchase *purchase)
{
  return purchase->item[0] != '\0' ? &item_goods : &plugin_goods;
}
