/* Expat, as it must be driven
 *
 * It guesses UTF-16 from the first bytes even when made for "UTF-8". Slices of such a stream would leave here
 * as other text than was parsed, so until a header is read, a NUL, 0xFE, 0xFF or a byte order mark refuses
 * the stream; a declaration of another encoding does too. A primed parser has seen its first bytes.
 *
 * 2.5.0 as packaged defers parsing when an unfinished token grows slowly, and then reports elements late:
 * off.
 *
 * Positions are byte indexes since the parser was made; in the end handler index + count is the end of the
 * element, for <a/> as well.
 *
 * Names it has seen stay in its tables, so a parser is thrown away after some megabytes. */
#include "host-server/wire/xml-reader-private.h"

#include <string.h>

#define SEPARATOR        '\x01' /* cannot stand in XML */
#define MAX_NS           1000
#define MAX_DECLARATIONS 64    /* of namespaces, by one top-level element */
#define MAX_PREFIXES     16    /* that a stream header may declare */
#define BLANK_BYTES      65536 /* one that has read more is not used for another header */
#define ARENA_BLOCK      2048

static char *
arena_reserve (Arena *arena, gsize size)
{
  if (arena->used + size <= ARENA_BLOCK)
    {
      char *at = arena->block + arena->used;
      arena->used += size;
      return at;
    }
  char *at = g_malloc (size);
  g_ptr_array_add (arena->large, at);
  return at;
}

static char *
arena_copy (Arena *arena, const char *text, gsize length)
{
  char *copy = arena_reserve (arena, length + 1);
  memcpy (copy, text, length);
  copy[length] = '\0';
  return copy;
}

static void
arena_reset (Arena *arena)
{
  arena->used = 0;
  if (arena->large->len > 0)
    g_ptr_array_set_size (arena->large, 0);
}

/* Splits expat's "namespace SEP name SEP prefix" into copies. */
static void
split_name (Arena *arena, const char *name, const char **ns, const char **local, const char **prefix)
{
  gsize length = strlen (name);
  char *copy = arena_copy (arena, name, length);
  char *first = memchr (copy, SEPARATOR, length);
  *ns = *prefix = "";
  *local = copy;
  if (first == NULL)
    return;
  *first = '\0';
  *ns = copy;
  *local = first + 1;
  char *second = strchr (first + 1, SEPARATOR);
  if (second == NULL)
    return;
  *second = '\0';
  *prefix = second + 1;
}

static gint64
current_index (XmlParser *parser)
{
  return XML_GetCurrentByteIndex (parser->expat);
}

static gint64
current_end (XmlParser *parser)
{
  return XML_GetCurrentByteIndex (parser->expat) + XML_GetCurrentByteCount (parser->expat);
}

static void
refuse (XmlParser *parser, XmlReaderOutcome outcome)
{
  if (parser->reader->outcome == XML_READER_OK)
    parser->reader->outcome = outcome;
  XML_StopParser (parser->expat, XML_FALSE);
}

/* The element uses a prefix that only the stream's header declares: it must go along. */
static void
note_prefix (XmlParser *parser, const char *prefix)
{
  const char *ns = NULL;
  if (g_str_equal (prefix, "stream"))
    ns = STREAM_NS;
  for (guint i = 0; ns == NULL && i + 1 < parser->reader->prefixes->len; i += 2)
    if (g_str_equal (parser->reader->prefixes->pdata[i], prefix))
      ns = parser->reader->prefixes->pdata[i + 1];
  if (ns == NULL)
    return;
  for (guint i = 0; i < parser->declarations->len; i++)
    if (g_str_equal (g_array_index (parser->declarations, XmlDeclaration, i).prefix, prefix))
      return;
  XmlDeclaration declaration = { arena_copy (&parser->arena, prefix, strlen (prefix)),
                                 arena_copy (&parser->arena, ns, strlen (ns)) };
  g_array_append_val (parser->declarations, declaration);
}

static void
note_name (XmlParser *parser, const char *name)
{
  const char *first = strchr (name, SEPARATOR);
  const char *second = first != NULL ? strchr (first + 1, SEPARATOR) : NULL;
  if (second != NULL)
    note_prefix (parser, second + 1);
}

