/* Carrying a module of protected functions (host/function.h). */
#include "plugin-abi/include/host/function.h"
#include "common/module/resources.h"
#include "plugin-abi/runner/module.h"
#include "plugin-abi/runner/runner-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_REASON 1000 /* bytes */

typedef int (*FunctionEntry) (const HostModuleApi *api, const HostCall *call, HostBytes in, uint8_t *out,
                              size_t *out_len);

/* What load() found, and room that only a call's process ever touches. */
typedef struct
{
  FunctionEntry run;
  const void *resources; /* NULL: the application has none */
  size_t n_resources;    /* bytes */
  Frame exchange;        /* asks of a call; its argument lies in the runner's own frame */
  uint8_t out[HOST_FUNCTION_MAX];
} Function;

/* A call, as the module's API sees it. */
typedef struct
{
  ModuleCall module; /* first, being the host of the API */
  Function *function;
  uint32_t n_asks;
} FunctionCall;

/* Before the object is loaded, so that every call's process shares the pages. */
static bool
map_resources (Runner *runner, Function *function)
{
  struct stat facts;
  int fd = runner_get_attachment (runner);
  if (fd < 0)
    return true;
  if (fstat (fd, &facts) != 0 || facts.st_size <= 0)
    return false;
  void *bytes = mmap (NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED)
    return false;
  function->resources = bytes;
  function->n_resources = (size_t)facts.st_size;
  return true;
}

/* NULL, or why it is no module of functions. */
static const char *
open_function (Runner *runner)
{
  Function *function = calloc (1, sizeof *function);
  if (function == NULL)
    return "there is no memory left";
  if (!map_resources (runner, function))
    return "the application's data does not fit in [modules] memory";

  const char *reason = NULL;
  runner_set_state (runner, function);
  *(void **)&function->run
      = module_open (runner, "host_function", "it does not export host_function", &reason);
  return reason;
}

static void
load (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  (void)request;
  const char *reason = open_function (runner);
  if (reason != NULL)
    frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, reason);
}

/* --- the module's API --- */

/* Sends the exchange frame and waits for its answer, which is in it then. */
static bool
ask (FunctionCall *call)
{
  Frame *frame = &call->function->exchange;
  FrameHeader asked = frame->header;
  ChannelReceipt receipt;
  return channel_send (RUNNER_CHANNEL_FD, frame) == CHANNEL_FRAME
         && channel_receive (RUNNER_CHANNEL_FD, frame, &receipt, 0) == CHANNEL_FRAME
         && frame_check (frame, receipt.n_bytes, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0) == FRAME_FINE
         && frame->header.flags == FRAME_ANSWER && frame->header.op == asked.op
         && frame->header.call == asked.call && frame->header.status == FRAME_STATUS_OK;
}

static uint32_t
copy_value (const void *bytes, size_t n_bytes, void *value, size_t *length)
{
  size_t room = *length;
  *length = n_bytes;
  if (n_bytes > room)
    return HOST_KV_TOO_LARGE;
  if (n_bytes > 0)
    memcpy (value, bytes, n_bytes);
  return HOST_KV_OK;
}

static const void *
api_resource (void *host, const char *name, size_t *length)
{
  const Function *function = ((FunctionCall *)host)->function;
  return resources_find (function->resources, function->n_resources, name, length);
}

static uint32_t
api_kv_get (void *host, uint32_t scope, const char *key, void *value, size_t *length)
{
  FunctionCall *call = host;
  Frame *frame = &call->function->exchange;
  if (scope == HOST_SCOPE_APPLICATION)
    {
      size_t n_bytes;
      const void *bytes = api_resource (host, key, &n_bytes);
      return bytes != NULL ? copy_value (bytes, n_bytes, value, length) : (uint32_t)HOST_KV_ABSENT;
    }
  if (scope != HOST_SCOPE_USER || strlen (key) > HOST_KV_KEY_MAX)
    return HOST_KV_REFUSED;
  frame_begin (frame, FRAME_OP_KV_GET, FRAME_ASK, ++call->n_asks);
  frame_put_text (frame, key);
  if (!ask (call))
    return HOST_KV_REFUSED;

  FrameReader reader;
  size_t n_bytes;
  frame_read (&reader, frame);
  uint32_t is_there = frame_get_u32 (&reader);
  const uint8_t *bytes = frame_get_bytes (&reader, &n_bytes);
  return is_there != 0 ? copy_value (bytes, n_bytes, value, length) : (uint32_t)HOST_KV_ABSENT;
}

static uint32_t
api_kv_put (void *host, uint32_t scope, const char *key, const void *value, size_t length)
{
  FunctionCall *call = host;
  Frame *frame = &call->function->exchange;
  if (scope != HOST_SCOPE_USER || strlen (key) > HOST_KV_KEY_MAX)
    return HOST_KV_REFUSED;
  if (value != NULL && length > HOST_KV_MAX)
    return HOST_KV_TOO_LARGE;
  frame_begin (frame, FRAME_OP_KV_PUT, FRAME_ASK, ++call->n_asks);
  frame_put_text (frame, key);
  frame_put_u32 (frame, value != NULL);
  frame_put_bytes (frame, value != NULL ? value : "", value != NULL ? length : 0);
  if (!ask (call))
    return HOST_KV_REFUSED;
  FrameReader reader;
  frame_read (&reader, frame);
  return frame_get_u32 (&reader);
}

static void
handle (Runner *runner, FrameReader *reader, const FrameHeader *header, Frame *answer)
{
  Function *function = runner_get_state (runner);
  FunctionCall state = { .function = function };
  HostCall call = { .size = sizeof call, .abi = HOST_MODULE_ABI };
  HostBytes in;
  size_t n_seed;
  uint8_t seed[32];

  call.function = frame_get_text (reader);
  call.user = frame_get_text (reader);
  call.application = frame_get_text (reader);
  call.request = frame_get_text (reader);
  call.deadline_ms = frame_get_u32 (reader);
  const uint8_t *seed_bytes = frame_get_bytes (reader, &n_seed);
  int64_t now = frame_get_i64 (reader);
  in.data = frame_get_bytes (reader, &in.length);
  if (!frame_reader_is_done (reader) || n_seed != sizeof seed || in.length > HOST_FUNCTION_MAX)
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, "the request makes no sense");
      return;
    }
  memcpy (seed, seed_bytes, sizeof seed);
  HostModuleApi api = module_call_begin (&state.module, runner, now, seed);
  api.kv_get = api_kv_get;
  api.kv_put = api_kv_put;
  api.resource = api_resource;
  size_t out_len = sizeof function->out;
  int result = function->run (&api, &call, in, function->out, &out_len);
  if (result != HOST_OK) /* the reason is text, and there need be none */
    out_len = strnlen ((const char *)function->out, MAX_REASON);
  else if (out_len > sizeof function->out)
    {
      result = FRAME_RESULT_OVERFLOW;
      out_len = 0;
    }
  frame_put_u32 (answer, (uint32_t)result);
  frame_put_bytes (answer, function->out, out_len);
}

static void
warm (Runner *runner)
{
  Function *function = runner_get_state (runner);
  *(volatile uint8_t *)function->out = 0;
  (void)*(const volatile uint8_t *)(uintptr_t)function->run;
}

const RunnerKind runner_function = {
  .name = "function",
  .is_server = true,
  .load_op = FRAME_OP_LOAD_MODULE,
  .load = load,
  .handle = handle,
  .warm = warm,
};
