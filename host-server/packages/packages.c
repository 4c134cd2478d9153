#include "host-server/packages/packages.h"

#include "common/base/log.h"
#include "host-server/packages/room.h"
#include "host-server/store/package-files.h"

#include <errno.h>
#include <glib/gstdio.h>

/* --- writes */

static void
task_free (PackageTask *task)
{
  package_free (task->package);
  g_clear_pointer (&task->file, g_bytes_unref);
  g_free (task->path);
  g_free (task->problem);
  g_free (task);
}

void
package_task_refuse (PackageTask *task, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_free (task->problem);
  task->problem = g_strdup_vprintf (format, arguments);
  va_end (arguments);
}

void
package_task_fail (PackageTask *task, const char *problem)
{
  control_call_refuse (task->call, "%s", problem);
  task_free (task);
}

static gboolean
task_work (Db *db, gpointer data, GError **error)
{
  PackageTask *task = data;
  gint64 now_us = clock_get_wall_us (task->packages->server->clock);
  g_clear_pointer (&task->problem, g_free);
  return task->work (task, db, now_us, error)
         && (task->problem != NULL || !task->changes_trust
             || trust_issue (task->packages, db, now_us, error));
}

static void
task_done (gpointer data, const GError *error)
{
  PackageTask *task = data;
  g_autoptr (GError) fault = NULL;
  if (error != NULL)
    {
      g_autofree char *problem = g_strdup (error->message);
      if (task->done != NULL && task->package != NULL)
        g_unlink (task->path);
      package_task_fail (task, problem);
      return;
    }
  if (task->changes_trust && task->problem == NULL && !trust_reload (task->packages, &fault))
    log_error ("packages", "cannot read the trust document: %s", fault->message);
  task->done (task);
  task_free (task);
}

void
package_task_run (PackageTask *task)
{
  store_write (task->packages->server->store, STORE_MARKET, task_work, task_done, task);
}

/* --- starting */

typedef struct
{
  Packages *packages;
  gboolean is_done;
  GError *error;
} Start;

/* There is a document from the first start on, signed by the key in use. */
static gboolean
start_work (Db *db, gpointer data, GError **error)
{
  Start *start = data;
  gint64 number;
  g_autofree char *kid = NULL;
  g_autofree char *jws = NULL;
  return trust_document_load (db, &number, &kid, &jws, error)
         && (number > 0
             || trust_issue (start->packages, db, clock_get_wall_us (start->packages->server->clock), error));
}

static void
start_done (gpointer data, const GError *error)
{
  Start *start = data;
  start->is_done = TRUE;
  start->error = error != NULL ? g_error_copy (error) : NULL;
}

static gboolean
start (Packages *packages, GError **error)
{
  Start one = { packages, FALSE, NULL };
  store_write (packages->server->store, STORE_MARKET, start_work, start_done, &one);
  while (!one.is_done)
    g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
  if (one.error == NULL)
    return trust_reload (packages, error);
  g_propagate_error (error, one.error);
  return FALSE;
}

Packages *
packages_new (Server *server, GError **error)
{
  Packages *packages = g_new0 (Packages, 1);
  packages->server = server;
  packages->folder = package_files_dup_folder (config_get_text (server->config, "server", "data"));
  if (g_mkdir_with_parents (packages->folder, 0700) != 0)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot make folder '%s': %s",
                   packages->folder, g_strerror (errno));
      packages_free (packages);
      return NULL;
    }
  store_set_packages (server->store, packages->folder);
  if (!start (packages, error))
    {
      packages_free (packages);
      return NULL;
    }
  trust_init (packages);
  vendor_keys_init (packages);
  shelf_init (packages);
  download_init (packages);
  return packages;
}

void
packages_free (Packages *packages)
{
  if (packages == NULL)
    return;
  g_free (packages->folder);
  g_free (packages->kid);
  g_free (packages->jws);
  g_free (packages);
}
