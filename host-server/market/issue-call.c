#include "host-server/market/issue.h"

#include "common/base/clock.h"
#include "host-server/market/crash.h"
#include "host-server/market/plugins.h"
#include "host-server/market/room.h"
#include "host-server/modules/modules.h"

#include <jansson.h>
#include <string.h>

#define SERIAL_MAX 4096 /* bytes */

typedef struct
{
  Market *market;
  Job *job;
  IssueCase *item;
  char *target;       /* path under the vendor's base */
  gboolean is_asking; /* GET, to be followed by POST if it knows nothing */
  IssueResult result;
  char *reason;
} Run;

static gboolean void_work (Turn *turn, gpointer data, GError **error);

static void
run_free (gpointer data)
{
  Run *run = data;
  job_free (run->job);
  issue_case_free (run->item);
  secret_free (run->result.serial);
  g_free (run->target);
  g_free (run->reason);
  g_free (run);
}

static gboolean
settle_work (Turn *turn, gpointer data, GError **error)
{
  Run *run = data;
  return issue_settle (turn, run->job, &run->result, error);
}

static void
settle_done (Market *market, gpointer data, const GError *error)
{
  Run *run = data;
  if (error != NULL) /* the lease ends and the job is claimed again */
    log_error ("market", "the result of an issue could not be stored order=%s: %s", run->item->purchase,
               error->message);
  run_free (run);
}

/* Hands the result to the writer. @reason is copied. */
static void
settle (Run *run, IssueResultKind kind, const char *reason)
{
  run->result.kind = kind;
  run->reason = g_strdup (reason);
  run->result.reason = run->reason;
  if (run->job->kind == JOB_VOID)
    {
      crash_point (VOID_CALLED);
      market_write_step (run->market, VOID, void_work, settle_done, run);
      return;
    }
  crash_point (ISSUE_CALLED);
  market_write_step (run->market, ISSUE, settle_work, settle_done, run);
}

static gboolean
serial_is_acceptable (const char *serial, gsize length)
{
  if (length < 1 || length > SERIAL_MAX || g_ascii_isspace (serial[0])
      || g_ascii_isspace (serial[length - 1]))
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if ((serial[i] < 0x20 || serial[i] > 0x7e) && serial[i] != '\n')
      return FALSE;
  return TRUE;
}

static void
got_keygen (const ModulesKeygenResult *result, gpointer data)
{
  static const IssueResultKind kinds[] = {
    [MODULES_OK] = ISSUE_GOT_SERIAL,
    [MODULES_REFUSED] = ISSUE_REFUSED,
    [MODULES_RETRY] = ISSUE_FAILED,
    [MODULES_FAILED] = ISSUE_FAILED,
    [MODULES_UNAVAILABLE] = ISSUE_UNAVAILABLE,
  };
  Run *run = data;
  IssueResultKind kind = kinds[result->outcome];
  if (run->market->is_closing) /* the modules are being closed: its job goes on at the next start */
    {
      run_free (run);
      return;
    }
  if (kind == ISSUE_GOT_SERIAL && !serial_is_acceptable (result->serial, strlen (result->serial)))
    {
      settle (run, ISSUE_FAILED, "what came is not a serial");
      return;
    }
  if (kind == ISSUE_GOT_SERIAL)
    run->result.serial = secret_new (result->serial, strlen (result->serial));
  settle (run, kind, result->reason != NULL ? result->reason : "");
}

static void
run_keygen (Run *run)
{
  const IssueCase *item = run->item;
  const MarketKeys *keys = &run->market->desk.keys;
  if (run->market->server->modules == NULL)
    {
      settle (run, ISSUE_UNAVAILABLE, "no vendor code runs here");
      return;
    }
  g_autofree char *user = pairwise_name (keys->pairwise, item->vendor, item->account);
  ModulesKeygenRequest request = {
    .module = item->module,
    .user = user,
    .plugin = item->plugin,
    .term = item->term,
    .line = item->line,
    .generation = item->generation,
    .counter = item->counter,
    .paid_at_s = item->paid_us / G_USEC_PER_SEC,
  };
  market_keys_derive_seed (keys, item->line, item->generation, item->counter, request.seed);
  crash_point (ISSUE_SENDING);
  modules_keygen_call (run->market->server->modules, &request, got_keygen, run);
  secret_wipe (request.seed, sizeof request.seed);
}

