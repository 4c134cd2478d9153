#include "host-client/core/connection-private.h"

void
event_free (gpointer data)
{
  Event *event = data;
  if (event->kind == EVENT_REPLY)
    {
      ConnectionReply *reply = event->value;
      if (reply->value != NULL && event->free_value != NULL)
        event->free_value (reply->value);
      stanza_error_free (reply->error);
      g_free (reply->id);
      g_free (reply->from);
      g_free (reply);
    }
  else if (event->value != NULL && event->free_value != NULL)
    event->free_value (event->value);
  g_free (event->text);
  g_free (event->fingerprint);
  g_free (event);
}

Event *
event_new (guint number, EventKind kind)
{
  Event *event = g_new0 (Event, 1);
  event->kind = kind;
  event->number = number;
  return event;
}

void
event_deliver (Event *take_event, const ConnectionEvents *events, gpointer data)
{
  switch (take_event->kind)
    {
    case EVENT_STEP:
      events->step (take_event->step, data);
      break;
    case EVENT_ONLINE:
      events->online (take_event->text, data);
      break;
    case EVENT_ENDED:
      {
        ConnectionEnded ended = { take_event->end, take_event->text, take_event->fingerprint };
        events->ended (&ended, data);
        break;
      }
    case EVENT_MESSAGE:
      events->message (take_event->value, data);
      break;
    case EVENT_PRESENCE:
      events->presence (take_event->value, data);
      break;
    case EVENT_REPLY:
      events->reply (take_event->value, data);
      break;
    case EVENT_PUSH:
      events->push (take_event->push, g_steal_pointer (&take_event->value), data);
      break;
    }
  event_free (take_event);
}
