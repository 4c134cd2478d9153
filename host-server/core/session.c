#include "host-server/core/session-private.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/text.h"

#include <string.h>

#define SM_NS      "urn:xmpp:sm:3"
#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"
#define MAX_HOLDS  64 /* with more, nothing is read */

Session *
session_ref (Session *session)
{
  session->references++;
  return session;
}

void
session_unref (Session *session)
{
  if (session == NULL || --session->references > 0)
    return;
  g_assert (!session->is_alive && session->stream == NULL);
  for (gsize i = 0; i < N_SESSION_SLOTS; i++)
    if (session->slots[i].free_value != NULL && session->slots[i].value != NULL)
      session->slots[i].free_value (session->slots[i].value);
  if (session->holds != NULL)
    g_array_unref (session->holds);
  outbox_free (session->outbox);
  jid_unref (session->jid);
  jid_unref (session->bare);
  g_free (session->account);
  g_free (session->resume_id);
  g_free (session);
}

const Jid *
session_get_jid (const Session *session)
{
  return session->jid;
}

const Jid *
session_get_bare (const Session *session)
{
  return session->bare;
}

const char *
session_get_account (const Session *session)
{
  return session->account;
}

gboolean
session_is_alive (const Session *session)
{
  return session->is_alive;
}

gboolean
session_is_available (const Session *session)
{
  return session->is_available;
}

gint8
session_get_priority (const Session *session)
{
  return session->priority;
}

void
session_set_presence (Session *session, gboolean is_available, gint8 priority)
{
  session->is_available = is_available != FALSE;
  session->priority = priority;
}

gpointer
session_get_slot (const Session *session, SessionSlot slot)
{
  return session->slots[slot].value;
}

void
session_set_slot (Session *session, SessionSlot slot, gpointer value, GDestroyNotify free_value)
{
  Slot old = session->slots[slot];
  session->slots[slot] = (Slot){ value, free_value };
  if (old.free_value != NULL && old.value != NULL && old.value != value)
    old.free_value (old.value);
}

/* Sending. */

static void
ask_for_ack (Session *session, GString *out)
{
  if (session->asked_for_ack)
    return;
  session->asked_for_ack = TRUE;
  g_string_append (out, "<r xmlns='" SM_NS "'/>");
}

static void
check_limits (Session *session, gsize pending)
{
  const SessionLimits *limits = session->book->limits;
  if (session->outbox != NULL)
    {
      pending = MAX (pending, outbox_get_bytes (session->outbox));
      if (limits->unacked_stanzas != 0 && outbox_get_length (session->outbox) > limits->unacked_stanzas)
        session_book_doom (session->book, session);
    }
  if (limits->outbox_bytes != 0 && pending > limits->outbox_bytes)
    session_book_doom (session->book, session);
}

/* The buffer for one stanza: the stream's, or a scratch one while the session rests or is about to end. */
static GString *
begin_send (Session *session)
{
  if (!session->is_alive)
    return NULL;
  gboolean is_read = session->stream != NULL && !session->is_over_limit;
  GString *out = is_read ? stream_write (session->stream) : NULL;
  if (out != NULL)
    return out;
  if (session->outbox == NULL)
    return NULL; /* its stream has just ended, and it with it */
  return g_string_truncate (session->book->scratch, 0);
}

static void
finish_send (Session *session, GString *out, gsize start, gboolean is_kept)
{
  if (session->outbox != NULL)
    {
      outbox_add (session->outbox, out->str + start, out->len - start, is_kept);
      if (out != session->book->scratch)
        ask_for_ack (session, out);
    }
  check_limits (session, session->stream != NULL ? out->len : 0);
}

void
session_send (Session *session, const Stanza *stanza, const StanzaRoot *root)
{
  GString *out = begin_send (session);
  if (out == NULL)
    return;
  gsize start = out->len;
  stanza_write (stanza, root, out);
  finish_send (session, out, start, root != NULL && root->is_kept);
}

