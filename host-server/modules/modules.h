/* Vendor modules on the server: which are installed, and typed calls of them in sandboxed processes.
 *
 * Everything happens on the main GMainContext. A call never blocks and always ends in one callback. */
#pragma once

#include "common/base/clock.h"
#include "host-server/core/config.h"
#include "host-server/core/metrics.h"
#include <sys/types.h>

typedef struct Modules Modules;

typedef struct
{
  const char *folder;      /* [modules] folder */
  const char *runner_path; /* NULL: found by launch_find_runner() */
  uid_t uid_base;          /* 0: none. A range of 64 users that belong to nobody else */
  guint deadline_ms;       /* of one call */
  guint cpu_s;
  gint64 memory_bytes;
  const Clock *clock;
} ModulesOptions;

/* Never fails for what an operator can mend later: without a runner, a sandbox or users of their own every
 * call is answered MODULES_UNAVAILABLE, and modules_get_problem() says why. */
Modules *modules_new (const ModulesOptions *options);
/* The same as [modules] of @config says; without `folder` it is DATA/modules. */
Modules *modules_open (const Config *config, const Clock *clock);
/* Calls still open are answered MODULES_UNAVAILABLE first. */
void modules_free (Modules *modules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Modules, modules_free)

/* Why no vendor code runs here at all, for `status` and the log; NULL: it does. */
const char *modules_get_problem (Modules *modules);
/* What confines it, for `status`: "landlock 7, seccomp, users 900000-900063". */
const char *modules_get_confinement (Modules *modules);

typedef enum
{
  MODULES_STATE_ABSENT,      /* no such object in the folder, or not a name (no '/' at its start, no "..") */
  MODULES_STATE_READY,       /* it can be called; it need not have been started */
  MODULES_STATE_QUARANTINED, /* it died or answered nonsense too often; tried again after a while, or when the
                              * file changes */
  MODULES_STATE_UNSUITABLE,  /* it is no module of this ABI, or does not load */
  MODULES_STATE_REFUSED,     /* no vendor code runs here: modules_get_problem() */
} ModulesState;

/* @module is the manifest's `module=`, a path inside the folder. Looks at the file now. */
ModulesState modules_get_state (Modules *modules, const char *module);

/* What an operator is told of a module. */
typedef enum
{
  MODULES_LIFE_INSTALLED, /* the file is there; nobody has loaded it since it came */
  MODULES_LIFE_VERIFIED, /* it loaded in the sandbox and has this ABI; at the moment there is no process of it
                          */
  MODULES_LIFE_RUNNING,  /* its process waits for calls or has some */
  MODULES_LIFE_CRASHED,  /* it failed too often and waits for its next chance (quarantine); the reason is its
                          * last  fault */
  MODULES_LIFE_REFUSED,  /* it is no module, or no vendor code runs here; the reason says which */
} ModulesLife;

#define MODULES_N_LIVES 5

const char *modules_life_name (ModulesLife life);

/* How a call of a module ended. */
typedef enum
{
  MODULES_CALL_OK,
  MODULES_CALL_ERROR,   /* it said no, or its answer made no sense */
  MODULES_CALL_TIMEOUT, /* past its deadline or its processor time */
  MODULES_CALL_CRASH,
  MODULES_CALL_REFUSED, /* it could not be made: quarantine, too many, the server ends */
} ModulesCallEnd;

#define MODULES_N_CALL_ENDS 5

const char *modules_call_end_name (ModulesCallEnd end);

/* Since the server started. */
typedef struct
{
  guint64 n_calls[MODULES_N_CALL_ENDS];
  gint64 calls_us;  /* from a process to the end; of all that had one */
  guint64 n_deaths; /* of its own process, not of a call's */
  guint64 n_quarantines;
} ModulesUse;

typedef struct
{
  const char *module;
  const char *profile; /* "keygen", "legacy-keygen", "function"; NULL: nobody has used it */
  ModulesLife life;
  ModulesUse use;
  guint n_spares;     /* processes that wait for a call */
  const char *reason; /* NULL: nothing to say. A module that runs may have had a fault: then that */
  guint64 n_good;     /* calls since the server started, and faults of any kind */
  guint64 n_faults;
} ModulesFacts;

/* Calls @each for every object in the folder, for `module list` and metrics. @facts live until it returns. */
void modules_foreach (Modules *modules, void (*each) (const ModulesFacts *facts, gpointer data),
                      gpointer data);
/* gauges.c: the families `stoa_module…`; @modules outlives what asks. */
void modules_add_metrics (Modules *modules, Metrics *metrics);

typedef struct
{
  const char *module;
  const char *user; /* pairwise name (protocol.md §2) */
  const char *plugin;
  const char *term; /* ISO 8601 duration, "" for ever */
  const char *line; /* order line */
  guint32 generation;
  guint32 counter;  /* raised by the caller when a serial was already taken */
  guint8 seed[32];  /* fixed for (line, generation, counter): a re-run gives the same serial */
  gint64 paid_at_s; /* unix seconds of the recorded payment: what the module sees as now */
} ModulesKeygenRequest;

typedef enum
{
  MODULES_OK,
  MODULES_REFUSED, /* the vendor's code said no for good: BAD_INPUT, DENIED or EXPIRED */
  MODULES_RETRY,   /* it said RETRY, or the machinery failed on the way: the same request may succeed later */
  MODULES_FAILED,  /* INTERNAL, a crash, past the deadline, or an answer that is not one */
  MODULES_UNAVAILABLE, /* absent, unsuitable, quarantined, refused, or too many calls wait */
} ModulesOutcome;

typedef struct
{
  ModulesOutcome outcome;
  const char
      *serial; /* MODULES_OK: printable ASCII with inner spaces and line feeds, 1 to 4096 bytes. A secret */
  gint64 expires_s;   /* unix seconds; 0: never */
  const char *reason; /* one line for the log when not OK; never NULL. No secrets in it */
} ModulesKeygenResult;

/* @result lives until the callback returns. */
typedef void (*ModulesKeygenDone) (const ModulesKeygenResult *result, gpointer data);

/* Makes a serial. @request is copied. @done is called once, later, never from inside this call. */
void modules_keygen_call (Modules *modules, const ModulesKeygenRequest *request, ModulesKeygenDone done,
                          gpointer data);

const char *modules_outcome_name (ModulesOutcome outcome);
