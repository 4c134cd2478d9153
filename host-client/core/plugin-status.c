/* How the installed plugins are, also those that another process of this client runs: each change of a
 * plugin's state is written to CONFIG/plugins/ID/state, with the process that wrote it. */
#include "host-client/core/plugin-agreement.h"
#include "host-client/core/plugin-host.h"

#include "common/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const report_names[] = {
  [PLUGIN_STATE_OFF] = "off",
  [PLUGIN_STATE_STARTING] = "starting",
  [PLUGIN_STATE_RUNNING] = "running",
  [PLUGIN_STATE_NEEDS_SERIAL] = "needs-serial",
  [PLUGIN_STATE_BAD_SERIAL] = "bad-serial",
  [PLUGIN_STATE_EXPIRED] = "expired",
  [PLUGIN_STATE_REFUSED] = "refused",
  [PLUGIN_STATE_CRASHED] = "crashed",
};

const char *
plugin_status_name (PluginStatusKind kind)
{
  static const char *const names[] = {
    [PLUGIN_STATUS_INSTALLED] = "installed", [PLUGIN_STATUS_VERIFIED] = "verified",
    [PLUGIN_STATUS_RUNNING] = "running",     [PLUGIN_STATUS_EXPIRED] = "expired",
    [PLUGIN_STATUS_CRASHED] = "crashed",     [PLUGIN_STATUS_REFUSED] = "refused",
  };
  return names[kind];
}

/* When the process @pid began, in the kernel's ticks: with its number it names one process for ever. 0: there
 * is none. */
static guint64
find_start (gint64 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%" G_GINT64_FORMAT "/stat", pid);
  g_autofree char *text = NULL;
  if (pid <= 0 || !g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  /* Behind the name, which may hold anything, the start is field 22 of the whole, 20 of what is left. */
  const char *rest = strrchr (text, ')');
  g_auto (GStrv) fields = g_strsplit (rest != NULL ? rest : "", " ", -1);
  return g_strv_length (fields) > 20 ? g_ascii_strtoull (fields[20], NULL, 10) : 0;
}

static char *
dup_path (const PluginHost *host, const char *id)
{
  return g_build_filename (host->plugins_folder, id, "state", NULL);
}

void
plugin_host_note_state (PluginHost *host, const PluginInfo *info, const char *account,
                        const PluginReport *report)
{
  g_autofree char *path = dup_path (host, info->id);
  g_autofree char *group = g_uri_escape_string (account, "@", FALSE);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  (void)g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL);
  g_key_file_set_string (file, group, "state", report_names[report->state]);
  g_key_file_set_string (file, group, "reason", report->reason);
  g_key_file_set_string (file, group, "hash", info->hash);
  g_key_file_set_int64 (file, group, "process", getpid ());
  g_key_file_set_uint64 (file, group, "began", find_start (getpid ()));
  g_autofree char *text = g_key_file_to_data (file, NULL, NULL);
  if (!g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
    log_warning ("plugin", "plugin=%s its state cannot be kept: %s", info->id, error->message);
}

static gboolean
is_writer_alive (GKeyFile *file, const char *group)
{
  guint64 began = g_key_file_get_uint64 (file, group, "began", NULL);
  return began != 0 && find_start (g_key_file_get_int64 (file, group, "process", NULL)) == began;
}

/* What was last heard of the copy that is installed now. */
static void
read_state (PluginHost *host, PluginStatus *status, const char *account)
{
  static const struct
  {
    PluginState state;
    PluginStatusKind kind;
  } rows[] = {
    { PLUGIN_STATE_RUNNING, PLUGIN_STATUS_RUNNING },    { PLUGIN_STATE_EXPIRED, PLUGIN_STATUS_EXPIRED },
    { PLUGIN_STATE_CRASHED, PLUGIN_STATUS_CRASHED },    { PLUGIN_STATE_REFUSED, PLUGIN_STATUS_REFUSED },
    { PLUGIN_STATE_BAD_SERIAL, PLUGIN_STATUS_REFUSED },
  };
  g_autofree char *path = dup_path (host, status->info->id);
  g_autofree char *group = g_uri_escape_string (account, "@", FALSE);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL))
    return;
  g_autofree char *state = g_key_file_get_string (file, group, "state", NULL);
  g_autofree char *hash = g_key_file_get_string (file, group, "hash", NULL);
  if (state == NULL || g_strcmp0 (hash, status->info->hash) != 0)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (strcmp (report_names[rows[i].state], state) == 0
        && (rows[i].state != PLUGIN_STATE_RUNNING || is_writer_alive (file, group)))
      {
        g_free (status->reason);
        status->kind = rows[i].kind;
        status->reason = g_key_file_get_string (file, group, "reason", NULL);
      }
}

static void
status_free (gpointer data)
{
  PluginStatus *status = data;
  plugin_info_free (status->info);
  g_free (status->id);
  g_free (status->reason);
  g_free (status);
}

/* NULL: @id is not installed. */
static PluginStatus *
find_status (PluginHost *host, const char *id, const char *account)
{
  g_autoptr (GError) error = NULL;
  PluginInfo *info = plugin_host_find (host, id, &error);
  if (info == NULL && g_error_matches (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED))
    return NULL;
  PluginStatus *status = g_new0 (PluginStatus, 1);
  status->id = g_strdup (id);
  status->info = info;
  if (info == NULL)
    {
      status->kind = PLUGIN_STATUS_REFUSED;
      status->reason = g_strdup (error->message);
      return status;
    }
  status->kind = plugin_agreement_is_verified (host->plugins_folder, info) ? PLUGIN_STATUS_VERIFIED
                                                                           : PLUGIN_STATUS_INSTALLED;
  if (account != NULL)
    read_state (host, status, account);
  g_auto (GStrv) missing = plugin_agreement_find_missing (host->plugins_folder, info);
  if (missing[0] != NULL)
    {
      g_free (status->reason);
      status->kind = PLUGIN_STATUS_REFUSED;
      status->reason = plugin_dup_unagreed_text (missing);
    }
  if (status->reason == NULL)
    status->reason = g_strdup ("");
  return status;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(PluginStatus *const *)a)->id, (*(PluginStatus *const *)b)->id);
}

GPtrArray *
plugin_host_list_states (PluginHost *host, const char *account)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (status_free);
  g_autoptr (GDir) dir = g_dir_open (host->plugins_folder, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      PluginStatus *status = find_status (host, name, account);
      if (status != NULL)
        g_ptr_array_add (list, status);
    }
  g_ptr_array_sort (list, compare);
  return list;
}
