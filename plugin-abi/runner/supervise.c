/* The supervisor: starts runners, kills what they leave behind, says how each ended. It reads only its host's
 * frames and the kernel's facts, never a byte from a runner.
 *
 * Each runner leads a process group that nothing it starts can leave (no list has setpgid or setsid), so one
 * kill reaches everything. Orphans are adopted here (subreaper) and killed. A zygote's constructor can fork
 * behind the host's back, as the zygote itself must; those children are told from calls by their age. */
#include "common/module/channel.h"
#include "common/module/sandbox.h"
#include "plugin-abi/runner/plan.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_RUNNERS 128
/* How often runners are looked at: servers, whose children must be found, and clients. */
#define SERVER_WATCH_S 2
#define CLIENT_WATCH_S 5
/* More than half of a processor for this long is nothing a plugin is for. Of a zygote only its own time
 * counts: forking is the kernel's. */
#define BUSY_S 30
/* A call's process that is this much older than a call may be is no call. */
#define STRAY_GRACE_MS 1000

typedef struct
{
  pid_t pid; /* 0: this place is free */
  uint32_t start_id;
  SandboxProfile profile;
  uint32_t deadline_ms;
  int64_t busy_since_ms;
  int64_t busy_cpu_ms;
  int64_t busy_wait_ms;
} Child;

typedef struct
{
  int control;
  int null_fd;
  Child children[MAX_RUNNERS];
  size_t n_children;
  int64_t next_watch_ms;
  Frame frame;
  RunnerOrders orders;
} Supervisor;

