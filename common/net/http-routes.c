#include "common/net/http-private.h"

#include <string.h>

static gboolean
is_parameter (const char *segment)
{
  return segment[0] == '{';
}

static void
entry_free (gpointer data)
{
  HttpRouteEntry *entry = data;
  g_free ((char *)entry->route.method);
  g_free ((char *)entry->route.pattern);
  g_strfreev (entry->segments);
  g_strfreev (entry->headers);
  g_free (entry);
}

HttpRoutes *
http_routes_new (void)
{
  HttpRoutes *routes = g_new0 (HttpRoutes, 1);
  routes->entries = g_ptr_array_new_with_free_func (entry_free);
  return routes;
}

void
http_routes_free (HttpRoutes *routes)
{
  if (routes == NULL)
    return;
  g_ptr_array_unref (routes->entries);
  g_free (routes);
}

/* -1: @a has the earlier fixed segment where the other takes any, so it goes first; 0: neither. */
static int
compare_patterns (char **a, char **b)
{
  for (; *a != NULL && *b != NULL; a++, b++)
    if (is_parameter (*a) != is_parameter (*b))
      return is_parameter (*a) ? 1 : -1;
  return 0;
}

static gboolean
is_same_pattern (char **a, char **b)
{
  for (; *a != NULL && *b != NULL; a++, b++)
    if (is_parameter (*a) != is_parameter (*b) || (!is_parameter (*a) && strcmp (*a, *b) != 0))
      return FALSE;
  return *a == NULL && *b == NULL;
}

void
http_routes_add (HttpRoutes *routes, const HttpRoute *route)
{
  static char *no_headers[] = { NULL };
  g_assert (!routes->is_sealed);
  g_assert (route->pattern[0] == '/' && route->handle != NULL);
  HttpRouteEntry *entry = g_new0 (HttpRouteEntry, 1);
  entry->route = *route;
  entry->route.method = g_strdup (route->method);
  entry->route.pattern = g_strdup (route->pattern);
  entry->segments = g_strsplit (route->pattern + 1, "/", -1);
  entry->headers = g_strdupv (route->headers != NULL ? (char **)route->headers : no_headers);
  entry->route.headers = (const char *const *)entry->headers;

  guint place = routes->entries->len;
  for (guint i = 0; i < routes->entries->len; i++)
    {
      HttpRouteEntry *other = g_ptr_array_index (routes->entries, i);
      g_assert (strcmp (other->route.method, route->method) != 0
                || !is_same_pattern (other->segments, entry->segments));
      if (place == routes->entries->len && compare_patterns (entry->segments, other->segments) < 0)
        place = i;
    }
  g_ptr_array_insert (routes->entries, (int)place, entry);
}

guint
http_routes_get_length (const HttpRoutes *routes)
{
  return routes->entries->len;
}

const HttpRoute *
http_routes_get (HttpRoutes *routes, guint index, HttpRouteCount *count)
{
  HttpRouteEntry *entry = g_ptr_array_index (routes->entries, index);
  count->n_requests = __atomic_load_n (&entry->count.n_requests, __ATOMIC_RELAXED);
  for (guint i = 0; i < G_N_ELEMENTS (count->n_answers); i++)
    count->n_answers[i] = __atomic_load_n (&entry->count.n_answers[i], __ATOMIC_RELAXED);
  return &entry->route;
}

void
http_route_count_answer (HttpRouteEntry *entry, guint status)
{
  __atomic_fetch_add (&entry->count.n_answers[MIN (status / 100, 5)], 1, __ATOMIC_RELAXED);
}

static gboolean
matches (const HttpRouteEntry *entry, char **segments)
{
  char **pattern = entry->segments;
  for (; *pattern != NULL && *segments != NULL; pattern++, segments++)
    if (is_parameter (*pattern) ? **segments == '\0' : strcmp (*pattern, *segments) != 0)
      return FALSE;
  return *pattern == NULL && *segments == NULL;
}

static char **
decode_parameters (const HttpRouteEntry *entry, char **segments)
{
  g_autoptr (GStrvBuilder) values = g_strv_builder_new ();
  for (guint i = 0; entry->segments[i] != NULL; i++)
    {
      if (!is_parameter (entry->segments[i]))
        continue;
      g_autofree char *value = g_uri_unescape_string (segments[i], NULL);
      if (value == NULL || !g_utf8_validate (value, -1, NULL))
        return NULL;
      g_strv_builder_add (values, value);
    }
  return g_strv_builder_end (values);
}

HttpRouteResult
http_routes_find (HttpRoutes *routes, const char *method, const char *path, HttpRouteEntry **found,
                  char ***parameters, char **allowed)
{
  g_auto (GStrv) segments = g_strsplit (path + 1, "/", -1);
  g_autoptr (GString) methods = g_string_new (NULL);
  const char *wanted = strcmp (method, "HEAD") == 0 ? "GET" : method;
  for (guint i = 0; i < routes->entries->len; i++)
    {
      HttpRouteEntry *entry = g_ptr_array_index (routes->entries, i);
      if (!matches (entry, segments))
        continue;
      if (strcmp (entry->route.method, wanted) != 0)
        {
          g_string_append_printf (methods, "%s%s", methods->len > 0 ? ", " : "", entry->route.method);
          continue;
        }
      *parameters = decode_parameters (entry, segments);
      if (*parameters == NULL)
        return HTTP_ROUTE_BAD_ENCODING;
      *found = entry;
      return HTTP_ROUTE_FOUND;
    }
  if (methods->len == 0)
    return HTTP_ROUTE_NO_PATH;
  *allowed = g_strdup (methods->str);
  return HTTP_ROUTE_NOT_METHOD;
}
