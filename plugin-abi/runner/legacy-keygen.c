/* The part of plugin-runner that carries a legacy keygen: a vendor's old library that makes serials, called
 * as its descriptor says. `init` runs once, in the zygote, before anything is asked; each serial is made in a
 * process of its own. */
#include "plugin-abi/include/host/keygen.h"
#include "plugin-abi/runner/legacy.h"

#include <host/module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs the steps of @phase; false: @outcome is that of the one that failed, *@failed which it was. */
static bool
run_steps (Legacy *legacy, DescriptorPhase phase, LegacyOutcome *outcome, unsigned *failed, int64_t *expires)
{
  const DescriptorSteps *steps = &legacy->load.descriptor->phases[phase];
  bool has_output = false;

  *outcome = (LegacyOutcome){ .class = DESCRIPTOR_CLASS_OK };
  for (unsigned i = 0; i < steps->n_steps; i++)
    {
      *failed = steps->steps[i];
      legacy_call (legacy, steps->steps[i], NULL, 0, outcome);
      if (outcome->class != DESCRIPTOR_CLASS_OK)
        return false;
      if (outcome->expires != 0)
        *expires = outcome->expires;
      has_output = has_output || outcome->has_output;
    }
  outcome->has_output = has_output;
  return true;
}

static void
load (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  Legacy *legacy = runner_get_state (runner);
  DescriptorError error = { "" };
  LegacyOutcome outcome;
  const char *file = frame_get_text (request);
  size_t length;
  const uint8_t *text = frame_get_bytes (request, &length);
  unsigned failed;
  int64_t expires = 0;

  legacy->load.descriptor = descriptor_parse (file, DESCRIPTOR_LEGACY, (const char *)text, length, &error);
  if (legacy->load.descriptor == NULL)
    frame_answer (answer, header, FRAME_STATUS_REFUSED, error.text);
  else if (!legacy->load.descriptor->is_keygen)
    frame_answer (answer, header, FRAME_STATUS_REFUSED, "its descriptor has no keygen= in [Symbols]");
  else if (legacy_open (legacy, header, answer)
           && !run_steps (legacy, DESCRIPTOR_PHASE_INIT, &outcome, &failed, &expires))
    frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED,
                  legacy_explain (legacy, &legacy->load.descriptor->calls[failed], &outcome));
}

static char *
copy (const char *text)
{
  char *copied = strdup (text);

  if (copied == NULL)
    abort ();
  return copied;
}

static bool
read_request (Legacy *legacy, FrameReader *reader)
{
  LegacyRequest *request = &legacy->request;
  size_t length;
  const uint8_t *seed;

  legacy->load.user = copy (frame_get_text (reader));
  request->plugin = copy (frame_get_text (reader));
  request->term = copy (frame_get_text (reader));
  request->line = copy (frame_get_text (reader));
  request->generation = frame_get_u32 (reader);
  request->counter = frame_get_u32 (reader);
  seed = frame_get_bytes (reader, &length);
  request->now = frame_get_i64 (reader);
  if (!frame_reader_is_done (reader) || length != sizeof request->seed)
    return false;
  memcpy (request->seed, seed, length);
  for (size_t i = 0; i < length; i++)
    snprintf (request->seed_hex + 2 * i, 3, "%02x", seed[i]);
  request->expiry = legacy_add_term (request->now, request->term);
  return true;
}

/* What a class says of a request for a serial. */
static int
result_of (DescriptorClass class)
{
  switch (class)
    {
    case DESCRIPTOR_CLASS_OK:
      return HOST_OK;
    case DESCRIPTOR_CLASS_BAD_SERIAL:
    case DESCRIPTOR_CLASS_WRONG_USER:
      return HOST_BAD_INPUT;
    case DESCRIPTOR_CLASS_SEATS:
      return HOST_DENIED;
    case DESCRIPTOR_CLASS_EXPIRED:
    case DESCRIPTOR_CLASS_NOT_YET_VALID:
      return HOST_EXPIRED;
    case DESCRIPTOR_CLASS_RETRY_LATER:
      return HOST_RETRY;
    default:
      return HOST_INTERNAL;
    }
}

/* Old libraries end what they write with a line feed, or fill it up with blanks. */
static size_t
trim (const char *text, size_t length)
{
  while (length > 0 && strchr (" \t\r\n", text[length - 1]) != NULL)
    length--;
  return length;
}

static void
handle (Runner *runner, FrameReader *reader, const FrameHeader *header, Frame *answer)
{
  Legacy *legacy = runner_get_state (runner);
  LegacyOutcome outcome;
  unsigned failed;
  int64_t expires = 0;
  size_t length = 0;

  if (!read_request (legacy, reader))
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, "the request makes no sense");
      return;
    }
  if (run_steps (legacy, DESCRIPTOR_PHASE_KEYGEN, &outcome, &failed, &expires))
    length = outcome.has_output ? trim (legacy->output, strnlen (legacy->output, HOST_SERIAL_MAX + 1)) : 0;
  else
    runner_log (runner, HOST_LOG_WARNING,
                legacy_explain (legacy, &legacy->load.descriptor->calls[failed], &outcome));
  frame_put_u32 (answer, (uint32_t)result_of (outcome.class));
  frame_put_text_len (answer, legacy->output, length);
  /* A library that does not know of an end makes a serial for the term that was paid. */
  frame_put_i64 (answer, expires != 0 ? expires : legacy->request.expiry);
}

const RunnerKind runner_legacy_keygen = {
  .name = "legacy-keygen",
  .is_server = true,
  .load_op = FRAME_OP_LOAD_DESCRIBED,
  .open = legacy_open_files,
  .prepare = legacy_prepare,
  .load = load,
  .handle = handle,
};
