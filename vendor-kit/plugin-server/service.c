#include "vendor-kit/plugin-server/service.h"

#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "vendor-kit/plugin-server/forecast.h"
#include "vendor-kit/plugin-server/quotation.h"

#include <gio/gio.h>
#include <jansson.h>
#include <string.h>

#define MAX_SESSIONS            10000
#define MAX_SESSIONS_PER_ORIGIN 16
#define SESSION_S               3600
#define MAX_SERIAL              4096
#define MAX_TOKEN               8192
#define MAX_USER                64
#define SESSION_BYTES           16

/* What sessions are opened by: a serial, of which only the digest is kept, or a token's jti. */
typedef struct
{
  char *name;
  GQueue sessions; /* oldest first */
} Origin;

typedef struct
{
  char *id;
  Origin *origin;
  gint64 expires_us; /* monotonic */
} Session;

struct Service
{
  const Maker *maker;
  Register *reg;
  const Clock *clock;
  Forecasts *forecasts;
  Quotations *quotations;
  GHashTable *sessions; /* id -> Session */
  GHashTable *origins;  /* name -> Origin, each with sessions */
  GQueue oldest;        /* all sessions, by age */
};

static void
session_free (gpointer data)
{
  Session *session = data;
  secret_wipe (session->id, strlen (session->id));
  g_free (session->id);
  g_free (session);
}

static void
origin_free (gpointer data)
{
  Origin *origin = data;
  g_queue_clear (&origin->sessions);
  g_free (origin->name);
  g_free (origin);
}

static void
end_session (Service *service, Session *session)
{
  Origin *origin = session->origin;
  g_queue_remove (&origin->sessions, session);
  if (g_queue_is_empty (&origin->sessions))
    g_hash_table_remove (service->origins, origin->name);
  g_queue_remove (&service->oldest, session);
  g_hash_table_remove (service->sessions, session->id);
}

static char *
name_serial (const char *serial)
{
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, serial, -1);
  return g_strconcat ("serial ", digest, NULL);
}

static char *
name_token (const char *jti)
{
  return g_strconcat ("token ", jti, NULL);
}

static void
end_sessions (Service *service, const char *name)
{
  Origin *origin;
  while ((origin = g_hash_table_lookup (service->origins, name)) != NULL)
    end_session (service, g_queue_peek_head (&origin->sessions));
}

void
service_end_sessions_of_serial (Service *service, const char *serial)
{
  g_autofree char *name = name_serial (serial);
  end_sessions (service, name);
}

void
service_end_sessions_of_token (Service *service, const char *jti)
{
  g_autofree char *name = name_token (jti);
  end_sessions (service, name);
}

/* Makes room for one more session of the origin of that name. */
static void
end_old_sessions (Service *service, const char *name)
{
  Origin *origin = g_hash_table_lookup (service->origins, name);
  if (origin != NULL && g_queue_get_length (&origin->sessions) >= MAX_SESSIONS_PER_ORIGIN)
    end_session (service, g_queue_peek_head (&origin->sessions));
  if (g_queue_get_length (&service->oldest) >= MAX_SESSIONS)
    end_session (service, g_queue_peek_head (&service->oldest));
}

static Origin *
take_origin (Service *service, char *name)
{
  Origin *origin = g_hash_table_lookup (service->origins, name);
  if (origin != NULL)
    {
      g_free (name);
      return origin;
    }
  origin = g_new0 (Origin, 1);
  origin->name = name;
  g_queue_init (&origin->sessions);
  g_hash_table_insert (service->origins, origin->name, origin);
  return origin;
}

/* Takes @origin_name. The session ends after an hour, and with what it was opened by (@expires_s, 0: never).
 */
static void
answer_session (Service *service, HttpExchange *exchange, char *origin_name, gint64 expires_s)
{
  gint64 left_s = SESSION_S;
  if (expires_s != 0)
    left_s = MIN (left_s, expires_s - clock_get_wall_us (service->clock) / G_USEC_PER_SEC);
  g_autoptr (Secret) random = secret_new_random (SESSION_BYTES);
  Session *session = g_new0 (Session, 1);
  session->id = text_to_hex (secret_peek_bytes (random, NULL), SESSION_BYTES);
  session->expires_us = clock_get_monotonic_us (service->clock) + MAX (left_s, 0) * (gint64)G_USEC_PER_SEC;
  end_old_sessions (service, origin_name);
  session->origin = take_origin (service, origin_name);
  g_hash_table_insert (service->sessions, session->id, session);
  g_queue_push_tail (&session->origin->sessions, session);
  g_queue_push_tail (&service->oldest, session);
  g_autofree char *answer = g_strdup_printf ("{\"session\":\"%s\"}", session->id);
  http_exchange_answer_json (exchange, 200, answer);
}

/* Takes @origin_name. */
static void
answer_verdict (Service *service, HttpExchange *exchange, SerialVerdict verdict, char *origin_name,
                gint64 expires_s)
{
  if (verdict == SERIAL_GOOD)
    {
      answer_session (service, exchange, origin_name, expires_s);
      return;
    }
  g_free (origin_name);
  if (verdict == SERIAL_OVER)
    http_exchange_refuse (exchange, 403, "its time is over");
  else
    http_exchange_refuse (exchange, 401, "this serial or token is not good");
}

static void
fail (HttpExchange *exchange, const GError *error)
{
  log_error ("service", "%s", error->message);
  http_exchange_add_header (exchange, "Retry-After", "5");
  http_exchange_refuse (exchange, 503, "not now");
}