static void
read_root (XmlParser *parser, const char *name, const char **attributes)
{
  XmlElement *element = &parser->element;
  split_name (&parser->arena, name, &element->ns, &element->name, &element->prefix);
  for (; *attributes != NULL; attributes += 2)
    {
      XmlAttribute attribute;
      split_name (&parser->arena, attributes[0], &attribute.ns, &attribute.name, &attribute.prefix);
      attribute.value = arena_copy (&parser->arena, attributes[1], strlen (attributes[1]));
      g_array_append_val (parser->attributes, attribute);
      if (attribute.prefix[0] != '\0' && parser->depth > 0)
        note_prefix (parser, attribute.prefix);
    }
  if (element->prefix[0] != '\0' && parser->depth > 0)
    note_prefix (parser, element->prefix);
}

static void
finish_root (XmlParser *parser)
{
  XmlElement *element = &parser->element;
  element->attributes = (const XmlAttribute *)(void *)parser->attributes->data;
  element->n_attributes = parser->attributes->len;
  element->declarations = (const XmlDeclaration *)(void *)parser->declarations->data;
  element->n_declarations = parser->declarations->len;
  element->children = (const StanzaChild *)(void *)parser->children->data;
  element->n_children = parser->children->len;
}

static void
forget_element (XmlParser *parser)
{
  arena_reset (&parser->arena);
  g_array_set_size (parser->attributes, 0);
  g_array_set_size (parser->declarations, 0);
  g_array_set_size (parser->children, 0);
}

/* Remembers what the header declared, as far as elements may lean on it. */
static gboolean
keep_header (XmlParser *parser)
{
  XmlReader *reader = parser->reader;
  const XmlElement *header = &parser->element;
  g_autoptr (GString) text = NULL;

  parser->is_usual = TRUE;
  if (header->n_declarations > MAX_PREFIXES)
    return FALSE;
  text = g_string_new ("<stream:stream");
  for (guint i = 0; i < header->n_declarations; i++)
    {
      const XmlDeclaration *declaration = &header->declarations[i];
      gboolean is_default = declaration->prefix[0] == '\0';
      if (is_default ? !g_str_equal (declaration->ns, "jabber:client")
                     : !g_str_equal (declaration->prefix, "stream"))
        parser->is_usual = FALSE;
      g_string_append_printf (text, " xmlns%s%s='", is_default ? "" : ":", declaration->prefix);
      g_autofree char *ns = g_markup_escape_text (declaration->ns, -1);
      g_string_append_printf (text, "%s'", ns);
      if (!is_default && !g_str_equal (declaration->prefix, "stream"))
        {
          g_ptr_array_add (reader->prefixes, g_strdup (declaration->prefix));
          g_ptr_array_add (reader->prefixes, g_strdup (declaration->ns));
        }
    }
  /* Without jabber:client as the default, or under another prefix, no stream goes on: the machine refuses it.
   */
  if (header->n_declarations != 2)
    parser->is_usual = FALSE;
  g_string_append_c (text, '>');
  if (!parser->is_usual)
    reader->header = g_string_free (g_steal_pointer (&text), FALSE);
  return TRUE;
}

static void on_text (void *data, const char *text, int length);

static void
open_stream (XmlParser *parser, const char *name, const char **attributes)
{
  XmlReader *reader = parser->reader;
  read_root (parser, name, attributes);
  finish_root (parser);
  parser->element.payload = "";
  parser->element.payload_length = 0;
  parser->depth = 1;
  reader->boundary = current_end (parser);
  if (!keep_header (parser))
    {
      refuse (parser, XML_READER_TOO_LARGE);
      return;
    }
  reader->is_open = TRUE;
  XML_SetCharacterDataHandler (parser->expat, on_text);
  reader->handler->opened (&parser->element, reader->data);
  forget_element (parser);
}

