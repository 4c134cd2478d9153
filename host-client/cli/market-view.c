#include "host-client/cli/market-view.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/protocol/charge.h"

static void
set_text (json_t *object, const char *key, const char *text)
{
  if (text != NULL)
    json_object_set_new (object, key, json_string (text));
}

static void
set_time (json_t *object, const char *key, gint64 time_us)
{
  g_autofree char *text = time_us != 0 ? clock_dup_rfc3339 (time_us) : NULL;
  set_text (object, key, text);
}

json_t *
market_view_order_json (const OrderView *order)
{
  json_t *object = json_pack ("{s:s, s:s}", "order", order->id, "state", order_state_to_text (order->state));
  set_text (object, "plugin", order->plugin);
  set_text (object, "item", order->item);
  if (order->price_minor >= 0)
    json_object_set_new (object, "price", json_integer (order->price_minor));
  set_text (object, "currency", order->currency);
  set_time (object, "expires", order->expires_us);
  set_text (object, "charge", order->charge_url);
  return object;
}

char *
market_view_order_text (const OrderView *order)
{
  g_autofree char *price
      = order->price_minor >= 0 ? charge_dup_price (order->price_minor, order->currency) : NULL;
  return g_strdup_printf ("%s  %s%s%s  %s  %s%s%s", order->id, order->plugin != NULL ? order->plugin : "",
                          order->item != NULL ? " " : "", order->item != NULL ? order->item : "",
                          order_state_to_text (order->state), price != NULL ? price : "",
                          order->charge_url != NULL ? "  pay at " : "",
                          order->charge_url != NULL ? order->charge_url : "");
}

json_t *
market_view_serial_json (const SerialEntry *entry, gboolean reveals)
{
  json_t *object = json_pack ("{s:s, s:s, s:s, s:I}", "plugin", entry->plugin, "name",
                              entry->name != NULL ? entry->name : entry->plugin, "state",
                              serial_state_to_text (entry->state), "epoch", (json_int_t)entry->epoch);
  set_text (object, "user", entry->user);
  set_time (object, "expires", entry->expires_us);
  if (entry->serial != NULL)
    {
      const char *serial = secret_peek_text (entry->serial);
      g_autofree char *masked = output_dup_masked (serial);
      set_text (object, "serial", reveals ? serial : masked);
    }
  return object;
}

char *
market_view_serial_text (const SerialEntry *entry, gboolean reveals)
{
  g_autofree char *expires = entry->expires_us != 0 ? clock_dup_rfc3339 (entry->expires_us) : NULL;
  const char *serial = entry->serial != NULL ? secret_peek_text (entry->serial) : "";
  g_autofree char *masked = entry->serial != NULL ? output_dup_masked (serial) : g_strdup ("");
  return g_strdup_printf ("%s  %s  %s%s%s  %s", entry->plugin, entry->name != NULL ? entry->name : "",
                          serial_state_to_text (entry->state), expires != NULL ? " until " : "",
                          expires != NULL ? expires : "", reveals ? serial : masked);
}

json_t *
market_view_item_json (const char *application, const ItemEntry *entry)
{
  json_t *object = json_pack ("{s:s, s:s, s:s, s:I, s:I, s:I}", "application", application, "item", entry->id,
                              "name", entry->name, "price", (json_int_t)entry->price_minor, "amount",
                              (json_int_t)entry->amount, "counter", (json_int_t)entry->counter);
  set_text (object, "currency", entry->currency);
  return object;
}

char *
market_view_item_text (const ItemEntry *entry)
{
  g_autofree char *price = charge_dup_price (entry->price_minor, entry->currency);
  g_autofree char *quantity = charge_dup_quantity (entry->amount, entry->name);
  return g_strdup_printf ("%s  %s  %s  you have %" G_GINT64_FORMAT, entry->id, quantity, price,
                          entry->counter);
}

/* The vendor's words stand between quotes and cannot end them: nothing there reads like our own question. */
char *
market_view_item_question (const char *application, const ItemEntry *entry)
{
  g_autofree char *price = charge_dup_price (entry->price_minor, entry->currency);
  g_autofree char *name = g_strdelimit (g_strdup (entry->name), "'\"", '`');
  g_autofree char *quoted = g_strdup_printf ("'%s'", name);
  g_autofree char *quantity = charge_dup_quantity (entry->amount, quoted);
  return g_strdup_printf ("Buy %s in %s for %s?", quantity, application, price);
}

const char *
market_view_reason (DialogueReason reason)
{
  switch (reason)
    {
    case DIALOGUE_EXPIRED:
      return "expired";
    case DIALOGUE_BAD:
      return "bad";
    case DIALOGUE_NEEDS_REGISTRATION:
      break;
    }
  return "needs-registration";
}

