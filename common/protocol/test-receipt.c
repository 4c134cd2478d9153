#include "common/protocol/receipt.h"

#include "common/base/text.h"

#include <gio/gio.h>
#include <string.h>

#define DIGEST "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg" /* of "test" */

typedef struct
{
  JwsKey *key;
  JwsKeySet *keys;
  json_t *claims;
} Fixture;

static void
setup (Fixture *f, gconstpointer unused)
{
  f->key = jws_key_new ();
  f->keys = jws_key_set_new ();
  g_autofree char *jwk = jws_key_dup_public (f->key);
  g_assert_true (jws_key_set_add (f->keys, jwk, 0, NULL));
  f->claims = json_loads (
      "{\"iss\":\"https://example.org\",\"iat\":1800000000,\"jti\":\"l_1.1\",\"seq\":1,\"supersedes\":null,"
      "\"reason\":\"fulfilled\",\"order\":\"o_1\",\"line\":\"l_1\",\"plugin\":\"weather\",\"vendor\":"
      "\"acme\","
      "\"term\":null,\"amount\":500,\"currency\":\"EUR\",\"provider\":\"main\",\"payments\":[{\"payment\":"
      "\"p_1\",\"amount\":500,\"recorded\":\"2027-01-15T08:00:00Z\",\"by\":\"callback\",\"webhook_id\":"
      "\"msg_1\",\"body_sha256\":\"" DIGEST "\"}],\"refunds\":[],\"disputes\":[],\"paid\":500,"
      "\"refunded\":0,\"status\":\"paid\",\"fulfilled\":\"2027-01-15T08:00:00Z\",\"delivered\":null,"
      "\"hashes\":{\"serial\":\"" DIGEST "\",\"buyer\":\"" DIGEST "\",\"buyer_at_vendor\":\"" DIGEST "\","
      "\"buyer_at_provider\":\"" DIGEST "\"}}",
      0, NULL);
  g_assert_nonnull (f->claims);
}

static void
teardown (Fixture *f, gconstpointer unused)
{
  jws_key_unref (f->key);
  jws_key_set_free (f->keys);
  json_decref (f->claims);
}

static char *
sign (const Fixture *f)
{
  char *payload = json_dumps (f->claims, JSON_COMPACT);
  char *jws = jws_sign (f->key, RECEIPT_TYPE, payload, strlen (payload), NULL);
  free (payload);
  return jws;
}

static Receipt *
verify (const Fixture *f, GError **error)
{
  g_autofree char *jws = sign (f);
  return receipt_verify (f->keys, jws, error);
}

static void
test_a_receipt_says_what_was_signed (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Receipt) receipt = verify (f, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (receipt->issuer, ==, "https://example.org");
  g_assert_cmpstr (receipt->order, ==, "o_1");
  g_assert_cmpint (receipt->amount_minor, ==, 500);
  g_assert_null (receipt->delivered);
  g_assert_null (receipt->supersedes);
  g_assert_cmpstr (receipt->kid, ==, jws_key_peek_kid (f->key));

  g_autoptr (GString) text = g_string_new (NULL);
  receipt_append_text (receipt, text);
  const char *facts[] = { "o_1", "weather by acme, for ever", "5.00 EUR, paid through main: paid",
                          "reported in msg_1", "not acknowledged" };
  for (gsize i = 0; i < G_N_ELEMENTS (facts); i++)
    g_assert_nonnull (strstr (text->str, facts[i]));
}

/* Each claim in turn absent, and of another kind. */
static void
test_what_is_signed_but_no_receipt_is_refused (Fixture *f, gconstpointer unused)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;
  json_t *value;
  json_object_foreach (f->claims, name, value) g_ptr_array_add (names, g_strdup (name));
  for (guint i = 0; i < names->len; i++)
    {
      const char *claim = g_ptr_array_index (names, i);
      json_t *good = json_incref (json_object_get (f->claims, claim));
      for (guint round = 0; round < 3; round++)
        {
          if (round == 0)
            json_object_del (f->claims, claim);
          else
            json_object_set_new (f->claims, claim, round == 1 ? json_true () : json_integer (-1));
          g_autoptr (GError) error = NULL;
          g_assert_null (verify (f, &error));
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
          if (strcmp (claim, "hashes") != 0) /* what is missed is in it */
            g_assert_nonnull (strstr (error->message, claim));
        }
      json_object_set_new (f->claims, claim, good);
    }
  g_autoptr (Receipt) receipt = verify (f, NULL);
  g_assert_nonnull (receipt);
}

