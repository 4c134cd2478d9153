#include "host-server/market/books/revoke.h"

#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/issue.h"

gboolean
serial_revoke (Turn *turn, const char *account, const char *plugin, gboolean *is_found, GError **error)
{
  GError *local = NULL;
  g_autoptr (Entitlement) entitlement = entitlement_load (turn->db, account, plugin, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  *is_found = entitlement != NULL && entitlement->state != SERIAL_REVOKED;
  if (!*is_found)
    return TRUE;
  turn_log (turn, LOG_LEVEL_INFO, "serial revoked by hand account=%s plugin=%s", account, plugin);
  return entitlement_end (turn, account, plugin, error) && issue_burn_all (turn, account, plugin, error);
}
