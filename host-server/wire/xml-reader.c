#include "host-server/wire/xml-reader-private.h"

#include <string.h>

#define USUAL_HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='" STREAM_NS "'>"
#define MAX_HEADER   8192      /* bytes */
#define PARSER_BYTES (4 << 20) /* read by one parser before it is replaced */
#define LONG_TOKEN   1024      /* one that is longer is not looked at with every byte that comes */
#define MAX_RESCANS  (8 << 20) /* bytes */
#define PIECE        16384     /* handed to expat at once; its own buffer grows to twice that */

static const XmlLimits no_limits = { 0, 64, 1000 };

/* A parser inside a stream, between elements. NULL: the stream's header was none. */
static XmlParser *
take_parser (XmlReader *reader)
{
  XmlPool *pool = reader->pool;
  XmlParser *parser;

  if (reader->header == NULL && pool->parsers->len > 0)
    {
      parser = g_ptr_array_steal_index_fast (pool->parsers, pool->parsers->len - 1);
      parser->reader = reader;
      return parser;
    }
  parser = xml_parser_new (pool);
  parser->is_usual = reader->header == NULL;
  if (xml_parser_prime (parser, reader, reader->header != NULL ? reader->header : USUAL_HEADER))
    return parser;
  xml_parser_free (parser);
  return NULL;
}

static void
release_parser (XmlReader *reader)
{
  XmlParser *parser = g_steal_pointer (&reader->parser);
  gboolean is_reusable = parser->is_usual && parser->depth == 1 && !parser->is_stopped
                         && reader->outcome == XML_READER_OK && parser->fed < PARSER_BYTES
                         && reader->pool->parsers->len < MAX_POOLED;
  parser->reader = NULL;
  if (is_reusable)
    g_ptr_array_add (reader->pool->parsers, parser);
  else if (!xml_parser_blank (parser, reader->pool))
    xml_parser_free (parser);
}

XmlPool *
xml_pool_new (void)
{
  XmlPool *pool = g_new0 (XmlPool, 1);
  pool->parsers = g_ptr_array_new_with_free_func (xml_parser_free);
  pool->blank = g_ptr_array_new_with_free_func (xml_parser_free);
  return pool;
}

void
xml_pool_free (XmlPool *pool)
{
  if (pool == NULL)
    return;
  g_ptr_array_unref (pool->parsers);
  g_ptr_array_unref (pool->blank);
  g_free (pool);
}

XmlReader *
xml_reader_new (XmlPool *pool, const XmlHandler *handler, gpointer data)
{
  XmlReader *reader = g_new0 (XmlReader, 1);
  reader->pool = pool;
  reader->handler = handler;
  reader->data = data;
  reader->limits = &no_limits;
  reader->prefixes = g_ptr_array_new_with_free_func (g_free);
  return reader;
}

static void
drop_held (XmlReader *reader)
{
  if (reader->held != NULL)
    g_string_free (g_steal_pointer (&reader->held), TRUE);
  reader->deferred = 0;
  reader->rescanned = 0;
  reader->token = -1;
}

void
xml_reader_free (XmlReader *reader)
{
  if (reader == NULL)
    return;
  if (reader->parser != NULL)
    release_parser (reader);
  drop_held (reader);
  g_free (reader->header);
  g_ptr_array_unref (reader->prefixes);
  g_free (reader);
}

void
xml_reader_set_limits (XmlReader *reader, const XmlLimits *limits)
{
  reader->limits = limits;
}

void
xml_reader_restart (XmlReader *reader)
{
  if (reader->parser != NULL)
    {
      /* It may be stopped in mid-stream. */
      reader->parser->is_usual = FALSE;
      release_parser (reader);
    }
  drop_held (reader);
  g_clear_pointer (&reader->header, g_free);
  g_ptr_array_set_size (reader->prefixes, 0);
  reader->is_open = FALSE;
  reader->is_closed = FALSE;
}

void
xml_reader_restart_inside (XmlReader *reader)
{
  xml_reader_restart (reader);
  reader->is_open = TRUE;
}

gboolean
xml_reader_is_open (const XmlReader *reader)
{
  return reader->is_open;
}

gsize
xml_reader_get_held (const XmlReader *reader)
{
  return reader->held != NULL ? reader->held->len : 0;
}

void
xml_reader_stop (XmlReader *reader)
{
  if (reader->parser == NULL || reader->parser->is_stopped)
    return;
  reader->parser->is_stopped = TRUE;
  XML_StopParser (reader->parser->expat, XML_FALSE);
}

static XmlReaderOutcome
outcome_of_expat (XML_Parser expat)
{
  switch (XML_GetErrorCode (expat))
    {
    case XML_ERROR_UNDEFINED_ENTITY:
    case XML_ERROR_RECURSIVE_ENTITY_REF:
    case XML_ERROR_ASYNC_ENTITY:
    case XML_ERROR_BINARY_ENTITY_REF:
    case XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF:
      return XML_READER_RESTRICTED_XML;
    case XML_ERROR_UNKNOWN_ENCODING:
    case XML_ERROR_INCORRECT_ENCODING:
      return XML_READER_UNSUPPORTED_ENCODING;
    default:
      return XML_READER_NOT_WELL_FORMED;
    }
}

/* What guesses another encoding, in any bytes before the header is whole. */
static XmlReaderOutcome
check_encoding (const char *bytes, gsize length, gboolean is_first)
{
  if (memchr (bytes, '\0', length) != NULL)
    return XML_READER_UNSUPPORTED_ENCODING;
  if (is_first && ((guchar)bytes[0] == 0xfe || (guchar)bytes[0] == 0xff))
    return XML_READER_UNSUPPORTED_ENCODING;
  if (is_first && (guchar)bytes[0] == 0xef) /* RFC 6120 §11.6: U+FEFF is no byte order mark */
    return XML_READER_NOT_WELL_FORMED;
  return XML_READER_OK;
}

