#include "host-server/wire/stream.h"

#include "common/base/id.h"
#include "common/base/text.h"
#include "host-server/wire/stream-sasl.h"

#include <string.h>

#define STREAM_NS  "http://etherx.jabber.org/streams"
#define STREAMS_NS "urn:ietf:params:xml:ns:xmpp-streams"
#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"
#define TLS_NS     "urn:ietf:params:xml:ns:xmpp-tls"
#define BIND_NS    "urn:ietf:params:xml:ns:xmpp-bind"
#define SESSION_NS "urn:ietf:params:xml:ns:xmpp-session"
#define SM_NS      "urn:xmpp:sm:3"
#define CLIENT_NS  "jabber:client"

/* What must wait until the reader has come back. */
typedef enum
{
  PENDING_NOTHING,
  PENDING_TLS,
  PENDING_RESTART,
} Pending;

struct Stream
{
  gatomicrefcount references;
  const StreamSettings *settings;
  char *peer;
  char *account;
  gpointer owner;
  StreamNotify notify;
  gpointer notify_data;
  XmlReader *reader;
  Sasl *sasl;    /* NULL: no exchange runs */
  GString *out;  /* NULL: nothing to write */
  GString *held; /* bytes that came while reading was held */
  GString *scratch;
  Jid *jid;     /* bare once authenticated, full once bound */
  Jid *last_to; /* a client writes to the same address again and again */
  char *last_to_text;
  char *lang; /* the stream's xml:lang */
  guint64 n_stanzas;
  guint n_holds;
  guint n_failures;
  Pending pending;
  guint is_secure : 1;
  guint is_authenticated : 1;
  guint is_bound : 1;
  guint has_header : 1; /* of ours, since the last restart */
  guint wants_tls : 1;
  guint is_receiving : 1;
  guint is_ended : 1;
  guint watches_drain : 1;
};

#define APPEND(out, literal) g_string_append_len (out, literal, sizeof (literal) - 1)

static const XmlHandler reader_handler;

