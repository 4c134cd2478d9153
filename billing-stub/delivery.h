/* Brings the ledger's events to the merchant as Standard Webhooks, with their retries (money.md), and the
 * faults that a delivery can have. Also the clockwork of the ledger: expiries and pending refunds. */
#pragma once

#include "billing-stub/ledger.h"
#include "common/net/http-client.h"
#include "common/net/webhook.h"

typedef struct Delivery Delivery;

/* Everything is lent. Retries come after the pauses of webhook_retry_pause_s() times @retry_factor. Starts
 * with what an earlier run left. */
Delivery *delivery_new (Ledger *ledger, HttpClient *client, const WebhookRing *ring, const Clock *clock,
                        Faults *faults, double retry_factor);
/* Before the client. What is under way stays in the ledger for the next start. */
void delivery_free (Delivery *delivery);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Delivery, delivery_free)

/* Something may be due: looks soon, never from inside the call. */
void delivery_poke (Delivery *delivery);
