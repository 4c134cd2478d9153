#include "host-server/wire/jid.h"

#include "common/base/text.h"

#include <idna.h>
#include <stringprep.h>
#include <string.h>

/* What a raw part may need before preparation has mapped parts of it to nothing. */
#define MAX_RAW_PART 3071

struct Jid
{
  gatomicrefcount references;
  const char *full;
  const char *bare;
  const char *local;
  const char *domain;
  const char *resource;
  const char *full_xml;
  const char *bare_xml;
  guint16 full_length;
  guint16 bare_length;
  guint16 full_xml_length;
  guint16 bare_xml_length;
  char texts[];
};

/* A part as it comes out of preparation. */
typedef struct
{
  gsize length;
  char text[MAX_RAW_PART + 1];
} Part;

static gboolean
is_ascii (const char *text, gsize length)
{
  guchar all = 0;
  for (gsize i = 0; i < length; i++)
    all |= (guchar)text[i];
  return all < 0x80;
}

/* Loads @part with the raw text and runs a stringprep profile over it. libidn must not see invalid UTF-8. */
static gboolean
part_prepare (Part *part, const char *raw, gsize length, const Stringprep_profile *profile,
              Stringprep_profile_flags flags)
{
  if (length > MAX_RAW_PART || !g_utf8_validate_len (raw, length, NULL))
    return FALSE;
  memcpy (part->text, raw, length);
  part->text[length] = '\0';
  if (stringprep (part->text, sizeof part->text, flags, profile) != STRINGPREP_OK)
    return FALSE;
  part->length = strlen (part->text);
  return part->length >= 1 && part->length <= JID_MAX_PART;
}

static gboolean
part_set_local (Part *part, const char *raw, gsize length)
{
  if (length == 0 || memchr (raw, '\0', length) != NULL)
    return FALSE;
  if (!is_ascii (raw, length))
    {
      if (!part_prepare (part, raw, length, stringprep_xmpp_nodeprep, STRINGPREP_NO_UNASSIGNED))
        return FALSE;
      /* Compatibility forms (a full-width slash) become characters that are refused in their own right. */
      return strpbrk (part->text, "\"&'/:<>@ ") == NULL;
    }
  if (length > JID_MAX_PART)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    {
      char c = raw[i];
      if (c <= ' ' || c == 0x7f || strchr ("\"&'/:<>@", c) != NULL)
        return FALSE;
      part->text[i] = g_ascii_tolower (c);
    }
  part->text[length] = '\0';
  part->length = length;
  return TRUE;
}

static gboolean
is_ipv6_literal (const char *text, gsize length)
{
  if (length < 4 || text[0] != '[' || text[length - 1] != ']')
    return FALSE;
  for (gsize i = 1; i < length - 1; i++)
    if (!g_ascii_isxdigit (text[i]) && text[i] != ':' && text[i] != '.')
      return FALSE;
  return TRUE;
}

/* Labels of 1 to 63 bytes of letters, digits, hyphens (and underscores, which hosts inside a site do have).
 */
static gboolean
is_ascii_domain (const char *text, gsize length)
{
  gsize label = 0;
  for (gsize i = 0; i < length; i++)
    {
      if (text[i] == '.')
        {
          if (label == 0 || text[i - 1] == '-')
            return FALSE;
          label = 0;
          continue;
        }
      if (!g_ascii_isalnum (text[i]) && text[i] != '_' && (text[i] != '-' || label == 0))
        return FALSE;
      if (++label > 63)
        return FALSE;
    }
  return label > 0 && text[length - 1] != '-';
}

static gboolean
part_set_domain (Part *part, const char *raw, gsize length)
{
  /* RFC 7622 §3.2: a final dot is not part of the address. */
  if (length > 1 && raw[length - 1] == '.')
    length--;
  if (length == 0 || memchr (raw, '\0', length) != NULL)
    return FALSE;
  if (is_ascii (raw, length))
    {
      if (length > JID_MAX_PART || !(is_ipv6_literal (raw, length) || is_ascii_domain (raw, length)))
        return FALSE;
      for (gsize i = 0; i < length; i++)
        part->text[i] = g_ascii_tolower (raw[i]);
      part->text[length] = '\0';
      part->length = length;
      return TRUE;
    }
  if (!part_prepare (part, raw, length, stringprep_nameprep, STRINGPREP_NO_UNASSIGNED))
    return FALSE;
  /* IDEOGRAPHIC FULL STOP and its kin are dots to IDNA, and nameprep has mapped only some of them. */
  char *ace = NULL;
  gboolean is_name = idna_to_ascii_8z (part->text, &ace, IDNA_USE_STD3_ASCII_RULES) == IDNA_SUCCESS
                     && is_ascii_domain (ace, strlen (ace)) && strstr (part->text, "\xe3\x80\x82") == NULL;
  free (ace);
  return is_name;
}

static gboolean
part_set_resource (Part *part, const char *raw, gsize length)
{
  if (length == 0 || memchr (raw, '\0', length) != NULL)
    return FALSE;
  /* Unassigned code points pass here: a resource is chosen by its user, and newer characters are in use. */
  if (!is_ascii (raw, length))
    return part_prepare (part, raw, length, stringprep_xmpp_resourceprep, 0);
  if (length > JID_MAX_PART)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (raw[i] < ' ' || raw[i] == 0x7f)
      return FALSE;
  memcpy (part->text, raw, length);
  part->text[length] = '\0';
  part->length = length;
  return TRUE;
}

static gboolean
needs_escape (const char *text)
{
  return strpbrk (text, "&<>'\"") != NULL;
}

