#include "host-server/core/http.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/inbox.h"
#include "host-server/market/room.h"

/* POST /v1/billing/<provider> (protocol.md section 9). The bytes are verified as they came; an authentic
 * delivery is one write: its inbox row and its effect. 200 is answered after the commit and says only that it
 * is recorded. No vendor code runs here and no call leaves the house. */

#define MAX_PENDING 1024 /* deliveries between their arrival and their commit */

/* Where browsers come back to. It knows nothing and promises nothing: what became of the order is in the
 * messenger. */
static const char return_page[]
    = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Back to your messenger</title>"
      "<meta name=\"viewport\" content=\"width=device-width\"></head><body><h1>That was all here</h1>"
      "<p>You can close this page. Your messenger shows what became of the order.</p></body></html>";

typedef struct
{
  Market *market;
  Provider *provider;
} Receiver;

typedef struct
{
  HttpExchange *exchange;
  Delivery delivery;
  MoneyEvent *event;
  char *id;
  char *poison;
  char *secret;
  char *headers;
  InboxOutcome outcome;
  BooksOutcome books;
} Arrival;

static gboolean
arrival_work (Turn *turn, gpointer data, GError **error)
{
  Arrival *arrival = data;
  return inbox_take (turn, &arrival->delivery, &arrival->outcome, &arrival->books, error);
}

static void
arrival_done (Market *market, gpointer data, const GError *error)
{
  Arrival *arrival = data;
  if (error != NULL)
    {
      log_error ("market", "a delivery could not be recorded id=%s: %s", arrival->delivery.webhook_id,
                 error->message);
      http_exchange_add_header (arrival->exchange, "Retry-After", "5");
      http_exchange_refuse (arrival->exchange, 503, "cannot record now");
    }
  else
    {
      market->n_other_mode += arrival->outcome == INBOX_TAKEN && arrival->books == BOOKS_OTHER_MODE;
      gauges_note_delivery (market, arrival->outcome == INBOX_DUPLICATE ? "duplicate"
                                    : arrival->outcome == INBOX_CHANGED ? "changed"
                                    : arrival->event == NULL ? "poison" : books_outcome_to_text (arrival->books));
      http_exchange_answer_json (arrival->exchange, 200, "{}");
      crash_point (CALLBACK_ANSWERED);
      if (arrival->event != NULL && provider_is_check_order (arrival->event->order))
        waiters_wake (market, arrival->event->order);
    }
  money_event_free (arrival->event);
  g_free (arrival->id);
  g_free (arrival->poison);
  g_free (arrival->secret);
  g_free (arrival->headers);
  g_free (arrival);
}

static void
alarm_old_key (Market *market, const Ring *ring, guint index)
{
  const RingKey *key = &g_array_index (ring->notes, RingKey, index);
  g_autofree char *alarm = g_strconcat ("old-secret ", key->id, NULL);
  g_autofree char *end = clock_dup_rfc3339 (key->not_after_us);
  alarms_say (market->alarms, alarm,
              "a delivery is signed with an old secret only peer=%s key=%s: after %s such are refused", ring->peer,
              key->id, end);
}

/* The headers that made it authentic, as evidence for who looks at it later. */
static char *
dup_headers (const Provider *provider, const HttpExchange *exchange)
{
  GString *lines = g_string_new (NULL);
  for (const char *const *name = provider->type->callback_headers; *name != NULL; name++)
    {
      const char *value = http_exchange_get_header (exchange, *name);
      if (value != NULL)
        g_string_append_printf (lines, "%s: %s\n", *name, value);
    }
  return g_string_free (lines, FALSE);
}

static void
handle_callback (HttpExchange *exchange, gpointer data)
{
  Receiver *receiver = data;
  Market *market = receiver->market;
  const Provider *provider = receiver->provider;
  g_autofree char *id = NULL;
  guint key = 0;
  gint64 now_us = clock_get_wall_us (market->desk.clock);
  Ring *ring = ring_find_billing (market, provider->name);
  int status = provider->type->verify (provider, ring->keys, exchange, now_us, &id, &key);
  if (status != 200)
    {
      market->n_refused_callbacks++;
      http_exchange_refuse (exchange, (guint)status, status == 401 ? "not authentic" : "not a delivery");
      return;
    }
  if (market->is_closing)
    {
      http_exchange_add_header (exchange, "Retry-After", "5");
      http_exchange_refuse (exchange, 503, "cannot record now");
      return;
    }
  ring_touch (ring, key, now_us);
  if (key > 0)
    alarm_old_key (market, ring, key);

  crash_point (CALLBACK_RECEIVED);
  g_autoptr (GError) error = NULL;
  Arrival *arrival = g_new0 (Arrival, 1);
  arrival->exchange = exchange;
  arrival->delivery.provider = provider;
  arrival->id = g_steal_pointer (&id);
  arrival->delivery.webhook_id = arrival->id;
  arrival->delivery.body = http_exchange_get_body (exchange, &arrival->delivery.length);
  arrival->event = provider->type->read_event (arrival->delivery.body, arrival->delivery.length, &error);
  arrival->delivery.event = arrival->event;
  arrival->secret = g_strdup (g_array_index (ring->notes, RingKey, key).id);
  arrival->delivery.secret = arrival->secret;
  arrival->headers = dup_headers (provider, exchange);
  arrival->delivery.headers = arrival->headers;
  arrival->poison = error != NULL ? g_strdup (error->message) : NULL;
  arrival->delivery.poison = arrival->poison;
  market_write_step (market, CALLBACK, arrival_work, arrival_done, arrival);
}

static void
show_return_page (HttpExchange *exchange, gpointer unused)
{
  http_exchange_add_header (exchange, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
  http_exchange_add_header (exchange, "Referrer-Policy", "no-referrer");
  http_exchange_answer (exchange, 200, "text/html; charset=utf-8", return_page, sizeof return_page - 1);
}

void
callbacks_init (Market *market)
{
  market->receivers = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < market->desk.providers->len; i++)
    {
      Receiver *receiver = g_new0 (Receiver, 1);
      receiver->market = market;
      receiver->provider = g_ptr_array_index (market->desk.providers, i);
      g_ptr_array_add (market->receivers, receiver);

      g_autofree char *path = g_strconcat ("/v1/billing/", receiver->provider->name, NULL);
      HttpRoute route = {
        .method = "POST",
        .pattern = path,
        .max_body = receiver->provider->type->max_callback,
        .max_pending = MAX_PENDING,
        .headers = receiver->provider->type->callback_headers,
        .handle = handle_callback,
        .data = receiver,
      };
      http_add (market->server->http, &route);

      g_autofree char *page = g_strconcat (path, "/return", NULL);
      HttpRoute back = { .method = "GET", .pattern = page, .handle = show_return_page };
      if (receiver->provider->type->has_return_page)
        http_add (market->server->http, &back);
    }
}
