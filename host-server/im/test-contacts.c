/* Roster, subscriptions and presence, seen from the clients. */
#include "host-server/im/test-world.h"

#include <string.h>

/* The versions of the first and the second account's roster. */
#define A      "000000000001."
#define B      "000000000002."
#define ROSTER "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"

/* A session that asked for its roster and is available. */
static Session *
log_in (World *world, const char *name)
{
  Session *session = world_connect (world, name);
  world_send (world, session, ROSTER);
  world_send (world, session, "<presence/>");
  g_free (world_take (session));
  return session;
}

static World *
world_of_two (void)
{
  World *world = world_new (NULL);
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  return world;
}

static void
befriend (World *world, Session *one, Session *two)
{
  g_autofree char *to_two
      = g_strdup_printf ("<presence type='subscribe' to='%s'/>", jid_get_bare (session_get_bare (two)));
  g_autofree char *yes_one
      = g_strdup_printf ("<presence type='subscribed' to='%s'/>", jid_get_bare (session_get_bare (one)));
  g_autofree char *to_one
      = g_strdup_printf ("<presence type='subscribe' to='%s'/>", jid_get_bare (session_get_bare (one)));
  g_autofree char *yes_two
      = g_strdup_printf ("<presence type='subscribed' to='%s'/>", jid_get_bare (session_get_bare (two)));
  world_send (world, one, to_two);
  world_send (world, two, yes_one);
  world_send (world, two, to_one);
  world_send (world, one, yes_two);
  g_free (world_take (one));
  g_free (world_take (two));
}

static void
test_roster_items_are_kept_and_pushed (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *phone = log_in (world, "alice/phone"), *desk = log_in (world, "alice/desk");
  Session *deaf = world_connect (world, "alice/deaf"); /* never asked for the roster */
  g_free (world_take (phone));
  world_send (world, phone,
              "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='bob@d' name='B &lt;o&gt; b'>"
              "<group>Friends</group><group>R&amp;D</group></item></query></iq>");
  world_expect (
      phone,
      "<iq type='set' id='roster-1' to='alice@d/phone'><query xmlns='jabber:iq:roster' ver='" A "1'>"
      "<item jid='bob@d' name='B &lt;o&gt; b' subscription='none'><group>Friends</group><group>R&amp;D"
      "</group></item></query></iq>",
      "<iq type='result' id='1' to='alice@d/phone'/>");
  world_expect (
      desk, "<iq type='set' id='roster-2' to='alice@d/desk'><query xmlns='jabber:iq:roster' ver='" A "1'>"
            "<item jid='bob@d' name='B &lt;o&gt; b' subscription='none'><group>Friends</group><group>R&amp;D"
            "</group></item></query></iq>");
  world_expect_nothing (deaf);

  world_send (world, deaf, ROSTER);
  g_autofree char *roster = world_take (deaf);
  g_assert_nonnull (
      strstr (roster, "<query xmlns='jabber:iq:roster' ver='" A "1'><item jid='bob@d' name='B &lt;o&gt; b'"));

  world_send (world, desk,
              "<iq type='set' id='2'><query xmlns='jabber:iq:roster'><item jid='bob@d' "
              "subscription='remove'/></query></iq>");
  world_expect (desk,
                "<iq type='set' id='roster-4' to='alice@d/desk'><query xmlns='jabber:iq:roster' ver='" A "2'>"
                "<item jid='bob@d' subscription='remove'/></query></iq>",
                "<iq type='result' id='2' to='alice@d/desk'/>");
  world_send (world, desk,
              "<iq type='set' id='3'><query xmlns='jabber:iq:roster'><item jid='bob@d' "
              "subscription='remove'/></query></iq>");
  g_autofree char *again = world_take (desk);
  g_assert_nonnull (strstr (again, "<item-not-found"));
}

