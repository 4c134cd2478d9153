#include "host-server/market/notices.h"

#include "common/base/id.h"
#include "common/base/text.h"
#include "common/protocol/charge.h"
#include "host-server/core/announce.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/room.h"
#include "host-server/store/accounts.h"

#define START_LIMIT 1000 /* of the messages of the last run; later ones come at the next start */

gboolean
notices_want (Turn *turn, const char *purchase, GError **error)
{
  return db_run (turn->db, error,
                 "INSERT INTO notice_order (purchase) VALUES (?) ON CONFLICT (purchase) DO NOTHING", "s",
                 purchase);
}

static gboolean
is_wanted (Db *db, const char *purchase, gboolean *wanted, GError **error)
{
  g_autoptr (DbQuery) query = db_query (db, "SELECT 1 FROM notice_order WHERE purchase = ?", "s", purchase);
  return turn_find (query, wanted, error);
}

/* What the user did at this moment is no news. */
static gboolean
is_news (OrderState state)
{
  switch (state)
    {
    case ORDER_FULFILLED:
    case ORDER_EXPIRED:
    case ORDER_REFUSED:
    case ORDER_REFUNDING:
    case ORDER_REFUNDED:
    case ORDER_REVIEW:
      return TRUE;
    case ORDER_AWAITING_PAYMENT:
    case ORDER_PAID:
    case ORDER_DECLINED:
    default:
      return FALSE;
    }
}

gboolean
notices_record (Turn *turn, GPtrArray *ids, GError **error)
{
  g_ptr_array_set_size (ids, 0);
  for (guint i = 0; i < turn->orders->len; i++)
    {
      const OrderNote *note = g_ptr_array_index (turn->orders, i);
      gboolean wanted = FALSE;
      if (!is_news (note->view->state))
        continue;
      if (!is_wanted (turn->db, note->view->id, &wanted, error))
        return FALSE;
      if (!wanted)
        continue;
      char *id = id_new_sortable ("n_", turn->desk->clock);
      g_ptr_array_add (ids, id);
      if (!db_run (turn->db, error, "INSERT INTO notice (id, purchase, state) VALUES (?, ?, ?)", "sss", id,
                   note->view->id, order_state_to_text (note->view->state)))
        return FALSE;
    }
  return TRUE;
}

/* Sending. */

static char *
make_body (Market *market, const OrderView *order)
{
  g_autofree char *name = catalog_dup_name (market, order->plugin, order->item);
  g_autofree char *price = charge_dup_price (order->price_minor, order->currency);
  g_autofree char *host = order->charge_url != NULL ? charge_dup_host (order->charge_url) : NULL;
  switch (order->state)
    {
    case ORDER_AWAITING_PAYMENT:
      return g_strdup_printf ("%s can be paid now: %s at %s\n%s\nOrder %s", name, price,
                              host != NULL ? host : "the provider", order->charge_url, order->id);
    case ORDER_FULFILLED:
      return g_strdup_printf ("%s is yours.%s\nOrder %s", name,
                              order->item == NULL ? " The command 'my-plugins' shows its serial." : "",
                              order->id);
    case ORDER_EXPIRED:
      return g_strdup_printf ("The order for %s has ended: it was not paid in time.\nOrder %s", name,
                              order->id);
    case ORDER_REFUSED:
      return g_strdup_printf ("The order for %s was refused. Nothing was charged.\nOrder %s", name,
                              order->id);
    case ORDER_REFUNDING:
      return g_strdup_printf ("The order for %s is being refunded.\nOrder %s", name, order->id);
    case ORDER_REFUNDED:
      return g_strdup_printf ("The order for %s has been refunded.\nOrder %s", name, order->id);
    case ORDER_REVIEW:
      return g_strdup_printf ("The order for %s waits for a person to look at it. You need do nothing."
                              "\nOrder %s",
                              name, order->id);
    case ORDER_PAID:
    case ORDER_DECLINED:
    default:
      return g_strdup_printf ("The order for %s is %s.\nOrder %s", name, order_state_to_text (order->state),
                              order->id);
    }
}

static gboolean
has_heard (const char *full_jid, gpointer data)
{
  return serials_has_listener (data, full_jid);
}

