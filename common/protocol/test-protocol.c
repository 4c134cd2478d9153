#include "common/protocol/market.h"
#include "common/protocol/serials.h"

#include <string.h>

typedef struct
{
  xmpp_ctx_t *context;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->context = xmpp_ctx_new (NULL, NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  xmpp_ctx_free (fixture->context);
}

static xmpp_stanza_t *
parse (Fixture *fixture, const char *xml)
{
  xmpp_stanza_t *tree = xmpp_stanza_new_from_string (fixture->context, xml);
  g_assert_nonnull (tree);
  return tree;
}

static void
test_serials_come_back_as_they_were_written (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Serials) serials = serials_new ("42");
  SerialEntry *entry = serial_entry_new ();
  entry->plugin = g_strdup ("weather");
  entry->name = g_strdup ("Weather & <more>");
  entry->user = g_strdup ("k3q");
  entry->expires_us = G_GINT64_CONSTANT (1798761600000000);
  entry->epoch = 3;
  entry->serial = secret_new ("K7QF\nline two", 13);
  g_ptr_array_add (serials->entries, entry);

  g_autoptr (GString) xml = g_string_new (NULL);
  serials_write (serials, xml);
  g_assert_nonnull (strstr (xml->str, "expires='2027-01-01T00:00:00Z'"));

  xmpp_stanza_t *tree = parse (fixture, xml->str);
  g_autoptr (GError) error = NULL;
  g_autoptr (Serials) again = serials_read (tree, &error);
  xmpp_stanza_release (tree);
  g_assert_no_error (error);
  g_assert_cmpstr (again->ver, ==, "42");
  g_assert_cmpuint (again->entries->len, ==, 1);
  SerialEntry *read = g_ptr_array_index (again->entries, 0);
  g_assert_cmpstr (read->name, ==, "Weather & <more>");
  g_assert_cmpint (read->expires_us, ==, entry->expires_us);
  g_assert_cmpint (read->epoch, ==, 3);
  g_assert_true (secret_equal (read->serial, entry->serial));
}

static void
test_serials_of_inactive_plugins_are_not_kept (Fixture *fixture, gconstpointer data)
{
  xmpp_stanza_t *tree = parse (fixture, "<serials xmlns='urn:stoa:serials:1' ver='1'><plugin id='a' state='revoked' "
                                        "epoch='1'><serial>X</serial></plugin></serials>");
  g_autoptr (Serials) serials = serials_read (tree, NULL);
  xmpp_stanza_release (tree);
  SerialEntry *entry = g_ptr_array_index (serials->entries, 0);
  g_assert_null (entry->serial);
}

static void
test_bad_elements_are_refused_by_name (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *xml;
    const char *says;
  } cases[] = {
    { "<serials xmlns='urn:other'/>", "urn:stoa:serials:1" },
    { "<serials xmlns='urn:stoa:serials:1' unchanged='maybe'/>", "unchanged" },
    { "<serials xmlns='urn:stoa:serials:1'><plugin state='active'/></serials>", "'id' is missing" },
    { "<serials xmlns='urn:stoa:serials:1'><plugin id='../x' state='active'/></serials>", "not an id" },
    { "<serials xmlns='urn:stoa:serials:1'><plugin id='a' state='odd'/></serials>", "unknown state" },
    { "<serials xmlns='urn:stoa:serials:1'><plugin id='a' state='active' expires='soon'/></serials>", "not a time" },
    { "<serials xmlns='urn:stoa:serials:1'><plugin id='a' state='active' epoch='-1'/></serials>", "not a number" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      xmpp_stanza_t *tree = parse (fixture, cases[i].xml);
      g_autoptr (GError) error = NULL;
      g_assert_null (serials_read (tree, &error));
      xmpp_stanza_release (tree);
      g_assert_error (error, PROTOCOL_ERROR, PROTOCOL_ERROR_BAD);
      g_assert_nonnull (strstr (error->message, cases[i].says));
    }
}

