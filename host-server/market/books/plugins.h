/* The plugins on sale: manifests as vendors write them (protocol.md section 12), and their rows. */
#pragma once

#include "host-server/market/books/items.h"

#define SOURCE_KEYGEN        "keygen"
#define SOURCE_PLUGIN_SERVER "plugin-server"
#define SOURCE_POOL          "pool"

/* The manifest's group that another room knows (core/applications.h). */
#define FUNCTIONS_GROUP "Functions"

#define POLICY_ON_PAYMENT "on-payment"
#define POLICY_RESERVE    "reserve"

typedef struct
{
  char *id;
  char *vendor;
  char *name;
  char *version;
  char *summary;
  gint64 price_minor; /* 0: free */
  char *currency;
  char *term;    /* "" for ever */
  char *billing; /* a [billing NAME]; "" the first one */
  char *source;
  char *fallback; /* "" none */
  gboolean is_reserve; /* the serial is set aside before the checkout */
  char *module;
  char *base;
  char *package;
  char *functions; /* of a manifest: its FUNCTIONS_GROUP as a key file, "" none; NULL in what was loaded */
  GPtrArray *items; /* of a manifest: of Item; NULL in what was loaded */
  guint n_items;    /* that are on sale inside it */
  gboolean is_retired;
  char *fault; /* NULL: none; no new sales while there is one */
} Plugin;

void plugin_free (Plugin *plugin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Plugin, plugin_free)

/* Reads a manifest; NULL with @error (G_IO_ERROR_INVALID_DATA), which names group and key. Unknown keys are
 * errors. */
Plugin *plugin_parse_manifest (const char *text, gsize length, GError **error);

typedef enum
{
  PLUGIN_STORED,
  PLUGIN_NO_VENDOR,
  PLUGIN_OTHER_VENDOR, /* the id belongs to another vendor */
} PluginOutcome;

/* Adds it or replaces what is on sale under its id: open orders keep their price. */
gboolean plugin_store (Turn *turn, const Plugin *plugin, PluginOutcome *outcome, GError **error);
/* *@is_found is FALSE if there is no such plugin. Open orders go on. */
gboolean plugin_retire (Turn *turn, const char *id, gboolean *is_found, GError **error);
/* A configuration fault of its source: an alarm, and no new sales until it is cleared by a call that works.
 */
gboolean plugin_set_fault (Turn *turn, const char *id, const char *reason, GError **error);
gboolean plugin_clear_fault (Turn *turn, const char *id, GError **error);

/* NULL without @error if there is none. */
Plugin *plugin_load (Db *db, const char *id, GError **error);
/* All of them by id; an array of Plugins, NULL with @error. */
GPtrArray *plugins_load_all (Db *db, GError **error);
