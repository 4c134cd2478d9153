#include "host-server/admin/vendor-check-ask.h"

#include <jansson.h>
#include <string.h>

#define OFF_US     (600 * (gint64)G_USEC_PER_SEC) /* twice what a signature is good for */
#define MAX_QUOTED 200                            /* bytes of what the vendor says, in a reason */

struct Asker
{
  const AskerOptions *options;
  GMainContext *context;
  HttpClient *client;
  WebhookRing *ring, *wrong_ring;
  Clock *clock;
  gint64 slowest_us;
};

typedef struct
{
  Asker *asker;
  const char *method;
  gint64 began_us;
  Answer *answer; /* NULL until it came */
} Wait;

static WebhookRing *
ring_of (const Secret *secret, GError **error)
{
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  return webhook_ring_add (ring, secret, 0, 0, error) ? g_steal_pointer (&ring) : NULL;
}

Asker *
asker_new (const AskerOptions *options, GError **error)
{
  g_autoptr (WebhookRing) ring = ring_of (options->secret, error);
  if (ring == NULL)
    return NULL;
  g_autoptr (Secret) wrong = webhook_secret_new ();
  Asker *asker = g_new0 (Asker, 1);
  asker->options = options;
  asker->ring = g_steal_pointer (&ring);
  asker->wrong_ring = ring_of (wrong, NULL);
  asker->clock = clock_new_system ();
  asker->context = g_main_context_new ();
  asker->client = http_client_new (asker->context, options->ca_file, 0);
  return asker;
}

void
asker_free (Asker *asker)
{
  if (asker == NULL)
    return;
  http_client_free (asker->client);
  g_main_context_unref (asker->context);
  webhook_ring_free (asker->ring);
  webhook_ring_free (asker->wrong_ring);
  clock_free (asker->clock);
  g_free (asker);
}

void
answer_free (Answer *answer)
{
  if (answer == NULL)
    return;
  plugin_server_answer_clear (&answer->judged);
  g_free (answer->reason);
  g_free (answer->body);
  g_free (answer);
}

static void
on_reply (const HttpReply *reply, gpointer data)
{
  Wait *wait = data;
  Answer *answer = g_new0 (Answer, 1);
  const char *body = http_reply_peek_body (reply, &answer->length);
  answer->outcome = http_reply_get_outcome (reply);
  answer->status = http_reply_get_status (reply);
  answer->reason = g_strdup (http_reply_peek_reason (reply));
  answer->body = g_memdup2 (body, answer->length + 1);
  answer->took_us = clock_get_monotonic_us (wait->asker->clock) - wait->began_us;
  plugin_server_judge_reply (&answer->judged, wait->method, reply);
  wait->asker->slowest_us = MAX (wait->asker->slowest_us, answer->took_us);
  wait->answer = answer;
}

/* NULL: none are to be sent. */
static char **
make_headers (const Asker *asker, const Question *question)
{
  const WebhookRing *ring = question->signing == SIGN_WRONG_KEY ? asker->wrong_ring : asker->ring;
  gint64 now_us = clock_get_wall_us (asker->clock);
  g_autofree char *path
      = g_strconcat (question->path, question->signing == SIGN_OTHER ? "-other" : NULL, NULL);
  g_autofree char *target = http_base_dup_target (asker->options->base, path);
  g_autofree char *body = NULL;
  if (question->body != NULL)
    body = g_strconcat (question->body, question->signing == SIGN_OTHER ? " " : NULL, NULL);
  switch (question->signing)
    {
    case SIGN_NOT:
      return NULL;
    case SIGN_STALE:
      now_us -= OFF_US;
      break;
    case SIGN_EARLY:
      now_us += OFF_US;
      break;
    default:
      break;
    }
  return webhook_sign_request (ring, question->method, target, body, body != NULL ? strlen (body) : 0,
                               now_us);
}

static void
begin (Asker *asker, const Question *question, Wait *wait)
{
  g_auto (GStrv) headers = make_headers (asker, question);
  HttpRequest request = {
    .method = question->method,
    .path = question->path,
    .headers = (const char *const *)headers,
    .body = question->body,
    .body_length = question->body != NULL ? strlen (question->body) : 0,
    .timeout_ms = (guint)(asker->options->timeout_s * 1000),
    .max_answer_bytes = PLUGIN_SERVER_MAX_ANSWER,
  };
  *wait = (Wait){ asker, question->method, clock_get_monotonic_us (asker->clock), NULL };
  http_client_send (asker->client, asker->options->base, &request, on_reply, wait);
}

Answer *
asker_ask (Asker *asker, const Question *question)
{
  Wait wait;
  begin (asker, question, &wait);
  while (wait.answer == NULL)
    g_main_context_iteration (asker->context, TRUE);
  return wait.answer;
}

void
asker_ask_twice (Asker *asker, const Question *question, Answer *answers[2])
{
  Wait waits[2];
  begin (asker, question, &waits[0]);
  begin (asker, question, &waits[1]);
  while (waits[0].answer == NULL || waits[1].answer == NULL)
    g_main_context_iteration (asker->context, TRUE);
  answers[0] = waits[0].answer;
  answers[1] = waits[1].answer;
}

gint64
asker_get_slowest_us (const Asker *asker)
{
  return asker->slowest_us;
}

char *
answer_dup_member (const Answer *answer, const char *name)
{
  json_t *root = json_loadb (answer->body, answer->length, JSON_REJECT_DUPLICATES, NULL);
  char *text = g_strdup (json_string_value (json_object_get (root, name)));
  json_decref (root);
  return text;
}

char *
answer_dup_serial (const Answer *answer)
{
  return answer->status == 200 || answer->status == 201 ? answer_dup_member (answer, "serial") : NULL;
}

static const char *
consequence_of (PluginServerVerdict verdict)
{
  switch (verdict)
    {
    case PLUGIN_SERVER_SERIAL:
      return "the host would take it for a serial";
    case PLUGIN_SERVER_NOT_SO_FAR:
      return "the host would take it for 'not so far'";
    case PLUGIN_SERVER_IS_VOID:
      return "the host would take it for void";
    case PLUGIN_SERVER_REFUSED:
      return "the host would take it for a final refusal";
    case PLUGIN_SERVER_IN_DOUBT:
      return "the host would try again";
    case PLUGIN_SERVER_FAULT:
      return "a configuration fault, upon which the host stops selling the plugin";
    }
  g_assert_not_reached ();
}

char *
answer_describe (const Answer *answer)
{
  GString *text = g_string_new (answer->reason);
  g_autofree char *error = answer_dup_member (answer, "error");
  if (error != NULL)
    {
      g_autofree char *quoted = g_utf8_make_valid (error, (gssize)MIN (strlen (error), MAX_QUOTED));
      g_string_append_printf (text, " (%s)", quoted);
    }
  if (answer->status >= 300 && answer->status < 400)
    g_string_append (text, ", a redirect, which the host never follows");
  if (answer->judged.reason != NULL)
    g_string_append_printf (text, ", %s", answer->judged.reason);
  g_string_append_printf (text, ": %s", consequence_of (answer->judged.verdict));
  return g_string_free (text, FALSE);
}
