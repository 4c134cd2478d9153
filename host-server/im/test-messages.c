/* Delivery of messages and IQs (RFC 6121 §8.5), and the offline store. */
#include "host-server/im/test-world.h"

#include <string.h>

static Session *
log_in (World *world, const char *name, const char *presence)
{
  Session *session = world_connect (world, name);
  if (presence != NULL)
    world_send (world, session, presence);
  g_free (world_take (session));
  return session;
}

#define THERE    "<presence/>"
#define NEGATIVE "<presence><priority>-1</priority></presence>"

/* Table 1 of §8.5.4, with the choices of this server: O kept for later, E refused with service-unavailable, S
 * dropped, D delivered to the one, A delivered to all that are not negative, - impossible. Columns: normal,
 * chat, groupchat, headline, error. */
typedef struct
{
  const char *condition;
  const char *sessions[4]; /* name, presence, … */
  const char *bare;
  const char *full_match; /* to the first session */
  const char *full_no_match;
} Case;

static const Case cases[] = {
  { "account does not exist", { NULL }, "EEEES", "-----", "EEEES" },
  { "no active resources", { "one", NULL }, "OOESS", "DDDDD", "EOESS" },
  { "only negative resources", { "one", NEGATIVE, "two", NEGATIVE }, "OOESS", "DDDDD", "EOESS" },
  { "one resource", { "one", THERE }, "DDEDS", "DDDDD", "EDESS" },
  { "a negative resource beside one", { "one", THERE, "two", NEGATIVE }, "DDEDS", "DDDDD", "EDESS" },
  { "two resources", { "one", THERE, "two", THERE }, "AAEAS", "DDDDD", "EAESS" },
};
static const char *const types[] = { NULL, "chat", "groupchat", "headline", "error" };

static char
observe (World *world, Session *sender, Session *sessions[2], const char *to, const char *type)
{
  gint64 kept = world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message");
  g_autofree char *xml
      = type != NULL ? g_strdup_printf ("<message to='%s' type='%s'><body>x</body></message>", to, type)
                     : g_strdup_printf ("<message to='%s'><body>x</body></message>", to);
  world_send (world, sender, xml);
  guint n = 0;
  for (guint i = 0; i < 2; i++)
    if (sessions[i] != NULL)
      {
        g_autofree char *sent = world_take (sessions[i]);
        n += strstr (sent, "<body>x</body>") != NULL;
        if (*sent != '\0')
          g_assert_nonnull (strstr (sent, " from='sender@d/s'"));
      }
  g_autofree char *answer = world_take (sender);
  gboolean is_refused = strstr (answer, "<service-unavailable") != NULL;
  gboolean is_kept = world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message") == kept + 1;
  g_assert_cmpuint ((n > 0) + is_refused + is_kept, <=, 1); /* one fate */
  return n == 2 ? 'A' : n == 1 ? 'D' : is_refused ? 'E' : is_kept ? 'O' : 'S';
}

static void
check_column (World *world, Session *sender, Session *sessions[2], const char *condition, const char *to,
              const char *expected)
{
  char seen[G_N_ELEMENTS (types) + 1] = "";
  if (*expected == '-')
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    seen[i] = observe (world, sender, sessions, to, types[i]);
  g_test_message ("%s, to %s: %s", condition, to, seen);
  g_assert_cmpstr (seen, ==, expected);
}

static void
test_messages_follow_the_delivery_rules (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (World) world = world_new (NULL);
      const Case *row = &cases[i];
      Session *sessions[2] = { NULL, NULL };
      world_add_account (world, "sender");
      if (i > 0)
        world_add_account (world, "bob");
      Session *sender = log_in (world, "sender/s", NULL);
      for (guint j = 0; j < 2 && row->sessions[2 * j] != NULL; j++)
        {
          g_autofree char *name = g_strconcat ("bob/", row->sessions[2 * j], NULL);
          sessions[j] = log_in (world, name, row->sessions[2 * j + 1]);
        }
      for (guint j = 0; j < 2; j++)
        if (sessions[j] != NULL)
          g_free (world_take (sessions[j]));
      check_column (world, sender, sessions, row->condition, "bob@d", row->bare);
      check_column (world, sender, sessions, row->condition, "bob@d/one", row->full_match);
      check_column (world, sender, sessions, row->condition, "bob@d/gone", row->full_no_match);
    }
}

static void
test_messages_without_address_go_to_oneself (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  Session *phone = log_in (world, "alice/phone", THERE), *desk = log_in (world, "alice/desk", THERE);
  g_free (world_take (phone));
  world_send (world, phone, "<message type='chat'><body>note</body></message>");
  world_expect (desk, "<message from='alice@d/phone' to='alice@d' type='chat'><body>note</body></message>");
  world_expect (phone, "<message from='alice@d/phone' to='alice@d' type='chat'><body>note</body></message>");
}

