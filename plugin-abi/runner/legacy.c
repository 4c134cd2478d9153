/* The part of plugin-runner that carries an untouched legacy object: libffi calls it as its descriptor says.
 */
#include "plugin-abi/runner/legacy.h"
#include "plugin-abi/runner/resolve.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
prepare (Runner *runner, const char **reason)
{
  Legacy *legacy = calloc (1, sizeof *legacy);

  if (legacy == NULL || (legacy->output = malloc (DESCRIPTOR_MAX_BUFFER + 1)) == NULL)
    {
      *reason = "out of memory";
      return false;
    }
  legacy->runner = runner;
  runner_set_state (runner, legacy);
  resolve_init (runner);
  return legacy_provide_prepare (legacy, reason);
}

/* The serial where the object looks for it before any call: its environment, a file. */
static bool
deliver_before (const ClientLoad *load, const char **reason)
{
  const Descriptor *descriptor = load->descriptor;
  size_t length = strlen (load->serial);
  bool is_written;
  int fd;

  if (descriptor->deliver_env != NULL && setenv (descriptor->deliver_env, load->serial, 1) != 0)
    {
      *reason = "the serial cannot be put into the environment";
      return false;
    }
  if (descriptor->deliver_file == NULL)
    return true;
  fd = open (descriptor->deliver_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  is_written = fd >= 0 && write (fd, load->serial, length) == (ssize_t)length;
  if (fd >= 0 && close (fd) != 0)
    is_written = false;
  if (!is_written)
    *reason = "the serial's file cannot be written";
  return is_written;
}

/* The serial where the object looks for it once it is loaded: a variable of its own. */
static bool
deliver_after (const Legacy *legacy, const char **reason)
{
  const ClientLoad *load = &legacy->load;
  const Descriptor *descriptor = load->descriptor;
  void *global;

  if (descriptor->deliver_global == NULL)
    return true;
  global = dlsym (legacy->object, descriptor->deliver_global);
  if (descriptor->deliver_global_size == 0)
    {
      *(char **)global = load->serial;
      return true;
    }
  if (strlen (load->serial) >= descriptor->deliver_global_size)
    {
      *reason = "the serial is longer than the plugin's variable for it";
      return false;
    }
  strcpy (global, load->serial);
  return true;
}

static bool
make_buffers (Legacy *legacy)
{
  for (unsigned i = 0; i < legacy->load.descriptor->n_own; i++)
    {
      uint32_t size = legacy->load.descriptor->own[i].size;

      if (size > 0 && (legacy->own[i].pointer = calloc (1, size)) == NULL)
        return false;
    }
  return true;
}

static void
load (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  Legacy *legacy = runner_get_state (runner);
  ClientLoad *loaded = &legacy->load;
  const char *reason = "out of memory";
  char why[200];

  if (!client_load_read (loaded, runner, DESCRIPTOR_LEGACY, request, header, answer))
    return;
  if (!legacy_provide_define (legacy, &reason) || (loaded->is_to_run && !deliver_before (loaded, &reason)))
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, reason);
      return;
    }
  legacy->object = runner_open_object (runner, &reason);
  if (legacy->object == NULL)
    {
      frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, reason);
      return;
    }
  if (!legacy_symbols_find (legacy, why, sizeof why)
      || !legacy_symbols_check_imports (legacy, why, sizeof why))
    {
      frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, why);
      return;
    }
  if (!make_buffers (legacy) || (loaded->is_to_run && !deliver_after (legacy, &reason)))
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, reason);
      return;
    }
  frame_put_u32 (answer, loaded->descriptor->needs_serial ? FRAME_LOADED_NEEDS_SERIAL : 0);
}

/* Our account of a call that failed, in the plugin's own words if it has a function for that. */
static const char *
explain (Legacy *legacy, const DescriptorCall *call, int64_t code, char *why, size_t why_size)
{
  LegacyOutcome message;

  if (legacy->load.descriptor->message_call >= 0)
    {
      legacy_call (legacy, (unsigned)legacy->load.descriptor->message_call, NULL, code, &message);
      if (message.has_output && legacy->output[0] != '\0')
        return legacy->output;
    }
  snprintf (why, why_size, "%s returned %lld", call->signature.symbol, (long long)code);
  return why;
}

static void
run_phase (Legacy *legacy, uint32_t phase, Frame *answer)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  DescriptorClass class = DESCRIPTOR_CLASS_OK;
  const char *text = "";
  int64_t expires = 0;
  char why[160];

  for (unsigned i = 0; phase < DESCRIPTOR_N_PHASES && i < descriptor->phases[phase].n_steps; i++)
    {
      unsigned index = descriptor->phases[phase].steps[i];
      LegacyOutcome outcome;

      legacy_call (legacy, index, NULL, 0, &outcome);
      class = outcome.class;
      if (outcome.expires != 0)
        expires = outcome.expires;
      if (class != DESCRIPTOR_CLASS_OK)
        {
          text = explain (legacy, &descriptor->calls[index], outcome.code, why, sizeof why);
          break;
        }
    }
  client_answer_phase (answer, class, expires, text);
}

static void
run_command (Legacy *legacy, const char *name, const char *input, const FrameHeader *header, Frame *answer)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  char why[160];

  for (unsigned i = 0; i < descriptor->n_commands; i++)
    {
      const DescriptorCommand *command = &descriptor->commands[i];
      LegacyOutcome outcome;

      if (strcmp (command->name, name) != 0)
        continue;
      legacy_call (legacy, command->call, input, 0, &outcome);
      if (outcome.class == DESCRIPTOR_CLASS_OK)
        client_answer_command (answer, outcome.class, outcome.has_output ? legacy->output : "");
      else
        client_answer_command (
            answer, outcome.class,
            explain (legacy, &descriptor->calls[command->call], outcome.code, why, sizeof why));
      return;
    }
  frame_answer (answer, header, FRAME_STATUS_REFUSED, "the plugin has no such command");
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
  .prepare = prepare,
  .load = load,
  .handle = handle,
};