static void
test_roster_bad_sets_are_refused (void)
{
  static const struct
  {
    const char *query;
    const char *error;
  } rows[] = {
    { "", "<bad-request" },
    { "<item/>", "<bad-request" },
    { "<item jid='bob@d'/><item jid='carol@d'/>", "<bad-request" },
    { "<other jid='bob@d'/>", "<bad-request" },
    { "<item jid='@d'/>", "<jid-malformed" },
    { "<item jid='alice@d'/>", "<not-allowed" },
    { "<item jid='bob@d'><group>a</group><group>a</group></item>", "<bad-request" },
    { "<item jid='bob@d'><group/></item>", "<not-acceptable" },
  };
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone");
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *set = g_strdup_printf (
          "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>%s</query></iq>", rows[i].query);
      world_send (world, alice, set);
      g_autofree char *answer = world_take (alice);
      g_test_message ("%s: %s", rows[i].query, answer);
      g_assert_nonnull (strstr (answer, rows[i].error));
    }
  g_autofree char *long_name = g_strnfill (1024, 'n');
  g_autofree char *set = g_strdup_printf (
      "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='bob@d' name='%s'/></query></iq>",
      long_name);
  world_send (world, alice, set);
  g_autofree char *answer = world_take (alice);
  g_assert_nonnull (strstr (answer, "<not-acceptable"));
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM roster_item"), ==, 0);
}

static void
test_roster_has_a_limit (void)
{
  g_autoptr (World) world = world_new ("roster_items=2");
  world_add_account (world, "alice");
  world_add_account (world, "bob");
  Session *alice = log_in (world, "alice/phone");
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *set = g_strdup_printf (
          "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='c%u@d'/></query></iq>", i);
      world_send (world, alice, set);
      g_autofree char *answer = world_take (alice);
      g_assert_true ((strstr (answer, "<resource-constraint") != NULL) == (i == 2));
    }
  world_send (world, alice, "<presence type='subscribe' to='bob@d'/>");
  g_autofree char *answer = world_take (alice);
  g_assert_nonnull (strstr (answer, "<resource-constraint"));
  g_assert_cmpint (
      world_query (world, STORE_CHAT, "SELECT count(*) FROM roster_item WHERE jid IN ('bob@d', 'alice@d')"),
      ==, 0);
}

static void
test_roster_versions_bring_what_changed (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *phone = log_in (world, "alice/phone");
  static const char *const sets[]
      = { "<item jid='a@d'/>", "<item jid='b@d'/>", "<item jid='c@d'/>",
          "<item jid='a@d' subscription='remove'/>", "<item jid='b@d' name='B'/>" };
  for (gsize i = 0; i < G_N_ELEMENTS (sets); i++)
    {
      g_autofree char *set = g_strdup_printf (
          "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>%s</query></iq>", sets[i]);
      world_send (world, phone, set);
    }
  Session *desk = world_connect (world, "alice/desk");
  world_send (world, desk, "<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='" A "5'/></iq>");
  world_expect (desk, "<iq type='result' id='v' to='alice@d/desk'/>");
  world_send (world, desk, "<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='" A "2'/></iq>");
  world_expect (desk, "<iq type='result' id='v' to='alice@d/desk'/>",
                "<iq type='set' id='roster-6' to='alice@d/desk'><query xmlns='jabber:iq:roster' ver='" A "3'>"
                "<item jid='c@d' subscription='none'/></query></iq>",
                "<iq type='set' id='roster-7' to='alice@d/desk'><query xmlns='jabber:iq:roster' ver='" A "4'>"
                "<item jid='a@d' subscription='remove'/></query></iq>",
                "<iq type='set' id='roster-8' to='alice@d/desk'><query xmlns='jabber:iq:roster' ver='" A "5'>"
                "<item jid='b@d' name='B' subscription='none'/></query></iq>");
  static const char *const strange[] = { "", "x", "3", A, A "99", A "-1", A "3x", B "3" };
  for (gsize i = 0; i < G_N_ELEMENTS (strange); i++)
    {
      g_autofree char *get = g_strdup_printf (
          "<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='%s'/></iq>", strange[i]);
      world_send (world, desk, get);
      g_autofree char *answer = world_take (desk);
      g_assert_nonnull (strstr (answer, "ver='" A "5'><item "));
    }
}

