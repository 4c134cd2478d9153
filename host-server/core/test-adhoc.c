/* Commands against sessions that only write down what they are sent: a command of two forms, one that takes
 * none, one that answers later, and one for few. */
#include "host-server/core/adhoc.h"
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
  Adhoc *adhoc;
  Session *alice, *bob;
  AdhocCall *kept;  /* that the "later" command holds */
  GString *bought;  /* what was bought, under which session */
  gboolean is_open; /* to who may use "few" */
  char *session;    /* of the last answer */
  guint n_iqs;
} Fixture;

static void
choose (AdhocCall *call, gpointer data)
{
  Form *form = form_new ("Choose");
  FormField *field = form_add (form, FORM_CHOICE, "plugin", "Plugin");
  form_field_require (field);
  form_field_add_option (field, "weather", NULL);
  form_field_add_option (field, "dice", NULL);
  adhoc_call_ask (call, form);
}

static void
confirm (AdhocCall *call, gpointer data)
{
  const char *plugin = adhoc_call_get (call, "plugin");
  if (g_str_equal (plugin, "dice"))
    {
      adhoc_call_note (call, ADHOC_ERROR, "out of stock & <gone>");
      adhoc_call_done (call, NULL);
      return;
    }
  Form *form = form_new ("Confirm");
  form_add_shown (form, "name", plugin);
  form_add (form, FORM_TEXT, "voucher", "Voucher");
  adhoc_call_ask (call, form);
}

static void
buy (AdhocCall *call, gpointer data)
{
  Fixture *f = data;
  if (g_strcmp0 (adhoc_call_get (call, "voucher"), "bad") == 0)
    {
      adhoc_call_note (call, ADHOC_ERROR, "no such voucher");
      adhoc_call_ask_again (call);
      return;
    }
  g_string_append_printf (f->bought, "%s %s;", adhoc_call_get (call, "plugin"),
                          adhoc_call_get_session (call));
  Form *form = form_new ("Bought");
  form_add_shown (form, "plugin", adhoc_call_get (call, "plugin"));
  adhoc_call_note (call, ADHOC_INFO, "thank you");
  adhoc_call_add_payload (call, "<x xmlns='jabber:x:oob'><url>https://pay.example/</url></x>");
  adhoc_call_done (call, form);
}

static void
show (AdhocCall *call, gpointer data)
{
  Form *form = form_new ("All");
  form_add_column (form, "Plugin");
  form_add_row (form);
  form_add_cell (form, "dice");
  adhoc_call_note (call, ADHOC_WARN, "not all");
  adhoc_call_done (call, form);
}

static void
keep (AdhocCall *call, gpointer data)
{
  ((Fixture *)data)->kept = call;
}

