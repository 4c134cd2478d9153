/* The catalog as a page: which plugins a request of a client sees. Pure. */
#pragma once

#include "common/protocol/market.h"

/* Fills the entries and the result's paging of @catalog, which holds a request, from @plugins (of Plugin,
 * sorted by id; the retired are passed over). @owned has the ids of the user's own plugins. FALSE if `after`
 * or `before` names no plugin that the query finds (XEP-0059 section 2.2: item-not-found). */
gboolean catalog_fill (Catalog *catalog, const GPtrArray *plugins, GHashTable *owned);
