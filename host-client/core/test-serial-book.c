#include "host-client/core/serial-book.h"

#include <string.h>

#include "host-client/core/folder.h"

static Db *
open_db (void)
{
  g_autoptr (GError) error = NULL;
  Db *db = db_open (":memory:", DB_OPEN_NORMAL, &error);
  g_assert_no_error (error);
  g_assert_true (db_run (db, NULL, "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)", ""));
  g_assert_true (
      db_run (db, NULL,
              "CREATE TABLE serials (plugin TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL,"
              " user TEXT NOT NULL, expires_us INTEGER NOT NULL, epoch INTEGER NOT NULL, serial BLOB)",
              ""));
  return db;
}

static SerialEntry *
new_entry (const char *plugin, SerialState state, gint64 epoch, const char *serial)
{
  SerialEntry *entry = serial_entry_new ();
  entry->plugin = g_strdup (plugin);
  entry->name = g_strdup ("A name");
  entry->user = g_strdup ("k3q");
  entry->state = state;
  entry->epoch = epoch;
  entry->serial = serial != NULL ? secret_new (serial, strlen (serial)) : NULL;
  return entry;
}

static Serials *
new_serials (const char *ver, const char *since, SerialEntry *take_entry)
{
  Serials *serials = serials_new (ver);
  serials->since = g_strdup (since);
  if (take_entry != NULL)
    g_ptr_array_add (serials->entries, take_entry);
  return serials;
}

static void
assert_serial (SerialBook *book, const char *plugin, const char *serial)
{
  const SerialEntry *entry = serial_book_find (book, plugin);
  g_assert_nonnull (entry);
  g_assert_cmpstr (entry->serial != NULL ? secret_peek_text (entry->serial) : NULL, ==, serial);
}

static void
test_serial_book_is_there_again_after_a_restart (void)
{
  g_autoptr (Db) db = open_db ();
  SerialBookOutcome outcome;
  {
    g_autoptr (SerialBook) book = serial_book_new (db, NULL);
    g_assert_null (serial_book_peek_ver (book));
    g_autoptr (Serials) answer = new_serials ("7", NULL, new_entry ("weather", SERIAL_ACTIVE, 3, "K7QF-1"));
    g_assert_true (serial_book_apply_answer (book, answer, &outcome, NULL));
    g_assert_cmpint (outcome, ==, SERIAL_BOOK_APPLIED);
  }
  g_autoptr (SerialBook) book = serial_book_new (db, NULL);
  g_assert_cmpstr (serial_book_peek_ver (book), ==, "7");
  assert_serial (book, "weather", "K7QF-1");
  g_assert_cmpint (serial_book_find (book, "weather")->epoch, ==, 3);
}

static void
test_serial_book_answer_replaces_everything_but_unchanged_nothing (void)
{
  g_autoptr (Db) db = open_db ();
  g_autoptr (SerialBook) book = serial_book_new (db, NULL);
  SerialBookOutcome outcome;
  g_autoptr (Serials) first = new_serials ("1", NULL, new_entry ("a", SERIAL_ACTIVE, 1, "A"));
  g_autoptr (Serials) second = new_serials ("2", NULL, new_entry ("b", SERIAL_ACTIVE, 1, "B"));
  g_autoptr (Serials) unchanged = new_serials ("2", NULL, NULL);
  unchanged->is_unchanged = TRUE;
  g_assert_true (serial_book_apply_answer (book, first, &outcome, NULL));
  g_assert_true (serial_book_apply_answer (book, second, &outcome, NULL));
  g_assert_null (serial_book_find (book, "a"));
  g_assert_true (serial_book_apply_answer (book, unchanged, &outcome, NULL));
  g_assert_cmpint (outcome, ==, SERIAL_BOOK_UNCHANGED);
  assert_serial (book, "b", "B");
}

