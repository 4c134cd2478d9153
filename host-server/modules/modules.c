#include "host-server/modules/modules-private.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/module/launch.h"
#include "common/module/sandbox.h"
#include "plugin-abi/include/host/keygen.h"

#include <string.h>
#include <unistd.h>

#define MAX_KEYGEN_CALLS 4 /* of one module, at once */

typedef struct
{
  ModulesKeygenDone done;
  gpointer data;
  const char *reason; /* static; of a call that was refused at once */
} KeygenCall;

const char *
modules_outcome_name (ModulesOutcome outcome)
{
  static const char *const names[] = { "ok", "refused", "retry", "failed", "unavailable" };
  g_return_val_if_fail (outcome < G_N_ELEMENTS (names), "?");
  return names[outcome];
}

/* --- what there is --- */

static char *
describe_confinement (uid_t uid_base)
{
  unsigned abi = sandbox_get_landlock_abi ();
  return uid_base != 0 ? g_strdup_printf ("landlock %u, seccomp, users %u-%u", abi, uid_base,
                                          uid_base + REGISTRY_MAX_OWN_USERS - 1)
                       : g_strdup_printf ("landlock %u, seccomp, the server's own user", abi);
}

static Launcher *
start_launcher (const ModulesOptions *options, char **problem)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *runner_path
      = options->runner_path != NULL ? g_strdup (options->runner_path) : launch_find_runner ();
  Launcher *launcher = NULL;
  if (runner_path == NULL)
    *problem = g_strdup ("plugin-runner is not installed");
  else if (geteuid () == 0 && options->uid_base == 0)
    *problem = g_strdup (
        "vendor code does not run as root: set [modules] uid_base, or start the server as another user");
  else if (!launch_is_possible (options->uid_base, &error)
           || (launcher = launcher_new (runner_path, NULL, &error)) == NULL)
    *problem = g_strdup (error->message);
  return launcher;
}

Modules *
modules_new (const ModulesOptions *options)
{
  Modules *modules = g_new0 (Modules, 1);
  modules->launcher = start_launcher (options, &modules->problem);
  modules->registry = registry_new (options->folder, options->uid_base, options->clock);
  modules->runners = g_hash_table_new (NULL, NULL);
  modules->setting = (RunnerSetting){ .launcher = modules->launcher,
                                      .registry = modules->registry,
                                      .deadline_ms = options->deadline_ms,
                                      .cpu_s = options->cpu_s,
                                      .memory_bytes = options->memory_bytes,
                                      .kind = "keygen",
                                      .max_calls = MAX_KEYGEN_CALLS,
                                      .n_beside = 1,
                                      .data = -1 };
  g_queue_init (&modules->function_modules);
  g_queue_init (&modules->refused);
  if (modules->launcher != NULL)
    modules->confinement = describe_confinement (options->uid_base);
  else
    log_warning ("modules", "no vendor code runs here: %s", modules->problem);
  return modules;
}

Modules *
modules_open (const Config *config, const Clock *clock)
{
  const char *folder = config_get_text (config, "modules", "folder");
  g_autofree char *fallback = g_build_filename (config_get_text (config, "server", "data"), "modules", NULL);
  gboolean has_users = config_is_set (config, "modules", "uid_base");
  ModulesOptions options
      = { .folder = folder != NULL ? folder : fallback,
          .uid_base = has_users ? (uid_t)config_get_int (config, "modules", "uid_base") : 0,
          .deadline_ms = (guint)config_get_int (config, "modules", "deadline_ms"),
          .cpu_s = (guint)config_get_int (config, "modules", "cpu_s"),
          .memory_bytes = config_get_bytes (config, "modules", "memory"),
          .clock = clock };
  return modules_new (&options);
}

static void
refuse_all (Modules *modules)
{
  KeygenCall *call;
  g_clear_pointer (&modules->refuse_source, g_source_unref);
  for (guint n = g_queue_get_length (&modules->refused); n > 0; n--)
    {
      call = g_queue_pop_head (&modules->refused);
      ModulesKeygenResult result = { .outcome = MODULES_UNAVAILABLE, .reason = call->reason };
      call->done (&result, call->data);
      g_free (call);
    }
}

void
modules_free (Modules *modules)
{
  GHashTableIter each;
  gpointer runner;
  if (modules->refuse_source != NULL)
    g_source_destroy (modules->refuse_source);
  refuse_all (modules);
  g_hash_table_iter_init (&each, modules->runners);
  while (g_hash_table_iter_next (&each, NULL, &runner))
    module_runner_stop (runner);
  function_modules_stop (modules);
  g_clear_pointer (&modules->launcher, launcher_free);
  function_modules_clear (modules);
  g_hash_table_iter_init (&each, modules->runners);
  while (g_hash_table_iter_next (&each, NULL, &runner))
    module_runner_free (runner);
  g_hash_table_unref (modules->runners);
  registry_free (modules->registry);
  g_free (modules->problem);
  g_free (modules->confinement);
  g_free (modules);
}

