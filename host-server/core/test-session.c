#include "host-server/core/router.h"
#include "host-server/core/session-book.h"

#include <string.h>

#define SM      "xmlns='urn:xmpp:sm:3'"
#define STANZAS "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
#define STREAMS "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"
#define OPEN                                                                                                 \
  "<stream:stream to='d' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "             \
  "version='1.0'>"
#define AUTH(base64) "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" base64 "</auth>"
#define ALICE        AUTH ("AGFsaWNlAHg=")
#define BOB          AUTH ("AGJvYgB4")
#define BIND(resource)                                                                                       \
  "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" resource                 \
  "</resource></bind></iq>"

/* A server without sockets and store: everybody's password is right. */
typedef struct
{
  Clock *clock;
  Timers *timers;
  XmlPool *pool;
  Buffers *buffers;
  Jid *domain;
  Jid *market;
  Secret *salt_key;
  StreamSettings settings;
  SessionLimits limits;
  Hooks *hooks;
  SessionBook *book;
  Services *services;
  Router *router;
  GString *seen; /* what hooks and deliveries said */
} Fixture;

static void
check_password (Stream *stream, const char *local, Secret *take_password, gpointer data)
{
  secret_free (take_password);
  stream_password_checked (stream, TRUE);
}

static gboolean
may_login (Stream *stream, gpointer data)
{
  return TRUE;
}

static Jid *
bind_resource (Stream *stream, const Jid *bare, const char *resource, StanzaError *error, gpointer data)
{
  Fixture *fixture = data;
  Session *session = session_begin (fixture->book, stream, bare, resource, "uuid", error);
  return session != NULL ? jid_ref (session_get_jid (session)) : NULL;
}

static void
resource_bound (Stream *stream, gpointer data)
{
}

static void
take_stanza (Stream *stream, const Stanza *stanza, gpointer data)
{
  Fixture *fixture = data;
  session_count_received (stream_get_owner (stream));
  router_route (fixture->router, stream_get_owner (stream), stanza);
}

static void
refuse_stanza (Stream *stream, const Stanza *stanza, StanzaError error, gpointer data)
{
  Fixture *fixture = data;
  session_count_received (stream_get_owner (stream));
  router_refuse (fixture->router, stream_get_owner (stream), stanza, error, NULL);
}

static void
take_management (Stream *stream, const StreamManagementElement *element, gpointer data)
{
  Fixture *fixture = data;
  if (stream_get_owner (stream) != NULL)
    session_manage (stream_get_owner (stream), element);
  else
    session_book_resume (fixture->book, stream, element);
}

static void
was_drained (Stream *stream, gpointer data)
{
  if (stream_get_owner (stream) != NULL)
    session_drained (stream_get_owner (stream));
}

static void
has_ended (Stream *stream, StreamEnd end, gpointer data)
{
  if (stream_get_owner (stream) != NULL)
    session_stream_ended (stream_get_owner (stream), end);
}

static const StreamHandler handler = {
  .check_password = check_password,
  .may_login = may_login,
  .bind = bind_resource,
  .bound = resource_bound,
  .stanza = take_stanza,
  .bad_stanza = refuse_stanza,
  .management = take_management,
  .drained = was_drained,
  .ended = has_ended,
};

static void
on_resumed (Session *session, gpointer data)
{
  g_string_append_printf (((Fixture *)data)->seen, "(resumed %s)", jid_get_full (session_get_jid (session)));
}

static void
on_ended (Session *session, gpointer data)
{
  g_assert_false (session_is_alive (session));
  g_string_append_printf (((Fixture *)data)->seen, "(ended %s)", jid_get_full (session_get_jid (session)));
}

static void
on_undelivered (Session *session, const Stanza *stanza, gpointer data)
{
  g_string_append_printf (((Fixture *)data)->seen, "(undelivered %s)", stanza->id);
}

