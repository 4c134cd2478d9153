#include "common/module/frame.h"
#include <string.h>

/* Every frame there is. A row that is not here does not cross. */
static const FrameRow rows[] = {
  /* START: kind, profile, user, memory, data bytes, cpu s, deadline ms, calls at once, may connect, object,
   * data folder, readable paths. The answer: process id, with a descriptor of the process. */
  { FRAME_OP_START, FRAME_FROM_HOST, FRAME_PHASE_CONTROL, 0, FRAME_ASK, "start", "suuxxuuuuss(s)", "u" },
  /* call id of START, whether a signal ended it, the signal or exit status */
  { FRAME_OP_ENDED, FRAME_FROM_SUPERVISOR, FRAME_PHASE_CONTROL, 0, FRAME_EVENT, "ended", "uuu", NULL },
  /* call id of START, whether the runner itself was killed for it, what it was */
  { FRAME_OP_STRIKE, FRAME_FROM_SUPERVISOR, FRAME_PHASE_CONTROL, 0, FRAME_EVENT, "strike", "uus", NULL },

  /* Landlock ABI of the kernel */
  { FRAME_OP_READY, FRAME_FROM_RUNNER, FRAME_PHASE_START, 0, FRAME_EVENT, "ready", "u", NULL },
  { FRAME_OP_FAILED, FRAME_FROM_RUNNER, FRAME_PHASE_START, 0, FRAME_EVENT, "failed", "s", NULL },
  { FRAME_OP_LOG, FRAME_FROM_RUNNER, FRAME_PHASE_LOAD | FRAME_PHASE_SERVE | FRAME_PHASE_CALL, 0, FRAME_EVENT,
    "log", "us", NULL },

  { FRAME_OP_LOAD_MODULE, FRAME_FROM_HOST, FRAME_PHASE_LOAD, 0, FRAME_ASK, "load-module", "", "" },
  /* the descriptor's file name, its text */
  { FRAME_OP_LOAD_DESCRIBED, FRAME_FROM_HOST, FRAME_PHASE_LOAD, 0, FRAME_ASK, "load-described", "sb", "" },
  /* a number for CALL_ENDED */
  { FRAME_OP_FORK, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "fork", "u", NULL },
  /* that number, the signal or 0, the exit status */
  { FRAME_OP_CALL_ENDED, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "call-ended", "uuu", NULL },

  { FRAME_OP_HELLO, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0, FRAME_EVENT, "hello", "", NULL },
  /* user, plugin, term, line, generation, counter, seed, now; HostResult, serial, expires */
  { FRAME_OP_CALL_KEYGEN, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0, FRAME_ASK, "call-keygen", "ssssuubx", "usx" },
  /* function, user, application, request, deadline ms, seed, now, argument; HostResult, what it wrote */
  { FRAME_OP_CALL_FUNCTION, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0, FRAME_ASK, "call-function", "ssssubxb",
    "ub" },
  /* key. The answer: whether it is there, the value */
  { FRAME_OP_KV_GET, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, FRAME_GRANT_USER_DATA, FRAME_ASK, "kv-get", "s",
    "ub" },
  /* key, whether to keep or forget it, the value. The answer: HostKvResult */
  { FRAME_OP_KV_PUT, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, FRAME_GRANT_USER_DATA, FRAME_ASK, "kv-put", "sub",
    "u" },

  /* what for, the descriptor's file name, its text, user, jid or "", domain, serial or "", locale, expiry.
     The answer: FRAME_LOADED_ bits */
  { FRAME_OP_LOAD_PLUGIN, FRAME_FROM_HOST, FRAME_PHASE_START | FRAME_PHASE_LOAD, 0, FRAME_ASK, "load-plugin",
    "usbsssssx", "u" },
  /* phase. The answer: DescriptorClass, the expiry it reported or 0, its words or ours */
  { FRAME_OP_PHASE, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_ASK, "phase", "u", "uxs" },
  /* name, input. The answer: DescriptorClass, text */
  { FRAME_OP_COMMAND, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_ASK, "command", "ss", "us" },
  { FRAME_OP_TIMER, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "timer", "u", NULL },
  /* the timer's number, milliseconds */
  { FRAME_OP_SET_TIMER, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "set-timer", "ux", NULL },
  /* name, help */
  { FRAME_OP_ADD_COMMAND, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "add-command", "ss", NULL },
  /* title, text */
  { FRAME_OP_NOTIFY, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "notify", "ss", NULL },
  /* host name, AF_INET, AF_INET6 or 0. The answer: addresses of 4 or 16 bytes */
  { FRAME_OP_RESOLVE, FRAME_FROM_RUNNER, FRAME_PHASE_LOAD | FRAME_PHASE_SERVE, FRAME_GRANT_CONNECT, FRAME_ASK,
    "resolve", "su", "(b)" },
  /* key. The answer: whether it is there, the value */
  { FRAME_OP_STORE_GET, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_ASK, "store-get", "s", "ub" },
  /* key, whether to keep or forget it, the value */
  { FRAME_OP_STORE_PUT, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_ASK, "store-put", "sub", "" },
  { FRAME_OP_WAKE, FRAME_FROM_HOST | FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0, FRAME_EVENT, "wake", "", NULL },
  /* bits of HostMessageWay */
  { FRAME_OP_WATCH_MESSAGES, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_SEE_MESSAGES, FRAME_EVENT,
    "watch-messages", "u", NULL },
  /* way, whether it is late, peer, text, time */
  { FRAME_OP_MESSAGE, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_ASK, "message", "uussx", "" },
  /* peer or "", text */
  { FRAME_OP_SEND_MESSAGE, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_SEND_MESSAGES, FRAME_ASK,
    "send-message", "ss", "" },
  /* the plugin's number, function, argument */
  { FRAME_OP_REQUEST_FUNCTION, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_FUNCTIONS, FRAME_EVENT,
    "request-function", "usb", NULL },
  /* that number, HostResult, reason, what it returned */
  { FRAME_OP_FUNCTION_RESULT, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_ASK, "function-result", "uusb",
    "" },
  /* function, argument. The answer: HostResult, reason, what it returned */
  { FRAME_OP_RUN_FUNCTION, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_FUNCTIONS, FRAME_ASK,
    "run-function", "sb", "usb" },
  /* item */
  { FRAME_OP_ASK_PURCHASE, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_PURCHASES, FRAME_ASK,
    "ask-purchase", "s", "" },
  /* HostPurchaseOutcome, item, reason */
  { FRAME_OP_PURCHASE_RESULT, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0, FRAME_ASK, "purchase-result", "uss",
    "" },
  /* item. The answer: HostPurchaseOutcome or FRAME_PURCHASE_… */
  { FRAME_OP_POLL_PURCHASE, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_PURCHASES, FRAME_ASK,
    "poll-purchase", "s", "u" },
};

