#include "host-client/core/plugin-agreement.h"

#include <string.h>

#define AGREED     "Agreed"
#define VERIFIED   "Verified"
#define ALLOWED    "Allowed"
#define JUDGES     "Judges a serial" /* hash → boolean */
#define MAX_PEERS  64
#define MAX_JUDGED 4

static char *
dup_path (const char *folder, const char *id)
{
  return g_build_filename (folder, id, "agreed", NULL);
}

/* Empty if there is no file, or none that can be read: then nothing was agreed. */
static GKeyFile *
read_file (const char *folder, const char *id)
{
  g_autofree char *path = dup_path (folder, id);
  GKeyFile *file = g_key_file_new ();
  (void)g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL);
  return file;
}

static gboolean
write_file (GKeyFile *file, const char *folder, const char *id, GError **error)
{
  g_autofree char *path = dup_path (folder, id);
  g_autoptr (GError) failure = NULL;
  gsize length;
  g_autofree char *text = g_key_file_to_data (file, &length, NULL);
  if (g_file_set_contents_full (path, text, (gssize)length,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, &failure))
    return TRUE;
  g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, failure->message);
  return FALSE;
}

/* ---- what is asked for ---- */

static gboolean
is_in (GKeyFile *agreed, const char *key, const char *item)
{
  g_auto (GStrv) list = g_key_file_get_string_list (agreed, AGREED, key, NULL, NULL);
  return list != NULL && g_strv_contains ((const char *const *)list, item);
}

static char *
describe_bytes (guint64 bytes)
{
  const guint64 kib = 1024, mib = 1024 * kib;
  if (bytes >= mib && bytes % mib == 0)
    return g_strdup_printf ("%" G_GUINT64_FORMAT " MiB", bytes / mib);
  if (bytes % kib == 0)
    return g_strdup_printf ("%" G_GUINT64_FORMAT " KiB", bytes / kib);
  return g_strdup_printf ("%" G_GUINT64_FORMAT " bytes", bytes);
}

/* Adds a line for each thing that @info asks for and @agreed (of which nothing may be there) does not have.
 */
static char **
list_beyond (GKeyFile *agreed, const PluginInfo *info)
{
  g_autoptr (GStrvBuilder) lines = g_strv_builder_new ();
  for (char **one = info->connect; *one != NULL; one++)
    if (!is_in (agreed, "connect", *one))
      {
        g_autofree char *line = g_strdup_printf ("connect to %s", *one);
        g_strv_builder_add (lines, line);
      }
  for (char **one = info->read_paths; *one != NULL; one++)
    if (!is_in (agreed, "read", *one))
      {
        g_autofree char *line = g_strdup_printf ("read %s", *one);
        g_strv_builder_add (lines, line);
      }
  if (info->data_bytes > g_key_file_get_uint64 (agreed, AGREED, "data", NULL))
    {
      g_autofree char *size = describe_bytes (info->data_bytes);
      g_autofree char *line = g_strdup_printf ("keep up to %s of its own data", size);
      g_strv_builder_add (lines, line);
    }
  if (info->has_threads && !g_key_file_get_boolean (agreed, AGREED, "threads", NULL))
    g_strv_builder_add (lines, "run up to 16 threads");
  if (info->sees_identity && !g_key_file_get_boolean (agreed, AGREED, "identity", NULL))
    g_strv_builder_add (lines, "learn your address, not only a name made up for its vendor");
  gint messages = g_key_file_get_integer (agreed, AGREED, "messages", NULL);
  if (info->messages >= PLUGIN_MESSAGES_SEE && messages < PLUGIN_MESSAGES_SEE)
    g_strv_builder_add (lines, "see every message that you receive and send while it runs");
  if (info->messages >= PLUGIN_MESSAGES_SEND && messages < PLUGIN_MESSAGES_SEND)
    g_strv_builder_add (lines,
                        "write messages in your name, in the chat that is open and to those you allow it");
  if (info->calls_functions && !g_key_file_get_boolean (agreed, AGREED, "functions", NULL))
    g_strv_builder_add (lines, "send what you give it to its vendor's functions on your server");
  if (info->asks_purchases && !g_key_file_get_boolean (agreed, AGREED, "purchases", NULL))
    g_strv_builder_add (lines, "have you asked whether to buy something inside it");
  return g_strv_builder_end (lines);
}

char **
plugin_info_describe (const PluginInfo *info)
{
  g_autoptr (GKeyFile) nothing = g_key_file_new ();
  return list_beyond (nothing, info);
}

char **
plugin_agreement_find_missing (const char *folder, const PluginInfo *info)
{
  g_autoptr (GKeyFile) agreed = read_file (folder, info->id);
  return list_beyond (agreed, info);
}

