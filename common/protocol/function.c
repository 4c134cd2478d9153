#include "common/protocol/function.h"

#include "common/base/text.h"

#include <string.h>

void
function_request_clear (FunctionRequest *request)
{
  g_clear_pointer (&request->application, g_free);
  g_clear_pointer (&request->function, g_free);
  g_clear_pointer (&request->request, g_free);
  g_clear_pointer (&request->argument, g_bytes_unref);
}

gboolean
function_name_is_valid (const char *text)
{
  if (!g_ascii_isalpha (text[0]) || strlen (text) > FUNCTION_MAX_NAME)
    return FALSE;
  for (const char *at = text; *at != '\0'; at++)
    if (!g_ascii_isalnum (*at) && strchr ("._-", *at) == NULL)
      return FALSE;
  return TRUE;
}

gboolean
function_bytes_are_text (GBytes *bytes)
{
  gsize length;
  const char *text = g_bytes_get_data (bytes, &length);
  return length == 0 || (memchr (text, '\0', length) == NULL && text_is_xml (text, length));
}

/* What @element holds, as its `encoding` says. */
static GBytes *
read_bytes (TreeReader *reader, xmpp_stanza_t *element)
{
  const char *encoding = tree_get (reader, element, "encoding");
  g_autofree char *text = tree_dup_text (reader, element, FUNCTION_MAX_TEXT);
  gsize length = text != NULL ? strlen (text) : 0;
  if (encoding != NULL && strcmp (encoding, "base64") != 0)
    tree_fail (reader, "<%s/>: 'encoding' is not base64", xmpp_stanza_get_name (element));
  if (reader->error != NULL)
    return NULL;
  g_autofree guint8 *bytes = NULL;
  if (encoding != NULL)
    {
      bytes = text_from_base64 (text != NULL ? text : "", length, &length);
      if (bytes == NULL)
        tree_fail (reader, "<%s/>: not base64", xmpp_stanza_get_name (element));
    }
  else
    bytes = (guint8 *)g_steal_pointer (&text);
  if (length > FUNCTION_MAX_BYTES)
    tree_fail (reader, "<%s/>: more than %u bytes", xmpp_stanza_get_name (element), FUNCTION_MAX_BYTES);
  return reader->error == NULL ? g_bytes_new_take (g_steal_pointer (&bytes), length) : NULL;
}

static void
write_bytes (GString *xml, const char *name, const char *attributes, GBytes *bytes)
{
  gsize length;
  const char *text = g_bytes_get_data (bytes, &length);
  g_string_append_printf (xml, "<%s%s", name, attributes);
  gsize start = xml->len;
  if (function_bytes_are_text (bytes))
    {
      g_string_append_c (xml, '>');
      if (length > 0)
        text_append_xml_len (xml, text, length);
    }
  if (xml->len == start || xml->len - start > FUNCTION_MAX_TEXT)
    {
      g_autofree char *encoded = g_base64_encode ((const guchar *)text, length);
      g_string_truncate (xml, start);
      g_string_append_printf (xml, " encoding='base64'>%s", encoded);
    }
  g_string_append_printf (xml, "</%s>", name);
}

gboolean
function_request_read (xmpp_stanza_t *element, FunctionRequest *request, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "call", NS_FUNCTIONS);
  const char *application = tree_need_id (&reader, element, "application");
  const char *function = tree_need (&reader, element, "function");
  const char *name = tree_need (&reader, element, "request");
  if (function != NULL && !function_name_is_valid (function))
    tree_fail (&reader, "<call/>: 'function' is not a name");
  if (name != NULL && strlen (name) > FUNCTION_MAX_REQUEST)
    tree_fail (&reader, "<call/>: 'request' is longer than %u bytes", FUNCTION_MAX_REQUEST);
  xmpp_stanza_t *argument = reader.error == NULL ? tree_find (element, "argument", NS_FUNCTIONS) : NULL;
  g_autoptr (GBytes) bytes = argument != NULL ? read_bytes (&reader, argument) : g_bytes_new_static ("", 0);
  if (!tree_reader_finish (&reader, error))
    return FALSE;
  request->application = g_strdup (application);
  request->function = g_strdup (function);
  request->request = g_strdup (name);
  request->argument = g_steal_pointer (&bytes);
  return TRUE;
}

void
function_request_write (const FunctionRequest *request, GString *xml)
{
  g_string_append (xml, "<call xmlns='" NS_FUNCTIONS "'");
  text_append_xml_attribute (xml, "application", request->application);
  text_append_xml_attribute (xml, "function", request->function);
  text_append_xml_attribute (xml, "request", request->request);
  g_string_append_c (xml, '>');
  write_bytes (xml, "argument", "", request->argument);
  g_string_append (xml, "</call>");
}

GBytes *
function_result_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "result", NS_FUNCTIONS);
  g_autoptr (GBytes) bytes = reader.error == NULL ? read_bytes (&reader, element) : NULL;
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&bytes) : NULL;
}

void
function_result_write (GBytes *result, GString *xml)
{
  write_bytes (xml, "result", " xmlns='" NS_FUNCTIONS "'", result);
}
