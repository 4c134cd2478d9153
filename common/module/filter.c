#include "common/module/filter.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A condition on an argument: (argument & mask) == value. Several conditions in a rule must all hold; several
 * rules for a call are alternatives. A full mask also refuses garbage in the upper half of an int, which the
 * kernel would drop. */
typedef struct
{
  unsigned argument;
  uint64_t mask;
  uint64_t value;
} Condition;

typedef struct
{
  int call;
  unsigned n_conditions;
  Condition conditions[3];
} Rule;

#define ALWAYS(name)                                                                                         \
  {                                                                                                          \
    SCMP_SYS (name), 0,                                                                                      \
    {                                                                                                        \
      {                                                                                                      \
        0, 0, 0                                                                                              \
      }                                                                                                      \
    }                                                                                                        \
  }
#define IF(name, n, ...)                                                                                     \
  {                                                                                                          \
    SCMP_SYS (name), n,                                                                                      \
    {                                                                                                        \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  }
#define IS(argument, value)                                                                                  \
  {                                                                                                          \
    argument, UINT64_MAX, value                                                                              \
  }
#define BITS(argument, mask, value)                                                                          \
  {                                                                                                          \
    argument, mask, value                                                                                    \
  }

#define MAP_KIND 0x0f /* MAP_TYPE of the kernel: shared, private, shared with validation */

/* Memory is private, and never writable and executable at once: a page becomes executable only by being
 * mapped so from a file, which stage 1 needs to load an object. */
#define MEMORY_RULES                                                                                         \
  ALWAYS (brk), ALWAYS (munmap), ALWAYS (mremap), ALWAYS (madvise),                                          \
      IF (mmap, 2, BITS (2, PROT_EXEC, 0), BITS (3, MAP_KIND, MAP_PRIVATE)),                                 \
      IF (mprotect, 1, BITS (2, PROT_EXEC, 0))
#define LOADING_RULE                                                                                         \
  IF (mmap, 2, BITS (2, PROT_EXEC | PROT_WRITE, PROT_EXEC), BITS (3, MAP_KIND | MAP_ANONYMOUS, MAP_PRIVATE))

/* Only a process's own limits, and only down: the hard ones are set. */
#define OWN_LIMITS_RULE IF (prlimit64, 1, IS (0, 0))

#define QUIET_RULES                                                                                          \
  ALWAYS (clock_gettime), ALWAYS (clock_getres), ALWAYS (gettimeofday), ALWAYS (time), ALWAYS (getpid),      \
      ALWAYS (gettid), ALWAYS (getrandom), ALWAYS (futex), ALWAYS (sched_yield), ALWAYS (rt_sigprocmask),    \
      ALWAYS (rt_sigreturn), ALWAYS (restart_syscall), ALWAYS (exit), ALWAYS (exit_group)

/* glibc's fork: nothing is shared with the parent. */
#define PLAIN_FORK (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

static const Rule zygote_rules[] = {
  MEMORY_RULES,
  LOADING_RULE,
  QUIET_RULES,
  OWN_LIMITS_RULE,
  /* loading */
  IF (openat, 1, BITS (2, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), O_RDONLY)),
  ALWAYS (read),
  ALWAYS (pread64),
  ALWAYS (fstat),
  IF (newfstatat, 1, IS (3, AT_EMPTY_PATH)),
  ALWAYS (close),
  ALWAYS (getuid),
  ALWAYS (geteuid),
  ALWAYS (getgid),
  ALWAYS (getegid),
  /* serving */
  ALWAYS (recvmsg),
  IF (sendmsg, 1, IS (0, FILTER_CHANNEL_FD)),
  ALWAYS (ppoll),
  ALWAYS (rt_sigaction),
  ALWAYS (wait4),
  IF (clone, 1, IS (0, PLAIN_FORK)),
  /* the way from the zygote into a call */
  ALWAYS (set_robust_list),
  ALWAYS (getppid),
  IF (dup3, 1, IS (1, FILTER_CHANNEL_FD)),
  ALWAYS (close_range),
  IF (prctl, 2, IS (0, PR_SET_PDEATHSIG), IS (1, SIGKILL)),
  IF (landlock_restrict_self, 1, IS (1, 0)),
  IF (seccomp, 2, IS (0, SECCOMP_SET_MODE_FILTER), IS (1, 0)),
};

static const Rule server_call_rules[] = {
  MEMORY_RULES,
  QUIET_RULES,
  IF (sendmsg, 1, IS (0, FILTER_CHANNEL_FD)),
  IF (recvmsg, 1, IS (0, FILTER_CHANNEL_FD)),
};

