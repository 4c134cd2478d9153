/* The part of plugin-runner that carries a native plugin: both sides are tables (host/plugin.h). */
#include "plugin-abi/runner/native.h"
#include "plugin-abi/runner/resolve.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ANSWER 65536

/* ---- what the host offers ---- */

int
native_result_of (const Frame *frame)
{
  switch (frame->header.status)
    {
    case FRAME_STATUS_OK:
      return HOST_OK;
    case FRAME_STATUS_REFUSED:
      return HOST_DENIED;
    case FRAME_STATUS_BUSY:
      return HOST_RETRY;
    default:
      return HOST_INTERNAL;
    }
}

static const HostLicence *
serial_get (void *host)
{
  return &((Native *)host)->licence;
}

/* Sends an event of two texts. */
static int
tell (Native *native, FrameOp op, const char *first, size_t first_max, const char *second, size_t second_max)
{
  Frame *frame;
  int result;

  if (first == NULL || second == NULL || (frame = malloc (sizeof *frame)) == NULL)
    return HOST_BAD_INPUT;
  frame_begin (frame, op, FRAME_EVENT, 0);
  frame_put_text_len (frame, first, strnlen (first, first_max));
  frame_put_text_len (frame, second, strnlen (second, second_max));
  result = runner_tell (native->runner, frame) ? HOST_OK : HOST_INTERNAL;
  free (frame);
  return result;
}

static int
commands_add (void *host, const char *name, const char *help)
{
  return tell (host, FRAME_OP_ADD_COMMAND, name, 64, help, 300);
}

static int
commands_answer (void *host, const char *text)
{
  Native *native = host;
  size_t length;

  if (text == NULL || (length = strnlen (text, MAX_ANSWER + 1)) > MAX_ANSWER)
    return HOST_BAD_INPUT;
  memmove (native->answer, text, length);
  native->answer[length] = '\0';
  return HOST_OK;
}

static int
notify (void *host, const char *title, const char *text)
{
  return tell (host, FRAME_OP_NOTIFY, title, 200, text, 2000);
}

static int
storage_get (void *host, const char *key, void *value, size_t *length)
{
  Native *native = host;
  FrameReader reader;
  const uint8_t *bytes;
  size_t room, n_bytes;
  Frame *frame;
  int result;

  if (key == NULL || length == NULL || (value == NULL && *length > 0)
      || (frame = malloc (sizeof *frame)) == NULL)
    return HOST_BAD_INPUT;
  room = *length;
  *length = 0;
  frame_begin (frame, FRAME_OP_STORE_GET, FRAME_ASK, 0);
  frame_put_text (frame, key);
  result = runner_ask (native->runner, frame, frame) ? native_result_of (frame) : HOST_INTERNAL;
  if (result == HOST_OK)
    {
      frame_read (&reader, frame);
      if (frame_get_u32 (&reader) == 0)
        result = HOST_BAD_INPUT;
      bytes = frame_get_bytes (&reader, &n_bytes);
      *length = n_bytes;
      if (result == HOST_OK && n_bytes > room)
        result = HOST_DENIED;
      else if (result == HOST_OK && n_bytes > 0)
        memcpy (value, bytes, n_bytes);
    }
  free (frame);
  return result;
}

static int
store (Native *native, const char *key, bool is_kept, const void *value, size_t length)
{
  Frame *frame;
  int result;

  if (key == NULL || (value == NULL && length > 0) || (frame = malloc (sizeof *frame)) == NULL)
    return HOST_BAD_INPUT;
  frame_begin (frame, FRAME_OP_STORE_PUT, FRAME_ASK, 0);
  frame_put_text (frame, key);
  frame_put_u32 (frame, is_kept);
  frame_put_bytes (frame, length > 0 ? value : "", length);
  if (!frame_is_whole (frame))
    result = HOST_DENIED;
  else
    result = runner_ask (native->runner, frame, frame) ? native_result_of (frame) : HOST_INTERNAL;
  free (frame);
  return result;
}

static int
storage_put (void *host, const char *key, const void *value, size_t length)
{
  return store (host, key, true, value, length);
}

static int
storage_remove (void *host, const char *key)
{
  return store (host, key, false, NULL, 0);
}

static void
log_line (void *host, uint32_t level, const char *text)
{
  Native *native = host;

  if (text != NULL)
    runner_log (native->runner, level, text);
}

static int
timer_set (void *host, uint32_t timer, int64_t ms)
{
  Native *native = host;
  Frame *frame;
  int result;

  if (timer > 15 || ms > INT32_MAX || (frame = malloc (sizeof *frame)) == NULL)
    return HOST_BAD_INPUT;
  frame_begin (frame, FRAME_OP_SET_TIMER, FRAME_EVENT, 0);
  frame_put_u32 (frame, timer);
  frame_put_i64 (frame, ms);
  result = runner_tell (native->runner, frame) ? HOST_OK : HOST_INTERNAL;
  free (frame);
  return result;
}

