#include "host-server/store/accounts.h"

#include "common/base/test-folder.h"
#include "common/base/text.h"

#include <string.h>

typedef struct
{
  char *folder;
  Store *store;
} Fixture;

static void
fixture_open (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  f->folder = g_dir_make_tmp ("stoa-accounts-XXXXXX", NULL);
  f->store = store_open (f->folder, NULL, &error);
  g_assert_no_error (error);
}

static void
fixture_close (Fixture *f, gconstpointer unused)
{
  store_close (f->store);
  test_folder_remove (f->folder);
  g_free (f->folder);
}

typedef struct
{
  gboolean is_done;
  AccountsOutcome outcome;
  char *uuid;
} Answer;

static void
answered (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  Answer *answer = data;
  g_assert_no_error (error);
  g_assert_true ((outcome == ACCOUNTS_OK) == (uuid != NULL));
  answer->is_done = TRUE;
  answer->outcome = outcome;
  answer->uuid = g_strdup (uuid);
}

static AccountsOutcome
wait_for (Answer *answer, char **uuid)
{
  while (!answer->is_done)
    g_main_context_iteration (NULL, TRUE);
  if (uuid != NULL)
    *uuid = answer->uuid;
  else
    g_free (answer->uuid);
  return answer->outcome;
}

static AccountsOutcome
create (Fixture *f, const char *local, const char *password, char **uuid)
{
  Answer answer = { 0 };
  g_autoptr (Secret) secret = secret_new (password, strlen (password));
  accounts_create (f->store, local, secret, answered, &answer);
  return wait_for (&answer, uuid);
}

static AccountsOutcome
set_password (Fixture *f, const char *local, const char *password)
{
  Answer answer = { 0 };
  g_autoptr (Secret) secret = secret_new (password, strlen (password));
  accounts_set_password (f->store, local, secret, answered, &answer);
  return wait_for (&answer, NULL);
}

static AccountsOutcome
remove_account (Fixture *f, const char *local)
{
  Answer answer = { 0 };
  accounts_remove (f->store, local, answered, &answer);
  return wait_for (&answer, NULL);
}

/* Whether @password is the one behind @verifier. */
static gboolean
opens (const ScramVerifier *verifier, ScramHash hash, const char *password)
{
  g_autoptr (Secret) secret = secret_new (password, strlen (password));
  ScramVerifier mine;
  return scram_verifier_derive (hash, secret, verifier->salt, verifier->iterations, &mine)
         && memcmp (mine.stored_key, verifier->stored_key, sizeof mine.stored_key) == 0
         && memcmp (mine.server_key, verifier->server_key, sizeof mine.server_key) == 0;
}