static void
test_contacts_subscribe_and_see_each_other (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  world_send (world, alice,
              "<presence type='subscribe' to='bob@d/desk' id='s'><status>hi</status></presence>");
  world_expect (
      alice, "<iq type='set' id='roster-1' to='alice@d/phone'><query xmlns='jabber:iq:roster' ver='" A "1'>"
             "<item jid='bob@d' ask='subscribe' subscription='none'/></query></iq>");
  world_expect (bob,
                "<presence from='alice@d' to='bob@d' type='subscribe' id='s'><status>hi</status></presence>");

  world_send (world, bob, "<presence type='subscribed' to='alice@d'/>");
  world_expect (bob,
                "<iq type='set' id='roster-2' to='bob@d/desk'><query xmlns='jabber:iq:roster' ver='" B "2'>"
                "<item jid='alice@d' subscription='from'/></query></iq>");
  world_expect (alice, "<presence from='bob@d' to='alice@d' type='subscribed'/>",
                "<iq type='set' id='roster-3' to='alice@d/phone'><query xmlns='jabber:iq:roster' ver='" A
                "2'>"
                "<item jid='bob@d' subscription='to'/></query></iq>",
                "<presence from='bob@d/desk' to='alice@d'/>");

  /* Bob's changes reach Alice, hers do not reach Bob. */
  world_send (world, bob, "<presence><show>away</show></presence>");
  world_expect (alice, "<presence from='bob@d/desk' to='alice@d'><show>away</show></presence>");
  world_expect (bob, "<presence from='bob@d/desk' to='bob@d'><show>away</show></presence>");
  world_send (world, alice, "<presence><show>dnd</show></presence>");
  world_expect_nothing (bob);
  g_free (world_take (alice));

  /* Bob withdraws it. */
  world_send (world, bob, "<presence type='unsubscribed' to='alice@d'/>");
  world_expect (alice, "<presence from='bob@d' to='alice@d' type='unsubscribed'/>",
                "<iq type='set' id='roster-5' to='alice@d/phone'><query xmlns='jabber:iq:roster' ver='" A
                "3'>"
                "<item jid='bob@d' subscription='none'/></query></iq>",
                "<presence from='bob@d/desk' to='alice@d' type='unavailable'/>");
}

static void
test_contacts_a_request_waits_until_it_is_answered (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone");
  world_send (world, alice, "<presence type='subscribe' to='bob@d'><status>it is me</status></presence>");
  g_free (world_take (alice));
  for (guint i = 0; i < 2; i++)
    {
      Session *bob = world_connect (world, "bob/desk");
      world_send (world, bob, ROSTER);
      world_expect (bob, "<iq type='result' id='r' to='bob@d/desk'><query "
                         "xmlns='jabber:iq:roster' ver='" B "1'></query></iq>");
      world_send (world, bob, "<presence/>");
      g_autofree char *sent = world_take (bob);
      g_assert_nonnull (strstr (sent, "<presence from='alice@d' to='bob@d' type='subscribe'"));
      g_assert_nonnull (strstr (sent, "it is me"));
      world_end (world, bob);
    }
  /* It survives a restart too, and is gone once it is denied. */
  world_end (world, alice);
  world_restart (world);
  Session *bob = world_connect (world, "bob/desk");
  world_send (world, bob, "<presence/>");
  g_autofree char *sent = world_take (bob);
  g_assert_nonnull (strstr (sent, "it is me"));
  world_send (world, bob, "<presence type='unsubscribed' to='alice@d'/>");
  world_end (world, bob);
  bob = world_connect (world, "bob/desk");
  world_send (world, bob, "<presence/>");
  g_autofree char *after = world_take (bob);
  g_assert_null (strstr (after, "subscribe"));
  g_assert_cmpint (
      world_query (world, STORE_CHAT, "SELECT count(*) FROM roster_item WHERE kind <> 2 AND jid = 'alice@d'"),
      ==, 0);
}

static void
test_contacts_requests_to_one_user_have_a_limit (void)
{
  g_autoptr (World) world = world_new ("subscription_requests=2");
  world_add_account (world, "bob");
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *local = g_strdup_printf ("user%u", i);
      g_autofree char *name = g_strdup_printf ("user%u/x", i);
      world_add_account (world, local);
      Session *session = log_in (world, name);
      world_send (world, session, "<presence type='subscribe' to='bob@d'/>");
    }
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM roster_item WHERE jid LIKE 'user%'"),
                   ==, 2);
}

