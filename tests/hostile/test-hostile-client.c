/* What a hostile client plugin must not achieve: the same object, carried as a legacy plugin is, in one
 * process that stays. Its one filter is the boundary; once it is loaded a second one takes code mappings
 * away. */
#include "common/module/launch.h"
#include "tests/hostile/outside.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OWN_USER 61300
#define MARK     "HOSTILE-ORDERS:"

typedef enum
{
  IN_CONSTRUCTOR,
  IN_COMMAND,
  IN_COMMAND_STAGE_1, /* the constructor took the second stage away */
  N_TIMES,
} When;

static const char *const when_names[N_TIMES] = { "constructor", "command", "command-stage1" };

/* As in test-hostile.c: what must come of a deed, in a constructor and in a command; '!': the plugin ends for
 * that reason. With the second stage gone a command is where a constructor is, so that verdict counts. */
typedef struct
{
  const char *deed;
  const char *in_constructor;
  const char *in_command;
  LaunchProfile profile;
  gboolean may_connect;
} Row;

#define DENIED           "EPERM|EACCES"
#define KILLED_BY_FILTER "!signal 31"
#define CRASHED          "!signal 11|signal 4|signal 6"
#define ROW(deed, verdict)                                                                                   \
  {                                                                                                          \
    deed, verdict, verdict, LAUNCH_CLIENT, FALSE                                                             \
  }
#define CONNECTING(deed, verdict)                                                                            \
  {                                                                                                          \
    deed, verdict, verdict, LAUNCH_CLIENT, TRUE                                                              \
  }