static void
on_delivered (Session *session, gboolean was_delivered, gpointer data)
{
  g_string_append (((Fixture *)data)->seen, was_delivered ? "(delivered)" : "(kept)");
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = clock_new_fake (0);
  fixture->timers = timers_new (fixture->clock);
  fixture->pool = xml_pool_new ();
  fixture->buffers = buffers_new ();
  fixture->domain = jid_new ("d", 1);
  fixture->market = jid_new ("market.d", 8);
  fixture->salt_key = secret_new ("k", 1);
  fixture->settings = (StreamSettings){
    .pool = fixture->pool,
    .buffers = fixture->buffers,
    .domain = fixture->domain,
    .before_login = { 0, 8, 10 },
    .after_login = { 0, 8, 10 },
    .salt_key = fixture->salt_key,
    .handler = &handler,
    .handler_data = fixture,
  };
  fixture->limits = (SessionLimits){ 100000, 50, 3, 300 * G_USEC_PER_SEC };
  fixture->hooks = hooks_new ();
  fixture->seen = g_string_new (NULL);
  hooks_add_session (fixture->hooks, HOOK_SESSION_RESUMED, on_resumed, fixture);
  hooks_add_session (fixture->hooks, HOOK_SESSION_ENDED, on_ended, fixture);
  hooks_add_undelivered (fixture->hooks, on_undelivered, fixture);
  fixture->book = session_book_new (fixture->timers, fixture->hooks, &fixture->limits);
  fixture->services
      = services_new (fixture->book, fixture->hooks, fixture->domain, fixture->market, fixture->clock);
  session_book_set_services (fixture->book, fixture->services);
  fixture->router = router_new (fixture->book, fixture->services, fixture->domain, fixture->market);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  session_book_end_all (fixture->book, "system-shutdown");
  router_free (fixture->router);
  services_free (fixture->services);
  session_book_free (fixture->book);
  hooks_free (fixture->hooks);
  timers_free (fixture->timers);
  clock_free (fixture->clock);
  xml_pool_free (fixture->pool);
  buffers_free (fixture->buffers);
  jid_unref (fixture->domain);
  jid_unref (fixture->market);
  secret_free (fixture->salt_key);
  g_string_free (fixture->seen, TRUE);
}

static char *
take_output (Stream *stream)
{
  GString *output = stream_peek_output (stream);
  char *text = g_strdup (output != NULL ? output->str : "");
  if (output != NULL)
    stream_output_written (stream, output->len);
  return text;
}

static void
assert_says (Stream *stream, const char *input, const char *expected)
{
  stream_receive (stream, input, strlen (input));
  g_autofree char *output = take_output (stream);
  g_assert_cmpstr (output, ==, expected);
}

static void
assert_seen (Fixture *fixture, const char *expected)
{
  g_assert_cmpstr (fixture->seen->str, ==, expected);
  g_string_truncate (fixture->seen, 0);
}

/* A stream that is logged in, and bound if the input says so. */
static Stream *
connect_client (Fixture *fixture, const char *input)
{
  Stream *stream = stream_new (&fixture->settings, "192.0.2.1", TRUE);
  stream_receive (stream, input, strlen (input));
  g_free (take_output (stream));
  return stream;
}

/* Enables resumption; returns the id. */
static char *
enable (Stream *stream)
{
  static const char command[] = "<enable " SM " resume='true'/>";
  stream_receive (stream, command, strlen (command));
  g_autofree char *output = take_output (stream);
  g_assert_true (g_str_has_prefix (output, "<enabled " SM " id='"));
  g_assert_true (g_str_has_suffix (output, "' resume='true' max='300'/>"));
  const char *id = output + strlen ("<enabled " SM " id='");
  return g_strndup (id, (gsize)(strchr (id, '\'') - id));
}

static void
send_message (Session *session, const char *id)
{
  g_autofree char *xml = g_strdup_printf ("<message id='%s'/>", id);
  session_send_xml (session, xml, strlen (xml));
}