static void
open_by_token (Service *service, HttpExchange *exchange, const char *token)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RegisterToken) found = register_find_token (service->reg, token, &error);
  if (error != NULL)
    {
      fail (exchange, error);
      return;
    }
  gint64 now_s = clock_get_wall_us (service->clock) / G_USEC_PER_SEC;
  SerialVerdict verdict = found == NULL || found->is_revoked ? SERIAL_BAD
                          : found->expires_s <= now_s        ? SERIAL_OVER
                                                             : SERIAL_GOOD;
  answer_verdict (service, exchange, verdict, found != NULL ? name_token (found->jti) : NULL,
                  found != NULL ? found->expires_s : 0);
}

static void
open_by_serial (Service *service, HttpExchange *exchange, const char *serial, const char *user)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RegisterSerial) known = register_find_serial (service->reg, serial, &error);
  if (error != NULL)
    {
      fail (exchange, error);
      return;
    }
  gint64 now_s = clock_get_wall_us (service->clock) / G_USEC_PER_SEC, expires_s = 0;
  SerialVerdict verdict;
  if (known == NULL)
    verdict = maker_check (service->maker, serial, user, now_s, &expires_s);
  else if (known->is_void || (user != NULL && strcmp (user, known->user) != 0))
    verdict = SERIAL_BAD;
  else
    {
      expires_s = known->expires_s;
      verdict = expires_s != 0 && expires_s < now_s ? SERIAL_OVER : SERIAL_GOOD;
    }
  answer_verdict (service, exchange, verdict, name_serial (serial), expires_s);
}

static void
open_session (HttpExchange *exchange, gpointer data)
{
  Service *service = data;
  const char *authorization = http_exchange_get_header (exchange, "Authorization");
  if (authorization != NULL && g_ascii_strncasecmp (authorization, "Bearer ", 7) == 0)
    {
      if (strlen (authorization + 7) > MAX_TOKEN)
        http_exchange_refuse (exchange, 400, "the token is too long");
      else
        open_by_token (service, exchange, authorization + 7);
      return;
    }
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  json_t *request = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  const json_t *user = json_object_get (request, "user");
  const char *serial = json_string_value (json_object_get (request, "serial"));
  if (serial == NULL || *serial == '\0' || strlen (serial) > MAX_SERIAL
      || (user != NULL && (!json_is_string (user) || json_string_length (user) > MAX_USER)))
    http_exchange_refuse (exchange, 400, "a serial, or a Bearer token, is needed");
  else
    open_by_serial (service, exchange, serial, json_string_value (user));
  json_decref (request);
}

/* FALSE after having answered. */
static gboolean
has_session (Service *service, HttpExchange *exchange)
{
  const char *id = http_exchange_get_header (exchange, "X-Session");
  Session *session = id != NULL ? g_hash_table_lookup (service->sessions, id) : NULL;
  if (session != NULL && session->expires_us > clock_get_monotonic_us (service->clock))
    return TRUE;
  if (session != NULL)
    end_session (service, session);
  http_exchange_refuse (exchange, 401, "open a session first");
  return FALSE;
}

static void
answer_line (HttpExchange *exchange, const char *line, const char *otherwise)
{
  g_autofree char *text = g_strconcat (line != NULL ? line : otherwise, "\n", NULL);
  http_exchange_answer (exchange, line != NULL ? 200 : 404, "text/plain; charset=utf-8", text, strlen (text));
}

static void
answer_weather (HttpExchange *exchange, gpointer data)
{
  Service *service = data;
  if (!has_session (service, exchange))
    return;
  const char *place = http_exchange_get_query (exchange, "place");
  g_autofree char *line
      = place != NULL ? forecasts_dup_line (service->forecasts, place, clock_get_wall_us (service->clock))
                      : NULL;
  answer_line (exchange, line, "no such place");
}

static void
answer_quote (HttpExchange *exchange, gpointer data)
{
  Service *service = data;
  if (!has_session (service, exchange))
    return;
  g_autofree char *line = quotations_dup_line (
      service->quotations, http_exchange_get_query (exchange, "topic"), clock_get_wall_us (service->clock));
  answer_line (exchange, line, "no quotation on that topic");
}

static char *
dup_sample (const char *path)
{
  g_autoptr (GBytes) bytes = g_resources_lookup_data (path, 0, NULL);
  g_assert (bytes != NULL); /* it is in the program */
  return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

Service *
service_new (HttpRoutes *routes, const Maker *maker, Register *reg, const Clock *clock)
{
  static const char *const session_headers[] = { "Authorization", NULL };
  static const char *const data_headers[] = { "X-Session", NULL };
  Service *service = g_new0 (Service, 1);
  service->maker = maker;
  service->reg = reg;
  service->clock = clock;
  service->sessions = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, session_free);
  service->origins = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, origin_free);
  g_queue_init (&service->oldest);
  g_autofree char *climate = dup_sample ("/samples/climate.csv");
  g_autofree char *quotes = dup_sample ("/samples/quotes.tsv");
  service->forecasts = forecasts_new (climate);
  service->quotations = quotations_new (quotes);

  const HttpRoute table[] = {
    { "POST", "/v1/session", 16384, 0, session_headers, open_session, service },
    { "GET", "/v1/weather", 0, 0, data_headers, answer_weather, service },
    { "GET", "/v1/quote", 0, 0, data_headers, answer_quote, service },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)
    http_routes_add (routes, &table[i]);
  return service;
}

void
service_free (Service *service)
{
  if (service == NULL)
    return;
  g_queue_clear (&service->oldest);
  g_hash_table_unref (service->origins);
  g_hash_table_unref (service->sessions);
  forecasts_free (service->forecasts);
  quotations_free (service->quotations);
  g_free (service);
}
