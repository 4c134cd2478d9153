#include "host-server/wire/xml-reader.h"

#include <string.h>

#define HEADER                                                                                               \
  "<?xml version='1.0'?><stream:stream to='d' xmlns='jabber:client' "                                        \
  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

/* What a reader reported, as text. */
typedef struct
{
  XmlPool *pool;
  XmlReader *reader;
  GString *seen;
  const char *stop_at; /* an element's name */
} Fixture;

static void
on_opened (const XmlElement *header, gpointer data)
{
  Fixture *fixture = data;
  const char *to = xml_element_get_attribute (header, "to");
  g_string_append_printf (fixture->seen, "(%s|%s|%s)", header->prefix, header->ns, to != NULL ? to : "");
}

static void
on_element (const XmlElement *element, gpointer data)
{
  Fixture *fixture = data;
  g_string_append_printf (fixture->seen, "[%s", element->name);
  for (guint i = 0; i < element->n_attributes; i++)
    g_string_append_printf (fixture->seen, " %s=%s", element->attributes[i].name,
                            element->attributes[i].value);
  for (guint i = 0; i < element->n_declarations; i++)
    g_string_append_printf (fixture->seen, " %s:%s", element->declarations[i].prefix,
                            element->declarations[i].ns);
  g_string_append_c (fixture->seen, '|');
  g_string_append_len (fixture->seen, element->payload, (gssize)element->payload_length);
  for (guint i = 0; i < element->n_children; i++)
    {
      const StanzaChild *child = &element->children[i];
      g_string_append_printf (fixture->seen, "|%s %s ", child->name, child->ns);
      g_string_append_len (fixture->seen, child->start, (gssize)child->length);
    }
  g_string_append_c (fixture->seen, ']');
  if (g_strcmp0 (fixture->stop_at, element->name) == 0)
    xml_reader_stop (fixture->reader);
}

static void
on_closed (gpointer data)
{
  Fixture *fixture = data;
  g_string_append (fixture->seen, "!");
}

static const XmlHandler handler = { on_opened, on_element, on_closed };

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->pool = xml_pool_new ();
  fixture->reader = xml_reader_new (fixture->pool, &handler, fixture);
  fixture->seen = g_string_new (NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  xml_reader_free (fixture->reader);
  xml_pool_free (fixture->pool);
  g_string_free (fixture->seen, TRUE);
}

static XmlReaderOutcome
feed (Fixture *fixture, const char *text)
{
  gsize consumed;
  return xml_reader_feed (fixture->reader, text, strlen (text), &consumed);
}

static const char whole[]
    = HEADER "<message to='a@d' id='1'><body>h&amp;i</body><x xmlns='y'><z/></x></message>\n "
             "<presence/><iq type='get' xmlns:p='q'><p:ping "
             "p:a='1'/></iq><message><![CDATA[<body/>]]>\xc3\xa9</message>"
             "</stream:stream>";
static const char whole_seen[] = "(stream|http://etherx.jabber.org/streams|d)"
                                 "[message to=a@d id=1|<body>h&amp;i</body><x xmlns='y'><z/></x>"
                                 "|body jabber:client <body>h&amp;i</body>|x y <x xmlns='y'><z/></x>]"
                                 "[presence|]"
                                 "[iq type=get p:q|<p:ping p:a='1'/>|ping q <p:ping p:a='1'/>]"
                                 "[message|<![CDATA[<body/>]]>\xc3\xa9]!";

static void
test_reader_gives_raw_slices (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (feed (fixture, whole), ==, XML_READER_OK);
  g_assert_cmpstr (fixture->seen->str, ==, whole_seen);
}

