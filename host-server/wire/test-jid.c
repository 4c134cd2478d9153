#include "host-server/wire/jid.h"

#include <string.h>

/* One corpus for preparation: what is typed, and the address it is; NULL: it is none. */
static const struct
{
  const char *raw;
  const char *full;
} corpus[] = {
  { "example.com", "example.com" },
  { "alice@example.com", "alice@example.com" },
  { "alice@example.com/phone", "alice@example.com/phone" },
  { "Alice@Example.COM/Phone", "alice@example.com/Phone" },
  { "example.com.", "example.com" },
  { "alice@example.com/a/b@c", "alice@example.com/a/b@c" },
  { "alice@example.com/with space", "alice@example.com/with space" },
  { "alice@[::1]/x", "alice@[::1]/x" },
  { "alice@[2001:DB8::1]", "alice@[2001:db8::1]" },
  { "a_b@host_name.example", "a_b@host_name.example" },
  { "a=b+c!#$%*?^`{|}~;,()[]\\@example.com", "a=b+c!#$%*?^`{|}~;,()[]\\@example.com" },
  /* Folding and composition beyond ASCII. */
  { "\xc3\x84lice@example.com", "\xc3\xa4lice@example.com" },
  { "A\xcc\x88@example.com", "\xc3\xa4@example.com" },
  { "stra\xc3\x9f"
    "e@example.com",
    "strasse@example.com" },
  { "al\xc2\xadice@example.com", "alice@example.com" },
  { "\xef\xbc\xa1lice@example.com", "alice@example.com" },
  { "alice@\xc3\x9c"
    "ber.example",
    "alice@\xc3\xbc"
    "ber.example" },
  { "alice@example.com/\xf0\x9f\x93\xb1", "alice@example.com/\xf0\x9f\x93\xb1" },
  { "alice@example.com/\xe2\x85\xa3", "alice@example.com/IV" },
  /* Refused. */
  { "", NULL },
  { "@example.com", NULL },
  { "alice@", NULL },
  { "alice@/phone", NULL },
  { "/phone", NULL },
  { "alice@example.com/", NULL },
  { "a@b@example.com", NULL },
  { "a b@example.com", NULL },
  { "a\"b@example.com", NULL },
  { "a&b@example.com", NULL },
  { "a'b@example.com", NULL },
  { "a:b@example.com", NULL },
  { "a<b@example.com", NULL },
  { "a>b@example.com", NULL },
  { "a\tb@example.com", NULL },
  { "a\x7f@example.com", NULL },
  { "a\xef\xbc\x8f@example.com", NULL }, /* full-width slash */
  { "a\xef\xbc\xa0@example.com", NULL }, /* full-width at sign */
  { "a\xc2\xa0@example.com", NULL },     /* no-break space */
  { "\xc2\xad@example.com", NULL },      /* nothing but a soft hyphen */
  { "a\xff@example.com", NULL },         /* not UTF-8 */
  { "a\xed\xa0\x80@example.com", NULL }, /* a surrogate */
  { "a\xd7\x90"
    "b@example.com",
    NULL },                                  /* right-to-left beside left-to-right */
  { "a\xf0\x9f\x93\xb1@example.com", NULL }, /* unassigned in Unicode 3.2 */
  { "alice@exa mple.com", NULL },
  { "alice@-example.com", NULL },
  { "alice@example-.com", NULL },
  { "alice@example..com", NULL },
  { "alice@.example.com", NULL },
  { "alice@exa'mple.com", NULL },
  { "alice@exa<mple.com", NULL },
  { "alice@[::1", NULL },
  { "alice@example.com/a\x01", NULL },
  { "alice@example.com/a\nb", NULL },
  { "alice@example.com/\xe2\x80\xae"
    "b",
    NULL }, /* a bidirectional override */
};

