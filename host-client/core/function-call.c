#include "host-client/core/function-call.h"

#include <string.h>

typedef struct
{
  FunctionCallFunc callback;
  gpointer data;
} Question;

/* On the connection's thread. */
static gpointer
read_result (xmpp_stanza_t *element)
{
  return element != NULL ? function_result_read (element, NULL) : NULL;
}

static FunctionCallOutcome
read_error (const StanzaError *error)
{
  static const struct
  {
    const char *condition;
    FunctionCallOutcome outcome;
  } rows[] = { { "item-not-found", FUNCTION_CALL_NOT_FOUND },
               { "forbidden", FUNCTION_CALL_FORBIDDEN },
               { "conflict", FUNCTION_CALL_CONFLICT } };
  if (g_strcmp0 (error->application, "limit-exceeded") == 0)
    return FUNCTION_CALL_LIMIT;
  if (g_strcmp0 (error->application, "function-failed") == 0)
    return FUNCTION_CALL_FAILED;
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (strcmp (rows[i].condition, error->condition) == 0)
      return rows[i].outcome;
  return FUNCTION_CALL_REFUSED;
}

static void
on_reply (Reply *reply, gpointer data)
{
  g_autofree Question *question = data;
  FunctionCallEnd end = { .outcome = FUNCTION_CALL_UNKNOWN, .reply = reply };
  switch (reply->kind)
    {
    case REPLY_RESULT:
      end.outcome = FUNCTION_CALL_DONE;
      end.result = reply->value;
      break;
    case REPLY_ERROR:
      end.outcome = read_error (reply->error);
      end.detail = reply->error->detail;
      break;
    case REPLY_UNREADABLE:
      end.outcome = FUNCTION_CALL_REFUSED;
      break;
    case REPLY_TIMEOUT:
    case REPLY_LOST:
      break;
    }
  question->callback (&end, question->data);
}

void
function_call (Session *session, const FunctionRequest *request, FunctionCallFunc callback, gpointer data)
{
  Question *question = g_new (Question, 1);
  *question = (Question){ callback, data };
  g_autofree char *market = g_strconcat ("market.", session_peek_domain (session), NULL);
  g_autoptr (GString) xml = g_string_new (NULL);
  function_request_write (request, xml);
  session_request (session, "set", market, xml->str, read_result, (GDestroyNotify)g_bytes_unref, on_reply,
                   question);
}