static void
test_texts_that_would_fool_a_reader_are_refused (Fixture *f, gconstpointer unused)
{
  g_autofree char *long_text = g_strnfill (1025, 'x');
  const char *texts[] = { "a\nprice free", "\x1b[2J", "\xe2\x80\xae", long_text };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      json_object_set_new (f->claims, "plugin", json_string (texts[i]));
      g_assert_null (verify (f, NULL));
    }
  json_object_set_new (f->claims, "plugin", json_string ("weather"));
  const char *times[] = { "yesterday", "2027-13-15T08:00:00Z", "" };
  for (gsize i = 0; i < G_N_ELEMENTS (times); i++)
    {
      json_object_set_new (f->claims, "delivered", json_string (times[i]));
      g_assert_null (verify (f, NULL));
    }
}

static void
test_only_the_first_receipt_supersedes_nothing (Fixture *f, gconstpointer unused)
{
  json_object_set_new (f->claims, "seq", json_integer (2));
  g_assert_null (verify (f, NULL));
  json_object_set_new (f->claims, "supersedes", json_string (DIGEST));
  g_autoptr (Receipt) second = verify (f, NULL);
  g_assert_nonnull (second);
  json_object_set_new (f->claims, "seq", json_integer (1));
  g_assert_null (verify (f, NULL));
}