const char *
modules_get_problem (Modules *modules)
{
  return modules->problem;
}

const char *
modules_get_confinement (Modules *modules)
{
  return modules->confinement != NULL ? modules->confinement : "none: no vendor code runs here";
}

ModulesState
modules_get_state (Modules *modules, const char *name)
{
  if (modules->launcher == NULL)
    return MODULES_STATE_REFUSED;
  Module *module = registry_find (modules->registry, name);
  return module != NULL ? registry_get_state (modules->registry, module) : MODULES_STATE_ABSENT;
}

const char *
modules_life_name (ModulesLife life)
{
  static const char *const names[] = { "installed", "verified", "running", "crashed", "refused" };
  g_return_val_if_fail (life < G_N_ELEMENTS (names), "?");
  return names[life];
}

const char *
modules_call_end_name (ModulesCallEnd end)
{
  static const char *const names[] = { "ok", "error", "timeout", "crash", "refused" };
  g_return_val_if_fail (end < G_N_ELEMENTS (names), "?");
  return names[end];
}

typedef struct
{
  Modules *modules;
  void (*each) (const ModulesFacts *facts, gpointer data);
  gpointer data;
} Listing;

/* Whether a process of it takes calls; *@n_spares: how many wait for one. */
static gboolean
is_running (const Modules *modules, const Module *module, guint *n_spares)
{
  const ModuleRunner *runner = g_hash_table_lookup (modules->runners, module);
  *n_spares = runner != NULL ? module_runner_count_spares (runner) : 0;
  gboolean is_serving = function_modules_look (modules, module, n_spares);
  return is_serving || (runner != NULL && module_runner_is_serving (runner));
}

static ModulesLife
get_life (const Modules *modules, const Module *module, guint *n_spares)
{
  gboolean is_there = is_running (modules, module, n_spares);
  ModulesState state
      = modules->launcher == NULL ? MODULES_STATE_REFUSED : registry_get_state (modules->registry, module);
  if (state == MODULES_STATE_QUARANTINED)
    return MODULES_LIFE_CRASHED;
  if (state != MODULES_STATE_READY)
    return MODULES_LIFE_REFUSED;
  if (is_there)
    return MODULES_LIFE_RUNNING;
  return module->is_verified ? MODULES_LIFE_VERIFIED : MODULES_LIFE_INSTALLED;
}

static void
list_module (Module *module, gpointer data)
{
  const Listing *listing = data;
  ModulesFacts facts = { .module = module->name,
                         .profile = module->profile,
                         .use = module->use,
                         .reason = module->last_fault,
                         .n_good = module->n_good,
                         .n_faults = module->n_bad };
  facts.life = get_life (listing->modules, module, &facts.n_spares);
  if (facts.life == MODULES_LIFE_REFUSED)
    facts.reason = listing->modules->launcher == NULL ? listing->modules->problem : module->unsuitable;
  listing->each (&facts, listing->data);
}

void
modules_foreach (Modules *modules, void (*each) (const ModulesFacts *facts, gpointer data), gpointer data)
{
  Listing listing = { .modules = modules, .each = each, .data = data };
  registry_scan (modules->registry, list_module, &listing);
}

/* --- keygens --- */

/* host/keygen.h: printable ASCII, spaces and line feeds inside. */
static gboolean
is_serial (const char *serial)
{
  size_t length = strlen (serial);
  if (length == 0 || length > HOST_SERIAL_MAX || !g_ascii_isgraph (serial[0])
      || !g_ascii_isgraph (serial[length - 1]))
    return FALSE;
  for (const char *at = serial; *at != '\0'; at++)
    if (!g_ascii_isprint (*at) && *at != '\n')
      return FALSE;
  return TRUE;
}

/* Reads what a keygen answered. FALSE: that is a fault of its own. */
static gboolean
read_answer (FrameReader *answer, ModulesKeygenResult *result)
{
  guint32 code = frame_get_u32 (answer);
  const char *serial = frame_get_text (answer);
  gint64 expires_s = frame_get_i64 (answer);
  *result = (ModulesKeygenResult){ .outcome = MODULES_REFUSED };
  switch (code)
    {
    case HOST_OK:
      if (!frame_reader_is_done (answer) || !is_serial (serial) || expires_s < 0)
        break;
      *result = (ModulesKeygenResult){
        .outcome = MODULES_OK, .serial = serial, .expires_s = expires_s, .reason = ""
      };
      return TRUE;
    case HOST_BAD_INPUT:
      result->reason = "the module says: bad input";
      return TRUE;
    case HOST_DENIED:
      result->reason = "the module says: denied";
      return TRUE;
    case HOST_EXPIRED:
      result->reason = "the module says: expired";
      return TRUE;
    case HOST_RETRY:
      *result = (ModulesKeygenResult){ .outcome = MODULES_RETRY, .reason = "the module says: not now" };
      return TRUE;
    default:
      break;
    }
  *result = (ModulesKeygenResult){ .outcome = MODULES_FAILED,
                                   .reason = code == HOST_OK ? "the module's answer is no serial"
                                                             : "the module failed by its own word" };
  return FALSE;
}

