/* What the host asks of a vendor (protocol.md §8): serials and tokens, every request signed as a Standard
 * Webhook. */
#pragma once

#include "common/net/http-server.h"
#include "common/net/webhook.h"
#include "vendor-kit/plugin-server/liar.h"
#include "vendor-kit/plugin-server/service.h"

typedef struct HostApi HostApi;

/* Adds its routes; all is lent, @liar may be NULL. No request is taken before host_api_take_ring(). */
HostApi *host_api_new (HttpRoutes *routes, const Maker *maker, Register *reg, Service *service,
                       const Clock *clock, Liar *liar);
/* The secrets that the host may sign with from now on: during a rotation the old one and the new one. */
void host_api_take_ring (HostApi *api, WebhookRing *ring);
/* After the server. */
void host_api_free (HostApi *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HostApi, host_api_free)
