#include "host-server/core/config.h"

#include "host-server/core/config-keys.h"
#include "host-server/wire/address.h"
#include "host-server/wire/jid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* A value that was read, or the default of its key. */
typedef struct
{
  const Key *key;
  char *group; /* as it stands in the file: "billing stub" */
  char *text;  /* NULL: not set, and no default */
  gint64 number;
  gint64 *list;
  gsize n_list;
} Value;

struct Config
{
  char *path;
  GPtrArray *values;  /* of Value */
  GPtrArray *retired; /* of Value: texts handed out stay valid over a reload */
  GHashTable *names;  /* kind -> GStrv */
};

static G_DEFINE_QUARK (stoa - config - error, config_error)

    static void value_free (gpointer data)
{
  Value *value = data;
  g_free (value->group);
  g_free (value->text);
  g_free (value->list);
  g_free (value);
}

static gboolean fail (GError **error, const char *path, const char *group, const char *key,
                      const char *format, ...) G_GNUC_PRINTF (5, 6);

static gboolean
fail (GError **error, const char *path, const char *group, const char *key, const char *format, ...)
{
  va_list list;
  va_start (list, format);
  g_autofree char *reason = g_strdup_vprintf (format, list);
  va_end (list);
  g_set_error (error, config_error_quark (), 0, "%s: [%s] %s: %s", path, group, key, reason);
  return FALSE;
}

/* "kind" of "[kind NAME]", or the group itself. The caller frees it. */
static char *
dup_kind (const char *group)
{
  const char *space = strchr (group, ' ');
  return space != NULL ? g_strndup (group, (gsize)(space - group)) : g_strdup (group);
}

static gboolean
is_named_kind (const char *kind)
{
  return g_strv_contains (named_kinds, kind);
}

static const Key *
find_key (const char *group, const char *name)
{
  g_autofree char *kind = dup_kind (group);
  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_str_equal (keys[i].group, kind) && (name == NULL || g_str_equal (keys[i].key, name)))
      return &keys[i];
  return NULL;
}

static gboolean
parse_seconds (const char *text, const Key *key, gint64 *us, char **reason)
{
  char *end = NULL;
  errno = 0;
  double seconds = g_ascii_isdigit (text[0]) ? g_ascii_strtod (text, &end) : 0;
  if (end == NULL || *end != '\0' || errno != 0 || !isfinite (seconds) || strpbrk (text, "xXeE") != NULL)
    {
      *reason = g_strdup_printf ("'%s' is not a number of seconds", text);
      return FALSE;
    }
  if (seconds < (double)key->min || seconds > (double)key->max)
    {
      *reason = g_strdup_printf ("%s is not within %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, text, key->min,
                                 key->max);
      return FALSE;
    }
  *us = (gint64)(seconds * G_USEC_PER_SEC + 0.5);
  return TRUE;
}

static gboolean
parse_number (const char *text, const Key *key, gint64 *number, char **reason)
{
  char *end = NULL;
  gint64 unit = 1;

  errno = 0;
  gint64 value = g_ascii_isdigit (text[0]) ? g_ascii_strtoll (text, &end, 10) : 0;
  if (end != NULL && key->type == KEY_BYTES && *end != '\0')
    {
      static const char units[] = "KMG";
      const char *unit_at = strchr (units, g_ascii_toupper (*end));
      if (unit_at != NULL)
        {
          unit = G_GINT64_CONSTANT (1) << (10 * (unit_at - units + 1));
          end++;
        }
    }
  if (end == NULL || *end != '\0' || errno != 0)
    {
      *reason = g_strdup_printf ("'%s' is not a number%s", text, key->type == KEY_BYTES ? " of bytes" : "");
      return FALSE;
    }
  if (value > key->max / unit || value * unit < key->min)
    {
      *reason = g_strdup_printf ("%s is not within %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, text, key->min,
                                 key->max);
      return FALSE;
    }
  *number = value * unit;
  return TRUE;
}

