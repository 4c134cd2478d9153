#include "host-client/core/function.h"

#include <string.h>

#include "common/base/text.h"

#define MAX_NAME 64

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

char *
function_write_call (const char *application, const char *function, const char *request, GBytes *argument)
{
  g_autoptr (GString) xml = g_string_new ("<call xmlns='" NS_FUNCTIONS "'");
  gsize length;
  const char *bytes = g_bytes_get_data (argument, &length);

  text_append_xml_attribute (xml, "application", application);
  text_append_xml_attribute (xml, "function", function);
  text_append_xml_attribute (xml, "request", request);
  /* A carriage return would arrive as a line feed. */
  if (text_is_xml (bytes, length) && (length == 0 || memchr (bytes, '\r', length) == NULL))
    {
      g_string_append (xml, "><argument>");
      text_append_xml_len (xml, bytes, length);
    }
  else
    {
      g_autofree char *encoded = g_base64_encode ((const guchar *)bytes, length);
      g_string_append_printf (xml, "><argument encoding='base64'>%s", encoded);
    }
  g_string_append (xml, "</argument></call>");
  return g_string_free (g_steal_pointer (&xml), FALSE);
}

gpointer
function_read_result (xmpp_stanza_t *element)
{
  if (element == NULL || !stanza_is (element, NS_FUNCTIONS, "result"))
    return NULL;
  const char *encoding = xmpp_stanza_get_attribute (element, "encoding");
  if (encoding != NULL && strcmp (encoding, "base64") != 0)
    return NULL;

  char *text = xmpp_stanza_get_text (element); /* NULL: empty */
  gsize length = text != NULL ? strlen (text) : 0;
  GBytes *value = NULL;
  if (encoding == NULL)
    value = length <= FUNCTION_MAX_BYTES ? g_bytes_new (text, length) : NULL;
  else
    {
      gsize n_bytes;
      guint8 *bytes = text_from_base64 (text != NULL ? text : "", length, &n_bytes);
      if (bytes != NULL && n_bytes <= FUNCTION_MAX_BYTES)
        value = g_bytes_new_take (g_steal_pointer (&bytes), n_bytes);
      g_free (bytes);
    }
  if (text != NULL)
    xmpp_free (xmpp_stanza_get_context (element), text);
  return value;
}

FunctionOutcome
function_judge_error (const StanzaError *error, const char **reason)
{
  static const struct
  {
    const char *condition, *application; /* NULL: any */
    const char *type;                    /* NULL: any */
    FunctionOutcome outcome;
    const char *reason;
  } rows[] = {
    { "item-not-found", NULL, NULL, FUNCTION_BAD_INPUT, "there is no such application or function" },
    { "bad-request", NULL, NULL, FUNCTION_BAD_INPUT, "the function does not understand that" },
    { "conflict", NULL, NULL, FUNCTION_BAD_INPUT, "the same request was made with another argument" },
    { "forbidden", NULL, NULL, FUNCTION_DENIED, "you have no licence for it" },
    { "not-allowed", NULL, NULL, FUNCTION_DENIED, "you have no licence for it" },
    { "resource-constraint", "limit-exceeded", "cancel", FUNCTION_FAILED, "it needed more than it may use" },
    { "resource-constraint", "limit-exceeded", "modify", FUNCTION_FAILED, "it needed more than it may use" },
    { "resource-constraint", NULL, NULL, FUNCTION_LATER, "too much is asked of it now" },
    { "service-unavailable", "function-failed", NULL, FUNCTION_FAILED, "the function failed" },
    { "service-unavailable", NULL, NULL, FUNCTION_LATER, "this server has no functions" },
    { "feature-not-implemented", NULL, NULL, FUNCTION_LATER, "this server has no functions" },
    { "remote-server-not-found", NULL, NULL, FUNCTION_LATER, "this server has no functions" },
    { NULL, NULL, "wait", FUNCTION_LATER, "the server cannot do it now" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if ((rows[i].condition == NULL || strcmp (rows[i].condition, error->condition) == 0)
        && (rows[i].application == NULL || g_strcmp0 (rows[i].application, error->application) == 0)
        && (rows[i].type == NULL || strcmp (rows[i].type, error->type) == 0))
      {
        *reason = rows[i].reason;
        return rows[i].outcome;
      }
  *reason = "the server refused";
  return FUNCTION_FAILED;
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
  session_request (call->functions->session, "set", call->functions->address, call->payload,
                   function_read_result, (GDestroyNotify)g_bytes_unref, on_reply, call);
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
        finish_with (call, outcome, reason);
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

static gboolean
is_name (const char *name)
{
  gsize length = strlen (name);
  return length >= 1 && length <= MAX_NAME && text_is_xml (name, length);
}

void
functions_call (Functions *functions, const char *application, const char *function, GBytes *argument,
                FunctionFunc callback, gpointer data)
{
  g_autofree char *request = g_uuid_string_random ();
  Call *call = g_new0 (Call, 1);
  call->functions = functions;
  call->callback = callback;
  call->data = data;
  g_ptr_array_add (functions->calls, call);
  if (!is_name (application) || !is_name (function))
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
  call->payload = function_write_call (application, function, request, argument);
  set_clock (call, FUNCTION_PATIENCE_S * 1000);
  if (session_is_online (functions->session))
    ask (call);
}