static void
test_rejected_without_epoch_means_the_current_one (Fixture *fixture, gconstpointer data)
{
  xmpp_stanza_t *tree = parse (fixture, "<rejected xmlns='urn:stoa:serials:1' plugin='a' reason='expired'/>");
  g_auto (SerialRejected) rejected = { 0 };
  g_assert_true (serial_rejected_read (tree, &rejected, NULL));
  xmpp_stanza_release (tree);
  g_assert_cmpint (rejected.epoch, ==, -1);
  g_assert_cmpint (rejected.reason, ==, SERIAL_REJECTED_EXPIRED);
}

static void
test_catalog_pages_come_back_as_they_were_written (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Catalog) catalog = catalog_new ();
  CatalogEntry *entry = g_new0 (CatalogEntry, 1);
  entry->id = g_strdup ("weather");
  entry->price_minor = 499;
  entry->currency = g_strdup ("EUR");
  entry->is_owned = TRUE;
  g_ptr_array_add (catalog->entries, entry);
  catalog->paging.first = g_strdup ("weather");
  catalog->paging.first_index = 0;
  catalog->paging.last = g_strdup ("weather");
  catalog->paging.count = 7;

  g_autoptr (GString) xml = g_string_new (NULL);
  catalog_write_result (catalog, xml);
  xmpp_stanza_t *tree = parse (fixture, xml->str);
  g_autoptr (Catalog) again = catalog_read (tree, NULL);
  xmpp_stanza_release (tree);
  g_assert_nonnull (again);
  CatalogEntry *read = g_ptr_array_index (again->entries, 0);
  g_assert_cmpint (read->price_minor, ==, 499);
  g_assert_true (read->is_owned);
  g_assert_null (read->term);
  g_assert_cmpint (again->paging.count, ==, 7);
  g_assert_cmpint (again->paging.first_index, ==, 0);
  g_assert_cmpstr (again->paging.last, ==, "weather");
}

static void
test_catalog_request_asks_for_the_last_page_with_an_empty_before (Fixture *fixture, gconstpointer data)
{
  xmpp_stanza_t *tree = parse (fixture, "<catalog xmlns='urn:stoa:market:1' query='sun'><set "
                                        "xmlns='http://jabber.org/protocol/rsm'><max>2</max><before/></set></catalog>");
  g_autoptr (Catalog) catalog = catalog_read (tree, NULL);
  xmpp_stanza_release (tree);
  g_assert_cmpstr (catalog->query, ==, "sun");
  g_assert_cmpint (catalog->paging.max, ==, 2);
  g_assert_cmpstr (catalog->paging.before, ==, "");
}

static void
test_order_requests_are_told_apart (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *xml;
    gboolean is_set;
    int kind; /* -1: refused */
  } cases[] = {
    { "<order xmlns='urn:stoa:market:1' plugin='weather' request='r1'/>", TRUE, ORDER_REQUEST_BUY },
    { "<order xmlns='urn:stoa:market:1' id='o_1' action='decline'/>", TRUE, ORDER_REQUEST_DECLINE },
    { "<order xmlns='urn:stoa:market:1' id='o_1'/>", FALSE, ORDER_REQUEST_GET },
    { "<order xmlns='urn:stoa:market:1' id='o_1'/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' plugin='weather' request='r1'/>", FALSE, -1 },
    { "<order xmlns='urn:stoa:market:1' plugin='weather'/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' plugin='weather' request=''/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' application='game' item='coins' request='r1'/>", TRUE,
      ORDER_REQUEST_BUY },
    { "<order xmlns='urn:stoa:market:1' application='game' request='r1'/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' item='coins' request='r1'/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' plugin='game' item='coins' request='r1'/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' plugin='game' application='game' item='coins' request='r1'/>", TRUE,
      -1 },
    { "<order xmlns='urn:stoa:market:1' application='game' item='Coins' request='r1'/>", TRUE, -1 },
    { "<order xmlns='urn:stoa:market:1' application='game' item='coins'/>", TRUE, -1 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      xmpp_stanza_t *tree = parse (fixture, cases[i].xml);
      g_auto (OrderRequest) request = { 0 };
      g_autoptr (GError) error = NULL;
      gboolean is_read = order_request_read (tree, cases[i].is_set, &request, &error);
      xmpp_stanza_release (tree);
      g_assert_cmpint (is_read, ==, cases[i].kind >= 0);
      if (is_read)
        g_assert_cmpint (request.kind, ==, cases[i].kind);
      else
        g_assert_nonnull (error);
    }
}

