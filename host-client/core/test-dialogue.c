/* The dialogue between a plugin and a market that answers late, early, or after it has pushed: what each of
 * them says is about one serial, and counts for that one only. The market is a double; the serial book is the
 * real one. */
#include "host-client/core/dialogue.h"

#include "common/base/test-folder.h"
#include "host-client/core/folder.h"

#include <string.h>

#define PLUGIN "probe"

typedef struct
{
  MarketRejectFunc callback;
  gpointer data;
  SerialRejectedReason reason;
  gint64 epoch;
} Rejected;

static struct
{
  SerialBook *book;
  MarketEvents events;
  gpointer data;
  GArray *rejected; /* of Rejected */
  MarketOrderFunc ordered;
  gpointer ordered_data;
  ReplyFunc refreshed;
  gpointer refreshed_data;
  GString *started; /* the serials that the plugin was started with, "-" without one */
  guint n_asks, n_ends;
  Clock *clock;
} market;

/* ---- the market's double ---- */

const SerialBook *
market_peek_serials (const Market *self)
{
  return market.book;
}

void
market_watch (Market *self, const MarketEvents *events, gpointer data)
{
  market.events = *events;
  market.data = data;
}

void
market_unwatch (Market *self, gpointer data)
{
}

void
market_buy (Market *self, const char *plugin, const char *item, const char *request, MarketOrderFunc callback,
            gpointer data)
{
  market.ordered = callback;
  market.ordered_data = data;
}

void
market_decline (Market *self, const char *order, MarketOrderFunc callback, gpointer data)
{
  g_assert_not_reached ();
}

void
market_reject (Market *self, const char *plugin, SerialRejectedReason reason, gint64 epoch,
               MarketRejectFunc callback, gpointer data)
{
  Rejected rejected = { callback, data, reason, epoch };
  g_array_append_val (market.rejected, rejected);
}

void
market_refresh (Market *self, ReplyFunc callback, gpointer data)
{
  market.refreshed = callback;
  market.refreshed_data = data;
}

gboolean
session_is_online (const Session *session)
{
  return TRUE;
}

const Clock *
session_peek_clock (const Session *session)
{
  return market.clock;
}

/* ---- the stage ---- */

typedef struct
{
  char *path;
  Folder *folder;
  Db *db;
  Dialogue *dialogue;
} Fixture;

static void
on_start (Dialogue *dialogue, const PluginLicence *licence, gpointer data)
{
  g_string_append_printf (market.started, "%s ",
                          licence->serial != NULL ? secret_peek_text (licence->serial) : "-");
}

static void
on_ask (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  market.n_asks++;
}