#define CLIENT_RULES                                                                                         \
  MEMORY_RULES, LOADING_RULE, QUIET_RULES, OWN_LIMITS_RULE, ALWAYS (close), ALWAYS (read), ALWAYS (write),   \
      ALWAYS (readv), ALWAYS (writev), ALWAYS (pread64), ALWAYS (pwrite64), ALWAYS (lseek), ALWAYS (fstat),  \
      ALWAYS (newfstatat), ALWAYS (statx), ALWAYS (access), ALWAYS (faccessat), ALWAYS (faccessat2),         \
      ALWAYS (readlink), ALWAYS (readlinkat), ALWAYS (getcwd), ALWAYS (getdents64), ALWAYS (ftruncate),      \
      ALWAYS (fsync), ALWAYS (fdatasync), ALWAYS (unlink), ALWAYS (unlinkat), ALWAYS (rename),               \
      ALWAYS (renameat), ALWAYS (renameat2), ALWAYS (mkdir), ALWAYS (mkdirat), ALWAYS (rmdir),               \
      ALWAYS (flock), ALWAYS (umask), ALWAYS (dup), ALWAYS (dup2), ALWAYS (dup3), ALWAYS (close_range),      \
      ALWAYS (uname), ALWAYS (sysinfo), ALWAYS (getuid), ALWAYS (geteuid), ALWAYS (getgid),                  \
      ALWAYS (getegid), ALWAYS (getppid), ALWAYS (getrusage), ALWAYS (times), ALWAYS (sched_getaffinity),    \
      ALWAYS (nanosleep), ALWAYS (clock_nanosleep), ALWAYS (pause), ALWAYS (alarm), ALWAYS (setitimer),      \
      ALWAYS (getitimer), ALWAYS (rt_sigaction), ALWAYS (sigaltstack), ALWAYS (poll), ALWAYS (ppoll),        \
      ALWAYS (select), ALWAYS (pselect6), ALWAYS (epoll_create1), ALWAYS (epoll_create), ALWAYS (epoll_ctl), \
      ALWAYS (epoll_wait), ALWAYS (epoll_pwait), ALWAYS (recvmsg),                                           \
      ALWAYS (set_robust_list), /* Landlock 2 does not cover truncation: opening for reading must not        \
                                   truncate. */                                                              \
      IF (openat, 1, BITS (2, O_TRUNC, 0)), IF (openat, 1, BITS (2, O_ACCMODE, O_WRONLY)),                   \
      IF (openat, 1, BITS (2, O_ACCMODE, O_RDWR)), IF (fcntl, 1, IS (1, F_GETFD)),                           \
      IF (fcntl, 1, IS (1, F_SETFD)), IF (fcntl, 1, IS (1, F_GETFL)),                                        \
      IF (fcntl, 2, IS (1, F_SETFL), BITS (2, O_ASYNC, 0)), IF (fcntl, 1, IS (1, F_DUPFD)),                  \
      IF (fcntl, 1, IS (1, F_DUPFD_CLOEXEC)), IF (fcntl, 1, IS (1, F_GETLK)),                                \
      IF (fcntl, 1, IS (1, F_SETLK)), IF (fcntl, 1, IS (1, F_SETLKW)), IF (ioctl, 1, IS (1, FIONBIO)),       \
      IF (ioctl, 1, IS (1, FIONREAD)), /* A packet with an address, or a fast open, would be a connection    \
                                          nobody was asked about. */                                         \
      IF (sendmsg, 1, BITS (2, MSG_FASTOPEN, 0)),                                                            \
      IF (sendto, 2, BITS (3, MSG_FASTOPEN, 0), IS (4, 0)), /* stage 2 */                                    \
      IF (seccomp, 2, IS (0, SECCOMP_SET_MODE_FILTER), IS (1, 0)),                                           \
      IF (seccomp, 2, IS (0, SECCOMP_SET_MODE_FILTER), IS (1, SECCOMP_FILTER_FLAG_TSYNC))

static const Rule client_rules[] = { CLIENT_RULES };

/* glibc's pthread_create. */
#define PLAIN_THREAD                                                                                         \
  (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS           \
   | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const Rule thread_rules[] = {
  IF (clone, 1, IS (0, PLAIN_THREAD)),
  ALWAYS (rseq),
};

#define TCP_SOCKET(family, protocol)                                                                         \
  IF (socket, 3, IS (0, family), BITS (1, ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), SOCK_STREAM),           \
      IS (2, protocol))
#define OPTION(level, name) IF (setsockopt, 2, IS (1, level), IS (2, name))

static const Rule connect_rules[] = {
  TCP_SOCKET (AF_INET, 0),
  TCP_SOCKET (AF_INET, IPPROTO_TCP),
  TCP_SOCKET (AF_INET6, 0),
  TCP_SOCKET (AF_INET6, IPPROTO_TCP),
  ALWAYS (recvfrom),
  ALWAYS (shutdown),
  ALWAYS (getsockname),
  ALWAYS (getpeername),
  ALWAYS (getsockopt),
  OPTION (SOL_SOCKET, SO_KEEPALIVE),
  OPTION (SOL_SOCKET, SO_LINGER),
  OPTION (SOL_SOCKET, SO_RCVTIMEO),
  OPTION (SOL_SOCKET, SO_SNDTIMEO),
  OPTION (SOL_SOCKET, SO_RCVBUF),
  OPTION (SOL_SOCKET, SO_SNDBUF),
  OPTION (SOL_SOCKET, SO_REUSEADDR),
  OPTION (IPPROTO_TCP, TCP_NODELAY),
  OPTION (IPPROTO_TCP, TCP_KEEPIDLE),
  OPTION (IPPROTO_TCP, TCP_KEEPINTVL),
  OPTION (IPPROTO_TCP, TCP_KEEPCNT),
  OPTION (IPPROTO_TCP, TCP_USER_TIMEOUT),
  OPTION (IPPROTO_IPV6, IPV6_V6ONLY),
};