static void
test_serial_book_push_builds_on_what_is_held_or_is_a_gap (void)
{
  g_autoptr (Db) db = open_db ();
  g_autoptr (SerialBook) book = serial_book_new (db, NULL);
  SerialBookOutcome outcome;
  g_autoptr (Serials) all = new_serials ("1", NULL, new_entry ("a", SERIAL_ACTIVE, 1, "A"));
  g_autoptr (Serials) next = new_serials ("2", "1", new_entry ("a", SERIAL_SUSPENDED, 2, NULL));
  g_autoptr (Serials) far = new_serials ("9", "8", new_entry ("a", SERIAL_ACTIVE, 8, "Z"));
  g_assert_true (serial_book_apply_push (book, all, &outcome, NULL));
  g_assert_cmpint (outcome, ==, SERIAL_BOOK_GAP);
  g_assert_true (serial_book_apply_answer (book, all, &outcome, NULL));
  g_assert_true (serial_book_apply_push (book, next, &outcome, NULL));
  g_assert_cmpint (outcome, ==, SERIAL_BOOK_APPLIED);
  assert_serial (book, "a", NULL);
  g_assert_cmpint (serial_book_find (book, "a")->state, ==, SERIAL_SUSPENDED);
  g_assert_true (serial_book_apply_push (book, far, &outcome, NULL));
  g_assert_cmpint (outcome, ==, SERIAL_BOOK_GAP);
  g_assert_cmpstr (serial_book_peek_ver (book), ==, "2");
  g_assert_true (serial_book_apply_push (book, next, &outcome, NULL));
  g_assert_cmpint (outcome, ==, SERIAL_BOOK_UNCHANGED);
}

static void
test_serial_book_replacement_does_not_undo_a_later_one (void)
{
  g_autoptr (Db) db = open_db ();
  g_autoptr (SerialBook) book = serial_book_new (db, NULL);
  SerialBookOutcome outcome;
  g_autoptr (Serials) all = new_serials ("5", NULL, new_entry ("a", SERIAL_ACTIVE, 5, "FIVE"));
  g_autoptr (SerialEntry) older = new_entry ("a", SERIAL_ACTIVE, 4, "FOUR");
  g_autoptr (SerialEntry) newer = new_entry ("a", SERIAL_ACTIVE, 6, "SIX");
  g_assert_true (serial_book_apply_answer (book, all, &outcome, NULL));
  g_assert_true (serial_book_apply_entry (book, older, &outcome, NULL));
  assert_serial (book, "a", "FIVE");
  g_assert_true (serial_book_apply_entry (book, newer, &outcome, NULL));
  assert_serial (book, "a", "SIX");
  g_assert_cmpstr (serial_book_peek_ver (book), ==, "5");
}

static void
test_serial_book_that_cannot_be_stored_stays_as_it_was (void)
{
  g_autoptr (Db) db = open_db ();
  g_autoptr (SerialBook) book = serial_book_new (db, NULL);
  g_autoptr (GError) error = NULL;
  SerialBookOutcome outcome;
  g_autoptr (Serials) all = new_serials ("1", NULL, new_entry ("a", SERIAL_ACTIVE, 1, "A"));
  g_assert_true (serial_book_apply_answer (book, all, &outcome, NULL));
  g_assert_true (db_run (db, NULL, "DROP TABLE serials", ""));
  g_autoptr (Serials) next = new_serials ("2", "1", new_entry ("a", SERIAL_ACTIVE, 2, "B"));
  g_assert_false (serial_book_apply_push (book, next, &outcome, &error));
  g_assert_nonnull (error);
  assert_serial (book, "a", "A");
  g_assert_cmpstr (serial_book_peek_ver (book), ==, "1");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/serial-book/is_there_again_after_a_restart",
                   test_serial_book_is_there_again_after_a_restart);
  g_test_add_func ("/client/serial-book/answer_replaces_everything_but_unchanged_nothing",
                   test_serial_book_answer_replaces_everything_but_unchanged_nothing);
  g_test_add_func ("/client/serial-book/push_builds_on_what_is_held_or_is_a_gap",
                   test_serial_book_push_builds_on_what_is_held_or_is_a_gap);
  g_test_add_func ("/client/serial-book/replacement_does_not_undo_a_later_one",
                   test_serial_book_replacement_does_not_undo_a_later_one);
  g_test_add_func ("/client/serial-book/that_cannot_be_stored_stays_as_it_was",
                   test_serial_book_that_cannot_be_stored_stays_as_it_was);
  return g_test_run ();
}
