#include "host-server/admin/vendor-check-rows.h"

#include "common/base/id.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define USER_BYTES 16 /* 26 characters, as pairwise names have */

/* --- results: the first failure of a row stays */

G_GNUC_PRINTF (3, 4)
static void
conclude (Row *row, RowResult result, const char *format, ...)
{
  if (row->result != ROW_PASSED)
    return;
  va_list list;
  va_start (list, format);
  g_string_vprintf (row->reason, format, list);
  va_end (list);
  row->result = result;
}

/* @what was expected, and @answer is something else. */
static void
disappoint (Row *row, const char *what, const Answer *answer)
{
  g_autofree char *came = answer_describe (answer);
  conclude (row, ROW_FAILED, "%s: %s", what, came);
}

/* --- questions */

void
check_init (Check *check, Asker *asker, const Clock *clock)
{
  *check = (Check){ .asker = asker, .clock = clock };
  check->prefix = id_new_sortable ("check_", clock);
  check->user = id_new_random (USER_BYTES);
  check->requests = g_ptr_array_new_with_free_func (g_free);
}

void
check_clear (Check *check)
{
  g_free (check->prefix);
  g_free (check->user);
  g_ptr_array_unref (check->requests);
  answer_free (check->issued);
  g_free (check->serial);
}

/* A request id that nobody has: "<order line>.<generation>", of a line that no order has. It lives as long as
 * @check. */
static const char *
new_request (Check *check)
{
  char *request = g_strdup_printf ("%s_%u.0", check->prefix, check->requests->len + 1);
  g_ptr_array_add (check->requests, request);
  return request;
}

/* A pairwise name that no user has. */
static char *
new_user (void)
{
  return id_new_random (USER_BYTES);
}

static char *
make_body (const Check *check, const char *request, const char *plugin, const char *user)
{
  json_t *object = json_pack ("{s:s, s:s, s:s, s:s*}", "request", request, "plugin", plugin, "user", user,
                              "term", check->term);
  char *text = json_dumps (object, JSON_COMPACT), *body = g_strdup (text);
  free (text);
  json_decref (object);
  return body;
}

static Answer *
post_body (Check *check, const char *body, Signing signing)
{
  return asker_ask (check->asker, &(Question){ "POST", "/v1/serials", body, signing });
}

static Answer *
post (Check *check, const char *request, const char *user, Signing signing)
{
  g_autofree char *body = make_body (check, request, check->plugin, user);
  return post_body (check, body, signing);
}

static Answer *
ask_about (Check *check, const char *method, const char *request, Signing signing)
{
  g_autofree char *path = g_strconcat ("/v1/serials/", request, NULL);
  return asker_ask (check->asker, &(Question){ method, path, NULL, signing });
}

/* Issues @request for @user; NULL after having concluded that it did not come to that. */
static char *
issue (Check *check, Row *row, const char *request, const char *user)
{
  g_autoptr (Answer) answer = post (check, request, user, SIGN_WELL);
  char *serial = answer_dup_serial (answer);
  if (serial == NULL)
    disappoint (row, "no serial upon a POST", answer);
  return serial;
}

static void
expect_verdict (Check *check, Row *row, const char *method, const char *request, PluginServerVerdict verdict,
                const char *otherwise)
{
  g_autoptr (Answer) answer = ask_about (check, method, request, SIGN_WELL);
  if (answer->judged.verdict != verdict)
    disappoint (row, otherwise, answer);
}

/* A POST of a void request: 410 with an error. */
static void
expect_gone (Check *check, Row *row, const char *request, const char *user)
{
  g_autoptr (Answer) answer = post (check, request, user, SIGN_WELL);
  if (answer->status != 410 || answer->judged.verdict != PLUGIN_SERVER_REFUSED)
    disappoint (row, "a POST of a void request is to get 410 with a JSON error", answer);
}

static gboolean
is_the_first (const Check *check, const Answer *answer, char **serial)
{
  *serial = answer_dup_serial (answer);
  return *serial != NULL && strcmp (*serial, check->serial) == 0;
}

static const char *
first_request (const Check *check)
{
  return check->requests->pdata[0];
}