static const Row rows[] = {
  ROW ("open_file", DENIED),
  ROW ("open_own_memory", DENIED),
  ROW ("open_host_memory", DENIED),
  ROW ("open_host_environment", DENIED),
  ROW ("list_folder", DENIED),
  ROW ("create_file", DENIED),
  ROW ("open_for_truncation", DENIED),
  ROW ("truncate_file", DENIED),
  ROW ("change_mode", DENIED),
  ROW ("make_folder", DENIED),
  ROW ("remove_file", DENIED),
  ROW ("tcp_socket", DENIED),
  ROW ("udp_socket", DENIED),
  ROW ("unix_socket", DENIED),
  ROW ("netlink_socket", DENIED),
  ROW ("socket_pair", DENIED),
  ROW ("make_pipe", DENIED),
  ROW ("make_eventfd", DENIED),
  ROW ("make_memfd", DENIED),
  ROW ("make_io_uring", DENIED),
  ROW ("make_userfaultfd", DENIED),
  ROW ("make_shared_memory", DENIED),
  ROW ("unshare_user", DENIED),
  ROW ("become_root", DENIED),
  ROW ("run_program", KILLED_BY_FILTER),
  ROW ("fork_and_stay", DENIED),
  ROW ("make_thread", DENIED),
  { "make_thread", "done", "done", LAUNCH_CLIENT_THREADS, FALSE },
  { "make_many_threads", "!too many threads", "!too many threads", LAUNCH_CLIENT_THREADS, FALSE },
  { "fork_and_stay", DENIED, DENIED, LAUNCH_CLIENT_THREADS, FALSE },
  ROW ("leave_group", DENIED),
  ROW ("leave_session", DENIED),
  ROW ("kill_host", DENIED),
  ROW ("kill_everybody", DENIED),
  ROW ("open_host_pidfd", DENIED),
  ROW ("own_a_signal", DENIED),
  ROW ("trace_host", KILLED_BY_FILTER),
  ROW ("read_host_memory", KILLED_BY_FILTER),
  ROW ("limit_host", DENIED),
  ROW ("raise_own_limit", DENIED),
  ROW ("become_dumpable", DENIED),
  ROW ("outlive_the_supervisor", DENIED),
  ROW ("adopt_orphans", DENIED),
  ROW ("listen_to_own_calls", DENIED),
  ROW ("old_machine_call", KILLED_BY_FILTER),
  ROW ("x32_call", KILLED_BY_FILTER),
  ROW ("map_shared", DENIED),
  ROW ("map_executable", DENIED),
  ROW ("make_executable", DENIED),
  { "load_late", "done", "refused", LAUNCH_CLIENT, FALSE },
  /* A constructor maps code anyway: its own. Afterwards nothing becomes code. */
  { "run_what_it_wrote", "done", DENIED, LAUNCH_CLIENT, FALSE },
  ROW ("allocate", "ENOMEM"),
  ROW ("recurse", CRASHED),
  ROW ("call_abort", CRASHED),
  ROW ("call_exit", "!status 0"),
  ROW ("write_null", CRASHED),
  ROW ("answer_twice", "!misplaced"),
  ROW ("answer_too_much", "!no frame"),
  ROW ("send_unknown_frame", "!unknown"),
  ROW ("send_descriptor", "!no frame"),
  ROW ("count_environment", "none"),
  ROW ("write_data", "done"),
  ROW ("write_too_much", "EFBIG"),
  ROW ("move_out_of_folder", "EACCES|EXDEV|EPERM"),
  ROW ("link_out_of_folder", DENIED),
  ROW ("change_folder", DENIED),
  ROW ("answer_another_call", "!misplaced|answered what was not asked"),
  ROW ("answer_less_than_said", "!truncated|no frame"),
  /* An empty packet is an end: whoever is first, the host that kills it or itself. */
  ROW ("send_nothing", "!signal 9|status 0"),
  ROW ("close_everything", "!status|signal|channel|gone"),
  ROW ("make_forbidden_calls", "EPERM"),
  ROW ("run_descriptor", KILLED_BY_FILTER),
  ROW ("write_host_memory", KILLED_BY_FILTER),
  ROW ("signal_itself", DENIED),
  ROW ("signal_thread_of_host", DENIED),
  ROW ("queue_signal_to_host", DENIED),
  ROW ("fork_the_old_way", DENIED),
  ROW ("fork_with_shared_memory", DENIED),
  ROW ("fork_by_clone3", "ENOSYS"),
  /* What narrows is no way out, and the runner needs it to enter stage 2. */
  { "install_filter", "done", DENIED, LAUNCH_CLIENT, FALSE },
  ROW ("install_filter_by_prctl", DENIED),
  ROW ("map_shared_validated", DENIED),
  ROW ("rewrite_own_code", CRASHED),
  ROW ("hide_flags", DENIED),
  ROW ("open_for_writing", DENIED),
  ROW ("open_unnamed", DENIED),
  ROW ("open_shared_memory", DENIED),
  ROW ("climb_out_by_dots", DENIED),
  ROW ("open_root_of_itself", DENIED),
  { "make_forbidden_calls", "EPERM", "EPERM", LAUNCH_CLIENT_THREADS, FALSE },
  { "fork_with_shared_memory", DENIED, DENIED, LAUNCH_CLIENT_THREADS, FALSE },
  CONNECTING ("tcp_socket", "done"),
  CONNECTING ("udp_socket", DENIED),
  CONNECTING ("unix_socket", DENIED),
  CONNECTING ("raw_socket", DENIED),
  CONNECTING ("multipath_socket", DENIED),
  CONNECTING ("bind_socket", DENIED),
  CONNECTING ("listen_socket", DENIED),
  CONNECTING ("open_fast", DENIED),
  CONNECTING ("open_fast_by_message", DENIED),
  CONNECTING ("send_to_address", DENIED),
  CONNECTING ("change_protocol", DENIED),
  CONNECTING ("open_file", DENIED),
  CONNECTING ("become_dumpable", DENIED),
};

/* Only with -m slow: it takes the half minute that it is about. */
static const Row slow_row
    = { "loop", "!more than half of a processor", "!more than half of a processor", LAUNCH_CLIENT, FALSE };

typedef struct
{
  const Row *row;
  When when;
} Case;

/* What must not grow with commands. */
typedef struct
{
  guint n_descriptors;        /* of this process */
  guint n_plugin_descriptors; /* 0: not to be seen, as another user */
  gsize n_plugin_pages;
} Held;

static guint
count_entries (const char *folder)
{
  g_autoptr (GDir) entries = g_dir_open (folder, 0, NULL);
  guint n = 0;
  while (entries != NULL && g_dir_read_name (entries) != NULL)
    n++;
  return n;
}

