#include "vendor-kit/plugin-server/host-api.h"

#include "common/base/db.h"
#include "common/base/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REQUEST_ID 128
#define MAX_USER       64
#define MAX_TOKEN      8192
#define MAX_TOKEN_S    86400 /* a plugin token lives for minutes; what runs longer than a day is a mistake */

struct HostApi
{
  const Maker *maker;
  Register *reg;
  Service *service;
  WebhookRing *ring;
  const Clock *clock;
  Liar *liar;
};

static gboolean
has_fault (HostApi *api, FaultKind kind)
{
  return api->liar != NULL && liar_has (api->liar, kind);
}

/* FALSE after having answered: the request is not the host's. One that comes twice within the 300 s that its
 * signature is good for does nothing the second time, as every request here may be repeated: no id need be
 * remembered. */
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
  gint64 now_us = clock_get_wall_us (api->clock);
  if (has_fault (api, FAULT_STALE) && headers.timestamp != NULL)
    now_us = g_ascii_strtoll (headers.timestamp, NULL, 10) * G_USEC_PER_SEC;
  WebhookVerdict verdict
      = webhook_verify_request (api->ring, &headers, http_exchange_get_method (exchange),
                                http_exchange_get_target (exchange), body, length, now_us, NULL);
  if (verdict == WEBHOOK_AUTHENTIC || has_fault (api, FAULT_TRUST))
    return api->liar == NULL || !liar_takes_request (api->liar, exchange);
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
answer_issued (HostApi *api, HttpExchange *exchange, RegisterRow *row, gboolean is_known)
{
  if (is_known && has_fault (api, FAULT_CHANGE))
    {
      g_free (row->serial);
      row->serial = maker_make (api->maker, row->request, row->user, &row->expires_s);
    }
  g_autofree char *answer
      = has_fault (api, FAULT_DATE)
            ? g_strdup_printf ("{\"serial\":\"%s\",\"expires\":\"next year\"}", row->serial)
            : dup_answer (row);
  if (api->liar == NULL || !liar_takes_answer (api->liar, exchange, answer))
    http_exchange_answer_json (exchange, 201, answer);
}

