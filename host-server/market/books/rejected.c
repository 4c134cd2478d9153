#include "host-server/market/books/rejected.h"

#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/books/purchases.h"

static Purchase *
load_by_line (Turn *turn, const char *line, GError **error)
{
  g_autofree char *id = NULL;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT purchase FROM purchase_line WHERE id = ?", "s", line);
    if (!turn_find (query, &is_found, error) || !is_found)
      return NULL;
    id = db_dup_text (query, 0);
  }
  return purchase_load (turn->db, id, error);
}

/* The vendor's second serial was refused as well: nothing is sent a third time, and no money moves by itself.
 */
static gboolean
give_up (Turn *turn, const char *plugin, Purchase *purchase, GError **error)
{
  turn_log (turn, LOG_LEVEL_ERROR, "the replacement of a serial was refused too order=%s plugin=%s",
            purchase->id, plugin);
  return entitlement_end_line (turn, purchase->line, error) && issue_burn (turn, purchase->line, error)
         && purchase_apply (turn, purchase, EVENT_DOUBTFUL, "the plugin refused two serials", error)
         && purchase_save (turn, purchase, error);
}

gboolean
serial_reject (Turn *turn, const char *account, const char *plugin, gint64 epoch, RejectedOutcome *outcome,
               GError **error)
{
  GError *local = NULL;
  if (!entitlements_expire (turn, account, error))
    return FALSE;
  g_autoptr (Entitlement) entitlement = entitlement_load (turn->db, account, plugin, &local);
  if (local == NULL)
    *outcome = REJECTED_REGISTRATION_NEEDED;
  if (entitlement == NULL || entitlement->state != SERIAL_ACTIVE)
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return local == NULL;
    }
  *outcome = REJECTED_CURRENT;
  if (epoch >= 0 && epoch != entitlement->epoch)
    return TRUE;

  gboolean is_there, is_running;
  if (!issue_find_replacement (turn, entitlement->line, &is_there, &is_running, error))
    return FALSE;
  *outcome = REJECTED_REPLACING;
  if (is_running)
    return TRUE;

  g_autoptr (Purchase) purchase = load_by_line (turn, entitlement->line, &local);
  if (purchase == NULL)
    {
      *outcome = REJECTED_REGISTRATION_NEEDED;
      if (local != NULL)
        g_propagate_error (error, local);
      return local == NULL;
    }
  gboolean is_ended;
  if (!issue_find_vendor_ended (turn, entitlement->line, entitlement->generation, &is_ended, error))
    return FALSE;
  if (is_ended) /* by the vendor itself, ahead of what was paid for: that is not the one replacement */
    return issue_reissue (turn, purchase, error);
  if (!is_there)
    {
      turn_log (turn, LOG_LEVEL_WARNING, "serial refused by its plugin, replacing it order=%s plugin=%s",
                purchase->id, plugin);
      return issue_replace (turn, purchase, error);
    }
  *outcome = REJECTED_REGISTRATION_NEEDED;
  return give_up (turn, plugin, purchase, error);
}
