/* What carrying a module (host/module.h) is, whatever the module is for: how its object is opened, and the
 * part of the API that every call gets: the time, randomness, the log. */
#pragma once

#include "plugin-abi/include/host/module.h"
#include "plugin-abi/runner/runner.h"
#include "plugin-abi/runner/stream.h"

/* A call, as the module's API sees it. A kind that knows more of a call keeps this first. */
typedef struct
{
  Runner *runner;
  int64_t now;
  SeedStream stream;
} ModuleCall;

/* Opens the runner's object and finds its function @entry. NULL: *reason says why it is no such module;
 * @missing if it has no @entry. */
void *module_open (Runner *runner, const char *entry, const char *missing, const char **reason);

/* Begins a call: the API, with @call as its host, that lives no longer than @call. */
HostModuleApi module_call_begin (ModuleCall *call, Runner *runner, int64_t now, const uint8_t seed[32]);
