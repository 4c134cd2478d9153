/* What plugins come for: a session for a good serial or token, and with it the data of the service. */
#pragma once

#include "common/net/http-server.h"
#include "vendor-kit/plugin-server/maker.h"
#include "vendor-kit/plugin-server/register.h"

typedef struct Service Service;

/* Adds its routes; everything is lent. */
Service *service_new (HttpRoutes *routes, const Maker *maker, Register *reg, const Clock *clock);
/* After the server. */
void service_free (Service *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Service, service_free)

/* Ends the sessions that came from a serial's request or a token's jti. */
void service_end_sessions (Service *service, const char *origin);
