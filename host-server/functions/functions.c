#include "host-server/functions/functions.h"

#include "common/base/log.h"
#include "host-server/core/applications.h"
#include "host-server/core/hooks.h"
#include "host-server/functions/room.h"
#include "host-server/store/accounts.h"

#include <gio/gio.h>
#include <string.h>

#define SWEEP_S 60

/* --- applications --- */

static void
application_free (gpointer data)
{
  FunctionApplication *application = data;
  if (application->module != NULL)
    function_module_retire (application->module);
  resource_image_free (application->image);
  function_manifest_free (application->manifest);
  g_free (application->id);
  g_free (application);
}

static FunctionApplication *
load_application (Functions *functions, const char *id, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (store_peek_reader (functions->server->store, STORE_MARKET),
                  "SELECT manifest FROM function_application WHERE application = ?", "s", id);
  if (!db_next (query, &local))
    {
      if (local != NULL)
        g_propagate_error (error, local);
      return NULL;
    }
  FunctionManifest *manifest = function_manifest_parse (db_get_text (query, 0), error);
  if (manifest == NULL)
    return NULL;
  FunctionApplication *application = g_new0 (FunctionApplication, 1);
  application->id = g_strdup (id);
  application->manifest = manifest;
  return application;
}

FunctionApplication *
functions_find_application (Functions *functions, const char *id, GError **error)
{
  FunctionApplication *application = g_hash_table_lookup (functions->applications, id);
  if (application == NULL && (application = load_application (functions, id, error)) != NULL)
    g_hash_table_insert (functions->applications, application->id, application);
  return application;
}

const ResourceImage *
functions_get_image (Functions *functions, FunctionApplication *application, GError **error)
{
  if (application->image == NULL)
    application->image = resource_image_new (store_peek_reader (functions->server->store, STORE_MARKET),
                                             application->id, error);
  return application->image;
}

FunctionModule *
functions_get_module (Functions *functions, FunctionApplication *application, GError **error)
{
  /* Another object under the old one's name: calls that run go on in the old one. */
  if (application->module != NULL && !function_module_is_current (application->module))
    function_module_retire (g_steal_pointer (&application->module));
  if (application->module != NULL)
    return application->module;
  const ResourceImage *image = functions_get_image (functions, application, error);
  FunctionModuleOptions options = { .module = application->manifest->module,
                                    .max_calls = application->manifest->concurrency,
                                    .data = image != NULL ? resource_image_get_fd (image) : -1 };
  if (image != NULL)
    application->module = function_module_new (functions->server->modules, &options, error);
  return application->module;
}

/* --- manifests --- */

static gboolean
check_manifest (const char *text, gboolean has_items, GError **error)
{
  g_autoptr (FunctionManifest) manifest = text[0] != '\0' ? function_manifest_parse (text, error) : NULL;
  if (text[0] == '\0' || manifest == NULL)
    return text[0] == '\0';
  if (!has_items || manifest->user_bytes > 0)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                       "[Functions] user_data: missing, what is bought of its items is counted there");
  return FALSE;
}

