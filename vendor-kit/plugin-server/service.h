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

/* Ends the sessions that were opened by a serial or by the token of a jti. */
void service_end_sessions_of_serial (Service *service, const char *serial);
void service_end_sessions_of_token (Service *service, const char *jti);