void
session_send_xml (Session *session, const char *xml, gsize length)
{
  GString *out = begin_send (session);
  if (out == NULL)
    return;
  gsize start = out->len;
  g_string_append_len (out, xml, (gssize)length);
  finish_send (session, out, start, FALSE);
}

/* Deliveries. */

static void
end_deliveries (Session *session, gboolean was_delivered)
{
  GQueue *deliveries = g_steal_pointer (&session->deliveries);
  if (deliveries == NULL)
    return;
  for (Delivery *delivery; (delivery = g_queue_pop_head (deliveries)) != NULL;)
    {
      delivery->func (session, was_delivered, delivery->data);
      g_free (delivery);
    }
  g_queue_free (deliveries);
}

void
session_when_delivered (Session *session, SessionDelivered func, gpointer data)
{
  if (!session->is_alive)
    {
      func (session, FALSE, data);
      return;
    }
  Delivery *delivery = g_new (Delivery, 1);
  *delivery = (Delivery){ session->outbox != NULL ? outbox_get_sent (session->outbox) : 0, func, data };
  if (session->deliveries == NULL)
    session->deliveries = g_queue_new ();
  g_queue_push_tail (session->deliveries, delivery);
  if (session->outbox == NULL)
    stream_watch_drain (session->stream);
}

void
session_drained (Session *session)
{
  g_autoptr (Session) guard = session_ref (session);
  if (guard->outbox == NULL)
    end_deliveries (session, TRUE);
}

static void
run_acknowledged (Session *session)
{
  while (session->deliveries != NULL && !g_queue_is_empty (session->deliveries))
    {
      Delivery *delivery = g_queue_peek_head (session->deliveries);
      if ((gint32)(outbox_get_acknowledged (session->outbox) - delivery->sent) < 0)
        return;
      g_queue_pop_head (session->deliveries);
      delivery->func (session, TRUE, delivery->data);
      g_free (delivery);
    }
}

/* Holds. */

guint64
session_hold (Session *session)
{
  /* A count once told never goes back (XEP-0198 §4): a hold that no stanza under way asked for, or whose
   * stanza was acknowledged meanwhile, holds back from the next one on. */
  guint32 first = session->n_handled == session->n_acknowledged ? session->n_handled + 1 : session->n_handled;
  Hold hold = { ++session->book->n_holds, first };
  session_ref (session);
  if (session->holds == NULL)
    session->holds = g_array_new (FALSE, FALSE, sizeof (Hold));
  g_array_append_val (session->holds, hold);
  if (session->holds->len > MAX_HOLDS && !session->holds_reading && session->stream != NULL)
    {
      session->holds_reading = TRUE;
      stream_hold (session->stream);
    }
  return hold.id;
}

/* The count that may be acknowledged, which the caller tells the client: up to the stanza before the first one
 * held. Notes whether the rest is still owed. */
static guint32
take_handled (Session *session)
{
  guint32 n = session->n_handled;
  if (session_is_held (session))
    n = g_array_index (session->holds, Hold, 0).handled - 1;
  session->owes_ack = n != session->n_handled;
  session->n_acknowledged = n;
  return n;
}

static void
write_ack (Session *session)
{
  GString *out = session->stream != NULL ? stream_write (session->stream) : NULL;
  if (out != NULL)
    g_string_append_printf (out, "<a xmlns='" SM_NS "' h='%u'/>", take_handled (session));
}

void
session_release (Session *session, guint64 hold)
{
  g_autoptr (Session) guard = session; /* the hold's reference */
  for (guint i = 0; i < guard->holds->len; i++)
    if (g_array_index (session->holds, Hold, i).id == hold)
      {
        g_array_remove_index (session->holds, i);
        break;
      }
  if (!session->is_alive)
    return;
  if (session->owes_ack)
    write_ack (session);
  if (session->holds->len > 0)
    {
      if (session->holds_reading && session->holds->len <= MAX_HOLDS / 2)
        {
          session->holds_reading = FALSE;
          stream_release (session->stream);
        }
      return;
    }
  if (session->holds_reading)
    {
      session->holds_reading = FALSE;
      stream_release (session->stream);
    }
  if (session->is_alive)
    services_resume (session->book->services, session);
}

