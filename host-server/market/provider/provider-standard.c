#include "host-server/market/provider/provider-call.h"
#include "host-server/market/provider/provider-json.h"

#include "common/base/clock.h"

#include <string.h>

/* protocol.md section 9: checkouts and refunds over HTTPS with a Bearer key, callbacks as Standard Webhooks.
 */

#define MAX_LISTED 1000              /* checkouts of a page that are read */
#define MAX_LIST   (4 * 1024 * 1024) /* bytes of a page */

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
  json_t *root = provider_json_parse (body, length, error);
  if (root == NULL)
    return NULL;

  ProviderJson reader = { NULL };
  g_autoptr (MoneyEvent) event = money_event_new ();
  event->kind = MONEY_OTHER;
  const char *type = json_string_value (json_object_get (root, "type"));
  if (type == NULL)
    provider_json_fail (&reader, "type");
  for (gsize i = 0; i < G_N_ELEMENTS (callback_types); i++)
    if (g_strcmp0 (type, callback_types[i].type) == 0)
      event->kind = callback_types[i].kind;

  json_t *data = json_object_get (root, "data");
  if (event->kind != MONEY_OTHER && reader.error == NULL)
    {
      event->merchant = g_strdup (provider_json_need_id (&reader, data, "merchant"));
      event->order = g_strdup (provider_json_need_id (&reader, data, "order"));
      event->checkout = g_strdup (provider_json_need_id (&reader, data, "checkout"));
      event->is_live = provider_json_need_bool (&reader, data, "live");
      if (event->kind != MONEY_DECLINED && event->kind != MONEY_EXPIRED)
        {
          event->payment = g_strdup (provider_json_need_id (&reader, data, "payment"));
          event->amount_minor = provider_json_need_amount (&reader, data, "amount");
          event->currency = g_strdup (provider_json_need_currency (&reader, data, "currency"));
        }
      if (event->kind == MONEY_REFUND)
        event->refund = g_strdup (provider_json_need_id (&reader, data, "refund"));
      if (event->kind == MONEY_DISPUTE || event->kind == MONEY_DISPUTE_WON
          || event->kind == MONEY_DISPUTE_LOST)
        event->dispute = g_strdup (provider_json_need_id (&reader, data, "dispute"));
    }
  json_decref (root);
  return provider_json_finish (&reader, error) ? g_steal_pointer (&event) : NULL;
}

static const char *const callback_headers[]
    = { "webhook-id", "webhook-timestamp", "webhook-signature", NULL };

static int
verify (const Provider *provider, const WebhookRing *ring, const HttpExchange *exchange, gint64 now_us,
        char **delivery_id, guint *key)
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
  if (verdict == WEBHOOK_AUTHENTIC)
    *delivery_id = g_strdup (headers.id);
  return webhook_verdict_get_status (verdict);
}

/* The calls. */

static ProviderOutcome
judge_status (ProviderCall *call, int status, const json_t *root)
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

static ProviderReading
end_reading (ProviderJson *reader, GError **error)
{
  return provider_json_finish (reader, error) ? PROVIDER_READ_DONE : PROVIDER_READ_BAD;
}

static ProviderReading
read_made_checkout (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  ProviderReply *reply = &call->reply;
  reply->checkout = provider_json_need_id (&reader, root, "checkout");
  reply->url = json_string_value (json_object_get (root, "url"));
  if (reply->url == NULL || !http_url_is_for_browsers (reply->url))
    provider_json_fail (&reader, "url");
  return end_reading (&reader, error);
}

static const char *const refund_words[] = { "pending", "done", "refused", NULL };

static ProviderReading
read_refund (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  call->reply.refund = provider_json_need_id (&reader, root, "refund");
  call->reply.refund_status
      = (ProviderRefundStatus)provider_json_need_word (&reader, root, "status", refund_words);
  return end_reading (&reader, error);
}