static void
test_orders_keep_url_and_states (Fixture *fixture, gconstpointer data)
{
  for (int state = ORDER_AWAITING_PAYMENT; state <= ORDER_REVIEW; state++)
    {
      OrderView order = { .id = (char *) "o_1", .plugin = (char *) "weather", .state = (OrderState) state,
                          .price_minor = 5, .currency = (char *) "EUR",
                          .charge_url = (char *) "https://pay.example/?a=1&b=2" };
      g_autoptr (GString) xml = g_string_new (NULL);
      order_view_write (&order, xml);
      xmpp_stanza_t *tree = parse (fixture, xml->str);
      g_autoptr (OrderView) again = order_view_read (tree, NULL);
      xmpp_stanza_release (tree);
      g_assert_nonnull (again);
      g_assert_cmpint (again->state, ==, state);
      g_assert_cmpstr (again->charge_url, ==, order.charge_url);
    }
}

static void
test_items_and_their_orders_come_back_as_they_were_written (Fixture *fixture, gconstpointer data)
{
  g_autoptr (Items) items = items_new ("game");
  ItemEntry *entry = g_new0 (ItemEntry, 1);
  entry->id = g_strdup ("coins");
  entry->name = g_strdup ("Coins & <more>");
  entry->price_minor = 200;
  entry->currency = g_strdup ("EUR");
  entry->amount = 5;
  entry->counter = 7;
  items->is_licensed = TRUE;
  g_ptr_array_add (items->entries, entry);
  g_autoptr (GString) xml = g_string_new (NULL);
  items_write_result (items, xml);
  xmpp_stanza_t *tree = parse (fixture, xml->str);
  g_autoptr (Items) again = items_read (tree, NULL);
  xmpp_stanza_release (tree);
  g_assert_nonnull (again);
  g_assert_cmpstr (again->application, ==, "game");
  g_assert_true (again->is_licensed);
  const ItemEntry *read = items_find (again, "coins");
  g_assert_cmpstr (read->name, ==, "Coins & <more>");
  g_assert_cmpint (read->price_minor, ==, 200);
  g_assert_cmpint (read->amount, ==, 5);
  g_assert_cmpint (read->counter, ==, 7);
  g_assert_null (items_find (again, "hat"));

  OrderView order = { .id = (char *)"o_1",
                      .plugin = (char *)"game",
                      .item = (char *)"coins",
                      .price_minor = 200,
                      .currency = (char *)"EUR" };
  g_string_truncate (xml, 0);
  order_view_write (&order, xml);
  tree = parse (fixture, xml->str);
  g_autoptr (OrderView) view = order_view_read (tree, NULL);
  xmpp_stanza_release (tree);
  g_assert_cmpstr (view->plugin, ==, "game");
  g_assert_cmpstr (view->item, ==, "coins");
}

#define ADD(name, func) g_test_add ("/protocol/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("serials_come_back_as_they_were_written", test_serials_come_back_as_they_were_written);
  ADD ("serials_of_inactive_plugins_are_not_kept", test_serials_of_inactive_plugins_are_not_kept);
  ADD ("bad_elements_are_refused_by_name", test_bad_elements_are_refused_by_name);
  ADD ("rejected_without_epoch_means_the_current_one", test_rejected_without_epoch_means_the_current_one);
  ADD ("catalog_pages_come_back_as_they_were_written", test_catalog_pages_come_back_as_they_were_written);
  ADD ("catalog_request_asks_for_the_last_page", test_catalog_request_asks_for_the_last_page_with_an_empty_before);
  ADD ("order_requests_are_told_apart", test_order_requests_are_told_apart);
  ADD ("orders_keep_url_and_states", test_orders_keep_url_and_states);
  ADD ("items_and_their_orders_come_back", test_items_and_their_orders_come_back_as_they_were_written);
  return g_test_run ();
}