/* --- issuing */

static void
row_issue (Check *check, Row *row)
{
  check->issued = post (check, new_request (check), check->user, SIGN_WELL);
  check->serial = answer_dup_serial (check->issued);
  if (check->serial == NULL)
    disappoint (row, "a POST is to get 201 with a JSON object that holds a serial", check->issued);
}

static void
row_serial (Check *check, Row *row)
{
  const char *fault = plugin_server_find_serial_fault (check->serial, strlen (check->serial));
  if (fault != NULL)
    conclude (row, ROW_FAILED, "%s", fault);
}

static void
row_expires (Check *check, Row *row)
{
  json_t *root = json_loadb (check->issued->body, check->issued->length, JSON_REJECT_DUPLICATES, NULL);
  const json_t *expires = json_object_get (root, "expires");
  gint64 at_us;
  if (expires == NULL || json_is_null (expires))
    conclude (row, ROW_PASSED, "none was told: the host counts the term by itself");
  else if (!json_is_string (expires) || !clock_parse_rfc3339 (json_string_value (expires), &at_us))
    conclude (row, ROW_FAILED, "it is not a time of RFC 3339, such as 2027-01-01T00:00:00Z");
  else if (at_us <= clock_get_wall_us (check->clock))
    conclude (row, ROW_FAILED, "%s is over already", json_string_value (expires));
  json_decref (root);
}

static void
row_same_request (Check *check, Row *row)
{
  g_autofree char *serial = NULL;
  g_autoptr (Answer) answer = post (check, first_request (check), check->user, SIGN_WELL);
  if (is_the_first (check, answer, &serial))
    return;
  if (serial == NULL)
    disappoint (row, "the same request is to get the same serial", answer);
  else
    conclude (row, ROW_FAILED, "the same request got another serial: the host may deliver either");
}

static void
row_at_once (Check *check, Row *row)
{
  g_autofree char *user = new_user ();
  g_autofree char *body = make_body (check, new_request (check), check->plugin, user);
  Answer *answers[2];
  asker_ask_twice (check->asker, &(Question){ "POST", "/v1/serials", body, SIGN_WELL }, answers);
  g_autoptr (Answer) one = answers[0], other = answers[1];
  g_autofree char *serial = answer_dup_serial (one), *again = answer_dup_serial (other);
  if (serial == NULL || again == NULL)
    disappoint (row, "the same request twice at once is to get one serial", serial == NULL ? one : other);
  else if (strcmp (serial, again) != 0)
    conclude (row, ROW_FAILED, "the same request twice at once got two serials");
}

static void
row_other_request (Check *check, Row *row)
{
  g_autofree char *user = new_user ();
  g_autofree char *serial = issue (check, row, new_request (check), user);
  if (serial != NULL && strcmp (serial, check->serial) == 0)
    conclude (row, ROW_FAILED,
              "another user's request got the same serial: the host gives it up and pays the money back");
}

static void
row_look_up (Check *check, Row *row)
{
  g_autofree char *serial = NULL;
  g_autoptr (Answer) answer = ask_about (check, "GET", first_request (check), SIGN_WELL);
  if (is_the_first (check, answer, &serial))
    return;
  if (serial == NULL)
    disappoint (row, "a GET of what was issued is to get 200 with the serial", answer);
  else
    conclude (row, ROW_FAILED, "a GET tells another serial than the POST did");
}

static void
row_look_up_unknown (Check *check, Row *row)
{
  expect_verdict (check, row, "GET", new_request (check), PLUGIN_SERVER_NOT_SO_FAR,
                  "a GET of what was never asked for is to get 404");
}

/* --- voiding */

static void
row_void (Check *check, Row *row)
{
  expect_verdict (check, row, "DELETE", first_request (check), PLUGIN_SERVER_IS_VOID,
                  "a DELETE is to get 200 or 204");
}

static void
row_void_again (Check *check, Row *row)
{
  expect_verdict (check, row, "DELETE", first_request (check), PLUGIN_SERVER_IS_VOID,
                  "a second DELETE is to get 200 or 204 as well");
}

