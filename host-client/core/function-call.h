/* Calls of protected functions (protocol.md section 5): what a vendor keeps on the server, run there for this
 * user. For commands and for plugins alike. */
#pragma once

#include "common/protocol/function.h"
#include "host-client/core/session.h"

typedef enum
{
  FUNCTION_CALL_DONE,      /* result */
  FUNCTION_CALL_NOT_FOUND, /* no such application, function, key or resource */
  FUNCTION_CALL_FORBIDDEN, /* not licensed; or not the caller's to change */
  FUNCTION_CALL_CONFLICT,  /* the request was used with another function or argument */
  FUNCTION_CALL_LIMIT,     /* detail: "time", "memory", "output", "rate", "conflict" */
  FUNCTION_CALL_FAILED,    /* detail: "bad-input", "denied", "expired", "retry", "internal", "unavailable" */
  FUNCTION_CALL_REFUSED,   /* for another reason, which the reply says */
  FUNCTION_CALL_UNKNOWN,   /* lost or timed out: ask again with the same request and it runs once */
} FunctionCallOutcome;

typedef struct
{
  FunctionCallOutcome outcome;
  GBytes *result;     /* of DONE */
  const char *detail; /* of LIMIT and FAILED; may be NULL */
  const Reply *reply;
} FunctionCallEnd;

/* @end lives until the callback returns. */
typedef void (*FunctionCallFunc) (const FunctionCallEnd *end, gpointer data);
/* Sends @request, which is copied. @callback is called once, later. */
void function_call (Session *session, const FunctionRequest *request, FunctionCallFunc callback,
                    gpointer data);
