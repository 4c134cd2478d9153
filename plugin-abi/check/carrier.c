#include "plugin-abi/check/carrier.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define MAX_LOG_LINES 20
/* How long the zygote's word about an ended call is waited for. */
#define END_WAIT_MS 200
/* A call that says or asks more than this is not at work. */
#define MAX_CALL_FRAMES 1000

struct Carrier
{
  Launcher *launcher;
  Launch *launch; /* NULL: it ended */
  gboolean is_ready;
  gboolean has_answer;
  guint32 asked_call;
  guint32 call_number;
  guint32 ended_call;
  char *ended_how;
  Frame *answer;
  char *reason;
  GPtrArray *log;
  GHashTable *store; /* char * → GBytes */
};

static void
set_reason (Carrier *carrier, const char *reason)
{
  g_free (carrier->reason);
  carrier->reason = g_strdup (reason);
}

static void
note_log (Carrier *carrier, FrameReader *reader)
{
  frame_get_u32 (reader);
  if (carrier->log->len < MAX_LOG_LINES)
    g_ptr_array_add (carrier->log, g_strndup (frame_get_text (reader), 500));
}

static void
on_ready (Launch *launch, const LaunchReady *ready, gpointer data)
{
  Carrier *carrier = data;
  /* Nobody decides about connections here: they fail. */
  if (ready->listener >= 0)
    close (ready->listener);
  carrier->is_ready = TRUE;
}

/* What a plugin asks of its host. */
static void
answer_ask (Carrier *carrier, const Frame *frame)
{
  g_autofree Frame *answer = g_new (Frame, 1);
  FrameReader reader;
  frame_read (&reader, frame);
  if (frame->header.op == FRAME_OP_STORE_GET)
    {
      GBytes *value = g_hash_table_lookup (carrier->store, frame_get_text (&reader));
      gsize length = 0;
      const void *bytes = value != NULL ? g_bytes_get_data (value, &length) : NULL;
      frame_begin (answer, FRAME_OP_STORE_GET, FRAME_ANSWER, frame->header.call);
      frame_put_u32 (answer, value != NULL);
      frame_put_bytes (answer, bytes, length);
    }
  else if (frame->header.op == FRAME_OP_STORE_PUT && g_hash_table_size (carrier->store) < 256)
    {
      const char *key = frame_get_text (&reader);
      gboolean is_kept = frame_get_u32 (&reader) != 0;
      gsize length;
      const guint8 *bytes = frame_get_bytes (&reader, &length);
      if (is_kept)
        g_hash_table_replace (carrier->store, g_strdup (key), g_bytes_new (bytes, length));
      else
        g_hash_table_remove (carrier->store, key);
      frame_answer (answer, &frame->header, FRAME_STATUS_OK, NULL);
    }
  else
    frame_answer (answer, &frame->header, FRAME_STATUS_REFUSED, "not during a check");
  launch_send (carrier->launch, answer);
}

static void
on_frame (Launch *launch, const Frame *frame, gpointer data)
{
  Carrier *carrier = data;
  FrameReader reader;
  frame_read (&reader, frame);
  if (frame->header.flags == FRAME_ASK)
    answer_ask (carrier, frame);
  else if (frame->header.flags == FRAME_ANSWER)
    {
      if (frame->header.call != carrier->asked_call || carrier->has_answer)
        {
          launch_stop (launch, "it answered what was not asked");
          return;
        }
      *carrier->answer = *frame;
      carrier->has_answer = TRUE;
    }
  else if (frame->header.op == FRAME_OP_LOG)
    note_log (carrier, &reader);
  else if (frame->header.op == FRAME_OP_CALL_ENDED)
    {
      carrier->ended_call = frame_get_u32 (&reader);
      guint32 by_signal = frame_get_u32 (&reader);
      guint32 status = frame_get_u32 (&reader);
      g_free (carrier->ended_how);
      carrier->ended_how
          = by_signal != 0
                ? g_strdup_printf ("it crashed by signal %u (%s)", by_signal, g_strsignal ((int)by_signal))
                : g_strdup_printf ("it exited with status %u and without an answer", status);
    }
}

static void
on_strike (Launch *launch, const char *reason, gpointer data)
{
  set_reason (data, reason);
}

static void
on_ended (Launch *launch, const LaunchEnd *end, gpointer data)
{
  Carrier *carrier = data;
  set_reason (carrier, end->reason);
  carrier->launch = NULL;
}