/* The plugin server (protocol.md section 8). */

static void send_to_vendor (Run *run, const char *method, HttpReplyFunc func);

static json_t *
parse_answer (const HttpReply *reply)
{
  gsize length;
  const char *body = http_reply_peek_body (reply, &length);
  json_t *root = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object (root))
    return root;
  json_decref (root);
  return NULL;
}

/* TRUE if the answer holds a serial, which is kept in @run. */
static gboolean
take_answer (Run *run, const HttpReply *reply)
{
  json_t *root = parse_answer (reply);
  json_t *serial = json_object_get (root, "serial");
  gboolean is_good = json_is_string (serial)
                     && serial_is_acceptable (json_string_value (serial), json_string_length (serial));
  if (is_good)
    run->result.serial = secret_new (json_string_value (serial), json_string_length (serial));
  json_decref (root);
  return is_good;
}

static void
got_post (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  market_end_call (run->market, run);
  int status = http_reply_get_status (reply);
  run->result.retry_after_s = http_reply_get_retry_after_s (reply);
  switch (status)
    {
    case 200:
    case 201:
      if (take_answer (run, reply))
        settle (run, ISSUE_GOT_SERIAL, "");
      else
        settle (run, ISSUE_FAULT, "its answer holds no serial");
      return;
    case 400:
    case 409:
    case 410:
    case 422:
      {
        json_t *root = parse_answer (reply);
        gboolean is_final = json_is_string (json_object_get (root, "error"));
        json_decref (root);
        settle (run, is_final ? ISSUE_REFUSED : ISSUE_FAULT, http_reply_peek_reason (reply));
        return;
      }
    case 0:
    case 408:
    case 425:
    case 429:
      settle (run, http_reply_get_outcome (reply) == HTTP_TLS_REFUSED ? ISSUE_FAULT : ISSUE_IN_DOUBT,
              http_reply_peek_reason (reply));
      return;
    default:
      settle (run, status >= 500 ? ISSUE_IN_DOUBT : ISSUE_FAULT, http_reply_peek_reason (reply));
      return;
    }
}

static void
got_get (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  market_end_call (run->market, run);
  if (http_reply_get_status (reply) == 200 && take_answer (run, reply))
    {
      settle (run, ISSUE_GOT_SERIAL, "");
      return;
    }
  run->result.retry_after_s = http_reply_get_retry_after_s (reply);
  if (http_reply_get_status (reply) == 404) /* not so far: the same request again cannot issue twice */
    send_to_vendor (run, "POST", got_post);
  else
    settle (run, ISSUE_IN_DOUBT, http_reply_peek_reason (reply));
}

static void
got_delete (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  market_end_call (run->market, run);
  int status = http_reply_get_status (reply);
  run->result.retry_after_s = http_reply_get_retry_after_s (reply);
  if (status == 200 || status == 204)
    settle (run, ISSUE_IS_VOID, "");
  else
    settle (run, status == 401 || status == 403 || status == 404 ? ISSUE_FAULT : ISSUE_IN_DOUBT,
            http_reply_peek_reason (reply));
}

/* NULL if the vendor cannot be called at all. */
static HttpBase *
find_base (Run *run, WebhookRing **ring)
{
  *ring = ring_find_vendor (run->market, run->item->vendor);
  return *ring != NULL ? http_base_new (run->item->base, NULL) : NULL;
}

