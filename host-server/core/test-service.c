/* Router and services against sessions that only write down what they are sent. */
#include "host-server/core/router.h"
#include "host-server/core/test-sessions.h"

#include <string.h>

typedef struct
{
  Clock *clock;
  Jid *domain, *market;
  SessionBook book;
  Hooks *hooks;
  Services *services;
  Router *router;
  Session *alice, *bob;
  GPtrArray *kept;    /* requests that the "later" service holds */
  GString *delivered; /* what the delivery functions were given */
} Fixture;

static void
handle_now (ServiceRequest *request, gpointer data)
{
  service_request_reply (request, "<now xmlns='urn:test'/>");
}

static void
handle_later (ServiceRequest *request, gpointer data)
{
  Fixture *fixture = data;
  g_ptr_array_add (fixture->kept, service_request_ref (request));
}

static void
handle_tree (ServiceRequest *request, gpointer data)
{
  xmpp_stanza_t *tree = service_request_get_tree (request);
  g_autofree char *payload
      = g_strdup_printf ("<said xmlns='urn:test' name='%s' ns='%s' a='%s'/>", xmpp_stanza_get_name (tree),
                         xmpp_stanza_get_ns (tree), xmpp_stanza_get_attribute (tree, "a"));
  service_request_reply (request, payload);
}

static void
handle_nothing (ServiceRequest *request, gpointer data)
{
}

static void
deliver (Session *sender, const Stanza *stanza, gpointer data)
{
  Fixture *fixture = data;
  g_string_append_printf (fixture->delivered, "%d:%s ", stanza->kind,
                          stanza->to != NULL ? jid_get_full (stanza->to) : "-");
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->clock = clock_new_fake (0);
  fixture->domain = jid_new ("d.test", 6);
  fixture->market = jid_new ("market.d.test", 13);
  test_session_book_init (&fixture->book);
  fixture->hooks = hooks_new ();
  fixture->services
      = services_new (&fixture->book, fixture->hooks, fixture->domain, fixture->market, fixture->clock);
  fixture->router = router_new (&fixture->book, fixture->services, fixture->domain, fixture->market);
  fixture->alice = test_session_bind (&fixture->book, "alice@d.test/a", "uuid");
  fixture->bob = test_session_bind (&fixture->book, "bob@d.test/b", "uuid");
  fixture->kept = g_ptr_array_new ();
  fixture->delivered = g_string_new (NULL);
  for (StanzaKind kind = STANZA_MESSAGE; kind <= STANZA_IQ; kind++)
    router_set_delivery (fixture->router, kind, deliver, fixture);
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    {
      services_add (fixture->services, target, STANZA_TYPE_GET, "now", "urn:test", SERVICE_TREE_FREE,
                    handle_now, NULL);
      services_add (fixture->services, target, STANZA_TYPE_SET, "later", "urn:test", SERVICE_DEFAULT,
                    handle_later, fixture);
    }
  services_add (fixture->services, SERVICE_DOMAIN, STANZA_TYPE_GET, "tree", "urn:test", SERVICE_BEFORE_LOGIN,
                handle_tree, NULL);
  services_add (fixture->services, SERVICE_DOMAIN, STANZA_TYPE_GET, "nothing", "urn:test", SERVICE_DEFAULT,
                handle_nothing, NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  services_free (fixture->services);
  router_free (fixture->router);
  hooks_free (fixture->hooks);
  test_session_book_clear (&fixture->book);
  g_ptr_array_unref (fixture->kept);
  g_string_free (fixture->delivered, TRUE);
  jid_unref (fixture->domain);
  jid_unref (fixture->market);
  clock_free (fixture->clock);
}

/* @xml as @session sends it. */
static void
send (Fixture *fixture, Session *session, const char *xml)
{
  Stanza *stanza = stanza_new_from_bytes (xml, strlen (xml));
  g_assert_nonnull (stanza);
  Stanza seen = *stanza;
  seen.from = session->jid;
  router_route (fixture->router, session, &seen);
  stanza_free (stanza);
}

static void
expect_sent (Session *session, const char *const *parts)
{
  g_auto (GStrv) lines = g_strsplit (session->sent->str, "\n", -1);
  guint n_parts = g_strv_length ((char **)parts);
  g_assert_cmpuint (g_strv_length (lines), ==, n_parts > 0 ? n_parts + 1 : 0);
  for (guint i = 0; i < n_parts; i++)
    g_assert_nonnull (strstr (lines[i], parts[i]));
  g_string_truncate (session->sent, 0);
}

#define EXPECT(session, ...) expect_sent (session, (const char *const[]){ __VA_ARGS__ __VA_OPT__ (, ) NULL })
#define IQ(type, id, to, child)                                                                              \
  "<iq xmlns='jabber:client' type='" type "' id='" id "' to='" to "'>" child "</iq>"
#define LATER "<later xmlns='urn:test'/>"
#define NOW   "<now xmlns='urn:test'/>"

static void
answer_oldest (Fixture *fixture)
{
  ServiceRequest *request = g_ptr_array_steal_index (fixture->kept, 0);
  service_request_reply (request, "<done xmlns='urn:test'/>");
  service_request_unref (request);
}

static void
test_full_address_goes_straight_to_its_session (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice,
        "<message xmlns='jabber:client' to='bob@d.test/b' type='chat'><body>hi</body></message>");
  EXPECT (fixture->bob, "<body>hi</body>");
  g_assert_cmpstr (fixture->delivered->str, ==, "");
}

