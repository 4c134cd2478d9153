/* Protected functions: calls of a vendor's module for one application, with the application's data mapped
 * into it (host/function.h).
 *
 * A FunctionModule is one version of an application: its object as the file is, and its data. A new version
 * is a new FunctionModule beside the old one, which is retired: it finishes its calls and goes. Everything
 * happens on the main GMainContext. */
#pragma once

#include "common/module/function-frames.h"
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

/* @result lives until the callback returns. */
typedef void (*FunctionModuleDone) (const FunctionModuleResult *result, gpointer data);

/* @request is copied. @done is called once, later, never from inside this; FALSE: too many wait, and it is
 * not called. @events are static. */
gboolean function_module_call (FunctionModule *self, const FunctionModuleRequest *request,
                               const FunctionModuleEvents *events, FunctionModuleDone done, gpointer data);
