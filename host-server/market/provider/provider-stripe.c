#include "host-server/market/provider/provider-call.h"
#include "host-server/market/provider/provider-json.h"

#include "common/base/text.h"

#include <openssl/sha.h>
#include <string.h>

/* Stripe Checkout, as docs.stripe.com describes it for the API version below.
 *
 * A checkout is a Checkout Session in payment mode, its payment the PaymentIntent that the session makes when
 * the buyer confirms. `pi_…` is what callbacks, reports and refunds have in common, so it is the payment's id
 * in the ledger. The order's id stands in the metadata of the session and, by payment_intent_data, of the
 * PaymentIntent, from where Stripe copies it to the charge; so a session and a charge say whose they are. A
 * dispute has metadata of its own, which is empty: its order is that of its payment in the ledger.
 *
 * Refunds are running totals: charge.refunded carries the charge with `amount_refunded`, and so does every
 * refund and report that is read with its charge. Single refunds are never counted by their own ids here,
 * for one of them and the total that contains it would count twice.
 *
 * What Stripe's account does beside this host's sales (sessions without our metadata) is ignored. */

#define STRIPE_VERSION "2024-12-18.acacia"

#define MAX_LISTED 100 /* sessions of a page: Stripe's own limit */
#define MAX_LIST   (4 * 1024 * 1024)
#define MAX_BODY   65536 /* of a callback */

/* A session ends between 30 minutes and 24 hours after Stripe has made it. The order has begun a moment
 * before, and its time may be shorter or longer; a request that is sent again must say the same. */
#define MIN_LIFE_US (G_GINT64_CONSTANT (35) * 60 * G_USEC_PER_SEC)
#define MAX_LIFE_US (G_GINT64_CONSTANT (1435) * 60 * G_USEC_PER_SEC)

/* Amounts. Stripe counts most currencies in the minor units of ISO 4217, as we do; these it does not. */

static const struct
{
  char currency[4];
  gint64 times;   /* ours times this is Stripe's… */
  gint64 divided; /* …divided by this */
  gint64 step;    /* what Stripe's must be a multiple of */
} units[] = {
  { "ISK", 100, 1, 100 },                       /* no minor unit any more, but written with two */
  { "UGX", 100, 1, 100 }, { "MGA", 1, 100, 1 }, /* the iraimbilanja is not for Stripe */
  { "BHD", 1, 1, 10 },                          /* three decimals, the last a zero */
  { "JOD", 1, 1, 10 },    { "KWD", 1, 1, 10 },  { "OMR", 1, 1, 10 }, { "TND", 1, 1, 10 },
};

/* FALSE if there is no such amount at Stripe. */
static gboolean
to_stripe (const char *currency, gint64 minor, gint64 *amount)
{
  *amount = minor;
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (g_str_equal (currency, units[i].currency))
      {
        if (minor > PROVIDER_MAX_AMOUNT / units[i].times || minor % units[i].divided != 0)
          return FALSE;
        *amount = minor * units[i].times / units[i].divided;
        return *amount % units[i].step == 0;
      }
  return TRUE;
}

static gboolean
from_stripe (const char *currency, gint64 amount, gint64 *minor)
{
  *minor = amount;
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (g_str_equal (currency, units[i].currency))
      {
        if (amount > PROVIDER_MAX_AMOUNT / units[i].divided || amount % units[i].times != 0)
          return FALSE;
        *minor = amount * units[i].divided / units[i].times;
      }
  return TRUE;
}

/* An amount and its currency, of which Stripe writes the code in small letters. */
typedef struct
{
  gint64 minor;
  char currency[4]; /* "" if the reader has failed */
} Money;

static Money
need_money (ProviderJson *reader, json_t *object, const char *name)
{
  Money money = { 0 };
  const char *code = json_string_value (json_object_get (object, "currency"));
  gint64 amount = provider_json_need_amount (reader, object, name);
  if (code == NULL || strlen (code) != 3 || strspn (code, "abcdefghijklmnopqrstuvwxyz") != 3)
    provider_json_fail (reader, "currency");
  if (reader->error != NULL)
    return money;
  for (guint i = 0; i < 3; i++)
    money.currency[i] = g_ascii_toupper (code[i]);
  if (!from_stripe (money.currency, amount, &money.minor))
    provider_json_fail (reader, name);
  return money;
}

