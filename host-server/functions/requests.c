#include "common/protocol/function.h"
#include "host-server/core/service.h"
#include "host-server/functions/room.h"

/* protocol.md section 5. */

static void
refuse_limit (ServiceRequest *request, const FunctionAnswer *answer)
{
  g_autofree char *application
      = g_strdup_printf ("<limit-exceeded xmlns='" NS_FUNCTIONS "' kind='%s'/>", answer->word);
  service_request_refuse (request, STANZA_ERROR_RESOURCE_CONSTRAINT, answer->told, application);
}

static void
refuse_failed (ServiceRequest *request, const FunctionAnswer *answer)
{
  g_autofree char *application
      = g_strdup_printf ("<function-failed xmlns='" NS_FUNCTIONS "' reason='%s'/>", answer->word);
  const char *told = answer->told != NULL && answer->told[0] != '\0' ? answer->told : NULL;
  service_request_refuse (request, STANZA_ERROR_SERVICE_UNAVAILABLE, told, application);
}

static void
on_answer (const FunctionAnswer *answer, gpointer data)
{
  g_autoptr (ServiceRequest) request = data;
  g_autoptr (GString) xml = NULL;
  switch (answer->kind)
    {
    case FUNCTION_ANSWER_OK:
      xml = g_string_sized_new (g_bytes_get_size (answer->result) + 128);
      function_result_write (answer->result, xml);
      service_request_reply (request, xml->str);
      break;
    case FUNCTION_ANSWER_BAD_REQUEST:
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, answer->told, NULL);
      break;
    case FUNCTION_ANSWER_NOT_FOUND:
      service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, answer->told, NULL);
      break;
    case FUNCTION_ANSWER_FORBIDDEN:
      service_request_refuse (request, STANZA_ERROR_FORBIDDEN, answer->told, NULL);
      break;
    case FUNCTION_ANSWER_CONFLICT:
      service_request_refuse (request, STANZA_ERROR_CONFLICT, "the request had another function or argument",
                              NULL);
      break;
    case FUNCTION_ANSWER_LIMIT:
      refuse_limit (request, answer);
      break;
    case FUNCTION_ANSWER_FAILED:
      refuse_failed (request, answer);
      break;
    case FUNCTION_ANSWER_FAULT:
      service_request_fail (request, "functions", answer->error);
      break;
    }
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
