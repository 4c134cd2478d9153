#include "host-server/wire/stanza.h"

#include "common/base/text.h"
#include "host-server/wire/xml-reader.h"

#include <expat.h>
#include <string.h>

#define XML_NS     "http://www.w3.org/XML/1998/namespace"
#define CLIENT_NS  "jabber:client"
#define STANZAS_NS "urn:ietf:params:xml:ns:xmpp-stanzas"

static const char *const kind_names[] = { "message", "presence", "iq" };

static const struct
{
  const char *text;
  int kind; /* -1: every kind */
} types[] = {
  [STANZA_TYPE_NONE] = { NULL, -1 },
  [STANZA_TYPE_ERROR] = { "error", -1 },
  [STANZA_TYPE_NORMAL] = { "normal", STANZA_MESSAGE },
  [STANZA_TYPE_CHAT] = { "chat", STANZA_MESSAGE },
  [STANZA_TYPE_GROUPCHAT] = { "groupchat", STANZA_MESSAGE },
  [STANZA_TYPE_HEADLINE] = { "headline", STANZA_MESSAGE },
  [STANZA_TYPE_UNAVAILABLE] = { "unavailable", STANZA_PRESENCE },
  [STANZA_TYPE_SUBSCRIBE] = { "subscribe", STANZA_PRESENCE },
  [STANZA_TYPE_SUBSCRIBED] = { "subscribed", STANZA_PRESENCE },
  [STANZA_TYPE_UNSUBSCRIBE] = { "unsubscribe", STANZA_PRESENCE },
  [STANZA_TYPE_UNSUBSCRIBED] = { "unsubscribed", STANZA_PRESENCE },
  [STANZA_TYPE_PROBE] = { "probe", STANZA_PRESENCE },
  [STANZA_TYPE_GET] = { "get", STANZA_IQ },
  [STANZA_TYPE_SET] = { "set", STANZA_IQ },
  [STANZA_TYPE_RESULT] = { "result", STANZA_IQ },
};

const char *
stanza_type_to_text (StanzaType type)
{
  return types[type].text;
}

/* FALSE if @text is no type of @kind; for messages that is "normal" (RFC 6121 §5.2.2). */
static gboolean
read_type (const char *text, StanzaKind kind, StanzaType *type)
{
  for (gsize i = STANZA_TYPE_ERROR; i < G_N_ELEMENTS (types); i++)
    if ((types[i].kind == -1 || types[i].kind == (int)kind) && strcmp (types[i].text, text) == 0)
      {
        *type = (StanzaType)i;
        return TRUE;
      }
  *type = STANZA_TYPE_NORMAL;
  return kind == STANZA_MESSAGE;
}

static void
append_rest (GString *rest, const char *prefix, const char *name, const char *value)
{
  g_string_append_c (rest, ' ');
  if (prefix[0] != '\0')
    {
      g_string_append (rest, prefix);
      g_string_append_c (rest, ':');
    }
  g_string_append (rest, name);
  g_string_append_len (rest, "='", 2);
  text_append_xml (rest, value);
  g_string_append_c (rest, '\'');
}

gboolean
stanza_read (const XmlElement *element, StanzaKind kind, const Jid *to, const Jid *from,
             const char *stream_lang, GString *scratch, Stanza *stanza)
{
  gboolean is_good = TRUE;

  memset (stanza, 0, sizeof *stanza);
  stanza->kind = kind;
  stanza->type = STANZA_TYPE_NONE;
  stanza->to = to;
  stanza->from = from;
  stanza->lang = stream_lang;
  stanza->payload = element->payload;
  stanza->payload_length = element->payload_length;
  stanza->children = element->children;
  stanza->n_children = element->n_children;
  g_string_truncate (scratch, 0);

  for (guint i = 0; i < element->n_attributes; i++)
    {
      const XmlAttribute *attribute = &element->attributes[i];
      const char *name = attribute->name;
      if (attribute->ns[0] == '\0')
        {
          if (strcmp (name, "to") == 0 || strcmp (name, "from") == 0)
            continue;
          if (strcmp (name, "id") == 0)
            {
              stanza->id = attribute->value;
              continue;
            }
          if (strcmp (name, "type") == 0)
            {
              is_good = read_type (attribute->value, kind, &stanza->type);
              continue;
            }
        }
      else if (strcmp (name, "lang") == 0 && strcmp (attribute->ns, XML_NS) == 0)
        {
          stanza->lang = attribute->value;
          continue;
        }
      append_rest (scratch, attribute->prefix, name, attribute->value);
    }
  for (guint i = 0; i < element->n_declarations; i++)
    if (element->declarations[i].prefix[0] != '\0')
      append_rest (scratch, "xmlns", element->declarations[i].prefix, element->declarations[i].ns);
  stanza->rest = scratch->str;
  stanza->rest_length = scratch->len;
  return is_good && (kind != STANZA_IQ || (stanza->type != STANZA_TYPE_NONE && stanza->id != NULL));
}