static void
test_reader_sees_the_same_at_every_cut (Fixture *fixture, gconstpointer data)
{
  gsize consumed;
  for (gsize cut = 1; cut < sizeof whole - 1; cut++)
    {
      g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
      g_string_truncate (fixture->seen, 0);
      g_assert_cmpint (xml_reader_feed (reader, whole, cut, &consumed), ==, XML_READER_OK);
      g_assert_cmpint (xml_reader_feed (reader, whole + cut, sizeof whole - 1 - cut, &consumed), ==,
                       XML_READER_OK);
      g_assert_cmpstr (fixture->seen->str, ==, whole_seen);
    }
  /* Nothing that ended is held back: each element is reported with its last byte. */
  g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
  g_string_truncate (fixture->seen, 0);
  for (gsize i = 0; i < sizeof whole - 1; i++)
    {
      gsize before = fixture->seen->len;
      char byte = whole[i];
      g_assert_cmpint (xml_reader_feed (reader, &byte, 1, &consumed), ==, XML_READER_OK);
      if (fixture->seen->len > before)
        {
          g_assert_cmpint (byte, ==, '>');
          g_assert_cmpuint (xml_reader_get_held (reader), ==, 0);
        }
    }
  g_assert_cmpstr (fixture->seen->str, ==, whole_seen);
}

static void
test_reader_streams_take_turns_on_one_parser (Fixture *fixture, gconstpointer data)
{
  g_autoptr (XmlReader) other = xml_reader_new (fixture->pool, &handler, fixture);
  gsize consumed;
  feed (fixture, HEADER);
  xml_reader_feed (other, HEADER, strlen (HEADER), &consumed);
  g_string_truncate (fixture->seen, 0);
  feed (fixture, "<message><bo");
  xml_reader_feed (other, "<presence><c/></presence>", 25, &consumed);
  feed (fixture, "dy/></message>");
  xml_reader_feed (other, "</stream:stream>", 16, &consumed);
  feed (fixture, "<a/>");
  g_assert_cmpstr (fixture->seen->str, ==,
                   "[presence|<c/>|c jabber:client <c/>][message|<body/>|body jabber:client <body/>]![a|]");
}