static void
test_iqs_to_nobody_get_one_answer (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE), *bob = log_in (world, "bob/desk", THERE);
  static const char *const addresses[] = { "bob@d", "bob@d/gone", "nobody@d", "nobody@d/x" };
  for (gsize i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_autofree char *get = g_strdup_printf (
          "<iq type='get' id='1' to='%s'><query xmlns='jabber:iq:last'/></iq>", addresses[i]);
      g_autofree char *result = g_strdup_printf ("<iq type='result' id='1' to='%s'/>", addresses[i]);
      world_send (world, alice, get);
      g_autofree char *answer = world_take (alice);
      g_assert_nonnull (strstr (answer, "<service-unavailable"));
      world_send (world, alice, result);
      world_expect_nothing (alice);
    }
  world_send (world, alice, "<iq type='get' id='1' to='bob@d/desk'><query xmlns='jabber:iq:last'/></iq>");
  world_expect (
      bob, "<iq from='alice@d/phone' to='bob@d/desk' type='get' id='1'><query xmlns='jabber:iq:last'/></iq>");
}

#define DELAY "<delay xmlns='urn:xmpp:delay' from='d' stamp='2023-11-14T22:13:20Z'/>"

static void
test_offline_messages_come_once_in_order_with_their_time (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  world_send (world, alice, "<message to='bob@d' id='1' type='chat'><body>one &amp; only</body></message>");
  world_send (world, alice, "<message to='bob@d/desk' id='2' type='chat'><body>two</body></message>");
  clock_advance_us (world_get_server (world)->clock, G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC);
  world_end (world, alice);
  world_restart (world);

  Session *bob = world_connect (world, "bob/desk");
  world_settle (world);
  world_expect_nothing (bob); /* not before it is available */
  world_send (world, bob, NEGATIVE);
  world_expect (bob, "<presence from='bob@d/desk' to='bob@d'><priority>-1</priority></presence>");
  world_send (world, bob, THERE);
  world_expect (
      bob, "<presence from='bob@d/desk' to='bob@d'/>",
      "<message from='alice@d/phone' to='bob@d' type='chat' id='1'><body>one &amp; only</body>" DELAY
      "</message>",
      "<message from='alice@d/phone' to='bob@d/desk' type='chat' id='2'><body>two</body>" DELAY "</message>");
  world_end (world, bob);
  bob = log_in (world, "bob/desk", NULL);
  world_send (world, bob, THERE);
  world_expect (bob, "<presence from='bob@d/desk' to='bob@d'/>");
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT messages + bytes FROM offline_count"), ==, 0);
}

static void
test_offline_messages_stay_until_the_client_has_them (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  for (guint i = 0; i < 60; i++)
    {
      g_autofree char *xml = g_strdup_printf ("<message to='bob@d' type='chat'><body>%u</body></message>", i);
      world_send_now (world, alice, xml);
    }
  world_settle (world);
  Session *bob = world_connect (world, "bob/desk");
  world_set_slow (bob, TRUE);
  world_send (world, bob, THERE);
  g_autofree char *first = world_take (bob);
  g_assert_nonnull (strstr (first, "<body>0</body>"));
  g_assert_null (strstr (first, "<body>50</body>")); /* a chunk at a time */
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 60);
  g_assert_false (world_is_held (bob));
  world_deliver_now (bob);
  g_assert_true (world_is_held (bob)); /* the next answer says that these will not come again */
  world_settle (world);
  g_assert_false (world_is_held (bob));
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 10);
  world_end (world, bob); /* the second chunk was sent, but never arrived */
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 10);
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT messages FROM offline_count"), ==, 10);

  bob = world_connect (world, "bob/desk");
  world_send (world, bob, THERE);
  g_autofree char *second = world_take (bob);
  g_assert_null (strstr (second, "<body>49</body>"));
  g_assert_nonnull (strstr (second, "<body>50</body>"));
  g_assert_nonnull (strstr (second, "<body>59</body>"));
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 0);
}

/* A session may only be owed so much (XEP-0198): what is kept must not be what ends it. */
static void
test_offline_portions_fit_what_a_session_may_be_owed (void)
{
  g_autoptr (World) world = world_new ("unacked_stanzas=8");
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  for (guint i = 0; i < 5; i++)
    world_send (world, alice, "<message to='bob@d' type='chat'><body>x</body></message>");
  Session *bob = world_connect (world, "bob/desk");
  world_set_slow (bob, TRUE);
  world_send (world, bob, THERE);
  for (gint64 left = 5; left > 0; left -= 2)
    {
      g_autofree char *sent = world_take (bob);
      g_auto (GStrv) parts = g_strsplit (sent, "<message ", -1);
      g_assert_cmpuint (g_strv_length (parts) - 1, ==, MIN (left, 2));
      world_deliver (world, bob);
    }
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 0);
}