const StanzaChild *
stanza_find_child (const Stanza *stanza, const char *name, const char *ns)
{
  for (guint i = 0; i < stanza->n_children; i++)
    if (strcmp (stanza->children[i].name, name) == 0 && strcmp (stanza->children[i].ns, ns) == 0)
      return &stanza->children[i];
  return NULL;
}

static gsize
size_of_text (const char *text)
{
  return text != NULL ? strlen (text) + 1 : 0;
}

static const char *
put_bytes (char **at, const char *bytes, gsize length)
{
  char *copy = *at;
  memcpy (copy, bytes, length);
  copy[length] = '\0';
  *at += length + 1;
  return copy;
}

static const char *
put_text (char **at, const char *text)
{
  return text != NULL ? put_bytes (at, text, strlen (text)) : NULL;
}

Stanza *
stanza_copy (const Stanza *stanza)
{
  gsize size = sizeof (Stanza) + stanza->n_children * sizeof (StanzaChild) + size_of_text (stanza->id)
               + size_of_text (stanza->lang) + stanza->rest_length + 1 + stanza->payload_length + 1;
  for (guint i = 0; i < stanza->n_children; i++)
    size += size_of_text (stanza->children[i].name) + size_of_text (stanza->children[i].ns);

  /* One block: the struct, its children, then the texts. */
  Stanza *copy = g_malloc (size);
  StanzaChild *children = (StanzaChild *)(void *)(copy + 1);
  char *at = (char *)(children + stanza->n_children);
  *copy = *stanza;
  copy->to = stanza->to != NULL ? jid_ref (stanza->to) : NULL;
  copy->from = stanza->from != NULL ? jid_ref (stanza->from) : NULL;
  copy->id = put_text (&at, stanza->id);
  copy->lang = put_text (&at, stanza->lang);
  copy->rest = put_bytes (&at, stanza->rest != NULL ? stanza->rest : "", stanza->rest_length);
  copy->payload = put_bytes (&at, stanza->payload != NULL ? stanza->payload : "", stanza->payload_length);
  copy->children = children;
  for (guint i = 0; i < stanza->n_children; i++)
    {
      children[i].name = put_text (&at, stanza->children[i].name);
      children[i].ns = put_text (&at, stanza->children[i].ns);
      children[i].start = copy->payload + (stanza->children[i].start - stanza->payload);
      children[i].length = stanza->children[i].length;
    }
  return copy;
}

void
stanza_free (Stanza *stanza)
{
  if (stanza == NULL)
    return;
  jid_unref ((Jid *)stanza->to);
  jid_unref ((Jid *)stanza->from);
  g_free (stanza);
}

static gboolean
is_plain (const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++)
    {
      guchar c = (guchar)text[i];
      if (c < ' ' || c == '&' || c == '<' || c == '>' || c == '\'' || c == '"' || c >= 0x80)
        return FALSE;
    }
  return TRUE;
}

static void
append_attribute (GString *out, const char *open, gsize open_length, const char *value, gsize length)
{
  g_string_append_len (out, open, (gssize)open_length);
  g_string_append_len (out, value, (gssize)length);
  g_string_append_c (out, '\'');
}