const FrameRow *
frame_find_row (unsigned op)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].op == op)
      return &rows[i];
  return NULL;
}

/* Takes one value of @letter; false if it is not there. */
static bool
skip_value (FrameReader *reader, char letter)
{
  size_t length;
  switch (letter)
    {
    case 'u':
      frame_get_u32 (reader);
      break;
    case 'x':
      frame_get_i64 (reader);
      break;
    case 's':
      frame_get_text (reader);
      break;
    case 'b':
      frame_get_bytes (reader, &length);
      break;
    default:
      return false;
    }
  return !reader->failed;
}

static bool
matches_shape (const Frame *frame, const char *shape)
{
  FrameReader reader;
  frame_read (&reader, frame);
  for (; *shape != '\0' && *shape != '('; shape++)
    if (!skip_value (&reader, *shape))
      return false;
  if (*shape == '(')
    while (frame_reader_has_more (&reader))
      for (const char *letter = shape + 1; *letter != ')'; letter++)
        if (!skip_value (&reader, *letter))
          return false;
  return frame_reader_is_done (&reader);
}

FrameVerdict
frame_check (const Frame *frame, size_t n_bytes, FrameSide from, FramePhase phase, unsigned grants)
{
  const FrameHeader *header = &frame->header;
  if (n_bytes < sizeof *header || header->length > FRAME_MAX_PAYLOAD
      || n_bytes != sizeof *header + header->length)
    return FRAME_TRUNCATED;

  const FrameRow *row = frame_find_row (header->op);
  if (row == NULL)
    return FRAME_UNKNOWN;

  if (header->flags == FRAME_ANSWER)
    {
      /* Only the other side of one that may ask owes an answer. */
      bool is_owed = row->kind == FRAME_ASK && (row->sides & ~(unsigned)from) != 0;
      if (!is_owed || (row->phases & phase) == 0)
        return FRAME_MISPLACED;
      if (header->status == FRAME_STATUS_OK)
        return matches_shape (frame, row->answer) ? FRAME_FINE : FRAME_MISSHAPEN;
      return matches_shape (frame, header->length == 0 ? "" : "s") ? FRAME_FINE : FRAME_MISSHAPEN;
    }

  if (header->flags != row->kind)
    return FRAME_UNKNOWN;
  if ((row->sides & from) == 0 || (row->phases & phase) == 0)
    return FRAME_MISPLACED;
  if ((row->grants & ~grants) != 0)
    return FRAME_UNGRANTED;
  if (header->status != 0 || (header->call != 0) != (row->kind == FRAME_ASK))
    return FRAME_MISSHAPEN;
  return matches_shape (frame, row->ask) ? FRAME_FINE : FRAME_MISSHAPEN;
}