static void
test_contacts_nobody_is_told_who_exists (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone");
  world_send (world, alice, "<presence type='subscribe' to='nobody@d'/>");
  world_send (world, alice, "<presence type='subscribe' to='bob@d'/>");
  g_autofree char *sent = world_take (alice);
  g_auto (GStrv) lines = g_strsplit (sent, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  g_assert_nonnull (strstr (lines[0], "<item jid='nobody@d' ask='subscribe' subscription='none'/>"));
  g_assert_nonnull (strstr (lines[1], "<item jid='bob@d' ask='subscribe' subscription='none'/>"));
  world_send (world, alice, "<presence type='probe' to='nobody@d'/>");
  world_send (world, alice, "<presence type='probe' to='bob@d'/>");
  world_expect_nothing (alice);
}

static void
test_contacts_an_approval_in_advance_needs_no_answer (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  world_send (world, bob, "<presence type='subscribed' to='alice@d'/>");
  world_expect (bob,
                "<iq type='set' id='roster-1' to='bob@d/desk'><query xmlns='jabber:iq:roster' ver='" B "1'>"
                "<item jid='alice@d' approved='true' subscription='none'/></query></iq>");
  world_expect_nothing (alice);
  world_send (world, alice, "<presence type='subscribe' to='bob@d'/>");
  g_autofree char *sent = world_take (alice);
  g_assert_nonnull (strstr (sent, "<presence from='bob@d' to='alice@d' type='subscribed'/>"));
  g_assert_nonnull (strstr (sent, "<presence from='bob@d/desk' to='alice@d'/>"));
  g_autofree char *bob_sent = world_take (bob);
  g_assert_null (strstr (bob_sent, "type='subscribe'"));
  g_assert_nonnull (strstr (bob_sent, "subscription='from'"));
}

static void
test_contacts_removing_an_item_ends_both_subscriptions (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  befriend (world, alice, bob);
  world_send (world, alice,
              "<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='bob@d' "
              "subscription='remove'/></query></iq>");
  g_autofree char *sent = world_take (bob);
  g_assert_nonnull (strstr (sent, "<presence from='alice@d' to='bob@d' type='unsubscribe'/>"));
  g_assert_nonnull (strstr (sent, "<presence from='alice@d' to='bob@d' type='unsubscribed'/>"));
  g_assert_nonnull (strstr (sent, "<item jid='alice@d' subscription='none'/>"));
  g_assert_nonnull (strstr (sent, "<presence from='alice@d/phone' to='bob@d' type='unavailable'/>"));
  g_autofree char *own = world_take (alice);
  g_assert_nonnull (strstr (own, "<presence from='bob@d/desk' to='alice@d' type='unavailable'/>"));
  g_assert_nonnull (strstr (own, "<item jid='bob@d' subscription='remove'/>"));
}

/* The stanza waits for its commit before anybody hears of it. */
static void
test_contacts_nothing_is_told_before_the_commit (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  world_send_now (world, alice, "<presence type='subscribe' to='bob@d'/>");
  world_send_now (world, alice, ROSTER); /* waits: it must show what the stanza before it did */
  g_assert_true (world_is_held (alice));
  world_expect_nothing (alice);
  world_expect_nothing (bob);
  world_settle (world);
  g_assert_false (world_is_held (alice));
  g_autofree char *sent = world_take (alice);
  g_assert_nonnull (strstr (sent, "<iq type='result' id='r' to='alice@d/phone'><query "
                                  "xmlns='jabber:iq:roster' ver='" A "1'><item jid='bob@d' ask="));
}

static void
test_presence_reaches_own_resources_and_friends (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  befriend (world, alice, bob);
  Session *desk = world_connect (world, "alice/desk");
  world_send (world, desk, "<presence><priority>-5</priority></presence>");
  world_expect (desk, "<presence from='alice@d/desk' to='alice@d'><priority>-5</priority></presence>",
                "<presence from='alice@d/phone' to='alice@d'/>",
                "<presence from='bob@d/desk' to='alice@d'/>");
  g_assert_cmpint (session_get_priority (desk), ==, -5);
  world_expect (alice, "<presence from='alice@d/desk' to='alice@d'><priority>-5</priority></presence>");
  world_expect (bob, "<presence from='alice@d/desk' to='bob@d'><priority>-5</priority></presence>");

  world_send (world, desk, "<presence type='unavailable'><status>bye</status></presence>");
  world_expect (
      bob, "<presence from='alice@d/desk' to='bob@d' type='unavailable'><status>bye</status></presence>");
  world_expect (
      alice, "<presence from='alice@d/desk' to='alice@d' type='unavailable'><status>bye</status></presence>");
  world_expect (
      desk, "<presence from='alice@d/desk' to='alice@d' type='unavailable'><status>bye</status></presence>");
  world_end (world, desk); /* not said twice */
  world_expect_nothing (bob);
  world_end (world, alice);
  world_expect (bob, "<presence from='alice@d/phone' to='bob@d' type='unavailable'/>");
}

static void
test_presence_sent_directly_is_taken_back_at_the_end (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  Session *quiet = world_connect (world, "bob/quiet"); /* connected, not available */
  world_send (world, alice, "<presence to='bob@d/quiet'/>");
  world_send (world, alice, "<presence to='bob@d/desk'/>");
  world_send (world, alice, "<presence to='nobody@d'/>");
  world_expect (quiet, "<presence from='alice@d/phone' to='bob@d/quiet'/>");
  world_expect (bob, "<presence from='alice@d/phone' to='bob@d/desk'/>");
  world_send (world, alice, "<presence to='bob@d/desk' type='unavailable'/>");
  world_expect (bob, "<presence from='alice@d/phone' to='bob@d/desk' type='unavailable'/>");
  world_end (world, alice);
  world_expect (quiet, "<presence from='alice@d/phone' to='bob@d/quiet' type='unavailable'/>");
  world_expect_nothing (bob); /* was told already */
}

static void
test_presence_of_a_friend_ends_once (void)
{
  g_autoptr (World) world = world_of_two ();
  world_add_account (world, "carol");
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  Session *carol = log_in (world, "carol/desk"), *quiet = world_connect (world, "bob/quiet");
  befriend (world, alice, bob);
  static const char *const addresses[] = { "bob@d/desk", "bob@d/quiet", "carol@d/desk" };
  for (gsize i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_autofree char *xml = g_strdup_printf ("<presence to='%s'/>", addresses[i]);
      world_send (world, alice, xml);
    }
  g_free (world_take (bob));
  g_free (world_take (quiet));
  g_free (world_take (carol));
  world_send (world, alice, "<presence type='unavailable'/>");
  world_expect (bob, "<presence from='alice@d/phone' to='bob@d' type='unavailable'/>");
  world_expect (quiet, "<presence from='alice@d/phone' to='bob@d/quiet' type='unavailable'/>");
  world_expect (carol, "<presence from='alice@d/phone' to='carol@d/desk' type='unavailable'/>");
}

static void
test_presence_is_shown_to_so_many_addresses (void)
{
  g_autoptr (World) world = world_new ("directed_presences=2");
  world_add_account (world, "alice");
  Session *alice = log_in (world, "alice/phone");
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *xml = g_strdup_printf ("<presence id='%u' to='u%u@d'/>", i, i % 3);
      world_send (world, alice, xml);
      g_autofree char *answer = world_take (alice);
      g_assert_true ((strstr (answer, "<resource-constraint") != NULL) == (i == 2));
    }
}

