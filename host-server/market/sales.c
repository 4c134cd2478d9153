#include "host-server/market/sales.h"

#include "host-server/market/notices.h"
#include "host-server/market/room.h"
#include "host-server/modules/modules.h"

#include <gio/gio.h>

/* Every request is answered within 5 s: what a slow provider still owes comes later. */
#define CHECKOUT_WAIT_MS 4000

typedef struct
{
  char *account, *user, *plugin, *item, *request, *quote;
  gboolean is_by_command;
  gboolean is_source_up;
  gboolean is_trial;
  BuyOutcome bought;
  gboolean is_repriced;
  SaleDone sale_done;

  char *order;
  DeclineOutcome declined;
  DeclineDone decline_done;

  Purchase *purchase;
  gpointer data;
} Selling;

static void
selling_free (Selling *selling)
{
  g_free (selling->account);
  g_free (selling->user);
  g_free (selling->plugin);
  g_free (selling->item);
  g_free (selling->request);
  g_free (selling->quote);
  g_free (selling->order);
  purchase_free (selling->purchase);
  g_free (selling);
}

/* Hands the answer over, and is done with it. */
static void
finish (Market *market, Selling *selling, const GError *error)
{
  Sale sale = { selling->bought, selling->is_repriced, selling->purchase };
  if (selling->sale_done != NULL)
    selling->sale_done (market, &sale, error, selling->data);
  else
    selling->decline_done (market, selling->declined, selling->purchase, error, selling->data);
  selling_free (selling);
}

/* Answers with the order as it is committed now. */
static void
finish_with_current (Market *market, gpointer data, gboolean is_timed_out)
{
  Selling *selling = data;
  g_autoptr (GError) error = NULL;
  Purchase *purchase = purchase_load (market_peek_reader (market), selling->purchase->id, &error);
  if (purchase == NULL && error == NULL)
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "order %s is gone", selling->purchase->id);
  purchase_free (selling->purchase);
  selling->purchase = purchase;
  finish (market, selling, error);
}

/* Buying. */

const char *
sale_explain (BuyOutcome outcome)
{
  switch (outcome)
    {
    case BUY_NEW:
    case BUY_KNOWN:
      return NULL;
    case BUY_NO_PLUGIN:
      return "no such plugin is on sale";
    case BUY_NOT_LICENSED:
      return "you are not licensed for its application";
    case BUY_OWNED:
      return "it is yours already";
    case BUY_OUT_OF_STOCK:
      return "out of stock";
    case BUY_TOO_MANY:
      return "too many open orders";
    case BUY_CLOSED:
      return "nothing is sold at the moment; what you have is not touched";
    case BUY_UNAVAILABLE:
    default:
      return "it cannot be sold at the moment";
    }
}

char *
sale_dup_quote (gint64 price_minor, const char *currency)
{
  return g_strdup_printf ("%" G_GINT64_FORMAT " %s", price_minor, currency);
}

/* An error that undoes the turn, and is none. */
static gboolean
undo (GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "nothing was to be written");
  return FALSE;
}

static gboolean
buy_work (Turn *turn, gpointer data, GError **error)
{
  Selling *selling = data;
  g_clear_pointer (&selling->purchase, purchase_free);
  selling->is_repriced = FALSE;
  BuyRequest request = {
    .account = selling->account,
    .user = selling->user,
    .plugin = selling->plugin,
    .item = selling->item,
    .request = selling->request,
    .is_source_up = selling->is_source_up,
  };
  if (!buy (turn, &request, &selling->bought, &selling->purchase, error))
    return FALSE;
  if (selling->is_trial)
    return undo (error);
  if (selling->purchase == NULL)
    return TRUE;
  g_autofree char *price = sale_dup_quote (selling->purchase->price_minor, selling->purchase->currency);
  selling->is_repriced
      = selling->bought == BUY_NEW && selling->quote != NULL && !g_str_equal (price, selling->quote);
  if (selling->is_repriced)
    return undo (error);
  return !selling->is_by_command || notices_want (turn, selling->purchase->id, error);
}

static void
buy_done (Market *market, gpointer data, const GError *error)
{
  Selling *selling = data;
  if ((selling->is_trial || selling->is_repriced)
      && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    error = NULL;
  else if (error == NULL && selling->purchase != NULL && purchase_is_opening (selling->purchase))
    {
      waiters_add (market, selling->purchase->id, CHECKOUT_WAIT_MS, finish_with_current, selling);
      return;
    }
  finish (market, selling, error);
}

/* Whether the plugin's source can be expected to work; a plugin that cannot be read is refused by the turn.
 */
static gboolean
find_is_source_up (Market *market, const char *id)
{
  const Plugin *plugin = catalog_find (market, id);
  if (plugin == NULL || !g_str_equal (plugin->source, SOURCE_KEYGEN))
    return TRUE;
  return market->server->modules != NULL
         && modules_get_state (market->server->modules, plugin->module) == MODULES_STATE_READY;
}

static void
sell (Market *market, const SaleRequest *request, gboolean is_trial, SaleDone done, gpointer data)
{
  Selling *selling = g_new0 (Selling, 1);
  selling->account = g_strdup (request->account);
  selling->user = g_strdup (request->user);
  selling->plugin = g_strdup (request->plugin);
  selling->item = g_strdup (request->item);
  selling->request = g_strdup (request->request);
  selling->quote = g_strdup (request->quote);
  selling->is_by_command = request->is_by_command;
  selling->is_source_up = request->item != NULL || find_is_source_up (market, request->plugin);
  selling->is_trial = is_trial;
  selling->sale_done = done;
  selling->data = data;
  if (is_trial)
    market_write (market, buy_work, buy_done, selling);
  else
    market_write_step (market, ORDER, buy_work, buy_done, selling);
}

void
sale_buy (Market *market, const SaleRequest *request, SaleDone done, gpointer data)
{
  sell (market, request, FALSE, done, data);
}

void
sale_try (Market *market, const SaleRequest *request, SaleDone done, gpointer data)
{
  sell (market, request, TRUE, done, data);
}

/* Declining. */

static gboolean
decline_work (Turn *turn, gpointer data, GError **error)
{
  Selling *selling = data;
  g_clear_pointer (&selling->purchase, purchase_free);
  return decline (turn, selling->account, selling->order, &selling->declined, &selling->purchase, error);
}

static void
declined (Market *market, gpointer data, const GError *error)
{
  Selling *selling = data;
  if (error == NULL && selling->declined == DECLINE_PENDING)
    {
      waiters_add (market, selling->purchase->id, CHECKOUT_WAIT_MS, finish_with_current, selling);
      return;
    }
  finish (market, selling, error);
}

void
sale_decline (Market *market, const char *account, const char *order, DeclineDone done, gpointer data)
{
  Selling *selling = g_new0 (Selling, 1);
  selling->account = g_strdup (account);
  selling->order = g_strdup (order);
  selling->decline_done = done;
  selling->data = data;
  market_write_step (market, DECLINE, decline_work, declined, selling);
}
