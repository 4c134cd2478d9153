/* Both rosters of two users after any history of stanzas and removals. */
#include "host-server/im/exchange.h"
#include "host-server/store/schema.h"

#include "common/base/test-folder.h"

#include <string.h>

typedef struct
{
  char *folder;
  Db *db;
  Jid *users[2];
} Fixture;

static const char *const accounts[2] = { "uuid-alice", "uuid-bob" };

static void
fixture_open (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  f->folder = g_dir_make_tmp ("stoa-exchange-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (f->folder, "chat.db", NULL);
  f->db = db_open (path, DB_OPEN_NORMAL, &error);
  g_assert_no_error (error);
  g_assert_true (db_migrate_family (f->db, "roster", roster_schema.steps, roster_schema.n_steps, NULL));
  g_assert_true (
      db_run (f->db, NULL, "PRAGMA synchronous=OFF", "")); /* speed, not durability, is wanted here */
  f->users[0] = jid_new ("alice@d", 7);
  f->users[1] = jid_new ("bob@d", 5);
}

static void
fixture_close (Fixture *f, gconstpointer unused)
{
  db_close (f->db);
  for (guint i = 0; i < 2; i++)
    jid_unref (f->users[i]);
  test_folder_remove (f->folder);
  g_free (f->folder);
}

static Exchange *
run (Fixture *f, guint mover, StanzaType type)
{
  g_autoptr (GError) error = NULL;
  GBytes *request = type == STANZA_TYPE_SUBSCRIBE ? g_bytes_new_static ("<presence/>", 11) : NULL;
  Exchange *exchange
      = exchange_new (type, accounts[mover], f->users[mover], accounts[!mover], f->users[!mover], request);
  g_assert_true (db_begin (f->db, &error));
  g_assert_true (exchange_run (exchange, f->db, &error));
  g_assert_true (db_commit (f->db, &error));
  g_assert_no_error (error);
  return exchange;
}

/* A copy, NULL if there is none. */
static RosterItem *
item_of (Fixture *f, guint user)
{
  RosterItem *item;
  g_assert_true (roster_db_find (f->db, accounts[user], jid_get_bare (f->users[!user]), &item, NULL));
  return item;
}

static Subscription
state_of (const RosterItem *item)
{
  return item != NULL ? item->state : SUBSCRIPTION_NONE;
}

static void
test_exchange_both_rosters_agree_after_any_history (Fixture *f, gconstpointer unused)
{
  static const StanzaType types[] = { STANZA_TYPE_SUBSCRIBE, STANZA_TYPE_SUBSCRIBED, STANZA_TYPE_UNSUBSCRIBE,
                                      STANZA_TYPE_UNSUBSCRIBED, STANZA_TYPE_NONE };
  guint n_both = 0;
  for (guint round = 0; round < 3000; round++)
    {
      guint mover = (guint)g_test_rand_int_range (0, 2);
      RosterItem *before[2] = { item_of (f, 0), item_of (f, 1) };
      g_autoptr (Exchange) exchange = run (f, mover, types[g_test_rand_int_range (0, G_N_ELEMENTS (types))]);
      RosterItem *items[2] = { item_of (f, 0), item_of (f, 1) };

      n_both += state_of (items[0]) == SUBSCRIPTION_BOTH;
      for (guint i = 0; i < 2; i++)
        {
          const RosterItem *item = items[i];
          Subscription mine = state_of (item), theirs = state_of (items[!i]);
          g_assert_true (subscription_has_to (mine) == subscription_has_from (theirs));
          g_assert_true (subscription_is_pending_out (mine) == subscription_is_pending_in (theirs));
          /* A request is kept exactly while it waits. */
          g_assert_true ((item != NULL && item->request != NULL) == subscription_is_pending_in (mine));
          /* Whoever asked or was granted something sees the other listed; nobody else has to. */
          g_assert_true (item == NULL || item->kind == ROSTER_LISTED || mine == SUBSCRIPTION_NONE_IN);
          /* What the exchange reports is what the rows say. */
          const ExchangeSide *side = &exchange->sides[i == mover ? EXCHANGE_MOVER : EXCHANGE_CONTACT];
          if (side->after != NULL && side->after->kind != ROSTER_REMOVED)
            g_assert_cmpint (side->after->state, ==, mine);
          else if (side->after != NULL)
            g_assert_null (item);
          else
            g_assert_cmpint (mine, ==, state_of (before[i]));
          g_assert_true (exchange_side_gained_from (side)
                         == (subscription_has_from (mine) && !subscription_has_from (state_of (before[i]))));
          g_assert_true (exchange_side_lost_from (side)
                         == (!subscription_has_from (mine) && subscription_has_from (state_of (before[i]))));
        }
      for (guint i = 0; i < 2; i++)
        {
          roster_item_free (before[i]);
          roster_item_free (items[i]);
        }
    }
  g_assert_cmpuint (n_both, >, 0);
}

static void
test_exchange_tombstones_are_pruned (Fixture *f, gconstpointer unused)
{
  for (guint i = 0; i < 250; i++)
    {
      g_autofree char *jid = g_strdup_printf ("c%u@d", i);
      g_autoptr (RosterItem) item = roster_item_new (jid);
      item->kind = ROSTER_LISTED;
      g_assert_true (roster_db_save (f->db, accounts[0], item, NULL));
      g_assert_true (roster_db_remove (f->db, accounts[0], item, NULL));
    }
  gint64 count;
  g_assert_true (roster_db_count (f->db, accounts[0], ROSTER_REMOVED, 1000, &count, NULL));
  g_assert_cmpint (count, ==, 100);
  /* Versions from before the pruning are of no use, later ones are. */
  gboolean is_known;
  g_assert_true (roster_db_changes (f->db, accounts[0], 299, 1000, &is_known, NULL, NULL, NULL));
  g_assert_false (is_known);
}

static void
note (RosterItem *take_item, gpointer data)
{
  g_string_append_printf (data, "%s%s ", take_item->kind == ROSTER_REMOVED ? "-" : "+", take_item->jid);
  roster_item_free (take_item);
}

/* An item that was removed and then asks: a client with the old version must still learn of the removal. */
static void
test_exchange_a_removed_contact_that_asks_stays_removed (Fixture *f, gconstpointer unused)
{
  g_autoptr (RosterItem) item = roster_item_new ("bob@d");
  item->kind = ROSTER_LISTED;
  g_assert_true (roster_db_save (f->db, accounts[0], item, NULL));
  gint64 seq = item->seq;
  exchange_free (run (f, 0, STANZA_TYPE_NONE));
  exchange_free (run (f, 1, STANZA_TYPE_SUBSCRIBE));
  gboolean is_known;
  g_autoptr (GString) changes = g_string_new (NULL);
  g_assert_true (roster_db_changes (f->db, accounts[0], seq, 10, &is_known, note, changes, NULL));
  g_assert_true (is_known);
  g_assert_cmpstr (changes->str, ==, "-bob@d ");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/im/exchange/" name, Fixture, NULL, fixture_open, func, fixture_close)
  ADD ("both-rosters-agree-after-any-history", test_exchange_both_rosters_agree_after_any_history);
  ADD ("tombstones-are-pruned", test_exchange_tombstones_are_pruned);
  ADD ("a-removed-contact-that-asks-stays-removed", test_exchange_a_removed_contact_that_asks_stays_removed);
#undef ADD
  return g_test_run ();
}
