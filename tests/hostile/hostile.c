/* A keygen that tries to get out. One object for all deeds: the test copies it and writes into the copy which
 * deed to do and when ("constructor", "call", or "call-stage1": from a call whose constructor first took the
 * second stage of the sandbox out of the runner's hands, so that only the first one is left).
 *
 * What came of it is the serial: the name of an errno, "done" if it worked, or nothing because nobody lived
 * to tell. */
#include <host/keygen.h>

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The test looks for the mark and writes the orders behind it: "deed when host-pid". */
#define MARK "HOSTILE-ORDERS:"
static volatile const char orders[128] = MARK " none call 0";

static char deed_name[64];
static char deed_when[32];
static int host_pid;
static char constructor_result[64] = "";

/* For deeds that need what only a call has. */
static const HostModuleApi *call_api;

static const char *
tell (long result)
{
  return result >= 0 ? "done" : strerrorname_np (errno);
}

/* --- files --- */

static const char *
open_file (void)
{
  return tell (open ("/etc/passwd", O_RDONLY));
}

static const char *
open_own_memory (void)
{
  return tell (open ("/proc/self/mem", O_RDWR));
}

static const char *
open_host_memory (void)
{
  char path[64];
  snprintf (path, sizeof path, "/proc/%d/mem", host_pid);
  return tell (open (path, O_RDONLY));
}

static const char *
open_host_environment (void)
{
  char path[64];
  snprintf (path, sizeof path, "/proc/%d/environ", host_pid);
  return tell (open (path, O_RDONLY));
}

static const char *
list_folder (void)
{
  return tell (open ("/", O_RDONLY | O_DIRECTORY));
}

static const char *
create_file (void)
{
  return tell (open ("/tmp/stoa-hostile-was-here", O_WRONLY | O_CREAT, 0600));
}

static const char *
open_for_truncation (void)
{
  return tell (open ("/usr/lib/os-release", O_RDONLY | O_TRUNC));
}

static const char *
truncate_file (void)
{
  return tell (truncate ("/usr/lib/os-release", 0));
}

static const char *
change_mode (void)
{
  return tell (chmod ("/tmp", 0));
}

static const char *
make_folder (void)
{
  return tell (mkdir ("/tmp/stoa-hostile-folder", 0700));
}

static const char *
remove_file (void)
{
  return tell (unlink ("/tmp/stoa-hostile-victim"));
}

static const char *
look_at_file (void)
{
  struct stat facts;
  return tell (syscall (SYS_stat, "/etc/passwd", &facts));
}

/* --- sockets and other ways out --- */

static const char *
tcp_socket (void)
{
  return tell (socket (AF_INET, SOCK_STREAM, 0));
}

static const char *
udp_socket (void)
{
  return tell (socket (AF_INET, SOCK_DGRAM, 0));
}

static const char *
unix_socket (void)
{
  return tell (socket (AF_UNIX, SOCK_STREAM, 0));
}

static const char *
netlink_socket (void)
{
  return tell (socket (AF_NETLINK, SOCK_RAW, 0));
}

static const char *
socket_pair (void)
{
  int ends[2];
  return tell (socketpair (AF_UNIX, SOCK_STREAM, 0, ends));
}

static const char *
make_pipe (void)
{
  int ends[2];
  return tell (pipe (ends));
}

static const char *
make_eventfd (void)
{
  return tell (syscall (SYS_eventfd2, 0, 0));
}

static const char *
make_memfd (void)
{
  return tell (syscall (SYS_memfd_create, "hidden", 0));
}

static const char *
make_io_uring (void)
{
  struct io_uring_params parameters = { 0 };
  return tell (syscall (SYS_io_uring_setup, 8, &parameters));
}

static const char *
make_userfaultfd (void)
{
  return tell (syscall (SYS_userfaultfd, 0));
}

static const char *
make_shared_memory (void)
{
  return tell (shmget (IPC_PRIVATE, 4096, IPC_CREAT | 0600));
}

static const char *
unshare_user (void)
{
  return tell (unshare (CLONE_NEWUSER));
}

static const char *
become_root (void)
{
  return tell (syscall (SYS_setresuid, 0, 0, 0));
}

/* --- what a plugin that may connect must not make of it --- */

static const struct sockaddr_in nowhere = { .sin_family = AF_INET, .sin_port = 0x0100 };

static const char *
bind_socket (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket" : tell (bind (fd, (const struct sockaddr *)&nowhere, sizeof nowhere));
}

