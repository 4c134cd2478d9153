/* Runs a call: in a process made for it, which asks for the user's data and says what is to be kept. What it
 * says is held back until it has answered well, and is then kept in one short transaction if nothing it read
 * has changed; else it all begins anew. */
#include "common/base/log.h"
#include "host-server/functions/predefined.h"
#include "host-server/functions/room.h"

#include <string.h>

#define MAX_RERUNS 3

static void run (FunctionCall *call);

static void
end (FunctionCall *call, const FunctionAnswer *answer)
{
  function_call_finish (call, answer);
}

/* --- what the running call asks --- */

static void
on_begin (gpointer data)
{
  FunctionCall *call = data;
  g_hash_table_remove_all (call->reads);
  g_hash_table_remove_all (call->writes);
  call->is_over_quota = FALSE;
}

/* The user's value as it is now, noted as read. FALSE: it cannot be had. */
static gboolean
read_value (FunctionCall *call, const char *key, GBytes **value)
{
  g_autoptr (GError) error = NULL;
  DataOwner owner = { call->account, call->application };
  gint64 version;
  if (!data_get (store_peek_reader (call->functions->server->store, STORE_MARKET), &owner, key, value,
                 &version, &error))
    {
      log_error ("functions", "cannot read the data of account=%s application=%s: %s", call->account,
                 call->application, error->message);
      return FALSE;
    }
  /* What was read first is what must still be there in the end. */
  if (!g_hash_table_contains (call->reads, key))
    {
      gint64 *seen = g_new (gint64, 1);
      *seen = version;
      g_hash_table_insert (call->reads, g_strdup (key), seen);
    }
  return TRUE;
}

static FunctionGet
on_get (const char *key, GBytes **value, gpointer data)
{
  FunctionCall *call = data;
  gpointer written;
  if (g_hash_table_lookup_extended (call->writes, key, NULL, &written))
    *value = written != NULL ? g_bytes_ref (written) : NULL;
  else if (!read_value (call, key, value))
    return FUNCTION_GET_REFUSED;
  return *value != NULL ? FUNCTION_GET_FOUND : FUNCTION_GET_ABSENT;
}

/* What a call holds back is bounded by its quota too: the commit counts again, with what is replaced. */
static gboolean
has_room (FunctionCall *call, const char *key, gsize length)
{
  GHashTableIter iter;
  gpointer other, value;
  gint64 total = (gint64)(DATA_CHARGE + strlen (key) + length);
  g_hash_table_iter_init (&iter, call->writes);
  while (g_hash_table_iter_next (&iter, &other, &value))
    if (value != NULL && !g_str_equal (other, key))
      total += (gint64)(DATA_CHARGE + strlen (other) + g_bytes_get_size (value));
  return total <= call->most_user_bytes;
}

/* What was bought may be spent, never made more. Looking at it counts as reading it, so that the commit finds
 * what was compared here. */
static gboolean
is_spending (FunctionCall *call, const char *key, const void *value, gsize length)
{
  g_autoptr (GBytes) held = NULL;
  gint64 n_held = 0, n_left = 0;
  gsize n_bytes;
  if (!read_value (call, key, &held))
    return FALSE;
  const void *bytes = held != NULL ? g_bytes_get_data (held, &n_bytes) : NULL;
  if (bytes != NULL && !counter_parse (bytes, n_bytes, &n_held))
    n_held = 0;
  return (value == NULL || counter_parse (value, length, &n_left)) && n_left <= n_held;
}

static gboolean
on_put (const char *key, const void *value, gsize length, gpointer data)
{
  FunctionCall *call = data;
  if (g_str_has_prefix (key, COUNTER_PREFIX) && !is_spending (call, key, value, length))
    {
      journal_add (call->functions->journal, call, "error",
                   "a counter under " COUNTER_PREFIX " can only be made less, by a whole number");
      return FALSE;
    }
  if (value != NULL && !has_room (call, key, length))
    {
      call->is_over_quota = TRUE;
      return FALSE;
    }
  g_hash_table_replace (call->writes, g_strdup (key), value != NULL ? g_bytes_new (value, length) : NULL);
  return TRUE;
}

static void
on_log (guint32 level, const char *text, gpointer data)
{
  static const char *const levels[] = { "error", "warning", "info" };
  FunctionCall *call = data;
  journal_add (call->functions->journal, call, levels[MIN (level, G_N_ELEMENTS (levels) - 1)], text);
}

static const FunctionModuleEvents events = { .begin = on_begin, .get = on_get, .put = on_put, .log = on_log };

/* --- keeping --- */

static gboolean
commit_work (Db *db, gpointer data, GError **error)
{
  FunctionCall *call = data;
  const Functions *functions = call->functions;
  gint64 now_us = clock_get_wall_us (functions->server->clock);
  DataCommit commit = { .owner = { call->account, call->application },
                        .request = call->request,
                        .digest = call->digest,
                        .result = call->result,
                        .reads = call->reads,
                        .writes = call->writes,
                        .most_user_bytes = call->most_user_bytes,
                        .most_result_bytes = functions->settings.result_bytes,
                        .since_us = now_us - functions->settings.keep_us,
                        .now_us = now_us };
  return data_commit (db, &commit, &call->outcome, error);
}

static void
limit (FunctionCall *call, const char *word)
{
  FunctionAnswer answer = { .kind = FUNCTION_ANSWER_LIMIT, .word = word };
  g_autofree char *text = g_strdup_printf ("over its limit of %s", word);
  journal_add (call->functions->journal, call, "error", text);
  end (call, &answer);
}

