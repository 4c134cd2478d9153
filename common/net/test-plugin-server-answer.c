#include "common/net/plugin-server-answer.h"

#include <string.h>

#define JSON_ERROR "{\"error\":\"no\"}"
#define SERIAL     "{\"serial\":\"AB-12\"}"

typedef struct
{
  const char *method;
  int status;
  const char *body;
  PluginServerVerdict verdict;
} Row;

static const Row rows[] = {
  /* A serial. */
  { "POST", 201, SERIAL, PLUGIN_SERVER_SERIAL },
  { "POST", 200, SERIAL, PLUGIN_SERVER_SERIAL },
  { "POST", 201, "{\"serial\":\"two\\nlines of it\",\"expires\":null,\"note\":7}", PLUGIN_SERVER_SERIAL },
  { "GET", 200, SERIAL, PLUGIN_SERVER_SERIAL },
  /* What calls itself one. */
  { "POST", 201, "", PLUGIN_SERVER_FAULT },
  { "POST", 200, "<html>Thank you!</html>", PLUGIN_SERVER_FAULT },
  { "POST", 201, "[\"AB-12\"]", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":12}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\" AB\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"AB\\n\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"A\\u0007B\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"A\\u0000B\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"\xc3\xa9\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"A\",\"serial\":\"B\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"A\"} more", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"A\",\"expires\":\"tomorrow\"}", PLUGIN_SERVER_FAULT },
  { "POST", 201, "{\"serial\":\"A\",\"expires\":1795564799}", PLUGIN_SERVER_FAULT },
  { "GET", 200, "<html>", PLUGIN_SERVER_FAULT },
  { "POST", 204, "", PLUGIN_SERVER_FAULT },
  { "POST", 202, SERIAL, PLUGIN_SERVER_FAULT },
  /* Final refusals, which say why. */
  { "POST", 400, JSON_ERROR, PLUGIN_SERVER_REFUSED },
  { "POST", 409, JSON_ERROR, PLUGIN_SERVER_REFUSED },
  { "POST", 410, JSON_ERROR, PLUGIN_SERVER_REFUSED },
  { "POST", 422, JSON_ERROR, PLUGIN_SERVER_REFUSED },
  { "GET", 410, JSON_ERROR, PLUGIN_SERVER_REFUSED },
  { "POST", 422, "no", PLUGIN_SERVER_FAULT },
  { "POST", 400, "{\"error\":4}", PLUGIN_SERVER_FAULT },
  { "POST", 410, "", PLUGIN_SERVER_FAULT },
  { "GET", 410, "", PLUGIN_SERVER_FAULT },
  { "POST", 402, JSON_ERROR, PLUGIN_SERVER_FAULT },
  /* Not now. */
  { "POST", 408, JSON_ERROR, PLUGIN_SERVER_IN_DOUBT },
  { "POST", 425, "", PLUGIN_SERVER_IN_DOUBT },
  { "POST", 429, "", PLUGIN_SERVER_IN_DOUBT },
  { "POST", 500, "<html>", PLUGIN_SERVER_IN_DOUBT },
  { "POST", 503, JSON_ERROR, PLUGIN_SERVER_IN_DOUBT },
  { "GET", 502, "", PLUGIN_SERVER_IN_DOUBT },
  { "DELETE", 500, "", PLUGIN_SERVER_IN_DOUBT },
  { "DELETE", 429, "", PLUGIN_SERVER_IN_DOUBT },
  /* Configuration faults. */
  { "POST", 401, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "POST", 403, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "POST", 404, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "POST", 301, "", PLUGIN_SERVER_FAULT },
  { "POST", 307, SERIAL, PLUGIN_SERVER_FAULT },
  { "GET", 302, "", PLUGIN_SERVER_FAULT },
  { "GET", 401, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "GET", 403, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "DELETE", 308, "", PLUGIN_SERVER_FAULT },
  { "DELETE", 401, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "DELETE", 404, JSON_ERROR, PLUGIN_SERVER_FAULT },
  { "DELETE", 410, JSON_ERROR, PLUGIN_SERVER_FAULT },
  /* The rest of GET and DELETE. */
  { "GET", 404, "", PLUGIN_SERVER_NOT_SO_FAR },
  { "DELETE", 200, "anything", PLUGIN_SERVER_IS_VOID },
  { "DELETE", 204, "", PLUGIN_SERVER_IS_VOID },
  { "DELETE", 202, "", PLUGIN_SERVER_FAULT },
};

