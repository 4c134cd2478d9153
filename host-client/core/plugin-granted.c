/* What a plugin may ask for, if the user has granted it: to send messages, to call its vendor's functions, to
 * have the user asked about a purchase. A legacy plugin waits for its answer, a native one gets an event. */
#include "host-client/core/plugin-private.h"

#include <host/plugin.h>

#define MAX_CALLS      8
#define MAX_SENT       20 /* messages in SENT_US */
#define MAX_SENT_BYTES 16384
#define SENT_US        (60 * G_USEC_PER_SEC)

static void
answer_asked (Plugin *plugin, const FrameHeader *asked, FrameStatus status, const char *reason)
{
  g_autofree Frame *frame = g_new (Frame, 1);

  frame_answer (frame, asked, status, reason);
  plugin_process_answer (plugin->process, frame);
}

static gboolean
may_send_more (Plugin *plugin)
{
  gint64 now_us = clock_get_monotonic_us (plugin->host->clock);

  if (plugin->n_sent == 0 || now_us - plugin->sent_since_us >= SENT_US)
    {
      plugin->sent_since_us = now_us;
      plugin->n_sent = 0;
    }
  return plugin->n_sent < MAX_SENT;
}

static void
take_send (Plugin *plugin, const FrameHeader *asked, const char *peer, const char *text)
{
  g_autofree char *clean = plugin_text_clean (text, MAX_SENT_BYTES, FALSE, plugin->serial);
  PluginSendOutcome outcome = PLUGIN_SEND_DENIED;

  if (*clean == '\0')
    outcome = PLUGIN_SEND_DENIED;
  else if (!may_send_more (plugin))
    outcome = PLUGIN_SEND_BUSY;
  else if (plugin->events.send != NULL)
    outcome = plugin->events.send (plugin, *peer != '\0' ? peer : NULL, clean, plugin->data);
  if (outcome == PLUGIN_SEND_DONE)
    plugin->n_sent++;
  answer_asked (plugin, asked,
                outcome == PLUGIN_SEND_DONE     ? FRAME_STATUS_OK
                : outcome == PLUGIN_SEND_DENIED ? FRAME_STATUS_REFUSED
                                                : FRAME_STATUS_BUSY,
                NULL);
}

/* Tells a plugin how its call ended: a legacy one waits for the frame, a native one gets an event in turn. */
static void
tell_outcome (Plugin *plugin, const PluginOpenCall *open, const PluginCallOutcome *outcome)
{
  g_autofree char *reason = plugin_text_clean (outcome->reason, 500, TRUE, NULL);
  GBytes *value = outcome->result == HOST_OK ? outcome->value : NULL;
  PluginRequest *request;

  if (open->asked.call != 0)
    {
      g_autofree Frame *frame = g_new (Frame, 1);
      gsize length = 0;
      gconstpointer bytes = value != NULL ? g_bytes_get_data (value, &length) : "";

      frame_begin (frame, FRAME_OP_RUN_FUNCTION, FRAME_ANSWER, open->asked.call);
      frame_put_u32 (frame, outcome->result);
      frame_put_text (frame, reason);
      frame_put_bytes (frame, bytes, length);
      plugin_process_answer (plugin->process, frame);
      return;
    }
  request = g_new0 (PluginRequest, 1);
  request->op = FRAME_OP_FUNCTION_RESULT;
  request->number = open->number;
  request->detail = outcome->result;
  request->name = g_steal_pointer (&reason);
  request->value = value != NULL ? g_bytes_ref (value) : NULL;
  plugin_ask (plugin, request);
}

static void
take_call (Plugin *plugin, const PluginOpenCall *open, const char *function, GBytes *argument)
{
  static const PluginCallOutcome too_many = { HOST_RETRY, "too many functions are called at once", NULL };
  static const PluginCallOutcome none = { HOST_RETRY, "there are no functions here", NULL };
  PluginOpenCall copy = *open;

  if (plugin->calls->len >= MAX_CALLS || plugin->events.call == NULL)
    {
      tell_outcome (plugin, open, plugin->events.call == NULL ? &none : &too_many);
      return;
    }
  copy.call = ++plugin->last_call;
  g_array_append_val (plugin->calls, copy);
  plugin->events.call (plugin, copy.call, function, argument, plugin->data);
}

