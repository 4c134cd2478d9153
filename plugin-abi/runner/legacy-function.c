/* `-> function NAME` in [Provide]: an old object calls what looks to it like a function of its host, and the
 * vendor's function on the server answers. */
#include "plugin-abi/runner/legacy.h"

#include <host/module.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENT 49152

const char *
legacy_function_run (Legacy *legacy, const char *function, const char *input)
{
  Frame *frame = malloc (sizeof *frame);
  size_t length = strnlen (input, MAX_ARGUMENT + 1);
  FrameReader reader;
  char *text = NULL;

  if (frame == NULL)
    return NULL;
  frame_begin (frame, FRAME_OP_RUN_FUNCTION, FRAME_ASK, 0);
  frame_put_text (frame, function);
  frame_put_bytes (frame, input, length);
  if (length <= MAX_ARGUMENT && runner_ask (legacy->runner, frame, frame)
      && frame->header.status == FRAME_STATUS_OK)
    {
      uint32_t result;
      const char *reason;
      const uint8_t *bytes;

      frame_read (&reader, frame);
      result = frame_get_u32 (&reader);
      reason = frame_get_text (&reader);
      bytes = frame_get_bytes (&reader, &length);
      if (result != HOST_OK)
        runner_log (legacy->runner, HOST_LOG_WARNING, reason);
      else if ((text = malloc (length + 1)) != NULL)
        {
          memcpy (text, bytes, length);
          text[length] = '\0';
        }
    }
  free (frame);
  if (text == NULL)
    return NULL;

  /* Old callers keep no text and free none: it lives until the same thread asks again. */
  static _Thread_local char *last;
  free (last);
  last = text;
  return text;
}
