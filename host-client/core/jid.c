#include "host-client/core/jid.h"

#include <string.h>
#include <stringprep.h>

static char *
prepare_part (const char *text, gsize length, const Stringprep_profile *profile)
{
  char buffer[JID_PART_MAX + 1];
  if (length == 0 || length > JID_PART_MAX)
    return NULL;
  memcpy (buffer, text, length);
  buffer[length] = '\0';
  if (stringprep (buffer, sizeof buffer, 0, profile) != STRINGPREP_OK || buffer[0] == '\0')
    return NULL;
  return g_strdup (buffer);
}

static char *
prepare_domain (const char *text, gsize length)
{
  g_autofree char *domain = prepare_part (text, length, stringprep_nameprep);
  if (domain == NULL || strpbrk (domain, "\"&'/<>@ ") != NULL)
    return NULL;
  return g_steal_pointer (&domain);
}

char *
jid_prepare (const char *text)
{
  if (text == NULL || !g_utf8_validate (text, -1, NULL))
    return NULL;
  const char *slash = strchr (text, '/');
  gsize bare_length = slash != NULL ? (gsize)(slash - text) : strlen (text);
  const char *at = memchr (text, '@', bare_length);
  gsize local_length = at != NULL ? (gsize)(at - text) : 0;
  const char *domain_text = at != NULL ? at + 1 : text;

  g_autofree char *domain = prepare_domain (domain_text, bare_length - (gsize)(domain_text - text));
  g_autofree char *local = at != NULL ? prepare_part (text, local_length, stringprep_xmpp_nodeprep) : NULL;
  g_autofree char *resource
      = slash != NULL ? prepare_part (slash + 1, strlen (slash + 1), stringprep_xmpp_resourceprep) : NULL;
  if (domain == NULL || (at != NULL && local == NULL) || (slash != NULL && resource == NULL))
    return NULL;
  return g_strconcat (local != NULL ? local : "", local != NULL ? "@" : "", domain,
                      resource != NULL ? "/" : "", resource, NULL);
}

char *
jid_prepare_bare (const char *text)
{
  g_autofree char *jid = jid_prepare (text);
  return jid != NULL ? jid_dup_bare (jid) : NULL;
}

char *
jid_dup_bare (const char *jid)
{
  return g_strndup (jid, strcspn (jid, "/"));
}

char *
jid_dup_domain (const char *jid)
{
  g_autofree char *bare = jid_dup_bare (jid);
  const char *at = strchr (bare, '@');
  return g_strdup (at != NULL ? at + 1 : bare);
}

char *
jid_dup_local (const char *jid)
{
  const char *end = strpbrk (jid, "@/");
  return end != NULL && *end == '@' ? g_strndup (jid, end - jid) : NULL;
}

const char *
jid_peek_resource (const char *jid)
{
  const char *slash = strchr (jid, '/');
  return slash != NULL ? slash + 1 : NULL;
}
