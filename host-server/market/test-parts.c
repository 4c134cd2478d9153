#include "common/base/clock.h"
#include "common/base/text.h"
#include "host-server/market/books/keys.h"
#include "host-server/market/books/plugins.h"
#include "host-server/market/books/pool.h"
#include "host-server/market/books/term.h"
#include "host-server/market/catalog.h"

#include <openssl/evp.h>
#include <string.h>

/* The parts of the market that need neither a store nor a clock: names, terms, manifests, pools, pages,
 * callbacks. */

static MarketKey *
new_key (const void *bytes, gsize length)
{
  g_autoptr (Secret) key = secret_new (bytes, length);
  return market_key_new (key);
}

/* Computed apart from this program (Python: base64.b32encode (hmac.new (key, party + b"\0" + uuid,
 * "sha256")…)). */
static void
test_parts_pairwise_names_are_exactly_as_the_protocol_says (void)
{
  static const struct
  {
    const char *party, *account, *name;
  } rows[] = {
    { "acme", "0190f000-0000-7000-8000-00000000a11c", "cieqysawwmamsc76w2ldszkd33" },
    { "acme2", "0190f000-0000-7000-8000-00000000a11c", "2zvolzwp3kdj4xecop7k7j5ma4" },
    { "acme", "0190f000-0000-7000-8000-000000000b0b", "qy5klw366yiaqv2ymfzi63xptu" },
    { "provider:stub", "0190f000-0000-7000-8000-00000000a11c", "voptkvopc4hm5egdzsnx4trhhh" },
  };
  guint8 bytes[32];
  for (guint i = 0; i < sizeof bytes; i++)
    bytes[i] = (guint8)i;
  MarketKey *key = new_key (bytes, sizeof bytes);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *name = pairwise_name (key, rows[i].party, rows[i].account);
      g_assert_cmpstr (name, ==, rows[i].name);
      g_assert_cmpuint (strlen (name), ==, PAIRWISE_LENGTH);
    }
  EVP_MAC_CTX_free (key);
}

static void
assert_mac (const guint8 mac[32], const char *expected)
{
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint i = 0; i < 32; i++)
    g_string_append_printf (text, "%02x", mac[i]);
  g_assert_cmpstr (text->str, ==, expected);
}

/* What stores hold is compared with these for ever. Computed apart from this program, too: hmac.new (b"seed",
 * b"l_1.2.3", "sha256"), (b"digest", b"weather\0KEY"), (b"salt", b"l_1\0serial"). */
static void
test_parts_seeds_digests_and_salts_stay_what_they_were (void)
{
  MarketKeys keys
      = { .seed = new_key ("seed", 4), .digest = new_key ("digest", 6), .salt = new_key ("salt", 4) };
  g_autoptr (Secret) serial = secret_new ("KEY", 3);
  guint8 mac[32];
  market_keys_derive_seed (&keys, "l_1", 2, 3, mac);
  assert_mac (mac, "93c4de5caca6c02baa037aa727d51589eb3a7a2e834d8450ccb7d1453556973f");
  market_keys_digest_serial (&keys, "weather", serial, mac);
  assert_mac (mac, "38c7a600ae14a0586d2cc4ee6b96b921c43d1ddb3b422d88d9e011dd3e4671ef");
  market_keys_derive_salt (&keys, "l_1", "serial", mac);
  assert_mac (mac, "358d9ab99b4f595261620d3cc9e4a8c60360fdd05a47080634ecc3f11d122c71");
  market_keys_clear (&keys);
}