static gboolean
is_one_of_few (const char *account, gpointer data)
{
  return ((Fixture *)data)->is_open;
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  f->clock = clock_new_fake (0);
  f->domain = jid_new ("d.test", 6);
  f->market = jid_new ("market.d.test", 13);
  test_session_book_init (&f->book);
  f->hooks = hooks_new ();
  f->services = services_new (&f->book, f->hooks, f->domain, f->market, f->clock);
  f->router = router_new (&f->book, f->services, f->domain, f->market);
  f->adhoc = adhoc_new (f->services, f->domain, f->market, f->clock);
  f->alice = test_session_bind (&f->book, "alice@d.test/a", "uuid");
  f->bob = test_session_bind (&f->book, "bob@d.test/b", "uuid");
  f->bought = g_string_new (NULL);
  const AdhocCommand commands[] = {
    { "buy", "Buy", NULL, { choose, confirm, buy } },
    { "show", "Show", NULL, { show } },
    { "later", "Later", NULL, { choose, keep } },
    { "few", "For few", is_one_of_few, { choose, show } },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    adhoc_add (f->adhoc, SERVICE_MARKET, &commands[i], f);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  adhoc_free (f->adhoc);
  services_free (f->services);
  router_free (f->router);
  hooks_free (f->hooks);
  test_session_book_clear (&f->book);
  g_string_free (f->bought, TRUE);
  g_free (f->session);
  jid_unref (f->domain);
  jid_unref (f->market);
  clock_free (f->clock);
}

static void
send (Fixture *f, Session *from, const char *attributes, const char *payload)
{
  g_autofree char *xml = g_strdup_printf ("<iq xmlns='jabber:client' type='set' id='i%u' to='market.d.test'>"
                                          "<command xmlns='" NS_COMMANDS "' %s>%s</command></iq>",
                                          ++f->n_iqs, attributes, payload);
  Stanza *stanza = stanza_new_from_bytes (xml, strlen (xml));
  g_assert_nonnull (stanza);
  Stanza seen = *stanza;
  seen.from = from->jid;
  router_route (f->router, from, &seen);
  stanza_free (stanza);
}

/* Takes what was sent, and remembers its session id. */
static char *
take (Fixture *f, Session *session)
{
  char *text = g_strdup (session->sent->str);
  g_string_truncate (session->sent, 0);
  const char *id = strstr (text, "sessionid='");
  if (id != NULL)
    {
      g_free (f->session);
      f->session = g_strndup (id + 11, strcspn (id + 11, "'"));
    }
  return text;
}

static void
expect (Fixture *f, Session *session, const char *part, const char *other)
{
  g_autofree char *text = take (f, session);
  if (strstr (text, part) == NULL || (other != NULL && strstr (text, other) == NULL))
    g_error ("'%s' and '%s' expected in: %s", part, other != NULL ? other : "", text);
}

/* The next request of the session under way. */
static void
go_on (Fixture *f, const char *node, const char *action, const char *payload)
{
  g_autofree char *attributes
      = g_strdup_printf ("node='%s' sessionid='%s'%s", node, f->session != NULL ? f->session : "", action);
  send (f, f->alice, attributes, payload);
}

#define SUBMIT(var, value)                                                                                   \
  "<x xmlns='jabber:x:data' type='submit'><field var='" var "'><value>" value "</value></field></x>"
#define WEATHER SUBMIT ("plugin", "weather")

static void
test_adhoc_goes_through_its_stages (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='buy'", "");
  g_autofree char *first = take (f, f->alice);
  g_assert_nonnull (strstr (first, "status='executing'><actions execute='next'><next/></actions><x "));
  g_assert_nonnull (strstr (first, "<iq type='result' id='i1' from='market.d.test' to='alice@d.test/a'>"));
  g_autofree char *id = g_strdup (f->session);
  go_on (f, "buy", " action='next'", WEATHER);
  expect (f, f->alice, "<actions execute='complete'><prev/><complete/></actions>", "<value>weather</value>");
  g_assert_cmpstr (f->session, ==, id);
  go_on (f, "buy", "", "<x xmlns='jabber:x:data' type='submit'/>"); /* `execute` is what the form said */
  expect (f, f->alice,
          "status='completed'><note type='info'>thank you</note><x xmlns='jabber:x:data' type='result'>",
          "</x><x xmlns='jabber:x:oob'>");
  g_autofree char *bought = g_strdup_printf ("weather %s;", id);
  g_assert_cmpstr (f->bought->str, ==, bought);
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 0);
}

static void
test_adhoc_a_repeated_end_does_nothing_again (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='buy'", "");
  expect (f, f->alice, "executing", NULL);
  go_on (f, "buy", "", WEATHER);
  go_on (f, "buy", " action='complete'", "");
  go_on (f, "buy", " action='complete'", "");
  expect (f, f->alice, "completed", "<session-expired xmlns='" NS_COMMANDS "'/>");
  g_assert_null (strstr (strchr (f->bought->str, ';') + 1, ";"));
}