static gboolean
on_alarm (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Turns the loop until @is_done, the runner's end or @timeout_ms. */
static void
turn (Carrier *carrier, const gboolean *is_done, guint timeout_ms)
{
  gint64 until_us = g_get_monotonic_time () + timeout_ms * G_GINT64_CONSTANT (1000);
  while (carrier->launch != NULL && !*is_done && g_get_monotonic_time () < until_us)
    {
      gboolean is_over = FALSE;
      guint alarm = g_timeout_add ((guint)(MAX (until_us - g_get_monotonic_time (), 0) / 1000 + 1), on_alarm,
                                   &is_over);
      g_main_context_iteration (NULL, TRUE);
      if (!is_over)
        g_source_remove (alarm);
    }
}

static void
stop (Carrier *carrier, const char *reason)
{
  static const gboolean never = FALSE;
  if (carrier->launch != NULL)
    launch_stop (carrier->launch, reason);
  turn (carrier, &never, 5000);
}

Carrier *
carrier_start (const LaunchSpec *spec, uid_t uid, guint timeout_ms, char **problem)
{
  static const LaunchEvents events
      = { .ready = on_ready, .frame = on_frame, .strike = on_strike, .ended = on_ended };
  g_autofree char *runner = launch_find_runner ();
  g_autoptr (GError) error = NULL;
  g_autoptr (Carrier) carrier = g_new0 (Carrier, 1);
  LaunchSpec own = *spec;
  own.uid = uid;
  carrier->answer = g_new0 (Frame, 1);
  carrier->reason = g_strdup ("");
  carrier->log = g_ptr_array_new_with_free_func (g_free);
  carrier->store = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);

  if (runner == NULL)
    *problem = g_strdup ("plugin-runner is not installed");
  else if ((carrier->launcher = launcher_new (runner, NULL, &error)) == NULL
           || (carrier->launch = launcher_start (carrier->launcher, &own, &events, carrier, &error)) == NULL)
    *problem = g_strdup (error->message);
  if (*problem != NULL)
    return NULL;

  turn (carrier, &carrier->is_ready, timeout_ms);
  if (!carrier->is_ready)
    {
      *problem = g_strdup (carrier->launch == NULL ? carrier->reason : "the sandbox did not come up in time");
      return NULL;
    }
  return g_steal_pointer (&carrier);
}

void
carrier_free (Carrier *carrier)
{
  stop (carrier, "the check is over");
  g_clear_pointer (&carrier->launcher, launcher_free);
  g_free (carrier->ended_how);
  g_free (carrier->answer);
  g_free (carrier->reason);
  g_ptr_array_unref (carrier->log);
  g_hash_table_unref (carrier->store);
  g_free (carrier);
}

/* Sends a request and waits. */
static CarrierResult
ask (Carrier *carrier, Frame *request, int attachment, FramePhase phase, guint timeout_ms)
{
  set_reason (carrier, "");
  if (carrier->launch == NULL)
    {
      set_reason (carrier, "it has ended");
      return CARRIER_CRASHED;
    }
  carrier->has_answer = FALSE;
  carrier->asked_call = request->header.call = launch_next_call (carrier->launch);
  if (!launch_send_with (carrier->launch, request, &attachment, attachment >= 0 ? 1 : 0))
    stop (carrier, "it does not read");
  else
    {
      launch_set_phase (carrier->launch, phase);
      turn (carrier, &carrier->has_answer, timeout_ms);
    }
  if (carrier->has_answer)
    return CARRIER_ANSWERED;
  if (carrier->launch == NULL)
    return CARRIER_CRASHED;
  stop (carrier, "it was still running at its deadline");
  return CARRIER_LATE;
}

CarrierResult
carrier_load (Carrier *carrier, Frame *request, int attachment, guint timeout_ms)
{
  return ask (carrier, request, attachment, FRAME_PHASE_LOAD, timeout_ms);
}

CarrierResult
carrier_ask (Carrier *carrier, Frame *request, FramePhase phase, guint timeout_ms)
{
  return ask (carrier, request, -1, phase, timeout_ms);
}

void
carrier_begin_serving (Carrier *carrier)
{
  if (carrier->launch != NULL)
    launch_set_phase (carrier->launch, FRAME_PHASE_SERVE);
}

/* A call's own channel. */
typedef struct
{
  int channel;
  const CarrierAsks *asks;
  gpointer data;
  pid_t pid;
  guint n_frames;
} Call;

static const char *
answer_call (const Call *call, const Frame *asked)
{
  g_autofree Frame *answer = g_new (Frame, 1);
  frame_begin (answer, (FrameOp)asked->header.op, FRAME_ANSWER, asked->header.call);
  call->asks->answer (asked, answer, call->data);
  ChannelResult sent = channel_send (call->channel, answer);
  /* One that has gone is seen as such. */
  return sent == CHANNEL_FRAME || sent == CHANNEL_CLOSED ? NULL : "it does not read";
}

