/* Serving a server module: a process for every call, forked from this one, which has loaded the object and
 * does nothing else. The zygote never learns what is asked: a call comes as a socket, and only the process
 * made for it reads it. */
#include "plugin-abi/runner/runner-private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_CHILDREN 64
#define WARM_STACK   16384 /* bytes */

typedef struct
{
  pid_t pid; /* 0: free */
  uint32_t call;
} Call;

typedef struct
{
  Runner *runner;
  pid_t pid;
  Call calls[MAX_CHILDREN];
} Zygote;

static void
on_child (int number)
{
  (void)number;
}

/* fork() leaves pages to the first touch, and waiting for them is a large part of a short call: reads a frame as
 * the call will. */
static void
warm_up (Runner *runner)
{
  volatile char stack[WARM_STACK];
  FrameReader reader;
  for (size_t i = 0; i < sizeof stack; i += 4096)
    stack[i] = 0;
  frame_begin (&runner->frame, FRAME_OP_LOG, FRAME_EVENT, 0);
  frame_put_u32 (&runner->frame, 0);
  frame_put_text (&runner->frame, "");
  if (frame_check (&runner->frame, sizeof runner->frame.header + runner->frame.header.length, FRAME_FROM_RUNNER,
                   FRAME_PHASE_CALL, 0)
      == FRAME_FINE)
    {
      frame_read (&reader, &runner->frame);
      frame_get_u32 (&reader);
      frame_get_text (&reader);
    }
  if (runner->kind->warm != NULL)
    runner->kind->warm (runner);
}

/* In the call's own process. */
static void __attribute__ ((noreturn)) run_call (const Zygote *zygote, int call_fd)
{
  Runner *runner = zygote->runner;
  ChannelReceipt receipt;
  FrameReader request;

  if (dup3 (call_fd, RUNNER_CHANNEL_FD, 0) < 0)
    _exit (1);
  /* First, so that the host knows whom to kill. */
  frame_begin (&runner->answer, FRAME_OP_HELLO, FRAME_EVENT, 0);
  /* Confined before the request is there: the host may have had this process made in advance. */
  if (channel_send (RUNNER_CHANNEL_FD, &runner->answer) != CHANNEL_FRAME
      || !sandbox_enter_call (&runner->plan, zygote->pid, runner->call_ruleset, &runner->orders.stage_2))
    _exit (1);
  warm_up (runner);
  if (channel_receive (RUNNER_CHANNEL_FD, &runner->frame, &receipt, 0) != CHANNEL_FRAME
      || frame_check (&runner->frame, receipt.n_bytes, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0) != FRAME_FINE)
    _exit (1);

  FrameHeader asked = runner->frame.header;
  frame_read (&request, &runner->frame);
  frame_begin (&runner->answer, asked.op, FRAME_ANSWER, asked.call);
  runner->kind->handle (runner, &request, &asked, &runner->answer);
  int status = channel_send (RUNNER_CHANNEL_FD, &runner->answer) == CHANNEL_FRAME ? RUNNER_ANSWERED : 1;
  /* The call is over when its channel closes, and the kernel would take the memory down before that. */
  close (RUNNER_CHANNEL_FD);
  _exit (status);
}

static void
reap (Zygote *zygote, int flags)
{
  pid_t pid;
  int status;
  for (; (pid = waitpid (-1, &status, flags)) > 0; flags = WNOHANG)
    for (size_t i = 0; i < MAX_CHILDREN; i++)
      if (zygote->calls[i].pid == pid)
        {
          zygote->calls[i].pid = 0;
          if (WIFEXITED (status) && WEXITSTATUS (status) == RUNNER_ANSWERED)
            break;
          Frame *frame = &zygote->runner->answer;
          frame_begin (frame, FRAME_OP_CALL_ENDED, FRAME_EVENT, 0);
          frame_put_u32 (frame, zygote->calls[i].call);
          frame_put_u32 (frame, WIFSIGNALED (status) ? (uint32_t)WTERMSIG (status) : 0);
          frame_put_u32 (frame, WIFEXITED (status) ? (uint32_t)WEXITSTATUS (status) : 0);
          channel_send (RUNNER_CHANNEL_FD, frame);
          break;
        }
}

static Call *
find_place (Zygote *zygote)
{
  for (size_t i = 0; i < MAX_CHILDREN; i++)
    if (zygote->calls[i].pid == 0)
      return &zygote->calls[i];
  return NULL;
}

/* A call that cannot be had ends as its channel closes: the host sees that nobody answered. Processes whose
 * call is over may still be about to end: they make room. */
static void
start_call (Zygote *zygote, uint32_t number, int call_fd)
{
  pid_t pid = -1;
  Call *call;
  for (int i = 0; i < MAX_CHILDREN && pid < 0; i++)
    {
      if (i > 0)
        reap (zygote, 0);
      /* Not fork(): the object may have registered handlers. */
      if ((call = find_place (zygote)) != NULL)
        pid = _Fork ();
      if (pid == 0)
        run_call (zygote, call_fd);
      if (pid > 0)
        *call = (Call){ .pid = pid, .call = number };
    }
}

int
runner_serve_zygote (Runner *runner)
{
  Zygote zygote = { .runner = runner, .pid = getpid () };
  struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP };
  sigset_t blocked, open_set;
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGCHLD);

  for (;;)
    {
      struct pollfd channel = { .fd = RUNNER_CHANNEL_FD, .events = POLLIN };
      int n = runner->phase == FRAME_PHASE_SERVE ? ppoll (&channel, 1, NULL, &open_set) : 1;
      if (runner->phase == FRAME_PHASE_SERVE)
        reap (&zygote, WNOHANG);
      if (n < 0)
        continue;

      ChannelReceipt receipt;
      if (channel_receive (RUNNER_CHANNEL_FD, &runner->frame, &receipt, 1) != CHANNEL_FRAME
          || frame_check (&runner->frame, receipt.n_bytes, FRAME_FROM_HOST, runner->phase, 0) != FRAME_FINE)
        return 0;
      if (runner->phase == FRAME_PHASE_LOAD)
        {
          runner->attachment = receipt.fds[0];
          /* After the constructors, which may have set their own. */
          if (!runner_load (runner, &runner->frame) || sigaction (SIGCHLD, &action, NULL) != 0
              || sigprocmask (SIG_BLOCK, &blocked, &open_set) != 0)
            return 1;
          sigdelset (&open_set, SIGCHLD);
        }
      else if (runner->frame.header.op == FRAME_OP_FORK && receipt.fds[0] >= 0)
        {
          FrameReader request;
          frame_read (&request, &runner->frame);
          start_call (&zygote, frame_get_u32 (&request), receipt.fds[0]);
        }
      if (receipt.fds[0] >= 0)
        close (receipt.fds[0]);
    }
}
