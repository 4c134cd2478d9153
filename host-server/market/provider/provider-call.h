/* A call to a billing provider under way: one HTTP request or several behind each other, and one
 * ProviderReply in the end. What all provider types share; provider.h is what the market sees. */
#pragma once

#include "host-server/market/provider/provider.h"

#include <gio/gio.h>
#include <jansson.h>

typedef struct ProviderCall ProviderCall;

/* What an answer means by its status; @root is its body, NULL if that is no JSON object. */
typedef ProviderOutcome (*ProviderJudge) (ProviderCall *call, int status, const json_t *root);

typedef enum
{
  PROVIDER_READ_DONE,
  PROVIDER_READ_BAD,  /* it makes no sense: @error says why */
  PROVIDER_READ_MORE, /* provider_call_send() was called once more */
} ProviderReading;

/* Reads the body of an answer that was judged PROVIDER_OK or PROVIDER_CONFLICT into call->reply, which may
 * lend from @root until the call ends. It may change reply.outcome. */
typedef ProviderReading (*ProviderRead) (ProviderCall *call, json_t *root, GError **error);

struct ProviderCall
{
  Provider *provider;
  ProviderReply reply; /* as far as it is made */
  char *note;          /* of a judge: why, if the status alone does not say it */
  gpointer memo;       /* the type's own, from one request to the next */
  GDestroyNotify free_memo;
  GPtrArray *reports; /* of ProviderReport, made by provider_call_add_report() */

  /* provider-call.c */
  ProviderJudge judge;
  ProviderRead read;
  ProviderDone done;
  gpointer data;
  GPtrArray *roots; /* of json_t, the bodies so far */
  GSource *ending;  /* of provider_call_refuse() */
};

ProviderCall *provider_call_new (Provider *provider, ProviderDone done, gpointer data);
/* ProviderType.free_call. */
void provider_call_free (gpointer call);
/* Sends a request of @call; the provider's key and time-out are filled in. */
void provider_call_send (ProviderCall *call, const HttpRequest *request, ProviderJudge judge,
                         ProviderRead read);

/* Ends @call, once the main loop turns, without having asked anybody. */
void provider_call_refuse (ProviderCall *call, ProviderOutcome outcome, const char *reason);

/* A report with an empty list of events; its texts are to be lent from a root. */
ProviderReport *provider_call_add_report (ProviderCall *call);
/* Appends an event of @payment to @report, with what the report and the provider's configuration say. */
MoneyEvent *provider_call_add_event (ProviderCall *call, ProviderReport *report, MoneyEventKind kind,
                                     const char *payment, const char *currency);
/* Makes the call's only report its reply. */
void provider_call_reply_report (ProviderCall *call);