static gboolean
find_manifest (Db *db, const char *application, char **text, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT manifest FROM function_application WHERE application = ?", "s", application);
  *text = db_next (query, &local) ? db_dup_text (query, 0) : g_strdup ("");
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
store_manifest (Db *db, const ApplicationManifest *manifest, const char **problem, GError **error)
{
  g_autofree char *text = NULL;
  if (!find_manifest (db, manifest->application, &text, error))
    return FALSE;
  if (g_str_equal (text, manifest->text))
    return TRUE;
  if (!manifest->is_operator)
    {
      *problem = "[Functions]: what runs on the host is the operator's to set up";
      return TRUE;
    }
  /* Data and resources stay, should the functions come back. */
  if (manifest->text[0] == '\0')
    return db_run (db, error, "DELETE FROM function_application WHERE application = ?", "s",
                   manifest->application);
  return db_run (db, error,
                 "INSERT INTO function_application (application, manifest, revision, changed_us)"
                 " VALUES (?, ?, 1, ?) ON CONFLICT (application) DO UPDATE SET manifest = excluded.manifest,"
                 " revision = function_application.revision + 1, changed_us = excluded.changed_us",
                 "ssi", manifest->application, manifest->text, manifest->now_us);
}

/* What is kept of it is read anew; calls that run go on with what they began with. */
static void
application_changed (const char *application, gpointer data)
{
  Functions *functions = data;
  if (!functions->is_closing)
    g_hash_table_remove (functions->applications, application);
}

static const ApplicationFunctions application_functions
    = { .check = check_manifest, .store = store_manifest, .changed = application_changed };

/* --- what goes --- */

typedef struct
{
  Functions *functions;
  char *account;
  gboolean has_more;
  gint64 before_us;
} Clearing;

static gboolean
expire_work (Db *db, gpointer data, GError **error)
{
  Clearing *clearing = data;
  return results_expire (db, clearing->before_us, &clearing->has_more, error);
}

static void expire (Functions *functions, StoreFile file);

static void
expired (Clearing *clearing, StoreFile file, const GError *error)
{
  Functions *functions = clearing->functions;
  if (error != NULL)
    log_error ("functions", "cannot forget old results: %s", error->message);
  else if (clearing->has_more && !functions->is_closing)
    expire (functions, file);
  g_free (clearing);
}

static void
market_expired (gpointer data, const GError *error)
{
  expired (data, STORE_MARKET, error);
}

static void
chat_expired (gpointer data, const GError *error)
{
  expired (data, STORE_CHAT, error);
}

static void
expire (Functions *functions, StoreFile file)
{
  Clearing *clearing = g_new0 (Clearing, 1);
  clearing->functions = functions;
  clearing->before_us = clock_get_wall_us (functions->server->clock) - functions->settings.keep_us;
  store_write (functions->server->store, file, expire_work,
               file == STORE_MARKET ? market_expired : chat_expired, clearing);
}

static gboolean
on_sweep (gpointer data)
{
  Functions *functions = data;
  expire (functions, STORE_MARKET);
  expire (functions, STORE_CHAT);
  return G_SOURCE_CONTINUE;
}

static gboolean
forget_data (Db *db, gpointer data, GError **error)
{
  const Clearing *clearing = data;
  return data_forget (db, clearing->account, TRUE, error)
         && account_removal_finish (db, "functions", clearing->account, error);
}

static void
data_forgotten (gpointer data, const GError *error)
{
  Clearing *clearing = data;
  if (error != NULL) /* its note stays, and is found at the next start */
    log_error ("functions", "the removal of account %s could not be stored: %s", clearing->account,
               error->message);
  g_free (clearing->account);
  g_free (clearing);
}

static gboolean
forget_results (Db *db, gpointer data, GError **error)
{
  return data_forget (db, ((const Clearing *)data)->account, FALSE, error);
}

/* First what has no note, then what has. */
static void
results_forgotten (gpointer data, const GError *error)
{
  Clearing *clearing = data;
  if (error != NULL)
    data_forgotten (clearing, error);
  else
    store_write (clearing->functions->server->store, STORE_MARKET, forget_data, data_forgotten, clearing);
}

static void
account_removed (const char *account_uuid, const Jid *bare, gpointer data)
{
  Clearing *clearing = g_new0 (Clearing, 1);
  clearing->functions = data;
  clearing->account = g_strdup (account_uuid);
  store_write (clearing->functions->server->store, STORE_CHAT, forget_results, results_forgotten, clearing);
}

static void
found_at_start (const char *uuid, const char *local, gint64 created_us, gpointer data)
{
  account_removed (uuid, NULL, data);
}

/* --- the room --- */

Functions *
functions_new (Server *server, GError **error)
{
  Functions *functions = g_new0 (Functions, 1);
  functions->server = server;
  functions->settings.keep_us = config_get_seconds_us (server->config, "functions", "result_keep_s");
  functions->settings.result_bytes = config_get_bytes (server->config, "functions", "result_bytes");
  functions->settings.log_lines = (guint)config_get_int (server->config, "functions", "log_lines");
  functions->scheduler
      = scheduler_new ((guint)config_get_int (server->config, "functions", "calls"), server->clock);
  functions->penalties = penalties_new (server->clock);
  functions->journal = journal_new (functions);
  functions->usage = usage_new (functions);
  functions->applications = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, application_free);
  functions->calls = g_hash_table_new (g_str_hash, g_str_equal);
  if (!account_removals_list (store_peek_reader (server->store, STORE_MARKET), "functions", found_at_start,
                              functions, error))
    {
      functions_stop (functions);
      functions_free (functions);
      return NULL;
    }
  applications_set_functions (server->applications, &application_functions, functions);
  hooks_add_account_removed (server->hooks, account_removed, functions);
  function_requests_init (functions);
  function_commands_init (functions);
  functions->sweep = g_timeout_add_seconds (SWEEP_S, on_sweep, functions);
  return functions;
}

void
functions_stop (Functions *functions)
{
  functions->is_closing = TRUE;
  g_clear_handle_id (&functions->sweep, g_source_remove);
  functions_drop_calls (functions);
}

void
functions_free (Functions *functions)
{
  if (functions == NULL)
    return;
  g_assert (functions->is_closing && g_hash_table_size (functions->calls) == 0);
  /* Their modules went with Modules. */
  GHashTableIter iter;
  gpointer application;
  g_hash_table_iter_init (&iter, functions->applications);
  while (g_hash_table_iter_next (&iter, NULL, &application))
    ((FunctionApplication *)application)->module = NULL;
  g_hash_table_unref (functions->applications);
  g_hash_table_unref (functions->calls);
  usage_free (functions->usage);
  journal_free (functions->journal);
  penalties_free (functions->penalties);
  scheduler_free (functions->scheduler);
  g_free (functions);
}