static void
resume (Stream *stream, const char *id, guint32 h)
{
  g_autofree char *command = g_strdup_printf ("<resume " SM " previd='%s' h='%u'/>", id, h);
  stream_receive (stream, command, strlen (command));
}

static void
test_session_counts_from_enable_on (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r") "<presence/>");
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  assert_says (stream, "<r " SM "/>", "<a " SM " h='0'/>");
  assert_says (stream, "<presence/><presence/><r " SM "/>", "<a " SM " h='2'/>");
  assert_says (stream, "<enable " SM "/>", "<failed " SM "><unexpected-request " STANZAS "/></failed>");
  /* Its own elements do not count, what is refused does. */
  assert_says (stream, "<message to='@' id='1'/><r " SM "/>",
               "<message to='alice@d/r' type='error' id='1'><error type='modify'><jid-malformed " STANZAS
               "/></error></message><r " SM "/><a " SM " h='3'/>");
}

static void
test_session_asks_once_and_again_for_the_rest (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  Session *session = session_book_find (fixture->book, "alice@d/r");
  send_message (session, "1");
  send_message (session, "2");
  assert_says (stream, " ", "<message id='1'/><r " SM "/><message id='2'/>");
  assert_says (stream, "<a " SM " h='1'/>", "<r " SM "/>");
  assert_says (stream, "<a " SM " h='2'/>", "");
}

static void
test_session_resumes_with_what_was_not_acknowledged (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  g_autoptr (Session) session = session_ref (session_book_find (fixture->book, "alice@d/r"));
  stream_receive (stream, "<presence/>", 11);
  send_message (session, "1");
  send_message (session, "2");
  stream_lose (stream);
  assert_seen (fixture, "");
  g_assert_true (session_is_alive (session));
  send_message (session, "3");
  clock_advance_us (fixture->clock, 299 * G_USEC_PER_SEC);
  timers_run (fixture->timers);

  g_autoptr (Stream) again = connect_client (fixture, OPEN ALICE OPEN);
  resume (again, id, 1);
  g_autofree char *expected = g_strdup_printf (
      "<resumed " SM " previd='%s' h='1'/><message id='2'/><message id='3'/><r " SM "/>", id);
  assert_says (again, " ", expected);
  assert_seen (fixture, "(resumed alice@d/r)");
  g_assert_true (session_book_find (fixture->book, "alice@d/r") == session);
  assert_says (again, "<presence/><r " SM "/>", "<a " SM " h='2'/>");
  assert_says (again, "<a " SM " h='3'/>", "");
  clock_advance_us (fixture->clock, 1000 * G_USEC_PER_SEC);
  timers_run (fixture->timers);
  g_assert_true (session_is_alive (session));
}

static void
test_session_not_resumed_in_time_hands_over_what_it_owes (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  Session *session = session_book_find (fixture->book, "alice@d/r");
  send_message (session, "1");
  send_message (session, "2");
  stream_receive (stream, "<a " SM " h='1'/>", strlen ("<a " SM " h='1'/>"));
  stream_lose (stream);
  send_message (session, "3");
  clock_advance_us (fixture->clock, 301 * G_USEC_PER_SEC);
  timers_run (fixture->timers);
  assert_seen (fixture, "(ended alice@d/r)(undelivered 2)(undelivered 3)");
  g_assert_null (session_book_find (fixture->book, "alice@d/r"));
  g_autoptr (Stream) again = connect_client (fixture, OPEN ALICE OPEN);
  resume (again, id, 1);
  assert_says (again, " ", "<failed " SM "><item-not-found " STANZAS "/></failed>");
  /* It may bind a resource then. */
  stream_receive (again, BIND ("r"), strlen (BIND ("r")));
  g_assert_nonnull (session_book_find (fixture->book, "alice@d/r"));
}

static void
test_session_is_resumed_by_its_own_account_alone (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  stream_lose (stream);
  g_autoptr (Stream) thief = connect_client (fixture, OPEN BOB OPEN);
  resume (thief, id, 0);
  assert_says (thief, " ", "<failed " SM "><item-not-found " STANZAS "/></failed>");
  g_assert_true (session_is_alive (session_book_find (fixture->book, "alice@d/r")));
}

