#include "host-client/core/market.h"

#include <string.h>

#include "common/base/log.h"

#define NS_DISCO_ITEMS "http://jabber.org/protocol/disco#items"
#define ITEMS_MAX      1000
#define RETRY_S        30

typedef struct
{
  MarketEvents events;
  gpointer data;
} Watcher;

struct Market
{
  Session *session;
  SerialBook *serials;
  char *address;
  MarketState state;
  GArray *watchers; /* of Watcher */
  guint retry;
};

/* ---- reading, on the connection's thread ---- */

gpointer
market_read_serials (xmpp_stanza_t *element)
{
  return element != NULL ? serials_read (element, NULL) : NULL;
}

gpointer
market_read_order (xmpp_stanza_t *element)
{
  return element != NULL ? order_view_read (element, NULL) : NULL;
}

static gpointer
read_catalog (xmpp_stanza_t *element)
{
  return element != NULL ? catalog_read (element, NULL) : NULL;
}

static gpointer
read_items_for_sale (xmpp_stanza_t *element)
{
  return element != NULL ? items_read (element, NULL) : NULL;
}

static gpointer
read_orders (xmpp_stanza_t *element)
{
  return element != NULL ? orders_read (element, NULL) : NULL;
}

typedef struct
{
  SerialEntry *entry; /* NULL: registration is needed */
} Rejection;

static gpointer
read_rejection (xmpp_stanza_t *element)
{
  g_autofree Rejection *rejection = g_new0 (Rejection, 1);
  if (element == NULL)
    return NULL;
  if (stanza_is (element, NS_SERIALS, "registration-needed"))
    return g_steal_pointer (&rejection);
  rejection->entry = serial_entry_read (element, NULL);
  return rejection->entry != NULL ? g_steal_pointer (&rejection) : NULL;
}

static void
rejection_free (gpointer data)
{
  Rejection *rejection = data;
  serial_entry_free (rejection->entry);
  g_free (rejection);
}

static gpointer
read_items (xmpp_stanza_t *element)
{
  if (element == NULL || !stanza_is (element, NS_DISCO_ITEMS, "query"))
    return NULL;
  GHashTable *jids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL;
       child = xmpp_stanza_get_next (child))
    {
      const char *jid
          = stanza_is (child, NS_DISCO_ITEMS, "item") ? xmpp_stanza_get_attribute (child, "jid") : NULL;
      if (jid != NULL && strlen (jid) <= 3071 && g_hash_table_size (jids) < ITEMS_MAX)
        g_hash_table_add (jids, g_strdup (jid));
    }
  return jids;
}

/* ---- telling ---- */

static void
set_state (Market *market, MarketState state)
{
  if (market->state == state)
    return;
  market->state = state;
  for (guint i = 0; i < market->watchers->len; i++)
    {
      Watcher watcher = g_array_index (market->watchers, Watcher, i);
      if (watcher.events.state != NULL)
        watcher.events.state (state, watcher.data);
    }
}

static void
tell_serial (Market *market, const SerialEntry *entry)
{
  for (guint i = 0; i < market->watchers->len; i++)
    {
      Watcher watcher = g_array_index (market->watchers, Watcher, i);
      if (watcher.events.serial != NULL)
        watcher.events.serial (entry, watcher.data);
    }
}

static void
tell_order (Market *market, const OrderView *order)
{
  for (guint i = 0; i < market->watchers->len; i++)
    {
      Watcher watcher = g_array_index (market->watchers, Watcher, i);
      if (watcher.events.order != NULL)
        watcher.events.order (order, watcher.data);
    }
}

static void
tell_changes (Market *market, GPtrArray *entries)
{
  for (guint i = 0; i < entries->len; i++)
    tell_serial (market, g_ptr_array_index (entries, i));
}

/* ---- serials ---- */

typedef struct
{
  Market *market;
  ReplyFunc callback; /* NULL: the login's own question */
  gpointer data;
} Refresh;

static gboolean on_retry (gpointer data);

static void
on_serials (Reply *reply, gpointer data)
{
  g_autofree Refresh *refresh = data;
  Market *market = refresh->market;
  g_autoptr (Serials) answer = reply->kind == REPLY_RESULT ? g_steal_pointer (&reply->value) : NULL;
  g_autoptr (GError) error = NULL;
  SerialBookOutcome outcome;
  if (answer != NULL && !serial_book_apply_answer (market->serials, answer, &outcome, &error))
    {
      log_error ("market", "cannot store the serials: %s", error->message);
      reply->kind = REPLY_UNREADABLE;
    }
  else if (answer != NULL)
    {
      tell_changes (market, answer->entries);
      set_state (market, MARKET_READY);
    }
  else if (reply->kind == REPLY_ERROR && refresh->callback == NULL)
    log_warning ("market", "the market does not answer: %s", reply->error->condition);
  if (answer == NULL && reply->kind != REPLY_LOST && market->retry == 0)
    market->retry = g_timeout_add_seconds (RETRY_S, on_retry, market);
  if (refresh->callback != NULL)
    refresh->callback (reply, refresh->data);
}

