#include "plugin-abi/runner/client-load.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 65536 /* of a command's result */

static char *
copy (const char *text)
{
  char *copied = strdup (text != NULL ? text : "");

  if (copied == NULL)
    abort ();
  return copied;
}

bool
client_load_read (ClientLoad *load, Runner *runner, DescriptorKind kind, FrameReader *request,
                  const FrameHeader *header, Frame *answer)
{
  DescriptorError error;
  const char *file;
  const uint8_t *text;
  size_t length;

  load->is_to_run = frame_get_u32 (request) == FRAME_LOAD_TO_RUN;
  file = frame_get_text (request);
  text = frame_get_bytes (request, &length);
  load->user = copy (frame_get_text (request));
  load->jid = copy (frame_get_text (request));
  load->domain = copy (frame_get_text (request));
  load->serial = copy (frame_get_text (request));
  load->locale = copy (frame_get_text (request));
  load->datadir = copy (runner_get_data (runner));
  load->expiry = frame_get_i64 (request);
  if (!frame_reader_is_done (request))
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, "the load request is cut off");
      return false;
    }
  load->descriptor = descriptor_parse (file, kind, (const char *)text, length, &error);
  if (load->descriptor == NULL)
    frame_answer (answer, header, FRAME_STATUS_REFUSED, error.text);
  return load->descriptor != NULL;
}

static void
put_text (Frame *answer, const char *text)
{
  frame_put_text_len (answer, text != NULL ? text : "", text != NULL ? strnlen (text, MAX_TEXT) : 0);
}

void
client_answer_phase (Frame *answer, DescriptorClass class, int64_t expires, const char *text)
{
  frame_put_u32 (answer, class);
  frame_put_i64 (answer, expires);
  put_text (answer, text);
}

void
client_answer_command (Frame *answer, DescriptorClass class, const char *text)
{
  frame_put_u32 (answer, class);
  put_text (answer, text);
}
