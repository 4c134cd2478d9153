/* A loaded legacy object and what its calls share. Internal to plugin-abi/runner/legacy*.c. No GLib. */
#pragma once

#include "plugin-abi/runner/client-load.h"
#include "plugin-abi/runner/legacy-stub.h"

#include <ffi.h>
#include <pthread.h>

typedef union
{
  int64_t integer;
  float f32;
  double f64;
  void *pointer;
} LegacyValue;

/* A prepared call: libffi's description and the address. */
typedef struct
{
  ffi_cif cif;
  ffi_type *types[DESCRIPTOR_MAX_ARGS];
  void (*function) (void);
  void (*free_text) (void *text); /* NULL: the object keeps its text */
} LegacyCall;

typedef struct Legacy Legacy;

/* One imported host symbol or callback, as its closure sees it. */
typedef struct
{
  Legacy *legacy;
  const DescriptorProvide *provide;
  ffi_cif cif;
  ffi_type *types[DESCRIPTOR_MAX_ARGS];
  ffi_closure *closure;
  void *code;
} LegacyProvide;

/* What a call came to. */
typedef struct
{
  DescriptorClass class;
  bool was_made;   /* else .text says why it could not be */
  int64_t code;    /* its result as a number; 0 or 1 for pointers */
  int64_t expires; /* Unix seconds if it reported them, else 0 */
  bool has_output; /* Legacy.output holds text */
  size_t length;   /* of it; it may hold NULs if it is to be shown as bytes */
  char text[208];  /* what the result means, in the descriptor's words; "" if it has none */
} LegacyOutcome;

/* What a keygen is asked for (host/keygen.h). */
typedef struct
{
  char *plugin;
  char *term;
  char *line;
  uint32_t generation;
  uint32_t counter;
  uint8_t seed[32];
  char seed_hex[65];
  int64_t now;
  int64_t expiry; /* @now and @term; 0: never */
} LegacyRequest;

/* A start that has a thread of its own: it returns late or never. */
typedef struct
{
  unsigned call;
  bool is_started;
  bool is_ready;   /* it said so */
  bool is_settled; /* the host was told that it started, or did not */
  bool has_ended;
  LegacyOutcome outcome; /* then */
} LegacyThread;

struct Legacy
{
  Runner *runner;
  ClientLoad load;
  LegacyRequest request; /* of a keygen */
  void *object;
  LegacyStub stub;
  LegacyCall calls[DESCRIPTOR_MAX_CALLS];
  LegacyProvide provides[DESCRIPTOR_MAX_PROVIDES];
  LegacyValue own[DESCRIPTOR_MAX_OWN];
  int64_t tables[DESCRIPTOR_MAX_TABLES][DESCRIPTOR_MAX_WORDS];
  char *input;                      /* of the command that ran last: the object may have kept the pointer */
  char *words[DESCRIPTOR_MAX_ARGS]; /* parts of it, by argument */
  char *output;                     /* DESCRIPTOR_MAX_BUFFER bytes and a NUL */

  pthread_mutex_t lock; /* of what follows: the object's threads come here too */
  pthread_cond_t changed;
  bool is_listening; /* a call runs whose output may be given by a callback */
  char *said;        /* that output: DESCRIPTOR_MAX_BUFFER bytes and a NUL */
  size_t n_said;
  LegacyThread thread;
};

/* RunnerKind.open and .prepare of both kinds that carry legacy objects; the state becomes a Legacy. */
bool legacy_open_files (Runner *runner, const char **reason);
bool legacy_prepare (Runner *runner, const char **reason);

ffi_type *legacy_ffi_type (DescriptorType type);

/* legacy-values.c: what variables stand for. Text is never NULL; "" for what there is not. */
char *legacy_get_text (Legacy *legacy, DescriptorVariable variable);
int64_t legacy_get_integer (const Legacy *legacy, DescriptorVariable variable, DescriptorTime time);
int64_t legacy_time_from_plugin (DescriptorTime format, int64_t value);
/* The end of a term that begins at @from, one unit of an ISO 8601 duration; 0 for "" and what is none. */
int64_t legacy_add_term (int64_t from, const char *term);
/* An argument of a callback as an integer. */
int64_t legacy_read_integer (DescriptorType type, const void *value);

/* legacy-symbols.c: looks up every symbol the descriptor names and describes the calls to libffi. False: @why
 * says what is missing. */
bool legacy_symbols_find (Legacy *legacy, char *why, size_t why_size);
/* Whether every [Provide] that is not a callback is imported by the object. */
bool legacy_symbols_check_imports (Legacy *legacy, char *why, size_t why_size);

/* legacy-provide.c: closures are made before confinement (libffi maps its code pages then) and given their
 * meaning when the descriptor is known; then the symbols are defined. */
bool legacy_provide_prepare (Legacy *legacy, const char **reason);
bool legacy_provide_define (Legacy *legacy, const char **reason);

/* legacy-function.c: calls @function of the server with @input and waits. The text it returned, valid until this
 * thread calls again; NULL if there was none, which is logged. Any of the object's threads. */
const char *legacy_function_run (Legacy *legacy, const char *function, const char *input);

/* legacy-purchase.c: has the user asked whether to buy @item, or tells how that stands: a
 * HostPurchaseOutcome, once, or one of FRAME_PURCHASE_… Does not wait for the user. Any of the object's
 * threads. */
int64_t legacy_purchase_poll (Legacy *legacy, const char *item);

/* legacy-call.c: makes the call @index. @input is the command's, @code the message's. */
void legacy_call (Legacy *legacy, unsigned index, const char *input, int64_t code, LegacyOutcome *outcome);
/* Our account of a call that failed: the descriptor's words, the object's own if it has a function for them,
 * or its code. It lives until the next call. */
const char *legacy_explain (Legacy *legacy, const DescriptorCall *call, LegacyOutcome *outcome);

/* legacy-open.c: from the descriptor in Legacy.load to an object that can be called; false: @answer says why
 * not. */
bool legacy_open (Legacy *legacy, const FrameHeader *header, Frame *answer);

/* legacy-thread.c: the last step of `start` on a thread of its own. */
void legacy_thread_start (Legacy *legacy, unsigned call, LegacyOutcome *outcome);
void legacy_thread_say_ready (Legacy *legacy);
/* Whether it has ended other than well; then *@outcome is how. */
bool legacy_thread_has_failed (Legacy *legacy, LegacyOutcome *outcome);
