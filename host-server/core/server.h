/* One server: what every room finds in core. A process may hold several (tests do). */
#pragma once

#include "common/base/clock.h"
#include "host-server/core/config.h"
#include "host-server/store/store.h"
#include "host-server/wire/jid.h"

typedef struct Adhoc Adhoc;             /* core/adhoc.h: commands of any client (XEP-0050) */
typedef struct Applications Applications; /* core/applications.h: what is sold and has functions */
typedef struct Controls Controls;       /* core/control.h: commands of hostctl */
typedef struct Metrics Metrics;         /* core/metrics.h: what GET /metrics shows */
typedef struct Http Http;               /* core/http.h: routes of the HTTP listener, readiness */
typedef struct Hooks Hooks;             /* core/hooks.h */
typedef struct Modules Modules;         /* modules/modules.h */
typedef struct Router Router;           /* core/router.h */
typedef struct Services Services;       /* core/service.h */
typedef struct Signer Signer;           /* core/signer.h: keys of what the host signs */
typedef struct SessionBook SessionBook; /* core/session.h */

typedef struct Server
{
  Config *config;
  Clock *clock;
  Store *store;
  Jid *domain; /* the XMPP domain D */
  Jid *market; /* market.D */
  SessionBook *sessions;
  Router *router;
  Services *services;
  Adhoc *adhoc;
  Hooks *hooks;
  Http *http;
  Metrics *metrics;
  Controls *controls;
  Signer *signer;
  Modules *modules;
  Applications *applications;
} Server;