/* Nothing innocent makes these. */
static const int deadly_calls[] = {
  SCMP_SYS (execve),           SCMP_SYS (execveat),          SCMP_SYS (ptrace),
  SCMP_SYS (process_vm_readv), SCMP_SYS (process_vm_writev),
};

static int
add_rules (scmp_filter_ctx context, uint32_t action, const Rule *rules, size_t n_rules)
{
  int failure = 0;
  for (size_t i = 0; i < n_rules && failure == 0; i++)
    {
      struct scmp_arg_cmp conditions[3];
      for (unsigned c = 0; c < rules[i].n_conditions; c++)
        {
          const Condition *from = &rules[i].conditions[c];
          conditions[c] = (struct scmp_arg_cmp){
            .arg = from->argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = from->mask, .datum_b = from->value
          };
        }
      failure = seccomp_rule_add_array (context, action, rules[i].call, rules[i].n_conditions, conditions);
    }
  return failure;
}

#define ADD_TABLE(context, action, table) add_rules (context, action, table, sizeof table / sizeof table[0])

/* What stage 1 has in common: the default is EPERM, what nothing innocent does kills, clone3 is not there
 * (its flags lie in memory, where no filter sees them; libraries fall back to clone). */
static int
add_stage_1 (scmp_filter_ctx context, FilterList list, bool may_connect)
{
  static const Rule clone3_rule[] = { ALWAYS (clone3) };
  static const Rule connect_rule[] = { ALWAYS (connect) };

  int failure = 0;
  for (size_t i = 0; i < sizeof deadly_calls / sizeof deadly_calls[0] && failure == 0; i++)
    failure = seccomp_rule_add_array (context, SCMP_ACT_KILL_PROCESS, deadly_calls[i], 0, NULL);
  if (failure == 0)
    failure = ADD_TABLE (context, SCMP_ACT_ERRNO (ENOSYS), clone3_rule);
  if (failure == 0 && list == FILTER_ZYGOTE)
    return ADD_TABLE (context, SCMP_ACT_ALLOW, zygote_rules);

  if (failure == 0)
    failure = ADD_TABLE (context, SCMP_ACT_ALLOW, client_rules);
  if (failure == 0 && list == FILTER_CLIENT_THREADS)
    failure = ADD_TABLE (context, SCMP_ACT_ALLOW, thread_rules);
  if (failure == 0 && may_connect)
    failure = ADD_TABLE (context, SCMP_ACT_ALLOW, connect_rules);
  if (failure == 0 && may_connect)
    failure = ADD_TABLE (context, SCMP_ACT_NOTIFY, connect_rule);
  return failure;
}

/* Stage 2 repeats nothing of stage 1, which stays in force; a call's is installed for every call and is
 * short. A client's only takes code mappings and further filters away. */
static int
add_stage_2 (scmp_filter_ctx context, FilterList list)
{
  static const Rule late_rules[] = {
    IF (mmap, 1, BITS (2, PROT_EXEC, PROT_EXEC)),
    ALWAYS (seccomp),
  };
  return list == FILTER_SERVER_CALL ? ADD_TABLE (context, SCMP_ACT_ALLOW, server_call_rules)
                                    : ADD_TABLE (context, SCMP_ACT_ERRNO (EPERM), late_rules);
}

static bool
export_program (scmp_filter_ctx context, FilterProgram *program)
{
  int fd = memfd_create ("filter", MFD_CLOEXEC);
  if (fd < 0)
    return false;
  int failure = -seccomp_export_bpf (context, fd);
  ssize_t n_bytes = failure == 0 ? pread (fd, program->steps, sizeof program->steps, 0) : -1;
  off_t whole = lseek (fd, 0, SEEK_END);
  close (fd);
  if (n_bytes <= 0 || n_bytes != whole)
    {
      errno = failure != 0 ? failure : E2BIG;
      return false;
    }
  program->n_steps = (size_t)n_bytes / sizeof program->steps[0];
  return true;
}

bool
filter_build (FilterList list, bool may_connect, FilterProgram *program)
{
  bool is_stage_2 = list == FILTER_SERVER_CALL || list == FILTER_CLIENT_LOADED;
  scmp_filter_ctx context
      = seccomp_init (list == FILTER_CLIENT_LOADED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO (EPERM));
  if (context == NULL)
    {
      errno = ENOSYS;
      return false;
    }

  int failure = seccomp_attr_set (context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (failure == 0)
    failure = seccomp_attr_set (context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (failure == 0)
    failure = is_stage_2 ? add_stage_2 (context, list) : add_stage_1 (context, list, may_connect);

  bool is_built = false;
  if (failure == 0)
    is_built = export_program (context, program);
  else
    errno = -failure;
  int why = errno;
  seccomp_release (context);
  errno = why;
  return is_built;
}