static Held
measure (pid_t plugin)
{
  g_autofree char *descriptors = g_strdup_printf ("/proc/%d/fd", (int)plugin);
  g_autofree char *memory = g_strdup_printf ("/proc/%d/statm", (int)plugin);
  g_autofree char *text = NULL;
  unsigned long size, resident = 0;
  if (g_file_get_contents (memory, &text, NULL, NULL))
    g_assert_cmpint (sscanf (text, "%lu %lu", &size, &resident), ==, 2);
  return (Held){ .n_descriptors = count_entries ("/proc/self/fd"),
                 .n_plugin_descriptors = count_entries (descriptors),
                 .n_plugin_pages = resident };
}

typedef struct
{
  char *folder;
  char *data;
  Launcher *launcher;
  Launch *launch;
  const Case *tried;
  char *answer; /* of the command */
  char *end;    /* why the plugin ended */
  guint n_answers;
  Held before;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer tried)
{
  g_autoptr (GError) error = NULL;
  const char *given = g_getenv ("STOA_RUNNER");
  g_autofree char *runner = given != NULL ? g_strdup (given) : launch_find_runner ();
  fixture->tried = tried;
  fixture->folder = g_dir_make_tmp ("stoa-hostile-XXXXXX", NULL);
  fixture->data = g_build_filename (fixture->folder, "data", NULL);
  g_assert_cmpint (g_mkdir (fixture->data, 0700), ==, 0);
  g_chmod (fixture->folder, 0755);
  if (geteuid () == 0)
    g_assert_cmpint (chown (fixture->data, OWN_USER, OWN_USER), ==, 0);
  outside_make ();
  fixture->launcher = launcher_new (runner, NULL, &error);
  g_assert_no_error (error);
}

static void
empty (const char *folder)
{
  g_autoptr (GDir) entries = g_dir_open (folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_remove (path);
    }
}

static void
tear_down (Fixture *fixture, gconstpointer tried)
{
  launcher_free (fixture->launcher);
  g_assert_null (fixture->launch);
  empty (fixture->data);
  empty (fixture->folder);
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  outside_remove ();
  g_free (fixture->folder);
  g_free (fixture->data);
  g_free (fixture->answer);
  g_free (fixture->end);
}

/* The hostile object with its orders, and the descriptor that goes with its bytes. */
static void
install (const Fixture *fixture, char **descriptor)
{
  static const char *const orders[N_TIMES] = { "constructor", "call", "call-stage1" };
  g_autofree char *bytes = NULL;
  g_autofree char *path = g_build_filename (fixture->folder, "hostile.so", NULL);
  gsize length;
  g_assert_true (g_file_get_contents (g_getenv ("STOA_HOSTILE"), &bytes, &length, NULL));
  char *mark = memmem (bytes, length, MARK " none", strlen (MARK " none"));
  g_assert_nonnull (mark);
  g_snprintf (mark + strlen (MARK), 112, " %s %s %d", fixture->tried->row->deed, orders[fixture->tried->when],
              (int)getpid ());
  g_assert_true (
      g_file_set_contents_full (path, bytes, (gssize)length, G_FILE_SET_CONTENTS_NONE, 0755, NULL));

  g_autofree char *sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *)bytes, length);
  *descriptor = g_strdup_printf (
      "[Plugin]\nformat=1\nid=hostile\nname=Hostile\nversion=1\nobject=hostile.so\nsha256=%s\n"
      "[Permissions]\ndata=1M\n"
      "[Command try]\ncall=cstr hostile_command (cstr input)\nhelp=Try\n",
      sha256);
}

static void
send_load (Launch *launch, const char *descriptor)
{
  g_autofree Frame *frame = g_new (Frame, 1);
  frame_begin (frame, FRAME_OP_LOAD_PLUGIN, FRAME_ASK, launch_next_call (launch));
  frame_put_u32 (frame, FRAME_LOAD_TO_RUN);
  frame_put_text (frame, "hostile.legacy");
  frame_put_bytes (frame, descriptor, strlen (descriptor));
  frame_put_text (frame, "user");
  frame_put_text (frame, "");
  frame_put_text (frame, "example.org");
  frame_put_text (frame, "");
  frame_put_text (frame, "C");
  frame_put_i64 (frame, 0);
  g_assert_true (launch_send (launch, frame));
  launch_set_phase (launch, FRAME_PHASE_LOAD);
}

