#include "vendor-kit/plugin-server/host-api.h"

#include "common/base/db.h"
#include "common/base/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REQUEST_ID 128
#define MAX_USER       64
#define SLOW_MS        15000

struct HostApi
{
  const Maker *maker;
  Register *reg;
  Service *service;
  const WebhookRing *ring;
  const Clock *clock;
  Mode mode;
  guint n_lies;
  GHashTable *slow; /* Late, a set */
};

typedef struct
{
  HostApi *api;
  HttpExchange *exchange;
  char *answer;
  guint timer;
} Late;

/* FALSE after having refused: the request is not the host's. */
static gboolean
is_from_host (HostApi *api, HttpExchange *exchange)
{
  WebhookHeaders headers = { .id = http_exchange_get_header (exchange, "webhook-id"),
                             .timestamp = http_exchange_get_header (exchange, "webhook-timestamp"),
                             .signature = http_exchange_get_header (exchange, "webhook-signature"),
                             .n_id = http_exchange_count_header (exchange, "webhook-id"),
                             .n_timestamp = http_exchange_count_header (exchange, "webhook-timestamp"),
                             .n_signature = http_exchange_count_header (exchange, "webhook-signature") };
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  WebhookVerdict verdict = webhook_verify_request (api->ring, &headers, http_exchange_get_method (exchange),
                                                   http_exchange_get_target (exchange), body, length,
                                                   clock_get_wall_us (api->clock), NULL);
  if (verdict == WEBHOOK_AUTHENTIC)
    return TRUE;
  log_warning ("host-api", "refused a request from %s: %s", http_exchange_get_peer (exchange),
               webhook_verdict_get_name (verdict));
  http_exchange_refuse (exchange, (guint)webhook_verdict_get_status (verdict),
                        "the request is not authentic");
  return FALSE;
}

static void
fail (HttpExchange *exchange, const GError *error)
{
  log_error ("host-api", "%s", error->message);
  http_exchange_add_header (exchange, "Retry-After", "5");
  http_exchange_refuse (exchange, 503, "the register cannot be written now");
}

static gboolean
is_request_id (const char *text)
{
  gsize length = text != NULL ? strlen (text) : 0;
  if (length == 0 || length > MAX_REQUEST_ID)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (text[i]) && strchr ("._-", text[i]) == NULL)
      return FALSE;
  return TRUE;
}

/* Printable ASCII without the character that divides a signed serial's fields. */
static gboolean
is_user (const char *text)
{
  gsize length = text != NULL ? strlen (text) : 0;
  if (length == 0 || length > MAX_USER)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isgraph (text[i]) || text[i] == '|')
      return FALSE;
  return TRUE;
}

/* --- serials */

static char *
dup_answer (const RegisterRow *row)
{
  g_autofree char *expires = row->expires_s != 0 ? clock_dup_rfc3339 (row->expires_s * G_USEC_PER_SEC) : NULL;
  json_t *object = json_pack ("{s:s, s:s*}", "serial", row->serial, "expires", expires);
  char *text = json_dumps (object, JSON_COMPACT), *copy = g_strdup (text);
  free (text);
  json_decref (object);
  return copy;
}

static void
late_free (gpointer data)
{
  Late *late = data;
  if (late->timer != 0)
    g_source_remove (late->timer);
  if (late->exchange != NULL)
    http_exchange_answer_json (late->exchange, 201, late->answer);
  g_free (late->answer);
  g_free (late);
}

static gboolean
on_late (gpointer data)
{
  Late *late = data;
  late->timer = 0;
  g_hash_table_remove (late->api->slow, late);
  return G_SOURCE_REMOVE;
}

static void
answer_issued (HostApi *api, HttpExchange *exchange, const RegisterRow *row)
{
  g_autofree char *answer = dup_answer (row);
  if (api->mode != MODE_SLOW)
    {
      http_exchange_answer_json (exchange, 201, answer);
      return;
    }
  Late *late = g_new0 (Late, 1);
  late->api = api;
  late->exchange = exchange;
  late->answer = g_steal_pointer (&answer);
  late->timer = g_timeout_add (SLOW_MS, on_late, late);
  g_hash_table_add (api->slow, late);
}

