#include "host-server/market/books/issue.h"

#include "common/base/clock.h"
#include "common/net/plugin-server-answer.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/room.h"
#include "host-server/modules/modules.h"

#include <jansson.h>
#include <string.h>

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
  if (kind == ISSUE_GOT_SERIAL
      && plugin_server_find_serial_fault (result->serial, strlen (result->serial)) != NULL)
    {
      settle (run, ISSUE_FAILED, "what came is not a serial");
      return;
    }
  if (kind == ISSUE_GOT_SERIAL)
    {
      run->result.serial = secret_new (result->serial, strlen (result->serial));
      run->result.expires_us = MIN (result->expires_s, G_MAXINT64 / G_USEC_PER_SEC) * G_USEC_PER_SEC;
    }
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

static void
settle_answer (Run *run, PluginServerAnswer *answer, const HttpReply *reply)
{
  static const IssueResultKind kinds[] = {
    [PLUGIN_SERVER_SERIAL] = ISSUE_GOT_SERIAL, [PLUGIN_SERVER_NOT_SO_FAR] = ISSUE_IN_DOUBT,
    [PLUGIN_SERVER_IS_VOID] = ISSUE_IS_VOID,   [PLUGIN_SERVER_REFUSED] = ISSUE_REFUSED,
    [PLUGIN_SERVER_IN_DOUBT] = ISSUE_IN_DOUBT, [PLUGIN_SERVER_FAULT] = ISSUE_FAULT,
  };
  run->result.retry_after_s = http_reply_get_retry_after_s (reply);
  run->result.serial = g_steal_pointer (&answer->serial);
  run->result.expires_us = answer->expires_us;
  settle (run, kinds[answer->verdict],
          answer->reason != NULL ? answer->reason : http_reply_peek_reason (reply));
}

static void
got_post (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  g_auto (PluginServerAnswer) answer = { 0 };
  market_end_call (run->market, run);
  plugin_server_judge_reply (&answer, "POST", reply);
  settle_answer (run, &answer, reply);
}

static void
got_get (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  g_auto (PluginServerAnswer) answer = { 0 };
  market_end_call (run->market, run);
  plugin_server_judge_reply (&answer, "GET", reply);
  if (answer.verdict == PLUGIN_SERVER_NOT_SO_FAR)
    send_to_vendor (run, "POST", got_post);
  else
    settle_answer (run, &answer, reply);
}

static void
got_delete (const HttpReply *reply, gpointer data)
{
  Run *run = data;
  g_auto (PluginServerAnswer) answer = { 0 };
  market_end_call (run->market, run);
  plugin_server_judge_reply (&answer, "DELETE", reply);
  settle_answer (run, &answer, reply);
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
        .max_answer_bytes = PLUGIN_SERVER_MAX_ANSWER,
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
  run->result.is_of_plugin_server = g_str_equal (item->source, SOURCE_PLUGIN_SERVER);
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
  if (pause < 0) /* until it is acknowledged, but once a day */
    {
      turn_log (turn, LOG_LEVEL_ERROR, "the plugin server does not hear that request %s is void: %s",
                run->job->subject, run->result.reason);
      pause = G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC;
    }
  return job_retry (turn, run->job, MAX (pause, run->result.retry_after_s * G_USEC_PER_SEC), &is_held, error);
}

void
issue_run_void (Market *market, const Job *job)
{
  Run *run = run_new (market, job);
  if (run != NULL)
    send_to_vendor (run, "DELETE", got_delete);
}
