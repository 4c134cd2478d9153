#include "host-server/market/books/reports.h"
#include "host-server/market/books/review.h"
#include "host-server/market/books/revoke.h"
#include "host-server/market/books/roles.h"
#include "host-server/market/books/row.h"
#include "host-server/market/operator/adhoc-list.h"
#include "host-server/market/room.h"

/* What administrators do with a standard client, beside the commands of vendors: user-orders, serial-revoke,
 * order-resolve (docs/operator.md). */

#define MAX_ADDRESS 3071 /* bytes */
#define MAX_NOTE    200

static gboolean
is_allowed (const char *account, gpointer data)
{
  return role_is_administrator (market_peek_reader (data), account);
}

static void
add_user (Form *form)
{
  FormField *field = form_add (form, FORM_ADDRESS, "user", "User");
  form_field_require (field);
  form_field_set_limit (field, MAX_ADDRESS);
}

/* The account that was asked for; NULL, and asked again, if there is none. */
static char *
find_user (Market *market, AdhocCall *call)
{
  const char *user = adhoc_call_get (call, "user");
  char *account = market_find_account (market, user);
  if (account != NULL)
    return account;
  adhoc_call_note (call, ADHOC_ERROR, "There is no user '%s'.", user);
  adhoc_call_ask_again (call);
  return NULL;
}

/* user-orders */

static const AdhocColumn order_columns[] = { { "order", "Order" },     { "user", "User" },
                                             { "plugin", "Plugin" },   { "state", "State" },
                                             { "price", "Price" },     { "payment", "Payment" },
                                             { "created", "Ordered" }, { "reason", "Reason" },
                                             { "item", "Item" },       { NULL } };

static void
orders_begin (AdhocCall *call, gpointer data)
{
  Form *form = form_new ("Orders of a user");
  add_user (form);
  adhoc_call_ask (call, form);
}

static gboolean
read_orders (Market *market, Db *db, const char *account, json_t *rows, GError **error)
{
  return report_orders_of (db, account, rows, error);
}

static void
show_orders (Market *market, AdhocCall *call, const json_t *rows)
{
  adhoc_show_list (call, "Orders of a user", order_columns, rows);
}

static void
orders_complete (AdhocCall *call, gpointer data)
{
  g_autofree char *account = find_user (data, call);
  if (account != NULL)
    adhoc_read_of (data, call, account, read_orders, show_orders);
}

/* serial-revoke */

typedef struct
{
  AdhocCall *call;
  char *account;
  gboolean is_found;
} Revocation;

static void
revoke_begin (AdhocCall *call, gpointer data)
{
  Form *form = form_new ("Revoke a serial");
  form_add_instructions (form, "It ends the user's right to the plugin. No money moves by it.");
  add_user (form);
  FormField *field = form_add (form, FORM_TEXT, "plugin", "Plugin");
  form_field_require (field);
  form_field_set_pattern (field, "[a-z0-9][a-z0-9.-]{0,63}");
  adhoc_call_ask (call, form);
}

static gboolean
revoke_work (Turn *turn, gpointer data, GError **error)
{
  Revocation *revocation = data;
  turn_log (turn, LOG_LEVEL_INFO, "serial revocation by administrator account=%s",
            adhoc_call_get_account (revocation->call));
  return serial_revoke (turn, revocation->account, adhoc_call_get (revocation->call, "plugin"),
                        &revocation->is_found, error);
}

static void
revoked (Market *market, gpointer data, const GError *error)
{
  Revocation *revocation = data;
  AdhocCall *call = revocation->call;
  if (error != NULL)
    adhoc_call_fail (call, "market", error);
  else if (!revocation->is_found)
    {
      adhoc_call_note (call, ADHOC_ERROR, "The user has no serial of it to revoke.");
      adhoc_call_ask_again (call);
    }
  else
    {
      adhoc_call_note (call, ADHOC_INFO, "It is revoked.");
      adhoc_call_done (call, NULL);
    }
  g_free (revocation->account);
  g_free (revocation);
}

static void
revoke_complete (AdhocCall *call, gpointer data)
{
  char *account = find_user (data, call);
  if (account == NULL)
    return;
  Revocation *revocation = g_new0 (Revocation, 1);
  revocation->call = call;
  revocation->account = account;
  market_write (data, revoke_work, revoked, revocation);
}

