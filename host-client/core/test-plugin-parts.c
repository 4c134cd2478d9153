/* The parts of the plugin host that need no process: what counts as a private address, what a plugin may make
 * us show, and what it may keep. */
#include "host-client/core/plugin-agreement.h"
#include "host-client/core/plugin-broker.h"
#include "host-client/core/plugin-process.h"

#include <glib/gstdio.h>
#include <string.h>

static void
test_private_addresses_are_known_in_every_dress (void)
{
  static const struct
  {
    const char *address;
    gboolean is_private;
  } rows[] = {
    { "127.0.0.1", TRUE },
    { "127.255.255.255", TRUE },
    { "10.1.2.3", TRUE },
    { "172.16.0.1", TRUE },
    { "172.32.0.1", FALSE },
    { "192.168.1.1", TRUE },
    { "169.254.169.254", TRUE },
    { "100.64.0.1", TRUE },
    { "100.128.0.1", FALSE },
    { "0.0.0.0", TRUE },
    { "224.0.0.1", TRUE },
    { "255.255.255.255", TRUE },
    { "198.18.0.1", TRUE },
    { "198.20.0.1", FALSE },
    { "8.8.8.8", FALSE },
    { "::1", TRUE },
    { "::", TRUE },
    { "::ffff:10.0.0.1", TRUE },
    { "::ffff:8.8.8.8", FALSE },
    { "::7f00:1", TRUE },
    { "64:ff9b::a00:1", TRUE },
    { "64:ff9b::808:808", FALSE },
    { "2002:7f00:1::", TRUE },
    { "fe80::1", TRUE },
    { "fec0::1", TRUE },
    { "fc00::1", TRUE },
    { "fdab::1", TRUE },
    { "ff02::1", TRUE },
    { "2001:4860:4860::8888", FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GInetAddress) address = g_inet_address_new_from_string (rows[i].address);

      g_test_message ("%s", rows[i].address);
      g_assert_nonnull (address);
      g_assert_cmpint (plugin_broker_is_private (g_inet_address_to_bytes (address),
                                                 g_inet_address_get_native_size (address)),
                       ==, rows[i].is_private);
    }
}

static void
test_a_plugins_words_are_made_fit_to_show (void)
{
  static const struct
  {
    const char *text;
    gsize max;
    gboolean is_line;
    const char *shown;
  } rows[] = {
    { "plain", 100, TRUE, "plain" },
    { "two\nlines\tapart", 100, TRUE, "two lines apart" },
    { "two\nlines\tapart", 100, FALSE, "two\nlines\tapart" },
    { "\033[31mred\a", 100, TRUE, "[31mred" },
    { "cut here", 3, TRUE, "cut" },
    { "bad \xff byte", 100, TRUE, "bad � byte" },
    { "left \xe2\x80\xae right", 100, TRUE, "left  right" }, /* U+202E turns the line round */
    { "it is KEY-1234, KEY-1234", 100, TRUE, "it is …, …" },
  };
  g_autoptr (Secret) serial = secret_new ("KEY-1234", 8);

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *shown = plugin_text_clean (rows[i].text, rows[i].max, rows[i].is_line, serial);

      g_assert_cmpstr (shown, ==, rows[i].shown);
    }
}

static GBytes *
bytes_of (const char *text)
{
  return g_bytes_new_static (text, strlen (text));
}

