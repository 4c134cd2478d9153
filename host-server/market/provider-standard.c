#include "host-server/market/provider.h"

#include "common/base/clock.h"

#include <gio/gio.h>
#include <jansson.h>
#include <string.h>

/* protocol.md section 9: checkouts and refunds over HTTPS with a Bearer key, callbacks as Standard Webhooks.
 */

/* Reading: a JSON object from the provider, with one failure that sticks. */
typedef struct
{
  GError *error;
} JsonReader;

static void
json_fail (JsonReader *reader, const char *name)
{
  if (reader->error == NULL)
    reader->error
        = g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%s' is missing or not what it should be", name);
}

static const char *
json_need_id (JsonReader *reader, json_t *object, const char *name)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text != NULL && provider_id_is_valid (text))
    return text;
  json_fail (reader, name);
  return NULL;
}

static gint64
json_need_amount (JsonReader *reader, json_t *object, const char *name)
{
  json_t *value = json_object_get (object, name);
  if (json_is_integer (value) && json_integer_value (value) >= 1
      && json_integer_value (value) <= PROVIDER_MAX_AMOUNT)
    return json_integer_value (value);
  json_fail (reader, name);
  return 0;
}

static const char *
json_need_currency (JsonReader *reader, json_t *object, const char *name)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text != NULL && strlen (text) == 3 && g_ascii_isupper (text[0]) && g_ascii_isupper (text[1])
      && g_ascii_isupper (text[2]))
    return text;
  json_fail (reader, name);
  return NULL;
}

static gboolean
json_need_bool (JsonReader *reader, json_t *object, const char *name)
{
  json_t *value = json_object_get (object, name);
  if (!json_is_boolean (value))
    json_fail (reader, name);
  return json_is_true (value);
}

static int
json_need_word (JsonReader *reader, json_t *object, const char *name, const char *const *words)
{
  const char *text = json_string_value (json_object_get (object, name));
  for (int i = 0; text != NULL && words[i] != NULL; i++)
    if (g_str_equal (text, words[i]))
      return i;
  json_fail (reader, name);
  return 0;
}

static gboolean
json_finish (JsonReader *reader, GError **error)
{
  if (reader->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reader->error));
  return FALSE;
}

static json_t *
parse_object (const void *body, gsize length, GError **error)
{
  json_error_t failure;
  json_t *root = json_loadb (body, length, JSON_REJECT_DUPLICATES, &failure);
  if (json_is_object (root))
    return root;
  json_decref (root);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "it is not a JSON object");
  return NULL;
}

/* The callbacks. */

static const struct
{
  const char *type;
  MoneyEventKind kind;
} callback_types[] = {
  { "checkout.paid", MONEY_PAYMENT },
  { "checkout.declined", MONEY_DECLINED },
  { "checkout.expired", MONEY_EXPIRED },
  { "payment.refunded", MONEY_REFUND },
  { "payment.disputed", MONEY_DISPUTE },
  { "payment.dispute_won", MONEY_DISPUTE_WON },
  { "payment.dispute_lost", MONEY_DISPUTE_LOST },
};

