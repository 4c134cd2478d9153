#include "common/module/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights and attributes newer than the oldest headers we build with. */
#define FS_TRUNCATE                (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV               (1ull << 15) /* ABI 5 */
#define NET_BIND_TCP               (1ull << 0)  /* ABI 4 */
#define NET_CONNECT_TCP            (1ull << 1)  /* ABI 4 */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)  /* ABI 6 */
#define SCOPE_SIGNAL               (1ull << 1)  /* ABI 6 */

typedef struct
{
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
} RulesetAttributes;

#define FILE_RIGHTS                                                                                          \
  (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE   \
   | FS_IOCTL_DEV)
#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define DATA_RIGHTS                                                                                          \
  (READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR                               \
   | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG              \
   | FS_TRUNCATE)

/* Where the loader looks. */
static const char *const library_paths[]
    = { "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache" };

/* What libraries that were written for a whole machine expect to find in it; nothing of anybody's. */
static const char *const client_paths[]
    = { "/etc/localtime", "/usr/share/zoneinfo",  "/etc/ssl/certs", "/usr/share/ca-certificates",
        "/dev/urandom",   "/etc/ssl/openssl.cnf", "/dev/null",      "/dev/zero" };

static bool
fail (SandboxFault *fault, const char *what)
{
  snprintf (fault->text, sizeof fault->text, "cannot %s: %s", what, strerror (errno));
  return false;
}

/* Tests build a runner that takes an older kernel's Landlock for what there is (tests/hostile). */
#ifndef SANDBOX_MOST_LANDLOCK
#define SANDBOX_MOST_LANDLOCK UINT32_MAX
#endif

unsigned
sandbox_get_landlock_abi (void)
{
  long abi = syscall (SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi <= 0)
    return 0;
  return abi < (long)SANDBOX_MOST_LANDLOCK ? (unsigned)abi : SANDBOX_MOST_LANDLOCK;
}

bool
sandbox_has_seccomp (void)
{
  const uint32_t actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_USER_NOTIF };
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    if (syscall (SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]) != 0)
      return false;
  return true;
}

static bool
set_limit (int resource, int64_t value)
{
  struct rlimit limit = { .rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value };
  return setrlimit (resource, &limit) == 0;
}

static bool
set_limits (const SandboxPlan *plan)
{
  bool is_server = plan->profile == SANDBOX_SERVER;
  /* Without a user of its own the number would be everything that user runs. */
  uint32_t n_tasks = is_server ? 2 * plan->max_calls + 2 : SANDBOX_MAX_THREADS + 2;
  return set_limit (RLIMIT_AS, plan->memory_bytes) && set_limit (RLIMIT_CORE, 0)
         && set_limit (RLIMIT_NOFILE, is_server ? 32 : 128)
         && set_limit (RLIMIT_FSIZE, is_server ? 0 : plan->data_bytes) && set_limit (RLIMIT_MEMLOCK, 0)
         && set_limit (RLIMIT_MSGQUEUE, 0) && set_limit (RLIMIT_SIGPENDING, 64)
         && set_limit (RLIMIT_STACK, 8 << 20) && (plan->uid == 0 || set_limit (RLIMIT_NPROC, n_tasks));
}

/* A service manager may have given the host powers that a plain user has not, and they would be inherited. */
static bool
drop_capabilities (void)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
  return prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0
         && syscall (SYS_capset, &header, none) == 0;
}

bool
sandbox_drop (const SandboxPlan *plan, SandboxFault *fault)
{
  if (plan->uid != 0)
    {
      if (setgroups (0, NULL) != 0)
        return fail (fault, "leave the groups");
      if (setresgid (plan->uid, plan->uid, plan->uid) != 0
          || setresuid (plan->uid, plan->uid, plan->uid) != 0)
        return fail (fault, "become the module's own user");
    }
  if (getuid () == 0 || geteuid () == 0)
    {
      snprintf (fault->text, sizeof fault->text, "vendor code does not run as root");
      return false;
    }

  if (!drop_capabilities ())
    return fail (fault, "give up capabilities");

  /* The client's broker takes sockets out of the plugin's process, for which the plugin has to be dumpable.
   */
  bool is_dumpable = plan->profile != SANDBOX_SERVER && plan->may_connect;
  if (prctl (PR_SET_DUMPABLE, is_dumpable ? 1 : 0) != 0)
    return fail (fault, "set who may look into it");
  /* After the change of user, which clears it. The supervisor may have gone before it was set. */
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) != 0)
    return fail (fault, "die with the supervisor");
  if (getppid () != plan->parent)
    {
      snprintf (fault->text, sizeof fault->text, "the supervisor is gone");
      return false;
    }
  if (!set_limits (plan))
    return fail (fault, "set limits");
  return true;
}

static uint64_t
get_handled_files (unsigned abi)
{
  uint64_t rights = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;
  if (abi >= 3)
    rights |= FS_TRUNCATE;
  if (abi >= 5)
    rights |= FS_IOCTL_DEV;
  return rights;
}

