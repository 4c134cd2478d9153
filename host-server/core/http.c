#include "host-server/core/http.h"

typedef struct
{
  char *name;
  HttpReadyFunc check;
  gpointer data;
  gboolean is_note; /* shown alone */
} ReadyCheck;

struct Http
{
  HttpRoutes *routes;
  HttpServer *server; /* NULL: not listening */
  GArray *checks;     /* ReadyCheck */
};

static void
ready_check_clear (gpointer check)
{
  g_free (((ReadyCheck *)check)->name);
}

Http *
http_new (void)
{
  Http *http = g_new0 (Http, 1);
  http->routes = http_routes_new ();
  http->checks = g_array_new (FALSE, FALSE, sizeof (ReadyCheck));
  g_array_set_clear_func (http->checks, ready_check_clear);
  return http;
}

void
http_free (Http *http)
{
  if (http == NULL)
    return;
  http_server_free (http->server);
  http_routes_free (http->routes);
  g_array_unref (http->checks);
  g_free (http);
}

void
http_add (Http *http, const HttpRoute *route)
{
  http_routes_add (http->routes, route);
}

HttpRoutes *
http_peek_routes (Http *http)
{
  return http->routes;
}

/* In the file 0 means no limit; to the listener it means its own default. */
static guint
limit_of (const Config *config, const char *key)
{
  gint64 limit = config_get_int (config, "limits", key);
  return limit > 0 ? (guint)limit : 1000000;
}

static HttpServerLimits
limits_of (const Config *config)
{
  return (HttpServerLimits){
    .max_connections = limit_of (config, "http_connections"),
    .max_connections_per_address = limit_of (config, "http_connections_per_address"),
    .max_pending = limit_of (config, "http_pending"),
    .idle_s = limit_of (config, "http_idle_s"),
    .request_s = limit_of (config, "http_request_s"),
    .max_header_bytes = (gsize)config_get_bytes (config, "limits", "http_header_bytes"),
  };
}

gboolean
http_listen (Http *http, const Config *config, GMainContext *context, GError **error)
{
  g_assert (http->server == NULL);
  HttpServerOptions options = {
    .listen = config_get_text (config, "http", "listen"),
    .certificate = config_get_text (config, "http", "certificate"),
    .private_key = config_get_text (config, "http", "private_key"),
    .limits = limits_of (config),
  };
  if (options.listen == NULL)
    return TRUE;
  if ((options.certificate == NULL) != (options.private_key == NULL))
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "[http] certificate and private_key go together");
      return FALSE;
    }
  http->server = http_server_start (&options, http->routes, context, error);
  return http->server != NULL;
}

gboolean
http_reload (Http *http, const Config *config, GError **error)
{
  if (http->server == NULL)
    return TRUE;
  HttpServerLimits limits = limits_of (config);
  return http_server_reload (http->server, &limits, error);
}

const char *
http_peek_address (const Http *http)
{
  return http->server != NULL ? http_server_peek_address (http->server) : NULL;
}

void
http_add_ready_check (Http *http, const char *name, HttpReadyFunc check, gpointer data)
{
  ReadyCheck entry = { g_strdup (name), check, data, FALSE };
  g_array_append_val (http->checks, entry);
}

void
http_add_ready_note (Http *http, const char *name, HttpReadyFunc check, gpointer data)
{
  ReadyCheck entry = { g_strdup (name), check, data, TRUE };
  g_array_append_val (http->checks, entry);
}

json_t *
http_get_readiness (const Http *http, gboolean *is_ready)
{
  json_t *checks = json_object ();
  *is_ready = TRUE;
  for (guint i = 0; i < http->checks->len; i++)
    {
      const ReadyCheck *entry = &g_array_index (http->checks, ReadyCheck, i);
      const char *reason = entry->check (entry->data);
      json_object_set_new (checks, entry->name, json_string (reason != NULL ? reason : "ok"));
      *is_ready = *is_ready && (reason == NULL || entry->is_note);
    }
  return checks;
}
