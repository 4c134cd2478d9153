/* What a native plugin is offered only if its user granted it: messages, the network, functions, purchases.
 * The descriptor says what was granted; what is not is refused here for the plugin's sake, and by the host's
 * end of the channel (frame.c) for everybody else's. */
#include "plugin-abi/runner/native.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_MESSAGE  16384
#define MAX_ADDRESS  3071
#define MAX_ARGUMENT 49152
#define MAX_FUNCTION 64
#define MAX_ITEM     64
#define ALL_WAYS     ((uint32_t)(HOST_MESSAGE_RECEIVED | HOST_MESSAGE_SENT))

/* ---- messages ---- */

static int
messages_watch (void *host, uint32_t ways)
{
  Native *native = host;
  Frame *frame;
  int result;

  if ((ways & ~ALL_WAYS) != 0 || (frame = malloc (sizeof *frame)) == NULL)
    return HOST_BAD_INPUT;
  frame_begin (frame, FRAME_OP_WATCH_MESSAGES, FRAME_EVENT, 0);
  frame_put_u32 (frame, ways);
  result = runner_tell (native->runner, frame) ? HOST_OK : HOST_INTERNAL;
  free (frame);
  return result;
}

static int
messages_send (void *host, const char *peer, const char *text)
{
  Native *native = host;
  Frame *frame;
  int result;

  if (native->load.descriptor->messages != DESCRIPTOR_MESSAGES_SEND)
    return HOST_DENIED;
  if (text == NULL || *text == '\0' || strnlen (text, MAX_MESSAGE + 1) > MAX_MESSAGE
      || (peer != NULL && (*peer == '\0' || strnlen (peer, MAX_ADDRESS + 1) > MAX_ADDRESS))
      || (frame = malloc (sizeof *frame)) == NULL)
    return HOST_BAD_INPUT;
  frame_begin (frame, FRAME_OP_SEND_MESSAGE, FRAME_ASK, 0);
  frame_put_text (frame, peer);
  frame_put_text (frame, text);
  result = runner_ask (native->runner, frame, frame) ? native_result_of (frame) : HOST_INTERNAL;
  free (frame);
  return result;
}

void
native_read_message (FrameReader *request, HostMessage *message)
{
  *message = (HostMessage){ .size = sizeof *message, .abi = HOST_PLUGIN_ABI };
  message->way = frame_get_u32 (request);
  message->is_late = frame_get_u32 (request);
  message->peer = frame_get_text (request);
  message->text = frame_get_text (request);
  message->time = frame_get_i64 (request);
}

/* ---- network ---- */

static int
network_connect (void *host, const char *name, uint32_t port, int *fd)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP };
  struct addrinfo *addresses = NULL;
  int result = HOST_DENIED;
  char service[8];

  (void)host;
  if (name == NULL || *name == '\0' || port == 0 || port > 65535 || fd == NULL)
    return HOST_BAD_INPUT;
  *fd = -1;
  snprintf (service, sizeof service, "%u", (unsigned)port);
  /* Ours, which asks the client: what it does not hand out could not be connected to. */
  if (getaddrinfo (name, service, &hints, &addresses) != 0)
    return HOST_DENIED;
  for (const struct addrinfo *at = addresses; at != NULL && result != HOST_OK; at = at->ai_next)
    {
      int socket_fd = socket (at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

      if (socket_fd < 0)
        continue;
      if (connect (socket_fd, at->ai_addr, at->ai_addrlen) == 0)
        {
          *fd = socket_fd;
          result = HOST_OK;
          break;
        }
      if (errno != EACCES && errno != EPERM)
        result = HOST_RETRY;
      close (socket_fd);
    }
  freeaddrinfo (addresses);
  return result;
}

/* ---- functions ---- */

static int
function_call (void *host, const char *application, const char *function, const void *data, size_t length,
               uint32_t *call)
{
  Native *native = host;
  Frame *frame;
  int result;

  if (function == NULL || *function == '\0' || strnlen (function, MAX_FUNCTION + 1) > MAX_FUNCTION
      || (data == NULL && length > 0) || length > MAX_ARGUMENT || call == NULL)
    return HOST_BAD_INPUT;
  if (application != NULL && strcmp (application, native->load.descriptor->id) != 0)
    return HOST_DENIED;
  if (native->n_calls >= NATIVE_MAX_CALLS)
    return HOST_RETRY;
  if ((frame = malloc (sizeof *frame)) == NULL)
    return HOST_INTERNAL;
  if (++native->last_call == 0)
    native->last_call = 1;
  frame_begin (frame, FRAME_OP_REQUEST_FUNCTION, FRAME_EVENT, 0);
  frame_put_u32 (frame, native->last_call);
  frame_put_text (frame, function);
  frame_put_bytes (frame, length > 0 ? data : "", length);
  result = runner_tell (native->runner, frame) ? HOST_OK : HOST_INTERNAL;
  free (frame);
  if (result == HOST_OK)
    {
      native->n_calls++;
      *call = native->last_call;
    }
  return result;
}