/* An object that stands there by its id, or in full if it was asked to be expanded. */
static const char *
peek_reference (json_t *object, const char *name)
{
  json_t *value = json_object_get (object, name);
  const char *id = json_string_value (json_is_object (value) ? json_object_get (value, "id") : value);
  return id != NULL && provider_id_is_valid (id) ? id : NULL;
}

static const char *
need_reference (ProviderJson *reader, json_t *object, const char *name)
{
  const char *id = peek_reference (object, name);
  if (id == NULL)
    provider_json_fail (reader, name);
  return id;
}

static gboolean
has_text (json_t *object, const char *name, const char *text)
{
  return g_strcmp0 (json_string_value (json_object_get (object, name)), text) == 0;
}

/* The order that a session or charge of ours names; NULL: it is not ours. */
static const char *
peek_order (json_t *object)
{
  const char *order = json_string_value (json_object_get (json_object_get (object, "metadata"), "order"));
  return order != NULL && provider_id_is_valid (order) ? order : NULL;
}

/* The callbacks. */

/* Before a dispute there may be an inquiry, its status `warning_…`: no money has moved and nothing is
 * suspended for it. If it becomes a dispute the status says so, whichever event brings it. */
static MoneyEventKind
judge_dispute (json_t *dispute)
{
  static const struct
  {
    const char *status;
    MoneyEventKind kind;
  } rows[] = {
    { "needs_response", MONEY_DISPUTE },
    { "under_review", MONEY_DISPUTE },
    { "won", MONEY_DISPUTE_WON },
    { "lost", MONEY_DISPUTE_LOST },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (has_text (dispute, "status", rows[i].status))
      return rows[i].kind;
  return MONEY_OTHER;
}

static void
read_session_event (ProviderJson *reader, json_t *session, MoneyEvent *event)
{
  const char *order = peek_order (session);
  gboolean is_paid = has_text (session, "payment_status", "paid");
  if (order == NULL || !has_text (session, "mode", "payment") || (event->kind == MONEY_PAYMENT && !is_paid))
    {
      event->kind = MONEY_OTHER; /* not ours; or complete, and the money still on its way */
      return;
    }
  event->order = g_strdup (order);
  event->checkout = g_strdup (provider_json_need_id (reader, session, "id"));
  if (event->kind != MONEY_PAYMENT)
    return;
  Money money = need_money (reader, session, "amount_total");
  event->payment = g_strdup (need_reference (reader, session, "payment_intent"));
  event->amount_minor = money.minor;
  event->currency = g_strdup (money.currency);
}

static void
read_refunded_charge (ProviderJson *reader, json_t *charge, MoneyEvent *event)
{
  event->payment = g_strdup (peek_reference (charge, "payment_intent"));
  if (event->payment == NULL) /* no PaymentIntent, no Checkout */
    {
      event->kind = MONEY_OTHER;
      return;
    }
  Money money = need_money (reader, charge, "amount_refunded");
  event->order = g_strdup (peek_order (charge));
  event->is_total = TRUE;
  event->amount_minor = money.minor;
  event->currency = g_strdup (money.currency);
}

/* The amount and currency of a dispute may be the bank's, and differ from the payment's: they are not read.
 */
static void
read_dispute_event (ProviderJson *reader, json_t *dispute, MoneyEvent *event)
{
  event->kind = judge_dispute (dispute);
  event->payment = g_strdup (peek_reference (dispute, "payment_intent"));
  if (event->payment == NULL)
    event->kind = MONEY_OTHER;
  if (event->kind != MONEY_OTHER)
    event->dispute = g_strdup (provider_json_need_id (reader, dispute, "id"));
}

/* Money that was thought to be on its way back is not. Our own refunds are followed by asking, but one that
 * was made at Stripe has nobody else to see it. */
static void
read_failed_refund (ProviderJson *reader, json_t *refund, MoneyEvent *event)
{
  const char *id = provider_json_need_id (reader, refund, "id");
  if (reader->error == NULL && has_text (refund, "status", "failed"))
    reader->error = g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "refund %s has failed at Stripe", id);
}

typedef void (*EventRead) (ProviderJson *reader, json_t *object, MoneyEvent *event);

