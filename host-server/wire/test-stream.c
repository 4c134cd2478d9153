#include "host-server/wire/stream.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

/* A server behind the stream: one account, alice with the password secret, whose stanzas are shown. */
typedef struct
{
  XmlPool *pool;
  Buffers *buffers;
  Jid *domain;
  Secret *salt_key;
  StreamSettings settings;
  Stream *stream;
  gboolean holds_passwords; /* answers them only later */
  gboolean is_right;
  gboolean refuses_login;
  gboolean refuses_bind;
  gboolean serves_early;
  int n_ended;
  StreamEnd end;
  ScramVerifier verifier;
} Fixture;

#define STREAMS "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"
#define SASL    "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define TLS     "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
#define BIND    "xmlns='urn:ietf:params:xml:ns:xmpp-bind'"
#define STANZAS "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
#define SM      "xmlns='urn:xmpp:sm:3'"

/* What the client says, and what it hears; ids of streams are cut out. */
#define OPEN                                                                                                 \
  "<stream:stream to='d' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "             \
  "version='1.0'>"
#define HEADER                                                                                               \
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                               \
  "xmlns:stream='http://etherx.jabber.org/streams' "                                                         \
  "id='' from='d' version='1.0' xml:lang='en'>"
#define STARTTLS_FEATURES "<stream:features><starttls " TLS "><required/></starttls></stream:features>"
#define SECURE_FEATURES                                                                                      \
  "<stream:features><mechanisms " SASL                                                                       \
  "><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"                                  \
  "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
#define BIND_FEATURES                                                                                        \
  "<stream:features><bind " BIND                                                                             \
  "/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"                             \
  "<sm " SM "/><ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>"      \
  "</stream:features>"
#define ERROR(condition) "<stream:error><" condition " " STREAMS "/></stream:error></stream:stream>"
#define TEXT_ERROR(condition, text)                                                                          \
  "<stream:error><" condition " " STREAMS "/><text " STREAMS " xml:lang='en'>" text                          \
  "</text></stream:error></stream:stream>"
#define FAILURE(condition) "<failure " SASL "><" condition "/></failure>"
#define PLAIN              "<auth " SASL " mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>"
#define SUCCESS            "<success " SASL "/>"
#define DO_BIND            "<iq type='set' id='b'><bind " BIND "><resource>r</resource></bind></iq>"
#define BOUND              "<iq type='result' id='b'><bind " BIND "><jid>alice@d/r</jid></bind></iq>"
#define LOGIN              OPEN PLAIN OPEN DO_BIND
#define LOGGED_IN          HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES BOUND

static gboolean
find_verifier (Stream *stream, const char *local, ScramHash hash, ScramVerifier *verifier, gpointer data)
{
  Fixture *fixture = data;
  *verifier = fixture->verifier;
  return g_str_equal (local, "alice");
}

static void
check_password (Stream *stream, const char *local, Secret *take_password, gpointer data)
{
  Fixture *fixture = data;
  fixture->is_right
      = g_str_equal (local, "alice") && g_str_equal (secret_peek_text (take_password), "secret");
  secret_free (take_password);
  if (!fixture->holds_passwords)
    stream_password_checked (stream, fixture->is_right);
}

static gboolean
may_login (Stream *stream, gpointer data)
{
  return !((Fixture *)data)->refuses_login;
}

static void
login_failed (Stream *stream, const char *local, gpointer data)
{
}

static Jid *
bind_resource (Stream *stream, const Jid *bare, const char *resource, StanzaError *error, gpointer data)
{
  if (((Fixture *)data)->refuses_bind)
    {
      *error = STANZA_ERROR_RESOURCE_CONSTRAINT;
      return NULL;
    }
  return jid_with_resource (bare, resource != NULL ? resource : "own");
}

static void
resource_bound (Stream *stream, gpointer data)
{
}

static void
show_stanza (Stream *stream, const Stanza *stanza, gpointer data)
{
  GString *out = stream_write (stream);
  g_string_append_c (out, '{');
  stanza_write (stanza, NULL, out);
  g_string_append_c (out, '}');
}