static void
ask_serials (Market *market, const char *ver, ReplyFunc callback, gpointer data)
{
  Refresh *refresh = g_new (Refresh, 1);
  *refresh = (Refresh){ market, callback, data };
  g_autoptr (Serials) question = serials_new (ver);
  g_autoptr (GString) xml = g_string_new (NULL);
  serials_write (question, xml);
  session_request (market->session, "get", market->address, xml->str, market_read_serials,
                   (GDestroyNotify)serials_free, on_serials, refresh);
}

static gboolean
on_retry (gpointer data)
{
  Market *market = data;
  market->retry = 0;
  if (session_is_online (market->session))
    ask_serials (market, serial_book_peek_ver (market->serials), NULL, NULL);
  return G_SOURCE_REMOVE;
}

void
market_refresh (Market *market, ReplyFunc callback, gpointer data)
{
  ask_serials (market, NULL, callback, data);
}

static void
on_serials_pushed (gpointer value, gpointer data)
{
  Market *market = data;
  g_autoptr (Serials) push = value;
  g_autoptr (GError) error = NULL;
  SerialBookOutcome outcome;
  if (!serial_book_apply_push (market->serials, push, &outcome, &error))
    {
      log_error ("market", "cannot store the serials: %s", error->message);
      return;
    }
  if (outcome == SERIAL_BOOK_GAP)
    ask_serials (market, NULL, NULL, NULL);
  else
    tell_changes (market, push->entries);
}

static void
on_order_pushed (gpointer value, gpointer data)
{
  g_autoptr (OrderView) order = value;
  tell_order (data, order);
}

/* ---- finding it ---- */

static void
on_items (Reply *reply, gpointer data)
{
  Market *market = data;
  GHashTable *jids = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (jids != NULL && g_hash_table_contains (jids, market->address))
    ask_serials (market, serial_book_peek_ver (market->serials), NULL, NULL);
  else if (reply->kind != REPLY_LOST)
    set_state (market, MARKET_ABSENT);
}

static void
on_online (gpointer data)
{
  Market *market = data;
  session_request (market->session, "get", session_peek_domain (market->session),
                   "<query xmlns='" NS_DISCO_ITEMS "'/>", read_items, (GDestroyNotify)g_hash_table_unref,
                   on_items, market);
}

static void
on_state (const SessionReport *report, gpointer data)
{
  if (report->state != SESSION_ONLINE)
    set_state (data, MARKET_UNKNOWN);
}

Market *
market_new (Session *session, Db *db, GError **error)
{
  static const SessionWatch watch = { .state = on_state, .online = on_online };
  SerialBook *serials = serial_book_new (db, error);
  if (serials == NULL)
    return NULL;
  Market *market = g_new0 (Market, 1);
  market->session = session;
  market->serials = serials;
  market->address = g_strconcat ("market.", session_peek_domain (session), NULL);
  market->watchers = g_array_new (FALSE, FALSE, sizeof (Watcher));
  session_watch (session, &watch, market);
  session_on_push (session, NS_SERIALS, on_serials_pushed, market);
  session_on_push (session, NS_MARKET, on_order_pushed, market);
  return market;
}

void
market_free (Market *market)
{
  if (market == NULL)
    return;
  if (market->retry != 0)
    g_source_remove (market->retry);
  serial_book_free (market->serials);
  g_array_unref (market->watchers);
  g_free (market->address);
  g_free (market);
}

void
market_watch (Market *market, const MarketEvents *events, gpointer data)
{
  Watcher watcher = { *events, data };
  g_array_append_val (market->watchers, watcher);
}

void
market_unwatch (Market *market, gpointer data)
{
  for (guint i = market->watchers->len; i > 0; i--)
    if (g_array_index (market->watchers, Watcher, i - 1).data == data)
      g_array_remove_index (market->watchers, i - 1);
}

MarketState
market_get_state (const Market *market)
{
  return market->state;
}

const SerialBook *
market_peek_serials (const Market *market)
{
  return market->serials;
}

/* ---- orders ---- */

typedef struct
{
  MarketOrderFunc callback;
  gpointer data;
} OrderQuestion;

static void
on_order (Reply *reply, gpointer data)
{
  g_autofree OrderQuestion *question = data;
  question->callback (reply->value, reply, question->data);
}