static void
test_presence_too_long_reaches_nobody (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  befriend (world, alice, bob);
  g_autofree char *status = g_strnfill (16 * 1024, 's');
  static const char *const forms[] = { "<presence id='1'><status>%s</status></presence>",
                                       "<presence id='1' to='bob@d'><status>%s</status></presence>" };
  for (gsize i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_auto (GStrv) parts = g_strsplit (forms[i], "%s", 2);
      g_autofree char *xml = g_strconcat (parts[0], status, parts[1], NULL);
      world_send (world, alice, xml);
      g_autofree char *answer = world_take (alice);
      g_assert_nonnull (strstr (answer, "<policy-violation"));
      world_expect_nothing (bob);
    }
  g_autofree char *bye
      = g_strconcat ("<presence type='unavailable'><status>", status, "</status></presence>", NULL);
  world_send (world, alice, bye);
  world_expect (bob, "<presence from='alice@d/phone' to='bob@d' type='unavailable'/>");
}

static void
test_presence_priorities_are_read_with_care (void)
{
  static const struct
  {
    const char *xml;
    gint8 priority;
  } rows[] = {
    { "<presence/>", 0 },
    { "<presence><priority>127</priority></presence>", 127 },
    { "<presence><priority> -128 </priority></presence>", -128 },
    { "<presence><priority>128</priority></presence>", 0 },
    { "<presence><priority>high</priority></presence>", 0 },
    { "<presence><priority/></presence>", 0 },
    { "<presence><priority xmlns='x'>5</priority></presence>", 0 },
  };
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone");
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      world_send (world, alice, rows[i].xml);
      g_assert_cmpint (session_get_priority (alice), ==, rows[i].priority);
    }
}

