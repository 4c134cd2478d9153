/* The configuration file (protocol.md section 11): a GKeyFile whose every key stands in one table with its type,
 * default and bounds. An unknown key or a bad value is an error that names file, group and key. */
#pragma once

#include <glib.h>

typedef struct Config Config;

Config *config_load (const char *path, GError **error);
void config_free (Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Config, config_free)

/* Values with their defaults; asking for a key that is not in the table, or with another type, is a
 * programming error. Texts live as long as the Config; NULL where the key has no default and is not set. */
const char *config_get_text (const Config *config, const char *group, const char *key);
gint64 config_get_int (const Config *config, const char *group, const char *key);
/* Whether a key without a default was given. */
gboolean config_is_set (const Config *config, const char *group, const char *key);
gboolean config_get_bool (const Config *config, const char *group, const char *key);
/* Seconds, which may be written as fractions, in microseconds. */
gint64 config_get_seconds_us (const Config *config, const char *group, const char *key);
/* A list of seconds ("0,1,5,30") in microseconds. */
const gint64 *config_get_seconds_list_us (const Config *config, const char *group, const char *key, gsize *n);
/* Bytes, written with K, M or G if wanted. */
gint64 config_get_bytes (const Config *config, const char *group, const char *key);
/* The names X of groups `[kind X]`, in the file's order: `[billing NAME]`. NULL-terminated, lent. */
const char *const *config_get_named_groups (const Config *config, const char *kind);

/* Reads the file again for what SIGHUP may change (certificates, limits); on an error nothing changes. */
gboolean config_reload (Config *config, GError **error);
