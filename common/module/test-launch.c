#include "common/module/launch.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_USER 61400

typedef struct
{
  Launcher *launcher;
  int object; /* sealed; any file will do for a runner that loads nothing */
  gboolean is_ready;
  guint landlock_abi;
  gboolean is_ended;
  LaunchEndKind end;
  char *reason;
} Fixture;

static void
on_ready (Launch *launch, const LaunchReady *ready, gpointer data)
{
  Fixture *fixture = data;
  g_assert_false (fixture->is_ready);
  g_assert_cmpint (ready->listener, ==, -1);
  fixture->is_ready = TRUE;
  fixture->landlock_abi = ready->landlock_abi;
}

static void
on_frame (Launch *launch, const Frame *frame, gpointer data)
{
  g_assert_not_reached ();
}

static void
on_ended (Launch *launch, const LaunchEnd *end, gpointer data)
{
  Fixture *fixture = data;
  g_assert_false (fixture->is_ended);
  fixture->is_ended = TRUE;
  fixture->end = end->kind;
  g_free (fixture->reason);
  fixture->reason = g_strdup (end->reason);
}

static const LaunchEvents events = { .ready = on_ready, .frame = on_frame, .ended = on_ended };

static LaunchSpec
make_spec (const Fixture *fixture)
{
  return (LaunchSpec){ .kind = "keygen",
                       .profile = LAUNCH_SERVER,
                       .sealed_object = fixture->object,
                       .memory_bytes = 64 << 20,
                       .cpu_s = 1,
                       .deadline_ms = 1000,
                       .max_calls = 1,
                       .uid = geteuid () == 0 ? OWN_USER : 0 };
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *runner = launch_find_runner ();
  g_assert_nonnull (runner);
  fixture->launcher = launcher_new (runner, NULL, &error);
  g_assert_no_error (error);
  fixture->object = launch_seal_object ("/proc/self/exe", NULL, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_pointer (&fixture->launcher, launcher_free);
  close (fixture->object);
  g_free (fixture->reason);
}

static Launch *
start (Fixture *fixture, const LaunchSpec *spec)
{
  g_autoptr (GError) error = NULL;
  fixture->is_ready = fixture->is_ended = FALSE;
  Launch *launch = launcher_start (fixture->launcher, spec, &events, fixture, &error);
  g_assert_no_error (error);
  g_assert_nonnull (launch);
  return launch;
}

static void
wait_for (const gboolean *flag)
{
  while (!*flag)
    g_main_context_iteration (NULL, TRUE);
}

/* A process that has ended and been reaped is not there any more. */
static void
wait_until_gone (pid_t pid)
{
  gint64 until_us = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
  while (kill (pid, 0) == 0 && g_get_monotonic_time () < until_us)
    g_usleep (2000);
  g_assert_cmpint (kill (pid, 0), !=, 0);
}

static void
test_launch_runner_becomes_ready_and_is_stopped_for_the_reason_given (Fixture *fixture, gconstpointer data)
{
  LaunchSpec spec = make_spec (fixture);
  Launch *launch = start (fixture, &spec);
  wait_for (&fixture->is_ready);
  g_assert_cmpuint (fixture->landlock_abi, >=, 2);
  pid_t pid = launch_get_pid (launch);
  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (launch_get_pidfd (launch), >=, 0);

  launch_stop (launch, "enough");
  launch_stop (launch, "the first reason counts");
  g_assert_false (fixture->is_ended);
  wait_for (&fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_KILLED);
  g_assert_cmpstr (fixture->reason, ==, "enough");
  g_assert_cmpint (kill (pid, 0), !=, 0);
}

static void
test_launch_runner_can_be_stopped_before_it_exists (Fixture *fixture, gconstpointer data)
{
  LaunchSpec spec = make_spec (fixture);
  launch_stop (start (fixture, &spec), "changed my mind");
  wait_for (&fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_KILLED);
  g_assert_cmpstr (fixture->reason, ==, "changed my mind");
}

static void
test_launch_what_cannot_be_confined_is_refused_with_its_reason (Fixture *fixture, gconstpointer data)
{
  LaunchSpec spec = make_spec (fixture);
  spec.kind = "teapot";
  start (fixture, &spec);
  wait_for (&fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_REFUSED);
  g_assert_cmpstr (fixture->reason, ==, "this runner does not carry such an object");

  /* A keygen is not run as a client's plugin, whose process would stay. */
  spec.kind = "keygen";
  spec.profile = LAUNCH_CLIENT;
  start (fixture, &spec);
  wait_for (&fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_REFUSED);

  spec = make_spec (fixture);
  spec.max_calls = 0;
  start (fixture, &spec);
  wait_for (&fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_REFUSED);
  g_assert_cmpstr (fixture->reason, ==, "the request makes no sense");
}

static void
test_launch_root_gets_no_vendor_code_and_nobody_else_gets_another_user (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  LaunchSpec spec = make_spec (fixture);
  spec.uid = geteuid () == 0 ? 0 : geteuid () + 1;
  g_assert_null (launcher_start (fixture->launcher, &spec, &events, fixture, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
}

static pid_t
find_parent (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int)pid);
  g_autofree char *text = NULL;
  int parent = 0;
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpint (sscanf (strrchr (text, ')') + 1, " %*c %d", &parent), ==, 1);
  return parent;
}

static void
test_launch_lost_supervisor_takes_its_runners_along_and_is_replaced (Fixture *fixture, gconstpointer data)
{
  LaunchSpec spec = make_spec (fixture);
  Launch *launch = start (fixture, &spec);
  wait_for (&fixture->is_ready);
  pid_t runner = launch_get_pid (launch);
  kill (find_parent (runner), SIGKILL);
  wait_for (&fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_LOST);
  wait_until_gone (runner);

  launch = start (fixture, &spec);
  wait_for (&fixture->is_ready);
  launch_stop (launch, "enough");
  wait_for (&fixture->is_ended);
}

static void
test_launch_freed_launcher_ends_what_runs (Fixture *fixture, gconstpointer data)
{
  LaunchSpec spec = make_spec (fixture);
  Launch *launch = start (fixture, &spec);
  wait_for (&fixture->is_ready);
  pid_t runner = launch_get_pid (launch);
  g_clear_pointer (&fixture->launcher, launcher_free);
  g_assert_true (fixture->is_ended);
  g_assert_cmpint (fixture->end, ==, LAUNCH_ENDED_KILLED);
  g_assert_cmpint (kill (runner, 0), !=, 0);
}

/* A host of its own that tells its runner's id and then does nothing. */
static void
be_a_host (int tell_fd)
{
  Fixture host = { 0 };
  set_up (&host, NULL);
  LaunchSpec spec = make_spec (&host);
  Launch *launch = start (&host, &spec);
  wait_for (&host.is_ready);
  pid_t runner = launch_get_pid (launch);
  g_assert_cmpint (write (tell_fd, &runner, sizeof runner), ==, sizeof runner);
  for (;;)
    pause ();
}

static void
test_launch_nothing_outlives_a_killed_host (void)
{
  int tell[2];
  pid_t runner, supervisor;
  g_assert_cmpint (pipe2 (tell, O_CLOEXEC), ==, 0);
  pid_t host = fork ();
  if (host == 0)
    be_a_host (tell[1]);
  g_assert_cmpint (read (tell[0], &runner, sizeof runner), ==, sizeof runner);
  supervisor = find_parent (runner);
  g_assert_cmpint (find_parent (supervisor), ==, host);
  kill (host, SIGKILL);
  waitpid (host, NULL, 0);
  wait_until_gone (runner);
  wait_until_gone (supervisor);
  close (tell[0]);
  close (tell[1]);
}

static void
test_launch_sealed_object_is_a_copy_nobody_changes (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  guint8 digest[32];
  char bytes[8] = "";
  int file = g_file_open_tmp ("stoa-object-XXXXXX", &path, &error);
  g_assert_cmpint (write (file, "abc", 3), ==, 3);
  int sealed = launch_seal_object (path, digest, &error);
  g_assert_no_error (error);
  /* FIPS 180-2, appendix B.1 */
  g_assert_cmpuint (digest[0], ==, 0xba);
  g_assert_cmpuint (digest[31], ==, 0xad);

  g_assert_cmpint (write (file, "def", 3), ==, 3);
  g_assert_cmpint (pread (sealed, bytes, sizeof bytes, 0), ==, 3);
  g_assert_cmpint (pwrite (sealed, "x", 1, 0), <, 0);
  g_assert_cmpint (ftruncate (sealed, 0), <, 0);
  close (sealed);
  close (file);
  g_unlink (path);

  g_assert_cmpint (launch_seal_object (path, NULL, &error), <, 0);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_cmpint (launch_seal_object ("/", NULL, &error), <, 0);
  g_assert_nonnull (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/module/" #name, Fixture, NULL, set_up, test_##name, tear_down)
  /* First: it forks, and there is nothing yet that a fork would share. */
  g_test_add_func ("/module/launch_nothing_outlives_a_killed_host",
                   test_launch_nothing_outlives_a_killed_host);
  g_test_add_func ("/module/launch_sealed_object_is_a_copy_nobody_changes",
                   test_launch_sealed_object_is_a_copy_nobody_changes);
  ADD (launch_runner_becomes_ready_and_is_stopped_for_the_reason_given);
  ADD (launch_runner_can_be_stopped_before_it_exists);
  ADD (launch_what_cannot_be_confined_is_refused_with_its_reason);
  ADD (launch_root_gets_no_vendor_code_and_nobody_else_gets_another_user);
  ADD (launch_lost_supervisor_takes_its_runners_along_and_is_replaced);
  ADD (launch_freed_launcher_ends_what_runs);
  return g_test_run ();
}