static Jid *
jid_allocate (const Part *local, const Part *domain, const Part *resource)
{
  gsize local_length = local != NULL ? local->length + 1 : 0;
  gsize bare_length = local_length + domain->length;
  gsize full_length = bare_length + (resource != NULL ? resource->length + 1 : 0);
  g_autofree char *xml = NULL;
  gsize xml_length = 0;

  /* Prepared locals and domains hold nothing that XML escapes; only a resource can. */
  if (resource != NULL && needs_escape (resource->text))
    {
      GString *escaped = g_string_new (NULL);
      if (local != NULL)
        {
          g_string_append (escaped, local->text);
          g_string_append_c (escaped, '@');
        }
      g_string_append (escaped, domain->text);
      g_string_append_c (escaped, '/');
      text_append_xml (escaped, resource->text);
      xml_length = escaped->len;
      xml = g_string_free (escaped, FALSE);
    }

  gsize size = full_length + 1 + (resource != NULL ? bare_length + 1 : 0) + local_length
               + (xml != NULL ? xml_length + 1 : 0);
  Jid *jid = g_malloc (sizeof (Jid) + size);
  g_atomic_ref_count_init (&jid->references);
  char *out = jid->texts;
  jid->full = out;
  if (local != NULL)
    {
      memcpy (out, local->text, local->length);
      out += local->length;
      *out++ = '@';
    }
  memcpy (out, domain->text, domain->length);
  out += domain->length;
  jid->resource = NULL;
  if (resource != NULL)
    {
      *out++ = '/';
      jid->resource = out;
      memcpy (out, resource->text, resource->length);
      out += resource->length;
    }
  *out++ = '\0';
  jid->bare = jid->full;
  if (resource != NULL)
    {
      jid->bare = out;
      memcpy (out, jid->full, bare_length);
      out += bare_length;
      *out++ = '\0';
    }
  jid->domain = jid->bare + local_length;
  jid->local = NULL;
  if (local != NULL)
    {
      jid->local = out;
      memcpy (out, local->text, local->length + 1);
      out += local->length + 1;
    }
  jid->full_length = (guint16)full_length;
  jid->bare_length = (guint16)bare_length;
  jid->bare_xml = jid->bare;
  jid->bare_xml_length = jid->bare_length;
  jid->full_xml = jid->full;
  jid->full_xml_length = jid->full_length;
  if (xml != NULL)
    {
      jid->full_xml = out;
      jid->full_xml_length = (guint16)xml_length;
      memcpy (out, xml, xml_length + 1);
    }
  return jid;
}

static Jid *
jid_prepare (const char *local, gsize local_length, const char *domain, gsize domain_length,
             const char *resource, gsize resource_length)
{
  Part prepared_local;
  Part prepared_domain;
  Part prepared_resource;

  if (local != NULL && !part_set_local (&prepared_local, local, local_length))
    return NULL;
  if (!part_set_domain (&prepared_domain, domain, domain_length))
    return NULL;
  if (resource != NULL && !part_set_resource (&prepared_resource, resource, resource_length))
    return NULL;
  return jid_allocate (local != NULL ? &prepared_local : NULL, &prepared_domain,
                       resource != NULL ? &prepared_resource : NULL);
}

Jid *
jid_new (const char *text, gsize length)
{
  const char *slash = memchr (text, '/', length);
  gsize bare_length = slash != NULL ? (gsize)(slash - text) : length;
  const char *at = memchr (text, '@', bare_length);
  const char *domain = at != NULL ? at + 1 : text;
  return jid_prepare (at != NULL ? text : NULL, at != NULL ? (gsize)(at - text) : 0, domain,
                      (gsize)(text + bare_length - domain), slash != NULL ? slash + 1 : NULL,
                      slash != NULL ? length - bare_length - 1 : 0);
}

Jid *
jid_new_parts (const char *local, const char *domain, const char *resource)
{
  return jid_prepare (local, local != NULL ? strlen (local) : 0, domain, strlen (domain), resource,
                      resource != NULL ? strlen (resource) : 0);
}

Jid *
jid_to_bare (const Jid *jid)
{
  if (jid->resource == NULL)
    return jid_ref (jid);
  return jid_new (jid->bare, jid->bare_length);
}

Jid *
jid_with_resource (const Jid *bare, const char *resource)
{
  return jid_prepare (bare->local, bare->local != NULL ? strlen (bare->local) : 0, bare->domain,
                      strlen (bare->domain), resource, strlen (resource));
}

Jid *
jid_ref (const Jid *jid)
{
  Jid *self = (Jid *)jid;
  g_atomic_ref_count_inc (&self->references);
  return self;
}

void
jid_unref (Jid *jid)
{
  if (jid != NULL && g_atomic_ref_count_dec (&jid->references))
    g_free (jid);
}

const char *
jid_get_full (const Jid *jid)
{
  return jid->full;
}

const char *
jid_get_bare (const Jid *jid)
{
  return jid->bare;
}

const char *
jid_get_local (const Jid *jid)
{
  return jid->local;
}

const char *
jid_get_domain (const Jid *jid)
{
  return jid->domain;
}

const char *
jid_get_resource (const Jid *jid)
{
  return jid->resource;
}

const char *
jid_peek_full_xml (const Jid *jid, gsize *length)
{
  *length = jid->full_xml_length;
  return jid->full_xml;
}

const char *
jid_peek_bare_xml (const Jid *jid, gsize *length)
{
  *length = jid->bare_xml_length;
  return jid->bare_xml;
}

gboolean
jid_equal (const Jid *a, const Jid *b)
{
  return a == b || (a->full_length == b->full_length && memcmp (a->full, b->full, a->full_length) == 0);
}

gboolean
jid_equal_bare (const Jid *a, const Jid *b)
{
  return a == b || (a->bare_length == b->bare_length && memcmp (a->bare, b->bare, a->bare_length) == 0);
}
