/* Who may do more than buy: administrators, and members of vendors (protocol.md section 3). */
#pragma once

#include "host-server/market/books/desk.h"

typedef enum
{
  ROLE_ADMINISTRATOR, /* everything of every vendor, and of users */
  ROLE_VENDOR,        /* what belongs to one vendor */
} Role;

gboolean role_from_text (const char *text, Role *role);
const char *role_to_text (Role role);

typedef enum
{
  ROLE_CHANGED,
  ROLE_AS_BEFORE, /* given already, or not there to take away */
  ROLE_NO_VENDOR, /* there is no such vendor */
} RoleOutcome;

/* @vendor is "" for an administrator. */
gboolean role_give (Turn *turn, const char *account, Role role, const char *vendor, RoleOutcome *outcome,
                    GError **error);
gboolean role_take (Turn *turn, const char *account, Role role, const char *vendor, RoleOutcome *outcome,
                    GError **error);

/* One indexed read each, also outside a turn. A fault is logged, and then nobody may. */
gboolean role_is_administrator (Db *db, const char *account);
/* Whether the account has any role. */
gboolean role_has_any (Db *db, const char *account);
/* Whether the account may act for @vendor; NULL is the operator, who may. */
gboolean role_may_act_for (Db *db, const char *account, const char *vendor);

/* In SQL: what the account behind the parameter may see of a vendor's things; NULL is the operator. Takes the
 * parameter three times. */
#define ROLE_SEES(vendor)                                                                                    \
  "(CAST (? AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM account_role WHERE account = ? AND role = 'administrator')"           \
  " OR " vendor " IN (SELECT vendor FROM account_role WHERE account = ? AND role = 'vendor'))"