static MoneyEvent *
read_event (const void *body, gsize length, GError **error)
{
  json_t *root = parse_object (body, length, error);
  if (root == NULL)
    return NULL;

  JsonReader reader = { NULL };
  g_autoptr (MoneyEvent) event = money_event_new ();
  event->kind = MONEY_OTHER;
  const char *type = json_string_value (json_object_get (root, "type"));
  if (type == NULL)
    json_fail (&reader, "type");
  for (gsize i = 0; i < G_N_ELEMENTS (callback_types); i++)
    if (g_strcmp0 (type, callback_types[i].type) == 0)
      event->kind = callback_types[i].kind;

  json_t *data = json_object_get (root, "data");
  if (event->kind != MONEY_OTHER && reader.error == NULL)
    {
      event->merchant = g_strdup (json_need_id (&reader, data, "merchant"));
      event->order = g_strdup (json_need_id (&reader, data, "order"));
      event->checkout = g_strdup (json_need_id (&reader, data, "checkout"));
      event->is_live = json_need_bool (&reader, data, "live");
      if (event->kind != MONEY_DECLINED && event->kind != MONEY_EXPIRED)
        {
          event->payment = g_strdup (json_need_id (&reader, data, "payment"));
          event->amount_minor = json_need_amount (&reader, data, "amount");
          event->currency = g_strdup (json_need_currency (&reader, data, "currency"));
        }
      if (event->kind == MONEY_REFUND)
        event->refund = g_strdup (json_need_id (&reader, data, "refund"));
      if (event->kind == MONEY_DISPUTE || event->kind == MONEY_DISPUTE_WON
          || event->kind == MONEY_DISPUTE_LOST)
        event->dispute = g_strdup (json_need_id (&reader, data, "dispute"));
    }
  json_decref (root);
  return json_finish (&reader, error) ? g_steal_pointer (&event) : NULL;
}

static const char *const callback_headers[]
    = { "webhook-id", "webhook-timestamp", "webhook-signature", NULL };

static int
verify (const Provider *provider, const WebhookRing *ring, const HttpExchange *exchange, gint64 now_us,
        const char **delivery_id, guint *key)
{
  WebhookHeaders headers = {
    .id = http_exchange_get_header (exchange, "webhook-id"),
    .timestamp = http_exchange_get_header (exchange, "webhook-timestamp"),
    .signature = http_exchange_get_header (exchange, "webhook-signature"),
    .n_id = http_exchange_count_header (exchange, "webhook-id"),
    .n_timestamp = http_exchange_count_header (exchange, "webhook-timestamp"),
    .n_signature = http_exchange_count_header (exchange, "webhook-signature"),
  };
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  WebhookVerdict verdict = webhook_verify (ring, &headers, body, length, now_us, key);
  *delivery_id = headers.id;
  return webhook_verdict_get_status (verdict);
}

/* The calls. */

typedef struct Call
{
  Provider *provider;
  /* Reads the body of a success into the reply; FALSE with @error if it makes no sense. */
  gboolean (*read) (struct Call *call, json_t *root, ProviderReply *reply, GError **error);
  GPtrArray *events;
  ProviderDone done;
  gpointer data;
} Call;

static void
call_free (gpointer data)
{
  Call *call = data;
  if (call->events != NULL)
    g_ptr_array_unref (call->events);
  g_free (call);
}

static ProviderOutcome
judge_status (int status)
{
  if (status >= 200 && status < 300)
    return PROVIDER_OK;
  switch (status)
    {
    case 409:
      return PROVIDER_CONFLICT;
    case 400:
    case 402:
    case 404:
    case 410:
    case 422:
      return PROVIDER_REFUSED;
    case 408:
    case 425:
    case 429:
      return PROVIDER_UNCERTAIN;
    default:
      return status >= 500 ? PROVIDER_BROKEN : PROVIDER_FAULT; /* redirects, 401, 403, what nobody sends */
    }
}

static void
got_answer (const HttpReply *http, gpointer data)
{
  Call *call = data;
  ProviderReply reply = {
    .outcome = PROVIDER_UNCERTAIN,
    .reason = http_reply_peek_reason (http),
    .retry_after_s = http_reply_get_retry_after_s (http),
  };
  g_autoptr (GError) error = NULL;
  json_t *root = NULL;

  if (http_reply_get_outcome (http) == HTTP_ANSWERED)
    reply.outcome = judge_status (http_reply_get_status (http));
  else if (http_reply_get_outcome (http) == HTTP_TLS_REFUSED)
    reply.outcome = PROVIDER_FAULT;

  if (reply.outcome == PROVIDER_OK || reply.outcome == PROVIDER_CONFLICT)
    {
      gsize length;
      const char *body = http_reply_peek_body (http, &length);
      root = parse_object (body, length, &error);
      if (root == NULL || !call->read (call, root, &reply, &error))
        {
          /* A conflict without a report is a plain refusal; a success that cannot be read may have acted. */
          reply.outcome = reply.outcome == PROVIDER_OK ? PROVIDER_UNCERTAIN : PROVIDER_REFUSED;
          if (reply.outcome == PROVIDER_UNCERTAIN)
            reply.reason = error->message;
        }
    }
  call->done (&reply, call->data);
  json_decref (root);
  g_hash_table_remove (call->provider->calls, call);
}

