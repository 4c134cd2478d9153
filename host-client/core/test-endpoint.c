#include "host-client/core/endpoint.h"

static void
test_endpoint_is_read_in_every_form (void)
{
  const struct
  {
    const char *text, *host;
    guint16 port;
  } rows[] = { { "chat.example.org", "chat.example.org", 5222 },
               { "chat.example.org:5299", "chat.example.org", 5299 },
               { "127.0.0.1:1", "127.0.0.1", 1 },
               { "[::1]:5299", "::1", 5299 },
               { "[::1]", "::1", 5222 },
               { "::1", "::1", 5222 } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Endpoint) endpoint = endpoint_parse (rows[i].text, FALSE);
      g_assert_nonnull (endpoint);
      g_assert_cmpstr (endpoint->host, ==, rows[i].host);
      g_assert_cmpuint (endpoint->port, ==, rows[i].port);
    }
  g_autoptr (Endpoint) direct = endpoint_parse ("a", TRUE);
  g_assert_cmpuint (direct->port, ==, 5223);
}

static void
test_endpoint_that_is_none_is_refused (void)
{
  const char *bad[]
      = { "", ":5222", "a:", "a:0", "a:65536", "a:1x", "[::1", "[::1]5222", "[a]:1", "a b:1", "a:b:c" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (endpoint_parse (bad[i], FALSE));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/endpoint/is_read_in_every_form", test_endpoint_is_read_in_every_form);
  g_test_add_func ("/client/endpoint/that_is_none_is_refused", test_endpoint_that_is_none_is_refused);
  return g_test_run ();
}