static const HostSerial1 serial_1 = { sizeof serial_1, HOST_PLUGIN_ABI, serial_get };
static const HostCommands1 commands_1 = { sizeof commands_1, HOST_PLUGIN_ABI, commands_add, commands_answer };
static const HostStorage1 storage_1
    = { sizeof storage_1, HOST_PLUGIN_ABI, storage_get, storage_put, storage_remove };
static const HostLog1 log_1 = { sizeof log_1, HOST_PLUGIN_ABI, log_line };
static const HostNotify1 notify_1 = { sizeof notify_1, HOST_PLUGIN_ABI, notify };
static const HostTimer1 timer_1 = { sizeof timer_1, HOST_PLUGIN_ABI, timer_set };

static const void *
get_extension (void *host, const char *name)
{
  static const struct
  {
    const char *name;
    const void *table;
  } extensions[]
      = { { HOST_SERIAL_1, &serial_1 }, { HOST_COMMANDS_1, &commands_1 }, { HOST_STORAGE_1, &storage_1 },
          { HOST_LOG_1, &log_1 },       { HOST_NOTIFY_1, &notify_1 },     { HOST_TIMER_1, &timer_1 } };

  for (size_t i = 0; name != NULL && i < sizeof extensions / sizeof *extensions; i++)
    if (strcmp (name, extensions[i].name) == 0)
      return extensions[i].table;
  return name != NULL ? native_find_granted (host, name) : NULL;
}

/* ---- the plugin ---- */

/* On any thread of the plugin. The host sends it back, which brings it to the first thread in its turn. */
static void
wake (void *host)
{
  Frame *frame = malloc (sizeof *frame);

  if (frame == NULL)
    return;
  frame_begin (frame, FRAME_OP_WAKE, FRAME_EVENT, 0);
  (void)runner_tell (((Native *)host)->runner, frame);
  free (frame);
}

static bool
prepare (Runner *runner, const char **reason)
{
  Native *native = calloc (1, sizeof *native);

  if (native == NULL || (native->answer = malloc (MAX_ANSWER + 1)) == NULL)
    {
      *reason = "out of memory";
      return false;
    }
  native->runner = runner;
  runner_set_state (runner, native);
  resolve_init (runner);
  return true;
}

static const char *
or_null (const char *text)
{
  return *text != '\0' ? text : NULL;
}

/* Copies the plugin's table. NULL, or what is wrong with it. */
static const char *
read_table (Native *native, void *object)
{
  union
  {
    void *data;
    const HostPlugin *(*function) (void);
  } symbol;
  const HostPlugin *table;

  symbol.data = dlsym (object, "host_plugin_v1");
  if (symbol.data == NULL)
    return "the object has no symbol 'host_plugin_v1'";
  table = symbol.function ();
  if (table == NULL || table->abi != HOST_PLUGIN_ABI)
    return "the plugin was built for another ABI";
  memcpy (&native->plugin, table, table->size < sizeof native->plugin ? table->size : sizeof native->plugin);
  if (native->plugin.init == NULL || native->plugin.event == NULL)
    return "the plugin's table has no init or no event";
  return NULL;
}

static void
load (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  Native *native = runner_get_state (runner);
  ClientLoad *loaded = &native->load;
  const char *reason = NULL;
  void *object;

  if (!client_load_read (loaded, runner, DESCRIPTOR_NATIVE, request, header, answer))
    return;
  object = runner_open_object (runner, &reason);
  if (object != NULL)
    reason = read_table (native, object);
  if (reason != NULL)
    {
      frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, reason);
      return;
    }
  native->api = (HostPluginApi){ sizeof native->api, HOST_PLUGIN_ABI, native, get_extension, wake };
  native->licence = (HostLicence){ .size = sizeof native->licence,
                                   .abi = HOST_PLUGIN_ABI,
                                   .serial = or_null (loaded->serial),
                                   .user = or_null (loaded->user),
                                   .jid = or_null (loaded->jid),
                                   .expires = loaded->expiry };
  frame_put_u32 (answer, native->plugin.check != NULL ? FRAME_LOADED_NEEDS_SERIAL : 0);
}

static DescriptorClass
class_of_result (int result)
{
  switch (result)
    {
    case HOST_OK:
      return DESCRIPTOR_CLASS_OK;
    case HOST_EXPIRED:
      return DESCRIPTOR_CLASS_EXPIRED;
    case HOST_RETRY:
      return DESCRIPTOR_CLASS_RETRY_LATER;
    default:
      return DESCRIPTOR_CLASS_ERROR;
    }
}

