#include "host-server/modules/test-stage.h"

#include "common/base/test-folder.h"

#include <unistd.h>

void
outcome_clear (Outcome *outcome)
{
  g_free (outcome->serial);
  g_free (outcome->reason);
  *outcome = (Outcome){ 0 };
}

void
set_up (Fixture *fixture, gconstpointer first_user)
{
  fixture->folder = g_dir_make_tmp ("stoa-modules-XXXXXX", NULL);
  fixture->clock = clock_new_fake (0);
  ModulesOptions options = { .folder = fixture->folder,
                             .uid_base = geteuid () == 0 ? GPOINTER_TO_UINT (first_user) : 0,
                             .deadline_ms = 2000,
                             .cpu_s = 1,
                             .memory_bytes = 128 << 20,
                             .clock = fixture->clock };
  fixture->modules = modules_new (&options);
  g_assert_cmpstr (modules_get_problem (fixture->modules), ==, NULL);
}

void
tear_down (Fixture *fixture, gconstpointer first_user)
{
  modules_free (fixture->modules);
  clock_free (fixture->clock);
  test_folder_remove (fixture->folder);
  g_free (fixture->folder);
}

void
copy_file (Fixture *fixture, const char *from, const char *name)
{
  g_autofree char *to = g_build_filename (fixture->folder, name, NULL);
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true (g_file_get_contents (from, &bytes, &length, NULL));
  g_assert_true (g_file_set_contents (to, bytes, length, NULL));
}

void
on_done (const ModulesKeygenResult *result, gpointer data)
{
  Outcome *outcome = data;
  g_assert_false (outcome->is_done);
  *outcome = (Outcome){ .is_done = TRUE,
                        .outcome = result->outcome,
                        .serial = g_strdup (result->serial),
                        .expires_s = result->expires_s,
                        .reason = g_strdup (result->reason) };
}

ModulesKeygenRequest
make_request (const char *module, const char *plugin)
{
  ModulesKeygenRequest request = { .module = module,
                                   .user = "k3qabcdefghijklmnopqrstuvw",
                                   .plugin = plugin,
                                   .term = "P1Y",
                                   .line = "o_0123.1",
                                   .paid_at_s = 1764000000 };
  for (guint i = 0; i < sizeof request.seed; i++)
    request.seed[i] = (guint8)(i + 1);
  return request;
}

void
call (Fixture *fixture, const ModulesKeygenRequest *request, Outcome *outcome)
{
  modules_keygen_call (fixture->modules, request, on_done, outcome);
  g_assert_false (outcome->is_done);
  while (!outcome->is_done)
    g_main_context_iteration (NULL, TRUE);
}
