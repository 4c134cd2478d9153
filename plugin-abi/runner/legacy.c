/* The part of plugin-runner that carries an untouched legacy object: libffi calls it as its descriptor says.
 */
#include "plugin-abi/runner/legacy.h"
#include "plugin-abi/runner/resolve.h"

#include <string.h>

static bool
prepare (Runner *runner, const char **reason)
{
  resolve_init (runner);
  return legacy_prepare (runner, reason);
}

static void
load (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  Legacy *legacy = runner_get_state (runner);
  ClientLoad *loaded = &legacy->load;

  if (!client_load_read (loaded, runner, DESCRIPTOR_LEGACY, request, header, answer))
    return;
  if (loaded->descriptor->is_keygen && loaded->is_to_run)
    frame_answer (answer, header, FRAME_STATUS_REFUSED, "it is a keygen, which belongs on a server");
  else if (legacy_open (legacy, header, answer))
    frame_put_u32 (answer, loaded->descriptor->needs_serial ? FRAME_LOADED_NEEDS_SERIAL : 0);
}

static void
run_phase (Legacy *legacy, uint32_t phase, Frame *answer)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  const DescriptorSteps *steps = phase < DESCRIPTOR_PHASE_KEYGEN ? &descriptor->phases[phase] : NULL;
  LegacyOutcome outcome = { .class = DESCRIPTOR_CLASS_OK };
  const char *text = "";
  int64_t expires = 0;

  for (unsigned i = 0; steps != NULL && i < steps->n_steps && outcome.class == DESCRIPTOR_CLASS_OK; i++)
    {
      unsigned index = steps->steps[i];

      if (steps->is_threaded && i == steps->n_steps - 1u)
        legacy_thread_start (legacy, index, &outcome);
      else
        legacy_call (legacy, index, NULL, 0, &outcome);
      if (outcome.expires != 0)
        expires = outcome.expires;
      if (outcome.class != DESCRIPTOR_CLASS_OK)
        text = legacy_explain (legacy, &descriptor->calls[index], &outcome);
    }
  client_answer_phase (answer, outcome.class, expires, text);
}

static void
run_command (Legacy *legacy, const char *name, const char *input, const FrameHeader *header, Frame *answer)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  const DescriptorCommand *command = NULL;
  const DescriptorCall *call;
  LegacyOutcome outcome;

  for (unsigned i = 0; i < descriptor->n_commands; i++)
    if (strcmp (descriptor->commands[i].name, name) == 0)
      command = &descriptor->commands[i];
  if (command == NULL)
    {
      frame_answer (answer, header, FRAME_STATUS_REFUSED, "the plugin has no such command");
      return;
    }
  if (legacy_thread_has_failed (legacy, &outcome))
    {
      call = &descriptor->calls[legacy->thread.call];
      client_answer_command (answer, outcome.class, legacy_explain (legacy, call, &outcome));
      return;
    }
  legacy_call (legacy, command->call, input, 0, &outcome);
  call = &descriptor->calls[command->call];
  client_answer_command (answer, outcome.class,
                         outcome.class != DESCRIPTOR_CLASS_OK ? legacy_explain (legacy, call, &outcome)
                         : outcome.has_output                 ? legacy->output
                                                              : outcome.text);
}

static void
handle (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  Legacy *legacy = runner_get_state (runner);

  switch (header->op)
    {
    case FRAME_OP_PHASE:
      run_phase (legacy, frame_get_u32 (request), answer);
      break;
    case FRAME_OP_COMMAND:
      {
        const char *name = frame_get_text (request);

        run_command (legacy, name, frame_get_text (request), header, answer);
        break;
      }
    default:
      frame_answer (answer, header, FRAME_STATUS_REFUSED, "not a request for a legacy object");
      break;
    }
}

const RunnerKind runner_legacy = {
  .name = "legacy",
  .load_op = FRAME_OP_LOAD_PLUGIN,
  .open = legacy_open_files,
  .prepare = prepare,
  .load = load,
  .handle = handle,
};
