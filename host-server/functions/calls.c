/* Calls from their arrival to their answer: who may, what was answered already, who waits for the same. */
#include "host-server/core/applications.h"
#include "host-server/functions/predefined.h"
#include "host-server/functions/room.h"

#include <string.h>

#define MAX_ASKERS 16 /* who wait for one call */

typedef struct
{
  FunctionAnswered answered;
  gpointer data;
} Asker;

static void
unref_value (gpointer value)
{
  if (value != NULL)
    g_bytes_unref (value);
}

static void
function_call_free (FunctionCall *call)
{
  g_free (call->key);
  g_free (call->account);
  g_free (call->application);
  g_free (call->function);
  g_free (call->request);
  g_free (call->user);
  g_bytes_unref (call->argument);
  g_array_unref (call->askers);
  g_hash_table_unref (call->reads);
  g_hash_table_unref (call->writes);
  g_clear_pointer (&call->result, g_bytes_unref);
  g_free (call);
}

static char *
make_key (const FunctionAsk *ask)
{
  return g_strconcat (ask->account, "\n", ask->application, "\n", ask->request, NULL);
}

/* What makes two calls of one request the same. */
static void
digest_of (const FunctionAsk *ask, guint8 digest[32])
{
  gsize length, n_digest = 32;
  const guint8 *argument = g_bytes_get_data (ask->argument, &length);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (checksum, (const guint8 *)ask->function, (gssize)strlen (ask->function) + 1);
  g_checksum_update (checksum, argument, (gssize)length);
  g_checksum_get_digest (checksum, digest, &n_digest);
}

static FunctionCall *
call_new (Functions *functions, const FunctionAsk *ask, const char *user)
{
  FunctionCall *call = g_new0 (FunctionCall, 1);
  call->functions = functions;
  call->key = make_key (ask);
  call->account = g_strdup (ask->account);
  call->application = g_strdup (ask->application);
  call->function = g_strdup (ask->function);
  call->request = g_strdup (ask->request);
  call->user = g_strdup (user);
  call->argument = g_bytes_ref (ask->argument);
  digest_of (ask, call->digest);
  call->askers = g_array_new (FALSE, FALSE, sizeof (Asker));
  call->reads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  call->writes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, unref_value);
  return call;
}

/* --- before a call runs --- */

static gboolean
has_function (const FunctionManifest *manifest, const char *name)
{
  if (predefined_find (name) != NULL)
    return manifest->user_bytes > 0 || !g_str_has_prefix (name, "store.");
  return g_strv_contains ((const char *const *)manifest->names, name);
}

/* Joins the open call of the same request, or says why not. FALSE: there is none. */
static gboolean
join (Functions *functions, const FunctionAsk *ask, FunctionAnswered answered, gpointer data)
{
  guint8 digest[32];
  g_autofree char *key = make_key (ask);
  FunctionCall *call = g_hash_table_lookup (functions->calls, key);
  FunctionAnswer refused = { .kind = FUNCTION_ANSWER_CONFLICT };
  if (call == NULL)
    return FALSE;
  digest_of (ask, digest);
  if (memcmp (digest, call->digest, sizeof digest) == 0 && call->askers->len < MAX_ASKERS)
    {
      Asker asker = { answered, data };
      g_array_append_val (call->askers, asker);
      return TRUE;
    }
  if (call->askers->len >= MAX_ASKERS)
    refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_LIMIT, .word = "rate" };
  answered (&refused, data);
  return TRUE;
}

/* Answers with what is recorded. FALSE: nothing is. */
static gboolean
recall (Functions *functions, const FunctionAsk *ask, FunctionAnswered answered, gpointer data)
{
  static const StoreFile files[] = { STORE_MARKET, STORE_CHAT };
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) result = NULL;
  guint8 recorded[32], digest[32];
  DataOwner owner = { ask->account, ask->application };
  gint64 since_us = clock_get_wall_us (functions->server->clock) - functions->settings.keep_us;
  for (gsize i = 0; i < G_N_ELEMENTS (files) && result == NULL && error == NULL; i++)
    result_find (store_peek_reader (functions->server->store, files[i]), &owner, ask->request, since_us,
                 &result, recorded, &error);
  if (result == NULL && error == NULL)
    return FALSE;

  FunctionAnswer answer = { .kind = FUNCTION_ANSWER_OK, .result = result };
  digest_of (ask, digest);
  if (error != NULL)
    answer = (FunctionAnswer){ .kind = FUNCTION_ANSWER_FAULT, .error = error };
  else if (memcmp (digest, recorded, sizeof digest) != 0)
    answer = (FunctionAnswer){ .kind = FUNCTION_ANSWER_CONFLICT };
  answered (&answer, data);
  return TRUE;
}

