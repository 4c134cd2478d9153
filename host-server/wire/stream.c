#include "host-server/wire/stream-private.h"

#include "common/base/id.h"
#include "common/base/text.h"

#include <string.h>

#define STREAM_NS  "http://etherx.jabber.org/streams"
#define STREAMS_NS "urn:ietf:params:xml:ns:xmpp-streams"

Stream *
stream_new (const StreamSettings *settings, const char *peer, gboolean is_secure)
{
  Stream *stream = g_new0 (Stream, 1);
  g_atomic_ref_count_init (&stream->references);
  stream->settings = settings;
  stream->peer = g_strdup (peer);
  stream->is_secure = is_secure != FALSE;
  stream->reader = xml_reader_new (settings->pool, &stream_reader_handler, stream);
  xml_reader_set_limits (stream->reader, &settings->before_login);
  return stream;
}

Stream *
stream_ref (Stream *stream)
{
  g_atomic_ref_count_inc (&stream->references);
  return stream;
}

void
stream_unref (Stream *stream)
{
  if (stream == NULL || !g_atomic_ref_count_dec (&stream->references))
    return;
  if (stream->out != NULL)
    buffers_give_back (stream->settings->buffers, stream->out);
  if (stream->held != NULL)
    g_string_free (stream->held, TRUE);
  if (stream->scratch != NULL)
    g_string_free (stream->scratch, TRUE);
  xml_reader_free (stream->reader);
  sasl_free (stream->sasl);
  jid_unref (stream->jid);
  jid_unref (stream->last_to);
  g_free (stream->last_to_text);
  g_free (stream->lang);
  g_free (stream->peer);
  g_free (stream->account);
  g_free (stream);
}

const char *
stream_get_peer (const Stream *stream)
{
  return stream->peer;
}

gpointer
stream_get_owner (const Stream *stream)
{
  return stream->owner;
}

void
stream_set_owner (Stream *stream, gpointer owner)
{
  stream->owner = owner;
}

const char *
stream_get_account (const Stream *stream)
{
  return stream->account;
}

void
stream_set_account (Stream *stream, const char *account)
{
  g_free (stream->account);
  stream->account = g_strdup (account);
}

void
stream_set_notify (Stream *stream, StreamNotify notify, gpointer data)
{
  stream->notify = notify;
  stream->notify_data = data;
}

gboolean
stream_is_ended (const Stream *stream)
{
  return stream->is_ended;
}

gboolean
stream_is_authenticated (const Stream *stream)
{
  return stream->is_authenticated;
}

gboolean
stream_is_secure (const Stream *stream)
{
  return stream->is_secure;
}

gboolean
stream_wants_tls (const Stream *stream)
{
  return stream->wants_tls;
}

gboolean
stream_wants_bytes (const Stream *stream)
{
  return stream->n_holds == 0 || stream->is_ended;
}

const Jid *
stream_get_jid (const Stream *stream)
{
  return stream->jid;
}

guint64
stream_get_stanzas (const Stream *stream)
{
  return stream->n_stanzas;
}

/* Output. */

static void
notify (Stream *stream)
{
  if (stream->notify != NULL)
    stream->notify (stream, stream->notify_data);
}

GString *
stream_output (Stream *stream)
{
  if (stream->out == NULL)
    {
      stream->out = buffers_take (stream->settings->buffers);
      notify (stream);
    }
  return stream->out;
}

GString *
stream_write (Stream *stream)
{
  return stream->is_ended ? NULL : stream_output (stream);
}

GString *
stream_peek_output (Stream *stream)
{
  return stream->out;
}

void
stream_output_written (Stream *stream, gsize length)
{
  if (length < stream->out->len)
    g_string_erase (stream->out, 0, (gssize)length);
  else
    buffers_give_back (stream->settings->buffers, g_steal_pointer (&stream->out));
}

void
stream_watch_drain (Stream *stream)
{
  stream->watches_drain = TRUE;
  notify (stream);
}

void
stream_drained (Stream *stream)
{
  if (!stream->watches_drain)
    return;
  stream->watches_drain = FALSE;
  stream->settings->handler->drained (stream, stream->settings->handler_data);
}

void
stream_write_header (Stream *stream, const char *to)
{
  GString *out = stream_output (stream);
  g_autofree char *id = id_new_random (16);
  APPEND (out, "<?xml version='1.0'?><stream:stream xmlns='" CLIENT_NS "' xmlns:stream='" STREAM_NS "'");
  text_append_xml_attribute (out, "id", id);
  text_append_xml_attribute (out, "from", jid_get_full (stream->settings->domain));
  text_append_xml_attribute (out, "to", to);
  APPEND (out, " version='1.0' xml:lang='en'>");
  stream->has_header = TRUE;
}

