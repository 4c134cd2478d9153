/* A provider as a test plays it: an HTTP server in the test's own process that gives the next scripted answer
 * to whatever it is asked, and keeps what that was. */
#pragma once

#include "host-server/market/provider/provider.h"

typedef struct
{
  guint status;
  const char *body;
} ScriptedAnswer;

typedef struct
{
  HttpRoutes *routes;
  HttpServer *server;
  HttpClient *http;
  Provider *provider;
  GQueue answers;   /* of ScriptedAnswer, lent */
  GString *asked;   /* a line for each request: method, target, key, body */
  gboolean is_done; /* the call under way has ended */
} Script;

Script *script_new (const ProviderType *type, const char *merchant);
void script_free (Script *script);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Script, script_free)
/* The next answer; @body is lent. */
void script_answer (Script *script, guint status, const char *body);
/* Runs until is_done, which the callback of the call under way sets; the answers must be used up then. */
void script_run (Script *script);