static void
show_bad_stanza (Stream *stream, const Stanza *stanza, StanzaError error, gpointer data)
{
  stanza_write_error (stanza, error, NULL, NULL, stream_write (stream));
}

static gboolean
take_early (Stream *stream, const Stanza *stanza, gpointer data)
{
  if (!((Fixture *)data)->serves_early)
    return FALSE;
  g_string_append (stream_write (stream), "{early}");
  return TRUE;
}

static void
show_management (Stream *stream, const StreamManagementElement *element, gpointer data)
{
  g_string_append_printf (stream_write (stream), "{%d %d %u %s %u}", element->element,
                          element->wants_resumption, element->max_s, element->id != NULL ? element->id : "-",
                          element->h);
}

static void
count_end (Stream *stream, StreamEnd end, gpointer data)
{
  Fixture *fixture = data;
  fixture->n_ended++;
  fixture->end = end;
}

static const StreamHandler handler = {
  .find_verifier = find_verifier,
  .check_password = check_password,
  .may_login = may_login,
  .login_failed = login_failed,
  .bind = bind_resource,
  .bound = resource_bound,
  .stanza = show_stanza,
  .bad_stanza = show_bad_stanza,
  .early_request = take_early,
  .management = show_management,
  .ended = count_end,
};

static void
begin (Fixture *fixture, gboolean is_secure)
{
  g_clear_pointer (&fixture->stream, stream_unref);
  fixture->n_ended = 0;
  fixture->stream = stream_new (&fixture->settings, "192.0.2.1", is_secure);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  guint8 salted[32];
  guint8 client_key[32];
  guint size = 32;

  fixture->pool = xml_pool_new ();
  fixture->buffers = buffers_new ();
  fixture->domain = jid_new ("d", 1);
  fixture->salt_key = secret_new ("k", 1);
  fixture->settings = (StreamSettings){
    .pool = fixture->pool,
    .buffers = fixture->buffers,
    .domain = fixture->domain,
    .offers_tls = TRUE,
    .requires_tls = TRUE,
    .before_login = { 2000, 8, 10 },
    .after_login = { 4000, 8, 10 },
    .login_attempts = 3,
    .salt_key = fixture->salt_key,
    .iterations = 4096,
    .handler = &handler,
    .handler_data = fixture,
  };
  fixture->verifier.iterations = 4096;
  PKCS5_PBKDF2_HMAC ("secret", 6, fixture->verifier.salt, 16, 4096, EVP_sha256 (), 32, salted);
  HMAC (EVP_sha256 (), salted, 32, (const guint8 *)"Client Key", 10, client_key, &size);
  EVP_Digest (client_key, 32, fixture->verifier.stored_key, NULL, EVP_sha256 (), NULL);
  HMAC (EVP_sha256 (), salted, 32, (const guint8 *)"Server Key", 10, fixture->verifier.server_key, &size);
  begin (fixture, TRUE);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  stream_unref (fixture->stream);
  xml_pool_free (fixture->pool);
  buffers_free (fixture->buffers);
  jid_unref (fixture->domain);
  secret_free (fixture->salt_key);
}

/* Takes what the stream has said, without what is random in it. */
static char *
take_output (Fixture *fixture)
{
  GString *output = stream_peek_output (fixture->stream);
  if (output == NULL)
    return g_strdup ("");
  g_autoptr (GRegex) id = g_regex_new ("(streams' id=')[a-z2-7]+'", 0, 0, NULL);
  g_autofree char *text = g_strdup (output->str);
  stream_output_written (fixture->stream, output->len);
  return g_regex_replace (id, text, -1, 0, "\\1'", 0, NULL);
}

static char *
say (Fixture *fixture, const char *text)
{
  stream_receive (fixture->stream, text, strlen (text));
  return take_output (fixture);
}

