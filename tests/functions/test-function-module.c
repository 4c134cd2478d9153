/* Calls of a module of functions through the runner, without a server around it. */
#include "common/module/resources.h"
#include "host-server/modules/function-module.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Users for modules when the test runs as root; nobody has them. */
#define OWN_USERS 61500

typedef struct
{
  char *folder;
  Clock *clock;
  Modules *modules;
  FunctionModule *module;
} Fixture;

/* A call, and what it asked. */
typedef struct
{
  gboolean is_done;
  FunctionOutcome outcome;
  char *output;
  gsize n_output;
  char *word, *told;
  guint n_begun, n_gets, n_puts, n_lines;
  GHashTable *data; /* key → GBytes; what is put is there at once */
} Call;

static void
call_clear (Call *call)
{
  g_free (call->output);
  g_free (call->word);
  g_free (call->told);
  g_clear_pointer (&call->data, g_hash_table_unref);
  *call = (Call){ 0 };
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Call, call_clear)

static void
install (Fixture *fixture, const char *variable)
{
  g_autofree char *to = g_build_filename (fixture->folder, "probe.so", NULL);
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true (g_file_get_contents (g_getenv (variable), &bytes, &length, NULL));
  /* As a new file under the old name. */
  g_assert_true (g_file_set_contents (to, bytes, (gssize)length, NULL));
  g_chmod (to, 0644);
}

static FunctionModule *
open_module (Fixture *fixture, int data)
{
  g_autoptr (GError) error = NULL;
  FunctionModuleOptions options = { .module = "probe.so", .max_calls = 4, .data = data };
  FunctionModule *module = function_module_new (fixture->modules, &options, &error);
  g_assert_no_error (error);
  return module;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp ("stoa-functions-XXXXXX", NULL);
  fixture->clock = clock_new_system ();
  ModulesOptions options = { .folder = fixture->folder,
                             .uid_base = geteuid () == 0 ? OWN_USERS : 0,
                             .deadline_ms = 1500,
                             .cpu_s = 2,
                             .memory_bytes = 128 << 20,
                             .clock = fixture->clock };
  fixture->modules = modules_new (&options);
  g_assert_cmpstr (modules_get_problem (fixture->modules), ==, NULL);
  install (fixture, "STOA_PROBE_1");
  fixture->module = open_module (fixture, -1);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = g_build_filename (fixture->folder, "probe.so", NULL);
  modules_free (fixture->modules);
  clock_free (fixture->clock);
  g_unlink (path);
  g_rmdir (fixture->folder);
  g_free (fixture->folder);
}

static void
on_begin (gpointer data)
{
  Call *call = data;
  call->n_begun++;
}

static FunctionGet
on_get (const char *key, GBytes **value, gpointer data)
{
  Call *call = data;
  GBytes *found = g_hash_table_lookup (call->data, key);
  call->n_gets++;
  *value = found != NULL ? g_bytes_ref (found) : NULL;
  return found != NULL ? FUNCTION_GET_FOUND : FUNCTION_GET_ABSENT;
}

static gboolean
on_put (const char *key, const void *value, gsize length, gpointer data)
{
  Call *call = data;
  call->n_puts++;
  if (value != NULL)
    g_hash_table_replace (call->data, g_strdup (key), g_bytes_new (value, length));
  else
    g_hash_table_remove (call->data, key);
  return TRUE;
}

static void
on_log (guint32 level, const char *text, gpointer data)
{
  ((Call *)data)->n_lines++;
}

static void
on_done (const FunctionModuleResult *result, gpointer data)
{
  Call *call = data;
  g_assert_false (call->is_done);
  call->is_done = TRUE;
  call->outcome = result->outcome;
  call->output = g_strndup ((const char *)result->output, result->n_output);
  call->n_output = result->n_output;
  call->word = g_strdup (result->word);
  call->told = g_strdup (result->told);
}

static void
start (FunctionModule *module, Call *call, const char *function, const char *argument)
{
  static const FunctionModuleEvents events
      = { .begin = on_begin, .get = on_get, .put = on_put, .log = on_log };
  FunctionModuleRequest request = { .function = function,
                                    .user = "k3qabcdefghijklmnopqrstuvw",
                                    .application = "probe",
                                    .request = "r",
                                    .argument = (const guint8 *)argument,
                                    .n_argument = strlen (argument),
                                    .now_s = 1764000000 };
  call->data = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
  g_assert_true (function_module_call (module, &request, &events, on_done, call));
}

static void
finish (Call *call)
{
  while (!call->is_done)
    g_main_context_iteration (NULL, TRUE);
}

static guint
count_descriptors (void)
{
  guint n = 0;
  g_autoptr (GDir) entries = g_dir_open ("/proc/self/fd", 0, NULL);
  while (g_dir_read_name (entries) != NULL)
    n++;
  return n;
}

static void
assert_outcome (Fixture *fixture, const char *function, const char *argument, FunctionOutcome expected)
{
  g_auto (Call) call = { 0 };
  start (fixture->module, &call, function, argument);
  finish (&call);
  g_assert_cmpint (call.outcome, ==, expected);
}

static void
test_functions_see_their_call_and_nothing_of_the_one_before (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      g_auto (Call) call = { 0 };
      start (fixture->module, &call, "facts", "");
      finish (&call);
      g_assert_cmpint (call.outcome, ==, FUNCTION_OK);
      g_assert_cmpstr (call.output, ==, "k3qabcdefghijklmnopqrstuvw probe r 1500 1");
      g_assert_cmpuint (call.n_begun, ==, 1);
    }
}

