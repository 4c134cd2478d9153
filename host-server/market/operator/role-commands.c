#include "host-server/core/control.h"
#include "host-server/market/books/reports.h"
#include "host-server/market/books/roles.h"
#include "host-server/market/room.h"
#include "host-server/store/accounts.h"

#include <string.h>

/* hostctl's commands for roles: who may use the commands of vendors and administrators. */

char *
market_find_account (Market *market, const char *user)
{
  char uuid[37];
  const char *domain = jid_get_domain (market->server->domain);
  g_autofree char *address
      = strchr (user, '@') != NULL ? g_strdup (user) : g_strconcat (user, "@", domain, NULL);
  g_autoptr (Jid) jid = jid_new (address, strlen (address));
  if (jid == NULL || jid_get_local (jid) == NULL || jid_get_resource (jid) != NULL
      || !g_str_equal (jid_get_domain (jid), domain)
      || !accounts_find_uuid (market->server->store, jid_get_local (jid), uuid))
    return NULL;
  return g_strdup (uuid);
}

typedef struct
{
  ControlCall *call;
  char *account;
  Role role;
  const char *vendor; /* "" for an administrator; lent from the call */
  gboolean is_given;  /* or taken */
  RoleOutcome outcome;
  const char *domain;
  json_t *rows;
} Granting;

static void
granting_free (Granting *granting)
{
  json_decref (granting->rows);
  g_free (granting->account);
  g_free (granting);
}

/* NULL and refused if the call's arguments do not fit together. */
static Granting *
granting_new (Market *market, ControlCall *call)
{
  const char *user = control_call_get_text (call, "USER");
  const char *vendor = control_call_get_text (call, "VENDOR");
  Role role;
  g_autofree char *account = market_find_account (market, user);
  if (account == NULL)
    control_call_refuse (call, "there is no user '%s'", user);
  else if (!role_from_text (control_call_get_text (call, "ROLE"), &role))
    control_call_refuse (call, "a role is administrator or vendor");
  else if ((role == ROLE_VENDOR) != (vendor != NULL))
    control_call_refuse (call, role == ROLE_VENDOR ? "vendor VENDOR is needed"
                                                   : "an administrator is one of all vendors");
  else
    {
      Granting *granting = g_new0 (Granting, 1);
      granting->call = call;
      granting->account = g_steal_pointer (&account);
      granting->role = role;
      granting->vendor = vendor != NULL ? vendor : "";
      return granting;
    }
  return NULL;
}

static gboolean
grant_work (Turn *turn, gpointer data, GError **error)
{
  Granting *granting = data;
  return granting->is_given ? role_give (turn, granting->account, granting->role, granting->vendor,
                                         &granting->outcome, error)
                            : role_take (turn, granting->account, granting->role, granting->vendor,
                                         &granting->outcome, error);
}

static void
grant_done (Market *market, gpointer data, const GError *error)
{
  Granting *granting = data;
  if (error != NULL)
    control_call_refuse (granting->call, "cannot change the role: %s", error->message);
  else if (granting->outcome == ROLE_NO_VENDOR)
    control_call_refuse (granting->call, "there is no vendor '%s'", granting->vendor);
  else if (granting->outcome == ROLE_AS_BEFORE && !granting->is_given)
    control_call_refuse (granting->call, "the user does not have that role");
  else
    control_call_done (granting->call);
  granting_free (granting);
}

static void
change_role (Market *market, ControlCall *call, gboolean is_given)
{
  Granting *granting = granting_new (market, call);
  if (granting == NULL)
    return;
  granting->is_given = is_given;
  market_write (market, grant_work, grant_done, granting);
}

static void
add_role (ControlCall *call, gpointer data)
{
  change_role (data, call, TRUE);
}

static void
remove_role (ControlCall *call, gpointer data)
{
  change_role (data, call, FALSE);
}

static gboolean
list_work (Db *db, gpointer data, GError **error)
{
  Granting *granting = data;
  GError *local = NULL;
  granting->rows = json_array ();
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT a.local, r.role, r.vendor, r.created_us FROM account_role r"
                  " JOIN account a ON a.uuid = r.account ORDER BY a.local, r.role, r.vendor LIMIT ?",
                  "i", (gint64)REPORT_LIMIT);
  while (db_next (query, &local))
    {
      const char *vendor = db_get_text (query, 2);
      g_autofree char *user = g_strconcat (db_get_text (query, 0), "@", granting->domain, NULL);
      json_array_append_new (granting->rows,
                             json_pack ("{s:s, s:s, s:o, s:o}", "user", user, "role", db_get_text (query, 1),
                                        "vendor", report_text (vendor[0] != '\0' ? vendor : NULL), "since",
                                        report_time (db_get_int (query, 3))));
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static void
listed (gpointer data, const GError *error)
{
  Granting *granting = data;
  if (error != NULL)
    control_call_refuse (granting->call, "cannot list roles: %s", error->message);
  else
    {
      gsize i;
      json_t *row;
      json_array_foreach (granting->rows, i, row) control_call_take_row (granting->call, json_incref (row));
      control_call_done (granting->call);
    }
  granting_free (granting);
}

static void
list_roles (ControlCall *call, gpointer data)
{
  Market *market = data;
  Granting *granting = g_new0 (Granting, 1);
  granting->call = call;
  granting->domain = jid_get_domain (market->server->domain);
  store_read (market->server->store, STORE_MARKET, list_work, listed, granting);
}

void
role_commands_init (Market *market)
{
  static const ControlArgument role[]
      = { { "USER", CONTROL_TEXT }, { "ROLE", CONTROL_TEXT }, { "VENDOR", CONTROL_TEXT, TRUE }, { NULL } };
  const ControlCommand commands[] = {
    { "role add", role, NULL, FALSE, "let a user act as administrator, or as member of a vendor", add_role,
      market },
    { "role remove", role, NULL, FALSE, "take a role away", remove_role, market },
    { "role list", NULL, NULL, TRUE, "who has which role", list_roles, market },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (market->server->controls, &commands[i]);
}
