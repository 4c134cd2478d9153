#include "host-client/core/function.h"

#include <string.h>

#include "common/base/text.h"

typedef struct
{
  Functions *functions; /* NULL: nobody waits any more */
  char *payload;        /* the question, the same each time */
  GSource *deadline;
  gboolean is_asked; /* a reply will come; else it waits for the connection */
  const char *refusal;
  FunctionFunc callback;
  gpointer data;
} Call;

struct Functions
{
  Session *session;
  char *address;
  GPtrArray *calls; /* of Call; borrowed by their sources and requests */
};

/* ---- words ---- */

static gpointer
read_result (xmpp_stanza_t *element)
{
  return element != NULL ? function_result_read (element, NULL) : NULL;
}

FunctionOutcome
function_judge_error (const StanzaError *error, const char **reason)
{
  static const struct
  {
    const char *condition, *application, *detail; /* NULL: any */
    FunctionOutcome outcome;
    const char *reason;
  } rows[] = {
    { "item-not-found", NULL, NULL, FUNCTION_BAD_INPUT, "there is no such application or function" },
    { "bad-request", NULL, NULL, FUNCTION_BAD_INPUT, "the function does not understand that" },
    { "conflict", NULL, NULL, FUNCTION_BAD_INPUT, "the same request was made with another argument" },
    { "forbidden", NULL, NULL, FUNCTION_DENIED, "you have no licence for it" },
    { "resource-constraint", "limit-exceeded", "rate", FUNCTION_LATER, "it is called too often" },
    { "resource-constraint", "limit-exceeded", "conflict", FUNCTION_LATER, "its data is in use; try again" },
    { "resource-constraint", "limit-exceeded", NULL, FUNCTION_FAILED, "it needed more than it may use" },
    { "resource-constraint", NULL, NULL, FUNCTION_LATER, "too much is asked of the server now" },
    { "service-unavailable", "function-failed", "bad-input", FUNCTION_BAD_INPUT,
      "the function does not understand that" },
    { "service-unavailable", "function-failed", "denied", FUNCTION_DENIED, "the function refuses you" },
    { "service-unavailable", "function-failed", "expired", FUNCTION_DENIED, "it is over" },
    { "service-unavailable", "function-failed", "retry", FUNCTION_LATER, "the function cannot do it now" },
    { "service-unavailable", "function-failed", "unavailable", FUNCTION_LATER, "it is not there now" },
    { "service-unavailable", "function-failed", NULL, FUNCTION_FAILED, "the function failed" },
    { "service-unavailable", NULL, NULL, FUNCTION_LATER, "this server has no functions" },
    { "feature-not-implemented", NULL, NULL, FUNCTION_LATER, "this server has no functions" },
    { "remote-server-not-found", NULL, NULL, FUNCTION_LATER, "this server has no functions" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (strcmp (rows[i].condition, error->condition) == 0
        && (rows[i].application == NULL || g_strcmp0 (rows[i].application, error->application) == 0)
        && (rows[i].detail == NULL || g_strcmp0 (rows[i].detail, error->detail) == 0))
      {
        *reason = rows[i].reason;
        return rows[i].outcome;
      }
  *reason = "the server refused";
  return strcmp (error->type, "wait") == 0 ? FUNCTION_LATER : FUNCTION_FAILED;
}

/* ---- one call ---- */

static void
stop_clock (Call *call)
{
  if (call->deadline == NULL)
    return;
  g_source_destroy (call->deadline);
  g_clear_pointer (&call->deadline, g_source_unref);
}

static void
call_free (Call *call)
{
  stop_clock (call);
  g_free (call->payload);
  g_free (call);
}

/* Ends it; frees it, unless a reply is still to come. */
static void
finish (Call *call, const FunctionAnswer *answer)
{
  g_ptr_array_remove (call->functions->calls, call);
  call->functions = NULL;
  stop_clock (call);
  call->callback (answer, call->data);
  if (!call->is_asked)
    call_free (call);
}

static void
finish_with (Call *call, FunctionOutcome outcome, const char *reason)
{
  FunctionAnswer answer = { outcome, reason, NULL };
  finish (call, &answer);
}

static void on_reply (Reply *reply, gpointer data);

static void
ask (Call *call)
{
  call->is_asked = TRUE;
  session_request (call->functions->session, "set", call->functions->address, call->payload, read_result,
                   (GDestroyNotify)g_bytes_unref, on_reply, call);
}

static void
on_reply (Reply *reply, gpointer data)
{
  Call *call = data;
  const char *reason;

  call->is_asked = FALSE;
  if (call->functions == NULL)
    {
      call_free (call);
      return;
    }
  switch (reply->kind)
    {
    case REPLY_RESULT:
      {
        FunctionAnswer answer = { FUNCTION_DONE, "", reply->value };
        finish (call, &answer);
        break;
      }
    case REPLY_ERROR:
      {
        FunctionOutcome outcome = function_judge_error (reply->error, &reason);
        const char *text = reply->error->text; /* the vendor's words, or the server's */
        finish_with (call, outcome, text != NULL && text[0] != '\0' ? text : reason);
        break;
      }
    case REPLY_UNREADABLE:
      finish_with (call, FUNCTION_FAILED, "the server's answer makes no sense");
      break;
    case REPLY_TIMEOUT: /* it may still run: the same request joins it */
      ask (call);
      break;
    case REPLY_LOST:
      break; /* asked again in on_online() */
    }
}

static gboolean
on_deadline (gpointer data)
{
  Call *call = data;
  if (call->refusal != NULL)
    finish_with (call, FUNCTION_BAD_INPUT, call->refusal);
  else
    finish_with (call, FUNCTION_LATER,
                 session_is_online (call->functions->session) ? "the server does not answer"
                                                              : "there is no connection to the server");
  return G_SOURCE_REMOVE;
}

static void
set_clock (Call *call, guint ms)
{
  call->deadline = g_timeout_source_new (ms);
  g_source_set_callback (call->deadline, on_deadline, call, NULL);
  g_source_attach (call->deadline, g_main_context_get_thread_default ());
}

/* ---- all of them ---- */

static void
on_online (gpointer data)
{
  Functions *functions = data;
  for (guint i = 0; i < functions->calls->len; i++)
    {
      Call *call = g_ptr_array_index (functions->calls, i);
      if (!call->is_asked && call->refusal == NULL)
        ask (call);
    }
}

Functions *
functions_new (Session *session)
{
  static const SessionWatch watch = { .online = on_online };
  Functions *functions = g_new0 (Functions, 1);
  functions->session = session;
  functions->address = g_strconcat ("market.", session_peek_domain (session), NULL);
  functions->calls = g_ptr_array_new ();
  session_watch (session, &watch, functions);
  return functions;
}

void
functions_free (Functions *functions)
{
  if (functions == NULL)
    return;
  while (functions->calls->len > 0)
    finish_with (g_ptr_array_index (functions->calls, 0), FUNCTION_LATER, "the client was closed");
  g_ptr_array_unref (functions->calls);
  g_free (functions->address);
  g_free (functions);
}

void
functions_call (Functions *functions, const char *application, const char *function, GBytes *argument,
                FunctionFunc callback, gpointer data)
{
  g_autofree char *id = g_uuid_string_random ();
  FunctionRequest request = { (char *)application, (char *)function, id, argument };
  Call *call = g_new0 (Call, 1);
  call->functions = functions;
  call->callback = callback;
  call->data = data;
  g_ptr_array_add (functions->calls, call);
  if (!text_is_market_id (application) || !function_name_is_valid (function))
    call->refusal = "that is not a function's name";
  else if (g_bytes_get_size (argument) > FUNCTION_MAX_BYTES)
    call->refusal = "the argument is too long";
  else if (functions->calls->len > FUNCTION_MAX_OPEN)
    call->refusal = "too many functions are called at once";
  if (call->refusal != NULL)
    {
      set_clock (call, 0);
      return;
    }
  g_autoptr (GString) xml = g_string_new (NULL);
  function_request_write (&request, xml);
  call->payload = g_string_free (g_steal_pointer (&xml), FALSE);
  set_clock (call, FUNCTION_PATIENCE_S * 1000);
  if (session_is_online (functions->session))
    ask (call);
}