static void
test_verifier_matches_the_exchange_of_the_specification (void)
{
  /* RFC 7677 §3 prints an exchange for the password "pencil"; ServerSignature is HMAC (ServerKey,
   * AuthMessage). */
  static const char auth_message[]
      = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  g_autoptr (Secret) password = secret_new ("pencil", 6);
  gsize n_salt;
  g_autofree guint8 *salt = g_base64_decode ("W22ZaJ0SNY7soEsUEjb6gQ==", &n_salt);
  g_assert_cmpuint (n_salt, ==, 16);
  ScramVerifier verifier;
  g_assert_true (scram_verifier_derive (SCRAM_SHA_256, password, salt, 4096, &verifier));
  g_autoptr (GHmac) hmac = g_hmac_new (G_CHECKSUM_SHA256, verifier.server_key, 32);
  g_hmac_update (hmac, (const guchar *)auth_message, -1);
  guint8 digest[32];
  gsize length = sizeof digest;
  g_hmac_get_digest (hmac, digest, &length);
  g_autofree char *signature = g_base64_encode (digest, length);
  g_assert_cmpstr (signature, ==, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

  /* The example of RFC 5802 has a salt of 12 bytes; this one was worked out with Python's hashlib. */
  static const guint8 counting[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
  g_assert_true (scram_verifier_derive (SCRAM_SHA_1, password, counting, 4096, &verifier));
  g_autofree char *stored_key = text_to_hex (verifier.stored_key, 20);
  g_autofree char *server_key = text_to_hex (verifier.server_key, 20);
  g_assert_cmpstr (stored_key, ==, "b794eab6e7f0e9367bc195a36cc814541e18dade");
  g_assert_cmpstr (server_key, ==, "c7e0abb41bf072b76b2231a41132fc1e0bfb20f7");
}

static void
test_verifier_prepares_passwords (void)
{
  guint8 salt[16] = { 1 };
  ScramVerifier a, b;
  g_autoptr (Secret) soft
      = secret_new ("I\xc2\xadX", 4); /* RFC 4013 §3: the soft hyphen is mapped to nothing */
  g_autoptr (Secret) plain = secret_new ("IX", 2);
  g_assert_true (scram_verifier_derive (SCRAM_SHA_1, soft, salt, 1, &a));
  g_assert_true (scram_verifier_derive (SCRAM_SHA_1, plain, salt, 1, &b));
  g_assert_cmpmem (a.stored_key, 32, b.stored_key, 32);

  static const char *const refused[] = { "a\tb", "a\x7f",
                                         ("\xd8\xa7"
                                          "1"),
                                         "\xff\xfe", "\xc2\xad" };
  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr (Secret) bad = secret_new (refused[i], strlen (refused[i]));
      g_assert_false (scram_verifier_derive (SCRAM_SHA_256, bad, salt, 1, &a));
    }
  g_autoptr (Secret) with_nul = secret_new ("a\0b", 3);
  g_assert_false (scram_verifier_derive (SCRAM_SHA_256, with_nul, salt, 1, &a));
}

static void
test_accounts_a_created_account_opens_with_its_password (Fixture *f, gconstpointer unused)
{
  g_autofree char *uuid = NULL;
  Account account;
  g_assert_false (accounts_find (f->store, "alice", &account));
  g_assert_cmpint (create (f, "alice", "correct horse", &uuid), ==, ACCOUNTS_OK);
  g_assert_true (accounts_find (f->store, "alice", &account));
  g_assert_cmpstr (account.uuid, ==, uuid);
  char found[37] = "";
  g_assert_true (accounts_find_uuid (f->store, "alice", found));
  g_assert_cmpstr (found, ==, uuid);
  g_assert_false (accounts_find_uuid (f->store, "bob", found));
  for (ScramHash hash = 0; hash < N_SCRAM_HASHES; hash++)
    {
      g_assert_cmpuint (account.verifiers[hash].iterations, >=, 10000);
      g_assert_true (opens (&account.verifiers[hash], hash, "correct horse"));
      g_assert_false (opens (&account.verifiers[hash], hash, "correct horsf"));
    }
  g_assert_true (memcmp (account.verifiers[0].salt, account.verifiers[1].salt, 16) != 0);
}

static void
test_accounts_two_of_one_name_in_one_batch_make_one (Fixture *f, gconstpointer unused)
{
  Answer answers[4] = { { 0 } };
  g_autoptr (Secret) secret = secret_new ("correct horse", 13);
  guint n_ok = 0;
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    accounts_create (f->store, "alice", secret, answered, &answers[i]);
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      AccountsOutcome outcome = wait_for (&answers[i], NULL);
      g_assert_true (outcome == ACCOUNTS_OK || outcome == ACCOUNTS_EXISTS);
      n_ok += outcome == ACCOUNTS_OK;
    }
  g_assert_cmpuint (n_ok, ==, 1);
  Account account;
  g_assert_true (accounts_find (f->store, "alice", &account));
  g_assert_true (opens (&account.verifiers[SCRAM_SHA_256], SCRAM_SHA_256, "correct horse"));
}