/* order-resolve */

typedef struct
{
  AdhocCall *call;
  Resolution as;
  ResolveOutcome outcome;
} Resolving;

static gboolean
read_reviews (Market *market, Db *db, const char *account, json_t *rows, GError **error)
{
  return report_reviews (db, rows, error);
}

static void
resolve_choose (Market *market, AdhocCall *call, const json_t *rows)
{
  if (json_array_size (rows) == 0)
    {
      adhoc_call_note (call, ADHOC_INFO, "No order waits for a person.");
      adhoc_call_done (call, NULL);
      return;
    }
  Form *form = form_new ("Resolve a review");
  FormField *field = form_add (form, FORM_CHOICE, "order", "Order");
  form_field_require (field);
  for (gsize i = 0; i < json_array_size (rows) && i < ADHOC_LIST_MAX; i++)
    {
      const json_t *row = json_array_get (rows, i);
      g_autofree char *label
          = g_strdup_printf ("%s%s%s of %s: %s, %s (%s)", adhoc_row_text (row, "plugin"),
                             adhoc_row_text (row, "item")[0] != '\0' ? " " : "", adhoc_row_text (row, "item"),
                             adhoc_row_text (row, "user"), adhoc_row_text (row, "payment"),
                             adhoc_row_text (row, "reason"), adhoc_row_text (row, "order"));
      form_field_add_option (field, adhoc_row_text (row, "order"), label);
    }
  field = form_add (form, FORM_CHOICE, "as", "It is to become");
  form_field_require (field);
  form_field_add_option (field, resolution_to_text (RESOLVE_AS_PAID), "paid: its serial is obtained");
  form_field_add_option (field, resolution_to_text (RESOLVE_AS_FULFILLED), "fulfilled: the serial stays");
  form_field_add_option (field, resolution_to_text (RESOLVE_AS_REFUND), "refunded: the money goes back");
  form_field_add_option (field, resolution_to_text (RESOLVE_AS_CLOSED), "closed: nothing more is done");
  form_field_set_limit (form_add (form, FORM_TEXT, "note", "Why"), MAX_NOTE);
  adhoc_call_ask (call, form);
}

static void
resolve_begin (AdhocCall *call, gpointer data)
{
  adhoc_read (data, call, read_reviews, resolve_choose);
}

static gboolean
resolve_work (Turn *turn, gpointer data, GError **error)
{
  Resolving *resolving = data;
  turn_log (turn, LOG_LEVEL_INFO, "review resolved by administrator account=%s order=%s",
            adhoc_call_get_account (resolving->call), adhoc_call_get (resolving->call, "order"));
  return order_resolve (turn, adhoc_call_get (resolving->call, "order"), resolving->as,
                        adhoc_call_get (resolving->call, "note"), &resolving->outcome, error);
}

static void
resolved (Market *market, gpointer data, const GError *error)
{
  Resolving *resolving = data;
  AdhocCall *call = resolving->call;
  if (error != NULL)
    adhoc_call_fail (call, "market", error);
  else if (resolving->outcome != RESOLVE_DONE)
    {
      adhoc_call_note (call, ADHOC_ERROR, "Not resolved: %s.", resolve_outcome_to_text (resolving->outcome));
      adhoc_call_ask_again (call);
    }
  else
    {
      adhoc_call_note (call, ADHOC_INFO, "It is resolved.");
      adhoc_call_done (call, NULL);
    }
  g_free (resolving);
}

static void
resolve_complete (AdhocCall *call, gpointer data)
{
  Resolving *resolving = g_new0 (Resolving, 1);
  resolving->call = call;
  resolution_from_text (adhoc_call_get (call, "as"), &resolving->as); /* one of the choices */
  market_write (data, resolve_work, resolved, resolving);
}

void
adhoc_admin_init (Market *market)
{
  static const AdhocCommand commands[] = {
    { "user-orders", "Administrator: orders of a user", is_allowed, { orders_begin, orders_complete } },
    { "serial-revoke", "Administrator: revoke a serial", is_allowed, { revoke_begin, revoke_complete } },
    { "order-resolve", "Administrator: resolve a review", is_allowed, { resolve_begin, resolve_complete } },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    adhoc_add (market->server->adhoc, SERVICE_MARKET, &commands[i], market);
}