static void
test_parts_seeds_and_digests_differ_by_what_they_are_for (void)
{
  MarketKeys keys
      = { .pairwise = new_key ("pairwise", 8), .seed = new_key ("seed", 4), .digest = new_key ("digest", 6) };
  g_autoptr (Secret) serial = secret_new ("KEY", 3);
  guint8 a[32], b[32];
  market_keys_derive_seed (&keys, "l_1", 0, 0, a);
  market_keys_derive_seed (&keys, "l_1", 0, 0, b);
  g_assert_cmpmem (a, sizeof a, b, sizeof b);
  market_keys_derive_seed (&keys, "l_1", 0, 1, b);
  g_assert_cmpint (memcmp (a, b, sizeof a), !=, 0);
  market_keys_derive_seed (&keys, "l_1", 1, 0, b);
  g_assert_cmpint (memcmp (a, b, sizeof a), !=, 0);
  market_keys_digest_serial (&keys, "dice", serial, a);
  market_keys_digest_serial (&keys, "dic", serial, b);
  g_assert_cmpint (memcmp (a, b, sizeof a), !=, 0);
  market_keys_clear (&keys);
}

static void
test_parts_terms_follow_the_calendar (void)
{
  static const struct
  {
    const char *term, *from, *to;
  } rows[] = {
    { "P1Y", "2026-11-23T10:00:00Z", "2027-11-23T10:00:00Z" },
    { "P1Y", "2028-02-29T10:00:00Z", "2029-02-28T10:00:00Z" },
    { "P1M", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z" },
    { "P3M", "2026-11-30T23:59:59Z", "2027-02-28T23:59:59Z" },
    { "P2W", "2026-12-25T00:00:00Z", "2027-01-08T00:00:00Z" },
    { "P30D", "2026-02-01T00:00:00Z", "2026-03-03T00:00:00Z" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gint64 from_us = 0, to_us = 0;
      g_assert_true (clock_parse_rfc3339 (rows[i].from, &from_us)
                     && clock_parse_rfc3339 (rows[i].to, &to_us));
      g_assert_true (term_is_valid (rows[i].term));
      g_assert_cmpint (term_add (rows[i].term, from_us + 7), ==, to_us + 7);
    }
  g_assert_true (term_is_valid (""));
  g_assert_cmpint (term_add ("", 12345), ==, 0);
  static const char *const bad[]
      = { "P", "1Y", "P1", "P0Y", "P1000Y", "P1Y2M", "PT1H", "P-1Y", "p1y", "P1Y " };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (term_is_valid (bad[i]));
}

#define GOOD "[Plugin]\nid=dice\nname=Dice\nvendor=acme\nversion=1.0\nprice=99\ncurrency=EUR\n"

static void
test_parts_a_manifest_is_read_or_its_fault_named (void)
{
  static const struct
  {
    const char *text, *fault; /* NULL: it is good */
  } rows[] = {
    { GOOD "[Serial]\nsource=pool\n", NULL },
    { GOOD
      "term=P1Y\nsummary=throws\n[Serial]\nsource=keygen\nmodule=libx.so\nfallback=pool\npolicy=on-payment\n",
      NULL },
    { GOOD, "[Serial] source: missing" },
    { GOOD "colour=red\n[Serial]\nsource=pool\n", "[Plugin] colour: unknown key" },
    { GOOD "[Serial]\nsource=magic\n", "[Serial] source: must be keygen, plugin-server or pool" },
    { GOOD "[Serial]\nsource=keygen\n", "[Serial] module: missing, the source is a keygen" },
    { GOOD "[Serial]\nsource=keygen\nmodule=../x.so\n", "[Serial] module: must be a path inside its folder" },
    { GOOD "[Serial]\nsource=plugin-server\n",
      "[PluginServer] base: missing, the source is a plugin server" },
    { GOOD "[Serial]\nsource=pool\nfallback=plugin-server\n",
      "[PluginServer] base: missing, the source is a plugin server" },
    { GOOD "[Serial]\nsource=plugin-server\n[PluginServer]\nbase=http://vendor.example\n",
      "[PluginServer] base: must be an https URL, or http on loopback" },
    { GOOD "[Serial]\nsource=pool\nfallback=pool\n", "[Serial] fallback: must be another source" },
    { GOOD "[Serial]\nsource=pool\npolicy=later\n", "[Serial] policy: must be on-payment or reserve" },
    { GOOD "term=PT5M\n[Serial]\nsource=pool\n",
      "[Plugin] term: must be one unit of an ISO 8601 duration, as P1Y or P3M" },
    { "[Plugin]\nid=Dice\nname=D\nvendor=acme\nversion=1\nprice=1\ncurrency=EUR\n[Serial]\nsource=pool\n",
      "[Plugin] id: must match [a-z0-9][a-z0-9.-]{0,63}" },
    { "[Plugin]\nid=d\nname=D\nvendor=acme\nversion=1\nprice=1.50\ncurrency=EUR\n[Serial]\nsource=pool\n",
      "[Plugin] price: must be a whole number of minor units, 0 or more" },
    { "[Plugin]\nid=d\nname=D\nvendor=acme\nversion=1\nprice=-1\ncurrency=EUR\n[Serial]\nsource=pool\n",
      "[Plugin] price: must be a whole number of minor units, 0 or more" },
    { "[Plugin]\nid=d\nname=D\nvendor=acme\nversion=1\nprice=1\n[Serial]\nsource=pool\n",
      "[Plugin] currency: missing, it has a price" },
    { "[Plugin]\nid=d\nname=D\nvendor=acme\nversion=1\nprice=0\n[Serial]\nsource=pool\n", NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Plugin) plugin = plugin_parse_manifest (rows[i].text, strlen (rows[i].text), &error);
      g_assert_cmpstr (error != NULL ? error->message : NULL, ==, rows[i].fault);
      g_assert_cmpint (plugin != NULL, ==, rows[i].fault == NULL);
    }
}

static void
test_parts_a_pool_file_is_read_by_lines (void)
{
  static const char text[] = "ONE\r\n\nTWO WORDS\nONE\n bad\nbad \nta\tb\nümlaut\nLAST";
  g_autoptr (GArray) faults = g_array_new (FALSE, FALSE, sizeof (PoolFault));
  g_autoptr (GPtrArray) keys = pool_parse (text, strlen (text), faults);
  g_assert_cmpuint (keys->len, ==, 3);
  g_assert_cmpstr (secret_peek_text (g_ptr_array_index (keys, 0)), ==, "ONE");
  g_assert_cmpstr (secret_peek_text (g_ptr_array_index (keys, 1)), ==, "TWO WORDS");
  g_assert_cmpstr (secret_peek_text (g_ptr_array_index (keys, 2)), ==, "LAST");
  static const guint lines[] = { 4, 5, 6, 7, 8 };
  g_assert_cmpuint (faults->len, ==, G_N_ELEMENTS (lines));
  for (guint i = 0; i < faults->len; i++)
    g_assert_cmpuint (g_array_index (faults, PoolFault, i).line, ==, lines[i]);
}

/* Pages of five plugins, a to e, with d retired. */
static GPtrArray *
make_plugins (void)
{
  GPtrArray *plugins = g_ptr_array_new_with_free_func ((GDestroyNotify)plugin_free);
  static const char *const names[] = { "Anchor", "Bell", "Candle", "Drum", "Easel" };
  for (guint i = 0; i < 5; i++)
    {
      g_autofree char *manifest = g_strdup_printf (
          "[Plugin]\nid=%c\nname=%s\nvendor=acme\nversion=1\nprice=0\n[Serial]\nsource=pool\n", 'a' + (int)i,
          names[i]);
      Plugin *plugin = plugin_parse_manifest (manifest, strlen (manifest), NULL);
      plugin->is_retired = i == 3;
      g_ptr_array_add (plugins, plugin);
    }
  return plugins;
}

static void
test_parts_the_catalog_is_paged (void)
{
  static const struct
  {
    const char *query;
    gint64 max, index;
    const char *after, *before;
    const char *expected; /* NULL: item-not-found */
    gint64 count, first_index;
  } rows[] = {
    { NULL, -1, -1, NULL, NULL, "abce", 4, 0 }, { NULL, 2, -1, NULL, NULL, "ab", 4, 0 },
    { NULL, 2, -1, "b", NULL, "ce", 4, 2 },     { NULL, 2, -1, "c", NULL, "e", 4, 3 },
    { NULL, 2, -1, "e", NULL, "", 4, -1 },      { NULL, 2, -1, NULL, "", "ce", 4, 2 },
    { NULL, 2, -1, NULL, "c", "ab", 4, 0 },     { NULL, 2, -1, NULL, "b", "a", 4, 0 },
    { NULL, 2, -1, NULL, "a", "", 4, -1 },      { NULL, 2, 1, NULL, NULL, "bc", 4, 1 },
    { NULL, 0, -1, NULL, NULL, "", 4, -1 },     { NULL, 2, 9, NULL, NULL, "", 4, -1 },
    { NULL, 2, -1, "d", NULL, NULL, 0, 0 },     { NULL, 2, -1, "nothing", NULL, NULL, 0, 0 },
    { "AN", -1, -1, NULL, NULL, "ac", 2, 0 },   { "drum", -1, -1, NULL, NULL, "", 0, -1 },
    { "ACME", 1, -1, "a", NULL, "b", 4, 1 },
  };
  g_autoptr (GPtrArray) plugins = make_plugins ();
  g_autoptr (GHashTable) owned = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_add (owned, (gpointer) "b");
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Catalog) catalog = catalog_new ();
      catalog->query = g_strdup (rows[i].query);
      catalog->paging.max = rows[i].max;
      catalog->paging.index = rows[i].index;
      catalog->paging.after = g_strdup (rows[i].after);
      catalog->paging.before = g_strdup (rows[i].before);
      gboolean is_known = catalog_fill (catalog, plugins, owned);
      g_assert_cmpint (is_known, ==, rows[i].expected != NULL);
      if (!is_known)
        continue;
      g_autoptr (GString) ids = g_string_new (NULL);
      for (guint k = 0; k < catalog->entries->len; k++)
        {
          const CatalogEntry *entry = g_ptr_array_index (catalog->entries, k);
          g_string_append (ids, entry->id);
          g_assert_cmpint (entry->is_owned, ==, g_str_equal (entry->id, "b"));
        }
      g_assert_cmpstr (ids->str, ==, rows[i].expected);
      g_assert_cmpint (catalog->paging.count, ==, rows[i].count);
      g_assert_cmpint (catalog->paging.first != NULL ? catalog->paging.first_index : -1, ==,
                       rows[i].first_index);
    }
}