/* A name that was registered anew is another user, who is told nothing. */
static gboolean
is_users (Market *market, const Purchase *purchase)
{
  char uuid[37];
  const char *at = strchr (purchase->user, '@');
  g_autofree char *local = at != NULL ? g_strndup (purchase->user, (gsize)(at - purchase->user)) : NULL;
  return local != NULL && accounts_find_uuid (market->server->store, local, uuid)
         && g_str_equal (uuid, purchase->account);
}

static void
tell (Market *market, const Purchase *purchase, const OrderView *view, const char *id)
{
  if (!is_users (market, purchase))
    return;
  g_autofree char *body = make_body (market, view);
  g_autoptr (GString) payload = g_string_new ("<body>");
  text_append_xml (payload, body);
  g_string_append (payload, "</body>");
  order_view_write (view, payload);
  if (view->charge_url != NULL)
    {
      g_string_append (payload, "<x xmlns='jabber:x:oob'><url>");
      text_append_xml (payload, view->charge_url);
      g_string_append (payload, "</url></x>");
    }
  Announcement announcement = {
    .from = market->server->market,
    .user = purchase->user,
    .id = id,
    .payload = payload->str,
    .has_heard = has_heard,
    .data = market,
  };
  announce (market->server, &announcement);
}

void
notices_tell_charge (Market *market, const Purchase *purchase)
{
  gboolean wanted = FALSE;
  g_autoptr (GError) error = NULL;
  if (!is_wanted (market_peek_reader (market), purchase->id, &wanted, &error))
    log_error ("market", "cannot tell of the charge of order %s: %s", purchase->id, error->message);
  if (!wanted)
    return;
  g_autofree char *id = id_new_sortable ("n_", market->desk.clock);
  g_autoptr (OrderView) view = purchase_to_view (purchase);
  tell (market, purchase, view, id);
}

static gboolean
delete_work (Turn *turn, gpointer data, GError **error)
{
  const GPtrArray *ids = data;
  for (guint i = 0; i < ids->len; i++)
    if (!db_run (turn->db, error, "DELETE FROM notice WHERE id = ?", "s",
                 (const char *)g_ptr_array_index (ids, i)))
      return FALSE;
  return TRUE;
}

static void
deleted (Market *market, gpointer data, const GError *error)
{
  if (error != NULL) /* they are sent again at the next start, under the same ids */
    log_error ("market", "messages that were sent cannot be forgotten: %s", error->message);
  g_ptr_array_unref (data);
}

static gboolean
send_one (Market *market, const char *id, GError **error)
{
  Db *db = market_peek_reader (market);
  g_autofree char *purchase_id = NULL;
  OrderState state;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query = db_query (db, "SELECT purchase, state FROM notice WHERE id = ?", "s", id);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    if (!is_found || !order_state_from_text (db_get_text (query, 1), &state))
      return TRUE;
    purchase_id = db_dup_text (query, 0);
  }
  g_autoptr (Purchase) purchase = purchase_load (db, purchase_id, error);
  if (purchase == NULL)
    return FALSE;
  g_autoptr (OrderView) view = purchase_to_view (purchase);
  view->state = state; /* as it was then */
  tell (market, purchase, view, id);
  return TRUE;
}

void
notices_send (Market *market, const GPtrArray *ids)
{
  GPtrArray *sent = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < ids->len; i++)
    {
      const char *id = g_ptr_array_index (ids, i);
      g_autoptr (GError) error = NULL;
      if (send_one (market, id, &error))
        g_ptr_array_add (sent, g_strdup (id));
      else
        log_error ("market", "message %s cannot be sent: %s", id,
                   error != NULL ? error->message : "no order");
    }
  if (sent->len > 0)
    market_write (market, delete_work, deleted, sent);
  else
    g_ptr_array_unref (sent);
}

void
notices_init (Market *market)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  {
    g_autoptr (DbQuery) query = db_query (
        market_peek_reader (market), "SELECT id FROM notice ORDER BY id LIMIT ?", "i", (gint64)START_LIMIT);
    while (db_next (query, &error))
      g_ptr_array_add (ids, db_dup_text (query, 0));
  }
  if (error != NULL)
    log_error ("market", "the messages of the last run cannot be read: %s", error->message);
  notices_send (market, ids);
}
