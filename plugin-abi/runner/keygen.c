/* Carrying a keygen (host/keygen.h). */
#include "plugin-abi/include/host/keygen.h"
#include "plugin-abi/runner/module.h"

#include <stdlib.h>
#include <string.h>

typedef int (*KeygenFunction) (const HostModuleApi *api, const HostKeygenRequest *request, char *serial,
                               size_t cap, int64_t *expires);

/* What load() found. */
typedef struct
{
  KeygenFunction make;
} Keygen;

/* NULL, or why it is no keygen. */
static const char *
open_keygen (Runner *runner)
{
  const char *reason = NULL;
  Keygen *keygen = calloc (1, sizeof *keygen);
  if (keygen == NULL)
    return "there is no memory left";
  runner_set_state (runner, keygen);
  *(void **)&keygen->make = module_open (runner, "host_keygen", "it does not export host_keygen", &reason);
  return reason;
}

static void
load (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  (void)request;
  const char *reason = open_keygen (runner);
  if (reason != NULL)
    frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, reason);
}

static void
handle (Runner *runner, FrameReader *reader, const FrameHeader *header, Frame *answer)
{
  size_t seed_length;
  HostKeygenRequest request = { .size = sizeof request, .abi = HOST_MODULE_ABI };
  request.user = frame_get_text (reader);
  request.plugin = frame_get_text (reader);
  request.term = frame_get_text (reader);
  request.line = frame_get_text (reader);
  request.generation = frame_get_u32 (reader);
  request.counter = frame_get_u32 (reader);
  const uint8_t *seed = frame_get_bytes (reader, &seed_length);
  request.now = frame_get_i64 (reader);
  if (!frame_reader_is_done (reader) || seed_length != sizeof request.seed)
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, "the request makes no sense");
      return;
    }
  memcpy (request.seed, seed, sizeof request.seed);

  ModuleCall call;
  HostModuleApi api = module_call_begin (&call, runner, request.now, request.seed);
  char serial[HOST_SERIAL_MAX + 1] = "";
  int64_t expires = 0;
  const Keygen *keygen = runner_get_state (runner);
  int result = keygen->make (&api, &request, serial, sizeof serial, &expires);

  frame_put_u32 (answer, (uint32_t)result);
  frame_put_text_len (answer, serial, result == HOST_OK ? strnlen (serial, sizeof serial - 1) : 0);
  frame_put_i64 (answer, expires);
}

const RunnerKind runner_keygen = {
  .name = "keygen",
  .is_server = true,
  .load_op = FRAME_OP_LOAD_MODULE,
  .load = load,
  .handle = handle,
};
