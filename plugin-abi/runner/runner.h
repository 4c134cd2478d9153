/* Inside plugin-runner: what the parts that carry an object (keygen, legacy, native) plug into.
 *
 * A runner goes through: prepare (nothing of the vendor, no filter yet) → confined, READY is sent → load (one
 * request, under stage 1) → serving. A server kind is then a zygote: each call is read and handled in a
 * process forked for it. A client kind handles calls in the one process, one after the other, on the first
 * thread; its object may have further threads, and any of them may ask the host. No GLib. */
#pragma once

#include "common/module/frame.h"

typedef struct Runner Runner;

typedef enum
{
  RUNNER_SERVER_CALL,
  RUNNER_CLIENT,
  RUNNER_CLIENT_THREADS,
} RunnerProfile;

typedef struct
{
  const char *name; /* LaunchSpec.kind */
  bool is_server;
  uint16_t load_op; /* the one request of phase LOAD */

  /* Before anything is given up, as the host's own user: files in memory that the limits would forbid. False:
   * *reason says why. NULL: there are none. */
  bool (*open) (Runner *runner, const char **reason);

  /* Before Landlock and seccomp, after user and limits: what cannot be done later (the first ffi closure,
   * loading libgcc_s). False: *reason says why, and the runner ends. NULL: nothing to do. */
  bool (*prepare) (Runner *runner, const char **reason);

  /* Loads the object. @request has the shape of load_op; @answer was begun as an answer, to be filled with
   * the answer's values. A status other than OK: frame_answer() with a reason a vendor understands. */
  void (*load) (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer);

  /* A request or event of phase SERVE (server: in the call's own process, after stage 2). For an event the
   * answer is not sent. */
  void (*handle) (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer);

  /* Server, in a call's own process before its request is there: touches what handle() will, so that its pages
   * need not be waited for. NULL: nothing of its own. */
  void (*warm) (Runner *runner);
} RunnerKind;

/* Facts of this runner. Strings live as long as the process; NULL where there is none. */
RunnerProfile runner_get_profile (const Runner *runner);
const char *runner_get_object (const Runner *runner); /* a path for dlopen(), also of a sealed object */
const char *runner_get_data (const Runner *runner);   /* the private folder, which is the current one */
bool runner_may_connect (const Runner *runner);

/* The descriptor that came with the load request; it is closed after the load. -1: none. */
int runner_get_attachment (const Runner *runner);

/* Opens the object: RTLD_NOW | RTLD_LOCAL, and then forgets the sealed descriptor. NULL: *reason is
 * dlerror()'s. */
void *runner_open_object (Runner *runner, const char **reason);

/* State of a kind, for handle(). */
void runner_set_state (Runner *runner, void *state);
void *runner_get_state (const Runner *runner);

/* Asks the host and waits for the answer, on any thread; at most 16 at once. @request was begun with
 * FRAME_ASK and gets its call id here; @answer may be the same frame. Requests from the host that come
 * meanwhile wait until the first thread is back in its loop. False: the host is gone, or the answer was
 * nonsense. */
bool runner_ask (Runner *runner, Frame *request, Frame *answer);
/* Sends an event, on any thread. */
bool runner_tell (Runner *runner, Frame *event);

/* A line for the host's log: at most 500 bytes of it, and 20 lines for one call; the rest is dropped. On the
 * server it is the call's. @level as in host/module.h. */
void runner_log (Runner *runner, uint32_t level, const char *text);

/* Client: calls @ready on the first thread, between requests, when @fd can be read; one descriptor a runner.
 * -1: none. */
void runner_watch (Runner *runner, int fd, void (*ready) (Runner *runner));

/* The kinds; main.c has the table. */
extern const RunnerKind runner_keygen;
extern const RunnerKind runner_function;
extern const RunnerKind runner_legacy;
extern const RunnerKind runner_legacy_keygen;
extern const RunnerKind runner_native;