static void
on_end (Dialogue *dialogue, const DialogueView *view, gpointer data)
{
  market.n_ends++;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  static const DialogueEvents events = { .start = on_start, .ask = on_ask, .end = on_end };
  g_autoptr (GError) error = NULL;
  f->path = g_dir_make_tmp ("dialogue-XXXXXX", &error);
  g_assert_no_error (error);
  f->folder = folder_open (f->path, &error);
  g_assert_no_error (error);
  f->db = folder_open_account (f->folder, "alice@d", &error);
  g_assert_no_error (error);
  memset (&market, 0, sizeof market);
  market.book = serial_book_new (f->db, &error);
  g_assert_no_error (error);
  market.rejected = g_array_new (FALSE, FALSE, sizeof (Rejected));
  market.started = g_string_new (NULL);
  market.clock = clock_new_system ();
  f->dialogue = dialogue_new (NULL, NULL, f->db, PLUGIN, NULL, &events, NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  dialogue_free (f->dialogue);
  serial_book_free (market.book);
  g_array_unref (market.rejected);
  g_string_free (market.started, TRUE);
  clock_free (market.clock);
  db_close (f->db);
  folder_free (f->folder);
  test_folder_remove (f->path);
  g_free (f->path);
}

/* The market has another serial now; the dialogue is told if @is_pushed. */
static void
give (gint64 epoch, const char *serial, gboolean is_pushed)
{
  g_autoptr (SerialEntry) entry = serial_entry_new ();
  g_autoptr (GError) error = NULL;
  SerialBookOutcome outcome;
  entry->plugin = g_strdup (PLUGIN);
  entry->name = g_strdup ("Probe");
  entry->user = g_strdup ("k3q");
  entry->state = SERIAL_ACTIVE;
  entry->epoch = epoch;
  entry->serial = secret_new (serial, strlen (serial));
  g_assert_true (serial_book_apply_entry (market.book, entry, &outcome, &error));
  g_assert_no_error (error);
  if (is_pushed)
    market.events.serial (serial_book_find (market.book, PLUGIN), market.data);
}

static void
say (Fixture *f, PluginState state)
{
  PluginReport report = { .state = state, .reason = "as it says" };
  dialogue_note_report (f->dialogue, &report);
}

static void
answer_rejected (guint number, MarketRejectOutcome outcome)
{
  Reply reply = { .kind = REPLY_RESULT };
  Rejected *rejected = &g_array_index (market.rejected, Rejected, number);
  g_assert_cmpuint (number, <, market.rejected->len);
  rejected->callback (outcome, &reply, rejected->data);
}

static void
answer_refresh (void)
{
  Reply reply = { .kind = REPLY_RESULT };
  g_assert_nonnull (market.refreshed);
  market.refreshed (&reply, market.refreshed_data);
}

static gint64
get_rejected_epoch (guint number)
{
  g_assert_cmpuint (number, <, market.rejected->len);
  return g_array_index (market.rejected, Rejected, number).epoch;
}

static void
assert_view (Fixture *f, PurchaseState state, DialogueReason reason)
{
  DialogueView view;
  dialogue_get_view (f->dialogue, &view);
  g_assert_cmpstr (purchase_state_to_text (view.state), ==, purchase_state_to_text (state));
  if (state == PURCHASE_ASKING)
    g_assert_cmpint (view.reason, ==, reason);
}

static void
buy_until_fulfilled (Fixture *f)
{
  OrderView order
      = { .id = "order-1", .plugin = PLUGIN, .state = ORDER_AWAITING_PAYMENT, .price_minor = 500 };
  Reply reply = { .kind = REPLY_RESULT };
  dialogue_buy (f->dialogue);
  market.ordered (&order, &reply, market.ordered_data);
  order.state = ORDER_FULFILLED;
  market.events.order (&order, market.data);
  assert_view (f, PURCHASE_PREPARING, 0);
}

/* ---- the tests ---- */

static void
test_dialogue_serial_that_came_as_a_push_is_not_tried_again_for_the_answer (Fixture *f, gconstpointer data)
{
  buy_until_fulfilled (f);
  give (1, "OLD-1", TRUE);
  g_assert_cmpstr (market.started->str, ==, "OLD-1 ");
  say (f, PLUGIN_STATE_EXPIRED);
  answer_refresh (); /* it was asked for when the order was fulfilled, and knows nothing newer */
  g_assert_cmpstr (market.started->str, ==, "OLD-1 ");
  assert_view (f, PURCHASE_REPORTING, 0);
  give (2, "OLD-2", FALSE);
  answer_rejected (0, MARKET_REJECT_REPLACED);
  say (f, PLUGIN_STATE_EXPIRED);
  answer_rejected (1, MARKET_REJECT_REGISTRATION_NEEDED);
  assert_view (f, PURCHASE_ASKING, DIALOGUE_EXPIRED);
  g_assert_cmpstr (market.started->str, ==, "OLD-1 OLD-2 ");
  g_assert_cmpuint (market.n_ends, ==, 0);
}

static void
test_dialogue_answer_comes_when_its_serial_was_pushed_and_refused (Fixture *f, gconstpointer data)
{
  give (1, "OLD-1", FALSE);
  dialogue_use (f->dialogue);
  say (f, PLUGIN_STATE_EXPIRED);
  give (2, "OLD-2", TRUE);
  say (f, PLUGIN_STATE_EXPIRED);
  g_assert_cmpint (get_rejected_epoch (0), ==, 1);
  g_assert_cmpint (get_rejected_epoch (1), ==, 2);
  answer_rejected (0, MARKET_REJECT_REPLACED);
  assert_view (f, PURCHASE_REPORTING, 0);
  g_assert_cmpstr (market.started->str, ==, "OLD-1 OLD-2 ");
  answer_rejected (1, MARKET_REJECT_REGISTRATION_NEEDED);
  assert_view (f, PURCHASE_ASKING, DIALOGUE_EXPIRED);
}

static void
test_dialogue_market_that_replaces_without_end_is_not_followed (Fixture *f, gconstpointer data)
{
  give (1, "BAD-1", FALSE);
  dialogue_use (f->dialogue);
  say (f, PLUGIN_STATE_BAD_SERIAL);
  give (2, "BAD-2", TRUE);
  answer_rejected (0, MARKET_REJECT_REPLACED);
  say (f, PLUGIN_STATE_BAD_SERIAL);
  give (3, "BAD-3", TRUE);
  answer_rejected (1, MARKET_REJECT_REPLACED);
  assert_view (f, PURCHASE_OFF, 0);
  g_assert_cmpuint (market.n_ends, ==, 1);
}

/* Reporting it by the newer one's epoch would have the market give up on a serial that nobody tried. */
static void
test_dialogue_verdict_on_an_older_serial_has_the_newer_one_tried (Fixture *f, gconstpointer data)
{
  PluginState verdicts[] = { PLUGIN_STATE_BAD_SERIAL, PLUGIN_STATE_EXPIRED };
  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    {
      give (2 * i + 1, "FIRST", FALSE);
      dialogue_use (f->dialogue);
      give (2 * i + 2, "SECOND", TRUE);
      if (i == 1) /* at work */
        say (f, PLUGIN_STATE_RUNNING);
      say (f, verdicts[i]);
      assert_view (f, PURCHASE_CHECKING, 0);
      g_assert_cmpstr (market.started->str, ==, "FIRST SECOND ");
      g_assert_cmpuint (market.rejected->len, ==, 0);
      say (f, PLUGIN_STATE_STARTING);
      say (f, PLUGIN_STATE_RUNNING);
      say (f, PLUGIN_STATE_OFF);
      g_string_set_size (market.started, 0);
    }
}

static void
test_dialogue_serial_that_comes_while_the_plugin_starts_without_one (Fixture *f, gconstpointer data)
{
  dialogue_use (f->dialogue);
  give (1, "GOOD", TRUE);
  say (f, PLUGIN_STATE_NEEDS_SERIAL);
  g_assert_cmpstr (market.started->str, ==, "- GOOD ");
  g_assert_cmpuint (market.n_asks, ==, 0);
}

static void
test_dialogue_plugin_without_a_serial_has_none_to_refuse (Fixture *f, gconstpointer data)
{
  dialogue_use (f->dialogue);
  say (f, PLUGIN_STATE_BAD_SERIAL);
  g_assert_cmpuint (market.rejected->len, ==, 0);
  assert_view (f, PURCHASE_ASKING, DIALOGUE_NEEDS_REGISTRATION);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/dialogue/" #name, Fixture, NULL, set_up, test_dialogue_##name, tear_down)
  ADD (serial_that_came_as_a_push_is_not_tried_again_for_the_answer);
  ADD (answer_comes_when_its_serial_was_pushed_and_refused);
  ADD (market_that_replaces_without_end_is_not_followed);
  ADD (verdict_on_an_older_serial_has_the_newer_one_tried);
  ADD (serial_that_comes_while_the_plugin_starts_without_one);
  ADD (plugin_without_a_serial_has_none_to_refuse);
  return g_test_run ();
}
