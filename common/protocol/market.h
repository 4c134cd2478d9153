/* urn:stoa:market:1 (protocol.md section 3) as structs, for both sides: catalog, orders, and the paging of
 * XEP-0059 that both lists use. */
#pragma once

#include "common/protocol/tree.h"

#define NS_MARKET "urn:stoa:market:1"
#define NS_RSM "http://jabber.org/protocol/rsm"

/* XEP-0059: `<set/>`. */
typedef struct
{
  gboolean is_present;
  /* of a request */
  gint64 max;   /* -1: not said */
  gint64 index; /* -1: not said */
  char *after;  /* NULL: not said */
  char *before; /* "": the last page; NULL: not said */
  /* of a result */
  char *first; /* NULL: an empty page */
  gint64 first_index; /* -1: not said */
  char *last;
  gint64 count; /* -1: not said */
} Paging;

void paging_init (Paging *paging);
void paging_clear (Paging *paging);
void paging_write_request (const Paging *paging, GString *out);
void paging_write_result (const Paging *paging, GString *out);

typedef struct
{
  char *id;
  char *name;
  char *vendor;
  char *version;
  gint64 price_minor; /* 0: free, no billing step */
  char *currency;     /* ISO 4217 */
  char *term;         /* ISO 8601 duration; NULL: for ever */
  char *summary;
  gboolean is_owned;
  /* the package to install, docs/packages.md; NULL: there is none */
  char *package;     /* its URL */
  char *sha256;      /* of the file, hex */
  gint64 size;       /* bytes */
  char *permissions; /* what it asks for; "" nothing */
  gint64 n_items;    /* what can be bought inside it */
} CatalogEntry;

void catalog_entry_free (CatalogEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CatalogEntry, catalog_entry_free)

#define CATALOG_MAX_QUERY 256 /* bytes */
#define MARKET_MAX_PAGE 100   /* entries of a page, whatever was asked */

/* `<catalog/>`: a request, or one page of the answer. */
typedef struct
{
  char *query;        /* NULL: everything */
  GPtrArray *entries; /* of CatalogEntry, owned */
  Paging paging;
} Catalog;

Catalog *catalog_new (void);
void catalog_free (Catalog *catalog);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Catalog, catalog_free)
void catalog_write_request (const Catalog *catalog, GString *out);
void catalog_write_result (const Catalog *catalog, GString *out);
/* Reads either; NULL with PROTOCOL_ERROR. */
Catalog *catalog_read (xmpp_stanza_t *element, GError **error);

/* What can be bought inside an application. */
typedef struct
{
  char *id;
  char *name;
  gint64 price_minor; /* 0: free, no billing step */
  char *currency;     /* ISO 4217 */
  gint64 amount;      /* by how much one purchase raises the counter */
  gint64 counter;     /* what the user has of it */
} ItemEntry;

void item_entry_free (ItemEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ItemEntry, item_entry_free)

/* `<items/>`: a request, or the answer. */
typedef struct
{
  char *application;
  gboolean is_licensed; /* the user may buy them */
  GPtrArray *entries;   /* of ItemEntry, owned */
} Items;

Items *items_new (const char *application);
void items_free (Items *items);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Items, items_free)
void items_write_request (const char *application, GString *out);
void items_write_result (const Items *items, GString *out);
/* Reads either; NULL with PROTOCOL_ERROR. */
Items *items_read (xmpp_stanza_t *element, GError **error);
/* NULL: there is none of that id. */
const ItemEntry *items_find (const Items *items, const char *id);

/* The states that clients are shown. */
typedef enum
{
  ORDER_AWAITING_PAYMENT,
  ORDER_PAID, /* the money is here, the serial is being prepared */
  ORDER_FULFILLED,
  ORDER_DECLINED,
  ORDER_EXPIRED,
  ORDER_REFUSED,
  ORDER_REFUNDING,
  ORDER_REFUNDED,
  ORDER_REVIEW, /* a person must look */
} OrderState;

const char *order_state_to_text (OrderState state);
gboolean order_state_from_text (const char *text, OrderState *state);

/* An order as a client sees it. */
typedef struct
{
  char *id;
  char *plugin; /* NULL in a push that leaves it out */
  char *item;   /* what was bought inside @plugin; NULL: the plugin itself */
  OrderState state;
  gint64 price_minor; /* -1: not said */
  char *currency;
  gint64 expires_us; /* of awaiting-payment; 0: not said */
  char *charge_url;  /* NULL: none (yet) */
} OrderView;

void order_view_free (OrderView *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (OrderView, order_view_free)
void order_view_write (const OrderView *order, GString *out);
OrderView *order_view_read (xmpp_stanza_t *element, GError **error);

typedef enum
{
  ORDER_REQUEST_BUY,     /* plugin, perhaps an item of it, and request id */
  ORDER_REQUEST_DECLINE, /* id, action='decline' */
  ORDER_REQUEST_GET,     /* id */
} OrderRequestKind;

#define ORDER_MAX_REQUEST_ID 64 /* bytes of the client's request id */

typedef struct
{
  OrderRequestKind kind;
  char *plugin;
  char *item; /* NULL: the plugin itself */
  char *request;
  char *id;
} OrderRequest;

void order_request_clear (OrderRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (OrderRequest, order_request_clear)
void order_request_write (const OrderRequest *request, GString *out);
/* @is_set: the IQ's type is set. FALSE with PROTOCOL_ERROR, and then there is nothing to clear. */
gboolean order_request_read (xmpp_stanza_t *element, gboolean is_set, OrderRequest *request, GError **error);

/* `<orders/>`: a page of the user's history, newest first. */
typedef struct
{
  GPtrArray *orders; /* of OrderView, owned */
  Paging paging;
} Orders;

Orders *orders_new (void);
void orders_free (Orders *orders);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Orders, orders_free)
void orders_write_request (const Orders *orders, GString *out);
void orders_write_result (const Orders *orders, GString *out);
Orders *orders_read (xmpp_stanza_t *element, GError **error);