static void
remove_work_done (gpointer data, const GError *error)
{
  g_assert_no_error (error);
}

static gboolean
remove_account_work (Db *db, gpointer data, GError **error)
{
  return db_run (db, error,
                 "INSERT INTO account_removal (room, account, local) SELECT 'im', uuid, local FROM account "
                 "WHERE local = 'alice'",
                 "")
         && db_run (db, error, "DELETE FROM account WHERE local = 'alice'", "");
}

/* As after a crash between the removal's commit and the hooks. */
static void
test_removal_is_taken_up_after_a_restart (void)
{
  g_autoptr (World) world = world_of_two ();
  Session *alice = log_in (world, "alice/phone"), *bob = log_in (world, "bob/desk");
  befriend (world, alice, bob);
  world_end (world, alice);
  world_end (world, bob);
  store_write (world_get_server (world)->store, STORE_MARKET, remove_account_work, remove_work_done, NULL);
  world_settle (world);
  world_restart (world);
  world_settle (world);
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT count(*) FROM roster_item WHERE jid = 'bob@d'"),
                   ==, 0);
  g_assert_cmpint (world_query (world, STORE_CHAT, "SELECT state FROM roster_item WHERE jid = 'alice@d'"), ==,
                   0);
  g_assert_cmpint (
      world_query (world, STORE_MARKET, "SELECT count(*) FROM account_removal WHERE room = 'im'"), ==, 0);

  /* Bob may befriend another alice. */
  world_add_account (world, "alice");
  alice = log_in (world, "alice/phone");
  bob = log_in (world, "bob/desk");
  befriend (world, alice, bob);
  world_send (world, alice, "<presence><show>chat</show></presence>");
  world_expect (bob, "<presence from='alice@d/phone' to='bob@d'><show>chat</show></presence>");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func ("/im/" name, func)
  ADD ("roster/items-are-kept-and-pushed", test_roster_items_are_kept_and_pushed);
  ADD ("roster/bad-sets-are-refused", test_roster_bad_sets_are_refused);
  ADD ("roster/has-a-limit", test_roster_has_a_limit);
  ADD ("roster/versions-bring-what-changed", test_roster_versions_bring_what_changed);
  ADD ("contacts/subscribe-and-see-each-other", test_contacts_subscribe_and_see_each_other);
  ADD ("contacts/a-request-waits-until-it-is-answered", test_contacts_a_request_waits_until_it_is_answered);
  ADD ("contacts/requests-to-one-user-have-a-limit", test_contacts_requests_to_one_user_have_a_limit);
  ADD ("contacts/nobody-is-told-who-exists", test_contacts_nobody_is_told_who_exists);
  ADD ("contacts/an-approval-in-advance-needs-no-answer",
       test_contacts_an_approval_in_advance_needs_no_answer);
  ADD ("contacts/removing-an-item-ends-both-subscriptions",
       test_contacts_removing_an_item_ends_both_subscriptions);
  ADD ("contacts/nothing-is-told-before-the-commit", test_contacts_nothing_is_told_before_the_commit);
  ADD ("presence/reaches-own-resources-and-friends", test_presence_reaches_own_resources_and_friends);
  ADD ("presence/sent-directly-is-taken-back-at-the-end",
       test_presence_sent_directly_is_taken_back_at_the_end);
  ADD ("presence/of-a-friend-ends-once", test_presence_of_a_friend_ends_once);
  ADD ("presence/is-shown-to-so-many-addresses", test_presence_is_shown_to_so_many_addresses);
  ADD ("presence/too-long-reaches-nobody", test_presence_too_long_reaches_nobody);
  ADD ("presence/priorities-are-read-with-care", test_presence_priorities_are_read_with_care);
  ADD ("removal/is-taken-up-after-a-restart", test_removal_is_taken_up_after_a_restart);
#undef ADD
  return g_test_run ();
}
