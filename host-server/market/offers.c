#include "host-server/market/offers.h"

#include "host-server/core/applications.h"
#include "host-server/market/books/roles.h"
#include "host-server/market/room.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_FAULTS 20 /* lines of a pool file that are complained of by number */

typedef struct
{
  Applications *applications;
  char *member; /* NULL: the operator */
  char *id;
  Plugin *plugin;
  GPtrArray *keys;
  gboolean is_dry_run;
  PoolImport imported;
  char *problem;
  OfferPut put;
  OfferRetired retired;
  OfferFilled filled;
  gpointer data;
} Change;

static Change *
change_new (const char *member, const char *id, gpointer data)
{
  Change *change = g_new0 (Change, 1);
  change->member = g_strdup (member);
  change->id = g_strdup (id);
  change->data = data;
  return change;
}

/* Hands over how it went, and is done with it. */
static void
finish (Market *market, Change *change, const GError *error)
{
  const char *problem = error != NULL ? error->message : change->problem;
  if (change->put != NULL)
    change->put (market, change->plugin, problem, change->data);
  else if (change->retired != NULL)
    change->retired (market, problem, change->data);
  else
    change->filled (market, &change->imported, problem, change->data);
  plugin_free (change->plugin);
  if (change->keys != NULL)
    g_ptr_array_unref (change->keys);
  g_free (change->member);
  g_free (change->id);
  g_free (change->problem);
  g_free (change);
}

static void
changed (Market *market, gpointer data, const GError *error)
{
  g_clear_pointer (&market->catalog, g_ptr_array_unref);
  Change *change = data;
  if (error == NULL)
    applications_changed (market->server->applications, change->id);
  finish (market, change, error);
}

/* Says why not. TRUE: that is no fault. */
static gboolean
refuse (Change *change, const char *problem)
{
  g_free (change->problem);
  change->problem = g_strdup (problem);
  return TRUE;
}

/* Putting on sale. */

/* A host that is inside the operator's network, as far as its name tells. */
static gboolean
is_inside (const char *base)
{
  g_autoptr (GUri) uri = g_uri_parse (base, G_URI_FLAGS_NONE, NULL);
  const char *host = uri != NULL ? g_uri_get_host (uri) : NULL;
  if (host == NULL || g_ascii_strcasecmp (host, "localhost") == 0 || strchr (host, '.') == NULL)
    return TRUE;
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (host);
  return address != NULL
         && (g_inet_address_get_is_loopback (address) || g_inet_address_get_is_site_local (address)
             || g_inet_address_get_is_link_local (address) || g_inet_address_get_is_any (address));
}

static gboolean
count (Turn *turn, const char *sql, const char *vendor, const char *value, gint64 *n, GError **error)
{
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (turn->db, sql, "ss", vendor, value);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  *n = db_get_int (query, 0);
  return TRUE;
}

/* What a member may not bring along by itself; NULL with TRUE if nothing. */
static gboolean
find_problem (Turn *turn, const Plugin *plugin, const char **problem, GError **error)
{
  gint64 n_modules, n_bases, n_others;
  if (!count (turn, "SELECT COUNT (*) FROM plugin WHERE vendor = ? AND module = ?", plugin->vendor,
              plugin->module, &n_modules, error)
      || !count (turn, "SELECT COUNT (*) FROM plugin WHERE vendor = ? AND base = ?", plugin->vendor,
                 plugin->base, &n_bases, error)
      || !count (turn, "SELECT COUNT (*) FROM plugin WHERE vendor = ? AND id <> ?", plugin->vendor,
                 plugin->id, &n_others, error))
    return FALSE;
  *problem = NULL;
  if (plugin->module[0] != '\0' && n_modules == 0)
    *problem = "[Serial] module: a keygen that is new here is the operator's to set up";
  else if (plugin->base[0] != '\0' && n_bases == 0 && is_inside (plugin->base))
    *problem = "[PluginServer] base: a server inside the operator's network is the operator's to set up";
  else if (n_others >= OFFER_MAX_PLUGINS)
    *problem = "the vendor has too many plugins";
  return TRUE;
}

