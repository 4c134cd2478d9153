#include "host-server/admin/admin.h"

#include "host-server/core/control.h"
#include "host-server/core/http.h"
#include "host-server/core/metrics.h"
#include "host-server/core/session.h"
#include "host-server/modules/modules.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

struct Admin
{
  Server *server;
  gint64 started_wall_us, started_us;
};

static void
add_routes (json_t *status, Http *http)
{
  HttpRoutes *routes = http_peek_routes (http);
  guint64 n_requests = 0, n_refused = 0, n_failed = 0;
  for (guint i = 0; i < http_routes_get_length (routes); i++)
    {
      HttpRouteCount count;
      http_routes_get (routes, i, &count);
      n_requests += count.n_requests;
      n_refused += count.n_answers[4];
      n_failed += count.n_answers[5];
    }
  json_object_set_new (status, "http",
                       json_pack ("{s:s?, s:I, s:I, s:I}", "address", http_peek_address (http), "requests",
                                  (json_int_t)n_requests, "refused", (json_int_t)n_refused, "failed",
                                  (json_int_t)n_failed));
}

static const char *
check_store (gpointer data)
{
  Store *store = ((Admin *)data)->server->store;
  if (!store_is_healthy (store, STORE_MARKET))
    return "market.db cannot be written";
  return store_is_healthy (store, STORE_CHAT) ? NULL : "chat.db cannot be written";
}

static void
note_module (const ModulesFacts *facts, gpointer data)
{
  *(gboolean *)data = TRUE;
}

/* A server without modules needs no sandbox for them. */
static const char *
check_modules (gpointer data)
{
  Modules *modules = ((Admin *)data)->server->modules;
  gboolean has_modules = FALSE;
  modules_foreach (modules, note_module, &has_modules);
  return has_modules && modules_get_problem (modules) != NULL ? "vendor code cannot run" : NULL;
}

static json_t *
describe_store (const Admin *admin)
{
  Store *store = admin->server->store;
  return json_pack ("{s:i, s:i}", "market_backlog", (int)store_get_backlog (store, STORE_MARKET),
                    "chat_backlog", (int)store_get_backlog (store, STORE_CHAT));
}

static const char *
describe_sandbox (const Admin *admin)
{
  Modules *modules = admin->server->modules;
  const char *problem = modules_get_problem (modules), *confinement = modules_get_confinement (modules);
  return problem != NULL ? problem : confinement != NULL ? confinement : "not started";
}

static void
tell_status (ControlCall *call, gpointer data)
{
  Admin *admin = data;
  Server *server = admin->server;
  gboolean is_ready;
  json_t *checks = http_get_readiness (server->http, &is_ready);
  g_autofree char *started = clock_dup_rfc3339 (admin->started_wall_us);
  gint64 up_us = clock_get_monotonic_us (server->clock) - admin->started_us;
  json_t *status
      = json_pack ("{s:s, s:s, s:s, s:I, s:b, s:o}", "version", STOA_VERSION, "domain",
                   config_get_text (server->config, "server", "domain"), "started", started, "uptime_s",
                   (json_int_t)(up_us / G_USEC_PER_SEC), "ready", is_ready, "checks", checks);
  json_t *rooms = controls_get_status (server->controls);
  json_object_update (status, rooms);
  json_decref (rooms);
  json_object_set_new (status, "sessions", json_integer (session_book_get_count (server->sessions)));
  json_object_set_new (status, "store", describe_store (admin));
  json_object_set_new (status, "vendor_code", json_string (describe_sandbox (admin)));
  add_routes (status, server->http);
  control_call_done_with (call, status);
}

static void
add_module (const ModulesFacts *facts, gpointer data)
{
  control_call_take_row (data, json_pack ("{s:s, s:s?, s:s, s:s?, s:I, s:I}", "module", facts->module,
                                          "profile", facts->profile, "state", modules_life_name (facts->life),
                                          "reason", facts->reason, "calls", (json_int_t)facts->n_good,
                                          "faults", (json_int_t)facts->n_faults));
}

static void
list_modules (ControlCall *call, gpointer data)
{
  modules_foreach (((Admin *)data)->server->modules, add_module, call);
  control_call_done (call);
}

static void
answer_health (HttpExchange *exchange, gpointer data)
{
  http_exchange_answer_json (exchange, 200, "{\"status\":\"ok\"}");
}

static void
answer_readiness (HttpExchange *exchange, gpointer data)
{
  Admin *admin = data;
  gboolean is_ready;
  json_t *checks = http_get_readiness (admin->server->http, &is_ready);
  json_t *answer = json_pack ("{sbso}", "ready", is_ready, "checks", checks);
  char *text = json_dumps (answer, JSON_COMPACT);
  http_exchange_answer_json (exchange, is_ready ? 200 : 503, text);
  free (text);
  json_decref (answer);
}