static void
test_what_is_left_for_accounts_is_delivered_by_kind (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice, "<message xmlns='jabber:client' to='bob@d.test'/>");
  send (fixture, fixture->alice, "<message xmlns='jabber:client'/>");
  send (fixture, fixture->alice, "<presence xmlns='jabber:client' to='bob@d.test/b'/>");
  send (fixture, fixture->alice, IQ ("get", "1", "bob@d.test", NOW));
  g_assert_cmpstr (fixture->delivered->str, ==, "0:bob@d.test 0:- 1:bob@d.test/b 2:bob@d.test ");
  EXPECT (fixture->bob);
}

static void
test_foreign_domains_are_refused (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice, "<message xmlns='jabber:client' to='x@other.test'/>");
  send (fixture, fixture->alice, "<presence xmlns='jabber:client' to='x@other.test'/>");
  send (fixture, fixture->alice, "<presence xmlns='jabber:client' type='subscribe' to='x@other.test'/>");
  send (fixture, fixture->alice, "<message xmlns='jabber:client' to='market.d.test'/>");
  EXPECT (fixture->alice, "remote-server-not-found", "remote-server-not-found", "service-unavailable");
}

static void
test_requests_find_their_target (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice, IQ ("get", "1", "d.test", NOW));
  send (fixture, fixture->alice, IQ ("get", "2", "market.d.test", NOW));
  send (fixture, fixture->alice, IQ ("get", "3", "alice@d.test", NOW));
  send (fixture, fixture->alice, "<iq xmlns='jabber:client' type='get' id='4'>" NOW "</iq>");
  send (fixture, fixture->alice, IQ ("set", "5", "d.test", NOW));
  send (fixture, fixture->alice, IQ ("get", "6", "d.test", NOW NOW));
  send (fixture, fixture->alice, IQ ("get", "7", "d.test", ""));
  EXPECT (fixture->alice, "id='1' from='d.test' to='alice@d.test/a'><now", "id='2' from='market.d.test'",
          "id='3' from='alice@d.test'", "type='result' id='4' to='alice@d.test/a'", "service-unavailable",
          "bad-request", "bad-request");
}

static void
test_tree_knows_namespaces_of_the_root (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice,
        "<iq xmlns='jabber:client' xmlns:t='urn:test' type='get' id='1' to='d.test'><t:tree a='1'/></iq>");
  EXPECT (fixture->alice, "<said xmlns='urn:test' name='tree' ns='urn:test' a='1'/>");
}

