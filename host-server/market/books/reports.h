/* What people are shown of pools, sales and orders, as rows (JSON objects) for hostctl and for commands
 * alike. For the reader thread: these reads may be long. */
#pragma once

#include "host-server/market/books/desk.h"

#include <jansson.h>

#define REPORT_LIMIT 1000 /* rows */
#define REPORT_SALES 100  /* rows of report_sales() */

/* A text that may be absent, and a time (0: absent): null if it is. */
json_t *report_text (const char *value);
json_t *report_time (gint64 us);

/* @member sees the pools and sales of its own vendors, an administrator all; NULL is the operator. All add to
 * @rows; FALSE with @error on a fault. */
/* plugin, free, reserved, delivered, burned. */
gboolean report_pools (Db *db, const char *member, json_t *rows, GError **error);
/* plugin, vendor, version, source, state (on sale, retired, fault), fault, price, currency; and of its orders
 * since ever: sold, items sold inside it, open, refunded, and the income of those sold in that currency. */
gboolean report_plugins (Db *db, const char *member, json_t *rows, GError **error);
/* order, plugin, item (null: the plugin itself), state, price, currency, created, and the user by the
 * pairwise name that the vendor knows: newest first, without an address. */
gboolean report_sales (const Desk *desk, Db *db, const char *member, json_t *rows, GError **error);

/* order, user (an address), plugin, item, state, payment, price, currency, reason, created: newest first.
 * @user: of one address; NULL: of all. For the operator and administrators. */
gboolean report_orders (Db *db, const char *user, json_t *rows, GError **error);
/* The same of one account, by index. */
gboolean report_orders_of (Db *db, const char *account, json_t *rows, GError **error);
/* The same of the orders that wait for a person. */
gboolean report_reviews (Db *db, json_t *rows, GError **error);
/* application, item, name, price, currency, amount, state (on sale, retired), sold: of one application; NULL:
 * of all. */
gboolean report_items (Db *db, const char *application, json_t *rows, GError **error);
/* What became of a fulfilled line of an item: state, amount, credited, granted. NULL without @error if it
 * never was.
 */
json_t *report_credit (Db *db, const char *line, GError **error);