static const struct
{
  const char *type;
  MoneyEventKind kind; /* at first; the reader may know better */
  EventRead read;
} event_types[] = {
  { "checkout.session.completed", MONEY_PAYMENT, read_session_event },
  { "checkout.session.async_payment_succeeded", MONEY_PAYMENT, read_session_event },
  { "checkout.session.async_payment_failed", MONEY_DECLINED, read_session_event },
  { "checkout.session.expired", MONEY_EXPIRED, read_session_event },
  { "charge.refunded", MONEY_REFUND, read_refunded_charge },
  { "charge.dispute.created", MONEY_DISPUTE, read_dispute_event },
  { "charge.dispute.updated", MONEY_DISPUTE, read_dispute_event },
  { "charge.dispute.closed", MONEY_DISPUTE, read_dispute_event },
  { "charge.dispute.funds_withdrawn", MONEY_DISPUTE, read_dispute_event },
  { "charge.dispute.funds_reinstated", MONEY_DISPUTE, read_dispute_event },
  { "refund.failed", MONEY_OTHER, read_failed_refund },
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
  json_t *object = json_object_get (json_object_get (root, "data"), "object");
  if (type == NULL)
    provider_json_fail (&reader, "type");
  for (gsize i = 0; i < G_N_ELEMENTS (event_types) && reader.error == NULL; i++)
    if (g_str_equal (type, event_types[i].type))
      {
        event->kind = event_types[i].kind;
        event->is_live = provider_json_need_bool (&reader, root, "livemode");
        event->merchant = g_strdup (peek_reference (root, "account")); /* of a connected account only */
        if (!json_is_object (object))
          provider_json_fail (&reader, "data.object");
        if (reader.error == NULL)
          event_types[i].read (&reader, object, event);
        break;
      }
  json_decref (root);
  return provider_json_finish (&reader, error) ? g_steal_pointer (&event) : NULL;
}

/* How many endpoints an event has not reached yet is said in it, and may be less when it is sent again. */
static gboolean
is_same_event (const void *body, gsize length, const void *other, gsize other_length)
{
  json_t *one = provider_json_parse (body, length, NULL);
  json_t *two = provider_json_parse (other, other_length, NULL);
  json_object_del (one, "pending_webhooks");
  json_object_del (two, "pending_webhooks");
  gboolean is_same = one != NULL && two != NULL && json_equal (one, two);
  json_decref (one);
  json_decref (two);
  return is_same;
}

static const char *const callback_headers[] = { "stripe-signature", NULL };

/* An event's own id. An authentic body without one is told from others by what it is. */
static char *
dup_delivery_id (const char *body, gsize length)
{
  json_t *root = provider_json_parse (body, length, NULL);
  char *id = root != NULL ? g_strdup (peek_reference (root, "id")) : NULL;
  json_decref (root);
  if (id != NULL)
    return id;
  guint8 digest[SHA256_DIGEST_LENGTH];
  SHA256 ((const guint8 *)body, length, digest);
  g_autofree char *hex = text_to_hex (digest, sizeof digest);
  return g_strconcat ("sha256:", hex, NULL);
}

static int
verify (const Provider *provider, const WebhookRing *ring, const HttpExchange *exchange, gint64 now_us,
        char **delivery_id, guint *key)
{
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  WebhookVerdict verdict = webhook_verify_timestamped (
      ring, http_exchange_get_header (exchange, "stripe-signature"),
      http_exchange_count_header (exchange, "stripe-signature"), body, length, now_us, key);
  if (verdict == WEBHOOK_AUTHENTIC)
    *delivery_id = dup_delivery_id (body, length);
  return webhook_verdict_get_status (verdict);
}

/* The calls. */

/* 409 is a request under the same key that still runs, or a lock: it is neither done nor refused. What a key
 * was first used for differently (idempotency_error, 400) can not be had under it any more. */
