#include "billing-stub/api.h"

#include "common/base/log.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BODY  16384
#define MAX_TEXT  500
#define MAX_SINCE 500
#define N_ROUTES  8

typedef struct
{
  guint status;
  json_t *body;
} Answer;

typedef Answer (*ApiFunc) (Api *api, HttpExchange *exchange);

/* What a route's handler is given. */
typedef struct
{
  Api *api;
  ApiFunc func;
} Desk;

struct Api
{
  Ledger *ledger;
  Delivery *delivery;
  Faults *faults;
  const Secret *api_key;
  char *public_url;
  Desk desks[N_ROUTES];
  GHashTable *slow; /* Late, a set: answers that FAULT_SLOW holds back */
};

typedef struct
{
  Api *api;
  HttpExchange *exchange;
  Answer answer;
  guint timer;
} Late;

static Answer
refusal (guint status, const char *reason)
{
  return (Answer){ status, json_pack ("{ss}", "error", reason) };
}

static Answer
failure (const GError *error)
{
  log_error ("api", "%s", error->message);
  return refusal (503, "the books cannot be written now");
}

static Answer
refusal_of (LedgerOutcome outcome, const GError *error)
{
  switch (outcome)
    {
    case LEDGER_NOT_FOUND:
      return refusal (404, "there is no such thing");
    case LEDGER_KEY_REUSED:
      return refusal (409, "this idempotency key was used for another request");
    case LEDGER_CLOSED:
      return refusal (409, "its state does not allow that");
    case LEDGER_REFUSED:
      return refusal (422, "amount, currency or time does not fit");
    case LEDGER_FAILED:
      return failure (error);
    case LEDGER_DONE:
      break;
    }
  g_assert_not_reached ();
}

/* --- reading requests */

static json_t *
read_object (HttpExchange *exchange)
{
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  json_t *object = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object (object))
    return object;
  json_decref (object);
  return NULL;
}

static const char *
read_text (const json_t *object, const char *key, gsize n_most)
{
  const json_t *value = json_object_get (object, key);
  gsize length = json_string_length (value);
  return length > 0 && length <= n_most ? json_string_value (value) : NULL;
}

/* Minor units, 1 to 2^53 - 1; 0 if it is not that: 10.0 is no integer (money.md). */
static gint64
read_amount (const json_t *object)
{
  const json_t *value = json_object_get (object, "amount");
  json_int_t amount = json_is_integer (value) ? json_integer_value (value) : 0;
  return amount > 0 && amount <= LEDGER_MAX_AMOUNT ? amount : 0;
}

static const char *
read_currency (const json_t *object)
{
  const char *text = read_text (object, "currency", 3);
  if (text == NULL || strlen (text) != 3)
    return NULL;
  for (int i = 0; i < 3; i++)
    if (!g_ascii_isupper (text[i]))
      return NULL;
  return text;
}

/* The key of a request that creates something; NULL if it is missing, repeated or not printable. */
static const char *
read_key (HttpExchange *exchange)
{
  const char *key = http_exchange_get_header (exchange, "Idempotency-Key");
  if (http_exchange_count_header (exchange, "Idempotency-Key") != 1 || *key == '\0' || strlen (key) > 255)
    return NULL;
  for (const char *byte = key; *byte != '\0'; byte++)
    if (!g_ascii_isgraph (*byte))
      return NULL;
  return key;
}

/* The same request, whatever its spaces and the order of its keys. */
static char *
dup_canonical (const json_t *request)
{
  char *text = json_dumps (request, JSON_COMPACT | JSON_SORT_KEYS), *copy = g_strdup (text);
  free (text);
  return copy;
}

/* --- what can be asked */

static gboolean
read_checkout (const json_t *request, Checkout *wanted)
{
  const char *expires = read_text (request, "expires", 64);
  wanted->order = (char *)read_text (request, "order", 255);
  wanted->description = (char *)read_text (request, "description", MAX_TEXT);
  wanted->buyer = (char *)read_text (request, "buyer", 255);
  wanted->callback = (char *)read_text (request, "callback", 2048);
  wanted->currency = (char *)read_currency (request);
  wanted->amount = read_amount (request);
  if (wanted->order == NULL || wanted->description == NULL || wanted->buyer == NULL
      || wanted->callback == NULL || wanted->currency == NULL || wanted->amount == 0 || expires == NULL
      || !clock_parse_rfc3339 (expires, &wanted->expires_us))
    return FALSE;
  g_autoptr (HttpBase) callback = http_base_new (wanted->callback, NULL);
  return callback != NULL;
}