static void
append_text_attribute (GString *out, const char *open, gsize open_length, const char *value)
{
  gsize length = strlen (value);
  if (is_plain (value, length))
    {
      append_attribute (out, open, open_length, value, length);
      return;
    }
  g_string_append_len (out, open, (gssize)open_length);
  text_append_xml_len (out, value, length);
  g_string_append_c (out, '\'');
}

#define APPEND(out, literal) g_string_append_len (out, literal, sizeof (literal) - 1)

static const StanzaRoot unchanged;

/* Room for all of a root's tags but its texts: names, quotes, the namespace. */
#define ROOT_BYTES 160

/* Every message is copied once, here: the room is made at the start, and the pieces are put down one after
 * the other. */
static char *
put (char *at, const char *bytes, gsize length)
{
  if (length > 0)
    memcpy (at, bytes, length);
  return at + length;
}

#define PUT(at, literal) put (at, literal, sizeof (literal) - 1)

static char *
put_attribute (char *at, const char *open, gsize open_length, const char *value, gsize length)
{
  at = put (at, open, open_length);
  at = put (at, value, length);
  *at++ = '\'';
  return at;
}

/* @value as an attribute's value: itself, or escaped into @scratch. */
static const char *
escape_value (const char *value, gsize *length, GString **scratch)
{
  *length = strlen (value);
  if (is_plain (value, *length))
    return value;
  *scratch = g_string_new (NULL);
  text_append_xml_len (*scratch, value, *length);
  *length = (*scratch)->len;
  return (*scratch)->str;
}

void
stanza_write (const Stanza *stanza, const StanzaRoot *root, GString *out)
{
  if (root == NULL)
    root = &unchanged;
  const Jid *from = root->from != NULL ? root->from : stanza->from;
  const Jid *to = root->to != NULL ? root->to : stanza->to;
  const char *type = types[stanza->type].text;
  const char *name = kind_names[stanza->kind];
  GString *escaped_id = NULL;
  GString *escaped_lang = NULL;
  const char *from_xml = NULL, *to_xml = NULL, *id = NULL, *lang = NULL;
  gsize from_length = 0, to_length = 0, id_length = 0, lang_length = 0;
  gsize name_length = strlen (name);
  gsize append_length = root->append != NULL ? strlen (root->append) : 0;

  if (from != NULL)
    from_xml
        = root->bare_from ? jid_peek_bare_xml (from, &from_length) : jid_peek_full_xml (from, &from_length);
  if (to != NULL)
    to_xml = jid_peek_full_xml (to, &to_length);
  if (stanza->id != NULL)
    id = escape_value (stanza->id, &id_length, &escaped_id);
  if (stanza->lang != NULL)
    lang = escape_value (stanza->lang, &lang_length, &escaped_lang);

  gsize start = out->len;
  g_string_set_size (out, start + ROOT_BYTES + from_length + to_length + id_length + lang_length
                              + stanza->rest_length + stanza->payload_length + append_length);
  char *at = out->str + start;
  *at++ = '<';
  at = put (at, name, name_length);
  if (root->with_xmlns)
    at = PUT (at, " xmlns='" CLIENT_NS "'");
  if (from_xml != NULL)
    at = put_attribute (at, " from='", 7, from_xml, from_length);
  if (to_xml != NULL)
    at = put_attribute (at, " to='", 5, to_xml, to_length);
  if (type != NULL)
    at = put_attribute (at, " type='", 7, type, strlen (type));
  if (id != NULL)
    at = put_attribute (at, " id='", 5, id, id_length);
  if (lang != NULL)
    at = put_attribute (at, " xml:lang='", 11, lang, lang_length);
  at = put (at, stanza->rest, stanza->rest_length);
  if (stanza->payload_length == 0 && append_length == 0)
    at = PUT (at, "/>");
  else
    {
      *at++ = '>';
      at = put (at, stanza->payload, stanza->payload_length);
      at = put (at, root->append, append_length);
      at = PUT (at, "</");
      at = put (at, name, name_length);
      *at++ = '>';
    }
  g_string_truncate (out, (gsize)(at - out->str));
  if (escaped_id != NULL)
    g_string_free (escaped_id, TRUE);
  if (escaped_lang != NULL)
    g_string_free (escaped_lang, TRUE);
}