static gboolean
expects (const char *what)
{
  return g_strcmp0 (g_getenv ("STOA_EXPECT"), what) == 0;
}

static void
on_ready (Launch *launch, const LaunchReady *ready, gpointer data)
{
  Fixture *fixture = data;
  /* Else the kernel of today is tried twice. */
  if (expects ("older"))
    g_assert_cmpuint (ready->landlock_abi, ==, 2);
  g_assert_false (expects ("refused"));
  g_autofree char *descriptor = NULL;
  install (fixture, &descriptor);
  g_assert_true ((ready->listener >= 0) == fixture->tried->row->may_connect);
  if (ready->listener >= 0)
    close (ready->listener);
  send_load (launch, descriptor);
}

static void
on_frame (Launch *launch, const Frame *frame, gpointer data)
{
  Fixture *fixture = data;
  FrameReader reader;
  frame_read (&reader, frame);
  if (frame->header.flags != FRAME_ANSWER)
    return;
  if (frame->header.status != FRAME_STATUS_OK)
    {
      fixture->answer = g_strdup_printf ("status %d: %s", frame->header.status,
                                         frame->header.length > 0 ? frame_get_text (&reader) : "");
      return;
    }
  if (frame->header.op == FRAME_OP_LOAD_PLUGIN)
    {
      g_autofree Frame *command = g_new (Frame, 1);
      launch_set_phase (launch, FRAME_PHASE_SERVE);
      frame_begin (command, FRAME_OP_COMMAND, FRAME_ASK, launch_next_call (launch));
      frame_put_text (command, "try");
      frame_put_text (command,
                      fixture->tried->when == IN_CONSTRUCTOR ? "constructor" : fixture->tried->row->deed);
      g_assert_true (launch_send (launch, command));
      return;
    }
  frame_get_u32 (&reader);
  fixture->answer = g_strdup (frame_get_text (&reader));
}

static void
on_ended (Launch *launch, const LaunchEnd *end, gpointer data)
{
  Fixture *fixture = data;
  fixture->end = g_strdup (end->reason);
  fixture->launch = NULL;
}

static gboolean
on_too_late (gpointer data)
{
  g_error ("neither an answer nor an end in a minute");
  return G_SOURCE_REMOVE;
}

