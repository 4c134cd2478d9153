#include "host-client/core/plugin-host.h"

#include "common/base/log.h"
#include "host-client/core/plugin-agreement.h"
#include "host-client/core/plugin-process.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 256

/* ---- users and folders of plugins ---- */

uid_t
plugin_host_take_uid (PluginHost *host)
{
  if (host->uid_base == 0)
    return 0;
  for (guint i = 0; i < PLUGIN_MAX_UIDS; i++)
    if ((host->uids_in_use & G_GUINT64_CONSTANT (1) << i) == 0)
      {
        host->uids_in_use |= G_GUINT64_CONSTANT (1) << i;
        return host->uid_base + i;
      }
  return 0;
}

void
plugin_host_give_uid (PluginHost *host, uid_t uid)
{
  if (uid != 0)
    host->uids_in_use &= ~(G_GUINT64_CONSTANT (1) << (uid - host->uid_base));
}

static gboolean
make_folder (const char *path, GError **error)
{
  if (g_mkdir_with_parents (path, 0700) == 0)
    return TRUE;
  g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot make '%s': %s", path, g_strerror (errno));
  return FALSE;
}

/* Gives what a plugin kept to the uid it has today. */
static gboolean
give_folder (const char *path, uid_t uid, guint depth)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (lchown (path, uid, uid) != 0)
    return FALSE;
  dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);
  while (dir != NULL && depth < 16 && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (!give_folder (child, uid, depth + 1))
        return FALSE;
    }
  return TRUE;
}

char *
plugin_host_make_data_folder (PluginHost *host, const char *jid, const char *plugin, uid_t uid,
                              GError **error)
{
  g_autofree char *account = g_uri_escape_string (jid, "@", FALSE);
  g_autofree char *parent = g_build_filename (host->data_folder, account, NULL);
  g_autofree char *path = g_build_filename (parent, plugin, NULL);
  struct stat about;

  if (!make_folder (parent, error))
    return NULL;
  if (g_mkdir (path, 0700) != 0 && errno != EEXIST)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot make '%s': %s", path,
                   g_strerror (errno));
      return NULL;
    }
  if (uid != 0 && (lstat (path, &about) != 0 || (about.st_uid != uid && !give_folder (path, uid, 0))))
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot give '%s' to the plugin: %s", path,
                   g_strerror (errno));
      return NULL;
    }
  return g_steal_pointer (&path);
}

static gboolean
measure (const char *folder, guint64 *bytes_left, guint *files_left, guint depth)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      struct stat about;

      if (lstat (path, &about) != 0)
        continue;
      if (*files_left == 0 || (guint64)about.st_size > *bytes_left || depth > 16)
        return FALSE;
      (*files_left)--;
      if (S_ISDIR (about.st_mode))
        {
          if (!measure (path, bytes_left, files_left, depth + 1))
            return FALSE;
        }
      else
        *bytes_left -= (guint64)about.st_size;
    }
  return TRUE;
}

gboolean
plugin_host_is_within_quota (const char *folder, guint64 max_bytes)
{
  guint files = MAX_FILES;

  return measure (folder, &max_bytes, &files, 0);
}

PluginStore *
plugin_host_get_store (PluginHost *host)
{
  g_autoptr (GError) error = NULL;

  if (host->store == NULL)
    {
      host->store = plugin_store_open (host->store_path, &error);
      if (host->store == NULL)
        log_warning ("plugin", "cannot open the plugins' store: %s", error->message);
    }
  return host->store;
}

/* ---- the host ---- */

PluginHost *
plugin_host_new (const PluginHostOptions *options, GError **error)
{
  g_autoptr (PluginHost) host = g_new0 (PluginHost, 1);
  g_autofree char *runner
      = options->runner_path != NULL ? g_strdup (options->runner_path) : launch_find_runner ();
  g_autoptr (GError) failed = NULL;

  host->plugins_folder = g_build_filename (options->folder, "plugins", NULL);
  host->data_folder = g_build_filename (options->folder, "plugin-data", NULL);
  host->store_path = g_build_filename (options->folder, "plugin-store.db", NULL);
  host->context = options->context != NULL ? g_main_context_ref (options->context)
                                           : g_main_context_ref_thread_default ();
  host->clock = options->clock;
  host->uid_base = geteuid () == 0 ? options->uid_base : 0;
  host->plugins = g_ptr_array_new ();
  host->agreed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (!make_folder (options->folder, error) || !make_folder (host->plugins_folder, error)
      || !make_folder (host->data_folder, error))
    return NULL;
  if (runner == NULL)
    {
      g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_RUNNER, "plugin-runner is not installed");
      return NULL;
    }
  host->launcher = launcher_new (runner, host->context, &failed);
  if (host->launcher == NULL)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_RUNNER, "cannot start '%s': %s", runner,
                   failed->message);
      return NULL;
    }
  return g_steal_pointer (&host);
}

