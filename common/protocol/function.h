/* Calls of protected functions, protocol.md section 5, for both sides. */
#pragma once

#include "common/protocol/tree.h"

#define NS_FUNCTIONS         "urn:stoa:functions:1"
#define FUNCTION_MAX_BYTES   49152u /* of an argument and of a result */
#define FUNCTION_MAX_TEXT    65536u /* of their element's character data */
#define FUNCTION_MAX_REQUEST 64u    /* bytes of a request's name */
#define FUNCTION_MAX_NAME    64u    /* of a function's */

typedef struct
{
  char *application;
  char *function;
  char *request;
  GBytes *argument;
} FunctionRequest;

void function_request_clear (FunctionRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FunctionRequest, function_request_clear)

/* Whether @text can be a function's name: letters, digits, `.`, `_` and `-`, beginning with a letter. */
gboolean function_name_is_valid (const char *text);

/* Reads `<call/>` into @request, which is cleared then. FALSE with @error if it is none, too long, or not
 * base64 where it says so. */
gboolean function_request_read (xmpp_stanza_t *element, FunctionRequest *request, GError **error);
/* Bytes that are no XML text, or whose text would grow too long, go as base64. */
void function_request_write (const FunctionRequest *request, GString *xml);

/* `<result/>`. NULL with @error if it is none. */
GBytes *function_result_read (xmpp_stanza_t *element, GError **error);
void function_result_write (GBytes *result, GString *xml);

/* Whether the bytes can be shown as text. */
gboolean function_bytes_are_text (GBytes *bytes);
