#include "host-server/core/config.h"

#include <glib/gstdio.h>
#include <string.h>

#define BASE "[server]\ndomain=Example.ORG\ndata=/tmp/x\n[xmpp]\ncertificate=/c\nprivate_key=/k\n"

typedef struct
{
  char *folder;
  char *path;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp ("config-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->folder, "stoa.conf", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_unlink (fixture->path);
  g_rmdir (fixture->folder);
  g_free (fixture->path);
  g_free (fixture->folder);
}

static Config *
load (Fixture *fixture, const char *text, GError **error)
{
  g_assert_true (g_file_set_contents (fixture->path, text, -1, NULL));
  return config_load (fixture->path, error);
}

static void
test_config_values_and_defaults (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Config) config
      = load (fixture,
              BASE "[limits]\nstanza_bytes=64K\nresume_s=0.25\n"
                   "[market]\nkeygen_retry_s=0, 0.5,30\n"
                   "[billing stub]\nmerchant=m\nbase=http://127.0.0.1:8081/x\napi_key=a\n"
                   "webhook_secret=w\n[billing other]\nmerchant=m\nbase=https://b.example\n"
                   "api_key=a\nwebhook_secret=w\nmode=test\n",
              &error);
  g_assert_no_error (error);
  g_assert_cmpstr (config_get_text (config, "server", "domain"), ==, "example.org");
  g_assert_cmpstr (config_get_text (config, "xmpp", "listen"), ==, "[::]:5222");
  g_assert_cmpstr (config_get_text (config, "xmpp", "tls"), ==, "required");
  g_assert_null (config_get_text (config, "http", "listen"));
  g_assert_cmpint (config_get_bytes (config, "limits", "stanza_bytes"), ==, 65536);
  g_assert_cmpint (config_get_bytes (config, "modules", "memory"), ==, 128 << 20);
  g_assert_cmpint (config_get_seconds_us (config, "limits", "resume_s"), ==, 250000);
  g_assert_false (config_get_bool (config, "registration", "open"));
  g_assert_false (config_is_set (config, "modules", "uid_base"));
  gsize n;
  const gint64 *list = config_get_seconds_list_us (config, "market", "keygen_retry_s", &n);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpint (list[1], ==, 500000);
  const char *const *names = config_get_named_groups (config, "billing");
  g_assert_cmpstr (names[0], ==, "stub");
  g_assert_cmpstr (names[1], ==, "other");
  g_assert_null (names[2]);
  g_assert_cmpstr (config_get_text (config, "billing stub", "mode"), ==, "live");
  g_assert_cmpstr (config_get_text (config, "billing other", "mode"), ==, "test");
}

static const struct
{
  const char *text;
  const char *error; /* behind the file's name */
} mistakes[] = {
  { "[server]\ndomain=d\n", "[server] data: is missing" },
  { BASE "[limits]\nstanza_byte=1\n", "[limits] stanza_byte: unknown key" },
  { BASE "[limit]\nstanza_bytes=1\n", "[limit] stanza_bytes: unknown group" },
  { BASE "[billing]\nmerchant=m\n", "[billing] : unknown group" },
  { BASE "[server x]\ndomain=m\n", "[server x] : unknown group" },
  { BASE "[limits]\nstanza_bytes=12Q\n", "[limits] stanza_bytes: '12Q' is not a number of bytes" },
  { BASE "[limits]\nstanza_bytes=-1\n", "[limits] stanza_bytes: '-1' is not a number of bytes" },
  { BASE "[limits]\nstanza_bytes=64G\n", "[limits] stanza_bytes: 64G is not within 0 to 16777216" },
  { BASE "[limits]\ndepth=1\n", "[limits] depth: 1 is not within 2 to 512" },
  { BASE "[limits]\nresume_s=1e3\n", "[limits] resume_s: '1e3' is not a number of seconds" },
  { BASE "[limits]\nresume_s=nan\n", "[limits] resume_s: 'nan' is not a number of seconds" },
  { BASE "[market]\npoll_s=1,,2\n", "[market] poll_s: '' is not a number of seconds" },
  { BASE "[market]\nlate_payment=keep\n",
    "[market] late_payment: 'keep' is none of: honour, refund, review" },
  { BASE "[registration]\nopen=yes\n", "[registration] open: 'yes' is neither true nor false" },
  { BASE "listen=5222\n", "[xmpp] listen: '5222' is not host:port" },
  { BASE "listen=h:70000\n", "[xmpp] listen: 'h:70000' is not host:port" },
  { BASE "tls=optional\n", "[xmpp] tls: 'optional' needs every listener on a loopback address" },
  { BASE "tls=optional\nlisten=127.0.0.1:0\ndirect_tls_listen=0.0.0.0:1\n",
    "[xmpp] tls: 'optional' needs every listener on a loopback address" },
  { BASE "[http]\nlisten=0.0.0.0:80\n",
    "[http] certificate: is missing (plain http is for loopback addresses only)" },
  { BASE "[http]\npublic_url=http://example.org\n",
    "[http] public_url: must be https (http only on a loopback address)" },
  { BASE "[http]\ncertificate=/c\n", "[http] private_key: is missing" },
  { BASE "[store]\nurl=mysql://x\n", "[store] url: 'mysql://x' is not sqlite:FOLDER" },
  { BASE "[billing b]\nmerchant=m\nbase=https://b\napi_key=a\nwebhook_secret=\n",
    "[billing b] webhook_secret: not a usable value" },
  { "[server]\ndomain=a@b\ndata=/x\n", "[server] domain: 'a@b' is not a domain" },
  { "[server]\ndomain=a\ndata=/x\n", "[xmpp] certificate: is missing" },
};

static void
test_config_mistakes_name_file_group_and_key (Fixture *fixture, gconstpointer data)
{
  for (gsize i = 0; i < G_N_ELEMENTS (mistakes); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *expected = g_strdup_printf ("%s: %s", fixture->path, mistakes[i].error);
      g_assert_null (load (fixture, mistakes[i].text, &error));
      g_assert_cmpstr (error->message, ==, expected);
    }
}

static void
test_config_reload_changes_limits_alone (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Config) config = load (fixture, BASE, &error);
  g_assert_no_error (error);
  const char *certificate = config_get_text (config, "xmpp", "certificate");

  g_assert_true (g_file_set_contents (fixture->path,
                                      "[server]\ndomain=other.org\ndata=/tmp/x\n[xmpp]\ncertificate=/new\n"
                                      "private_key=/k\n[limits]\ndepth=10\n",
                                      -1, NULL));
  g_assert_true (config_reload (config, &error));
  g_assert_cmpstr (config_get_text (config, "server", "domain"), ==, "example.org");
  g_assert_cmpint (config_get_int (config, "limits", "depth"), ==, 10);
  g_assert_cmpstr (config_get_text (config, "xmpp", "certificate"), ==, "/new");
  g_assert_cmpstr (certificate, ==, "/c");

  g_assert_true (g_file_set_contents (fixture->path, BASE "[limits]\ndepth=x\n", -1, NULL));
  g_assert_false (config_reload (config, &error));
  g_assert_nonnull (error);
  g_assert_cmpint (config_get_int (config, "limits", "depth"), ==, 10);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/config/values", Fixture, NULL, set_up, test_config_values_and_defaults, tear_down);
  g_test_add ("/config/mistakes", Fixture, NULL, set_up, test_config_mistakes_name_file_group_and_key,
              tear_down);
  g_test_add ("/config/reload", Fixture, NULL, set_up, test_config_reload_changes_limits_alone, tear_down);
  return g_test_run ();
}