static void
test_a_chain_holds_only_in_its_order (Fixture *f, gconstpointer unused)
{
  g_autofree char *jws = sign (f);
  g_autoptr (Receipt) first = receipt_verify (f->keys, jws, NULL);
  g_autofree char *link = receipt_dup_link (jws);
  json_object_set_new (f->claims, "seq", json_integer (2));
  json_object_set_new (f->claims, "supersedes", json_string (link));
  g_autoptr (Receipt) second = verify (f, NULL);
  json_object_set_new (f->claims, "supersedes", json_string (DIGEST));
  g_autoptr (Receipt) other = verify (f, NULL);
  json_object_set_new (f->claims, "supersedes", json_string (link));
  json_object_set_new (f->claims, "line", json_string ("l_2"));
  g_autoptr (Receipt) elsewhere = verify (f, NULL);

  g_autoptr (GError) error = NULL;
  g_assert_true (receipt_follows (second, first, &error));
  g_assert_no_error (error);
  const Receipt *wrong[] = { first, other, elsewhere };
  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_assert_false (receipt_follows (wrong[i], first, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_clear_error (&error);
    }
}

static void
test_a_retired_key_signs_nothing_new (Fixture *f, gconstpointer unused)
{
  g_autofree char *jwk = jws_key_dup_public (f->key);
  for (gint64 retired_s = 1800000000 - RECEIPT_LEEWAY_S - 1; retired_s <= 1800000001; retired_s++)
    {
      g_autoptr (JwsKeySet) keys = jws_key_set_new ();
      jws_key_set_add (keys, jwk, retired_s, NULL);
      g_autofree char *jws = sign (f);
      g_autoptr (Receipt) receipt = receipt_verify (keys, jws, NULL);
      g_assert_true ((receipt != NULL) == (retired_s >= 1800000000 - RECEIPT_LEEWAY_S));
    }
}

/* printf '%s' "$serial" behind 32 zero bytes, sha256sum: computed apart from this program. */
static void
test_a_salted_hash_is_sha256_of_salt_and_value (void)
{
  guint8 salt[RECEIPT_SALT_BYTES] = { 0 }, hash[RECEIPT_HASH_BYTES];
  receipt_hash (salt, "KEY-1", 5, hash);
  g_autofree char *text = text_to_hex (hash, sizeof hash);
  g_assert_cmpstr (text, ==, "2bef7100ece8ad876b02ce6c39fd16b94f5017ad7a680e7e104cd2b187b933dc");
}

static void
test_a_value_matches_under_its_own_salt_only (Fixture *f, gconstpointer unused)
{
  guint8 hash[RECEIPT_HASH_BYTES];
  g_autofree char *salt = g_strnfill (43, 'A');
  g_autoptr (ReceiptDocument) document = receipt_document_new ("");
  g_assert_true (receipt_document_disclose (document, "serial", salt, NULL));
  receipt_hash (document->salts[RECEIPT_SERIAL], "KEY-1", 5, hash);
  g_autofree char *text = text_to_base64url (hash, sizeof hash);
  json_object_set_new (json_object_get (f->claims, "hashes"), "serial", json_string (text));
  g_autoptr (Receipt) receipt = verify (f, NULL);
  g_assert_cmpint (receipt_match (receipt, document, RECEIPT_SERIAL, "KEY-1", 5), ==, RECEIPT_MATCHES);
  g_assert_cmpint (receipt_match (receipt, document, RECEIPT_SERIAL, "KEY-2", 5), ==, RECEIPT_DIFFERS);
  g_assert_cmpint (receipt_match (receipt, document, RECEIPT_BUYER, "KEY-1", 5), ==, RECEIPT_NOT_DISCLOSED);

  g_assert_nonnull (receipt_find_body (receipt, "test", 4));
  g_assert_null (receipt_find_body (receipt, "test\n", 5));
}

static void
test_documents_are_one_or_a_chain_or_bare (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ReceiptDocument) document = receipt_document_new ("a.b.c");
  g_autofree char *salt = g_strnfill (43, 'A');
  g_assert_true (receipt_document_disclose (document, "buyer", salt, &error));
  json_t *json = receipt_document_to_json (document);
  char *text = json_dumps (json, JSON_COMPACT);
  g_autofree char *chain = g_strdup_printf (" %s\n%s %s\n\n", text, text, text);
  g_autoptr (GPtrArray) documents = receipt_documents_parse (chain, strlen (chain), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (documents->len, ==, 3);
  const ReceiptDocument *last = g_ptr_array_index (documents, 2);
  g_assert_cmpstr (last->jws, ==, "a.b.c");
  g_assert_nonnull (last->salts[RECEIPT_BUYER]);
  g_assert_null (last->salts[RECEIPT_SERIAL]);
  free (text);
  json_decref (json);

  g_autoptr (GPtrArray) bare = receipt_documents_parse ("a.b.c\n", 6, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (((const ReceiptDocument *)g_ptr_array_index (bare, 0))->jws, ==, "a.b.c");

  const char *bad[] = { "",
                        " \n",
                        "{",
                        "{}",
                        "{\"receipt\":7}",
                        "{\"receipt\":\"a\",\"receipt\":\"b\"}",
                        "{\"receipt\":\"a\",\"disclosures\":[]}",
                        "{\"receipt\":\"a\",\"disclosures\":{\"serial\":\"AA\"}}",
                        "{\"receipt\":\"a\",\"disclosures\":{\"serial\":null}}",
                        "{\"receipt\":\"a\",\"disclosures\":{\"colour\":\"AA\"}}",
                        "{\"receipt\":\"a\"} trailing",
                        "a.b.\xe9" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (receipt_documents_parse (bad[i], strlen (bad[i]), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_clear_error (&error);
    }
  g_assert_false (receipt_document_disclose (document, "buyer", salt, NULL));
}

static void
test_parties_get_what_they_know_and_no_more (void)
{
  ReceiptParty party;
  guint n_disclosed[N_RECEIPT_PARTIES] = { 0 };
  g_assert_true (receipt_party_from_text ("vendor", &party));
  g_assert_cmpint (party, ==, RECEIPT_FOR_VENDOR);
  g_assert_false (receipt_party_from_text ("everybody", &party));
  for (ReceiptParty one = 0; one < N_RECEIPT_PARTIES; one++)
    for (ReceiptClaim claim = 0; claim < N_RECEIPT_CLAIMS; claim++)
      n_disclosed[one] += receipt_is_disclosed_to (one, claim);
  g_assert_cmpuint (n_disclosed[RECEIPT_FOR_BUYER], ==, 3);
  g_assert_cmpuint (n_disclosed[RECEIPT_FOR_VENDOR], ==, 2);
  g_assert_cmpuint (n_disclosed[RECEIPT_FOR_PROVIDER], ==, 1);
  g_assert_false (receipt_is_disclosed_to (RECEIPT_FOR_VENDOR, RECEIPT_BUYER));
  g_assert_false (receipt_is_disclosed_to (RECEIPT_FOR_PROVIDER, RECEIPT_SERIAL));
  g_assert_false (receipt_is_disclosed_to (RECEIPT_FOR_BUYER, RECEIPT_BUYER_AT_PROVIDER));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/receipt/" #name, Fixture, NULL, setup, test_##name, teardown)
  ADD (a_receipt_says_what_was_signed);
  ADD (what_is_signed_but_no_receipt_is_refused);
  ADD (texts_that_would_fool_a_reader_are_refused);
  ADD (only_the_first_receipt_supersedes_nothing);
  ADD (a_chain_holds_only_in_its_order);
  ADD (a_retired_key_signs_nothing_new);
  ADD (a_value_matches_under_its_own_salt_only);
  ADD (documents_are_one_or_a_chain_or_bare);
  g_test_add_func ("/receipt/a_salted_hash_is_sha256_of_salt_and_value",
                   test_a_salted_hash_is_sha256_of_salt_and_value);
  g_test_add_func ("/receipt/parties_get_what_they_know_and_no_more",
                   test_parties_get_what_they_know_and_no_more);
  return g_test_run ();
}