static void
test_functions_ask_for_data_and_put_it (Fixture *fixture, gconstpointer data)
{
  g_auto (Call) call = { 0 };
  start (fixture->module, &call, "bump", "n");
  finish (&call);
  g_assert_cmpstr (call.output, ==, "1");
  g_assert_cmpuint (call.n_gets, ==, 1);
  g_assert_cmpuint (call.n_puts, ==, 1);
  GBytes *kept = g_hash_table_lookup (call.data, "n");
  g_assert_cmpmem (g_bytes_get_data (kept, NULL), g_bytes_get_size (kept), "1", 1);
}

static void
test_functions_are_not_asked_on_behind_sixty_four_operations (Fixture *fixture, gconstpointer data)
{
  g_auto (Call) call = { 0 };
  start (fixture->module, &call, "ask", "200");
  finish (&call);
  g_assert_cmpstr (call.output, ==, "136");
  g_assert_cmpuint (call.n_gets, ==, 64);
}

static void
test_functions_that_ask_for_ever_are_ended (Fixture *fixture, gconstpointer data)
{
  assert_outcome (fixture, "ask", "5000", FUNCTION_FAILED);
}

static void
test_functions_end_by_kind (Fixture *fixture, gconstpointer data)
{
  assert_outcome (fixture, "overflow", "", FUNCTION_OVERFLOW);
  assert_outcome (fixture, "unknown", "", FUNCTION_FAILED);
  assert_outcome (fixture, "exit", "", FUNCTION_FAILED);
  assert_outcome (fixture, "put-and-crash", "", FUNCTION_FAILED);
  assert_outcome (fixture, "spin", "60000", FUNCTION_LATE);
  g_auto (Call) call = { 0 };
  start (fixture->module, &call, "put-and-refuse", "");
  finish (&call);
  g_assert_cmpint (call.outcome, ==, FUNCTION_REFUSED);
  g_assert_cmpstr (call.word, ==, "denied");
  g_assert_cmpstr (call.told, ==, "not today");
  /* Faults of calls are their users' and stop nobody. */
  assert_outcome (fixture, "echo", "x", FUNCTION_OK);
}

static int
make_resources (void)
{
  static const ResourcesHeader header = { RESOURCES_MAGIC, 1 };
  static const ResourcesEntry entry
      = { sizeof header + sizeof entry, 11, sizeof header + sizeof entry + 11, 14 };
  int fd = memfd_create ("resources", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_cmpint (write (fd, &header, sizeof header), ==, sizeof header);
  g_assert_cmpint (write (fd, &entry, sizeof entry), ==, sizeof entry);
  g_assert_cmpint (write (fd,
                          "climate.csv"
                          "Lisbon,7,1,2,3",
                          25),
                   ==, 25);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), ==, 0);
  return fd;
}

static void
test_functions_find_resources_in_memory (Fixture *fixture, gconstpointer data)
{
  g_autofree char *forecast = NULL;
  g_autofree char *to = g_build_filename (fixture->folder, "probe.so", NULL);
  gsize length;
  g_assert_true (g_file_get_contents (g_getenv ("STOA_FORECAST"), &forecast, &length, NULL));
  g_assert_true (g_file_set_contents (to, forecast, (gssize)length, NULL));
  g_chmod (to, 0644);
  int fd = make_resources ();
  FunctionModule *module = open_module (fixture, fd);
  close (fd);
  g_auto (Call) call = { 0 };
  start (module, &call, "places", "");
  finish (&call);
  g_assert_cmpstr (call.output, ==, "Lisbon\n");
}

static void
test_functions_run_on_in_the_old_version_beside_the_new (Fixture *fixture, gconstpointer data)
{
  g_auto (Call) old = { 0 }, new = { 0 };
  start (fixture->module, &old, "slow-copy", "x 600");
  while (old.n_lines == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (function_module_is_current (fixture->module));
  install (fixture, "STOA_PROBE_2");
  g_assert_false (function_module_is_current (fixture->module));
  function_module_retire (fixture->module);
  fixture->module = open_module (fixture, -1);
  start (fixture->module, &new, "version", "");
  finish (&new);
  g_assert_cmpstr (new.output, ==, "2");
  g_assert_false (old.is_done);
  finish (&old);
  g_assert_cmpint (old.outcome, ==, FUNCTION_OK);
  g_assert_cmpuint (old.n_begun, ==, 1);
}

static void
test_functions_leave_nothing_behind (Fixture *fixture, gconstpointer data)
{
  assert_outcome (fixture, "echo", "x", FUNCTION_OK);
  guint before = count_descriptors ();
  for (guint i = 0; i < 500; i++)
    assert_outcome (fixture, i % 2 == 0 ? "echo" : "bump", "x", FUNCTION_OK);
  g_assert_cmpuint (count_descriptors (), ==, before);
  /* Those of a version that was retired go too. */
  FunctionModule *next = open_module (fixture, -1);
  function_module_retire (fixture->module);
  fixture->module = next;
  assert_outcome (fixture, "echo", "x", FUNCTION_OK);
  while (count_descriptors () > before)
    g_main_context_iteration (NULL, TRUE);
}

#define ADD(name)                                                                                            \
  g_test_add ("/function-module/" #name, Fixture, NULL, set_up, test_functions_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Failing calls are logged as warnings. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  ADD (see_their_call_and_nothing_of_the_one_before);
  ADD (ask_for_data_and_put_it);
  ADD (are_not_asked_on_behind_sixty_four_operations);
  ADD (that_ask_for_ever_are_ended);
  ADD (end_by_kind);
  ADD (find_resources_in_memory);
  ADD (run_on_in_the_old_version_beside_the_new);
  ADD (leave_nothing_behind);
  return g_test_run ();
}
