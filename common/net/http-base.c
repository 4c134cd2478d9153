#include "common/net/http-client.h"

#include <curl/curl.h>
#include <gio/gio.h>
#include <string.h>

#define MAX_URL_BYTES 2048

struct HttpBase
{
  char *origin; /* "https://host:port", the port always there */
  char *path;   /* "" or "/vendor" */
  char *url;    /* as a person would write it */
};

/* The parts that matter of an accepted URL, taken apart by the same parser that will call it. */
typedef struct
{
  char *scheme, *host, *port, *path, *query;
} UrlParts;

static void
url_parts_clear (UrlParts *parts)
{
  curl_free (parts->scheme);
  curl_free (parts->host);
  curl_free (parts->port);
  curl_free (parts->path);
  curl_free (parts->query);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UrlParts, url_parts_clear)

static void
url_cleanup (CURLU *handle)
{
  curl_url_cleanup (handle);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CURLU, url_cleanup)

static gboolean
host_is_loopback (const char *host)
{
  if (g_ascii_strcasecmp (host, "localhost") == 0)
    return TRUE;
  g_autofree char *literal = NULL;
  gsize length = strlen (host);
  if (host[0] == '[' && length > 2 && host[length - 1] == ']')
    literal = g_strndup (host + 1, length - 2);
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (literal != NULL ? literal : host);
  return address != NULL && g_inet_address_get_is_loopback (address);
}

static gboolean
has_part (CURLU *handle, CURLUPart part)
{
  char *text = NULL;
  gboolean is_there = curl_url_get (handle, part, &text, 0) == CURLUE_OK;
  curl_free (text);
  return is_there;
}

/* NULL, or why @url may not be called. */
static const char *
take_apart (const char *url, UrlParts *parts)
{
  gsize length = strlen (url);
  if (length == 0 || length > MAX_URL_BYTES)
    return "it is empty or over 2,048 bytes";
  for (gsize i = 0; i < length; i++)
    if (url[i] <= 0x20 || url[i] > 0x7e || url[i] == '\\')
      return "it holds a character that URLs do not have";
  const char *slashes = strstr (url, "://");
  if (slashes == NULL || slashes[3] == '/')
    return "it has no host"; /* libcurl would take the path's first segment */
  g_autoptr (CURLU) handle = curl_url ();
  if (curl_url_set (handle, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS) != CURLUE_OK
      || curl_url_get (handle, CURLUPART_SCHEME, &parts->scheme, 0) != CURLUE_OK
      || curl_url_get (handle, CURLUPART_HOST, &parts->host, 0) != CURLUE_OK
      || curl_url_get (handle, CURLUPART_PORT, &parts->port, CURLU_DEFAULT_PORT) != CURLUE_OK
      || curl_url_get (handle, CURLUPART_PATH, &parts->path, 0) != CURLUE_OK)
    return "it is not an absolute URL without a user part";
  if (curl_url_get (handle, CURLUPART_QUERY, &parts->query, 0) != CURLUE_OK)
    parts->query = NULL;
  if (has_part (handle, CURLUPART_FRAGMENT) || has_part (handle, CURLUPART_ZONEID))
    return "it has a fragment or a zone";
  if (strcmp (parts->scheme, "https") == 0)
    return NULL;
  if (strcmp (parts->scheme, "http") != 0)
    return "it is neither https nor http";
  return host_is_loopback (parts->host) ? NULL : "it must be https unless the host is on loopback";
}

static gboolean
has_dot_segment (const char *path)
{
  g_auto (GStrv) segments = g_strsplit (path, "/", -1);
  for (char **segment = segments; *segment != NULL; segment++)
    {
      g_autofree char *decoded = g_uri_unescape_string (*segment, NULL);
      if (decoded == NULL || strcmp (decoded, ".") == 0 || strcmp (decoded, "..") == 0)
        return TRUE;
    }
  return FALSE;
}

static char *
dup_origin (const UrlParts *parts)
{
  g_autofree char *host = g_ascii_strdown (parts->host, -1);
  return g_strdup_printf ("%s://%s:%s", parts->scheme, host, parts->port);
}

HttpBase *
http_base_new (const char *url, GError **error)
{
  g_auto (UrlParts) parts = { NULL };
  const char *reason = take_apart (url, &parts);
  if (reason == NULL && parts.query != NULL)
    reason = "it has a query";
  if (reason == NULL && has_dot_segment (parts.path))
    reason = "its path has dot segments";
  if (reason != NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "base URL '%.200s': %s", url, reason);
      return NULL;
    }
  HttpBase *base = g_new0 (HttpBase, 1);
  base->origin = dup_origin (&parts);
  gsize length = strlen (parts.path);
  while (length > 0 && parts.path[length - 1] == '/')
    length--;
  base->path = g_strndup (parts.path, length);
  gboolean is_default_port = strcmp (parts.port, strcmp (parts.scheme, "https") == 0 ? "443" : "80") == 0;
  g_autofree char *host = g_ascii_strdown (parts.host, -1);
  base->url = g_strconcat (parts.scheme, "://", host, is_default_port ? "" : ":",
                           is_default_port ? "" : parts.port, base->path, NULL);
  return base;
}

void
http_base_free (HttpBase *base)
{
  if (base == NULL)
    return;
  g_free (base->origin);
  g_free (base->path);
  g_free (base->url);
  g_free (base);
}

const char *
http_base_peek_url (const HttpBase *base)
{
  return base->url;
}

const char *
http_base_peek_origin (const HttpBase *base)
{
  return base->origin;
}

char *
http_base_dup_target (const HttpBase *base, const char *path)
{
  g_assert (path[0] == '/');
  return g_strconcat (base->path, path, NULL);
}

gboolean
http_base_contains (const HttpBase *base, const char *url)
{
  g_auto (UrlParts) parts = { NULL };
  if (take_apart (url, &parts) != NULL || has_dot_segment (parts.path))
    return FALSE;
  g_autofree char *origin = dup_origin (&parts);
  if (strcmp (origin, base->origin) != 0 || !g_str_has_prefix (parts.path, base->path))
    return FALSE;
  char next = parts.path[strlen (base->path)];
  return next == '\0' || next == '/';
}

gboolean
http_url_is_acceptable (const char *url)
{
  g_auto (UrlParts) parts = { NULL };
  return url != NULL && take_apart (url, &parts) == NULL;
}

gboolean
http_url_is_for_browsers (const char *url)
{
  if (url == NULL || strlen (url) > MAX_URL_BYTES)
    return FALSE;
  gsize length = strcspn (url, "#");
  g_autofree char *sent = g_strndup (url, length);
  for (const char *byte = url + length; *byte != '\0'; byte++)
    if (*byte <= 0x20 || *byte > 0x7e)
      return FALSE;
  return http_url_is_acceptable (sent);
}

void
http_append_segment (GString *path, const char *text)
{
  if (strcmp (text, ".") == 0 || strcmp (text, "..") == 0)
    {
      g_string_append (path, text[1] == '\0' ? "%2E" : "%2E%2E");
      return;
    }
  g_autofree char *escaped = g_uri_escape_string (text, NULL, FALSE);
  g_string_append (path, escaped);
}