static void
test_requests_over_the_tree_limit_are_refused (Fixture *fixture, gconstpointer data)
{
  services_set_tree_limit (fixture->services, 30);
  send (fixture, fixture->alice, IQ ("get", "1", "d.test", "<tree xmlns='urn:test' a='0123456789'/>"));
  EXPECT (fixture->alice, "policy-violation");
}

static void
test_a_lane_answers_in_order_and_the_other_does_not_wait (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice, IQ ("set", "1", "market.d.test", LATER));
  send (fixture, fixture->alice, IQ ("get", "2", "market.d.test", NOW));
  send (fixture, fixture->alice, IQ ("set", "3", "market.d.test", LATER));
  send (fixture, fixture->alice, IQ ("get", "4", "d.test", NOW));
  EXPECT (fixture->alice, "id='4'");
  answer_oldest (fixture);
  EXPECT (fixture->alice, "id='1'", "id='2'");
  g_assert_cmpuint (fixture->kept->len, ==, 1);
  answer_oldest (fixture);
  EXPECT (fixture->alice, "id='3'");
}

static void
test_a_held_session_waits_until_it_is_released (Fixture *fixture, gconstpointer data)
{
  fixture->alice->n_holds = 1;
  send (fixture, fixture->alice, IQ ("get", "1", "d.test", NOW));
  EXPECT (fixture->alice);
  fixture->alice->n_holds = 0;
  services_resume (fixture->services, fixture->alice);
  EXPECT (fixture->alice, "id='1'");
}

static void
test_too_many_waiting_requests_stop_the_reading (Fixture *fixture, gconstpointer data)
{
  services_set_waiting_limit (fixture->services, 4);
  send (fixture, fixture->alice, IQ ("set", "0", "d.test", LATER));
  for (int i = 0; i < 4; i++)
    send (fixture, fixture->alice, IQ ("get", "n", "d.test", NOW));
  g_assert_true (fixture->alice->is_reading_held);
  answer_oldest (fixture);
  g_assert_false (fixture->alice->is_reading_held);
  EXPECT (fixture->alice, "id='0'", "id='n'", "id='n'", "id='n'", "id='n'");
}

static void
test_an_answer_to_an_ended_session_is_dropped (Fixture *fixture, gconstpointer data)
{
  send (fixture, fixture->alice, IQ ("set", "1", "d.test", LATER));
  fixture->alice->is_dead = TRUE;
  answer_oldest (fixture);
  EXPECT (fixture->alice);
}

static void
test_a_request_a_handler_forgot_is_answered (Fixture *fixture, gconstpointer data)
{
  g_test_expect_message ("core", G_LOG_LEVEL_CRITICAL, "*dropped its request*");
  send (fixture, fixture->alice, IQ ("get", "1", "d.test", "<nothing xmlns='urn:test'/>"));
  g_test_assert_expected_messages ();
  EXPECT (fixture->alice, "internal-server-error");
}

static void
count_outcome (PushOutcome outcome, gpointer data)
{
  ((int *)data)[outcome]++;
}

