/* How a runner gives up everything it does not need, in the order that makes each step hold.
 *
 *   sandbox_drop     user and group of its own → not dumpable (a client: the broker needs it) → dies with the
 * supervisor → limits (prepare)        what cannot be done later sandbox_confine  no new privileges →
 * Landlock 1 → seccomp 1 (load)           the vendor's constructors run; from here on nothing this process
 * does or says is believed sandbox_enter_call    server, in the process forked for a call: dies with the
 * zygote → processor limit → Landlock 2 (nothing) → seccomp 2 sandbox_enter_loaded  client: seccomp 2
 *
 * What is called after the load is depth: a constructor can have rewritten it. sandbox_confine() is the
 * boundary. The least kernel is Debian 12's (Landlock ABI 2); what newer ones offer is used where it is. No
 * GLib. */
#pragma once

#include "common/module/filter.h"
#include <stdint.h>
#include <sys/types.h>

#define SANDBOX_LEAST_LANDLOCK 2u
#define SANDBOX_MAX_THREADS    16u
#define SANDBOX_MAX_READ       32u

typedef enum
{
  SANDBOX_SERVER,
  SANDBOX_CLIENT,
  SANDBOX_CLIENT_THREADS,
} SandboxProfile;

typedef struct
{
  SandboxProfile profile;
  bool may_connect;
  uid_t uid;    /* its own user and group; 0: it stays who it is, which must not be root */
  pid_t parent; /* the supervisor */
  int64_t memory_bytes;
  int64_t data_bytes;
  uint32_t cpu_s; /* of a call */
  uint32_t max_calls;
  const char *object; /* its folder becomes readable; "": a sealed object, no folder */
  const char *data;   /* may be written; "": none */
  const char *read[SANDBOX_MAX_READ];
  size_t n_read;
} SandboxPlan;

/* Why a step failed, for the operator. */
typedef struct
{
  char text[200];
} SandboxFault;

/* 0: the kernel has no Landlock, or it is switched off. */
unsigned sandbox_get_landlock_abi (void);
/* Whether seccomp filters, and for clients notification of them, are there. */
bool sandbox_has_seccomp (void);

bool sandbox_drop (const SandboxPlan *plan, SandboxFault *fault);

/* @listener receives the notification descriptor if plan->may_connect, else -1; @call_ruleset receives the
 * descriptor of Landlock 2 for a server, else -1. */
bool sandbox_confine (const SandboxPlan *plan, const FilterProgram *program, int *listener, int *call_ruleset,
                      SandboxFault *fault);

bool sandbox_enter_call (const SandboxPlan *plan, pid_t zygote, int call_ruleset,
                         const FilterProgram *program);
bool sandbox_enter_loaded (const FilterProgram *program);