static DescriptorClass
class_of_verdict (int verdict)
{
  switch (verdict)
    {
    case HOST_VERDICT_OK:
      return DESCRIPTOR_CLASS_OK;
    case HOST_VERDICT_BAD_SERIAL:
      return DESCRIPTOR_CLASS_BAD_SERIAL;
    case HOST_VERDICT_EXPIRED:
      return DESCRIPTOR_CLASS_EXPIRED;
    case HOST_VERDICT_NOT_YET_VALID:
      return DESCRIPTOR_CLASS_NOT_YET_VALID;
    case HOST_VERDICT_WRONG_USER:
      return DESCRIPTOR_CLASS_WRONG_USER;
    case HOST_VERDICT_SEATS:
      return DESCRIPTOR_CLASS_SEATS;
    case HOST_VERDICT_RETRY_LATER:
      return DESCRIPTOR_CLASS_RETRY_LATER;
    default:
      return DESCRIPTOR_CLASS_ERROR;
    }
}

static void
run_phase (Native *native, uint32_t phase, Frame *answer)
{
  const HostPlugin *plugin = &native->plugin;
  DescriptorClass class = DESCRIPTOR_CLASS_OK;
  int64_t expires = 0;

  switch (phase)
    {
    case DESCRIPTOR_PHASE_INIT:
      class = class_of_result (plugin->init (&native->api, &native->self));
      break;
    case DESCRIPTOR_PHASE_CHECK:
      if (plugin->check != NULL)
        class = class_of_verdict (plugin->check (native->self, &native->licence, &expires));
      break;
    case DESCRIPTOR_PHASE_START:
      if (plugin->start != NULL)
        class = class_of_result (plugin->start (native->self));
      native->is_started = class == DESCRIPTOR_CLASS_OK;
      break;
    default:
      native->is_started = false;
      runner_watch (native->runner, -1, NULL);
      if (plugin->stop != NULL)
        plugin->stop (native->self);
      if (plugin->fini != NULL)
        plugin->fini (native->self);
      break;
    }
  client_answer_phase (answer, class, expires, "");
}

static int
send_event (Native *native, HostEvent event)
{
  event.size = sizeof event;
  event.abi = HOST_PLUGIN_ABI;
  native->answer[0] = '\0';
  return native->plugin.event (native->self, &event);
}

static void watch (Native *native);

static void
on_readable (Runner *runner)
{
  Native *native = runner_get_state (runner);

  (void)send_event (native, (HostEvent){ .kind = HOST_EVENT_READABLE });
  watch (native);
}

/* What the plugin waits for may be another descriptor after any call. */
static void
watch (Native *native)
{
  if (native->plugin.poll_fd != NULL && native->is_started)
    runner_watch (native->runner, native->plugin.poll_fd (native->self), on_readable);
}

static void
handle (Runner *runner, FrameReader *request, const FrameHeader *header, Frame *answer)
{
  Native *native = runner_get_state (runner);

  switch (header->op)
    {
    case FRAME_OP_PHASE:
      run_phase (native, frame_get_u32 (request), answer);
      break;
    case FRAME_OP_COMMAND:
      {
        const char *name = frame_get_text (request);
        HostEvent event = { .kind = HOST_EVENT_COMMAND, .name = name, .input = frame_get_text (request) };
        int result = send_event (native, event);

        client_answer_command (answer, class_of_result (result), native->answer);
        break;
      }
    case FRAME_OP_TIMER:
      (void)send_event (native, (HostEvent){ .kind = HOST_EVENT_TIMER, .timer = frame_get_u32 (request) });
      break;
    case FRAME_OP_WAKE:
      (void)send_event (native, (HostEvent){ .kind = HOST_EVENT_WAKE });
      break;
    case FRAME_OP_MESSAGE:
      {
        HostMessage message;

        native_read_message (request, &message);
        (void)send_event (native, (HostEvent){ .kind = HOST_EVENT_MESSAGE, .message = &message });
        break;
      }
    case FRAME_OP_FUNCTION_RESULT:
      {
        HostFunctionResult outcome;

        native_read_outcome (request, &outcome);
        if (native->n_calls > 0)
          native->n_calls--;
        (void)send_event (native, (HostEvent){ .kind = HOST_EVENT_RESULT, .outcome = &outcome });
        break;
      }
    case FRAME_OP_PURCHASE_RESULT:
      {
        HostPurchaseResult result;

        native_read_purchase (request, &result);
        (void)send_event (native, (HostEvent){ .kind = HOST_EVENT_PURCHASE, .purchase = &result });
        break;
      }
    default:
      frame_answer (answer, header, FRAME_STATUS_REFUSED, "not a request for a native plugin");
      break;
    }
  watch (native);
}

const RunnerKind runner_native = {
  .name = "native",
  .load_op = FRAME_OP_LOAD_PLUGIN,
  .prepare = prepare,
  .load = load,
  .handle = handle,
};
