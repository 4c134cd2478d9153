#include "host-client/core/stanza.h"

#include <string.h>

typedef struct
{
  xmpp_ctx_t *ctx;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  xmpp_initialize ();
  f->ctx = xmpp_ctx_new (NULL, NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  xmpp_ctx_free (f->ctx);
}

static xmpp_stanza_t *
parse (Fixture *f, const char *xml)
{
  xmpp_stanza_t *stanza = xmpp_stanza_new_from_string (f->ctx, xml);
  g_assert_nonnull (stanza);
  return stanza;
}

static void
test_message_survives_writing_and_reading (Fixture *f, gconstpointer data)
{
  const char *body = "a <b> & 'c' \"d\"\n\te";
  g_autofree char *xml = message_write ("bob@d/'x'", "id-1", body, G_GINT64_CONSTANT (1700000000000000));
  g_autoptr (GString) received = g_string_new (xml);
  g_string_replace (received, "<message ", "<message from='alice@d/y' ", 1);
  xmpp_stanza_t *stanza = parse (f, received->str);
  g_assert_cmpstr (xmpp_stanza_get_to (stanza), ==, "bob@d/'x'");
  g_autoptr (Message) message = message_read (stanza);
  g_assert_cmpstr (message->from, ==, "alice@d/y");
  g_assert_cmpstr (message->id, ==, "id-1");
  g_assert_cmpstr (message->origin, ==, "id-1");
  g_assert_cmpstr (message->body, ==, body);
  g_assert_cmpint (message->stamp_us, ==, G_GINT64_CONSTANT (1700000000000000));
  g_assert_null (message->error);
  xmpp_stanza_release (stanza);
}

static void
test_message_with_nothing_to_show_is_none (Fixture *f, gconstpointer data)
{
  g_autofree char *long_body = g_strnfill (MESSAGE_BODY_MAX + 1, 'x');
  g_autofree char *too_long = g_strdup_printf ("<message from='a@d'><body>%s</body></message>", long_body);
  const char *rows[]
      = { "<message from='a@d'/>", "<message><body>no sender</body></message>",
          "<message from='a@d'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
          too_long };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      xmpp_stanza_t *stanza = parse (f, rows[i]);
      g_assert_null (message_read (stanza));
      xmpp_stanza_release (stanza);
    }
}

static void
test_error_is_read_with_its_application_condition (Fixture *f, gconstpointer data)
{
  xmpp_stanza_t *stanza = parse (f, "<iq type='error' id='1' from='market.d'><error type='wait'>"
                                    "<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                                    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>none left</text>"
                                    "<out-of-stock xmlns='urn:stoa:market:1'/></error></iq>");
  g_autoptr (StanzaError) error = stanza_error_read (stanza);
  g_assert_cmpstr (error->type, ==, "wait");
  g_assert_cmpstr (error->condition, ==, "resource-constraint");
  g_assert_cmpstr (error->text, ==, "none left");
  g_assert_cmpstr (error->application, ==, "out-of-stock");
  xmpp_stanza_release (stanza);
}

static void
test_error_without_content_is_still_an_error (Fixture *f, gconstpointer data)
{
  xmpp_stanza_t *stanza = parse (f, "<message type='error' from='bob@d' id='7'/>");
  g_autoptr (Message) message = message_read (stanza);
  g_assert_nonnull (message->error);
  g_assert_cmpstr (message->error->condition, ==, "undefined-condition");
  xmpp_stanza_release (stanza);
}

static void
test_presence_of_every_kind (Fixture *f, gconstpointer data)
{
  const struct
  {
    const char *xml;
    PresenceKind kind;
    int priority;
  } rows[] = { { "<presence from='a@d/x'><priority>-5</priority><show>away</show></presence>",
                 PRESENCE_AVAILABLE, -5 },
               { "<presence from='a@d/x'><priority>1000</priority></presence>", PRESENCE_AVAILABLE, 0 },
               { "<presence from='a@d/x' type='unavailable'/>", PRESENCE_UNAVAILABLE, 0 },
               { "<presence from='a@d' type='subscribe'/>", PRESENCE_SUBSCRIBE, 0 },
               { "<presence from='a@d' type='unsubscribed'/>", PRESENCE_UNSUBSCRIBED, 0 } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      xmpp_stanza_t *stanza = parse (f, rows[i].xml);
      g_autoptr (Presence) presence = presence_read (stanza);
      g_assert_nonnull (presence);
      g_assert_cmpint (presence->kind, ==, rows[i].kind);
      g_assert_cmpint (presence->priority, ==, rows[i].priority);
      xmpp_stanza_release (stanza);
    }
  xmpp_stanza_t *odd = parse (f, "<presence from='a@d' type='dancing'/>");
  g_assert_null (presence_read (odd));
  xmpp_stanza_release (odd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/client/stanza/" #name, Fixture, NULL, set_up, test_##name, tear_down)
  ADD (message_survives_writing_and_reading);
  ADD (message_with_nothing_to_show_is_none);
  ADD (error_is_read_with_its_application_condition);
  ADD (error_without_content_is_still_an_error);
  ADD (presence_of_every_kind);
  return g_test_run ();
}
