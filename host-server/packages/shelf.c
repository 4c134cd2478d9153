#include "host-server/packages/room.h"

#include "common/base/log.h"
#include "common/protocol/trust.h"
#include "host-server/store/package-files.h"

#include <glib/gstdio.h>
#include <string.h>

/* hostctl package add, list, revoke; the files. */

/* --- add */

/* Why @key may not sign for @vendor now; NULL: it may. */
static const char *
judge_key (const VendorKeyRow *key, const char *vendor, gint64 now_us)
{
  if (key == NULL || !g_str_equal (key->vendor, vendor))
    return "it is not signed by a key of its vendor's; `vendor key add` first";
  if (key->revoked_us != 0)
    return "the key that signed it is revoked";
  if (now_us < key->from_us)
    return "the key that signed it is not valid yet";
  return key->to_us != 0 && now_us >= key->to_us ? "the key that signed it is not valid any more" : NULL;
}

static gboolean
judge_versions (PackageTask *task, Db *db, GError **error)
{
  const Package *package = task->package;
  g_autoptr (GPtrArray) rows = packages_list (db, package->id, error);
  if (rows == NULL)
    return FALSE;
  for (guint i = 0; i < rows->len && task->problem == NULL; i++)
    {
      const PackageRow *row = g_ptr_array_index (rows, i);
      int order = package_version_compare (package->version, row->version);
      if (g_str_equal (row->hash, package->hash))
        package_task_refuse (task, row->revoked_us != 0 ? "this package is revoked"
                                                        : "this package is there already");
      else if (order == 0)
        package_task_refuse (task, "there is another package of version %s: a version is given once",
                             row->version);
      else if (order < 0)
        package_task_refuse (task, "version %s is older than %s, and a version may not fall",
                             package->version, row->version);
    }
  return TRUE;
}

static gboolean
add_work (PackageTask *task, Db *db, gint64 now_us, GError **error)
{
  const Package *package = task->package;
  GError *local = NULL;
  g_autofree char *vendor = packages_dup_vendor_of (db, package->id, &local);
  g_autoptr (VendorKeyRow) key = local == NULL ? vendor_keys_find (db, package->key, &local) : NULL;
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  const char *wrong
      = vendor != NULL ? judge_key (key, vendor, now_us) : "there is no such plugin; `plugin add` first";
  if (wrong != NULL)
    package_task_refuse (task, "%s", wrong);
  else if (!judge_versions (task, db, error))
    return FALSE;
  if (task->problem != NULL)
    return TRUE;
  g_autofree char *sha256 = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, task->file);
  PackageRow row = { .hash = package->hash,
                     .plugin = package->id,
                     .version = package->version,
                     .key = package->key,
                     .sha256 = sha256,
                     .size = (gint64)g_bytes_get_size (task->file),
                     .permissions = package->permissions,
                     .is_restricted = package->is_restricted,
                     .added_us = now_us };
  return packages_insert (db, &row, error) && packages_offer (db, package->id, package->hash, error);
}

static json_t *
describe (const Package *package)
{
  return json_pack ("{s:s, s:s, s:s, s:s, s:b}", "plugin", package->id, "version", package->version, "hash",
                    package->hash, "permissions", package->permissions, "restricted", package->is_restricted);
}

/* A file that got no row is left: unless it is the file of a row, which is there already. */
static void
forget_file (PackageTask *task)
{
  g_autoptr (PackageRow) row = packages_find (store_peek_reader (task->packages->server->store, STORE_MARKET),
                                              task->package->id, task->package->version, NULL);
  if (row == NULL || !g_str_equal (row->hash, task->package->hash))
    g_unlink (task->path);
}

static void
added (PackageTask *task)
{
  if (task->problem == NULL)
    {
      log_info ("packages", "package added plugin=%s version=%s hash=%s", task->package->id,
                task->package->version, task->package->hash);
      control_call_done_with (task->call, describe (task->package));
      return;
    }
  control_call_refuse (task->call, "cannot add '%s' %s: %s", task->package->id, task->package->version,
                       task->problem);
  forget_file (task);
}

/* Reads, checks and copies the file, off the main thread. */
static void
read_package (GTask *thread, gpointer source, gpointer data, GCancellable *cancellable)
{
  PackageTask *task = data;
  GError *error = NULL;
  gsize length;
  task->package
      = package_read_file (control_call_get_text (task->call, "FILE"), NULL, NULL, &task->file, &error);
  if (task->package != NULL)
    {
      const char *bytes = g_bytes_get_data (task->file, &length);
      task->path = package_files_dup_path (task->packages->folder, task->package->hash);
      g_file_set_contents_full (task->path, bytes, (gssize)length,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, &error);
    }
  if (error != NULL)
    g_task_return_error (thread, error);
  else
    g_task_return_boolean (thread, TRUE);
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  PackageTask *task = data;
  g_autoptr (GError) error = NULL;
  if (g_task_propagate_boolean (G_TASK (result), &error))
    {
      package_task_run (task);
      return;
    }
  g_autofree char *problem
      = g_strdup_printf ("cannot add '%s': %s", control_call_get_text (task->call, "FILE"), error->message);
  package_task_fail (task, problem);
}