static void
lie (HostApi *api, HttpExchange *exchange)
{
  g_autofree char *huge = g_strnfill (5000, 'A');
  g_autofree char *huge_answer = g_strconcat ("{\"serial\":\"", huge, "\"}", NULL);
  switch (api->n_lies++ % 5)
    {
    case 0:
      http_exchange_answer (exchange, 200, "text/html", "<html>Thank you!</html>",
                            strlen ("<html>Thank you!</html>"));
      return;
    case 1:
      http_exchange_answer_json (exchange, 201, "{\"serial\":\"\"}");
      return;
    case 2:
      http_exchange_answer_json (exchange, 201, "{\"serial\":\"AB\\u0007CD\"}");
      return;
    case 3:
      http_exchange_answer_json (exchange, 201, "{\"serial\":\"SAME-SAME-SAME-SAME\"}");
      return;
    default:
      http_exchange_answer_json (exchange, 201, huge_answer);
      return;
    }
}

/* Makes a serial and enters it; a serial that is there already, by chance, is made anew. */
static gboolean
issue (HostApi *api, RegisterRow *row, gint64 expires_s, GError **error)
{
  for (guint n_left = 3;; n_left--)
    {
      row->expires_s = expires_s;
      g_free (row->serial);
      row->serial = maker_make (api->maker, row->request, row->user, &row->expires_s);
      GError *local = NULL;
      if (register_add (api->reg, row, &local))
        return TRUE;
      gboolean is_taken = g_error_matches (local, DB_ERROR, DB_ERROR_CONSTRAINT);
      if (!is_taken || n_left == 0)
        {
          g_propagate_error (error, local);
          return FALSE;
        }
      g_error_free (local);
    }
}

static void
answer_known (HostApi *api, HttpExchange *exchange, const RegisterRow *known, const RegisterRow *wanted)
{
  if (known->is_void)
    http_exchange_refuse (exchange, 410, "this request was voided");
  else if (strcmp (known->user, wanted->user) != 0 || g_strcmp0 (known->term, wanted->term) != 0)
    http_exchange_refuse (exchange, 409, "this request was made for another user or term");
  else
    answer_issued (api, exchange, known);
}

static void
make_serial (HostApi *api, HttpExchange *exchange, const json_t *object)
{
  const json_t *term = json_object_get (object, "term");
  const char *plugin = json_string_value (json_object_get (object, "plugin"));
  RegisterRow wanted = { .request = (char *)json_string_value (json_object_get (object, "request")),
                         .user = (char *)json_string_value (json_object_get (object, "user")),
                         .term = (char *)json_string_value (term) };
  if (g_strcmp0 (wanted.term, "") == 0)
    wanted.term = NULL; /* for ever, as if it were left out */
  gint64 now_s = clock_get_wall_us (api->clock) / G_USEC_PER_SEC;
  gint64 expires_s = wanted.term != NULL ? maker_add_term (now_s, wanted.term) : 0;
  gboolean has_good_term
      = wanted.term != NULL ? expires_s != 0 : term == NULL || json_is_null (term) || json_is_string (term);
  if (!is_request_id (wanted.request) || !is_user (wanted.user) || plugin == NULL || !has_good_term)
    {
      http_exchange_refuse (exchange, 400, "request, plugin, user and a term that is a duration are needed");
      return;
    }
  if (strcmp (plugin, maker_get_plugin (api->maker)) != 0)
    {
      http_exchange_refuse (exchange, 422, "this plugin is not served here");
      return;
    }
  g_autoptr (GError) error = NULL;
  g_autoptr (RegisterRow) known = register_find_request (api->reg, wanted.request, &error);
  if (known != NULL)
    {
      answer_known (api, exchange, known, &wanted);
      return;
    }
  if (error == NULL && issue (api, &wanted, expires_s, &error))
    {
      log_info ("host-api", "issued request=%s", wanted.request);
      answer_issued (api, exchange, &wanted);
    }
  else
    fail (exchange, error);
  g_free (wanted.serial);
}

static void
post_serial (HttpExchange *exchange, gpointer data)
{
  HostApi *api = data;
  if (!is_from_host (api, exchange))
    return;
  if (api->mode == MODE_FAILING)
    {
      http_exchange_refuse (exchange, 500, "something is broken");
      return;
    }
  if (api->mode == MODE_LYING)
    {
      lie (api, exchange);
      return;
    }
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  json_t *object = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  make_serial (api, exchange, object);
  json_decref (object);
}