Stream *
stream_new (const StreamSettings *settings, const char *peer, gboolean is_secure)
{
  Stream *stream = g_new0 (Stream, 1);
  g_atomic_ref_count_init (&stream->references);
  stream->settings = settings;
  stream->peer = g_strdup (peer);
  stream->is_secure = is_secure != FALSE;
  stream->reader = xml_reader_new (settings->pool, &reader_handler, stream);
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

static GString *
output (Stream *stream)
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
  return stream->is_ended ? NULL : output (stream);
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

static void
write_header (Stream *stream, const char *to)
{
  GString *out = output (stream);
  g_autofree char *id = id_new_random (16);
  APPEND (out, "<?xml version='1.0'?><stream:stream xmlns='" CLIENT_NS "' xmlns:stream='" STREAM_NS "'");
  text_append_xml_attribute (out, "id", id);
  text_append_xml_attribute (out, "from", jid_get_full (stream->settings->domain));
  text_append_xml_attribute (out, "to", to);
  APPEND (out, " version='1.0' xml:lang='en'>");
  stream->has_header = TRUE;
}

static void
write_features (Stream *stream)
{
  const StreamSettings *settings = stream->settings;
  GString *out = output (stream);

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

static void
end (Stream *stream, StreamEnd how)
{
  if (stream->is_ended)
    return;
  if (how != STREAM_LOST)
    APPEND (output (stream), "</stream:stream>");
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
    write_header (stream, NULL);
  GString *out = output (stream);
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
  end (stream, STREAM_FAILED);
}

static void
fail (Stream *stream, const char *condition, const char *text)
{
  stream_end (stream, condition, text, NULL);
}

void
stream_lose (Stream *stream)
{
  end (stream, STREAM_LOST);
}

/* The client's header (RFC 6120 §4.7, §4.8). */

static const char *
find_default_namespace (const XmlElement *element)
{
  for (guint i = 0; i < element->n_declarations; i++)
    if (element->declarations[i].prefix[0] == '\0')
      return element->declarations[i].ns;
  return NULL;
}

static const char *
find_lang (const XmlElement *element)
{
  for (guint i = 0; i < element->n_attributes; i++)
    if (g_str_equal (element->attributes[i].prefix, "xml")
        && g_str_equal (element->attributes[i].name, "lang"))
      return element->attributes[i].value;
  return NULL;
}

/* The condition that refuses the header; NULL: it is good. */
static const char *
check_header (Stream *stream, const XmlElement *header, const char **text)
{
  const char *to = xml_element_get_attribute (header, "to");
  const char *version = xml_element_get_attribute (header, "version");

  if (!g_str_equal (header->name, "stream"))
    return "bad-format";
  if (!g_str_equal (header->ns, STREAM_NS))
    return "invalid-namespace";
  if (!g_str_equal (header->prefix, "stream"))
    return "bad-namespace-prefix";
  if (g_strcmp0 (find_default_namespace (header), CLIENT_NS) != 0)
    return "invalid-namespace";
  if (version == NULL || !g_ascii_isdigit (version[0]) || g_ascii_strtoull (version, NULL, 10) < 1)
    return "unsupported-version";
  *text = "the stream's header needs a 'to'";
  if (to == NULL)
    return "improper-addressing";
  *text = NULL;
  g_autoptr (Jid) domain = jid_new (to, strlen (to));
  if (domain == NULL || !jid_equal (domain, stream->settings->domain))
    return "host-unknown";
  return NULL;
}

static void
on_header (const XmlElement *header, gpointer data)
{
  Stream *stream = data;
  const char *text = NULL;
  const char *from_text = xml_element_get_attribute (header, "from");
  const char *condition = check_header (stream, header, &text);
  g_autoptr (Jid) from = from_text != NULL ? jid_new (from_text, strlen (from_text)) : NULL;

  g_free (stream->lang);
  stream->lang = g_strdup (find_lang (header));
  write_header (stream, from != NULL ? jid_get_full (from) : NULL);
  if (condition != NULL)
    fail (stream, condition, text);
  else if (stream->is_authenticated && from != NULL && !jid_equal_bare (from, stream->jid))
    fail (stream, "invalid-from", NULL);
  else
    write_features (stream);
}

static void
on_close (gpointer data)
{
  end (data, STREAM_CLOSED);
}

/* TLS and SASL. */

static void
read_tls (Stream *stream, const XmlElement *element)
{
  if (!g_str_equal (element->name, "starttls"))
    fail (stream, "unsupported-stanza-type", NULL);
  else if (stream->is_secure || stream->is_authenticated || !stream->settings->offers_tls)
    {
      APPEND (output (stream), "<failure xmlns='" TLS_NS "'/>");
      end (stream, STREAM_CLOSED);
    }
  else
    {
      stream->pending = PENDING_TLS;
      xml_reader_stop (stream->reader);
    }
}

void
stream_secured (Stream *stream)
{
  stream->wants_tls = FALSE;
  stream->is_secure = TRUE;
  stream->has_header = FALSE;
  xml_reader_restart (stream->reader);
}

/* Takes the outcome of a step of the exchange. */
static void
finish_sasl (Stream *stream, SaslOutcome outcome)
{
  const StreamSettings *settings = stream->settings;

  switch (outcome)
    {
    case SASL_CONTINUES:
      return;
    case SASL_NEEDS_PASSWORD_CHECK:
      stream_hold (stream);
      settings->handler->check_password (stream, sasl_get_local (stream->sasl),
                                         sasl_take_password (stream->sasl), settings->handler_data);
      return;
    case SASL_SUCCEEDED:
      stream->jid = jid_ref (sasl_get_jid (stream->sasl));
      stream->is_authenticated = TRUE;
      stream->pending = PENDING_RESTART;
      g_clear_pointer (&stream->sasl, sasl_free);
      if (stream->is_receiving)
        xml_reader_stop (stream->reader);
      return;
    case SASL_FAILED:
      {
        Sasl *sasl = g_steal_pointer (&stream->sasl);
        settings->handler->login_failed (stream, sasl_get_local (sasl), settings->handler_data);
        sasl_free (sasl);
        stream->n_failures++;
        if (settings->login_attempts != 0 && stream->n_failures >= settings->login_attempts)
          fail (stream, "policy-violation", "too many attempts to log in");
        return;
      }
    }
}

static gboolean
find_verifier (const char *local, ScramHash hash, ScramVerifier *verifier, gpointer data)
{
  Stream *stream = data;
  const StreamSettings *settings = stream->settings;
  if (settings->handler->find_verifier (stream, local, hash, verifier, settings->handler_data))
    return TRUE;
  scram_false_verifier (hash, settings->salt_key, local, settings->iterations, verifier);
  return FALSE;
}

static void
read_sasl (Stream *stream, const XmlElement *element)
{
  const StreamSettings *settings = stream->settings;

  if (stream->is_authenticated || !(stream->is_secure || !settings->requires_tls))
    {
      if (stream->is_authenticated)
        fail (stream, "policy-violation", NULL);
      else
        sasl_write_failure (output (stream), "encryption-required");
      return;
    }
  if (g_str_equal (element->name, "auth"))
    {
      /* A second one begins anew. */
      g_clear_pointer (&stream->sasl, sasl_free);
      if (!settings->handler->may_login (stream, settings->handler_data))
        {
          sasl_write_failure (output (stream), "temporary-auth-failure");
          return;
        }
      stream->sasl = sasl_new (settings->domain, stream->is_secure, find_verifier, stream);
      finish_sasl (stream, sasl_begin (stream->sasl, element, output (stream)));
    }
  else if (g_str_equal (element->name, "response") && stream->sasl != NULL)
    finish_sasl (stream, sasl_continue (stream->sasl, element, output (stream)));
  else if (g_str_equal (element->name, "abort") && stream->sasl != NULL)
    {
      sasl_write_failure (output (stream), "aborted");
      finish_sasl (stream, SASL_FAILED);
    }
  else
    sasl_write_failure (output (stream), "malformed-request");
}

/* Binding. */

static void
read_bind (Stream *stream, const Stanza *stanza)
{
  const StreamSettings *settings = stream->settings;
  StanzaError error = STANZA_ERROR_BAD_REQUEST;
  g_autofree char *resource = stanza_dup_inner_text (stanza, "bind", BIND_NS, "resource");
  if (resource != NULL && resource[0] == '\0')
    g_clear_pointer (&resource, g_free);

  g_autoptr (Jid) full
      = settings->handler->bind (stream, stream->jid, resource, &error, settings->handler_data);
  if (stream->is_ended)
    return;
  if (full == NULL)
    {
      stanza_write_error (stanza, error, NULL, NULL, output (stream));
      return;
    }
  gsize length;
  const char *xml = jid_peek_full_xml (full, &length);
  GString *out = output (stream);
  APPEND (out, "<iq type='result'");
  text_append_xml_attribute (out, "id", stanza->id);
  APPEND (out, "><bind xmlns='" BIND_NS "'><jid>");
  g_string_append_len (out, xml, (gssize)length);
  APPEND (out, "</jid></bind></iq>");
  stream_set_bound (stream, full);
  settings->handler->bound (stream, settings->handler_data);
}

void
stream_set_bound (Stream *stream, const Jid *full)
{
  Jid *old = stream->jid;
  stream->jid = jid_ref (full);
  jid_unref (old);
  stream->is_bound = TRUE;
}

/* Stream management. */

static void
read_management (Stream *stream, const XmlElement *element)
{
  const StreamSettings *settings = stream->settings;
  StreamManagementElement read = { 0 };
  const char *h = xml_element_get_attribute (element, "h");
  const char *resume = xml_element_get_attribute (element, "resume");
  const char *max = xml_element_get_attribute (element, "max");
  guint64 number = 0;
  gboolean has_h = h != NULL && g_ascii_string_to_unsigned (h, 10, 0, G_MAXUINT32, &number, NULL);

  read.h = (guint32)number;
  read.id = xml_element_get_attribute (element, "previd");
  read.wants_resumption = resume != NULL && (g_str_equal (resume, "true") || g_str_equal (resume, "1"));
  if (max != NULL && g_ascii_string_to_unsigned (max, 10, 0, G_MAXUINT32, &number, NULL))
    read.max_s = (guint32)number;

  gboolean is_in_order = stream->is_bound;
  if (g_str_equal (element->name, "enable"))
    read.element = STREAM_ENABLE;
  else if (g_str_equal (element->name, "resume"))
    {
      read.element = STREAM_RESUME;
      is_in_order = stream->is_authenticated && !stream->is_bound && has_h && read.id != NULL;
    }
  else if (g_str_equal (element->name, "r"))
    read.element = STREAM_ACK_REQUEST;
  else if (g_str_equal (element->name, "a") && has_h)
    read.element = STREAM_ACK;
  else
    {
      fail (stream, "bad-format", NULL);
      return;
    }
  if (is_in_order)
    settings->handler->management (stream, &read, settings->handler_data);
  else if (read.element == STREAM_ENABLE || read.element == STREAM_RESUME)
    APPEND (output (stream),
            "<failed xmlns='" SM_NS "'><unexpected-request xmlns='" STANZAS_NS "'/></failed>");
  else
    fail (stream, "policy-violation", NULL);
}

/* Stanzas. */

static const Jid *
prepare_to (Stream *stream, const char *text)
{
  if (stream->last_to_text != NULL && strcmp (stream->last_to_text, text) == 0)
    return stream->last_to;
  Jid *to = jid_new (text, strlen (text));
  if (to == NULL)
    return NULL;
  jid_unref (stream->last_to);
  stream->last_to = to;
  g_free (stream->last_to_text);
  stream->last_to_text = g_strdup (text);
  return to;
}

/* RFC 6120 §8.1.2.1: a client may say its full or bare address, and nothing else. */
static gboolean
is_own_address (const Stream *stream, const char *text)
{
  if (strcmp (text, jid_get_full (stream->jid)) == 0 || strcmp (text, jid_get_bare (stream->jid)) == 0)
    return TRUE;
  g_autoptr (Jid) jid = jid_new (text, strlen (text));
  return jid != NULL && jid_equal_bare (jid, stream->jid)
         && (jid_get_resource (jid) == NULL || jid_equal (jid, stream->jid));
}

static void
deliver (Stream *stream, const Stanza *stanza)
{
  const StreamSettings *settings = stream->settings;

  if (stream->is_bound)
    {
      stream->n_stanzas++;
      settings->handler->stanza (stream, stanza, settings->handler_data);
      return;
    }
  gboolean is_set = stanza->kind == STANZA_IQ && stanza->type == STANZA_TYPE_SET;
  if (stream->is_authenticated && is_set && stanza_find_child (stanza, "bind", BIND_NS) != NULL)
    read_bind (stream, stanza);
  else if (stream->is_authenticated || (!stream->is_secure && settings->requires_tls)
           || stanza->kind != STANZA_IQ
           || !settings->handler->early_request (stream, stanza, settings->handler_data))
    fail (stream, "not-authorized", NULL);
}

static void
read_stanza (Stream *stream, const XmlElement *element, StanzaKind kind)
{
  const StreamSettings *settings = stream->settings;
  const char *to_text = xml_element_get_attribute (element, "to");
  const char *from_text = xml_element_get_attribute (element, "from");
  const char *default_ns = find_default_namespace (element);
  const Jid *to = NULL;
  Stanza stanza;

  if (default_ns != NULL && strcmp (default_ns, CLIENT_NS) != 0)
    {
      fail (stream, "invalid-namespace", NULL);
      return;
    }
  if (from_text != NULL && stream->is_bound && !is_own_address (stream, from_text))
    {
      fail (stream, "invalid-from", NULL);
      return;
    }
  if (stream->scratch == NULL)
    stream->scratch = g_string_new (NULL);
  if (to_text != NULL)
    to = prepare_to (stream, to_text);
  gboolean is_read = stanza_read (element, kind, to, stream->jid, stream->lang, stream->scratch, &stanza);
  if (is_read && (to_text == NULL || to != NULL))
    {
      deliver (stream, &stanza);
      return;
    }
  if (!stream->is_bound)
    {
      fail (stream, "not-authorized", NULL);
      return;
    }
  stream->n_stanzas++;
  settings->handler->bad_stanza (stream, &stanza,
                                 is_read ? STANZA_ERROR_JID_MALFORMED : STANZA_ERROR_BAD_REQUEST,
                                 settings->handler_data);
}

static void
on_element (const XmlElement *element, gpointer data)
{
  static const char *const kinds[] = { "message", "presence", "iq" };
  Stream *stream = data;

  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (element->name, kinds[i]) == 0)
      {
        if (strcmp (element->ns, CLIENT_NS) == 0)
          read_stanza (stream, element, (StanzaKind)i);
        else
          fail (stream, "invalid-namespace", NULL);
        return;
      }
  if (g_str_equal (element->ns, SM_NS))
    read_management (stream, element);
  else if (g_str_equal (element->ns, TLS_NS))
    read_tls (stream, element);
  else if (g_str_equal (element->ns, SASL_NS))
    read_sasl (stream, element);
  else
    fail (stream, stream->is_authenticated ? "unsupported-stanza-type" : "not-authorized", NULL);
}

static const XmlHandler reader_handler = { on_header, on_element, on_close };

static void
fail_reading (Stream *stream, XmlReaderOutcome outcome)
{
  switch (outcome)
    {
    case XML_READER_OK:
      return;
    case XML_READER_NOT_WELL_FORMED:
      fail (stream, "not-well-formed", NULL);
      return;
    case XML_READER_RESTRICTED_XML:
      fail (stream, "restricted-xml", NULL);
      return;
    case XML_READER_UNSUPPORTED_ENCODING:
      fail (stream, "unsupported-encoding", NULL);
      return;
    case XML_READER_BAD_FORMAT:
      fail (stream, "bad-format", NULL);
      return;
    case XML_READER_TOO_LARGE:
      fail (stream, "policy-violation", "over a limit of size, depth or number");
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
    fail (stream, "policy-violation", "bytes behind <starttls/>");
  else if (pending == PENDING_TLS)
    {
      APPEND (output (stream), "<proceed xmlns='" TLS_NS "'/>");
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

void
stream_password_checked (Stream *stream, gboolean is_right)
{
  if (stream->sasl != NULL && !stream->is_ended)
    finish_sasl (stream, sasl_password_checked (stream->sasl, is_right, output (stream)));
  stream_release (stream);
}
