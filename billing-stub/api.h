/* The interface for merchants: JSON over HTTP with the merchant's Bearer key (protocol.md §9). */
#pragma once

#include "billing-stub/delivery.h"
#include "common/net/http-server.h"

typedef struct Api Api;

/* Adds its routes. Everything is lent; @api_key is what merchants authenticate with. */
Api *api_new (HttpRoutes *routes, Ledger *ledger, Delivery *delivery, Faults *faults, const Secret *api_key);
/* After the server. */
void api_free (Api *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Api, api_free)
/* Where the charging pages are, "http://127.0.0.1:8090"; before the first request. */
void api_set_public_url (Api *api, const char *url);
