#include "plugin-abi/runner/module.h"

#include <dlfcn.h>

void *
module_open (Runner *runner, const char *entry, const char *missing, const char **reason)
{
  void *object = runner_open_object (runner, reason);
  if (object == NULL)
    return NULL;
  /* The way POSIX shows for functions, whose pointers ISO C does not convert. */
  uint32_t (*get_abi) (void);
  *(void **)&get_abi = dlsym (object, "host_module_abi");
  if (get_abi == NULL)
    {
      *reason = "it does not export host_module_abi";
      return NULL;
    }
  if (get_abi () != HOST_MODULE_ABI)
    {
      *reason = "it was built for another version of host/module.h";
      return NULL;
    }
  void *function = dlsym (object, entry);
  if (function == NULL)
    *reason = missing;
  return function;
}

static int64_t
api_now (void *host)
{
  return ((ModuleCall *)host)->now;
}

static void
api_random (void *host, void *bytes, size_t length)
{
  seed_stream_read (&((ModuleCall *)host)->stream, bytes, length);
}

static void
api_log (void *host, uint32_t level, const char *text)
{
  runner_log (((ModuleCall *)host)->runner, level, text);
}

HostModuleApi
module_call_begin (ModuleCall *call, Runner *runner, int64_t now, const uint8_t seed[32])
{
  call->runner = runner;
  call->now = now;
  seed_stream_init (&call->stream, seed);
  return (HostModuleApi){ .size = sizeof (HostModuleApi),
                          .abi = HOST_MODULE_ABI,
                          .host = call,
                          .now = api_now,
                          .random = api_random,
                          .log = api_log };
}