/* Makes a serial and enters it; a serial that is there already, by chance, is made anew. */
static gboolean
issue_new (HostApi *api, RegisterRow *row, GError **error)
{
  gint64 expires_s = row->expires_s;
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

/* Nobody says that a request is a renewal: it is one if the user has a term of another order line already.
 * The new one begins where that ends, or now if it has ended. FALSE with or without @error: without, the term
 * leads beyond all time. */
static gboolean
issue (HostApi *api, RegisterRow *row, gint64 now_s, GError **error)
{
  g_autoptr (RegisterRow) renewed = NULL;
  if (row->term != NULL)
    {
      GError *local = NULL;
      renewed = register_find_renewed (api->reg, row->user, row->request, &local);
      if (local != NULL)
        {
          g_propagate_error (error, local);
          return FALSE;
        }
      row->expires_s = maker_add_term (renewed != NULL ? MAX (renewed->expires_s, now_s) : now_s, row->term);
      if (row->expires_s == 0)
        return FALSE;
    }
  if (renewed == NULL || !maker_keeps_serials (api->maker))
    return issue_new (api, row, error);
  row->serial = g_steal_pointer (&renewed->serial);
  return register_add (api->reg, row, error);
}

static void
answer_known (HostApi *api, HttpExchange *exchange, RegisterRow *known, const RegisterRow *wanted)
{
  if (known->is_void)
    http_exchange_refuse (exchange, 410, "this request was voided");
  else if (strcmp (known->user, wanted->user) != 0 || g_strcmp0 (known->term, wanted->term) != 0)
    http_exchange_refuse (exchange, 409, "this request was made for another user or term");
  else
    answer_issued (api, exchange, known, TRUE);
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
  gboolean has_good_term = wanted.term != NULL ? maker_add_term (now_s, wanted.term) != 0
                                               : term == NULL || json_is_null (term) || json_is_string (term);
  if (!is_request_id (wanted.request) || !is_user (wanted.user) || plugin == NULL || !has_good_term)
    {
      http_exchange_refuse (exchange, 400, "request, plugin, user and a term that is a duration are needed");
      return;
    }
  if (strcmp (plugin, maker_get_plugin (api->maker)) != 0 && !has_fault (api, FAULT_ANY_PLUGIN))
    {
      http_exchange_refuse (exchange, 422, "this plugin is not served here");
      return;
    }
  if (api->liar != NULL && liar_takes_post (api->liar, exchange, wanted.user))
    return;
  g_autoptr (GError) error = NULL;
  g_autoptr (RegisterRow) known = register_find_request (api->reg, wanted.request, &error);
  if (known != NULL)
    answer_known (api, exchange, known, &wanted);
  else if (error == NULL && issue (api, &wanted, now_s, &error))
    {
      log_info ("host-api", "issued request=%s", wanted.request);
      answer_issued (api, exchange, &wanted, FALSE);
    }
  else if (error == NULL)
    http_exchange_refuse (exchange, 422, "no serial can run that long");
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
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  json_t *object = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  if (object == NULL && has_fault (api, FAULT_CRASH))
    http_exchange_refuse (exchange, 500, "something broke");
  else
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
  else if (row == NULL || has_fault (api, FAULT_FORGET))
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
  if (!is_request_id (request))
    {
      http_exchange_refuse (exchange, 400, "this is no request's id");
      return;
    }
  g_autoptr (GError) error = NULL;
  g_autoptr (RegisterRow) row = register_find_request (api->reg, request, &error);
  gboolean is_seen = row != NULL && row->serial != NULL;
  if (error == NULL && api->liar != NULL && liar_takes_delete (api->liar, exchange, is_seen))
    return;
  if (error != NULL || !register_void (api->reg, request, &error))
    {
      fail (exchange, error);
      return;
    }
  if (is_seen)
    service_end_sessions_of_serial (api->service, row->serial);
  log_info ("host-api", "voided request=%s", request);
  http_exchange_answer (exchange, 204, NULL, NULL, 0);
}

/* --- tokens */

static gboolean
is_good_token (const char *jti, const char *token)
{
  return is_request_id (jti) && token != NULL && *token != '\0' && strlen (token) <= MAX_TOKEN;
}

static void
keep_token (HostApi *api, HttpExchange *exchange, const char *jti, const json_t *object)
{
  const char *token = json_string_value (json_object_get (object, "token"));
  const char *plugin = json_string_value (json_object_get (object, "plugin"));
  const char *user = json_string_value (json_object_get (object, "user"));
  const char *expires = json_string_value (json_object_get (object, "expires"));
  gint64 expires_us, latest_us = clock_get_wall_us (api->clock) + MAX_TOKEN_S * (gint64)G_USEC_PER_SEC;
  g_autoptr (GError) error = NULL;
  if (!is_good_token (jti, token) || plugin == NULL || !is_user (user) || expires == NULL
      || !clock_parse_rfc3339 (expires, &expires_us) || expires_us > latest_us)
    http_exchange_refuse (exchange, 400, "token, plugin, user and an end within a day are needed");
  else if (strcmp (plugin, maker_get_plugin (api->maker)) != 0)
    http_exchange_refuse (exchange, 422, "this plugin is not served here");
  else if (register_put_token (api->reg, jti, token, user, expires_us / G_USEC_PER_SEC, &error))
    http_exchange_answer (exchange, 204, NULL, NULL, 0);
  else if (g_error_matches (error, DB_ERROR, DB_ERROR_CONSTRAINT))
    http_exchange_refuse (exchange, 409, "this token has another id");
  else
    fail (exchange, error);
}

static void
put_token (HttpExchange *exchange, gpointer data)
{
  HostApi *api = data;
  if (!is_from_host (api, exchange))
    return;
  if (has_fault (api, FAULT_NO_TOKENS))
    {
      http_exchange_refuse (exchange, 404, "there is nothing here");
      return;
    }
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  json_t *object = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  keep_token (api, exchange, http_exchange_get_parameter (exchange, "jti"), object);
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
  if (has_fault (api, FAULT_NO_TOKENS))
    http_exchange_refuse (exchange, 404, "there is nothing here");
  else if (!is_request_id (jti))
    http_exchange_refuse (exchange, 400, "this is no token's id");
  else if (!register_revoke_token (api->reg, jti, &error))
    fail (exchange, error);
  else
    {
      service_end_sessions_of_token (api->service, jti);
      http_exchange_answer (exchange, 204, NULL, NULL, 0);
    }
}

HostApi *
host_api_new (HttpRoutes *routes, const Maker *maker, Register *reg, Service *service, const Clock *clock,
              Liar *liar)
{
  static const char *const headers[] = { "webhook-id", "webhook-timestamp", "webhook-signature", NULL };
  HostApi *api = g_new0 (HostApi, 1);
  api->maker = maker;
  api->reg = reg;
  api->service = service;
  api->ring = webhook_ring_new ();
  api->clock = clock;
  api->liar = liar;
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
host_api_take_ring (HostApi *api, WebhookRing *ring)
{
  webhook_ring_free (api->ring);
  api->ring = ring;
}

void
host_api_free (HostApi *api)
{
  if (api == NULL)
    return;
  webhook_ring_free (api->ring);
  g_free (api);
}
