#include "common/module/resources.h"
#include "host-server/functions/data.h"
#include "host-server/functions/resources.h"
#include "host-server/store/store.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const DataOwner owner = { "account", "application" };

typedef struct
{
  char *folder;
  Store *store;
  GHashTable *reads, *writes;
} Fixture;

static void
unref_value (gpointer value)
{
  if (value != NULL)
    g_bytes_unref (value);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  fixture->folder = g_dir_make_tmp ("stoa-functions-XXXXXX", NULL);
  fixture->store = store_open (fixture->folder, NULL, &error);
  g_assert_no_error (error);
  fixture->reads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  fixture->writes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, unref_value);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GDir) entries = g_dir_open (fixture->folder, 0, NULL);
  const char *name;
  store_close (fixture->store);
  while ((name = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *path = g_build_filename (fixture->folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (fixture->folder);
  g_free (fixture->folder);
  g_hash_table_unref (fixture->reads);
  g_hash_table_unref (fixture->writes);
}

/* --- one write, waited for --- */

typedef struct
{
  gboolean (*work) (Db *db, gpointer data, GError **error);
  gpointer data;
  gboolean is_done;
} Write;

static gboolean
write_work (Db *db, gpointer data, GError **error)
{
  Write *w = data;
  return w->work (db, w->data, error);
}

static void
write_done (gpointer data, const GError *error)
{
  g_assert_no_error (error);
  ((Write *)data)->is_done = TRUE;
}

static void
write_now (Fixture *fixture, gboolean (*work) (Db *, gpointer, GError **), gpointer data)
{
  Write w = { work, data, FALSE };
  store_write (fixture->store, STORE_MARKET, write_work, write_done, &w);
  while (!w.is_done)
    g_main_context_iteration (NULL, TRUE);
}

typedef struct
{
  DataCommit commit;
  DataOutcome outcome;
} Commit;

static gboolean
commit_work (Db *db, gpointer data, GError **error)
{
  Commit *c = data;
  return data_commit (db, &c->commit, &c->outcome, error);
}

static DataOutcome
commit (Fixture *fixture, const char *request, const char *result, gint64 now_us)
{
  static const guint8 digest[32] = { 1 };
  g_autoptr (GBytes) bytes = g_bytes_new (result, strlen (result));
  Commit c = { .commit = { .owner = owner,
                           .request = request,
                           .digest = digest,
                           .result = bytes,
                           .reads = fixture->reads,
                           .writes = fixture->writes,
                           .most_user_bytes = 1000,
                           .most_result_bytes = 1000,
                           .since_us = now_us - 100,
                           .now_us = now_us } };
  write_now (fixture, commit_work, &c);
  g_hash_table_remove_all (fixture->reads);
  g_hash_table_remove_all (fixture->writes);
  return c.outcome;
}

static Db *
reader (Fixture *fixture)
{
  return store_peek_reader (fixture->store, STORE_MARKET);
}

static void
put (Fixture *fixture, const char *key, const char *value)
{
  g_hash_table_replace (fixture->writes, g_strdup (key),
                        value != NULL ? g_bytes_new (value, strlen (value)) : NULL);
}

/* The value as text, "-" if there is none; noted as read. */
static char *
get (Fixture *fixture, const char *key)
{
  g_autoptr (GBytes) value = NULL;
  gint64 *version = g_new (gint64, 1);
  g_assert_true (data_get (reader (fixture), &owner, key, &value, version, NULL));
  g_hash_table_replace (fixture->reads, g_strdup (key), version);
  gsize length;
  const char *bytes = value != NULL ? g_bytes_get_data (value, &length) : "-";
  return bytes != NULL ? g_strndup (bytes, value != NULL ? length : 1) : g_strdup ("");
}

static void
assert_value (Fixture *fixture, const char *key, const char *expected)
{
  g_autofree char *value = get (fixture, key);
  g_assert_cmpstr (value, ==, expected);
  g_hash_table_remove_all (fixture->reads);
}

static gint64
get_bytes (Fixture *fixture)
{
  gint64 bytes;
  g_assert_true (data_get_bytes (reader (fixture), &owner, &bytes, NULL));
  return bytes;
}

/* --- tests --- */

static void
test_data_keeps_values_and_result_in_one_commit (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GBytes) result = NULL;
  guint8 digest[32];
  put (fixture, "a", "one");
  put (fixture, "b", "");
  g_assert_cmpint (commit (fixture, "r", "done", 1000), ==, DATA_COMMITTED);
  assert_value (fixture, "a", "one");
  assert_value (fixture, "b", "");
  assert_value (fixture, "c", "-");
  g_assert_true (result_find (reader (fixture), &owner, "r", 900, &result, digest, NULL));
  g_assert_cmpmem (g_bytes_get_data (result, NULL), g_bytes_get_size (result), "done", 4);
  g_assert_cmpuint (digest[0], ==, 1);
}

static void
test_data_that_was_read_and_changed_is_a_conflict_and_changes_nothing (Fixture *fixture, gconstpointer data)
{
  put (fixture, "a", "one");
  commit (fixture, "r1", "", 1000);
  g_autofree char *seen = get (fixture, "a");
  g_autoptr (GHashTable) stale = g_steal_pointer (&fixture->reads);
  fixture->reads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  put (fixture, "a", "two");
  commit (fixture, "r2", "", 1000);

  g_hash_table_unref (fixture->reads);
  fixture->reads = g_steal_pointer (&stale);
  put (fixture, "b", "never");
  g_assert_cmpint (commit (fixture, "r3", "", 1000), ==, DATA_CONFLICT);
  assert_value (fixture, "a", "two");
  assert_value (fixture, "b", "-");
}

static void
test_data_that_was_absent_and_came_is_a_conflict (Fixture *fixture, gconstpointer data)
{
  g_autofree char *seen = get (fixture, "a");
  g_autoptr (GHashTable) stale = g_steal_pointer (&fixture->reads);
  fixture->reads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  put (fixture, "a", "one");
  commit (fixture, "r1", "", 1000);
  g_hash_table_unref (fixture->reads);
  fixture->reads = g_steal_pointer (&stale);
  g_assert_cmpint (commit (fixture, "r2", "", 1000), ==, DATA_CONFLICT);
}

static void
test_data_is_charged_and_given_back (Fixture *fixture, gconstpointer data)
{
  g_autofree char *large = g_strnfill (800, 'x');
  put (fixture, "a", large);
  g_assert_cmpint (commit (fixture, "r1", "", 1000), ==, DATA_COMMITTED);
  g_assert_cmpint (get_bytes (fixture), ==, 1 + 800 + DATA_CHARGE);
  put (fixture, "b", large);
  g_assert_cmpint (commit (fixture, "r2", "", 1000), ==, DATA_OVER_QUOTA);
  assert_value (fixture, "b", "-");
  put (fixture, "a", NULL);
  put (fixture, "b", large);
  g_assert_cmpint (commit (fixture, "r2", "", 1000), ==, DATA_COMMITTED);
  put (fixture, "b", "x");
  g_assert_cmpint (commit (fixture, "r3", "", 1000), ==, DATA_COMMITTED);
  g_assert_cmpint (get_bytes (fixture), ==, 1 + 1 + DATA_CHARGE);
}

static void
test_data_knows_a_request_until_its_result_is_old (Fixture *fixture, gconstpointer data)
{
  put (fixture, "a", "one");
  g_assert_cmpint (commit (fixture, "r", "first", 1000), ==, DATA_COMMITTED);
  put (fixture, "a", "two");
  g_assert_cmpint (commit (fixture, "r", "second", 1100), ==, DATA_KNOWN);
  assert_value (fixture, "a", "one");
  put (fixture, "a", "three");
  g_assert_cmpint (commit (fixture, "r", "third", 1101), ==, DATA_COMMITTED);
  assert_value (fixture, "a", "three");
}

static gboolean
expire_work (Db *db, gpointer data, GError **error)
{
  gboolean has_more;
  gboolean is_done = results_expire (db, *(gint64 *)data, &has_more, error);
  g_assert_false (has_more);
  return is_done;
}

static void
test_data_has_room_for_results_again_when_old_ones_go (Fixture *fixture, gconstpointer data)
{
  g_autofree char *large = g_strnfill (600, 'x');
  gint64 before_us = 1500;
  g_assert_cmpint (commit (fixture, "r1", large, 1000), ==, DATA_COMMITTED);
  g_assert_cmpint (commit (fixture, "r2", large, 2000), ==, DATA_RESULTS_FULL);
  write_now (fixture, expire_work, &before_us);
  g_assert_cmpint (commit (fixture, "r2", large, 2000), ==, DATA_COMMITTED);
}

static gboolean
list_key (const char *key, gsize length, gpointer data)
{
  g_string_append_printf (data, "%s=%zu ", key, length);
  return TRUE;
}

static void
test_data_lists_keys_by_prefix (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) list = g_string_new (NULL);
  put (fixture, "a/1", "x");
  put (fixture, "a/2", "xx");
  put (fixture, "b/1", "");
  commit (fixture, "r", "", 1000);
  g_assert_true (data_list (reader (fixture), &owner, "a/", list_key, list, NULL));
  g_assert_cmpstr (list->str, ==, "a/1=1 a/2=2 ");
}