/* Another process has answered the same request: what it recorded is the answer. */
static void
answer_known (FunctionCall *call)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) result = NULL;
  guint8 digest[32];
  DataOwner owner = { call->account, call->application };
  FunctionAnswer answer = { .kind = FUNCTION_ANSWER_CONFLICT };
  Store *store = call->functions->server->store;
  StoreFile files[] = { STORE_MARKET, STORE_CHAT };
  for (gsize i = 0; i < G_N_ELEMENTS (files) && result == NULL && error == NULL; i++)
    result_find (store_peek_reader (store, files[i]), &owner, call->request, 0, &result, digest, &error);
  if (error != NULL)
    answer = (FunctionAnswer){ .kind = FUNCTION_ANSWER_FAULT, .error = error };
  else if (result != NULL && memcmp (digest, call->digest, sizeof digest) == 0)
    answer = (FunctionAnswer){ .kind = FUNCTION_ANSWER_OK, .result = result };
  end (call, &answer);
}

static void
commit_done (gpointer data, const GError *error)
{
  FunctionCall *call = data;
  FunctionAnswer answer = { .kind = FUNCTION_ANSWER_OK, .result = call->result };
  if (error != NULL)
    {
      answer = (FunctionAnswer){ .kind = FUNCTION_ANSWER_FAULT, .error = error };
      end (call, &answer);
      return;
    }
  switch (call->outcome)
    {
    case DATA_COMMITTED:
      end (call, &answer);
      break;
    case DATA_CONFLICT:
      if (call->functions->is_closing || ++call->attempt > MAX_RERUNS)
        limit (call, "conflict");
      else
        run (call);
      break;
    case DATA_KNOWN:
      answer_known (call);
      break;
    case DATA_OVER_QUOTA:
      limit (call, "memory");
      break;
    case DATA_RESULTS_FULL:
      limit (call, "rate");
      break;
    }
}

void
executor_commit (FunctionCall *call, GBytes *result)
{
  /* Without a trace of the user's data nothing can be lost that a second run would not make again. */
  gboolean has_data = g_hash_table_size (call->reads) > 0 || g_hash_table_size (call->writes) > 0;
  g_clear_pointer (&call->result, g_bytes_unref);
  call->result = g_bytes_ref (result);
  store_write (call->functions->server->store, has_data ? STORE_MARKET : STORE_CHAT, commit_work, commit_done,
               call);
}

/* --- running --- */

static void
fail (FunctionCall *call, const char *word, const char *reason, const char *told)
{
  FunctionAnswer answer = { .kind = FUNCTION_ANSWER_FAILED, .word = word, .told = told };
  journal_add (call->functions->journal, call, "error", reason);
  end (call, &answer);
}

static void
on_done (const FunctionModuleResult *result, gpointer data)
{
  FunctionCall *call = data;
  if (call->functions->is_closing)
    {
      FunctionAnswer answer = { .kind = FUNCTION_ANSWER_FAILED, .word = "unavailable" };
      end (call, &answer);
      return;
    }
  penalties_note (call->functions->penalties, call->application, call->account,
                  result->outcome == FUNCTION_FAILED || result->outcome == FUNCTION_LATE
                      || result->outcome == FUNCTION_OVERFLOW);
  switch (result->outcome)
    {
    case FUNCTION_OK:
      {
        g_autoptr (GBytes) output = g_bytes_new (result->output, result->n_output);
        executor_commit (call, output);
        break;
      }
    case FUNCTION_REFUSED:
    case FUNCTION_FAILED:
      if (call->is_over_quota)
        limit (call, "memory");
      else if (result->outcome == FUNCTION_REFUSED)
        fail (call, result->word, result->reason, result->told);
      else
        fail (call, "internal", result->reason, NULL);
      break;
    case FUNCTION_LATE:
      limit (call, "time");
      break;
    case FUNCTION_OVERFLOW:
      limit (call, "output");
      break;
    case FUNCTION_UNAVAILABLE:
      fail (call, "unavailable", result->reason, NULL);
      break;
    }
}

static void
run_module (FunctionCall *call, FunctionApplication *application)
{
  g_autoptr (GError) error = NULL;
  FunctionModule *module = functions_get_module (call->functions, application, &error);
  gsize length;
  const guint8 *argument = g_bytes_get_data (call->argument, &length);
  FunctionModuleRequest request
      = { .function = call->function,
          .user = call->user,
          .application = call->application,
          .request = call->request,
          .argument = argument,
          .n_argument = length,
          .now_s = clock_get_wall_us (call->functions->server->clock) / G_USEC_PER_SEC };
  if (module == NULL)
    fail (call, "unavailable", error->message, NULL);
  else if (!function_module_call (module, &request, &events, on_done, call))
    fail (call, "unavailable", "its module cannot be called now", NULL);
}

static void
run (FunctionCall *call)
{
  g_autoptr (GError) error = NULL;
  FunctionApplication *application = functions_find_application (call->functions, call->application, &error);
  const Predefined *predefined = predefined_find (call->function);
  FunctionAnswer gone
      = { .kind = error != NULL ? FUNCTION_ANSWER_FAULT : FUNCTION_ANSWER_NOT_FOUND, .error = error };
  if (application == NULL) /* it was there when the call was taken */
    {
      end (call, &gone);
      return;
    }
  on_begin (call);
  call->most_user_bytes = application->manifest->user_bytes;
  if (predefined != NULL)
    predefined_run (predefined, call);
  else
    run_module (call, application);
}

void
executor_start (FunctionCall *call)
{
  call->attempt = 0;
  run (call);
}