static void
ask_order (Market *market, const char *type, const OrderRequest *request, MarketOrderFunc callback,
           gpointer data)
{
  OrderQuestion *question = g_new (OrderQuestion, 1);
  *question = (OrderQuestion){ callback, data };
  g_autoptr (GString) xml = g_string_new (NULL);
  order_request_write (request, xml);
  session_request (market->session, type, market->address, xml->str, market_read_order,
                   (GDestroyNotify)order_view_free, on_order, question);
}

void
market_buy (Market *market, const char *plugin, const char *item, const char *request,
            MarketOrderFunc callback, gpointer data)
{
  OrderRequest order
      = { ORDER_REQUEST_BUY, .plugin = (char *)plugin, .item = (char *)item, .request = (char *)request };
  ask_order (market, "set", &order, callback, data);
}

void
market_decline (Market *market, const char *id, MarketOrderFunc callback, gpointer data)
{
  OrderRequest order = { ORDER_REQUEST_DECLINE, .id = (char *)id };
  ask_order (market, "set", &order, callback, data);
}

void
market_get_order (Market *market, const char *id, MarketOrderFunc callback, gpointer data)
{
  OrderRequest order = { ORDER_REQUEST_GET, .id = (char *)id };
  ask_order (market, "get", &order, callback, data);
}

static void
set_page (Paging *paging, const char *after)
{
  paging->is_present = TRUE;
  paging->max = MARKET_MAX_PAGE;
  paging->after = g_strdup (after);
}

void
market_catalog (Market *market, const char *query, const char *after, ReplyFunc callback, gpointer data)
{
  g_autoptr (Catalog) question = catalog_new ();
  g_autoptr (GString) xml = g_string_new (NULL);
  question->query = g_strdup (query);
  set_page (&question->paging, after);
  catalog_write_request (question, xml);
  session_request (market->session, "get", market->address, xml->str, read_catalog,
                   (GDestroyNotify)catalog_free, callback, data);
}

void
market_list_orders (Market *market, const char *after, ReplyFunc callback, gpointer data)
{
  g_autoptr (Orders) question = orders_new ();
  g_autoptr (GString) xml = g_string_new (NULL);
  set_page (&question->paging, after);
  orders_write_request (question, xml);
  session_request (market->session, "get", market->address, xml->str, read_orders,
                   (GDestroyNotify)orders_free, callback, data);
}

void
market_list_items (Market *market, const char *application, ReplyFunc callback, gpointer data)
{
  g_autoptr (GString) xml = g_string_new (NULL);
  items_write_request (application, xml);
  session_request (market->session, "get", market->address, xml->str, read_items_for_sale,
                   (GDestroyNotify)items_free, callback, data);
}

/* ---- refused serials ---- */

typedef struct
{
  Market *market;
  MarketRejectFunc callback;
  gpointer data;
} RejectQuestion;

static void
on_rejection (Reply *reply, gpointer data)
{
  g_autofree RejectQuestion *question = data;
  Market *market = question->market;
  const Rejection *rejection = reply->kind == REPLY_RESULT ? reply->value : NULL;
  MarketRejectOutcome outcome = MARKET_REJECT_FAILED;
  g_autoptr (GError) error = NULL;
  SerialBookOutcome stored;
  if (rejection != NULL && rejection->entry == NULL)
    outcome = MARKET_REJECT_REGISTRATION_NEEDED;
  else if (rejection != NULL && rejection->entry->serial != NULL)
    {
      if (serial_book_apply_entry (market->serials, rejection->entry, &stored, &error))
        outcome = MARKET_REJECT_REPLACED;
      else
        log_error ("market", "cannot store a serial: %s", error->message);
    }
  else if (rejection != NULL)
    outcome = MARKET_REJECT_REGISTRATION_NEEDED;
  else if (reply->kind == REPLY_ERROR && strcmp (reply->error->type, "wait") == 0
           && strcmp (reply->error->condition, "resource-constraint") == 0)
    outcome = MARKET_REJECT_LATER;
  question->callback (outcome, reply, question->data);
}

void
market_reject (Market *market, const char *plugin, SerialRejectedReason reason, gint64 epoch,
               MarketRejectFunc callback, gpointer data)
{
  RejectQuestion *question = g_new (RejectQuestion, 1);
  *question = (RejectQuestion){ market, callback, data };
  SerialRejected rejected = { .plugin = (char *)plugin, .reason = reason, .epoch = epoch };
  g_autoptr (GString) xml = g_string_new (NULL);
  serial_rejected_write (&rejected, xml);
  session_request (market->session, "set", market->address, xml->str, read_rejection, rejection_free,
                   on_rejection, question);
}
