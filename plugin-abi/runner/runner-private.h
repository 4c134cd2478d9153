/* The runner itself, as its own files see it. */
#pragma once

#include "common/module/channel.h"
#include "plugin-abi/runner/plan.h"
#include "plugin-abi/runner/runner.h"
#include <pthread.h>

/* Requests from the host that wait for the first thread. */
#define RUNNER_MAX_QUEUE     8
#define RUNNER_MAX_ASKS      16
#define RUNNER_MAX_LOG_LINES 20
#define RUNNER_MAX_LOG_BYTES 500

/* The exit status of a call's process that has answered; the zygote stays quiet about it. */
#define RUNNER_ANSWERED 42

typedef struct QueuedFrame QueuedFrame;
typedef struct Ask Ask;

struct Runner
{
  const RunnerKind *kind;
  SandboxPlan plan;
  FramePhase phase;
  void *state;
  uint32_t n_log_lines;

  Frame start; /* plan's texts lie in it */
  RunnerOrders orders;
  int call_ruleset; /* server: Landlock 2 */
  int attachment;   /* server, while it loads: what came with the request; -1: nothing */

  Frame frame;  /* what was received */
  Frame answer; /* what the first thread writes */

  /* Client: any thread may ask. Whoever waits and finds nobody receiving, receives, for all. */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool is_someone_receiving;
  bool is_host_gone;
  uint32_t next_call;
  Ask *asks;
  QueuedFrame *queue;
  size_t n_queued;
  int watched_fd;
  void (*on_watched) (Runner *runner);
  bool is_watched_ready;
};

/* Loads the object on the host's request and answers; false if it could not be loaded or the host is gone. */
bool runner_load (Runner *runner, const Frame *frame);

/* Serve until the host is gone. */
int runner_serve_zygote (Runner *runner);
int runner_serve_client (Runner *runner);
