/* In-band registration against core's services, with streams before login and sessions of the test's own. */
#include "common/base/test-folder.h"
#include "host-server/configuration/room.h"
#include "host-server/core/config.h"
#include "host-server/core/hooks.h"
#include "host-server/core/service.h"
#include "host-server/core/test-sessions.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  char *folder;
  Server server;
  SessionBook book;
  Session *session; /* the one that is logged in; NULL */
  Configuration configuration;
  GString *answer; /* of the stream before login */
  GString *removed;
} Fixture;

static void
note_removed (const char *uuid, const Jid *bare, gpointer data)
{
  g_string_append_printf (data, "%s %s;", jid_get_bare (bare), uuid);
}

static void
fixture_open (Fixture *f, gconstpointer limits)
{
  g_autoptr (GError) error = NULL;
  f->folder = g_dir_make_tmp ("stoa-registration-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (f->folder, "stoa.conf", NULL);
  g_autofree char *text = g_strdup_printf ("[server]\ndomain=d\ndata=/nowhere\n[xmpp]\ncertificate=/c\n"
                                           "private_key=/k\n[registration]\nopen=true\n[limits]\n%s\n",
                                           limits != NULL ? (const char *)limits : "");
  g_file_set_contents (path, text, -1, NULL);
  Server *server = &f->server;
  server->config = config_load (path, &error);
  g_assert_no_error (error);
  g_unlink (path);
  server->clock = clock_new_fake (0);
  server->domain = jid_new ("d", 1);
  server->market = jid_new ("market.d", 8);
  test_session_book_init (&f->book);
  server->sessions = &f->book;
  server->store = store_open (f->folder, NULL, &error);
  g_assert_no_error (error);
  server->hooks = hooks_new ();
  server->services = services_new (&f->book, server->hooks, server->domain, server->market, server->clock);
  f->configuration.server = server;
  f->configuration.registrations = rate_new (server->clock);
  f->configuration.password_changes = rate_new (server->clock);
  configuration_registration_init (&f->configuration);
  f->answer = g_string_new (NULL);
  f->removed = g_string_new (NULL);
  hooks_add_account_removed (server->hooks, note_removed, f->removed);
}

static void
log_out (Fixture *f)
{
  Session *session = g_steal_pointer (&f->session);
  if (session == NULL)
    return;
  g_assert_cmpuint (session->refs, ==, 1);
  session_unref (test_session_end (&f->book, session));
}

static void
fixture_close (Fixture *f, gconstpointer unused)
{
  log_out (f);
  test_session_book_clear (&f->book);
  store_close (f->server.store);
  services_free (f->server.services);
  hooks_free (f->server.hooks);
  config_free (f->server.config);
  rate_free (f->configuration.registrations);
  rate_free (f->configuration.password_changes);
  clock_free (f->server.clock);
  jid_unref (f->server.domain);
  jid_unref (f->server.market);
  g_string_free (f->answer, TRUE);
  g_string_free (f->removed, TRUE);
  test_folder_remove (f->folder);
  g_free (f->folder);
}

static void
log_in (Fixture *f, const char *local)
{
  Account account;
  g_assert_true (accounts_find (f->server.store, local, &account));
  g_autofree char *full = g_strdup_printf ("%s@d/x", local);
  f->session = test_session_bind (&f->book, full, account.uuid);
}

static Stanza *
parse (const char *type, const char *payload)
{
  g_autofree char *xml = g_strdup_printf (
      "<iq xmlns='jabber:client' type='%s' id='1' to='d'><query xmlns='jabber:iq:register'>%s</query></iq>",
      type, payload);
  return stanza_new_from_bytes (xml, strlen (xml));
}

static void
take_answer (const char *xml, gsize length, gpointer data)
{
  g_string_append_len (((Fixture *)data)->answer, xml, (gssize)length);
}

/* From a stream that has not logged in. Lent until the next. */
static const char *
ask_from (Fixture *f, const char *address, const char *type, const char *payload)
{
  g_autoptr (Stanza) stanza = parse (type, payload);
  g_string_truncate (f->answer, 0);
  services_take_before_login (f->server.services, address, stanza, take_answer, f, NULL);
  while (f->answer->len == 0)
    g_main_context_iteration (NULL, TRUE);
  return f->answer->str;
}

static const char *
ask (Fixture *f, const char *type, const char *payload)
{
  return ask_from (f, "192.0.2.1", type, payload);
}

/* From the session. */
static const char *
ask_session (Fixture *f, const char *type, const char *payload)
{
  Session *session = f->session;
  g_autoptr (Stanza) stanza = parse (type, payload);
  stanza->from = jid_ref (session->jid);
  g_string_truncate (session->sent, 0);
  services_take (f->server.services, session, SERVICE_DOMAIN, stanza);
  while (session->sent->len == 0)
    g_main_context_iteration (NULL, TRUE);
  return session->sent->str;
}

static gboolean
has_password (Fixture *f, const char *local, const char *password)
{
  Account account;
  ScramVerifier mine;
  g_autoptr (Secret) secret = secret_new (password, strlen (password));
  if (!accounts_find (f->server.store, local, &account))
    return FALSE;
  const ScramVerifier *theirs = &account.verifiers[SCRAM_SHA_256];
  return scram_verifier_derive (SCRAM_SHA_256, secret, theirs->salt, theirs->iterations, &mine)
         && memcmp (mine.stored_key, theirs->stored_key, 32) == 0;
}

#define FIELDS(name, password) "<username>" name "</username><password>" password "</password>"

static void
test_registration_makes_an_account (Fixture *f, gconstpointer unused)
{
  const char *form = ask (f, "get", "");
  g_assert_nonnull (strstr (form, "<username/><password/>"));
  g_assert_null (strstr (form, "<registered/>"));
  g_assert_nonnull (strstr (ask (f, "set", FIELDS ("Alice", "correct &amp; horse")), "type='result'"));
  g_assert_true (has_password (f, "alice", "correct & horse"));
  g_assert_nonnull (strstr (services_get_stream_features (f->server.services),
                            "<register xmlns='http://jabber.org/features/iq-register'/>"));
}

static void
test_registration_refusals_name_field_and_rule (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    const char *payload;
    const char *error;
    const char *text;
  } rows[] = {
    { "", "<not-acceptable", "username: is missing" },
    { "<username>bob</username>", "<not-acceptable", "password: is missing" },
    { FIELDS ("", "correct horse"), "<not-acceptable", "username: " },
    { FIELDS ("a b", "correct horse"), "<not-acceptable", "username: " },
    { FIELDS ("bob@d", "correct horse"), "<not-acceptable", "username: " },
    { FIELDS ("bob", "1234567"), "<not-acceptable", "password: 8 to 1023 bytes" },
    { FIELDS ("bob", "tabs&#9;are out"), "<not-acceptable", "password: " },
    { FIELDS ("taken", "correct horse"), "<conflict", "username: " },
    { FIELDS ("TAKEN", "correct horse"), "<conflict", "username: " },
    { "<remove/>", "<unexpected-request", "" },
  };
  ask (f, "set", FIELDS ("taken", "correct horse"));
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const char *answer = ask (f, "set", rows[i].payload);
      g_test_message ("%s: %s", rows[i].payload, answer);
      g_assert_nonnull (strstr (answer, rows[i].error));
      g_assert_nonnull (strstr (answer, rows[i].text));
    }
  Account account;
  g_assert_false (accounts_find (f->server.store, "bob", &account));
}