static void
send_to_vendor (Run *run, const char *method, HttpReplyFunc func)
{
  const IssueCase *item = run->item;
  WebhookRing *ring;
  HttpBase *base = find_base (run, &ring);
  if (base == NULL)
    {
      settle (run, ISSUE_FAULT, "the vendor has no secret or no base URL");
      return;
    }

  gboolean is_post = g_str_equal (method, "POST");
  g_autofree char *request_id = g_strdup_printf ("%s.%u", item->line, item->generation);
  g_autoptr (GString) path = g_string_new ("/v1/serials");
  json_t *json = NULL;
  if (is_post)
    {
      g_autofree char *user = pairwise_name (run->market->desk.keys.pairwise, item->vendor, item->account);
      const char *term
          = item->term != NULL && item->term[0] != '\0' ? item->term : NULL; /* absent: for ever */
      json = json_pack ("{s:s, s:s, s:s, s:s*}", "request", request_id, "plugin", item->plugin, "user", user,
                        "term", term);
    }
  else
    {
      g_string_append_c (path, '/');
      http_append_segment (path, request_id);
    }
  char *body = json != NULL ? json_dumps (json, JSON_COMPACT) : NULL;
  gsize length = body != NULL ? strlen (body) : 0;
  json_decref (json);

  g_autofree char *target = http_base_dup_target (base, path->str);
  g_auto (GStrv) headers = webhook_sign_request (ring, method, target, body, length,
                                                 clock_get_wall_us (run->market->desk.clock));
  if (headers == NULL)
    settle (run, ISSUE_FAULT, "no secret of the vendor is valid now");
  else
    {
      HttpRequest request = {
        .method = method,
        .path = path->str,
        .headers = (const char *const *)headers,
        .body = body,
        .body_length = length,
        .timeout_ms = (guint)(run->market->desk.settings.vendor_timeout_us / 1000),
        .max_answer_bytes = 16 * 1024,
        .is_alone = TRUE, /* an answer holds a serial, and does not say whose */
      };
      if (run->job->kind == JOB_VOID)
        crash_point (VOID_SENDING);
      else if (is_post)
        crash_point (ISSUE_SENDING);
      else
        crash_point (ISSUE_ASKING);
      market_begin_call (run->market, run, run_free);
      http_client_send (run->market->http, base, &request, func, run);
    }
  free (body);
  http_base_free (base);
}

static gboolean
pool_work (Turn *turn, gpointer data, GError **error)
{
  Run *run = data;
  return issue_from_pool (turn, run->job, error);
}

static Run *
run_new (Market *market, const Job *job)
{
  g_autoptr (GError) error = NULL;
  IssueCase *item = issue_case_load (market_peek_reader (market), job->subject, &error);
  if (item == NULL)
    {
      log_error ("market", "issue %s cannot be read: %s", job->subject,
                 error != NULL ? error->message : "no such row");
      return NULL;
    }
  Run *run = g_new0 (Run, 1);
  run->market = market;
  run->job = job_copy (job);
  run->item = item;
  run->result.retry_after_s = -1;
  return run;
}

void
issue_run (Market *market, const Job *job)
{
  Run *run = run_new (market, job);
  if (run == NULL)
    return;
  if (g_str_equal (run->item->source, SOURCE_POOL))
    market_write_step (market, ISSUE, pool_work, settle_done, run);
  else if (g_str_equal (run->item->source, SOURCE_KEYGEN))
    run_keygen (run);
  else if (run->item->state == ISSUE_VOIDING)
    send_to_vendor (run, "DELETE", got_delete);
  else if (job->attempt > 0 || job->fence > 1) /* an earlier attempt may have been heard */
    send_to_vendor (run, "GET", got_get);
  else
    send_to_vendor (run, "POST", got_post);
}

/* Voiding what must not be used any more. Nothing of ours depends on the answer. */

static gboolean
void_work (Turn *turn, gpointer data, GError **error)
{
  Run *run = data;
  const MarketSettings *settings = &turn->desk->settings;
  gboolean is_held;
  if (run->result.kind == ISSUE_IS_VOID)
    return job_finish (turn, run->job, &is_held, error);
  gint64 pause
      = settings_get_pause (settings->refund_retry_us, settings->n_refund_retry, run->job->attempt + 1);
  if (pause >= 0)
    return job_retry (turn, run->job, MAX (pause, run->result.retry_after_s * G_USEC_PER_SEC), &is_held,
                      error);
  turn_log (turn, LOG_LEVEL_ERROR, "the plugin server was not told that request %s is void: %s",
            run->job->subject, run->result.reason);
  return job_finish (turn, run->job, &is_held, error);
}

static void
got_void (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  market_end_call (run->market, run);
  int status = http_reply_get_status (reply);
  run->result.retry_after_s = http_reply_get_retry_after_s (reply);
  settle (run, status == 200 || status == 204 ? ISSUE_IS_VOID : ISSUE_IN_DOUBT,
          http_reply_peek_reason (reply));
}

void
issue_run_void (Market *market, const Job *job)
{
  Run *run = run_new (market, job);
  if (run != NULL)
    send_to_vendor (run, "DELETE", got_void);
}
