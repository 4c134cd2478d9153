#include "host-server/market/books/reports.h"
#include "host-server/market/books/roles.h"
#include "host-server/market/books/row.h"
#include "host-server/market/offers.h"
#include "host-server/market/operator/adhoc-list.h"
#include "host-server/market/room.h"

#include <string.h>

/* What members of vendors do with a standard client, each for its own vendors, and administrators for all:
 * plugins, plugin-add, plugin-retire, pools, pool-import, sales (docs/vendors.md). */

#define MAX_KEYS_BYTES 131072 /* of one import; hostctl takes larger files */

static gboolean
is_allowed (const char *account, gpointer data)
{
  return role_has_any (market_peek_reader (data), account);
}

/* plugins */

static gboolean
read_plugins (Market *market, Db *db, const char *member, json_t *rows, GError **error)
{
  return report_plugins (db, member, rows, error);
}

static void
show_plugins (Market *market, AdhocCall *call, const json_t *rows)
{
  static const AdhocColumn columns[] = { { "plugin", "Plugin" },
                                         { "vendor", "Vendor" },
                                         { "version", "Version" },
                                         { "source", "Source" },
                                         { "state", "State" },
                                         { "fault", "Fault" },
                                         { "price", "Price" },
                                         { "sold", "Sold" },
                                         { "open", "Open orders" },
                                         { "refunded", "Refunded" },
                                         { "income", "Income" },
                                         { "items-sold", "Items sold" },
                                         { NULL } };
  adhoc_show_list (call, "Plugins", columns, rows);
}

static void
plugins (AdhocCall *call, gpointer data)
{
  adhoc_read (data, call, read_plugins, show_plugins);
}

/* plugin-add */

static void
add_begin (AdhocCall *call, gpointer data)
{
  Form *form = form_new ("Put a plugin on sale, or replace it");
  form_add_instructions (form, "Paste its manifest, as docs/vendors.md describes it.");
  FormField *field = form_add (form, FORM_LINES, "manifest", "Manifest");
  form_field_require (field);
  form_field_set_limit (field, OFFER_MAX_MANIFEST);
  adhoc_call_ask (call, form);
}

static void
added (Market *market, const Plugin *plugin, const char *problem, gpointer data)
{
  AdhocCall *call = data;
  if (problem != NULL)
    {
      adhoc_call_note (call, ADHOC_ERROR, "Nothing was changed: %s.", problem);
      adhoc_call_ask_again (call);
      return;
    }
  adhoc_call_note (call, ADHOC_INFO, "%s %s is on sale.", plugin->name, plugin->version);
  adhoc_call_done (call, NULL);
}

static void
add_complete (AdhocCall *call, gpointer data)
{
  g_autofree char *manifest = adhoc_call_dup_lines (call, "manifest");
  g_autoptr (GError) error = NULL;
  Plugin *plugin = plugin_parse_manifest (manifest, strlen (manifest), &error);
  if (plugin != NULL)
    {
      offer_put (data, adhoc_call_get_account (call), plugin, added, call);
      return;
    }
  adhoc_call_note (call, ADHOC_ERROR, "Nothing was changed: %s.", error->message);
  adhoc_call_ask_again (call);
}

/* plugin-retire, pool-import: first, which. */

/* A form with a choice among the plugins of @rows that are on sale or not; NULL if there is none. */
static Form *
make_choice (const json_t *rows, const char *title, gboolean with_retired)
{
  guint n_choices = 0;
  g_autoptr (Form) form = form_new (title);
  FormField *field = form_add (form, FORM_CHOICE, "plugin", "Plugin");
  form_field_require (field);
  gsize i;
  json_t *row;
  json_array_foreach (rows, i, row)
  {
    const char *plugin = adhoc_row_text (row, "plugin");
    if (!with_retired && g_str_equal (adhoc_row_text (row, "state"), "retired"))
      continue;
    g_autofree char *label = g_strdup_printf ("%s %s (%s)", plugin, adhoc_row_text (row, "version"),
                                              adhoc_row_text (row, "vendor"));
    form_field_add_option (field, plugin, label);
    n_choices++;
  }
  return n_choices > 0 ? g_steal_pointer (&form) : NULL;
}

static void
say_none (AdhocCall *call)
{
  adhoc_call_note (call, ADHOC_INFO, "There is no such plugin of yours.");
  adhoc_call_done (call, NULL);
}

static void
retire_choose (Market *market, AdhocCall *call, const json_t *rows)
{
  Form *form = make_choice (rows, "Sell a plugin no more", FALSE);
  if (form == NULL)
    {
      say_none (call);
      return;
    }
  form_add_instructions (form, "Open orders go on, and who has it keeps it.");
  adhoc_call_ask (call, form);
}

static void
retire_begin (AdhocCall *call, gpointer data)
{
  adhoc_read (data, call, read_plugins, retire_choose);
}

