/* Encodings of bytes as text, and the escaping of text in XML. */
#pragma once

#include <glib.h>

/* RFC 4648 base32 and base32hex, lower case, without padding. The caller frees the result. */
char *text_to_base32 (const void *bytes, gsize length);
char *text_to_base32hex (const void *bytes, gsize length);
/* RFC 4648 §5 base64url without padding. */
char *text_to_base64url (const void *bytes, gsize length);
char *text_to_hex (const void *bytes, gsize length);
/* Strict RFC 4648 base64: padding present, no other characters, no stray bits. NULL if it is not that. The
 * result is followed by an uncounted NUL; the caller frees it. */
guint8 *text_from_base64 (const char *text, gsize length, gsize *n_bytes);
/* The same for base64url without padding. */
guint8 *text_from_base64url (const char *text, gsize length, gsize *n_bytes);

/* Appends @text escaped for XML character data and for attribute values in either quote, newlines and tabs
 * as references (so that attribute normalisation keeps them). Characters that XML 1.0 forbids, and bytes that
 * are not UTF-8, become U+FFFD. */
void text_append_xml (GString *out, const char *text);
void text_append_xml_len (GString *out, const char *text, gsize length);
/* Appends ` name='value'`; nothing if @value is NULL. @name is trusted. */
void text_append_xml_attribute (GString *out, const char *name, const char *value);
/* Whether @text is UTF-8 made of characters that XML 1.0 §2.2 allows. */
gboolean text_is_xml (const char *text, gsize length);

/* protocol.md: `[a-z0-9][a-z0-9.-]{0,63}`, the ids of plugins, applications and vendors. */
gboolean text_is_market_id (const char *text);
