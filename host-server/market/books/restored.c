#include "host-server/market/books/restored.h"

#include "host-server/core/control.h"

gboolean
restored_read (Db *db, Restored *restored, GError **error)
{
  gboolean is_found;
  *restored = (Restored){ .epoch = 1, .is_open = TRUE };
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT epoch, restored_us, backup_us, (SELECT COUNT (*) FROM restoration WHERE reconciled_us = 0) = 0"
      " FROM restoration ORDER BY epoch DESC LIMIT 1",
      "");
  if (!turn_find (query, &is_found, error))
    return FALSE;
  if (is_found)
    *restored = (Restored){ .epoch = db_get_int (query, 0),
                            .restored_us = db_get_int (query, 1),
                            .backup_us = db_get_int (query, 2),
                            .is_open = db_get_int (query, 3) != 0 };
  return TRUE;
}

gboolean
restored_open (Turn *turn, GError **error)
{
  if (!db_run (turn->db, error, "UPDATE restoration SET reconciled_us = ? WHERE reconciled_us = 0", "i",
               turn->now_us))
    return FALSE;
  if (db_get_changes (turn->db) > 0)
    turn_log (turn, LOG_LEVEL_INFO, "the restored store was compared with the providers: sales are open");
  return TRUE;
}