static void
get_serial (HttpExchange *exchange, gpointer data)
{
  HostApi *api = data;
  if (!is_from_host (api, exchange))
    return;
  g_autoptr (GError) error = NULL;
  g_autoptr (RegisterRow) row
      = register_find_request (api->reg, http_exchange_get_parameter (exchange, "request"), &error);
  if (error != NULL)
    fail (exchange, error);
  else if (row == NULL)
    http_exchange_refuse (exchange, 404, "not issued so far");
  else if (row->is_void)
    http_exchange_refuse (exchange, 410, "this request was voided");
  else
    {
      g_autofree char *answer = dup_answer (row);
      http_exchange_answer_json (exchange, 200, answer);
    }
}

static void
delete_serial (HttpExchange *exchange, gpointer data)
{
  HostApi *api = data;
  const char *request = http_exchange_get_parameter (exchange, "request");
  if (!is_from_host (api, exchange))
    return;
  g_autoptr (GError) error = NULL;
  if (!is_request_id (request))
    http_exchange_refuse (exchange, 400, "this is no request's id");
  else if (!register_void (api->reg, request, &error))
    fail (exchange, error);
  else
    {
      service_end_sessions (api->service, request);
      log_info ("host-api", "voided request=%s", request);
      http_exchange_answer (exchange, 204, NULL, NULL, 0);
    }
}

/* --- tokens */

static void
put_token (HttpExchange *exchange, gpointer data)
{
  HostApi *api = data;
  if (!is_from_host (api, exchange))
    return;
  const char *jti = http_exchange_get_parameter (exchange, "jti");
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  json_t *object = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  const char *token = json_string_value (json_object_get (object, "token"));
  const char *plugin = json_string_value (json_object_get (object, "plugin"));
  const char *user = json_string_value (json_object_get (object, "user"));
  const char *expires = json_string_value (json_object_get (object, "expires"));
  gint64 expires_us;
  g_autoptr (GError) error = NULL;
  if (!is_request_id (jti) || token == NULL || *token == '\0' || plugin == NULL || !is_user (user)
      || expires == NULL || !clock_parse_rfc3339 (expires, &expires_us))
    http_exchange_refuse (exchange, 400, "token, plugin, user and expires are needed");
  else if (strcmp (plugin, maker_get_plugin (api->maker)) != 0)
    http_exchange_refuse (exchange, 422, "this plugin is not served here");
  else if (!register_put_token (api->reg, jti, token, user, expires_us / G_USEC_PER_SEC, &error))
    fail (exchange, error);
  else
    http_exchange_answer (exchange, 204, NULL, NULL, 0);
  json_decref (object);
}

static void
delete_token (HttpExchange *exchange, gpointer data)
{
  HostApi *api = data;
  const char *jti = http_exchange_get_parameter (exchange, "jti");
  if (!is_from_host (api, exchange))
    return;
  g_autoptr (GError) error = NULL;
  if (!is_request_id (jti))
    http_exchange_refuse (exchange, 400, "this is no token's id");
  else if (!register_revoke_token (api->reg, jti, &error))
    fail (exchange, error);
  else
    {
      service_end_sessions (api->service, jti);
      http_exchange_answer (exchange, 204, NULL, NULL, 0);
    }
}

HostApi *
host_api_new (HttpRoutes *routes, const Maker *maker, Register *reg, Service *service,
              const WebhookRing *ring, const Clock *clock, Mode mode)
{
  static const char *const headers[] = { "webhook-id", "webhook-timestamp", "webhook-signature", NULL };
  HostApi *api = g_new0 (HostApi, 1);
  api->maker = maker;
  api->reg = reg;
  api->service = service;
  api->ring = ring;
  api->clock = clock;
  api->mode = mode;
  api->slow = g_hash_table_new_full (NULL, NULL, late_free, NULL);
  const HttpRoute table[] = {
    { "POST", "/v1/serials", WEBHOOK_MAX_BODY, 0, headers, post_serial, api },
    { "GET", "/v1/serials/{request}", 0, 0, headers, get_serial, api },
    { "DELETE", "/v1/serials/{request}", 0, 0, headers, delete_serial, api },
    { "PUT", "/v1/tokens/{jti}", WEBHOOK_MAX_BODY, 0, headers, put_token, api },
    { "DELETE", "/v1/tokens/{jti}", 0, 0, headers, delete_token, api },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)
    http_routes_add (routes, &table[i]);
  return api;
}

void
host_api_free (HostApi *api)
{
  if (api == NULL)
    return;
  g_hash_table_unref (api->slow);
  g_free (api);
}
