#include "host-server/modules/function-module.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "host-server/modules/modules-private.h"
#include "plugin-abi/include/host/function.h"

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

static gboolean
is_key (const char *key)
{
  gsize length = strlen (key);
  if (length == 0 || length > HOST_KV_KEY_MAX || !text_is_xml (key, length))
    return FALSE;
  for (const char *at = key; *at != '\0'; at++)
    if (g_ascii_iscntrl (*at))
      return FALSE;
  return TRUE;
}

static void
on_begin (gpointer data)
{
  FunctionCall *call = data;
  call->n_operations = 0;
  call->events->begin (call->data);
}

static void
answer_get (FunctionCall *call, FrameReader *asked, const Frame *frame, Frame *answer)
{
  g_autoptr (GBytes) value = NULL;
  const char *key = frame_get_text (asked);
  FunctionGet found = is_key (key) ? call->events->get (key, &value, call->data) : FUNCTION_GET_REFUSED;
  gsize length = 0;
  const void *bytes = value != NULL ? g_bytes_get_data (value, &length) : NULL;
  if (found == FUNCTION_GET_REFUSED)
    {
      frame_answer (answer, &frame->header, FRAME_STATUS_REFUSED, NULL);
      return;
    }
  frame_put_u32 (answer, found == FUNCTION_GET_FOUND);
  frame_put_bytes (answer, bytes, length);
}

static void
answer_put (FunctionCall *call, FrameReader *asked, Frame *answer)
{
  gsize length;
  const char *key = frame_get_text (asked);
  gboolean is_kept = frame_get_u32 (asked) != 0;
  const guint8 *bytes = frame_get_bytes (asked, &length);
  guint32 result = HOST_KV_OK;
  if (length > HOST_KV_MAX)
    result = HOST_KV_TOO_LARGE;
  else if (!is_key (key) || !call->events->put (key, is_kept ? bytes : NULL, length, call->data))
    result = HOST_KV_REFUSED;
  frame_put_u32 (answer, result);
}

static void
on_ask (const Frame *asked, Frame *answer, gpointer data)
{
  FunctionCall *call = data;
  FrameReader reader;
  frame_read (&reader, asked);
  if (++call->n_operations > HOST_KV_OPERATIONS)
    frame_answer (answer, &asked->header, FRAME_STATUS_REFUSED, NULL);
  else if (asked->header.op == FRAME_OP_KV_GET)
    answer_get (call, &reader, asked, answer);
  else if (asked->header.op == FRAME_OP_KV_PUT)
    answer_put (call, &reader, answer);
  else
    frame_answer (answer, &asked->header, FRAME_STATUS_REFUSED, NULL);
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

/* Reads what the module answered. FALSE: that is a fault of its own. */
static gboolean
read_answer (FrameReader *answer, FunctionModuleResult *result)
{
  static const char *const words[] = { [HOST_BAD_INPUT] = "bad-input",
                                       [HOST_DENIED] = "denied",
                                       [HOST_EXPIRED] = "expired",
                                       [HOST_RETRY] = "retry" };
  guint32 code = frame_get_u32 (answer);
  result->output = frame_get_bytes (answer, &result->n_output);
  result->outcome = FUNCTION_FAILED;
  result->reason = "the module failed by its own word";
  if (!frame_reader_is_done (answer) || result->n_output > HOST_FUNCTION_MAX)
    return FALSE;
  if (code == HOST_OK)
    {
      result->outcome = FUNCTION_OK;
      result->reason = "";
      return TRUE;
    }
  if (code == FRAME_RESULT_OVERFLOW)
    {
      result->outcome = FUNCTION_OVERFLOW;
      result->reason = "its result is larger than the room for it";
      return FALSE;
    }
  if (code >= G_N_ELEMENTS (words))
    return FALSE;
  result->outcome = FUNCTION_REFUSED;
  result->word = words[code];
  result->reason = words[code];
  return TRUE;
}

static gboolean
on_done (const RunnerCallResult *ended, gpointer data)
{
  FunctionCall *call = data;
  FunctionModuleResult result = { .outcome = FUNCTION_UNAVAILABLE, .reason = ended->reason, .told = "" };
  g_autofree char *told = NULL;
  FrameReader answer = ended->answer;
  gboolean is_sensible = TRUE;
  switch (ended->end)
    {
    case RUNNER_CALL_ANSWERED:
      is_sensible = read_answer (&answer, &result);
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
  return is_sensible;
}

gboolean
function_module_call (FunctionModule *self, const FunctionModuleRequest *request,
                      const FunctionModuleEvents *events, FunctionModuleDone done, gpointer data)
{
  guint8 seed[32];
  if (registry_get_state (self->modules->registry, self->module) != MODULES_STATE_READY)
    return FALSE;
  if (getrandom (seed, sizeof seed, 0) != (ssize_t)sizeof seed)
    return FALSE;
  g_autofree Frame *frame = g_new (Frame, 1);
  frame_begin (frame, FRAME_OP_CALL_FUNCTION, FRAME_ASK, 1);
  frame_put_text (frame, request->function);
  frame_put_text (frame, request->user);
  frame_put_text (frame, request->application);
  frame_put_text (frame, request->request);
  frame_put_u32 (frame, self->modules->setting.deadline_ms);
  frame_put_bytes (frame, seed, sizeof seed);
  frame_put_i64 (frame, request->now_s);
  frame_put_bytes (frame, request->argument, request->n_argument);

  FunctionCall *call = g_new0 (FunctionCall, 1);
  *call = (FunctionCall){ .owner = self, .events = events, .done = done, .data = data };
  gboolean is_taken = !self->is_retired && frame_is_whole (frame)
                      && module_runner_call (self->runner, frame, on_done, call);
  secret_wipe (frame->payload, MIN (frame->header.length, FRAME_MAX_PAYLOAD));
  if (is_taken)
    self->n_open++;
  else
    g_free (call);
  return is_taken;
}