static void
write_routes (GString *out, Http *http)
{
  static const char *const classes[] = { NULL, "1xx", "2xx", "3xx", "4xx", "5xx" };
  HttpRoutes *routes = http_peek_routes (http);
  guint64 n_answers[G_N_ELEMENTS (classes)] = { 0 };
  metrics_family (out, "stoa_http_requests_total", "counter", "Requests that reached the route's handler.");
  for (guint i = 0; i < http_routes_get_length (routes); i++)
    {
      HttpRouteCount count;
      const HttpRoute *route = http_routes_get (routes, i, &count);
      g_autofree char *name = g_strconcat (route->method, " ", route->pattern, NULL);
      metrics_sample (out, "stoa_http_requests_total", "route", name, (double)count.n_requests);
      for (gsize c = 1; c < G_N_ELEMENTS (classes); c++)
        n_answers[c] += count.n_answers[c];
    }
  metrics_family (out, "stoa_http_answers_total", "counter", "Answers by the class of their status.");
  for (gsize c = 2; c < G_N_ELEMENTS (classes); c++)
    metrics_sample (out, "stoa_http_answers_total", "class", classes[c], (double)n_answers[c]);
}

static void
write_metrics (GString *out, gpointer data)
{
  const Admin *admin = data;
  const Server *server = admin->server;
  gboolean is_ready;
  json_decref (http_get_readiness (server->http, &is_ready));
  metrics_family (out, "stoa_build_info", "gauge", "The running version.");
  metrics_sample (out, "stoa_build_info", "version", STOA_VERSION, 1);
  metrics_family (out, "stoa_start_time_seconds", "gauge", "When the server was started, Unix time.");
  metrics_sample (out, "stoa_start_time_seconds", NULL, NULL,
                  (double)admin->started_wall_us / G_USEC_PER_SEC);
  metrics_family (out, "stoa_ready", "gauge", "Whether GET /readyz says so.");
  metrics_sample (out, "stoa_ready", NULL, NULL, is_ready);
  metrics_family (out, "stoa_sessions", "gauge", "Sessions of clients.");
  metrics_sample (out, "stoa_sessions", NULL, NULL, session_book_get_count (server->sessions));
  metrics_family (out, "stoa_store_backlog", "gauge", "Writes that wait for their commit.");
  metrics_sample (out, "stoa_store_backlog", "file", "market",
                  store_get_backlog (server->store, STORE_MARKET));
  metrics_sample (out, "stoa_store_backlog", "file", "chat", store_get_backlog (server->store, STORE_CHAT));
  write_routes (out, server->http);
}

/* Sales and sessions are nobody's business: by default it is for who asks from this machine. */
static void
answer_metrics (HttpExchange *exchange, gpointer data)
{
  const Admin *admin = data;
  const char *whom = config_get_text (admin->server->config, "http", "metrics");
  const char *peer = http_exchange_get_peer (exchange);
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (peer);
  gboolean is_local = (address != NULL && g_inet_address_get_is_loopback (address))
                      || g_str_has_prefix (peer, "::ffff:127.");
  if (!g_str_equal (whom, "open") && (!g_str_equal (whom, "loopback") || !is_local))
    {
      http_exchange_refuse (exchange, 403, "not for you");
      return;
    }
  g_autofree char *text = metrics_dup_text (admin->server->metrics);
  http_exchange_answer (exchange, 200, "text/plain; version=0.0.4; charset=utf-8", text, strlen (text));
}

Admin *
admin_new (Server *server)
{
  Admin *admin = g_new0 (Admin, 1);
  admin->server = server;
  admin->started_wall_us = clock_get_wall_us (server->clock);
  admin->started_us = clock_get_monotonic_us (server->clock);
  controls_add (server->controls,
                &(ControlCommand){ .name = "status",
                                   .help = "how the server is: version, checks, what each part says",
                                   .handle = tell_status,
                                   .data = admin });
  controls_add (server->controls,
                &(ControlCommand){ .name = "module list",
                                   .is_list = TRUE,
                                   .help = "vendor modules in the folder, and whether they can be called",
                                   .handle = list_modules,
                                   .data = admin });
  http_add_ready_check (server->http, "store", check_store, admin);
  http_add_ready_check (server->http, "modules", check_modules, admin);
  http_add (server->http, &(HttpRoute){ .method = "GET", .pattern = "/healthz", .handle = answer_health });
  http_add (server->http,
            &(HttpRoute){ .method = "GET", .pattern = "/readyz", .handle = answer_readiness, .data = admin });
  http_add (server->http,
            &(HttpRoute){ .method = "GET", .pattern = "/metrics", .handle = answer_metrics, .data = admin });
  metrics_add (server->metrics, write_metrics, admin);
  return admin;
}

void
admin_free (Admin *admin)
{
  g_free (admin);
}
