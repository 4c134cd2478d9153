#include "billing-stub/delivery.h"

#include "common/base/log.h"

#include <string.h>

#define MAX_OPEN   8
#define TICK_US    (500 * 1000) /* for expiries and pending refunds */
#define TIMEOUT_MS 15000

struct Delivery
{
  Ledger *ledger;
  HttpClient *client;
  const WebhookRing *ring;
  WebhookRing *false_ring; /* a key the merchant does not have */
  const Clock *clock;
  Faults *faults;
  double retry_factor;
  GHashTable *errands; /* Errand, a set */
  guint timer;
};

/* One event on its way: first the forged ones, then the true one, then its repetitions. */
typedef struct
{
  Delivery *delivery;
  LedgerEvent *event;
  HttpBase *callback;
  HttpCall *call; /* open, or NULL */
  gint64 n_forged, n_repeated;
  gint64 n_forged_left;
  gboolean is_told; /* the true one was answered */
  EventResult result;
  gint64 retry_us;
} Errand;

static void step (Errand *errand);

static void
errand_free (gpointer data)
{
  Errand *errand = data;
  if (errand->call != NULL)
    http_call_cancel (errand->call);
  http_base_free (errand->callback);
  ledger_event_free (errand->event);
  g_free (errand);
}

static void
finish (Errand *errand)
{
  Delivery *delivery = errand->delivery;
  g_autoptr (GError) error = NULL;
  if (!ledger_settle_event (delivery->ledger, errand->event, errand->result, errand->retry_us, &error))
    log_error ("delivery", "event=%s: %s", errand->event->id, error->message);
  g_hash_table_remove (delivery->errands, errand);
  delivery_poke (delivery);
}

static void
judge (Errand *errand, const HttpReply *reply)
{
  Delivery *delivery = errand->delivery;
  int status = http_reply_get_status (reply);
  log_info ("delivery", "event=%s attempt=%u %s", errand->event->id, errand->event->attempt + 1,
            http_reply_peek_reason (reply));
  errand->result = EVENT_DELIVERED;
  if (status >= 200 && status < 300)
    return;
  errand->result = EVENT_DISABLED;
  if (status == 410)
    return;
  double pause_s
      = webhook_retry_pause_s (errand->event->attempt + 1, delivery->retry_factor, g_random_double ());
  errand->result = pause_s < 0 ? EVENT_GIVEN_UP : EVENT_RETRY;
  pause_s = MAX (pause_s, (double)http_reply_get_retry_after_s (reply));
  errand->retry_us = clock_get_wall_us (delivery->clock) + (gint64)(pause_s * G_USEC_PER_SEC);
}

static void
on_reply (const HttpReply *reply, gpointer data)
{
  Errand *errand = data;
  errand->call = NULL;
  if (errand->n_forged_left > 0)
    errand->n_forged_left--;
  else if (!errand->is_told)
    {
      errand->is_told = TRUE;
      judge (errand, reply);
    }
  else
    errand->n_repeated--;
  step (errand);
}

static void
send_one (Errand *errand, const WebhookRing *ring, gint64 age_s, const char *sent_body)
{
  Delivery *delivery = errand->delivery;
  const LedgerEvent *event = errand->event;
  gint64 now_us = clock_get_wall_us (delivery->clock);
  gint64 timestamp_s = now_us / G_USEC_PER_SEC - age_s;
  g_autofree char *signature
      = webhook_sign (ring, event->id, timestamp_s, event->body, strlen (event->body), now_us);
  g_autofree char *id_line = g_strconcat ("webhook-id: ", event->id, NULL);
  g_autofree char *timestamp_line = g_strdup_printf ("webhook-timestamp: %" G_GINT64_FORMAT, timestamp_s);
  g_autofree char *signature_line = g_strconcat ("webhook-signature: ", signature, NULL);
  const char *headers[] = { id_line, timestamp_line, signature_line, NULL };
  HttpRequest request = { .method = "POST",
                          .path = "",
                          .headers = headers,
                          .body = sent_body,
                          .body_length = strlen (sent_body),
                          .timeout_ms = TIMEOUT_MS };
  errand->call = http_client_send (delivery->client, errand->callback, &request, on_reply, errand);
}