/* Why the call cannot be; FALSE: it can. */
static gboolean
find_refusal (Functions *functions, const FunctionAsk *ask, const FunctionApplication *application,
              ApplicationLicence *licence, FunctionAnswer *refused, GError **error)
{
  if (functions->is_closing)
    *refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_FAILED, .word = "unavailable" };
  else if (application == NULL && *error == NULL)
    *refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_NOT_FOUND };
  else if (*error != NULL
           || !applications_find_licence (functions->server->applications, ask->account, ask->application,
                                          licence, error))
    *refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_FAULT, .error = *error };
  else if (!has_function (application->manifest, ask->function))
    *refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_NOT_FOUND };
  else if (!licence->is_licensed)
    *refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_FORBIDDEN };
  else
    return FALSE;
  return TRUE;
}

void
functions_call (Functions *functions, const FunctionAsk *ask, FunctionAnswered teller, gpointer teller_data)
{
  g_autoptr (GError) error = NULL;
  ApplicationLicence licence;
  FunctionAnswer refused;
  FunctionApplication *application = functions_find_application (functions, ask->application, &error);
  FunctionAnswered answered = usage_answer;
  gpointer data
      = usage_begin (functions->usage, application != NULL ? ask->application : NULL, teller, teller_data);
  if (find_refusal (functions, ask, application, &licence, &refused, &error))
    {
      answered (&refused, data);
      return;
    }
  if (join (functions, ask, answered, data) || recall (functions, ask, answered, data))
    return;

  if (penalties_must_wait (functions->penalties, ask->application, ask->account))
    {
      refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_LIMIT,
                                  .word = "rate",
                                  .told = "too many of your calls failed" };
      answered (&refused, data);
      return;
    }
  FunctionCall *call = call_new (functions, ask, licence.user);
  SchedulerPlace place = { .application = ask->application,
                           .account = ask->account,
                           .concurrency = application->manifest->concurrency,
                           .rate = application->manifest->rate };
  if (scheduler_add (functions->scheduler, &place, call) != SCHEDULER_TAKEN)
    {
      refused = (FunctionAnswer){ .kind = FUNCTION_ANSWER_LIMIT, .word = "rate" };
      function_call_free (call);
      answered (&refused, data);
      return;
    }
  Asker asker = { answered, data };
  g_array_append_val (call->askers, asker);
  g_hash_table_insert (functions->calls, call->key, call);
  functions_pump (functions);
}

/* --- running and ending --- */

void
functions_pump (Functions *functions)
{
  FunctionCall *call;
  /* A call that ends at once comes back here. */
  if (functions->is_pumping)
    return;
  functions->is_pumping = TRUE;
  while (!functions->is_closing && (call = scheduler_next (functions->scheduler)) != NULL)
    {
      call->is_running = TRUE;
      executor_start (call);
    }
  functions->is_pumping = FALSE;
}

static void
answer_all (FunctionCall *call, const FunctionAnswer *answer)
{
  for (guint i = 0; i < call->askers->len; i++)
    {
      Asker asker = g_array_index (call->askers, Asker, i);
      asker.answered (answer, asker.data);
    }
}

void
function_call_finish (FunctionCall *call, const FunctionAnswer *answer)
{
  Functions *functions = call->functions;
  g_hash_table_remove (functions->calls, call->key);
  if (call->is_running)
    scheduler_end (functions->scheduler, call->application, call->account);
  answer_all (call, answer);
  function_call_free (call);
  functions_pump (functions);
}

/* Those that nothing outside holds any more. */
void
functions_drop_calls (Functions *functions)
{
  g_autoptr (GList) calls = g_hash_table_get_values (functions->calls);
  for (GList *each = calls; each != NULL; each = each->next)
    {
      FunctionCall *call = each->data;
      FunctionAnswer answer = { .kind = FUNCTION_ANSWER_FAILED, .word = "unavailable" };
      if (!call->is_running)
        function_call_finish (call, &answer);
    }
}