static void
test_the_store_keeps_plugins_and_accounts_apart (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("plugin-store-XXXXXX", &error);
  g_autofree char *path = g_build_filename (folder, "store.db", NULL);
  g_autoptr (PluginStore) store = plugin_store_open (path, &error);
  g_autoptr (GBytes) one = bytes_of ("one");
  g_autoptr (GBytes) two = bytes_of ("two");
  g_autoptr (GBytes) found = NULL;

  g_assert_no_error (error);
  g_assert_cmpint (plugin_store_put (store, "a@d", "p", "key", one, 100, &error), ==, PLUGIN_STORE_KEPT);
  g_assert_cmpint (plugin_store_put (store, "a@d", "q", "key", two, 100, &error), ==, PLUGIN_STORE_KEPT);
  g_assert_null (plugin_store_get (store, "b@d", "p", "key", &error));
  g_assert_no_error (error);
  found = plugin_store_get (store, "a@d", "p", "key", &error);
  g_assert_true (g_bytes_equal (found, one));
  g_clear_pointer (&found, g_bytes_unref);
  g_assert_cmpint (plugin_store_put (store, "a@d", "p", "key", NULL, 100, &error), ==, PLUGIN_STORE_KEPT);
  g_assert_null (plugin_store_get (store, "a@d", "p", "key", &error));
  found = plugin_store_get (store, "a@d", "q", "key", &error);
  g_assert_true (g_bytes_equal (found, two));
  g_clear_pointer (&store, plugin_store_free);
  g_remove (path);
  g_rmdir (folder);
}

static void
test_the_store_has_a_quota_and_an_old_value_stays (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("plugin-store-XXXXXX", &error);
  g_autofree char *path = g_build_filename (folder, "store.db", NULL);
  g_autoptr (PluginStore) store = plugin_store_open (path, &error);
  g_autoptr (GBytes) small = bytes_of ("0123456789");
  g_autoptr (GBytes) large = bytes_of ("0123456789012345678901234567890123456789");
  g_autoptr (GBytes) empty = bytes_of ("");
  g_autoptr (GBytes) found = NULL;
  g_autofree char *long_key = g_strnfill (PLUGIN_STORE_MAX_KEY + 1, 'k');

  g_assert_cmpint (plugin_store_put (store, "a@d", "p", "k", small, 20, &error), ==, PLUGIN_STORE_KEPT);
  g_assert_cmpint (plugin_store_put (store, "a@d", "p", "k", large, 20, &error), ==, PLUGIN_STORE_FULL);
  g_assert_cmpint (plugin_store_put (store, "a@d", "p", "l", small, 20, &error), ==, PLUGIN_STORE_FULL);
  found = plugin_store_get (store, "a@d", "p", "k", &error);
  g_assert_true (g_bytes_equal (found, small));
  g_assert_cmpint (plugin_store_put (store, "a@d", "p", "", small, 100, &error), ==, PLUGIN_STORE_BAD);
  g_assert_cmpint (plugin_store_put (store, "a@d", "p", long_key, small, 1000, &error), ==, PLUGIN_STORE_BAD);
  for (guint i = 0; i < PLUGIN_STORE_MAX_KEYS; i++)
    {
      g_autofree char *key = g_strdup_printf ("%u", i);

      g_assert_cmpint (plugin_store_put (store, "a@d", "q", key, empty, 100000, &error), ==,
                       PLUGIN_STORE_KEPT);
    }
  g_assert_cmpint (plugin_store_put (store, "a@d", "q", "more", empty, 100000, &error), ==,
                   PLUGIN_STORE_FULL);
  g_assert_cmpint (plugin_store_put (store, "a@d", "q", "7", small, 100000, &error), ==, PLUGIN_STORE_KEPT);
  g_assert_no_error (error);
  g_clear_pointer (&store, plugin_store_free);
  g_remove (path);
  g_rmdir (folder);
}

/* ---- packages, and what is kept of their copies ---- */

static PluginInfo *
info_of (const char *symbols, const char *hash, GError **error)
{
  g_autofree char *text
      = g_strdup_printf ("[Plugin]\nformat=1\nid=packed\nname=Packed\nversion=1\nobject=libpacked.so\n"
                         "sha256=%064d\n[Symbols]\n%s\n",
                         0, symbols);
  g_autoptr (GPtrArray) members = g_ptr_array_new ();
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  PackageMember member = { .name = (char *)"packed.legacy", .size = strlen (text), .bytes = bytes };
  Package package = { .id = (char *)"packed",
                      .version = (char *)"1",
                      .descriptor = member.name,
                      .hash = (char *)hash,
                      .members = members };
  g_ptr_array_add (members, &member);
  return plugin_info_of_package (&package, error);
}

