/* System calls that nobody needs who computes: each by itself where the verdict differs, the rest as one row.
 */
#include "tests/hostile/deeds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than the oldest headers we build with. */
#define CALL_MEMFD_SECRET 447

typedef struct
{
  const char *name;
  long number;
} ForbiddenCall;

/* clang-format off */
#define CALL(name) { #name, SYS_##name }
static const ForbiddenCall forbidden_calls[] = {
  /* files by other ways */
  CALL (openat2), CALL (open_by_handle_at), CALL (name_to_handle_at), CALL (linkat), CALL (symlinkat), CALL (mknodat),
  CALL (fchmod), CALL (fchmodat), CALL (fchown), CALL (fchownat), CALL (utimensat), CALL (setxattr), CALL (lsetxattr),
  CALL (fsetxattr), CALL (removexattr), CALL (truncate), CALL (fallocate), CALL (chroot), CALL (chdir), CALL (fchdir),
  CALL (statfs), CALL (inotify_init1), CALL (fanotify_init), CALL (quotactl), CALL (copy_file_range),
  CALL (splice), CALL (tee), CALL (vmsplice), CALL (sendfile),
  /* mounts and namespaces */
  CALL (mount), CALL (umount2), CALL (pivot_root), CALL (open_tree), CALL (move_mount), CALL (fsopen), CALL (fsmount),
  CALL (mount_setattr), CALL (unshare), CALL (setns),
  /* other processes */
  CALL (kill), CALL (tkill), CALL (tgkill), CALL (rt_sigqueueinfo), CALL (rt_tgsigqueueinfo), CALL (pidfd_open),
  CALL (pidfd_getfd), CALL (pidfd_send_signal), CALL (kcmp), CALL (process_madvise), CALL (setpriority),
  CALL (sched_setscheduler), CALL (sched_setaffinity), CALL (ioprio_set), CALL (setpgid), CALL (setsid),
  CALL (migrate_pages), CALL (move_pages),
  /* who it is */
  CALL (setuid), CALL (setgid), CALL (setreuid), CALL (setregid), CALL (setresuid), CALL (setresgid), CALL (setgroups),
  CALL (setfsuid), CALL (setfsgid), CALL (capset), CALL (personality),
  /* ways to somebody else */
  CALL (bind), CALL (listen), CALL (accept), CALL (accept4), CALL (sendmmsg), CALL (recvmmsg), CALL (socketpair),
  CALL (pipe2), CALL (eventfd2), CALL (signalfd4), CALL (timerfd_create), CALL (timer_create), CALL (mq_open),
  CALL (msgget), CALL (semget), CALL (shmget), CALL (shmat), CALL (memfd_create),
  CALL (add_key), CALL (request_key), CALL (keyctl),
  /* large doors into the kernel */
  CALL (bpf), CALL (perf_event_open), CALL (userfaultfd), CALL (io_uring_setup), CALL (io_uring_enter),
  CALL (io_uring_register), CALL (io_setup), CALL (io_submit), CALL (init_module), CALL (finit_module),
  CALL (delete_module), CALL (kexec_load), CALL (landlock_create_ruleset), CALL (landlock_add_rule),
  CALL (remap_file_pages), CALL (mbind), CALL (pkey_alloc), CALL (pkey_mprotect), CALL (mlock2), CALL (mlockall),
  { "memfd_secret", CALL_MEMFD_SECRET },
#ifdef __x86_64__
  CALL (iopl), CALL (ioperm), CALL (modify_ldt), CALL (arch_prctl), CALL (link), CALL (symlink), CALL (mknod),
  CALL (chmod), CALL (chown), CALL (lchown), CALL (pipe), CALL (eventfd), CALL (utime), CALL (creat), CALL (open),
#endif
  /* the machine */
  CALL (reboot), CALL (sethostname), CALL (setdomainname), CALL (settimeofday), CALL (clock_settime), CALL (adjtimex),
  CALL (swapon), CALL (acct), CALL (syslog), CALL (vhangup),
};
/* clang-format on */

