/* What a hostile module must not achieve, row by row, from a constructor, from a call, and from a call with
 * the second stage of the sandbox taken away. After each row the host still serves an innocent module, and
 * nothing is left: no process, no descriptor, no file. */
#include "host-server/modules/modules.h"
#include "tests/hostile/outside.h"

#include <dirent.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OWN_USERS 61100
#define MARK      "HOSTILE-ORDERS:"

typedef enum
{
  IN_CONSTRUCTOR,
  IN_CALL,
  IN_CALL_STAGE_1,
  N_TIMES,
} When;

static const char *const when_names[N_TIMES] = { "constructor", "call", "call-stage1" };

/* What must come of a deed: one of several serials ("EPERM|EACCES"), or behind a '!' no serial and one of
 * several reasons. NULL: not tried then. */
typedef struct
{
  const char *deed;
  const char *expected[N_TIMES];
} Row;

#define DENIED "EPERM|EACCES"
#define ALL(verdict)                                                                                         \
  {                                                                                                          \
    verdict, verdict, verdict                                                                                \
  }
#define KILLED_BY_FILTER "!signal 31"
#define CRASHED          "!signal 11|signal 4|signal 6"
#define LATE                                                                                                 \
  {                                                                                                          \
    "!did not load in time", "!at its deadline", "!at its deadline"                                          \
  }
/* Sent into its own channel: the zygote's or the call's. */
#define LIE(of_constructor, of_call)                                                                         \
  {                                                                                                          \
    of_constructor, of_call, of_call                                                                         \
  }