static void
test_parts_callbacks_are_read_strictly (void)
{
#define BODY(type, more)                                                                                     \
  "{\"type\":\"" type                                                                                        \
  "\",\"data\":{\"merchant\":\"m\",\"order\":\"o\",\"checkout\":\"c\",\"live\":true" more "}}"
#define MONEY ",\"payment\":\"p\",\"amount\":10,\"currency\":\"EUR\""
  static const struct
  {
    const char *body;
    gboolean is_good;
    MoneyEventKind kind;
  } rows[] = {
    { BODY ("checkout.paid", MONEY), TRUE, MONEY_PAYMENT },
    { BODY ("checkout.declined", ""), TRUE, MONEY_DECLINED },
    { BODY ("checkout.expired", MONEY), TRUE, MONEY_EXPIRED },
    { BODY ("payment.refunded", MONEY ",\"refund\":\"r\""), TRUE, MONEY_REFUND },
    { BODY ("payment.disputed", MONEY ",\"dispute\":\"d\""), TRUE, MONEY_DISPUTE },
    { BODY ("payment.dispute_won", MONEY ",\"dispute\":\"d\""), TRUE, MONEY_DISPUTE_WON },
    { BODY ("payment.dispute_lost", MONEY ",\"dispute\":\"d\""), TRUE, MONEY_DISPUTE_LOST },
    { "{\"type\":\"news\"}", TRUE, MONEY_OTHER },
    { BODY ("payment.refunded", MONEY), FALSE, 0 },
    { BODY ("payment.disputed", MONEY), FALSE, 0 },
    { BODY ("checkout.paid", ""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":10.0,\"currency\":\"EUR\""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":0,\"currency\":\"EUR\""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":-5,\"currency\":\"EUR\""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":\"10\",\"currency\":\"EUR\""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":9007199254740992,\"currency\":\"EUR\""), FALSE,
      0 },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":9007199254740991,\"currency\":\"EUR\""), TRUE,
      MONEY_PAYMENT },
    { BODY ("checkout.paid", ",\"payment\":\"p\",\"amount\":10,\"currency\":\"eur\""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"p q\",\"amount\":10,\"currency\":\"EUR\""), FALSE, 0 },
    { BODY ("checkout.paid", ",\"payment\":\"\",\"amount\":10,\"currency\":\"EUR\""), FALSE, 0 },
    { BODY ("checkout.paid", MONEY ",\"amount\":11"), FALSE, 0 }, /* said twice */
    { "{\"type\":\"checkout.paid\"}", FALSE, 0 },
    { "{\"type\":\"checkout.paid\",\"data\":[]}", FALSE, 0 },
    { "{\"data\":{}}", FALSE, 0 },
    { "[]", FALSE, 0 },
    { "", FALSE, 0 },
    { BODY ("checkout.paid", MONEY) "x", FALSE, 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (MoneyEvent) event
          = provider_standard.read_event (rows[i].body, strlen (rows[i].body), &error);
      if ((event != NULL) != rows[i].is_good || (event == NULL) != (error != NULL)
          || (event != NULL && event->kind != rows[i].kind))
        g_error ("row %zu: %s", i, rows[i].body);
    }
}