static gboolean
read_made_checkout (Call *call, json_t *root, ProviderReply *reply, GError **error)
{
  JsonReader reader = { NULL };
  reply->checkout = json_need_id (&reader, root, "checkout");
  reply->url = json_string_value (json_object_get (root, "url"));
  if (reply->url == NULL || !http_url_is_acceptable (reply->url))
    json_fail (&reader, "url");
  return json_finish (&reader, error);
}

static const char *const refund_words[] = { "pending", "done", "refused", NULL };

static gboolean
read_refund (Call *call, json_t *root, ProviderReply *reply, GError **error)
{
  JsonReader reader = { NULL };
  reply->refund = json_need_id (&reader, root, "refund");
  reply->refund_status = (ProviderRefundStatus)json_need_word (&reader, root, "status", refund_words);
  return json_finish (&reader, error);
}

static MoneyEvent *
report_event (Call *call, const ProviderReply *reply, MoneyEventKind kind, const char *payment,
              const char *currency)
{
  MoneyEvent *event = money_event_new ();
  event->kind = kind;
  event->merchant = g_strdup (call->provider->merchant);
  event->is_live = call->provider->is_live;
  event->order = g_strdup (reply->order);
  event->checkout = g_strdup (reply->checkout);
  event->payment = g_strdup (payment);
  event->currency = g_strdup (currency);
  g_ptr_array_add (call->events, event);
  return event;
}

static gboolean
read_report (Call *call, json_t *root, ProviderReply *reply, GError **error)
{
  static const char *const status_words[] = { "open", "paid", "declined", "expired", NULL };
  static const char *const dispute_words[] = { "open", "won", "lost", NULL };
  static const MoneyEventKind dispute_kinds[] = { MONEY_DISPUTE, MONEY_DISPUTE_WON, MONEY_DISPUTE_LOST };

  JsonReader reader = { NULL };
  reply->checkout = json_need_id (&reader, root, "checkout");
  reply->order = json_need_id (&reader, root, "order");
  reply->status = (CheckoutStatus)json_need_word (&reader, root, "status", status_words);
  const char *currency = json_need_currency (&reader, root, "currency");
  json_t *payments = json_object_get (root, "payments");
  if (json_array_size (payments) > PROVIDER_MAX_PAYMENTS)
    json_fail (&reader, "payments");

  call->events = g_ptr_array_new_with_free_func ((GDestroyNotify)money_event_free);
  gsize i, k;
  json_t *payment, *item;
  if (reader.error == NULL)
    json_array_foreach (payments, i, payment)
    {
      const char *id = json_need_id (&reader, payment, "payment");
      report_event (call, reply, MONEY_PAYMENT, id, currency)->amount_minor
          = json_need_amount (&reader, payment, "amount");
    }
  if (reader.error == NULL)
    json_array_foreach (payments, i, payment)
    {
      const char *id = json_string_value (json_object_get (payment, "payment"));
      json_array_foreach (json_object_get (payment, "refunds"), k, item)
      {
        if (json_need_word (&reader, item, "status", refund_words) != PROVIDER_REFUND_DONE)
          continue;
        MoneyEvent *event = report_event (call, reply, MONEY_REFUND, id, currency);
        event->refund = g_strdup (json_need_id (&reader, item, "refund"));
        event->amount_minor = json_need_amount (&reader, item, "amount");
      }
      json_array_foreach (json_object_get (payment, "disputes"), k, item)
      {
        int word = json_need_word (&reader, item, "status", dispute_words);
        MoneyEvent *event = report_event (call, reply, dispute_kinds[word], id, currency);
        event->dispute = g_strdup (json_need_id (&reader, item, "dispute"));
        event->amount_minor = json_integer_value (json_object_get (payment, "amount"));
      }
    }
  reply->events = call->events;
  return json_finish (&reader, error);
}