static gboolean
check_url (const char *text, char **reason)
{
  g_autoptr (GUri) uri = g_uri_parse (text, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL || g_uri_get_host (uri) == NULL || g_uri_get_host (uri)[0] == '\0'
      || g_uri_get_userinfo (uri) != NULL || g_uri_get_query (uri) != NULL
      || g_uri_get_fragment (uri) != NULL)
    {
      *reason = g_strdup ("not a URL of scheme, host and path");
      return FALSE;
    }
  if (g_str_equal (g_uri_get_scheme (uri), "https"))
    return TRUE;
  g_autofree char *address
      = g_strdup_printf (strchr (g_uri_get_host (uri), ':') ? "[%s]:0" : "%s:0", g_uri_get_host (uri));
  if (g_str_equal (g_uri_get_scheme (uri), "http") && address_is_loopback (address))
    return TRUE;
  *reason = g_strdup ("must be https (http only on a loopback address)");
  return FALSE;
}

/* Checks @value->text against its key and fills in what was parsed. */
static gboolean
value_parse (Value *value, char **reason)
{
  const Key *key = value->key;
  switch (key->type)
    {
    case KEY_TEXT:
      if (value->text[0] != '\0')
        return TRUE;
      *reason = g_strdup ("is empty");
      return FALSE;
    case KEY_DOMAIN:
      {
        g_autoptr (Jid) jid = jid_new (value->text, strlen (value->text));
        if (jid == NULL || jid_get_local (jid) != NULL || jid_get_resource (jid) != NULL)
          {
            *reason = g_strdup_printf ("'%s' is not a domain", value->text);
            return FALSE;
          }
        g_free (value->text);
        value->text = g_strdup (jid_get_full (jid));
        return TRUE;
      }
    case KEY_ADDRESS:
      {
        g_autofree char *host = NULL;
        guint16 port;
        if (address_split (value->text, &host, &port))
          return TRUE;
        *reason = g_strdup_printf ("'%s' is not host:port", value->text);
        return FALSE;
      }
    case KEY_URL:
      return check_url (value->text, reason);
    case KEY_CHOICE:
      {
        g_auto (GStrv) words = g_strsplit (key->values, " ", -1);
        if (g_strv_contains ((const char *const *)words, value->text))
          return TRUE;
        g_autofree char *list = g_strjoinv (", ", words);
        *reason = g_strdup_printf ("'%s' is none of: %s", value->text, list);
        return FALSE;
      }
    case KEY_BOOL:
      value->number = g_str_equal (value->text, "true");
      if (value->number || g_str_equal (value->text, "false"))
        return TRUE;
      *reason = g_strdup_printf ("'%s' is neither true nor false", value->text);
      return FALSE;
    case KEY_INT:
    case KEY_BYTES:
      return parse_number (value->text, key, &value->number, reason);
    case KEY_SECONDS:
      return parse_seconds (value->text, key, &value->number, reason);
    case KEY_SECONDS_LIST:
      {
        g_auto (GStrv) parts = g_strsplit (value->text, ",", -1);
        value->n_list = g_strv_length (parts);
        value->list = g_new (gint64, value->n_list + 1);
        for (gsize i = 0; i < value->n_list; i++)
          if (!parse_seconds (g_strstrip (parts[i]), key, &value->list[i], reason))
            return FALSE;
        if (value->n_list > 0)
          return TRUE;
        *reason = g_strdup ("is empty");
        return FALSE;
      }
    }
  g_assert_not_reached ();
}

static Value *
find_value (GPtrArray *values, const char *group, const char *key)
{
  for (guint i = 0; i < values->len; i++)
    {
      Value *value = values->pdata[i];
      if (g_str_equal (value->group, group) && g_str_equal (value->key->key, key))
        return value;
    }
  return NULL;
}

/* Adds the value of @key in @group: @text (taken), or the default if that is NULL. */
static gboolean
add_value (GPtrArray *values, const char *path, const char *group, const Key *key, char *take_text,
           GError **error)
{
  g_autofree char *reason = NULL;
  Value *value = g_new0 (Value, 1);
  value->key = key;
  value->group = g_strdup (group);
  value->text = take_text != NULL ? take_text : g_strdup (key->fallback);
  g_ptr_array_add (values, value);
  if (value->text == NULL)
    return !(key->flags & KEY_REQUIRED) || fail (error, path, group, key->key, "is missing");
  if (!value_parse (value, &reason))
    return fail (error, path, group, key->key, "%s", key->flags & KEY_SECRET ? "not a usable value" : reason);
  return TRUE;
}