static void
test_offline_another_resource_takes_over (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  world_send (world, alice, "<message to='bob@d' type='chat'><body>x</body></message>");
  Session *desk = world_connect (world, "bob/desk"), *phone = world_connect (world, "bob/phone");
  world_set_slow (desk, TRUE);
  world_send (world, desk, THERE);
  world_send (world, phone, THERE);
  g_autofree char *early = world_take (phone);
  g_assert_null (strstr (early, "<body>"));
  world_end (world, desk);
  g_autofree char *late = world_take (phone);
  g_assert_nonnull (strstr (late, "<body>x</body>"));
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 0);
}

static void
test_offline_store_has_limits (void)
{
  static const struct
  {
    const char *limits;
    guint n_kept;
  } rows[] = { { "offline_messages=3", 3 }, { "offline_bytes=1000", 5 }, { "offline_messages=0", 10 } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (World) world = world_new (rows[i].limits);
      world_add_account (world, "alice");
      world_add_account (world, "bob");
      Session *alice = log_in (world, "alice/phone", THERE);
      guint n_refused = 0;
      for (guint j = 0; j < 10; j++)
        {
          world_send (world, alice, "<message to='bob@d' type='chat'><body>0123456789</body></message>");
          g_autofree char *answer = world_take (alice);
          n_refused += strstr (answer, "<service-unavailable") != NULL;
        }
      g_assert_cmpuint (n_refused, ==, 10 - rows[i].n_kept);
      g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==,
                       rows[i].n_kept);
      /* Room is given back. */
      Session *bob = log_in (world, "bob/desk", THERE);
      world_end (world, bob);
      world_send (world, alice, "<message to='bob@d' type='chat'><body>0123456789</body></message>");
      world_expect_nothing (alice);
    }
}

static void
test_offline_keeps_no_typing_notifications (void)
{
  static const struct
  {
    const char *payload;
    gint64 n_kept;
  } rows[] = {
    { "<composing xmlns='http://jabber.org/protocol/chatstates'/>", 0 },
    { "<active xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>", 0 },
    { "", 0 },
    { "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", 0 },
    { "<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", 0 },
    { "<active xmlns='http://jabber.org/protocol/chatstates'/><body>x</body>", 1 },
    { "<received xmlns='urn:xmpp:receipts' id='1'/>", 1 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (World) world = world_new (NULL);
      world_add_account (world, "alice");
      world_add_account (world, "bob");
      Session *alice = log_in (world, "alice/phone", THERE);
      g_autofree char *xml
          = g_strdup_printf ("<message to='bob@d' type='chat'>%s</message>", rows[i].payload);
      world_send (world, alice, xml);
      world_expect_nothing (alice);
      g_test_message ("%s", rows[i].payload);
      g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==,
                       rows[i].n_kept);
    }
}

static void
test_offline_the_sender_is_held_until_the_commit (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  world_send_now (world, alice, "<message to='bob@d' type='chat'><body>x</body></message>");
  world_send_now (world, alice, "<iq type='get' id='t' to='d'><time xmlns='urn:xmpp:time'/></iq>");
  g_assert_true (world_is_held (alice));
  world_expect_nothing (alice);
  world_settle (world);
  g_assert_false (world_is_held (alice));
  world_expect (alice, "<iq type='result' id='t' from='d' to='alice@d/phone'><time xmlns='urn:xmpp:time'>"
                       "<tzo>+00:00</tzo><utc>2023-11-14T22:13:20Z</utc></time></iq>");
}

/* The resource comes while the message is on its way to the disk, and finds nothing there yet. */
static void
test_offline_a_login_meanwhile_misses_nothing (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  Session *bob = world_connect (world, "bob/desk");
  world_send_now (world, alice, "<message to='bob@d' type='chat'><body>x</body></message>");
  world_send_now (world, bob, THERE);
  world_settle (world);
  g_autofree char *sent = world_take (bob);
  g_assert_nonnull (strstr (sent, "<body>x</body>"));
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 0);
}