static ProviderOutcome
judge_status (ProviderCall *call, int status, const json_t *root)
{
  json_t *failure = json_object_get (root, "error");
  const char *code = json_string_value (json_object_get (failure, "code"));
  if (code == NULL)
    code = json_string_value (json_object_get (failure, "type"));
  g_clear_pointer (&call->note, g_free);
  if (code != NULL && strlen (code) <= 64
      && strspn (code, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen (code))
    call->note = g_strdup_printf ("status %d, %s", status, code);

  if (status >= 200 && status < 300)
    return PROVIDER_OK;
  switch (status)
    {
    case 400:
    case 402:
    case 404:
    case 410:
    case 422:
      return PROVIDER_REFUSED;
    case 408:
    case 409:
    case 425:
    case 429:
      return PROVIDER_UNCERTAIN;
    case 424:
      return PROVIDER_BROKEN;
    default:
      return status >= 500 ? PROVIDER_BROKEN : PROVIDER_FAULT;
    }
}

static ProviderReading
end_reading (ProviderJson *reader, GError **error)
{
  return provider_json_finish (reader, error) ? PROVIDER_READ_DONE : PROVIDER_READ_BAD;
}

static void
add_field (GString *form, const char *name, const char *value)
{
  if (form->len > 0)
    g_string_append_c (form, '&');
  http_append_segment (form, name);
  g_string_append_c (form, '=');
  http_append_segment (form, value);
}

static void
add_number (GString *form, const char *name, gint64 value)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, value);
  add_field (form, name, text);
}

/* @form is the body of a POST, or for a GET (@key NULL and @form NULL) stands in @path already. */
static void
send_call (ProviderCall *call, const char *path, const char *key, const GString *form, ProviderJudge judge,
           ProviderRead read)
{
  g_autofree char *key_line = key != NULL ? g_strconcat ("Idempotency-Key: ", key, NULL) : NULL;
  const char *headers[] = { "Stripe-Version: " STRIPE_VERSION, key_line, NULL };
  HttpRequest request = {
    .method = form != NULL ? "POST" : "GET",
    .path = path,
    .headers = headers,
    .content_type = "application/x-www-form-urlencoded",
    .body = form != NULL ? form->str : NULL,
    .body_length = form != NULL ? form->len : 0,
    .max_answer_bytes = MAX_LIST,
  };
  provider_call_send (call, &request, judge, read);
}

/* What a key of the other mode would show. */
static gboolean
is_of_our_mode (ProviderCall *call, json_t *object)
{
  json_t *mode = json_object_get (object, "livemode");
  if (json_is_boolean (mode) && json_is_true (mode) == call->provider->is_live)
    return TRUE;
  call->reply.outcome = PROVIDER_FAULT;
  g_free (call->note);
  call->note = g_strdup ("the key is not of the configured mode");
  return FALSE;
}

static ProviderReading
read_made_session (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  ProviderReply *reply = &call->reply;
  if (!is_of_our_mode (call, root))
    return PROVIDER_READ_DONE;
  reply->checkout = provider_json_need_id (&reader, root, "id");
  reply->url = json_string_value (json_object_get (root, "url"));
  if (reply->url == NULL || !http_url_is_for_browsers (reply->url))
    provider_json_fail (&reader, "url");
  json_t *expires = json_object_get (root, "expires_at");
  if (!json_is_integer (expires) || json_integer_value (expires) <= 0
      || json_integer_value (expires) > G_MAXINT64 / G_USEC_PER_SEC)
    provider_json_fail (&reader, "expires_at");
  reply->expires_us = json_integer_value (expires) * G_USEC_PER_SEC;
  return end_reading (&reader, error);
}

static void
create_checkout (Provider *provider, const CheckoutRequest *request, ProviderDone done, gpointer data)
{
  ProviderCall *call = provider_call_new (provider, done, data);
  g_autofree char *back = provider_dup_return_url (provider);
  g_autofree char *code = g_ascii_strdown (request->currency, -1);
  g_autoptr (GString) form = g_string_new (NULL);
  gint64 amount;
  if (back == NULL)
    {
      provider_call_refuse (call, PROVIDER_FAULT, "there is no [http] for buyers to come back to");
      return;
    }
  if (!to_stripe (request->currency, request->amount_minor, &amount))
    {
      provider_call_refuse (call, PROVIDER_REFUSED, "Stripe cannot charge this amount of this currency");
      return;
    }
  gint64 ends_us
      = CLAMP (request->expires_us, request->created_us + MIN_LIFE_US, request->created_us + MAX_LIFE_US);
  add_field (form, "mode", "payment");
  add_field (form, "client_reference_id", request->order);
  add_field (form, "metadata[order]", request->order);
  add_field (form, "metadata[buyer]", request->buyer);
  add_field (form, "payment_intent_data[metadata][order]", request->order);
  add_field (form, "line_items[0][quantity]", "1");
  add_field (form, "line_items[0][price_data][currency]", code);
  add_number (form, "line_items[0][price_data][unit_amount]", amount);
  add_field (form, "line_items[0][price_data][product_data][name]", request->description);
  add_number (form, "expires_at", ends_us / G_USEC_PER_SEC);
  add_field (form, "success_url", back);
  add_field (form, "cancel_url", back);
  send_call (call, "/v1/checkout/sessions", request->key, form, judge_status, read_made_session);
}

