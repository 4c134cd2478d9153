/* Files, sockets, and what a client plugin was given of either. */
#include "tests/hostile/deeds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* A path in the folder where everybody may do anything (outside.h). */
static const char *
in_outside (const char *name)
{
  static char path[128];
  snprintf (path, sizeof path, "/tmp/stoa-outside-%d/%s", (int)host_pid, name);
  return path;
}

/* --- files --- */

const char *
open_file (void)
{
  return tell (open ("/etc/passwd", O_RDONLY));
}

const char *
open_own_memory (void)
{
  return tell (open ("/proc/self/mem", O_RDWR));
}

const char *
open_host_memory (void)
{
  char path[64];
  snprintf (path, sizeof path, "/proc/%d/mem", host_pid);
  return tell (open (path, O_RDONLY));
}

const char *
open_host_environment (void)
{
  char path[64];
  snprintf (path, sizeof path, "/proc/%d/environ", host_pid);
  return tell (open (path, O_RDONLY));
}

const char *
list_folder (void)
{
  return tell (open ("/", O_RDONLY | O_DIRECTORY));
}

const char *
create_file (void)
{
  return tell (open (in_outside ("was-here"), O_WRONLY | O_CREAT, 0600));
}

const char *
open_for_truncation (void)
{
  return tell (open ("/usr/lib/os-release", O_RDONLY | O_TRUNC));
}

const char *
truncate_file (void)
{
  return tell (truncate (in_outside ("victim"), 0));
}

const char *
change_mode (void)
{
  return tell (chmod (in_outside (""), 0));
}

const char *
make_folder (void)
{
  return tell (mkdir (in_outside ("folder"), 0700));
}

const char *
remove_file (void)
{
  return tell (unlink (in_outside ("victim")));
}

const char *
look_at_file (void)
{
  struct stat facts;
  return tell (syscall (SYS_stat, "/etc/passwd", &facts));
}

/* --- sockets and other ways out --- */

const char *
tcp_socket (void)
{
  return tell (socket (AF_INET, SOCK_STREAM, 0));
}

const char *
udp_socket (void)
{
  return tell (socket (AF_INET, SOCK_DGRAM, 0));
}

const char *
unix_socket (void)
{
  return tell (socket (AF_UNIX, SOCK_STREAM, 0));
}

const char *
netlink_socket (void)
{
  return tell (socket (AF_NETLINK, SOCK_RAW, 0));
}

const char *
socket_pair (void)
{
  int ends[2];
  return tell (socketpair (AF_UNIX, SOCK_STREAM, 0, ends));
}

const char *
make_pipe (void)
{
  int ends[2];
  return tell (pipe (ends));
}

const char *
make_eventfd (void)
{
  return tell (syscall (SYS_eventfd2, 0, 0));
}

const char *
make_memfd (void)
{
  return tell (syscall (SYS_memfd_create, "hidden", 0));
}

const char *
make_io_uring (void)
{
  struct io_uring_params parameters = { 0 };
  return tell (syscall (SYS_io_uring_setup, 8, &parameters));
}

const char *
make_userfaultfd (void)
{
  return tell (syscall (SYS_userfaultfd, 0));
}

const char *
make_shared_memory (void)
{
  return tell (shmget (IPC_PRIVATE, 4096, IPC_CREAT | 0600));
}

const char *
unshare_user (void)
{
  return tell (unshare (CLONE_NEWUSER));
}

const char *
become_root (void)
{
  return tell (syscall (SYS_setresuid, 0, 0, 0));
}

/* --- what a plugin that may connect must not make of it --- */

static const struct sockaddr_in nowhere = { .sin_family = AF_INET, .sin_port = 0x0100 };

const char *
bind_socket (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket" : tell (bind (fd, (const struct sockaddr *)&nowhere, sizeof nowhere));
}

const char *
listen_socket (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket" : tell (listen (fd, 1));
}

const char *
open_fast (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket"
                : tell (sendto (fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&nowhere, sizeof nowhere));
}

const char *
open_fast_by_message (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  struct iovec bytes = { (void *)"x", 1 };
  struct msghdr message
      = { .msg_name = (void *)&nowhere, .msg_namelen = sizeof nowhere, .msg_iov = &bytes, .msg_iovlen = 1 };
  return fd < 0 ? "no socket" : tell (sendmsg (fd, &message, MSG_FASTOPEN));
}

const char *
send_to_address (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket"
                : tell (sendto (fd, "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&nowhere, sizeof nowhere));
}

const char *
raw_socket (void)
{
  return tell (socket (AF_INET, SOCK_RAW, 1));
}

const char *
multipath_socket (void)
{
  return tell (socket (AF_INET, SOCK_STREAM, 262));
}

const char *
change_protocol (void)
{
  int fd = socket (AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? "no socket" : tell (setsockopt (fd, 6, 31 /* upper layer protocol */, "tls", 3));
}

const char *
own_a_signal (void)
{
  return tell (fcntl (3, F_SETOWN, host_pid));
}

/* --- what a plugin's folder is for --- */

const char *
write_data (void)
{
  int fd = open ("note", O_RDWR | O_CREAT | O_TRUNC, 0600);
  return fd < 0 ? strerrorname_np (errno) : tell (write (fd, "x", 1));
}

const char *
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

const char *
run_what_it_wrote (void)
{
  int fd = open ("code", O_RDWR | O_CREAT, 0700);
  if (fd < 0 || write (fd, "\xc3", 1) != 1)
    return "no file";
  return tell (mmap (NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
}

const char *
move_out_of_folder (void)
{
  int fd = open ("gift", O_RDWR | O_CREAT, 0600);
  return fd < 0 ? "no file" : tell (rename ("gift", in_outside ("was-here")));
}

const char *
link_out_of_folder (void)
{
  return tell (symlink ("/etc/passwd", "link"));
}

const char *
change_folder (void)
{
  return tell (chdir ("/"));
}