static XmlReaderOutcome
check_size (XmlReader *reader, gsize n_unfinished)
{
  gsize limit = !reader->is_open ? MAX_HEADER : reader->limits->max_bytes;
  if (limit != 0 && n_unfinished > limit && reader->outcome == XML_READER_OK)
    reader->outcome = XML_READER_TOO_LARGE;
  return reader->outcome;
}

/* Expat looks at an unfinished token from its start each time more of it comes: a tag of some hundred
 * kilobytes that drips in byte by byte would cost the square of that. Only these two characters end a long
 * token; without one of them, bytes wait. */
static gboolean
may_wait (const XmlReader *reader, const char *bytes, gsize length)
{
  return reader->held != NULL && reader->parser->fed - reader->token > LONG_TOKEN
         && memchr (bytes, '>', length) == NULL && memchr (bytes, ';', length) == NULL;
}

/* Who sends one of them with every byte, within quotes, has so much of our time. */
static XmlReaderOutcome
check_rescans (XmlReader *reader)
{
  if (reader->held != NULL)
    reader->rescanned += (gsize)(reader->parser->fed - reader->token);
  if (reader->rescanned > MAX_RESCANS)
    reader->outcome = XML_READER_TOO_LARGE;
  return reader->outcome;
}

static void
note_token (XmlReader *reader)
{
  gint64 token = XML_GetCurrentByteIndex (reader->parser->expat);
  if (token == reader->token)
    return;
  reader->token = token;
  reader->rescanned = 0;
}

/* Hands @length bytes from reader->base + @offset to expat. */
static void
parse (XmlReader *reader, gsize offset, gsize length)
{
  XmlParser *parser = reader->parser;
  while (length > 0)
    {
      gsize piece = MIN (length, PIECE);
      parser->fed += (gint64)piece;
      if (XML_Parse (parser->expat, reader->base + offset, (int)piece, 0) != XML_STATUS_OK)
        {
          if (reader->outcome == XML_READER_OK && !parser->is_stopped && !reader->is_closed)
            reader->outcome = outcome_of_expat (parser->expat);
          return;
        }
      offset += piece;
      length -= piece;
      if (check_size (reader, (gsize)(parser->fed - reader->boundary)) != XML_READER_OK)
        return;
    }
}

XmlReaderOutcome
xml_reader_feed (XmlReader *reader, const char *bytes, gsize length, gsize *consumed)
{
  *consumed = 0;
  if (reader->outcome != XML_READER_OK || reader->is_closed || length == 0)
    return reader->outcome;

  if (!reader->is_open)
    {
      reader->outcome = check_encoding (bytes, length, reader->parser == NULL);
      if (reader->outcome != XML_READER_OK)
        return reader->outcome;
    }
  if (reader->parser == NULL)
    {
      if (reader->is_open)
        reader->parser = take_parser (reader);
      else
        {
          reader->parser = xml_parser_new (reader->pool);
          reader->parser->reader = reader;
        }
      if (reader->parser == NULL)
        {
          reader->outcome = XML_READER_NOT_WELL_FORMED;
          return reader->outcome;
        }
      reader->boundary = reader->parser->fed;
    }
  gint64 new_index = reader->parser->fed + (gint64)reader->deferred;
  if (may_wait (reader, bytes, length))
    {
      g_string_append_len (reader->held, bytes, (gssize)length);
      reader->deferred += length;
      *consumed = length;
      return check_size (reader, reader->held->len);
    }
  gsize known = 0; /* bytes of held that the parser has */
  if (reader->held != NULL)
    {
      known = reader->held->len - reader->deferred;
      g_string_append_len (reader->held, bytes, (gssize)length);
      reader->base = reader->held->str;
    }
  else
    reader->base = bytes;
  reader->base_index = reader->parser->fed - (gint64)known;
  gsize n_parsed = reader->deferred + length;
  reader->deferred = 0;
  if (check_rescans (reader) == XML_READER_OK)
    parse (reader, known, n_parsed);

  XmlParser *parser = reader->parser;
  if (parser->is_stopped || reader->is_closed || reader->outcome != XML_READER_OK)
    {
      *consumed = (gsize)CLAMP (reader->boundary - new_index, 0, (gint64)length);
      drop_held (reader);
      if (parser->is_stopped && reader->outcome == XML_READER_OK && !reader->is_closed)
        {
          /* What follows is read by a parser of its own. */
          release_parser (reader);
        }
      return reader->outcome;
    }
  *consumed = length;
  gsize unfinished = (gsize)(parser->fed - reader->boundary);
  if (unfinished == 0 && parser->depth == 1)
    {
      drop_held (reader);
      release_parser (reader);
      return XML_READER_OK;
    }
  note_token (reader);
  if (reader->held == NULL)
    reader->held = g_string_new_len (bytes + length - unfinished, (gssize)unfinished);
  else if (reader->held->len > unfinished)
    g_string_erase (reader->held, 0, (gssize)(reader->held->len - unfinished));
  return XML_READER_OK;
}

const char *
xml_element_get_attribute (const XmlElement *element, const char *name)
{
  for (guint i = 0; i < element->n_attributes; i++)
    if (element->attributes[i].ns[0] == '\0' && g_str_equal (element->attributes[i].name, name))
      return element->attributes[i].value;
  return NULL;
}