static void
retired (Market *market, const char *problem, gpointer data)
{
  AdhocCall *call = data;
  if (problem != NULL)
    adhoc_call_note (call, ADHOC_ERROR, "Nothing was changed: %s.", problem);
  else
    adhoc_call_note (call, ADHOC_INFO, "It is sold no more.");
  adhoc_call_done (call, NULL);
}

static void
retire_complete (AdhocCall *call, gpointer data)
{
  offer_retire (data, adhoc_call_get_account (call), adhoc_call_get (call, "plugin"), retired, call);
}

/* pools, pool-import */

static gboolean
read_pools (Market *market, Db *db, const char *member, json_t *rows, GError **error)
{
  return report_pools (db, member, rows, error);
}

static void
show_pools (Market *market, AdhocCall *call, const json_t *rows)
{
  static const AdhocColumn columns[]
      = { { "plugin", "Plugin" },       { "free", "Free" },     { "reserved", "Set aside" },
          { "delivered", "Delivered" }, { "burned", "Burned" }, { NULL } };
  adhoc_show_list (call, "Pools of keys", columns, rows);
}

static void
pools (AdhocCall *call, gpointer data)
{
  adhoc_read (data, call, read_pools, show_pools);
}

static void
import_choose (Market *market, AdhocCall *call, const json_t *rows)
{
  Form *form = make_choice (rows, "Add keys to a pool", TRUE);
  if (form == NULL)
    {
      say_none (call);
      return;
    }
  FormField *field = form_add (form, FORM_LINES, "keys", "Keys, one a line");
  form_field_require (field);
  form_field_set_limit (field, MAX_KEYS_BYTES);
  field = form_add (form, FORM_YES_NO, "dry-run", "Only count, change nothing");
  form_field_add_value (field, "0");
  adhoc_call_ask (call, form);
}

static void
import_begin (AdhocCall *call, gpointer data)
{
  adhoc_read (data, call, read_plugins, import_choose);
}

static void
imported (Market *market, const PoolImport *result, const char *problem, gpointer data)
{
  AdhocCall *call = data;
  if (problem != NULL)
    adhoc_call_note (call, ADHOC_ERROR, "Nothing was imported: %s.", problem);
  else
    adhoc_call_note (call, ADHOC_INFO, "%u keys %s added, %u were known.", result->n_new,
                     adhoc_call_get_bool (call, "dry-run") ? "would be" : "were", result->n_known);
  adhoc_call_done (call, NULL);
}

static void
import_complete (AdhocCall *call, gpointer data)
{
  char *text = adhoc_call_dup_lines (call, "keys");
  g_autoptr (GArray) faults = g_array_new (FALSE, FALSE, sizeof (PoolFault));
  g_autoptr (GPtrArray) keys = pool_parse (text, strlen (text), faults);
  g_autofree char *complaint = offer_describe_faults (faults);
  secret_wipe (text, strlen (text));
  g_free (text);
  if (complaint != NULL)
    {
      adhoc_call_note (call, ADHOC_ERROR, "Nothing was imported: %s.", complaint);
      adhoc_call_ask_again (call);
      return;
    }
  offer_fill (data, adhoc_call_get_account (call), adhoc_call_get (call, "plugin"), g_steal_pointer (&keys),
              adhoc_call_get_bool (call, "dry-run"), imported, call);
}

/* sales */

static gboolean
read_sales (Market *market, Db *db, const char *member, json_t *rows, GError **error)
{
  return report_sales (&market->desk, db, member, rows, error);
}

static void
show_sales (Market *market, AdhocCall *call, const json_t *rows)
{
  static const AdhocColumn columns[]
      = { { "order", "Order" }, { "plugin", "Plugin" },   { "state", "State" }, { "price", "Price" },
          { "user", "User" },   { "created", "Ordered" }, { "item", "Item" },   { NULL } };
  adhoc_show_list (call, "The newest orders", columns, rows);
}

static void
sales (AdhocCall *call, gpointer data)
{
  adhoc_read (data, call, read_sales, show_sales);
}

void
adhoc_vendor_init (Market *market)
{
  static const AdhocCommand commands[] = {
    { "plugins", "Vendor: plugins and their sales", is_allowed, { plugins } },
    { "plugin-add", "Vendor: put a plugin on sale, or replace it", is_allowed, { add_begin, add_complete } },
    { "plugin-retire", "Vendor: sell a plugin no more", is_allowed, { retire_begin, retire_complete } },
    { "pools", "Vendor: pools of keys", is_allowed, { pools } },
    { "pool-import", "Vendor: add keys to a pool", is_allowed, { import_begin, import_complete } },
    { "sales", "Vendor: the newest orders", is_allowed, { sales } },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    adhoc_add (market->server->adhoc, SERVICE_MARKET, &commands[i], market);
}