static const Row rows[] = {
  { "open_file", ALL (DENIED) },
  { "open_own_memory", ALL (DENIED) },
  { "open_host_memory", ALL (DENIED) },
  { "open_host_environment", ALL (DENIED) },
  { "list_folder", ALL (DENIED) },
  { "create_file", ALL (DENIED) },
  { "open_for_truncation", ALL (DENIED) },
  { "truncate_file", ALL (DENIED) },
  { "change_mode", ALL (DENIED) },
  { "make_folder", ALL (DENIED) },
  { "remove_file", ALL (DENIED) },
  { "look_at_file", ALL (DENIED) },
  { "tcp_socket", ALL (DENIED) },
  { "udp_socket", ALL (DENIED) },
  { "unix_socket", ALL (DENIED) },
  { "netlink_socket", ALL (DENIED) },
  { "socket_pair", ALL (DENIED) },
  { "make_pipe", ALL (DENIED) },
  { "make_eventfd", ALL (DENIED) },
  { "make_memfd", ALL (DENIED) },
  { "make_io_uring", ALL (DENIED) },
  { "make_userfaultfd", ALL (DENIED) },
  { "make_shared_memory", ALL (DENIED) },
  { "unshare_user", ALL (DENIED) },
  { "become_root", ALL (DENIED) },
  { "run_program", ALL (KILLED_BY_FILTER) },
  /* A zygote must fork, so stage 1 cannot forbid it: what is left behind is found and killed. */
  { "fork_and_stay", { "done", DENIED, "done" } },
  { "fork_and_hold", { NULL, "!status 0 and without an answer", "!at its deadline" } },
  { "make_thread", ALL (DENIED) },
  { "leave_group", ALL (DENIED) },
  { "leave_session", ALL (DENIED) },
  { "kill_host", ALL (DENIED) },
  { "kill_everybody", ALL (DENIED) },
  { "open_host_pidfd", ALL (DENIED) },
  { "trace_host", ALL (KILLED_BY_FILTER) },
  { "read_host_memory", ALL (KILLED_BY_FILTER) },
  { "limit_host", ALL (DENIED) },
  { "raise_own_limit", ALL (DENIED) },
  { "become_dumpable", ALL (DENIED) },
  { "outlive_the_supervisor", ALL (DENIED) },
  { "adopt_orphans", ALL (DENIED) },
  { "listen_to_own_calls", ALL (DENIED) },
  { "old_machine_call", ALL (KILLED_BY_FILTER) },
  { "x32_call", ALL (KILLED_BY_FILTER) },
  { "map_shared", ALL (DENIED) },
  { "map_executable", ALL (DENIED) },
  { "make_executable", ALL (DENIED) },
  /* The system's libraries are there for loading; after it, stage 2 ends that. */
  { "load_late", { "done", "refused", "done" } },
  { "allocate", ALL ("ENOMEM") },
  { "loop", LATE },
  { "wait_for_ever", LATE },
  { "recurse", ALL (CRASHED) },
  { "call_abort", ALL (CRASHED) },
  { "call_exit", { "!status 0", "!status 0 and without an answer", "!status 0 and without an answer" } },
  { "write_null", ALL (CRASHED) },
  { "close_everything", { "!signal 9|status 1", "!without an answer", "!without an answer" } },
  { "swallow_calls", { "!ended without an answer", NULL, NULL } },
  { "answer_twice", LIE ("!misplaced", "!went on after its answer") },
  { "answer_another_call", LIE ("!misplaced", "!answered what was not asked") },
  { "answer_too_much", LIE ("!no frame", "!no frame") },
  { "answer_less_than_said", LIE ("!truncated", "!no frame") },
  { "send_unknown_frame", LIE ("!unknown", "!no frame") },
  { "send_nothing", LIE ("!signal 9|status 0", "!without an answer") },
  { "send_descriptor", LIE ("!no frame", "!no frame") },
  { "flood_log", ALL ("done") },
  { "flood_log_by_hand", LIE ("!does not send", "!flooded the log") },
  { "count_environment", ALL ("none") },
  { "count_calls", ALL ("1") },
  { "answer_binary", ALL ("!no serial") },
  { "answer_empty", ALL ("!no serial") },
  { "do_nothing_wrong", ALL ("done") },
  { "make_forbidden_calls", ALL ("EPERM") },
  { "run_descriptor", ALL (KILLED_BY_FILTER) },
  { "write_host_memory", ALL (KILLED_BY_FILTER) },
  { "signal_itself", ALL (DENIED) },
  { "signal_thread_of_host", ALL (DENIED) },
  { "queue_signal_to_host", ALL (DENIED) },
  { "fork_the_old_way", ALL (DENIED) },
  { "fork_with_shared_memory", ALL (DENIED) },
  { "fork_by_clone3", ALL ("ENOSYS|EPERM") },
  /* What narrows is no way out, and the runner needs it to enter stage 2. */
  { "install_filter", { "done", DENIED, "done" } },
  { "install_filter_by_prctl", ALL (DENIED) },
  { "map_shared_validated", ALL (DENIED) },
  { "rewrite_own_code", ALL (CRASHED) },
  { "hide_flags", ALL (DENIED) },
  { "open_for_writing", ALL (DENIED) },
  { "open_unnamed", ALL (DENIED) },
  { "open_shared_memory", ALL (DENIED) },
  { "climb_out_by_dots", ALL (DENIED) },
  { "open_root_of_itself", ALL (DENIED) },
};

typedef struct
{
  const Row *row;
  When when;
} Case;

typedef struct
{
  gboolean is_done;
  ModulesOutcome outcome;
  char *serial;
  char *reason;
} Outcome;

typedef struct
{
  char *folder;
  Clock *clock;
  Modules *modules;
  guint n_descriptors;
} Fixture;

static void
outcome_clear (Outcome *outcome)
{
  g_free (outcome->serial);
  g_free (outcome->reason);
  *outcome = (Outcome){ 0 };
}

static guint
count_entries (const char *folder)
{
  g_autoptr (GDir) entries = g_dir_open (folder, 0, NULL);
  guint n = 0;
  while (g_dir_read_name (entries) != NULL)
    n++;
  return n;
}

/* --- what runs --- */

typedef struct
{
  guint n_supervisors; /* children of this process */
  guint n_runners;     /* zygotes: their children */
  guint n_others;      /* whatever else belongs to a supervisor's session */
} Processes;

static gboolean
read_stat (const char *pid, int *parent, int *session, char *state)
{
  g_autofree char *path = g_build_filename ("/proc", pid, "stat", NULL);
  g_autofree char *text = NULL;
  const char *rest;
  return g_file_get_contents (path, &text, NULL, NULL) && (rest = strrchr (text, ')')) != NULL
         && sscanf (rest + 1, " %c %d %*d %d", state, parent, session) == 3;
}