static void
on_start (void *data, const char *name, const char **attributes)
{
  XmlParser *parser = data;
  const XmlLimits *limits = parser->reader->limits;

  if (parser->is_stopped || parser->reader->outcome != XML_READER_OK)
    return;
  if (parser->depth == 0)
    {
      if (!parser->is_priming)
        open_stream (parser, name, attributes);
      else
        {
          forget_element (parser);
          parser->depth = 1;
          XML_SetCharacterDataHandler (parser->expat, on_text);
        }
      return;
    }
  if (parser->depth > limits->max_depth || parser->depth >= COUNTED_DEPTH)
    {
      refuse (parser, XML_READER_TOO_LARGE);
      return;
    }
  if (parser->depth > 1 && ++parser->counts[parser->depth] > limits->max_children)
    {
      refuse (parser, XML_READER_TOO_LARGE);
      return;
    }
  if (parser->depth == 1)
    {
      XML_SetCharacterDataHandler (parser->expat, NULL);
      parser->start = current_index (parser);
      parser->payload_start = current_end (parser);
      read_root (parser, name, attributes);
    }
  else
    {
      if (parser->depth == 2)
        {
          StanzaChild child = { 0 };
          const char *prefix;
          split_name (&parser->arena, name, &child.ns, &child.name, &prefix);
          if (prefix[0] != '\0')
            note_prefix (parser, prefix);
          parser->child_start = current_index (parser);
          g_array_append_val (parser->children, child);
        }
      else
        note_name (parser, name);
      for (; *attributes != NULL; attributes += 2)
        note_name (parser, attributes[0]);
    }
  parser->depth++;
  parser->counts[parser->depth] = 0;
}

static void
report_element (XmlParser *parser, gint64 payload_end, gint64 end)
{
  XmlReader *reader = parser->reader;
  XmlElement *element = &parser->element;

  element->length = (gsize)(end - parser->start);
  element->payload = reader->base + (parser->payload_start - reader->base_index);
  element->payload_length = (gsize)(payload_end - parser->payload_start);
  /* Children were noted by their distance from the payload's start. */
  for (guint i = 0; i < parser->children->len; i++)
    {
      StanzaChild *child = &g_array_index (parser->children, StanzaChild, i);
      child->start = element->payload + GPOINTER_TO_SIZE (child->start);
    }
  finish_root (parser);
  reader->boundary = end;
  if (reader->limits->max_bytes != 0 && element->length > reader->limits->max_bytes)
    refuse (parser, XML_READER_TOO_LARGE);
  else
    reader->handler->element (element, reader->data);
  forget_element (parser);
}

static void
on_end (void *data, const char *name)
{
  XmlParser *parser = data;
  XmlReader *reader = parser->reader;

  if (parser->is_stopped || reader->outcome != XML_READER_OK)
    return;
  parser->depth--;
  if (parser->depth == 0)
    {
      reader->is_closed = TRUE;
      reader->boundary = current_end (parser);
      reader->handler->closed (reader->data);
      XML_StopParser (parser->expat, XML_FALSE);
    }
  else if (parser->depth == 2)
    {
      StanzaChild *child = &g_array_index (parser->children, StanzaChild, parser->children->len - 1);
      child->start = GSIZE_TO_POINTER (parser->child_start - parser->payload_start);
      child->length = (gsize)(current_end (parser) - parser->child_start);
    }
  else if (parser->depth == 1)
    {
      report_element (parser, current_index (parser), current_end (parser));
      XML_SetCharacterDataHandler (parser->expat, on_text);
    }
}

/* Set between elements only. */
static void
on_text (void *data, const char *text, int length)
{
  XmlParser *parser = data;
  if (parser->is_stopped || parser->reader->outcome != XML_READER_OK || parser->depth != 1)
    return;
  for (int i = 0; i < length; i++)
    if (text[i] != ' ' && text[i] != '\n' && text[i] != '\r' && text[i] != '\t')
      {
        refuse (parser, XML_READER_BAD_FORMAT);
        return;
      }
  parser->reader->boundary = current_end (parser);
}

/* A namespace name is a URI (XML Names §2.2, RFC 3986 §2). One with a character that no URI has would end the
 * streams of those receivers whose parser joins names with it ('}' and the space are such). */
static gboolean
is_namespace_name (const char *ns, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if ((guchar)ns[i] <= ' ' || ns[i] == 0x7f || strchr ("<>\"{}|\\^`", ns[i]) != NULL)
      return FALSE;
  return TRUE;
}

