/* Functions that vendors run on the host's server, as plugins call them (protocol.md section 5).
 *
 * A call is one question with an id of its own, so that asking again after a lost connection does not run the
 * function again: what was lost is asked again when we are back online, until FUNCTION_PATIENCE_S are over.
 */
#pragma once

#include "host-client/core/function-call.h"

#define FUNCTION_MAX_OPEN   32
#define FUNCTION_PATIENCE_S 60

typedef enum
{
  FUNCTION_DONE,
  FUNCTION_BAD_INPUT, /* no such application or function, or one that makes no sense of the argument */
  FUNCTION_DENIED,    /* the user has no licence */
  FUNCTION_LATER,     /* not now: offline, too often, or not served here */
  FUNCTION_FAILED,    /* it broke, or used more than it may */
} FunctionOutcome;

typedef struct
{
  FunctionOutcome outcome;
  const char *reason; /* one line for people, "" if done */
  GBytes *value;      /* what it returned; NULL unless done */
} FunctionAnswer;

typedef void (*FunctionFunc) (const FunctionAnswer *answer, gpointer data);

typedef struct Functions Functions;

/* @session outlives it. */
Functions *functions_new (Session *session);
/* Calls that are open end as LATER before it returns. */
void functions_free (Functions *functions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Functions, functions_free)

/* Calls @function of @application with @argument. @callback comes exactly once, never from within this call.
 */
void functions_call (Functions *functions, const char *application, const char *function, GBytes *argument,
                     FunctionFunc callback, gpointer data);

/* What the end of a question means to who asked; @reason is static. For tests. */
FunctionOutcome function_judge_end (FunctionCallOutcome end, const char *detail, const char **reason);
