/* Calls of protected functions as frames: what a host writes to a call's process, answers to it and reads
 * from it (host/function.h). Both that carry such modules, the server and the vendor's check, go through
 * here. */
#pragma once

#include "common/module/frame.h"
#include <glib.h>

/* A call as its own process sees it. */
typedef struct
{
  const char *function;
  const char *user; /* pairwise name */
  const char *application;
  const char *request;
  const guint8 *argument;
  gsize n_argument;
  gint64 now_s;
} FunctionModuleRequest;

/* Writes @request, with call id 1. An argument that is too long leaves a frame that is not whole. */
void function_request_put (Frame *frame, const FunctionModuleRequest *request, guint deadline_ms,
                           const guint8 seed[32]);

typedef enum
{
  FUNCTION_GET_ABSENT,
  FUNCTION_GET_FOUND,
  FUNCTION_GET_REFUSED,
} FunctionGet;

/* What a running call asks for; nothing of it can be trusted but its shape. */
typedef struct
{
  /* The call begins, or begins anew in another process: what it put does not count. */
  void (*begin) (gpointer data);
  /* The user's value under @key; *value is a new reference if it was found. */
  FunctionGet (*get) (const char *key, GBytes **value, gpointer data);
  /* @value NULL: forget it. TRUE: noted. */
  gboolean (*put) (const char *key, const void *value, gsize length, gpointer data);
  void (*log) (guint32 level, const char *text, gpointer data);
} FunctionModuleEvents;

/* Answers the ask @asked into @answer, which was begun as its answer. *@n_operations counts those of the
 * call, from 0. */
void function_ask_answer (const Frame *asked, Frame *answer, guint *n_operations,
                          const FunctionModuleEvents *events, gpointer data);

typedef enum
{
  FUNCTION_OK,
  FUNCTION_REFUSED,  /* by the module's own word: BAD_INPUT, DENIED, EXPIRED, RETRY */
  FUNCTION_FAILED,   /* INTERNAL, a crash, an answer that is not one */
  FUNCTION_LATE,     /* past its deadline or its processor time */
  FUNCTION_OVERFLOW, /* more output than there is room for */
  FUNCTION_UNAVAILABLE,
} FunctionOutcome;

typedef struct
{
  FunctionOutcome outcome;
  const guint8 *output; /* OK; REFUSED: what it wrote, which may be anything */
  gsize n_output;
  const char *word;   /* REFUSED: "bad-input", "denied", "expired", "retry" */
  const char *reason; /* not OK: a line for the log and for the vendor; never NULL */
  const char *told;   /* REFUSED: what the module wants the caller to be told; may be "" */
} FunctionModuleResult;

/* Reads what the module answered: OK, REFUSED, FAILED or OVERFLOW; @result's `told` is left alone. FALSE:
 * that is a fault of its own. */
gboolean function_answer_read (FrameReader *answer, FunctionModuleResult *result);