/* Readers of packages refuse one before it comes so far. */
static void
test_a_packaged_keygen_is_no_plugin (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = info_of ("keygen=cstr packed_make (cstr user)", "1", &error);
  g_assert_null (info);
  g_assert_error (error, PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR);
  g_assert_nonnull (strstr (error->message, "'packed.legacy' describes a keygen, which belongs on a server"));
}

static void
keep (const char *folder, const char *hash, gboolean needs_serial)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = info_of ("check=int packed_check (cstr serial)", hash, &error);
  g_assert_no_error (error);
  g_assert_true (plugin_agreement_keep (folder, info, needs_serial, &error));
  g_assert_no_error (error);
}

static void
test_whether_it_judges_a_serial_is_known_of_each_copy (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-agreement-XXXXXX", NULL);
  g_autofree char *inside = g_build_filename (folder, "packed", NULL);
  g_autofree char *path = g_build_filename (inside, "agreed", NULL);
  g_assert_cmpint (g_mkdir (inside, 0700), ==, 0);

  keep (folder, "old", TRUE);
  keep (folder, "new", FALSE);
  g_assert_false (plugin_agreement_needs_serial (folder, "packed", NULL));
  g_assert_true (plugin_agreement_needs_serial (folder, "packed", "old"));
  keep (folder, "old", plugin_agreement_needs_serial (folder, "packed", "old")); /* rolled back */
  g_assert_true (plugin_agreement_needs_serial (folder, "packed", NULL));
  g_assert_false (plugin_agreement_needs_serial (folder, "packed", "new"));

  /* An installation that was broken off behind its note, and made again. */
  keep (folder, "newer", FALSE);
  keep (folder, "newer", FALSE);
  g_assert_true (plugin_agreement_needs_serial (folder, "packed", "old"));
  for (guint i = 0; i < 4; i++)
    {
      g_autofree char *hash = g_strdup_printf ("%u", i);
      keep (folder, hash, FALSE);
    }
  g_assert_false (plugin_agreement_needs_serial (folder, "packed", "old")); /* forgotten */

  /* As it was written when there was one note for all. */
  g_assert_true (g_file_set_contents (path, "[Verified]\nhash=old\nneeds-serial=true\n", -1, NULL));
  g_assert_true (plugin_agreement_needs_serial (folder, "packed", NULL));
  g_assert_true (plugin_agreement_needs_serial (folder, "packed", "old"));
  keep (folder, "new", FALSE);
  g_assert_true (plugin_agreement_needs_serial (folder, "packed", "old"));
  g_unlink (path);
  g_rmdir (inside);
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin-parts/private-addresses-are-known-in-every-dress",
                   test_private_addresses_are_known_in_every_dress);
  g_test_add_func ("/plugin-parts/a-plugins-words-are-made-fit-to-show",
                   test_a_plugins_words_are_made_fit_to_show);
  g_test_add_func ("/plugin-parts/the-store-keeps-plugins-and-accounts-apart",
                   test_the_store_keeps_plugins_and_accounts_apart);
  g_test_add_func ("/plugin-parts/a-packaged-keygen-is-no-plugin", test_a_packaged_keygen_is_no_plugin);
  g_test_add_func ("/plugin-parts/whether-it-judges-a-serial-is-known-of-each-copy",
                   test_whether_it_judges_a_serial_is_known_of_each_copy);
  g_test_add_func ("/plugin-parts/the-store-has-a-quota-and-an-old-value-stays",
                   test_the_store_has_a_quota_and_an_old_value_stays);
  return g_test_run ();
}