static void
test_parts_a_provider_is_found_by_its_type (void)
{
  g_assert_true (provider_type_find ("standard") == &provider_standard);
  g_assert_null (provider_type_find ("unheard-of"));
  g_assert_true (provider_id_is_valid ("cs_123"));
  g_assert_false (provider_id_is_valid (""));
  g_assert_false (provider_id_is_valid ("a b"));
  g_assert_false (provider_id_is_valid ("a\n"));
  g_autofree char *longest = g_strnfill (PROVIDER_MAX_ID, 'x'),
                  *too_long = g_strnfill (PROVIDER_MAX_ID + 1, 'x');
  g_assert_true (provider_id_is_valid (longest));
  g_assert_false (provider_id_is_valid (too_long));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/parts/pairwise-names-are-exactly-as-the-protocol-says",
                   test_parts_pairwise_names_are_exactly_as_the_protocol_says);
  g_test_add_func ("/parts/seeds-and-digests-differ-by-what-they-are-for",
                   test_parts_seeds_and_digests_differ_by_what_they_are_for);
  g_test_add_func ("/parts/seeds-digests-and-salts-stay-what-they-were",
                   test_parts_seeds_digests_and_salts_stay_what_they_were);
  g_test_add_func ("/parts/terms-follow-the-calendar", test_parts_terms_follow_the_calendar);
  g_test_add_func ("/parts/a-manifest-is-read-or-its-fault-named",
                   test_parts_a_manifest_is_read_or_its_fault_named);
  g_test_add_func ("/parts/a-pool-file-is-read-by-lines", test_parts_a_pool_file_is_read_by_lines);
  g_test_add_func ("/parts/the-catalog-is-paged", test_parts_the_catalog_is_paged);
  g_test_add_func ("/parts/callbacks-are-read-strictly", test_parts_callbacks_are_read_strictly);
  g_test_add_func ("/parts/a-provider-is-found-by-its-type", test_parts_a_provider_is_found_by_its_type);
  return g_test_run ();
}