static gboolean
put_work (Turn *turn, gpointer data, GError **error)
{
  Change *change = data;
  const Plugin *plugin = change->plugin;
  PluginOutcome outcome;
  g_clear_pointer (&change->problem, g_free);
  if (!role_may_act_for (turn->db, change->member, plugin->vendor))
    return refuse (change, "you do not act for its vendor");
  if (change->member != NULL && !role_is_administrator (turn->db, change->member))
    {
      const char *problem;
      if (!find_problem (turn, plugin, &problem, error))
        return FALSE;
      if (problem != NULL)
        return refuse (change, problem);
    }
  if (!plugin_store (turn, plugin, &outcome, error))
    return FALSE;
  if (outcome == PLUGIN_NO_VENDOR)
    {
      g_autofree char *text = g_strdup_printf ("there is no vendor '%s'; `vendor add %s` first",
                                               plugin->vendor, plugin->vendor);
      return refuse (change, text);
    }
  if (outcome == PLUGIN_OTHER_VENDOR)
    return refuse (change, "the id belongs to another vendor");
  ApplicationManifest manifest
      = { .application = plugin->id,
          .vendor = plugin->vendor,
          .text = plugin->functions,
          .is_operator = change->member == NULL || role_is_administrator (turn->db, change->member),
          .now_us = turn->now_us };
  const char *functions_problem;
  if (!applications_store (change->applications, turn->db, &manifest, &functions_problem, error))
    return FALSE;
  if (functions_problem != NULL)
    {
      /* As a fault: what plugin_store() wrote is undone with it. */
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, functions_problem);
      return FALSE;
    }
  if (change->member != NULL)
    turn_log (turn, LOG_LEVEL_INFO, "plugin put on sale by a member account=%s plugin=%s", change->member,
              plugin->id);
  return TRUE;
}

/* Somebody is to be paid for it, or inside it. */
static gboolean
has_price (const Plugin *plugin)
{
  gint64 price_minor = plugin->price_minor;
  for (guint i = 0; i < plugin->items->len; i++)
    price_minor = MAX (price_minor, ((const Item *)g_ptr_array_index (plugin->items, i))->price_minor);
  return price_minor > 0;
}

void
offer_put (Market *market, const char *member, Plugin *take_plugin, OfferPut done, gpointer data)
{
  Change *change = change_new (member, take_plugin->id, data);
  g_autoptr (GError) problem = NULL;
  change->applications = market->server->applications;
  change->plugin = take_plugin;
  change->put = done;
  if (!applications_check (change->applications, take_plugin->functions, take_plugin->n_items > 0, &problem))
    {
      finish (market, change, problem);
      return;
    }
  if (has_price (take_plugin) && desk_find_provider (&market->desk, take_plugin->billing) == NULL)
    {
      change->problem = g_strdup_printf ("there is no [billing %s] in the configuration",
                                         take_plugin->billing[0] != '\0' ? take_plugin->billing : "NAME");
      finish (market, change, NULL);
      return;
    }
  market_write (market, put_work, changed, change);
}

/* Retiring and filling. */

/* Whether there is the plugin, and it is the member's to change; else says why not. */
static gboolean
find_own (Turn *turn, Change *change, gboolean *is_own, GError **error)
{
  GError *local = NULL;
  g_clear_pointer (&change->problem, g_free);
  g_autoptr (Plugin) plugin = plugin_load (turn->db, change->id, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  *is_own = plugin != NULL && role_may_act_for (turn->db, change->member, plugin->vendor);
  if (!*is_own)
    change->problem = g_strdup_printf ("there is no plugin '%s'", change->id);
  return TRUE;
}

static gboolean
retire_work (Turn *turn, gpointer data, GError **error)
{
  Change *change = data;
  gboolean is_own, is_found;
  if (!find_own (turn, change, &is_own, error))
    return FALSE;
  if (!is_own)
    return TRUE;
  turn_log (turn, LOG_LEVEL_INFO, "plugin retired plugin=%s by=%s", change->id,
            change->member != NULL ? change->member : "operator");
  return plugin_retire (turn, change->id, &is_found, error);
}

void
offer_retire (Market *market, const char *member, const char *plugin, OfferRetired done, gpointer data)
{
  Change *change = change_new (member, plugin, data);
  change->retired = done;
  market_write (market, retire_work, changed, change);
}

static gboolean
fill_work (Turn *turn, gpointer data, GError **error)
{
  Change *change = data;
  gboolean is_own;
  if (!find_own (turn, change, &is_own, error))
    return FALSE;
  if (!is_own)
    return TRUE;
  if (!change->is_dry_run)
    turn_log (turn, LOG_LEVEL_INFO, "pool import plugin=%s by=%s", change->id,
              change->member != NULL ? change->member : "operator");
  return pool_import (turn, change->id, change->keys, change->is_dry_run, &change->imported, error);
}

void
offer_fill (Market *market, const char *member, const char *plugin, GPtrArray *take_keys, gboolean is_dry_run,
            OfferFilled done, gpointer data)
{
  Change *change = change_new (member, plugin, data);
  change->keys = take_keys;
  change->is_dry_run = is_dry_run;
  change->filled = done;
  market_write (market, fill_work, changed, change);
}

char *
offer_describe_faults (const GArray *faults)
{
  if (faults->len == 0)
    return NULL;
  GString *lines = g_string_new (NULL);
  for (guint i = 0; i < faults->len && i < MAX_FAULTS; i++)
    {
      const PoolFault *fault = &g_array_index (faults, PoolFault, i);
      g_string_append_printf (lines, "%sline %u: %s", i > 0 ? "; " : "", fault->line, fault->reason);
    }
  if (faults->len > MAX_FAULTS)
    g_string_append_printf (lines, "; and %u more", faults->len - MAX_FAULTS);
  return g_string_free (lines, FALSE);
}
