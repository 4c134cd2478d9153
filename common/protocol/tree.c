#include "common/protocol/tree.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <string.h>

G_DEFINE_QUARK (stoa-protocol-error, protocol_error)

gboolean
tree_reader_finish (TreeReader *reader, GError **error)
{
  if (reader->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reader->error));
  return FALSE;
}

void
tree_fail (TreeReader *reader, const char *format, ...)
{
  if (reader->error != NULL)
    return;
  va_list args;
  va_start (args, format);
  reader->error = g_error_new_valist (PROTOCOL_ERROR, PROTOCOL_ERROR_BAD, format, args);
  va_end (args);
}

static const char *
element_name (xmpp_stanza_t *element)
{
  const char *name = xmpp_stanza_get_name (element);
  return name != NULL ? name : "text";
}

void
tree_expect (TreeReader *reader, xmpp_stanza_t *element, const char *name, const char *ns)
{
  if (reader->error != NULL)
    return;
  if (element == NULL || g_strcmp0 (xmpp_stanza_get_name (element), name) != 0
      || g_strcmp0 (xmpp_stanza_get_ns (element), ns) != 0)
    tree_fail (reader, "<%s xmlns='%s'/> expected", name, ns);
}

const char *
tree_get (TreeReader *reader, xmpp_stanza_t *element, const char *attribute)
{
  if (reader->error != NULL)
    return NULL;
  const char *value = xmpp_stanza_get_attribute (element, attribute);
  if (value != NULL && strlen (value) > TREE_MAX_TEXT)
    {
      tree_fail (reader, "<%s/>: '%s' is longer than %d bytes", element_name (element), attribute, TREE_MAX_TEXT);
      return NULL;
    }
  return value;
}

const char *
tree_need (TreeReader *reader, xmpp_stanza_t *element, const char *attribute)
{
  const char *value = tree_get (reader, element, attribute);
  if (reader->error == NULL && (value == NULL || *value == '\0'))
    tree_fail (reader, "<%s/>: '%s' is missing", element_name (element), attribute);
  return reader->error == NULL ? value : NULL;
}

const char *
tree_need_id (TreeReader *reader, xmpp_stanza_t *element, const char *attribute)
{
  const char *value = tree_need (reader, element, attribute);
  if (value != NULL && !text_is_market_id (value))
    {
      tree_fail (reader, "<%s/>: '%s' is not an id of this market", element_name (element), attribute);
      return NULL;
    }
  return value;
}

gint64
tree_get_int (TreeReader *reader, xmpp_stanza_t *element, const char *attribute, gint64 most, gint64 absent)
{
  const char *value = tree_get (reader, element, attribute);
  if (value == NULL)
    return absent;
  guint64 number;
  if (!g_ascii_string_to_unsigned (value, 10, 0, (guint64) most, &number, NULL))
    {
      tree_fail (reader, "<%s/>: '%s' is not a number from 0 to %" G_GINT64_FORMAT, element_name (element), attribute,
                 most);
      return absent;
    }
  return (gint64) number;
}

gboolean
tree_get_bool (TreeReader *reader, xmpp_stanza_t *element, const char *attribute)
{
  const char *value = tree_get (reader, element, attribute);
  if (value == NULL || strcmp (value, "false") == 0 || strcmp (value, "0") == 0)
    return FALSE;
  if (strcmp (value, "true") != 0 && strcmp (value, "1") != 0)
    tree_fail (reader, "<%s/>: '%s' is neither true nor false", element_name (element), attribute);
  return reader->error == NULL;
}

gint64
tree_get_time_us (TreeReader *reader, xmpp_stanza_t *element, const char *attribute)
{
  const char *value = tree_get (reader, element, attribute);
  gint64 time_us = 0;
  if (value != NULL && !clock_parse_rfc3339 (value, &time_us))
    tree_fail (reader, "<%s/>: '%s' is not a time", element_name (element), attribute);
  return time_us;
}

char *
tree_dup_text (TreeReader *reader, xmpp_stanza_t *element, gsize most)
{
  if (reader->error != NULL)
    return NULL;
  char *text = xmpp_stanza_get_text (element);
  if (text == NULL)
    return NULL;
  gsize length = strlen (text);
  char *copy = length <= most ? g_strdup (text) : NULL;
  if (copy == NULL)
    tree_fail (reader, "<%s/>: its text is longer than %zu bytes", element_name (element), most);
  memset (text, 0, length);
  xmpp_free (xmpp_stanza_get_context (element), text);
  return copy;
}

xmpp_stanza_t *
tree_find (xmpp_stanza_t *element, const char *name, const char *ns)
{
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL;
       child = xmpp_stanza_get_next (child))
    if (g_strcmp0 (xmpp_stanza_get_name (child), name) == 0 && g_strcmp0 (xmpp_stanza_get_ns (child), ns) == 0)
      return child;
  return NULL;
}

xmpp_stanza_t *
tree_first (xmpp_stanza_t *element)
{
  xmpp_stanza_t *child = xmpp_stanza_get_children (element);
  while (child != NULL && xmpp_stanza_is_text (child))
    child = xmpp_stanza_get_next (child);
  return child;
}