/* Has the user asked about @item, if that may be. */
static gboolean
wish (Plugin *plugin, const char *item, gboolean is_polled)
{
  gint64 now_us = clock_get_monotonic_us (plugin->host->clock);

  return plugin->events.wish != NULL && plugin_wishes_begin (&plugin->wishes, item, is_polled, now_us);
}

/* A native plugin is told by an event. */
static void
take_wish (Plugin *plugin, const FrameHeader *asked, const char *wanted)
{
  g_autofree char *item = g_strdup (wanted);
  gboolean is_taken = wish (plugin, item, FALSE);

  answer_asked (plugin, asked, is_taken ? FRAME_STATUS_OK : FRAME_STATUS_BUSY, NULL);
  if (is_taken)
    plugin->events.wish (plugin, item, plugin->data);
}

/* A legacy one, which knows no events, asks again and again, and learns once what became of it. */
static void
take_poll (Plugin *plugin, const FrameHeader *asked, const char *wanted)
{
  g_autofree char *item = g_strdup (wanted);
  g_autofree Frame *frame = g_new (Frame, 1);
  guint32 call = asked->call;

  if (!plugin_wishes_knows (&plugin->wishes, item) && wish (plugin, item, TRUE))
    plugin->events.wish (plugin, item, plugin->data);
  if (plugin->process == NULL)
    return;
  frame_begin (frame, FRAME_OP_POLL_PURCHASE, FRAME_ANSWER, call);
  frame_put_u32 (frame, plugin_wishes_poll (&plugin->wishes, item));
  plugin_process_answer (plugin->process, frame);
}

void
plugin_take_asked (PluginProcess *process, const Frame *frame, gpointer data)
{
  Plugin *plugin = data;
  PluginOpenCall open = { 0 };
  g_autoptr (GBytes) argument = NULL;
  const guint8 *bytes;
  FrameReader reader;
  const char *text;
  gsize length;

  frame_read (&reader, frame);
  switch (frame->header.op)
    {
    case FRAME_OP_WATCH_MESSAGES:
      plugin->watched_ways = frame_get_u32 (&reader);
      return;
    case FRAME_OP_SEND_MESSAGE:
      text = frame_get_text (&reader);
      take_send (plugin, &frame->header, text, frame_get_text (&reader));
      return;
    case FRAME_OP_ASK_PURCHASE:
      take_wish (plugin, &frame->header, frame_get_text (&reader));
      return;
    case FRAME_OP_POLL_PURCHASE:
      take_poll (plugin, &frame->header, frame_get_text (&reader));
      return;
    case FRAME_OP_REQUEST_FUNCTION:
      open.number = frame_get_u32 (&reader);
      break;
    default:
      open.asked = frame->header;
      break;
    }
  text = frame_get_text (&reader);
  bytes = frame_get_bytes (&reader, &length);
  argument = g_bytes_new (bytes, length);
  take_call (plugin, &open, text, argument);
}

void
plugin_answer_call (Plugin *plugin, guint call, const PluginCallOutcome *outcome)
{
  for (guint i = 0; i < plugin->calls->len; i++)
    {
      PluginOpenCall open = g_array_index (plugin->calls, PluginOpenCall, i);

      if (open.call != call)
        continue;
      g_array_remove_index (plugin->calls, i);
      tell_outcome (plugin, &open, outcome);
      return;
    }
}

void
plugin_answer_wish (Plugin *plugin, const char *item, guint outcome, const char *reason)
{
  gboolean is_polled = plugin->wishes.is_polled;
  PluginRequest *request;

  if (!plugin_wishes_end (&plugin->wishes, item, outcome, clock_get_monotonic_us (plugin->host->clock))
      || is_polled)
    return;
  request = g_new0 (PluginRequest, 1);
  request->op = FRAME_OP_PURCHASE_RESULT;
  request->number = outcome;
  request->name = g_strdup (item);
  request->input = plugin_text_clean (reason, 500, TRUE, NULL);
  plugin_ask (plugin, request);
}
