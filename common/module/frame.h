/* The frames that cross between a host and its plugin runners, and the one table of what may cross.
 *
 * A frame is one SOCK_SEQPACKET packet: a header and at most 80 KiB of payload, in the byte order of the
 * machine (both ends are on it). The payload is a row of typed values whose shape the table states. What
 * comes from a runner is hostile: frame_check() looks the op up and refuses what comes from the wrong side,
 * in the wrong phase, without the grant, or in another shape; only then is it read. No GLib here: the runner
 * links it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX_PAYLOAD (80u * 1024u)

typedef struct
{
  uint32_t length; /* bytes of payload */
  uint16_t op;     /* FrameOp */
  uint16_t flags;  /* exactly one FrameFlag */
  uint32_t call;   /* chosen by who asks, repeated in the answer; 0 in an event */
  int32_t status;  /* FrameStatus in an answer; 0 otherwise */
} FrameHeader;

typedef struct
{
  FrameHeader header;
  uint8_t payload[FRAME_MAX_PAYLOAD];
} Frame;

typedef enum
{
  FRAME_ASK = 1,    /* an answer with the same op and call id is owed */
  FRAME_ANSWER = 2, /* the answer; its payload has the answer's shape if the status is FRAME_STATUS_OK, else
                     * it is empty or one text, the reason */
  FRAME_EVENT = 4,  /* nothing is owed */
} FrameFlag;

typedef enum
{
  FRAME_STATUS_OK = 0,
  FRAME_STATUS_REFUSED = 1, /* asked for something that is not allowed; the reason is for the user */
  FRAME_STATUS_FAILED = 2,  /* could not be done */
  FRAME_STATUS_BUSY = 3,    /* too many calls are open */
  FRAME_STATUS_UNSUPPORTED
  = 4, /* the object cannot be carried by this host (wrong machine, missing symbol) */
} FrameStatus;

/* Who sends: the host to a runner or supervisor, a runner, the supervisor. */
typedef enum
{
  FRAME_FROM_HOST = 1,
  FRAME_FROM_RUNNER = 2,
  FRAME_FROM_SUPERVISOR = 4,
} FrameSide;

/* How far a runner is. CONTROL is the supervisor's channel and CALL a server call's own channel, where only
 * those rows exist. */
typedef enum
{
  FRAME_PHASE_CONTROL = 1,
  FRAME_PHASE_START = 2, /* confined; nothing of the vendor is loaded */
  FRAME_PHASE_LOAD = 4,  /* from the load request to its answer: constructors and init run */
  FRAME_PHASE_SERVE = 8,
  FRAME_PHASE_CALL = 16,
} FramePhase;

/* What a plugin was allowed by its user. A row without a grant needs none. */
typedef enum
{
  FRAME_GRANT_CONNECT = 1,
  FRAME_GRANT_SEE_MESSAGES = 2,
  FRAME_GRANT_SEND_MESSAGES = 4,
  FRAME_GRANT_FUNCTIONS = 8,
  FRAME_GRANT_USER_DATA = 16, /* a server function: the data of the user whose call it is */
  FRAME_GRANT_PURCHASES = 32,
} FrameGrant;

typedef enum
{
  /* control channel */
  FRAME_OP_START
  = 1, /* host: start a runner; carries the runner's end of its channel, and the object if sealed */
  FRAME_OP_ENDED,  /* supervisor: a runner ended */
  FRAME_OP_STRIKE, /* supervisor: something a runner left behind, or that crossed a limit, was killed */

  /* every runner's channel */
  FRAME_OP_READY = 16, /* runner: confined; carries the notification listener if it may connect */
  FRAME_OP_FAILED,     /* runner: could not confine itself, and ends */
  FRAME_OP_LOG,        /* runner: a line for the log; also on a call's own channel */

  /* a server module's channel */
  FRAME_OP_LOAD_MODULE = 32, /* host: load the object */
  FRAME_OP_FORK, /* host: make a process for a call; carries the runner's end of the call's own channel */
  FRAME_OP_CALL_ENDED, /* runner: a call's process ended other than by its answer; a hint nobody relies on */
  FRAME_OP_LOAD_DESCRIBED, /* host: load the object, and call it as its descriptor says */

  /* a call's own channel; the module's process learns what is asked here, so that nothing of one call is ever
   * in the memory of the next */
  FRAME_OP_HELLO = 48,    /* runner: the process that runs the call; the kernel attests its id */
  FRAME_OP_CALL_KEYGEN,   /* host: make a serial */
  FRAME_OP_CALL_FUNCTION, /* host: run a protected function */
  FRAME_OP_KV_GET,        /* runner: a value of the user's data */
  FRAME_OP_KV_PUT,        /* runner: keep or forget a value of the user's data, if the call ends well */

  /* client plugins, legacy and native */
  FRAME_OP_LOAD_PLUGIN = 64, /* host: load a client's plugin */
  FRAME_OP_PHASE,            /* host: run init, check, start or stop (DescriptorPhase) */
  FRAME_OP_COMMAND,          /* host: run a command */
  FRAME_OP_TIMER,            /* host: the time set with FRAME_OP_SET_TIMER has come */
  FRAME_OP_SET_TIMER,        /* runner: call me in so many milliseconds; < 0: no longer */
  FRAME_OP_ADD_COMMAND,      /* runner: a native plugin has this command */
  FRAME_OP_NOTIFY,           /* runner: show this to the user */
  FRAME_OP_RESOLVE,          /* runner: the addresses of a host it may connect to */
  FRAME_OP_STORE_GET,        /* runner: a stored value */
  FRAME_OP_STORE_PUT,        /* runner: keep or forget a value */
  FRAME_OP_WAKE,             /* runner: a thread wants the first one to be called; the host sends it back */
  FRAME_OP_WATCH_MESSAGES,   /* runner: which messages the plugin wants to see */
  FRAME_OP_MESSAGE,          /* host: a copy of one */
  FRAME_OP_SEND_MESSAGE,     /* runner: send one in the user's name */
  FRAME_OP_REQUEST_FUNCTION, /* runner: a native plugin calls a function; FUNCTION_RESULT follows */
  FRAME_OP_FUNCTION_RESULT,  /* host: how that ended */
  FRAME_OP_RUN_FUNCTION,     /* runner: a legacy plugin calls a function and waits for its result */
  FRAME_OP_ASK_PURCHASE,     /* runner: a native plugin has the user asked to buy; PURCHASE_RESULT follows */
  FRAME_OP_PURCHASE_RESULT,  /* host: what became of it */
  FRAME_OP_POLL_PURCHASE,    /* runner: a legacy plugin has the user asked, or learns how that stands */
} FrameOp;

