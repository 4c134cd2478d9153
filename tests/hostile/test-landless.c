/* A host on a kernel without Landlock: no vendor code runs, and everybody is told why. */
#include "host-client/core/plugin.h"
#include "host-server/modules/modules.h"
#include "tests/hostile/landless.h"

#include "common/module/launch.h"
#include "common/module/sandbox.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_USERS 61400

static uid_t
get_uid_base (void)
{
  return geteuid () == 0 ? OWN_USERS : 0;
}

static void
on_done (const ModulesKeygenResult *result, gpointer data)
{
  char **reason = data;
  g_assert_cmpint (result->outcome, ==, MODULES_UNAVAILABLE);
  g_assert_null (result->serial);
  *reason = g_strdup (result->reason);
}

static void
assert_names_landlock (const char *text)
{
  g_assert_nonnull (text);
  if (strstr (text, "Landlock") == NULL)
    g_test_fail_printf ("this does not say what is missing: %s", text);
}

static void
on_listed (const ModulesFacts *facts, gpointer data)
{
  g_assert_cmpint (facts->life, ==, MODULES_LIFE_REFUSED);
  assert_names_landlock (facts->reason);
  ++*(guint *)data;
}

static void
test_landless_server_serves_no_module_and_says_why (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-landless-XXXXXX", NULL);
  g_autofree char *to = g_build_filename (folder, "weather.so", NULL);
  g_autofree char *bytes = NULL;
  g_autofree char *reason = NULL;
  g_autoptr (Clock) clock = clock_new_fake (0);
  guint n_listed = 0;
  gsize length;
  ModulesOptions options = { .folder = folder,
                             .uid_base = get_uid_base (),
                             .deadline_ms = 3000,
                             .cpu_s = 3,
                             .memory_bytes = 64 << 20,
                             .clock = clock };
  g_assert_true (g_file_get_contents (g_getenv ("STOA_WEATHER"), &bytes, &length, NULL));
  g_assert_true (g_file_set_contents (to, bytes, (gssize)length, NULL));

  Modules *modules = modules_new (&options);
  assert_names_landlock (modules_get_problem (modules));
  g_assert_cmpint (modules_get_state (modules, "weather.so"), ==, MODULES_STATE_REFUSED);
  modules_foreach (modules, on_listed, &n_listed);
  g_assert_cmpuint (n_listed, ==, 1);

  ModulesKeygenRequest request
      = { .module = "weather.so", .user = "user", .plugin = "plugin", .term = "", .line = "line" };
  modules_keygen_call (modules, &request, on_done, &reason);
  while (reason == NULL)
    g_main_context_iteration (NULL, TRUE);
  modules_free (modules);
  g_unlink (to);
  g_rmdir (folder);
}

static void
on_installed (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static void
test_landless_client_runs_no_plugin_and_says_why (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-landless-XXXXXX", NULL);
  g_autofree char *object = g_build_filename (folder, "hostile.so", NULL);
  g_autofree char *descriptor = g_build_filename (folder, "hostile.legacy", NULL);
  g_autofree char *bytes = NULL;
  g_autoptr (Clock) clock = clock_new_fake (0);
  g_autoptr (GError) error = NULL;
  gsize length;
  g_assert_true (g_file_get_contents (g_getenv ("STOA_HOSTILE"), &bytes, &length, NULL));
  g_assert_true (g_file_set_contents (object, bytes, (gssize)length, NULL));
  g_autofree char *sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *)bytes, length);
  g_autofree char *text = g_strdup_printf (
      "[Plugin]\nformat=1\nid=hostile\nname=Hostile\nversion=1\nobject=hostile.so\nsha256=%s\n"
      "[Command try]\ncall=cstr hostile_command (cstr input)\nhelp=Try\n",
      sha256);
  g_assert_true (g_file_set_contents (descriptor, text, -1, NULL));

  PluginHostOptions options = { .folder = folder, .clock = clock, .uid_base = get_uid_base () };
  PluginHost *host = plugin_host_new (&options, &error);
  if (host != NULL)
    {
      g_autoptr (GAsyncResult) result = NULL;
      plugin_host_install_async (host, descriptor, NULL, on_installed, &result);
      while (result == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_assert_null (plugin_host_install_finish (host, result, &error));
      plugin_host_free (host);
    }
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_UNSUPPORTED);
  assert_names_landlock (error->message);

  const char *const arguments[] = { "rm", "-rf", folder, NULL };
  g_spawn_sync (NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  /* Once for both answers of such kernels: the caller names it. */
  if (!landless_begin (g_strcmp0 (g_getenv ("STOA_LANDLESS"), "EOPNOTSUPP") == 0 ? EOPNOTSUPP : ENOSYS)
      || sandbox_get_landlock_abi () != 0)
    g_error ("cannot take Landlock away");
  g_test_add_func ("/landless/server_serves_no_module_and_says_why",
                   test_landless_server_serves_no_module_and_says_why);
  g_test_add_func ("/landless/client_runs_no_plugin_and_says_why",
                   test_landless_client_runs_no_plugin_and_says_why);
  return g_test_run ();
}