gboolean
session_is_held (const Session *session)
{
  return session->holds != NULL && session->holds->len > 0;
}

void
session_hold_reading (Session *session, gboolean is_held)
{
  if (session->is_read_held == (is_held != FALSE))
    return;
  session->is_read_held = is_held != FALSE;
  if (session->stream == NULL)
    return;
  if (is_held)
    stream_hold (session->stream);
  else
    stream_release (session->stream);
}

/* Stream management. */

void
session_count_received (Session *session)
{
  session->n_handled++;
}

static void
enable (Session *session, const StreamManagementElement *element)
{
  const SessionLimits *limits = session->book->limits;
  GString *out = stream_write (session->stream);
  if (out == NULL)
    return;
  if (session->outbox != NULL)
    {
      g_string_append (out,
                       "<failed xmlns='" SM_NS "'><unexpected-request xmlns='" STANZAS_NS "'/></failed>");
      return;
    }
  /* What waited for the socket alone has been promised that: it is settled by the last drain. */
  session->outbox = outbox_new ();
  session->n_handled = session->n_acknowledged = 0;
  if (session->holds != NULL)
    for (guint i = 0; i < session->holds->len; i++)
      g_array_index (session->holds, Hold, i).handled = 1;
  g_string_append (out, "<enabled xmlns='" SM_NS "'");
  if (element->wants_resumption && limits->resume_us > 0)
    {
      gint64 wanted = (gint64)element->max_s * G_USEC_PER_SEC;
      session->resume_us = wanted != 0 ? MIN (wanted, limits->resume_us) : limits->resume_us;
      session->resume_id = id_new_random (20);
      g_hash_table_insert (session->book->by_resume, session->resume_id, session);
      g_string_append_printf (out, " id='%s' resume='true' max='%u'", session->resume_id,
                              (guint)(session->resume_us / G_USEC_PER_SEC));
    }
  g_string_append (out, "/>");
}

static void
end_for_count (Stream *stream, guint32 h, guint32 sent)
{
  g_autofree char *application
      = g_strdup_printf ("<handled-count-too-high xmlns='" SM_NS "' h='%u' send-count='%u'/>", h, sent);
  stream_end (stream, "undefined-condition", NULL, application);
}

void
session_manage (Session *session, const StreamManagementElement *element)
{
  g_autoptr (Session) guard = session_ref (session);
  GString *out;

  if (element->element == STREAM_ENABLE)
    {
      enable (guard, element);
      return;
    }
  if (element->element == STREAM_RESUME || session->outbox == NULL)
    {
      stream_end (session->stream, "policy-violation", "stream management is not enabled", NULL);
      return;
    }
  if (element->element == STREAM_ACK_REQUEST)
    {
      write_ack (session);
      return;
    }
  if (!outbox_acknowledge (session->outbox, element->h))
    {
      end_for_count (session->stream, element->h, outbox_get_sent (session->outbox));
      return;
    }
  session->asked_for_ack = FALSE;
  run_acknowledged (session);
  out = session->is_alive && session->stream != NULL && outbox_get_length (session->outbox) > 0
            ? stream_write (session->stream)
            : NULL;
  if (out != NULL)
    ask_for_ack (session, out);
}

/* Takes the stream away from a session that goes on without it. */
static void
detach_stream (Session *session)
{
  stream_set_owner (session->stream, NULL);
  g_clear_pointer (&session->stream, stream_unref);
  session->holds_reading = FALSE;
  session->asked_for_ack = FALSE;
}

