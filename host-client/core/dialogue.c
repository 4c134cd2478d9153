#include "host-client/core/dialogue.h"

#include <string.h>

#include "common/base/id.h"
#include "common/base/log.h"

/* How soon to ask again what the market would not answer. */
#define RETRY_S 5

struct Dialogue
{
  Market *market;
  Session *session;
  Db *db;
  char *plugin;
  char *item; /* NULL: it is about the plugin itself */
  DialogueEvents events;
  gpointer data;

  PurchaseState state;
  DialogueReason reason;
  OrderView *order;
  char *text;
  char *request;   /* the open order's request id, as on disk; NULL: none */
  gint64 epoch;    /* of the serial that was there when it was last looked at; -1: none */
  guint n_reports; /* of refused serials; the market's answer to an earlier one decides nothing */
  gboolean is_unheard, has_said_no, has_said_yes, has_reported, has_failed;
  gboolean has_news; /* the order as last heard differs from what was known before */
  SerialRejectedReason rejected_as;
  guint pending; /* replies that will come */
  guint retry;
  gboolean is_dead;
};

static void step (Dialogue *dialogue, PurchaseEvent event);

/* ---- the request id on disk ---- */

static const char *
get_item (const Dialogue *dialogue)
{
  return dialogue->item != NULL ? dialogue->item : "";
}

static char *
load_request (const Dialogue *dialogue)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query
      = db_query (dialogue->db, "SELECT request FROM open_purchases WHERE plugin = ? AND item = ?", "ss",
                  dialogue->plugin, get_item (dialogue));
  char *request = db_next (query, &error) ? db_dup_text (query, 0) : NULL;
  if (error != NULL)
    log_warning ("dialogue", "cannot read open purchases: %s", error->message);
  return request;
}

/* The id is on disk before the order leaves: whatever happens then, the same order is found again by it. */
static gboolean
need_request (Dialogue *dialogue)
{
  if (dialogue->request != NULL)
    return TRUE;
  const Clock *clock = session_peek_clock (dialogue->session);
  g_autofree char *request = id_new_uuid7 (clock);
  g_autoptr (GError) error = NULL;
  if (!db_run (dialogue->db, &error,
               "INSERT INTO open_purchases (plugin, item, request, created_us) VALUES (?, ?, ?, ?)"
               " ON CONFLICT DO NOTHING",
               "sssi", dialogue->plugin, get_item (dialogue), request, clock_get_wall_us (clock)))
    {
      log_error ("dialogue", "cannot note the purchase: %s", error->message);
      return FALSE;
    }
  /* Another process of this account may have been first: then its order is ours too. */
  dialogue->request = load_request (dialogue);
  return dialogue->request != NULL;
}

static void
forget_request (Dialogue *dialogue)
{
  g_autoptr (GError) error = NULL;
  if (dialogue->request != NULL
      && !db_run (dialogue->db, &error,
                  "DELETE FROM open_purchases WHERE plugin = ? AND item = ? AND request = ?", "sss",
                  dialogue->plugin, get_item (dialogue), dialogue->request))
    log_warning ("dialogue", "cannot forget a purchase: %s", error->message);
  g_clear_pointer (&dialogue->request, g_free);
}

gboolean
dialogue_list_open (Db *db, DialogueOpenFunc func, gpointer data, GError **error)
{
  g_autoptr (GPtrArray) open = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) failure = NULL;
  {
    g_autoptr (DbQuery) query
        = db_query (db, "SELECT plugin, item FROM open_purchases ORDER BY created_us, plugin, item", "");
    while (db_next (query, &failure))
      {
        g_ptr_array_add (open, db_dup_text (query, 0));
        g_ptr_array_add (open, db_dup_text (query, 1));
      }
  }
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
  for (guint i = 0; i + 1 < open->len; i += 2)
    {
      const char *item = g_ptr_array_index (open, i + 1);
      func (g_ptr_array_index (open, i), item[0] != '\0' ? item : NULL, data);
    }
  return TRUE;
}

/* ---- what the table orders ---- */

static void
set_text (Dialogue *dialogue, const char *text)
{
  char *copy = g_strdup (text != NULL ? text : "");
  g_free (dialogue->text);
  dialogue->text = copy;
}

static const SerialEntry *
find_entry (const Dialogue *dialogue)
{
  return serial_book_find (market_peek_serials (dialogue->market), dialogue->plugin);
}

static gboolean
has_active_serial (const Dialogue *dialogue)
{
  const SerialEntry *entry = find_entry (dialogue);
  return entry != NULL && entry->state == SERIAL_ACTIVE && entry->serial != NULL;
}