/* Reports. */

/* A call that ends in reports. */
typedef struct
{
  char *checkout;  /* that is to be cancelled; NULL: nothing is */
  GArray *reports; /* guint: those of which a payment is disputed, its disputes still to be asked for */
} Asking;

static void
asking_free (gpointer data)
{
  Asking *asking = data;
  g_free (asking->checkout);
  g_array_unref (asking->reports);
  g_free (asking);
}

static ProviderCall *
new_report_call (Provider *provider, const char *cancelled, ProviderDone done, gpointer data)
{
  ProviderCall *call = provider_call_new (provider, done, data);
  Asking *asking = g_new0 (Asking, 1);
  asking->checkout = g_strdup (cancelled);
  asking->reports = g_array_new (FALSE, FALSE, sizeof (guint));
  call->memo = asking;
  call->free_memo = asking_free;
  return call;
}

static CheckoutStatus
judge_session (json_t *session, json_t *intent)
{
  static const char *const lost[] = { "requires_payment_method", "canceled", NULL };
  const char *status = json_string_value (json_object_get (intent, "status"));
  if (has_text (session, "payment_status", "paid"))
    return CHECKOUT_PAID;
  if (has_text (session, "status", "expired"))
    return CHECKOUT_EXPIRED;
  if (!has_text (session, "status", "complete"))
    return CHECKOUT_OPEN;
  /* Complete and not paid: it takes days with some means of payment, and may fail in the end. */
  return status != NULL && g_strv_contains (lost, status) ? CHECKOUT_DECLINED : CHECKOUT_PENDING;
}

/* A session with its payment_intent.latest_charge expanded. */
static void
read_session (ProviderCall *call, ProviderJson *reader, json_t *session)
{
  json_t *intent = json_object_get (session, "payment_intent");
  json_t *charge = json_object_get (intent, "latest_charge");
  ProviderReport *report = provider_call_add_report (call);
  report->checkout = provider_json_need_id (reader, session, "id");
  report->order = peek_order (session);
  report->status = judge_session (session, intent);
  if (report->order == NULL)
    provider_json_fail (reader, "metadata.order");
  Money money = need_money (reader, session, "amount_total");
  report->amount_minor = money.minor;
  memcpy (report->currency, money.currency, sizeof report->currency);
  if (reader->error != NULL || report->status != CHECKOUT_PAID)
    return;

  const char *payment = need_reference (reader, session, "payment_intent");
  if (!json_is_object (charge))
    provider_json_fail (reader, "payment_intent.latest_charge");
  if (reader->error != NULL)
    return;
  provider_call_add_event (call, report, MONEY_PAYMENT, payment, money.currency)->amount_minor = money.minor;
  if (json_integer_value (json_object_get (charge, "amount_refunded")) != 0)
    {
      Money refunded = need_money (reader, charge, "amount_refunded");
      MoneyEvent *event = provider_call_add_event (call, report, MONEY_REFUND, payment, refunded.currency);
      event->amount_minor = refunded.minor;
      event->is_total = TRUE;
    }
  if (json_is_true (json_object_get (charge, "disputed")))
    {
      guint index = call->reports->len - 1;
      g_array_append_val (((Asking *)call->memo)->reports, index);
    }
}

static ProviderReading ask_disputes (ProviderCall *call);

static ProviderReading
read_disputes (ProviderCall *call, json_t *root, GError **error)
{
  Asking *asking = call->memo;
  guint n = asking->reports->len;
  ProviderReport *report = g_ptr_array_index (call->reports, g_array_index (asking->reports, guint, n - 1));
  const MoneyEvent *payment = g_ptr_array_index (report->events, 0);
  ProviderJson reader = { NULL };
  json_t *list = json_object_get (root, "data"), *dispute;
  gsize i;
  if (!json_is_array (list))
    provider_json_fail (&reader, "data");
  json_array_foreach (list, i, dispute)
  {
    MoneyEventKind kind = judge_dispute (dispute);
    const char *id = provider_json_need_id (&reader, dispute, "id");
    if (kind != MONEY_OTHER)
      provider_call_add_event (call, report, kind, payment->payment, NULL)->dispute = g_strdup (id);
  }
  g_array_set_size (asking->reports, n - 1);
  return provider_json_finish (&reader, error) ? ask_disputes (call) : PROVIDER_READ_BAD;
}

