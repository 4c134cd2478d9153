/* A frame as it comes from a runner. The input is a packet; it is judged as every side, phase and grant. What
 * passes can then be read by its shape without a failure. */

#include "common/module/frame.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
read_shape (const Frame *frame, const char *shape)
{
  FrameReader reader;
  frame_read (&reader, frame);
  const char *repeated = strchr (shape, '(');
  for (const char *letter = shape; *letter; letter++)
    {
      gsize length;
      switch (*letter)
        {
        case 'u':
          frame_get_u32 (&reader);
          break;
        case 'x':
          frame_get_i64 (&reader);
          break;
        case 's':
          if (strlen (frame_get_text (&reader)) > FRAME_MAX_PAYLOAD)
            g_error ("text without an end");
          break;
        case 'b':
          if (frame_get_bytes (&reader, &length) && length > FRAME_MAX_PAYLOAD)
            g_error ("too many bytes");
          break;
        case '(':
          if (!frame_reader_has_more (&reader))
            letter = strchr (letter, ')');
          break;
        case ')':
          if (frame_reader_has_more (&reader))
            letter = repeated;
          break;
        default:
          g_error ("shape %s", shape);
        }
    }
  if (!frame_reader_is_done (&reader))
    g_error ("a frame of shape %s passed and cannot be read", shape);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static Frame frame;
  memset (&frame, 0, sizeof frame.header);
  memcpy (&frame, data, MIN (size, sizeof frame));
  if (size >= sizeof frame.header && size <= sizeof frame && frame.header.length == 0xFFFF)
    frame.header.length = (uint32_t)(size - sizeof frame.header); /* lets the fuzzer find whole frames */
  for (unsigned side = FRAME_FROM_HOST; side <= FRAME_FROM_SUPERVISOR; side <<= 1)
    for (unsigned phase = FRAME_PHASE_CONTROL; phase <= FRAME_PHASE_CALL; phase <<= 1)
      for (unsigned grants = 0; grants <= 15; grants += 15)
        {
          if (frame_check (&frame, size, side, phase, grants) != FRAME_FINE)
            continue;
          const FrameRow *row = frame_find_row (frame.header.op);
          bool is_answer = frame.header.flags == FRAME_ANSWER;
          if (!row || (!is_answer && (row->grants & ~grants))
              || size != sizeof frame.header + frame.header.length)
            g_error ("passed without its row, its grant or its length");
          if (!is_answer)
            read_shape (&frame, row->ask);
          else if (frame.header.status == FRAME_STATUS_OK)
            read_shape (&frame, row->answer);
        }
  return 0;
}
