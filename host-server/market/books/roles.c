#include "host-server/market/books/roles.h"

#include <string.h>

static const char *const roles[] = { "administrator", "vendor" };

gboolean
role_from_text (const char *text, Role *role)
{
  for (gsize i = 0; i < G_N_ELEMENTS (roles); i++)
    if (strcmp (roles[i], text) == 0)
      {
        *role = (Role)i;
        return TRUE;
      }
  return FALSE;
}

const char *
role_to_text (Role role)
{
  return roles[role];
}

gboolean
role_give (Turn *turn, const char *account, Role role, const char *vendor, RoleOutcome *outcome,
           GError **error)
{
  if (role == ROLE_VENDOR)
    {
      gboolean is_found;
      g_autoptr (DbQuery) query = db_query (turn->db, "SELECT 1 FROM vendor WHERE id = ?", "s", vendor);
      if (!turn_find (query, &is_found, error))
        return FALSE;
      *outcome = ROLE_NO_VENDOR;
      if (!is_found)
        return TRUE;
    }
  if (!db_run (turn->db, error,
               "INSERT INTO account_role (account, role, vendor, created_us) VALUES (?, ?, ?, ?)"
               " ON CONFLICT (account, role, vendor) DO NOTHING",
               "sssi", account, role_to_text (role), vendor, turn->now_us))
    return FALSE;
  *outcome = db_get_changes (turn->db) == 1 ? ROLE_CHANGED : ROLE_AS_BEFORE;
  if (*outcome == ROLE_CHANGED)
    turn_log (turn, LOG_LEVEL_INFO, "role given account=%s role=%s vendor=%s", account, role_to_text (role),
              vendor);
  return TRUE;
}

gboolean
role_take (Turn *turn, const char *account, Role role, const char *vendor, RoleOutcome *outcome,
           GError **error)
{
  if (!db_run (turn->db, error, "DELETE FROM account_role WHERE account = ? AND role = ? AND vendor = ?",
               "sss", account, role_to_text (role), vendor))
    return FALSE;
  *outcome = db_get_changes (turn->db) == 1 ? ROLE_CHANGED : ROLE_AS_BEFORE;
  if (*outcome == ROLE_CHANGED)
    turn_log (turn, LOG_LEVEL_INFO, "role taken account=%s role=%s vendor=%s", account, role_to_text (role),
              vendor);
  return TRUE;
}

static gboolean
has_row (DbQuery *take_query)
{
  g_autoptr (DbQuery) query = take_query;
  g_autoptr (GError) error = NULL;
  gboolean is_found = FALSE;
  if (!turn_find (query, &is_found, &error))
    log_error ("market", "roles cannot be read: %s", error->message);
  return is_found;
}

gboolean
role_is_administrator (Db *db, const char *account)
{
  return has_row (
      db_query (db, "SELECT 1 FROM account_role WHERE account = ? AND role = 'administrator'", "s", account));
}

gboolean
role_has_any (Db *db, const char *account)
{
  return has_row (db_query (db, "SELECT 1 FROM account_role WHERE account = ? LIMIT 1", "s", account));
}

gboolean
role_may_act_for (Db *db, const char *account, const char *vendor)
{
  return account == NULL || role_is_administrator (db, account)
         || has_row (
             db_query (db, "SELECT 1 FROM account_role WHERE account = ? AND role = 'vendor' AND vendor = ?",
                       "ss", account, vendor));
}
