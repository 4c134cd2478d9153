/* Protected functions: calls of a vendor's module for one application, with the application's data mapped
 * into it (host/function.h).
 *
 * A FunctionModule is one version of an application: its object as the file is, and its data. A new version
 * is a new FunctionModule beside the old one, which is retired: it finishes its calls and goes. Everything
 * happens on the main GMainContext. */
#pragma once

#include "host-server/modules/modules.h"

typedef struct FunctionModule FunctionModule;

typedef struct
{
  const char *module; /* the manifest's, a path inside the folder */
  guint max_calls;    /* at once */
  int data;           /* a sealed file of common/module/resources.h; -1: none. Stays the caller's */
} FunctionModuleOptions;

/* NULL with @error if there is no such object, or no vendor code runs here. */
FunctionModule *function_module_new (Modules *modules, const FunctionModuleOptions *options, GError **error);
/* No further calls: when those that are open have ended, it goes. */
void function_module_retire (FunctionModule *self);
/* Whether the object in the folder is still the one this was made for. */
gboolean function_module_is_current (FunctionModule *self);

/* A call as its own process sees it; texts and bytes are copied. */
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
  const guint8 *output; /* OK */
  gsize n_output;
  const char *word;   /* REFUSED: "bad-input", "denied", "expired", "retry" */
  const char *reason; /* not OK: a line for the log and for the vendor; never NULL */
  const char *told;   /* REFUSED: what the module wants the caller to be told; may be "" */
} FunctionModuleResult;

/* @result lives until the callback returns. */
typedef void (*FunctionModuleDone) (const FunctionModuleResult *result, gpointer data);

/* @done is called once, later, never from inside this; FALSE: too many wait, and it is not called. @events
 * are static. */
gboolean function_module_call (FunctionModule *self, const FunctionModuleRequest *request,
                               const FunctionModuleEvents *events, FunctionModuleDone done, gpointer data);
