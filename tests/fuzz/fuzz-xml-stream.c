/* The XML reader, and the stanzas written again from what it reads.
 *
 * The first byte says how the rest is cut into reads; however it is cut,
 * a good stream gives the same elements, and a bad one is refused. The oracle for what goes on to other
 * streams: valid UTF-8, and exactly one element, of the same name and with the same number of children, for a
 * reader that knows nothing of how it came about (plain expat, told that it is UTF-8). */

#include "host-server/wire/xml-reader.h"

#include <expat.h>
#include <stdbool.h>
#include <string.h>

typedef struct
{
  XmlReader *reader;
  guint n_elements;
  bool is_closed;
  gsize n_bytes; /* of all payloads */
  Jid *from;
} Run;

typedef struct
{
  guint depth, n_roots, n_children;
  char name[32];
} Seen;

static void XMLCALL
start_seen (void *data, const XML_Char *name, const XML_Char **attributes)
{
  Seen *seen = data;
  if (seen->depth == 1)
    {
      seen->n_roots++;
      const char *local = strrchr (name, '}');
      g_strlcpy (seen->name, local ? local + 1 : name, sizeof seen->name);
    }
  else if (seen->depth == 2)
    seen->n_children++;
  seen->depth++;
}

static void XMLCALL
end_seen (void *data, const XML_Char *name)
{
  ((Seen *)data)->depth--;
}

static void XMLCALL
refuse_doctype (void *data, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id,
                int has_subset)
{
  g_error ("a document type passed");
}

/* Reads `text` as the receiver's stream would. */
static void
check_written (const GString *text, const char *name, guint n_children)
{
  static const char opening[] = "<stream xmlns='jabber:client'>", closing[] = "</stream>";
  if (!g_utf8_validate_len (text->str, text->len, NULL))
    g_error ("not UTF-8: %s", text->str);
  XML_Parser parser = XML_ParserCreateNS ("UTF-8", '}');
  Seen seen = { 0 };
  XML_SetUserData (parser, &seen);
  XML_SetElementHandler (parser, start_seen, end_seen);
  XML_SetStartDoctypeDeclHandler (parser, refuse_doctype);
  if (XML_Parse (parser, opening, (int)strlen (opening), XML_FALSE) != XML_STATUS_OK
      || XML_Parse (parser, text->str, (int)text->len, XML_FALSE) != XML_STATUS_OK
      || XML_Parse (parser, closing, (int)strlen (closing), XML_TRUE) != XML_STATUS_OK)
    g_error ("not well-formed for the receiver: %s", text->str);
  if (seen.depth != 0 || seen.n_roots != 1 || strcmp (seen.name, name) != 0 || seen.n_children != n_children)
    g_error ("%u elements, the last <%s> with %u children, where one <%s> with %u was written: %s",
             seen.n_roots, seen.name, seen.n_children, name, n_children, text->str);
  XML_ParserFree (parser);
}

/* The stream machine refuses what is no stream of clients. */
static void
opened (const XmlElement *header, gpointer data)
{
  Run *run = data;
  bool is_default_right = false;
  for (guint i = 0; i < header->n_declarations; i++)
    if (header->declarations[i].prefix[0] == '\0')
      is_default_right = strcmp (header->declarations[i].ns, "jabber:client") == 0;
  if (strcmp (header->name, "stream") == 0 && strcmp (header->ns, "http://etherx.jabber.org/streams") == 0
      && is_default_right)
    return;
  run->is_closed = true;
  xml_reader_stop (run->reader);
}

static void
closed (gpointer data)
{
  ((Run *)data)->is_closed = true;
}

static void
element (const XmlElement *element, gpointer data)
{
  Run *run = data;
  run->n_elements++;
  run->n_bytes += element->payload_length;
  for (guint i = 0; i < element->n_children; i++)
    if (element->children[i].start < element->payload
        || element->children[i].start + element->children[i].length
               > element->payload + element->payload_length)
      g_error ("a child lies outside of its payload");
  static const char *const names[] = { "message", "presence", "iq" };
  for (guint kind = STANZA_MESSAGE; kind <= STANZA_IQ; kind++)
    if (strcmp (element->name, names[kind]) == 0 && strcmp (element->ns, "jabber:client") == 0)
      {
        g_autoptr (GString) scratch = g_string_new (NULL);
        g_autoptr (GString) out = g_string_new (NULL);
        Stanza stanza;
        if (!stanza_read (element, kind, run->from, run->from, "en", scratch, &stanza))
          return;
        static const StanzaRoot plain = { 0 }, stored = { .with_xmlns = TRUE, .bare_from = TRUE };
        stanza_write (&stanza, &plain, out);
        check_written (out, element->name, element->n_children);
        g_string_truncate (out, 0);
        stanza_write (&stanza, &stored, out);
        check_written (out, element->name, element->n_children);
        g_autoptr (Stanza) again = stanza_new_from_bytes (out->str, out->len);
        if (!again)
          g_error ("what was stored cannot be read: %s", out->str);
        if (again->n_children != element->n_children || again->payload_length != element->payload_length)
          g_error ("what was stored is read otherwise: %s", out->str);
      }
}

static XmlReaderOutcome
read_all (const char *bytes, gsize length, gsize piece, Run *run)
{
  static const XmlHandler handler = { opened, element, closed };
  static const XmlLimits limits = { .max_bytes = 4096, .max_depth = 16, .max_children = 50 };
  g_autoptr (XmlPool) pool = xml_pool_new ();
  g_autoptr (XmlReader) reader = xml_reader_new (pool, &handler, run);
  xml_reader_set_limits (reader, &limits);
  run->reader = reader;
  XmlReaderOutcome outcome = XML_READER_OK;
  for (gsize at = 0; at < length && outcome == XML_READER_OK && !run->is_closed; at += piece)
    {
      /* A buffer of exactly these bytes, so that reading behind them is seen. */
      gsize size = MIN (piece, length - at), consumed;
      g_autofree char *copy = g_memdup2 (bytes + at, size);
      outcome = xml_reader_feed (reader, copy, size, &consumed);
    }
  return outcome;
}

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  if (size < 2)
    return 0;
  gsize piece = data[0] % 64 + 1;
  const char *bytes = (const char *)data + 1;
  size--;
  Run whole = { .from = jid_new_parts ("romeo", "example.net", "a'&\"b") }, cut = { .from = whole.from };
  XmlReaderOutcome at_once = read_all (bytes, size, size, &whole);
  XmlReaderOutcome in_pieces = read_all (bytes, size, piece, &cut);
  /* What stands behind the end of a stream may be looked at, or not. */
  bool is_whole = at_once == XML_READER_OK && !whole.is_closed;
  bool is_whole_cut = in_pieces == XML_READER_OK && !cut.is_closed;
  if (is_whole != is_whole_cut
      || (is_whole && (whole.n_elements != cut.n_elements || whole.n_bytes != cut.n_bytes)))
    g_error ("read at once: %u elements, %zu bytes, outcome %d; in pieces of %zu: %u elements, %zu bytes, "
             "outcome %d",
             whole.n_elements, whole.n_bytes, at_once, piece, cut.n_elements, cut.n_bytes, in_pieces);
  jid_unref (whole.from);
  return 0;
}