/* With arguments that could do no harm. "EPERM" if that is the answer of every one. */
const char *
make_forbidden_calls (void)
{
  static char text[64];
  for (size_t i = 0; i < sizeof forbidden_calls / sizeof forbidden_calls[0]; i++)
    {
      errno = 0;
      long result = syscall (forbidden_calls[i].number, -1L, 0L, 0L, 0L, 0L, 0L);
      if (result == -1 && errno == EPERM)
        continue;
      const char *came = result == -1 ? strerrorname_np (errno) : "done";
      snprintf (text, sizeof text, "%s: %s", forbidden_calls[i].name, came != NULL ? came : "?");
      return text;
    }
  return "EPERM";
}

const char *
run_descriptor (void)
{
  char *const nothing[] = { NULL };
  return tell (syscall (SYS_execveat, 3, "", nothing, nothing, AT_EMPTY_PATH));
}

const char *
write_host_memory (void)
{
  char byte = 0;
  struct iovec here = { &byte, 1 }, there = { (void *)&host_pid, 1 };
  return tell (syscall (SYS_process_vm_writev, host_pid, &here, 1, &there, 1, 0));
}

/* Not even itself: the list knows no process it may signal. */
const char *
signal_itself (void)
{
  return tell (kill (getpid (), 0));
}

const char *
signal_thread_of_host (void)
{
  return tell (syscall (SYS_tgkill, host_pid, host_pid, SIGKILL));
}

const char *
queue_signal_to_host (void)
{
  siginfo_t facts = { .si_code = SI_QUEUE };
  return tell (syscall (SYS_rt_sigqueueinfo, host_pid, SIGKILL, &facts));
}

/* The kernel's older fork, which leaves no flags to look at. */
const char *
fork_the_old_way (void)
{
#ifdef SYS_fork
  long pid = syscall (SYS_fork);
  if (pid == 0)
    _exit (0);
  return tell (pid);
#else
  errno = EPERM;
  return tell (-1);
#endif
}

/* A process that shares this one's memory could write into it from the next call. */
const char *
fork_with_shared_memory (void)
{
  long pid = syscall (SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0L, 0L, 0L, 0L);
  if (pid == 0)
    syscall (SYS_exit, 0);
  return tell (pid);
}

const char *
fork_by_clone3 (void)
{
  return tell (syscall (SYS_clone3, NULL, 0));
}

/* One that only takes away harms nobody, and the runner's own way into stage 2 is this call: so stage 1 lets
 * it. */
const char *
install_filter (void)
{
  struct sock_filter allow = BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = { 1, &allow };
  return tell (syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

const char *
install_filter_by_prctl (void)
{
  struct sock_filter allow = BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = { 1, &allow };
  return tell (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

const char *
map_shared_validated (void)
{
  void *page = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0);
  return tell (page == MAP_FAILED ? -1 : 0);
}

/* Its own code, made writable and then code again. */
const char *
rewrite_own_code (void)
{
  uintptr_t page = (uintptr_t)rewrite_own_code & ~(uintptr_t)4095;
  if (mprotect ((void *)page, 4096, PROT_READ | PROT_WRITE) != 0)
    return tell (-1);
  /* Only reached if the page could be had; then the next instruction would not be code. */
  return "done";
}

/* Without the cut to 32 bits, garbage above the flags would hide them from a filter that looks at all 64. */
const char *
hide_flags (void)
{
  return tell (syscall (SYS_mmap, NULL, 4096, 0x100000000L | PROT_READ | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

const char *
open_for_writing (void)
{
  return tell (open ("/usr/lib/os-release", O_RDWR));
}

const char *
open_unnamed (void)
{
  return tell (open ("/tmp", O_TMPFILE | O_RDWR, 0600));
}

const char *
open_shared_memory (void)
{
  return tell (open ("/dev/shm/stoa-hostile", O_RDWR | O_CREAT, 0600));
}

const char *
climb_out_by_dots (void)
{
  return tell (open ("/usr/lib/../../etc/passwd", O_RDONLY));
}

const char *
open_root_of_itself (void)
{
  return tell (open ("/proc/self/root"
                     "/etc/passwd",
                     O_RDONLY));
}