/* One checkout as the provider sees it. */
static void
read_checkout (ProviderCall *call, ProviderJson *reader, json_t *root)
{
  static const char *const status_words[] = { "open", "paid", "declined", "expired", NULL };
  static const char *const dispute_words[] = { "open", "won", "lost", NULL };
  static const MoneyEventKind dispute_kinds[] = { MONEY_DISPUTE, MONEY_DISPUTE_WON, MONEY_DISPUTE_LOST };

  ProviderReport *report = provider_call_add_report (call);
  report->checkout = provider_json_need_id (reader, root, "checkout");
  report->order = provider_json_need_id (reader, root, "order");
  report->status = (CheckoutStatus)provider_json_need_word (reader, root, "status", status_words);
  report->amount_minor = provider_json_need_amount (reader, root, "amount");
  const char *currency = provider_json_need_currency (reader, root, "currency");
  if (currency != NULL)
    g_strlcpy (report->currency, currency, sizeof report->currency);
  json_t *payments = json_object_get (root, "payments");
  if (json_array_size (payments) > PROVIDER_MAX_PAYMENTS)
    provider_json_fail (reader, "payments");

  gsize i, k;
  json_t *payment, *item;
  if (reader->error == NULL)
    json_array_foreach (payments, i, payment)
    {
      const char *id = provider_json_need_id (reader, payment, "payment");
      provider_call_add_event (call, report, MONEY_PAYMENT, id, currency)->amount_minor
          = provider_json_need_amount (reader, payment, "amount");
    }
  if (reader->error == NULL)
    json_array_foreach (payments, i, payment)
    {
      const char *id = json_string_value (json_object_get (payment, "payment"));
      json_array_foreach (json_object_get (payment, "refunds"), k, item)
      {
        if (provider_json_need_word (reader, item, "status", refund_words) != PROVIDER_REFUND_DONE)
          continue;
        MoneyEvent *event = provider_call_add_event (call, report, MONEY_REFUND, id, currency);
        event->refund = g_strdup (provider_json_need_id (reader, item, "refund"));
        event->amount_minor = provider_json_need_amount (reader, item, "amount");
      }
      json_array_foreach (json_object_get (payment, "disputes"), k, item)
      {
        int word = provider_json_need_word (reader, item, "status", dispute_words);
        MoneyEvent *event = provider_call_add_event (call, report, dispute_kinds[word], id, currency);
        event->dispute = g_strdup (provider_json_need_id (reader, item, "dispute"));
        event->amount_minor = json_integer_value (json_object_get (payment, "amount"));
      }
    }
}

static ProviderReading
read_report (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  read_checkout (call, &reader, root);
  provider_call_reply_report (call);
  return end_reading (&reader, error);
}

/* A page of a list. `next` is the time that the next one is asked for with, so it has to move. */
static ProviderReading
read_list (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  json_t *checkouts = json_object_get (root, "checkouts"), *next = json_object_get (root, "next"), *checkout;
  gint64 next_us;
  if (!json_is_array (checkouts) || json_array_size (checkouts) > MAX_LISTED)
    provider_json_fail (&reader, "checkouts");
  if (next != NULL
      && (!json_is_string (next) || !clock_parse_rfc3339 (json_string_value (next), &next_us)
          || g_strcmp0 (json_string_value (next), call->memo) == 0))
    provider_json_fail (&reader, "next");
  gsize i;
  if (reader.error == NULL)
    json_array_foreach (checkouts, i, checkout)
    {
      read_checkout (call, &reader, checkout);
    }
  call->reply.reports = call->reports;
  call->reply.next = json_string_value (next);
  return end_reading (&reader, error);
}

static void
send_call (Provider *provider, const char *method, const char *path, const char *key, json_t *take_body,
           ProviderRead read, ProviderDone done, gpointer data)
{
  g_autofree char *key_line = key != NULL ? g_strconcat ("Idempotency-Key: ", key, NULL) : NULL;
  const char *headers[] = { key_line, NULL };
  char *body = take_body != NULL ? json_dumps (take_body, JSON_COMPACT) : NULL;
  HttpRequest request = {
    .method = method,
    .path = path,
    .headers = headers,
    .body = body,
    .body_length = body != NULL ? strlen (body) : 0,
    .is_alone = key != NULL, /* the answer names what was made, and not for whom */
  };
  provider_call_send (provider_call_new (provider, done, data), &request, judge_status, read);
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

static void
list_checkouts (Provider *provider, gint64 since_us, const char *after, ProviderDone done, gpointer data)
{
  g_autofree char *since = after != NULL ? g_strdup (after) : clock_dup_rfc3339 (since_us);
  g_autoptr (GString) path = g_string_new ("/v1/checkouts?since=");
  http_append_segment (path, since);
  HttpRequest request = { .method = "GET", .path = path->str, .max_answer_bytes = MAX_LIST };
  ProviderCall *call = provider_call_new (provider, done, data);
  call->memo = g_steal_pointer (&since);
  call->free_memo = g_free;
  provider_call_send (call, &request, judge_status, read_list);
}

const ProviderType provider_standard = {
  .name = "standard",
  .free_call = provider_call_free,
  .create_checkout = create_checkout,
  .get_checkout = get_checkout,
  .cancel_checkout = cancel_checkout,
  .create_refund = create_refund,
  .get_refund = get_refund,
  .list_checkouts = list_checkouts,
  .add_secret = webhook_ring_add,
  .callback_headers = callback_headers,
  .max_callback = WEBHOOK_MAX_BODY,
  .verify = verify,
  .read_event = read_event,
};