static gint64
get_epoch (const Dialogue *dialogue)
{
  return has_active_serial (dialogue) ? find_entry (dialogue)->epoch : -1;
}

/* A reply that comes when the dialogue is gone only frees it. */
static gboolean
begin_reply (Dialogue *dialogue)
{
  dialogue->pending--;
  if (!dialogue->is_dead)
    return TRUE;
  if (dialogue->pending == 0)
    g_free (dialogue);
  return FALSE;
}

static void
start (Dialogue *dialogue)
{
  const SerialEntry *entry = find_entry (dialogue);
  dialogue->epoch = get_epoch (dialogue);
  if (dialogue->events.start == NULL)
    {
      PluginReport report = { .reason = "" };
      report.state = has_active_serial (dialogue) ? PLUGIN_STATE_RUNNING : PLUGIN_STATE_NEEDS_SERIAL;
      dialogue_note_report (dialogue, &report);
      return;
    }
  PluginLicence licence = { 0 };
  if (entry != NULL)
    {
      licence.serial = has_active_serial (dialogue) ? entry->serial : NULL;
      licence.user = entry->user;
      licence.expires = entry->expires_us / G_USEC_PER_SEC;
    }
  dialogue->events.start (dialogue, &licence, dialogue->data);
}

typedef struct
{
  Dialogue *dialogue;
  guint number;
} Report;

static void
on_rejected (MarketRejectOutcome outcome, const Reply *reply, gpointer data)
{
  static const PurchaseEvent events[] = {
    [MARKET_REJECT_REPLACED] = PURCHASE_EVENT_REPLACED,
    [MARKET_REJECT_REGISTRATION_NEEDED] = PURCHASE_EVENT_REGISTRATION_NEEDED,
    [MARKET_REJECT_LATER] = PURCHASE_EVENT_REPLACED_LATER,
    [MARKET_REJECT_FAILED] = PURCHASE_EVENT_REPORT_FAILED,
  };
  g_autofree Report *report = data;
  Dialogue *dialogue = report->dialogue;
  if (!begin_reply (dialogue))
    return;
  /* The replacement may have come as a push, and have been refused as well, before this answer. */
  if (dialogue->state == PURCHASE_REPORTING && report->number == dialogue->n_reports)
    {
      if (outcome == MARKET_REJECT_FAILED)
        set_text (dialogue,
                  reply->kind == REPLY_ERROR ? reply->error->condition : "the market cannot be asked now");
      step (dialogue, events[outcome]);
    }
  if (outcome == MARKET_REJECT_REPLACED)
    dialogue->has_reported = TRUE;
}

static void
report (Dialogue *dialogue)
{
  Report *report = g_new (Report, 1);
  *report = (Report){ dialogue, ++dialogue->n_reports };
  dialogue->pending++;
  market_reject (dialogue->market, dialogue->plugin, dialogue->rejected_as, dialogue->epoch, on_rejected,
                 report);
}

static PurchaseEvent
order_event (const OrderView *order)
{
  switch (order->state)
    {
    case ORDER_AWAITING_PAYMENT:
      return PURCHASE_EVENT_ORDER_OPEN;
    case ORDER_PAID:
      return PURCHASE_EVENT_ORDER_PAID;
    case ORDER_FULFILLED:
      return PURCHASE_EVENT_ORDER_FULFILLED;
    default:
      return PURCHASE_EVENT_ORDER_ENDED;
    }
}

/* Pushes tell the id and the state; what the first answer told of the price and the page is kept. */
static void
take_order (Dialogue *dialogue, const OrderView *order)
{
  OrderView *merged = g_new0 (OrderView, 1);
  const OrderView *old = dialogue->order;
  gboolean is_same = old != NULL && strcmp (old->id, order->id) == 0;
  dialogue->has_news = !is_same || old->state != order->state
                       || (order->charge_url != NULL && g_strcmp0 (old->charge_url, order->charge_url) != 0);
  merged->id = g_strdup (order->id);
  merged->plugin = g_strdup (dialogue->plugin);
  merged->item = g_strdup (dialogue->item);
  merged->state = order->state;
  merged->price_minor = order->price_minor >= 0 || !is_same ? order->price_minor : old->price_minor;
  merged->currency = g_strdup (order->currency != NULL || !is_same ? order->currency : old->currency);
  merged->expires_us = order->expires_us != 0 || !is_same ? order->expires_us : old->expires_us;
  merged->charge_url = g_strdup (order->charge_url != NULL || !is_same ? order->charge_url : old->charge_url);
  order_view_free (dialogue->order);
  dialogue->order = merged;
  set_text (dialogue, "");
}