static int64_t
get_boot_ms (void)
{
  struct timespec now;
  clock_gettime (CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
tell_ended (Supervisor *self, const Child *child, bool by_signal, uint32_t code)
{
  frame_begin (&self->frame, FRAME_OP_ENDED, FRAME_EVENT, 0);
  frame_put_u32 (&self->frame, child->start_id);
  frame_put_u32 (&self->frame, by_signal);
  frame_put_u32 (&self->frame, code);
  channel_send (self->control, &self->frame);
}

static void
tell_strike (Supervisor *self, const Child *child, bool is_fatal, const char *what)
{
  frame_begin (&self->frame, FRAME_OP_STRIKE, FRAME_EVENT, 0);
  frame_put_u32 (&self->frame, child->start_id);
  frame_put_u32 (&self->frame, is_fatal);
  frame_put_text (&self->frame, what);
  channel_send (self->control, &self->frame);
}

/* --- starting --- */

/* Writes what the runner needs to confine itself into a memory file that nobody changes any more. */
static int
make_plan (const Frame *start, const RunnerOrders *orders)
{
  int fd = memfd_create ("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return -1;
  ssize_t n_orders = (ssize_t)sizeof *orders;
  ssize_t n_start = (ssize_t)(sizeof start->header + start->header.length);
  if (write (fd, orders, sizeof *orders) != n_orders || write (fd, start, (size_t)n_start) != n_start
      || fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0
      || lseek (fd, 0, SEEK_SET) != 0)
    {
      close (fd);
      return -1;
    }
  return fd;
}

/* In the forked process: becomes the runner. The descriptors go where the runner expects them, first out of
 * each other's way. */
static void __attribute__ ((noreturn))
become_runner (const Supervisor *self, int channel, int plan, int object)
{
  int high_channel = fcntl (channel, F_DUPFD_CLOEXEC, RUNNER_N_FDS);
  int high_plan = fcntl (plan, F_DUPFD_CLOEXEC, RUNNER_N_FDS);
  int high_object = object >= 0 ? fcntl (object, F_DUPFD_CLOEXEC, RUNNER_N_FDS) : -1;
  char *const arguments[] = { "plugin-runner", "--run", NULL };
  char *const environment[] = { NULL };
  sigset_t none;
  sigemptyset (&none);

  if (setpgid (0, 0) == 0 && high_channel >= 0 && high_plan >= 0 && (object < 0 || high_object >= 0)
      && dup2 (self->null_fd, 0) == 0 && dup2 (self->null_fd, 1) == 1 && dup2 (self->null_fd, 2) == 2
      && dup2 (high_channel, RUNNER_CHANNEL_FD) >= 0 && dup2 (high_plan, RUNNER_PLAN_FD) >= 0
      && (object < 0 ? close (RUNNER_OBJECT_FD), true : dup2 (high_object, RUNNER_OBJECT_FD) >= 0)
      && syscall (SYS_close_range, RUNNER_N_FDS, ~0u, 0) == 0 && sigprocmask (SIG_SETMASK, &none, NULL) == 0)
    execve ("/proc/self/exe", arguments, environment);
  _exit (127);
}

/* Chooses and builds the two programs of @profile. */
static bool
build_programs (SandboxProfile profile, bool may_connect, RunnerOrders *orders)
{
  static const FilterList lists[][2] = {
    [SANDBOX_SERVER] = { FILTER_ZYGOTE, FILTER_SERVER_CALL },
    [SANDBOX_CLIENT] = { FILTER_CLIENT, FILTER_CLIENT_LOADED },
    [SANDBOX_CLIENT_THREADS] = { FILTER_CLIENT_THREADS, FILTER_CLIENT_LOADED },
  };
  return filter_build (lists[profile][0], may_connect, &orders->stage_1)
         && filter_build (lists[profile][1], false, &orders->stage_2);
}

static Child *
find_child (Supervisor *self, pid_t pid)
{
  for (size_t i = 0; i < MAX_RUNNERS; i++)
    if (self->children[i].pid == pid)
      return &self->children[i];
  return NULL;
}

/* Starts what self->frame asks for. NULL, and *started is the runner, or why not. */
static const char *
start_runner (Supervisor *self, int channel, int object, const Child **started)
{
  RunnerStart start;
  if (!runner_read_start (&self->frame, &start))
    return "the request makes no sense";
  Child *child = find_child (self, 0);
  if (child == NULL)
    return "there are too many runners";
  if (!build_programs (start.plan.profile, start.plan.may_connect, &self->orders))
    return "the filter cannot be built";
  int plan = make_plan (&self->frame, &self->orders);
  if (plan < 0)
    return "the plan cannot be handed over";

  pid_t pid = fork ();
  if (pid == 0)
    become_runner (self, channel, plan, object);
  close (plan);
  if (pid < 0)
    return "there can be no further process";
  /* Also done by the child: whoever comes first. */
  setpgid (pid, pid);
  *child = (Child){ .pid = pid,
                    .start_id = self->frame.header.call,
                    .profile = start.plan.profile,
                    .deadline_ms = start.deadline_ms,
                    .busy_since_ms = get_boot_ms () };
  self->n_children++;
  self->next_watch_ms = 0;
  *started = child;
  return NULL;
}

static void
answer_start (Supervisor *self, int channel, int object)
{
  FrameHeader asked = self->frame.header;
  const Child *child = NULL;
  const char *reason = start_runner (self, channel, object, &child);
  /* Nobody else reaps it, so the number cannot have become another's. */
  int pidfd = reason == NULL ? (int)syscall (SYS_pidfd_open, child->pid, 0) : -1;
  if (reason == NULL && pidfd < 0)
    {
      kill (child->pid, SIGKILL);
      reason = "there are no descriptors left";
    }

  frame_answer (&self->frame, &asked, reason == NULL ? FRAME_STATUS_OK : FRAME_STATUS_FAILED, reason);
  if (reason == NULL)
    frame_put_u32 (&self->frame, (uint32_t)child->pid);
  channel_send_with (self->control, &self->frame, &pidfd, reason == NULL ? 1 : 0);
  if (pidfd >= 0)
    close (pidfd);
}

/* --- ends --- */

static void
reap (Supervisor *self)
{
  siginfo_t facts;
  while (facts.si_pid = 0, waitid (P_ALL, 0, &facts, WEXITED | WNOHANG | WNOWAIT) == 0 && facts.si_pid != 0)
    {
      Child *child = find_child (self, facts.si_pid);
      /* Before the leader is reaped, while the group's number is still its own. */
      if (child != NULL)
        kill (-child->pid, SIGKILL);
      waitpid (facts.si_pid, NULL, 0);
      if (child == NULL)
        continue;
      tell_ended (self, child, facts.si_code != CLD_EXITED, (uint32_t)facts.si_status);
      child->pid = 0;
      self->n_children--;
    }
}

/* --- watching --- */

typedef struct
{
  pid_t pid;
  pid_t parent;
  pid_t group;
  int64_t user_ms;
  int64_t system_ms;
  int64_t n_threads;
  int64_t started_ms; /* since boot */
} ProcessFacts;

/* Reads a file of a process as text; false if the process is gone. */
static bool
read_of_process (pid_t pid, const char *name, char *text, size_t room)
{
  char path[64];
  snprintf (path, sizeof path, "/proc/%d/%s", (int)pid, name);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd >= 0 ? read (fd, text, room - 1) : -1;
  if (fd >= 0)
    close (fd);
  text[length > 0 ? length : 0] = '\0';
  return length > 0;
}

/* How long a process has been ready to run and did not get a processor. */
static int64_t
read_wait_ms (pid_t pid)
{
  char text[128];
  unsigned long long waited_ns = 0;
  if (read_of_process (pid, "schedstat", text, sizeof text))
    sscanf (text, "%*u %llu", &waited_ns);
  return (int64_t)(waited_ns / 1000000);
}

static bool
read_facts (pid_t pid, ProcessFacts *facts)
{
  char text[1024];
  if (!read_of_process (pid, "stat", text, sizeof text))
    return false;

  /* The name may contain anything; what follows its last bracket does not. */
  char *rest = strrchr (text, ')');
  int parent, group;
  unsigned long user, system;
  long n_threads;
  unsigned long long started;
  if (rest == NULL
      || sscanf (rest + 1, " %*c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d %llu",
                 &parent, &group, &user, &system, &n_threads, &started)
             != 6)
    return false;
  int64_t tick_ms = 1000 / sysconf (_SC_CLK_TCK);
  *facts = (ProcessFacts){ .pid = pid,
                           .parent = parent,
                           .group = group,
                           .user_ms = (int64_t)user * tick_ms,
                           .system_ms = (int64_t)system * tick_ms,
                           .n_threads = n_threads,
                           .started_ms = (int64_t)started * tick_ms };
  return true;
}

/* Kills @facts' process if it still is in that group. */
static bool
kill_if_same (const ProcessFacts *facts)
{
  ProcessFacts again;
  int pidfd = (int)syscall (SYS_pidfd_open, facts->pid, 0);
  bool is_same = pidfd >= 0 && read_facts (facts->pid, &again) && again.group == facts->group
                 && again.started_ms == facts->started_ms;
  bool is_killed = is_same && syscall (SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
  if (pidfd >= 0)
    close (pidfd);
  return is_killed;
}

/* Whether a process in a zygote's group is one that no call can be. */
static bool
is_stray (const Child *zygote, const ProcessFacts *facts, int64_t now_ms)
{
  if (facts->pid == zygote->pid)
    return false;
  return facts->parent == getpid ()
         || now_ms - facts->started_ms > (int64_t)zygote->deadline_ms + STRAY_GRACE_MS;
}

static void
kill_strays (Supervisor *self, int64_t now_ms)
{
  DIR *processes = opendir ("/proc");
  const struct dirent *entry;
  while (processes != NULL && (entry = readdir (processes)) != NULL)
    {
      ProcessFacts facts;
      if (!isdigit ((unsigned char)entry->d_name[0]) || !read_facts (atoi (entry->d_name), &facts))
        continue;
      Child *child = facts.group > 0 ? find_child (self, facts.group) : NULL;
      if (child != NULL && child->profile == SANDBOX_SERVER && is_stray (child, &facts, now_ms)
          && kill_if_same (&facts))
        tell_strike (self, child, false, "a process that belonged to no call was killed");
    }
  if (processes != NULL)
    closedir (processes);
}

/* On a crowded machine nobody gets half of a processor: the time it waited for one does not count. */
static bool
is_busy (Child *child, const ProcessFacts *facts, int64_t now_ms)
{
  int64_t window_ms = now_ms - child->busy_since_ms;
  if (window_ms < BUSY_S * 1000)
    return false;
  int64_t wait_ms = read_wait_ms (child->pid);
  int64_t cpu_ms = facts->user_ms + (child->profile == SANDBOX_SERVER ? 0 : facts->system_ms);
  bool was_busy = (cpu_ms - child->busy_cpu_ms) * 2 > window_ms - (wait_ms - child->busy_wait_ms);
  child->busy_since_ms = now_ms;
  child->busy_cpu_ms = cpu_ms;
  child->busy_wait_ms = wait_ms;
  return was_busy;
}

static void
watch_child (Supervisor *self, Child *child, int64_t now_ms)
{
  ProcessFacts facts;
  const char *strike = NULL;
  if (!read_facts (child->pid, &facts))
    return;

  if (is_busy (child, &facts, now_ms))
    strike = "it used more than half of a processor for 30 s";
  if (facts.n_threads > (child->profile == SANDBOX_CLIENT_THREADS ? (int64_t)SANDBOX_MAX_THREADS + 1 : 1))
    strike = "it has too many threads";
  if (strike != NULL)
    {
      tell_strike (self, child, true, strike);
      kill (-child->pid, SIGKILL);
    }
}

static void
watch (Supervisor *self)
{
  int64_t now_ms = get_boot_ms ();
  bool has_servers = false;
  if (self->n_children == 0 || now_ms < self->next_watch_ms)
    return;
  for (size_t i = 0; i < MAX_RUNNERS; i++)
    if (self->children[i].pid != 0)
      {
        has_servers |= self->children[i].profile == SANDBOX_SERVER;
        watch_child (self, &self->children[i], now_ms);
      }
  if (has_servers)
    kill_strays (self, now_ms);
  self->next_watch_ms = now_ms + (has_servers ? SERVER_WATCH_S : CLIENT_WATCH_S) * 1000;
}

/* --- the loop --- */

/* False when the host is gone. */
static bool
serve_host (Supervisor *self)
{
  ChannelReceipt receipt;
  switch (channel_receive (self->control, &self->frame, &receipt, 2))
    {
    case CHANNEL_AGAIN:
      return true;
    case CHANNEL_CLOSED:
    case CHANNEL_BROKEN:
      return false;
    case CHANNEL_FRAME:
      break;
    }
  FrameVerdict verdict = frame_check (&self->frame, receipt.n_bytes, FRAME_FROM_HOST, FRAME_PHASE_CONTROL, 0);
  if (verdict == FRAME_FINE && receipt.fds[0] >= 0)
    answer_start (self, receipt.fds[0], receipt.fds[1]);
  for (size_t i = 0; i < CHANNEL_MAX_FDS; i++)
    if (receipt.fds[i] >= 0)
      close (receipt.fds[i]);
  return verdict == FRAME_FINE;
}

/* Nothing outlives the host: every group is killed, and what is adopted on the way, until nothing is left. */
static void
end_everything (Supervisor *self)
{
  for (size_t i = 0; i < MAX_RUNNERS; i++)
    if (self->children[i].pid != 0)
      kill (-self->children[i].pid, SIGKILL);
  while (wait (NULL) > 0 || errno == EINTR)
    {
    }
}

static void
on_child (int number)
{
  (void)number;
}

int
runner_supervise (void)
{
  Supervisor *self = calloc (1, sizeof *self);
  struct sigaction action = { .sa_handler = on_child };
  sigset_t blocked, open_set;
  if (self == NULL)
    return 1;
  self->control = RUNNER_CHANNEL_FD;
  self->orders.supervisor = getpid ();

  sigemptyset (&blocked);
  sigaddset (&blocked, SIGCHLD);
  if (syscall (SYS_close_range, RUNNER_CHANNEL_FD + 1, ~0u, 0) != 0 || prctl (PR_SET_CHILD_SUBREAPER, 1) != 0
      || fcntl (self->control, F_SETFD, FD_CLOEXEC) != 0 || sigaction (SIGCHLD, &action, NULL) != 0
      || sigprocmask (SIG_BLOCK, &blocked, &open_set) != 0 || chdir ("/") != 0)
    return 1;
  sigdelset (&open_set, SIGCHLD);
  /* A terminal's interrupt is for the host, which ends this by closing the channel. */
  setsid ();
  self->null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  if (self->null_fd < 0)
    return 1;

  bool is_host_there = true;
  while (is_host_there)
    {
      struct pollfd control = { .fd = self->control, .events = POLLIN };
      int64_t wait_ms = self->next_watch_ms - get_boot_ms ();
      if (wait_ms < 0)
        wait_ms = 0;
      struct timespec timeout = { .tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000 };
      int n = ppoll (&control, 1, self->n_children > 0 ? &timeout : NULL, &open_set);
      reap (self);
      if (n > 0)
        is_host_there = serve_host (self);
      watch (self);
    }
  end_everything (self);
  return 0;
}