static void
test_accounts_refuses_bad_names_and_passwords (Fixture *f, gconstpointer unused)
{
  g_autofree char *long_name = g_strnfill (1024, 'a');
  g_autofree char *longest = g_strnfill (ACCOUNT_MAX_PASSWORD, 'p');
  g_autofree char *too_long = g_strnfill (ACCOUNT_MAX_PASSWORD + 1, 'p');
  static const char *const names[] = { "", "Alice", "a b", "a@b", "a/b", "a'b", "a\x01", "\xff" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_cmpint (create (f, names[i], "correct horse", NULL), ==, ACCOUNTS_BAD_NAME);
  g_assert_cmpint (create (f, long_name, "correct horse", NULL), ==, ACCOUNTS_BAD_NAME);
  g_assert_cmpint (create (f, "alice", "1234567", NULL), ==, ACCOUNTS_BAD_PASSWORD);
  g_assert_cmpint (create (f, "alice", too_long, NULL), ==, ACCOUNTS_BAD_PASSWORD);
  g_assert_cmpint (create (f, "alice", "with\ttabulator", NULL), ==, ACCOUNTS_BAD_PASSWORD);
  Account account;
  g_assert_false (accounts_find (f->store, "alice", &account));
  g_assert_cmpint (create (f, "alice", longest, NULL), ==, ACCOUNTS_OK);
  g_assert_cmpint (create (f, "bob", "12345678", NULL), ==, ACCOUNTS_OK);
  g_assert_cmpint (create (f, "alice", "another one", NULL), ==, ACCOUNTS_EXISTS);
}

static void
test_accounts_a_new_password_replaces_the_old (Fixture *f, gconstpointer unused)
{
  g_autofree char *uuid = NULL;
  Account account;
  create (f, "alice", "correct horse", &uuid);
  g_assert_cmpint (set_password (f, "alice", "battery staple"), ==, ACCOUNTS_OK);
  g_assert_cmpint (set_password (f, "alice", "short"), ==, ACCOUNTS_BAD_PASSWORD);
  g_assert_cmpint (set_password (f, "bob", "battery staple"), ==, ACCOUNTS_NOT_FOUND);
  g_assert_true (accounts_find (f->store, "alice", &account));
  g_assert_cmpstr (account.uuid, ==, uuid);
  g_assert_true (opens (&account.verifiers[SCRAM_SHA_1], SCRAM_SHA_1, "battery staple"));
  g_assert_false (opens (&account.verifiers[SCRAM_SHA_256], SCRAM_SHA_256, "correct horse"));
}

static void
note_account (const char *uuid, const char *local, gint64 created_us, gpointer data)
{
  g_string_append_printf (data, "%s %s;", local, uuid);
}

static gboolean
finish_work (Db *db, gpointer data, GError **error)
{
  return account_removal_finish (db, "im", data, error);
}

static void
finish_done (gpointer data, const GError *error)
{
  g_assert_no_error (error);
  *(char *)data = '\0'; /* the UUID is used up */
}

static void
test_accounts_a_removed_name_is_free_for_another_user (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = NULL, *second = NULL;
  Account account;
  create (f, "alice", "correct horse", &first);
  g_assert_cmpint (remove_account (f, "alice"), ==, ACCOUNTS_OK);
  g_assert_cmpint (remove_account (f, "alice"), ==, ACCOUNTS_NOT_FOUND);
  g_assert_false (accounts_find (f->store, "alice", &account));

  /* The rooms that kept things for it are told, until they say that they are done. */
  Db *reader = store_peek_reader (f->store, STORE_MARKET);
  g_autofree char *expected = g_strdup_printf ("alice %s;", first);
  g_autoptr (GString) left = g_string_new (NULL);
  g_assert_true (account_removals_list (reader, "im", note_account, left, NULL));
  g_assert_cmpstr (left->str, ==, expected);
  g_autofree char *uuid = g_strdup (first);
  store_write (f->store, STORE_MARKET, finish_work, finish_done, uuid);
  while (*uuid != '\0')
    g_main_context_iteration (NULL, TRUE);
  g_string_truncate (left, 0);
  g_assert_true (account_removals_list (reader, "im", note_account, left, NULL));
  g_assert_cmpstr (left->str, ==, "");
  g_assert_true (account_removals_list (reader, "market", note_account, left, NULL));
  g_assert_cmpstr (left->str, ==, expected);

  g_assert_cmpint (create (f, "alice", "correct horse", &second), ==, ACCOUNTS_OK);
  g_assert_cmpstr (first, !=, second);
}

static void
test_accounts_are_listed_in_pages (Fixture *f, gconstpointer unused)
{
  g_autofree char *b = NULL, *a = NULL, *c = NULL;
  create (f, "b", "correct horse", &b);
  create (f, "a", "correct horse", &a);
  create (f, "c", "correct horse", &c);
  Db *reader = store_peek_reader (f->store, STORE_MARKET);
  g_autoptr (GString) page = g_string_new (NULL);
  g_assert_true (accounts_list (reader, NULL, 2, note_account, page, NULL));
  g_autofree char *first = g_strdup_printf ("a %s;b %s;", a, b);
  g_assert_cmpstr (page->str, ==, first);
  g_string_truncate (page, 0);
  g_assert_true (accounts_list (reader, "b", 2, note_account, page, NULL));
  g_autofree char *last = g_strdup_printf ("c %s;", c);
  g_assert_cmpstr (page->str, ==, last);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/accounts/verifier/matches-the-exchange-of-the-specification",
                   test_verifier_matches_the_exchange_of_the_specification);
  g_test_add_func ("/accounts/verifier/prepares-passwords", test_verifier_prepares_passwords);
#define ADD(path, func) g_test_add (path, Fixture, NULL, fixture_open, func, fixture_close)
  ADD ("/accounts/a-created-account-opens-with-its-password",
       test_accounts_a_created_account_opens_with_its_password);
  ADD ("/accounts/two-of-one-name-in-one-batch-make-one",
       test_accounts_two_of_one_name_in_one_batch_make_one);
  ADD ("/accounts/refuses-bad-names-and-passwords", test_accounts_refuses_bad_names_and_passwords);
  ADD ("/accounts/a-new-password-replaces-the-old", test_accounts_a_new_password_replaces_the_old);
  ADD ("/accounts/a-removed-name-is-free-for-another-user",
       test_accounts_a_removed_name_is_free_for_another_user);
  ADD ("/accounts/are-listed-in-pages", test_accounts_are_listed_in_pages);
#undef ADD
  return g_test_run ();
}