/* A ruleset that denies everything this kernel can deny. TCP too: a client's connections are made by its
 * host, in the host's own process. */
static int
create_ruleset (unsigned abi)
{
  RulesetAttributes attributes = {
    .handled_access_fs = get_handled_files (abi),
    .handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP,
    .scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
  };
  size_t size = abi >= 6   ? sizeof attributes
                : abi >= 4 ? offsetof (RulesetAttributes, scoped)
                           : offsetof (RulesetAttributes, handled_access_net);
  return (int)syscall (SYS_landlock_create_ruleset, &attributes, size, 0);
}

/* Allows @rights beneath @path. What is not there needs no rule. */
static bool
allow_path (int ruleset, const char *path, uint64_t rights)
{
  struct stat facts;
  int fd = open (path, O_PATH | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
  bool is_allowed = fstat (fd, &facts) == 0;
  if (is_allowed)
    {
      struct landlock_path_beneath_attr rule
          = { .allowed_access = S_ISDIR (facts.st_mode) ? rights : rights & FILE_RIGHTS, .parent_fd = fd };
      is_allowed = syscall (SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    }
  int why = errno;
  close (fd);
  errno = why;
  return is_allowed;
}

static bool
allow_folder_of (int ruleset, const char *object, uint64_t rights)
{
  char folder[4096];
  const char *slash = strrchr (object, '/');
  if (slash == NULL || slash == object || (size_t)(slash - object) >= sizeof folder)
    {
      errno = EINVAL;
      return false;
    }
  memcpy (folder, object, (size_t)(slash - object));
  folder[slash - object] = '\0';
  return allow_path (ruleset, folder, rights);
}

static bool
add_paths (int ruleset, unsigned abi, const SandboxPlan *plan)
{
  uint64_t reading = READ_RIGHTS & get_handled_files (abi);
  uint64_t writing = DATA_RIGHTS & get_handled_files (abi);
  bool is_server = plan->profile == SANDBOX_SERVER;
  bool is_allowed = true;
  for (size_t i = 0; i < sizeof library_paths / sizeof library_paths[0] && is_allowed; i++)
    is_allowed = allow_path (ruleset, library_paths[i], reading);
  for (size_t i = 0; i < sizeof client_paths / sizeof client_paths[0] && is_allowed && !is_server; i++)
    is_allowed = allow_path (ruleset, client_paths[i], reading);
  for (size_t i = 0; i < plan->n_read && is_allowed; i++)
    is_allowed = allow_path (ruleset, plan->read[i], reading);
  if (is_allowed && plan->object[0] != '\0')
    is_allowed = allow_folder_of (ruleset, plan->object, reading);
  if (is_allowed && plan->data[0] != '\0' && !is_server)
    is_allowed = allow_path (ruleset, plan->data, writing);
  return is_allowed;
}

static int
install_filter (const FilterProgram *program, unsigned flags)
{
  struct sock_fprog filter
      = { .len = (unsigned short)program->n_steps, .filter = (struct sock_filter *)program->steps };
  return (int)syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

bool
sandbox_confine (const SandboxPlan *plan, const FilterProgram *program, int *listener, int *call_ruleset,
                 SandboxFault *fault)
{
  *listener = -1;
  *call_ruleset = -1;
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail (fault, "give up new privileges");

  unsigned abi = sandbox_get_landlock_abi ();
  if (abi < SANDBOX_LEAST_LANDLOCK)
    {
      snprintf (fault->text, sizeof fault->text, "this kernel has no Landlock of ABI %u or later",
                SANDBOX_LEAST_LANDLOCK);
      return false;
    }
  int ruleset = create_ruleset (abi);
  if (ruleset < 0 || !add_paths (ruleset, abi, plan) || syscall (SYS_landlock_restrict_self, ruleset, 0) != 0)
    return fail (fault, "confine files by Landlock");
  close (ruleset);

  if (plan->profile == SANDBOX_SERVER)
    {
      *call_ruleset = create_ruleset (abi);
      if (*call_ruleset < 0)
        return fail (fault, "prepare the second stage of Landlock");
    }

  int installed = install_filter (program, plan->may_connect ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
  if (installed < 0)
    return fail (fault, "confine system calls by seccomp");
  if (plan->may_connect)
    *listener = installed;
  return true;
}

bool
sandbox_enter_call (const SandboxPlan *plan, pid_t zygote, int call_ruleset, const FilterProgram *program)
{
  /* What the constructors left open goes too. */
  return prctl (PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid () == zygote && set_limit (RLIMIT_CPU, plan->cpu_s)
         && syscall (SYS_landlock_restrict_self, call_ruleset, 0) == 0
         && syscall (SYS_close_range, FILTER_CHANNEL_FD + 1, ~0u, 0) == 0 && install_filter (program, 0) == 0;
}

bool
sandbox_enter_loaded (const FilterProgram *program)
{
  return install_filter (program, SECCOMP_FILTER_FLAG_TSYNC) == 0;
}