void
plugin_host_free (PluginHost *host)
{
  if (host == NULL)
    return;
  g_assert (host->plugins->len == 0);
  g_clear_pointer (&host->launcher, launcher_free);
  g_clear_pointer (&host->store, plugin_store_free);
  g_ptr_array_unref (host->plugins);
  g_hash_table_unref (host->agreed);
  g_main_context_unref (host->context);
  g_free (host->plugins_folder);
  g_free (host->data_folder);
  g_free (host->store_path);
  g_free (host);
}

static int
compare_ids (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(PluginInfo *const *)a)->id, (*(PluginInfo *const *)b)->id);
}

GPtrArray *
plugin_host_list (PluginHost *host)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify)plugin_info_free);
  g_autoptr (GDir) dir = g_dir_open (host->plugins_folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autoptr (GError) error = NULL;
      PluginInfo *info = plugin_host_find (host, name, &error);

      if (info != NULL)
        g_ptr_array_add (list, info);
      else if (!g_error_matches (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED))
        log_warning ("plugin", "plugin=%s %s", name, error->message);
    }
  g_ptr_array_sort (list, compare_ids);
  return list;
}

PluginInfo *
plugin_host_find (PluginHost *host, const char *id, GError **error)
{
  g_autoptr (PluginPackage) package = plugin_package_find (host->plugins_folder, id, error);

  return package != NULL ? plugin_info_copy (package->info) : NULL;
}

gboolean
plugin_host_remove (PluginHost *host, const char *id, GError **error)
{
  for (guint i = 0; i < host->plugins->len; i++)
    if (g_str_equal (plugin_peek_info (host->plugins->pdata[i])->id, id))
      {
        g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "the plugin '%s' is in use", id);
        return FALSE;
      }
  return plugin_package_remove (host->plugins_folder, id, error);
}

/* ---- what was agreed ---- */

char *
plugin_dup_unagreed_text (char **missing)
{
  g_autofree char *list = g_strjoinv ("; ", missing);

  return g_strdup_printf ("you have not agreed that it may: %s", list);
}

char **
plugin_host_list_unagreed (PluginHost *host, const PluginInfo *info)
{
  return plugin_agreement_find_missing (host->plugins_folder, info);
}

void
plugin_host_agree (PluginHost *host, const PluginInfo *info)
{
  g_hash_table_add (host->agreed, g_strdup (info->hash));
}

/* FALSE with PLUGIN_ERROR_CONSENT. */
static gboolean
is_agreed (PluginHost *host, const PluginInfo *info, GError **error)
{
  g_auto (GStrv) missing = NULL;
  g_autofree char *text = NULL;

  if (g_hash_table_contains (host->agreed, info->hash))
    return TRUE;
  missing = plugin_host_list_unagreed (host, info);
  if (missing[0] == NULL)
    return TRUE;
  text = plugin_dup_unagreed_text (missing);
  g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_CONSENT, text);
  return FALSE;
}

char **
plugin_host_list_peers (PluginHost *host, const char *id, const char *account)
{
  return plugin_agreement_list_peers (host->plugins_folder, id, account);
}

gboolean
plugin_host_allow (PluginHost *host, const char *id, const char *account, const char *peer,
                   gboolean is_allowed, GError **error)
{
  g_autoptr (PluginInfo) info = plugin_host_find (host, id, error);

  return info != NULL && plugin_agreement_allow (host->plugins_folder, id, account, peer, is_allowed, error);
}

gboolean
plugin_host_needs_serial (PluginHost *host, const char *id)
{
  g_autoptr (PluginPackage) current = plugin_package_find_unjudged (host->plugins_folder, id, NULL);

  return plugin_agreement_needs_serial (host->plugins_folder, id,
                                        current != NULL ? current->info->hash : NULL);
}

/* ---- installing ---- */

typedef struct
{
  PluginHost *host;
  PluginPackage *stored;
  PluginProcess *process; /* that verifies it; NULL when it is over */
  gboolean needs_serial;
} Installation;

static void
installation_free (gpointer data)
{
  Installation *installation = data;

  if (installation->process != NULL)
    plugin_process_let_go (installation->process);
  plugin_package_unref (installation->stored);
  g_free (installation);
}

/* Ends the installation; @error (taken) is why it failed, or NULL. */
static void
finish_install (GTask *task, GError *error)
{
  Installation *installation = g_task_get_task_data (task);
  PluginHost *host = installation->host;

  if (installation->process != NULL)
    plugin_process_let_go (g_steal_pointer (&installation->process));
  if (error == NULL)
    (void)g_cancellable_set_error_if_cancelled (g_task_get_cancellable (task), &error);
  /* Whichever way it came here. */
  if (error == NULL && is_agreed (host, installation->stored->info, &error))
    (void)plugin_agreement_keep (host->plugins_folder, installation->stored->info, installation->needs_serial,
                                 &error);
  if (error == NULL)
    (void)plugin_package_make_current (installation->stored, host->plugins_folder, &error);
  if (error != NULL)
    {
      plugin_package_discard (installation->stored, host->plugins_folder);
      g_task_return_error (task, error);
    }
  else
    g_task_return_pointer (task, plugin_info_copy (installation->stored->info),
                           (GDestroyNotify)plugin_info_free);
  g_object_unref (task);
}