static void
row_void_stays (Check *check, Row *row)
{
  expect_gone (check, row, first_request (check), check->user);
  g_autoptr (Answer) answer = ask_about (check, "GET", first_request (check), SIGN_WELL);
  if (answer->judged.verdict == PLUGIN_SERVER_SERIAL)
    disappoint (row, "a GET of what is void is to get 410 or 404", answer);
}

static void
row_void_unseen (Check *check, Row *row)
{
  const char *request = new_request (check);
  g_autofree char *user = new_user ();
  expect_verdict (check, row, "DELETE", request, PLUGIN_SERVER_IS_VOID,
                  "a DELETE of a request that was never seen is to get 200 or 204");
  expect_gone (check, row, request, user);
}

/* --- signatures */

/* A POST with that mistake is refused, and made nothing. 400 is an answer to headers that are missing. */
static void
expect_no_entry (Check *check, Row *row, Signing signing)
{
  const char *request = new_request (check);
  g_autofree char *user = new_user ();
  g_autoptr (Answer) answer = post (check, request, user, signing);
  if (answer->status != 401 && !(signing == SIGN_NOT && answer->status == 400))
    disappoint (row, "it is to get 401", answer);
  expect_verdict (check, row, "GET", request, PLUGIN_SERVER_NOT_SO_FAR,
                  "nothing is to be made of it, but a GET got");
}

static void
row_unsigned (Check *check, Row *row)
{
  expect_no_entry (check, row, SIGN_NOT);
}

static void
row_bad_signature (Check *check, Row *row)
{
  expect_no_entry (check, row, SIGN_WRONG_KEY);
}

static void
row_stale_signature (Check *check, Row *row)
{
  expect_no_entry (check, row, SIGN_STALE);
  expect_no_entry (check, row, SIGN_EARLY);
}

static void
row_other_body (Check *check, Row *row)
{
  expect_no_entry (check, row, SIGN_OTHER);
}

static void
row_other_path (Check *check, Row *row)
{
  const char *request = new_request (check);
  g_autofree char *user = new_user ();
  g_autofree char *serial = issue (check, row, request, user);
  if (serial == NULL)
    return;
  g_autoptr (Answer) answer = ask_about (check, "DELETE", request, SIGN_OTHER);
  if (answer->status != 401)
    disappoint (row, "a DELETE that was signed for another path is to get 401", answer);
  g_autoptr (Answer) looked_up = ask_about (check, "GET", request, SIGN_WELL);
  if (looked_up->judged.verdict != PLUGIN_SERVER_SERIAL)
    disappoint (row, "nothing is to be voided by it, but a GET got", looked_up);
}

/* --- refusals */

static void
row_unknown_plugin (Check *check, Row *row)
{
  g_autofree char *user = new_user (), *plugin = g_strconcat ("no-", new_request (check), NULL);
  for (char *at = plugin; *at != '\0'; at++)
    *at = *at == '_' ? '-' : *at;
  g_autofree char *body
      = make_body (check, g_ptr_array_index (check->requests, check->requests->len - 1), plugin, user);
  g_autoptr (Answer) answer = post_body (check, body, SIGN_WELL);
  if (answer->judged.verdict != PLUGIN_SERVER_REFUSED)
    disappoint (row, "a plugin that is not sold here is to get 400, 409, 410 or 422 with a JSON error",
                answer);
}

static void
row_malformed (Check *check, Row *row)
{
  static const char *const bodies[] = { "{\"request\":", "[]", "{}" };
  for (gsize i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_autoptr (Answer) answer = post_body (check, bodies[i], SIGN_WELL);
      g_autofree char *what = g_strdup_printf ("%s is to get 400 with a JSON error", bodies[i]);
      if (answer->status != 400 || answer->judged.verdict != PLUGIN_SERVER_REFUSED)
        disappoint (row, what, answer);
    }
}

/* --- tokens, time, and the end */