/* Secure streams: bytes, and the bytes they are answered with. */
static const struct
{
  const char *name;
  const char *in;
  const char *out;
} talks[] = {
  { "login", LOGIN, LOGGED_IN },
  { "closed at once", OPEN "</stream:stream>", HEADER SECURE_FEATURES "</stream:stream>" },
  { "closed after login", LOGIN "</stream:stream>", LOGGED_IN "</stream:stream>" },
  { "header with from",
    "<stream:stream to='d' from='Alice@d' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' "
    "version='1.0'>",
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' "
    "id='' from='d' to='alice@d' version='1.0' xml:lang='en'>" SECURE_FEATURES },
  { "version 1.1",
    "<stream:stream to='d' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "version='1.1'>",
    HEADER SECURE_FEATURES },

  /* RFC 6120 §4.9.3, in its order. */
  { "bad-format: another root", "<a xmlns='jabber:client'>", HEADER ERROR ("bad-format") },
  { "bad-format: text", OPEN "text", HEADER SECURE_FEATURES ERROR ("bad-format") },
  { "bad-namespace-prefix",
    "<s:stream to='d' xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' version='1.0'>",
    HEADER ERROR ("bad-namespace-prefix") },
  { "host-unknown",
    "<stream:stream to='e' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    HEADER ERROR ("host-unknown") },
  { "host-unknown: no address",
    "<stream:stream to='@' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    HEADER ERROR ("host-unknown") },
  { "improper-addressing",
    "<stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    HEADER TEXT_ERROR ("improper-addressing", "the stream&apos;s header needs a &apos;to&apos;") },
  { "invalid-from", LOGIN "<message from='bob@d' to='alice@d'/>", LOGGED_IN ERROR ("invalid-from") },
  { "invalid-from: another resource", LOGIN "<message from='alice@d/s'/>", LOGGED_IN ERROR ("invalid-from") },
  { "invalid-from: no address", LOGIN "<message from='@'/>", LOGGED_IN ERROR ("invalid-from") },
  { "invalid-from: header",
    OPEN PLAIN "<stream:stream to='d' from='bob@d' xmlns='jabber:client' "
               "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    HEADER SECURE_FEATURES SUCCESS
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' "
    "id='' from='d' to='bob@d' version='1.0' xml:lang='en'>" ERROR ("invalid-from") },
  { "invalid-namespace: stream",
    "<stream:stream to='d' xmlns='jabber:client' xmlns:stream='other' version='1.0'>",
    HEADER ERROR ("invalid-namespace") },
  { "invalid-namespace: content",
    "<stream:stream to='d' xmlns='jabber:server' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    HEADER ERROR ("invalid-namespace") },
  { "invalid-namespace: prefixed content",
    "<stream:stream to='d' xmlns:c='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "version='1.0'>",
    HEADER ERROR ("invalid-namespace") },
  { "invalid-namespace: stanza", LOGIN "<message xmlns='jabber:server'/>",
    LOGGED_IN ERROR ("invalid-namespace") },
  { "invalid-namespace: default of a prefixed stanza",
    LOGIN "<c:message xmlns:c='jabber:client' xmlns='other'><body/></c:message>",
    LOGGED_IN ERROR ("invalid-namespace") },
  { "not-authorized: message", OPEN "<message to='alice@d'/>",
    HEADER SECURE_FEATURES ERROR ("not-authorized") },
  { "not-authorized: iq", OPEN "<iq type='get' id='1'/>", HEADER SECURE_FEATURES ERROR ("not-authorized") },
  { "not-authorized: bad iq", OPEN "<iq type='no' id='1'/>",
    HEADER SECURE_FEATURES ERROR ("not-authorized") },
  { "not-authorized: bind", OPEN DO_BIND, HEADER SECURE_FEATURES ERROR ("not-authorized") },
  { "not-authorized: other", OPEN "<x xmlns='y'/>", HEADER SECURE_FEATURES ERROR ("not-authorized") },
  { "not-authorized: before binding", OPEN PLAIN OPEN "<presence/>",
    HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES ERROR ("not-authorized") },
  { "not-well-formed", OPEN "<a></b>", HEADER SECURE_FEATURES ERROR ("not-well-formed") },
  { "not-well-formed: first bytes", "GET / HTTP/1.1\r\n\r\n", HEADER ERROR ("not-well-formed") },
  { "not-well-formed: prefix", LOGIN "<p:x/>", LOGGED_IN ERROR ("not-well-formed") },
  { "policy-violation: depth",
    LOGIN "<message><a><b><c><d><e><f><g><h/></g></f></e></d></c></b></a></message>",
    LOGGED_IN TEXT_ERROR ("policy-violation", "over a limit of size, depth or number") },
  { "policy-violation: second login", LOGIN PLAIN, LOGGED_IN ERROR ("policy-violation") },
  { "policy-violation: acknowledgement before binding", OPEN "<r " SM "/>",
    HEADER SECURE_FEATURES ERROR ("policy-violation") },
  { "restricted-xml: comment", LOGIN "<!-- -->", LOGGED_IN ERROR ("restricted-xml") },
  { "restricted-xml: instruction", LOGIN "<?a b?>", LOGGED_IN ERROR ("restricted-xml") },
  { "restricted-xml: document type", "<!DOCTYPE a>" OPEN, HEADER ERROR ("restricted-xml") },
  { "restricted-xml: entity", LOGIN "<message>&a;</message>", LOGGED_IN ERROR ("restricted-xml") },
  { "unsupported-encoding", "<?xml version='1.0' encoding='UTF-16'?>" OPEN,
    HEADER ERROR ("unsupported-encoding") },
  { "unsupported-encoding: mark", "\xff\xfe", HEADER ERROR ("unsupported-encoding") },
  { "unsupported-encoding: second stream", OPEN PLAIN "\xfe\xff",
    HEADER SECURE_FEATURES SUCCESS HEADER ERROR ("unsupported-encoding") },
  { "unsupported-stanza-type", LOGIN "<x/>", LOGGED_IN ERROR ("unsupported-stanza-type") },
  { "unsupported-stanza-type: a second header", LOGIN "<stream:x/>",
    LOGGED_IN ERROR ("unsupported-stanza-type") },
  { "unsupported-version",
    "<stream:stream to='d' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>",
    HEADER ERROR ("unsupported-version") },
  { "unsupported-version: 0.9",
    "<stream:stream to='d' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='0.9'>",
    HEADER ERROR ("unsupported-version") },
  { "starttls inside tls", OPEN "<starttls " TLS "/>",
    HEADER SECURE_FEATURES "<failure " TLS "/></stream:stream>" },

  /* SASL. */
  { "wrong password", OPEN "<auth " SASL " mechanism='PLAIN'>AGFsaWNlAHdyb25n</auth>" PLAIN,
    HEADER SECURE_FEATURES FAILURE ("not-authorized") SUCCESS },
  { "unknown user", OPEN "<auth " SASL " mechanism='PLAIN'>AGJvYgBzZWNyZXQ=</auth>",
    HEADER SECURE_FEATURES FAILURE ("not-authorized") },
  { "too many attempts", OPEN "<auth " SASL " mechanism='X'/><auth " SASL " mechanism='X'/><auth " SASL "/>",
    HEADER SECURE_FEATURES FAILURE ("invalid-mechanism") FAILURE ("invalid-mechanism")
        FAILURE ("invalid-mechanism") TEXT_ERROR ("policy-violation", "too many attempts to log in") },
  { "not base64", OPEN "<auth " SASL " mechanism='PLAIN'>AGF*</auth>",
    HEADER SECURE_FEATURES FAILURE ("incorrect-encoding") },
  { "not plain", OPEN "<auth " SASL " mechanism='PLAIN'>YWxpY2U=</auth>",
    HEADER SECURE_FEATURES FAILURE ("malformed-request") },
  { "empty plain", OPEN "<auth " SASL " mechanism='PLAIN'>=</auth>",
    HEADER SECURE_FEATURES FAILURE ("malformed-request") },
  { "acting as somebody else", OPEN "<auth " SASL " mechanism='PLAIN'>Ym9iQGQAYWxpY2UAc2VjcmV0</auth>",
    HEADER SECURE_FEATURES FAILURE ("invalid-authzid") },
  { "acting as oneself", OPEN "<auth " SASL " mechanism='PLAIN'>YWxpY2VAZABhbGljZQBzZWNyZXQ=</auth>",
    HEADER SECURE_FEATURES SUCCESS },
  { "plain in two steps",
    OPEN "<auth " SASL " mechanism='PLAIN'/><response " SASL ">AGFsaWNlAHNlY3JldA==</response>",
    HEADER SECURE_FEATURES "<challenge " SASL "/>" SUCCESS },
  { "aborted", OPEN "<auth " SASL " mechanism='PLAIN'/><abort " SASL "/>" PLAIN,
    HEADER SECURE_FEATURES "<challenge " SASL "/>" FAILURE ("aborted") SUCCESS },
  { "response to nothing", OPEN "<response " SASL ">AA==</response>",
    HEADER SECURE_FEATURES FAILURE ("malformed-request") },
  { "scram with a binding we do not offer",
    OPEN "<auth " SASL " mechanism='SCRAM-SHA-256'>cD10bHMtZXhwb3J0ZXIsLG49YWxpY2Uscj1hYmM=</auth>",
    HEADER SECURE_FEATURES FAILURE ("malformed-request") },
  { "a -PLUS nobody offered", OPEN "<auth " SASL " mechanism='SCRAM-SHA-256-PLUS'>biws</auth>",
    HEADER SECURE_FEATURES FAILURE ("invalid-mechanism") },

  /* Stanzas. */
  { "a message", LOGIN "<message to='Bob@D' type='chat'><body>x</body></message>",
    LOGGED_IN "{<message from='alice@d/r' to='bob@d' type='chat'><body>x</body></message>}" },
  { "own addresses", LOGIN "<message from='alice@d'/><message from='alice@d/r'/><message from='ALICE@D/r'/>",
    LOGGED_IN "{<message from='alice@d/r'/>}{<message from='alice@d/r'/>}{<message from='alice@d/r'/>}" },
  { "a bad address", LOGIN "<message to='@' id='1'/>",
    LOGGED_IN "<message to='alice@d/r' type='error' id='1'><error type='modify'><jid-malformed " STANZAS
              "/></error></message>" },
  { "a bad iq", LOGIN "<iq type='chat' id='1'/>",
    LOGGED_IN "<iq to='alice@d/r' type='error' id='1'><error type='modify'><bad-request " STANZAS
              "/></error></iq>" },
  { "blanks between", LOGIN " \n\t<presence/> \r\n", LOGGED_IN "{<presence from='alice@d/r'/>}" },
  { "a resource of our choice", OPEN PLAIN OPEN "<iq type='set' id='b'><bind " BIND "/></iq>",
    HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES "<iq type='result' id='b'><bind " BIND
                                                        "><jid>alice@d/own</jid></bind></iq>" },
  { "a resource that is none",
    OPEN PLAIN OPEN "<iq type='set' id='b'><bind " BIND "><resource>&#9;</resource></bind></iq>",
    HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES
    "<iq to='alice@d' type='error' id='b'><error type='modify'><bad-request " STANZAS "/></error></iq>" },
  { "stream language",
    "<stream:stream to='d' xml:lang='de' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" PLAIN
    "<stream:stream to='d' xml:lang='fr' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" DO_BIND
    "<message/><message xml:lang='en'/>",
    LOGGED_IN "{<message from='alice@d/r' xml:lang='fr'/>}{<message from='alice@d/r' xml:lang='en'/>}" },
  { "prefix of the stream",
    OPEN PLAIN "<stream:stream to='d' xmlns='jabber:client' xmlns:p='urn:p' "
               "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" DO_BIND
               "<message><p:x/></message><message><x/></message>",
    LOGGED_IN "{<message from='alice@d/r' xmlns:p='urn:p'><p:x/></message>}"
              "{<message from='alice@d/r'><x/></message>}" },
  { "stream management",
    LOGIN "<enable " SM " resume='true' max='60'/><enable " SM "/><r " SM "/><a " SM " h='7'/>",
    LOGGED_IN "{0 1 60 - 0}{0 0 0 - 0}{2 0 0 - 0}{3 0 0 - 7}" },
  { "resumption instead of binding", OPEN PLAIN OPEN "<resume " SM " previd='x' h='3'/>",
    HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES "{1 0 0 x 3}" },
  { "enabled before binding", OPEN PLAIN OPEN "<enable " SM "/>",
    HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES "<failed " SM "><unexpected-request " STANZAS
                                                        "/></failed>" },
  { "resumed after binding", LOGIN "<resume " SM " previd='x' h='3'/>",
    LOGGED_IN "<failed " SM "><unexpected-request " STANZAS "/></failed>" },
  { "an acknowledgement of nothing", LOGIN "<a " SM "/>", LOGGED_IN ERROR ("bad-format") },
  { "an acknowledgement past 2^32", LOGIN "<a " SM " h='4294967296'/>", LOGGED_IN ERROR ("bad-format") },
};

static void
test_stream_talks_byte_for_byte (Fixture *fixture, gconstpointer data)
{
  for (gsize i = 0; i < G_N_ELEMENTS (talks); i++)
    {
      g_test_message ("%s", talks[i].name);
      begin (fixture, TRUE);
      g_autofree char *out = say (fixture, talks[i].in);
      g_assert_cmpstr (out, ==, talks[i].out);
      gboolean has_end = g_str_has_suffix (talks[i].out, "</stream:stream>");
      g_assert_cmpint (stream_is_ended (fixture->stream), ==, has_end);
      g_assert_cmpint (fixture->n_ended, ==, has_end);
    }
}

static void
test_stream_talks_the_same_at_every_cut (Fixture *fixture, gconstpointer data)
{
  for (gsize i = 0; i < G_N_ELEMENTS (talks); i++)
    for (gsize cut = 1; cut < strlen (talks[i].in); cut++)
      {
        begin (fixture, TRUE);
        stream_receive (fixture->stream, talks[i].in, cut);
        g_autofree char *out = say (fixture, talks[i].in + cut);
        if (strcmp (out, talks[i].out) != 0)
          g_test_message ("%s, cut at %zu", talks[i].name, cut);
        g_assert_cmpstr (out, ==, talks[i].out);
      }
}

static void
test_stream_tells_the_size_limits_apart (Fixture *fixture, gconstpointer data)
{
  g_autofree char *blanks = g_strnfill (3000, 'x');
  g_autofree char *message = g_strdup_printf ("<message><body>%s</body></message>", blanks);
  g_autofree char *auth = g_strdup_printf ("<auth " SASL " mechanism='PLAIN'>%s</auth>", blanks);
  g_free (say (fixture, LOGIN));
  g_autofree char *passed = say (fixture, message);
  g_assert_true (g_str_has_prefix (passed, "{<message"));
  g_free (say (fixture, "<message a='"));
  g_autofree char *filler = say (fixture, blanks);
  g_assert_cmpstr (filler, ==, "");
  g_autofree char *over = say (fixture, blanks);
  g_assert_cmpstr (over, ==, TEXT_ERROR ("policy-violation", "over a limit of size, depth or number"));

  begin (fixture, TRUE);
  g_free (say (fixture, OPEN));
  g_autofree char *early = say (fixture, auth);
  g_assert_cmpstr (early, ==, TEXT_ERROR ("policy-violation", "over a limit of size, depth or number"));
}

static void
test_stream_begins_tls_between_two_streams (Fixture *fixture, gconstpointer data)
{
  begin (fixture, FALSE);
  g_autofree char *features = say (fixture, OPEN);
  g_assert_cmpstr (features, ==, HEADER STARTTLS_FEATURES);
  g_autofree char *early = say (fixture, PLAIN);
  g_assert_cmpstr (early, ==, FAILURE ("encryption-required"));
  g_autofree char *proceed = say (fixture, "<starttls " TLS "/>");
  g_assert_cmpstr (proceed, ==, "<proceed " TLS "/>");
  g_assert_true (stream_wants_tls (fixture->stream));
  stream_secured (fixture->stream);
  g_assert_false (stream_wants_tls (fixture->stream));
  g_autofree char *login = say (fixture, LOGIN);
  g_assert_cmpstr (login, ==, LOGGED_IN);
}

static void
test_stream_bytes_behind_starttls_close_it (Fixture *fixture, gconstpointer data)
{
  begin (fixture, FALSE);
  g_autofree char *out = say (fixture, OPEN "<starttls " TLS "/>" OPEN PLAIN);
  g_assert_cmpstr (
      out, ==, HEADER STARTTLS_FEATURES TEXT_ERROR ("policy-violation", "bytes behind &lt;starttls/&gt;"));
  g_assert_false (stream_wants_tls (fixture->stream));
}

static void
test_stream_without_tls_offers_no_plain (Fixture *fixture, gconstpointer data)
{
  fixture->settings.requires_tls = FALSE;
  fixture->settings.offers_tls = FALSE;
  begin (fixture, FALSE);
  g_autofree char *out = say (fixture, OPEN PLAIN);
  g_assert_cmpstr (out, ==,
                   HEADER "<stream:features><mechanisms " SASL "><mechanism>SCRAM-SHA-256</mechanism>"
                          "<mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>" FAILURE (
                              "invalid-mechanism"));
}

static void
test_stream_waits_for_a_password_check (Fixture *fixture, gconstpointer data)
{
  fixture->holds_passwords = TRUE;
  g_autofree char *out = say (fixture, OPEN PLAIN OPEN "<iq type='set' id='b'><bi");
  g_assert_cmpstr (out, ==, HEADER SECURE_FEATURES);
  g_assert_false (stream_wants_bytes (fixture->stream));
  g_autofree char *none = say (fixture, "nd " BIND "><resource>r</resource></bind></iq>");
  g_assert_cmpstr (none, ==, "");
  stream_password_checked (fixture->stream, fixture->is_right);
  g_autofree char *rest = take_output (fixture);
  g_assert_cmpstr (rest, ==, SUCCESS HEADER BIND_FEATURES BOUND);
  g_assert_true (stream_wants_bytes (fixture->stream));

  /* Lost while it waits: the late answer is swallowed. */
  begin (fixture, TRUE);
  g_free (say (fixture, OPEN PLAIN));
  stream_lose (fixture->stream);
  stream_password_checked (fixture->stream, TRUE);
  g_assert_cmpint (fixture->end, ==, STREAM_LOST);
  g_assert_false (stream_is_authenticated (fixture->stream));
}

static void
test_stream_refuses_what_its_server_refuses (Fixture *fixture, gconstpointer data)
{
  fixture->refuses_login = TRUE;
  g_autofree char *login = say (fixture, OPEN PLAIN);
  g_assert_cmpstr (login, ==, HEADER SECURE_FEATURES FAILURE ("temporary-auth-failure"));
  fixture->refuses_login = FALSE;
  fixture->refuses_bind = TRUE;
  begin (fixture, TRUE);
  g_autofree char *bind = say (fixture, OPEN PLAIN OPEN DO_BIND);
  g_assert_cmpstr (bind, ==,
                   HEADER SECURE_FEATURES SUCCESS HEADER BIND_FEATURES
                   "<iq to='alice@d' type='error' id='b'><error type='wait'><resource-constraint " STANZAS
                   "/></error></iq>");
}

static void
test_stream_serves_requests_before_login_inside_tls (Fixture *fixture, gconstpointer data)
{
  fixture->serves_early = TRUE;
  fixture->settings.early_features = "<register/>";
  g_autofree char *out = say (fixture, OPEN "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>");
  g_assert_true (g_str_has_suffix (out, "</mechanisms><register/></stream:features>{early}"));
  begin (fixture, FALSE);
  g_autofree char *clear
      = say (fixture, OPEN "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>");
  g_assert_cmpstr (clear, ==, HEADER STARTTLS_FEATURES ERROR ("not-authorized"));
}

static void
test_stream_scram_logs_in_and_hides_who_exists (Fixture *fixture, gconstpointer data)
{
  static const char *const users[] = { "alice", "nobody" };
  for (gsize i = 0; i < G_N_ELEMENTS (users); i++)
    {
      begin (fixture, TRUE);
      g_autofree char *first = g_strdup_printf ("n=%s,r=abc", users[i]);
      g_autofree char *gs2_first = g_strconcat ("n,,", first, NULL);
      g_autofree char *encoded = g_base64_encode ((const guint8 *)gs2_first, strlen (gs2_first));
      g_autofree char *auth
          = g_strdup_printf (OPEN "<auth " SASL " mechanism='SCRAM-SHA-256'>%s</auth>", encoded);
      g_autofree char *answer = say (fixture, auth);
      const char *at = strstr (answer, "<challenge " SASL ">");
      g_assert_nonnull (at);
      g_auto (GStrv) parts = g_strsplit_set (at, "<>", 4);
      gsize length;
      g_autofree guint8 *challenge = g_base64_decode (parts[2], &length);
      g_autofree char *server_first = g_strndup ((const char *)challenge, length);
      g_assert_true (g_str_has_prefix (server_first, "r=abc"));
      g_assert_true (g_str_has_suffix (server_first, ",i=4096"));

      guint8 salted[32], client_key[32], signature[32];
      guint size = 32;
      PKCS5_PBKDF2_HMAC ("secret", 6, fixture->verifier.salt, 16, 4096, EVP_sha256 (), 32, salted);
      HMAC (EVP_sha256 (), salted, 32, (const guint8 *)"Client Key", 10, client_key, &size);
      g_auto (GStrv) fields = g_strsplit (server_first, ",", -1);
      g_autofree char *without = g_strconcat ("c=biws,", fields[0], NULL);
      g_autofree char *message = g_strjoin (",", first, server_first, without, NULL);
      HMAC (EVP_sha256 (), fixture->verifier.stored_key, 32, (const guint8 *)message, strlen (message),
            signature, &size);
      for (int k = 0; k < 32; k++)
        signature[k] ^= client_key[k];
      g_autofree char *proof = g_base64_encode (signature, 32);
      g_autofree char *final = g_strconcat (without, ",p=", proof, NULL);
      g_autofree char *final_encoded = g_base64_encode ((const guint8 *) final, strlen (final));
      g_autofree char *response = g_strdup_printf ("<response " SASL ">%s</response>", final_encoded);
      g_autofree char *end = say (fixture, response);
      if (i == 0)
        g_assert_true (g_str_has_prefix (end, "<success " SASL ">dj"));
      else
        g_assert_cmpstr (end, ==, FAILURE ("not-authorized"));
    }
}

static void
test_stream_ended_by_the_server_says_why_once (Fixture *fixture, gconstpointer data)
{
  stream_end (fixture->stream, "system-shutdown", NULL, NULL);
  stream_end (fixture->stream, "conflict", NULL, NULL);
  g_autofree char *out = say (fixture, OPEN);
  g_assert_cmpstr (out, ==, HEADER ERROR ("system-shutdown"));
  g_assert_null (stream_write (fixture->stream));
  g_assert_cmpint (fixture->n_ended, ==, 1);
  g_assert_cmpint (fixture->end, ==, STREAM_FAILED);
  stream_lose (fixture->stream);
  g_assert_cmpint (fixture->n_ended, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/stream/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("talks", test_stream_talks_byte_for_byte);
  ADD ("cuts", test_stream_talks_the_same_at_every_cut);
  ADD ("sizes", test_stream_tells_the_size_limits_apart);
  ADD ("tls", test_stream_begins_tls_between_two_streams);
  ADD ("behind-starttls", test_stream_bytes_behind_starttls_close_it);
  ADD ("no-tls", test_stream_without_tls_offers_no_plain);
  ADD ("password", test_stream_waits_for_a_password_check);
  ADD ("refused", test_stream_refuses_what_its_server_refuses);
  ADD ("early", test_stream_serves_requests_before_login_inside_tls);
  ADD ("scram", test_stream_scram_logs_in_and_hides_who_exists);
  ADD ("ended", test_stream_ended_by_the_server_says_why_once);
  return g_test_run ();
}
