#include "common/base/db.h"
#include "common/base/test-folder.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static char *
temporary_path (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-db-XXXXXX", NULL);
  return g_build_filename (folder, "a.db", NULL);
}

static void
remove_folder_of (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  test_folder_remove (folder);
}

static const char *const steps[] = { "CREATE TABLE pair (name TEXT PRIMARY KEY, value INTEGER, bytes BLOB)",
                                     "ALTER TABLE pair ADD COLUMN note TEXT" };

static void
test_db_values_come_back_as_they_went_in (void)
{
  g_autofree char *path = temporary_path ();
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, &error);
    g_assert_no_error (error);
    g_assert_true (db_migrate (db, steps, G_N_ELEMENTS (steps), &error));
    g_assert_true (db_run (db, &error, "INSERT INTO pair VALUES (?,?,?,?)", "sibs", "a'b", G_MININT64, "\0\1",
                           (gsize) 2, NULL));
    g_autoptr (DbQuery) query = db_query (db, "SELECT name, value, bytes, note FROM pair", "");
    g_assert_true (db_next (query, &error));
    g_assert_cmpstr (db_get_text (query, 0), ==, "a'b");
    g_assert_cmpint (db_get_int (query, 1), ==, G_MININT64);
    gsize length;
    const void *bytes = db_get_blob (query, 2, &length);
    g_assert_cmpmem (bytes, length, "\0\1", 2);
    g_assert_true (db_is_null (query, 3));
    g_assert_false (db_next (query, &error));
    g_assert_no_error (error);
  }
  remove_folder_of (path);
}

static void
test_db_families_of_tables_grow_by_themselves (void)
{
  g_autofree char *path = temporary_path ();
  {
    static const char *const others[] = { "CREATE TABLE other (id BIGINT)" };
    static const char *const bad[]
        = { "CREATE TABLE third (id BIGINT)", "CREATE TABLE fourth (id BIGINT); CREATE TABLE other (id BIGINT)" };
    g_autoptr (GError) error = NULL;
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, &error);
    g_assert_true (db_migrate_family (db, "pairs", steps, 1, &error));
    g_assert_true (db_migrate_family (db, "others", others, 1, &error));
    g_assert_true (db_migrate_family (db, "pairs", steps, 2, &error));
    g_assert_true (db_migrate_family (db, "pairs", steps, 2, &error)); /* nothing left to do */
    g_assert_no_error (error);
    g_assert_true (db_run (db, NULL, "INSERT INTO pair (name, note) VALUES ('a', 'b')", ""));
    g_assert_true (db_run (db, NULL, "INSERT INTO other VALUES (1)", ""));

    g_assert_false (db_migrate_family (db, "pairs", steps, 1, &error));
    g_assert_error (error, DB_ERROR, DB_ERROR_NEWER);
    g_clear_error (&error);

    /* A step that fails leaves nothing of itself; those before it stay. */
    g_assert_false (db_migrate_family (db, "thirds", bad, 2, &error));
    g_assert_nonnull (strstr (error->message, "thirds migration 2"));
    g_assert_true (db_run (db, NULL, "INSERT INTO third VALUES (1)", ""));
    g_assert_false (db_run (db, NULL, "INSERT INTO fourth VALUES (1)", ""));
    g_assert_false (db_is_in_transaction (db));
  }
  remove_folder_of (path);
}

static void
test_db_refuses_a_file_of_a_later_version (void)
{
  g_autofree char *path = temporary_path ();
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, NULL);
    g_assert_true (db_migrate (db, steps, 2, NULL));
    g_assert_false (db_migrate (db, steps, 1, &error));
    g_assert_error (error, DB_ERROR, DB_ERROR_NEWER);
  }
  remove_folder_of (path);
}

static void
test_db_savepoint_undoes_only_its_own (void)
{
  g_autofree char *path = temporary_path ();
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (Db) db = db_open (path, DB_OPEN_NORMAL, NULL);
    g_assert_true (db_migrate (db, steps, 2, NULL));
    g_assert_true (db_begin (db, NULL));
    g_assert_true (db_run (db, NULL, "INSERT INTO pair (name) VALUES (?)", "s", "kept"));
    g_assert_true (db_savepoint (db, NULL));
    g_assert_true (db_run (db, NULL, "INSERT INTO pair (name) VALUES (?)", "s", "undone"));
    g_assert_false (db_run (db, &error, "INSERT INTO pair (name) VALUES (?)", "s", "kept"));
    g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
    db_undo_savepoint (db);
    g_assert_true (db_commit (db, NULL));
    g_autoptr (DbQuery) query = db_query (db, "SELECT count(*) FROM pair", "");
    g_assert_true (db_next (query, NULL));
    g_assert_cmpint (db_get_int (query, 0), ==, 1);
  }
  remove_folder_of (path);
}

static void
test_db_says_that_a_file_is_no_database (void)
{
  g_autofree char *path = temporary_path ();
  g_assert_true (g_file_set_contents (path, "this is not a database, it is a letter", -1, NULL));
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, &error);
    g_assert_null (db);
    g_assert_error (error, DB_ERROR, DB_ERROR_CORRUPT);
    g_assert_nonnull (strstr (error->message, path));
  }
  remove_folder_of (path);
}

static void
test_db_backup_is_whole_and_alone (void)
{
  g_autofree char *path = temporary_path ();
  g_autofree char *copy_path = g_strconcat (path, ".copy", NULL);
  {
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, NULL);
    g_assert_true (db_migrate (db, steps, 2, NULL));
    g_assert_true (db_run (db, NULL, "INSERT INTO pair (name) VALUES (?)", "s", "kept"));
    g_assert_true (db_backup (db, copy_path, NULL));
    g_autoptr (Db) copy = db_open (copy_path, DB_OPEN_READ, NULL);
    g_autoptr (DbQuery) query = db_query (copy, "SELECT name FROM pair", "");
    g_assert_true (db_next (query, NULL));
    g_assert_cmpstr (db_get_text (query, 0), ==, "kept");
  }
  remove_folder_of (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/base/db/values_come_back_as_they_went_in", test_db_values_come_back_as_they_went_in);
  g_test_add_func ("/base/db/families_of_tables_grow_by_themselves", test_db_families_of_tables_grow_by_themselves);
  g_test_add_func ("/base/db/refuses_a_file_of_a_later_version", test_db_refuses_a_file_of_a_later_version);
  g_test_add_func ("/base/db/savepoint_undoes_only_its_own", test_db_savepoint_undoes_only_its_own);
  g_test_add_func ("/base/db/says_that_a_file_is_no_database", test_db_says_that_a_file_is_no_database);
  g_test_add_func ("/base/db/backup_is_whole_and_alone", test_db_backup_is_whole_and_alone);
  return g_test_run ();
}
