/* A loaded legacy object and what its calls share. Internal to plugin-abi/runner/legacy*.c. No GLib. */
#pragma once

#include "plugin-abi/runner/client-load.h"

#include <ffi.h>

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

struct Legacy
{
  Runner *runner;
  ClientLoad load;
  void *object;
  int stub_fd;
  LegacyCall calls[DESCRIPTOR_MAX_CALLS];
  LegacyProvide provides[DESCRIPTOR_MAX_PROVIDES];
  LegacyValue own[DESCRIPTOR_MAX_OWN];
  char *input;  /* of the command that ran last: the object may have kept the pointer */
  char *output; /* DESCRIPTOR_MAX_BUFFER bytes and a NUL */
};

/* What a call came to. */
typedef struct
{
  DescriptorClass class;
  int64_t code;    /* its result as a number; 0 or 1 for pointers */
  int64_t expires; /* Unix seconds if it reported them, else 0 */
  bool has_output; /* Legacy.output holds text */
} LegacyOutcome;

ffi_type *legacy_ffi_type (DescriptorType type);

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

/* legacy-call.c: makes the call @index. @input is the command's, @code the message's. */
void legacy_call (Legacy *legacy, unsigned index, const char *input, int64_t code, LegacyOutcome *outcome);