/* --- resources --- */

static gboolean
resources_work (Db *db, gpointer data, GError **error)
{
  static const char *const names[] = { "b.txt", "a.csv", "c" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      gint64 version;
      ResourcePut one = { .application = "application",
                          .name = names[i],
                          .kind = "bytes",
                          .is_open = i == 0,
                          .bytes = names[i],
                          .length = i == 2 ? 0 : strlen (names[i]),
                          .most_bytes = 1000 };
      if (!resource_put (db, &one, &version, error))
        return FALSE;
      g_assert_cmpint (version, ==, 1);
    }
  return TRUE;
}

static void
test_resources_are_found_in_their_image (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  struct stat facts;
  gsize length;
  write_now (fixture, resources_work, NULL);
  g_autoptr (ResourceImage) image = resource_image_new (reader (fixture), "application", &error);
  g_assert_no_error (error);
  g_assert_cmpmem (resource_image_find_open (image, "b.txt", &length), length, "b.txt", 5);
  g_assert_null (resource_image_find_open (image, "a.csv", &length));

  /* As the runner sees it. */
  int fd = resource_image_get_fd (image);
  g_assert_cmpint (fstat (fd, &facts), ==, 0);
  gsize size = (gsize)facts.st_size;
  const guint8 *file = mmap (NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  g_assert_cmpmem (resources_find (file, size, "a.csv", &length), length, "a.csv", 5);
  g_assert_nonnull (resources_find (file, size, "c", &length));
  g_assert_cmpuint (length, ==, 0);
  for (const char *const *name = (const char *const[]){ "", "a", "a.csvx", "b", "zzz", NULL }; *name != NULL;
       name++)
    g_assert_null (resources_find (file, size, *name, &length));
  /* Nobody can write into it. */
  g_assert_cmpint (pwrite (fd, "x", 1, 0), ==, -1);
  munmap ((void *)file, size);
}

static void
test_resources_of_a_damaged_file_are_not_there (Fixture *fixture, gconstpointer data)
{
  ResourcesHeader header = { RESOURCES_MAGIC, 1 };
  ResourcesEntry entry = { sizeof header + sizeof entry, 1, sizeof header + sizeof entry, 1 };
  guint8 file[sizeof header + sizeof entry + 1];
  gsize length;
  memcpy (file, &header, sizeof header);
  memcpy (file + sizeof header, &entry, sizeof entry);
  file[sizeof file - 1] = 'a';
  g_assert_nonnull (resources_find (file, sizeof file, "a", &length));
  for (gsize cut = 0; cut < sizeof file; cut++)
    g_assert_null (resources_find (file, cut, "a", &length));
  entry.n_bytes = G_MAXUINT32;
  memcpy (file + sizeof header, &entry, sizeof entry);
  g_assert_null (resources_find (file, sizeof file, "a", &length));
  header.n_entries = G_MAXUINT32;
  memcpy (file, &header, sizeof header);
  g_assert_null (resources_find (file, sizeof file, "a", &length));
}

#define ADD(path, name) g_test_add ("/functions/" path, Fixture, NULL, set_up, name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("data/one-commit", test_data_keeps_values_and_result_in_one_commit);
  ADD ("data/conflict", test_data_that_was_read_and_changed_is_a_conflict_and_changes_nothing);
  ADD ("data/absent", test_data_that_was_absent_and_came_is_a_conflict);
  ADD ("data/quota", test_data_is_charged_and_given_back);
  ADD ("data/known", test_data_knows_a_request_until_its_result_is_old);
  ADD ("data/results", test_data_has_room_for_results_again_when_old_ones_go);
  ADD ("data/list", test_data_lists_keys_by_prefix);
  ADD ("resources/image", test_resources_are_found_in_their_image);
  ADD ("resources/damaged", test_resources_of_a_damaged_file_are_not_there);
  return g_test_run ();
}