static Jid *
read_address (const XmlElement *element, const char *name, gboolean *is_good)
{
  const char *text = xml_element_get_attribute (element, name);
  if (text == NULL)
    return NULL;
  Jid *jid = jid_new (text, strlen (text));
  *is_good = *is_good && jid != NULL;
  return jid;
}

typedef struct
{
  Stanza *stanza;
  guint n_elements;
} StoredStanza;

static void
on_stored_element (const XmlElement *element, gpointer data)
{
  StoredStanza *stored = data;
  g_autoptr (GString) scratch = g_string_new (NULL);
  gboolean is_good = g_str_equal (element->ns, CLIENT_NS) && stored->n_elements++ == 0;
  g_autoptr (Jid) to = read_address (element, "to", &is_good);
  g_autoptr (Jid) from = read_address (element, "from", &is_good);

  for (gsize kind = 0; is_good && kind < G_N_ELEMENTS (kind_names); kind++)
    {
      Stanza stanza;
      if (g_str_equal (element->name, kind_names[kind])
          && stanza_read (element, (StanzaKind)kind, to, from, NULL, scratch, &stanza))
        stored->stanza = stanza_copy (&stanza);
    }
}

static void
on_stored_end (gpointer data)
{
  StoredStanza *stored = data;
  stored->n_elements = 2;
}

Stanza *
stanza_new_from_bytes (const char *bytes, gsize length)
{
  static const XmlHandler handler = { .element = on_stored_element, .closed = on_stored_end };
  static const XmlLimits limits = { 0, 512, G_MAXUINT16 };
  StoredStanza stored = { 0 };
  gsize consumed;

  g_autoptr (XmlPool) pool = xml_pool_new ();
  g_autoptr (XmlReader) reader = xml_reader_new (pool, &handler, &stored);
  xml_reader_set_limits (reader, &limits);
  xml_reader_restart_inside (reader);
  gboolean is_read = xml_reader_feed (reader, bytes, length, &consumed) == XML_READER_OK
                     && xml_reader_get_held (reader) == 0 && stored.n_elements == 1;
  if (!is_read)
    g_clear_pointer (&stored.stanza, stanza_free);
  return stored.stanza;
}

/* The text of one element (its namespaces do not matter here), or of one child of it. */
typedef struct
{
  const char *inner; /* NULL: the element's own */
  GString *text;
  guint depth;
  gboolean is_inside;
  gboolean is_found;
  gboolean is_simple;
} SimpleText;

static const char *
local_name (const char *name)
{
  const char *colon = strchr (name, ':');
  return colon != NULL ? colon + 1 : name;
}

static void
on_simple_start (void *data, const char *name, const char **attributes)
{
  SimpleText *simple = data;
  simple->depth++;
  if (simple->is_inside)
    simple->is_simple = FALSE;
  else if (simple->inner == NULL
           || (simple->depth == 2 && !simple->is_found && g_str_equal (local_name (name), simple->inner)))
    simple->is_inside = simple->is_found = TRUE;
}

static void
on_simple_end (void *data, const char *name)
{
  SimpleText *simple = data;
  simple->depth--;
  if (simple->depth < 2)
    simple->is_inside = FALSE;
}

static void
on_simple_text (void *data, const char *text, int length)
{
  SimpleText *simple = data;
  if (simple->is_inside)
    g_string_append_len (simple->text, text, length);
}

static char *
dup_text (const StanzaChild *child, const char *inner)
{
  if (child == NULL)
    return NULL;
  SimpleText simple = { .inner = inner, .text = g_string_new (NULL), .is_simple = TRUE };
  XML_Parser expat = XML_ParserCreate ("UTF-8");
  XML_SetUserData (expat, &simple);
  XML_SetElementHandler (expat, on_simple_start, on_simple_end);
  XML_SetCharacterDataHandler (expat, on_simple_text);
  gboolean is_read = XML_Parse (expat, child->start, (int)child->length, 1) == XML_STATUS_OK
                     && simple.is_simple && simple.is_found;
  XML_ParserFree (expat);
  return g_string_free (simple.text, !is_read);
}