static void
test_jid_corpus_is_prepared_or_refused (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (corpus); i++)
    {
      g_autoptr (Jid) jid = jid_new (corpus[i].raw, strlen (corpus[i].raw));
      g_test_message ("%s", corpus[i].raw);
      g_assert_cmpstr (jid != NULL ? jid_get_full (jid) : NULL, ==, corpus[i].full);
      if (jid == NULL)
        continue;
      /* Preparation is stable: what came out goes in unchanged. */
      g_autoptr (Jid) again = jid_new (jid_get_full (jid), strlen (jid_get_full (jid)));
      g_assert_nonnull (again);
      g_assert_true (jid_equal (jid, again));
      g_assert_true (jid_equal_bare (jid, again));
    }
}

static void
test_jid_parts_are_seen_apart (void)
{
  g_autoptr (Jid) full = jid_new ("Alice@Example.com/a/b", 21);
  g_assert_cmpstr (jid_get_local (full), ==, "alice");
  g_assert_cmpstr (jid_get_domain (full), ==, "example.com");
  g_assert_cmpstr (jid_get_resource (full), ==, "a/b");
  g_assert_cmpstr (jid_get_bare (full), ==, "alice@example.com");

  g_autoptr (Jid) bare = jid_to_bare (full);
  g_assert_cmpstr (jid_get_full (bare), ==, "alice@example.com");
  g_assert_null (jid_get_resource (bare));
  g_assert_true (jid_equal_bare (bare, full));
  g_assert_false (jid_equal (bare, full));

  g_autoptr (Jid) other = jid_with_resource (bare, "a/b");
  g_assert_true (jid_equal (other, full));
  g_assert_null (jid_with_resource (bare, ""));

  g_autoptr (Jid) domain = jid_new_parts (NULL, "Example.com", NULL);
  g_assert_null (jid_get_local (domain));
  g_assert_cmpstr (jid_get_bare (domain), ==, "example.com");
}

static void
test_jid_parts_hold_1023_bytes_and_no_more (void)
{
  g_autofree char *part = g_strnfill (JID_MAX_PART + 1, 'a');
  g_assert_null (jid_new_parts (part, "d", NULL));
  g_assert_null (jid_new_parts (NULL, "d", part));
  part[JID_MAX_PART] = '\0';
  g_autoptr (Jid) jid = jid_new_parts (part, "d", part);
  g_assert_nonnull (jid);
  g_assert_cmpuint (strlen (jid_get_full (jid)), ==, 2 * JID_MAX_PART + 3);

  /* A ligature that preparation makes eleven times as long. */
  GString *long_part = g_string_new (NULL);
  for (int i = 0; i < 100; i++)
    g_string_append (long_part, "\xef\xb7\xba");
  g_assert_null (jid_new_parts (NULL, "d", long_part->str));
  g_string_free (long_part, TRUE);
}

static void
test_jid_is_escaped_once_for_attributes (void)
{
  g_autoptr (Jid) jid = jid_new_parts ("a", "d", "it's <&>");
  gsize length;
  g_assert_cmpstr (jid_peek_full_xml (jid, &length), ==, "a@d/it&apos;s &lt;&amp;&gt;");
  g_assert_cmpuint (length, ==, strlen ("a@d/it&apos;s &lt;&amp;&gt;"));
  g_assert_cmpstr (jid_peek_bare_xml (jid, &length), ==, "a@d");
}

static void
test_jid_with_a_nul_is_none (void)
{
  g_assert_null (jid_new ("a\0b@d", 5));
  g_assert_null (jid_new ("a@d\0e", 5));
  g_assert_null (jid_new ("a@d/\0", 5));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/jid/corpus", test_jid_corpus_is_prepared_or_refused);
  g_test_add_func ("/jid/parts", test_jid_parts_are_seen_apart);
  g_test_add_func ("/jid/limits", test_jid_parts_hold_1023_bytes_and_no_more);
  g_test_add_func ("/jid/escaped", test_jid_is_escaped_once_for_attributes);
  g_test_add_func ("/jid/nul", test_jid_with_a_nul_is_none);
  return g_test_run ();
}