static Answer
create_checkout (Api *api, HttpExchange *exchange)
{
  const char *key = read_key (exchange);
  if (key == NULL)
    return refusal (400, "one Idempotency-Key is needed");
  if (faults_take (api->faults, FAULT_REFUSE))
    return refusal (422, "this merchant may not charge now");
  json_t *request = read_object (exchange);
  Checkout wanted = { 0 };
  Answer answer = { 0 };
  if (!read_checkout (request, &wanted))
    answer = refusal (400, "order, amount, currency, description, buyer, callback and expires are needed");
  else
    {
      g_autofree char *canonical = dup_canonical (request), *id = NULL;
      g_autoptr (GError) error = NULL;
      LedgerOutcome outcome = ledger_create (api->ledger, key, canonical, &wanted, &id, &error);
      if (outcome == LEDGER_DONE)
        {
          g_autofree char *url = g_strconcat (api->public_url, "/pay/", id, NULL);
          answer = (Answer){ 201, json_pack ("{ssss}", "checkout", id, "url", url) };
        }
      else
        answer = refusal_of (outcome, error);
    }
  json_decref (request);
  return answer;
}

static Answer
describe (Api *api, guint status, const char *id)
{
  g_autoptr (GError) error = NULL;
  if (!ledger_expire (api->ledger, &error))
    return failure (error);
  g_autoptr (Checkout) checkout = ledger_find (api->ledger, id, &error);
  if (checkout == NULL)
    return error != NULL ? failure (error) : refusal_of (LEDGER_NOT_FOUND, NULL);
  json_t *body = ledger_describe (api->ledger, checkout, &error);
  return body != NULL ? (Answer){ status, body } : failure (error);
}

static Answer
get_checkout (Api *api, HttpExchange *exchange)
{
  return describe (api, 200, http_exchange_get_parameter (exchange, "checkout"));
}

static Answer
cancel_checkout (Api *api, HttpExchange *exchange)
{
  const char *id = http_exchange_get_parameter (exchange, "checkout");
  g_autoptr (GError) error = NULL;
  LedgerOutcome outcome = ledger_cancel (api->ledger, id, &error);
  if (outcome == LEDGER_DONE || outcome == LEDGER_CLOSED)
    return describe (api, outcome == LEDGER_DONE ? 200 : 409, id);
  return refusal_of (outcome, error);
}

/* To the microsecond, so that a page can end within a second. */
static char *
dup_precise_time (gint64 wall_us)
{
  g_autofree char *whole = clock_dup_rfc3339 (wall_us);
  whole[strlen (whole) - 1] = '\0'; /* the Z */
  return g_strdup_printf ("%s.%06dZ", whole, (int)(wall_us % G_USEC_PER_SEC));
}

static Answer
list_checkouts (Api *api, HttpExchange *exchange)
{
  const char *since = http_exchange_get_query (exchange, "since");
  gint64 since_us = 0, last_us = 0;
  if (since == NULL || !clock_parse_rfc3339 (since, &since_us))
    return refusal (400, "since=TIME is needed, RFC 3339");
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) ids = ledger_list_since (api->ledger, since_us, MAX_SINCE, &last_us, &error);
  if (ids == NULL)
    return failure (error);
  json_t *checkouts = json_array ();
  for (char **id = ids; *id != NULL; id++)
    {
      Answer one = describe (api, 200, *id);
      if (one.status != 200)
        {
          json_decref (checkouts);
          return one;
        }
      json_array_append_new (checkouts, one.body);
    }
  Answer answer = { 200, json_pack ("{so}", "checkouts", checkouts) };
  g_autofree char *next = dup_precise_time (last_us);
  if (g_strv_length (ids) == MAX_SINCE)
    json_object_set_new (answer.body, "next", json_string (next));
  return answer;
}

static Answer
describe_refund (Api *api, guint status, const char *id)
{
  g_autoptr (GError) error = NULL;
  if (!ledger_settle_refunds (api->ledger, &error))
    return failure (error);
  json_t *body = ledger_describe_refund (api->ledger, id, &error);
  if (body != NULL)
    return (Answer){ status, body };
  return error != NULL ? failure (error) : refusal_of (LEDGER_NOT_FOUND, NULL);
}

static Answer
create_refund (Api *api, HttpExchange *exchange)
{
  const char *key = read_key (exchange);
  if (key == NULL)
    return refusal (400, "one Idempotency-Key is needed");
  json_t *request = read_object (exchange);
  const char *payment = read_text (request, "payment", 255),
             *reason = read_text (request, "reason", MAX_TEXT);
  const char *currency = read_currency (request);
  gint64 amount = read_amount (request);
  Answer answer = { 0 };
  if (payment == NULL || reason == NULL || currency == NULL || amount == 0)
    answer = refusal (400, "payment, amount, currency and reason are needed");
  else
    {
      g_autofree char *canonical = dup_canonical (request), *id = NULL;
      g_autoptr (GError) error = NULL;
      LedgerOutcome outcome
          = ledger_refund (api->ledger, key, canonical, payment, amount, currency, reason, &id, &error);
      answer = outcome == LEDGER_DONE ? describe_refund (api, 201, id) : refusal_of (outcome, error);
    }
  json_decref (request);
  return answer;
}

static Answer
get_refund (Api *api, HttpExchange *exchange)
{
  return describe_refund (api, 200, http_exchange_get_parameter (exchange, "refund"));
}