/* What FRAME_OP_LOAD_PLUGIN is for, and what its answer says. */
enum
{
  FRAME_LOAD_TO_VERIFY = 0, /* look up every symbol, call none */
  FRAME_LOAD_TO_RUN = 1,
};
enum
{
  FRAME_LOADED_NEEDS_SERIAL = 1,
};

/* What FRAME_OP_POLL_PURCHASE answers beside a HostPurchaseOutcome. */
enum
{
  FRAME_PURCHASE_WAITING = 0, /* the user is being asked, or pays */
  FRAME_PURCHASE_NOT_NOW
  = 4, /* the user is not asked: another purchase is open, or it was asked for too often */
};

/* What FRAME_OP_CALL_FUNCTION answers beside a HostResult: it said that it wrote more than there was room for. */
enum
{
  FRAME_RESULT_OVERFLOW = 1000,
};

/* A row of the table. A shape is a string of letters: u = uint32, x = int64, s = text (UTF-8 is not promised,
 * there is no NUL inside), b = bytes; "(…)" at the end: any number of repetitions. */
typedef struct
{
  uint16_t op;
  uint16_t sides;  /* FrameSide bits that may ask or send it as an event */
  uint16_t phases; /* FramePhase bits */
  uint16_t grants; /* FrameGrant bits, all of which are needed */
  uint16_t kind;   /* FRAME_ASK or FRAME_EVENT */
  const char *name;
  const char *ask;    /* shape of the request or event */
  const char *answer; /* shape of a good answer */
} FrameRow;

/* The row of @op; NULL if there is none. */
const FrameRow *frame_find_row (unsigned op);

typedef enum
{
  FRAME_FINE,
  FRAME_TRUNCATED, /* the packet is not as long as its header says, or over the limit */
  FRAME_UNKNOWN,   /* no such op, or flags that are none of the three */
  FRAME_MISPLACED, /* not from this side, or not in this phase */
  FRAME_UNGRANTED,
  FRAME_MISSHAPEN, /* the payload has another shape */
} FrameVerdict;

/* Judges a received packet of @n_bytes that came from @from in @phase to a receiver that granted @grants. An
 * answer is judged as the row's answer, coming from the other side. Whether its call id is one that was asked
 * is the receiver's to check. */
FrameVerdict frame_check (const Frame *frame, size_t n_bytes, FrameSide from, FramePhase phase,
                          unsigned grants);
const char *frame_verdict_name (FrameVerdict verdict);

/* Reading. A failure sticks: every later value is 0 or empty, so check once at the end. Text and bytes lie in
 * the frame and live as long as it does; text is followed by a NUL and is never NULL. */
typedef struct
{
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
} FrameReader;

void frame_reader_init (FrameReader *reader, const void *payload, size_t length);
void frame_read (FrameReader *reader, const Frame *frame);
uint32_t frame_get_u32 (FrameReader *reader);
int64_t frame_get_i64 (FrameReader *reader);
const char *frame_get_text (FrameReader *reader);
const uint8_t *frame_get_bytes (FrameReader *reader, size_t *length);
/* Whether values are left. False after a failure, so that a loop over repetitions ends. */
bool frame_reader_has_more (const FrameReader *reader);
/* Whether everything was read and nothing failed. */
bool frame_reader_is_done (const FrameReader *reader);

/* Writing. frame_begin() sets the header and empties the payload, the puts append. A value that does not fit
 * marks the frame as failed (its length becomes UINT32_MAX) and frame_is_whole() says so; sending such a
 * frame is refused. A NULL text is written as "". */
void frame_begin (Frame *frame, FrameOp op, FrameFlag flag, uint32_t call);
void frame_put_u32 (Frame *frame, uint32_t value);
void frame_put_i64 (Frame *frame, int64_t value);
void frame_put_text (Frame *frame, const char *text);
void frame_put_text_len (Frame *frame, const char *text, size_t length);
void frame_put_bytes (Frame *frame, const void *bytes, size_t length);
bool frame_is_whole (const Frame *frame);
/* Turns @frame into an empty answer with @status; with a reason unless @reason is NULL. */
void frame_answer (Frame *frame, const FrameHeader *asked, FrameStatus status, const char *reason);