/* The supervisor leads a session that no runner can leave. */
static Processes
count_processes (void)
{
  Processes found = { 0 };
  g_autoptr (GHashTable) supervisors = g_hash_table_new (NULL, NULL);
  for (guint pass = 0; pass < 2; pass++)
    {
      g_autoptr (GDir) entries = g_dir_open ("/proc", 0, NULL);
      const char *name;
      while ((name = g_dir_read_name (entries)) != NULL)
        {
          int parent, session;
          char state;
          if (!g_ascii_isdigit (name[0]) || !read_stat (name, &parent, &session, &state))
            continue;
          if (pass == 0 && parent == getpid ())
            {
              found.n_supervisors++;
              g_hash_table_add (supervisors, GINT_TO_POINTER (atoi (name)));
            }
          else if (pass == 1 && g_hash_table_contains (supervisors, GINT_TO_POINTER (session))
                   && parent != getpid ())
            {
              if (g_hash_table_contains (supervisors, GINT_TO_POINTER (parent)))
                found.n_runners++;
              else
                found.n_others++;
            }
        }
    }
  return found;
}

static gboolean
on_alarm (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
turn_for_ms (guint ms)
{
  gboolean is_over = FALSE;
  g_timeout_add (ms, on_alarm, &is_over);
  while (!is_over)
    g_main_context_iteration (NULL, TRUE);
}

/* Waits until nothing runs but a supervisor and idle zygotes. */
static void
assert_nothing_is_left (guint n_runners)
{
  gint64 until_us = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  Processes found;
  do
    {
      turn_for_ms (20);
      found = count_processes ();
    }
  while ((found.n_others > 0 || found.n_runners > n_runners) && g_get_monotonic_time () < until_us);
  g_assert_cmpuint (found.n_others, ==, 0);
  g_assert_cmpuint (found.n_runners, <=, n_runners);
  g_assert_cmpuint (found.n_supervisors, ==, 1);
}

/* --- modules --- */

static void
install (const Fixture *fixture, const char *variable, const char *name, const char *deed, const char *when)
{
  g_autofree char *bytes = NULL;
  g_autofree char *to = g_build_filename (fixture->folder, name, NULL);
  gsize length;
  g_assert_true (g_file_get_contents (g_getenv (variable), &bytes, &length, NULL));
  if (deed != NULL)
    {
      char *mark = memmem (bytes, length, MARK " none", strlen (MARK " none"));
      g_assert_nonnull (mark);
      g_snprintf (mark + strlen (MARK), 112, " %s %s %d", deed, when, (int)getpid ());
    }
  g_assert_true (g_file_set_contents (to, bytes, (gssize)length, NULL));
}

/* Short where the deadline is what is expected, long enough for a busy machine elsewhere. */
static guint
choose_deadline_ms (const Case *tried)
{
  const char *expected = tried != NULL ? tried->row->expected[tried->when] : "";
  return strstr (expected, "deadline") != NULL || strstr (expected, "in time") != NULL ? 400 : 3000;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp ("stoa-hostile-XXXXXX", NULL);
  fixture->clock = clock_new_fake (0);
  ModulesOptions options = { .folder = fixture->folder,
                             .runner_path = g_getenv ("STOA_RUNNER"),
                             .uid_base = geteuid () == 0 ? OWN_USERS : 0,
                             .deadline_ms = choose_deadline_ms (data),
                             .cpu_s = 3,
                             .memory_bytes = 64 << 20,
                             .clock = fixture->clock };
  outside_make ();
  fixture->modules = modules_new (&options);
  g_assert_cmpstr (modules_get_problem (fixture->modules), ==, NULL);
  install (fixture, "STOA_WEATHER", "weather.so", NULL, NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  static const char *const names[] = { "weather.so", "hostile.so" };
  modules_free (fixture->modules);
  Processes left = count_processes ();
  g_assert_cmpuint (left.n_supervisors + left.n_runners + left.n_others, ==, 0);
  clock_free (fixture->clock);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (fixture->folder, names[i], NULL);
      g_unlink (path);
    }
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  g_free (fixture->folder);
  outside_remove ();
}

static void
on_done (const ModulesKeygenResult *result, gpointer data)
{
  Outcome *outcome = data;
  *outcome = (Outcome){ .is_done = TRUE,
                        .outcome = result->outcome,
                        .serial = g_strdup (result->serial),
                        .reason = g_strdup (result->reason) };
}

static void
ask (Fixture *fixture, const char *module, const char *term, Outcome *outcome)
{
  ModulesKeygenRequest request = { .module = module,
                                   .user = "user",
                                   .plugin = "plugin",
                                   .term = term,
                                   .line = "line",
                                   .paid_at_s = 1764000000 };
  modules_keygen_call (fixture->modules, &request, on_done, outcome);
}

static void
wait_for (const Outcome *outcome)
{
  while (!outcome->is_done)
    g_main_context_iteration (NULL, TRUE);
}

static void
call (Fixture *fixture, const char *module, const char *term, Outcome *outcome)
{
  ask (fixture, module, term, outcome);
  wait_for (outcome);
}

static void
assert_innocent_is_served (Fixture *fixture)
{
  Outcome outcome = { 0 };
  call (fixture, "weather.so", "", &outcome);
  g_assert_cmpstr (outcome.reason, ==, "");
  g_assert_cmpint (outcome.outcome, ==, MODULES_OK);
  outcome_clear (&outcome);
}

static void
assert_outcome (const Outcome *outcome, const char *expected)
{
  gboolean expects_serial = expected[0] != '!';
  g_auto (GStrv) choices = g_strsplit (expects_serial ? expected : expected + 1, "|", -1);
  for (guint i = 0; choices[i] != NULL && (outcome->outcome == MODULES_OK) == expects_serial; i++)
    if (expects_serial ? g_str_equal (outcome->serial, choices[i])
                       : strstr (outcome->reason, choices[i]) != NULL)
      return;
  g_test_fail_printf ("expected %s, got %s, serial=%s reason=%s", expected,
                      modules_outcome_name (outcome->outcome), outcome->serial, outcome->reason);
}

static void
test_row (Fixture *fixture, gconstpointer data)
{
  const Case *tried = data;
  const char *expected = tried->row->expected[tried->when];
  install (fixture, "STOA_HOSTILE", "hostile.so", tried->row->deed, when_names[tried->when]);
  assert_innocent_is_served (fixture);
  guint n_descriptors = count_entries ("/proc/self/fd");

  /* Twice: nothing of a call is there in the next, and one deed does not wear the sandbox out. */
  for (guint i = 0; i < 2; i++)
    {
      Outcome outcome = { 0 };
      call (fixture, "hostile.so", "", &outcome);
      if (modules_get_state (fixture->modules, "hostile.so") == MODULES_STATE_READY || i == 0)
        assert_outcome (&outcome, expected);
      else
        g_assert_cmpint (outcome.outcome, !=, MODULES_OK);
      outcome_clear (&outcome);
      assert_innocent_is_served (fixture);
    }
  if (tried->when != IN_CONSTRUCTOR && expected[0] != '!')
    {
      /* The row was tried where it says. */
      Outcome outcome = { 0 };
      call (fixture, "hostile.so", "stage", &outcome);
      g_assert_cmpstr (outcome.serial, ==, tried->when == IN_CALL ? "stage 2" : "stage 1");
      outcome_clear (&outcome);
    }

  assert_nothing_is_left (2);
  outside_assert_untouched ();
  struct rlimit limit;
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_cmpuint (limit.rlim_cur, >, 0);
  /* A runner holds a channel and a process descriptor here. */
  g_assert_cmpuint (count_entries ("/proc/self/fd"), <=, n_descriptors + 2);
}

/* The runner cannot confine itself, though its host believes that it could: nothing of the module runs. */
static void
test_row_refused (Fixture *fixture, gconstpointer data)
{
  const Case *tried = data;
  Outcome outcome = { 0 };
  install (fixture, "STOA_HOSTILE", "hostile.so", tried->row->deed, when_names[tried->when]);
  call (fixture, "hostile.so", "", &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  g_assert_null (outcome.serial);
  if (strstr (outcome.reason, "Landlock") == NULL)
    g_test_fail_printf ("this does not say what is missing: %s", outcome.reason);
  outcome_clear (&outcome);
  assert_nothing_is_left (0);
  outside_assert_untouched ();
}

/* Of a process: pages in memory, or 0 if it is gone. */
static gsize
get_resident_pages (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/statm", (int)pid);
  g_autofree char *text = NULL;
  unsigned long size, resident = 0;
  if (!g_file_get_contents (path, &text, NULL, NULL) || sscanf (text, "%lu %lu", &size, &resident) != 2)
    return 0;
  return resident;
}

/* What must not grow with calls: this process, the supervisor and the zygote. */
typedef struct
{
  gsize n_pages[3];
  guint n_descriptors;
  guint n_zombies; /* of the supervisor and the zygote */
} Held;

static Held
measure (void)
{
  Held held = { .n_descriptors = count_entries ("/proc/self/fd") };
  g_autoptr (GDir) entries = g_dir_open ("/proc", 0, NULL);
  const char *name;
  pid_t supervisor = 0;
  held.n_pages[0] = get_resident_pages (getpid ());
  for (guint pass = 0; pass < 2; pass++, g_dir_rewind (entries))
    while ((name = g_dir_read_name (entries)) != NULL)
      {
        int parent, session;
        char state;
        if (!g_ascii_isdigit (name[0]) || !read_stat (name, &parent, &session, &state))
          continue;
        if (pass == 0 && parent == getpid ())
          {
            supervisor = atoi (name);
            held.n_pages[1] = get_resident_pages (supervisor);
          }
        else if (pass == 1 && supervisor != 0 && session == supervisor && parent != getpid ())
          {
            held.n_zombies += state == 'Z';
            if (parent == supervisor)
              held.n_pages[2] = get_resident_pages (atoi (name));
          }
      }
  return held;
}

static void
test_hostile_ten_thousand_calls_leave_nothing_and_count_from_one (Fixture *fixture, gconstpointer data)
{
  Held before = { 0 };
  install (fixture, "STOA_HOSTILE", "hostile.so", "count_calls", "call");
  for (guint i = 0; i < 10000; i++)
    {
      Outcome outcome = { 0 };
      call (fixture, "hostile.so", "", &outcome);
      g_assert_cmpstr (outcome.reason, ==, "");
      g_assert_cmpstr (outcome.serial, ==, "1");
      outcome_clear (&outcome);
      if (i != 999)
        continue;
      /* Processes that wait for calls end in a quiet moment. */
      assert_nothing_is_left (1);
      before = measure ();
    }
  assert_nothing_is_left (1);
  Held after = measure ();
  g_assert_cmpuint (after.n_descriptors, ==, before.n_descriptors);
  g_assert_cmpuint (after.n_zombies, ==, 0);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
  /* The allocator settles; sixteen bytes a call would be more. */
  g_assert_cmpuint (after.n_pages[0], <=, before.n_pages[0] + 32);
#endif
  g_assert_cmpuint (after.n_pages[1], >, 0);
  g_assert_cmpuint (after.n_pages[1], <=, before.n_pages[1] + 16);
  g_assert_cmpuint (after.n_pages[2], >, 0);
  g_assert_cmpuint (after.n_pages[2], <=, before.n_pages[2] + 16);
}

static void
assert_told_of_crash (const ModulesFacts *facts, gpointer data)
{
  gboolean is_hostile = g_str_equal (facts->module, "hostile.so");
  g_assert_cmpstr (modules_life_name (facts->life), ==, is_hostile ? "crashed" : "installed");
  g_assert_cmpuint (facts->n_faults, ==, is_hostile ? 5 : 0);
  if (is_hostile)
    g_assert_nonnull (strstr (facts->reason, "signal 11"));
}

static void
test_hostile_module_that_fails_again_and_again_is_quarantined_and_tried_later (Fixture *fixture,
                                                                               gconstpointer data)
{
  Outcome outcome = { 0 };
  install (fixture, "STOA_HOSTILE", "hostile.so", "write_null", "call");
  for (guint i = 0; i < 5; i++)
    {
      g_assert_cmpint (modules_get_state (fixture->modules, "hostile.so"), ==, MODULES_STATE_READY);
      call (fixture, "hostile.so", "", &outcome);
      g_assert_cmpint (outcome.outcome, ==, MODULES_FAILED);
      outcome_clear (&outcome);
    }
  g_assert_cmpint (modules_get_state (fixture->modules, "hostile.so"), ==, MODULES_STATE_QUARANTINED);
  modules_foreach (fixture->modules, assert_told_of_crash, NULL);
  call (fixture, "hostile.so", "", &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_UNAVAILABLE);
  outcome_clear (&outcome);
  assert_innocent_is_served (fixture);

  clock_advance_us (fixture->clock, 61 * G_USEC_PER_SEC);
  g_assert_cmpint (modules_get_state (fixture->modules, "hostile.so"), ==, MODULES_STATE_READY);
  call (fixture, "hostile.so", "", &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_FAILED);
  outcome_clear (&outcome);
  g_assert_cmpint (modules_get_state (fixture->modules, "hostile.so"), ==, MODULES_STATE_QUARANTINED);

  /* A new file is another module. */
  install (fixture, "STOA_HOSTILE", "hostile.so", "do_nothing_wrong", "call");
  call (fixture, "hostile.so", "", &outcome);
  g_assert_cmpint (outcome.outcome, ==, MODULES_OK);
  outcome_clear (&outcome);
}

/* The zygote has to go because of one call; the other, which is not to blame, is run again in the next. */
static void
test_hostile_call_does_not_take_an_innocent_one_of_its_module_along (Fixture *fixture, gconstpointer data)
{
  Outcome hostile = { 0 }, innocent = { 0 };
  install (fixture, "STOA_HOSTILE", "hostile.so", "fork_and_hold", "call-stage1");
  ask (fixture, "hostile.so", "", &hostile);
  turn_for_ms (2000);
  ask (fixture, "hostile.so", "innocent", &innocent);
  wait_for (&hostile);
  g_assert_false (innocent.is_done);
  g_assert_cmpint (hostile.outcome, ==, MODULES_FAILED);
  wait_for (&innocent);
  g_assert_cmpstr (innocent.serial, ==, "innocent");
  outcome_clear (&hostile);
  outcome_clear (&innocent);
  assert_nothing_is_left (1);
}

/* Only with -m slow: it takes the half minute that it is about. */
static void
test_hostile_zygote_that_burns_a_processor_is_ended (Fixture *fixture, gconstpointer data)
{
  Outcome outcome = { 0 };
  Processes found = { .n_runners = 1 };
  install (fixture, "STOA_HOSTILE", "hostile.so", "burn_between_calls", "constructor");
  call (fixture, "hostile.so", "", &outcome);
  g_assert_cmpstr (outcome.serial, ==, "done");
  outcome_clear (&outcome);
  for (guint seconds = 0; seconds < 50 && found.n_runners > 0; seconds++)
    {
      turn_for_ms (1000);
      found = count_processes ();
      g_test_message ("%u s: %u runners", seconds, found.n_runners);
    }
  g_assert_cmpuint (found.n_runners, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* What these modules do is logged, as it should be. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  gboolean is_refused = g_strcmp0 (g_getenv ("STOA_EXPECT"), "refused") == 0;
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    for (When when = 0; when < N_TIMES; when++)
      if (rows[i].expected[when] != NULL)
        {
          Case *tried = g_new (Case, 1);
          *tried = (Case){ .row = &rows[i], .when = when };
          g_autofree char *path = g_strdup_printf ("/hostile/%s/%s", rows[i].deed, when_names[when]);
          g_test_add_vtable (path, sizeof (Fixture), tried, (GTestFixtureFunc)set_up,
                             is_refused ? (GTestFixtureFunc)test_row_refused : (GTestFixtureFunc)test_row,
                             (GTestFixtureFunc)tear_down);
        }
  if (is_refused)
    return g_test_run ();
#define ADD(name) g_test_add ("/hostile/" #name, Fixture, NULL, set_up, test_##name, tear_down)
  ADD (hostile_ten_thousand_calls_leave_nothing_and_count_from_one);
  ADD (hostile_call_does_not_take_an_innocent_one_of_its_module_along);
  ADD (hostile_module_that_fails_again_and_again_is_quarantined_and_tried_later);
  if (g_test_slow ())
    ADD (hostile_zygote_that_burns_a_processor_is_ended);
  return g_test_run ();
}
