#include "host-server/wire/stream-private.h"

#include "common/base/text.h"

#include <string.h>

#define STREAM_NS  "http://etherx.jabber.org/streams"
#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"

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
  stream_write_header (stream, from != NULL ? jid_get_full (from) : NULL);
  if (condition != NULL)
    stream_fail (stream, condition, text);
  else if (stream->is_authenticated && from != NULL && !jid_equal_bare (from, stream->jid))
    stream_fail (stream, "invalid-from", NULL);
  else
    stream_write_features (stream);
}

static void
on_close (gpointer data)
{
  stream_close (data, STREAM_CLOSED);
}

/* TLS and SASL. */

static void
read_tls (Stream *stream, const XmlElement *element)
{
  if (!g_str_equal (element->name, "starttls"))
    stream_fail (stream, "unsupported-stanza-type", NULL);
  else if (stream->is_secure || stream->is_authenticated || !stream->settings->offers_tls)
    {
      APPEND (stream_output (stream), "<failure xmlns='" TLS_NS "'/>");
      stream_close (stream, STREAM_CLOSED);
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
          stream_fail (stream, "policy-violation", "too many attempts to log in");
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
        stream_fail (stream, "policy-violation", NULL);
      else
        sasl_write_failure (stream_output (stream), "encryption-required");
      return;
    }
  if (g_str_equal (element->name, "auth"))
    {
      /* A second one begins anew. */
      g_clear_pointer (&stream->sasl, sasl_free);
      if (!settings->handler->may_login (stream, settings->handler_data))
        {
          sasl_write_failure (stream_output (stream), "temporary-auth-failure");
          return;
        }
      stream->sasl = sasl_new (settings->domain, stream->is_secure, find_verifier, stream);
      finish_sasl (stream, sasl_begin (stream->sasl, element, stream_output (stream)));
    }
  else if (g_str_equal (element->name, "response") && stream->sasl != NULL)
    finish_sasl (stream, sasl_continue (stream->sasl, element, stream_output (stream)));
  else if (g_str_equal (element->name, "abort") && stream->sasl != NULL)
    {
      sasl_write_failure (stream_output (stream), "aborted");
      finish_sasl (stream, SASL_FAILED);
    }
  else
    sasl_write_failure (stream_output (stream), "malformed-request");
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
      stanza_write_error (stanza, error, NULL, NULL, stream_output (stream));
      return;
    }
  gsize length;
  const char *xml = jid_peek_full_xml (full, &length);
  GString *out = stream_output (stream);
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
      stream_fail (stream, "bad-format", NULL);
      return;
    }
  if (is_in_order)
    settings->handler->management (stream, &read, settings->handler_data);
  else if (read.element == STREAM_ENABLE || read.element == STREAM_RESUME)
    APPEND (stream_output (stream),
            "<failed xmlns='" SM_NS "'><unexpected-request xmlns='" STANZAS_NS "'/></failed>");
  else
    stream_fail (stream, "policy-violation", NULL);
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
    stream_fail (stream, "not-authorized", NULL);
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
      stream_fail (stream, "invalid-namespace", NULL);
      return;
    }
  if (from_text != NULL && stream->is_bound && !is_own_address (stream, from_text))
    {
      stream_fail (stream, "invalid-from", NULL);
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
      stream_fail (stream, "not-authorized", NULL);
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
          stream_fail (stream, "invalid-namespace", NULL);
        return;
      }
  if (g_str_equal (element->ns, SM_NS))
    read_management (stream, element);
  else if (g_str_equal (element->ns, TLS_NS))
    read_tls (stream, element);
  else if (g_str_equal (element->ns, SASL_NS))
    read_sasl (stream, element);
  else
    stream_fail (stream, stream->is_authenticated ? "unsupported-stanza-type" : "not-authorized", NULL);
}

void
stream_password_checked (Stream *stream, gboolean is_right)
{
  if (stream->sasl != NULL && !stream->is_ended)
    finish_sasl (stream, sasl_password_checked (stream->sasl, is_right, stream_output (stream)));
  stream_release (stream);
}

const XmlHandler stream_reader_handler = { on_header, on_element, on_close };
