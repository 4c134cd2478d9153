/* The bodies of authentic callbacks, as each type of provider reads them. What comes out is what the market
 * may rely on: ids, amounts and currencies within their bounds, and a kind that has all it needs. */

#include "host-server/market/provider/provider.h"

#include <gio/gio.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const ProviderType *const types[] = {
#define PROVIDER_TYPE(name) &provider_##name,
#include "host-server/market/provider/provider-types.h"
#undef PROVIDER_TYPE
};

static void
check_id (const char *id, const char *what)
{
  if (id != NULL && !provider_id_is_valid (id))
    g_error ("%s is no id", what);
}

static void
check_event (const ProviderType *type, const MoneyEvent *event)
{
  gboolean is_dispute
      = event->kind == MONEY_DISPUTE || event->kind == MONEY_DISPUTE_WON || event->kind == MONEY_DISPUTE_LOST;
  gboolean is_money = event->kind == MONEY_PAYMENT || event->kind == MONEY_REFUND;
  check_id (event->merchant, "merchant");
  check_id (event->order, "order");
  check_id (event->checkout, "checkout");
  check_id (event->payment, "payment");
  check_id (event->refund, "refund");
  check_id (event->dispute, "dispute");
  if ((is_money || is_dispute) && event->payment == NULL)
    g_error ("%s: money without a payment", type->name);
  if (is_money && (event->amount_minor < 1 || event->amount_minor > PROVIDER_MAX_AMOUNT))
    g_error ("%s: an amount out of bounds", type->name);
  if (is_money && (event->currency == NULL || strlen (event->currency) != 3))
    g_error ("%s: money without a currency", type->name);
  if (event->kind == MONEY_REFUND && event->is_total != (event->refund == NULL))
    g_error ("%s: a refund without its id", type->name);
  if (is_dispute && event->dispute == NULL)
    g_error ("%s: a dispute without its id", type->name);
  if (event->kind != MONEY_OTHER && event->order == NULL && event->payment == NULL)
    g_error ("%s: nobody's event", type->name);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (MoneyEvent) event = types[i]->read_event (data, size, &error);
      if ((event == NULL) != (error != NULL))
        g_error ("%s: neither an event nor an error", types[i]->name);
      if (event != NULL)
        check_event (types[i], event);
    }
  return 0;
}
