#include "common/net/plugin-server-answer.h"

#include "common/base/clock.h"

#include <jansson.h>
#include <string.h>

#define SERIAL_MAX 4096 /* bytes */

const char *
plugin_server_find_serial_fault (const char *text, gsize length)
{
  if (length < 1)
    return "its serial is empty";
  if (length > SERIAL_MAX)
    return "its serial is over 4,096 bytes";
  if (g_ascii_isspace (text[0]) || g_ascii_isspace (text[length - 1]))
    return "its serial begins or ends with a space";
  for (gsize i = 0; i < length; i++)
    if ((text[i] < 0x20 || text[i] > 0x7e) && text[i] != '\n')
      return "its serial holds a character that is not printable ASCII";
  return NULL;
}

static const char *
take_serial (PluginServerAnswer *answer, const json_t *root)
{
  const json_t *serial = json_object_get (root, "serial");
  const json_t *expires = json_object_get (root, "expires");
  if (!json_is_object (root))
    return "its answer is not a JSON object";
  if (!json_is_string (serial))
    return "its answer holds no serial";
  const char *text = json_string_value (serial);
  const char *fault = plugin_server_find_serial_fault (text, json_string_length (serial));
  if (fault != NULL)
    return fault;
  if (expires != NULL && !json_is_null (expires)
      && (!json_is_string (expires)
          || !clock_parse_rfc3339 (json_string_value (expires), &answer->expires_us)))
    return "its expires is not a time of RFC 3339";
  answer->serial = secret_new (text, json_string_length (serial));
  return NULL;
}

static void
judge_body (PluginServerAnswer *answer, gboolean is_success, const char *body, gsize length)
{
  json_t *root = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
  if (is_success)
    {
      answer->reason = take_serial (answer, root);
      answer->verdict = answer->reason == NULL ? PLUGIN_SERVER_SERIAL : PLUGIN_SERVER_FAULT;
    }
  else
    {
      gboolean is_final = json_is_string (json_object_get (root, "error"));
      answer->reason = is_final ? NULL : "its refusal is no JSON with an error";
      answer->verdict = is_final ? PLUGIN_SERVER_REFUSED : PLUGIN_SERVER_FAULT;
    }
  json_decref (root);
}

/* What no method has an answer of its own for. */
static PluginServerVerdict
judge_status (HttpOutcome outcome, int status)
{
  if (outcome == HTTP_TLS_REFUSED || outcome == HTTP_TOO_LARGE)
    return PLUGIN_SERVER_FAULT;
  if (status == 0 || status == 408 || status == 425 || status == 429 || status >= 500)
    return PLUGIN_SERVER_IN_DOUBT;
  return PLUGIN_SERVER_FAULT;
}

void
plugin_server_judge (PluginServerAnswer *answer, const char *method, HttpOutcome outcome, int status,
                     const char *body, gsize length)
{
  *answer = (PluginServerAnswer){ .verdict = judge_status (outcome, status) };
  if (strcmp (method, "DELETE") == 0)
    {
      if (status == 200 || status == 204)
        answer->verdict = PLUGIN_SERVER_IS_VOID;
    }
  else if (strcmp (method, "GET") == 0)
    {
      if (status == 404)
        answer->verdict = PLUGIN_SERVER_NOT_SO_FAR;
      else if (status == 200 || status == 410)
        judge_body (answer, status == 200, body, length);
    }
  else if (status == 200 || status == 201)
    judge_body (answer, TRUE, body, length);
  else if (status == 400 || status == 409 || status == 410 || status == 422)
    judge_body (answer, FALSE, body, length);
}

void
plugin_server_judge_reply (PluginServerAnswer *answer, const char *method, const HttpReply *reply)
{
  gsize length;
  const char *body = http_reply_peek_body (reply, &length);
  plugin_server_judge (answer, method, http_reply_get_outcome (reply), http_reply_get_status (reply), body,
                       length);
}

void
plugin_server_answer_clear (PluginServerAnswer *answer)
{
  secret_free (answer->serial);
  answer->serial = NULL;
}