static gboolean
on_retry (gpointer data)
{
  Dialogue *dialogue = data;
  dialogue->retry = 0;
  step (dialogue, PURCHASE_EVENT_ONLINE);
  return G_SOURCE_REMOVE;
}

static void
try_later (Dialogue *dialogue)
{
  if (dialogue->retry == 0)
    dialogue->retry = g_timeout_add_seconds (RETRY_S, on_retry, dialogue);
}

/* The market's reason not to sell: for scripts, which know those words of plugins; of an item, for people. */
static const char *
peek_refusal (const Dialogue *dialogue, const StanzaError *error)
{
  if (dialogue->item != NULL && error->text != NULL && error->text[0] != '\0')
    return error->text;
  return error->application != NULL ? error->application : error->condition;
}

static void
on_ordered (const OrderView *order, const Reply *reply, gpointer data)
{
  Dialogue *dialogue = data;
  if (!begin_reply (dialogue))
    return;
  dialogue->is_unheard = FALSE;
  if (order != NULL)
    {
      take_order (dialogue, order);
      step (dialogue, order_event (order));
      return;
    }
  const StanzaError *error = reply->error;
  /* "wait" is for later, with the same request; the rest is the market's last word. */
  if (reply->kind == REPLY_ERROR && strcmp (error->type, "wait") != 0)
    {
      set_text (dialogue, peek_refusal (dialogue, error));
      step (dialogue, PURCHASE_EVENT_ORDER_REFUSED);
      return;
    }
  if (reply->kind == REPLY_ERROR
      && (g_strcmp0 (error->application, "out-of-stock") == 0
          || strcmp (error->condition, "service-unavailable") == 0))
    {
      set_text (dialogue, peek_refusal (dialogue, error));
      step (dialogue, PURCHASE_EVENT_ORDER_REFUSED);
      return;
    }
  dialogue->is_unheard = TRUE;
  try_later (dialogue);
  step (dialogue, PURCHASE_EVENT_ORDER_UNHEARD);
}

static void
place_order (Dialogue *dialogue)
{
  dialogue->epoch = get_epoch (dialogue);
  if (!need_request (dialogue))
    {
      set_text (dialogue, "the purchase cannot be noted on this device");
      step (dialogue, PURCHASE_EVENT_ORDER_REFUSED);
      return;
    }
  if (!session_is_online (dialogue->session))
    {
      dialogue->is_unheard = TRUE;
      step (dialogue, PURCHASE_EVENT_ORDER_UNHEARD);
      return;
    }
  dialogue->pending++;
  market_buy (dialogue->market, dialogue->plugin, dialogue->item, dialogue->request, on_ordered, dialogue);
}

static void
on_declined (const OrderView *order, const Reply *reply, gpointer data)
{
  Dialogue *dialogue = data;
  if (!begin_reply (dialogue))
    return;
  /* Also where it was too late: the order as it is says so. */
  if (order != NULL)
    {
      take_order (dialogue, order);
      step (dialogue, order_event (order));
    }
}

static void
decline (Dialogue *dialogue)
{
  if (dialogue->order == NULL)
    return;
  dialogue->pending++;
  market_decline (dialogue->market, dialogue->order->id, on_declined, dialogue);
}

static void
on_fetched (Reply *reply, gpointer data)
{
  Dialogue *dialogue = data;
  if (!begin_reply (dialogue))
    return;
  /* The serial came as a push meanwhile, and the plugin has it. */
  if (dialogue->state != PURCHASE_PREPARING)
    return;
  /* The order is fulfilled: whatever active serial is there now is what it brought. */
  if (reply->kind != REPLY_RESULT)
    {
      try_later (dialogue);
      return;
    }
  if (!has_active_serial (dialogue))
    set_text (dialogue, "the order is fulfilled, but its serial is not active");
  step (dialogue, has_active_serial (dialogue) ? PURCHASE_EVENT_SERIAL : PURCHASE_EVENT_ORDER_REFUSED);
}

static void
fetch (Dialogue *dialogue)
{
  dialogue->pending++;
  market_refresh (dialogue->market, on_fetched, dialogue);
}