static void
send_call (Provider *provider, const char *method, const char *path, const char *key, json_t *take_body,
           gboolean (*read) (Call *, json_t *, ProviderReply *, GError **), ProviderDone done, gpointer data)
{
  Call *call = g_new0 (Call, 1);
  call->provider = provider;
  call->read = read;
  call->done = done;
  call->data = data;
  g_hash_table_add (provider->calls, call);

  g_autofree char *key_line = key != NULL ? g_strconcat ("Idempotency-Key: ", key, NULL) : NULL;
  const char *headers[] = { key_line, NULL };
  char *body = take_body != NULL ? json_dumps (take_body, JSON_COMPACT) : NULL;
  HttpRequest request = {
    .method = method,
    .path = path,
    .headers = headers,
    .bearer = provider->api_key,
    .body = body,
    .body_length = body != NULL ? strlen (body) : 0,
    .timeout_ms = provider->timeout_ms,
    .max_answer_bytes = 256 * 1024,
  };
  http_client_send (provider->http, provider->base, &request, got_answer, call);
  free (body);
  json_decref (take_body);
}

static void
create_checkout (Provider *provider, const CheckoutRequest *request, ProviderDone done, gpointer data)
{
  g_autofree char *expires = clock_dup_rfc3339 (request->expires_us);
  json_t *body = json_pack ("{s:s, s:I, s:s, s:s, s:s, s:s*, s:s}", "order", request->order, "amount",
                            (json_int_t)request->amount_minor, "currency", request->currency, "description",
                            request->description, "buyer", request->buyer, "callback", provider->callback_url,
                            "expires", expires);
  send_call (provider, "POST", "/v1/checkouts", request->key, body, read_made_checkout, done, data);
}

static void
get_checkout (Provider *provider, const char *checkout, ProviderDone done, gpointer data)
{
  g_autoptr (GString) path = g_string_new ("/v1/checkouts/");
  http_append_segment (path, checkout);
  send_call (provider, "GET", path->str, NULL, NULL, read_report, done, data);
}

static void
cancel_checkout (Provider *provider, const char *checkout, ProviderDone done, gpointer data)
{
  g_autoptr (GString) path = g_string_new ("/v1/checkouts/");
  http_append_segment (path, checkout);
  g_string_append (path, "/cancel");
  send_call (provider, "POST", path->str, NULL, NULL, read_report, done, data);
}

static void
create_refund (Provider *provider, const RefundRequest *request, ProviderDone done, gpointer data)
{
  json_t *body = json_pack ("{s:s, s:I, s:s, s:s}", "payment", request->payment, "amount",
                            (json_int_t)request->amount_minor, "currency", request->currency, "reason",
                            request->reason);
  send_call (provider, "POST", "/v1/refunds", request->key, body, read_refund, done, data);
}

static void
get_refund (Provider *provider, const char *refund, ProviderDone done, gpointer data)
{
  g_autoptr (GString) path = g_string_new ("/v1/refunds/");
  http_append_segment (path, refund);
  send_call (provider, "GET", path->str, NULL, NULL, read_refund, done, data);
}

const ProviderType provider_standard = {
  .name = "standard",
  .free_call = call_free,
  .create_checkout = create_checkout,
  .get_checkout = get_checkout,
  .cancel_checkout = cancel_checkout,
  .create_refund = create_refund,
  .get_refund = get_refund,
  .callback_headers = callback_headers,
  .verify = verify,
  .read_event = read_event,
};
