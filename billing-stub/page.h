/* The charging page that a buyer sees: what is sold, for how much, and two buttons. Plain HTML, no script. */
#pragma once

#include "billing-stub/delivery.h"
#include "common/net/http-server.h"

typedef struct Page Page;

/* Adds its routes. Everything is lent. */
Page *page_new (HttpRoutes *routes, Ledger *ledger, Delivery *delivery, const char *merchant);
/* After the server. */
void page_free (Page *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Page, page_free)
