#include "host-server/market/provider/provider-call.h"

#include "host-server/market/provider/provider-json.h"

#define MAX_ANSWER (256 * 1024)

static void
free_root (gpointer root)
{
  json_decref (root);
}

static void
free_report (gpointer data)
{
  ProviderReport *report = data;
  g_ptr_array_unref ((GPtrArray *)report->events);
  g_free (report);
}

ProviderCall *
provider_call_new (Provider *provider, ProviderDone done, gpointer data)
{
  ProviderCall *call = g_new0 (ProviderCall, 1);
  call->provider = provider;
  call->done = done;
  call->data = data;
  call->reports = g_ptr_array_new_with_free_func (free_report);
  call->roots = g_ptr_array_new_with_free_func (free_root);
  g_hash_table_add (provider->calls, call);
  return call;
}

void
provider_call_free (gpointer data)
{
  ProviderCall *call = data;
  g_ptr_array_unref (call->reports);
  g_ptr_array_unref (call->roots);
  g_free (call->note);
  if (call->memo != NULL)
    call->free_memo (call->memo);
  if (call->ending != NULL)
    {
      g_source_destroy (call->ending);
      g_source_unref (call->ending);
    }
  g_free (call);
}

/* TRUE if another request is under way. */
static gboolean
read_answer (ProviderCall *call, const HttpReply *http, GError **error)
{
  ProviderReply *reply = &call->reply;
  gsize length;
  const char *body = http_reply_peek_body (http, &length);
  g_autoptr (GError) local = NULL;
  json_t *root = provider_json_parse (body, length, &local);
  if (root != NULL)
    g_ptr_array_add (call->roots, root);
  reply->outcome = call->judge (call, http_reply_get_status (http), root);
  if (reply->outcome != PROVIDER_OK && reply->outcome != PROVIDER_CONFLICT)
    return FALSE;

  ProviderReading reading = root != NULL ? call->read (call, root, &local) : PROVIDER_READ_BAD;
  if (reading != PROVIDER_READ_BAD)
    return reading == PROVIDER_READ_MORE;
  /* A conflict without a report is a plain refusal; a success that cannot be read may have acted. */
  reply->outcome = reply->outcome == PROVIDER_OK ? PROVIDER_UNCERTAIN : PROVIDER_REFUSED;
  if (reply->outcome == PROVIDER_UNCERTAIN)
    g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

static void
end_call (ProviderCall *call)
{
  call->done (&call->reply, call->data);
  g_hash_table_remove (call->provider->calls, call);
}

static void
got_answer (const HttpReply *http, gpointer data)
{
  ProviderCall *call = data;
  ProviderReply *reply = &call->reply;
  g_autoptr (GError) error = NULL;
  reply->outcome = PROVIDER_UNCERTAIN;
  reply->retry_after_s = http_reply_get_retry_after_s (http);
  if (http_reply_get_outcome (http) == HTTP_TLS_REFUSED)
    reply->outcome = PROVIDER_FAULT;
  if (http_reply_get_outcome (http) == HTTP_ANSWERED && read_answer (call, http, &error))
    return;

  reply->reason = error != NULL        ? error->message
                  : call->note != NULL ? call->note
                                       : http_reply_peek_reason (http);
  end_call (call);
}

void
provider_call_send (ProviderCall *call, const HttpRequest *request, ProviderJudge judge, ProviderRead read)
{
  Provider *provider = call->provider;
  HttpRequest filled = *request;
  filled.bearer = provider->api_key;
  filled.timeout_ms = provider->timeout_ms;
  if (filled.max_answer_bytes == 0)
    filled.max_answer_bytes = MAX_ANSWER;
  call->judge = judge;
  call->read = read;
  http_client_send (provider->http, provider->base, &filled, got_answer, call);
}

static gboolean
end_later (gpointer data)
{
  end_call (data);
  return G_SOURCE_REMOVE;
}

void
provider_call_refuse (ProviderCall *call, ProviderOutcome outcome, const char *reason)
{
  call->reply.outcome = outcome;
  call->reply.retry_after_s = -1;
  call->note = g_strdup (reason);
  call->reply.reason = call->note;
  call->ending = g_idle_source_new ();
  g_source_set_callback (call->ending, end_later, call, NULL);
  g_source_attach (call->ending, g_main_context_get_thread_default ());
}

ProviderReport *
provider_call_add_report (ProviderCall *call)
{
  ProviderReport *report = g_new0 (ProviderReport, 1);
  report->events = g_ptr_array_new_with_free_func ((GDestroyNotify)money_event_free);
  g_ptr_array_add (call->reports, report);
  return report;
}

MoneyEvent *
provider_call_add_event (ProviderCall *call, ProviderReport *report, MoneyEventKind kind, const char *payment,
                         const char *currency)
{
  MoneyEvent *event = money_event_new ();
  event->kind = kind;
  event->merchant = g_strdup (call->provider->merchant);
  event->is_live = call->provider->is_live;
  event->order = g_strdup (report->order);
  event->checkout = g_strdup (report->checkout);
  event->payment = g_strdup (payment);
  event->currency = g_strdup (currency);
  g_ptr_array_add ((GPtrArray *)report->events, event);
  return event;
}

void
provider_call_reply_report (ProviderCall *call)
{
  g_assert (call->reports->len == 1);
  const ProviderReport *report = g_ptr_array_index (call->reports, 0);
  call->reply.checkout = report->checkout;
  call->reply.order = report->order;
  call->reply.status = report->status;
  call->reply.amount_minor = report->amount_minor;
  call->reply.currency = report->currency;
  call->reply.events = report->events;
}