static void
step (Dialogue *dialogue, PurchaseEvent event)
{
  PurchaseFacts facts = { dialogue->request != NULL, dialogue->has_said_no, dialogue->has_said_yes,
                          dialogue->has_reported, dialogue->item != NULL };
  PurchaseState before = dialogue->state;
  guint effects;
  if (!purchase_step (&dialogue->state, event, &facts, &effects))
    return;
  log_info ("dialogue", "plugin=%s%s%s event=%s %s -> %s", dialogue->plugin,
            dialogue->item != NULL ? " item=" : "", get_item (dialogue), purchase_event_to_text (event),
            purchase_state_to_text (before), purchase_state_to_text (dialogue->state));

  if (effects & PURCHASE_DO_REMEMBER_NO)
    dialogue->has_said_no = TRUE;
  if (effects & PURCHASE_DO_FORGET)
    forget_request (dialogue);
  /* One yes is good for one order. */
  if ((effects & PURCHASE_DO_FORGET) && !(effects & PURCHASE_DO_ORDER))
    dialogue->has_said_yes = FALSE;
  if (effects & PURCHASE_DO_ORDER)
    dialogue->has_reported = FALSE;
  DialogueView view;
  dialogue_get_view (dialogue, &view);
  /* The first push of an order repeats what its answer said. */
  gboolean is_repeated
      = before == dialogue->state && event == PURCHASE_EVENT_ORDER_OPEN && !dialogue->has_news;
  if ((effects & PURCHASE_DO_SHOW) && !is_repeated && dialogue->events.show != NULL)
    dialogue->events.show (dialogue, &view, dialogue->data);
  if ((effects & PURCHASE_DO_ASK) && dialogue->events.ask != NULL)
    dialogue->events.ask (dialogue, &view, dialogue->data);
  if ((effects & PURCHASE_DO_END) && dialogue->events.end != NULL)
    dialogue->events.end (dialogue, &view, dialogue->data);
  /* What the market has to say of it from now on (a refund, a review) is not about this purchase. */
  if (effects & PURCHASE_DO_FORGET)
    g_clear_pointer (&dialogue->order, order_view_free);
  /* These may step again before they return. */
  if (effects & PURCHASE_DO_START)
    start (dialogue);
  if (effects & PURCHASE_DO_REPORT)
    report (dialogue);
  if (effects & PURCHASE_DO_ORDER)
    place_order (dialogue);
  if (effects & PURCHASE_DO_DECLINE)
    decline (dialogue);
  if (effects & PURCHASE_DO_FETCH)
    fetch (dialogue);
}

/* ---- what happens ---- */

static void
on_market_state (MarketState state, gpointer data)
{
  if (state == MARKET_READY)
    step (data, PURCHASE_EVENT_ONLINE);
}

static void
on_market_serial (const SerialEntry *entry, gpointer data)
{
  Dialogue *dialogue = data;
  if (dialogue->item == NULL && strcmp (entry->plugin, dialogue->plugin) == 0 && has_active_serial (dialogue)
      && get_epoch (dialogue) != dialogue->epoch)
    step (dialogue, PURCHASE_EVENT_SERIAL);
}

static void
on_market_order (const OrderView *order, gpointer data)
{
  Dialogue *dialogue = data;
  gboolean is_ours = dialogue->order != NULL && strcmp (dialogue->order->id, order->id) == 0;
  if (!is_ours)
    return;
  take_order (dialogue, order);
  step (dialogue, order_event (order));
}

Dialogue *
dialogue_new (Market *market, Session *session, Db *db, const char *plugin, const char *item,
              const DialogueEvents *events, gpointer data)
{
  static const MarketEvents market_events
      = { .state = on_market_state, .serial = on_market_serial, .order = on_market_order };
  Dialogue *dialogue = g_new0 (Dialogue, 1);
  dialogue->market = market;
  dialogue->session = session;
  dialogue->db = db;
  dialogue->plugin = g_strdup (plugin);
  dialogue->item = g_strdup (item);
  dialogue->events = *events;
  dialogue->data = data;
  dialogue->text = g_strdup ("");
  dialogue->request = load_request (dialogue);
  dialogue->epoch = -1;
  market_watch (market, &market_events, dialogue);
  return dialogue;
}

void
dialogue_free (Dialogue *dialogue)
{
  if (dialogue == NULL)
    return;
  market_unwatch (dialogue->market, dialogue);
  g_clear_pointer (&dialogue->plugin, g_free);
  g_clear_pointer (&dialogue->item, g_free);
  g_clear_pointer (&dialogue->text, g_free);
  g_clear_pointer (&dialogue->request, g_free);
  g_clear_pointer (&dialogue->order, order_view_free);
  if (dialogue->retry != 0)
    g_source_remove (dialogue->retry);
  dialogue->is_dead = TRUE;
  if (dialogue->pending == 0)
    g_free (dialogue);
}

const char *
dialogue_peek_plugin (const Dialogue *dialogue)
{
  return dialogue->plugin;
}

