#include "host-client/core/jid.h"

#include <string.h>

static void
test_jid_is_prepared_as_the_server_would (void)
{
  const char *pairs[][2] = { { "Alice@Example.ORG", "alice@example.org" },
                             { "alice@example.org/Laptop", "alice@example.org/Laptop" },
                             { "market.example.org", "market.example.org" },
                             { "STRASSE\xc3\x9f@b", "strassess@b" },
                             { "a@b/c@d/e", "a@b/c@d/e" } };
  for (gsize i = 0; i < G_N_ELEMENTS (pairs); i++)
    {
      g_autofree char *jid = jid_prepare (pairs[i][0]);
      g_assert_cmpstr (jid, ==, pairs[i][1]);
    }
}

static void
test_jid_that_is_none_is_refused (void)
{
  const char *bad[] = { "", "@b", "a@", "a@b/", "a b@c", "a'b@c", "a@b@c", "a@b c", "a<@b", "\xff@b" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (jid_prepare (bad[i]));
  g_autofree char *part = g_strnfill (JID_PART_MAX + 1, 'a');
  g_autofree char *jid = g_strconcat (part, "@b", NULL);
  g_assert_null (jid_prepare (jid));
}

static void
test_jid_parts_are_found (void)
{
  g_autofree char *bare = jid_dup_bare ("a@b/c@d");
  g_autofree char *domain = jid_dup_domain ("a@b/c@d");
  g_autofree char *local = jid_dup_local ("a@b/c@d");
  g_assert_cmpstr (bare, ==, "a@b");
  g_assert_cmpstr (domain, ==, "b");
  g_assert_cmpstr (local, ==, "a");
  g_assert_cmpstr (jid_peek_resource ("a@b/c@d"), ==, "c@d");
  g_assert_null (jid_dup_local ("b/c@d"));
  g_assert_null (jid_peek_resource ("a@b"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/jid/is_prepared_as_the_server_would", test_jid_is_prepared_as_the_server_would);
  g_test_add_func ("/client/jid/that_is_none_is_refused", test_jid_that_is_none_is_refused);
  g_test_add_func ("/client/jid/parts_are_found", test_jid_parts_are_found);
  return g_test_run ();
}
