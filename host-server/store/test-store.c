#include "host-server/store/store.h"

#include "common/base/test-folder.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  char *folder;
  Store *store;
} Fixture;

static void
fixture_open (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  f->folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
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

/* A write of one row into store_fact, and what became of it. */
typedef struct
{
  char name[32];
  char value[32];
  gboolean fails;
  gsize padding;
  guint *n_done;
  guint order;
  GError *error;
  gboolean is_done;
} Row;

static gboolean
row_insert (Db *db, gpointer data, GError **error)
{
  Row *row = data;
  if (row->padding > 0)
    {
      g_autofree char *bytes = g_malloc0 (row->padding);
      return db_run (db, error, "INSERT INTO store_fact (name, value) VALUES (?, ?)", "sb", row->name, bytes,
                     row->padding);
    }
  if (!db_run (db, error, "INSERT INTO store_fact (name, value) VALUES (?, ?)", "ss", row->name, row->value))
    return FALSE;
  if (row->fails)
    g_set_error_literal (error, DB_ERROR, DB_ERROR_FAILED, "on purpose");
  return !row->fails;
}

static void
row_done (gpointer data, const GError *error)
{
  Row *row = data;
  g_assert_false (row->is_done); /* exactly once */
  row->is_done = TRUE;
  row->error = error != NULL ? g_error_copy (error) : NULL;
  row->order = (*row->n_done)++;
}

static void
run_until (guint *n_done, guint n)
{
  while (*n_done < n)
    g_main_context_iteration (NULL, TRUE);
}

static char *
dup_value (Db *db, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (db, "SELECT value FROM store_fact WHERE name = ?", "s", name);
  gboolean has_row = db_next (query, &error);
  g_assert_no_error (error);
  return has_row ? db_dup_text (query, 0) : NULL;
}

static void
test_store_a_failed_write_takes_no_neighbour_along (Fixture *f, gconstpointer unused)
{
  guint n_done = 0;
  Row rows[] = {
    { .name = "a", .value = "1" },
    { .name = "a", .value = "2" }, /* the same key in the same batch */
    { .name = "b", .value = "3", .fails = TRUE },
    { .name = "c", .value = "4" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      rows[i].n_done = &n_done;
      store_write (f->store, STORE_CHAT, row_insert, row_done, &rows[i]);
    }
  run_until (&n_done, G_N_ELEMENTS (rows));

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    g_assert_cmpuint (rows[i].order, ==, i);
  g_assert_no_error (rows[0].error);
  g_assert_error (rows[1].error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_error (rows[2].error, DB_ERROR, DB_ERROR_FAILED);
  g_assert_no_error (rows[3].error);

  Db *reader = store_peek_reader (f->store, STORE_CHAT);
  g_autofree char *a = dup_value (reader, "a");
  g_autofree char *b = dup_value (reader, "b");
  g_autofree char *c = dup_value (reader, "c");
  g_assert_cmpstr (a, ==, "1");
  g_assert_null (b);
  g_assert_cmpstr (c, ==, "4");
  g_assert_cmpuint (store_get_backlog (f->store, STORE_CHAT), ==, 0);
  g_clear_error (&rows[1].error);
  g_clear_error (&rows[2].error);
}

static void
test_store_close_calls_every_done_once (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  guint n_done = 0;
  static Row rows[2000];
  {
    g_autoptr (Store) store = store_open (folder, NULL, NULL);
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
      {
        rows[i] = (Row){ .value = "x", .n_done = &n_done };
        g_snprintf (rows[i].name, sizeof rows[i].name, "row %u", i);
        store_write (store, i % 2 ? STORE_CHAT : STORE_MARKET, row_insert, row_done, &rows[i]);
      }
  }
  g_assert_cmpuint (n_done, ==, G_N_ELEMENTS (rows));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    g_assert_no_error (rows[i].error);
  test_folder_remove (folder);
}

typedef struct
{
  gint64 seen;
  gboolean is_done;
} Count;

static gboolean
count_rows (Db *db, gpointer data, GError **error)
{
  Count *count = data;
  g_autoptr (DbQuery) query = db_query (db, "SELECT count(*) FROM store_fact", "");
  if (!db_next (query, error))
    return FALSE;
  count->seen = db_get_int (query, 0);
  return TRUE;
}

static void
count_done (gpointer data, const GError *error)
{
  g_assert_no_error (error);
  ((Count *)data)->is_done = TRUE;
}

static void
test_store_the_reader_thread_sees_what_is_committed (Fixture *f, gconstpointer unused)
{
  guint n_done = 0;
  Row row = { .name = "a", .value = "1", .n_done = &n_done };
  store_write (f->store, STORE_CHAT, row_insert, row_done, &row);
  run_until (&n_done, 1);
  Count count = { 0 };
  store_read (f->store, STORE_CHAT, count_rows, count_done, &count);
  while (!count.is_done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (count.seen, ==, 1);
}

static void
test_store_refuses_a_second_server_on_its_folder (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (store_open (f->folder, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
}

static void
test_store_a_sealed_value_opens_only_in_its_place (Fixture *f, gconstpointer unused)
{
  g_autoptr (Secret) plain = secret_new ("K7QF-1", 6);
  g_autoptr (GBytes) sealed = store_seal (f->store, "serial/1", plain);
  g_autoptr (GBytes) again = store_seal (f->store, "serial/1", plain);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  g_assert_false (g_bytes_equal (sealed, again)); /* a nonce of its own */

  g_autoptr (Secret) opened = store_unseal (f->store, "serial/1", bytes, length);
  g_assert_true (secret_equal (plain, opened));
  g_assert_null (store_unseal (f->store, "serial/2", bytes, length));
  g_assert_null (store_unseal (f->store, "serial/1", bytes, length - 1));
  g_assert_null (store_unseal (f->store, "serial/1", "", 0));
  for (gsize i = 0; i < length; i++)
    {
      g_autofree guint8 *altered = g_memdup2 (bytes, length);
      altered[i] ^= 1;
      g_assert_null (store_unseal (f->store, "serial/1", altered, length));
    }

  g_autoptr (Secret) empty = secret_new ("", 0);
  g_autoptr (GBytes) sealed_empty = store_seal (f->store, "", empty);
  bytes = g_bytes_get_data (sealed_empty, &length);
  g_autoptr (Secret) opened_empty = store_unseal (f->store, "", bytes, length);
  g_assert_true (secret_equal (empty, opened_empty));
}

static void
test_store_the_key_file_is_private_and_belongs_to_its_database (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  g_autofree char *key = g_build_filename (folder, "store.key", NULL);
  g_autoptr (GError) error = NULL;
  struct stat status;

  store_close (store_open (folder, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (stat (key, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 0777, ==, 0600);

  g_chmod (key, 0640);
  g_assert_null (store_open (folder, NULL, &error));
  g_assert_nonnull (strstr (error->message, "others can read"));
  g_clear_error (&error);

  g_unlink (key); /* no new key for an old database */
  g_assert_null (store_open (folder, NULL, &error));
  g_assert_nonnull (strstr (error->message, "cannot open the key file"));
  g_clear_error (&error);
  g_assert_false (g_file_test (key, G_FILE_TEST_EXISTS));

  g_file_set_contents_full (key, "00000000000000000000000000000000000000000000000000000000000000ff\n", -1,
                            G_FILE_SET_CONTENTS_NONE, 0600, NULL);
  g_assert_null (store_open (folder, NULL, &error));
  g_assert_nonnull (strstr (error->message, "is not the one of this database"));
  test_folder_remove (folder);
}

static void
test_store_derives_the_same_key_after_every_start (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  Store *store = store_open (folder, NULL, NULL);
  g_autoptr (Secret) first = store_derive_key (store, "salt");
  g_autoptr (Secret) other = store_derive_key (store, "sald");
  store_close (store);
  store = store_open (folder, NULL, NULL);
  g_autoptr (Secret) again = store_derive_key (store, "salt");
  store_close (store);
  g_assert_cmpuint (secret_get_length (first), ==, 32);
  g_assert_true (secret_equal (first, again));
  g_assert_false (secret_equal (first, other));
  test_folder_remove (folder);
}

static void
test_store_refuses_a_file_that_is_no_database (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "chat.db", NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *rubbish = g_strnfill (8192, 'x');
  g_file_set_contents (path, rubbish, -1, NULL);
  g_assert_null (store_open (folder, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CORRUPT);
  g_assert_nonnull (strstr (error->message, "chat.db"));
  test_folder_remove (folder);
}

static void
test_store_refuses_tables_of_a_later_version (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "market.db", NULL);
  g_autoptr (GError) error = NULL;
  store_close (store_open (folder, NULL, NULL));
  {
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, NULL);
    g_assert_true (db_run (db, NULL, "INSERT INTO schema_family (name, version) VALUES ('zeppelin', 1)", ""));
  }
  g_assert_null (store_open (folder, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_NEWER);
  g_clear_error (&error);
  {
    g_autoptr (Db) db = db_open (path, DB_OPEN_FULL, NULL);
    g_assert_true (db_run (db, NULL, "DELETE FROM schema_family WHERE name = 'zeppelin'", ""));
    g_assert_true (db_run (db, NULL, "UPDATE schema_family SET version = 99 WHERE name = 'accounts'", ""));
  }
  g_assert_null (store_open (folder, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_NEWER);
  test_folder_remove (folder);
}

static void
test_store_a_backup_is_whole_and_opens_as_a_store (Fixture *f, gconstpointer unused)
{
  guint n_done = 0;
  Row row = { .name = "a", .value = "1", .n_done = &n_done };
  store_write (f->store, STORE_CHAT, row_insert, row_done, &row);
  run_until (&n_done, 1);
  g_autofree char *path = g_build_filename (f->folder, "backup", NULL);
  Row outcome = { .n_done = &n_done };
  store_backup (f->store, path, row_done, &outcome);
  run_until (&n_done, 2);
  g_assert_no_error (outcome.error);

  Row second = { .n_done = &n_done };
  store_backup (f->store, path, row_done, &second);
  run_until (&n_done, 3);
  g_assert_nonnull (second.error); /* never over an older one */
  g_clear_error (&second.error);

  g_autoptr (GError) error = NULL;
  g_autoptr (Store) copy = store_open (path, NULL, &error);
  g_assert_no_error (error);
  g_autofree char *value = dup_value (store_peek_reader (copy, STORE_CHAT), "a");
  g_assert_cmpstr (value, ==, "1");
}

/* In a child whose files may not grow: what fails is said to have failed, and it mends when there is room. */
static void
full_disk_child (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  signal (SIGXFSZ, SIG_IGN);
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR); /* the store's own log lines are expected here */
  g_autoptr (Store) store = store_open (folder, NULL, NULL);
  guint n_done = 0;
  Row before = { .name = "before", .value = "1", .n_done = &n_done };
  store_write (store, STORE_CHAT, row_insert, row_done, &before);
  run_until (&n_done, 1);
  g_assert_no_error (before.error);
  g_assert_true (store_is_healthy (store, STORE_CHAT));

  struct rlimit limit;
  getrlimit (RLIMIT_FSIZE, &limit);
  rlim_t old = limit.rlim_cur;
  limit.rlim_cur = 200 * 1024;
  setrlimit (RLIMIT_FSIZE, &limit);
  static Row rows[40];
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      rows[i] = (Row){ .padding = 64 * 1024, .n_done = &n_done };
      g_snprintf (rows[i].name, sizeof rows[i].name, "big %u", i);
      store_write (store, STORE_CHAT, row_insert, row_done, &rows[i]);
    }
  run_until (&n_done, 1 + G_N_ELEMENTS (rows));
  g_assert_error (rows[G_N_ELEMENTS (rows) - 1].error, DB_ERROR, DB_ERROR_FULL);
  g_assert_false (store_is_healthy (store, STORE_CHAT));
  g_assert_true (store_is_healthy (store, STORE_MARKET));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) /* what was acknowledged is there, what was not is not */
    {
      g_autofree char *value = dup_value (store_peek_reader (store, STORE_CHAT), rows[i].name);
      g_assert_true ((rows[i].error == NULL) == (value != NULL));
      g_clear_error (&rows[i].error);
    }

  limit.rlim_cur = old;
  setrlimit (RLIMIT_FSIZE, &limit);
  for (guint i = 0; i < 100 && !store_is_healthy (store, STORE_CHAT); i++)
    g_usleep (100000); /* the store tries by itself */
  g_assert_true (store_is_healthy (store, STORE_CHAT));
  Row after = { .name = "after", .value = "1", .n_done = &n_done };
  store_write (store, STORE_CHAT, row_insert, row_done, &after);
  run_until (&n_done, 2 + G_N_ELEMENTS (rows));
  g_assert_no_error (after.error);
  store_close (g_steal_pointer (&store));
  test_folder_remove (folder);
}

static void
test_store_a_full_disk_acknowledges_nothing_and_mends (void)
{
  if (g_test_subprocess ())
    {
      full_disk_child ();
      return;
    }
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
}

/* The child commits row after row and reports each on a pipe once it is acknowledged; it is killed in the
 * middle of its work, over and over. */
typedef struct
{
  Store *store;
  int pipe;
  guint32 n;
  StoreFile file;
} Ticker;

static gboolean
tick_insert (Db *db, gpointer data, GError **error)
{
  Ticker *ticker = data;
  g_autofree char *name = g_strdup_printf ("tick %u", ticker->n);
  return db_run (db, error, "INSERT INTO store_fact (name, value) VALUES (?, 'x')", "s", name);
}

static void
tick_done (gpointer data, const GError *error)
{
  Ticker *ticker = data;
  g_assert_no_error (error);
  g_assert_cmpint (write (ticker->pipe, &ticker->n, sizeof ticker->n), ==, sizeof ticker->n);
  ticker->n += 16; /* 16 tickers are under way at once */
  store_write (ticker->store, ticker->file, tick_insert, tick_done, ticker);
}

static void
crash_child (const char *folder, StoreFile file, guint32 first, int pipe)
{
  g_autoptr (GError) error = NULL;
  Store *store = store_open (folder, NULL, &error);
  g_assert_no_error (error);
  static Ticker tickers[16];
  for (guint32 i = 0; i < 16; i++)
    {
      tickers[i] = (Ticker){ store, pipe, first + i, file };
      store_write (store, file, tick_insert, tick_done, &tickers[i]);
    }
  for (;;)
    g_main_context_iteration (NULL, TRUE);
}

static void
run_and_kill (const char *folder, StoreFile file, guint round, GArray *acknowledged)
{
  int fds[2];
  g_assert_cmpint (pipe (fds), ==, 0);
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *first = g_strdup_printf ("%u", (round + 1) * 10000000);
  g_autofree char *pipe_text = g_strdup_printf ("%d", fds[1]);
  pid_t pid = fork ();
  if (pid == 0)
    {
      close (fds[0]);
      execl (program, program, "--crash-child", folder, file == STORE_CHAT ? "chat" : "market", first,
             pipe_text, NULL);
      _exit (127);
    }
  close (fds[1]);
  guint32 n;
  guint n_seen = 0;
  while (n_seen < 300 + 97 * round && read (fds[0], &n, sizeof n) == sizeof n)
    {
      g_array_append_val (acknowledged, n);
      n_seen++;
    }
  kill (pid, SIGKILL);
  while (read (fds[0], &n, sizeof n) == sizeof n) /* what was still on its way was acknowledged too */
    g_array_append_val (acknowledged, n);
  close (fds[0]);
  int status;
  waitpid (pid, &status, 0);
  g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
}

static void
test_store_kill_9_loses_nothing_acknowledged (gconstpointer which)
{
  StoreFile file = (StoreFile)GPOINTER_TO_INT (which);
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  g_autoptr (GArray) acknowledged = g_array_new (FALSE, FALSE, sizeof (guint32));
  for (guint round = 0; round < 5; round++)
    {
      run_and_kill (folder, file, round, acknowledged);
      g_autoptr (GError) error = NULL;
      g_autoptr (Store) store = store_open (folder, NULL, &error);
      g_assert_no_error (error);
      for (guint i = 0; i < acknowledged->len; i++)
        {
          g_autofree char *name = g_strdup_printf ("tick %u", g_array_index (acknowledged, guint32, i));
          g_autofree char *value = dup_value (store_peek_reader (store, file), name);
          g_assert_cmpstr (value, ==, "x");
        }
    }
  g_assert_cmpuint (acknowledged->len, >=, 5 * 300);
  test_folder_remove (folder);
}

static void
test_store_says_which_folder_cannot_be_written (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-store-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "file", NULL);
  g_autofree char *below = g_build_filename (file, "data", NULL);
  g_autoptr (GError) error = NULL;
  g_file_set_contents (file, "", 0, NULL);
  g_assert_null (store_open (below, NULL, &error)); /* refused to root too, unlike a mode */
  g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
  g_assert_nonnull (strstr (error->message, below));
  g_clear_error (&error);

  if (geteuid () != 0)
    {
      g_chmod (folder, 0500);
      g_assert_null (store_open (folder, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
      g_chmod (folder, 0700);
    }
  test_folder_remove (folder);
}

int
main (int argc, char **argv)
{
  if (argc == 6 && g_str_equal (argv[1], "--crash-child"))
    {
      crash_child (argv[2], g_str_equal (argv[3], "chat") ? STORE_CHAT : STORE_MARKET,
                   (guint32)atoi (argv[4]), atoi (argv[5]));
      return 0;
    }
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add (path, Fixture, NULL, fixture_open, func, fixture_close)
  ADD ("/store/a-failed-write-takes-no-neighbour-along", test_store_a_failed_write_takes_no_neighbour_along);
  ADD ("/store/the-reader-thread-sees-what-is-committed",
       test_store_the_reader_thread_sees_what_is_committed);
  ADD ("/store/refuses-a-second-server-on-its-folder", test_store_refuses_a_second_server_on_its_folder);
  ADD ("/store/a-sealed-value-opens-only-in-its-place", test_store_a_sealed_value_opens_only_in_its_place);
  ADD ("/store/a-backup-is-whole-and-opens-as-a-store", test_store_a_backup_is_whole_and_opens_as_a_store);
#undef ADD
  g_test_add_func ("/store/close-calls-every-done-once", test_store_close_calls_every_done_once);
  g_test_add_func ("/store/the-key-file-is-private-and-belongs-to-its-database",
                   test_store_the_key_file_is_private_and_belongs_to_its_database);
  g_test_add_func ("/store/derives-the-same-key-after-every-start",
                   test_store_derives_the_same_key_after_every_start);
  g_test_add_func ("/store/refuses-a-file-that-is-no-database",
                   test_store_refuses_a_file_that_is_no_database);
  g_test_add_func ("/store/refuses-tables-of-a-later-version", test_store_refuses_tables_of_a_later_version);
  g_test_add_func ("/store/a-full-disk-acknowledges-nothing-and-mends",
                   test_store_a_full_disk_acknowledges_nothing_and_mends);
  g_test_add_func ("/store/says-which-folder-cannot-be-written",
                   test_store_says_which_folder_cannot_be_written);
  g_test_add_data_func ("/store/kill-9-loses-nothing-acknowledged/market", GINT_TO_POINTER (STORE_MARKET),
                        test_store_kill_9_loses_nothing_acknowledged);
  g_test_add_data_func ("/store/kill-9-loses-nothing-acknowledged/chat", GINT_TO_POINTER (STORE_CHAT),
                        test_store_kill_9_loses_nothing_acknowledged);
  return g_test_run ();
}
