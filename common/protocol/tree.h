/* Reads a stanza tree that came from a stranger: capped texts, sticky failure, one error that says what and
 * where. Trees are libstrophe's and read only. */
#pragma once

#include <glib.h>
#include <strophe.h>

#define PROTOCOL_ERROR (protocol_error_quark ())
GQuark protocol_error_quark (void);

typedef enum
{
  PROTOCOL_ERROR_BAD, /* the element is not what the protocol says */
} ProtocolErrorCode;

#define TREE_MAX_TEXT 4096 /* bytes of an attribute or of character data, unless said otherwise */

typedef struct
{
  GError *error; /* the first failure; later reads give NULL, 0 or FALSE */
} TreeReader;

/* Hands the reader's error, if any, to @error; TRUE if all went well. */
gboolean tree_reader_finish (TreeReader *reader, GError **error);
/* Fails unless @element has that name and namespace. */
void tree_expect (TreeReader *reader, xmpp_stanza_t *element, const char *name, const char *ns);
/* A lent attribute; NULL if absent. */
const char *tree_get (TreeReader *reader, xmpp_stanza_t *element, const char *attribute);
/* The same, and absent or empty is a failure. */
const char *tree_need (TreeReader *reader, xmpp_stanza_t *element, const char *attribute);
/* A plugin, application or vendor id (protocol.md). */
const char *tree_need_id (TreeReader *reader, xmpp_stanza_t *element, const char *attribute);
/* A decimal integer from 0 to @most; @absent if the attribute is not there. */
gint64 tree_get_int (TreeReader *reader, xmpp_stanza_t *element, const char *attribute, gint64 most, gint64 absent);
/* "true", "1", "false", "0"; FALSE if absent. */
gboolean tree_get_bool (TreeReader *reader, xmpp_stanza_t *element, const char *attribute);
/* RFC 3339 as microseconds since 1970; 0 if absent. */
gint64 tree_get_time_us (TreeReader *reader, xmpp_stanza_t *element, const char *attribute);
/* The element's character data, at most @most bytes; the caller frees it. NULL if there is none. */
char *tree_dup_text (TreeReader *reader, xmpp_stanza_t *element, gsize most);
/* Records a failure in the words of @format, unless there is one already. */
void tree_fail (TreeReader *reader, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* The first child element of that name and namespace; NULL if there is none. Lent. */
xmpp_stanza_t *tree_find (xmpp_stanza_t *element, const char *name, const char *ns);
/* The first child element, whatever it is. */
xmpp_stanza_t *tree_first (xmpp_stanza_t *element);