/* Of a copy that is not known the note of the last one counts, which is all that older files have. */
static gboolean
needs_serial_of (GKeyFile *file, const char *hash)
{
  return hash != NULL && g_key_file_has_key (file, JUDGES, hash, NULL)
             ? g_key_file_get_boolean (file, JUDGES, hash, NULL)
             : g_key_file_get_boolean (file, VERIFIED, "needs-serial", NULL);
}

/* The last ones are known: the copy in use, the one before it, and what an installation left that was broken
 * off. */
static void
note_serial (GKeyFile *file, const char *hash, gboolean needs_serial)
{
  g_autofree char *before = g_key_file_get_string (file, VERIFIED, "hash", NULL);
  if (before != NULL && before[0] != '\0' && !g_key_file_has_key (file, JUDGES, before, NULL))
    g_key_file_set_boolean (file, JUDGES, before, needs_serial_of (file, before));
  (void)g_key_file_remove_key (file, JUDGES, hash, NULL); /* it becomes the last */
  g_key_file_set_boolean (file, JUDGES, hash, needs_serial);
  gsize n;
  g_auto (GStrv) hashes = g_key_file_get_keys (file, JUDGES, &n, NULL);
  for (gsize i = 0; i + MAX_JUDGED < n; i++)
    (void)g_key_file_remove_key (file, JUDGES, hashes[i], NULL);
}

gboolean
plugin_agreement_keep (const char *folder, const PluginInfo *info, gboolean needs_serial, GError **error)
{
  g_autoptr (GKeyFile) file = read_file (folder, info->id);
  (void)g_key_file_remove_group (file, AGREED, NULL);
  g_key_file_set_string_list (file, AGREED, "connect", (const char *const *)info->connect,
                              g_strv_length (info->connect));
  g_key_file_set_string_list (file, AGREED, "read", (const char *const *)info->read_paths,
                              g_strv_length (info->read_paths));
  g_key_file_set_uint64 (file, AGREED, "data", info->data_bytes);
  g_key_file_set_boolean (file, AGREED, "threads", info->has_threads);
  g_key_file_set_boolean (file, AGREED, "identity", info->sees_identity);
  g_key_file_set_integer (file, AGREED, "messages", (gint)info->messages);
  g_key_file_set_boolean (file, AGREED, "functions", info->calls_functions);
  g_key_file_set_boolean (file, AGREED, "purchases", info->asks_purchases);
  note_serial (file, info->hash, needs_serial);
  g_key_file_set_string (file, VERIFIED, "hash", info->hash);
  g_key_file_set_boolean (file, VERIFIED, "needs-serial", needs_serial);
  return write_file (file, folder, info->id, error);
}

gboolean
plugin_agreement_is_verified (const char *folder, const PluginInfo *info)
{
  g_autoptr (GKeyFile) file = read_file (folder, info->id);
  g_autofree char *hash = g_key_file_get_string (file, VERIFIED, "hash", NULL);
  return g_strcmp0 (hash, info->hash) == 0;
}

gboolean
plugin_agreement_needs_serial (const char *folder, const char *id, const char *hash)
{
  g_autoptr (GKeyFile) file = read_file (folder, id);
  g_autofree char *verified = hash == NULL ? g_key_file_get_string (file, VERIFIED, "hash", NULL) : NULL;
  return needs_serial_of (file, hash != NULL ? hash : verified);
}

/* ---- to whom it may write ---- */

char **
plugin_agreement_list_peers (const char *folder, const char *id, const char *account)
{
  g_autofree char *key = g_uri_escape_string (account, "@", FALSE);
  g_autoptr (GKeyFile) file = read_file (folder, id);
  char **peers = g_key_file_get_string_list (file, ALLOWED, key, NULL, NULL);
  return peers != NULL ? peers : g_new0 (char *, 1);
}

gboolean
plugin_agreement_allow (const char *folder, const char *id, const char *account, const char *peer,
                        gboolean is_allowed, GError **error)
{
  g_autofree char *key = g_uri_escape_string (account, "@", FALSE);
  g_autoptr (GKeyFile) file = read_file (folder, id);
  g_auto (GStrv) old = plugin_agreement_list_peers (folder, id, account);
  g_autoptr (GPtrArray) peers = g_ptr_array_new ();
  for (char **one = old; *one != NULL; one++)
    if (strcmp (*one, peer) != 0)
      g_ptr_array_add (peers, *one);
  if (is_allowed)
    g_ptr_array_add (peers, (gpointer)peer);
  if (peers->len > MAX_PEERS)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "a plugin may write to at most %d addresses",
                   MAX_PEERS);
      return FALSE;
    }
  g_key_file_set_string_list (file, ALLOWED, key, (const char *const *)peers->pdata, peers->len);
  return write_file (file, folder, id, error);
}
