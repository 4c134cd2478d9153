#include "host-server/store/schema.h"

/* Catalog, orders, payments, serials, pools. */
const SchemaFamily market_schema = { "market", STORE_MARKET, NULL, 0 };