void
session_book_resume (SessionBook *book, Stream *stream, const StreamManagementElement *element)
{
  Session *session = g_hash_table_lookup (book->by_resume, element->id);
  GString *out;

  if (session == NULL || session->is_over_limit || !jid_equal_bare (session->bare, stream_get_jid (stream)))
    {
      out = stream_write (stream);
      if (out != NULL)
        g_string_append (out, "<failed xmlns='" SM_NS "'><item-not-found xmlns='" STANZAS_NS "'/></failed>");
      return;
    }
  if (!outbox_acknowledge (session->outbox, element->h))
    {
      end_for_count (stream, element->h, outbox_get_sent (session->outbox));
      return;
    }
  g_autoptr (Session) guard = session_ref (session);
  if (session->stream != NULL)
    {
      g_autoptr (Stream) old = stream_ref (session->stream);
      detach_stream (session);
      stream_end (old, "conflict", "resumed on another stream", NULL);
    }
  timers_clear (book->timers, &session->rest);
  session->stream = stream_ref (stream);
  stream_set_owner (stream, session);
  stream_set_bound (stream, session->jid);
  if (session->is_read_held)
    stream_hold (stream);
  out = stream_write (stream);
  g_string_append_printf (out, "<resumed xmlns='" SM_NS "' previd='%s' h='%u'/>", session->resume_id,
                          take_handled (session));
  outbox_write (session->outbox, out);
  if (outbox_get_length (session->outbox) > 0)
    ask_for_ack (session, out);
  log_info ("core", "session resumed session=%s unacknowledged=%u", jid_get_full (session->jid),
            outbox_get_length (session->outbox));
  run_acknowledged (session);
  if (guard->is_alive)
    hooks_run_session (book->hooks, HOOK_SESSION_RESUMED, session);
}

/* The end. */

static void
on_rest_end (Timer *timer, gpointer data)
{
  Session *session = data;
  log_info ("core", "session not resumed in time session=%s", jid_get_full (session->jid));
  session_finish (session);
}

void
session_stream_ended (Session *session, StreamEnd end)
{
  g_autoptr (Session) guard = session_ref (session);
  if (session->stream != NULL)
    detach_stream (guard);
  if (!session->is_alive)
    return;
  if (end == STREAM_LOST && session->resume_us > 0 && !session->is_over_limit)
    timers_set (session->book->timers, &session->rest, session->resume_us, on_rest_end, session);
  else
    session_finish (session);
}

void
session_end (Session *session, const char *stream_error, const char *text)
{
  g_autoptr (Session) guard = session_ref (session);
  if (session->stream != NULL)
    stream_end (session->stream, stream_error, text, NULL);
  if (guard->is_alive)
    session_finish (session);
}

static void
give_undelivered (const char *xml, gsize length, gboolean is_kept, gpointer data)
{
  Session *session = data;
  if (is_kept)
    return;
  g_autoptr (Stanza) stanza = stanza_new_from_bytes (xml, length);
  if (stanza != NULL)
    hooks_run_undelivered (session->book->hooks, session, stanza);
}

void
session_finish (Session *session)
{
  SessionBook *book = session->book;
  g_autoptr (Session) guard = session_ref (session);

  if (!guard->is_alive)
    return;
  session->is_alive = FALSE;
  log_info ("core", "session ended session=%s undelivered=%u", jid_get_full (session->jid),
            session->outbox != NULL ? outbox_get_length (session->outbox) : 0);
  if (session->stream != NULL)
    detach_stream (session);
  timers_clear (book->timers, &session->rest);
  session_book_remove (book, session);
  hooks_run_session (book->hooks, HOOK_SESSION_ENDED, session);
  end_deliveries (session, FALSE);
  g_autoptr (Outbox) outbox = g_steal_pointer (&session->outbox);
  if (outbox != NULL)
    outbox_foreach (outbox, give_undelivered, session);
}