static const char *
listen_socket (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket" : tell (listen (fd, 1));
}

static const char *
open_fast (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket"
                : tell (sendto (fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&nowhere, sizeof nowhere));
}

static const char *
open_fast_by_message (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  struct iovec bytes = { (void *)"x", 1 };
  struct msghdr message
      = { .msg_name = (void *)&nowhere, .msg_namelen = sizeof nowhere, .msg_iov = &bytes, .msg_iovlen = 1 };
  return fd < 0 ? "no socket" : tell (sendmsg (fd, &message, MSG_FASTOPEN));
}

static const char *
send_to_address (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket"
                : tell (sendto (fd, "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&nowhere, sizeof nowhere));
}

static const char *
raw_socket (void)
{
  return tell (socket (AF_INET, SOCK_RAW, 1));
}

static const char *
multipath_socket (void)
{
  return tell (socket (AF_INET, SOCK_STREAM, 262));
}

static const char *
change_protocol (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket" : tell (setsockopt (fd, 6, 31 /* upper layer protocol */, "tls", 3));
}

static const char *
own_a_signal (void)
{
  return tell (fcntl (3, F_SETOWN, host_pid));
}

/* --- what a plugin's folder is for --- */

static const char *
write_data (void)
{
  int fd = open ("note", O_RDWR | O_CREAT | O_TRUNC, 0600);
  return fd < 0 ? strerrorname_np (errno) : tell (write (fd, "x", 1));
}

static const char *
write_too_much (void)
{
  static char bytes[65536];
  int fd = open ("large", O_RDWR | O_CREAT, 0600);
  signal (SIGXFSZ, SIG_IGN);
  for (int i = 0; i < 64; i++)
    if (write (fd, bytes, sizeof bytes) < 0)
      return strerrorname_np (errno);
  return "done";
}

static const char *
run_what_it_wrote (void)
{
  int fd = open ("code", O_RDWR | O_CREAT, 0700);
  if (fd < 0 || write (fd, "\xc3", 1) != 1)
    return "no file";
  return tell (mmap (NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
}

static const char *
move_out_of_folder (void)
{
  int fd = open ("gift", O_RDWR | O_CREAT, 0600);
  return fd < 0 ? "no file" : tell (rename ("gift", "/tmp/stoa-hostile-was-here"));
}

static const char *
link_out_of_folder (void)
{
  return tell (symlink ("/etc/passwd", "link"));
}

static const char *
change_folder (void)
{
  return tell (chdir ("/"));
}

/* --- processes --- */

static const char *
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
static const char *
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
static const char *
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

static const char *
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
static const char *
make_many_threads (void)
{
  pthread_t thread;
  for (int i = 0; i < 40; i++)
    if (pthread_create (&thread, NULL, wait_in_thread, NULL) != 0)
      break;
  wait_in_thread (NULL);
  return "done";
}

static const char *
leave_group (void)
{
  return tell (setpgid (0, 0));
}

static const char *
leave_session (void)
{
  return tell (setsid ());
}

static const char *
kill_host (void)
{
  return tell (kill (host_pid, SIGKILL));
}

static const char *
kill_everybody (void)
{
  return tell (kill (-1, SIGKILL));
}

static const char *
open_host_pidfd (void)
{
  return tell (syscall (SYS_pidfd_open, host_pid, 0));
}

static const char *
trace_host (void)
{
  return tell (ptrace (PTRACE_SEIZE, host_pid, NULL, NULL));
}

static const char *
read_host_memory (void)
{
  char byte;
  struct iovec here = { &byte, 1 }, there = { (void *)orders, 1 };
  return tell (process_vm_readv (host_pid, &here, 1, &there, 1, 0));
}

static const char *
limit_host (void)
{
  struct rlimit limit = { 0, 0 };
  return tell (prlimit (host_pid, RLIMIT_NOFILE, &limit, NULL));
}

static const char *
raise_own_limit (void)
{
  struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
  return tell (setrlimit (RLIMIT_AS, &limit));
}

/* --- the sandbox itself --- */

static const char *
become_dumpable (void)
{
  return tell (prctl (PR_SET_DUMPABLE, 1));
}

static const char *
outlive_the_supervisor (void)
{
  return tell (prctl (PR_SET_PDEATHSIG, 0));
}

static const char *
adopt_orphans (void)
{
  return tell (prctl (PR_SET_CHILD_SUBREAPER, 1));
}

static const char *
listen_to_own_calls (void)
{
  struct sock_filter allow = BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  struct sock_fprog program = { 1, &allow };
  return tell (syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

static const char *
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

static const char *
x32_call (void)
{
#ifdef __x86_64__
  return tell (syscall (0x40000000 + SYS_getpid));
#else
  return run_program ();
#endif
}

/* --- memory --- */

static const char *
map_shared (void)
{
  return tell (
      mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
}

static const char *
map_executable (void)
{
  return tell (mmap (NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                       == MAP_FAILED
                   ? -1
                   : 0);
}

static const char *
make_executable (void)
{
  void *page = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? "no page" : tell (mprotect (page, 4096, PROT_READ | PROT_EXEC));
}

static const char *
load_late (void)
{
  return dlopen ("libm.so.6", RTLD_NOW | RTLD_LOCAL) != NULL ? "done" : "refused";
}

typedef struct Piece
{
  struct Piece *next;
  char room[(1 << 20) - 64];
} Piece;

static const char *
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

static const char *
loop (void)
{
  loop_for_ever ();
  return "done";
}

static const char *
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

static const char *
recurse (void)
{
  volatile char start[1] = { 0 };
  return recurse_deeper (start) == 0 ? "done" : "";
}

static const char *
call_abort (void)
{
  abort ();
}

static const char *
call_exit (void)
{
  exit (0);
}

static const char *
write_null (void)
{
  *(volatile int *)NULL = 1;
  return "done";
}

static const char *
close_everything (void)
{
  for (int fd = 0; fd < 64; fd++)
    close (fd);
  return "done";
}

/* --- lies on the channel --- */

typedef struct
{
  uint32_t length;
  uint16_t op;
  uint16_t flags;
  uint32_t call;
  int32_t status;
  uint8_t payload[200 * 1024];
} Packet;

static const char *
send_packet (uint16_t op, uint16_t flags, uint32_t call, const void *payload, uint32_t length, size_t n_bytes)
{
  static Packet packet;
  packet.length = length;
  packet.op = op;
  packet.flags = flags;
  packet.call = call;
  if (payload != NULL)
    memcpy (packet.payload, payload, length);
  struct iovec bytes = { &packet, n_bytes };
  struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
  return tell (sendmsg (3, &message, MSG_NOSIGNAL));
}

/* A keygen's answer, word for word: OK, "FORGED", no expiry. */
static const uint8_t forged[]
    = { 0, 0, 0, 0, 6, 0, 0, 0, 'F', 'O', 'R', 'G', 'E', 'D', 0, 0, 0, 0, 0, 0, 0, 0, 0 };
#define OP_LOG    18
#define OP_KEYGEN 49
#define ANSWER    2
#define EVENT     4

static const char *
answer_twice (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 1, forged, sizeof forged, 16 + sizeof forged);
}

static const char *
answer_another_call (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 2, forged, sizeof forged, 16 + sizeof forged);
}

static const char *
answer_too_much (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 1, NULL, 150 * 1024, 16 + 150 * 1024);
}

static const char *
answer_less_than_said (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 1, NULL, 4000, 20);
}

static const char *
send_unknown_frame (void)
{
  return send_packet (7777, EVENT, 0, NULL, 0, 16);
}

static const char *
send_nothing (void)
{
  return send_packet (0, 0, 0, NULL, 0, 0);
}

static const char *
send_descriptor (void)
{
  union
  {
    struct cmsghdr header;
    char room[CMSG_SPACE (sizeof (int))];
  } control = { .room = { 0 } };
  Packet *packet = calloc (1, sizeof *packet);
  int fd = 3;
  packet->op = OP_LOG;
  packet->flags = EVENT;
  packet->length = 9;
  packet->payload[4] = 0;
  struct iovec bytes = { packet, 16 + 9 };
  struct msghdr message = {
    .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room
  };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (header), &fd, sizeof fd);
  return tell (sendmsg (3, &message, MSG_NOSIGNAL));
}

static const char *
flood_log (void)
{
  for (int i = 0; call_api != NULL && i < 100000; i++)
    call_api->log (call_api->host, HOST_LOG_INFO, "\xff\xfe\n\x1b[31mforged line");
  return "done";
}

static const char *
flood_log_by_hand (void)
{
  static const uint8_t line[] = { 2, 0, 0, 0, 1, 0, 0, 0, 'x', 0 };
  const char *result = "done";
  for (int i = 0; i < 100000 && strcmp (result, "done") == 0; i++)
    result = send_packet (OP_LOG, EVENT, 0, line, sizeof line, 16 + sizeof line);
  return result;
}

/* --- taking stage 2 away: the runner enters it by syscall(), which it finds through a table that we may
 * write --- */

static long
harmless_syscall (long number, ...)
{
  va_list rest;
  long a[6];
  if (number == SYS_seccomp || number == SYS_landlock_restrict_self)
    return 0;
  va_start (rest, number);
  for (int i = 0; i < 6; i++)
    a[i] = va_arg (rest, long);
  va_end (rest);
  return syscall (number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

typedef void (*AnyFunction) (void);

static void
redirect (const struct link_map *program, const ElfW (Rela) * relocations, size_t n_bytes,
          const ElfW (Sym) * symbols, const char *names, const char *function, AnyFunction replacement)
{
  for (size_t i = 0; relocations != NULL && i < n_bytes / sizeof *relocations; i++)
    {
      const ElfW (Sym) *symbol = &symbols[ELF64_R_SYM (relocations[i].r_info)];
      if (strcmp (names + symbol->st_name, function) != 0)
        continue;
      AnyFunction *slot = (AnyFunction *)(program->l_addr + relocations[i].r_offset);
      uintptr_t page = (uintptr_t)slot & ~(uintptr_t)4095;
      mprotect ((void *)page, 4096, PROT_READ | PROT_WRITE);
      *slot = replacement;
    }
}

/* Makes the runner's own calls of @function go to @replacement. */
static void
replace_in_runner (const char *function, AnyFunction replacement)
{
  /* The first in the list is the program. */
  const struct link_map *program = _r_debug.r_map;
  const ElfW (Rela) *plt = NULL, *rela = NULL;
  const ElfW (Sym) *symbols = NULL;
  const char *names = NULL;
  size_t n_plt = 0, n_rela = 0;
  for (const ElfW (Dyn) *entry = program->l_ld; entry->d_tag != DT_NULL; entry++)
    switch (entry->d_tag)
      {
      case DT_JMPREL:
        plt = (const void *)entry->d_un.d_ptr;
        break;
      case DT_PLTRELSZ:
        n_plt = entry->d_un.d_val;
        break;
      case DT_RELA:
        rela = (const void *)entry->d_un.d_ptr;
        break;
      case DT_RELASZ:
        n_rela = entry->d_un.d_val;
        break;
      case DT_SYMTAB:
        symbols = (const void *)entry->d_un.d_ptr;
        break;
      case DT_STRTAB:
        names = (const void *)entry->d_un.d_ptr;
        break;
      default:
        break;
      }
  redirect (program, plt, n_plt, symbols, names, function, replacement);
  redirect (program, rela, n_rela, symbols, names, function, replacement);
}

/* --- quiet ones --- */

static const char *
count_environment (void)
{
  extern char **environ;
  return environ == NULL || environ[0] == NULL ? "none" : environ[0];
}

static const char *
count_calls (void)
{
  static int n_calls;
  static char text[16];
  snprintf (text, sizeof text, "%d", ++n_calls);
  return text;
}

static const char *
answer_binary (void)
{
  return "\x01\x02";
}

static const char *
answer_empty (void)
{
  return "";
}

/* A zygote that takes calls and never forks: the runner's fork is replaced. */
static pid_t
pretend_to_fork (void)
{
  return 1;
}

/* A zygote that serves, and in between burns a processor. */
static int
poll_busily (struct pollfd *fds, nfds_t n_fds, const struct timespec *timeout, const sigset_t *mask)
{
  static const struct timespec now = { 0, 0 };
  int n;
  (void)timeout;
  do
    {
      for (volatile unsigned i = 0; i < 100000; i++)
        {
        }
      n = ppoll (fds, n_fds, &now, mask);
    }
  while (n == 0);
  return n;
}

static const char *
burn_between_calls (void)
{
  replace_in_runner ("ppoll", (AnyFunction)poll_busily);
  return "done";
}

static const char *
do_nothing_wrong (void)
{
  return "done";
}

/* --- which, and when --- */

typedef struct
{
  const char *name;
  const char *(*commit) (void);
} Deed;

#define DEED(name)                                                                                           \
  {                                                                                                          \
#name, name                                                                                              \
  }
static const char *
swallow_calls (void)
{
  replace_in_runner ("_Fork", (AnyFunction)pretend_to_fork);
  return "done";
}

static const Deed deeds[] = {
  DEED (swallow_calls),
  DEED (open_file),
  DEED (open_own_memory),
  DEED (open_host_memory),
  DEED (open_host_environment),
  DEED (list_folder),
  DEED (create_file),
  DEED (open_for_truncation),
  DEED (truncate_file),
  DEED (change_mode),
  DEED (make_folder),
  DEED (remove_file),
  DEED (look_at_file),
  DEED (tcp_socket),
  DEED (udp_socket),
  DEED (unix_socket),
  DEED (netlink_socket),
  DEED (socket_pair),
  DEED (make_pipe),
  DEED (make_eventfd),
  DEED (make_memfd),
  DEED (make_io_uring),
  DEED (make_userfaultfd),
  DEED (make_shared_memory),
  DEED (unshare_user),
  DEED (become_root),
  DEED (run_program),
  DEED (fork_and_stay),
  DEED (fork_and_hold),
  DEED (make_thread),
  DEED (make_many_threads),
  DEED (leave_group),
  DEED (leave_session),
  DEED (kill_host),
  DEED (kill_everybody),
  DEED (open_host_pidfd),
  DEED (trace_host),
  DEED (read_host_memory),
  DEED (limit_host),
  DEED (raise_own_limit),
  DEED (become_dumpable),
  DEED (outlive_the_supervisor),
  DEED (adopt_orphans),
  DEED (listen_to_own_calls),
  DEED (old_machine_call),
  DEED (x32_call),
  DEED (map_shared),
  DEED (map_executable),
  DEED (make_executable),
  DEED (load_late),
  DEED (allocate),
  DEED (loop),
  DEED (wait_for_ever),
  DEED (recurse),
  DEED (call_abort),
  DEED (call_exit),
  DEED (write_null),
  DEED (close_everything),
  DEED (answer_twice),
  DEED (answer_another_call),
  DEED (answer_too_much),
  DEED (answer_less_than_said),
  DEED (send_unknown_frame),
  DEED (send_nothing),
  DEED (send_descriptor),
  DEED (flood_log),
  DEED (flood_log_by_hand),
  DEED (count_environment),
  DEED (count_calls),
  DEED (answer_binary),
  DEED (answer_empty),
  DEED (bind_socket),
  DEED (listen_socket),
  DEED (open_fast),
  DEED (open_fast_by_message),
  DEED (send_to_address),
  DEED (raw_socket),
  DEED (multipath_socket),
  DEED (change_protocol),
  DEED (own_a_signal),
  DEED (write_data),
  DEED (write_too_much),
  DEED (run_what_it_wrote),
  DEED (move_out_of_folder),
  DEED (link_out_of_folder),
  DEED (change_folder),
  DEED (burn_between_calls),
  DEED (do_nothing_wrong),
};

static const char *
commit_deed (void)
{
  for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
    if (strcmp (deeds[i].name, deed_name) == 0)
      return deeds[i].commit ();
  return "no such deed";
}

/* Called, so that the test knows that it was. */
static const char *
name_stage (void)
{
  int fd = open ("/lib/x86_64-linux-gnu/libm.so.6", O_RDONLY);
  return fd >= 0 ? "stage 1" : "stage 2";
}

static void __attribute__ ((constructor)) construct (void)
{
  char text[sizeof orders];
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = orders[i];
  sscanf (text + strlen (MARK), "%63s %31s %d", deed_name, deed_when, &host_pid);
  if (strcmp (deed_when, "call-stage1") == 0)
    replace_in_runner ("syscall", (AnyFunction)harmless_syscall);
  if (strcmp (deed_when, "constructor") == 0)
    snprintf (constructor_result, sizeof constructor_result, "%s", commit_deed ());
}

/* As a client's plugin, called by a descriptor: does what @deed says, or tells what the constructor's came
 * to. */
HOST_EXPORT const char *hostile_command (const char *deed);

const char *
hostile_command (const char *deed)
{
  if (strcmp (deed, "constructor") == 0)
    return constructor_result;
  snprintf (deed_name, sizeof deed_name, "%s", deed);
  return commit_deed ();
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
             int64_t *expires)
{
  (void)expires;
  call_api = api;
  if (strcmp (request->term, "stage") == 0)
    snprintf (serial, cap, "%s", name_stage ());
  else if (strcmp (deed_when, "constructor") == 0)
    snprintf (serial, cap, "%s", constructor_result);
  else
    snprintf (serial, cap, "%s", commit_deed ());
  return HOST_OK;
}
