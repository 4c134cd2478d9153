#include "host-client/core/folder.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

G_DEFINE_QUARK (folder - error, folder_error)

struct Folder
{
  char *path;
};

/* Each step is final once released: later versions append. Times are microseconds since 1970.
 * direction: 0 received, 1 sent. */
static const char *const schema[] = {
  "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
  "CREATE TABLE messages (id INTEGER PRIMARY KEY, peer TEXT NOT NULL, direction INTEGER NOT NULL,"
  "  origin TEXT, body TEXT NOT NULL, stamp_us INTEGER NOT NULL, stored_us INTEGER NOT NULL);"
  "CREATE INDEX messages_by_peer ON messages (peer, id);"
  "CREATE UNIQUE INDEX messages_by_origin ON messages (peer, direction, origin) WHERE origin IS NOT NULL;"
  /* seq is never used twice: what is behind the last one sent is what was not sent. */
  "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,"
  "  peer TEXT NOT NULL, body TEXT NOT NULL, created_us INTEGER NOT NULL);"
  "CREATE TABLE roster (jid TEXT PRIMARY KEY, name TEXT NOT NULL, subscription TEXT NOT NULL,"
  "  is_asked INTEGER NOT NULL, groups TEXT NOT NULL);"
  "CREATE TABLE serials (plugin TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL,"
  "  user TEXT NOT NULL, expires_us INTEGER NOT NULL, epoch INTEGER NOT NULL, serial BLOB);"
  "CREATE TABLE purchases (plugin TEXT PRIMARY KEY, request TEXT NOT NULL, order_id TEXT,"
  "  created_us INTEGER NOT NULL);",
  /* item: bought inside the plugin; '': the plugin itself. */
  "CREATE TABLE open_purchases (plugin TEXT NOT NULL, item TEXT NOT NULL, request TEXT NOT NULL,"
  "  created_us INTEGER NOT NULL, PRIMARY KEY (plugin, item));"
  "INSERT INTO open_purchases SELECT plugin, '', request, created_us FROM purchases;"
  "DROP TABLE purchases;",
};

static gboolean
make_folder (const char *path, GError **error)
{
  if (g_mkdir_with_parents (path, 0700) == 0)
    return TRUE;
  g_set_error (error, FOLDER_ERROR, FOLDER_ERROR_FAILED, "cannot make the folder '%s': %s", path,
               g_strerror (errno));
  return FALSE;
}

Folder *
folder_open (const char *path, GError **error)
{
  g_autofree char *full = path != NULL ? g_canonicalize_filename (path, NULL)
                                       : g_build_filename (g_get_user_config_dir (), "stoa", NULL);
  if (!make_folder (full, error))
    return NULL;
  Folder *folder = g_new0 (Folder, 1);
  folder->path = g_steal_pointer (&full);
  return folder;
}

void
folder_free (Folder *folder)
{
  if (folder == NULL)
    return;
  g_free (folder->path);
  g_free (folder);
}

const char *
folder_peek_path (const Folder *folder)
{
  return folder->path;
}

static GKeyFile *
read_pins (const Folder *folder, const char *path, GError **error)
{
  g_autoptr (GKeyFile) pins = g_key_file_new ();
  g_autoptr (GError) failure = NULL;
  if (!g_key_file_load_from_file (pins, path, G_KEY_FILE_KEEP_COMMENTS, &failure)
      && !g_error_matches (failure, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    {
      g_set_error (error, FOLDER_ERROR, FOLDER_ERROR_FAILED, "cannot read '%s': %s", path, failure->message);
      return NULL;
    }
  return g_steal_pointer (&pins);
}

/* A group for each domain: its name may hold anything but brackets, which no domain does. */
static gboolean
is_pinnable (const char *domain)
{
  return domain[0] != '\0' && strpbrk (domain, "[]\r\n") == NULL;
}

char *
folder_dup_pin (const Folder *folder, const char *domain)
{
  g_autofree char *path = g_build_filename (folder->path, "pins", NULL);
  g_autoptr (GKeyFile) pins = is_pinnable (domain) ? read_pins (folder, path, NULL) : NULL;
  return pins != NULL ? g_key_file_get_string (pins, domain, "sha256", NULL) : NULL;
}

gboolean
folder_set_pin (Folder *folder, const char *domain, const char *fingerprint, GError **error)
{
  g_autofree char *path = g_build_filename (folder->path, "pins", NULL);
  g_autoptr (GKeyFile) pins = read_pins (folder, path, error);
  if (pins == NULL)
    return FALSE;
  if (!is_pinnable (domain))
    {
      g_set_error (error, FOLDER_ERROR, FOLDER_ERROR_FAILED, "cannot pin a certificate for '%s'", domain);
      return FALSE;
    }
  g_key_file_set_string (pins, domain, "sha256", fingerprint);
  gsize length;
  g_autofree char *text = g_key_file_to_data (pins, &length, NULL);
  if (!g_file_set_contents_full (path, text, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error))
    {
      g_prefix_error (error, "cannot write the pin: ");
      return FALSE;
    }
  return TRUE;
}

gboolean
folder_get_uid_base (const Folder *folder, guint32 *uid_base, GError **error)
{
  g_autofree char *path = g_build_filename (folder->path, "client.conf", NULL);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) failure = NULL;
  *uid_base = 0;
  if (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &failure))
    *uid_base = (guint32)g_key_file_get_uint64 (file, "plugins", "uid_base", &failure);
  if (failure == NULL || g_error_matches (failure, G_FILE_ERROR, G_FILE_ERROR_NOENT)
      || g_error_matches (failure, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND)
      || g_error_matches (failure, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_KEY_NOT_FOUND))
    return TRUE;
  g_set_error (error, FOLDER_ERROR, FOLDER_ERROR_FAILED, "%s: %s", path, failure->message);
  return FALSE;
}

char *
folder_dup_account_path (const Folder *folder, const char *jid, GError **error)
{
  if (jid[0] == '.' || strchr (jid, '/') != NULL)
    {
      g_set_error (error, FOLDER_ERROR, FOLDER_ERROR_FAILED, "'%s' cannot name a folder", jid);
      return NULL;
    }
  g_autofree char *path = g_build_filename (folder->path, "accounts", jid, NULL);
  return make_folder (path, error) ? g_steal_pointer (&path) : NULL;
}

Db *
folder_open_account (const Folder *folder, const char *jid, GError **error)
{
  g_autofree char *path = folder_dup_account_path (folder, jid, error);
  if (path == NULL)
    return NULL;
  g_autofree char *file = g_build_filename (path, "client.db", NULL);
  /* A commit survives kill -9, and a send does not wait for the disk. */
  g_autoptr (Db) db = db_open (file, DB_OPEN_NORMAL, error);
  if (db == NULL || !db_migrate (db, schema, G_N_ELEMENTS (schema), error))
    return NULL;
  return g_steal_pointer (&db);
}
