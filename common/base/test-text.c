#include "common/base/text.h"

#include <string.h>

static void
test_text_base32_matches_rfc4648 (void)
{
  const char *pairs[][2] = { { "", "" }, { "f", "my" }, { "fo", "mzxq" }, { "foo", "mzxw6" }, { "foobar", "mzxw6ytboi" } };
  for (gsize i = 0; i < G_N_ELEMENTS (pairs); i++)
    {
      g_autofree char *text = text_to_base32 (pairs[i][0], strlen (pairs[i][0]));
      g_assert_cmpstr (text, ==, pairs[i][1]);
    }
}

static void
test_text_base64_is_strict (void)
{
  const char *bad[] = { "Zg", "Zg=", "Zh==", "Z g=", "Zg==\n", "====", "Zg==Zg==" };
  gsize n;
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (text_from_base64 (bad[i], strlen (bad[i]), &n));
  g_autofree guint8 *good = text_from_base64 ("Zm9v", 4, &n);
  g_assert_cmpmem (good, n, "foo", 3);
}

static void
test_text_base64url_is_strict_and_has_no_padding (void)
{
  const char *bad[] = { "Z", "Zh", "Zg==", "Zm9vZg=", "Z g", "Zm+v", "Zm/v", "Zm9\n", "=", "Zm9vY" };
  gsize n;
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (text_from_base64url (bad[i], strlen (bad[i]), &n));
  g_autofree guint8 *good = text_from_base64url ("-_8Zg", 3, &n);
  g_assert_cmpmem (good, n, "\xfb\xff", 2);
  g_autofree guint8 *nothing = text_from_base64url ("", 0, &n);
  g_assert_nonnull (nothing);
  g_assert_cmpuint (n, ==, 0);
}

static void
test_text_xml_escapes_what_must_be_and_replaces_what_may_not_be (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  text_append_xml (out, "a<b>&'\"\n\x01" "é\xff\xef\xbf\xbe!");
  g_assert_cmpstr (out->str, ==,
                   "a&lt;b&gt;&amp;&apos;&quot;&#10;\xef\xbf\xbd" "é\xef\xbf\xbd\xef\xbf\xbd!");
  g_assert_false (text_is_xml ("\xef\xbf\xbe", 3));
  g_assert_true (text_is_xml ("é\n", strlen ("é\n")));
}

static void
test_text_market_ids_follow_the_contract (void)
{
  g_assert_true (text_is_market_id ("weather"));
  g_assert_true (text_is_market_id ("4.x-a"));
  g_assert_false (text_is_market_id (""));
  g_assert_false (text_is_market_id ("-a"));
  g_assert_false (text_is_market_id ("Weather"));
  g_assert_false (text_is_market_id ("a/b"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/base/text/base32_matches_rfc4648", test_text_base32_matches_rfc4648);
  g_test_add_func ("/base/text/base64_is_strict", test_text_base64_is_strict);
  g_test_add_func ("/base/text/base64url_is_strict", test_text_base64url_is_strict_and_has_no_padding);
  g_test_add_func ("/base/text/xml_escapes", test_text_xml_escapes_what_must_be_and_replaces_what_may_not_be);
  g_test_add_func ("/base/text/market_ids_follow_the_contract", test_text_market_ids_follow_the_contract);
  return g_test_run ();
}
