#include "host-client/core/function.h"

#include <string.h>

#include "common/base/id.h"
#include "common/base/text.h"

typedef struct
{
  Functions *functions;              /* NULL: nobody waits any more */
  char *application, *function, *id; /* the same each time */
  GBytes *argument;
  GSource *deadline;
  gboolean is_asked; /* a reply will come; else it waits for the connection */
  const char *refusal;
  FunctionFunc callback;
  gpointer data;
} Call;

struct Functions
{
  Session *session;
  GPtrArray *calls; /* of Call; borrowed by their sources and requests */
};

/* ---- what an end means ---- */

FunctionOutcome
function_judge_end (FunctionCallOutcome end, const char *detail, const char **reason)
{
  static const struct
  {
    FunctionCallOutcome end;
    const char *detail; /* NULL: any */
    FunctionOutcome outcome;
    const char *reason;
  } rows[] = {
    { FUNCTION_CALL_DONE, NULL, FUNCTION_DONE, "" },
    { FUNCTION_CALL_NOT_FOUND, NULL, FUNCTION_BAD_INPUT, "there is no such application or function" },
    { FUNCTION_CALL_FORBIDDEN, NULL, FUNCTION_DENIED, "you have no licence for it" },
    { FUNCTION_CALL_CONFLICT, NULL, FUNCTION_BAD_INPUT, "the same request was made with another argument" },
    { FUNCTION_CALL_LIMIT, "rate", FUNCTION_LATER, "it is called too often" },
    { FUNCTION_CALL_LIMIT, "conflict", FUNCTION_LATER, "its data is in use; try again" },
    { FUNCTION_CALL_LIMIT, NULL, FUNCTION_FAILED, "it needed more than it may use" },
    { FUNCTION_CALL_FAILED, "bad-input", FUNCTION_BAD_INPUT, "the function does not understand that" },
    { FUNCTION_CALL_FAILED, "denied", FUNCTION_DENIED, "the function refuses you" },
    { FUNCTION_CALL_FAILED, "expired", FUNCTION_DENIED, "it is over" },
    { FUNCTION_CALL_FAILED, "retry", FUNCTION_LATER, "the function cannot do it now" },
    { FUNCTION_CALL_FAILED, "unavailable", FUNCTION_LATER, "it is not there now" },
    { FUNCTION_CALL_FAILED, NULL, FUNCTION_FAILED, "the function failed" },
    { FUNCTION_CALL_REFUSED, NULL, FUNCTION_LATER, "the server does not do that now" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (rows[i].end == end && (rows[i].detail == NULL || g_strcmp0 (rows[i].detail, detail) == 0))
      {
        *reason = rows[i].reason;
        return rows[i].outcome;
      }
  *reason = "the server does not answer";
  return FUNCTION_LATER;
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
  g_free (call->application);
  g_free (call->function);
  g_free (call->id);
  g_bytes_unref (call->argument);
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

static void on_end (const FunctionCallEnd *end, gpointer data);

static void
ask (Call *call)
{
  FunctionRequest request = { call->application, call->function, call->id, call->argument };
  call->is_asked = TRUE;
  function_call (call->functions->session, &request, on_end, call);
}

static void
on_end (const FunctionCallEnd *end, gpointer data)
{
  Call *call = data;
  const Reply *reply = end->reply;
  FunctionAnswer answer = { .value = end->result };

  call->is_asked = FALSE;
  if (call->functions == NULL)
    call_free (call);
  else if (reply->kind == REPLY_TIMEOUT) /* it may still run: the same request joins it */
    ask (call);
  else if (reply->kind == REPLY_LOST)
    return; /* asked again in on_online() */
  else
    {
      answer.outcome = function_judge_end (end->outcome, end->detail, &answer.reason);
      /* The vendor's words, or the server's. */
      if (reply->kind == REPLY_ERROR && reply->error->text != NULL && reply->error->text[0] != '\0')
        answer.reason = reply->error->text;
      finish (call, &answer);
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
  g_free (functions);
}

void
functions_call (Functions *functions, const char *application, const char *function, GBytes *argument,
                FunctionFunc callback, gpointer data)
{
  Call *call = g_new0 (Call, 1);
  call->functions = functions;
  call->application = g_strdup (application);
  call->function = g_strdup (function);
  call->id = id_new_uuid7 (session_peek_clock (functions->session));
  call->argument = g_bytes_ref (argument);
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
  set_clock (call, FUNCTION_PATIENCE_S * 1000);
  if (session_is_online (functions->session))
    ask (call);
}