static int
function_run (void *host, const char *function, const void *data, size_t length, void *result,
              size_t *result_length)
{
  Native *native = host;
  size_t room, n_bytes;
  FrameReader reader;
  const uint8_t *bytes;
  const char *reason;
  Frame *frame;
  int outcome;

  if (function == NULL || *function == '\0' || strnlen (function, MAX_FUNCTION + 1) > MAX_FUNCTION
      || (data == NULL && length > 0) || length > MAX_ARGUMENT || result_length == NULL
      || (result == NULL && *result_length > 0))
    return HOST_BAD_INPUT;
  room = *result_length;
  *result_length = 0;
  if ((frame = malloc (sizeof *frame)) == NULL)
    return HOST_INTERNAL;
  frame_begin (frame, FRAME_OP_RUN_FUNCTION, FRAME_ASK, 0);
  frame_put_text (frame, function);
  frame_put_bytes (frame, length > 0 ? data : "", length);
  outcome = runner_ask (native->runner, frame, frame) ? native_result_of (frame) : HOST_INTERNAL;
  if (outcome == HOST_OK)
    {
      frame_read (&reader, frame);
      outcome = (int)frame_get_u32 (&reader);
      reason = frame_get_text (&reader);
      bytes = frame_get_bytes (&reader, &n_bytes);
      if (outcome == HOST_OK && n_bytes > room)
        {
          outcome = HOST_INTERNAL;
          reason = "a function returned more than there was room for";
        }
      if (outcome != HOST_OK)
        runner_log (native->runner, HOST_LOG_WARNING, reason);
      else if (n_bytes > 0)
        memcpy (result, bytes, n_bytes);
      *result_length = outcome == HOST_OK ? n_bytes : 0;
    }
  free (frame);
  return outcome;
}

void
native_read_outcome (FrameReader *request, HostFunctionResult *outcome)
{
  const uint8_t *bytes;
  size_t length;

  *outcome = (HostFunctionResult){ .size = sizeof *outcome, .abi = HOST_PLUGIN_ABI };
  outcome->call = frame_get_u32 (request);
  outcome->result = frame_get_u32 (request);
  outcome->reason = frame_get_text (request);
  bytes = frame_get_bytes (request, &length);
  if (outcome->result == HOST_OK && length > 0)
    {
      outcome->data = bytes;
      outcome->length = length;
    }
}

/* ---- purchases ---- */

static int
purchase_ask (void *host, const char *item)
{
  Native *native = host;
  Frame *frame;
  int result;

  if (item == NULL || *item == '\0' || strnlen (item, MAX_ITEM + 1) > MAX_ITEM)
    return HOST_BAD_INPUT;
  if ((frame = malloc (sizeof *frame)) == NULL)
    return HOST_INTERNAL;
  frame_begin (frame, FRAME_OP_ASK_PURCHASE, FRAME_ASK, 0);
  frame_put_text (frame, item);
  result = runner_ask (native->runner, frame, frame) ? native_result_of (frame) : HOST_INTERNAL;
  free (frame);
  return result;
}

void
native_read_purchase (FrameReader *request, HostPurchaseResult *result)
{
  *result = (HostPurchaseResult){ .size = sizeof *result, .abi = HOST_PLUGIN_ABI };
  result->outcome = frame_get_u32 (request);
  result->item = frame_get_text (request);
  result->reason = frame_get_text (request);
}

/* ---- which of them there are ---- */

const void *
native_find_granted (const Native *native, const char *name)
{
  static const HostMessages1 messages_1
      = { sizeof messages_1, HOST_PLUGIN_ABI, messages_watch, messages_send };
  static const HostNetwork1 network_1 = { sizeof network_1, HOST_PLUGIN_ABI, network_connect };
  static const HostFunction1 function_1 = { sizeof function_1, HOST_PLUGIN_ABI, function_call, function_run };
  static const HostPurchase1 purchase_1 = { sizeof purchase_1, HOST_PLUGIN_ABI, purchase_ask };
  const Descriptor *descriptor = native->load.descriptor;

  if (strcmp (name, HOST_MESSAGES_1) == 0)
    return descriptor->messages != DESCRIPTOR_MESSAGES_NONE ? &messages_1 : NULL;
  if (strcmp (name, HOST_NETWORK_1) == 0)
    return descriptor->n_connect > 0 && runner_may_connect (native->runner) ? &network_1 : NULL;
  if (strcmp (name, HOST_FUNCTION_1) == 0)
    return descriptor->calls_functions ? &function_1 : NULL;
  if (strcmp (name, HOST_PURCHASE_1) == 0)
    return descriptor->asks_purchases ? &purchase_1 : NULL;
  return NULL;
}
