#include "common/module/function-frames.h"
#include "common/base/text.h"
#include "plugin-abi/include/host/function.h"

#include <string.h>

void
function_request_put (Frame *frame, const FunctionModuleRequest *request, guint deadline_ms,
                      const guint8 seed[32])
{
  frame_begin (frame, FRAME_OP_CALL_FUNCTION, FRAME_ASK, 1);
  frame_put_text (frame, request->function);
  frame_put_text (frame, request->user);
  frame_put_text (frame, request->application);
  frame_put_text (frame, request->request);
  frame_put_u32 (frame, deadline_ms);
  frame_put_bytes (frame, seed, 32);
  frame_put_i64 (frame, request->now_s);
  frame_put_bytes (frame, request->argument, request->n_argument);
}

/* --- what a call asks --- */

static gboolean
is_key (const char *key)
{
  gsize length = strlen (key);
  if (length == 0 || length > HOST_KV_KEY_MAX || !text_is_xml (key, length))
    return FALSE;
  for (const char *at = key; *at != '\0'; at++)
    if (g_ascii_iscntrl (*at))
      return FALSE;
  return TRUE;
}

static void
answer_get (FrameReader *asked, const Frame *frame, Frame *answer, const FunctionModuleEvents *events,
            gpointer data)
{
  g_autoptr (GBytes) value = NULL;
  const char *key = frame_get_text (asked);
  FunctionGet found = is_key (key) ? events->get (key, &value, data) : FUNCTION_GET_REFUSED;
  gsize length = 0;
  const void *bytes = value != NULL ? g_bytes_get_data (value, &length) : NULL;
  if (found == FUNCTION_GET_REFUSED)
    {
      frame_answer (answer, &frame->header, FRAME_STATUS_REFUSED, NULL);
      return;
    }
  frame_put_u32 (answer, found == FUNCTION_GET_FOUND);
  frame_put_bytes (answer, bytes, length);
}

static void
answer_put (FrameReader *asked, Frame *answer, const FunctionModuleEvents *events, gpointer data)
{
  gsize length;
  const char *key = frame_get_text (asked);
  gboolean is_kept = frame_get_u32 (asked) != 0;
  const guint8 *bytes = frame_get_bytes (asked, &length);
  guint32 result = HOST_KV_OK;
  if (length > HOST_KV_MAX)
    result = HOST_KV_TOO_LARGE;
  else if (!is_key (key) || !events->put (key, is_kept ? bytes : NULL, length, data))
    result = HOST_KV_REFUSED;
  frame_put_u32 (answer, result);
}

void
function_ask_answer (const Frame *asked, Frame *answer, guint *n_operations,
                     const FunctionModuleEvents *events, gpointer data)
{
  FrameReader reader;
  frame_read (&reader, asked);
  if (++*n_operations > HOST_KV_OPERATIONS)
    frame_answer (answer, &asked->header, FRAME_STATUS_REFUSED, NULL);
  else if (asked->header.op == FRAME_OP_KV_GET)
    answer_get (&reader, asked, answer, events, data);
  else if (asked->header.op == FRAME_OP_KV_PUT)
    answer_put (&reader, answer, events, data);
  else
    frame_answer (answer, &asked->header, FRAME_STATUS_REFUSED, NULL);
}

/* --- what it answers --- */

gboolean
function_answer_read (FrameReader *answer, FunctionModuleResult *result)
{
  static const char *const words[] = { [HOST_BAD_INPUT] = "bad-input",
                                       [HOST_DENIED] = "denied",
                                       [HOST_EXPIRED] = "expired",
                                       [HOST_RETRY] = "retry" };
  guint32 code = frame_get_u32 (answer);
  result->output = frame_get_bytes (answer, &result->n_output);
  result->outcome = FUNCTION_FAILED;
  result->reason = "the module failed by its own word";
  if (!frame_reader_is_done (answer) || result->n_output > HOST_FUNCTION_MAX)
    return FALSE;
  if (code == HOST_OK)
    {
      result->outcome = FUNCTION_OK;
      result->reason = "";
      return TRUE;
    }
  if (code == FRAME_RESULT_OVERFLOW)
    {
      result->outcome = FUNCTION_OVERFLOW;
      result->reason = "its result is larger than the room for it";
      return FALSE;
    }
  if (code >= G_N_ELEMENTS (words))
    return FALSE;
  result->outcome = FUNCTION_REFUSED;
  result->word = words[code];
  result->reason = words[code];
  return TRUE;
}