static void
test_registration_has_a_rate (Fixture *f, gconstpointer unused)
{
  g_assert_nonnull (strstr (ask (f, "set", FIELDS ("a", "correct horse")), "type='result'"));
  g_assert_nonnull (strstr (ask (f, "set", FIELDS ("a", "correct horse")), "<conflict")); /* probing counts */
  g_assert_nonnull (strstr (ask (f, "set", FIELDS ("b", "correct horse")), "<resource-constraint"));
  g_assert_nonnull (
      strstr (ask_from (f, "192.0.2.2", "set", FIELDS ("b", "correct horse")), "type='result'"));
  clock_advance_us (f->server.clock, G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC);
  g_assert_nonnull (strstr (ask (f, "set", FIELDS ("c", "correct horse")), "type='result'"));
}

static void
test_registration_after_login_is_about_oneself (Fixture *f, gconstpointer unused)
{
  ask (f, "set", FIELDS ("alice", "correct horse"));
  ask (f, "set", FIELDS ("bob", "correct horse"));
  log_in (f, "alice");
  g_assert_nonnull (strstr (ask_session (f, "get", ""), "<registered/><username>alice</username>"));
  g_assert_nonnull (strstr (ask_session (f, "set", FIELDS ("bob", "battery staple")), "<not-allowed"));
  g_assert_nonnull (strstr (ask_session (f, "set", FIELDS ("alice", "short")), "password: "));
  g_assert_nonnull (strstr (ask_session (f, "set", "<password>battery staple</password>"), "<bad-request"));
  g_assert_true (has_password (f, "alice", "correct horse"));
  g_assert_true (has_password (f, "bob", "correct horse"));
  g_assert_nonnull (strstr (ask_session (f, "set", FIELDS ("alice", "battery staple")), "type='result'"));
  g_assert_true (has_password (f, "alice", "battery staple"));
  g_assert_null (f->session->stream_error);
}

static void
test_registration_is_removed_by_its_owner (Fixture *f, gconstpointer unused)
{
  Account account;
  ask (f, "set", FIELDS ("alice", "correct horse"));
  log_in (f, "alice");
  g_assert_nonnull (strstr (ask_session (f, "set", "<remove/><username>alice</username>"), "<bad-request"));
  g_assert_true (accounts_find (f->server.store, "alice", &account));
  g_assert_nonnull (strstr (ask_session (f, "set", "<remove/>"), "type='result'"));
  g_assert_cmpstr (f->session->stream_error, ==, "not-authorized");
  g_autofree char *expected = g_strdup_printf ("alice@d %s;", account.uuid);
  g_assert_cmpstr (f->removed->str, ==, expected);
  g_assert_false (accounts_find (f->server.store, "alice", &account));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, limits, func)                                                                              \
  g_test_add ("/configuration/registration/" name, Fixture, limits, fixture_open, func, fixture_close)
  ADD ("makes-an-account", NULL, test_registration_makes_an_account);
  ADD ("refusals-name-field-and-rule", NULL, test_registration_refusals_name_field_and_rule);
  ADD ("has-a-rate", "registrations_per_hour=2", test_registration_has_a_rate);
  ADD ("after-login-is-about-oneself", NULL, test_registration_after_login_is_about_oneself);
  ADD ("is-removed-by-its-owner", NULL, test_registration_is_removed_by_its_owner);
#undef ADD
  return g_test_run ();
}
