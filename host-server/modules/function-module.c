#include "host-server/modules/function-module.h"
#include "common/base/secret.h"
#include "host-server/modules/modules-private.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Versions side by side, and applications of the same object. */
#define MAX_BESIDE 4

struct FunctionModule
{
  Modules *modules;
  ModuleRunner *runner;
  Module *module;
  guint generation; /* of the object's file */
  int data;
  guint n_open; /* calls not yet handed back */
  gboolean is_retired;
  GSource *reaper; /* looks whether a retired one can go */
};

typedef struct
{
  FunctionModule *owner;
  const FunctionModuleEvents *events;
  FunctionModuleDone done;
  gpointer data;
  guint n_operations;
} FunctionCall;

/* --- what a call asks --- */

static void
on_begin (gpointer data)
{
  FunctionCall *call = data;
  call->n_operations = 0;
  call->events->begin (call->data);
}

static void
on_ask (const Frame *asked, Frame *answer, gpointer data)
{
  FunctionCall *call = data;
  function_ask_answer (asked, answer, &call->n_operations, call->events, call->data);
}

static void
on_log (guint32 level, const char *text, gpointer data)
{
  FunctionCall *call = data;
  call->events->log (level, text, call->data);
}

static const RunnerEvents function_events = {
  .grants = FRAME_GRANT_USER_DATA, .forgives_calls = TRUE, .ask = on_ask, .log = on_log, .begin = on_begin
};

/* --- one version --- */

FunctionModule *
function_module_new (Modules *modules, const FunctionModuleOptions *options, GError **error)
{
  Module *module = modules->launcher != NULL ? registry_find (modules->registry, options->module) : NULL;
  if (module == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s",
                   modules->launcher == NULL ? modules->problem : "there is no such module");
      return NULL;
    }
  FunctionModule *self = g_new0 (FunctionModule, 1);
  self->modules = modules;
  self->module = module;
  self->generation = module->generation;
  self->data = options->data >= 0 ? fcntl (options->data, F_DUPFD_CLOEXEC, 0) : -1;
  RunnerSetting setting = modules->setting;
  setting.kind = "function";
  setting.max_calls = options->max_calls;
  setting.n_beside = MAX_BESIDE;
  setting.data = self->data;
  setting.events = &function_events;
  self->runner = module_runner_new (module, &setting);
  g_queue_push_tail (&modules->function_modules, self);
  return self;
}

static void
function_module_free (FunctionModule *self)
{
  if (self->reaper != NULL)
    {
      g_source_destroy (self->reaper);
      g_source_unref (self->reaper);
    }
  module_runner_free (self->runner);
  if (self->data >= 0)
    close (self->data);
  g_free (self);
}

/* Its processes are told to end when the last call is handed back, and it goes when they have. */
static gboolean
on_reap (gpointer data)
{
  FunctionModule *self = data;
  if (self->n_open > 0 || !module_runner_is_idle (self->runner))
    return G_SOURCE_CONTINUE;
  module_runner_stop (self->runner);
  if (module_runner_is_alive (self->runner))
    return G_SOURCE_CONTINUE;
  g_queue_remove (&self->modules->function_modules, self);
  g_clear_pointer (&self->reaper, g_source_unref);
  function_module_free (self);
  return G_SOURCE_REMOVE;
}

void
function_module_retire (FunctionModule *self)
{
  static const guint look_ms = 50;
  if (self->is_retired)
    return;
  self->is_retired = TRUE;
  self->reaper = g_timeout_source_new (look_ms);
  g_source_set_callback (self->reaper, on_reap, self, NULL);
  g_source_attach (self->reaper, NULL);
}

gboolean
function_module_is_current (FunctionModule *self)
{
  Module *module = registry_find (self->modules->registry, self->module->name);
  return module != NULL && module->generation == self->generation;
}

gboolean
function_modules_look (const Modules *modules, const Module *module, guint *n_spares)
{
  gboolean is_serving = FALSE;
  for (GList *each = modules->function_modules.head; each != NULL; each = each->next)
    {
      const FunctionModule *self = each->data;
      if (self->module != module)
        continue;
      *n_spares += module_runner_count_spares (self->runner);
      is_serving = is_serving || module_runner_is_serving (self->runner);
    }
  return is_serving;
}

void
function_modules_stop (Modules *modules)
{
  for (GList *each = modules->function_modules.head; each != NULL; each = each->next)
    module_runner_stop (((FunctionModule *)each->data)->runner);
}

void
function_modules_clear (Modules *modules)
{
  g_queue_clear_full (&modules->function_modules, (GDestroyNotify)function_module_free);
}

/* --- calls --- */

static RunnerVerdict
on_done (const RunnerCallResult *ended, gpointer data)
{
  FunctionCall *call = data;
  FunctionModuleResult result = { .outcome = FUNCTION_UNAVAILABLE, .reason = ended->reason, .told = "" };
  g_autofree char *told = NULL;
  FrameReader answer = ended->answer;
  RunnerVerdict verdict = RUNNER_ANSWER_NONSENSE;
  switch (ended->end)
    {
    case RUNNER_CALL_ANSWERED:
      if (function_answer_read (&answer, &result))
        verdict = result.outcome == FUNCTION_OK ? RUNNER_ANSWER_GOOD : RUNNER_ANSWER_REFUSAL;
      if (result.outcome == FUNCTION_REFUSED)
        result.told = told = g_utf8_make_valid ((const char *)result.output, (gssize)result.n_output);
      break;
    case RUNNER_CALL_FAULT:
      result.outcome = ended->fault == RUNNER_FAULT_TIME ? FUNCTION_LATE : FUNCTION_FAILED;
      break;
    case RUNNER_CALL_LOST:
    case RUNNER_CALL_REFUSED:
      break;
    }
  call->owner->n_open--;
  call->done (&result, call->data);
  g_free (call);
  return verdict;
}

gboolean
function_module_call (FunctionModule *self, const FunctionModuleRequest *request,
                      const FunctionModuleEvents *events, FunctionModuleDone done, gpointer data)
{
  guint8 seed[32];
  if (registry_get_state (self->modules->registry, self->module) != MODULES_STATE_READY
      || getrandom (seed, sizeof seed, 0) != (ssize_t)sizeof seed)
    {
      self->module->use.n_calls[MODULES_CALL_REFUSED]++;
      return FALSE;
    }
  g_autofree Frame *frame = g_new (Frame, 1);
  function_request_put (frame, request, self->modules->setting.deadline_ms, seed);

  FunctionCall *call = g_new0 (FunctionCall, 1);
  *call = (FunctionCall){ .owner = self, .events = events, .done = done, .data = data };
  gboolean is_taken = !self->is_retired && frame_is_whole (frame)
                      && module_runner_call (self->runner, frame, on_done, call);
  secret_wipe (frame->payload, MIN (frame->header.length, FRAME_MAX_PAYLOAD));
  if (is_taken)
    self->n_open++;
  else
    {
      self->module->use.n_calls[MODULES_CALL_REFUSED]++;
      g_free (call);
    }
  return is_taken;
}
