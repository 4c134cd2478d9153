#include "host-server/core/applications.h"
#include "host-server/market/room.h"

/* Whether a user is entitled to an application now, for the room that runs its functions. */

static gboolean
find_licence (const char *account, const char *application, ApplicationLicence *licence, gpointer data,
              GError **error)
{
  Market *market = data;
  const Plugin *plugin = catalog_find (market, application);
  if (plugin == NULL)
    return TRUE;
  g_autofree char *user = pairwise_name (market->desk.keys.pairwise, plugin->vendor, account);
  g_strlcpy (licence->user, user, sizeof licence->user);

  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (market_peek_reader (market),
                  "SELECT expires_us FROM entitlement WHERE account = ? AND plugin = ? AND state = 'active'",
                  "ss", account, application);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  /* What is past its time is not active, whether or not the sweep has been there. */
  gint64 expires_us = is_found ? db_get_int (query, 0) : 0;
  licence->is_licensed = is_found && (expires_us == 0 || expires_us > clock_get_wall_us (market->desk.clock));
  return TRUE;
}

void
licence_init (Market *market)
{
  applications_set_licence (market->server->applications, find_licence, market);
}