void
stream_write_features (Stream *stream)
{
  const StreamSettings *settings = stream->settings;
  GString *out = stream_output (stream);

  APPEND (out, "<stream:features>");
  if (stream->is_authenticated)
    APPEND (out, "<bind xmlns='" BIND_NS "'/><session xmlns='" SESSION_NS "'><optional/></session>"
                 "<sm xmlns='" SM_NS "'/><ver xmlns='urn:xmpp:features:rosterver'/>"
                 "<sub xmlns='urn:xmpp:features:pre-approval'/>");
  else
    {
      if (!stream->is_secure && settings->offers_tls)
        APPEND (out, "<starttls xmlns='" TLS_NS "'>");
      if (!stream->is_secure && settings->offers_tls && settings->requires_tls)
        APPEND (out, "<required/>");
      if (!stream->is_secure && settings->offers_tls)
        APPEND (out, "</starttls>");
      if (stream->is_secure || !settings->requires_tls)
        {
          sasl_write_mechanisms (out, stream->is_secure);
          if (settings->early_features != NULL)
            g_string_append (out, settings->early_features);
        }
    }
  APPEND (out, "</stream:features>");
}

void
stream_close (Stream *stream, StreamEnd how)
{
  if (stream->is_ended)
    return;
  if (how != STREAM_LOST)
    APPEND (stream_output (stream), "</stream:stream>");
  stream->is_ended = TRUE;
  if (stream->is_receiving)
    xml_reader_stop (stream->reader);
  g_clear_pointer (&stream->sasl, sasl_free);
  stream_ref (stream);
  stream->settings->handler->ended (stream, how, stream->settings->handler_data);
  notify (stream);
  stream_unref (stream);
}

void
stream_end (Stream *stream, const char *condition, const char *text, const char *application)
{
  if (stream->is_ended)
    return;
  if (!stream->has_header) /* RFC 6120 §4.9.1.2 */
    stream_write_header (stream, NULL);
  GString *out = stream_output (stream);
  g_string_append_printf (out, "<stream:error><%s xmlns='" STREAMS_NS "'/>", condition);
  if (text != NULL)
    {
      APPEND (out, "<text xmlns='" STREAMS_NS "' xml:lang='en'>");
      text_append_xml (out, text);
      APPEND (out, "</text>");
    }
  if (application != NULL)
    g_string_append (out, application);
  APPEND (out, "</stream:error>");
  stream_close (stream, STREAM_FAILED);
}

void
stream_fail (Stream *stream, const char *condition, const char *text)
{
  stream_end (stream, condition, text, NULL);
}

void
stream_lose (Stream *stream)
{
  stream_close (stream, STREAM_LOST);
}

/* Input. */

static void
fail_reading (Stream *stream, XmlReaderOutcome outcome)
{
  switch (outcome)
    {
    case XML_READER_OK:
      return;
    case XML_READER_NOT_WELL_FORMED:
      stream_fail (stream, "not-well-formed", NULL);
      return;
    case XML_READER_RESTRICTED_XML:
      stream_fail (stream, "restricted-xml", NULL);
      return;
    case XML_READER_UNSUPPORTED_ENCODING:
      stream_fail (stream, "unsupported-encoding", NULL);
      return;
    case XML_READER_BAD_FORMAT:
      stream_fail (stream, "bad-format", NULL);
      return;
    case XML_READER_TOO_LARGE:
      stream_fail (stream, "policy-violation", "over a limit of size, depth or number");
      return;
    }
}

/* What a handler asked for that the reader must not be in. */
static void
settle (Stream *stream, gboolean has_more)
{
  Pending pending = stream->pending;
  stream->pending = PENDING_NOTHING;
  if (stream->is_ended)
    return;
  if (pending == PENDING_RESTART)
    {
      stream->has_header = FALSE;
      xml_reader_set_limits (stream->reader, &stream->settings->after_login);
      xml_reader_restart (stream->reader);
    }
  else if (pending == PENDING_TLS && has_more)
    /* Clear text that would be taken for what came protected. */
    stream_fail (stream, "policy-violation", "bytes behind <starttls/>");
  else if (pending == PENDING_TLS)
    {
      APPEND (stream_output (stream), "<proceed xmlns='" TLS_NS "'/>");
      stream->wants_tls = TRUE;
    }
}

void
stream_receive (Stream *stream, const char *bytes, gsize length)
{
  g_assert (!stream->is_receiving);
  stream_ref (stream);
  while (length > 0 && !stream->is_ended && stream->n_holds == 0)
    {
      gsize consumed;
      stream->is_receiving = TRUE;
      XmlReaderOutcome outcome = xml_reader_feed (stream->reader, bytes, length, &consumed);
      stream->is_receiving = FALSE;
      bytes += consumed;
      length -= consumed;
      if (outcome != XML_READER_OK)
        fail_reading (stream, outcome);
      settle (stream, length > 0);
    }
  if (length > 0 && !stream->is_ended)
    {
      if (stream->held == NULL)
        stream->held = g_string_new (NULL);
      g_string_append_len (stream->held, bytes, (gssize)length);
    }
  stream_unref (stream);
}

void
stream_hold (Stream *stream)
{
  stream->n_holds++;
  if (stream->is_receiving)
    xml_reader_stop (stream->reader);
}

void
stream_release (Stream *stream)
{
  g_assert (stream->n_holds > 0);
  if (--stream->n_holds > 0 || stream->is_receiving)
    return;
  stream_ref (stream);
  settle (stream, FALSE);
  GString *held = g_steal_pointer (&stream->held);
  if (held != NULL)
    {
      stream_receive (stream, held->str, held->len);
      g_string_free (held, TRUE);
    }
  notify (stream);
  stream_unref (stream);
}