static void
test_session_resumed_elsewhere_leaves_its_old_stream (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  g_autoptr (Stream) again = connect_client (fixture, OPEN ALICE OPEN);
  resume (again, id, 0);
  assert_says (stream, " ",
               "<stream:error><conflict " STREAMS "/><text " STREAMS " xml:lang='en'>resumed on another "
               "stream</text></stream:error></stream:stream>");
  assert_seen (fixture, "(resumed alice@d/r)");
  send_message (session_book_find (fixture->book, "alice@d/r"), "1");
  stream_lose (stream);
  g_autofree char *output = take_output (again);
  g_assert_true (g_str_has_suffix (output, "h='0'/><message id='1'/><r " SM "/>"));
  assert_seen (fixture, "");
}

static void
test_session_count_too_high_ends_the_stream (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  send_message (session_book_find (fixture->book, "alice@d/r"), "1");
  g_free (take_output (stream));
  assert_says (stream, "<a " SM " h='2'/>",
               "<stream:error><undefined-condition " STREAMS "/><handled-count-too-high " SM " h='2' "
               "send-count='1'/></stream:error></stream:stream>");
  assert_seen (fixture, "(ended alice@d/r)(undelivered 1)");
}

static void
test_session_count_too_high_does_not_resume (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  stream_lose (stream);
  g_autoptr (Stream) again = connect_client (fixture, OPEN ALICE OPEN);
  resume (again, id, 1);
  g_assert_true (stream_is_ended (again));
  g_assert_true (session_is_alive (session_book_find (fixture->book, "alice@d/r")));
  assert_seen (fixture, "");
}

static void
test_session_closed_by_its_client_does_not_rest (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  send_message (session_book_find (fixture->book, "alice@d/r"), "1");
  stream_receive (stream, "</stream:stream>", 16);
  assert_seen (fixture, "(ended alice@d/r)(undelivered 1)");
}

static void
test_session_held_acknowledges_only_what_went_before (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  Session *session = session_book_find (fixture->book, "alice@d/r");
  stream_receive (stream, "<presence/><presence/>", 22);
  guint64 first = session_hold (session);
  stream_receive (stream, "<presence/>", 11);
  guint64 second = session_hold (session);
  assert_says (stream, "<r " SM "/>", "<a " SM " h='1'/>");
  session_release (session, second);
  assert_says (stream, " ", "<a " SM " h='1'/>");
  session_release (session, first);
  assert_says (stream, " ", "<a " SM " h='3'/>");
  g_assert_false (session_is_held (session));

  /* What was acknowledged stays so under a hold that comes later. */
  guint64 third = session_hold (session);
  assert_says (stream, "<r " SM "/>", "<a " SM " h='3'/>");
  stream_receive (stream, "<presence/>", 11);
  assert_says (stream, "<r " SM "/>", "<a " SM " h='3'/>");
  session_release (session, third);
  assert_says (stream, " ", "<a " SM " h='4'/>");

  guint64 holds[65];
  for (gsize i = 0; i < G_N_ELEMENTS (holds); i++)
    holds[i] = session_hold (session);
  g_assert_false (stream_wants_bytes (stream));
  for (gsize i = 0; i < G_N_ELEMENTS (holds); i++)
    session_release (session, holds[i]);
  g_assert_true (stream_wants_bytes (stream));

  /* Released after the end: swallowed. */
  G_GNUC_UNUSED g_autoptr (Session) guard = session_ref (session);
  guint64 late = session_hold (session);
  stream_receive (stream, "</stream:stream>", 16);
  session_release (session, late);
}