char *
market_view_question (const char *name, const DialogueView *view)
{
  switch (view->reason)
    {
    case DIALOGUE_EXPIRED:
      return g_strdup_printf ("%s has expired. Register it again?", name);
    case DIALOGUE_BAD:
      return g_strdup_printf ("%s does not accept its serial%s%s%s. Register it anew?", name,
                              view->text[0] != '\0' ? " (" : "", view->text,
                              view->text[0] != '\0' ? ")" : "");
    case DIALOGUE_NEEDS_REGISTRATION:
      break;
    }
  return g_strdup_printf ("%s needs to be registered. Register it?", name);
}

static char *
dup_paying_text (const char *name, const OrderView *order)
{
  g_autofree char *price
      = order->price_minor >= 0 ? charge_dup_price (order->price_minor, order->currency) : g_strdup ("");
  g_autofree char *host = order->charge_url != NULL ? charge_dup_host (order->charge_url) : NULL;
  if (host == NULL)
    return g_strdup_printf ("%s: order %s, %s; the charging page is being prepared", name, order->id, price);
  return g_strdup_printf ("%s: order %s, %s. Pay at %s:\n  %s", name, order->id, price, host,
                          order->charge_url);
}

char *
market_view_progress (const char *name, const DialogueView *view)
{
  switch (view->state)
    {
    case PURCHASE_RESUMING:
    case PURCHASE_ORDERING:
      return g_strdup_printf (view->is_unheard
                                  ? "%s: the market does not answer; the order goes out when it does"
                                  : "%s: an order is under way, asking where it stands",
                              name);
    case PURCHASE_PAYING:
      return dup_paying_text (name, view->order);
    case PURCHASE_REPLACING:
      return g_strdup_printf ("%s: its serial is being replaced, at no cost", name);
    case PURCHASE_PREPARING:
      return g_strdup_printf (view->item != NULL ? "%s: paid" : "%s: paid, the serial is being prepared",
                              name);
    default:
      return g_strdup_printf ("%s: working on it", name);
    }
}

static const char *
describe_ended_order (OrderState state)
{
  switch (state)
    {
    case ORDER_DECLINED:
      return "the order was declined; nothing was charged";
    case ORDER_EXPIRED:
      return "the order was not paid in time; nothing was charged";
    case ORDER_REFUSED:
      return "the order was refused; nothing was charged";
    case ORDER_REFUNDING:
      return "the order could not be fulfilled; the money goes back";
    case ORDER_REFUNDED:
      return "the order could not be fulfilled; the money went back";
    case ORDER_REVIEW:
      return "the order is being looked into by a person; nothing is lost";
    default:
      return "the order is under way";
    }
}

/* An item is there or not; it cannot be off. */
static char *
dup_item_end (const char *name, const DialogueView *view)
{
  if (view->state == PURCHASE_RUNNING)
    return g_strdup_printf ("%s is yours", name);
  if (view->has_said_no)
    return g_strdup_printf ("%s was not bought, as you chose", name);
  if (view->order != NULL && view->text[0] == '\0')
    return g_strdup_printf ("%s: %s", name, describe_ended_order (view->order->state));
  return g_strdup_printf ("%s was not bought: %s", name, view->text);
}

char *
market_view_end (const char *name, const DialogueView *view)
{
  if (view->item != NULL)
    return dup_item_end (name, view);
  if (view->state == PURCHASE_RUNNING)
    return g_strdup_printf ("%s is registered and ready", name);
  if (view->has_said_no)
    return g_strdup_printf ("%s stays off, as you chose; `buy` changes that", name);
  if (view->order != NULL && view->text[0] == '\0')
    return g_strdup_printf ("%s: %s", name, describe_ended_order (view->order->state));
  return g_strdup_printf ("%s is off: %s", name, view->text[0] != '\0' ? view->text : "it did not start");
}

json_t *
market_view_dialogue_json (const char *plugin, const DialogueView *view)
{
  json_t *object = view->order != NULL ? market_view_order_json (view->order) : json_object ();
  gboolean is_over = view->state == PURCHASE_RUNNING || view->state == PURCHASE_OFF;
  const char *success = view->item != NULL ? "bought" : "ready";
  const char *event = view->state == PURCHASE_RUNNING ? success : is_over ? "ended" : "order";
  set_text (object, "event", event);
  set_text (object, "plugin", plugin);
  set_text (object, "item", view->item);
  if (view->text[0] != '\0')
    set_text (object, "text", view->text);
  if (view->state == PURCHASE_OFF)
    set_text (object, "reason",
              view->has_said_no  ? "declined"
              : view->has_failed ? "plugin-failed"
                                 : "refused");
  if (view->is_unheard && !is_over)
    json_object_set_new (object, "waiting", json_true ());
  return object;
}
