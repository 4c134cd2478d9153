/* What is sold inside an application (docs/vendors.md, "Items"): its row, one for each [Item ID] of the
 * manifest. Buying one credits a counter of the user's data by `amount`; what becomes of that is in
 * credits.h. */
#pragma once

#include "host-server/market/books/desk.h"

#define ITEMS_MAX       64      /* of one application */
#define ITEM_MAX_AMOUNT 1000000 /* of one purchase */

typedef struct
{
  char *application;
  char *id;
  char *name;
  gint64 price_minor; /* 0: free */
  char *currency;
  gint64 amount; /* by how much one purchase raises the counter */
  gboolean is_retired;
} Item;

void item_free (Item *item);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Item, item_free)

/* The application's items are @items (of Item) from now on; others are sold no more. */
gboolean items_store (Turn *turn, const char *application, const GPtrArray *items, GError **error);
/* NULL without @error if there never was such an item. */
Item *item_load (Db *db, const char *application, const char *id, GError **error);
/* An array of Item by application and id, those that are sold no more too; @application NULL: of all. NULL
 * with @error. */
GPtrArray *items_load (Db *db, const char *application, GError **error);