static void
test_session_tells_what_was_delivered (Fixture *fixture, gconstpointer data)
{
  G_GNUC_UNUSED g_autoptr (Stream) plain = connect_client (fixture, OPEN ALICE OPEN BIND ("plain"));
  Session *session = session_book_find (fixture->book, "alice@d/plain");
  send_message (session, "1");
  session_when_delivered (session, on_delivered, fixture);
  assert_seen (fixture, "");
  stream_drained (plain);
  assert_seen (fixture, "(delivered)");
  session_when_delivered (session, on_delivered, fixture);
  stream_lose (plain);
  assert_seen (fixture, "(ended alice@d/plain)(kept)");

  g_autoptr (Stream) managed = connect_client (fixture, OPEN ALICE OPEN BIND ("managed"));
  G_GNUC_UNUSED g_autofree char *id = enable (managed);
  session = session_book_find (fixture->book, "alice@d/managed");
  session_send_xml (session, "<message id='1'/>", 17);
  session_when_delivered (session, on_delivered, fixture);
  send_message (session, "2");
  stream_drained (managed);
  assert_seen (fixture, "");
  stream_receive (managed, "<a " SM " h='1'/>", strlen ("<a " SM " h='1'/>"));
  assert_seen (fixture, "(delivered)");
  session_when_delivered (session, on_delivered, fixture);
  session_end (session, "reset", NULL);
  assert_seen (fixture, "(ended alice@d/managed)(kept)(undelivered 2)");
}

static void
test_session_what_a_room_keeps_is_not_undelivered (Fixture *fixture, gconstpointer data)
{
  static const char text[] = "<message from='bob@d' id='kept'/>";
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  Session *session = session_book_find (fixture->book, "alice@d/r");
  g_autoptr (Stanza) stanza = stanza_new_from_bytes (text, strlen (text));
  session_send (session, stanza, &(StanzaRoot){ .is_kept = TRUE });
  send_message (session, "1");
  session_end (session, "reset", NULL);
  assert_seen (fixture, "(ended alice@d/r)(undelivered 1)");
}

static void
test_session_with_the_same_address_replaces_the_old (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) old = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autoptr (Stream) new = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  g_autofree char *output = take_output (old);
  g_assert_true (g_str_has_prefix (output, "<stream:error><conflict "));
  assert_seen (fixture, "(ended alice@d/r)");
  g_assert_nonnull (session_book_find (fixture->book, "alice@d/r"));
  g_assert_cmpuint (session_book_get_count (fixture->book), ==, 1);
}

static void
test_session_book_holds_so_many_for_an_account (Fixture *fixture, gconstpointer data)
{
  G_GNUC_UNUSED g_autoptr (Stream) one = connect_client (fixture, OPEN ALICE OPEN BIND ("1"));
  G_GNUC_UNUSED g_autoptr (Stream) two = connect_client (fixture, OPEN ALICE OPEN BIND ("2"));
  G_GNUC_UNUSED g_autoptr (Stream) three = connect_client (fixture, OPEN ALICE OPEN BIND ("3"));
  g_autoptr (Stream) four = connect_client (fixture, OPEN ALICE OPEN);
  assert_says (four, BIND ("4"),
               "<iq to='alice@d' type='error' id='b'><error type='wait'><resource-constraint " STANZAS
               "/></error></iq>");
  const GPtrArray *all = session_book_find_all (fixture->book, "alice@d");
  g_assert_cmpuint (all->len, ==, 3);
  g_assert_cmpstr (jid_get_resource (session_get_jid (all->pdata[0])), ==, "1");
  session_book_end_account (fixture->book, "alice@d", "not-authorized");
  g_assert_null (session_book_find_all (fixture->book, "alice@d"));
  assert_seen (fixture, "(ended alice@d/1)(ended alice@d/2)(ended alice@d/3)");
}