static void
test_adhoc_goes_back_to_what_was_chosen (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='buy'", "");
  expect (f, f->alice, "executing", NULL);
  go_on (f, "buy", " action='prev'", "");
  expect (f, f->alice, "<bad-action ", "<bad-request ");
  go_on (f, "buy", " action='complete'", WEATHER);
  expect (f, f->alice, "<bad-action ", NULL);
  go_on (f, "buy", " action='next'", WEATHER);
  expect (f, f->alice, "Confirm", NULL);
  go_on (f, "buy", " action='next'", "");
  expect (f, f->alice, "<bad-action ", NULL);
  go_on (f, "buy", " action='prev'", "");
  expect (f, f->alice, "<actions execute='next'><next/></actions>", "<value>weather</value><option>");
  go_on (f, "buy", " action='next'", "");
  expect (f, f->alice, "Confirm", NULL);
  go_on (f, "buy", " action='cancel'", "");
  expect (f, f->alice, "status='canceled'", NULL);
  go_on (f, "buy", " action='cancel'", "");
  expect (f, f->alice, "<session-expired ", "<not-allowed ");
  g_assert_cmpstr (f->bought->str, ==, "");
}

static void
test_adhoc_a_bad_form_can_be_filled_in_again (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='buy'", "");
  expect (f, f->alice, "executing", NULL);
  go_on (f, "buy", "", SUBMIT ("plugin", "chess"));
  expect (f, f->alice, "<bad-payload ", "Plugin (plugin): is not one of the choices");
  go_on (f, "buy", " action='next'", SUBMIT ("plugin", "chess"));
  g_autofree char *shown = g_strdup_printf ("<command xmlns='" NS_COMMANDS "' node='buy' sessionid='%s' "
                                            "action='next'/><error type='modify'>",
                                            f->session);
  expect (f, f->alice, shown, NULL);
  go_on (f, "buy", "", "");
  expect (f, f->alice, "<bad-payload ", "is required");
  go_on (f, "buy", "", WEATHER);
  expect (f, f->alice, "Confirm", NULL);
  go_on (f, "buy", "", SUBMIT ("voucher", "bad"));
  expect (f, f->alice, "executing", "<note type='error'>no such voucher</note>");
  go_on (f, "buy", "", SUBMIT ("voucher", ""));
  expect (f, f->alice, "completed", NULL);
}

static void
test_adhoc_a_form_that_comes_along_is_taken_for_the_first (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='buy'", WEATHER);
  expect (f, f->alice, "Confirm", "<prev/>");
  go_on (f, "buy", " action='complete'", "");
  expect (f, f->alice, "completed", NULL);
  send (f, f->alice, "node='buy'", SUBMIT ("plugin", "dice"));
  expect (f, f->alice, "status='completed'", "<note type='error'>out of stock &amp; &lt;gone&gt;</note>");
  send (f, f->alice, "node='buy'", SUBMIT ("plugin", "chess"));
  expect (f, f->alice, "<bad-payload ", NULL);
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 0);
}

static void
test_adhoc_requests_are_refused_by_cause (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    const char *attributes, *condition;
  } rows[] = {
    { "node='none'", "<item-not-found " },
    { "", "is missing" },
    { "node='buy' action='dance'", "<malformed-action " },
    { "node='buy' action='next'", "<bad-sessionid " },
    { "node='buy' action='cancel'", "<bad-sessionid " },
    { "node='buy' sessionid='guess'", "<bad-sessionid " },
    { "node='buy' sessionid=''", "<bad-sessionid " },
    { "node='buy' sessionid='guess.guess' action='cancel'", "<bad-sessionid " },
    { "node='buy' xml:lang='de'", "<bad-locale " },
    { "node='buy' xml:lang='eno'", "<bad-locale " },
    { "node='few'", "<forbidden " },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      send (f, f->alice, rows[i].attributes, "");
      expect (f, f->alice, "type='error'", rows[i].condition);
    }
  send (f, f->alice, "node='show' xml:lang='en-GB'", "");
  expect (f, f->alice, "xml:lang='en'", "status='completed'><note type='warn'>not all</note><x ");
}