static void
on_verified (PluginProcess *process, FrameStatus status, const char *reason, gboolean needs_serial,
             gpointer data)
{
  Installation *installation = g_task_get_task_data (data);
  GError *error = NULL;

  installation->needs_serial = needs_serial;
  if (status != FRAME_STATUS_OK)
    error = g_error_new (PLUGIN_ERROR,
                         status == FRAME_STATUS_REFUSED ? PLUGIN_ERROR_DESCRIPTOR : PLUGIN_ERROR_SYMBOLS,
                         "'%s' cannot be used: %s", installation->stored->info->object, reason);
  finish_install (data, error);
}

static void
on_verifier_ended (PluginProcess *process, PluginEnd end, const char *reason, gpointer data)
{
  Installation *installation = g_task_get_task_data (data);

  installation->process = NULL;
  finish_install (
      data,
      g_error_new (PLUGIN_ERROR, end == PLUGIN_END_REFUSED ? PLUGIN_ERROR_UNSUPPORTED : PLUGIN_ERROR_SYMBOLS,
                   "'%s' was loaded to look at it, but %s", installation->stored->info->object, reason));
}

static const PluginProcessEvents verify_events = { .loaded = on_verified, .ended = on_verifier_ended };

static GTask *
new_installation (PluginHost *host, GCancellable *cancellable, GAsyncReadyCallback callback,
                  gpointer user_data)
{
  Installation *installation = g_new0 (Installation, 1);
  GTask *task;

  g_main_context_push_thread_default (host->context);
  task = g_task_new (NULL, cancellable, callback, user_data);
  g_main_context_pop_thread_default (host->context);
  installation->host = host;
  g_task_set_task_data (task, installation, installation_free);
  return task;
}

/* Lets a confined runner look at the copy; @error (taken) is why there is none. */
static void
verify_stored (GTask *task, PluginPackage *take_stored, GError *error)
{
  Installation *installation = g_task_get_task_data (task);
  PluginAssignment assignment = { .is_to_run = FALSE };

  installation->stored = take_stored;
  if (take_stored == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  installation->process
      = plugin_process_start (installation->host, take_stored, &assignment, &verify_events, task, &error);
  if (installation->process == NULL)
    finish_install (task, error);
}

void
plugin_host_install_async (PluginHost *host, const char *path, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task = new_installation (host, cancellable, callback, user_data);
  GError *error = NULL;
  g_autoptr (PluginPackage) package = plugin_package_read (path, &error);
  PluginPackage *stored = NULL;

  if (package != NULL && package->descriptor->is_keygen)
    error = g_error_new (PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR,
                         "'%s' describes a keygen, which belongs on a server", package->file);
  else if (package != NULL && is_agreed (host, package->info, &error))
    stored = plugin_package_store (package, host->plugins_folder, &error);

  verify_stored (task, stored, error);
}

void
plugin_host_install_package_async (PluginHost *host, const Package *package, const char *domain,
                                   GCancellable *cancellable, GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  GTask *task = new_installation (host, cancellable, callback, user_data);
  GError *error = NULL;
  g_autoptr (PluginInfo) info = plugin_info_of_package (package, &error);
  PluginPackage *stored = NULL;

  if (info != NULL && is_agreed (host, info, &error))
    stored = plugin_package_store_signed (package, domain, host->plugins_folder, &error);

  verify_stored (task, stored, error);
}

char *
plugin_host_dup_objection (PluginHost *host, const Package *package)
{
  g_autoptr (PluginPackage) current = plugin_package_find_unjudged (host->plugins_folder, package->id, NULL);
  int order;

  /* What was installed from a file has no version that anybody stands for. */
  if (current == NULL || current->origin == NULL || g_str_equal (current->info->hash, package->hash))
    return NULL;
  order = package_version_compare (package->version, current->info->version);
  if (order < 0)
    return g_strdup_printf ("version %s is older than %s, which is installed", package->version,
                            current->info->version);
  return order == 0 ? g_strdup_printf ("it is another package than the one installed as version %s",
                                       current->info->version)
                    : NULL;
}

PluginInfo *
plugin_host_find_previous (PluginHost *host, const char *id, GError **error)
{
  g_autoptr (PluginPackage) previous = plugin_package_find_previous (host->plugins_folder, id, error);

  return previous != NULL ? plugin_info_copy (previous->info) : NULL;
}

gboolean
plugin_host_roll_back (PluginHost *host, const char *id, GError **error)
{
  g_autoptr (PluginInfo) previous = plugin_host_find_previous (host, id, error);

  /* It was verified when it was the current one. */
  return previous != NULL && is_agreed (host, previous, error)
         && plugin_agreement_keep (host->plugins_folder, previous,
                                   plugin_agreement_needs_serial (host->plugins_folder, id, previous->hash),
                                   error)
         && plugin_package_roll_back (host->plugins_folder, id, error);
}

PluginInfo *
plugin_host_install_finish (PluginHost *host, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}