static gboolean
read_group (GKeyFile *file, const char *path, const char *group, GPtrArray *values, GError **error)
{
  g_auto (GStrv) names = g_key_file_get_keys (file, group, NULL, NULL);
  if (find_key (group, NULL) == NULL)
    return fail (error, path, group, names != NULL && names[0] != NULL ? names[0] : "", "unknown group");
  for (char **name = names; *name != NULL; name++)
    {
      const Key *key = find_key (group, *name);
      if (key == NULL)
        return fail (error, path, group, *name, "unknown key");
      g_autoptr (GError) bad = NULL;
      char *text = g_key_file_get_string (file, group, *name, &bad);
      if (text == NULL)
        return fail (error, path, group, *name, "%s",
                     key->flags & KEY_SECRET ? "not valid text" : bad->message);
      if (!add_value (values, path, group, key, g_strchomp (text), error))
        return FALSE;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      g_autofree char *kind = dup_kind (group);
      if (g_str_equal (keys[i].group, kind) && find_value (values, group, keys[i].key) == NULL
          && !add_value (values, path, group, &keys[i], NULL, error))
        return FALSE;
    }
  return TRUE;
}

/* Rules between keys. */
static gboolean
check_together (GPtrArray *values, const char *path, GError **error)
{
  const char *listen = find_value (values, "xmpp", "listen")->text;
  const char *direct = find_value (values, "xmpp", "direct_tls_listen")->text;
  const char *tls = find_value (values, "xmpp", "tls")->text;
  const char *http = find_value (values, "http", "listen")->text;
  const char *url = find_value (values, "store", "url")->text;
  static const char *const tls_groups[] = { "xmpp", "http" };

  for (gsize i = 0; i < G_N_ELEMENTS (tls_groups); i++)
    {
      gboolean has_certificate = find_value (values, tls_groups[i], "certificate")->text != NULL;
      gboolean has_key = find_value (values, tls_groups[i], "private_key")->text != NULL;
      if (has_certificate != has_key)
        return fail (error, path, tls_groups[i], has_key ? "certificate" : "private_key", "is missing");
    }
  if (g_str_equal (tls, "optional")
      && (!address_is_loopback (listen) || (direct != NULL && !address_is_loopback (direct))))
    return fail (error, path, "xmpp", "tls", "'optional' needs every listener on a loopback address");
  if (find_value (values, "xmpp", "certificate")->text == NULL
      && (g_str_equal (tls, "required") || direct != NULL))
    return fail (error, path, "xmpp", "certificate", "is missing");
  if (http != NULL && find_value (values, "http", "certificate")->text == NULL && !address_is_loopback (http))
    return fail (error, path, "http", "certificate",
                 "is missing (plain http is for loopback addresses only)");
  if (url != NULL && !g_str_has_prefix (url, "sqlite:"))
    return fail (error, path, "store", "url", "'%s' is not sqlite:FOLDER", url);
  return TRUE;
}

static GPtrArray *
read_values (const char *path, GHashTable *names, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GPtrArray) values = g_ptr_array_new_with_free_func (value_free);

  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, error))
    {
      g_prefix_error (error, "%s: ", path);
      return NULL;
    }
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  for (char **group = groups; *group != NULL; group++)
    {
      g_autofree char *kind = dup_kind (*group);
      gboolean has_name = strlen (kind) + 1 < strlen (*group);
      if (is_named_kind (kind) != has_name)
        {
          fail (error, path, *group, "", "unknown group");
          return NULL;
        }
      if (!read_group (file, path, *group, values, error))
        return NULL;
      if (has_name)
        {
          GPtrArray *list = g_hash_table_lookup (names, kind);
          g_ptr_array_insert (list, (int)list->len - 1, g_strdup (*group + strlen (kind) + 1));
        }
    }
  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    if (!is_named_kind (keys[i].group) && find_value (values, keys[i].group, keys[i].key) == NULL
        && !add_value (values, path, keys[i].group, &keys[i], NULL, error))
      return NULL;
  if (!check_together (values, path, error))
    return NULL;
  return g_steal_pointer (&values);
}