static void
test_answer_means_what_the_table_says (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_auto (PluginServerAnswer) answer = { 0 };
      plugin_server_judge (&answer, rows[i].method, HTTP_ANSWERED, rows[i].status, rows[i].body,
                           strlen (rows[i].body));
      if (answer.verdict != rows[i].verdict
          || (answer.serial != NULL) != (answer.verdict == PLUGIN_SERVER_SERIAL))
        g_error ("%s %d %s: verdict %d", rows[i].method, rows[i].status, rows[i].body, answer.verdict);
    }
}

static void
test_answer_that_did_not_come_leaves_doubt (void)
{
  static const char *const methods[] = { "POST", "GET", "DELETE" };
  static const struct
  {
    HttpOutcome outcome;
    PluginServerVerdict verdict;
  } outcomes[] = { { HTTP_CANNOT_CONNECT, PLUGIN_SERVER_IN_DOUBT },
                   { HTTP_TIMED_OUT, PLUGIN_SERVER_IN_DOUBT },
                   { HTTP_BROKEN, PLUGIN_SERVER_IN_DOUBT },
                   { HTTP_TLS_REFUSED, PLUGIN_SERVER_FAULT },
                   { HTTP_TOO_LARGE, PLUGIN_SERVER_FAULT } };
  for (gsize i = 0; i < G_N_ELEMENTS (methods); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (outcomes); j++)
      {
        g_auto (PluginServerAnswer) answer = { 0 };
        plugin_server_judge (&answer, methods[i], outcomes[j].outcome, 0, "", 0);
        g_assert_cmpint (answer.verdict, ==, outcomes[j].verdict);
      }
}

static void
test_answer_keeps_serial_and_expiry (void)
{
  static const char body[] = "{\"serial\":\"AB-12\",\"expires\":\"2026-11-23T10:24:39Z\"}";
  g_auto (PluginServerAnswer) answer = { 0 };
  plugin_server_judge (&answer, "POST", HTTP_ANSWERED, 201, body, strlen (body));
  g_assert_cmpstr (secret_peek_text (answer.serial), ==, "AB-12");
  g_assert_cmpint (answer.expires_us, ==, 1795429479 * (gint64)G_USEC_PER_SEC);
  g_assert_null (answer.reason);
}

static void
test_answer_says_what_is_wrong_with_its_body (void)
{
  g_auto (PluginServerAnswer) answer = { 0 };
  plugin_server_judge (&answer, "POST", HTTP_ANSWERED, 200, "<html>", 6);
  g_assert_cmpstr (answer.reason, ==, "its answer is not a JSON object");
  plugin_server_judge (&answer, "POST", HTTP_ANSWERED, 422, "no", 2);
  g_assert_cmpstr (answer.reason, ==, "its refusal is no JSON with an error");
  plugin_server_judge (&answer, "POST", HTTP_ANSWERED, 500, "no", 2);
  g_assert_null (answer.reason);
}

static void
test_serial_has_its_limits_to_the_byte (void)
{
  g_autofree char *longest = g_strnfill (4096, 'A'), *too_long = g_strnfill (4097, 'A');
  g_assert_null (plugin_server_find_serial_fault (longest, 4096));
  g_assert_nonnull (plugin_server_find_serial_fault (too_long, 4097));
  g_assert_null (plugin_server_find_serial_fault ("~", 1));
  g_assert_null (plugin_server_find_serial_fault ("a b\nc", 5));
  g_assert_nonnull (plugin_server_find_serial_fault ("", 0));
  g_assert_nonnull (plugin_server_find_serial_fault ("a\tb", 3));
  g_assert_nonnull (plugin_server_find_serial_fault ("a\x7f"
                                                     "b",
                                                     3));
  g_assert_nonnull (plugin_server_find_serial_fault ("a\0b", 3));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin-server-answer/means_what_the_table_says", test_answer_means_what_the_table_says);
  g_test_add_func ("/plugin-server-answer/that_did_not_come_leaves_doubt",
                   test_answer_that_did_not_come_leaves_doubt);
  g_test_add_func ("/plugin-server-answer/keeps_serial_and_expiry", test_answer_keeps_serial_and_expiry);
  g_test_add_func ("/plugin-server-answer/says_what_is_wrong_with_its_body",
                   test_answer_says_what_is_wrong_with_its_body);
  g_test_add_func ("/plugin-server-answer/serial_has_its_limits_to_the_byte",
                   test_serial_has_its_limits_to_the_byte);
  return g_test_run ();
}
