#include "host-server/wire/stanza.h"

#include <string.h>

/* Reads a stanza and writes it under a new root. NULL if it was refused. */
static char *
rewrite (const char *bytes, const StanzaRoot *root)
{
  g_autoptr (Stanza) stanza = stanza_new_from_bytes (bytes, strlen (bytes));
  if (stanza == NULL)
    return NULL;
  g_autoptr (Stanza) copy = stanza_copy (stanza);
  GString *out = g_string_new (NULL);
  stanza_write (copy, root, out);
  return g_string_free (out, FALSE);
}

static const struct
{
  const char *in;
  const char *out; /* NULL: refused */
} rewrites[] = {
  { "<message to='a@d'><body>x</body></message>", "<message to='a@d'><body>x</body></message>" },
  { "<message xmlns='jabber:client' id=\"it's\"/>", "<message id='it&apos;s'/>" },
  { "<presence></presence>", "<presence/>" },
  { "<message id='&#9;&#10;&#13;&lt;&amp;\"'/>", "<message id='&#9;&#10;&#13;&lt;&amp;&quot;'/>" },
  { "<message a='1\n2' b='&#10;'/>", "<message a='1 2' b='&#10;'/>" },
  { "<message xml:lang='de'><body xml:lang='fr'/></message>",
    "<message xml:lang='de'><body xml:lang='fr'/></message>" },
  { "<message xmlns:p='urn:p' p:a='1' a='2'><p:x/></message>",
    "<message p:a='1' a='2' xmlns:p='urn:p'><p:x/></message>" },
  { "<c:message xmlns:c='jabber:client'><c:body/></c:message>",
    "<message xmlns:c='jabber:client'><c:body/></message>" },
  { "<message><body><![CDATA[</body>]]>&#x41;&gt;</body></message>",
    "<message><body><![CDATA[</body>]]>&#x41;&gt;</body></message>" },
  { "<message type='strange'/>", "<message type='normal'/>" },
  { "<presence type='subscribe'/>", "<presence type='subscribe'/>" },
  { "<message id='\xc3\xa9'/>", "<message id='\xc3\xa9'/>" },
  { "<message to='A@D/R'/>", "<message to='a@d/R'/>" },
  { "<message from='a@d/&lt;&apos;&gt;'/>", "<message from='a@d/&lt;&apos;&gt;'/>" },
  { "<presence type='strange'/>", NULL },
  { "<presence type='get'/>", NULL },
  { "<iq id='1'/>", NULL },
  { "<iq type='get'/>", NULL },
  { "<iq type='chat' id='1'/>", NULL },
  { "<other/>", NULL },
  { "<message xmlns='other'/>", NULL },
  { "<message to='@'/>", NULL },
  { "<message/><message/>", NULL },
  { "<message>", NULL },
  { "<message/>x", NULL },
  { "<message/></stream:stream>", NULL },
  { "", NULL },
};

static void
test_stanza_is_written_as_it_was_read (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rewrites); i++)
    {
      g_autofree char *out = rewrite (rewrites[i].in, NULL);
      g_assert_cmpstr (out, ==, rewrites[i].out);
      if (out == NULL)
        continue;
      g_autofree char *again = rewrite (out, NULL);
      g_assert_cmpstr (again, ==, out);
    }
}

static void
test_stanza_root_can_be_changed (void)
{
  static const char text[] = "<message from='a@d/r' to='b@d'><body>x</body></message>";
  g_autoptr (Jid) to = jid_new ("c@d/s", 5);
  g_autoptr (Jid) from = jid_new ("e@d/t", 5);
  g_autofree char *bare = rewrite (text, &(StanzaRoot){ .bare_from = TRUE });
  g_assert_cmpstr (bare, ==, "<message from='a@d' to='b@d'><body>x</body></message>");
  g_autofree char *both = rewrite (text, &(StanzaRoot){ .from = from, .to = to });
  g_assert_cmpstr (both, ==, "<message from='e@d/t' to='c@d/s'><body>x</body></message>");
  g_autofree char *stored
      = rewrite (text, &(StanzaRoot){ .with_xmlns = TRUE, .append = "<delay xmlns='urn:x'/>" });
  g_assert_cmpstr (
      stored, ==,
      "<message xmlns='jabber:client' from='a@d/r' to='b@d'><body>x</body><delay xmlns='urn:x'/></message>");
  g_autofree char *appended = rewrite ("<presence/>", &(StanzaRoot){ .append = "<x/>" });
  g_assert_cmpstr (appended, ==, "<presence><x/></presence>");
}