static void
test_row (Fixture *fixture, gconstpointer data)
{
  static const LaunchEvents events = { .ready = on_ready, .frame = on_frame, .ended = on_ended };
  const Case *tried = data;
  const char *expected = tried->when == IN_COMMAND ? tried->row->in_command : tried->row->in_constructor;
  g_autofree char *object = g_build_filename (fixture->folder, "hostile.so", NULL);
  g_autoptr (GError) error = NULL;
  LaunchSpec spec = { .kind = "legacy",
                      .profile = tried->row->profile,
                      .object = object,
                      .sealed_object = -1,
                      .data = fixture->data,
                      .data_bytes = 1 << 20,
                      /* Room for more stacks than are allowed. */
                      .memory_bytes = tried->row->profile == LAUNCH_CLIENT_THREADS ? 1 << 30 : 128 << 20,
                      .uid = geteuid () == 0 ? OWN_USER : 0,
                      .may_connect = tried->row->may_connect,
                      .grants = tried->row->may_connect ? FRAME_GRANT_CONNECT : 0 };
  fixture->launch = launcher_start (fixture->launcher, &spec, &events, fixture, &error);
  g_assert_no_error (error);
  guint too_late = g_timeout_add_seconds (60, on_too_late, NULL);
  while (fixture->end == NULL && fixture->answer == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (too_late);

  if (expects ("refused"))
    expected = "!Landlock";
  const char *came = expected[0] == '!' ? fixture->end : fixture->answer;
  g_auto (GStrv) choices = g_strsplit (expected + (expected[0] == '!'), "|", -1);
  gboolean is_expected = FALSE;
  for (guint i = 0; came != NULL && choices[i] != NULL; i++)
    is_expected |= expected[0] == '!' ? strstr (came, choices[i]) != NULL : g_str_equal (came, choices[i]);
  if (!is_expected)
    g_test_fail_printf ("expected %s, got answer=%s end=%s", expected, fixture->answer, fixture->end);

  outside_assert_untouched ();
  if (fixture->launch != NULL)
    launch_stop (fixture->launch, "the test is over");
  while (fixture->end == NULL)
    g_main_context_iteration (NULL, TRUE);
}

#define N_COMMANDS 10000

static void
on_frame_again (Launch *launch, const Frame *frame, gpointer data)
{
  Fixture *fixture = data;
  FrameReader reader;
  if (frame->header.flags != FRAME_ANSWER)
    return;
  g_assert_cmpint (frame->header.status, ==, FRAME_STATUS_OK);
  if (frame->header.op == FRAME_OP_LOAD_PLUGIN)
    launch_set_phase (launch, FRAME_PHASE_SERVE);
  else
    {
      frame_read (&reader, frame);
      frame_get_u32 (&reader);
      g_assert_cmpstr (frame_get_text (&reader), ==, "done");
      fixture->n_answers++;
    }
  if (fixture->n_answers == N_COMMANDS / 10)
    fixture->before = measure (launch_get_pid (launch));
  if (fixture->n_answers == N_COMMANDS)
    {
      fixture->answer = g_strdup ("done");
      return;
    }
  g_autofree Frame *command = g_new (Frame, 1);
  frame_begin (command, FRAME_OP_COMMAND, FRAME_ASK, launch_next_call (launch));
  frame_put_text (command, "try");
  frame_put_text (command, "do_nothing_wrong");
  g_assert_true (launch_send (launch, command));
}

static void
test_hostile_client_ten_thousand_commands_leave_nothing (Fixture *fixture, gconstpointer data)
{
  static const LaunchEvents events = { .ready = on_ready, .frame = on_frame_again, .ended = on_ended };
  g_autofree char *object = g_build_filename (fixture->folder, "hostile.so", NULL);
  g_autoptr (GError) error = NULL;
  LaunchSpec spec = { .kind = "legacy",
                      .profile = LAUNCH_CLIENT,
                      .object = object,
                      .sealed_object = -1,
                      .data = fixture->data,
                      .data_bytes = 1 << 20,
                      .memory_bytes = 128 << 20,
                      .uid = geteuid () == 0 ? OWN_USER : 0 };
  fixture->launch = launcher_start (fixture->launcher, &spec, &events, fixture, &error);
  g_assert_no_error (error);
  while (fixture->end == NULL && fixture->answer == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (fixture->end, ==, NULL);

  Held after = measure (launch_get_pid (fixture->launch));
  g_assert_cmpuint (after.n_descriptors, ==, fixture->before.n_descriptors);
  g_assert_cmpuint (after.n_plugin_descriptors, ==, fixture->before.n_plugin_descriptors);
  g_assert_cmpuint (after.n_plugin_pages, >, 0);
  /* Sixteen bytes a command would be more. */
  g_assert_cmpuint (after.n_plugin_pages, <=, fixture->before.n_plugin_pages + 32);
  launch_stop (fixture->launch, "the test is over");
  while (fixture->end == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static void
add_case (const Row *row, When when)
{
  static const char *const profiles[] = { "server", "client", "threads" };
  Case *tried = g_new (Case, 1);
  *tried = (Case){ .row = row, .when = when };
  g_autofree char *path = g_strdup_printf ("/hostile-client/%s%s/%s/%s", profiles[row->profile],
                                           row->may_connect ? "-connect" : "", row->deed, when_names[when]);
  g_test_add_vtable (path, sizeof (Fixture), tried, (GTestFixtureFunc)set_up, (GTestFixtureFunc)test_row,
                     (GTestFixtureFunc)tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    for (When when = 0; when < N_TIMES; when++)
      add_case (&rows[i], when);
  if (!expects ("refused"))
    {
      static const Row nothing = { "do_nothing_wrong", "done", "done", LAUNCH_CLIENT, FALSE };
      static const Case plain = { .row = &nothing, .when = IN_COMMAND };
      g_test_add ("/hostile-client/ten_thousand_commands_leave_nothing", Fixture, &plain, set_up,
                  test_hostile_client_ten_thousand_commands_leave_nothing, tear_down);
    }
  if (g_test_slow ())
    add_case (&slow_row, IN_COMMAND);
  return g_test_run ();
}