const char *
dialogue_peek_item (const Dialogue *dialogue)
{
  return dialogue->item;
}

void
dialogue_get_view (const Dialogue *dialogue, DialogueView *view)
{
  *view = (DialogueView){ dialogue->state,      dialogue->reason,      dialogue->order,      dialogue->text,
                          dialogue->is_unheard, dialogue->has_said_no, dialogue->has_failed, dialogue->item };
}

void
dialogue_use (Dialogue *dialogue)
{
  dialogue->has_reported = dialogue->has_failed = dialogue->has_said_yes = FALSE;
  if (dialogue->item != NULL) /* each time is a new wish */
    dialogue->has_said_no = FALSE;
  set_text (dialogue, "");
  step (dialogue, PURCHASE_EVENT_USE);
}

void
dialogue_buy (Dialogue *dialogue)
{
  dialogue->has_reported = dialogue->has_failed = dialogue->has_said_no = FALSE;
  dialogue->has_said_yes = TRUE;
  set_text (dialogue, "");
  step (dialogue, PURCHASE_EVENT_BUY);
}

void
dialogue_answer (Dialogue *dialogue, gboolean is_yes)
{
  if (dialogue->state != PURCHASE_ASKING)
    return;
  dialogue->has_said_yes = is_yes;
  step (dialogue, is_yes ? PURCHASE_EVENT_YES : PURCHASE_EVENT_NO);
}

void
dialogue_decline (Dialogue *dialogue)
{
  if (dialogue->state == PURCHASE_PAYING)
    step (dialogue, PURCHASE_EVENT_NO);
}

void
dialogue_refuse (Dialogue *dialogue, const char *reason)
{
  if (dialogue->state != PURCHASE_ASKING)
    return;
  set_text (dialogue, reason);
  step (dialogue, PURCHASE_EVENT_ORDER_REFUSED);
}

/* The plugin was started without a serial: whatever it calls that, there is none to be reported. */
static void
note_need (Dialogue *dialogue, const PluginReport *report)
{
  const SerialEntry *entry = find_entry (dialogue);
  if (entry != NULL && entry->state == SERIAL_SUSPENDED) /* buying it again is not what helps */
    {
      set_text (dialogue, "its payment is in dispute; the serial comes back when that is settled");
      step (dialogue, PURCHASE_EVENT_SUSPENDED);
      return;
    }
  set_text (dialogue, report->reason);
  dialogue->reason
      = entry != NULL && entry->state == SERIAL_EXPIRED ? DIALOGUE_EXPIRED : DIALOGUE_NEEDS_REGISTRATION;
  step (dialogue, PURCHASE_EVENT_NEEDS_SERIAL);
}

static void
note_refusal (Dialogue *dialogue, const PluginReport *report)
{
  gboolean is_expired = report->state == PLUGIN_STATE_EXPIRED;
  if (has_active_serial (dialogue) && get_epoch (dialogue) != dialogue->epoch)
    {
      step (dialogue, PURCHASE_EVENT_OUTDATED);
      return;
    }
  if (report->state == PLUGIN_STATE_NEEDS_SERIAL || dialogue->epoch < 0)
    {
      note_need (dialogue, report);
      return;
    }
  set_text (dialogue, report->reason);
  dialogue->reason = is_expired ? DIALOGUE_EXPIRED : DIALOGUE_BAD;
  dialogue->rejected_as = is_expired ? SERIAL_REJECTED_EXPIRED : SERIAL_REJECTED_BAD;
  step (dialogue, is_expired ? PURCHASE_EVENT_EXPIRED : PURCHASE_EVENT_BAD);
}

void
dialogue_note_report (Dialogue *dialogue, const PluginReport *report)
{
  switch (report->state)
    {
    case PLUGIN_STATE_STARTING:
      return;
    case PLUGIN_STATE_OFF:
      step (dialogue, PURCHASE_EVENT_STOPPED);
      return;
    case PLUGIN_STATE_RUNNING:
      step (dialogue, PURCHASE_EVENT_ACCEPTED);
      return;
    case PLUGIN_STATE_NEEDS_SERIAL:
    case PLUGIN_STATE_BAD_SERIAL:
    case PLUGIN_STATE_EXPIRED:
      note_refusal (dialogue, report);
      return;
    case PLUGIN_STATE_REFUSED:
    case PLUGIN_STATE_CRASHED:
      set_text (dialogue, report->reason);
      dialogue->has_failed = TRUE;
      step (dialogue, PURCHASE_EVENT_FAILED);
      return;
    }
}
