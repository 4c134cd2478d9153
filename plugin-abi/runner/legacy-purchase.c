/* `-> purchase ITEM` in [Provide]: an old object asks what looks to it like its host's shop, and asks again
 * until there is an answer. The user is asked by the client. */
#include "plugin-abi/runner/legacy.h"

#include <stdlib.h>

int64_t
legacy_purchase_poll (Legacy *legacy, const char *item)
{
  Frame *frame = malloc (sizeof *frame);
  int64_t state = FRAME_PURCHASE_NOT_NOW;
  FrameReader reader;

  if (frame == NULL)
    return state;
  frame_begin (frame, FRAME_OP_POLL_PURCHASE, FRAME_ASK, 0);
  frame_put_text (frame, item);
  if (runner_ask (legacy->runner, frame, frame) && frame->header.status == FRAME_STATUS_OK)
    {
      frame_read (&reader, frame);
      state = frame_get_u32 (&reader);
    }
  free (frame);
  return state;
}
