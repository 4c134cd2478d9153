#include "host-client/core/plugin-check.h"

#include "common/module/lint.h"
#include "host-client/core/plugin-process.h"

typedef struct
{
  GPtrArray *findings;
  PluginPackage *package;
  PluginProcess *process; /* that verifies it; NULL when it is over */
} Check;

static void
finding_free (gpointer data)
{
  PluginFinding *finding = data;

  g_free (finding->text);
  g_free (finding);
}

static void
check_free (gpointer data)
{
  Check *check = data;

  if (check->process != NULL)
    plugin_process_let_go (check->process);
  g_clear_pointer (&check->package, plugin_package_unref);
  g_ptr_array_unref (check->findings);
  g_free (check);
}

static void
add (Check *check, gboolean is_error, const char *text)
{
  PluginFinding *finding = g_new0 (PluginFinding, 1);

  finding->is_error = is_error;
  finding->text = g_strdup (text);
  g_ptr_array_add (check->findings, finding);
}

static void
take_finding (const LintFinding *finding, void *data)
{
  add (data, finding->is_error, finding->text);
}

static void
finish (GTask *task)
{
  Check *check = g_task_get_task_data (task);

  if (check->process != NULL)
    plugin_process_let_go (g_steal_pointer (&check->process));
  g_task_return_pointer (task, g_ptr_array_ref (check->findings), (GDestroyNotify)g_ptr_array_unref);
  g_object_unref (task);
}

static void
on_loaded (PluginProcess *process, FrameStatus status, const char *reason, gboolean needs_serial,
           gpointer data)
{
  Check *check = g_task_get_task_data (data);

  if (status != FRAME_STATUS_OK)
    {
      g_autofree char *text
          = g_strdup_printf ("'%s' cannot be used: %s", check->package->info->object, reason);

      add (check, TRUE, text);
    }
  finish (data);
}

static void
on_ended (PluginProcess *process, PluginEnd end, const char *reason, gpointer data)
{
  Check *check = g_task_get_task_data (data);
  g_autofree char *text
      = g_strdup_printf ("'%s' was loaded to look at it, but %s", check->package->info->object, reason);

  check->process = NULL;
  add (check, TRUE, text);
  finish (data);
}

/* Everything but the object. FALSE: there is nothing more to be looked at. */
static gboolean
look_at_files (Check *check, const char *path, GError **error)
{
  g_autofree char *file = g_path_get_basename (path);
  g_autofree char *text = NULL;
  g_autoptr (GError) problem = NULL;
  DescriptorKind kind = g_str_has_suffix (path, ".legacy") ? DESCRIPTOR_LEGACY : DESCRIPTOR_NATIVE;
  gsize length;

  if (!g_file_get_contents (path, &text, &length, error))
    return FALSE;
  if (lint_descriptor (file, kind, text, length, take_finding, check) > 0)
    return FALSE;
  check->package = plugin_package_read (path, &problem);
  if (check->package == NULL)
    add (check, TRUE, problem->message);
  return check->package != NULL;
}

void
plugin_check_async (PluginHost *host, const char *path, GAsyncReadyCallback callback, gpointer user_data)
{
  static const PluginProcessEvents events = { .loaded = on_loaded, .ended = on_ended };
  PluginAssignment assignment = { .is_to_run = FALSE };
  Check *check = g_new0 (Check, 1);
  GError *error = NULL;
  GTask *task;

  g_main_context_push_thread_default (host->context);
  task = g_task_new (NULL, NULL, callback, user_data);
  g_main_context_pop_thread_default (host->context);
  check->findings = g_ptr_array_new_with_free_func (finding_free);
  g_task_set_task_data (task, check, check_free);
  if (look_at_files (check, path, &error))
    check->process = plugin_process_start (host, check->package, &assignment, &events, task, &error);
  if (check->process != NULL)
    return;
  if (error != NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
    }
  else
    finish (task);
}

GPtrArray *
plugin_check_finish (GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}
