/* The market as this account sees it (protocol.md sections 1 to 3): found by service discovery, its pushes,
 * and the questions a user asks of it. */
#pragma once

#include "common/protocol/market.h"
#include "host-client/core/serial-book.h"
#include "host-client/core/session.h"

typedef struct Market Market;

typedef enum
{
  MARKET_UNKNOWN, /* offline, or not yet found */
  MARKET_ABSENT,  /* this server has none */
  MARKET_READY,   /* found, and the serials are current */
} MarketState;

/* Callbacks may be NULL. */
typedef struct
{
  void (*state) (MarketState state, gpointer data);
  /* What the market says of @plugin changed. */
  void (*serial) (const SerialEntry *entry, gpointer data);
  void (*order) (const OrderView *order, gpointer data);
} MarketEvents;

/* Both outlive the market. NULL with a DB_ERROR. */
Market *market_new (Session *session, Db *db, GError **error);
void market_free (Market *market);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Market, market_free)
/* Any number may watch; @events is copied. */
void market_watch (Market *market, const MarketEvents *events, gpointer data);
void market_unwatch (Market *market, gpointer data);

MarketState market_get_state (const Market *market);
const SerialBook *market_peek_serials (const Market *market);

/* @order is NULL unless the market told of one; an error may come with the order as it is. */
typedef void (*MarketOrderFunc) (const OrderView *order, const Reply *reply, gpointer data);
/* @item: of @plugin; NULL: the plugin itself. */
void market_buy (Market *market, const char *plugin, const char *item, const char *request,
                 MarketOrderFunc callback, gpointer data);
void market_decline (Market *market, const char *order, MarketOrderFunc callback, gpointer data);
void market_get_order (Market *market, const char *order, MarketOrderFunc callback, gpointer data);

/* Pages of at most MARKET_MAX_PAGE; @after is the last page's `last`, NULL for the first. reply->value is a
 * Catalog, an Orders. */
void market_catalog (Market *market, const char *query, const char *after, ReplyFunc callback, gpointer data);
void market_list_orders (Market *market, const char *after, ReplyFunc callback, gpointer data);

/* What can be bought inside @application, with what the user has of it: reply->value is an Items. */
void market_list_items (Market *market, const char *application, ReplyFunc callback, gpointer data);

typedef enum
{
  MARKET_REJECT_REPLACED, /* another serial is in the book */
  MARKET_REJECT_REGISTRATION_NEEDED,
  MARKET_REJECT_LATER, /* it will come as a push */
  MARKET_REJECT_FAILED,
} MarketRejectOutcome;

typedef void (*MarketRejectFunc) (MarketRejectOutcome outcome, const Reply *reply, gpointer data);
/* The plugin refused the serial of @epoch. */
void market_reject (Market *market, const char *plugin, SerialRejectedReason reason, gint64 epoch,
                    MarketRejectFunc callback, gpointer data);

/* Asks for the serials again, whatever version is held. @callback: the book is current, or reply says why
 * not. */
void market_refresh (Market *market, ReplyFunc callback, gpointer data);

/* Rows of pushes for connection_new()'s table. */
gpointer market_read_serials (xmpp_stanza_t *element);
gpointer market_read_order (xmpp_stanza_t *element);