static void
test_session_over_its_limit_ends_with_the_next_turn (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  Session *session = session_book_find (fixture->book, "alice@d/r");
  for (int i = 0; i < 55; i++)
    {
      g_autofree char *number = g_strdup_printf ("%d", i);
      send_message (session, number);
    }
  g_assert_true (session_is_alive (session));
  timers_run (fixture->timers);
  g_autofree char *output = take_output (stream);
  g_assert_nonnull (strstr (output, "<resource-constraint "));
  g_assert_true (g_str_has_prefix (fixture->seen->str, "(ended alice@d/r)(undelivered 0)"));
  g_assert_true (g_str_has_suffix (fixture->seen->str, "(undelivered 54)"));
  g_string_truncate (fixture->seen, 0);

  /* Without acknowledgements bytes alone are counted. */
  G_GNUC_UNUSED g_autoptr (Stream) plain = connect_client (fixture, OPEN ALICE OPEN BIND ("p"));
  session = session_book_find (fixture->book, "alice@d/p");
  g_autofree char *filler = g_strnfill (60000, 'x');
  g_autofree char *large = g_strdup_printf ("<message id='l'>%s</message>", filler);
  session_send_xml (session, large, strlen (large));
  timers_run (fixture->timers);
  g_assert_true (session_is_alive (session));
  session_send_xml (session, large, strlen (large));
  send_message (session, "late");
  timers_run (fixture->timers);
  assert_seen (fixture, "(ended alice@d/p)(undelivered late)");
}

static void
test_session_resting_over_its_limit_ends_too (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) stream = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  G_GNUC_UNUSED g_autofree char *id = enable (stream);
  Session *session = session_book_find (fixture->book, "alice@d/r");
  stream_lose (stream);
  for (int i = 0; i < 51; i++)
    send_message (session, "m");
  timers_run (fixture->timers);
  g_assert_null (session_book_find (fixture->book, "alice@d/r"));
  g_assert_true (g_str_has_prefix (fixture->seen->str, "(ended alice@d/r)(undelivered m)"));
}

static void
test_session_messages_go_from_one_to_the_other (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Stream) alice = connect_client (fixture, OPEN ALICE OPEN BIND ("r"));
  g_autoptr (Stream) bob = connect_client (fixture, OPEN BOB OPEN BIND ("s"));
  assert_says (alice, "<message to='Bob@d/s' id='1'><body>&lt;hi&gt;</body></message>", "");
  assert_says (bob, " ", "<message from='alice@d/r' to='bob@d/s' id='1'><body>&lt;hi&gt;</body></message>");
  assert_says (alice, "<message to='carol@e' id='2'/>",
               "<message from='carol@e' to='alice@d/r' type='error' id='2'><error type='cancel'>"
               "<remote-server-not-found " STANZAS "/></error></message>");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK); /* a session over its limit is a warning in the record */
#define ADD(path, func) g_test_add ("/session/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("counts", test_session_counts_from_enable_on);
  ADD ("asks", test_session_asks_once_and_again_for_the_rest);
  ADD ("resumes", test_session_resumes_with_what_was_not_acknowledged);
  ADD ("too-late", test_session_not_resumed_in_time_hands_over_what_it_owes);
  ADD ("thief", test_session_is_resumed_by_its_own_account_alone);
  ADD ("elsewhere", test_session_resumed_elsewhere_leaves_its_old_stream);
  ADD ("too-high", test_session_count_too_high_ends_the_stream);
  ADD ("too-high-resume", test_session_count_too_high_does_not_resume);
  ADD ("closed", test_session_closed_by_its_client_does_not_rest);
  ADD ("held", test_session_held_acknowledges_only_what_went_before);
  ADD ("delivered", test_session_tells_what_was_delivered);
  ADD ("kept", test_session_what_a_room_keeps_is_not_undelivered);
  ADD ("replaced", test_session_with_the_same_address_replaces_the_old);
  ADD ("many", test_session_book_holds_so_many_for_an_account);
  ADD ("over-limit", test_session_over_its_limit_ends_with_the_next_turn);
  ADD ("resting-over-limit", test_session_resting_over_its_limit_ends_too);
  ADD ("messages", test_session_messages_go_from_one_to_the_other);
  return g_test_run ();
}