static void
test_adhoc_a_session_is_one_addresss_and_one_commands (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='buy'", "");
  expect (f, f->alice, "executing", NULL);
  g_autofree char *own = g_strdup_printf ("node='buy' sessionid='%s'", f->session);
  g_autofree char *other = g_strdup_printf ("node='later' sessionid='%s'", f->session);
  send (f, f->bob, own, WEATHER);
  expect (f, f->bob, "<bad-sessionid ", NULL);
  send (f, f->alice, other, WEATHER);
  expect (f, f->alice, "<bad-sessionid ", NULL);
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 1);
  f->alice->is_dead = TRUE;
  hooks_run_session (f->hooks, HOOK_SESSION_ENDED, f->alice);
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 0);
}

static void
test_adhoc_sessions_expire_and_are_limited (Fixture *f, gconstpointer unused)
{
  adhoc_set_limits (f->adhoc, 2, 3, 10 * G_USEC_PER_SEC);
  g_autofree char *oldest = NULL;
  for (guint i = 0; i < 3; i++)
    {
      send (f, f->alice, "node='buy'", "");
      expect (f, f->alice, "executing", NULL);
      if (i == 0)
        oldest = g_strdup (f->session);
    }
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 2);
  g_autofree char *late = g_strdup_printf ("node='buy' sessionid='%s'", oldest);
  send (f, f->alice, late, WEATHER);
  expect (f, f->alice, "<session-expired ", NULL);

  send (f, f->bob, "node='buy'", "");
  expect (f, f->bob, "executing", NULL);
  send (f, f->bob, "node='buy'", "");
  expect (f, f->bob, "<resource-constraint ", "type='wait'");
  send (f, f->bob, "node='show'", ""); /* which keeps nothing */
  expect (f, f->bob, "completed", NULL);

  clock_advance_us (f->clock, 9 * G_USEC_PER_SEC);
  go_on (f, "buy", "", WEATHER); /* not alice's */
  expect (f, f->alice, "<bad-sessionid ", NULL);
  clock_advance_us (f->clock, G_USEC_PER_SEC);
  send (f, f->bob, "node='buy'", "");
  expect (f, f->bob, "executing", NULL);
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 1);
}

static void
test_adhoc_a_late_answer_finds_nobody (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='later'", WEATHER);
  g_assert_cmpstr (f->alice->sent->str, ==, "");
  f->alice->is_dead = TRUE;
  hooks_run_session (f->hooks, HOOK_SESSION_ENDED, f->alice);
  adhoc_call_ask_again (f->kept);
  g_assert_cmpstr (f->alice->sent->str, ==, "");
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 0);
}

static void
test_adhoc_a_session_at_work_does_not_expire (Fixture *f, gconstpointer unused)
{
  send (f, f->alice, "node='later'", "");
  expect (f, f->alice, "executing", NULL);
  go_on (f, "later", "", WEATHER);
  g_assert_cmpstr (f->alice->sent->str, ==, "");
  clock_advance_us (f->clock, G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC);
  send (f, f->bob, "node='show'", "");
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 1);
  GError *error = g_error_new_literal (G_FILE_ERROR, 1, "of the disk");
  g_test_expect_message ("test", G_LOG_LEVEL_CRITICAL, "*request failed*of the disk");
  adhoc_call_fail (f->kept, "test", error);
  g_test_assert_expected_messages ();
  g_error_free (error);
  expect (f, f->alice, "<internal-server-error ", NULL);
  g_assert_cmpuint (adhoc_count_sessions (f->adhoc), ==, 0);
}

/* What service discovery hands over. */
static void
info (ServiceRequest *request, gpointer data)
{
  if (!adhoc_answer_info (((Fixture *)data)->adhoc, SERVICE_MARKET, request))
    service_request_reply (request, "<none xmlns='urn:test'/>");
}

static void
items (ServiceRequest *request, gpointer data)
{
  if (!adhoc_answer_items (((Fixture *)data)->adhoc, SERVICE_MARKET, request))
    service_request_reply (request, "<none xmlns='urn:test'/>");
}