static void
on_namespace (void *data, const char *prefix, const char *ns)
{
  XmlParser *parser = data;
  gsize length = ns != NULL ? strlen (ns) : 0;

  if (parser->reader == NULL || parser->is_stopped || parser->reader->outcome != XML_READER_OK)
    return;
  /* Prefixes in use are looked up in the list of those declared. */
  if (length > MAX_NS || (parser->depth <= 1 && parser->declarations->len >= MAX_DECLARATIONS))
    {
      refuse (parser, XML_READER_TOO_LARGE);
      return;
    }
  if (!is_namespace_name (ns, length))
    {
      refuse (parser, XML_READER_NOT_WELL_FORMED);
      return;
    }
  /* Called before the element's start: those of top-level elements and of the header are kept. */
  if (parser->depth > 1)
    return;
  XmlDeclaration declaration = { prefix != NULL ? arena_copy (&parser->arena, prefix, strlen (prefix)) : "",
                                 ns != NULL ? arena_copy (&parser->arena, ns, length) : "" };
  g_array_append_val (parser->declarations, declaration);
}

static void
on_declaration (void *data, const char *version, const char *encoding, int standalone)
{
  XmlParser *parser = data;
  if (encoding != NULL && g_ascii_strcasecmp (encoding, "UTF-8") != 0)
    refuse (parser, XML_READER_UNSUPPORTED_ENCODING);
}

static void
on_doctype (void *data, const char *name, const char *system_id, const char *public_id,
            int has_internal_subset)
{
  refuse (data, XML_READER_RESTRICTED_XML);
}

static void
on_instruction (void *data, const char *target, const char *text)
{
  refuse (data, XML_READER_RESTRICTED_XML);
}

static void
on_comment (void *data, const char *text)
{
  refuse (data, XML_READER_RESTRICTED_XML);
}

static void
parser_set_up (XmlParser *parser)
{
  XML_SetReparseDeferralEnabled (parser->expat, XML_FALSE);
  XML_SetReturnNSTriplet (parser->expat, 1);
  XML_SetUserData (parser->expat, parser);
  XML_SetElementHandler (parser->expat, on_start, on_end);
  XML_SetStartNamespaceDeclHandler (parser->expat, on_namespace);
  XML_SetXmlDeclHandler (parser->expat, on_declaration);
  XML_SetStartDoctypeDeclHandler (parser->expat, on_doctype);
  XML_SetProcessingInstructionHandler (parser->expat, on_instruction);
  XML_SetCommentHandler (parser->expat, on_comment);
}

XmlParser *
xml_parser_new (XmlPool *pool)
{
  if (pool->blank->len > 0)
    return g_ptr_array_steal_index_fast (pool->blank, pool->blank->len - 1);
  XmlParser *parser = g_new0 (XmlParser, 1);
  parser->expat = XML_ParserCreateNS ("UTF-8", SEPARATOR);
  if (parser->expat == NULL)
    g_error ("out of memory");
  parser_set_up (parser);
  parser->arena.block = g_malloc (ARENA_BLOCK);
  parser->arena.large = g_ptr_array_new_with_free_func (g_free);
  parser->attributes = g_array_new (FALSE, FALSE, sizeof (XmlAttribute));
  parser->declarations = g_array_new (FALSE, FALSE, sizeof (XmlDeclaration));
  parser->children = g_array_new (FALSE, FALSE, sizeof (StanzaChild));
  return parser;
}

void
xml_parser_free (gpointer data)
{
  XmlParser *parser = data;
  XML_ParserFree (parser->expat);
  g_free (parser->arena.block);
  g_ptr_array_unref (parser->arena.large);
  g_array_unref (parser->attributes);
  g_array_unref (parser->declarations);
  g_array_unref (parser->children);
  g_free (parser);
}

gboolean
xml_parser_prime (XmlParser *parser, XmlReader *reader, const char *header)
{
  gsize length = strlen (header);
  parser->reader = reader;
  parser->is_priming = TRUE;
  gboolean is_primed = XML_Parse (parser->expat, header, (int)length, 0) == XML_STATUS_OK;
  parser->is_priming = FALSE;
  parser->fed = (gint64)length;
  return is_primed;
}

gboolean
xml_parser_blank (XmlParser *parser, XmlPool *pool)
{
  if (parser->fed > BLANK_BYTES || pool->blank->len >= MAX_POOLED
      || !XML_ParserReset (parser->expat, "UTF-8"))
    return FALSE;
  parser_set_up (parser);
  forget_element (parser);
  parser->fed = 0;
  parser->depth = 0;
  parser->is_usual = parser->is_stopped = FALSE;
  g_ptr_array_add (pool->blank, parser);
  return TRUE;
}