/* Three ways to forge, in turn: another key, an old signature sent again, a changed body. */
static void
send_forged (Errand *errand)
{
  Delivery *delivery = errand->delivery;
  g_autofree char *altered = g_strconcat (errand->event->body, " ", NULL);
  switch ((errand->n_forged - errand->n_forged_left) % 3)
    {
    case 0:
      send_one (errand, delivery->false_ring, 0, errand->event->body);
      break;
    case 1:
      send_one (errand, delivery->ring, 2 * WEBHOOK_TOLERANCE_S, errand->event->body);
      break;
    default:
      send_one (errand, delivery->ring, 0, altered);
      break;
    }
}

static void
step (Errand *errand)
{
  if (errand->n_forged_left > 0)
    send_forged (errand);
  else if (!errand->is_told || errand->n_repeated > 0)
    send_one (errand, errand->delivery->ring, 0, errand->event->body);
  else
    finish (errand);
}

static void
start (Delivery *delivery, LedgerEvent *event)
{
  Errand *errand = g_new0 (Errand, 1);
  errand->delivery = delivery;
  errand->event = event;
  errand->callback = http_base_new (event->callback, NULL); /* was checked when the checkout was made */
  errand->n_forged = errand->n_forged_left = faults_get (delivery->faults, FAULT_FORGE);
  errand->n_repeated = faults_get (delivery->faults, FAULT_DUPLICATE);
  g_hash_table_add (delivery->errands, errand);
  step (errand);
}

static gboolean
on_time (gpointer data)
{
  Delivery *delivery = data;
  delivery->timer = 0;
  gint64 next_us = G_MAXINT64;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) due = NULL;
  guint n_free = MAX_OPEN - g_hash_table_size (delivery->errands);
  if (!ledger_expire (delivery->ledger, &error) || !ledger_settle_refunds (delivery->ledger, &error)
      || (n_free > 0 && (due = ledger_take_due (delivery->ledger, n_free, &next_us, &error)) == NULL))
    log_error ("delivery", "%s", error->message);
  while (due != NULL && due->len > 0)
    start (delivery, g_ptr_array_steal_index (due, 0));
  if (delivery->timer == 0)
    {
      gint64 pause_us = CLAMP (next_us - clock_get_wall_us (delivery->clock), 0, TICK_US);
      gboolean is_full = g_hash_table_size (delivery->errands) == MAX_OPEN; /* the next end of one pokes */
      delivery->timer
          = g_timeout_add (is_full ? TICK_US / 1000 : (guint)((pause_us + 999) / 1000), on_time, delivery);
    }
  return G_SOURCE_REMOVE;
}

void
delivery_poke (Delivery *delivery)
{
  if (delivery->timer != 0)
    g_source_remove (delivery->timer);
  delivery->timer = g_timeout_add (0, on_time, delivery);
}

Delivery *
delivery_new (Ledger *ledger, HttpClient *client, const WebhookRing *ring, const Clock *clock, Faults *faults,
              double retry_factor)
{
  Delivery *delivery = g_new0 (Delivery, 1);
  delivery->ledger = ledger;
  delivery->client = client;
  delivery->ring = ring;
  delivery->clock = clock;
  delivery->faults = faults;
  delivery->retry_factor = retry_factor;
  delivery->errands = g_hash_table_new_full (NULL, NULL, errand_free, NULL);
  delivery->false_ring = webhook_ring_new ();
  g_autoptr (Secret) other = webhook_secret_new ();
  webhook_ring_add (delivery->false_ring, other, 0, 0, NULL);
  delivery_poke (delivery);
  return delivery;
}

void
delivery_free (Delivery *delivery)
{
  if (delivery == NULL)
    return;
  g_source_remove (delivery->timer);
  g_hash_table_unref (delivery->errands);
  webhook_ring_free (delivery->false_ring);
  g_free (delivery);
}
