/* Reads an XML stream element by element (RFC 6120 §4, §11) with expat, and hands out raw slices.
 *
 * The reader keeps its own bytes: what lies between the root tags of a top-level element is given as it came
 * in, and never becomes a tree. Between two elements it holds neither parser nor bytes: a parser comes from
 * the pool, primed with a stream header, and goes back when the last byte read ended an element. One parser
 * so serves all streams in turn, and its tables stay small and warm.
 *
 * Refused (RFC 6120 §11.1): document types, processing instructions, comments, entities but the five of XML;
 * any encoding but UTF-8, however it is announced or smuggled; more depth, children or bytes than the limits.
 */
#pragma once

#include "host-server/wire/stanza.h"

typedef struct XmlPool XmlPool;
typedef struct XmlReader XmlReader;

typedef struct
{
  const char *ns;     /* "" if none */
  const char *prefix; /* "" if none */
  const char *name;
  const char *value;
} XmlAttribute;

typedef struct
{
  const char *prefix; /* "": the default namespace */
  const char *ns;
} XmlDeclaration;

/* A top-level element, or the stream's header (which has no payload). Lent for the length of the call. */
struct XmlElement
{
  const char *name;
  const char *ns;
  const char *prefix;
  const XmlAttribute *attributes;
  guint n_attributes;
  const XmlDeclaration *declarations; /* the root's, and those of the stream whose prefix is used in it */
  guint n_declarations;
  const char *payload;
  gsize payload_length;
  const StanzaChild *children;
  guint n_children;
  gsize length; /* of the whole element */
};

const char *xml_element_get_attribute (const XmlElement *element, const char *name); /* without a namespace */

typedef enum
{
  XML_READER_OK,
  XML_READER_NOT_WELL_FORMED,
  XML_READER_RESTRICTED_XML,
  XML_READER_UNSUPPORTED_ENCODING,
  XML_READER_BAD_FORMAT, /* text between the elements */
  XML_READER_TOO_LARGE,  /* policy-violation: bytes, depth, children, length of a namespace */
} XmlReaderOutcome;

typedef struct
{
  gsize max_bytes; /* of an element; 0: no limit */
  guint max_depth; /* of an element, itself counted */
  guint max_children;
} XmlLimits;

/* What the reader reports. The functions may stop or restart the reader. */
typedef struct
{
  void (*opened) (const XmlElement *header, gpointer data);
  void (*element) (const XmlElement *element, gpointer data);
  void (*closed) (gpointer data);
} XmlHandler;

XmlPool *xml_pool_new (void);
void xml_pool_free (XmlPool *pool); /* after its readers */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XmlPool, xml_pool_free)

/* @handler lives as long as the reader. */
XmlReader *xml_reader_new (XmlPool *pool, const XmlHandler *handler, gpointer data);
void xml_reader_free (XmlReader *reader); /* not from a handler */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (XmlReader, xml_reader_free)
/* @limits lives as long as the reader; they are read again for each element. */
void xml_reader_set_limits (XmlReader *reader, const XmlLimits *limits);

/* Reads @bytes up to their end, or to the element or header whose handler stopped it; *@consumed says how
 * far. After an error or the stream's end the reader takes no more. */
XmlReaderOutcome xml_reader_feed (XmlReader *reader, const char *bytes, gsize length, gsize *consumed);
/* From a handler: nothing behind the element just reported is read in this call. */
void xml_reader_stop (XmlReader *reader);
/* The next bytes begin a new stream (RFC 6120 §4.3.3). Not from a handler: stop first. */
void xml_reader_restart (XmlReader *reader);
/* The next bytes stand inside a stream that was opened with the usual header. */
void xml_reader_restart_inside (XmlReader *reader);
/* Bytes of an element that has not ended. */
gsize xml_reader_get_held (const XmlReader *reader);
/* Whether a stream header has been read. */
gboolean xml_reader_is_open (const XmlReader *reader);