static char *
make_token_body (const Check *check)
{
  g_autofree char *expires
      = clock_dup_rfc3339 (clock_get_wall_us (check->clock) + 600 * (gint64)G_USEC_PER_SEC);
  g_autofree char *user = new_user (), *token = id_new_random (32);
  json_t *object = json_pack ("{s:s, s:s, s:s, s:s}", "token", token, "plugin", check->plugin, "user", user,
                              "expires", expires);
  char *text = json_dumps (object, JSON_COMPACT), *body = g_strdup (text);
  free (text);
  json_decref (object);
  return body;
}

static gboolean
is_done (const Answer *answer)
{
  return answer->status == 200 || answer->status == 201 || answer->status == 204;
}

static void
row_tokens (Check *check, Row *row)
{
  g_autofree char *body = make_token_body (check);
  g_autofree char *path = g_strconcat ("/v1/tokens/", check->prefix, NULL);
  g_autoptr (Answer) put = asker_ask (check->asker, &(Question){ "PUT", path, body, SIGN_WELL });
  if (put->status == 404 || put->status == 405 || put->status == 501)
    {
      conclude (row, ROW_SKIPPED,
                "%s: tokens are not kept here, so the plugin server asks the host about each", put->reason);
      return;
    }
  if (!is_done (put))
    disappoint (row, "a PUT of a token is to get 200, 201 or 204", put);
  g_autoptr (Answer) unsigned_put = asker_ask (check->asker, &(Question){ "PUT", path, body, SIGN_NOT });
  if (unsigned_put->status != 401 && unsigned_put->status != 400)
    disappoint (row, "a PUT that is not signed is to get 401", unsigned_put);
  g_autoptr (Answer) revoked = asker_ask (check->asker, &(Question){ "DELETE", path, NULL, SIGN_WELL });
  if (!is_done (revoked))
    disappoint (row, "a DELETE of a token is to get 200 or 204", revoked);
}

static void
row_in_time (Check *check, Row *row)
{
  double slowest_s = (double)asker_get_slowest_us (check->asker) / G_USEC_PER_SEC;
  if (slowest_s >= check->timeout_s)
    conclude (row, ROW_FAILED, "an answer did not come within %g s: the host does not wait for longer",
              check->timeout_s);
  else
    g_string_printf (row->reason, "the slowest answer took %.3f s of %g", slowest_s, check->timeout_s);
}

static void
row_clean_up (Check *check, Row *row)
{
  guint n_left = 0;
  for (guint i = 0; i < check->requests->len; i++)
    {
      g_autoptr (Answer) answer = ask_about (check, "DELETE", check->requests->pdata[i], SIGN_WELL);
      n_left += answer->judged.verdict != PLUGIN_SERVER_IS_VOID ? 1 : 0;
    }
  if (n_left > 0)
    conclude (row, ROW_FAILED, "%u of %u requests of this check, all beginning with %s, could not be voided",
              n_left, check->requests->len, check->prefix);
  else
    g_string_printf (row->reason, "%u requests voided", check->requests->len);
}

const CheckRow *
check_get_rows (gsize *n)
{
  static const CheckRow rows[] = {
    { "issue", FALSE, row_issue },
    { "serial", TRUE, row_serial },
    { "expires", TRUE, row_expires },
    { "same-request", TRUE, row_same_request },
    { "at-once", TRUE, row_at_once },
    { "other-request", TRUE, row_other_request },
    { "look-up", TRUE, row_look_up },
    { "look-up-unknown", FALSE, row_look_up_unknown },
    { "void", FALSE, row_void },
    { "void-again", FALSE, row_void_again },
    { "void-stays", FALSE, row_void_stays },
    { "void-unseen", FALSE, row_void_unseen },
    { "unsigned", FALSE, row_unsigned },
    { "bad-signature", FALSE, row_bad_signature },
    { "stale-signature", FALSE, row_stale_signature },
    { "other-body", FALSE, row_other_body },
    { "other-path", TRUE, row_other_path },
    { "unknown-plugin", FALSE, row_unknown_plugin },
    { "malformed", FALSE, row_malformed },
    { "tokens", FALSE, row_tokens },
    { "in-time", FALSE, row_in_time },
    { "clean-up", FALSE, row_clean_up },
  };
  *n = G_N_ELEMENTS (rows);
  return rows;
}
