/* Lies on the channel, and rewriting the runner. */
#include "tests/hostile/deeds.h"

#include <elf.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

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

const char *
answer_twice (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 1, forged, sizeof forged, 16 + sizeof forged);
}

const char *
answer_another_call (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 2, forged, sizeof forged, 16 + sizeof forged);
}

const char *
answer_too_much (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 1, NULL, 150 * 1024, 16 + 150 * 1024);
}

const char *
answer_less_than_said (void)
{
  return send_packet (OP_KEYGEN, ANSWER, 1, NULL, 4000, 20);
}

const char *
send_unknown_frame (void)
{
  return send_packet (7777, EVENT, 0, NULL, 0, 16);
}

const char *
send_nothing (void)
{
  return send_packet (0, 0, 0, NULL, 0, 0);
}

const char *
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

const char *
flood_log (void)
{
  for (int i = 0; call_api != NULL && i < 100000; i++)
    call_api->log (call_api->host, HOST_LOG_INFO, "\xff\xfe\n\x1b[31mforged line");
  return "done";
}

const char *
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

/* Everything but what enters stage 2. */
long
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
void
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

const char *
count_environment (void)
{
  extern char **environ;
  return environ == NULL || environ[0] == NULL ? "none" : environ[0];
}

const char *
count_calls (void)
{
  static int n_calls;
  static char text[16];
  snprintf (text, sizeof text, "%d", ++n_calls);
  return text;
}

const char *
answer_binary (void)
{
  return "\x01\x02";
}

const char *
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

const char *
swallow_calls (void)
{
  replace_in_runner ("_Fork", (AnyFunction)pretend_to_fork);
  return "done";
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

const char *
burn_between_calls (void)
{
  replace_in_runner ("ppoll", (AnyFunction)poll_busily);
  return "done";
}

const char *
do_nothing_wrong (void)
{
  return "done";
}
