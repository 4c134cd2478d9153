/* What the host asks of a vendor (protocol.md §8): serials and tokens, every request signed as a Standard
 * Webhook. */
#pragma once

#include "common/net/http-server.h"
#include "common/net/webhook.h"
#include "vendor-kit/plugin-server/service.h"

typedef enum
{
  MODE_NORMAL,
  MODE_SLOW,    /* serials are made at once, and the answer comes after 15 seconds */
  MODE_FAILING, /* no serial is made: 500 */
  MODE_LYING,   /* in turn: no JSON, an empty serial, control characters, always the same one, a huge one */
} Mode;

typedef struct HostApi HostApi;

/* Adds its routes; everything is lent. */
HostApi *host_api_new (HttpRoutes *routes, const Maker *maker, Register *reg, Service *service,
                       const WebhookRing *ring, const Clock *clock, Mode mode);
/* After the server. */
void host_api_free (HostApi *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HostApi, host_api_free)