static const struct
{
  const char *name;
  const char *bytes;
  gsize length;
  XmlReaderOutcome outcome;
} refused[] = {
#define ROW(name, bytes, outcome)                                                                            \
  {                                                                                                          \
    name, bytes, sizeof (bytes) - 1, outcome                                                                 \
  }
  ROW ("utf-16 little endian", "<\0s\0t\0r\0", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("utf-16 big endian", "\0<\0s\0t\0r", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("utf-16 mark", "\xff\xfe<\0", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("utf-16 mark, big", "\xfe\xff\0<", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("utf-8 mark", "\xef\xbb\xbf<a>", XML_READER_NOT_WELL_FORMED),
  ROW ("declared latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><a>", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("declared utf-16", "<?xml version='1.0' encoding='UTF-16'?><a>", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("doctype", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;", XML_READER_RESTRICTED_XML),
  ROW ("bare doctype", "<!DOCTYPE a><a>", XML_READER_RESTRICTED_XML),
  ROW ("comment", HEADER "<!-- c -->", XML_READER_RESTRICTED_XML),
  ROW ("comment before", "<!-- c -->" HEADER, XML_READER_RESTRICTED_XML),
  ROW ("instruction", HEADER "<?php ?>", XML_READER_RESTRICTED_XML),
  ROW ("comment in a stanza", HEADER "<a><b><!-- c --></b></a>", XML_READER_RESTRICTED_XML),
  ROW ("entity", HEADER "<a>&nbsp;</a>", XML_READER_RESTRICTED_XML),
  ROW ("entity in an attribute", HEADER "<a b='&nbsp;'/>", XML_READER_RESTRICTED_XML),
  ROW ("nul reference", HEADER "<a>&#0;</a>", XML_READER_NOT_WELL_FORMED),
  ROW ("control reference", HEADER "<a>&#1;</a>", XML_READER_NOT_WELL_FORMED),
  ROW ("nul", HEADER "<a>\0</a>", XML_READER_UNSUPPORTED_ENCODING),
  ROW ("unbound prefix", HEADER "<p:a/>", XML_READER_NOT_WELL_FORMED),
  ROW ("unbound attribute prefix", HEADER "<a p:b='c'/>", XML_READER_NOT_WELL_FORMED),
  ROW ("namespace that is no uri", HEADER "<a xmlns='}rn:x'/>", XML_READER_NOT_WELL_FORMED),
  ROW ("such a namespace inside", HEADER "<a><b xmlns:c='urn:x y'/></a>", XML_READER_NOT_WELL_FORMED),
  ROW ("mismatch", HEADER "<a></b>", XML_READER_NOT_WELL_FORMED),
  ROW ("twice the same attribute", HEADER "<a b='1' b='2'/>", XML_READER_NOT_WELL_FORMED),
  ROW ("overlong utf-8", HEADER "<a>\xc0\xaf</a>", XML_READER_NOT_WELL_FORMED),
  ROW ("surrogate in utf-8", HEADER "<a>\xed\xa0\x80</a>", XML_READER_NOT_WELL_FORMED),
  ROW ("not utf-8", HEADER "<a>\xff</a>", XML_READER_NOT_WELL_FORMED),
  ROW ("text between", HEADER "text<a/>", XML_READER_BAD_FORMAT),
  ROW ("cdata between", HEADER "<![CDATA[x]]>", XML_READER_BAD_FORMAT),
  ROW ("second declaration", HEADER "<?xml version='1.0'?>", XML_READER_NOT_WELL_FORMED),
#undef ROW
};

static void
test_reader_refuses_at_every_cut (Fixture *fixture, gconstpointer data)
{
  gsize consumed;
  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    for (gsize cut = 0; cut < refused[i].length; cut++)
      {
        g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
        g_test_message ("%s, cut at %zu", refused[i].name, cut);
        XmlReaderOutcome outcome = xml_reader_feed (reader, refused[i].bytes, cut, &consumed);
        if (outcome == XML_READER_OK)
          outcome = xml_reader_feed (reader, refused[i].bytes + cut, refused[i].length - cut, &consumed);
        /* A NUL behind a header that was read before is no encoding any more, just not XML. */
        if (outcome != refused[i].outcome && g_str_equal (refused[i].name, "nul"))
          g_assert_cmpint (outcome, ==, XML_READER_NOT_WELL_FORMED);
        else
          g_assert_cmpint (outcome, ==, refused[i].outcome);
        g_assert_cmpint (xml_reader_feed (reader, "<a/>", 4, &consumed), !=, XML_READER_OK);
      }
}

static void
test_reader_smuggled_utf16_never_gets_in (Fixture *fixture, gconstpointer data)
{
  /* U+2F3C is "</" in little endian: parsed as one character, forwarded as the end of an element. */
  static const char text[] = "<\0a\0>\0\x3c\x2f"
                             "b\0o\0d\0y\0>\0";
  gsize consumed;
  for (gsize cut = 0; cut < sizeof text - 1; cut++)
    {
      g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
      xml_reader_feed (reader, text, cut, &consumed);
      g_assert_cmpint (xml_reader_feed (reader, text + cut, sizeof text - 1 - cut, &consumed), ==,
                       XML_READER_UNSUPPORTED_ENCODING);
    }
  g_assert_cmpstr (fixture->seen->str, ==, "");
}

static void
test_reader_limits_depth_children_and_bytes (Fixture *fixture, gconstpointer data)
{
  static const XmlLimits limits = { 200, 4, 3 };
  static const struct
  {
    const char *stanza;
    XmlReaderOutcome outcome;
  } rows[] = {
    { "<a><b><c><d/></c></b></a>", XML_READER_OK },
    { "<a><b><c><d><e/></d></c></b></a>", XML_READER_TOO_LARGE },
    { "<a><b/><b/><b/></a>", XML_READER_OK },
    { "<a><b/><b/><b/><b/></a>", XML_READER_TOO_LARGE },
    { "<a><b><c/><c/><c/></b><b><c/><c/><c/></b></a>", XML_READER_OK },
    { "<a><b><c/><c/><c/><c/></b></a>", XML_READER_TOO_LARGE },
  };
  gsize consumed;
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
      xml_reader_set_limits (reader, &limits);
      xml_reader_feed (reader, HEADER, strlen (HEADER), &consumed);
      g_assert_cmpint (xml_reader_feed (reader, rows[i].stanza, strlen (rows[i].stanza), &consumed), ==,
                       rows[i].outcome);
    }
  for (gsize length = 190; length < 210; length++)
    for (gsize cut = 1; cut <= length; cut += 50)
      {
        g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
        g_autofree char *filler = g_strnfill (length - 7, 'x');
        g_autofree char *stanza = g_strdup_printf ("<a>%s</a>", filler);
        xml_reader_set_limits (reader, &limits);
        xml_reader_feed (reader, HEADER, strlen (HEADER), &consumed);
        XmlReaderOutcome outcome = xml_reader_feed (reader, stanza, cut, &consumed);
        if (outcome == XML_READER_OK)
          outcome = xml_reader_feed (reader, stanza + cut, length - cut, &consumed);
        g_assert_cmpint (outcome, ==, length > 200 ? XML_READER_TOO_LARGE : XML_READER_OK);
      }
  /* Namespaces: many, or a long one. */
  for (guint n = 64; n <= 65; n++)
    {
      g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
      g_autoptr (GString) stanza = g_string_new (HEADER "<a");
      for (guint i = 0; i < n; i++)
        g_string_append_printf (stanza, " xmlns:p%u='x'", i);
      g_string_append (stanza, "/>");
      g_assert_cmpint (xml_reader_feed (reader, stanza->str, stanza->len, &consumed), ==,
                       n > 64 ? XML_READER_TOO_LARGE : XML_READER_OK);
    }
  g_autoptr (XmlReader) long_namespace = xml_reader_new (fixture->pool, &handler, fixture);
  g_autofree char *letters = g_strnfill (1001, 'n');
  g_autofree char *nested = g_strdup_printf (HEADER "<a><b><c xmlns='%s'/></b></a>", letters);
  g_assert_cmpint (xml_reader_feed (long_namespace, nested, strlen (nested), &consumed), ==,
                   XML_READER_TOO_LARGE);

  /* Endless attributes, and an endless name, in one start tag. */
  xml_reader_set_limits (fixture->reader, &limits);
  feed (fixture, HEADER "<a b='");
  XmlReaderOutcome outcome = XML_READER_OK;
  gsize fed = 0;
  while (outcome == XML_READER_OK && fed < 100000)
    {
      outcome = feed (fixture, "yyyyyyyyyyyyyyyyyyyy");
      fed += 20;
    }
  g_assert_cmpint (outcome, ==, XML_READER_TOO_LARGE);
  g_assert_cmpuint (fed, <=, 220);
}

/* Feeds a long start tag byte by byte, and returns how it ended. */
static XmlReaderOutcome
drip (Fixture *fixture, const char *filler, gsize n_fillers)
{
  g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
  XmlReaderOutcome outcome = XML_READER_OK;
  gsize consumed;
  xml_reader_feed (reader, HEADER "<a b='", strlen (HEADER "<a b='"), &consumed);
  for (gsize i = 0; i < n_fillers && outcome == XML_READER_OK; i++)
    outcome = xml_reader_feed (reader, filler, strlen (filler), &consumed);
  if (outcome == XML_READER_OK)
    outcome = xml_reader_feed (reader, "'><c/></a>", 10, &consumed);
  return outcome;
}

static void
test_reader_drip_does_not_cost_the_square (Fixture *fixture, gconstpointer data)
{
  static const XmlLimits limits = { 256 * 1024, 64, 1000 };
  GTimer *timer = g_timer_new ();

  /* Nothing in it can end the tag: it waits, and is read once. */
  g_assert_cmpint (drip (fixture, "x", 250000), ==, XML_READER_OK);
  g_assert_true (g_str_has_suffix (fixture->seen->str, "xxx|<c/>|c jabber:client <c/>]"));
  /* Every byte could end it: some patience, and no more. */
  g_assert_cmpint (drip (fixture, ">", 250000), ==, XML_READER_TOO_LARGE);
  g_assert_cmpint (drip (fixture, "&gt;", 60000), ==, XML_READER_TOO_LARGE);
  g_assert_cmpint (drip (fixture, ">", 2000), ==, XML_READER_OK);
  /* It would be half a minute of the processor otherwise. */
  g_assert_cmpfloat (g_timer_elapsed (timer, NULL), <, 10);
  g_timer_destroy (timer);

  /* What waits counts for the size. */
  gsize consumed;
  XmlReaderOutcome outcome = XML_READER_OK;
  xml_reader_set_limits (fixture->reader, &limits);
  feed (fixture, HEADER "<a b='");
  gsize n = 0;
  while (outcome == XML_READER_OK && n++ < 300000)
    outcome = xml_reader_feed (fixture->reader, "x", 1, &consumed);
  g_assert_cmpint (outcome, ==, XML_READER_TOO_LARGE);
  g_assert_cmpuint (n, <=, 256 * 1024);
}

static void
test_reader_limits_the_header (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) header = g_string_new ("<stream:stream xmlns='jabber:client' "
                                             "xmlns:stream='http://etherx.jabber.org/streams'");
  gsize consumed;
  for (int i = 0; i < 20; i++)
    g_string_append_printf (header, " xmlns:p%d='x'", i);
  g_string_append_c (header, '>');
  g_assert_cmpint (feed (fixture, header->str), ==, XML_READER_TOO_LARGE);

  g_autoptr (XmlReader) reader = xml_reader_new (fixture->pool, &handler, fixture);
  g_autofree char *spaces = g_strnfill (100000, ' ');
  g_assert_cmpint (xml_reader_feed (reader, spaces, 100000, &consumed), ==, XML_READER_TOO_LARGE);
}

static void
test_reader_stream_prefixes_go_along (Fixture *fixture, gconstpointer data)
{
  feed (fixture, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                 "xmlns:p='urn:p' xmlns:q='urn:q'>");
  g_string_truncate (fixture->seen, 0);
  feed (fixture, "<a/>");
  feed (fixture, "<a><b><c q:d=''/></b></a>");
  feed (fixture, "<a><p:b/><p:c/></a>");
  feed (fixture, "<p:a xmlns:q='other'><q:b/></p:a>");
  feed (fixture, "<a stream:b='1'/>");
  g_assert_cmpstr (fixture->seen->str, ==,
                   "[a|]"
                   "[a q:urn:q|<b><c q:d=''/></b>|b jabber:client <b><c q:d=''/></b>]"
                   "[a p:urn:p|<p:b/><p:c/>|b urn:p <p:b/>|c urn:p <p:c/>]"
                   "[a q:other p:urn:p|<q:b/>|b other <q:b/>]"
                   "[a b=1 stream:http://etherx.jabber.org/streams|]");
}

static void
test_reader_stops_behind_the_element (Fixture *fixture, gconstpointer data)
{
  gsize consumed;
  feed (fixture, HEADER);
  g_string_truncate (fixture->seen, 0);
  fixture->stop_at = "b";
  static const char text[] = "<a/><b/>\0not xml at all";
  g_assert_cmpint (xml_reader_feed (fixture->reader, text, sizeof text - 1, &consumed), ==, XML_READER_OK);
  g_assert_cmpuint (consumed, ==, 8);
  g_assert_cmpint (xml_reader_feed (fixture->reader, "<c/><d", 6, &consumed), ==, XML_READER_OK);
  g_assert_cmpint (xml_reader_feed (fixture->reader, "/><b/><e/>", 10, &consumed), ==, XML_READER_OK);
  g_assert_cmpuint (consumed, ==, 6);
  g_assert_cmpstr (fixture->seen->str, ==, "[a|][b|][c|][d|][b|]");

  /* A new stream throws everything away. */
  xml_reader_restart (fixture->reader);
  g_assert_false (xml_reader_is_open (fixture->reader));
  g_assert_cmpint (feed (fixture, "<a/>"), ==, XML_READER_OK);
  xml_reader_restart (fixture->reader);
  g_assert_cmpint (feed (fixture, "<\0"), ==, XML_READER_OK);
  g_assert_cmpint (xml_reader_feed (fixture->reader, "\0", 1, &consumed), ==,
                   XML_READER_UNSUPPORTED_ENCODING);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/xml-reader/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("slices", test_reader_gives_raw_slices);
  ADD ("cuts", test_reader_sees_the_same_at_every_cut);
  ADD ("turns", test_reader_streams_take_turns_on_one_parser);
  ADD ("refused", test_reader_refuses_at_every_cut);
  ADD ("smuggled", test_reader_smuggled_utf16_never_gets_in);
  ADD ("limits", test_reader_limits_depth_children_and_bytes);
  ADD ("drip", test_reader_drip_does_not_cost_the_square);
  ADD ("header-limits", test_reader_limits_the_header);
  ADD ("prefixes", test_reader_stream_prefixes_go_along);
  ADD ("stop", test_reader_stops_behind_the_element);
  return g_test_run ();
}
