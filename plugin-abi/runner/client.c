/* Serving a client plugin: one process for its life. The host's requests are handled one after the other on
 * the first thread; any thread of the plugin may ask the host. Of the threads that wait for something, one
 * receives for all: answers go to who asked, requests into a queue for the first thread. */
#include "plugin-abi/runner/runner-private.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A question that waits for its answer; it lies on the asking thread's stack. */
struct Ask
{
  Ask *next;
  uint32_t call;
  uint16_t op;
  Frame *answer;
  bool is_answered;
};

struct QueuedFrame
{
  QueuedFrame *next;
  FrameHeader header;
  uint8_t payload[];
};

static void
enqueue (Runner *runner)
{
  const Frame *frame = &runner->frame;
  QueuedFrame *queued = NULL;
  if (runner->n_queued < RUNNER_MAX_QUEUE)
    queued = malloc (sizeof *queued + frame->header.length);
  if (queued == NULL)
    {
      FrameHeader answer = {
        .op = frame->header.op, .flags = FRAME_ANSWER, .call = frame->header.call, .status = FRAME_STATUS_BUSY
      };
      runner->frame.header = answer;
      if (frame->header.call != 0)
        channel_send (RUNNER_CHANNEL_FD, &runner->frame);
      return;
    }
  queued->next = NULL;
  queued->header = frame->header;
  memcpy (queued->payload, frame->payload, frame->header.length);

  QueuedFrame **last = &runner->queue;
  while (*last != NULL)
    last = &(*last)->next;
  *last = queued;
  runner->n_queued++;
}

static void
copy_frame (Frame *to, const FrameHeader *header, const uint8_t *payload)
{
  to->header = *header;
  memcpy (to->payload, payload, header->length);
}

/* Hands a received frame on; under the lock. */
static void
deliver (Runner *runner)
{
  if (runner->frame.header.flags != FRAME_ANSWER)
    {
      enqueue (runner);
      return;
    }
  for (Ask *ask = runner->asks; ask != NULL; ask = ask->next)
    if (ask->call == runner->frame.header.call && ask->op == runner->frame.header.op)
      {
        copy_frame (ask->answer, &runner->frame.header, runner->frame.payload);
        ask->is_answered = true;
        return;
      }
}

/* Receives one frame, or on the first thread also learns that the watched descriptor is ready; or waits until
 * somebody else has. Called and returns under the lock. */
static void
receive_or_wait (Runner *runner, bool is_first_thread)
{
  if (runner->is_someone_receiving)
    {
      pthread_cond_wait (&runner->changed, &runner->lock);
      return;
    }
  runner->is_someone_receiving = true;
  struct pollfd fds[2] = { { .fd = RUNNER_CHANNEL_FD, .events = POLLIN },
                           { .fd = is_first_thread ? runner->watched_fd : -1, .events = POLLIN } };
  pthread_mutex_unlock (&runner->lock);

  ChannelReceipt receipt;
  ChannelResult result = CHANNEL_AGAIN;
  if (fds[1].fd >= 0 && poll (fds, 2, -1) < 0)
    fds[0].revents = fds[1].revents = 0;
  if (fds[1].fd < 0 || fds[0].revents != 0)
    result = channel_receive (RUNNER_CHANNEL_FD, &runner->frame, &receipt, 0);

  pthread_mutex_lock (&runner->lock);
  runner->is_someone_receiving = false;
  runner->is_watched_ready |= fds[1].revents != 0;
  if (result == CHANNEL_FRAME
      && frame_check (&runner->frame, receipt.n_bytes, FRAME_FROM_HOST, runner->phase, ~0u) == FRAME_FINE)
    deliver (runner);
  else if (result != CHANNEL_AGAIN)
    runner->is_host_gone = true;
  pthread_cond_broadcast (&runner->changed);
}

bool
runner_ask (Runner *runner, Frame *request, Frame *answer)
{
  Ask ask = { .op = request->header.op, .answer = answer };
  unsigned n_asks = 0;

  pthread_mutex_lock (&runner->lock);
  for (const Ask *other = runner->asks; other != NULL; other = other->next)
    n_asks++;
  /* Ids start again after 2^32 questions, of which at most 16 are open. */
  ask.call = ++runner->next_call != 0 ? runner->next_call : ++runner->next_call;
  request->header.call = ask.call;
  request->header.flags = FRAME_ASK;
  bool is_sent = n_asks < RUNNER_MAX_ASKS && channel_send (RUNNER_CHANNEL_FD, request) == CHANNEL_FRAME;
  if (is_sent)
    {
      ask.next = runner->asks;
      runner->asks = &ask;
      while (!ask.is_answered && !runner->is_host_gone)
        receive_or_wait (runner, false);
      Ask **place = &runner->asks;
      while (*place != &ask)
        place = &(*place)->next;
      *place = ask.next;
    }
  pthread_mutex_unlock (&runner->lock);
  return ask.is_answered;
}

bool
runner_tell (Runner *runner, Frame *event)
{
  (void)runner;
  event->header.flags = FRAME_EVENT;
  event->header.call = 0;
  return channel_send (RUNNER_CHANNEL_FD, event) == CHANNEL_FRAME;
}

void
runner_watch (Runner *runner, int fd, void (*ready) (Runner *runner))
{
  runner->watched_fd = fd;
  runner->on_watched = ready;
}

/* Waits for the next request, which goes into @frame. False: the host is gone, or the watched descriptor is
 * ready. */
static bool
next_request (Runner *runner, Frame *frame)
{
  pthread_mutex_lock (&runner->lock);
  while (runner->queue == NULL && !runner->is_host_gone && !runner->is_watched_ready)
    receive_or_wait (runner, true);
  QueuedFrame *queued = runner->queue;
  if (queued != NULL)
    {
      runner->queue = queued->next;
      runner->n_queued--;
    }
  pthread_mutex_unlock (&runner->lock);

  if (queued == NULL)
    return false;
  copy_frame (frame, &queued->header, queued->payload);
  free (queued);
  return true;
}

int
runner_serve_client (Runner *runner)
{
  Frame *frame = malloc (sizeof *frame);
  if (frame == NULL)
    return 1;
  pthread_mutex_init (&runner->lock, NULL);
  pthread_cond_init (&runner->changed, NULL);
  runner->watched_fd = -1;

  while (!runner->is_host_gone)
    {
      bool is_request = next_request (runner, frame);
      if (!is_request && runner->is_watched_ready)
        {
          runner->is_watched_ready = false;
          if (runner->on_watched != NULL)
            runner->on_watched (runner);
        }
      if (!is_request)
        continue;

      runner->n_log_lines = 0;
      if (runner->phase == FRAME_PHASE_LOAD)
        {
          if (!runner_load (runner, frame))
            return 1;
          continue;
        }
      FrameHeader asked = frame->header;
      FrameReader request;
      frame_read (&request, frame);
      frame_begin (&runner->answer, asked.op, FRAME_ANSWER, asked.call);
      runner->kind->handle (runner, &request, &asked, &runner->answer);
      if (asked.flags == FRAME_ASK && channel_send (RUNNER_CHANNEL_FD, &runner->answer) != CHANNEL_FRAME)
        break;
    }
  /* Not exit(): the object's destructors have nothing to do any more. */
  _exit (0);
}
