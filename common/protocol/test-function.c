#include "common/protocol/function.h"

#include <string.h>

typedef struct
{
  const char *what;
  const char *bytes;
  gsize length;
  gboolean is_text;
} Content;

static const Content contents[] = {
  { "nothing", "", 0, TRUE },
  { "text", "a <b> & 'c'\n\t\"d\" \xe2\x82\xac", 20, TRUE },
  { "carriage return", "a\r\nb", 4, TRUE },
  { "a NUL", "a\0b", 3, FALSE },
  { "no UTF-8", "\xff\xfe", 2, FALSE },
  { "a control character", "\x01", 1, FALSE },
};

static xmpp_stanza_t *
parse (xmpp_ctx_t *context, const GString *xml)
{
  xmpp_stanza_t *tree = xmpp_stanza_new_from_string (context, xml->str);
  g_assert_nonnull (tree);
  return tree;
}

static void
assert_same (GBytes *bytes, const Content *content)
{
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  g_assert_cmpmem (data, length, content->bytes, content->length);
}

static void
test_function_calls_and_results_come_back_as_they_were_written (void)
{
  xmpp_ctx_t *context = xmpp_ctx_new (NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (contents); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GString) xml = g_string_new (NULL);
      g_autoptr (GBytes) bytes = g_bytes_new_static (contents[i].bytes, contents[i].length);
      FunctionRequest written = { (char *)"weather", (char *)"forecast", (char *)"r'1", bytes };
      g_auto (FunctionRequest) request = { 0 };
      g_test_message ("%s", contents[i].what);
      g_assert_cmpint (function_bytes_are_text (bytes), ==, contents[i].is_text);

      function_request_write (&written, xml);
      g_assert_cmpint (strstr (xml->str, "base64") == NULL, ==, contents[i].is_text);
      xmpp_stanza_t *tree = parse (context, xml);
      g_assert_true (function_request_read (tree, &request, &error));
      g_assert_cmpstr (request.application, ==, "weather");
      g_assert_cmpstr (request.function, ==, "forecast");
      g_assert_cmpstr (request.request, ==, "r'1");
      assert_same (request.argument, &contents[i]);
      xmpp_stanza_release (tree);

      g_string_truncate (xml, 0);
      function_result_write (bytes, xml);
      tree = parse (context, xml);
      g_autoptr (GBytes) result = function_result_read (tree, &error);
      g_assert_no_error (error);
      assert_same (result, &contents[i]);
      xmpp_stanza_release (tree);
    }
  xmpp_ctx_free (context);
}

static void
test_function_text_that_would_grow_too_long_is_base64 (void)
{
  g_autofree char *text = g_strnfill (FUNCTION_MAX_BYTES, '&');
  g_autoptr (GBytes) bytes = g_bytes_new_static (text, FUNCTION_MAX_BYTES);
  g_autoptr (GString) xml = g_string_new (NULL);
  function_result_write (bytes, xml);
  g_assert_nonnull (strstr (xml->str, " encoding='base64'>"));
  g_assert_cmpuint (xml->len, <, FUNCTION_MAX_TEXT + 100);
}

static void
test_function_names_are_words (void)
{
  g_autofree char *longest = g_strnfill (FUNCTION_MAX_NAME, 'a'),
                  *longer = g_strnfill (FUNCTION_MAX_NAME + 1, 'a');
  for (const char *const *name = (const char *const[]){ "f", "store.get", "A-b_c.9", longest, NULL };
       *name != NULL; name++)
    g_assert_true (function_name_is_valid (*name));
  for (const char *const *name
       = (const char *const[]){ "", "9", ".a", "a b", "\xc3\xa4", "a/b", longer, NULL };
       *name != NULL; name++)
    g_assert_false (function_name_is_valid (*name));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/function/round-trip", test_function_calls_and_results_come_back_as_they_were_written);
  g_test_add_func ("/function/long-text", test_function_text_that_would_grow_too_long_is_base64);
  g_test_add_func ("/function/names", test_function_names_are_words);
  return g_test_run ();
}