static void
ask (Fixture *f, const char *ns, const char *node)
{
  g_autofree char *xml
      = g_strdup_printf ("<iq xmlns='jabber:client' type='get' id='d' to='market.d.test'>"
                         "<query xmlns='http://jabber.org/protocol/disco#%s' node='%s'/></iq>",
                         ns, node);
  Stanza *stanza = stanza_new_from_bytes (xml, strlen (xml));
  Stanza seen = *stanza;
  seen.from = f->alice->jid;
  router_route (f->router, f->alice, &seen);
  stanza_free (stanza);
}

static void
test_adhoc_lists_what_one_may_use (Fixture *f, gconstpointer unused)
{
  services_add (f->services, SERVICE_MARKET, STANZA_TYPE_GET, "query",
                "http://jabber.org/protocol/disco#info", SERVICE_DEFAULT, info, f);
  services_add (f->services, SERVICE_MARKET, STANZA_TYPE_GET, "query",
                "http://jabber.org/protocol/disco#items", SERVICE_DEFAULT, items, f);
  ask (f, "items", NS_COMMANDS);
  g_autofree char *list = take (f, f->alice);
  g_assert_nonnull (strstr (list, "<item jid='market.d.test' node='buy' name='Buy'/>"
                                  "<item jid='market.d.test' node='show' name='Show'/>"));
  g_assert_null (strstr (list, "few"));
  ask (f, "info", NS_COMMANDS);
  expect (f, f->alice, "<identity category='automation' type='command-list'", NULL);
  ask (f, "info", "buy");
  expect (f, f->alice,
          "<identity category='automation' type='command-node' name='Buy'/><feature var='" NS_COMMANDS "'/>",
          "<feature var='jabber:x:data'/>");
  ask (f, "info", "few");
  expect (f, f->alice, "<forbidden ", NULL);
  ask (f, "info", "other");
  expect (f, f->alice, "<none ", NULL);
  f->is_open = TRUE;
  ask (f, "items", NS_COMMANDS);
  expect (f, f->alice, "few", NULL);
  ask (f, "items", "few");
  expect (f, f->alice, "node='few'></query>", NULL);
}

static void
test_adhoc_a_role_that_is_taken_away_ends_at_once (Fixture *f, gconstpointer unused)
{
  f->is_open = TRUE;
  send (f, f->alice, "node='few'", "");
  expect (f, f->alice, "executing", NULL);
  f->is_open = FALSE;
  go_on (f, "few", "", WEATHER);
  expect (f, f->alice, "<forbidden ", NULL);
}

#define ADD(name, func) g_test_add ("/core/adhoc/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("goes-through-its-stages", test_adhoc_goes_through_its_stages);
  ADD ("a-repeated-end-does-nothing-again", test_adhoc_a_repeated_end_does_nothing_again);
  ADD ("goes-back-to-what-was-chosen", test_adhoc_goes_back_to_what_was_chosen);
  ADD ("a-bad-form-can-be-filled-in-again", test_adhoc_a_bad_form_can_be_filled_in_again);
  ADD ("a-form-that-comes-along", test_adhoc_a_form_that_comes_along_is_taken_for_the_first);
  ADD ("requests-are-refused-by-cause", test_adhoc_requests_are_refused_by_cause);
  ADD ("a-session-is-one-addresss-and-one-commands", test_adhoc_a_session_is_one_addresss_and_one_commands);
  ADD ("sessions-expire-and-are-limited", test_adhoc_sessions_expire_and_are_limited);
  ADD ("a-late-answer-finds-nobody", test_adhoc_a_late_answer_finds_nobody);
  ADD ("a-session-at-work-does-not-expire", test_adhoc_a_session_at_work_does_not_expire);
  ADD ("lists-what-one-may-use", test_adhoc_lists_what_one_may_use);
  ADD ("a-role-that-is-taken-away-ends-at-once", test_adhoc_a_role_that_is_taken_away_ends_at_once);
  return g_test_run ();
}
