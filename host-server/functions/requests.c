#include "common/protocol/function.h"
#include "host-server/core/service.h"
#include "host-server/functions/room.h"

/* protocol.md section 5. */

static void
refuse (ServiceRequest *request, const FunctionAnswer *answer)
{
  FunctionRefusal refusal = function_answer_get_refusal (answer);
  g_autofree char *application = refusal.element != NULL
                                     ? g_strdup_printf ("<%s xmlns='" NS_FUNCTIONS "' %s='%s'/>",
                                                        refusal.element, refusal.attribute, refusal.word)
                                     : NULL;
  service_request_refuse (request, refusal.error, refusal.text, application);
}

static void
on_answer (const FunctionAnswer *answer, gpointer data)
{
  g_autoptr (ServiceRequest) request = data;
  if (answer->kind == FUNCTION_ANSWER_OK)
    {
      g_autoptr (GString) xml = g_string_sized_new (g_bytes_get_size (answer->result) + 128);
      function_result_write (answer->result, xml);
      service_request_reply (request, xml->str);
    }
  else if (answer->kind == FUNCTION_ANSWER_FAULT)
    service_request_fail (request, "functions", answer->error);
  else
    refuse (request, answer);
}

static void
handle_call (ServiceRequest *request, gpointer data)
{
  Functions *functions = data;
  g_autoptr (GError) error = NULL;
  g_auto (FunctionRequest) wanted = { 0 };
  if (!function_request_read (service_request_get_tree (request), &wanted, &error))
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  FunctionAsk ask = { .account = service_request_get_account (request),
                      .application = wanted.application,
                      .function = wanted.function,
                      .request = wanted.request,
                      .argument = wanted.argument };
  functions_call (functions, &ask, on_answer, service_request_ref (request));
}

void
function_requests_init (Functions *functions)
{
  Services *services = functions->server->services;
  services_add_feature (services, SERVICE_MARKET, NS_FUNCTIONS);
  services_add (services, SERVICE_MARKET, STANZA_TYPE_SET, "call", NS_FUNCTIONS, SERVICE_DEFAULT, handle_call,
                functions);
}
