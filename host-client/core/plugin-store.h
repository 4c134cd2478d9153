/* Small values that native plugins keep (host.storage/1): one SQLite file, CONFIG/plugin-store.db, out of the
 * plugins' own reach. Each plugin and account has the `data=` of its descriptor as its quota. */
#pragma once

#include "common/base/db.h"

#define PLUGIN_STORE_MAX_KEY   128
#define PLUGIN_STORE_MAX_VALUE 65536
#define PLUGIN_STORE_MAX_KEYS  256

typedef struct PluginStore PluginStore;

PluginStore *plugin_store_open (const char *path, GError **error);
void plugin_store_free (PluginStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginStore, plugin_store_free)

/* The value of @key; NULL if there is none, or with @error. Caller unrefs. */
GBytes *plugin_store_get (PluginStore *store, const char *jid, const char *plugin, const char *key,
                          GError **error);

typedef enum
{
  PLUGIN_STORE_KEPT,
  PLUGIN_STORE_FULL,   /* the quota of bytes or keys is used up; the old value stays */
  PLUGIN_STORE_BAD,    /* the key or the value is too long, or the key is empty */
  PLUGIN_STORE_FAILED, /* the file: @error is set */
} PluginStoreResult;

/* Keeps @value under @key in place of an older one; NULL: forgets the key. */
PluginStoreResult plugin_store_put (PluginStore *store, const char *jid, const char *plugin, const char *key,
                                    GBytes *value, guint64 quota_bytes, GError **error);