static GHashTable *
names_new (void)
{
  GHashTable *names
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
  for (const char *const *kind = named_kinds; *kind != NULL; kind++)
    {
      GPtrArray *list = g_ptr_array_new_with_free_func (g_free);
      g_ptr_array_add (list, NULL);
      g_hash_table_insert (names, (gpointer)*kind, list);
    }
  return names;
}

Config *
config_load (const char *path, GError **error)
{
  g_autoptr (GHashTable) names = names_new ();
  GPtrArray *values = read_values (path, names, error);
  if (values == NULL)
    return NULL;
  Config *config = g_new0 (Config, 1);
  config->path = g_strdup (path);
  config->values = values;
  config->retired = g_ptr_array_new_with_free_func (value_free);
  config->names = g_steal_pointer (&names);
  return config;
}

void
config_free (Config *config)
{
  if (config == NULL)
    return;
  g_free (config->path);
  g_ptr_array_unref (config->values);
  g_ptr_array_unref (config->retired);
  g_hash_table_unref (config->names);
  g_free (config);
}

gboolean
config_reload (Config *config, GError **error)
{
  g_autoptr (GHashTable) names = names_new ();
  g_autoptr (GPtrArray) values = read_values (config->path, names, error);
  if (values == NULL)
    return FALSE;
  for (guint i = 0; i < config->values->len; i++)
    {
      Value *old = config->values->pdata[i];
      Value *new = find_value (values, old->group, old->key->key);
      if (!(old->key->flags & KEY_RELOADS) || new == NULL || g_strcmp0 (old->text, new->text) == 0)
        continue;
      g_ptr_array_set_free_func (values, NULL);
      g_ptr_array_remove_fast (values, new);
      g_ptr_array_set_free_func (values, value_free);
      config->values->pdata[i] = new;
      g_ptr_array_add (config->retired, old);
    }
  return TRUE;
}

static const Value *
get_value (const Config *config, const char *group, const char *key)
{
  const Value *value = find_value (config->values, group, key);
  if (value == NULL)
    g_error ("the configuration has no key [%s] %s", group, key);
  return value;
}

const char *
config_get_text (const Config *config, const char *group, const char *key)
{
  const Value *value = get_value (config, group, key);
  g_assert (value->key->type <= KEY_CHOICE);
  return value->text;
}

gint64
config_get_int (const Config *config, const char *group, const char *key)
{
  const Value *value = get_value (config, group, key);
  g_assert (value->key->type == KEY_INT);
  return value->number;
}

gboolean
config_is_set (const Config *config, const char *group, const char *key)
{
  return get_value (config, group, key)->text != NULL;
}

gboolean
config_get_bool (const Config *config, const char *group, const char *key)
{
  const Value *value = get_value (config, group, key);
  g_assert (value->key->type == KEY_BOOL);
  return value->number != 0;
}

gint64
config_get_seconds_us (const Config *config, const char *group, const char *key)
{
  const Value *value = get_value (config, group, key);
  g_assert (value->key->type == KEY_SECONDS);
  return value->number;
}

const gint64 *
config_get_seconds_list_us (const Config *config, const char *group, const char *key, gsize *n)
{
  const Value *value = get_value (config, group, key);
  g_assert (value->key->type == KEY_SECONDS_LIST);
  *n = value->n_list;
  return value->list;
}

gint64
config_get_bytes (const Config *config, const char *group, const char *key)
{
  const Value *value = get_value (config, group, key);
  g_assert (value->key->type == KEY_BYTES);
  return value->number;
}

const char *const *
config_get_named_groups (const Config *config, const char *kind)
{
  GPtrArray *list = g_hash_table_lookup (config->names, kind);
  g_assert (list != NULL);
  return (const char *const *)list->pdata;
}