static void
add_package (ControlCall *call, gpointer data)
{
  PackageTask *task = g_new0 (PackageTask, 1);
  *task = (PackageTask){ .packages = data, .call = call, .work = add_work, .done = added };
  g_autoptr (GTask) thread = g_task_new (NULL, NULL, on_read, task);
  g_task_set_task_data (thread, task, NULL);
  g_task_run_in_thread (thread, read_package);
}

/* --- revoke */

/* The newest that is left is what the catalog names now. */
static gboolean
offer_newest (Db *db, const char *plugin, GError **error)
{
  g_autoptr (GPtrArray) rows = packages_list (db, plugin, error);
  const PackageRow *newest = NULL;
  if (rows == NULL)
    return FALSE;
  for (guint i = 0; i < rows->len; i++)
    {
      const PackageRow *row = g_ptr_array_index (rows, i);
      if (row->revoked_us == 0
          && (newest == NULL || package_version_compare (row->version, newest->version) > 0))
        newest = row;
    }
  return packages_offer (db, plugin, newest != NULL ? newest->hash : NULL, error);
}

static gboolean
revoke_work (PackageTask *task, Db *db, gint64 now_us, GError **error)
{
  const char *plugin = control_call_get_text (task->call, "PLUGIN");
  const char *version = control_call_get_text (task->call, "VERSION");
  const char *reason = control_call_get_text (task->call, "--reason");
  GError *local = NULL;
  g_autoptr (PackageRow) row = packages_find (db, plugin, version, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (row == NULL)
    package_task_refuse (task, "there is no package '%s' %s", plugin, version);
  else if (row->revoked_us != 0)
    package_task_refuse (task, "'%s' %s is revoked already", plugin, version);
  return task->problem != NULL
         || (packages_revoke (db, row->hash, reason != NULL ? reason : "", now_us, error)
             && offer_newest (db, plugin, error));
}

static void
revoked (PackageTask *task)
{
  const char *plugin = control_call_get_text (task->call, "PLUGIN");
  const char *version = control_call_get_text (task->call, "VERSION");
  if (task->problem != NULL)
    {
      control_call_refuse (task->call, "%s", task->problem);
      return;
    }
  log_info ("packages", "package revoked plugin=%s version=%s", plugin, version);
  control_call_done_with (task->call, json_pack ("{s:s, s:s, s:I}", "plugin", plugin, "version", version,
                                                 "trust", (json_int_t)task->packages->number));
}

static void
revoke_package (ControlCall *call, gpointer data)
{
  const char *reason = control_call_get_text (call, "--reason");
  if (reason != NULL && strlen (reason) > TRUST_MAX_REASON)
    {
      control_call_refuse (call, "--reason: at most %d bytes", TRUST_MAX_REASON);
      return;
    }
  PackageTask *task = g_new0 (PackageTask, 1);
  *task = (PackageTask){
    .packages = data, .call = call, .work = revoke_work, .done = revoked, .changes_trust = TRUE
  };
  package_task_run (task);
}

/* --- list */

static void
list_packages (ControlCall *call, gpointer data)
{
  Packages *packages = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) rows = packages_list (store_peek_reader (packages->server->store, STORE_MARKET),
                                              control_call_get_text (call, "PLUGIN"), &error);
  if (rows == NULL)
    {
      control_call_refuse (call, "cannot list the packages: %s", error->message);
      return;
    }
  for (guint i = 0; i < rows->len; i++)
    {
      const PackageRow *row = g_ptr_array_index (rows, i);
      const char *state = row->revoked_us != 0 ? "revoked" : row->is_offered ? "offered" : "kept";
      control_call_take_row (call, json_pack ("{s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:s}", "plugin",
                                              row->plugin, "version", row->version, "state", state, "size",
                                              (json_int_t)row->size, "restricted", row->is_restricted,
                                              "permissions", row->permissions, "reason", row->reason, "hash",
                                              row->hash));
    }
  control_call_done (call);
}

void
shelf_init (Packages *packages)
{
  const ControlArgument add[] = { { "FILE", CONTROL_PATH, FALSE }, { NULL, 0, FALSE } };
  const ControlArgument list[] = { { "PLUGIN", CONTROL_TEXT, TRUE }, { NULL, 0, FALSE } };
  const ControlArgument revoke[] = { { "PLUGIN", CONTROL_TEXT, FALSE },
                                     { "VERSION", CONTROL_TEXT, FALSE },
                                     { "--reason", CONTROL_VALUE, TRUE },
                                     { NULL, 0, FALSE } };
  const ControlCommand commands[] = {
    { "package add", add, NULL, FALSE, "offer a plugin's package, signed by its vendor", add_package,
      packages },
    { "package list", list, NULL, TRUE, "the packages of plugins", list_packages, packages },
    { "package revoke", revoke, NULL, FALSE, "stop a package wherever it is installed", revoke_package,
      packages },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (packages->server->controls, &commands[i]);
}
