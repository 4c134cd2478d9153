/* The insides of the XML reader, shared by xml-parser.c (expat and what it reports) and xml-reader.c (whose
 * bytes go to which parser). */
#pragma once

#include "host-server/wire/xml-reader.h"

#include <expat.h>

#define STREAM_NS     "http://etherx.jabber.org/streams"
#define COUNTED_DEPTH 512
#define MAX_POOLED    16

/* Memory for the strings of one element. */
typedef struct
{
  char *block;
  gsize used;
  GPtrArray *large;
} Arena;

typedef struct XmlParser XmlParser;

struct XmlParser
{
  XML_Parser expat;
  Arena arena;
  GArray *attributes;
  GArray *declarations;
  GArray *children;
  gint64 fed;
  gint64 start;         /* index of the element being read */
  gint64 payload_start; /* behind its start tag */
  gint64 child_start;
  guint depth; /* 1: inside the stream, between elements */
  guint16 counts[COUNTED_DEPTH + 1];
  gboolean is_usual; /* primed with, or opened by, the usual header */
  gboolean is_priming;
  gboolean is_stopped; /* by a handler */
  XmlElement element;
  XmlReader *reader; /* whose bytes it reads */
};

struct XmlPool
{
  GPtrArray *parsers; /* of XmlParser: usual, between elements */
  GPtrArray *blank;   /* of XmlParser: as new */
};

struct XmlReader
{
  XmlPool *pool;
  const XmlHandler *handler;
  gpointer data;
  const XmlLimits *limits;
  XmlParser *parser;   /* NULL between elements */
  GString *held;       /* bytes since the element's start; NULL if none */
  char *header;        /* primes a parser; NULL: the usual one */
  GPtrArray *prefixes; /* declared by the header, besides the usual: prefix, namespace, … */
  const char *base;    /* during a feed: the byte at base_index */
  gint64 base_index;
  gint64 boundary; /* index behind the last thing that was whole */
  gint64 token;    /* index of the tag or reference that has not ended */
  gsize deferred;  /* bytes at the end of held that the parser has not got */
  gsize rescanned; /* bytes the parser has looked at again for that token */
  XmlReaderOutcome outcome;
  gboolean is_open;
  gboolean is_closed;
};

XmlParser *xml_parser_new (XmlPool *pool);
void xml_parser_free (gpointer parser);
/* Has it read @header, so that it stands inside a stream. FALSE if that is no stream's: its opener should
 * have been refused. */
gboolean xml_parser_prime (XmlParser *parser, XmlReader *reader, const char *header);
/* Makes it as new and gives it to the pool, for the next stream's header. FALSE if it has grown, or there are
 * enough. */
gboolean xml_parser_blank (XmlParser *parser, XmlPool *pool);