/* Asks for the next payment's disputes, or ends the call if there is none. */
static ProviderReading
ask_disputes (ProviderCall *call)
{
  Asking *asking = call->memo;
  guint n = asking->reports->len;
  if (n > 0)
    {
      const ProviderReport *report
          = g_ptr_array_index (call->reports, g_array_index (asking->reports, guint, n - 1));
      const MoneyEvent *payment = g_ptr_array_index (report->events, 0);
      g_autoptr (GString) path = g_string_new ("/v1/disputes?limit=100&payment_intent=");
      http_append_segment (path, payment->payment);
      send_call (call, path->str, NULL, NULL, judge_status, read_disputes);
      return PROVIDER_READ_MORE;
    }
  if (asking->checkout != NULL)
    {
      gboolean is_over = call->reply.status == CHECKOUT_EXPIRED || call->reply.status == CHECKOUT_DECLINED;
      gboolean is_open = call->reply.status == CHECKOUT_OPEN;
      call->reply.outcome = is_over ? PROVIDER_OK : is_open ? PROVIDER_REFUSED : PROVIDER_CONFLICT;
    }
  return PROVIDER_READ_DONE;
}

static ProviderReading
read_report (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  if (!is_of_our_mode (call, root))
    return PROVIDER_READ_DONE;
  read_session (call, &reader, root);
  provider_call_reply_report (call);
  return provider_json_finish (&reader, error) ? ask_disputes (call) : PROVIDER_READ_BAD;
}

#define EXPANDED "expand%5B0%5D=payment_intent.latest_charge"

static void
ask_session (ProviderCall *call, const char *checkout)
{
  g_autoptr (GString) path = g_string_new ("/v1/checkout/sessions/");
  http_append_segment (path, checkout);
  g_string_append (path, "?" EXPANDED);
  send_call (call, path->str, NULL, NULL, judge_status, read_report);
}

static void
get_checkout (Provider *provider, const char *checkout, ProviderDone done, gpointer data)
{
  ask_session (new_report_call (provider, NULL, done, data), checkout);
}

/* Stripe expires what is open and nothing else: a second cancel is refused just as one that comes after the
 * payment. What the session is like tells them apart. */
static ProviderOutcome
judge_cancel (ProviderCall *call, int status, const json_t *root)
{
  ProviderOutcome outcome = judge_status (call, status, root);
  return status == 400 ? PROVIDER_CONFLICT : outcome;
}

static ProviderReading
read_cancelled (ProviderCall *call, json_t *root, GError **error)
{
  if (call->reply.outcome == PROVIDER_OK)
    return read_report (call, root, error);
  ask_session (call, ((Asking *)call->memo)->checkout);
  return PROVIDER_READ_MORE;
}

static void
cancel_checkout (Provider *provider, const char *checkout, ProviderDone done, gpointer data)
{
  g_autoptr (GString) path = g_string_new ("/v1/checkout/sessions/");
  g_autoptr (GString) form = g_string_new (EXPANDED);
  http_append_segment (path, checkout);
  g_string_append (path, "/expire");
  send_call (new_report_call (provider, checkout, done, data), path->str, NULL, form, judge_cancel,
             read_cancelled);
}

static ProviderReading
read_list (ProviderCall *call, json_t *root, GError **error)
{
  ProviderJson reader = { NULL };
  json_t *list = json_object_get (root, "data"), *more = json_object_get (root, "has_more"), *session;
  gsize n = json_array_size (list), i;
  if (!json_is_array (list) || n > MAX_LISTED)
    provider_json_fail (&reader, "data");
  if (!json_is_boolean (more) || (json_is_true (more) && n == 0))
    provider_json_fail (&reader, "has_more");
  json_array_foreach (list, i, session)
  {
    if (!is_of_our_mode (call, session))
      return PROVIDER_READ_DONE;
    if (peek_order (session) != NULL && has_text (session, "mode", "payment"))
      read_session (call, &reader, session);
  }
  if (json_is_true (more) && n > 0)
    call->reply.next = provider_json_need_id (&reader, json_array_get (list, n - 1), "id");
  call->reply.reports = call->reports;
  return provider_json_finish (&reader, error) ? ask_disputes (call) : PROVIDER_READ_BAD;
}