static void
test_stanza_children_are_found_and_read (void)
{
  static const char text[]
      = "<presence><priority> &#53; </priority><p:status xmlns:p='jabber:client'>a<![CDATA[<b>]]></p:status>"
        "<c xmlns='urn:c'><d/></c><status>second</status></presence>";
  g_autoptr (Stanza) stanza = stanza_new_from_bytes (text, strlen (text));
  g_assert_nonnull (stanza);
  g_assert_cmpuint (stanza->n_children, ==, 4);
  g_autofree char *priority = stanza_dup_child_text (stanza, "priority", "jabber:client");
  g_assert_cmpstr (priority, ==, " 5 ");
  g_autofree char *status = stanza_dup_child_text (stanza, "status", "jabber:client");
  g_assert_cmpstr (status, ==, "a<b>");
  g_assert_null (stanza_dup_child_text (stanza, "c", "urn:c"));
  g_assert_null (stanza_dup_child_text (stanza, "c", "jabber:client"));
  const StanzaChild *child = stanza_find_child (stanza, "c", "urn:c");
  g_assert_cmpmem (child->start, child->length, "<c xmlns='urn:c'><d/></c>", 25);
}

static char *
refuse (const char *bytes, StanzaError error, const char *text, const char *application)
{
  g_autoptr (Stanza) stanza = stanza_new_from_bytes (bytes, strlen (bytes));
  GString *out = g_string_new (NULL);
  stanza_write_error (stanza, error, text, application, out);
  return g_string_free (out, FALSE);
}

static void
test_stanza_error_goes_back_to_the_sender (void)
{
  g_autofree char *plain = refuse ("<iq type='get' id='1' from='a@d/r' to='b@d'/>",
                                   STANZA_ERROR_SERVICE_UNAVAILABLE, NULL, NULL);
  g_assert_cmpstr (plain, ==,
                   "<iq from='b@d' to='a@d/r' type='error' id='1'><error type='cancel'>"
                   "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
  g_autofree char *full
      = refuse ("<message from='a@d/r'/>", STANZA_ERROR_CONFLICT, "a < b", "<x xmlns='y'/>");
  g_assert_cmpstr (full, ==,
                   "<message to='a@d/r' type='error'><error type='cancel'>"
                   "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                   "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a &lt; b</text>"
                   "<x xmlns='y'/></error></message>");
}

static void
test_stanza_error_is_never_answered (void)
{
  static const char *const silent[] = { "<iq type='result' id='1'/>", "<iq type='error' id='1'/>",
                                        "<message type='error'/>", "<presence type='error'/>" };
  for (gsize i = 0; i < G_N_ELEMENTS (silent); i++)
    {
      g_autofree char *out = refuse (silent[i], STANZA_ERROR_BAD_REQUEST, NULL, NULL);
      g_assert_cmpstr (out, ==, "");
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stanza/rewrite", test_stanza_is_written_as_it_was_read);
  g_test_add_func ("/stanza/root", test_stanza_root_can_be_changed);
  g_test_add_func ("/stanza/children", test_stanza_children_are_found_and_read);
  g_test_add_func ("/stanza/error", test_stanza_error_goes_back_to_the_sender);
  g_test_add_func ("/stanza/silent", test_stanza_error_is_never_answered);
  return g_test_run ();
}