/* NULL, or why it makes no sense. */
static const char *
take_frame (Carrier *carrier, Call *call, const Frame *frame, const ChannelReceipt *receipt)
{
  FrameReader reader;
  if (frame_check (frame, receipt->n_bytes, FRAME_FROM_RUNNER, FRAME_PHASE_CALL,
                   call->asks != NULL ? call->asks->grants : 0)
          != FRAME_FINE
      || (call->pid != 0 && call->pid != receipt->pid))
    return "it sent what is no frame of a call";
  if (carrier->has_answer)
    return "it went on after its answer";
  if (++call->n_frames > MAX_CALL_FRAMES)
    return "it asked too often";
  call->pid = receipt->pid;
  frame_read (&reader, frame);
  if (frame->header.op == FRAME_OP_LOG)
    note_log (carrier, &reader);
  else if (frame->header.flags == FRAME_ASK)
    return answer_call (call, frame);
  else if (frame->header.op != FRAME_OP_HELLO)
    {
      *carrier->answer = *frame;
      carrier->has_answer = TRUE;
    }
  return NULL;
}

/* Reads the call's own channel to its end. */
static CarrierResult
read_call (Carrier *carrier, Call *call, guint timeout_ms)
{
  g_autofree Frame *frame = g_new (Frame, 1);
  gint64 until_us = g_get_monotonic_time () + timeout_ms * G_GINT64_CONSTANT (1000);
  const char *fault;
  for (;;)
    {
      ChannelReceipt receipt;
      switch (channel_receive (call->channel, frame, &receipt, 0))
        {
        case CHANNEL_CLOSED:
          return carrier->has_answer ? CARRIER_ANSWERED : CARRIER_CRASHED;
        case CHANNEL_BROKEN:
          set_reason (carrier, "it sent what is no frame");
          return CARRIER_CRASHED;
        case CHANNEL_AGAIN:
          {
            gint64 left_us = until_us - g_get_monotonic_time ();
            struct pollfd end = { .fd = call->channel, .events = POLLIN };
            if (left_us <= 0)
              return CARRIER_LATE;
            poll (&end, 1, (int)(left_us / 1000 + 1));
            break;
          }
        case CHANNEL_FRAME:
          fault = take_frame (carrier, call, frame, &receipt);
          if (fault != NULL)
            {
              set_reason (carrier, fault);
              return CARRIER_CRASHED;
            }
          break;
        }
    }
}

CarrierResult
carrier_call (Carrier *carrier, const Frame *request, const CarrierAsks *asks, gpointer data,
              guint timeout_ms)
{
  int ends[2];
  set_reason (carrier, "");
  carrier->has_answer = FALSE;
  if (carrier->launch == NULL || !channel_pair (ends))
    {
      set_reason (carrier, carrier->launch == NULL ? "it has ended" : g_strerror (errno));
      return CARRIER_CRASHED;
    }
  g_autofree Frame *fork_frame = g_new (Frame, 1);
  frame_begin (fork_frame, FRAME_OP_FORK, FRAME_EVENT, 0);
  frame_put_u32 (fork_frame, ++carrier->call_number);
  gboolean is_sent = channel_send (ends[0], request) == CHANNEL_FRAME
                     && launch_send_with (carrier->launch, fork_frame, &ends[1], 1);
  close (ends[1]);
  Call call = { .channel = ends[0], .asks = asks, .data = data };
  CarrierResult result = is_sent ? read_call (carrier, &call, timeout_ms) : CARRIER_CRASHED;
  close (ends[0]);

  if (result == CARRIER_LATE)
    stop (carrier, "it was still running at its deadline");
  else if (result == CARRIER_CRASHED && carrier->reason[0] == '\0')
    {
      gint64 until_us = g_get_monotonic_time () + END_WAIT_MS * 1000;
      static const gboolean never = FALSE;
      while (carrier->launch != NULL && carrier->ended_call != carrier->call_number
             && g_get_monotonic_time () < until_us)
        turn (carrier, &never, 5);
      if (carrier->ended_call == carrier->call_number)
        set_reason (carrier, carrier->ended_how);
      else if (carrier->launch != NULL)
        set_reason (carrier, "it ended without an answer");
    }
  return result;
}

const Frame *
carrier_peek_answer (const Carrier *carrier)
{
  return carrier->answer;
}

const char *
carrier_get_reason (const Carrier *carrier)
{
  return carrier->reason;
}

gboolean
carrier_is_alive (const Carrier *carrier)
{
  return carrier->launch != NULL;
}

const GPtrArray *
carrier_peek_log (const Carrier *carrier)
{
  return carrier->log;
}