static RunnerVerdict
on_keygen_done (const RunnerCallResult *ended, gpointer data)
{
  g_autofree KeygenCall *call = data;
  ModulesKeygenResult result = { .outcome = MODULES_UNAVAILABLE, .reason = ended->reason };
  FrameReader answer = ended->answer;
  RunnerVerdict verdict = RUNNER_ANSWER_NONSENSE;
  switch (ended->end)
    {
    case RUNNER_CALL_ANSWERED:
      if (read_answer (&answer, &result))
        verdict = result.outcome == MODULES_OK ? RUNNER_ANSWER_GOOD : RUNNER_ANSWER_REFUSAL;
      break;
    case RUNNER_CALL_FAULT:
      result.outcome = MODULES_FAILED;
      break;
    case RUNNER_CALL_LOST:
      result.outcome = MODULES_RETRY;
      break;
    case RUNNER_CALL_REFUSED:
      break;
    }
  call->done (&result, call->data);
  return verdict;
}

static ModuleRunner *
get_runner (Modules *modules, Module *module)
{
  ModuleRunner *runner = g_hash_table_lookup (modules->runners, module);
  if (runner == NULL)
    {
      runner = module_runner_new (module, &modules->setting);
      g_hash_table_insert (modules->runners, module, runner);
    }
  return runner;
}

static gboolean
on_refuse (gpointer data)
{
  refuse_all (data);
  return G_SOURCE_REMOVE;
}

static void
refuse_later (Modules *modules, KeygenCall *call, const char *reason)
{
  call->reason = reason;
  g_queue_push_tail (&modules->refused, call);
  if (modules->refuse_source == NULL)
    {
      modules->refuse_source = g_idle_source_new ();
      g_source_set_priority (modules->refuse_source, G_PRIORITY_DEFAULT);
      g_source_set_callback (modules->refuse_source, on_refuse, modules, NULL);
      g_source_attach (modules->refuse_source, NULL);
    }
}

static void
write_request (Frame *frame, const ModulesKeygenRequest *request)
{
  frame_begin (frame, FRAME_OP_CALL_KEYGEN, FRAME_ASK, 1);
  frame_put_text (frame, request->user);
  frame_put_text (frame, request->plugin);
  frame_put_text (frame, request->term);
  frame_put_text (frame, request->line);
  frame_put_u32 (frame, request->generation);
  frame_put_u32 (frame, request->counter);
  frame_put_bytes (frame, request->seed, sizeof request->seed);
  frame_put_i64 (frame, request->paid_at_s);
}

void
modules_keygen_call (Modules *modules, const ModulesKeygenRequest *request, ModulesKeygenDone done,
                     gpointer data)
{
  static const char *const reasons[] = { [MODULES_STATE_ABSENT] = "there is no such module",
                                         [MODULES_STATE_READY] = "too many calls of the module wait",
                                         [MODULES_STATE_QUARANTINED] = "the module is quarantined",
                                         [MODULES_STATE_UNSUITABLE] = "the object is no module",
                                         [MODULES_STATE_REFUSED] = "no vendor code runs here" };
  KeygenCall *call = g_new0 (KeygenCall, 1);
  call->done = done;
  call->data = data;

  Module *module = modules->launcher != NULL ? registry_find (modules->registry, request->module) : NULL;
  ModulesState state = modules->launcher == NULL ? MODULES_STATE_REFUSED
                       : module == NULL          ? MODULES_STATE_ABSENT
                                                 : registry_get_state (modules->registry, module);
  gboolean is_taken = FALSE;
  if (state == MODULES_STATE_READY)
    {
      g_autofree Frame *frame = g_new (Frame, 1);
      write_request (frame, request);
      is_taken = frame_is_whole (frame)
                 && module_runner_call (get_runner (modules, module), frame, on_keygen_done, call);
      secret_wipe (frame->payload, MIN (frame->header.length, FRAME_MAX_PAYLOAD));
    }
  if (is_taken)
    return;
  if (module != NULL)
    module->use.n_calls[MODULES_CALL_REFUSED]++;
  refuse_later (modules, call, reasons[state]);
}