/* No provider lets a merchant do this; a developer needs the buyer's bank to. */
static Answer
dispute_payment (Api *api, HttpExchange *exchange)
{
  json_t *request = read_object (exchange);
  const char *payment = read_text (request, "payment", 255), *action = read_text (request, "action", 4);
  static const char *const actions[] = { "open", "won", "lost", NULL };
  Answer answer = { 0 };
  if (payment == NULL || action == NULL || !g_strv_contains (actions, action))
    answer = refusal (400, "payment, and action open, won or lost, are needed");
  else
    {
      g_autoptr (GError) error = NULL;
      LedgerOutcome outcome = ledger_dispute (api->ledger, payment, action, &error);
      answer = outcome == LEDGER_DONE ? (Answer){ 200, json_object () } : refusal_of (outcome, error);
    }
  json_decref (request);
  return answer;
}

/* --- the desk */

static gboolean
is_authentic (Api *api, HttpExchange *exchange)
{
  const char *value = http_exchange_get_header (exchange, "Authorization");
  if (http_exchange_count_header (exchange, "Authorization") != 1
      || g_ascii_strncasecmp (value, "Bearer ", 7) != 0)
    return FALSE;
  gsize length;
  const guint8 *key = secret_peek_bytes (api->api_key, &length);
  return secret_equal_bytes (key, length, value + 7, strlen (value + 7));
}

static void
give (HttpExchange *exchange, Answer answer)
{
  char *text = json_dumps (answer.body, JSON_COMPACT);
  http_exchange_answer_json (exchange, answer.status, text);
  free (text);
  json_decref (answer.body);
}

static gboolean
on_late (gpointer data)
{
  Late *late = data;
  late->timer = 0;
  give (late->exchange, late->answer);
  late->exchange = NULL;
  g_hash_table_remove (late->api->slow, late);
  return G_SOURCE_REMOVE;
}

static void
late_free (gpointer data)
{
  Late *late = data;
  if (late->timer != 0)
    g_source_remove (late->timer);
  if (late->exchange != NULL)
    give (late->exchange, late->answer);
  g_free (late);
}

static void
serve (HttpExchange *exchange, gpointer data)
{
  Desk *desk = data;
  Api *api = desk->api;
  Answer answer;
  if (!is_authentic (api, exchange))
    answer = refusal (401, "the key is missing or wrong");
  else if (faults_take (api->faults, FAULT_ERROR))
    {
      http_exchange_add_header (exchange, "Retry-After", "1");
      answer = refusal (503, "not now");
    }
  else
    {
      answer = desk->func (api, exchange);
      delivery_poke (api->delivery);
      if (faults_take (api->faults, FAULT_LOST))
        {
          json_decref (answer.body);
          answer = refusal (500, "something went wrong");
        }
    }
  gint64 slow_ms = faults_get (api->faults, FAULT_SLOW);
  if (slow_ms == 0)
    {
      give (exchange, answer);
      return;
    }
  Late *late = g_new0 (Late, 1);
  late->api = api;
  late->exchange = exchange;
  late->answer = answer;
  late->timer = g_timeout_add ((guint)slow_ms, on_late, late);
  g_hash_table_add (api->slow, late);
}

Api *
api_new (HttpRoutes *routes, Ledger *ledger, Delivery *delivery, Faults *faults, const Secret *api_key)
{
  static const char *const headers[] = { "Authorization", "Idempotency-Key", NULL };
  static const struct
  {
    const char *method, *pattern;
    ApiFunc func;
  } table[] = {
    { "POST", "/v1/checkouts", create_checkout },
    { "GET", "/v1/checkouts", list_checkouts },
    { "GET", "/v1/checkouts/{checkout}", get_checkout },
    { "POST", "/v1/checkouts/{checkout}/cancel", cancel_checkout },
    { "POST", "/v1/refunds", create_refund },
    { "GET", "/v1/refunds/{refund}", get_refund },
    { "POST", "/v1/test/disputes", dispute_payment },
  };
  G_STATIC_ASSERT (G_N_ELEMENTS (table) <= N_ROUTES);
  Api *api = g_new0 (Api, 1);
  api->ledger = ledger;
  api->delivery = delivery;
  api->faults = faults;
  api->api_key = api_key;
  api->slow = g_hash_table_new_full (NULL, NULL, late_free, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)
    {
      api->desks[i] = (Desk){ api, table[i].func };
      HttpRoute route = { .method = table[i].method,
                          .pattern = table[i].pattern,
                          .max_body = strcmp (table[i].method, "POST") == 0 ? MAX_BODY : 0,
                          .headers = headers,
                          .handle = serve,
                          .data = &api->desks[i] };
      http_routes_add (routes, &route);
    }
  return api;
}

void
api_free (Api *api)
{
  if (api == NULL)
    return;
  g_hash_table_unref (api->slow);
  g_free (api->public_url);
  g_free (api);
}

void
api_set_public_url (Api *api, const char *url)
{
  g_free (api->public_url);
  api->public_url = g_strdup (url);
}
