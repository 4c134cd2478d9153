#include "host-server/market/books/money-json.h"

#include <gio/gio.h>
#include <jansson.h>
#include <stdlib.h>

static const char *const kinds[] = {
  [MONEY_PAYMENT] = "payment",           [MONEY_DECLINED] = "declined",
  [MONEY_EXPIRED] = "expired",           [MONEY_REFUND] = "refund",
  [MONEY_DISPUTE] = "dispute",           [MONEY_DISPUTE_WON] = "dispute-won",
  [MONEY_DISPUTE_LOST] = "dispute-lost", [MONEY_OTHER] = "other",
};

const char *
money_event_kind_to_text (MoneyEventKind kind)
{
  return kinds[kind];
}

char *
money_event_dup_json (const MoneyEvent *event)
{
  json_t *root = json_pack ("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:I, s:s*, s:b, s:b}", "kind",
                            kinds[event->kind], "merchant", event->merchant, "order", event->order,
                            "checkout", event->checkout, "payment", event->payment, "refund", event->refund,
                            "dispute", event->dispute, "amount", (json_int_t)event->amount_minor, "currency",
                            event->currency, "live", event->is_live, "total", event->is_total);
  char *text = json_dumps (root, JSON_COMPACT);
  char *copy = g_strdup (text);
  free (text);
  json_decref (root);
  return copy;
}

static char *
dup_member (const json_t *root, const char *name)
{
  return g_strdup (json_string_value (json_object_get (root, name)));
}

static gboolean
kind_from_text (const char *text, MoneyEventKind *kind)
{
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_strcmp0 (text, kinds[i]) == 0)
      {
        *kind = (MoneyEventKind)i;
        return TRUE;
      }
  return FALSE;
}

static gboolean
is_whole (const MoneyEvent *event)
{
  gboolean needs_refund = event->kind == MONEY_REFUND;
  gboolean needs_dispute
      = event->kind == MONEY_DISPUTE || event->kind == MONEY_DISPUTE_WON || event->kind == MONEY_DISPUTE_LOST;
  return event->payment != NULL && event->amount_minor >= 0
         && (!needs_refund || event->refund != NULL || event->is_total)
         && (!needs_dispute || event->dispute != NULL);
}

char *
money_event_dup_ledger_id (const MoneyEvent *event)
{
  if (event->is_total)
    return g_strdup_printf ("%s.refunded.%" G_GINT64_FORMAT, event->payment, event->amount_minor);
  return g_strdup (event->refund != NULL    ? event->refund
                   : event->dispute != NULL ? event->dispute
                                            : event->payment);
}

MoneyEvent *
money_event_read_json (const void *body, gsize length, GError **error)
{
  g_autoptr (MoneyEvent) event = money_event_new ();
  json_t *root = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  gboolean is_known = kind_from_text (json_string_value (json_object_get (root, "kind")), &event->kind);
  event->merchant = dup_member (root, "merchant");
  event->order = dup_member (root, "order");
  event->checkout = dup_member (root, "checkout");
  event->payment = dup_member (root, "payment");
  event->refund = dup_member (root, "refund");
  event->dispute = dup_member (root, "dispute");
  event->currency = dup_member (root, "currency");
  event->amount_minor = json_integer_value (json_object_get (root, "amount"));
  event->is_live = json_is_true (json_object_get (root, "live"));
  event->is_total = json_is_true (json_object_get (root, "total"));
  json_decref (root);
  if (is_known && is_whole (event))
    return g_steal_pointer (&event);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "not an event that was kept");
  return NULL;
}
