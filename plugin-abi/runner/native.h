/* A loaded native plugin, as the parts of the runner that serve it see it. Internal to
 * plugin-abi/runner/native*.c. No GLib. */
#pragma once

#include "plugin-abi/runner/client-load.h"

#include <host/plugin.h>

#define NATIVE_MAX_CALLS 8

typedef struct
{
  Runner *runner;
  ClientLoad load;
  HostPlugin plugin; /* our copy: as much as it has, zeros behind */
  HostPluginApi api;
  HostLicence licence;
  void *self;
  bool is_started;
  char *answer;       /* to the command that is being handled, with a NUL */
  uint32_t last_call; /* of a function */
  unsigned n_calls;   /* that are open */
} Native;

/* What a plugin is told of the status of an answer. */
int native_result_of (const Frame *answer);

/* native-granted.c: the extensions that need a permission. NULL: @name is none of them, or was not granted.
 */
const void *native_find_granted (const Native *native, const char *name);
/* Reads FRAME_OP_MESSAGE, FRAME_OP_FUNCTION_RESULT and FRAME_OP_PURCHASE_RESULT; texts lie in the request. */
void native_read_message (FrameReader *request, HostMessage *message);
void native_read_outcome (FrameReader *request, HostFunctionResult *outcome);
void native_read_purchase (FrameReader *request, HostPurchaseResult *result);
