#include "host-server/store/counters.h"
#include "host-server/store/store.h"

#include <glib/gstdio.h>
#include <string.h>

static void
test_counters_are_whole_numbers_in_decimal_text (void)
{
  static const struct
  {
    const char *text;
    gint64 value; /* -1: nothing that counts */
  } rows[] = { { "0", 0 },
               { "7", 7 },
               { "1000000000000000", COUNTER_MAX },
               { "1000000000000001", -1 },
               { "", -1 },
               { "07", -1 },
               { "-1", -1 },
               { "+1", -1 },
               { "1 ", -1 },
               { "1.5", -1 },
               { "99999999999999999999", -1 } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gint64 value;
      gboolean is_number = counter_parse (rows[i].text, strlen (rows[i].text), &value);
      g_test_message ("'%s'", rows[i].text);
      g_assert_cmpint (is_number ? value : -1, ==, rows[i].value);
    }
}

typedef struct
{
  gint64 by, moved, value, bytes, version;
  gboolean is_done;
} Move;

static const Counter counter = { "alice", "game", "coins" };

static gboolean
move_work (Db *db, gpointer data, GError **error)
{
  Move *move = data;
  if (!counter_move (db, &counter, move->by, &move->moved, error)
      || !counter_read (db, &counter, &move->value, error))
    return FALSE;
  g_autoptr (DbQuery) query = db_query (
      db, "SELECT bytes, version FROM function_space WHERE account = 'alice' AND application = 'game'", "");
  gboolean is_there = db_next (query, NULL);
  move->bytes = is_there ? db_get_int (query, 0) : 0;
  move->version = is_there ? db_get_int (query, 1) : 0;
  return TRUE;
}

static void
move_done (gpointer data, const GError *error)
{
  g_assert_no_error (error);
  ((Move *)data)->is_done = TRUE;
}

static Move
move_by (Store *store, gint64 by)
{
  Move move = { .by = by };
  store_write (store, STORE_MARKET, move_work, move_done, &move);
  while (!move.is_done)
    g_main_context_iteration (NULL, TRUE);
  return move;
}

static void
test_counters_move_between_nothing_and_the_most (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("stoa-counters-XXXXXX", NULL);
  Store *store = store_open (folder, NULL, &error);
  g_assert_no_error (error);

  Move move = move_by (store, -3);
  g_assert_cmpint (move.moved, ==, 0);
  g_assert_cmpint (move.bytes, ==, 0);
  move = move_by (store, 12);
  g_assert_cmpint (move.moved, ==, 12);
  g_assert_cmpint (move.bytes, ==, (gint64)strlen ("item/coins") + 2 + USER_DATA_CHARGE);
  gint64 version = move.version;
  move = move_by (store, -3);
  g_assert_cmpint (move.value, ==, 9);
  g_assert_cmpint (move.bytes, ==, (gint64)strlen ("item/coins") + 1 + USER_DATA_CHARGE);
  g_assert_cmpint (move.version, ==, version + 1);
  move = move_by (store, -10);
  g_assert_cmpint (move.moved, ==, -9);
  g_assert_cmpint (move.value, ==, 0);
  move = move_by (store, COUNTER_MAX);
  move = move_by (store, 1);
  g_assert_cmpint (move.moved, ==, 0);
  g_assert_cmpint (move.value, ==, COUNTER_MAX);

  store_close (store);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  for (const char *name; (name = g_dir_read_name (dir)) != NULL;)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store/counters/are_whole_numbers_in_decimal_text",
                   test_counters_are_whole_numbers_in_decimal_text);
  g_test_add_func ("/store/counters/move_between_nothing_and_the_most",
                   test_counters_move_between_nothing_and_the_most);
  return g_test_run ();
}