static void
test_undelivered_stanzas_are_treated_as_for_who_is_away (void)
{
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  Session *bob = log_in (world, "bob/desk", THERE);
  session_ref (bob);
  world_end (world, bob);
  world_undelivered (world, bob,
                     "<message from='alice@d/phone' to='bob@d/desk' type='chat'><body>x</body></message>");
  world_undelivered (
      world, bob, "<message from='alice@d/phone' to='bob@d/desk' type='headline'><body>y</body></message>");
  world_undelivered (world, bob, "<presence from='alice@d/phone' to='bob@d'/>");
  world_undelivered (world, bob, "<iq from='alice@d/phone' to='bob@d/desk' type='result' id='2'/>");
  world_expect_nothing (alice);
  world_undelivered (world, bob,
                     "<iq from='alice@d/phone' to='bob@d/desk' type='get' id='1'><q xmlns='q'/></iq>");
  g_autofree char *answer = world_take (alice);
  g_assert_nonnull (strstr (answer, "id='1'"));
  g_assert_nonnull (strstr (answer, "<service-unavailable"));
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM offline_message"), ==, 1);

  Session *phone = log_in (world, "bob/phone", NULL);
  world_send (world, phone, THERE);
  g_free (world_take (phone));
  world_undelivered (world, bob, "<message from='alice@d/phone' to='bob@d/desk'><body>z</body></message>");
  world_expect (phone, "<message from='alice@d/phone' to='bob@d/desk'><body>z</body></message>");
  session_unref (bob);
}

static void
test_disco_answers_for_domain_market_and_account (void)
{
  static const struct
  {
    const char *to;
    const char *query;
    const char *expected[3];
  } rows[] = {
    { "d",
      "<query xmlns='http://jabber.org/protocol/disco#info'/>",
      { "<identity category='server' type='im' name='Stoa'/>", "<feature var='urn:xmpp:time'/>",
        "<feature var='msgoffline'/>" } },
    { "d",
      "<query xmlns='http://jabber.org/protocol/disco#items'/>",
      { "<item jid='market.d' name='Plugin market'/>" } },
    { "market.d",
      "<query xmlns='http://jabber.org/protocol/disco#info'/>",
      { "<identity category='component' type='generic' name='Plugin market'/>",
        "<feature var='jabber:iq:version'/>" } },
    { "alice@d",
      "<query xmlns='http://jabber.org/protocol/disco#info'/>",
      { "<identity category='account' type='registered'/>" } },
    { "bob@d", "<query xmlns='http://jabber.org/protocol/disco#info'/>", { "<service-unavailable" } },
    { "d", "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>", { "<item-not-found" } },
    { "d", "<query xmlns='jabber:iq:last'/>", { " seconds='90'/>" } },
    { "market.d", "<query xmlns='jabber:iq:version'/>", { "<name>Stoa</name><version>" } },
  };
  g_autoptr (World) world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone", THERE);
  clock_advance_us (world_get_server (world)->clock, 90 * G_USEC_PER_SEC);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *xml
          = g_strdup_printf ("<iq type='get' id='1' to='%s'>%s</iq>", rows[i].to, rows[i].query);
      world_send (world, alice, xml);
      g_autofree char *answer = world_take (alice);
      g_test_message ("%s", answer);
      for (guint j = 0; j < 3 && rows[i].expected[j] != NULL; j++)
        g_assert_nonnull (strstr (answer, rows[i].expected[j]));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/im/" name, func)
  ADD ("messages/follow-the-delivery-rules", test_messages_follow_the_delivery_rules);
  ADD ("messages/without-address-go-to-oneself", test_messages_without_address_go_to_oneself);
  ADD ("iqs/to-nobody-get-one-answer", test_iqs_to_nobody_get_one_answer);
  ADD ("offline/messages-come-once-in-order-with-their-time",
       test_offline_messages_come_once_in_order_with_their_time);
  ADD ("offline/messages-stay-until-the-client-has-them",
       test_offline_messages_stay_until_the_client_has_them);
  ADD ("offline/portions-fit-what-a-session-may-be-owed",
       test_offline_portions_fit_what_a_session_may_be_owed);
  ADD ("offline/another-resource-takes-over", test_offline_another_resource_takes_over);
  ADD ("offline/store-has-limits", test_offline_store_has_limits);
  ADD ("offline/keeps-no-typing-notifications", test_offline_keeps_no_typing_notifications);
  ADD ("offline/the-sender-is-held-until-the-commit", test_offline_the_sender_is_held_until_the_commit);
  ADD ("offline/a-login-meanwhile-misses-nothing", test_offline_a_login_meanwhile_misses_nothing);
  ADD ("undelivered/stanzas-are-treated-as-for-who-is-away",
       test_undelivered_stanzas_are_treated_as_for_who_is_away);
  ADD ("disco/answers-for-domain-market-and-account", test_disco_answers_for_domain_market_and_account);
#undef ADD
  return g_test_run ();
}
