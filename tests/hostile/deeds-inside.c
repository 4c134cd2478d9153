/* Processes, memory, the sandbox itself, and bad ends. */
#include "tests/hostile/deeds.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* --- processes --- */

const char *
run_program (void)
{
  char *const arguments[] = { "sh", "-c", "true", NULL };
  char *const environment[] = { NULL };
  execve ("/bin/sh", arguments, environment);
  return tell (-1);
}

static volatile int is_for_ever = 1;

static void
loop_for_ever (void)
{
  while (is_for_ever)
    {
    }
}

/* The child stays behind and does nothing useful; it lets go of the channel, so that nobody misses it. */
const char *
fork_and_stay (void)
{
  pid_t pid = _Fork ();
  if (pid == 0)
    {
      close (3);
      loop_for_ever ();
    }
  return tell (pid);
}

/* The same, and the call itself never ends by its process's end: the child holds the channel. */
const char *
fork_and_hold (void)
{
  if (_Fork () == 0)
    loop_for_ever ();
  _exit (0);
}

static void *
do_nothing (void *data)
{
  return data;
}

const char *
make_thread (void)
{
  pthread_t thread;
  int failure = pthread_create (&thread, NULL, do_nothing, NULL);
  return failure == 0 ? "done" : strerrorname_np (failure);
}

static void *
wait_in_thread (void *data)
{
  for (;;)
    pause ();
  return data;
}

/* One more than anybody needs, and then the call just goes on. */
const char *
make_many_threads (void)
{
  pthread_t thread;
  for (int i = 0; i < 40; i++)
    if (pthread_create (&thread, NULL, wait_in_thread, NULL) != 0)
      break;
  wait_in_thread (NULL);
  return "done";
}

const char *
leave_group (void)
{
  return tell (setpgid (0, 0));
}

const char *
leave_session (void)
{
  return tell (setsid ());
}

const char *
kill_host (void)
{
  return tell (kill (host_pid, SIGKILL));
}

const char *
kill_everybody (void)
{
  return tell (kill (-1, SIGKILL));
}

const char *
open_host_pidfd (void)
{
  return tell (syscall (SYS_pidfd_open, host_pid, 0));
}

const char *
trace_host (void)
{
  return tell (ptrace (PTRACE_SEIZE, host_pid, NULL, NULL));
}

const char *
read_host_memory (void)
{
  char byte;
  struct iovec here = { &byte, 1 }, there = { (void *)&host_pid, 1 };
  return tell (process_vm_readv (host_pid, &here, 1, &there, 1, 0));
}

const char *
limit_host (void)
{
  struct rlimit limit = { 0, 0 };
  return tell (prlimit (host_pid, RLIMIT_NOFILE, &limit, NULL));
}

const char *
raise_own_limit (void)
{
  struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
  return tell (setrlimit (RLIMIT_AS, &limit));
}

/* --- the sandbox itself --- */

const char *
become_dumpable (void)
{
  return tell (prctl (PR_SET_DUMPABLE, 1));
}

const char *
outlive_the_supervisor (void)
{
  return tell (prctl (PR_SET_PDEATHSIG, 0));
}

const char *
adopt_orphans (void)
{
  return tell (prctl (PR_SET_CHILD_SUBREAPER, 1));
}

const char *
listen_to_own_calls (void)
{
  struct sock_filter allow = BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  struct sock_fprog program = { 1, &allow };
  return tell (syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

const char *
old_machine_call (void)
{
#ifdef __x86_64__
  /* getpid of 32-bit programs */
  long result = 20;
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result > 0 ? "done" : "ENOSYS";
#else
  return run_program ();
#endif
}

const char *
x32_call (void)
{
#ifdef __x86_64__
  return tell (syscall (0x40000000 + SYS_getpid));
#else
  return run_program ();
#endif
}

/* --- memory --- */

const char *
map_shared (void)
{
  return tell (
      mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
}

const char *
map_executable (void)
{
  return tell (mmap (NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                       == MAP_FAILED
                   ? -1
                   : 0);
}

const char *
make_executable (void)
{
  void *page = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? "no page" : tell (mprotect (page, 4096, PROT_READ | PROT_EXEC));
}

const char *
load_late (void)
{
  return dlopen ("libm.so.6", RTLD_NOW | RTLD_LOCAL) != NULL ? "done" : "refused";
}

typedef struct Piece
{
  struct Piece *next;
  char room[(1 << 20) - 64];
} Piece;

const char *
allocate (void)
{
  Piece *pieces = NULL, *piece;
  size_t n = 0;
  for (; n < 100000 && (piece = malloc (sizeof *piece)) != NULL; n++)
    {
      memset (piece->room, 1, sizeof piece->room);
      piece->next = pieces;
      pieces = piece;
    }
  const char *result = n < 100000 ? strerrorname_np (errno) : "done";
  for (; pieces != NULL; pieces = piece)
    {
      piece = pieces->next;
      free (pieces);
    }
  return result;
}

/* --- never ending, and ending badly --- */

const char *
loop (void)
{
  loop_for_ever ();
  return "done";
}

const char *
wait_for_ever (void)
{
  int word = 0;
  while (is_for_ever)
    syscall (SYS_futex, &word, 0 /* wait */, 0, NULL, NULL, 0);
  return "done";
}

static int
recurse_deeper (volatile char *above)
{
  volatile char here[4096];
  here[0] = above[0];
  return recurse_deeper (here) + here[0];
}

const char *
recurse (void)
{
  volatile char start[1] = { 0 };
  return recurse_deeper (start) == 0 ? "done" : "";
}

const char *
call_abort (void)
{
  abort ();
}

const char *
call_exit (void)
{
  exit (0);
}

const char *
write_null (void)
{
  *(volatile int *)NULL = 1;
  return "done";
}

const char *
close_everything (void)
{
  for (int fd = 0; fd < 64; fd++)
    close (fd);
  return "done";
}