const char *
frame_verdict_name (FrameVerdict verdict)
{
  static const char *const names[]
      = { "fine", "truncated", "unknown", "misplaced", "not granted", "misshapen" };
  return (unsigned)verdict < sizeof names / sizeof names[0] ? names[verdict] : "?";
}

void
frame_reader_init (FrameReader *reader, const void *payload, size_t length)
{
  reader->at = payload;
  reader->end = reader->at + length;
  reader->failed = false;
}

void
frame_read (FrameReader *reader, const Frame *frame)
{
  size_t length = frame->header.length;
  frame_reader_init (reader, frame->payload, length <= FRAME_MAX_PAYLOAD ? length : 0);
  reader->failed = length > FRAME_MAX_PAYLOAD;
}

/* The next @length bytes; NULL, and failed from now on, if they are not there. */
static const uint8_t *
take (FrameReader *reader, size_t length)
{
  if (reader->failed || (size_t)(reader->end - reader->at) < length)
    {
      reader->failed = true;
      return NULL;
    }
  const uint8_t *bytes = reader->at;
  reader->at += length;
  return bytes;
}

uint32_t
frame_get_u32 (FrameReader *reader)
{
  uint32_t value = 0;
  const uint8_t *bytes = take (reader, sizeof value);
  if (bytes != NULL)
    memcpy (&value, bytes, sizeof value);
  return value;
}

int64_t
frame_get_i64 (FrameReader *reader)
{
  int64_t value = 0;
  const uint8_t *bytes = take (reader, sizeof value);
  if (bytes != NULL)
    memcpy (&value, bytes, sizeof value);
  return value;
}

const uint8_t *
frame_get_bytes (FrameReader *reader, size_t *length)
{
  *length = frame_get_u32 (reader);
  const uint8_t *bytes = take (reader, *length);
  if (bytes == NULL)
    *length = 0;
  return bytes != NULL ? bytes : (const uint8_t *)"";
}

const char *
frame_get_text (FrameReader *reader)
{
  size_t length;
  const uint8_t *bytes = frame_get_bytes (reader, &length);
  const uint8_t *nul = take (reader, 1);
  if (nul == NULL || *nul != '\0' || memchr (bytes, '\0', length) != NULL)
    {
      reader->failed = true;
      return "";
    }
  return (const char *)bytes;
}

bool
frame_reader_has_more (const FrameReader *reader)
{
  return !reader->failed && reader->at < reader->end;
}

bool
frame_reader_is_done (const FrameReader *reader)
{
  return !reader->failed && reader->at == reader->end;
}

void
frame_begin (Frame *frame, FrameOp op, FrameFlag flag, uint32_t call)
{
  frame->header = (FrameHeader){ .op = op, .flags = flag, .call = call };
}

bool
frame_is_whole (const Frame *frame)
{
  return frame->header.length <= FRAME_MAX_PAYLOAD;
}

static void
append (Frame *frame, const void *bytes, size_t length)
{
  if (!frame_is_whole (frame) || length > FRAME_MAX_PAYLOAD - frame->header.length)
    {
      frame->header.length = UINT32_MAX;
      return;
    }
  if (length > 0)
    memcpy (frame->payload + frame->header.length, bytes, length);
  frame->header.length += (uint32_t)length;
}

void
frame_put_u32 (Frame *frame, uint32_t value)
{
  append (frame, &value, sizeof value);
}

void
frame_put_i64 (Frame *frame, int64_t value)
{
  append (frame, &value, sizeof value);
}

void
frame_put_bytes (Frame *frame, const void *bytes, size_t length)
{
  frame_put_u32 (frame, length <= FRAME_MAX_PAYLOAD ? (uint32_t)length : UINT32_MAX);
  append (frame, bytes, length);
}

void
frame_put_text_len (Frame *frame, const char *text, size_t length)
{
  frame_put_bytes (frame, text, length);
  append (frame, "", 1);
}

void
frame_put_text (Frame *frame, const char *text)
{
  frame_put_text_len (frame, text != NULL ? text : "", text != NULL ? strlen (text) : 0);
}

void
frame_answer (Frame *frame, const FrameHeader *asked, FrameStatus status, const char *reason)
{
  FrameHeader header = { .op = asked->op, .flags = FRAME_ANSWER, .call = asked->call, .status = status };
  frame->header = header;
  if (reason != NULL)
    frame_put_text (frame, reason);
}