char *
stanza_dup_child_text (const Stanza *stanza, const char *name, const char *ns)
{
  return dup_text (stanza_find_child (stanza, name, ns), NULL);
}

char *
stanza_dup_inner_text (const Stanza *stanza, const char *name, const char *ns, const char *inner)
{
  return dup_text (stanza_find_child (stanza, name, ns), inner);
}

static const struct
{
  const char *name;
  const char *type;
} errors[] = {
  [STANZA_ERROR_BAD_REQUEST] = { "bad-request", "modify" },
  [STANZA_ERROR_CONFLICT] = { "conflict", "cancel" },
  [STANZA_ERROR_FEATURE_NOT_IMPLEMENTED] = { "feature-not-implemented", "cancel" },
  [STANZA_ERROR_FORBIDDEN] = { "forbidden", "auth" },
  [STANZA_ERROR_GONE] = { "gone", "cancel" },
  [STANZA_ERROR_INTERNAL_SERVER_ERROR] = { "internal-server-error", "cancel" },
  [STANZA_ERROR_ITEM_NOT_FOUND] = { "item-not-found", "cancel" },
  [STANZA_ERROR_JID_MALFORMED] = { "jid-malformed", "modify" },
  [STANZA_ERROR_NOT_ACCEPTABLE] = { "not-acceptable", "modify" },
  [STANZA_ERROR_NOT_ALLOWED] = { "not-allowed", "cancel" },
  [STANZA_ERROR_NOT_AUTHORIZED] = { "not-authorized", "auth" },
  [STANZA_ERROR_POLICY_VIOLATION] = { "policy-violation", "modify" },
  [STANZA_ERROR_RECIPIENT_UNAVAILABLE] = { "recipient-unavailable", "wait" },
  [STANZA_ERROR_REGISTRATION_REQUIRED] = { "registration-required", "auth" },
  [STANZA_ERROR_REMOTE_SERVER_NOT_FOUND] = { "remote-server-not-found", "cancel" },
  [STANZA_ERROR_RESOURCE_CONSTRAINT] = { "resource-constraint", "wait" },
  [STANZA_ERROR_SERVICE_UNAVAILABLE] = { "service-unavailable", "cancel" },
  [STANZA_ERROR_SUBSCRIPTION_REQUIRED] = { "subscription-required", "auth" },
  [STANZA_ERROR_UNDEFINED_CONDITION] = { "undefined-condition", "cancel" },
  [STANZA_ERROR_UNEXPECTED_REQUEST] = { "unexpected-request", "wait" },
};

const char *
stanza_error_to_text (StanzaError error)
{
  return errors[error].name;
}

void
stanza_write_error (const Stanza *stanza, StanzaError error, const char *text, const char *application,
                    GString *out)
{
  gsize length;
  const char *xml;

  if (stanza->type == STANZA_TYPE_ERROR || stanza->type == STANZA_TYPE_RESULT)
    return;
  g_string_append_c (out, '<');
  g_string_append (out, kind_names[stanza->kind]);
  if (stanza->to != NULL)
    {
      xml = jid_peek_full_xml (stanza->to, &length);
      append_attribute (out, " from='", 7, xml, length);
    }
  if (stanza->from != NULL)
    {
      xml = jid_peek_full_xml (stanza->from, &length);
      append_attribute (out, " to='", 5, xml, length);
    }
  APPEND (out, " type='error'");
  if (stanza->id != NULL)
    append_text_attribute (out, " id='", 5, stanza->id);
  g_string_append_printf (out, "><error type='%s'><%s xmlns='" STANZAS_NS "'/>", errors[error].type,
                          errors[error].name);
  if (text != NULL)
    {
      APPEND (out, "<text xmlns='" STANZAS_NS "' xml:lang='en'>");
      text_append_xml (out, text);
      APPEND (out, "</text>");
    }
  if (application != NULL)
    g_string_append (out, application);
  APPEND (out, "</error></");
  g_string_append (out, kind_names[stanza->kind]);
  g_string_append_c (out, '>');
}