/* Stripe has the newest first. */
static void
list_checkouts (Provider *provider, gint64 since_us, const char *after, ProviderDone done, gpointer data)
{
  g_autoptr (GString) path = g_string_new ("/v1/checkout/sessions?limit=100");
  g_string_append_printf (path, "&created%%5Bgte%%5D=%" G_GINT64_FORMAT, since_us / G_USEC_PER_SEC);
  if (after != NULL)
    {
      g_string_append (path, "&starting_after=");
      http_append_segment (path, after);
    }
  g_string_append (path, "&expand%5B0%5D=data.payment_intent.latest_charge");
  send_call (new_report_call (provider, NULL, done, data), path->str, NULL, NULL, judge_status, read_list);
}

/* Refunds. */

static ProviderReading
read_refund (ProviderCall *call, json_t *root, GError **error)
{
  static const char *const words[]
      = { "pending", "requires_action", "succeeded", "failed", "canceled", NULL };
  static const ProviderRefundStatus statuses[]
      = { PROVIDER_REFUND_PENDING, PROVIDER_REFUND_PENDING, PROVIDER_REFUND_DONE, PROVIDER_REFUND_REFUSED,
          PROVIDER_REFUND_REFUSED };
  ProviderJson reader = { NULL };
  call->reply.refund = provider_json_need_id (&reader, root, "id");
  call->reply.refund_status = statuses[provider_json_need_word (&reader, root, "status", words)];
  if (call->reply.refund_status == PROVIDER_REFUND_DONE)
    call->reply.refunded_minor
        = need_money (&reader, json_object_get (root, "charge"), "amount_refunded").minor;
  return end_reading (&reader, error);
}

static void
create_refund (Provider *provider, const RefundRequest *request, ProviderDone done, gpointer data)
{
  ProviderCall *call = provider_call_new (provider, done, data);
  g_autoptr (GString) form = g_string_new (NULL);
  gint64 amount;
  if (!to_stripe (request->currency, request->amount_minor, &amount))
    {
      provider_call_refuse (call, PROVIDER_REFUSED, "Stripe cannot refund this amount of this currency");
      return;
    }
  add_field (form, "payment_intent", request->payment);
  add_number (form, "amount", amount);
  add_field (form, "metadata[refund]", request->key);
  add_field (form, "metadata[reason]", request->reason);
  add_field (form, "expand[0]", "charge");
  send_call (call, "/v1/refunds", request->key, form, judge_status, read_refund);
}

static void
get_refund (Provider *provider, const char *refund, ProviderDone done, gpointer data)
{
  g_autoptr (GString) path = g_string_new ("/v1/refunds/");
  http_append_segment (path, refund);
  g_string_append (path, "?expand%5B0%5D=charge");
  send_call (provider_call_new (provider, done, data), path->str, NULL, NULL, judge_status, read_refund);
}

/* Keys say their mode, and one of the other mode would sell nothing, or for play money. */
static gboolean
check (const Provider *provider, GError **error)
{
  const char *key = secret_peek_text (provider->api_key), *kind = strchr (key, '_');
  gboolean is_test = kind != NULL && g_str_has_prefix (kind, "_test_");
  gboolean is_live = kind != NULL && g_str_has_prefix (kind, "_live_");
  if (!(provider->is_live ? is_test : is_live))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "api_key: it is a %s key, and mode is %s",
               is_live ? "live" : "test", provider->is_live ? "live" : "test");
  return FALSE;
}

const ProviderType provider_stripe = {
  .name = "stripe",
  .free_call = provider_call_free,
  .check = check,
  .add_secret = webhook_ring_add_raw,
  .has_return_page = TRUE,
  .create_checkout = create_checkout,
  .get_checkout = get_checkout,
  .cancel_checkout = cancel_checkout,
  .create_refund = create_refund,
  .get_refund = get_refund,
  .list_checkouts = list_checkouts,
  .callback_headers = callback_headers,
  .max_callback = MAX_BODY,
  .verify = verify,
  .read_event = read_event,
  .is_same_event = is_same_event,
};