static void
test_pushes_end_by_answer_time_out_or_absence (Fixture *fixture, gconstpointer data)
{
  int outcomes[4] = { 0 };
  for (int i = 0; i < 3; i++)
    services_push (fixture->services, "alice@d.test/a", "<x xmlns='urn:test'/>", count_outcome, outcomes);
  EXPECT (fixture->alice, "<iq type='set' id='push-1' from='market.d.test' to='alice@d.test/a'><x", "push-2",
          "push-3");

  send (fixture, fixture->bob, IQ ("result", "push-1", "market.d.test", "")); /* not his */
  g_assert_cmpint (outcomes[PUSH_ACCEPTED], ==, 0);
  send (fixture, fixture->alice, IQ ("result", "push-1", "market.d.test", ""));
  send (fixture, fixture->alice, IQ ("result", "push-1", "market.d.test", "")); /* twice */
  g_assert_cmpint (outcomes[PUSH_ACCEPTED], ==, 1);
  send (fixture, fixture->alice, IQ ("error", "push-2", "market.d.test", ""));
  g_assert_cmpint (outcomes[PUSH_REFUSED], ==, 1);

  services_push (fixture->services, "carol@d.test/c", "<x xmlns='urn:test'/>", count_outcome, outcomes);
  g_assert_cmpint (outcomes[PUSH_NO_SESSION], ==, 0);
  clock_advance_us (fixture->clock, 31 * G_USEC_PER_SEC);
  while (outcomes[PUSH_TIMED_OUT] == 0 || outcomes[PUSH_NO_SESSION] == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (outcomes[PUSH_TIMED_OUT], ==, 1);
  g_assert_cmpint (outcomes[PUSH_NO_SESSION], ==, 1);
}

static void
note_gone (const char *full_jid, gpointer data)
{
  g_string_append (data, full_jid);
}

static void
test_a_session_that_ends_ends_its_pushes (Fixture *fixture, gconstpointer data)
{
  int outcomes[4] = { 0 };
  g_autoptr (GString) gone = g_string_new (NULL);
  services_add_gone (fixture->services, note_gone, gone);
  services_push (fixture->services, "alice@d.test/a", "<x xmlns='urn:test'/>", count_outcome, outcomes);
  fixture->alice->is_dead = TRUE;
  hooks_run_session (fixture->hooks, HOOK_SESSION_ENDED, fixture->alice);
  g_assert_cmpint (outcomes[PUSH_NO_SESSION], ==, 1);
  g_assert_cmpstr (gone->str, ==, "alice@d.test/a");
}

static void
take_reply (const char *xml, gsize length, gpointer data)
{
  g_string_append_len (data, xml, (gssize)length);
}

static void
test_before_login_only_open_services_answer (Fixture *fixture, gconstpointer data)
{
  static const char *const cases[][2] = {
    { IQ ("get", "1", "d.test", "<tree xmlns='urn:test' a='1'/>"), "<said" },
    { IQ ("get", "2", "d.test", NOW), "not-authorized" },
    { IQ ("result", "3", "d.test", ""), NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GString) answer = g_string_new (NULL);
      Stanza *stanza = stanza_new_from_bytes (cases[i][0], strlen (cases[i][0]));
      services_take_before_login (fixture->services, "127.0.0.1", stanza, take_reply, answer, NULL);
      stanza_free (stanza);
      if (cases[i][1] != NULL)
        g_assert_nonnull (strstr (answer->str, cases[i][1]));
      else
        g_assert_cmpstr (answer->str, ==, "");
    }
}

#define ADD(name, func) g_test_add ("/core/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("router/full_address_goes_straight", test_full_address_goes_straight_to_its_session);
  ADD ("router/delivery_by_kind", test_what_is_left_for_accounts_is_delivered_by_kind);
  ADD ("router/foreign_domains_are_refused", test_foreign_domains_are_refused);
  ADD ("service/requests_find_their_target", test_requests_find_their_target);
  ADD ("service/tree_knows_namespaces_of_the_root", test_tree_knows_namespaces_of_the_root);
  ADD ("service/tree_limit", test_requests_over_the_tree_limit_are_refused);
  ADD ("service/a_lane_answers_in_order", test_a_lane_answers_in_order_and_the_other_does_not_wait);
  ADD ("service/held_session_waits", test_a_held_session_waits_until_it_is_released);
  ADD ("service/too_many_waiting_stop_the_reading", test_too_many_waiting_requests_stop_the_reading);
  ADD ("service/answer_to_an_ended_session_is_dropped", test_an_answer_to_an_ended_session_is_dropped);
  ADD ("service/forgotten_request_is_answered", test_a_request_a_handler_forgot_is_answered);
  ADD ("service/pushes_end", test_pushes_end_by_answer_time_out_or_absence);
  ADD ("service/session_end_ends_pushes", test_a_session_that_ends_ends_its_pushes);
  ADD ("service/before_login", test_before_login_only_open_services_answer);
  return g_test_run ();
}
