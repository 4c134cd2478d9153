/* The stream machine: negotiation, stanzas, stream management, at any cut.
 *
 * The first byte says where the client stands (just connected, inside TLS, logged in), the second how the
 * rest is cut into reads. The oracles: what the server says is UTF-8 and well-formed up to where it stands; a
 * stanza that goes on is UTF-8 and exactly one element for a reader that knows nothing of how it came about;
 * a stream ends at most once, and says nothing afterwards. */

#include "host-server/wire/stream.h"

#include <expat.h>
#include <string.h>

#define STREAM                                                                                               \
  "<stream:stream to='d' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "             \
  "version='1.0'>"
#define AUTH "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAeHh4eHh4eHg=</auth>"
#define BIND "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"

typedef struct
{
  guint depth;
  guint n_roots;
} Seen;

static void XMLCALL
start_seen (void *data, const XML_Char *name, const XML_Char **attributes)
{
  Seen *seen = data;
  if (seen->depth++ == 1)
    seen->n_roots++;
}

static void XMLCALL
end_seen (void *data, const XML_Char *name)
{
  ((Seen *)data)->depth--;
}

/* As a receiver's stream would read it; with @is_whole it is one element, nothing less and nothing more. */
static void
check_text (const char *opening, const char *text, gsize length, gboolean is_whole)
{
  Seen seen = { 0 };
  if (!g_utf8_validate_len (text, length, NULL))
    g_error ("not UTF-8: %.*s", (int)length, text);
  XML_Parser parser = XML_ParserCreateNS ("UTF-8", '}');
  XML_SetUserData (parser, &seen);
  XML_SetElementHandler (parser, start_seen, end_seen);
  if (XML_Parse (parser, opening, (int)strlen (opening), XML_FALSE) != XML_STATUS_OK
      || XML_Parse (parser, text, (int)length, XML_FALSE) != XML_STATUS_OK)
    g_error ("not well-formed for the receiver: %.*s", (int)length, text);
  if (is_whole && (seen.depth != 1 || seen.n_roots != 1))
    g_error ("%u elements, %u open: %.*s", seen.n_roots, seen.depth, (int)length, text);
  XML_ParserFree (parser);
}

static gboolean
find_verifier (Stream *stream, const char *local, ScramHash hash, ScramVerifier *verifier, gpointer data)
{
  memset (verifier, 7, sizeof *verifier);
  return g_str_equal (local, "a");
}

static void
check_password (Stream *stream, const char *local, Secret *take_password, gpointer data)
{
  secret_free (take_password);
  stream_password_checked (stream, g_str_equal (local, "a"));
}

static gboolean
may_login (Stream *stream, gpointer data)
{
  return TRUE;
}

static void
login_failed (Stream *stream, const char *local, gpointer data)
{
}

static Jid *
bind_resource (Stream *stream, const Jid *bare, const char *resource, StanzaError *error, gpointer data)
{
  return jid_with_resource (bare, resource != NULL ? resource : "r");
}

static void
ignore (Stream *stream, gpointer data)
{
}

static void
take_stanza (Stream *stream, const Stanza *stanza, gpointer data)
{
  g_autoptr (GString) out = g_string_new (NULL);
  StanzaRoot stored = { .with_xmlns = TRUE, .append = "<delay xmlns='urn:xmpp:delay'/>" };
  stanza_write (stanza, NULL, out);
  check_text ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
              out->str, out->len, TRUE);
  g_string_truncate (out, 0);
  stanza_write (stanza, &stored, out);
  check_text ("<nothing>", out->str, out->len, TRUE);
  g_autoptr (Stanza) again = stanza_new_from_bytes (out->str, out->len);
  if (again == NULL || again->n_children != stanza->n_children + 1)
    g_error ("stored, it is another stanza: %s", out->str);
}

static void
refuse_stanza (Stream *stream, const Stanza *stanza, StanzaError error, gpointer data)
{
  stanza_write_error (stanza, error, NULL, NULL, stream_write (stream));
}

static gboolean
take_early (Stream *stream, const Stanza *stanza, gpointer data)
{
  return stanza->n_children == 1;
}

static void
take_management (Stream *stream, const StreamManagementElement *element, gpointer data)
{
  if (element->element == STREAM_ACK && element->h > 1000)
    stream_end (stream, "undefined-condition", NULL, NULL);
}

static void
count_end (Stream *stream, StreamEnd end, gpointer data)
{
  if (++*(guint *)data > 1)
    g_error ("a stream ended twice");
}

static const StreamHandler handler = {
  .find_verifier = find_verifier,
  .check_password = check_password,
  .may_login = may_login,
  .login_failed = login_failed,
  .bind = bind_resource,
  .bound = ignore,
  .stanza = take_stanza,
  .bad_stanza = refuse_stanza,
  .early_request = take_early,
  .management = take_management,
  .drained = ignore,
  .ended = count_end,
};

/* Each stream of the server's begins with a declaration: they are checked one by one. */
static void
check_output (Stream *stream)
{
  GString *out = stream_peek_output (stream);
  if (out == NULL)
    return;
  g_auto (GStrv) parts = g_strsplit (out->str, "<?xml version='1.0'?>", -1);
  for (guint i = 1; parts[i] != NULL; i++)
    check_text ("", parts[i], strlen (parts[i]), FALSE);
}

int LLVMFuzzerTestOneInput (const guint8 *bytes, size_t length);

int
LLVMFuzzerTestOneInput (const guint8 *bytes, size_t length)
{
  if (length < 2)
    return 0;
  guint n_ended = 0;
  g_autoptr (XmlPool) pool = xml_pool_new ();
  g_autoptr (Buffers) buffers = buffers_new ();
  g_autoptr (Jid) domain = jid_new ("d", 1);
  g_autoptr (Secret) key = secret_new ("k", 1);
  StreamSettings settings = {
    .pool = pool,
    .buffers = buffers,
    .domain = domain,
    .offers_tls = TRUE,
    .requires_tls = TRUE,
    .before_login = { 10000, 64, 1000 },
    .after_login = { 65536, 64, 1000 },
    .login_attempts = 5,
    .salt_key = key,
    .iterations = 10000,
    .handler = &handler,
    .handler_data = &n_ended,
  };
  guint place = bytes[0] % 3;
  gsize step = bytes[1] == 0 ? length : bytes[1];
  Stream *stream = stream_new (&settings, "192.0.2.1", place > 0);
  if (place == 2)
    stream_receive (stream, STREAM AUTH STREAM BIND, strlen (STREAM AUTH STREAM BIND));
  for (gsize at = 2; at < length; at += step)
    {
      stream_receive (stream, (const char *)bytes + at, MIN (step, length - at));
      if (stream_wants_tls (stream))
        stream_secured (stream);
    }
  check_output (stream);
  stream_lose (stream);
  if (n_ended != 1 || stream_write (stream) != NULL)
    g_error ("a stream that was lost has not ended");
  stream_unref (stream);
  return 0;
}
